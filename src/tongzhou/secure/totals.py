"""Counts, sums and variances of groups, and bins with their events.

Statement
    Parties: asker and provider (owners); the helper (`aided`).
    Both owners learn: which cells are open, as `tongzhou.secure.guard` says; of a category without
    conditions, whether it covers all rows; with variances, for each column the power of two next above its
    standard deviation.
    The receivers learn: counts, sums and variances of the open cells, rounded as the policy says.
    The helper learns: the shapes, how many cells are open, whether categories cover all rows.
    Assumption: as `tongzhou.secure.cells` and `tongzhou.secure.comparison`.
    Cost: that of the cells, with one group more for what is left of an owner's rows. A variance takes two
    more columns and two rounds, the rule on the largest contribution 65 columns, and 65 comparisons a cell.
    Papers: as `tongzhou.secure.aided`.

A sum is exact: a sum of integers. A variance is ``(N Σ z² - (Σ z)²) / N (N - 1)`` with z the deviation from
the mean of the owner's rows over 2^e, rounded to f bits, ``2 f = 61 - 2 log2 n``. Its numerator is computed
from shares and opened instead of Σ z and Σ z², which would tell the mean of the owner's other rows. The
rounding of z moves a variance by about 2^-f over the root of N, in units of the column's variance: for groups
of a hundred, 3e-6 with thirty thousand rows and 1e-4 with a million.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError, GrantError
from tongzhou.secure.cells import JointCells, Part
from tongzhou.secure.clear import tell
from tongzhou.secure.comparison import at_least
from tongzhou.secure.differencing import admit
from tongzhou.secure.group_parts import Chosen, framed, held_sets, joint, owner_part, rows_of, with_columns
from tongzhou.secure.guard import Guard, count_bits
from tongzhou.secure.ladder import RUNGS_OF_LARGEST, climb, largest_ladder, rungs_above
from tongzhou.secure.numbered_sets import Question
from tongzhou.secure.owner_side import OwnerSide, scaled_to_integers
from tongzhou.secure.party import OWNERS, Role, other_owner
from tongzhou.secure.products import multiply
from tongzhou.secure.ring import Reals, Words, encode
from tongzhou.secure.rounding import MAX_ROUNDED_BITS
from tongzhou.secure.shared import Shared, join
from tongzhou.secure.statistic_answers import EvidenceAnswer, TotalsAnswer
from tongzhou.secure.statistic_requests import Evidence, Totals, owner_of
from tongzhou.secure.whitening import row_bits

__all__ = ["answer_evidence", "answer_totals"]

Flags = NDArray[np.bool_]
Sizes = Mapping[str, int]

_SUM_BITS = 62
_SHARED_SUM_BITS = 55
"""Where 100 times a sum must fit."""


@dataclass(frozen=True)
class _Sums:
    """Shared sums of one column over all cells, ``(k_a, k_p)`` each.

    Attributes:
        owner: whose column.
        name: its name.
        total: of the values.
        deviations: of the deviations and of their squares, if a variance is asked for.
        sizes: of the absolute values, and of the rows above each rung, if the largest contribution counts.
    """

    owner: Role
    name: str
    total: Shared
    deviations: Sequence[Shared]
    sizes: Sequence[Shared]


def answer_totals(guard: Guard, request: Totals, sizes: Sizes) -> TotalsAnswer:
    """Counts, sums and variances of a table of groups.

    Args:
        guard: the policy.
        request: what is asked.
        sizes: number of groups of each category.

    Raises:
        GrantError: the policy forbids it.
    """
    _refuse_rounded_variance(guard, request)
    parts = {owner: _part(guard, request, sizes, owner) for owner in OWNERS}
    core = (parts["asker"].groups, parts["provider"].groups)
    wide = framed(guard, parts, request.where, request.by)
    cells = joint(guard, wide)
    sums = _by_column(guard, request, cells)
    also = _no_client_rules(guard, request, sums) if _looks_at_largest(guard) and sums else None
    told = guard.large_cells(request.name, cells.counts, core, also=also)
    own = _own_columns(guard, request, parts)
    admit(guard, Question(request.name, held_sets(wide), told.known, cells.sketches, _widths(request), own))
    exponents = _told_exponents(guard, request, parts)
    chosen = Chosen(guard, request.name, request.receivers, told, core)
    counts = chosen.opened_counts(cells.counts, "counts")
    base = _base_in_units(guard, request)
    totals = (
        chosen.opened([one.total for one in sums], "sums", base=base, bits=MAX_ROUNDED_BITS) if sums else []
    )
    squares = _opened_squares(chosen, cells.counts, sums) if request.variance else []
    return _answer(chosen, request, counts, totals, _variances(guard, counts, squares, exponents))


def answer_evidence(guard: Guard, request: Evidence, sizes: Sizes) -> EvidenceAnswer:
    """Rows and events of each bin; arguments and errors as `answer_totals`."""
    owner = owner_of(request.bins)[0]
    labelled = other_owner(owner)
    parts = {
        owner: owner_part(guard, owner, request.where, request.bins, sizes),
        labelled: owner_part(guard, labelled, request.where, None, sizes),
    }
    label, own = None, {}
    if labelled in guard.holders:
        label = [_label(guard.holders[labelled].side, request.label, rows_of(parts[labelled]))]
        own[labelled] = np.array(label, dtype=np.float64)
    parts[labelled] = with_columns(parts[labelled], 1, label)
    core = (parts["asker"].groups, parts["provider"].groups)
    wide = framed(guard, parts, request.where, [request.bins])
    cells = joint(guard, wide)
    told = guard.large_cells(request.name, cells.counts, core)
    width: dict[Role, int] = {labelled: 1} if labelled in request.receivers else {}
    own = own if width else {}
    admit(guard, Question(request.name, held_sets(wide), told.known, cells.sketches, width, own))
    chosen = Chosen(guard, request.name, request.receivers, told, core)
    rows = chosen.placed(chosen.opened_counts(cells.counts, "rows"), -1)
    events = chosen.placed(chosen.opened_counts(cells.sums[labelled][0], "events"), -1)
    found = [None if table is None else table.reshape(-1).astype(np.int64) for table in (rows, events)]
    return EvidenceAnswer(request.name, request.receivers, chosen.flags.reshape(-1), *found)


# --- what the owners bring ---------------------------------------------------------------------------------


def _looks_at_largest(guard: Guard) -> bool:
    return guard.policy.largest_share < 100


def _columns_of(request: Totals, owner: Role) -> list[str]:
    return [name for name in request.columns if owner_of(name)[0] == owner]


def _part(guard: Guard, request: Totals, sizes: Sizes, owner: Role) -> Part:
    """An owner's groups, and what is summed of each of its columns, in the order of `_Sums`."""
    category = next((name for name in request.by if owner_of(name)[0] == owner), None)
    part = owner_part(guard, owner, request.where, category, sizes)
    names = _columns_of(request, owner)
    values: list[Words] | None = None
    if owner in guard.holders:
        side, within = guard.holders[owner].side, rows_of(part)
        values = [one for name in names for one in _summands(guard, request, side, name=name, within=within)]
    return with_columns(part, len(names) * _stride(guard, request), values)


def _stride(guard: Guard, request: Totals) -> int:
    """How many columns are summed for one that is asked for."""
    return 1 + 2 * request.variance + RUNGS_OF_LARGEST * _looks_at_largest(guard)


def _summands(guard: Guard, request: Totals, side: OwnerSide, *, name: str, within: Flags) -> list[Words]:
    """The values; deviations and their squares; absolute values and the rows above each rung."""
    values = side.column(name, within)
    bits = MAX_ROUNDED_BITS if guard.policy.sum_base else _SUM_BITS
    out = [scaled_to_integers(values, request.decimals, bits=bits, column=name)]
    if request.variance:
        out += _deviations(values, within, _deviation_bits(guard.rows))
    if _looks_at_largest(guard):
        sizes = np.abs(values)
        out.append(scaled_to_integers(sizes, request.decimals, bits=_SHARED_SUM_BITS, column=name))
        out += rungs_above(sizes, largest_ladder(float(sizes.max())), within)
    return out


def _widths(request: Totals) -> dict[Role, int]:
    """How many sums over its own columns a receiver is told."""
    each = 2 if request.variance else 1
    widths: dict[Role, int] = {owner: each * len(_columns_of(request, owner)) for owner in request.receivers}
    return widths


def _own_columns(guard: Guard, request: Totals, parts: Mapping[Role, Part]) -> dict[Role, Reals]:
    """Those columns, and with variances the squares of their deviations, of the owners in this process."""
    found: dict[Role, Reals] = {}
    for owner in set(request.receivers) & set(guard.holders):
        side, within = guard.holders[owner].side, rows_of(parts[owner])
        values = [side.column(name, within) for name in _columns_of(request, owner)]
        if request.variance:
            values += [np.where(within, (one - one[within].mean()) ** 2, 0.0) for one in values]
        found[owner] = np.array(values).reshape(len(values), guard.rows)
    return found


def _by_column(guard: Guard, request: Totals, cells: JointCells) -> list[_Sums]:
    """The sums of each column, in the order of the request."""
    stride, left = _stride(guard, request), {owner: list(cells.sums[owner]) for owner in OWNERS}
    out = []
    for name in request.columns:
        owner = owner_of(name)[0]
        own, left[owner] = left[owner][:stride], left[owner][stride:]
        end = 1 + 2 * request.variance
        out.append(_Sums(owner, name, own[0], own[1:end], own[end:]))
    return out


def _label(side: OwnerSide, name: str, within: Flags) -> Words:
    values = side.column(name, within)
    if not bool(np.isin(values, (0.0, 1.0)).all()):
        raise DataError("column {column} must hold 0 and 1 only to count events", column=name)
    return values.astype(np.uint64)


# --- the largest contribution ------------------------------------------------------------------------------


def _no_client_rules(guard: Guard, request: Totals, sums: Sequence[_Sums]) -> Shared:
    """Where no client makes up too much of any column's sum: shared ``(k_a, k_p)`` words of 0 and 1."""
    engine = guard.engine
    shape = sums[0].total.shape
    cells = shape[0] * shape[1]
    kept = []
    for one in sums:
        size, *above = one.sizes
        stacked = join(*(rung.reshaped(1, cells) for rung in above)).transposed()
        reached = at_least(engine, stacked, 1, bits=count_bits(guard.rows))
        largest = climb(engine, one.owner, reached, _largest_words(guard, request, one))
        spare = size.reshaped(cells).scaled(guard.policy.largest_share) - largest.scaled(100)
        kept.append(at_least(engine, spare, 0))
    total = kept[0]
    for one_kept in kept[1:]:
        total = multiply(engine, total, one_kept)
    return total.reshaped(*shape)


def _largest_words(guard: Guard, request: Totals, sums: _Sums) -> Words | None:
    """The owner's ladder, in units of the last decimal, rounded up."""
    if sums.owner not in guard.holders:
        return None
    side = guard.holders[sums.owner].side
    category = next((name for name in request.by if owner_of(name)[0] == sums.owner), None)
    within = np.asarray(side.sets(request.where, category).any(axis=0))
    ladder = largest_ladder(float(np.abs(side.column(sums.name, within)).max()))
    return np.ceil(ladder * 10.0**request.decimals).astype(np.uint64)


# --- variances -------------------------------------------------------------------------------------------


def _refuse_rounded_variance(guard: Guard, request: Totals) -> None:
    policy = guard.policy
    if request.variance and (policy.count_base > 1 or policy.sum_base):
        raise GrantError(
            "statistic {name}: the grant rounds counts or sums, so no variances are told", name=request.name
        )


def _deviation_bits(rows: int) -> int:
    """Fractional bits f, with ``n² 2^2f`` below 2^62."""
    return (61 - 2 * row_bits(rows)) // 2


def _exponent(values: Reals, within: Flags) -> int:
    """The power e of two that is not below the standard deviation of the rows."""
    deviation = float(values[within].std()) if bool(within.any()) else 0.0
    return int(np.ceil(np.log2(deviation))) if deviation > 0 else 0


def _deviations(values: Reals, within: Flags, bits: int) -> list[Words]:
    """Deviations from the mean over 2^e with `bits` fractional bits, and their squares with twice as many."""
    if not bool(within.any()):
        return [np.zeros(len(values), dtype=np.uint64)] * 2
    centred = np.where(within, values - values[within].mean(), 0.0)
    words = encode(centred / 2.0 ** _exponent(values, within), bits)
    return [words, words * words]


def _told_exponents(guard: Guard, request: Totals, parts: Mapping[Role, Part]) -> list[int]:
    """The exponents of all columns in the order of the request, known to both owners."""
    if not request.variance:
        return []
    found: dict[str, int] = {}
    for owner in OWNERS:
        names, own = _columns_of(request, owner), None
        if owner in guard.holders:
            within = rows_of(parts[owner])
            own = [_exponent(guard.holders[owner].side.column(name, within), within) for name in names]
        told = tell(guard.engine, owner, "statistics.scale", own, list[int], helper=False)
        found |= dict(zip(names, told or (), strict=False))
    what = f"powers of two next above the standard deviations of {request.name}"
    guard.engine.party.record(what, len(request.columns), OWNERS, "scale of variances")
    return [found.get(name, 0) for name in request.columns]


def _opened_squares(chosen: Chosen, counts: Shared, sums: Sequence[_Sums]) -> list[Reals] | None:
    """``N Σ z² - (Σ z)²`` of each column, opened."""
    cells = counts.shape
    flat = [table.reshaped(cells[0] * cells[1]) for one in sums for table in one.deviations]
    firsts, squares = flat[0::2], flat[1::2]
    copies = [counts.reshaped(cells[0] * cells[1])] * len(sums)
    product = multiply(chosen.guard.engine, join(*copies, *firsts), join(*squares, *firsts))
    half = product.shape[0] // 2
    spread = (product.part(0, half) - product.part(half, 2 * half)).reshaped(len(sums), *cells)
    tables = [spread.part(place, place + 1).reshaped(*cells) for place in range(len(sums))]
    return chosen.opened(tables, "variances")


def _variances(
    guard: Guard, counts: Reals | None, squares: Sequence[Reals] | None, exponents: Sequence[int]
) -> list[Reals] | None:
    if counts is None or squares is None:
        return None
    pairs = counts * np.where(counts > 1, counts - 1, np.nan)
    bits = _deviation_bits(guard.rows)
    return [one / pairs * 4.0 ** (e - bits) for one, e in zip(squares, exponents, strict=True)]


# --- the answer --------------------------------------------------------------------------------------------


def _base_in_units(guard: Guard, request: Totals) -> int:
    """The policy's base for sums in units of the last decimal; 1 where it is finer than that."""
    units: int = round(guard.policy.sum_base * 10**request.decimals)
    return max(1, units)


def _answer(
    chosen: Chosen,
    request: Totals,
    counts: Reals | None,
    totals: Sequence[Reals] | None,
    variances: Sequence[Reals] | None,
) -> TotalsAnswer:
    whole = chosen.placed(counts, -1)
    tables: list[dict[str, Reals]] = []
    for numbers, scale in ((totals, 10.0**-request.decimals), (variances, 1.0)):
        placed = [chosen.placed(one * scale, np.nan) for one in numbers or ()]
        tables.append({n: one for n, one in zip(request.columns, placed, strict=False) if one is not None})
    return TotalsAnswer(
        request.name,
        request.receivers,
        chosen.flags,
        None if whole is None else whole.astype(np.int64),
        *tables,
    )
