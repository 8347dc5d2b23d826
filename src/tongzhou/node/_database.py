"""One SQLite file, opened so that what was acknowledged survives, with sentences when it cannot be.

WAL with synchronous=FULL: a transaction is on the disk when `write` returns, and a process killed in the
middle leaves the file as it was before. Readers of other processes never block the writer.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tongzhou.errors import ConflictError, NotFoundError, StorageError

__all__ = ["Database"]

# How long a writer waits for another process's transaction; ours last milliseconds.
_BUSY_SECONDS = 10.0
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Database:
    """A SQLite file with a schema of ours.

    Safe to share between threads: one statement or transaction at a time.

    Args:
        path: the file; it must exist (`create` makes it).
        version: the schema version this software writes.
    """

    def __init__(self, path: Path, version: int) -> None:
        if not path.is_file():
            raise NotFoundError("{file}: there is no such store", file=path)
        self.path = path
        self._lock = threading.RLock()
        with self._sentences():
            self._connection = _connect(path)
            found = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if found != version:
            self._connection.close()
            raise StorageError(
                "{file}: written in store version {found}; this software reads version {version}",
                file=path,
                found=found,
                version=version,
            )

    @classmethod
    def create(cls, path: Path, schema: str, version: int) -> "Database":
        """Make the file with `schema`; refused if it exists.

        Raises:
            ConflictError: the file exists.
            StorageError: it cannot be written.
        """
        if path.exists():
            raise ConflictError("{file} exists already", file=path)
        with _Sentences(path):
            connection = _connect(path)
            try:
                path.chmod(0o600)
                connection.executescript(f"BEGIN;{schema}; PRAGMA user_version = {version}; COMMIT;")
            finally:
                connection.close()
        return cls(path, version)

    def close(self) -> None:
        """Release the file. Closing twice is harmless."""
        with self._lock:
            self._connection.close()

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of one query.

        Raises:
            StorageError: the file is locked, damaged or gone.
        """
        with self._lock, self._sentences():
            return self._connection.execute(sql, values).fetchall()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: everything inside happens, or nothing.

        Raises:
            StorageError: the disk is full, the file is locked or damaged.
        """
        with self._lock, self._sentences():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _sentences(self) -> "_Sentences":
        return _Sentences(self.path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        # Erased states held shares of private data: overwrite them, do not merely unlink them.
        connection.execute("PRAGMA secure_delete = ON")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


class _Sentences:
    """Turns SQLite's errors into sentences about the file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Raise the sentence when SQLite failed."""
        if isinstance(error, sqlite3.Error):
            raise _sentence(self._path, error) from error


def _sentence(path: Path, error: sqlite3.Error) -> StorageError:
    # The low byte is the primary code; the rest tells the flavour, such as which read failed.
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in _FULL:
        return StorageError("{file} cannot be written: the disk is full or failing", file=path)
    if code in _LOCKED:
        return StorageError(
            "{file} is held by another process for more than {seconds} s",
            file=path,
            seconds=int(_BUSY_SECONDS),
        )
    if code in _DAMAGED:
        return StorageError("{file} is damaged: {cause}; restore it from a backup", file=path, cause=error)
    return StorageError("{file} cannot be used: {cause}", file=path, cause=error)
