"""A table from which each key draws its value, and which says nothing about its keys.

Statement
    Whoever holds a key reads its value; with any other key something else is read. If the values are uniform,
    the whole table is uniform, whatever the keys: it tells how many there are and nothing more. (Keys and
    values are a system of linear equations for the table's words, uniform among its solutions.)
    Cost: 1.3 n + 8 √n + 83 slots of 16 bytes for n keys, at most.
    Papers: Garimella, Pinkas, Rosulek, Trieu and Yanai, Oblivious key-value stores and amplification for
    private set intersection (CRYPTO 2021), its three-hash cuckoo table with a dense part; Pinkas, Rosulek,
    Trieu and Yanai, PSI from PaXoS (EUROCRYPT 2020).

The value of a key is the exclusive or of three slots, one in each third of the table, and of some of 56 dense
slots, all chosen by the key's own bits: keys are uniform words of 16 bytes already. Slots that only one key
still needs are set aside, round after round, and filled in the opposite order. The few keys of which each
shares all its slots are solved by means of the dense slots.
"""

import math
from functools import reduce
from operator import xor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import ProtocolError
from tongzhou.secure.prg import Stream, new_seed
from tongzhou.secure.ring import Words

__all__ = ["WORDS", "pack_table", "read_table", "slot_count"]

WORDS: Final = 2
"""Words of 8 bytes in a key and in a value."""

_DENSE = 56
_SPREAD, _SLACK, _SPARE = 1.3, 8.0, 24
"""Setting aside ends at few keys as long as there are 1.222 slots a key (Garimella et al.), give or take
0.7 √m of m slots: measured on small tables. These slots are more than seven such deviations above that."""
_PART_BITS = np.uint64(24)
_PART = np.uint64((1 << 24) - 1)

Places = NDArray[np.int64]


def slot_count(keys: int) -> int:
    """Slots of a table for so many keys."""
    return 3 * _third(keys) + _DENSE


def pack_table(keys: Words, values: Words) -> Words:
    """Make a table.

    Args:
        keys: ``(n, 2)`` uniform words, all different.
        values: ``(n, 2)`` words.

    Returns:
        ``(slot_count(n), 2)`` words.

    Raises:
        ProtocolError: no table holds these keys; of uniform keys about one set in 2^40 is such.
    """
    slots = _slots(keys, slot_count(len(keys)))
    rounds, left = _peeled(slots, slot_count(len(keys)))
    table = Stream(new_seed()).words(slot_count(len(keys)), WORDS)
    _solve_dense(table, keys[left], values[left] ^ _sparse(table, slots[left]))
    offsets = values ^ _dense(table, keys)
    for edges, slot in reversed(rounds):
        table[slot] = 0
        table[slot] = offsets[edges] ^ _sparse(table, slots[edges])
    return table


def read_table(table: Words, keys: Words) -> Words:
    """What each key draws from a table: ``(k, 2)`` words."""
    return _sparse(table, _slots(keys, len(table))) ^ _dense(table, keys)


def _third(keys: int) -> int:
    return math.ceil((_SPREAD * keys + _SLACK * math.sqrt(keys) + _SPARE) / 3)


def _slots(keys: Words, count: int) -> Places:
    """The three slots of each key, ``(n, 3)``: 24 bits of the key for each."""
    third = (count - _DENSE) // 3
    low, high = keys[:, 0], keys[:, 1]
    parts = (low, low >> _PART_BITS, (low >> np.uint64(48)) | (high << np.uint64(16)))
    places = [((part & _PART) * np.uint64(third)) >> _PART_BITS for part in parts]
    return np.stack([place.astype(np.int64) + third * n for n, place in enumerate(places)], axis=1)


def _sparse(table: Words, slots: Places) -> Words:
    drawn: Words = table[slots[:, 0]] ^ table[slots[:, 1]] ^ table[slots[:, 2]]
    return drawn


def _dense(table: Words, keys: Words) -> Words:
    """The exclusive or of those dense slots that the key's last 56 bits name, a byte at a time."""
    drawn = np.zeros((len(keys), WORDS), dtype=np.uint64)
    for start in range(0, _DENSE, 8):
        sums = np.zeros((1, WORDS), dtype=np.uint64)
        for slot in table[len(table) - _DENSE + start :][:8]:
            sums = np.concatenate([sums, sums ^ slot])
        byte = (keys[:, 1] >> np.uint64(8 + start)) & np.uint64(255)
        drawn ^= sums[byte.astype(np.intp)]
    return drawn


def _peeled(slots: Places, count: int) -> tuple[list[tuple[Places, Places]], Places]:
    """Rounds of keys with a slot that no other key needs any more, and the keys that are left."""
    degree = np.bincount(slots.reshape(-1), minlength=count)
    total = np.zeros(count, dtype=np.int64)
    np.add.at(total, slots.reshape(-1), np.repeat(np.arange(len(slots)), 3))
    left = np.ones(len(slots), dtype=bool)
    rounds = []
    single = np.flatnonzero(degree == 1)
    while len(single):
        # The sum of the keys of a slot is the key itself where there is one.
        edges, first = np.unique(total[single], return_index=True)
        rounds.append((edges, single[first]))
        left[edges] = False
        touched = slots[edges].reshape(-1)
        np.subtract.at(degree, touched, 1)
        np.subtract.at(total, touched, np.repeat(edges, 3))
        around = np.unique(touched)
        single = around[degree[around] == 1]
    return rounds, np.flatnonzero(left)


def _solve_dense(table: Words, keys: Words, targets: Words) -> None:
    """Set dense slots so that the keys draw these targets from the dense part."""
    rows: list[tuple[int, int, int]] = []
    for key, target in zip(keys, targets, strict=True):
        mask, value = int(key[1]) >> 8, _integer(target)
        for pivot, other, known in rows:
            if mask >> pivot & 1:
                mask, value = mask ^ other, value ^ known
        if not mask:
            raise ProtocolError("the values of this list fit into no table; run the job again")
        pivot = mask.bit_length() - 1
        rows = [(p, o ^ mask, k ^ value) if o >> pivot & 1 else (p, o, k) for p, o, k in rows] + [
            (pivot, mask, value)
        ]
    dense = table[len(table) - _DENSE :]
    for pivot, mask, value in rows:
        # All pivots are gone from the other rows, so the slots named here keep their random words.
        others = [_integer(dense[slot]) for slot in range(_DENSE) if mask >> slot & 1 and slot != pivot]
        solved = reduce(xor, others, value)
        dense[pivot] = np.frombuffer(solved.to_bytes(8 * WORDS, "little"), dtype="<u8")


def _integer(words: Words) -> int:
    return int.from_bytes(words.astype("<u8").tobytes(), "little")
