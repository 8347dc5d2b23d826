"""What the modules of this room share: Arrow columns and the words that sentences use about them."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from tongzhou.errors import DataError

__all__ = [
    "EXACT_LIMIT",
    "Column",
    "as_float",
    "column_of",
    "compute",
    "is_number_text",
    "listed",
    "near_name",
    "type_word",
]

Column: TypeAlias = "pa.ChunkedArray[Any]"

# The type stubs of Arrow's functions know arrays but not chunked columns.
compute: Any = pyarrow.compute

EXACT_LIMIT = 2**53
"""Beyond it float64 no longer tells neighbouring whole numbers apart."""

_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"

_NAMES_SHOWN = 12  # a sentence that lists forty columns is not read


def near_name(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that looks most like `name`, or ``None`` when nothing comes close."""
    by_folded = {candidate.casefold(): candidate for candidate in candidates}
    close = difflib.get_close_matches(name.casefold(), by_folded, n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def listed(names: Sequence[str]) -> str:
    """Names joined for a sentence, cut after a dozen."""
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown}, …" if len(names) > _NAMES_SHOWN else shown


def column_of(table: pa.Table, name: str) -> Column:
    """The column `name`, or a `DataError` with the nearest name."""
    if name in table.column_names:
        return table.column(name)
    near = near_name(name, table.column_names)
    if near is not None:
        raise DataError("there is no column {column}; did you mean {near}?", column=name, near=near)
    raise DataError(
        "there is no column {column}; the table has {columns}",
        column=name,
        columns=listed(table.column_names),
    )


def type_word(kind: pa.DataType) -> str:
    """One plain word for an Arrow type: number, text, date, time, yes/no, or the type's own name."""
    tests = (
        (pa.types.is_boolean, "yes/no"),
        (pa.types.is_integer, "number"),
        (pa.types.is_floating, "number"),
        (pa.types.is_decimal, "number"),
        (pa.types.is_null, "number"),
        (pa.types.is_string, "text"),
        (pa.types.is_large_string, "text"),
        (pa.types.is_date, "date"),
        (pa.types.is_timestamp, "time"),
    )
    return next((word for test, word in tests if test(kind)), str(kind))


def as_float(column: Column) -> NDArray[np.float64]:
    """A column of numbers or yes/no values as float64, NaN where a value is missing."""
    if pa.types.is_boolean(column.type):
        column = compute.cast(column, pa.int8())
    # safe=False: whole numbers over 2^53 are looked for by the caller, who can name the row
    floats = compute.cast(column, pa.float64(), safe=False)
    return np.asarray(compute.fill_null(floats, float("nan")).to_numpy(), dtype=np.float64)


def is_number_text(column: Column) -> Column:
    """For each text whether it reads as a number; null where the text is missing."""
    flags: Column = compute.match_substring_regex(column, _NUMBER)
    return flags
