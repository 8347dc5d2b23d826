"""What has been answered already: each owner's own record, against which new requests are held. No I/O.

An answered *cell* is a pair of row sets, one of each owner; the answer was about the rows in both. An owner
keeps its own sets (names of rows, as 64-bit numbers under a key that the two owners share), the pairs, and
its share of a sketch of each pair's rows (`tongzhou.secure.sketches`). Neither owner's record says which rows
a cell had; together they would.

An entry is written before its answer is opened, and confirmed when the other owner has written it too. So
what was opened stands in both records, whatever process dies when. An unconfirmed entry that the other lacks
was never opened, and is left out; a confirmed one that the other lacks means that the other lost its record,
and nothing more is answered.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.party import OWNERS, Role
from tongzhou.secure.ring import Words
from tongzhou.secure.row_audit import RowSet

__all__ = [
    "ENTRY_BYTES",
    "Answered",
    "Entry",
    "History",
    "MemoryHistory",
    "Pair",
    "RowNames",
    "name_rows",
    "new_entry_id",
]

ENTRY_BYTES = 16
Pair = tuple[int, int]
"""Numbers of the asker's and of the provider's row set."""


@dataclass(frozen=True)
class Entry:
    """One owner's half of what was answered to one request.

    Attributes:
        entry_id: `ENTRY_BYTES` bytes that both owners' halves carry.
        sets: own row sets and columns that occur here for the first time, by number.
        cells: pairs whose numbers were opened, or follow from what was.
        sketches: ``(cells, m)`` this owner's shares of their sketches; m is 0 where none were made.
        refused: the request was refused by what the data hold; nothing was opened.
        confirmed: the other owner has written its half.
    """

    entry_id: bytes
    sets: dict[int, RowSet] = field(default_factory=dict)
    cells: tuple[Pair, ...] = ()
    sketches: Words = field(default_factory=lambda: np.empty((0, 0), dtype=np.uint64))
    refused: bool = False
    confirmed: bool = False


class History(Protocol):
    """Where an owner keeps its record. What `add` and `confirm` have acknowledged survives."""

    def key(self) -> bytes | None:
        """The key shared with the other owner; ``None`` before the first entry."""

    def keep_key(self, key: bytes) -> None:
        """Store the key, once."""

    def entries(self) -> list[Entry]:
        """All entries, oldest first."""

    def add(self, entry: Entry) -> None:
        """Write an entry."""

    def confirm(self, entry_id: bytes) -> None:
        """Note that the other owner has written the entry too."""


class MemoryHistory:
    """A record that lasts as long as the process: for tests, and within one task."""

    def __init__(self) -> None:
        self._key: bytes | None = None
        self._entries: dict[bytes, Entry] = {}

    def key(self) -> bytes | None:
        """The key, if there is one."""
        return self._key

    def keep_key(self, key: bytes) -> None:
        """Store the key."""
        self._key = key

    def entries(self) -> list[Entry]:
        """All entries, oldest first."""
        return list(self._entries.values())

    def add(self, entry: Entry) -> None:
        """Write an entry."""
        self._entries[entry.entry_id] = entry

    def confirm(self, entry_id: bytes) -> None:
        """Note that the other owner has written the entry too."""
        self._entries[entry_id] = replace(self._entries[entry_id], confirmed=True)


def new_entry_id() -> bytes:
    """A fresh identifier of an entry."""
    return secrets.token_bytes(ENTRY_BYTES)


@dataclass(frozen=True)
class RowNames:
    """The matched rows under the owners' key, the same at both.

    Attributes:
        keys: ``(n,)`` 64-bit name of each row.
        marks: ``(n,)`` 64 further bits of each row, for sketches.
    """

    keys: NDArray[np.uint64]
    marks: NDArray[np.uint64]

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self.keys)

    @cached_property
    def _ordered(self) -> NDArray[np.uint64]:
        return self.keys[self._order]

    def set_of(self, members: NDArray[np.bool_], weights: NDArray[np.float64] | None = None) -> RowSet:
        """The rows that are flagged, with their weights."""
        chosen = members[self._order]
        return RowSet(self._ordered[chosen], None if weights is None else weights[self._order][chosen])

    def members(self, rows: RowSet) -> NDArray[np.bool_]:
        """Which of the matched rows lie in a set; a set's rows that are not matched now are left out."""
        return np.isin(self.keys, rows.keys)


def name_rows(key: bytes, rows: Sequence[str]) -> RowNames:
    """Names of the matched rows, from their identifiers.

    Args:
        key: the owners' key, at most 64 bytes.
        rows: n identifiers, the same texts in the same order at both owners.
    """
    hashed = partial(hashlib.blake2b, digest_size=16, key=key)
    words = np.frombuffer(b"".join([hashed(row.encode()).digest() for row in rows]), dtype="<u8")
    words = words.reshape(len(rows), 2)
    return RowNames(np.ascontiguousarray(words[:, 0]), np.ascontiguousarray(words[:, 1]))


class Answered:
    """One owner's record of what counts, in memory: entries that both owners have.

    Args:
        entries: entries in the order that both agreed on.
    """

    def __init__(self, entries: Sequence[Entry] = ()) -> None:
        self._sets: dict[int, RowSet] = {}
        self._numbers: dict[bytes, int] = {}
        self._cells: dict[Pair, Words | None] = {}
        self.refusals = 0
        for entry in entries:
            self.take(entry)

    def take(self, entry: Entry) -> None:
        """Add an entry."""
        self.refusals += entry.refused
        for number, rows in entry.sets.items():
            self._sets[number] = rows
            self._numbers[_digest(rows)] = number
        for place, pair in enumerate(entry.cells):
            self._cells.setdefault(pair, entry.sketches[place] if entry.sketches.shape[1] else None)

    def numbers(self, sets: Sequence[RowSet]) -> list[int]:
        """A number for each set, in order: that of an equal set, or the next free one."""
        free = max(self._sets, default=-1) + 1
        # New sets that are equal get different numbers: the other owner need not know that they are equal.
        return [self._numbers.get(_digest(rows), free + place) for place, rows in enumerate(sets)]

    def is_known(self, number: int) -> bool:
        """Whether a set of this number occurred in an earlier entry."""
        return number in self._sets

    @property
    def cells(self) -> list[Pair]:
        """All answered cells, in the order that both owners have."""
        return list(self._cells)

    def is_answered(self, pair: Pair) -> bool:
        """Whether a cell of exactly these two row sets was answered."""
        return pair in self._cells

    def sketches(self) -> list[Words]:
        """This owner's shares of the sketches that were made, in the order of the cells."""
        return [share for share in self._cells.values() if share is not None]

    def met(self, owner: Role, other: int) -> list[int]:
        """Numbers of an owner's row sets that were answered with a row set of the other owner.

        Args:
            owner: whose.
            other: number of the other's set.
        """
        own = OWNERS.index(owner)
        return list(dict.fromkeys(pair[own] for pair in self._cells if pair[1 - own] == other))

    def all_rows(self) -> list[RowSet]:
        """All own row sets and columns."""
        return list(self._sets.values())

    def rows(self, number: int) -> RowSet:
        """An own row set."""
        return self._sets[number]


def _digest(rows: RowSet) -> bytes:
    weights = b"" if rows.weights is None else rows.weights.tobytes()
    return hashlib.sha256(rows.keys.tobytes() + b"/" + weights).digest()
