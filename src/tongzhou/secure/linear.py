"""Small shared matrices: the inverse of a positive definite one.

With ``R = I - N`` and every eigenvalue of N in (0, 1], the inverse is
``I + R + R² + … = (I + R)(I + R²)(I + R⁴) …``. Each factor doubles the number of terms and needs two products
that do not wait for each other: one round, and one to truncate. Nothing is opened. (The product form of
Schulz's iteration: Schulz, Iterative Berechnung der reziproken Matrix, ZAMM 13, 1933.)

Range: after k factors no entry is above 2^k, so a product has at most k + `MATRIX_BITS` + `INVERSE_BITS`
bits, which must stay below 62.
"""

import numpy as np

from tongzhou.secure.engine import Engine
from tongzhou.secure.ring import encode
from tongzhou.secure.shared import Shared, join, zeros

__all__ = ["INVERSE_BITS", "MATRIX_BITS", "MAX_DOUBLINGS", "invert", "refine"]

MATRIX_BITS = 28
"""Fractional bits of the matrix to invert."""

INVERSE_BITS = 20
"""Fractional bits of the inverse."""

MAX_DOUBLINGS = 61 - MATRIX_BITS - INVERSE_BITS


def invert(engine: Engine, matrix: Shared, *, doublings: int) -> Shared:
    """Inverse of a shared symmetric matrix with eigenvalues in (0, 1].

    Args:
        engine: who computes.
        matrix: shared ``(d, d)`` with `MATRIX_BITS`.
        doublings: factors, at most `MAX_DOUBLINGS`; an eigenvalue λ is inverted to within a part of
            ``(1 - λ)^(2^doublings)``.

    Returns:
        Shared ``(d, d)`` with `INVERSE_BITS`.
    """
    size = matrix.shape[0]
    rest = engine.add_public(matrix.scaled(-1), encode(np.eye(size), MATRIX_BITS))
    unit = engine.add_public(zeros(size, size, owner=engine.is_owner), encode(np.eye(size), INVERSE_BITS))
    inverse = unit + engine.truncate(rest, MATRIX_BITS - INVERSE_BITS)
    rest = engine.matmul(rest, rest, drop=MATRIX_BITS)
    for _ in range(doublings - 2):
        product = engine.matmul(join(inverse, rest), rest, drop=MATRIX_BITS)
        inverse, rest = inverse + product.part(0, size), product.part(size, 2 * size)
    return inverse + engine.matmul(inverse, rest, drop=MATRIX_BITS)


def refine(engine: Engine, matrix: Shared, guess: Shared, *, doublings: int) -> Shared:
    """Inverse of a shared symmetric matrix H from a guess M of it, with eigenvalues of M H in (0, 2).

    The same product with ``R = I - M H`` and M behind it. A good guess needs few doublings.

    Args:
        engine: who computes.
        matrix: shared ``(d, d)`` with `MATRIX_BITS`.
        guess: shared ``(d, d)`` with `INVERSE_BITS`.
        doublings: factors, at least 1; what is left of an eigenvalue r of R is ``r^(2^doublings)``.

    Returns:
        Shared ``(d, d)`` with `INVERSE_BITS`.
    """
    size = matrix.shape[0]
    moved = engine.matmul(guess, matrix, drop=INVERSE_BITS).scaled(-1)
    rest, inverse = engine.add_public(moved, encode(np.eye(size), MATRIX_BITS)), guess
    for _ in range(doublings - 1):
        both = join(rest.transposed(), inverse.transposed()).transposed()
        product = engine.matmul(rest, both, drop=MATRIX_BITS).transposed()
        rest, inverse = (
            product.part(0, size).transposed(),
            inverse + product.part(size, 2 * size).transposed(),
        )
    return inverse + engine.matmul(rest, inverse, drop=MATRIX_BITS)
