"""An owner's own columns cut into bins of about equal size; nothing here is told to anybody.

Bin 0 holds missing values, the bins above it values in rising order. Where a column has no more values than
bins, each value has a bin of its own; else the frequent values have, and the others are put together so that
bins hold about the same number of rows (as in histogram-based boosting: Ke et al., LightGBM, NeurIPS 2017).
"""

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.ring import Reals

__all__ = ["MISSING", "Cuts", "bin_rows", "cut_columns"]

MISSING = 0
"""The bin of missing values."""

_MOST_BINS = 256


class Cuts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where one column is cut.

    Attributes:
        edges: rising; bin k + 1 holds values up to edge k, the last bin those above the last edge.
    """

    edges: tuple[float, ...]

    def codes(self, values: Reals) -> NDArray[np.uint8]:
        """Bin of each value; not a number counts as missing."""
        found = 1 + np.searchsorted(np.array(self.edges), values, side="left")
        found[np.isnan(values)] = MISSING
        return found.astype(np.uint8)

    def threshold(self, code: int) -> float | None:
        """The largest value in bins up to `code`; ``None`` where only missing values are there."""
        if code == MISSING:
            return None
        last = np.finfo(np.float64).max
        return self.edges[code - 1] if code <= len(self.edges) else float(last)


def cut_columns(values: Reals, bins: int) -> list[Cuts]:
    """Cut each column of ``(n, d)`` into at most `bins` bins, that of missing values included."""
    return [Cuts(_edges(column[np.isfinite(column)], bins - 1)) for column in values.T]


def bin_rows(cuts: Sequence[Cuts], values: Reals) -> list[NDArray[np.uint8]]:
    """Bins of the rows ``(n, d)``, one ``(n,)`` array a column."""
    return [one.codes(column) for one, column in zip(cuts, values.T, strict=True)]


def _edges(values: Reals, bins: int) -> tuple[float, ...]:
    """Edges half-way between neighbouring values."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= bins:
        last = np.arange(len(distinct) - 1)
    else:
        last = np.array(_ends(counts, bins), dtype=np.intp)
    middles = distinct[last] / 2 + distinct[last + 1] / 2
    # Two neighbours may have no number between them; then the lower one is the edge.
    return tuple(float(edge) for edge in np.where(middles < distinct[last + 1], middles, distinct[last]))


def _ends(counts: NDArray[np.int64], bins: int) -> list[int]:
    """Place of the last value of each bin but the last.

    A value with more rows than an average bin is a bin of its own, with the few rows before it if there are
    less than half a bin; the others fill bins up to the average of what is left.
    """
    running = np.cumsum(counts)
    total = int(running[-1])
    frequent = np.flatnonzero(counts >= total / bins)
    rows_left, bins_left = total - int(counts[frequent].sum()), bins - len(frequent)
    ends: list[int] = []
    start, before = 0, 0
    while start < len(counts) - 1 and len(ends) < bins - 1:
        size = rows_left / max(bins_left, 1)
        following = int(np.searchsorted(frequent, start))
        barrier = int(frequent[following]) if following < len(frequent) else len(counts)
        end = min(max(start, int(np.searchsorted(running, before + size))), len(counts) - 1)
        if barrier <= end:
            short = int(running[barrier] - counts[barrier]) - before
            end = barrier if 2 * short <= size else barrier - 1
            rows_left -= short
            bins_left -= end < barrier
        else:
            rows_left -= int(running[end]) - before
            bins_left -= 1
        ends.append(end)
        start, before = end + 1, int(running[end])
    return [end for end in ends if end < len(counts) - 1]
