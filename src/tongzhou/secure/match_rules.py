"""What every matching protocol shares: settings, what a list may be, and what is told below the minimum."""

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError, ProtocolError
from tongzhou.secure.party import OWNERS, Party
from tongzhou.secure.refusals import too_few_common
from tongzhou.wire.messages import ArraySpec

__all__ = [
    "MAX_IDENTIFIERS",
    "MatchSettings",
    "Places",
    "check_list",
    "check_size",
    "finish_as_follower",
    "finish_as_leader",
    "named_context",
    "own_places",
    "repeated",
    "require_enough",
]

MAX_IDENTIFIERS: Final = 4_000_000
"""Most identifiers in one owner's list."""

Places = NDArray[np.int64]
"""Places in a list, from 0."""


class MatchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the parties agree on before matching.

    Attributes:
        minimum_rows: below this many common identifiers the match is refused and no place is told.
        context: run identifier, mixed into every hash: two runs cannot be compared with each other.
    """

    minimum_rows: int
    context: str


def check_list(identifiers: Sequence[str]) -> None:
    """Refuse an own list that is empty or too long.

    Raises:
        DataError: with the sentence that says so.
    """
    if not len(identifiers):
        raise DataError("there are no identifiers to match: the table is empty")
    if len(identifiers) > MAX_IDENTIFIERS:
        raise DataError(
            "{got} identifiers are too many for one match; at most {limit}",
            got=len(identifiers),
            limit=MAX_IDENTIFIERS,
        )


def repeated() -> DataError:
    """An own list holds an identifier twice."""
    return DataError("the identifiers hold repeats; matching needs each identifier once")


def check_size(peer: str, size: int) -> int:
    """The size that a peer announced, if its list may be that long.

    Raises:
        ProtocolError: it may not.
    """
    if not 0 < size <= MAX_IDENTIFIERS:
        raise ProtocolError(
            "{peer} announced {got} identifiers; from 1 to {limit} are allowed",
            peer=peer,
            got=size,
            limit=MAX_IDENTIFIERS,
        )
    return size


def require_enough(count: int, settings: MatchSettings) -> None:
    """Refuse a match below the minimum.

    Raises:
        DataError: with the sentence that says so.
    """
    if count < settings.minimum_rows or count == 0:
        raise too_few_common(settings.minimum_rows)


def finish_as_leader(party: Party, settings: MatchSettings, own: Places, theirs: Places) -> Places:
    """The owner that compared tells the other its places, if they are enough; its own are returned.

    Raises:
        DataError: there are too few.
    """
    enough = len(own) >= settings.minimum_rows
    party.peer.send("match.places", enough, [theirs if enough else theirs[:0]])
    party.record(*_opening(len(own)))
    require_enough(len(own) if enough else 0, settings)
    return own


def finish_as_follower(party: Party, settings: MatchSettings) -> Places:
    """The other owner hears its places in what it sent.

    Raises:
        DataError: there are too few.
    """
    enough, (places,) = party.peer.recv("match.places", bool, [ArraySpec("<i8", (None,))])
    require_enough(settings.minimum_rows if enough else 0, settings)
    party.record(*_opening(len(places)))
    return places


def _opening(count: int) -> tuple[str, int, tuple[str, ...], str]:
    return "which of the own identifiers are common", count, OWNERS, "matching"


def own_places(places: Places, order: Places) -> Places:
    """Back from the order that was sent to the own list's order.

    Raises:
        ProtocolError: the places are not distinct places of the list that was sent.
    """
    seen = np.zeros(len(order), dtype=np.bool_)
    if len(places) and int(places.min()) >= 0 and int(places.max()) < len(order):
        seen[places] = True
    if np.count_nonzero(seen) != len(places):
        raise ProtocolError("the matched places are not distinct places of the list that was sent")
    return order[places]


def named_context(domain: bytes, context: str) -> bytes:
    """Domain and context, with a length, so that no context runs into what follows it."""
    encoded = context.encode()
    return domain + len(encoded).to_bytes(4, "big") + encoded
