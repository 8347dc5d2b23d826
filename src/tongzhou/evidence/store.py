"""The small interface between a log and where it is kept; one implementation is `sqlite_store`.

A store knows rows, not rules: it neither hashes nor signs. Everything inside `Store.transaction` becomes
durable together when the block ends, or not at all, and only one writer is inside such a block at a time,
over all processes. Reads outside a transaction see the last durable state.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

__all__ = ["About", "EntryRow", "Store"]


@dataclass(frozen=True, slots=True)
class About:
    """What is fixed when a log is made: its origin, and the vkey that signs its checkpoints."""

    origin: str
    vkey: str


@dataclass(frozen=True, slots=True)
class EntryRow:
    """An entry as stored.

    Attributes:
        index: place in the log, from 0.
        kind: public kind.
        key: private key, unique within the kind.
        time: of the log, seconds since 1970 UTC.
        leaf: the leaf's four lines.
        salt: 32 bytes.
        body: what the leaf commits to, with the salt.
    """

    index: int
    kind: str
    key: str
    time: int
    leaf: str
    salt: bytes
    body: str


class Store(Protocol):
    """Where a log is kept."""

    @property
    def about(self) -> About:
        """Origin and vkey."""

    def transaction(self) -> AbstractContextManager[None]:
        """Enter the one writer's block; leaving it without an error makes all its writes durable."""

    def size(self) -> int:
        """Return the number of entries."""

    def add_entries(self, rows: Sequence[EntryRow]) -> None:
        """Append entries; their indexes follow on the last one."""

    def entries(self, start: int, stop: int) -> Iterator[EntryRow]:
        """Yield entries ``start`` up to (without) ``stop``, in order."""

    def find(self, kind: str, key: str) -> int | None:
        """Return the index of the entry with this kind and key, if there is one."""

    def add_tile(self, sequence: int, hashes: bytes) -> None:
        """Append a full tile under its number in the order of creation."""

    def tile(self, sequence: int) -> bytes:
        """Return a full tile."""

    def add_checkpoint(self, size: int, note: str) -> None:
        """Keep a signed checkpoint; one for each size."""

    def checkpoints(self, smallest: int = 0) -> Iterator[tuple[int, str]]:
        """Yield size and note of stored checkpoints from the largest down to ``smallest``."""

    def add_cosignature(self, size: int, line: str) -> None:
        """Keep a cosignature line for the checkpoint of this size."""

    def cosignatures(self, size: int) -> list[str]:
        """Return the cosignature lines for the checkpoint of this size, oldest first."""

    def close(self) -> None:
        """Release the store; after it the file alone holds everything."""
