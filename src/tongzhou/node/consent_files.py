"""Consents from a file: one row for each signed form, checked whole before any is kept."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from tongzhou.data.columns import text_column
from tongzhou.data.identifiers import normalise
from tongzhou.data.tables import read_table
from tongzhou.errors import DataError
from tongzhou.parties.consents import Consent, ConsentUse, check_consent
from tongzhou.parties.names import near_name

__all__ = ["read_consents"]

_COLUMNS = ("document", "valid_from", "valid_until")


def read_consents(path: Path, use: ConsentUse, *, identifier: str, kind: str) -> list[Consent]:
    """Consents of one purpose, user and source.

    Args:
        path: CSV or Parquet with the columns ``document`` (SHA-256 of the signed form), ``valid_from`` and
            ``valid_until`` (days or times in UTC), and one of identifiers.
        use: what all of them are for.
        identifier: name of the column of identifiers.
        kind: their normal form, as the table that they belong to has it.

    Raises:
        NotFoundError: there is no such file.
        DataError: there are no rows, a column is missing, or a row is malformed; the sentence names file, row
            and field.
    """
    table = read_table(path)
    for column in (identifier, *_COLUMNS):
        if column not in table.column_names:
            raise _no_column(path, column, table.column_names)
    if table.num_rows == 0:
        raise DataError("{file} must have a row for each signed form, got none", file=path)
    identifiers = normalise(text_column(table, identifier), kind)
    return [check_consent(one, f"{path}, row {row}") for row, one in _rows(table, identifiers, use)]


def _rows(table: pa.Table, identifiers: list[str], use: ConsentUse) -> Iterator[tuple[int, Consent]]:
    columns = [_words(table, name) for name in _COLUMNS]
    for row, (person, *fields) in enumerate(zip(identifiers, *columns, strict=True), start=1):
        document, start, end = ("" if value is None else value.strip() for value in fields)
        yield (
            row,
            Consent(
                identifier=person,
                purpose=use.purpose,
                user=use.user,
                source=use.source,
                document=document,
                valid_from=start,
                valid_until=end,
            ),
        )


def _words(table: pa.Table, name: str) -> list[str | None]:
    """A column as text; days and times in the form that they are written in."""
    column = table.column(name)
    if pa.types.is_timestamp(column.type):
        return list(pc.strftime(column, "%Y-%m-%dT%H:%M:%SZ").to_pylist())
    return list(column.cast(pa.string()).to_pylist())


def _no_column(path: Path, column: str, known: list[str]) -> DataError:
    near = near_name(column, known)
    if near is not None:
        return DataError(
            "{file} has no column {column}; did you mean {near}?", file=path, column=column, near=near
        )
    return DataError("{file} has no column {column}", file=path, column=column)
