"""Bits in 64-bit words: packing, and turning a matrix of bits on its side.

Bit i of a row stands in word ``i // 64`` at the place of value ``2^(i % 64)``.
"""

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.ring import Words

__all__ = ["pack_bits", "transpose_bits", "unpack_bits"]

_SIDE = 64
# For each step of the recursion: distance of the rows that change places, and the bits that stay.
_STEPS = tuple(
    (np.uint64(half), half, np.uint64(sum(1 << bit for bit in range(_SIDE) if not bit & half)))
    for half in (32, 16, 8, 4, 2, 1)
)


def pack_bits(bits: NDArray[np.bool_], length: int) -> Words:
    """Pack ``(m,)`` bits into words, with zeros up to `length` bits (a multiple of 64)."""
    packed = np.zeros(length // 8, dtype=np.uint8)
    found = np.packbits(bits, bitorder="little")
    packed[: len(found)] = found
    return packed.view(np.uint64)


def unpack_bits(words: Words, count: int) -> NDArray[np.bool_]:
    """The first `count` bits of ``(n,)`` words."""
    return np.unpackbits(words.view(np.uint8), count=count, bitorder="little").view(np.bool_)


def transpose_bits(rows: Words) -> Words:
    """Turn ``(r, n)`` words, rows of 64 n bits, into ``(64 n, r / 64)``: one row for each column of bits.

    Args:
        rows: ``(r, n)`` with r a multiple of 64; left as it is.
    """
    height, width = rows.shape
    bands = height // _SIDE
    # Recursive halving: in each step, off-diagonal quarters of all 64 x 64 squares change places.
    work = rows.reshape(bands, _SIDE, width).copy()
    for shift, half, low in _STEPS:
        quarters = work.reshape(bands, _SIDE // (2 * half), 2, half, width)
        upper, lower = quarters[:, :, 0], quarters[:, :, 1]
        moved = upper >> shift
        moved ^= lower
        moved &= low
        lower ^= moved
        moved <<= shift
        upper ^= moved
    return np.ascontiguousarray(work.transpose(2, 1, 0)).reshape(width * _SIDE, bands)
