"""Private set intersection of two owners' identifiers by Diffie and Hellman.

As all matching does, it returns, for each owner, the places of the common identifiers in its own list, in
one order that both owners share (and that says nothing about either list's own order).
"""

from collections.abc import Callable, Sequence

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from nacl import bindings as sodium
from numpy.typing import NDArray

from tongzhou.errors import ProtocolError
from tongzhou.secure.group import hash_to_group
from tongzhou.secure.match_rules import (
    MatchSettings,
    Places,
    check_list,
    check_size,
    finish_as_follower,
    finish_as_leader,
    named_context,
    own_places,
    repeated,
)
from tongzhou.secure.party import Party
from tongzhou.secure.prg import Stream, new_seed
from tongzhou.wire.messages import ArraySpec

__all__ = ["MatchSettings", "match_dh"]

_POINT_BYTES = 32
_DOMAIN = b"tongzhou/match/v1/"

Progress = Callable[[int, int], None]


def match_dh(party: Party, settings: MatchSettings, identifiers: Sequence[str], progress: Progress) -> Places:
    """Diffie–Hellman private set intersection on Curve25519.

    Statement
        Parties: asker and provider; nobody else.
        Who learns what: both learn the size of the other's list and which of their own identifiers are
        common. Of the others they learn random-looking points only. The asker compares, so it sees the
        number of matches, and which of its own identifiers they are, before the minimum is applied; below
        the minimum the provider learns only that it was not reached.
        Assumption: semi-honest; decisional Diffie–Hellman in the prime-order group of Curve25519; SHA-512 as
        a random oracle. Identifiers are mapped to the group by two Elligator maps and an addition
        (libsodium), as in RFC 9380's hash_to_curve, so that no point lies on the twist; points are then
        carried as X25519 u-coordinates.
        Cost: 64 bytes for each identifier of the asker, 32 for each of the provider, 8 a match; two
        rounds; two scalar multiplications an identifier.
        Papers: Meadows, IEEE S&P 1986; Huberman, Franklin and Hogg, EC 1999.

    Args:
        party: an owner's seat.
        settings: agreed settings.
        identifiers: this owner's normalised identifiers, without duplicates.
        progress: called with done and total multiplications.

    Returns:
        Places of the common identifiers in `identifiers`.
    """
    check_list(identifiers)
    if len(set(identifiers)) != len(identifiers):
        raise repeated()
    order = _shuffle(len(identifiers))
    key = X25519PrivateKey.generate()
    party.peer.send("match.size", len(identifiers))
    total = check_size(party.peer.peer, party.peer.recv("match.size", int)[0]) + len(identifiers)
    mapped = [_to_point(settings.context, identifiers[place]) for place in order]
    once = _raise_all(key, mapped, lambda done: progress(done, total))
    party.peer.send("match.once", None, [_pack(once, _POINT_BYTES)])
    _, (theirs,) = party.peer.recv("match.once", None, [ArraySpec("|u1", (total - len(order), _POINT_BYTES))])
    twice = _raise_all(key, _unpack(theirs), lambda done: progress(len(order) + done, total))
    if party.role == "provider":
        # The asker compares. It gets its own points back, doubly raised, in the order it sent them.
        party.peer.send("match.twice", None, [_pack(twice, _POINT_BYTES)])
        return own_places(finish_as_follower(party, settings), order)
    _, (mine,) = party.peer.recv("match.twice", None, [ArraySpec("|u1", (len(order), _POINT_BYTES))])
    return own_places(finish_as_leader(party, settings, *_common(_unpack(mine), twice)), order)


def _common(left: list[bytes], right: list[bytes]) -> tuple[Places, Places]:
    """Places of equal items in both lists, ordered by the item (which is pseudorandom)."""
    where = {item: place for place, item in enumerate(right)}
    if len(where) != len(right) or len(set(left)) != len(left):
        raise ProtocolError(
            "a list for matching holds the same identifier twice; lists must be without repeats"
        )
    found = sorted((item, place, where[item]) for place, item in enumerate(left) if item in where)
    own = np.array([place for _, place, _ in found], dtype=np.int64)
    return own, np.array([place for _, _, place in found], dtype=np.int64)


def _shuffle(size: int) -> Places:
    return Stream(new_seed()).permutation(size).astype(np.int64)


def _to_point(context: str, identifier: str) -> bytes:
    """Hash to the prime-order group, as an X25519 u-coordinate."""
    point = hash_to_group(named_context(_DOMAIN, context) + identifier.encode())
    return bytes(sodium.crypto_sign_ed25519_pk_to_curve25519(point))


def _raise_all(key: X25519PrivateKey, points: list[bytes], progress: Callable[[int], None]) -> list[bytes]:
    raised = []
    for done, point in enumerate(points):
        try:
            raised.append(key.exchange(X25519PublicKey.from_public_bytes(point)))
        except ValueError:
            # X25519 answers zero for points of small order: no honest party sends one.
            raise ProtocolError("point {place} of the peer's list is not in the group", place=done) from None
        if done % 1000 == 0:
            progress(done)
    return raised


def _pack(items: list[bytes], width: int) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(items), dtype=np.uint8).reshape(len(items), width)


def _unpack(array: NDArray[np.uint8]) -> list[bytes]:
    width = array.shape[1]
    data = array.tobytes()
    return [data[start : start + width] for start in range(0, len(data), width)]
