"""In how many rows do two hidden groups differ? Short sketches of them tell, under protection.

Statement
    Parties: two data owners and the helper (`aided`), or as the engine says.
    Who learns what: nobody learns anything. Each owner keeps its share of a sketch, which is uniform.
    Assumption: as the engine; BLAKE2b under the owners' key is a pseudorandom function.
    Cost: the product of the groups with the other owner's rows, 16 bytes a row and cell; comparing f new with
    e earlier cells: 48 KB for each of the f, 16 KB each way for each of the f + e, two rounds, and f e
    comparisons.
    Paper: Charikar, Chen and Farach-Colton, Finding frequent items in data streams (ICALP 2002), whose sketch
    keeps the squared length of a vector.

Each row has a bucket and a sign under a key that the owners share. The sketch of a group is, for each bucket,
the sum of the signs of its rows: a linear map, so it is computed from shares without a word. The squared
distance of two sketches is the number of rows in which the groups differ, but for rows that fall into one
bucket: with d rows there are about ``d² / 2m`` such pairs, and each moves the number by two. `threshold` adds
to the minimum what such collisions may add to the distance of groups that differ in fewer rows, with a chance
below one in a million. So groups that are too close are found, and some that differ in a few rows more than
the minimum are taken for too close.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.answered import RowNames
from tongzhou.secure.comparison import at_least
from tongzhou.secure.products import square
from tongzhou.secure.ring import Words
from tongzhou.secure.shared import Shared

__all__ = ["BUCKETS", "Sketcher", "close_pairs", "threshold", "with_lengths"]

BUCKETS = 2048


def threshold(minimum: int) -> int:
    """The squared distance below which two sketches count as too close."""
    collisions = minimum**2 / (2 * BUCKETS)
    return minimum + 2 * math.ceil(4 * math.sqrt(collisions) + 3)


@dataclass(frozen=True)
class Sketcher:
    """Sketches shared indicators of the matched rows.

    Attributes:
        names: the matched rows.
    """

    names: RowNames

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self.names.marks % np.uint64(BUCKETS), kind="stable")

    @cached_property
    def _signs(self) -> Words:
        """1 or -1 of each row, in the order of the buckets."""
        high = (self.names.marks >> np.uint64(63))[self._order]
        return np.where(high == 1, np.uint64(2**64 - 1), np.uint64(1))

    @cached_property
    def _ends(self) -> NDArray[np.intp]:
        counts = np.bincount((self.names.marks % np.uint64(BUCKETS)).astype(np.intp), minlength=BUCKETS)
        return np.cumsum(counts)

    def sketch(self, shares: Words) -> Words:
        """Sketches ``(k, m)`` of shares ``(k, n)``; what holds for the shares holds for their sum."""
        ends = np.concatenate([[0], self._ends])
        found = np.empty((len(shares), BUCKETS), dtype=np.uint64)
        running = np.zeros(shares.shape[1] + 1, dtype=np.uint64)
        for place, share in enumerate(shares):
            np.cumsum(share[self._order] * self._signs, out=running[1:])
            found[place] = np.diff(running[ends])
        return found


def with_lengths(engine: AidedEngine, sketches: Shared) -> Shared:
    """Shared ``(f, m + 1)``: each sketch, and after it its squared length."""
    squares = square(engine, sketches)
    shape = (sketches.shape[0], sketches.shape[1] + 1)
    if sketches.share is None or squares.share is None:
        return Shared(shape, None)
    return Shared(shape, np.column_stack([sketches.share, squares.share.sum(axis=1, dtype=np.uint64)]))


def close_pairs(engine: AidedEngine, new: Shared, earlier: Shared, *, minimum: int, bits: int) -> Shared:
    """Which pairs of a new and an earlier cell differ in fewer rows than the minimum, or in none.

    Args:
        engine: who computes.
        new: shared ``(f, m + 1)`` sketches with their squared lengths.
        earlier: shared ``(e, m + 1)`` of the same kind.
        minimum: rows.
        bits: a squared distance is below 2^bits.

    Returns:
        Shared words of 0 and 1, ``(f e,)``.
    """
    (one, one_length), (other, other_length) = _parted(new), _parted(earlier)
    inner = engine.matmul(one, other.transposed())
    distances = Shared(inner.shape, None)
    if inner.share is not None and one_length is not None and other_length is not None:
        crossed = inner.share + inner.share
        distances = Shared(inner.shape, one_length[:, None] + other_length - crossed)
    far = at_least(engine, distances, threshold(minimum), bits=bits)
    close = engine.add_public(far.scaled(-1), np.ones(far.shape, dtype=np.uint64))
    return close.reshaped(close.shape[0] * close.shape[1])


def _parted(sketches: Shared) -> tuple[Shared, Words | None]:
    """Sketches, and this party's shares of their squared lengths."""
    count, size = sketches.shape
    if sketches.share is None:
        return Shared((count, size - 1), None), None
    return Shared((count, size - 1), np.ascontiguousarray(sketches.share[:, :-1])), sketches.share[:, -1]
