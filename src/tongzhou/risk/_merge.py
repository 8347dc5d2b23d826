"""Merging fine bins into few bins: the exact optimum of the information value under constraints.

Only counts are needed, so the owner of the labels and the owner of the values can be different institutions.

Method: dynamic programming over intervals. The state is the last merged bin (start, end) and the number of
bins so far; a neighbour may follow when its event rate stands in the asked order. Rates are compared by
products of whole numbers and values are whole multiples of 1e-12, so that the result does not depend on the
order of additions. Cost: bins x fine bins^3 simple operations, done in arrays.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tongzhou.errors import DataError

from ._bins import Bins
from ._fine import FINE_BINS_MAX
from ._types import Bools, Ints, integer_counts
from ._woe import checked_counts, evidence

__all__ = ["Direction", "MergedBins", "Monotone", "merge_bins"]

Monotone = Literal["auto", "up", "down", "none", "valley", "peak"]
Direction = Literal["up", "down", "none", "valley", "peak", "flat"]

# What the event rate must do from each bin to the next; a shape with two phases may skip either.
_PHASES: dict[str, tuple[str, ...]] = {
    "up": ("up",),
    "down": ("down",),
    "none": ("none",),
    "valley": ("down", "up"),
    "peak": ("up", "down"),
}
_TRIED: dict[str, tuple[Direction, ...]] = {
    "auto": ("up", "down"),
    "up": ("up",),
    "down": ("down",),
    "none": ("none",),
    "valley": ("valley",),
    "peak": ("peak",),
}
_UNIT = 1e-12
_UNREACHABLE = -(2**62)


@dataclass(frozen=True)
class MergedBins:
    """Result of merging.

    Args:
        bins: merged numeric bins, then the special bins and the missing bin as they were.
        groups: int16[fine bins], the merged bin of each fine bin.
        direction: what the event rate does from bin to bin: "up", "down", "valley", "peak", "none" (not
            asked) or "flat" (a single numeric bin).
        satisfied: False when not even a single bin met the minimum sizes; that single bin is returned.
    """

    bins: Bins
    groups: NDArray[np.int16]
    direction: Direction
    satisfied: bool

    def fold(self, counts: ArrayLike) -> Ints:
        """Return counts per merged bin from counts per fine bin."""
        fine = integer_counts(counts, self.bins.variable, self.groups.size)
        folded = np.zeros(self.bins.bin_count, dtype=np.int64)
        np.add.at(folded, self.groups, fine)
        return folded


@dataclass(frozen=True)
class _Intervals:
    """Every run of neighbouring fine bins; square arrays indexed by [start, end)."""

    rows: Ints
    events: Ints
    allowed: Bools
    value: Ints


def merge_bins(
    fine: Bins,
    totals: ArrayLike,
    events: ArrayLike,
    *,
    max_bins: int = 8,
    min_rows: int = 1,
    min_events: int = 1,
    monotone: Monotone = "auto",
) -> MergedBins:
    """Merge neighbouring numeric bins so that the information value is the highest possible.

    Special and missing bins stay as they are. Among equal optima the one with fewer bins is taken.

    Args:
        fine: b fine bins.
        totals: rows in each fine bin, b counts.
        events: events in each fine bin, b counts.
        max_bins: most numeric bins.
        min_rows: fewest rows in a numeric bin.
        min_events: fewest events, and fewest non-events, in a numeric bin.
        monotone: order of the event rate over the numeric bins; strict. "auto" takes the better of "up" and
            "down"; "valley" falls then rises, "peak" rises then falls; "none" asks nothing.

    Raises:
        DataError: counts that cannot be, or a setting out of range.
    """
    _check_settings(fine, max_bins, min_rows, min_events, monotone)
    rows, hits = checked_counts(fine, totals, events)
    runs = _intervals(fine, rows, hits, max(min_rows, 1), min_events)
    best: list[int] | None = None
    best_value = _UNREACHABLE
    direction: Direction = "flat"
    for tried in _TRIED[monotone]:
        starts, value = _optimum(runs, _PHASES[tried], min(max_bins, fine.numeric_count))
        if starts is not None and value > best_value:
            best, best_value, direction = starts, value, tried
    starts = best or [0]
    return _merged(fine, starts, direction if len(starts) > 1 else "flat", best is not None)


def _check_settings(fine: Bins, max_bins: int, min_rows: int, min_events: int, monotone: str) -> None:
    if monotone not in _TRIED:
        raise DataError(
            "monotone must be one of {allowed}, got {got}", allowed=", ".join(_TRIED), got=monotone
        )
    for name, least, got in (
        ("max_bins", 1, max_bins),
        ("min_rows", 0, min_rows),
        ("min_events", 0, min_events),
    ):
        if got < least:
            raise DataError("{name} must be at least {least}, got {got}", name=name, least=least, got=got)
    if fine.numeric_count > FINE_BINS_MAX:
        raise DataError(
            "fine bins must be from 1 to {most}, got {got}", most=FINE_BINS_MAX, got=fine.numeric_count
        )


def _intervals(fine: Bins, rows: Ints, hits: Ints, min_rows: int, min_events: int) -> _Intervals:
    numeric = slice(0, fine.numeric_count)
    edges_rows = np.concatenate(([0], np.cumsum(rows[numeric])))
    edges_hits = np.concatenate(([0], np.cumsum(hits[numeric])))
    run_rows = edges_rows[None, :] - edges_rows[:, None]
    run_hits = edges_hits[None, :] - edges_hits[:, None]
    enough = (run_rows >= min_rows) & (run_hits >= min_events) & (run_rows - run_hits >= min_events)
    all_hits = int(hits.sum())
    # Runs with end <= start have counts of zero or below; they are set to empty before taking logarithms.
    forward = np.triu(np.ones_like(enough), k=1)
    _, parts = evidence(
        np.where(forward, run_hits, 0),
        np.where(forward, run_rows - run_hits, 0),
        all_hits,
        int(rows.sum()) - all_hits,
    )
    return _Intervals(run_rows, run_hits, enough & forward, np.rint(parts / _UNIT).astype(np.int64))


def _may_follow(runs: _Intervals, at: int, direction: str) -> Bools:
    """Return bool[start of the bin ending at ``at``, end of the bin beginning there]: rates in order."""
    count = runs.rows.shape[0] - 1
    if direction == "none":
        return np.ones((at, count - at), dtype=np.bool_)
    left = runs.events[:at, at, None] * runs.rows[None, at, at + 1 :]
    right = runs.events[None, at, at + 1 :] * runs.rows[:at, at, None]
    ordered: Bools = left < right if direction == "up" else left > right
    return ordered


def _optimum(runs: _Intervals, phases: tuple[str, ...], max_bins: int) -> tuple[list[int] | None, int]:
    """Return the starts of the best bins and their value in units; None when no division is allowed."""
    count = runs.rows.shape[0] - 1
    shape = (len(phases), max_bins, count + 1, count + 1)
    reach = np.full(shape, _UNREACHABLE, dtype=np.int64)
    came_from = np.zeros((*shape, 2), dtype=np.int16)
    reach[0, 0, 0] = np.where(runs.allowed[0], runs.value[0], _UNREACHABLE)
    for at in range(1, count):
        for phase, direction in enumerate(phases):
            _extend(runs, reach, came_from, at=at, phase=phase, direction=direction)
    final = reach[:, :, :, count].transpose(1, 0, 2)  # fewest bins first, so that ties take fewer
    bins, phase, start = (int(i) for i in np.unravel_index(int(final.argmax()), final.shape))
    value = int(final[bins, phase, start])
    if value == _UNREACHABLE:
        return None, value
    starts, end = [start], count
    while start > 0:
        before, before_phase = came_from[phase, bins, start, end]
        start, end, phase, bins = int(before), start, int(before_phase), bins - 1
        starts.append(start)
    return starts[::-1], value


def _extend(
    runs: _Intervals, reach: Ints, came_from: NDArray[np.int16], *, at: int, phase: int, direction: str
) -> None:
    """Fill in all bins that begin at ``at`` in this phase; everything ending at ``at`` is final by now."""
    sources = reach[: phase + 1, :-1, :at, at]
    source_phase = sources.argmax(axis=0)
    source = sources.max(axis=0)
    candidates = np.where(_may_follow(runs, at, direction)[None], source[:, :, None], _UNREACHABLE)
    previous = candidates.argmax(axis=1)
    value = candidates.max(axis=1)
    usable = (value > _UNREACHABLE) & runs.allowed[at, at + 1 :]
    reach[phase, 1:, at, at + 1 :] = np.where(usable, value + runs.value[at, at + 1 :], _UNREACHABLE)
    came_from[phase, 1:, at, at + 1 :, 0] = previous
    came_from[phase, 1:, at, at + 1 :, 1] = np.take_along_axis(source_phase, previous, axis=1)


def _merged(fine: Bins, starts: list[int], direction: Direction, satisfied: bool) -> MergedBins:
    numeric = np.searchsorted(np.array(starts), np.arange(fine.numeric_count), side="right") - 1
    others = np.arange(len(starts), len(starts) + len(fine.specials) + 1)
    edges = tuple(fine.edges[start - 1] for start in starts[1:])
    return MergedBins(
        bins=Bins(variable=fine.variable, edges=edges, specials=fine.specials),
        groups=np.concatenate((numeric, others)).astype(np.int16),
        direction=direction,
        satisfied=satisfied,
    )
