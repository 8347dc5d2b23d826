"""What lists were asked: quotas, used slots and answered questions, in one SQLite file."""

import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tongzhou.node._database import Database
from tongzhou.secure.quota import Usage, seen_before

__all__ = ["SqliteLedger"]

_SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE accounts (
    account TEXT PRIMARY KEY, next_slot INTEGER NOT NULL, spent REAL NOT NULL, at REAL NOT NULL
) STRICT;
CREATE TABLE notes (
    account TEXT NOT NULL, mark BLOB NOT NULL, note BLOB NOT NULL, PRIMARY KEY (account, mark)
) STRICT, WITHOUT ROWID;
"""
_NEW_NOTE: Final = "INSERT INTO notes VALUES (?, ?, ?)"
_USAGE: Final = "SELECT next_slot, spent, at FROM accounts WHERE account = ?"


class SqliteLedger:
    """A `tongzhou.secure.quota.Ledger` in a file. Safe to share between threads and processes.

    Never bring an older copy of the file back: slots used since would be used again. Begin a new epoch
    instead.

    Args:
        path: made if it does not exist.

    Raises:
        StorageError: the file is damaged or cannot be written.
    """

    def __init__(self, path: Path) -> None:
        # Held over more than one statement: how much a commit waits for is a setting of the connection.
        self._lock = threading.Lock()
        known = path.exists()
        self._database = (
            Database(path, _SCHEMA_VERSION) if known else Database.create(path, _SCHEMA, _SCHEMA_VERSION)
        )

    def close(self) -> None:
        """Release the file. Closing twice is harmless."""
        self._database.close()

    def apply(self, account: str, rule: Callable[[Usage], Usage], marks: Sequence[bytes] = ()) -> Usage:
        """As `Ledger.apply`."""
        with self._lock, self._database.write() as connection:
            found = connection.execute(_USAGE, (account,)).fetchone()
            after = rule(Usage() if found is None else Usage(*found))
            connection.execute(
                "INSERT OR REPLACE INTO accounts VALUES (?, ?, ?, ?)",
                (account, after.next_slot, after.spent, after.at),
            )
            try:
                connection.executemany(_NEW_NOTE, [(account, mark, b"") for mark in marks])
            except sqlite3.IntegrityError as error:
                raise seen_before() from error
        return after

    def note(self, account: str, notes: Mapping[bytes, bytes]) -> None:
        """As `Ledger.note`: written without waiting for the disk, since only its owner would miss it."""
        with self._lock:
            self._database.rows("PRAGMA synchronous = NORMAL")
            try:
                with self._database.write() as connection:
                    rows = [(account, mark, note) for mark, note in notes.items()]
                    connection.executemany("INSERT OR REPLACE INTO notes VALUES (?, ?, ?)", rows)
            finally:
                self._database.rows("PRAGMA synchronous = FULL")

    def forget(self, account: str) -> None:
        """As `Ledger.forget`."""
        with self._lock, self._database.write() as connection:
            connection.execute("DELETE FROM accounts WHERE account = ?", (account,))
            connection.execute("DELETE FROM notes WHERE account = ?", (account,))

    def recall(self, account: str, mark: bytes) -> bytes | None:
        """As `Ledger.recall`."""
        found = self._database.rows("SELECT note FROM notes WHERE account = ? AND mark = ?", account, mark)
        return bytes(found[0][0]) if found else None
