"""Private set intersection of two owners' identifiers, by Diffie and Hellman or with a blind helper.

Both functions return, for each owner, the places of the common identifiers in its own list, in one order that
both owners share (and that says nothing about either list's own order).
"""

import hmac
import secrets
from collections.abc import Callable, Sequence

import msgspec
import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from nacl import bindings as sodium
from numpy.typing import NDArray

from tongzhou.errors import DataError, ProtocolError
from tongzhou.secure.group import hash_to_group
from tongzhou.secure.party import Party, Role
from tongzhou.secure.prg import Stream, new_seed
from tongzhou.secure.refusals import too_few_common
from tongzhou.wire.messages import ArraySpec

__all__ = ["MatchSettings", "match_aided", "match_dh"]

_POINT_BYTES = 32
_TAG_BYTES = 16
_KEY_BYTES = 32
_MAX_IDENTIFIERS = 4_000_000
_DOMAIN = b"tongzhou/match/v1/"

Places = NDArray[np.int64]
Progress = Callable[[int, int], None]


class MatchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the parties agree on before matching.

    Attributes:
        minimum_rows: below this many common identifiers the match is refused and no place is told.
        context: run identifier, mixed into every hash: two runs cannot be compared with each other.
    """

    minimum_rows: int
    context: str


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
    _check_own(identifiers)
    order = _shuffle(len(identifiers))
    key = X25519PrivateKey.generate()
    total = _agree_size(party, len(identifiers)) + len(identifiers)
    mapped = [_to_point(settings.context, identifiers[place]) for place in order]
    once = _raise_all(key, mapped, lambda done: progress(done, total))
    party.peer.send("match.once", None, [_pack(once, _POINT_BYTES)])
    _, (theirs,) = party.peer.recv("match.once", None, [ArraySpec("|u1", (total - len(order), _POINT_BYTES))])
    twice = _raise_all(key, _unpack(theirs), lambda done: progress(len(order) + done, total))
    if party.role == "provider":
        # The asker compares. It gets its own points back, doubly raised, in the order it sent them.
        party.peer.send("match.twice", None, [_pack(twice, _POINT_BYTES)])
        return _finish_follower(party, settings, order)
    _, (mine,) = party.peer.recv("match.twice", None, [ArraySpec("|u1", (len(order), _POINT_BYTES))])
    return _finish_leader(party, settings, order, _unpack(mine), twice)


def match_aided(party: Party, settings: MatchSettings, identifiers: Sequence[str] | None) -> Places | None:
    """Blind matching by the helper under a key that only the owners hold.

    Statement
        Parties: asker, provider, helper.
        Who learns what: the owners learn which of their own identifiers are common; the helper learns both
        sizes and the number of matches, and sees keyed tags under a fresh key that it never has.
        Assumption: semi-honest; the helper colludes with nobody; HMAC-SHA-256 is a pseudorandom function.
        Cost: 16 bytes an identifier to the helper, 8 a match back to each owner; one round.
        Paper: Kamara, Mohassel, Raykova and Sadeghian, Scaling private set intersection to billion-element
        sets (Financial Cryptography 2014), its semi-honest server-aided protocol.

    Returns:
        As `match_dh`; ``None`` at the helper.
    """
    if identifiers is None:
        _help(party, settings)
        return None
    _check_own(identifiers)
    if party.role == "asker":
        key = secrets.token_bytes(_KEY_BYTES)
        party.peer.send("match.key", key)
    else:
        key, _ = party.peer.recv("match.key", bytes)
        if len(key) != _KEY_BYTES:
            raise ProtocolError(
                "{peer} sent a seed of {got} bytes; {size} are due",
                peer=party.peer.peer,
                got=len(key),
                size=_KEY_BYTES,
            )
    order = _shuffle(len(identifiers))
    prefix = _prefix(settings.context)
    tags = [hmac.digest(key, prefix + identifiers[place].encode(), "sha256")[:_TAG_BYTES] for place in order]
    helper = party.link("helper")
    helper.send("match.tags", None, [_pack(tags, _TAG_BYTES)])
    count, (places,) = helper.recv("match.places", int, [ArraySpec("<i8", (None,))])
    _enough(count, settings)
    return _own_places(places, order)


def _help(party: Party, settings: MatchSettings) -> None:
    """Helper: match two lists of tags, tell each owner the places of the common ones."""
    lists: list[list[bytes]] = []
    owners: tuple[Role, Role] = ("asker", "provider")
    for role in owners:
        _, (tags,) = party.link(role).recv("match.tags", None, [ArraySpec("|u1", (None, _TAG_BYTES))])
        lists.append(_unpack(tags))
    pairs = _common(lists[0], lists[1])
    for role, places in zip(owners, pairs, strict=True):
        told = places if len(places) >= settings.minimum_rows else places[:0]
        party.link(role).send("match.places", len(places) if len(told) else 0, [told])
    party.record("number of common identifiers", 1, ("helper",), "blind matching")


def _finish_leader(
    party: Party, settings: MatchSettings, order: Places, mine: list[bytes], theirs: list[bytes]
) -> Places:
    own, other = _common(mine, theirs)
    enough = len(own) >= settings.minimum_rows
    party.peer.send("match.places", enough, [other if enough else other[:0]])
    party.record("which of the own identifiers are common", len(own), ("asker", "provider"), "matching")
    _enough(len(own) if enough else 0, settings)
    return _own_places(own, order)


def _finish_follower(party: Party, settings: MatchSettings, order: Places) -> Places:
    enough, (places,) = party.peer.recv("match.places", bool, [ArraySpec("<i8", (None,))])
    _enough(settings.minimum_rows if enough else 0, settings)
    party.record("which of the own identifiers are common", len(places), ("asker", "provider"), "matching")
    return _own_places(places, order)


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


def _own_places(places: Places, order: Places) -> Places:
    """Back from the shuffled order to the caller's own."""
    inside = (places >= 0) & (places < len(order))
    if not bool(inside.all()) or len(np.unique(places)) != len(places):
        raise ProtocolError("the matched places are not distinct places of the list that was sent")
    return order[places]


def _enough(count: int, settings: MatchSettings) -> None:
    if count < settings.minimum_rows or count == 0:
        raise too_few_common(settings.minimum_rows)


def _check_own(identifiers: Sequence[str]) -> None:
    if not identifiers:
        raise DataError("there are no identifiers to match: the table is empty")
    if len(identifiers) > _MAX_IDENTIFIERS:
        raise DataError(
            "{got} identifiers are too many for one match; at most {limit}",
            got=len(identifiers),
            limit=_MAX_IDENTIFIERS,
        )
    if len(set(identifiers)) != len(identifiers):
        raise DataError("the identifiers hold repeats; matching needs each identifier once")


def _agree_size(party: Party, size: int) -> int:
    party.peer.send("match.size", size)
    theirs, _ = party.peer.recv("match.size", int)
    if not 0 < theirs <= _MAX_IDENTIFIERS:
        raise ProtocolError(
            "{peer} announced {got} identifiers; from 1 to {limit} are allowed",
            peer=party.peer.peer,
            got=theirs,
            limit=_MAX_IDENTIFIERS,
        )
    return theirs


def _shuffle(size: int) -> Places:
    return Stream(new_seed()).permutation(size).astype(np.int64)


def _prefix(context: str) -> bytes:
    """Domain and context, with a length, so that no context runs into an identifier."""
    encoded = context.encode()
    return _DOMAIN + len(encoded).to_bytes(4, "big") + encoded


def _to_point(context: str, identifier: str) -> bytes:
    """Hash to the prime-order group, as an X25519 u-coordinate."""
    point = hash_to_group(_prefix(context) + identifier.encode())
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
