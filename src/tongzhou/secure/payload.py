"""Columns of a table as rows of equal length, so that a row can be sealed and its length says nothing.

A number is a double (missing: not a number), a text a length byte and its UTF-8 bytes, padded with zeros.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError, PlanError, ProtocolError

__all__ = [
    "MAX_ROW_BYTES",
    "Column",
    "Columns",
    "Values",
    "check_columns",
    "decode_rows",
    "encode_rows",
    "row_bytes",
]

MAX_ROW_BYTES: Final = 4096
_NUMBER_BYTES = 8
_TEXT_MAX = 254
_MISSING = 255

Bytes = NDArray[np.uint8]
Values = NDArray[np.float64] | Sequence[str | None]
Columns = Mapping[str, Values]


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column that may be learnt.

    Attributes:
        name: as in the provider's table.
        text_bytes: most UTF-8 bytes of a text, up to 254; zero for a column of numbers.
    """

    name: str
    text_bytes: int = 0

    @property
    def width(self) -> int:
        """Bytes in a row."""
        return 1 + self.text_bytes if self.text_bytes else _NUMBER_BYTES


def row_bytes(columns: Sequence[Column]) -> int:
    """Bytes of a row."""
    return sum(column.width for column in columns)


def check_columns(columns: Sequence[Column]) -> None:
    """Refuse columns that cannot be carried.

    Raises:
        PlanError: none, a name twice, a text too long, or rows too long.
    """
    names = [column.name for column in columns]
    if not names or len(set(names)) != len(names):
        raise PlanError("columns to learn must be at least one and have different names")
    for column in columns:
        if not 0 <= column.text_bytes <= _TEXT_MAX:
            raise PlanError(
                "column {column}: texts of 1 to {most} bytes can be learnt, got {got}",
                column=column.name,
                most=_TEXT_MAX,
                got=column.text_bytes,
            )
    if row_bytes(columns) > MAX_ROW_BYTES:
        raise PlanError(
            "the columns to learn take {got} bytes a row; at most {most} are possible",
            got=row_bytes(columns),
            most=MAX_ROW_BYTES,
        )


def encode_rows(columns: Sequence[Column], values: Columns, rows: int) -> Bytes:
    """Rows of equal length, ``(n, row_bytes)``.

    Args:
        columns: what to put in, in order.
        values: by name: ``(n,)`` doubles, or n texts or ``None``.
        rows: n.

    Raises:
        DataError: a column is missing, has another length or another type, or a text is too long.
    """
    return np.concatenate([_encoded(column, values, rows) for column in columns], axis=1)


def decode_rows(columns: Sequence[Column], rows: Bytes, peer: str) -> dict[str, Values]:
    """Columns of rows; numbers as ``(n,)`` doubles, texts as a list.

    Args:
        columns: as they were put in.
        rows: ``(n, row_bytes)``.
        peer: whose rows they are, for the sentence.

    Raises:
        ProtocolError: a text is malformed.
    """
    found: dict[str, Values] = {}
    start = 0
    for column in columns:
        part = rows[:, start : start + column.width]
        start += column.width
        if column.text_bytes:
            found[column.name] = [_text(bytes(row), column, peer) for row in part]
        else:
            found[column.name] = np.ascontiguousarray(part).view("<f8")[:, 0].astype(np.float64)
    return found


def _encoded(column: Column, values: Columns, rows: int) -> Bytes:
    if column.name not in values:
        raise DataError("the table has no column {column}", column=column.name)
    given = values[column.name]
    if len(given) != rows:
        raise DataError(
            "column {column} has {got} values for {rows} identifiers",
            column=column.name,
            got=len(given),
            rows=rows,
        )
    if column.text_bytes:
        return np.frombuffer(b"".join(_padded(text, column) for text in given), np.uint8).reshape(
            rows, column.width
        )
    if not isinstance(given, np.ndarray) or given.dtype.kind not in "fiu":
        raise DataError("column {column} must hold numbers", column=column.name)
    return given.astype("<f8").reshape(rows, 1).view(np.uint8)


def _padded(text: object, column: Column) -> bytes:
    if text is None:
        return bytes([_MISSING]) + bytes(column.text_bytes)
    if not isinstance(text, str):
        raise DataError("column {column} must hold texts", column=column.name)
    encoded = text.encode()
    if len(encoded) > column.text_bytes:
        raise DataError(
            "column {column} has a text of {got} bytes; {most} were agreed",
            column=column.name,
            got=len(encoded),
            most=column.text_bytes,
        )
    return bytes([len(encoded)]) + encoded.ljust(column.text_bytes, b"\0")


def _text(row: bytes, column: Column, peer: str) -> str | None:
    length, body = row[0], row[1:]
    kept = 0 if length == _MISSING else length
    try:
        if kept > column.text_bytes or any(body[kept:]):
            raise _malformed(peer, column)
        return None if length == _MISSING else body[:kept].decode()
    except UnicodeDecodeError:
        raise _malformed(peer, column) from None


def _malformed(peer: str, column: Column) -> ProtocolError:
    return ProtocolError("{peer} sent a malformed text in column {column}", peer=peer, column=column.name)
