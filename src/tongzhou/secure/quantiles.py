"""Quantiles of one owner's column in groups that only the other knows.

Statement
    Parties: asker and provider (owners); the helper (`aided`).
    Both owners learn: which quantiles are told: those with the minimum of rows on either side.
    The receivers learn: those quantiles, as values of the column owner's grid; nothing else of the grid.
    The helper learns: the shapes, and how many quantiles are told.
    Assumption: as `tongzhou.secure.cells` and `tongzhou.secure.comparison`.
    Cost: that of cells with g columns, and g comparisons a quantile and group, g the values of the grid.
    Papers: as `tongzhou.secure.aided` and `tongzhou.secure.comparison`.

The q-quantile is the smallest value of the grid that at least q percent of the group's rows do not exceed:
the true one, rounded up to the grid. The grid has even quantiles of the owner's column, to three digits, with
the minimum of the owner's rows between any two of them, so that no value of a single client is told.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.comparison import negative
from tongzhou.secure.differencing import admit
from tongzhou.secure.group_parts import Chosen, held_sets, joint, owner_part, rows_of, with_columns
from tongzhou.secure.guard import Guard, Told, count_bits
from tongzhou.secure.ladder import climb, quantile_ladder, rungs_below
from tongzhou.secure.numbered_sets import Question
from tongzhou.secure.owner_side import scaled_to_integers
from tongzhou.secure.party import other_owner
from tongzhou.secure.ring import Words
from tongzhou.secure.shared import Shared, join
from tongzhou.secure.statistic_answers import QuantilesAnswer
from tongzhou.secure.statistic_requests import Quantiles, owner_of

__all__ = ["answer_quantiles", "rows_needed"]

Flags = NDArray[np.bool_]

_DECIMALS = 6
_GRID_BITS = 62
_PERCENT_BITS = 7


def rows_needed(percent: int, minimum: int) -> int:
    """Rows that a group must have so that the minimum of them lie on either side of a quantile."""
    return -(-100 * max(minimum, 1) // min(percent, 100 - percent))


def answer_quantiles(guard: Guard, request: Quantiles, sizes: Mapping[str, int]) -> QuantilesAnswer:
    """Quantiles of a column.

    Args:
        guard: the policy.
        request: what is asked.
        sizes: number of groups of each category.

    Raises:
        GrantError: the policy forbids it.
    """
    owner = owner_of(request.column)[0]
    other = other_owner(owner)
    parts = {
        owner: owner_part(guard, owner, request.where, None, sizes),
        other: owner_part(guard, other, request.where, request.by, sizes),
    }
    ladder, columns = None, None
    if owner in guard.holders:
        ladder, columns = _own_ladder(guard, request, rows_of(parts[owner]))
    parts[owner] = with_columns(parts[owner], request.grid - 1, columns)
    cells = joint(guard, parts)
    groups = parts[other].groups
    counts = cells.counts.reshaped(groups)
    told = _large(guard, request, counts)
    known = None if told.known is None else np.asarray(told.known.any(axis=1)).reshape(cells.counts.shape)
    admit(guard, Question(request.name, held_sets(parts), known, cells.sketches))
    below = join(*(one.reshaped(1, groups) for one in cells.sums[owner]))
    found = climb(guard.engine, owner, _passed(guard, request, counts, below), ladder)
    chosen = Chosen(guard, request.name, request.receivers, told, (groups, len(request.percents)))
    opened = chosen.opened([found.reshaped(groups, len(request.percents))], "quantiles")
    values = None if opened is None else chosen.placed(opened[0] / 10.0**_DECIMALS, np.nan)
    return QuantilesAnswer(request.name, request.receivers, request.percents, chosen.flags, values)


def _own_ladder(guard: Guard, request: Quantiles, within: Flags) -> tuple[Words, list[Words]]:
    """The owner's grid in units of the last decimal, and which rows lie at or below each of its values."""
    side = guard.holders[owner_of(request.column)[0]].side
    values = side.column(request.column, within)
    rungs = quantile_ladder(values[within], request.grid, fewest=guard.policy.minimum_rows)
    words = scaled_to_integers(rungs, _DECIMALS, bits=_GRID_BITS, column=request.column)
    return words, rungs_below(values, rungs, within)


def _large(guard: Guard, request: Quantiles, counts: Shared) -> Told:
    """Which quantiles have enough rows on either side: flags ``(k, q)``."""
    needed = [rows_needed(percent, guard.policy.minimum_rows) for percent in request.percents]
    wide = (counts.shape[0], len(needed))
    share = None if counts.share is None else np.repeat(counts.share[:, None], len(needed), axis=1)
    bounds = np.broadcast_to(np.array(needed, dtype=np.uint64), wide)
    return guard.large_groups(request.name, Shared(wide, share), np.ascontiguousarray(bounds))


def _passed(guard: Guard, request: Quantiles, counts: Shared, below: Shared) -> Shared:
    """Which rungs lie below each quantile: shared bits ``(k q, r - 1)``, the quantiles of a group together.

    Args:
        guard: who computes.
        request: which quantiles.
        counts: shared ``(k,)`` rows of each group.
        below: shared ``(r - 1, k)`` rows at or below each rung.
    """
    groups, rungs, percents = counts.shape[0], below.shape[0], request.percents
    shape = (groups, len(percents), rungs)
    share = None
    if counts.share is not None and below.share is not None:
        reached = below.share.T[:, None, :] * np.uint64(100)
        asked = counts.share[:, None] * np.array(percents, dtype=np.uint64)
        share = np.broadcast_to(reached, shape) - asked[:, :, None]
    bits = negative(guard.engine, Shared(shape, share), bits=count_bits(guard.rows) + _PERCENT_BITS)
    return bits.reshaped(groups * len(percents), rungs)
