"""The record of answered statistics that must survive: one SQLite file, ``answers.db``, for all grants.

An entry is one blob, written in one transaction before its answer is opened, with its own hash. It holds
names of rows under a key that two owners share, and this owner's shares of sketches: whoever reads the file
of one owner learns which rows that owner asked about, and nothing of the other's.
"""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from tongzhou.errors import StorageError
from tongzhou.node._database import Database
from tongzhou.secure.answered import Entry
from tongzhou.secure.row_audit import RowSet

__all__ = ["AnswerBook", "GrantHistory"]

_VERSION = 1
_SCHEMA = """
CREATE TABLE keys (grant_id TEXT PRIMARY KEY, key BLOB NOT NULL) STRICT;
CREATE TABLE entries (
    place INTEGER PRIMARY KEY, grant_id TEXT NOT NULL, entry_id BLOB NOT NULL,
    body BLOB NOT NULL, body_hash BLOB NOT NULL, confirmed INTEGER NOT NULL CHECK (confirmed IN (0, 1)),
    UNIQUE (grant_id, entry_id)
) STRICT;
"""


class _Set(Struct, frozen=True):
    keys: bytes
    weights: bytes | None


class _Body(Struct, frozen=True):
    sets: dict[int, _Set]
    cells: tuple[tuple[int, int], ...]
    sketch_words: int
    sketches: bytes
    refused: bool


class AnswerBook:
    """All records of one institution.

    Args:
        path: the file; made at the first opening.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = (
            Database(path, _VERSION) if path.exists() else Database.create(path, _SCHEMA, _VERSION)
        )

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    def of(self, grant_id: str) -> "GrantHistory":
        """The record under one grant."""
        return GrantHistory(self._database, grant_id)


class GrantHistory:
    """What was answered under one grant: a `tongzhou.secure.answered.History` on the disk.

    Args:
        database: the open file.
        grant_id: the grant.
    """

    def __init__(self, database: Database, grant_id: str) -> None:
        self._database, self._grant_id = database, grant_id

    def key(self) -> bytes | None:
        """The key shared with the other owner; ``None`` before the first answer."""
        rows = self._database.rows("SELECT key FROM keys WHERE grant_id = ?", self._grant_id)
        return bytes(rows[0][0]) if rows else None

    def keep_key(self, key: bytes) -> None:
        """Store the key, once.

        Raises:
            StorageError: there is another already.
        """
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO keys (grant_id, key) VALUES (?, ?) ON CONFLICT DO NOTHING", (self._grant_id, key)
            )
        if self.key() != key:
            raise StorageError(
                "{file}: grant {grant} has another key already",
                file=self._database.path,
                grant=self._grant_id,
            )

    def entries(self) -> list[Entry]:
        """All entries, oldest first.

        Raises:
            StorageError: an entry is damaged.
        """
        rows = self._database.rows(
            "SELECT entry_id, body, body_hash, confirmed FROM entries WHERE grant_id = ? ORDER BY place",
            self._grant_id,
        )
        return [self._read(*row) for row in rows]

    def add(self, entry: Entry) -> None:
        """Write an entry; it is on the disk when this returns."""
        body = msgspec.msgpack.encode(_body_of(entry))
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO entries (grant_id, entry_id, body, body_hash, confirmed) VALUES (?, ?, ?, ?, ?)",
                (self._grant_id, entry.entry_id, body, hashlib.sha256(body).digest(), int(entry.confirmed)),
            )

    def confirm(self, entry_id: bytes) -> None:
        """Note that the other owner has written the entry too."""
        with self._database.write() as connection:
            connection.execute(
                "UPDATE entries SET confirmed = 1 WHERE grant_id = ? AND entry_id = ?",
                (self._grant_id, entry_id),
            )

    def _read(self, entry_id: bytes, body: bytes, body_hash: bytes, confirmed: int) -> Entry:
        if hashlib.sha256(body).digest() != body_hash:
            raise StorageError("{file}: an answered statistic is damaged", file=self._database.path)
        found = msgspec.msgpack.decode(body, type=_Body)
        sketches = np.frombuffer(found.sketches, dtype="<u8").reshape(len(found.cells), found.sketch_words)
        return Entry(
            bytes(entry_id),
            {number: _set_of(one) for number, one in found.sets.items()},
            found.cells,
            sketches,
            found.refused,
            bool(confirmed),
        )


def _body_of(entry: Entry) -> _Body:
    return _Body(
        {number: _stored(one) for number, one in entry.sets.items()},
        entry.cells,
        entry.sketches.shape[1],
        np.ascontiguousarray(entry.sketches, dtype="<u8").tobytes(),
        entry.refused,
    )


def _stored(rows: RowSet) -> _Set:
    weights = None if rows.weights is None else rows.weights.astype("<f8").tobytes()
    return _Set(rows.keys.astype("<u8").tobytes(), weights)


def _set_of(stored: _Set) -> RowSet:
    weights = None if stored.weights is None else np.frombuffer(stored.weights, dtype="<f8")
    return RowSet(np.frombuffer(stored.keys, dtype="<u8"), weights)
