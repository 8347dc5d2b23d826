"""CSV files in detail: encoding, separator, rows of the wrong length, and the types of columns."""

import io
import re
from pathlib import Path
from typing import Literal

import pyarrow as pa
from pyarrow import csv

from tongzhou.data._arrow import Column, compute
from tongzhou.errors import DataError

__all__ = ["MISSING_WORDS", "read_csv"]

MISSING_WORDS = ("", "NA", "N/A", "#N/A", "NaN", "nan", "NULL", "null", "None", "\\N")

_UTF8_MARK = b"\xef\xbb\xbf"
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UTF8_LEADS = re.compile(rb"[\xc2-\xf4]")
_UTF8_CHARACTERS_SURE = 4
_SEPARATORS = ",;\t"
_ROWS_NAMED_MAX = 10  # of rows that are wrong in the same way
_EXACT_DIGITS = 15  # whole numbers of more digits are identifiers: float64 would blur them
_IDENTIFIER = rf"^[+-]?(0\d|\d{{{_EXACT_DIGITS + 1},}}$)"
_CANDIDATES = (pa.int64(), pa.float64(), pa.date32(), pa.timestamp("s"))


def read_csv(path: Path) -> pa.Table:
    """Read the CSV file at `path`; see `tables.read_table` for what is accepted and raised."""
    text = _as_utf8(path.read_bytes(), path)
    if not text.strip():
        raise DataError("{file} must be a table with a header line, got an empty file", file=path)
    _check_quotes(text, path)
    table = _parse(text, path)
    return pa.table(
        [_typed(column) for column in table.columns], names=[name.strip() for name in table.column_names]
    )


def _as_utf8(content: bytes, path: Path) -> bytes:
    if content.startswith(_UTF16_MARKS):
        raise DataError("{file} must be UTF-8 or GB18030, got UTF-16; save it as CSV UTF-8", file=path)
    if b"\0" in content:
        raise DataError("{file} must be CSV or Parquet, got a binary file", file=path)
    try:
        # decode only to check: Arrow reads the bytes themselves
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        start = content[: error.start]
        # GB18030 text is not UTF-8 by accident over four characters: this file is UTF-8 and damaged.
        if start.startswith(_UTF8_MARK) or len(_UTF8_LEADS.findall(start)) >= _UTF8_CHARACTERS_SURE:
            raise _no_encoding(content, error.start, path) from error
        # GB18030 is the mandatory Chinese encoding and holds GBK and GB2312, so one attempt covers all three.
        return _from_gb18030(content, path)
    return content.removeprefix(_UTF8_MARK)


def _from_gb18030(content: bytes, path: Path) -> bytes:
    try:
        return content.decode("gb18030").encode("utf-8")
    except UnicodeDecodeError as error:
        raise _no_encoding(content, error.start, path) from error


def _no_encoding(content: bytes, position: int, path: Path) -> DataError:
    return DataError(
        "{file}, line {line}: text must be UTF-8 or GB18030, got bytes that are neither",
        file=path,
        line=content.count(b"\n", 0, position) + 1,
    )


def _check_quotes(text: bytes, path: Path) -> None:
    """Refuse an unclosed quotation mark: it would swallow the rest of the file without a word."""
    if text.count(b'"') % 2 == 0:
        return
    # An odd number in all: the last line with an odd number opens what nothing closes.
    lines = enumerate(text.split(b"\n"), start=1)
    opened = max(line for line, row in lines if row.count(b'"') % 2)
    raise DataError(
        "{file}, line {line}: a quotation mark is opened and never closed", file=path, line=opened
    )


def _separator(text: bytes) -> str:
    """The separator that the header line uses most, quoted parts aside; the comma when it uses none."""
    header = re.split(rb"[\r\n]", text.lstrip(), maxsplit=1)[0]
    bare = re.sub(rb'"[^"]*"', b"", header)
    return max(_SEPARATORS, key=lambda separator: bare.count(separator.encode()))


class _Ragged:
    """Rows that have not as many fields as the header: all are counted, the first ones kept."""

    def __init__(self) -> None:
        self.count = 0
        self.rows: list[csv.InvalidRow] = []

    def note(self, row: csv.InvalidRow) -> Literal["skip", "error"]:
        """Count a row and let Arrow read on: who mends a file wants to know all of them."""
        self.count += 1
        if len(self.rows) < _ROWS_NAMED_MAX:
            self.rows.append(row)
        return "skip"

    def error(self, path: Path) -> DataError:
        # Arrow counts the header line too.
        found = [((row.number or 1) - 1, row.actual_columns) for row in self.rows]
        expected = self.rows[0].expected_columns
        if self.count == 1:
            return DataError(
                "{file}, row {row}: must have {expected} fields like the header, got {got}",
                file=path,
                row=found[0][0],
                expected=expected,
                got=found[0][1],
            )
        more = ", …" if self.count > len(found) else ""
        return DataError(
            "{file}: every row must have {expected} fields like the header; rows with another number: "
            "{count}, namely (fields in brackets) {rows}",
            file=path,
            expected=expected,
            count=self.count,
            rows=", ".join(f"{row} ({fields})" for row, fields in found) + more,
        )


def _parse(text: bytes, path: Path) -> pa.Table:
    ragged, separator = _Ragged(), _separator(text)
    parse = csv.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=ragged.note)
    # The header is looked at with the first block of rows, which are all read again.
    peek = csv.ParseOptions(
        delimiter=separator, newlines_in_values=True, invalid_row_handler=lambda _row: "skip"
    )
    # One thread, because only then does Arrow know the number of a bad row.
    reading = csv.ReadOptions(use_threads=False)
    try:
        names = csv.open_csv(io.BytesIO(text), reading, peek).schema.names
        convert = csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=list(MISSING_WORDS),
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        )
        table = csv.read_csv(io.BytesIO(text), reading, parse, convert)
    except pa.ArrowInvalid as error:
        # Arrow's own words may quote the file, so they stay in the cause.
        raise DataError("{file} must be a CSV table, got something that is not one", file=path) from error
    if ragged.count:
        raise ragged.error(path)
    return table


def _typed(column: Column) -> Column:
    """Give a column of text the narrowest type that all its values have."""
    trimmed = _trimmed(column)
    present = trimmed.length() - trimmed.null_count
    if present == 0:
        return trimmed.cast(pa.float64())
    if compute.any(compute.match_substring_regex(trimmed, _IDENTIFIER)).as_py():
        return trimmed
    lowered = compute.utf8_lower(trimmed)
    is_word = compute.is_in(lowered, value_set=pa.array(["true", "false"]))
    if compute.sum(is_word).as_py() == present:
        flags: Column = compute.equal(lowered, "true")
        return flags
    for kind in _CANDIDATES:
        try:
            typed: Column = compute.cast(trimmed, kind)
        except pa.ArrowInvalid:
            continue
        return typed
    return trimmed


def _trimmed(column: Column) -> Column:
    """The texts without white space around them; one of nothing else is missing."""
    trimmed: Column = compute.utf8_trim_whitespace(column)
    is_blank = compute.equal(compute.binary_length(trimmed), 0)
    if not compute.any(is_blank).as_py():
        return trimmed
    present: Column = compute.if_else(is_blank, pa.scalar(None, pa.string()), trimmed)
    return present
