"""What a table holds (`profile`) and what is wrong with it (`check`)."""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tongzhou.data._arrow import EXACT_LIMIT, Column, as_float, column_of, compute, is_number_text, type_word
from tongzhou.data.columns import text_column
from tongzhou.data.findings import Finding
from tongzhou.data.identifiers import check_identifiers

__all__ = ["QUANTILES", "ColumnProfile", "TableProfile", "ValueCount", "check", "profile"]

QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""Which quantiles a profile gives of a column of numbers."""

_VALUES_LISTED_MAX = 16  # a column of more distinct values is described by its quantiles, not by its values
_MIXED_SHARE = 0.5  # text of which this share reads as numbers was meant to be numbers


class ValueCount(msgspec.Struct, frozen=True):
    """One value of a column, as text, and how many rows hold it."""

    value: str
    rows: int


class ColumnProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One column described.

    Attributes:
        name: of the column.
        type: ``number``, ``text``, ``date``, ``time`` or ``yes/no``.
        missing: rows without a value; in a column of floats NaN counts as missing.
        distinct: different values, the missing one not counted.
        minimum, maximum, mean: of the finite numbers; ``None`` for other types or without any.
        quantiles: of the finite numbers at `QUANTILES`, by linear interpolation; empty for other types.
        top: all values with their counts, most frequent first, when there are few of them and they repeat.
    """

    name: str
    type: str
    missing: int
    distinct: int
    minimum: float | None = None
    maximum: float | None = None
    mean: float | None = None
    quantiles: list[float] = []
    top: list[ValueCount] = []


class TableProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One table described: its number of rows and each of its columns in order."""

    rows: int
    columns: list[ColumnProfile]


def profile(table: pa.Table) -> TableProfile:
    """Describe every column of `table`.

    The profile shows values of the table (minima, frequent values). It is for the owner's eyes.

    Args:
        table: any table as `tables.read_table` gives it.

    Returns:
        Counts, ranges and frequent values.
    """
    columns = [_profile_column(name, table.column(name)) for name in table.column_names]
    return TableProfile(rows=table.num_rows, columns=columns)


def check(
    table: pa.Table,
    identifier: str,
    label: str | None = None,
    columns: Sequence[str] | None = None,
    *,
    kind: str = "text",
) -> list[Finding]:
    """Find what would spoil a job on `table`, over all rows and columns.

    Args:
        table: the owner's table.
        identifier: the column that names the person or firm of each row.
        label: the column that holds 0 or 1, where the owner has one.
        columns: the columns a job would use; all others of the table when not given.
        kind: of the identifier, one of `identifiers.KINDS`.

    Returns:
        Findings, the errors first; empty when there is nothing to say.

    Raises:
        DataError: a named column does not exist, the identifier is neither text nor whole numbers, or its
            kind is unknown.
    """
    chosen = list(columns) if columns is not None else list(table.column_names)
    names = [name for name in dict.fromkeys(chosen) if name not in {identifier, label}]
    for name in [identifier, *([label] if label is not None else []), *names]:
        column_of(table, name)
    if table.num_rows == 0:
        return [_error("table-empty", "the table must have rows, got none")]
    findings = check_identifiers(text_column(table, identifier), kind, identifier)
    if label is not None:
        findings += _check_label(label, table.column(label))
    for name in names:
        findings += _check_column(name, table.column(name), chosen=columns is not None)
    return sorted(findings, key=lambda finding: finding.severity != "error")


def _profile_column(name: str, column: Column) -> ColumnProfile:
    column = _without_nan(column)
    present = column.drop_null()
    distinct = compute.count_distinct(present).as_py()
    kind = type_word(column.type)
    top: list[ValueCount] = []
    if 0 < distinct <= _VALUES_LISTED_MAX and distinct < len(present):
        top = _value_counts(present)
    described = ColumnProfile(name=name, type=kind, missing=column.null_count, distinct=distinct, top=top)
    if kind != "number":
        return described
    numbers = as_float(present)
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        return described
    return msgspec.structs.replace(
        described,
        minimum=float(numbers.min()),
        maximum=float(numbers.max()),
        mean=float(numbers.mean()),
        quantiles=[float(value) for value in np.quantile(numbers, QUANTILES)],
    )


def _value_counts(present: Column) -> list[ValueCount]:
    counts = [
        (str(entry["values"]), int(entry["counts"])) for entry in compute.value_counts(present).to_pylist()
    ]
    return [
        ValueCount(value, rows) for value, rows in sorted(counts, key=lambda entry: (-entry[1], entry[0]))
    ]


def _without_nan(column: Column) -> Column:
    if not pa.types.is_floating(column.type):
        return column
    cleaned: Column = compute.if_else(compute.is_nan(column), pa.scalar(None, column.type), column)
    return cleaned


def _check_label(name: str, column: Column) -> Iterator[Finding]:
    kind = type_word(column.type)
    if kind not in {"number", "yes/no"}:
        yield _error(
            "label-type",
            "label {column}: must hold 0 or 1, got a column of type {got}",
            column=name,
            got=kind,
        )
        return
    values = as_float(column)
    missing = np.flatnonzero(np.isnan(values))
    if missing.size:
        yield _rows_error(
            "label-missing",
            "label {column}: every row must have 0 or 1; rows without: {rows}, first row {row}",
            name,
            missing,
        )
    other = np.flatnonzero(~((values == 0) | (values == 1) | np.isnan(values)))
    if other.size:
        yield _rows_error(
            "label-not-binary",
            "label {column}: must be 0 or 1; rows with other numbers: {rows}, first row {row}",
            name,
            other,
        )
    elif missing.size < values.size and np.unique(values[~np.isnan(values)]).size == 1:
        yield _error(
            "label-one-class",
            "label {column}: must hold both 0 and 1, got {got} in every row",
            column=name,
            got=int(np.nanmax(values)),
        )


def _check_column(name: str, column: Column, *, chosen: bool) -> Iterator[Finding]:
    column = _without_nan(column)
    present = column.drop_null()
    kind = type_word(column.type)
    if len(present) == 0:
        yield _error(
            "column-all-missing", "column {column}: must have values, got none in any row", column=name
        )
        return
    if kind == "number":
        yield from _check_numbers(name, column)
    elif kind == "text" and _reads_mostly_as_numbers(present):
        yield _rows_error(
            "column-mixed",
            "column {column}: must hold numbers in every row; rows with text: {rows}, first row {row}",
            name,
            _rows(compute.invert(compute.fill_null(is_number_text(column), True))),
        )
    elif kind != "yes/no":
        # A table may hold names and dates that no job uses; only a chosen column must be numbers.
        template = "column {column}: must hold numbers, got a column of type {got}"
        finding = _error("column-type", template, column=name, got=kind)
        yield finding if chosen else msgspec.structs.replace(finding, severity="warning")
    if compute.count_distinct(present).as_py() == 1:
        yield _constant(name, column)


def _reads_mostly_as_numbers(present: Column) -> bool:
    numbers = compute.sum(is_number_text(present).cast(pa.int64())).as_py()
    return bool(_MIXED_SHARE * len(present) <= numbers < len(present))


def _check_numbers(name: str, column: Column) -> Iterator[Finding]:
    values = as_float(column)
    infinite = np.flatnonzero(np.isinf(values))
    if infinite.size:
        template = "column {column}: numbers must be finite; rows with infinite ones: {rows}, first row {row}"
        yield _rows_error("column-infinite", template, name, infinite)
    if not pa.types.is_integer(column.type):
        return
    large = np.flatnonzero(np.abs(values) > EXACT_LIMIT)
    if large.size:
        template = (
            "column {column}: whole numbers must lie within ±2^53 to stay exact; "
            "rows with larger ones: {rows}, first row {row}"
        )
        yield _rows_error("column-inexact", template, name, large)


def _constant(name: str, column: Column) -> Finding:
    if column.null_count:
        template = "column {column}: must vary to be of use, got the same value in every row that has one"
    else:
        template = "column {column}: must vary to be of use, got the same value in every row"
    return Finding(
        rule="column-constant", severity="warning", template=template, values={"column": name}, column=name
    )


def _rows(flags: Column) -> NDArray[np.int64]:
    return np.flatnonzero(np.asarray(flags.to_numpy(), dtype=np.bool_))


def _rows_error(rule: str, template: str, column: str, rows: NDArray[np.int64]) -> Finding:
    first, count = int(rows[0]) + 1, int(rows.size)
    return Finding(
        rule=rule,
        severity="error",
        template=template,
        values={"column": column, "rows": count, "row": first},
        column=column,
        row=first,
        rows=count,
    )


def _error(rule: str, template: str, **values: str | int) -> Finding:
    column = values.get("column")
    return Finding(
        rule=rule,
        severity="error",
        template=template,
        values=values,
        column=column if isinstance(column, str) else None,
    )
