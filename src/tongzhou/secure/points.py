"""Texts as points of Curve25519, multiples of such points, and lists that travel in pieces.

The protocols of matching by Diffie and Hellman stand on these few functions. Curve arithmetic is
libsodium's: a text is hashed to the prime-order group by two Elligator maps and an addition, as in RFC 9380's
hash_to_curve, and then carried as an X25519 u-coordinate (RFC 7748). A u-coordinate does not tell a point
from its negative, so everything here holds up to the sign, which is the same for everyone.

Multiples are X25519 with scalars that are "clamped": multiples of eight from 2^254 to 2^255. Half of the
residues modulo the group's order have such a form, and of a residue and its negative always one has (but for
a chance of 2^-127). So a multiplication can be undone although X25519 changes other scalars.
"""

import hashlib
import secrets
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Final

import numpy as np
from nacl import bindings as sodium
from nacl.exceptions import RuntimeError as SodiumError
from numpy.typing import NDArray

from tongzhou.errors import ProtocolError
from tongzhou.wire.messages import ArraySpec, Link

__all__ = [
    "PIECE",
    "POINT_BYTES",
    "base_multiple",
    "fresh_scalar",
    "multiple",
    "multiples",
    "pack",
    "prefix",
    "recv_items",
    "send_items",
    "telling",
    "texts_to_points",
    "undoing",
    "unpack",
    "wait_out",
]

POINT_BYTES: Final = 32
PIECE: Final = 4096
"""Items a message: about half a second of work, so that whoever waits sees that the other is alive."""

_SCALAR_BYTES = 32
_FIELD = 2**255 - 19
_ORDER = 2**252 + 27742317777372353535851937790883648493
_Y_BITS = (1 << 255) - 1

Bytes = NDArray[np.uint8]


def prefix(domain: str, context: str) -> bytes:
    """What stands before every hashed text: domain and context, with a length, so that neither runs on."""
    encoded = context.encode()
    return f"tongzhou/{domain}/v1/".encode() + len(encoded).to_bytes(4, "big") + encoded


def texts_to_points(start: bytes, texts: Iterable[bytes]) -> Iterator[bytes]:
    """Hash texts to the prime-order group.

    Args:
        start: what `prefix` gave; another prefix gives unrelated points.
        texts: any bytes.

    Yields:
        The u-coordinate of each, in order.
    """
    waiting = iter(texts)
    while batch := [_edwards(start + text) for text in islice(waiting, PIECE)]:
        yield from _montgomery(batch)


def fresh_scalar() -> bytes:
    """A random clamped scalar, 32 bytes: secret."""
    value = int.from_bytes(secrets.token_bytes(_SCALAR_BYTES), "little")
    return _scalar_bytes((value & (1 << 254) - 8) | 1 << 254)


def undoing(scalar: bytes) -> bytes:
    """The clamped scalar that leads back from a multiple by `scalar`."""
    eighth = pow(8 * int.from_bytes(scalar, "little"), -1, _ORDER)
    # The larger of the two is above half the order; that it is above 2^252 has a chance of 2^-127.
    return _scalar_bytes(8 * max(eighth, _ORDER - eighth))


def base_multiple(scalar: bytes) -> bytes:
    """The public point of a secret scalar."""
    return bytes(sodium.crypto_scalarmult_base(scalar))


def multiples(scalar: bytes, points: Iterable[bytes]) -> Iterator[bytes]:
    """All points times one scalar.

    Points of another party may lie on the curve's twist; that group is as strong, so nothing is learnt from
    it about the scalar. Parts of small order vanish, because scalars are multiples of eight.

    Args:
        scalar: clamped, 32 bytes.
        points: u-coordinates.

    Raises:
        ProtocolError: a point has small order, which no honest party sends.
    """
    return (multiple(scalar, point, place) for place, point in enumerate(points))


def multiple(scalar: bytes, point: bytes, place: int) -> bytes:
    """One point times a scalar.

    Args:
        scalar: clamped, 32 bytes.
        point: u-coordinate.
        place: its place in the list, for the sentence.

    Raises:
        ProtocolError: the point has small order.
    """
    try:
        return bytes(sodium.crypto_scalarmult(scalar, point))
    except SodiumError:
        raise ProtocolError("point {place} of the peer's list is not in the group", place=place) from None


def send_items(link: Link, tag: str, items: Iterable[bytes], width: int) -> None:
    """Send a list in pieces, each as soon as it is computed.

    Args:
        link: to whom.
        tag: of every piece.
        items: all of `width` bytes; how many, the receiver knows.
        width: bytes an item.
    """
    waiting = iter(items)
    while piece := list(islice(waiting, PIECE)):
        link.send(tag, None, [pack(piece, width)])


def recv_items(link: Link, tag: str, count: int, width: int) -> Iterator[bytes]:
    """Items of a list that arrives in pieces.

    Raises:
        ProtocolError: a piece has another size than is due.
    """
    for start in range(0, count, PIECE):
        _, (piece,) = link.recv(tag, None, [ArraySpec("|u1", (min(PIECE, count - start), width))])
        yield from unpack(piece)


def telling(links: Sequence[Link], tag: str, items: Iterable[bytes]) -> Iterator[bytes]:
    """Pass items on, and say after each piece that the work goes on, so that no peer gives up waiting."""
    waiting = iter(items)
    while piece := list(islice(waiting, PIECE)):
        for link in links:
            link.send(tag)
        yield from piece


def wait_out(link: Link, tag: str, count: int) -> None:
    """Wait while the peer works on `count` items and says so by `telling`."""
    for _ in range(0, count, PIECE):
        link.recv(tag)


def pack(items: Sequence[bytes], width: int) -> Bytes:
    """Items of equal length as rows of an array ``(n, width)``."""
    return np.frombuffer(b"".join(items), dtype=np.uint8).reshape(len(items), width)


def unpack(array: Bytes) -> list[bytes]:
    """Rows of an array ``(n, width)`` as items."""
    width, data = array.shape[1], array.tobytes()
    return [data[start : start + width] for start in range(0, len(data), width)]


def _edwards(text: bytes) -> bytes:
    digest = hashlib.sha512(text).digest()
    left = sodium.crypto_core_ed25519_from_uniform(digest[:POINT_BYTES])
    right = sodium.crypto_core_ed25519_from_uniform(digest[POINT_BYTES:])
    return bytes(sodium.crypto_core_ed25519_add(left, right))


def _montgomery(points: list[bytes]) -> Iterator[bytes]:
    """The u-coordinates (1 + y) / (1 - y) of Edwards points (RFC 7748, section 4.1).

    All divisions of a batch cost one inversion (Montgomery's trick); one by one through libsodium each costs
    more than the multiplication that follows.
    """
    ys = [int.from_bytes(point, "little") & _Y_BITS for point in points]
    before, product = [], 1
    for y in ys:
        before.append(product)
        product = product * (1 - y) % _FIELD
    inverse = pow(product, -1, _FIELD)
    coordinates = []
    for y, others in zip(reversed(ys), reversed(before), strict=True):
        coordinates.append(((1 + y) * inverse * others % _FIELD).to_bytes(POINT_BYTES, "little"))
        inverse = inverse * (1 - y) % _FIELD
    return reversed(coordinates)


def _scalar_bytes(value: int) -> bytes:
    return value.to_bytes(_SCALAR_BYTES, "little")
