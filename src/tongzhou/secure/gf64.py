"""The field GF(2^64) over arrays of 64-bit words: sums are XOR, products are by factors that stay the same.

Bit i of a word is the coefficient of x^i, and x^64 = x^4 + x^3 + x + 1: the irreducible polynomial of degree
64 in Seroussi, Table of low-weight binary irreducible polynomials (HP Labs 98-135, 1998).
"""

import numpy as np

from tongzhou.secure.ring import Words

__all__ = ["DEGREE", "FixedProduct", "combine_bits", "times_x"]

DEGREE = 64
"""Bits of a field element."""

_REDUCTION = 0b11011
_LOW = (1 << DEGREE) - 1
_BYTES = 8
_PIECE = 1 << 13
"""Words multiplied at a time, so that they and the tables stay in the nearest cache."""


class FixedProduct:
    """Products of many words by the same few factors: one table look-up for each byte of a word.

    Args:
        factors: ``(w,)``.
    """

    def __init__(self, factors: Words) -> None:
        powers = np.array(_all_powers(factors), dtype=np.uint64)
        tables = np.zeros((_BYTES, 256, len(factors)), dtype=np.uint64)
        for place in range(_BYTES):
            for bit in range(8):
                half = 1 << bit
                tables[place, half : 2 * half] = tables[place, :half] ^ powers[8 * place + bit]
        self._tables = tables

    def __repr__(self) -> str:
        return "FixedProduct(factors=********)"

    def add_to(self, sums: Words, words: Words) -> None:
        """Add ``words (n,)`` times each factor to ``sums (n, w)``, in place."""
        for start in range(0, len(words), _PIECE):
            piece = words[start : start + _PIECE]
            target = sums[start : start + _PIECE]
            columns = np.ascontiguousarray(piece.view(np.uint8).reshape(-1, _BYTES).T)
            for table, column in zip(self._tables, columns, strict=True):
                # Every byte is below 256: "clip" only spares the check.
                target ^= table.take(column, axis=0, mode="clip")


def times_x(words: Words) -> Words:
    """Each word times x."""
    return (words << np.uint64(1)) ^ ((words >> np.uint64(63)) * np.uint64(_REDUCTION))


def combine_bits(rows: Words) -> Words:
    """The sum of ``x^j`` times row j over ``rows (64, n)``: ``(n,)``."""
    total: Words = rows[-1].copy()
    for row in rows[-2::-1]:
        total = times_x(total)
        total ^= row
    return total


def _all_powers(factors: Words) -> list[list[int]]:
    """The factors times 1, x, x^2, …, x^63, one row each."""
    current = [int(factor) for factor in factors]
    rows = []
    for _ in range(DEGREE):
        rows.append(current)
        current = [((one << 1) & _LOW) ^ (_REDUCTION if one >> (DEGREE - 1) else 0) for one in current]
    return rows
