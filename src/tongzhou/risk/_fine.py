"""Fine bins: many small bins of nearly equal size, the raw material that merging works on."""

from collections.abc import Sequence
from math import ceil, floor, log10

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tongzhou.errors import DataError

from ._bins import Bins
from ._types import Floats, float_vector

__all__ = ["FINE_BINS_MAX", "fine_bins"]

Positions = NDArray[np.intp]

# Merging costs the cube of the number of fine bins; 256 take about a second, 32 about two milliseconds.
FINE_BINS_MAX = 256
# A cut may move by this share of a bin, either way, to reach a rounder number.
_SLACK = 1 / 8
_DECIMAL_STEPS_MAX = 20
# Outside this range powers of ten overflow or lose digits; cut points there are taken as they are.
_MAGNITUDE_MIN, _MAGNITUDE_MAX = 1e-250, 1e250


def fine_bins(variable: str, values: ArrayLike, *, limit: int = 32, specials: Sequence[float] = ()) -> Bins:
    """Cut a column into at most ``limit`` numeric bins of nearly equal size.

    Equal values always share a bin, and a value that fills two bins gets one alone. Each cut is the roundest
    number that leaves the sizes within a quarter of equal, which reads well and seldom shows the value of a
    record. The same values in any order give the same bins.

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
    edges = tuple(_cuts(kept, limit)) if kept.size else ()
    return Bins(variable=variable, edges=edges, specials=tuple(float(value) for value in specials))


def _cuts(ordered: Floats, limit: int) -> list[float]:
    """Return ascending cut points. A cut with p rows below it lies in [ordered[p-1], ordered[p])."""
    changes = np.flatnonzero(ordered[1:] != ordered[:-1]) + 1
    if changes.size < limit:
        return [_round_cut(float(ordered[at - 1]), float(ordered[at])) for at in changes]
    share = ordered.size / limit
    slack = int(share * _SLACK)
    walls = _walls(changes, ordered.size, share)
    cuts: dict[int, float] = {}
    for target in (share * np.arange(1, limit)).tolist():
        low, high = max(round(target) - slack, 1), min(round(target) + slack, ordered.size - 1)
        wall = _nearest(walls, target)
        if wall is not None and abs(wall - target) <= slack + 1:
            low = high = wall
        elif ordered[low - 1] == ordered[high]:
            # Inside a run of equal values: cut at its nearer end.
            low = high = _nearest(changes, target) or low
        cut = _round_cut(float(ordered[low - 1]), float(ordered[high]))
        cuts.setdefault(int(np.searchsorted(ordered, cut, side="right")), cut)
    return [cuts[position] for position in sorted(cuts)]


def _walls(changes: Positions, rows: int, share: float) -> Positions:
    """Return both ends of each run of equal values that fills a bin; cuts near them go exactly there."""
    ends = np.concatenate(([0], changes, [rows]))
    full = np.flatnonzero(np.diff(ends) >= share)
    walls = np.unique(np.concatenate((ends[full], ends[full + 1])))
    return walls[(walls > 0) & (walls < rows)]


def _nearest(positions: Positions, target: float) -> int | None:
    if not positions.size:
        return None
    after = min(int(np.searchsorted(positions, target)), positions.size - 1)
    near = positions[max(after - 1, 0) : after + 1]
    return int(near[np.argmin(np.abs(near - target))])


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
