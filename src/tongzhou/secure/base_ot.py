"""A few oblivious transfers of random keys, by public-key cryptography: the seeds of all later ones.

Statement
    Parties: a sender and a receiver, who may be any two parties of a run.
    Who learns what: the sender gets two random keys a transfer; the receiver gets the one of its choice and
    nothing of the other. The sender learns nothing of the choices: what it receives is a pair of uniform
    points whatever was chosen.
    Assumption: computational Diffie–Hellman in the prime-order group of Curve25519; SHA-512 (into the group)
    and SHA-256 (of the key) as random oracles. Secure against a party that does not follow the protocol, too.
    Cost: 64 bytes a transfer and 32 once; one round, both messages at the same time; two scalar
    multiplications a transfer on each side, about 0.3 ms.
    Paper: Masny and Rindal, Endemic oblivious transfer (CCS 2019), the instance from Diffie–Hellman.
"""

import hashlib

import numpy as np
from nacl import bindings as sodium
from numpy.typing import NDArray

from tongzhou.secure.group import POINT_BYTES, checked_point, hash_to_group, random_scalar
from tongzhou.wire.messages import ArraySpec, Link

__all__ = ["KEY_BYTES", "Bits", "receive_base", "send_base"]

KEY_BYTES = 32
"""Bytes of a transferred key: a seed for `tongzhou.secure.prg.Stream`."""

_DOMAIN = b"tongzhou/base-ot/v1/"

Bits = NDArray[np.bool_]
Keys = NDArray[np.uint8]


def send_base(link: Link, count: int) -> Keys:
    """Play the sender.

    Args:
        link: to the receiver.
        count: number of transfers.

    Returns:
        ``(count, 2, 32)`` random keys; the receiver has one of each pair.

    Raises:
        ProtocolError: the receiver sent what is no point of the group.
    """
    scalar = random_scalar()
    public = bytes(sodium.crypto_scalarmult_ed25519_base_noclamp(scalar))
    link.send("ot.base.public", None, [np.frombuffer(public, dtype=np.uint8)])
    _, (points,) = link.recv("ot.base.points", None, [ArraySpec("|u1", (count, 2, POINT_BYTES))])
    keys = [
        _key(public, place, pair, side, sodium.crypto_scalarmult_ed25519_noclamp(scalar, base))
        for place, pair in enumerate(_pairs(points))
        for side, base in enumerate(_bases(place, pair))
    ]
    return np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(count, 2, KEY_BYTES)


def receive_base(link: Link, choices: Bits) -> Keys:
    """Play the receiver.

    Args:
        link: to the sender.
        choices: ``(count,)``, which key of each pair.

    Returns:
        ``(count, 32)`` the chosen keys.

    Raises:
        ProtocolError: the sender sent what is no point of the group.
    """
    scalars = [random_scalar() for _ in choices]
    pairs = [_hide(place, scalars[place], bool(choice)) for place, choice in enumerate(choices)]
    flat = b"".join(point for pair in pairs for point in pair)
    link.send(
        "ot.base.points", None, [np.frombuffer(flat, dtype=np.uint8).reshape(len(choices), 2, POINT_BYTES)]
    )
    _, (got,) = link.recv("ot.base.public", None, [ArraySpec("|u1", (POINT_BYTES,))])
    public = checked_point(got.tobytes(), 0)
    keys = [
        _key(
            public,
            place,
            pairs[place],
            int(choice),
            sodium.crypto_scalarmult_ed25519_noclamp(scalars[place], public),
        )
        for place, choice in enumerate(choices)
    ]
    return np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(choices), KEY_BYTES)


def _hide(place: int, scalar: bytes, choice: bool) -> tuple[bytes, bytes]:
    """Two points, uniform in pairs; the receiver knows the exponent behind the chosen one's base only."""
    other = bytes(sodium.crypto_scalarmult_ed25519_base_noclamp(random_scalar()))
    known = sodium.crypto_scalarmult_ed25519_base_noclamp(scalar)
    chosen = bytes(sodium.crypto_core_ed25519_sub(known, _offset(place, int(choice), other)))
    return (other, chosen) if choice else (chosen, other)


def _bases(place: int, pair: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """The points whose multiples are the two keys: each plus the hash of the other."""
    first, second = pair
    return (
        bytes(sodium.crypto_core_ed25519_add(first, _offset(place, 0, second))),
        bytes(sodium.crypto_core_ed25519_add(second, _offset(place, 1, first))),
    )


def _offset(place: int, side: int, other: bytes) -> bytes:
    return hash_to_group(_DOMAIN + b"offset/" + place.to_bytes(4, "big") + bytes([side]) + other)


def _key(public: bytes, place: int, pair: tuple[bytes, bytes], side: int, shared: bytes) -> bytes:
    tail = place.to_bytes(4, "big") + bytes([side]) + pair[0] + pair[1] + shared
    return hashlib.sha256(_DOMAIN + b"key/" + public + tail).digest()


def _pairs(points: Keys) -> list[tuple[bytes, bytes]]:
    return [
        (
            checked_point(pair[0].tobytes(), 2 * place),
            checked_point(pair[1].tobytes(), 2 * place + 1),
        )
        for place, pair in enumerate(points)
    ]
