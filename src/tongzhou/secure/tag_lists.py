"""What the two sides of cached matching keep: the provider its tags, the asker a copy of them.

How and where they keep it is theirs. Here stand what the protocol asks of both, and both in memory; the files
of an institution are the node's.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

import numpy as np

from tongzhou.errors import ProtocolError
from tongzhou.secure.blind_prf import BlindKey, evaluate
from tongzhou.secure.lists import Places, check_list
from tongzhou.secure.tag_table import Tags, TagTable, block_bits_for, table_parts, tags_of

__all__ = [
    "MAX_LISTED",
    "PROBE",
    "MemoryTagCache",
    "MemoryTagSource",
    "TagCache",
    "TagSource",
    "checked",
    "text_of",
]

MAX_LISTED: Final = 100_000_000
"""Identifiers of a prepared list: one foreign identifier in 2^37 would be taken for one of so many."""

PROBE: Final = b"\x00probe"
"""A text that every list has and no identifier is: whoever looks it up sees whether key and table fit."""


def text_of(identifier: str) -> bytes:
    """What is hashed of an identifier; never the probe."""
    return b"\x01" + identifier.encode()


class TagSource(Protocol):
    """A provider's prepared list."""

    @property
    def list_name(self) -> str:
        """What the list is called; it enters every hash."""

    @property
    def key(self) -> BlindKey:
        """The key of its tags: secret."""

    @property
    def table(self) -> TagTable:
        """The tags, the probe's among them."""

    def older(self, version: bytes) -> TagTable | None:
        """An earlier table under the same key, if it is kept."""

    def places(self, ranks: Places) -> Places:
        """Rows of the provider's list for ranks in the table, -1 for the probe."""


class TagCache(Protocol):
    """An asker's copy of one provider's table."""

    def current(self) -> TagTable | None:
        """The copy, if there is one."""

    def replace(self, parts: Iterable[bytes], version: bytes) -> TagTable:
        """Keep a new table, whole or not at all.

        Args:
            parts: its bytes.
            version: what it must be.

        Raises:
            ProtocolError: it is another one; the old copy stays.
        """


class MemoryTagSource:
    """A list prepared in memory: for tests, and for lists that are short.

    Args:
        list_name: what the list is called.
        identifiers: normalised, without repeats.
        key: to go on under an earlier key; a new one otherwise.
        before: an earlier state of the list, whose table is kept if it has the same key.
    """

    def __init__(
        self,
        list_name: str,
        identifiers: Sequence[str],
        *,
        key: BlindKey | None = None,
        before: "MemoryTagSource | None" = None,
    ) -> None:
        check_list(identifiers)
        self.list_name = list_name
        self.key = BlindKey() if key is None else key
        texts = [PROBE, *map(text_of, identifiers)]
        tags, first = np.unique(tags_of(evaluate(self.key, list_name, texts)), return_index=True)
        self._places: Places = first.astype(np.int64) - 1
        self.table = TagTable.open(_whole(self.key, tags))
        self._older: dict[bytes, TagTable] = {}
        if before is not None:
            self._older = {**before._older, before.table.version: before.table}

    def older(self, version: bytes) -> TagTable | None:
        """An earlier table under the same key."""
        table = self._older.get(version)
        return table if table is not None and table.key_name == self.key.name else None

    def places(self, ranks: Places) -> Places:
        """Rows of the list for ranks in the table."""
        return self._places[ranks]


class MemoryTagCache:
    """A copy in memory."""

    def __init__(self) -> None:
        self._table: TagTable | None = None

    def current(self) -> TagTable | None:
        """The copy, if there is one."""
        return self._table

    def replace(self, parts: Iterable[bytes], version: bytes) -> TagTable:
        """Keep a new table.

        Raises:
            ProtocolError: it is another one.
        """
        self._table = checked(b"".join(parts), version)
        return self._table


def checked(content: bytes | memoryview, version: bytes) -> TagTable:
    """A table that was received.

    Raises:
        ProtocolError: it is malformed, or not the one that was announced.
    """
    table = TagTable.open(content)
    if table.version != version:
        raise ProtocolError("the table of tags that came is not the one that was announced")
    return table


def _whole(key: BlindKey, tags: Tags) -> bytes:
    return b"".join(table_parts(key.name, block_bits_for(len(tags)), [tags]))
