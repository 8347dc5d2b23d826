"""A table that gives each stored key its row as the sum of three cells: what linear shares can look up.

Because a look-up is a sum, somebody who holds a masked table and somebody who holds the masks hold shares of
the row without a word between them. One row comes out for each table, where a cuckoo table would give one
candidate for each choice, each to be compared. A key that is not stored gets a sum that means nothing, so a
row carries a tag.

Each key has one place in each third of the table. Rows are assigned by peeling: a cell that only one key uses
can take whatever that key still lacks, so that key may wait until all others have their rows; taking it out
frees more cells. With 1.25 cells a key this nearly always reaches the last key; where it does not, other
places are tried.

Papers: Botelho, Pagh and Ziviani, Simple and space-efficient minimal perfect hash functions (WADS 2007), for
the peeling; Garimella, Pinkas, Rosulek, Trieu and Yanai, Oblivious key-value stores (CRYPTO 2021), for
look-ups that are linear.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError
from tongzhou.secure import field
from tongzhou.secure.blocks import BlockHash
from tongzhou.secure.ring import Words

__all__ = ["MAX_ATTEMPTS", "cells_for", "fill_cells", "places", "read_rows"]

MAX_ATTEMPTS: Final = 64
"""Sets of places to try; a set fails with probability well below one half, and rarely at all for large
tables."""

Places = NDArray[np.int64]
_Layer = tuple[Places, Places]

_WAYS: Final = 3
_LOW_32 = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)


def cells_for(capacity: int) -> int:
    """Cells of a table for at most `capacity` keys, a multiple of three."""
    return _WAYS * (-(-(5 * capacity) // (4 * _WAYS)) + 16)


def places(keys: Words, attempt: int, cells: int) -> Places:
    """The three cells of each key, ``(n, 3)``.

    Args:
        keys: ``(n, 2)`` uniform blocks.
        attempt: which set of places.
        cells: size of the table, as `cells_for` gives it.
    """
    moved = keys.copy()
    moved[:, 0] ^= np.uint64(attempt)
    mixed = BlockHash("retrieval places")(moved)
    third = np.uint64(cells // _WAYS)
    draws = np.stack([mixed[:, 0] & _LOW_32, mixed[:, 0] >> _32, mixed[:, 1] & _LOW_32], axis=1)
    spots = ((draws * third) >> _32).astype(np.int64)
    return spots + np.arange(_WAYS, dtype=np.int64) * int(third)


def fill_cells(keys: Words, rows: Words, cells: int) -> tuple[Words, int]:
    """Cells so that each key's three add up to its row.

    Args:
        keys: ``(n, 2)`` uniform blocks, all different.
        rows: ``(n, w)`` elements of `tongzhou.secure.field`.
        cells: size of the table; `cells_for` the number of keys, or more.

    Returns:
        The cells ``(cells, w)``, zero where none is needed, and the attempt that gave them.

    Raises:
        DataError: no attempt gave a table, as when two keys are equal.
    """
    for attempt in range(MAX_ATTEMPTS):
        spots = places(keys, attempt, cells)
        layers = _peel(spots, cells)
        if layers is not None:
            return _assign(layers, spots, rows, cells), attempt
    raise DataError(
        "{count} entries do not fit into a table of {cells} cells: entries repeat, or there are too many",
        count=len(keys),
        cells=cells,
    )


def read_rows(table: Words, spots: Places) -> Words:
    """The sums of the cells at ``spots (n, 3)`` of a table ``(cells, w)``: ``(n, w)``."""
    return field.sum_rows(table[spots], 1)


def _peel(spots: Places, cells: int) -> list[_Layer] | None:
    """Keys, each with the cell that it alone uses, layer by layer; ``None`` if some never come free."""
    flat = spots.reshape(-1)
    uses = np.bincount(flat, minlength=cells)
    # The sum of the numbers of a cell's keys: with one key left, it names that key.
    names = np.bincount(
        flat, weights=np.repeat(np.arange(len(spots), dtype=np.float64), _WAYS), minlength=cells
    )
    named = names.astype(np.int64)
    owner = np.empty(len(spots), dtype=np.int64)
    free = np.flatnonzero(uses == 1)
    layers: list[_Layer] = []
    while len(free):
        keys, free = _distinct(named[free], free, owner)
        layers.append((keys, free))
        touched = spots[keys].reshape(-1)
        np.subtract.at(uses, touched, 1)
        np.subtract.at(named, touched, np.repeat(keys, _WAYS))
        touched = touched[uses[touched] == 1]
        free = touched if len(touched) < 2 else np.unique(touched)
    done = sum(len(keys) for keys, _ in layers)
    return layers if done == len(spots) else None


def _distinct(keys: Places, free: Places, owner: Places) -> tuple[Places, Places]:
    """Each key once, with one of its free cells."""
    order = np.arange(len(keys), dtype=np.int64)
    owner[keys] = order
    kept = owner[keys] == order
    return keys[kept], free[kept]


def _assign(layers: list[_Layer], spots: Places, rows: Words, cells: int) -> Words:
    """Give each key's own cell what the other two lack, the last peeled first."""
    table = np.zeros((cells, rows.shape[1]), dtype=np.uint64)
    for keys, own in reversed(layers):
        # The own cell is still zero, so the sum is that of the other two.
        table[own] = field.subtract(rows[keys], read_rows(table, spots[keys]))
    return table
