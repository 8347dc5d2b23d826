"""Fixed-point numbers in the ring Z_2^64, and the two products that the protocols need.

A real number x is held as round(x · 2^bits) modulo 2^64. Sums and products wrap, as ring elements do;
who chooses the scales proves that the true value stays inside (the bounds stand where scales are chosen).
Matrices are stored with variables first, ``(columns, rows)``, because both products then run over
contiguous memory.
"""

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError

__all__ = ["Reals", "Words", "decode", "encode", "matrix_times_rows", "rows_times_matrix"]

Words = NDArray[np.uint64]
Reals = NDArray[np.float64]

_LIMIT = 2.0**62


def encode(values: Reals, bits: int) -> Words:
    """Fixed-point form of real numbers.

    Args:
        values: any shape, finite, ``|x| < 2^(62 - bits)``.
        bits: fractional bits.

    Raises:
        DataError: a value is not finite or too large for the scale (the value is not printed).
    """
    scaled = values * 2.0**bits
    if not bool(np.all(np.abs(scaled) < _LIMIT)):
        raise DataError(
            "a number is not finite or is larger than {limit:g}, the most that {bits} fractional bits hold",
            limit=2.0 ** (62 - bits),
            bits=bits,
        )
    return np.rint(scaled).astype(np.int64).view(np.uint64)


def decode(words: Words, bits: int) -> Reals:
    """Real numbers of fixed-point words, read as signed."""
    signed = np.ascontiguousarray(words).view(np.int64)
    return np.ldexp(signed.astype(np.float64), -bits)


def rows_times_matrix(rows: Words, matrix: Words) -> Words:
    """Product of ``rows (k, d)`` or ``(d,)`` with ``matrix (d, n)``, in the ring."""
    return rows @ matrix


def matrix_times_rows(matrix: Words, rows: Words) -> Words:
    """Product of ``matrix (d, n)`` with the transpose of ``rows (k, n)`` or ``(n,)``.

    Returns ``(d, k)`` or ``(d,)``. NumPy has no fast integer matrix product; one matrix-vector product
    a column is about five times faster than its general routine.
    """
    if rows.ndim == 1:
        return matrix @ rows
    product = np.empty((matrix.shape[0], rows.shape[0]), dtype=np.uint64)
    for column, row in enumerate(rows):
        product[:, column] = matrix @ row
    return product
