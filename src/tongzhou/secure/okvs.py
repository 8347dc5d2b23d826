"""Oblivious key-value stores: a table from which each of many keys reads the word that was put there for it.

A key reads by XOR: three places of the table that its hash names, and some of a few more words at the
table's end. The table is as linear as that: the sum of two tables reads as the sum of what they read.

Statement
    Who learns what: a table masked by uniform words is uniform. The table itself is not claimed to hide its
    keys.
    Failure: `fill` fails where the equations have no solution. With random hashes that has chance below
    2^-40 at every size: two keys with the same three places come with chance ``13.5 · load^3 / n``, and then
    the 40 words at the end, of which each key reads a random half, fail to tell them apart with chance
    2^-40; a large set of keys that cannot be peeled off one by one has, at the load taken here, chance below
    2^-40 (see `_third`), and up to `CORE_MAX` keys of it are solved all the same. Who fills takes a new hash
    then and tells the other; so what the other may learn from it has chance below 2^-40, too.
    Cost: 1.27 to 1.4 words a key, some 0.3 µs a key to fill, 0.05 to read.
    Papers: Garimella, Pinkas, Rosulek, Trieu and Yanai, Oblivious key-value stores and amplification for
    private set intersection (CRYPTO 2021); Raghuraman and Rindal, Blazing fast PSI from improved OKVS and
    subfield VOLE (CCS 2022); Botelho, Pagh and Ziviani, Simple and space-efficient minimal perfect hash
    functions (WADS 2007), for the peeling.

Keys are peeled off in rounds: a place that one key alone names is set last, for that key; the key goes, and
frees more places. Each round is a few array operations over all keys that can go at once.
"""

from dataclasses import dataclass
from math import ceil, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.fixed_hash import BlockCipher, Blocks
from tongzhou.secure.ring import Words

__all__ = ["CORE_MAX", "DENSE", "Keys", "Store", "hash_keys", "table_size"]

DENSE: Final = 40
"""Words at the end of the table, of which each key reads a random half."""

CORE_MAX: Final = 2048
"""Most keys that are solved by elimination after peeling."""

_PLACES = 3
_DENSE_BYTES = DENSE // 8
_ONE = 1 << 40
"""One key in a place's count; below it, the sum of the keys' numbers."""
_PIECE = 1 << 15
_HALF = np.uint64(0xFFFFFFFF)
_TURN = np.array([1, 0], dtype=np.uint64)

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Keys:
    """What the hash makes of n keys.

    Attributes:
        places: ``(3, n)`` where each key reads.
        dense: ``(5, n)`` bits that say which of the last words it reads.
        words: ``(n,)`` a further random word for each key.
    """

    places: Numbers
    dense: NDArray[np.uint8]
    words: Words


def table_size(keys: int) -> int:
    """Words of the table for so many keys."""
    return _PLACES * _third(keys) + DENSE


def _third(keys: int) -> int:
    """Places that each of the three choices has.

    Peeling takes all keys off where there are fewer than 0.8185 a place (Molloy, Random Structures and
    Algorithms 2005), give or take ``0.44 / sqrt(n)``, measured; the distance kept is ten times that. Small
    tables are solved by elimination where peeling leaves keys, so that they need less distance.
    """
    load = min(0.79, 0.8185 - 4.5 / sqrt(keys)) if keys > CORE_MAX else 0.74
    return max(ceil(keys / load / _PLACES), 32)


def hash_keys(digests: Blocks, cipher: BlockCipher, table_keys: int) -> Keys:
    """Hash keys, given by random-looking digests.

    Args:
        digests: ``(n, 2)``, distinct.
        cipher: under a key of this run; a new key gives a new hash.
        table_keys: number of keys that the table is made for.
    """
    third, count = np.uint64(_third(table_keys)), len(digests)
    places = np.empty((_PLACES, count), dtype=np.int64)
    dense = np.empty((_DENSE_BYTES, count), dtype=np.uint8)
    words = np.empty(count, dtype=np.uint64)
    for start in range(0, count, _PIECE):
        here = slice(start, start + _PIECE)
        block = digests[here]
        # P(g) ^ g, and the same with the lowest bit of g turned: four more random words.
        inputs = np.stack([block, block ^ _TURN], axis=1)
        hashed = cipher.encrypt(inputs)
        hashed ^= inputs
        first, mixed, last, _ = hashed.reshape(-1, 4).T
        # The first place grows with the digest: sorted keys read that part of the table in its order.
        halves = (block[:, 0] >> np.uint64(32), first >> np.uint64(32), first & _HALF)
        for row, half in enumerate(halves):
            places[row, here] = ((half * third) >> np.uint64(32)) + np.uint64(row) * third
        dense[:, here] = mixed.copy().view(np.uint8).reshape(-1, 8)[:, :_DENSE_BYTES].T
        words[here] = last
    return Keys(places, dense, words)


class Store:
    """Filling and reading tables of one shape.

    Args:
        table_keys: number of keys that the table is made for.
    """

    def __init__(self, table_keys: int) -> None:
        self._places = _PLACES * _third(table_keys)

    def fill(self, keys: Keys) -> Words | None:
        """A table ``(size,)`` from which each key reads its own word.

        Returns:
            ``None`` where there is none, or where too many keys resist peeling; see the statement.
        """
        peeled = _peel(keys, self._places)
        left = np.ones(len(keys.words), dtype=np.bool_)
        for gone, _ in peeled:
            left[gone] = False
        core = np.flatnonzero(left)
        table = np.zeros(self._places + DENSE, dtype=np.uint64)
        wanted = keys.words
        if len(core):
            if len(core) > CORE_MAX or not _eliminate(keys, core, table):
                return None
            wanted = wanted ^ _read_dense(table[-DENSE:], keys.dense)
        for gone, places in reversed(peeled):
            first, second, third = (table[row[gone]] for row in keys.places)
            # The key's own place is still zero: the sum of all three is that of the other two.
            table[places] = wanted[gone] ^ first ^ second ^ third
        return table

    def read(self, table: Words, keys: Keys) -> Words:
        """What each key reads: ``(n,)`` of a table ``(size,)``, or ``(n, w)`` of one ``(size, w)``."""
        total = _read_dense(table[-DENSE:], keys.dense)
        for start in range(0, len(total), _PIECE):
            here = slice(start, start + _PIECE)
            for row in keys.places:
                total[here] ^= table.take(row[here], axis=0, mode="clip")
        return total


def _peel(keys: Keys, places: int) -> list[tuple[Numbers, Numbers]]:
    """Rounds of keys that go, each with the place that is its own."""
    count = len(keys.words)
    tokens = np.arange(_ONE, _ONE + count, dtype=np.int64)
    state = np.zeros(places, dtype=np.int64)
    for row in keys.places:
        np.add.at(state, row, tokens)
    holder = np.empty(count, dtype=np.int64)
    mark = np.empty(places, dtype=np.int64)
    rounds = []
    alone = np.flatnonzero(state >> 40 == 1)
    while len(alone):
        # A place that one key alone names holds that key's number. A key with two such places keeps one.
        found = state[alone] & (_ONE - 1)
        holder[found] = alone
        kept = holder[found] == alone
        gone, own = found[kept], alone[kept]
        rounds.append((gone, own))
        rows = [row[gone] for row in keys.places]
        for row in rows:
            np.subtract.at(state, row, tokens[gone])
        touched = np.concatenate(rows)
        touched = touched[state[touched] >> 40 == 1]
        mark[touched] = np.arange(len(touched))
        alone = touched[mark[touched] == np.arange(len(touched))]
    return rounds


def _eliminate(keys: Keys, core: Numbers, table: Words) -> bool:
    """Set the places of the keys that are left, and the last words, by Gauss's elimination over bits."""
    columns, numbers = np.unique(keys.places[:, core], return_inverse=True)
    width = -(-(len(columns) + DENSE) // 64) * 64
    bits = np.zeros((len(core), width), dtype=np.bool_)
    for row in numbers.reshape(_PLACES, -1):
        bits[np.arange(len(core)), row] ^= True
    dense = np.unpackbits(keys.dense[:, core], axis=0, bitorder="little")
    bits[:, len(columns) : len(columns) + DENSE] = dense.reshape(_DENSE_BYTES, 8, -1).reshape(DENSE, -1).T
    rows = np.packbits(bits, axis=1, bitorder="little").view(np.uint64)
    words = keys.words[core].copy()
    solved = _reduce(rows, words)
    if solved is None:
        return False
    where = np.concatenate([columns, np.arange(len(table) - DENSE, len(table))])
    held, pivots = solved
    table[where[pivots]] = words[held]
    return True


def _reduce(rows: Words, words: Words) -> tuple[Numbers, Numbers] | None:
    """Bring ``rows`` to a form where each has a column of its own; ``None`` if an equation contradicts."""
    held, pivots = [], []
    for place in range(len(rows)):
        filled = np.flatnonzero(rows[place])
        if not len(filled):
            if words[place]:
                return None
            continue
        word = int(filled[0])
        lowest = int(rows[place, word]) & -int(rows[place, word])
        others = (rows[:, word] & np.uint64(lowest)) != 0
        others[place] = False
        rows[others] ^= rows[place]
        words[others] ^= words[place]
        held.append(place)
        pivots.append(64 * word + lowest.bit_length() - 1)
    return np.array(held, dtype=np.int64), np.array(pivots, dtype=np.int64)


def _read_dense(last: Words, dense: NDArray[np.uint8]) -> Words:
    """The sum of those of the last words that each key's bits name."""
    total = np.zeros((dense.shape[1], *last.shape[1:]), dtype=np.uint64)
    tables = [_sums_of_eight(last[8 * place : 8 * place + 8]) for place in range(_DENSE_BYTES)]
    for start in range(0, len(total), _PIECE):
        here = slice(start, start + _PIECE)
        for table, column in zip(tables, dense, strict=True):
            total[here] ^= table.take(column[here], axis=0, mode="clip")
    return total


def _sums_of_eight(words: Words) -> Words:
    """All 256 sums of some of eight words; bit i of the place says whether word i is in it."""
    sums = np.zeros((256, *words.shape[1:]), dtype=np.uint64)
    for bit, word in enumerate(words):
        half = 1 << bit
        sums[half : 2 * half] = sums[:half] ^ word
    return sums
