"""A log's store in one SQLite file, in WAL mode with every commit synced to disk.

SQLite gives what the interface asks for: ``BEGIN IMMEDIATE`` admits one writer over all processes, and with
``synchronous=FULL`` a commit returns only after its frames were synced. A crash before that leaves frames
without a valid commit mark, which the next opening ignores: the normal start is the recovery.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from tongzhou.evidence import _sqlite
from tongzhou.evidence._format import APPLICATION_ID, SCHEMA, cosignature_digest
from tongzhou.evidence.errors import EvidenceNotFoundError, EvidenceStoreError
from tongzhou.evidence.store import About, EntryRow

__all__ = ["PAGE_BYTES", "SqliteStore"]

PAGE_BYTES = 4096
_CHUNK_ROWS = 512  # rows fetched at once, so that a reader never holds a cursor open while it works
_ENTRY = """SELECT entries.idx, kind, key, time, leaf, salt, body
FROM entries JOIN bodies ON bodies.idx = entries.idx"""


class SqliteStore:
    """A `store.Store` in one file; see there for what the methods promise."""

    def __init__(self, path: Path, connection: sqlite3.Connection, about: About) -> None:
        self.path = path
        self._connection = connection
        self._about = about

    @classmethod
    def create(cls, path: Path, about: About) -> Self:
        """Make a new file, which must not exist, and open it."""
        with _sqlite.create_file(path, PAGE_BYTES, APPLICATION_ID) as connection:
            connection.execute("BEGIN IMMEDIATE")
            for _, _, _, statement in SCHEMA:
                connection.execute(statement)
            connection.execute("INSERT INTO about VALUES (?, ?)", (about.origin, about.vkey))
            connection.execute("COMMIT")
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open an existing file.

        Raises:
            EvidenceNotFoundError: there is none.
            EvidenceStoreError: it is not a log, or cannot be used.
        """
        with _sqlite.storing(_sqlite.existing(path)):
            connection = _sqlite.connect(path)
            try:
                about = _read_about(path, connection)
                _sqlite.claim_version(connection)
            except (sqlite3.Error, EvidenceStoreError):
                connection.close()
                raise
        return cls(path, connection, about)

    @property
    def about(self) -> About:
        """Origin and vkey."""
        return self._about

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Enter the one writer's block."""
        with _sqlite.storing(self.path), _sqlite.transaction(self._connection):
            yield

    def size(self) -> int:
        """Return the number of entries: one more than the last index, for none is ever removed."""
        (last,) = self._one("SELECT max(idx) FROM entries")
        return 0 if last is None else int(last) + 1

    def add_entries(self, rows: Sequence[EntryRow]) -> None:
        """Append entries with what they commit to."""
        with _sqlite.storing(self.path):
            self._connection.executemany(
                "INSERT INTO entries VALUES (?, ?, ?, ?, ?)",
                [(r.index, r.kind, r.key, r.time, r.leaf) for r in rows],
            )
            self._connection.executemany(
                "INSERT INTO bodies VALUES (?, ?, ?)", [(r.index, r.salt, r.body) for r in rows]
            )

    def entries(self, start: int, stop: int) -> Iterator[EntryRow]:
        """Yield entries in order, fetched in pieces."""
        for first in range(start, stop, _CHUNK_ROWS):
            last = min(first + _CHUNK_ROWS, stop)
            where = " WHERE entries.idx >= ? AND entries.idx < ? ORDER BY entries.idx"
            for row in self._all(_ENTRY + where, first, last):
                yield EntryRow(*row)

    def find(self, kind: str, key: str) -> int | None:
        """Return the index of the entry with this kind and key."""
        rows = self._all("SELECT idx FROM entries WHERE kind = ? AND key = ?", kind, key)
        return int(rows[0][0]) if rows else None

    def add_tile(self, sequence: int, hashes: bytes) -> None:
        """Append a full tile."""
        self._run("INSERT INTO tiles VALUES (?, ?)", sequence, hashes)

    def tile(self, sequence: int) -> bytes:
        """Return a full tile."""
        (hashes,) = self._one("SELECT hashes FROM tiles WHERE seq = ?", sequence)
        return bytes(hashes)

    def add_checkpoint(self, size: int, note: str) -> None:
        """Keep a signed checkpoint."""
        self._run("INSERT INTO checkpoints VALUES (?, ?)", size, note)

    def checkpoints(self, smallest: int = 0) -> Iterator[tuple[int, str]]:
        """Yield stored checkpoints from the largest down."""
        below: int | None = None
        while True:
            where = "WHERE size >= ? AND (? IS NULL OR size < ?) ORDER BY size DESC LIMIT 1"
            rows = self._all(f"SELECT size, note FROM checkpoints {where}", smallest, below, below)  # noqa: S608
            if not rows:
                return
            below = int(rows[0][0])
            yield below, str(rows[0][1])

    def add_cosignature(self, size: int, line: str) -> None:
        """Keep a cosignature line."""
        digest = cosignature_digest(size, line)
        self._run("INSERT INTO cosignatures(size, line, digest) VALUES (?, ?, ?)", size, line, digest)

    def cosignatures(self, size: int) -> list[str]:
        """Return the lines for one size, oldest first."""
        return [
            line for (line,) in self._all("SELECT line FROM cosignatures WHERE size = ? ORDER BY seq", size)
        ]

    def close(self) -> None:
        """Move everything from the WAL into the file and release it."""
        with _sqlite.storing(self.path):
            self._connection.close()  # the last connection to close checkpoints the WAL and removes it

    def _run(self, statement: str, *values: object) -> None:
        with _sqlite.storing(self.path):
            self._connection.execute(statement, values)

    def _all(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        with _sqlite.storing(self.path):
            return self._connection.execute(statement, values).fetchall()

    def _one(self, statement: str, *values: object) -> tuple[Any, ...]:
        rows = self._all(statement, *values)
        if not rows:
            raise EvidenceNotFoundError("the store {file} lacks a row that it must have", file=str(self.path))
        return rows[0]


def _read_about(path: Path, connection: sqlite3.Connection) -> About:
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise EvidenceStoreError("{file} is not an evidence log of this version", file=str(path))
    row = connection.execute("SELECT origin, vkey FROM about").fetchone()
    if row is None:
        raise EvidenceStoreError("{file} is not an evidence log of this version", file=str(path))
    return About(*row)
