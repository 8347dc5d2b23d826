"""The prime-order group of Curve25519, by libsodium: hashing to it, and points that a peer sent.

Points are 32 bytes, in the encoding of Ed25519. All of them lie in the subgroup of prime order.
"""

import hashlib
import secrets

from nacl import bindings as sodium

from tongzhou.errors import ProtocolError

__all__ = ["POINT_BYTES", "checked_point", "hash_to_group", "random_scalar"]

POINT_BYTES = 32
_WIDE_SCALAR_BYTES = 64


def hash_to_group(data: bytes) -> bytes:
    """A point that depends on `data` as a random oracle would have it.

    SHA-512 gives two halves, each goes to the group by Elligator, and their sum is the point: the
    construction of RFC 9380's ``hash_to_curve`` (a single map would reach half of the points only).
    """
    digest = hashlib.sha512(data).digest()
    left = sodium.crypto_core_ed25519_from_uniform(digest[:POINT_BYTES])
    right = sodium.crypto_core_ed25519_from_uniform(digest[POINT_BYTES:])
    return bytes(sodium.crypto_core_ed25519_add(left, right))


def random_scalar() -> bytes:
    """A uniform exponent (512 random bits modulo the order; zero comes by chance once in 2^252)."""
    return bytes(sodium.crypto_core_ed25519_scalar_reduce(secrets.token_bytes(_WIDE_SCALAR_BYTES)))


def checked_point(point: bytes, place: int) -> bytes:
    """A point that a peer sent, if it is one.

    Args:
        point: 32 bytes.
        place: where it stood in the peer's list, from 0.

    Raises:
        ProtocolError: it is not on the curve, not in the prime-order group, or of small order.
    """
    if not sodium.crypto_core_ed25519_is_valid_point(point):
        raise ProtocolError("point {place} of the peer's list is not in the group", place=place)
    return point
