"""The scorecard as an artefact: what it holds, how it is checked, how it scores."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from math import inf, isfinite, log
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tongzhou.errors import DataError, NotFoundError

from ._bins import Bins
from ._types import Floats, Ints, float_vector, same_length

__all__ = ["CardVariable", "Reason", "Scale", "Scorecard", "Values"]

Values = Mapping[str, float | None]
"""One applicant: a number for each variable of the card, None or NaN where missing."""

_BLOCK_ROWS = 16_384  # keeps a block of bins, points and totals in the processor's cache
_N = TypeVar("_N", int, float)
_S = TypeVar("_S", np.int64, np.float64)


class Scale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How points relate to odds: ``points = offset - factor * logit``, so that more points are safer.

    Args:
        pdo: points that double the odds of staying good.
        base_points: points at the base odds.
        base_odds: good customers for one bad at the base points.

    Raises:
        DataError: pdo or base odds not above zero.
    """

    pdo: float = 20.0
    base_points: float = 600.0
    base_odds: float = 20.0

    def __post_init__(self) -> None:
        for name in ("pdo", "base_odds"):
            value = getattr(self, name)
            if not (isfinite(value) and value > 0):
                raise DataError("{name} must be above 0, got {got}", name=name, got=value)
        if not isfinite(self.base_points):
            raise DataError("{name} must be a finite number", name="base_points")

    @property
    def factor(self) -> float:
        """Points per unit of log odds."""
        return self.pdo / log(2)

    @property
    def offset(self) -> float:
        """Points at even odds."""
        return self.base_points - self.factor * log(self.base_odds)


class Reason(msgspec.Struct, frozen=True):
    """Where an applicant stands on one variable and what that costs against the best bin.

    Args:
        variable: column name.
        owner: party that holds the column.
        bin: index of the bin.
        points: points given.
        points_lost: points below the best bin that has a value, zero or more.
        en: words in English.
        zh: words in Chinese.
    """

    variable: str
    owner: str
    bin: int
    points: int
    points_lost: int
    en: str
    zh: str


class CardVariable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One variable of a card. The lists have one value for each bin.

    Args:
        name: column name.
        owner: party that holds the column.
        bins: its bins.
        woe: weight of evidence of each bin.
        coefficient: of the weight of evidence in the logit; positive when the card is sound.
        points: whole points of each bin, the variable's share of the base included.
        meaning: what the variable means, in words, by language ("en", "zh").

    Raises:
        DataError: lists of another length than the bins, or numbers that are not finite.
    """

    name: str
    owner: str
    bins: Bins
    woe: tuple[float, ...]
    coefficient: float
    points: tuple[int, ...]
    meaning: dict[str, str] = {}

    def __post_init__(self) -> None:
        if self.name != self.bins.variable:
            raise DataError(
                "card variable {variable} holds the bins of {got}", variable=self.name, got=self.bins.variable
            )
        for field in ("woe", "points"):
            got = len(getattr(self, field))
            if got != self.bins.bin_count:
                raise DataError(
                    "card variable {variable}: {field} must have a value for each of {bins} bins, got {got}",
                    variable=self.name,
                    field=field,
                    bins=self.bins.bin_count,
                    got=got,
                )
        if not all(map(isfinite, (*self.woe, self.coefficient))):
            raise DataError("card variable {variable}: weights must be finite numbers", variable=self.name)

    def reasons(self) -> list[Reason]:
        """Return the standing of each bin. Missing is never the best: no one is asked to hide a value."""
        best = max(self.points[: self.bins.missing_bin])
        en, zh = (self.meaning.get(lang) or self.name for lang in ("en", "zh"))
        labels = zip(self.points, self.bins.labels("en"), self.bins.labels("zh"), strict=True)
        return [
            Reason(
                self.name,
                self.owner,
                index,
                points,
                max(best - points, 0),
                f"{en}: {label}",
                f"{zh}：{label_zh}",
            )
            for index, (points, label, label_zh) in enumerate(labels)
        ]


class _Lookup(NamedTuple):
    """What scoring one value of a variable needs, laid out for the shortest path."""

    name: str
    edges: tuple[float, ...]
    numeric: Sequence[Any]
    specials: Mapping[float, Any]
    missing: Any


class Scorecard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """A scorecard, complete: bins, weights, points, scale and where it came from.

    Args:
        name: of the card.
        version: of the card.
        variables: in the order in which their points are added.
        intercept: of the logit.
        scale: relation of points and odds.
        created: ISO 8601 time, or empty.
        provenance: run, data, code version and the like, as text.

    Raises:
        DataError: no variable, one name twice, or numbers that are not finite.
    """

    name: str
    version: str
    variables: tuple[CardVariable, ...]
    intercept: float
    scale: Scale
    created: str = ""
    provenance: dict[str, str] = {}

    def __post_init__(self) -> None:
        names = [variable.name for variable in self.variables]
        if not names:
            raise DataError("card {card} has no variable", card=self.name)
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise DataError("card {card} has the variable {variable} twice", card=self.name, variable=twice)
        if not isfinite(self.intercept):
            raise DataError("card {card}: the intercept must be a finite number", card=self.name)

    @property
    def inputs(self) -> list[str]:
        """Names of the columns that the card needs."""
        return [variable.name for variable in self.variables]

    def score(self, values: Values) -> int:
        """Return the points of one applicant; more is safer.

        Args:
            values: a number for each variable, None or NaN where missing; others are ignored.

        Raises:
            DataError: a variable is not given or is not a number.
        """
        return self._total(self._points, values, 0)

    def logit(self, values: Values) -> float:
        """Return the log odds of the event for one applicant; more is riskier. Errors as :meth:`score`."""
        return self._total(self._weights, values, self.intercept)

    def standing(self, values: Values) -> list[Reason]:
        """Return the applicant's standing on each variable, in the card's order. Errors as :meth:`score`."""
        return self._picked(self._reasons, values)

    def points_lost(self, values: Values) -> dict[str, int]:
        """Return points below the best bin, by variable. Errors as :meth:`score`."""
        return {reason.variable: reason.points_lost for reason in self.standing(values)}

    def reasons(self, values: Values, limit: int = 4) -> list[Reason]:
        """Return the variables that cost most points, the costliest first. Errors as :meth:`score`.

        Args:
            values: as for :meth:`score`.
            limit: most reasons; variables that cost nothing never appear.
        """
        return _costliest(self.standing(values), limit)

    def score_with_reasons(self, values: Values, limit: int = 4) -> tuple[int, list[Reason]]:
        """Return points and reasons of one applicant in a single pass. Errors as :meth:`score`."""
        standing = self.standing(values)
        return sum([reason.points for reason in standing]), _costliest(standing, limit)

    def score_table(self, columns: Mapping[str, ArrayLike]) -> Ints:
        """Return the points of n applicants, each equal to :meth:`score` of its row.

        Args:
            columns: n numbers for each variable, NaN where missing; other columns are ignored.

        Raises:
            DataError: a column is not given, is not numeric, or differs in length.
        """
        points = [np.array(variable.points, dtype=np.int64) for variable in self.variables]
        return self._add_up(columns, points, np.int64(0))

    def logit_table(self, columns: Mapping[str, ArrayLike]) -> Floats:
        """Return the log odds of n applicants, each equal to :meth:`logit` of its row. Errors as above."""
        weights = [np.array(_weights(variable), dtype=np.float64) for variable in self.variables]
        return self._add_up(columns, weights, np.float64(self.intercept))

    def part(self, owner: str) -> "Scorecard":
        """Return the card of one owner's variables. The points of all parts add up to the points of the card.

        The intercept of a part is zero: the logits of all parts and the card's intercept add up to the logit.

        Raises:
            NotFoundError: the owner has no variable here.
        """
        own = tuple(variable for variable in self.variables if variable.owner == owner)
        if not own:
            raise NotFoundError("card {card} has no variable of {owner}", card=self.name, owner=owner)
        return msgspec.structs.replace(self, variables=own, intercept=0.0)

    @cached_property
    def _points(self) -> list[_Lookup]:
        return [_lookup(variable, variable.points) for variable in self.variables]

    @cached_property
    def _weights(self) -> list[_Lookup]:
        return [_lookup(variable, _weights(variable)) for variable in self.variables]

    @cached_property
    def _reasons(self) -> list[_Lookup]:
        return [_lookup(variable, variable.reasons()) for variable in self.variables]

    def _total(self, lookups: list[_Lookup], values: Values, total: _N) -> _N:
        # The inner loop of serving: about 0.1 microseconds a variable. NaN is the number unequal to itself.
        try:
            for name, edges, numeric, specials, missing in lookups:
                value = values[name]
                if value is None or value != value:  # noqa: PLR0124
                    total += missing
                    continue
                value = value + 0.0  # whole numbers become the float64 of a column
                if specials and value in specials:
                    total += specials[value]
                else:
                    total += numeric[bisect_left(edges, value)]
        except (KeyError, TypeError, OverflowError) as error:
            raise self._why(values) from error
        return total

    def _picked(self, lookups: list[_Lookup], values: Values) -> list[Any]:
        picked: list[Any] = []
        try:
            for name, edges, numeric, specials, missing in lookups:
                value = values[name]
                if value is None or value != value:  # noqa: PLR0124
                    picked.append(missing)
                    continue
                value = value + 0.0
                picked.append(specials[value] if value in specials else numeric[bisect_left(edges, value)])
        except (KeyError, TypeError, OverflowError) as error:
            raise self._why(values) from error
        return picked

    def _why(self, values: Values) -> DataError:
        """Return the sentence for values that could not be scored."""
        for variable in self.variables:
            if variable.name not in values:
                return self._not_given(variable.name, values)
            try:
                variable.bins.assign_one(values[variable.name])
            except DataError as error:
                return error
        return DataError("card {card} cannot score these values", card=self.name)

    def _not_given(self, name: str, given: Mapping[str, object]) -> DataError:
        near = get_close_matches(name, [key for key in given if isinstance(key, str)], n=1)
        if near:
            return DataError(
                "card {card} needs {variable}, which was not given; is it {near}?",
                card=self.name,
                variable=name,
                near=near[0],
            )
        return DataError("card {card} needs {variable}, which was not given", card=self.name, variable=name)

    def _add_up(self, columns: Mapping[str, ArrayLike], per_bin: list[NDArray[_S]], start: _S) -> NDArray[_S]:
        given = [self._column(columns, variable.name) for variable in self.variables]
        for column, variable in zip(given, self.variables, strict=True):
            same_length(given[0].size, column.size, variable.name)
        totals: NDArray[_S] = np.full(given[0].size, start)
        for first in range(0, totals.size, _BLOCK_ROWS):
            rows = slice(first, first + _BLOCK_ROWS)
            for column, variable, amounts in zip(given, self.variables, per_bin, strict=True):
                totals[rows] += amounts[variable.bins.assign(column[rows])]
        return totals

    def _column(self, columns: Mapping[str, ArrayLike], name: str) -> Floats:
        if name not in columns:
            raise self._not_given(name, columns)
        return float_vector(columns[name], name)


def _weights(variable: CardVariable) -> list[float]:
    return [variable.coefficient * woe for woe in variable.woe]


def _lookup(variable: CardVariable, per_bin: Sequence[Any]) -> _Lookup:
    bins = variable.bins
    return _Lookup(
        name=variable.name,
        edges=bins.edges or (inf,),  # never empty, so that the search refuses text even with a single bin
        numeric=tuple(per_bin[: bins.numeric_count]),
        specials=dict(zip(bins.specials, per_bin[bins.numeric_count :], strict=False)),
        missing=per_bin[bins.missing_bin],
    )


def _costliest(standing: list[Reason], limit: int) -> list[Reason]:
    # Sorting keeps the card's order among equals, so that the same applicant always reads the same reasons.
    costly = [reason for reason in standing if reason.points_lost]
    costly.sort(key=_points_lost, reverse=True)
    return costly[:limit]


def _points_lost(reason: Reason) -> int:
    return reason.points_lost
