"""Bins of one variable: where they begin and end, and which bin a value falls into."""

from bisect import bisect_left
from itertools import pairwise
from math import inf, isfinite
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tongzhou.errors import DataError
from tongzhou.i18n import translator

from ._types import Floats, float_vector, same_length

__all__ = ["Bins"]

# Up to this many cut points, counting the cut points below each value beats a binary search: comparing a
# block that stays in the cache costs 0.3 ns for each cut point, a search with its mispredicted steps 30 ns a
# value. The count is kept in int8, so this may never exceed 127.
_COUNTING_EDGES_MAX = 64
_BLOCK_ROWS = 8192


class Bins(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bins of one variable, in this order: numeric bins, one bin for each special value, missing.

    Numeric bin ``i`` holds ``edges[i-1] < value <= edges[i]``; the first and the last are open.
    Minus and plus infinity fall into the first and the last numeric bin.

    Args:
        variable: column name.
        edges: inner cut points, finite, ascending; k of them make k + 1 numeric bins.
        specials: values with a meaning of their own ("-2: no consumption"), a bin each.

    Raises:
        DataError: edges do not ascend, or a special value occurs twice or is not finite.
    """

    variable: str
    edges: tuple[float, ...] = ()
    specials: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not all(map(isfinite, self.edges)) or any(a >= b for a, b in pairwise(self.edges)):
            raise DataError(
                "bins of {variable}: cut points must be finite and ascend, each above the one before",
                variable=self.variable,
            )
        if not all(map(isfinite, self.specials)) or len(set(self.specials)) != len(self.specials):
            raise DataError(
                "bins of {variable}: special values must be finite and each stated once",
                variable=self.variable,
            )

    @property
    def numeric_count(self) -> int:
        """Number of numeric bins."""
        return len(self.edges) + 1

    @property
    def missing_bin(self) -> int:
        """Index of the bin of missing values, always the last."""
        return len(self.edges) + 1 + len(self.specials)

    @property
    def bin_count(self) -> int:
        """Number of bins: numeric, special and missing."""
        return self.missing_bin + 1

    def assign(self, values: ArrayLike) -> NDArray[np.int16]:
        """Return the bin of each value.

        Args:
            values: n numbers, NaN where missing.

        Returns:
            int16[n], each from 0 to ``bin_count - 1``.

        Raises:
            DataError: not one column of numbers.
        """
        column = float_vector(values, self.variable)
        bins = np.empty(column.size, dtype=np.int16)
        for start in range(0, column.size, _BLOCK_ROWS):
            block = slice(start, start + _BLOCK_ROWS)
            self._assign_block(column[block], bins[block])
        return bins

    def _assign_block(self, values: Floats, out: NDArray[np.int16]) -> None:
        if len(self.edges) > _COUNTING_EDGES_MAX:
            out[:] = np.searchsorted(np.array(self.edges), values, side="left")
        else:
            below = np.zeros(values.size, dtype=np.int8)
            for edge in self.edges:
                below += values > edge
            out[:] = below
        for position, special in enumerate(self.specials, start=self.numeric_count):
            out[values == special] = position
        out[np.isnan(values)] = self.missing_bin

    def assign_one(self, value: float | None) -> int:
        """Return the bin of one value; ``None`` and NaN are missing. Equal to :meth:`assign` on each value.

        Raises:
            DataError: the value is not a number.
        """
        if value is None:
            return self.missing_bin
        try:
            # Adding 0.0 makes whole numbers and booleans the float64 that the column form would hold.
            number = value + 0.0
            if number != number:  # noqa: PLR0124 - the NaN test without a call
                return self.missing_bin
            if number in self.specials:
                return self.numeric_count + self.specials.index(number)
            return bisect_left(self.edges or (inf,), number)
        except (TypeError, OverflowError) as error:
            raise not_a_number(self.variable, value) from error

    def count(self, values: ArrayLike, events: ArrayLike | None = None) -> NDArray[np.int64]:
        """Return rows per bin, or events per bin when ``events`` (0/1 per row) is given."""
        bins = self.assign(values)
        if events is None:
            return np.bincount(bins, minlength=self.bin_count).astype(np.int64)
        flags = float_vector(events, "events")
        same_length(bins.size, flags.size, "events")
        return np.rint(np.bincount(bins, weights=flags, minlength=self.bin_count)).astype(np.int64)

    def labels(self, lang: str = "en") -> list[str]:
        """Return a short name of each bin in the given language ("en" or "zh")."""
        word = translator(lang, "risk")
        if not self.edges:
            names = [word("any value")]
        else:
            inner = [f"({_number(a)}, {_number(b)}]" for a, b in pairwise(self.edges)]
            names = [f"≤ {_number(self.edges[0])}", *inner, f"> {_number(self.edges[-1])}"]
        return [*names, *(f"= {_number(value)}" for value in self.specials), word("missing")]


def not_a_number(variable: str, value: Any) -> DataError:
    """Return the error for a value that is no number; its type is named, never the value."""
    return DataError(
        "{variable} must be a number or missing, got a value of type {got}",
        variable=variable,
        got=type(value).__name__,
    )


def _number(value: float) -> str:
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.6g}"
