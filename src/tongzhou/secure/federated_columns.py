"""Scale and bins of columns that many institutions have, from sums alone: rows, means, deviations, quantiles.

Statement
    Parties: as `tongzhou.secure.aggregation`; every institution has the same columns of other rows.
    Who learns what: all learn, of all rows together, the number, the events, and for each column the number
    of values present, the mean and the standard deviation; the edges of bins; and, where counts are asked
    for, the rows and events in each bin. For the edges the coordinator learns counts of values in cells, at
    first between powers of two, then sixteenths of the cells that hold many rows. A cell may hold a single
    row of somebody's, which then tells that some client has a value in it, though not whose client it is.
    Assumption: as `tongzhou.secure.aggregation`.
    Cost: two sums of about 8 words a column for the moments; four of some hundred words a column for the
    edges; one of two words a bin for the counts.
    Method: means first, then squares of deviations from the common mean, so that nothing cancels. Quantiles
    from a histogram that is made finer where it is full: a cell ends up with an eighth of a bin's rows,
    unless they all have about the same value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError
from tongzhou.secure.aggregation_settings import AggregationSettings
from tongzhou.secure.private_sums import Budget
from tongzhou.secure.ring import Reals, Words
from tongzhou.secure.summing import WIDE, Summing, wide_numbers, wide_words
from tongzhou.wire.messages import ArraySpec

__all__ = [
    "MOST_BINS",
    "Codes",
    "Moments",
    "Table",
    "bin_codes",
    "check_table",
    "column_edges",
    "column_moments",
    "count_bins",
]

Codes = NDArray[np.uint8]

MOST_BINS: Final = 255
"""Codes are bytes; the last one is for missing values."""

_POWERS: Final = range(-40, 65)
_PARTS: Final = 16
_REFINEMENTS: Final = 3
_FINENESS: Final = 8
"""A cell with more than an eighth of a bin's rows is cut further."""


@dataclass(frozen=True)
class Table:
    """What an institution brings to a joint model.

    Attributes:
        values: ``(n, d)`` numbers; not a number where a value is missing.
        names: column names, the same at every institution.
        label: ``(n,)`` of 0 and 1, if the job needs one.
        budget: what the institution still allows to be learnt of this table; for jobs with noise.
    """

    values: Reals
    names: tuple[str, ...]
    label: Reals | None = None
    budget: Budget | None = None


@dataclass(frozen=True)
class Moments:
    """Of all rows together.

    Attributes:
        rows: number of rows.
        events: number of rows with label 1.
        counts: ``(d,)`` values present in each column.
        means: ``(d,)`` their means.
        deviations: ``(d,)`` their standard deviations (divided by the count), zero for a constant column.
    """

    rows: int
    events: int
    counts: Reals
    means: Reals
    deviations: Reals


def check_table(settings: AggregationSettings, columns: Sequence[str], table: Table, *, label: bool) -> None:
    """Refuse at home what must not take part.

    Args:
        settings: as agreed.
        columns: the agreed names, in order.
        table: the own table.
        label: whether the job needs a label.

    Raises:
        DataError: too few rows, other columns, a label that is not 0 and 1, an infinite value.
    """
    rows = len(table.values)
    if rows < settings.minimum_rows:
        raise DataError(
            "{rows} rows are too few to take part: at least {minimum} were agreed, so that a sum hides each",
            rows=rows,
            minimum=settings.minimum_rows,
        )
    if table.values.shape != (rows, len(columns)) or len(table.names) != len(columns):
        raise DataError(
            "the table has {got} columns and {names} names; {agreed} were agreed",
            got=table.values.shape[-1],
            names=len(table.names),
            agreed=len(columns),
        )
    for place, (got, wanted) in enumerate(zip(table.names, columns, strict=True), start=1):
        if got != wanted:
            raise DataError(
                "column {place} of the table is {got}; {wanted} was agreed",
                place=place,
                got=got,
                wanted=wanted,
            )
    if np.isinf(table.values).any():
        raise DataError("column {column} has an infinite value", column=_first(table, np.isinf))
    if label and (
        table.label is None or table.label.shape != (rows,) or not np.isin(table.label, (0, 1)).all()
    ):
        raise DataError("an institution needs a label, one of 0 and 1 for each of its rows")


def _first(table: Table, bad: np.ufunc) -> str:
    return table.names[int(np.flatnonzero(bad(table.values).any(axis=0))[0])]


def column_moments(summing: Summing, columns: int, table: Table | None) -> Moments:
    """Moments of all rows, at every party.

    Args:
        summing: who adds up.
        columns: number of columns.
        table: the own table; ``None`` at a coordinator without data.

    Raises:
        DataError: numbers too large to be added up.
    """
    own = None
    if table is not None:
        events = 0.0 if table.label is None else float(table.label.sum())
        present = np.isfinite(table.values).sum(axis=0).astype(np.float64)
        own = wide_words(
            np.concatenate([[len(table.values), events], present, np.nansum(table.values, axis=0)])
        )
    first = _summed(summing, own, 2 + 2 * columns, "rows, events, counts and sums of columns")
    counts, sums = first[2 : 2 + columns], first[2 + columns :]
    means = np.divide(sums, counts, out=np.zeros(columns), where=counts > 0)
    if table is not None:
        own = wide_words(np.nansum((table.values - means) ** 2, axis=0))
    squares = _summed(summing, own, columns, "squared deviations of columns")
    deviations = np.sqrt(np.divide(squares, counts, out=np.zeros(columns), where=counts > 0))
    return Moments(int(first[0]), int(first[1]), counts, means, deviations)


def _summed(summing: Summing, own: Words | None, count: int, what: str) -> Reals:
    total = summing.sum(own, length=WIDE * count, what=what, reason="scale of columns", to_all=True)
    return wide_numbers(np.zeros(WIDE * count, dtype=np.uint64) if total is None else total)


# --- bins --------------------------------------------------------------------------------------------------


def column_edges(summing: Summing, columns: int, values: Reals | None, *, bins: int) -> list[Reals]:
    """Edges of at most `bins` bins of about equal rows in each column, at every party.

    Args:
        summing: who adds up.
        columns: number of columns.
        values: ``(n, d)`` the own rows; ``None`` at a coordinator without data.
        bins: most bins for values that are present, up to 254.

    Returns:
        For each column an ascending array of at most ``bins - 1`` edges; a value belongs to the bin of the
        first edge that is not below it, as in a scorecard's bins.
    """
    powers = 2.0 ** np.array(_POWERS)
    ends = np.concatenate([-powers[::-1], [0.0], powers, [np.inf]])
    cells = [_Cells(np.concatenate([[-np.inf], ends[:-1]]), ends)] * columns
    uppers = [ends] * columns
    spec = [ArraySpec("<f8", (None,))] * columns
    for turn in range(1 + _REFINEMENTS):
        counts = _count_cells(summing, uppers, values)
        told = None
        if summing.is_coordinator and turn < _REFINEMENTS:
            cells = [one.cut(count, bins) for one, count in zip(cells, counts, strict=True)]
            told = [one.upper for one in cells]
        elif summing.is_coordinator:
            told = [one.edges(count, bins) for one, count in zip(cells, counts, strict=True)]
        uppers = summing.tell_arrays("federated.cells", spec, told)
    return uppers


@dataclass(frozen=True)
class _Cells:
    """Disjoint cells of one column, in order. A value is in the first whose upper end is not below it."""

    lower: Reals
    upper: Reals

    def cut(self, counts: Words, bins: int) -> "_Cells":
        """Without the empty ones, and the full ones in sixteen parts."""
        limit = max(int(counts.sum()) // (_FINENESS * bins), 1)
        lower, upper = [], []
        for low, high, count in zip(self.lower, self.upper, counts.tolist(), strict=True):
            ends = np.array([low, high])
            if count > limit and np.isfinite(ends).all() and abs(ends).max() > 2.0 ** _POWERS[0]:
                ends = np.linspace(low, high, _PARTS + 1)
            if count:
                lower.append(ends[:-1])
                upper.append(ends[1:])
        if not lower:
            return self
        return _Cells(np.concatenate(lower), np.concatenate(upper))

    def edges(self, counts: Words, bins: int) -> Reals:
        """Upper ends of cells at which the rows are best divided into so many parts."""
        filled = counts > 0
        upper, rows = self.upper[filled], counts[filled].tolist()
        if len(rows) <= bins:
            return upper[:-1]
        edges, inside, left, parts = [], 0, sum(rows), bins
        for place, count in enumerate(rows):
            if inside and parts > 1 and inside + count / 2 > left / parts:
                edges.append(float(upper[place - 1]))
                left, parts, inside = left - inside, parts - 1, 0
            inside += count
        return np.array(edges, dtype=np.float64)


def _count_cells(summing: Summing, uppers: Sequence[Reals], values: Reals | None) -> list[Words]:
    """Values of all rows in each cell of each column; at the coordinator, zeros elsewhere."""
    own = None
    if values is not None:
        own = np.concatenate([_counts(upper, values[:, place]) for place, upper in enumerate(uppers)])
    sizes = [len(upper) for upper in uppers]
    total = summing.sum(own, length=sum(sizes), what="values in cells of columns", reason="edges of bins")
    if total is None:
        total = np.zeros(sum(sizes), dtype=np.uint64)
    return np.split(total, np.cumsum(sizes)[:-1])


def _counts(upper: Reals, values: Reals) -> Words:
    places = np.searchsorted(upper, values[np.isfinite(values)], side="left")
    return np.bincount(np.minimum(places, len(upper) - 1), minlength=len(upper)).astype(np.uint64)


def bin_codes(edges: Sequence[Reals], values: Reals) -> Codes:
    """Bin of each value, ``(d, n)``; a missing value has the code after the last bin of its column."""
    codes = np.empty(values.shape[::-1], dtype=np.uint8)
    for place, cuts in enumerate(edges):
        column = values[:, place]
        codes[place] = np.where(np.isnan(column), len(cuts) + 1, np.searchsorted(cuts, column, side="left"))
    return codes


def count_bins(
    summing: Summing, edges: Sequence[Reals], table: Table | None
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows and events in each bin of each column, the missing last, at every party.

    Args:
        summing: who adds up.
        edges: of each column.
        table: the own rows; events are zero without a label.
    """
    sizes = [len(cuts) + 2 for cuts in edges]
    own = None
    if table is not None:
        codes, label = bin_codes(edges, table.values), table.label
        kinds = [None] if label is None else [None, label]
        rows = [
            np.bincount(code, weights=kind, minlength=size)
            for kind in kinds
            for code, size in zip(codes, sizes, strict=True)
        ]
        own = np.zeros(2 * sum(sizes), dtype=np.uint64)
        counted = np.concatenate(rows).astype(np.uint64)
        own[: len(counted)] = counted
    total = summing.sum(
        own, length=2 * sum(sizes), what="rows and events in bins", reason="weights of evidence", to_all=True
    )
    if total is None:
        total = np.zeros(2 * sum(sizes), dtype=np.uint64)
    parts = np.split(total.astype(np.int64), np.cumsum([*sizes, *sizes])[:-1])
    return list(zip(parts[: len(sizes)], parts[len(sizes) :], strict=True))
