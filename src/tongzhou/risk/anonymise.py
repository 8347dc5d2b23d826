"""Publishing rows so that nobody is told apart: the table cut into classes that look alike.

Two ways. *Mondrian* cuts the table anew in each part of it, which keeps more detail. *Full domain* writes a
whole column at one level, which reads better and may leave out rows that would force every other one to be
coarser.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ._types import Ints
from .anonymise_criteria import Sensitive
from .anonymise_domains import Domain

__all__ = ["Classes", "Request", "classes_of"]

Codes = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Request:
    """What shall be published, and under which conditions.

    Attributes:
        quasi: columns that somebody may know of a person: they are generalised.
        sensitive: columns that nobody shall learn of a person, with their conditions.
        k: least rows of a class.
        suppression: largest share of the rows that may be left out, from 0 to 1; full domain only.
    """

    quasi: tuple[Domain, ...]
    sensitive: tuple[Sensitive, ...]
    k: int
    suppression: float = 0.0

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return int(self.quasi[0].codes.size)


@dataclass(frozen=True, slots=True)
class Classes:
    """The table cut into classes.

    Attributes:
        of: int32[rows]; class of each row, -1 for a row left out.
        low: int32[columns, classes]; first value that the class covers in each quasi-identifying column.
        high: int32[columns, classes]; last value.
        levels: the level of each column, full domain only.
    """

    of: Codes
    low: Codes
    high: Codes
    levels: tuple[int, ...] | None = None

    @property
    def sizes(self) -> Ints:
        """Rows of each class."""
        return np.bincount(self.of[self.of >= 0], minlength=self.low.shape[1])

    @property
    def suppressed(self) -> int:
        """Rows left out."""
        return int(np.count_nonzero(self.of < 0))

    def labels(self, quasi: Sequence[Domain]) -> list[list[str]]:
        """What is published for each class, column by column."""
        return [
            [
                domain.label(int(low), int(high), None if self.levels is None else self.levels[at])
                for low, high in zip(self.low[at], self.high[at], strict=True)
            ]
            for at, domain in enumerate(quasi)
        ]


def classes_of(columns: Sequence[NDArray[np.integer]]) -> tuple[Ints, int]:
    """Number the different rows of some columns.

    Args:
        columns: int[rows] each, from 0.

    Returns:
        int64[rows], the number of each row's combination in the order of its values; and how many there are.
    """
    ids = np.zeros(columns[0].size, dtype=np.int64)
    groups = 1
    for column in columns:
        # one column at a time, numbered anew after each, so that no product of sizes overflows
        width = int(column.max(initial=0)) + 1
        distinct, ids = np.unique(ids * width + column, return_inverse=True)
        groups = distinct.size
    return ids, groups
