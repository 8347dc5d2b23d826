"""Single columns as NumPy arrays, checked on the way out.

Rows are counted from 1 under the header, in sentences as well as in findings. A value never enters a
sentence: its row, type and length do.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tongzhou.data._arrow import EXACT_LIMIT, Column, as_float, column_of, compute, is_number_text, type_word
from tongzhou.errors import DataError

__all__ = ["label_column", "numeric_column", "text_column"]


def numeric_column(table: pa.Table, name: str) -> NDArray[np.float64]:
    """Column `name` as numbers.

    Args:
        table: any table.
        name: a column of numbers or of yes/no values (1 and 0).

    Returns:
        float64[rows]; NaN where the value is missing.

    Raises:
        DataError: no such column, not numbers, an infinite value, or an integer too large to be exact.
    """
    column = column_of(table, name)
    if type_word(column.type) not in {"number", "yes/no"}:
        raise _not_numbers(column, name)
    values = as_float(column)
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        raise DataError(
            "column {column}, row {row}: must be a finite number or missing, got an infinite one",
            column=name,
            row=int(infinite[0]) + 1,
        )
    if pa.types.is_integer(column.type):
        large = np.flatnonzero(np.abs(values) > EXACT_LIMIT)
        if large.size:
            raise DataError(
                "column {column}, row {row}: a whole number must lie within ±2^53 to stay exact, "
                "got a larger one; an identifier belongs in a text column",
                column=name,
                row=int(large[0]) + 1,
            )
    return values


def label_column(table: pa.Table, name: str) -> NDArray[np.int8]:
    """Column `name` as the outcome to predict.

    Args:
        table: any table.
        name: a column holding 0 (good) or 1 (bad) in every row; yes/no values count as 1 and 0.

    Returns:
        int8[rows] of 0 and 1.

    Raises:
        DataError: no such column, not numbers, a missing value, or a value other than 0 and 1.
    """
    values = numeric_column(table, name)
    wrong = np.flatnonzero(~((values == 0) | (values == 1)))
    if wrong.size:
        first = int(wrong[0])
        if np.isnan(values[first]):
            template = "label {column}, row {row}: must be 0 or 1, got a missing value"
        else:
            template = "label {column}, row {row}: must be 0 or 1, got another number"
        raise DataError(template, column=name, row=first + 1)
    return values.astype(np.int8)


def text_column(table: pa.Table, name: str) -> list[str | int | None]:
    """Column `name` as identifiers, ready for `identifiers.normalise`.

    Args:
        table: any table.
        name: a column of text or of whole numbers.

    Returns:
        One text or whole number for each row; ``None`` where it is missing.

    Raises:
        DataError: no such column, or it holds something else.
    """
    column = column_of(table, name)
    kind = column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)):
        raise DataError(
            "identifier {column}: must be text or whole numbers, got a column of type {got}",
            column=name,
            got=type_word(kind) if type_word(kind) != "number" else str(kind),
        )
    values: list[str | int | None] = column.to_pylist()
    return values


def _not_numbers(column: Column, name: str) -> DataError:
    got = type_word(column.type)
    if got == "text":
        row, length = _first_text_that_is_no_number(column)
        if row:
            return DataError(
                "column {column}, row {row}: must be a number, got text of length {length}",
                column=name,
                row=row,
                length=length,
            )
    return DataError("column {column}: must hold numbers, got a column of type {got}", column=name, got=got)


def _first_text_that_is_no_number(column: Column) -> tuple[int, int]:
    """Row (from 1) and length of the first text that is not a number; ``(0, 0)`` when all are numbers."""
    is_number = compute.fill_null(is_number_text(column), True)
    row = compute.index(is_number, False).as_py()
    return (0, 0) if row < 0 else (row + 1, len(column[row].as_py()))
