"""Where parties of a list keep what they received and must not lose: a small interface, and one in memory.

Records hold secrets (salts, masks, keys): whoever implements the interface keeps them for the owner's eyes
only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["ListStore", "MemoryListStore", "Record"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Record:
    """One stored thing.

    Attributes:
        head: a small message, as bytes.
        arrays: numbers, possibly mapped from a disk and read-only.
    """

    head: bytes
    arrays: Sequence[Array] = ()

    def __repr__(self) -> str:
        return f"Record({len(self.head)} bytes, {len(self.arrays)} arrays)"


class ListStore(Protocol):
    """Named records. Names are words of letters, digits, ``-``, ``_``, parted by dots."""

    def put(self, name: str, record: Record) -> None:
        """Keep a record whole, or not at all; one of the same name is replaced."""

    def get(self, name: str) -> Record | None:
        """A record, or ``None``."""

    def names(self) -> list[str]:
        """The names of all records, sorted."""

    def drop(self, name: str) -> None:
        """Remove a record; it is no error if there is none."""


@dataclass
class MemoryListStore:
    """A store that is gone with its process: for tests and teaching."""

    records: dict[str, Record] = field(default_factory=dict)

    def put(self, name: str, record: Record) -> None:
        """As `ListStore.put`."""
        self.records[name] = Record(record.head, tuple(np.array(array) for array in record.arrays))

    def get(self, name: str) -> Record | None:
        """As `ListStore.get`."""
        return self.records.get(name)

    def names(self) -> list[str]:
        """As `ListStore.names`."""
        return sorted(self.records)

    def drop(self, name: str) -> None:
        """As `ListStore.drop`."""
        self.records.pop(name, None)
