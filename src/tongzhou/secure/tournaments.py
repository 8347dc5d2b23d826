"""Which of many shared numbers is the largest, without telling which.

Statement
    Parties: two data owners and the helper (`aided`).
    Who learns what: both owners learn results of comparisons between places of an order that nobody knows.
    The numbers are all different (their low bits are their first places), so the results are those of a
    uniformly random order and tell nothing. The place of the winner in the unknown order is uniform too. The
    helper learns the shapes.
    Assumption: as `tongzhou.secure.aided`.
    Cost: one round for the shuffle, and for each stage (two or three) those of `signs` and one to open.
    Paper: shuffling before comparisons are opened: Hamada, Kikuchi, Ikarashi, Chida and Takahashi,
    Practically efficient multi-party sorting protocols from comparison sort algorithms (ICISC 2012).

In each stage the places fall into groups, within a group every pair is compared at once, and the winner of
the group goes on.
"""

from collections.abc import Sequence
from functools import cache
from itertools import product
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.dealing import Array, Layout
from tongzhou.secure.lookups import open_bits
from tongzhou.secure.mixing import shuffle
from tongzhou.secure.ring import Words
from tongzhou.secure.shared import Shared
from tongzhou.secure.signs import negative

__all__ = ["KEY_BITS", "groupings", "place_bits", "ranked", "win"]

KEY_BITS: Final = 54
"""A key with its place is a signed number of one bit less, so that differences fit."""

_FEW = 6
"""Up to so many numbers are compared in one stage, up to their square in two."""
_STAGES = 3

Places = NDArray[np.intp]


def place_bits(slots: int) -> int:
    """Bits that tell the places of a tournament apart."""
    return max(1, (slots - 1).bit_length())


@cache
def groupings(slots: int) -> tuple[int, ...]:
    """Sizes of the groups in each stage, with the fewest comparisons."""
    stages = next((s for s in range(1, _STAGES) if slots <= _FEW**s), _STAGES)
    largest = round(slots ** (1 / stages)) * 4 + 2
    best: tuple[int, tuple[int, ...]] | None = None
    for sizes in product(range(2, largest), repeat=stages - 1):
        rest, cost = slots, 0
        for size in sizes:
            rest = -(-rest // size)
            cost += rest * size * (size - 1) // 2
        cost += rest * (rest - 1) // 2
        if best is None or cost < best[0]:
            best = (cost, (*sizes, rest))
    return (slots,) if best is None else best[1]


def ranked(engine: AidedEngine, scores: Words | None, slots: int, drop: int) -> Words | None:
    """Keys whose low bits are the places, so that no two are equal and the first of equals is the largest.

    Args:
        engine: who computes.
        scores: an owner's shares ``(k, slots)``, with absolute values below
            ``2^(KEY_BITS - 1 - place bits + drop)``.
        slots: number of places.
        drop: low bits of the scores that do not count; at most ``10 + place bits``.
    """
    if scores is None:
        return None
    bits = place_bits(slots)
    keys = (scores >> np.uint64(drop)) << np.uint64(bits)
    if engine.party.role == "asker":
        keys += np.arange(slots - 1, -1, -1, dtype=np.uint64)
    return keys


def win(
    engine: AidedEngine, keys: Words | None, payload: Sequence[Array], layout: Layout, rows: int, slots: int
) -> list[Array]:
    """Find the largest key of each row and what goes with it.

    Args:
        engine: who computes.
        keys: an owner's shares ``(rows, slots)``, all different; ``None`` at the helper.
        payload: an owner's shares of what goes with each key.
        layout: types and shapes of the payload; each ``(rows, slots)``.
        rows: number of tournaments, all at once.
        slots: places in each.

    Returns:
        An owner's shares of each payload array at the winning places, ``(rows,)``; nothing at the helper.
    """
    shape = (rows, slots)
    full: Layout = [("<u8", shape), *layout]
    mixed = shuffle(engine, None if keys is None else [keys, *payload], full)
    places = np.broadcast_to(np.arange(slots), shape)
    for size in groupings(slots):
        places = _stage(engine, mixed[0] if mixed else None, places, size)
    return [np.take_along_axis(one, places, axis=1)[:, 0] for one in mixed[1:]]


def _stage(engine: AidedEngine, keys: Words | None, places: Places, size: int) -> Places:
    """Winners of groups of neighbouring places; a last group that is short fights as it is."""
    rows, count = places.shape
    groups = -(-count // size)
    # Missing places repeat the last one. Its comparison with itself says nothing, and one of the two wins.
    grid = np.minimum(np.arange(groups * size), count - 1).reshape(groups, size)
    first, second = np.triu_indices(size, 1)
    left, right = places[:, grid[:, first]], places[:, grid[:, second]]
    shape = left.shape
    difference = None
    if keys is not None:
        flat = (rows, -1)
        difference = (
            np.take_along_axis(keys, left.reshape(flat), axis=1)
            - np.take_along_axis(keys, right.reshape(flat), axis=1)
        ).reshape(shape)
    bits = negative(engine, Shared(shape, difference), KEY_BITS)
    beaten = open_bits(engine, "order", bits, shape)
    if keys is None:
        return places[:, grid[:, 0]]
    # Who is beaten in a pair has lost once, else the other has.
    turned = np.zeros((len(first), size), dtype=np.float32)
    turned[np.arange(len(first)), first] += 1
    turned[np.arange(len(first)), second] -= 1
    losses = beaten.astype(np.float32) @ turned + np.arange(size, dtype=np.float32)
    best = np.argmin(losses, axis=-1)
    found: Places = np.take_along_axis(places[:, grid], best[..., np.newaxis], axis=-1)[..., 0]
    return found
