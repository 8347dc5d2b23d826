"""What a class of rows that look alike must satisfy before it may be published.

k-anonymity: Samarati, Sweeney, 1998. l-diversity, distinct, entropy and recursive (c, l): Machanavajjhala,
Gehrke, Kifer, Venkitasubramaniam, ICDE 2006. t-closeness by earth mover's distance, equal, ordered and
hierarchical: Li, Li, Venkatasubramanian, ICDE 2007.

Everything is computed for all classes at once from how often each class holds each sensitive value.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ._types import Bools, Floats, Ints
from .anonymise_domains import Domain

__all__ = [
    "ClassCounts",
    "Closeness",
    "Criterion",
    "DistinctDiversity",
    "EntropyDiversity",
    "RecursiveDiversity",
    "Sensitive",
]

_SLACK = 1e-9  # rounding must not decide
_DENSE_MAX = 1 << 22  # classes times values held at once for hierarchical distances


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """How often each class holds each value of one sensitive column; absent pairs are left out.

    Attributes:
        group: int64[pairs]; the class, ascending.
        value: int64[pairs]; the value, ascending within a class.
        count: int64[pairs]; rows.
        starts: int64[classes + 1]; where the pairs of each class begin.
        sizes: int64[classes]; rows of each class.
    """

    group: Ints
    value: Ints
    count: Ints
    starts: Ints
    sizes: Ints

    @classmethod
    def of(
        cls,
        classes: NDArray[np.integer],
        values: NDArray[np.integer],
        *,
        groups: int,
        size: int,
        rows: Ints | None = None,
    ) -> "ClassCounts":
        """Count.

        Args:
            classes: int[entries]; class of each entry, from 0.
            values: int[entries]; value of each entry.
            groups: how many classes there are, each with an entry at least.
            size: how many values there are.
            rows: int64[entries]; rows that an entry stands for, one by default.
        """
        keys, inverse = np.unique(classes.astype(np.int64) * size + values, return_inverse=True)
        count = np.bincount(inverse, None if rows is None else rows).astype(np.int64)
        group = keys // size
        starts = np.searchsorted(group, np.arange(groups + 1))
        return cls(group, keys % size, count, starts, np.add.reduceat(count, starts[:-1]))

    @classmethod
    def single(cls, values: NDArray[np.integer], size: int) -> "ClassCounts":
        """Count one class; see `of`."""
        found = np.bincount(values, minlength=size)
        keys = np.flatnonzero(found)
        bounds = np.array([0, keys.size])
        return cls(np.zeros_like(keys), keys, found[keys], bounds, np.array([values.size]))


class Criterion(ABC):
    """A condition on the sensitive values of a class."""

    @property
    @abstractmethod
    def kind(self) -> str:
        """Its name: ``distinct``, ``entropy``, ``recursive``, ``equal``, ``ordered`` or ``hierarchy``."""

    @property
    @abstractmethod
    def bound(self) -> float:
        """The number that classes are held against."""

    @abstractmethod
    def worst(self, measured: Floats) -> float:
        """What the class nearest to breaking the condition reaches."""

    @abstractmethod
    def measure(self, counts: ClassCounts, overall: Floats) -> Floats:
        """What each class reaches, in the unit of the condition.

        Args:
            counts: values by class.
            overall: float64[values]; share of each value in the whole table.

        Returns:
            float64[classes].
        """

    @abstractmethod
    def allows(self, measured: Floats) -> Bools:
        """Whether what was measured satisfies the condition."""

    def holds(self, counts: ClassCounts, overall: Floats) -> Bools:
        """Whether each class satisfies the condition; see `measure`."""
        return self.allows(self.measure(counts, overall))


@dataclass(frozen=True)
class _Diversity(Criterion):
    """Values as diverse as `l` equally frequent ones."""

    l: float  # noqa: E741 - its name in the literature

    @property
    def bound(self) -> float:
        """`l`."""
        return self.l

    def worst(self, measured: Floats) -> float:
        """The least."""
        return float(measured.min())

    def allows(self, measured: Floats) -> Bools:
        """At least `l`."""
        return np.asarray(measured >= self.l - _SLACK)


@dataclass(frozen=True)
class DistinctDiversity(_Diversity):
    """At least `l` different values."""

    @property
    def kind(self) -> str:
        """Its name."""
        return "distinct"

    def measure(self, counts: ClassCounts, overall: Floats) -> Floats:
        """Different values in each class."""
        return np.diff(counts.starts).astype(np.float64)


@dataclass(frozen=True)
class EntropyDiversity(_Diversity):
    """Entropy of the values of at least the logarithm of `l`."""

    @property
    def kind(self) -> str:
        """Its name."""
        return "entropy"

    def measure(self, counts: ClassCounts, overall: Floats) -> Floats:
        """The exponential of the entropy: how many equally frequent values would be as diverse."""
        shares = counts.count / counts.sizes[counts.group]
        return np.asarray(np.exp(-np.add.reduceat(shares * np.log(shares), counts.starts[:-1])))


@dataclass(frozen=True)
class RecursiveDiversity(Criterion):
    """The most frequent value less frequent than `c` times all from the `l`-th most frequent on together."""

    c: float
    l: int  # noqa: E741 - its name in the literature

    @property
    def kind(self) -> str:
        """Its name."""
        return "recursive"

    @property
    def bound(self) -> float:
        """`c`."""
        return self.c

    def worst(self, measured: Floats) -> float:
        """The most."""
        return float(measured.max())

    def measure(self, counts: ClassCounts, overall: Floats) -> Floats:
        """The most frequent over the tail: the `c` that would just fail; infinite without a tail."""
        order = np.lexsort((-counts.count, counts.group))
        ordered = counts.count[order]
        rank = np.arange(ordered.size) - counts.starts[:-1][counts.group]
        most = ordered[counts.starts[:-1]]
        tail = np.add.reduceat(np.where(rank >= self.l - 1, ordered, 0), counts.starts[:-1])
        return np.asarray(np.divide(most, tail, out=np.full(most.size, np.inf), where=tail > 0))

    def allows(self, measured: Floats) -> Bools:
        """Below `c`."""
        return np.asarray(measured < self.c)


@dataclass(frozen=True)
class Closeness(Criterion):
    """Values distributed as in the whole table, up to an earth mover's distance of `t`.

    Attributes:
        t: the largest distance, from 0 to 1.
        distance: between two values: ``equal`` (1 for any two), ``ordered`` (by rank) or ``hierarchy`` (by
            the level at which they meet).
        domain: of the values; its levels are the hierarchy.
    """

    t: float
    distance: Literal["equal", "ordered", "hierarchy"]
    domain: Domain

    @property
    def kind(self) -> str:
        """The distance."""
        return self.distance

    @property
    def bound(self) -> float:
        """`t`."""
        return self.t

    def worst(self, measured: Floats) -> float:
        """The most."""
        return float(measured.max())

    def measure(self, counts: ClassCounts, overall: Floats) -> Floats:
        """The distance of each class from the whole table."""
        if self.distance == "equal":
            return _equal_distance(counts, overall)
        if self.distance == "ordered":
            return _ordered_distance(counts, overall)
        return _tree_distance(counts, overall, self.domain)

    def allows(self, measured: Floats) -> Bools:
        """At most `t`."""
        return np.asarray(measured <= self.t + _SLACK)


@dataclass(frozen=True, slots=True)
class Sensitive:
    """A sensitive column and what is asked of it.

    Attributes:
        domain: its values.
        criteria: conditions, all of which each class must satisfy.
    """

    domain: Domain
    criteria: tuple[Criterion, ...]

    def overall(self, rows: NDArray[np.bool_] | None = None) -> Floats:
        """Share of each value in the table, or in some of its rows."""
        codes = self.domain.codes if rows is None else self.domain.codes[rows]
        return np.bincount(codes, minlength=self.domain.size) / max(1, codes.size)


def _equal_distance(counts: ClassCounts, overall: Floats) -> Floats:
    """Half the sum of |p - q|; values that a class has not count with q."""
    shares = counts.count / counts.sizes[counts.group]
    own = overall[counts.value]
    present = np.add.reduceat(np.abs(shares - own) - own, counts.starts[:-1])
    return np.asarray((present + overall.sum()) / 2.0)


def _ordered_distance(counts: ClassCounts, overall: Floats) -> Floats:
    """Mean of |P - Q| over all ranks but the last, P and Q the cumulative shares.

    P is constant between two values that a class holds, and Q grows, so each such stretch is cut where Q
    passes P and both parts are read off the sums of Q: nothing of the size of classes times values is made.
    """
    # a value that no row has is no rank: rows left out may have taken it with them
    present = overall > 0
    rank = np.cumsum(present) - 1
    ranks = int(rank[-1])
    if ranks == 0:
        return np.zeros(counts.sizes.size)
    value = rank[counts.value]
    total = np.cumsum(overall[present])[:ranks]
    sums = np.concatenate(([0.0], np.cumsum(total)))
    cumulative = np.cumsum(counts.count)
    before = np.concatenate(([0], cumulative))[counts.starts[:-1]]
    reached = (cumulative - before[counts.group]) / counts.sizes[counts.group]
    ends = np.append(value[1:], ranks)
    ends[counts.starts[1:] - 1] = ranks
    starts, ends = np.minimum(value, ranks), np.minimum(ends, ranks)
    distance = _stretch(reached, starts, ends, total, sums)
    first = np.minimum(value[counts.starts[:-1]], ranks)
    return np.asarray((np.add.reduceat(distance, counts.starts[:-1]) + sums[first]) / ranks)


def _stretch(level: Floats, start: Ints, end: Ints, total: Floats, sums: Floats) -> Floats:
    """Sum of |level - Q| from start to end."""
    cut = np.clip(np.searchsorted(total, level), start, end)
    below = level * (cut - start) - (sums[cut] - sums[start])
    above = (sums[end] - sums[cut]) - level * (end - cut)
    return np.asarray(below + above)


def _tree_distance(counts: ClassCounts, overall: Floats, domain: Domain) -> Floats:
    """For each node what its children have too much and too little, the smaller of both, times the height."""
    groups = counts.sizes.size
    height = len(domain.levels) - 1
    out = np.zeros(groups)
    step = max(1, _DENSE_MAX // domain.size)
    for low in range(0, groups, step):
        high = min(groups, low + step)
        some = slice(counts.starts[low], counts.starts[high])
        extra = np.tile(-overall, (high - low, 1))
        extra[counts.group[some] - low, counts.value[some]] += (
            counts.count[some] / counts.sizes[counts.group[some]]
        )
        for level in range(1, height + 1):
            bounds, finer = domain.levels[level].bounds, domain.levels[level - 1].bounds
            starts = np.searchsorted(finer, bounds[:-1])
            more = np.add.reduceat(np.maximum(extra, 0.0), starts, axis=1)
            less = np.add.reduceat(np.maximum(-extra, 0.0), starts, axis=1)
            out[low:high] += level / height * np.minimum(more, less).sum(axis=1)
            extra = more - less
    return out
