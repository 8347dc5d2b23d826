"""Lists of identifiers as the protocols of matching need them: checked, shuffled, and found again."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError, ProtocolError
from tongzhou.secure.party import Party, Role
from tongzhou.secure.prg import Stream, new_seed
from tongzhou.wire.messages import Link

__all__ = [
    "MAX_IDENTIFIERS",
    "Places",
    "check_distinct",
    "check_list",
    "encoded",
    "places_of",
    "recv_size",
    "recv_sizes",
    "shuffled",
]

MAX_IDENTIFIERS: Final = 4_000_000
"""Identifiers a list, as in `tongzhou.secure.matching`."""

Places = NDArray[np.int64]


def check_list(identifiers: Sequence[str], limit: int = MAX_IDENTIFIERS) -> None:
    """Refuse a list of one's own that no protocol can take.

    Raises:
        DataError: it is empty, too long, or holds repeats.
    """
    if not identifiers:
        raise DataError("there are no identifiers to match: the table is empty")
    if len(identifiers) > limit:
        raise DataError(
            "{got} identifiers are too many for one match; at most {limit}",
            got=len(identifiers),
            limit=limit,
        )
    if len(set(identifiers)) != len(identifiers):
        raise DataError("the identifiers hold repeats; matching needs each identifier once")


def check_distinct(items: Sequence[bytes], peer: str) -> None:
    """Refuse a peer's list that holds an item twice.

    Raises:
        ProtocolError: it does.
    """
    if len(set(items)) != len(items):
        raise ProtocolError("the list of {peer} holds the same identifier twice", peer=peer)


def shuffled(size: int) -> Places:
    """A uniform order of `size` places."""
    return Stream(new_seed()).permutation(size).astype(np.int64)


def encoded(identifiers: Sequence[str], order: Places) -> list[bytes]:
    """The identifiers as bytes, in the given order."""
    return [identifiers[place].encode() for place in order]


def recv_size(link: Link, tag: str) -> int:
    """The size of a peer's list.

    Raises:
        ProtocolError: no list has that size.
    """
    size, _ = link.recv(tag, int)
    if not 0 < size <= MAX_IDENTIFIERS:
        raise ProtocolError(
            "{peer} announced {got} identifiers; from 1 to {limit} are allowed",
            peer=link.peer,
            got=size,
            limit=MAX_IDENTIFIERS,
        )
    return size


def recv_sizes(party: Party, roles: Sequence[Role], tag: str) -> dict[Role, int]:
    """The sizes of several parties' lists."""
    return {role: recv_size(party.link(role), tag) for role in roles}


def places_of(names: Sequence[bytes], wanted: Sequence[bytes], peer: str) -> Places:
    """Places of some items in the own list.

    Args:
        names: the own items, all different.
        wanted: what `peer` says to be common.
        peer: for the sentence.

    Raises:
        ProtocolError: one of them is not in the list, or is named twice.
    """
    where = {name: place for place, name in enumerate(names)}
    places = np.array([where.get(name, -1) for name in wanted], dtype=np.int64)
    if (places < 0).any() or len(np.unique(places)) != len(places):
        raise ProtocolError("{peer} named common identifiers that are not distinct or not known", peer=peer)
    return places
