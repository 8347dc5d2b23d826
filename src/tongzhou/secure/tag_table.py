"""A long sorted list of tags in few bytes, written and searched in pieces.

Tags are 64 uniform bits. A table of n of them takes at most 66 - log2 n bits a tag (42.7 for ten millions)
and takes one foreign tag in 2^64 / n for its own (one in 2^40.7). No structure with so few errors takes less
than 64 - log2 n bits a tag. A binary fuse filter takes 9/8 of that least, here 45.8 bits; it can neither be
built in bounded memory nor tell what changed.

::

    64 bytes   magic, version of the format, name of the key, block bits b
    2^b blocks the tags that begin with the same b bits, by Elias and Fano: the next 11 bits as gaps in unary
               (k tags: k ones among 2048 zeros), the others packed one after the other
    4 * 2^b    tags in each block
    32 bytes   SHA-256 of all before: the version of the table

Papers: Elias, Efficient storage and retrieval by content and address of static files (JACM 1974); Fano, On
the number of bits required to implement an associative memory (MIT 1971); Graf and Lemire, Binary fuse
filters (JEA 2022), for the comparison.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import ProtocolError

__all__ = ["VERSION_BYTES", "TagTable", "block_bits_for", "changes", "merged", "table_parts", "tags_of"]

VERSION_BYTES: Final = 32
_MAGIC = b"TZtags\x00\x01"
_HEAD_BYTES = 64
_NAME_BYTES = 32
_TAG_BITS = 64
_UNARY_BITS = 11
_GAPS = 1 << _UNARY_BITS
_MOST_BLOCK_BITS = 20

Tags = NDArray[np.uint64]
Ranks = NDArray[np.int64]


def tags_of(values: Iterable[bytes]) -> Tags:
    """The first 64 bits of each value."""
    return np.frombuffer(b"".join(value[:8] for value in values), dtype="<u8").astype(np.uint64)


def block_bits_for(count: int) -> int:
    """Block bits for so many tags: 1024 to 2048 tags a block, where a tag takes the fewest bits."""
    return min(max(0, count.bit_length() - _UNARY_BITS), _MOST_BLOCK_BITS)


def table_parts(key_name: bytes, block_bits: int, chunks: Iterable[Tags]) -> Iterator[bytes]:
    """The bytes of a table, in pieces.

    Args:
        key_name: 32 bytes that name the key of the tags.
        block_bits: of the table; the same tags under other block bits are another table.
        chunks: the tags, ascending within and across the chunks, each once.
    """
    digest = hashlib.sha256()
    counts = np.zeros(1 << block_bits, dtype="<u4")

    def blocks() -> Iterator[bytes]:
        yield _MAGIC + key_name + bytes([block_bits]) + bytes(_HEAD_BYTES - len(_MAGIC) - _NAME_BYTES - 1)
        for block, tags in _blocks(block_bits, chunks):
            counts[block] = len(tags)
            yield _encoded(tags, block_bits)
        yield counts.tobytes()

    for part in blocks():
        digest.update(part)
        yield part
    yield digest.digest()


@dataclass(frozen=True)
class TagTable:
    """A table, over bytes that may be a mapped file.

    Attributes:
        content: all its bytes.
        key_name: 32 bytes that name the key of its tags.
        block_bits: bits by which it is cut into blocks.
        counts: tags in each block.
    """

    content: memoryview
    key_name: bytes
    block_bits: int
    counts: Ranks

    @classmethod
    def open(cls, content: bytes | memoryview) -> Self:
        """Look through a table without decoding it.

        Raises:
            ProtocolError: the bytes are no table, or are damaged.
        """
        view = memoryview(content)
        head = bytes(view[:_HEAD_BYTES])
        if len(view) < _HEAD_BYTES + VERSION_BYTES or not head.startswith(_MAGIC):
            raise _no_table()
        block_bits = head[len(_MAGIC) + _NAME_BYTES]
        index = len(view) - VERSION_BYTES - (4 << block_bits)
        if block_bits > _MOST_BLOCK_BITS or index < _HEAD_BYTES:
            raise _no_table()
        if hashlib.sha256(view[:-VERSION_BYTES]).digest() != view[-VERSION_BYTES:]:
            raise ProtocolError("the table of tags is damaged: its bytes have another hash than it says")
        counts = np.frombuffer(view[index:-VERSION_BYTES], dtype="<u4").astype(np.int64)
        table = cls(view, head[len(_MAGIC) :][:_NAME_BYTES], block_bits, counts)
        if int(table._starts[-1]) != index:
            raise _no_table()
        return table

    @property
    def version(self) -> bytes:
        """32 bytes that name exactly this table."""
        return bytes(self.content[-VERSION_BYTES:])

    def __len__(self) -> int:
        return int(self._ranks[-1])

    def block(self, number: int) -> Tags:
        """The tags of one block, ascending.

        Raises:
            ProtocolError: the block is malformed.
        """
        start, stop = self._starts[number : number + 2]
        return _decoded(self.content[start:stop], int(self.counts[number]), self.block_bits, number)

    def part(self, number: int, bits: int) -> Tags:
        """The tags whose first `bits` bits are `number`, ascending; `bits` is at most `block_bits`."""
        spread = 1 << (self.block_bits - bits)
        return np.concatenate([self.block(number * spread + block) for block in range(spread)])

    def find(self, tags: Tags) -> Ranks:
        """The rank of each tag in the table, -1 where it is not in it. Only their blocks are decoded."""
        ranks = np.full(len(tags), -1, dtype=np.int64)
        blocks = _block_of(tags, self.block_bits)
        order = np.argsort(blocks, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(blocks[order])) + 1):
            if len(group):
                number = int(blocks[group[0]])
                held, wanted = self.block(number), tags[group]
                where = np.searchsorted(held, wanted)
                found = where < len(held)
                found[found] = held[where[found]] == wanted[found]
                ranks[group[found]] = self._ranks[number] + where[found]
        return ranks

    @cached_property
    def _ranks(self) -> Ranks:
        """Rank of the first tag of each block, and the number of all."""
        return np.concatenate([[0], np.cumsum(self.counts)])

    @cached_property
    def _starts(self) -> Ranks:
        """First byte of each block, and the byte after the last."""
        unary = (self.counts + _GAPS + 7) // 8
        packed = (self.counts * _low_bits(self.block_bits) + 7) // 8
        return _HEAD_BYTES + np.concatenate([[0], np.cumsum(unary + packed)])


def changes(old: TagTable, new: TagTable) -> tuple[Tags, Tags]:
    """The tags that came and those that went, both ascending."""
    came, went = [], []
    bits = min(old.block_bits, new.block_bits)
    for number in range(1 << bits):
        before, after = old.part(number, bits), new.part(number, bits)
        came.append(np.setdiff1d(after, before, assume_unique=True))
        went.append(np.setdiff1d(before, after, assume_unique=True))
    return np.concatenate(came), np.concatenate(went)


def merged(old: TagTable, came: Tags, went: Tags) -> Iterator[Tags]:
    """The tags of a table after changes, ascending, block by block."""
    for number in range(1 << old.block_bits):
        left = np.setdiff1d(old.block(number), _inside(went, number, old.block_bits), assume_unique=True)
        yield np.union1d(left, _inside(came, number, old.block_bits))


def _inside(tags: Tags, number: int, bits: int) -> Tags:
    start, stop = np.searchsorted(_block_of(tags, bits), [number, number + 1])
    return tags[start:stop]


def _block_of(tags: Tags, bits: int) -> Ranks:
    # A shift by 64 is not defined, so that no block bits are a case of their own.
    blocks = tags >> np.uint64(_TAG_BITS - bits) if bits else np.zeros_like(tags)
    return blocks.astype(np.int64)


def _blocks(bits: int, chunks: Iterable[Tags]) -> Iterator[tuple[int, Tags]]:
    """Every block with its tags, whatever chunks they come in."""
    waiting, block = np.empty(0, dtype=np.uint64), 0
    for chunk in chunks:
        waiting = np.concatenate([waiting, chunk])
        if not len(waiting):
            continue
        owner = _block_of(waiting, bits)
        last = int(owner[-1])
        cuts = np.searchsorted(owner, np.arange(block, last + 1))
        for number, start, stop in zip(range(block, last), cuts[:-1], cuts[1:], strict=True):
            yield number, waiting[start:stop]
        waiting, block = waiting[cuts[-1] :], last
    yield block, waiting
    for number in range(block + 1, 1 << bits):
        yield number, waiting[:0]


def _low_bits(block_bits: int) -> int:
    return _TAG_BITS - block_bits - _UNARY_BITS


def _encoded(tags: Tags, block_bits: int) -> bytes:
    low = _low_bits(block_bits)
    high = (tags >> np.uint64(low)).astype(np.int64) & (_GAPS - 1)
    ones = np.zeros(len(tags) + _GAPS, dtype=np.uint8)
    ones[high + np.arange(len(tags))] = 1
    bits = np.unpackbits(tags.astype(">u8").view(np.uint8).reshape(-1, 8), axis=1)
    return np.packbits(ones).tobytes() + np.packbits(bits[:, _TAG_BITS - low :]).tobytes()


def _decoded(content: memoryview, count: int, block_bits: int, number: int) -> Tags:
    low = _low_bits(block_bits)
    data = np.frombuffer(content, dtype=np.uint8)
    split = (count + _GAPS + 7) // 8
    ones = np.flatnonzero(np.unpackbits(data[:split]))
    high = ones - np.arange(len(ones))
    if len(ones) != count or (count and int(high[-1]) >= _GAPS):
        raise _malformed(number)
    bits = np.zeros((count, _TAG_BITS), dtype=np.uint8)
    bits[:, _TAG_BITS - low :] = np.unpackbits(data[split:], count=count * low).reshape(count, low)
    tags = np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)
    tags |= high.astype(np.uint64) << np.uint64(low)
    if block_bits:
        tags |= np.uint64(number) << np.uint64(_TAG_BITS - block_bits)
    if not bool((tags[1:] > tags[:-1]).all()):
        raise _malformed(number)
    return tags


def _no_table() -> ProtocolError:
    return ProtocolError("the bytes are no table of tags")


def _malformed(block: int) -> ProtocolError:
    return ProtocolError("block {block} of the table of tags is malformed", block=block)
