"""What one owner brings to statistics: its columns, categories and conditions, made into rows of ring words.

All of this is the owner's own arithmetic. What leaves it goes through `tongzhou.secure.cells`, hidden.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError
from tongzhou.parties.names import near_name
from tongzhou.secure.answered import History
from tongzhou.secure.party import Role
from tongzhou.secure.ring import Reals, Words
from tongzhou.secure.statistic_requests import Condition, owner_of

__all__ = ["OwnerSide", "StatisticsInput", "scaled_to_integers"]

Flags = NDArray[np.bool_]
Codes = NDArray[np.signedinteger]


@dataclass(frozen=True)
class StatisticsInput:
    """One owner's columns, over the matched rows in the agreed order.

    Attributes:
        columns: numbers by name, ``(n,)`` each; NaN where missing.
        categories: codes by name, ``(n,)`` each; -1 for rows in no group.
        rows: identifiers of the rows, the same texts at both owners; needed with a history.
        history: this owner's record of what was answered under the same grant; both owners bring one, or
            neither.
    """

    columns: Mapping[str, Reals] = field(default_factory=dict)
    categories: Mapping[str, Codes] = field(default_factory=dict)
    rows: Sequence[str] | None = None
    history: History | None = None


@dataclass(frozen=True)
class OwnerSide:
    """An owner's part of every request.

    Attributes:
        role: the owner.
        data: what it brings.
        rows: number of matched rows n.
        sizes: number of groups of each category, by ``owner.name``.
    """

    role: Role
    data: StatisticsInput
    rows: int
    sizes: Mapping[str, int]

    def sets(self, conditions: Sequence[Condition], category: str | None = None) -> Flags:
        """The groups of this owner, ``(k, n)``: one for each code of its category, or one without a category.

        Conditions and categories of the other owner are left out.
        """
        within = np.ones(self.rows, dtype=np.bool_)
        for condition in conditions:
            if owner_of(condition.column)[0] == self.role:
                within &= self._fulfilled(condition)
        if category is None:
            return within[None, :]
        codes, size = self._codes(category), self.sizes[category]
        if codes.size and not -1 <= int(codes.min()) <= int(codes.max()) < size:
            raise DataError(
                "category {category} has codes that are not among its {size} groups",
                category=category,
                size=size,
            )
        groups: Flags = (codes == np.arange(size)[:, None]) & within
        return groups

    def column(self, name: str, within: Flags) -> Reals:
        """A column of numbers, 0 outside the given rows ``(n,)``.

        Raises:
            DataError: no such column, another length, or a value that is missing or not finite in those rows.
        """
        _, own = owner_of(name)
        values = self._found(own, self.data.columns, name)
        if not bool(np.isfinite(values[within]).all()):
            raise DataError(
                "column {column} has missing or infinite values among the rows of a statistic; add a "
                "condition that leaves them out",
                column=name,
            )
        return np.where(within, values, 0.0)

    def _fulfilled(self, condition: Condition) -> Flags:
        _, own = owner_of(condition.column)
        table: Mapping[str, NDArray[np.generic]] = self.data.columns
        if own not in table and own in self.data.categories:
            table = self.data.categories
        values = self._found(own, table, condition.column).astype(np.float64)
        within = ~np.isnan(values)
        if condition.least is not None:
            within &= values >= condition.least
        if condition.below is not None:
            within &= values < condition.below
        return within

    def _codes(self, category: str) -> Codes:
        return self._found(owner_of(category)[1], self.data.categories, category)

    def _found(self, own: str, table: Mapping[str, NDArray[np.generic]], name: str) -> NDArray[Any]:
        if own not in table:
            near = near_name(own, table)
            if near is None:
                raise DataError("there is no column {column}", column=name)
            raise DataError(
                "there is no column {column}; did you mean {near}?", column=name, near=f"{self.role}.{near}"
            )
        values = table[own]
        if values.shape != (self.rows,):
            raise DataError(
                "column {column} has {got} values; there are {rows} matched rows",
                column=name,
                got=values.size,
                rows=self.rows,
            )
        return values


def scaled_to_integers(values: Reals, decimals: int, *, bits: int, column: str) -> Words:
    """Numbers as whole multiples of ``10^-decimals``, rounded to the nearest, as ring words.

    Args:
        values: ``(n,)`` finite numbers.
        decimals: decimal places.
        bits: the sum of absolute values must stay below 2^bits, so that no sum wraps.
        column: its name, for the sentence.

    Raises:
        DataError: the column is too large for so many decimals.
    """
    scaled = np.rint(values * 10.0**decimals)
    if float(np.abs(scaled).sum()) >= 2.0**bits:
        raise DataError(
            "column {column} is too large to sum to {decimals} decimals; ask for fewer, or use a larger unit",
            column=column,
            decimals=decimals,
        )
    return scaled.astype(np.int64).view(np.uint64)
