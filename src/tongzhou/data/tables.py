"""Tables in and out of files: CSV as people have it, Parquet as we keep it.

A CSV is read as text first and each column then gets the narrowest type that all its values have. So the
type of a column does not depend on where in the file a stray word stands, an identifier keeps its leading
zeros, and a column that mixes numbers and words arrives as text for `profile.check` to describe, with rows.
"""

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from tongzhou.data._arrow import Column, near_name
from tongzhou.data._csv import read_csv
from tongzhou.errors import DataError, NotFoundError, StorageError

__all__ = ["COLUMNS_MAX", "FILE_BYTES_MAX", "csv_bytes", "read_table", "write_parquet"]

FILE_BYTES_MAX = 4 * 2**30  # a CSV is held in memory once as text: beyond this, Parquet is the right form
COLUMNS_MAX = 10_000

_PARQUET_MAGIC = b"PAR1"
_ZIP_MAGIC = b"PK\x03\x04"
_OLD_EXCEL_MAGIC = b"\xd0\xcf\x11\xe0"


def read_table(path: Path | str) -> pa.Table:
    """Read a CSV or Parquet file.

    The kind follows from the content, not from the ending of the name. A CSV may be UTF-8 with or without a
    byte-order mark, or GB18030 (which holds GBK and GB2312); its
    separator is the comma, the semicolon or the tab.

    Args:
        path: the file.

    Returns:
        The table, without metadata of other programs, dictionaries decoded.

    Raises:
        NotFoundError: no such file; the nearest name in its folder is suggested.
        DataError: not a table that can be read; the sentence names file, row and column.
    """
    path = Path(path)
    try:
        # Before it is opened: a device or a pipe may never end, or never begin.
        mode = path.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise DataError("{file} must be a regular file, got a device, a pipe or a socket", file=path)
        with path.open("rb") as file:
            magic = file.read(4)
            size = os.fstat(file.fileno()).st_size
    except FileNotFoundError:
        raise _no_such_file(path) from None
    except OSError as error:
        raise DataError("{file} cannot be read: {reason}", file=path, reason=error.strerror) from error
    if magic == _PARQUET_MAGIC:
        return _checked(_read_parquet(path), path)
    if magic in {_ZIP_MAGIC, _OLD_EXCEL_MAGIC}:
        raise DataError(
            "{file} must be CSV or Parquet, got an Excel workbook or a zip archive; "
            "save the sheet as CSV UTF-8 and try again",
            file=path,
        )
    if size > FILE_BYTES_MAX:
        raise DataError(
            "{file} must have at most {limit} bytes as CSV, got {got}; convert it to Parquet",
            file=path,
            limit=FILE_BYTES_MAX,
            got=size,
        )
    return _checked(read_csv(path), path)


def write_parquet(table: pa.Table, path: Path | str) -> None:
    """Write `table` so that `path` holds either its old content or all of the new, even if power fails.

    Args:
        table: what to write.
        path: where; its folder must exist.

    Raises:
        StorageError: the disk is full or the file cannot be written: the old content stands, nothing is left
            behind. Or the new content stands, but the disk did not confirm it; the sentence says which.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            pq.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        # The rename is the moment the table exists: before it the old file stands, after it the new one.
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise _not_written(path, error) from error
    _sync_folder(path)


def csv_bytes(table: pa.Table) -> bytes:
    """A table as CSV in UTF-8, with the byte-order mark by which spreadsheet programs recognise it."""
    out = pa.BufferOutputStream()
    pa_csv.write_csv(table, out)
    return b"\xef\xbb\xbf" + out.getvalue().to_pybytes()


def _not_written(path: Path, error: OSError) -> StorageError:
    if error.errno == errno.ENOSPC:
        return StorageError("{file} was not written: the disk is full; nothing was changed", file=path)
    reason = error.strerror or type(error).__name__
    return StorageError("{file} was not written: {reason}; nothing was changed", file=path, reason=reason)


def _sync_folder(path: Path) -> None:
    """Bring the new name of `path` to the disk; until then a power cut may show the old table again."""
    try:
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise StorageError(
            "{file} was written, but the disk did not confirm it: {reason}",
            file=path,
            reason=error.strerror or type(error).__name__,
        ) from error


def _no_such_file(path: Path) -> NotFoundError:
    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    near = near_name(path.name, siblings)
    if near is None:
        return NotFoundError("there is no file {file}", file=path)
    return NotFoundError("there is no file {file}; did you mean {near}?", file=path, near=path.parent / near)


def _read_parquet(path: Path) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            return file.read()
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            "{file} is not a whole Parquet file: its content cannot be read", file=path
        ) from error


def _checked(table: pa.Table, path: Path) -> pa.Table:
    """Refuse shapes that no later step can use; bring text and dictionaries to plain text."""
    names = table.column_names
    if len(names) > COLUMNS_MAX:
        raise DataError(
            "{file} must have at most {limit} columns, got {got}",
            file=path,
            limit=COLUMNS_MAX,
            got=len(names),
        )
    seen: set[str] = set()
    for position, name in enumerate(names, start=1):
        if not name.strip():
            raise DataError(
                "{file}: column {position} must have a name, got none", file=path, position=position
            )
        if name in seen:
            raise DataError("{file}: column names must differ, got {column} twice", file=path, column=name)
        seen.add(name)
    return pa.table([_plain(table.column(name), path, name) for name in names], names=names)


def _plain(column: Column, path: Path, name: str) -> Column:
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_string_view(kind):
        return column.cast(pa.string())
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise DataError(
            "{file}: column {column} must hold numbers, text, dates or yes/no values, got {got}",
            file=path,
            column=name,
            got=str(kind),
        )
    return column
