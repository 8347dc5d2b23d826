"""Fine bins: many small bins of nearly equal size, the raw material that merging works on."""

from collections.abc import Sequence
from math import ceil, floor, log10

import numpy as np
from numpy.typing import ArrayLike

from tongzhou.errors import DataError

from ._bins import Bins
from ._types import Floats, float_vector

__all__ = ["FINE_BINS_MAX", "fine_bins"]

# Merging costs the cube of the number of fine bins; 256 take about a second, 32 about two milliseconds.
FINE_BINS_MAX = 256
_DECIMAL_STEPS_MAX = 20
# Outside this range powers of ten overflow or lose digits; cut points there are taken as they are.
_MAGNITUDE_MIN, _MAGNITUDE_MAX = 1e-250, 1e250


def fine_bins(variable: str, values: ArrayLike, *, limit: int = 32, specials: Sequence[float] = ()) -> Bins:
    """Cut a column into at most ``limit`` numeric bins of nearly equal size.

    Equal values always share a bin, and a value that fills a bin alone gets one. Cut points are the
    roundest numbers between two neighbouring values, which reads well and shows no record's exact value
    more often than it must. The same values in any order give the same bins.

    Args:
        variable: column name.
        values: n numbers, NaN where missing.
        limit: most numeric bins, from 1 to 256.
        specials: values that get a bin of their own; they do not count for the cut points.

    Returns:
        Bins with the special values and a bin for missing.

    Raises:
        DataError: not a column of numbers, or a limit out of range.
    """
    if not 1 <= limit <= FINE_BINS_MAX:
        raise DataError("fine bins must be from 1 to {most}, got {got}", most=FINE_BINS_MAX, got=limit)
    column = float_vector(values, variable)
    kept = column[np.isfinite(column)]
    for special in specials:
        kept = kept[kept != special]
    kept.sort()
    pairs = _distinct_pairs(kept, limit) if kept.size else []
    edges = tuple(_round_cut(low, high) for low, high in pairs)
    return Bins(variable=variable, edges=edges, specials=tuple(float(value) for value in specials))


def _distinct_pairs(ordered: Floats, limit: int) -> list[tuple[float, float]]:
    """Return the neighbouring values (last of a bin, first of the next) between which to cut."""
    changes = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    if changes.size >= limit:
        targets = ordered.size * np.arange(1, limit) / limit
        # Each wished-for position lies inside a run of equal values; cut at the nearer end of that run,
        # so that a value holding half of the rows is separated on both sides.
        after = np.clip(np.searchsorted(changes, targets), 1, changes.size - 1)
        before = after - 1
        nearer_before = targets - changes[before] <= changes[after] - targets
        changes = np.unique(np.where(nearer_before, changes[before], changes[after]))
    return [(float(ordered[at - 1]), float(ordered[at])) for at in changes]


def _round_cut(low: float, high: float) -> float:
    """Return the roundest number c with ``low <= c < high``; the one nearest the middle when several are."""
    magnitude = max(abs(low), abs(high))
    if not _MAGNITUDE_MIN < magnitude < _MAGNITUDE_MAX:
        return low
    start = floor(log10(magnitude)) + 1
    for exponent in range(start, start - _DECIMAL_STEPS_MAX, -1):
        first, last = _multiples(low, high, exponent)
        if first > last:
            continue
        middle = round(_scale(low / 2 + high / 2, -exponent))
        cut = _scale(float(min(max(middle, first), last)), exponent)
        if low <= cut < high:
            return cut
    return low


def _multiples(low: float, high: float, exponent: int) -> tuple[int, int]:
    """Return the first and the last integer m for which m * 10**exponent lies in [low, high)."""
    scaled_low, scaled_high = _scale(low, -exponent), _scale(high, -exponent)
    return ceil(scaled_low), ceil(scaled_high) - 1


def _scale(value: float, exponent: int) -> float:
    # Dividing by a whole power of ten rounds once and so gives the shortest decimal; 10**-3 would not.
    return value * 10.0**exponent if exponent >= 0 else value / 10.0**-exponent
