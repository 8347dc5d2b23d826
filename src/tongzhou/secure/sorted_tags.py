"""Lists of random-looking tags in rising order: sorting, checking and joining them.

A tag has a head of 64 bits and a tail of 16 or 32, as many as two lists need so that unlike identifiers
have like tags with chance below 2^-40. A list in the order of its tags says nothing of the order of what they
stand for.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import ProtocolError
from tongzhou.secure.fixed_hash import Blocks
from tongzhou.secure.ring import Words

__all__ = [
    "STATISTICAL_BITS",
    "WIDE_TAIL",
    "Tags",
    "check_rising",
    "has_repeats",
    "join_tags",
    "rising_order",
    "sort_tags",
    "tail_type",
]

STATISTICAL_BITS: Final = 40
"""Minus the logarithm of the chance of a mistake."""

WIDE_TAIL: Final = "<u4"
"""Tails that suffice for lists of any size here."""

_HEAD_BITS = 64
_SHORT_BITS = 16

Places = NDArray[np.int64]


@dataclass(frozen=True)
class Tags:
    """Tags, one a place.

    Attributes:
        heads: ``(n,)``.
        tails: ``(n,)`` of 16 or 32 bits.
    """

    heads: Words
    tails: NDArray[Any]

    @property
    def arrays(self) -> list[NDArray[Any]]:
        """What travels."""
        return [self.heads, self.tails]


def tail_type(pairs: int) -> str:
    """The type of tails that suffices for lists whose sizes have this product."""
    enough = pairs.bit_length() + STATISTICAL_BITS <= _HEAD_BITS + _SHORT_BITS
    return "<u2" if enough else WIDE_TAIL


def sort_tags(digests: Blocks, tail: str = WIDE_TAIL) -> tuple[Tags, Places]:
    """Tags of digests in rising order, and the places ``(n,)`` of their digests in that order.

    Args:
        digests: ``(n, 2)`` random-looking.
        tail: type of the tails.
    """
    heads, tails = digests[:, 0], digests[:, 1].astype(tail)
    order = rising_order(heads, tails)
    return Tags(heads[order], tails[order]), order


def rising_order(heads: Words, tails: NDArray[Any]) -> Places:
    """The order of random-looking pairs by head, then tail.

    Two passes over 16 bits each, which NumPy sorts by counting, several times faster than by comparing words.
    The few heads that are alike in these 32 bits are sorted among themselves.
    """
    order = np.argsort((heads >> np.uint64(32)).astype(np.uint16), kind="stable")
    order = order[np.argsort((heads >> np.uint64(48)).astype(np.uint16)[order], kind="stable")]
    ranked = (heads >> np.uint64(32))[order]
    alike = ranked[1:] == ranked[:-1]
    loose = np.flatnonzero(np.append(alike, False) | np.insert(alike, 0, False))
    among = order[loose]
    order[loose] = among[np.lexsort((tails[among], heads[among]))]
    return order


def check_rising(tags: Tags) -> None:
    """Refuse a list that a peer sent unsorted or with repeats.

    Raises:
        ProtocolError: a tag is not above the one before it.
    """
    step = tags.heads[1:] > tags.heads[:-1]
    if bool(step.all()):
        return
    if has_repeats(tags):
        raise ProtocolError(
            "a list for matching holds the same identifier twice; lists must be without repeats"
        )
    alike = tags.heads[1:] == tags.heads[:-1]
    if not bool((step | (alike & (tags.tails[1:] > tags.tails[:-1]))).all()):
        raise ProtocolError("a list for matching is not in the order of its tags")


def has_repeats(tags: Tags) -> bool:
    """Whether a tag occurs twice in a list that rises."""
    alike = tags.heads[1:] == tags.heads[:-1]
    return bool(alike.any()) and bool((alike & (tags.tails[1:] == tags.tails[:-1])).any())


def join_tags(left: Tags, right: Tags) -> tuple[Places, Places]:
    """Places of the tags that are in both lists, in the tags' order; both lists rise."""
    if not len(left.heads) or not len(right.heads):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    first = np.searchsorted(right.heads, left.heads)
    found = [_equal_at(left, right, first + later) for later in range(_longest_run(right.heads))]
    own = np.concatenate([places for places, _ in found])
    order = np.argsort(own, kind="stable") if len(found) > 1 else slice(None)
    return own[order], np.concatenate([places for _, places in found])[order]


def _equal_at(left: Tags, right: Tags, places: Places) -> tuple[Places, Places]:
    """Where tags of the left list equal those at the given places of the right one."""
    last = len(right.heads) - 1
    inside = np.minimum(places, last)
    equal = (right.heads[inside] == left.heads) & (right.tails[inside] == left.tails) & (places <= last)
    own = np.flatnonzero(equal)
    return own, places[own]


def _longest_run(heads: Words) -> int:
    """How often one head occurs at most: once, but for a chance below 2^-20."""
    if bool((heads[1:] != heads[:-1]).all()):
        return 1
    _, counts = np.unique(heads, return_counts=True)
    return int(counts.max())
