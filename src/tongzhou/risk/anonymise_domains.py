"""What a column can be generalised to: values in an order, and levels that put neighbours together.

Values are numbered so that everything a generalisation may cover is a run of neighbours: numbers by size,
texts by their path in a hierarchy. A generalised value is then the pair of its first and last number,
whatever the kind. Missing values are a value of their own, before all others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tongzhou.errors import DataError, PlanError

from ._types import Floats, Ints, float_vector

__all__ = ["ANYTHING", "MISSING", "Domain", "Level", "category_domain", "number_domain", "prefix_domain"]

MISSING = "missing"
"""How a missing value is published."""

ANYTHING = "*"
"""The value that covers all values."""

_CATEGORIES_MAX = 1_000  # without a hierarchy; sets of more are no information
_RATIO_SLACK = 1e-9

Codes = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Level:
    """One step of generalisation: values put together in runs.

    Attributes:
        bounds: int64[nodes + 1]; node i covers the values `bounds[i]` to `bounds[i + 1] - 1`.
        labels: what is published for each node.
    """

    bounds: Ints
    labels: tuple[str, ...]

    def node_of(self, codes: NDArray[np.integer]) -> Ints:
        """The node that covers each value."""
        return np.searchsorted(self.bounds, codes, side="right") - 1


@dataclass(frozen=True, slots=True)
class Domain:
    """A column as numbered values, with its levels of generalisation.

    Attributes:
        name: name of the column.
        codes: int32[rows]; number of each row's value.
        labels: what each value is published as.
        positions: float64[values] for numbers, a missing value at the least; none for texts.
        levels: from each value alone to all together.
        tree: whether values may be put together along the levels only; otherwise any neighbours may.
        first: number of the first value that is not missing: 1 if any is missing, else 0.
    """

    name: str
    codes: Codes
    labels: tuple[str, ...]
    positions: Floats | None
    levels: tuple[Level, ...]
    tree: bool
    first: int

    @property
    def size(self) -> int:
        """How many values there are."""
        return len(self.labels)

    def penalty(self, low: ArrayLike, high: ArrayLike) -> Floats:
        """Normalised certainty penalty of generalised values (Xu et al., KDD 2006), from 0 to 1.

        Args:
            low: first values covered.
            high: last values covered.

        Returns:
            For numbers the range over that of the column; for texts the covered share of all values, 0 for
            one.
        """
        low, high = np.asarray(low), np.asarray(high)
        if self.positions is not None:
            span = float(self.positions[-1] - self.positions[0])
            return np.asarray((self.positions[high] - self.positions[low]) / (span or 1.0))
        covered = high - low + 1
        return np.where(covered > 1, covered / self.size, 0.0)

    def label(self, low: int, high: int, level: int | None = None) -> str:
        """What is published for a generalised value.

        Args:
            low: first value covered.
            high: last value covered.
            level: the level that it belongs to, if it is one of a level.
        """
        if level is not None:
            at = int(np.searchsorted(self.levels[level].bounds, low, side="right")) - 1
            return self.levels[level].labels[at]
        if low == high:
            return self.labels[low]
        if self.tree:
            return next(
                one.labels[at]
                for one in self.levels
                for at in [int(np.searchsorted(one.bounds, low, side="right")) - 1]
                if one.bounds[at] == low and one.bounds[at + 1] == high + 1
            )
        if low == 0 and high == self.size - 1:
            return ANYTHING
        return self._neighbours(low, high)

    def _neighbours(self, low: int, high: int) -> str:
        if self.positions is None:
            return "{" + " | ".join(self.labels[low : high + 1]) + "}"
        missing = low < self.first
        low = max(low, self.first)
        text = self.labels[low] if low == high else f"[{self.labels[low]}, {self.labels[high]}]"
        return f"{MISSING} or {text}" if missing else text


def number_domain(name: str, values: ArrayLike, widths: Sequence[float] = ()) -> Domain:
    """A column of numbers.

    Args:
        name: name of the column.
        values: float64[rows], NaN where missing.
        widths: widths of the intervals of each level, each a multiple of the one before; intervals begin at
            0.

    Raises:
        DataError: no numbers, or an infinite one.
        PlanError: a width that is not positive or no multiple.
    """
    column = float_vector(values, name)
    if not np.all(np.isfinite(column[~np.isnan(column)])):
        raise DataError("{column} must be finite numbers or missing to be generalised", column=name)
    previous = 0.0
    for width in widths:
        ratio = width / previous if previous else 1.0
        if not width > previous or abs(ratio - round(ratio)) > _RATIO_SLACK:
            raise PlanError(
                "{column}: widths must grow, each a multiple of the one before, got {got}",
                column=name,
                got=", ".join(f"{one:g}" for one in widths),
            )
        previous = float(width)
    distinct, codes = np.unique(column, return_inverse=True)
    missing = int(bool(distinct.size) and bool(np.isnan(distinct[-1])))
    if missing:
        # NaN sorts last; missing values come first here
        distinct = distinct[:-1]
        codes = np.where(codes == distinct.size, 0, codes + 1)
    labels = [MISSING] * missing + [_number(value) for value in distinct.tolist()]
    positions = (
        np.concatenate((distinct[:1] if distinct.size else np.zeros(1), distinct)) if missing else distinct
    )
    steps = [np.floor_divide(distinct, width).astype(np.int64) for width in widths]
    named = [
        [f"[{_number(step * width)}, {_number((step + 1) * width)})" for step in own.tolist()]
        for own, width in zip(steps, widths, strict=True)
    ]
    return _domain(name, codes, labels, named, positions=positions, missing=missing, tree=False)


def category_domain(
    name: str,
    values: Sequence[str | None],
    paths: Mapping[str, Sequence[str]] | None = None,
    *,
    order: Sequence[str] = (),
) -> Domain:
    """A column of texts.

    Args:
        name: name of the column.
        values: one for each row, None where missing.
        paths: for each value what it is called on each level, from the finest on; without it values are put
            together as sets of neighbours.
        order: all values in their order, for texts that have one; else that of their characters.

    Raises:
        PlanError: a value without a path or a place in the order, paths of different lengths, one name
            under two others, or both an order and paths.
        DataError: too many values for sets.
    """
    present = sorted({value for value in values if value is not None})
    if order:
        return _texts(name, values, _in_order(name, present, order, paths), [], tree=False)
    if paths is None:
        if len(present) > _CATEGORIES_MAX:
            raise DataError(
                "{column} has {got} different texts, more than {most} that can be put together as sets; "
                "give it levels or publish prefixes",
                column=name,
                got=len(present),
                most=_CATEGORIES_MAX,
            )
        return _texts(name, values, present, [], tree=False)
    _check_paths(name, present, paths)
    ordered = sorted(present, key=lambda value: (*reversed(paths[value]), value))
    depth = len(paths[ordered[0]]) if ordered else 0
    named = [[paths[value][level] for value in ordered] for level in range(depth)]
    return _texts(name, values, ordered, named, tree=True)


def prefix_domain(name: str, values: Sequence[str | None], keep: Sequence[int]) -> Domain:
    """A column of codes whose beginnings mean something, such as postcodes, regions or dates.

    Args:
        name: name of the column.
        values: one for each row, None where missing.
        keep: how many characters stay on each level, fewer each time.

    Raises:
        PlanError: the numbers of characters do not fall.
    """
    if any(later >= earlier for earlier, later in pairwise(keep)) or any(size < 1 for size in keep):
        raise PlanError(
            "{column}: each level must keep fewer characters than the one before, one at least, got {got}",
            column=name,
            got=", ".join(map(str, keep)),
        )
    ordered = sorted({value for value in values if value is not None})
    named = [
        [value if len(value) <= size else f"{value[:size]}{ANYTHING}" for value in ordered] for size in keep
    ]
    return _texts(name, values, ordered, named, tree=True)


def _in_order(
    name: str, present: list[str], order: Sequence[str], paths: Mapping[str, Sequence[str]] | None
) -> list[str]:
    if paths is not None:
        raise PlanError("{column}: give an order or levels, not both", column=name)
    lost = set(present) - set(order)
    if lost:
        raise PlanError(
            "{column}: {count} of its values have no place in the order", column=name, count=len(lost)
        )
    return [value for value in dict.fromkeys(order) if value in set(present)]


def _check_paths(name: str, present: list[str], paths: Mapping[str, Sequence[str]]) -> None:
    lost = [value for value in present if value not in paths]
    if lost:
        raise PlanError(
            "{column}: {count} of its values have no place in the levels; each value needs a list of names",
            column=name,
            count=len(lost),
        )
    if len({len(paths[value]) for value in present}) > 1:
        raise PlanError("{column}: every value must have the same number of levels", column=name)
    above: dict[tuple[int, str], str] = {}
    for value in present:
        path = list(paths[value])
        for level, (lower, upper) in enumerate(pairwise(path)):
            if above.setdefault((level, lower), upper) != upper:
                raise PlanError(
                    "{column}: {name} stands under two names of the next level, {one} and {other}",
                    column=name,
                    name=lower,
                    one=above[level, lower],
                    other=upper,
                )


def _texts(
    name: str, values: Sequence[str | None], ordered: list[str], named: list[list[str]], *, tree: bool
) -> Domain:
    missing = int(any(value is None for value in values))
    number = {value: at + missing for at, value in enumerate(ordered)}
    codes = np.array([0 if value is None else number[value] for value in values], dtype=np.int64)
    return _domain(
        name, codes, [MISSING] * missing + ordered, named, positions=None, missing=missing, tree=tree
    )


def _domain(
    name: str,
    codes: NDArray[np.integer],
    labels: list[str],
    named: list[list[str]],
    *,
    positions: Floats | None,
    missing: int,
    tree: bool,
) -> Domain:
    size = len(labels)
    levels = [Level(np.arange(size + 1, dtype=np.int64), tuple(labels))]
    for names in named:
        full = [MISSING] * missing + names
        starts = [at for at in range(size) if at in (0, missing) or full[at] != full[at - 1]]
        levels.append(Level(np.array([*starts, size], dtype=np.int64), tuple(full[at] for at in starts)))
    levels.append(Level(np.array([0, size], dtype=np.int64), (ANYTHING,)))
    return Domain(name, codes.astype(np.int32), tuple(labels), positions, tuple(levels), tree, missing)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 2**53 else repr(float(value))
