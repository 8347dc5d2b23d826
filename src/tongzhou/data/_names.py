"""How the sentences of this room point at a name the reader may have meant."""

import difflib
from collections.abc import Iterable, Sequence

import pyarrow as pa

from tongzhou.errors import DataError

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


def missing_column(table: pa.Table, name: str) -> DataError:
    """The error that says `table` has no column `name`, with a hint."""
    near = near_name(name, table.column_names)
    if near is not None:
        return DataError("there is no column {column}; did you mean {near}?", column=name, near=near)
    return DataError(
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
