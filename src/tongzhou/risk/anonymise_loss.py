"""What a generalised table has lost: how wide values are, how much they leave open, how wrong counts get.

Discernibility: Bayardo, Agrawal, ICDE 2005. Average class size: LeFevre, DeWitt, Ramakrishnan, ICDE 2006.
Normalised certainty penalty: Xu et al., KDD 2006. Non-uniform entropy: Gionis, Tassa, TKDE 2009. Counts are
asked as in LeFevre's and Xiao and Tao's experiments (VLDB 2006), answered by spreading a class evenly over
the values that it covers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._types import Floats, Ints
from .anonymise import Classes, classes_of
from .anonymise_domains import Domain

__all__ = ["ColumnLoss", "Loss", "QueryErrors", "measure_loss", "query_errors"]

_QUERY_COLUMNS_MAX = 3
_SANITY_SHARE = 0.01  # of the rows: an error is not held against a count smaller than this
_COMPARED_AT_ONCE = 1 << 24


@dataclass(frozen=True, slots=True)
class ColumnLoss:
    """Loss of one column, from 0 (as it was) to 1 (nothing left).

    Attributes:
        name: name of the column.
        penalty: normalised certainty penalty, mean over all rows.
        entropy: non-uniform entropy, over that of a column with nothing left.
    """

    name: str
    penalty: float
    entropy: float


@dataclass(frozen=True, slots=True)
class Loss:
    """Loss of a table. A row left out counts as all lost.

    Attributes:
        columns: each generalised column.
        penalty: mean of the columns' penalties.
        entropy: mean of the columns' entropies.
        discernibility: sum over rows of the rows that look like it; all rows for a row left out.
        class_size: mean rows of a class, over k.
    """

    columns: tuple[ColumnLoss, ...]
    penalty: float
    entropy: float
    discernibility: int
    class_size: float


@dataclass(frozen=True, slots=True)
class QueryErrors:
    """Relative errors of counts over ranges.

    Attributes:
        queries: how many were asked.
        median: half of them are off by no more.
        mean: their mean.
        worst_tenth: nine of ten are off by no more.
        errors: float64[queries], ascending.
    """

    queries: int
    median: float
    mean: float
    worst_tenth: float
    errors: Floats


def measure_loss(quasi: Sequence[Domain], classes: Classes, k: int) -> Loss:
    """Measure what generalising has cost.

    Args:
        quasi: the columns as they were.
        classes: what became of them.
        k: least rows of a class that was asked for.
    """
    rows = quasi[0].codes.size
    out = np.asarray(classes.of < 0)
    sizes = classes.sizes
    columns = tuple(_column_loss(domain, classes, at, rows) for at, domain in enumerate(quasi))
    left_out = int(np.count_nonzero(out))
    return Loss(
        columns=columns,
        penalty=float(np.mean([one.penalty for one in columns])),
        entropy=float(np.mean([one.entropy for one in columns])),
        discernibility=int((sizes * sizes).sum()) + left_out * rows,
        class_size=float(sizes.mean() / k) if sizes.size else 0.0,
    )


def _column_loss(domain: Domain, classes: Classes, column: int, rows: int) -> ColumnLoss:
    kept = classes.of >= 0
    own = classes.of[kept]
    low, high = classes.low[column], classes.high[column]
    penalty = float((domain.penalty(low, high) * classes.sizes).sum()) + rows - own.size
    counts = np.bincount(domain.codes, minlength=domain.size)
    below = np.concatenate(([0], np.cumsum(counts)))
    covered = (below[high + 1] - below[low]).astype(np.float64)
    alone = np.log2(counts[domain.codes])
    most = float((np.log2(rows) - alone).sum())
    open_ = float((np.log2(covered[own]) - alone[kept]).sum()) + float((np.log2(rows) - alone[~kept]).sum())
    return ColumnLoss(domain.name, penalty / rows, open_ / most if most else 0.0)


def query_errors(
    quasi: Sequence[Domain], classes: Classes, *, queries: int = 1_000, share: float = 0.05, seed: int = 1
) -> QueryErrors:
    """Ask how many rows lie in random ranges, and compare the answer of the generalised table with the truth.

    Args:
        quasi: the columns as they were.
        classes: what became of them.
        queries: how many counts are asked, each over one to three columns.
        share: of all rows that a count over independent columns would find.
        seed: of the ranges; the same seed asks the same.
    """
    ranges = _random_ranges(quasi, queries, share, np.random.default_rng(seed))
    truth = _true_counts(quasi, ranges)
    told = _summed(classes.sizes.astype(np.float64), classes.low, classes.high, ranges)
    errors = np.sort(np.abs(told - truth) / np.maximum(truth, _SANITY_SHARE * quasi[0].codes.size))
    return QueryErrors(
        queries=queries,
        median=float(np.quantile(errors, 0.5)),
        mean=float(errors.mean()),
        worst_tenth=float(np.quantile(errors, 0.9)),
        errors=errors,
    )


@dataclass(frozen=True, slots=True)
class _Ranges:
    """First and last value asked for, int64[queries, columns]; all values where nothing is asked."""

    low: Ints
    high: Ints


def _random_ranges(
    quasi: Sequence[Domain], queries: int, share: float, generator: np.random.Generator
) -> _Ranges:
    sizes = np.array([domain.size for domain in quasi])
    low = np.zeros((queries, sizes.size), dtype=np.int64)
    high = np.tile(sizes - 1, (queries, 1))
    for query in range(queries):
        asked = generator.permutation(sizes.size)[
            : generator.integers(1, min(_QUERY_COLUMNS_MAX, sizes.size) + 1)
        ]
        for column in asked:
            width = max(1, round(float(sizes[column]) * share ** (1.0 / asked.size)))
            start = int(generator.integers(sizes[column] - width + 1))
            low[query, column], high[query, column] = start, start + width - 1
    return _Ranges(low, high)


def _true_counts(quasi: Sequence[Domain], ranges: _Ranges) -> Floats:
    of, groups = classes_of([domain.codes for domain in quasi])
    first = np.zeros(groups, dtype=np.int64)
    first[of] = np.arange(of.size)
    rows = np.bincount(of).astype(np.float64)
    codes = np.stack([domain.codes[first] for domain in quasi])
    return _summed(rows, codes, codes, ranges)


def _summed(rows: Floats, low: NDArray[np.integer], high: NDArray[np.integer], ranges: _Ranges) -> Floats:
    """For each query the rows of all boxes times the part of each box that lies in it."""
    step = max(1, _COMPARED_AT_ONCE // max(1, rows.size))
    parts = []
    for start in range(0, len(ranges.low), step):
        weight = np.ones((len(ranges.low[start : start + step]), rows.size))
        for column in range(low.shape[0]):
            asked_low = ranges.low[start : start + step, column, None]
            asked_high = ranges.high[start : start + step, column, None]
            common = np.minimum(high[column], asked_high) - np.maximum(low[column], asked_low) + 1
            weight *= np.maximum(common, 0) / (high[column] - low[column] + 1)
        parts.append(weight @ rows)
    return np.concatenate(parts)
