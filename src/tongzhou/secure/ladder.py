"""Positions in a column, found by counting: quantiles of hidden groups, and bounds on their largest value.

Statement
    As `tongzhou.secure.cells` and `tongzhou.secure.comparison`, of which this is made: nothing is opened
    here.
    Cost: that of cells with one column for each rung, and one comparison for each rung and cell.

The owner of the column chooses a ladder of values, which it keeps to itself. For each rung the rows at or
below it (or at or above it) are one more column to sum over hidden groups. A comparison with what is sought
tells, shared, which rungs are passed; the sum of the distances between the rungs, weighted with that, is the
value.
"""

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.party import Role
from tongzhou.secure.ring import Reals, Words
from tongzhou.secure.shared import Shared

__all__ = ["RUNGS_OF_LARGEST", "climb", "largest_ladder", "quantile_ladder", "rungs_above", "rungs_below"]

RUNGS_OF_LARGEST = 65
"""Rungs of a bound on the largest value. Each is 2^(1/4) times the one below, from the column's largest down
to its 65,536th part; the bound is at most 19 % too large."""

_DIGITS = 3


def quantile_ladder(values: Reals, rungs: int, *, fewest: int = 1) -> Reals:
    """Ascending rungs at even quantiles of the values, rounded up to three digits; the last tops all values.

    Args:
        values: ``(n,)`` numbers.
        rungs: how many; the last one is repeated where there are fewer.
        fewest: values that lie between two rungs, or on the upper one, at least.
    """
    if not len(values):
        return np.zeros(rungs)
    ordered = np.sort(values)
    steps = max(1, min(rungs, len(ordered) // max(fewest, 1)))
    places = np.ceil(np.arange(1, steps + 1) * len(ordered) / steps).astype(np.int64) - 1
    chosen = np.concatenate([ordered[places], np.repeat(ordered[-1:], rungs - steps)])
    # Rounded up, so that each value stays at or below its rung.
    size = 10.0 ** (np.floor(np.log10(np.maximum(np.abs(chosen), 1e-300))) + 1 - _DIGITS)
    rounded = np.where(chosen == 0, 0.0, np.ceil(chosen / size) * size)
    return np.maximum.accumulate(np.round(rounded, 6))


def largest_ladder(largest: float) -> Reals:
    """Ascending rungs up to the largest absolute value of a column."""
    rungs: Reals = largest * 2.0 ** (np.arange(1 - RUNGS_OF_LARGEST, 1) / 4.0)
    return rungs


def rungs_below(values: Reals, ladder: Reals, within: NDArray[np.bool_]) -> list[Words]:
    """For each rung but the last, which rows lie at or below it: columns of 0 and 1."""
    return [((values <= rung) & within).astype(np.uint64) for rung in ladder[:-1]]


def rungs_above(values: Reals, ladder: Reals, within: NDArray[np.bool_]) -> list[Words]:
    """For each rung but the last, which rows reach above it: columns of 0 and 1."""
    return [((values > rung) & within).astype(np.uint64) for rung in ladder[:-1]]


def climb(engine: AidedEngine, owner: Role, passed: Shared, ladder: Words | None) -> Shared:
    """The rung on which each ends that has passed some, from below.

    Args:
        engine: who computes.
        owner: owner of the ladder.
        passed: shared ``(k, r - 1)`` words of 0 and 1: which rungs but the last are left behind.
        ladder: ``(r,)`` ascending, as ring words; ``None`` at everybody else.

    Returns:
        Shared ``(k,)``, in the unit of the ladder.
    """
    count, steps = passed.shape
    distances = None if ladder is None else np.diff(ladder).reshape(1, steps)
    hidden = engine.hide(owner, (1, steps), distances)
    climbed = engine.transpose_times(hidden, passed).reshaped(count)
    lowest = None if ladder is None else np.full(count, ladder[0], dtype=np.uint64)
    return climbed + engine.own(owner, (count,), lowest)
