"""How many identifiers two owners have in common, and nothing about which.

A floor below which nothing is told and a rounding of what is told protect the clients of an owner from being
counted one by one. Whoever compares the lists sees the exact number, whatever is told afterwards; so where a
floor or a rounding is set, the asker never compares.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from tongzhou.errors import PlanError, ProtocolError
from tongzhou.secure.lists import check_distinct, check_list, encoded, recv_size, shuffled
from tongzhou.secure.owner_tags import TAG_BYTES, owner_values, recv_key, send_key
from tongzhou.secure.party import OWNERS, Party, Role, other_owner
from tongzhou.secure.points import (
    POINT_BYTES,
    fresh_scalar,
    multiples,
    prefix,
    recv_items,
    send_items,
    telling,
    texts_to_points,
    wait_out,
)
from tongzhou.secure.tasks import Seat

__all__ = [
    "Overlap",
    "SizeSettings",
    "SizeTask",
    "check_settings",
    "count_aided",
    "count_dh",
    "rounded",
]

_DOMAIN: Final = "overlap"


class SizeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the parties agree on before they count.

    Attributes:
        context: run identifier, mixed into every hash.
        floor: below this many common identifiers nothing is told but that it is so.
        multiple: the number is told rounded down to a multiple of this.
        receivers: who is told.
    """

    context: str
    floor: int = 0
    multiple: int = 1
    receivers: Literal["asker", "both"] = "asker"

    @property
    def told(self) -> tuple[Role, ...]:
        """Roles that are told the number."""
        return ("asker",) if self.receivers == "asker" else OWNERS

    @property
    def exact(self) -> bool:
        """Whether the exact number is told, whatever it is (a floor of one hides only that it is zero)."""
        return self.floor <= 1 and self.multiple == 1


class Overlap(msgspec.Struct, frozen=True):
    """What is told.

    Attributes:
        size: number of common identifiers, rounded down as agreed; ``None`` if it is below the floor.
    """

    size: int | None


@dataclass(frozen=True)
class SizeTask:
    """Count the common identifiers.

    Attributes:
        settings: floor, rounding and receivers.
    """

    settings: SizeSettings

    def run(self, seat: Seat, own: Sequence[str] | None) -> Overlap | None:
        """The number as this owner may know it; ``None`` elsewhere.

        Raises:
            DataError: the own list is empty or holds repeats.
            PlanError: the settings contradict themselves or the mode.
        """
        seat.require("size")
        check_settings(self.settings)
        if seat.mode == "local":
            return seat.meet(own, self.clear)
        if seat.mode == "aided":
            return count_aided(seat.party, self.settings, own)
        return None if own is None else count_dh(seat.party, self.settings, own)

    def clear(self, asker: Sequence[str], provider: Sequence[str]) -> tuple[Overlap | None, Overlap | None]:
        """The same in one process."""
        check_settings(self.settings)
        check_list(asker)
        check_list(provider)
        overlap = rounded(self.settings, len(set(asker) & set(provider)))
        return overlap, overlap if "provider" in self.settings.told else None


def check_settings(settings: SizeSettings) -> None:
    """Refuse settings without a meaning.

    Raises:
        PlanError: with what is allowed.
    """
    if settings.floor < 0 or settings.multiple < 1:
        raise PlanError(
            "a floor is 0 or more and a multiple 1 or more, got {floor} and {multiple}",
            floor=settings.floor,
            multiple=settings.multiple,
        )


def rounded(settings: SizeSettings, count: int) -> Overlap:
    """What may be told of an exact number."""
    if count < settings.floor:
        return Overlap(None)
    return Overlap(count - count % settings.multiple)


def count_dh(party: Party, settings: SizeSettings, identifiers: Sequence[str]) -> Overlap | None:
    """Count by Diffie and Hellman, with lists that come back in another order.

    Statement
        Parties: asker and provider; nobody else.
        Who learns what: both learn the size of the other's list. One of them compares, and learns the exact
        number of common identifiers, but not which of its own they are: they come back shuffled. Without
        floor and rounding the asker compares; with either of them the provider does, and the asker learns
        what the settings tell, below the floor nothing but that it was not reached. Whoever does not compare
        learns what it is told.
        Assumption: semi-honest; decisional Diffie–Hellman in the prime-order group of Curve25519; SHA-512 as
        a random oracle.
        Cost: 64 bytes for each identifier of whoever compares, 32 for each of the other; two rounds after the
        sizes are told; two scalar multiplications an identifier.
        Papers: Agrawal, Evfimievski and Srikant, Information sharing across private databases (SIGMOD 2003);
        De Cristofaro, Gasti and Tsudik, Fast and private computation of cardinality of set intersection and
        union (CANS 2012).

    Args:
        party: an owner's seat.
        settings: what may be told.
        identifiers: this owner's normalised identifiers, without repeats.
    """
    comparer: Role = "asker" if settings.exact else "provider"
    if comparer not in settings.told:
        raise PlanError(
            "in mode pair the provider compares where a floor or a rounding is set, so it learns the number: "
            "receivers must be both"
        )
    check_list(identifiers)
    peer = party.peer
    peer.send("size.size", len(identifiers))
    theirs = recv_size(peer, "size.size")
    scalar = fresh_scalar()
    texts = encoded(identifiers, shuffled(len(identifiers)))
    own = texts_to_points(prefix(_DOMAIN, settings.context), texts)
    send_items(peer, "size.once", multiples(scalar, own), POINT_BYTES)
    points = list(recv_items(peer, "size.once", theirs, POINT_BYTES))
    check_distinct(points, peer.peer)
    if party.role != comparer:
        order = shuffled(theirs)
        send_items(peer, "size.twice", multiples(scalar, (points[place] for place in order)), POINT_BYTES)
        wait_out(peer, "size.going", len(texts))
        return _hear(party, settings, comparer, most=len(texts))
    others = set(telling([peer], "size.going", multiples(scalar, points)))
    mine = list(recv_items(peer, "size.twice", len(texts), POINT_BYTES))
    check_distinct(mine, peer.peer)
    return _tell(party, settings, len(others.intersection(mine)))


def count_aided(party: Party, settings: SizeSettings, identifiers: Sequence[str] | None) -> Overlap | None:
    """Count by a helper under a key that only the owners hold.

    Statement
        Parties: asker, provider, helper.
        Who learns what: who the settings name learns the number as the settings tell it, below the floor
        nothing but that it was not reached; not even the size of the other's list. The helper learns both
        sizes and the exact number, and sees tags under a fresh key that it never has.
        Assumption: semi-honest; the helper colludes with nobody; HMAC-SHA-512 is a pseudorandom function.
        Cost: 16 bytes an identifier to the helper; one round.
        Paper: after Kamara, Mohassel, Raykova and Sadeghian, Scaling private set intersection to
        billion-element sets (Financial Cryptography 2014).

    Args:
        party: a seat.
        settings: what may be told.
        identifiers: an owner's normalised identifiers, without repeats; ``None`` at the helper.
    """
    if identifiers is None:
        _count(party, settings)
        return None
    check_list(identifiers)
    is_asker = party.role == "asker"
    key = send_key(party, OWNERS[1:], "size.key") if is_asker else recv_key(party, "asker", "size.key")
    helper = party.link("helper")
    helper.send("size.size", len(identifiers))
    texts = encoded(identifiers, shuffled(len(identifiers)))
    tags = (value[:TAG_BYTES] for value in owner_values(key, settings.context, texts))
    send_items(helper, "size.tags", tags, TAG_BYTES)
    return _hear(party, settings, "helper", most=len(texts))


def _count(party: Party, settings: SizeSettings) -> None:
    """Helper: count equal tags, and tell what may be told."""
    lists = []
    for role in OWNERS:
        link = party.link(role)
        size = recv_size(link, "size.size")
        tags = list(recv_items(link, "size.tags", size, TAG_BYTES))
        check_distinct(tags, link.peer)
        lists.append(set(tags))
    count = len(lists[0] & lists[1])
    party.record("number of common identifiers", 1, ("helper",), "counting")
    overlap = rounded(settings, count)
    for role in settings.told:
        party.link(role).send("size.told", overlap)
    _note(party, settings)


def _tell(party: Party, settings: SizeSettings, count: int) -> Overlap:
    """The owner that compared."""
    overlap = rounded(settings, count)
    other = other_owner(party.role)
    party.record("number of common identifiers", 1, (party.role,), "counting")
    if other in settings.told:
        party.peer.send("size.told", overlap)
    _note(party, settings)
    return overlap


def _hear(party: Party, settings: SizeSettings, teller: Role, *, most: int) -> Overlap | None:
    """An owner that is told, or not."""
    _note(party, settings)
    if party.role not in settings.told:
        return None
    link = party.link(teller)
    overlap, _ = link.recv("size.told", Overlap)
    size = overlap.size
    if size is not None:
        least = max(0, settings.floor - settings.multiple + 1)
        if not least <= size <= most or size % settings.multiple:
            raise ProtocolError("{peer} told a number of common identifiers that cannot be", peer=link.peer)
    return overlap


def _note(party: Party, settings: SizeSettings) -> None:
    what = "number of common identifiers, or that it is below the floor"
    party.record(what, 1, settings.told, "counting as agreed")
