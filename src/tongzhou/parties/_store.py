"""The SQLite file below a book of this room: grants, consents.

Rollback journal with ``synchronous=EXTRA``: when a transaction is acknowledged, its data and the removal of
its journal are on the disk, so a power cut cannot undo a revocation or give a used run back. A process
killed in the middle leaves the file as it was.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from tongzhou.errors import StorageError
from tongzhou.parties import _files as files

__all__ = ["PartyStore"]

# Writers hold the file for milliseconds; a longer wait means something is wrong.
_BUSY_SECONDS = 10.0


class PartyStore:
    """Transactions on one file, which is made at the first of them.

    Args:
        path: the file.
        schema: statements that make the tables; harmless where they exist, since two openers may both find an
            empty file.
        version: of the schema. An older file gets the tables that it lacks; what it had is unchanged.
    """

    def __init__(self, path: Path, schema: str, *, version: int = 1) -> None:
        self.path = path
        self._schema = schema
        self._version = version

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A view of one moment: other processes' writes do not show inside.

        Raises:
            StorageError: the file is damaged or cannot be opened.
        """
        with self._transaction("BEGIN") as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction at a time: all of it is on the disk at the end, or nothing.

        Raises:
            StorageError: the disk is full, the file is damaged or cannot be written.
        """
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        try:
            with closing(self._open()) as connection:
                connection.execute(begin)
                # Closing without COMMIT rolls back, so an error inside leaves nothing behind.
                yield connection
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StorageError("{file} cannot be used: {cause}", file=self.path, cause=error) from error

    def _open(self) -> sqlite3.Connection:
        if not self.path.exists():
            files.make_folder(self.path.parent)
            # Made before SQLite does, so that it is never readable by others; SQLite takes an empty file.
            files.touch_private(self.path)
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = EXTRA")
            connection.execute("PRAGMA foreign_keys = ON")
            self._check_version(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_version(self, connection: sqlite3.Connection) -> None:
        found = connection.execute("PRAGMA user_version").fetchone()[0]
        if 0 <= found < self._version:
            connection.executescript(
                f"BEGIN IMMEDIATE; {self._schema} PRAGMA user_version = {self._version}; COMMIT;"
            )
        elif found != self._version:
            raise StorageError(
                "{file} was written in store version {found}; this software reads version {known}",
                file=self.path,
                found=found,
                known=self._version,
            )
