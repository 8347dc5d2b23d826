"""Comparing shared numbers: with zero, with each other, with public bounds. Nothing is opened.

Statement
    Parties: two data owners and the helper (`aided`).
    Who learns what: both owners learn the value plus a uniform mask, and uniform indices into dealt tables;
    nobody learns anything else. The result is shared: a word of 0 or 1 for each number.
    Assumption: as `tongzhou.secure.aided`.
    Cost: for values below 2^bits, with B = bits / 4 blocks (rounded up): `negative` takes 1 + log2 B rounds
    (5 for 64-bit words, 4 for 24 bits), `zero` 1 + log4 B (3 for both). A number costs at most 250 bytes
    from the helper to the provider (172 for 24 bits), and 8 + B / 2 bytes each way between the owners.
    Papers: one-time truth tables dealt beforehand, Ishai, Kushilevitz, Meldgaard, Orlandi and
    Paskin-Cherniavsky, On the power of correlated randomness in secure computation (TCC 2013); opening the
    value behind a mask whose bits are dealt, Escudero, Ghosh, Keller, Rachuri and Scholl (CRYPTO 2020); the
    blocks of four bits and their tree after Garay, Schoenmakers and Villegas (PKC 2007).

The owners open ``c = x + r``. Then x is negative exactly where the sign bits of c and r differ, unless the
low part of c is below that of r (a borrow). The dealer knows r, the owners know c, four bits at a time: so it
deals, for each block, a table of the answers to all sixteen values that the block of c can take, shared bit
by bit. Two neighbouring answers are joined by another such table, at an index that a dealt mask hides, and so
on up a tree. The last table holds words instead of bits, so that the result is shared like any other number.

A table is read once, at one place; the rest of it stays masked for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.party import OWNERS, Role
from tongzhou.secure.prg import Stream
from tongzhou.secure.ring import Words
from tongzhou.secure.shared import Shared
from tongzhou.wire.messages import ArraySpec

__all__ = ["MAX_BITS", "at_least", "equal", "less", "negative", "open_bits", "zero"]

MAX_BITS: Final = 63
"""Largest bound on the size of a value: ``|x| < 2^63`` holds for every word."""

_PIECE: Final = 1 << 16
"""Numbers compared at a time, so that tables stay within tens of megabytes."""

_BLOCK: Final = 4
_ENTRIES: Final = 1 << _BLOCK
_HALF_WORD: Final = 32
Small = NDArray[np.uint8]
Tables = NDArray[np.uint32]


@dataclass(frozen=True)
class _Tree:
    """How the blocks of a number are joined, as tables.

    Attributes:
        width: bits that a block's answer has.
        neutral: the answer that changes nothing when it is joined from above.
        leaves: ``(16,)`` by a block of the mask: its table. Bit v answers for the value v of the opened
            block; the second bit of an answer stands 16 places higher.
        nodes: ``(16,)`` by the mask of an index: the table that joins the answers.
        roots: ``(16, 16)`` by mask and index: the first bit of what the last table joins.
    """

    width: int
    neutral: int
    leaves: Tables
    nodes: Tables
    roots: Small

    @property
    def fan(self) -> int:
        """How many answers one table joins."""
        return _BLOCK // self.width


def _packed(answers: Sequence[int]) -> int:
    """A table of 32 bits from the sixteen answers of at most two bits each."""
    return sum((a & 1) << place | (a >> 1) << (place + _ENTRIES) for place, a in enumerate(answers))


def _tree(width: int, neutral: int, leaves: list[list[int]], joined: list[int]) -> _Tree:
    rows = [[joined[place ^ mask] for place in range(_ENTRIES)] for mask in range(_ENTRIES)]
    return _Tree(
        width,
        neutral,
        np.array([_packed(leaf) for leaf in leaves], dtype=np.uint32),
        np.array([_packed(row) for row in rows], dtype=np.uint32),
        np.array(rows, dtype=np.uint8) & np.uint8(1),
    )


def _join_borrow(index: int) -> int:
    """Two blocks (below, equal), the lower first: below where the higher is, or is equal and the lower is."""
    low, high = index & 3, index >> 2
    return (high & 1) ^ ((high >> 1) & low & 1) | (((high & low) >> 1) << 1)


_RANGE = range(_ENTRIES)
_BELOW, _EQUAL = 1, 2
_BORROW = _tree(
    2,
    _EQUAL,
    [[_BELOW * (place < block) | _EQUAL * (place == block) for place in _RANGE] for block in _RANGE],
    [_join_borrow(index) for index in _RANGE],
)
"""Is the opened number below the mask? An answer is one bit for below and one for equal."""

_SAME = _tree(
    1,
    1,
    [[int(place == block) for place in _RANGE] for block in _RANGE],
    [int(index == _ENTRIES - 1) for index in _RANGE],
)
"""Is the opened number the mask?"""


@singledispatch
def negative(engine: Any, value: Shared, *, bits: int = MAX_BITS) -> Shared:
    """Which numbers are negative.

    Another engine registers its own protocol: ``negative.register(PairEngine, function)``.

    Args:
        engine: who computes.
        value: shared, any shape, every number in ``[-2^bits, 2^bits)``. A smaller bound is cheaper.
        bits: that bound, 1 to `MAX_BITS`.

    Returns:
        Shared words of 0 and 1, of the same shape.

    Raises:
        TypeError: this engine has no such protocol.
    """
    raise TypeError(f"{type(engine).__name__} has no protocol to compare shared numbers")


@singledispatch
def zero(engine: Any, value: Shared, *, bits: int = MAX_BITS) -> Shared:
    """Which numbers are zero; arguments, result and errors as `negative`."""
    raise TypeError(f"{type(engine).__name__} has no protocol to compare shared numbers")


def less(engine: Any, left: Shared, right: Shared, *, bits: int = MAX_BITS) -> Shared:
    """Where `left` is below `right`: shared words of 0 and 1.

    Args:
        engine: who computes.
        left: shared, any shape.
        right: shared, of the same shape.
        bits: the difference is in ``[-2^bits, 2^bits)``.
    """
    return negative(engine, left - right, bits=bits)


def equal(engine: Any, left: Shared, right: Shared, *, bits: int = MAX_BITS) -> Shared:
    """Where `left` equals `right`; arguments and result as `less`."""
    return zero(engine, left - right, bits=bits)


def at_least(engine: Any, value: Shared, bound: int | Words, *, bits: int = MAX_BITS) -> Shared:
    """Where a shared number is at least a public bound: shared words of 0 and 1.

    Args:
        engine: who computes.
        value: shared, any shape.
        bound: one bound for all, or words of the same shape.
        bits: value less bound is in ``[-2^bits, 2^bits)``.
    """
    words = np.full(value.shape, bound % (1 << 64), np.uint64) if isinstance(bound, int) else bound
    below = negative(engine, engine.add_public(value, np.uint64(0) - words), bits=bits)
    return _opposite(engine, below)


def open_bits(
    engine: Any, value: Shared, *, what: str, receivers: Sequence[Role], reason: str
) -> NDArray[np.bool_] | None:
    """Open shared words of 0 and 1 to the receivers, and record it as `AidedEngine.open` does."""
    opened = engine.open(value, what=what, receivers=receivers, reason=reason)
    return None if opened is None else np.asarray(opened != 0)


def _opposite(engine: Any, value: Shared) -> Shared:
    flipped: Shared = engine.add_public(value.scaled(-1), np.ones(value.shape, dtype=np.uint64))
    return flipped


@negative.register(AidedEngine)
def _negative_aided(engine: AidedEngine, value: Shared, *, bits: int = MAX_BITS) -> Shared:
    blocks = -(-bits // _BLOCK)
    return _in_pieces(engine, value, _BORROW, min(_BLOCK * blocks, MAX_BITS))


@zero.register(AidedEngine)
def _zero_aided(engine: AidedEngine, value: Shared, *, bits: int = MAX_BITS) -> Shared:
    # A number below 2^bits and its negative need a bit more to differ from zero in.
    return _in_pieces(engine, value, _SAME, min(bits + 1, MAX_BITS + 1))


def _in_pieces(engine: AidedEngine, value: Shared, tree: _Tree, low: int) -> Shared:
    """Compare a bounded number of values at a time; see `_compared`."""
    flat = value.reshaped(int(np.prod(value.shape)))
    size = flat.shape[0]
    parts = [
        _compared(engine, flat.part(start, min(start + _PIECE, size)), tree, low)
        for start in range(0, size, _PIECE)
    ]
    if not engine.is_owner:
        return Shared(value.shape, None)
    found = np.concatenate([np.empty(0, dtype=np.uint64), *parts])
    return Shared(value.shape, found.reshape(value.shape))


def _compared(engine: AidedEngine, value: Shared, tree: _Tree, low: int) -> Words:
    """This party's shares for ``(n,)`` values; an empty array at the helper.

    Args:
        engine: who computes.
        value: shared ``(n,)``.
        tree: what to ask of the low bits of value plus mask, and of the mask.
        low: how many low bits there are. For `_BORROW` the answer is turned where the bit above them, the
            sign, differs.
    """
    rows, blocks = value.shape[0], -(-low // _BLOCK)
    levels = _level_sizes(blocks, tree.fan)
    if value.share is None:
        _deal_tables(engine, rows, tree, low, levels)
        return np.empty(0, dtype=np.uint64)
    role = engine.party.role
    stream = engine.stream(role)
    mask = _draw(stream, rows, low)
    masks = [_nibbles(stream, rows, size) for size in levels]
    tables, roots = _own_tables(engine, rows, blocks, levels)
    opened = _exchange(engine, value.share.astype(mask.dtype) + mask)
    answers = _read(tables[0], _blocks(opened, low), tree.width)
    for place, index_mask in enumerate(masks):
        index = _exchange_nibbles(engine, _indices(answers, tree, role) ^ index_mask)
        if place + 1 < len(masks):
            answers = _read(tables[place + 1], index, tree.width)
    words: Words = roots[np.arange(rows), index[:, 0]]
    return words if tree is _SAME else _turned(words, opened, low, role)


def _turned(words: Words, opened: NDArray[Any], low: int, role: Role) -> Words:
    """Where the sign of the opened number is set, one less the word."""
    sign = ((opened >> opened.dtype.type(low)) & opened.dtype.type(1)).astype(np.uint64)
    turned: Words = words - (words + words) * sign
    return turned + sign if role == "asker" else turned


def _level_sizes(blocks: int, fan: int) -> list[int]:
    """Number of tables in each level above the leaves; the last level is the root, one table."""
    sizes = [-(-blocks // fan)]
    while sizes[-1] > 1:
        sizes.append(-(-sizes[-1] // fan))
    return sizes


# --- the dealer ----------------------------------------------------------------------------------------


def _deal_tables(engine: AidedEngine, rows: int, tree: _Tree, low: int, levels: list[int]) -> None:
    """Helper: all tables of one comparison, less the asker's share, to the provider."""
    asker, provider = (engine.stream(role) for role in OWNERS)
    mask = _draw(asker, rows, low)
    mask = mask + _draw(provider, rows, low)
    masks = []
    for size in levels:
        theirs = _nibbles(asker, rows, size)
        masks.append(theirs ^ _nibbles(provider, rows, size))
    blocks = _blocks(mask, low)
    tables = [tree.leaves[blocks], *(tree.nodes[one] for one in masks[:-1])]
    roots = tree.roots[masks[-1][:, 0]]
    if tree is not _SAME:
        roots ^= ((mask >> mask.dtype.type(low)) & mask.dtype.type(1)).astype(np.uint8)[:, None]
    shares = [table ^ asker.halves(*table.shape) for table in tables]
    words = roots.astype(np.uint64) - asker.words(*roots.shape)
    engine.party.link("provider").send("deal.compare", None, [*shares, words])


def _own_tables(engine: AidedEngine, rows: int, blocks: int, levels: list[int]) -> tuple[list[Tables], Words]:
    """Owner: its shares of the tables of bits, level by level, and of the table of words."""
    shapes = [(rows, size) for size in (blocks, *levels[:-1])]
    if engine.party.role == "asker":
        stream = engine.stream("asker")
        return [stream.halves(*shape) for shape in shapes], stream.words(rows, _ENTRIES)
    specs = [*(ArraySpec("<u4", shape) for shape in shapes), ArraySpec("<u8", (rows, _ENTRIES))]
    _, (*tables, roots) = engine.party.link("helper").recv("deal.compare", None, specs)
    return tables, roots


def _draw(stream: Stream, rows: int, low: int) -> NDArray[Any]:
    """A uniform mask, half a word wide where that holds the low bits and the sign."""
    return stream.halves(rows) if low < _HALF_WORD else stream.words(rows)


def _nibbles(stream: Stream, rows: int, size: int) -> Small:
    """Uniform numbers below 16, ``(rows, size)``."""
    drawn = stream.words(-(-rows * size // 16)).view(np.uint8)
    return _unpacked(drawn, rows * size).reshape(rows, size)


# --- tables and indices ----------------------------------------------------------------------------------


def _blocks(numbers: NDArray[Any], low: int) -> Small:
    """The low bits of ``(n,)`` numbers in blocks of four, lowest first; the highest block may have fewer."""
    count = -(-low // _BLOCK)
    parts = _unpacked(np.ascontiguousarray(numbers).view(np.uint8), 2 * numbers.nbytes)
    parts = np.ascontiguousarray(parts.reshape(len(numbers), -1)[:, :count])
    parts[:, -1] &= (1 << (low - _BLOCK * (count - 1))) - 1
    return parts


def _read(tables: Tables, index: Small, width: int) -> Small:
    """This party's share of the answers at the given places of the tables."""
    found = (tables >> index.astype(np.uint32)).astype(np.uint32)
    answers = found & np.uint32(1)
    if width > 1:
        answers |= (found >> np.uint32(_ENTRIES - 1)) & np.uint32(2)
    return answers.astype(np.uint8)


def _indices(answers: Small, tree: _Tree, role: Role) -> Small:
    """Neighbouring answers put together, lowest first, filled up with neutral ones."""
    missing = -answers.shape[1] % tree.fan
    if missing:
        neutral = tree.neutral if role == "asker" else 0
        filling = np.full((len(answers), missing), neutral, dtype=np.uint8)
        answers = np.concatenate([answers, filling], axis=1)
    index = np.zeros((len(answers), answers.shape[1] // tree.fan), dtype=np.uint8)
    for place in range(tree.fan):
        index |= answers[:, place :: tree.fan] << np.uint8(place * tree.width)
    return index


def _unpacked(packed: Small, count: int) -> Small:
    """The first `count` nibbles, the low half of each byte first."""
    out = np.empty(2 * packed.size, dtype=np.uint8)
    flat = packed.reshape(-1)
    np.bitwise_and(flat, 15, out=out[0::2])
    np.right_shift(flat, 4, out=out[1::2])
    return out[:count]


# --- between the owners ----------------------------------------------------------------------------------


def _exchange(engine: AidedEngine, masked: NDArray[Any]) -> NDArray[Any]:
    """Owners: open numbers that a uniform mask hides."""
    peer = engine.party.peer
    peer.send("masked.compare", None, [masked])
    _, (theirs,) = peer.recv("masked.compare", None, [ArraySpec(masked.dtype.str, masked.shape)])
    opened: NDArray[Any] = masked + theirs
    return opened


def _exchange_nibbles(engine: AidedEngine, masked: Small) -> Small:
    """Owners: open indices below 16 that a uniform mask hides, two in a byte."""
    peer, flat = engine.party.peer, masked.reshape(-1)
    packed = np.zeros(-(-flat.size // 2), dtype=np.uint8)
    packed |= flat[0::2]
    packed[: flat.size // 2] |= flat[1::2] << np.uint8(4)
    peer.send("masked.index", None, [packed])
    _, (theirs,) = peer.recv("masked.index", None, [ArraySpec("|u1", packed.shape)])
    return _unpacked(packed ^ theirs, flat.size).reshape(masked.shape)
