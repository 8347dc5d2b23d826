"""Small shared matrices: the inverse of a positive definite one.

Newton and Schulz: ``X ← X (2 I - A X)`` doubles the correct digits once ``|I - A X| < 1``, and needs only
products, so nothing is opened. (Schulz, Iterative Berechnung der reziproken Matrix, ZAMM 13, 1933.)
"""

import numpy as np

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.ring import encode
from tongzhou.secure.shared import Shared

__all__ = ["INVERSE_BITS", "MATRIX_BITS", "invert"]

MATRIX_BITS = 24
"""Fractional bits of the matrix to invert (entries of at most a few units)."""

INVERSE_BITS = 20
"""Fractional bits of the inverse (entries of at most a few thousand)."""


def invert(engine: AidedEngine, matrix: Shared, *, largest: float, iterations: int) -> Shared:
    """Inverse of a shared symmetric positive definite matrix.

    Args:
        engine: who computes.
        matrix: shared ``(d, d)`` with `MATRIX_BITS`.
        largest: public bound on the largest eigenvalue; the start is ``I / largest``.
        iterations: doublings; an eigenvalue λ is inverted to within ``(1 - λ/largest)^(2^iterations)``.

    Returns:
        Shared ``(d, d)`` with `INVERSE_BITS`.
    """
    size = matrix.shape[0]
    unit = np.eye(size)
    start = encode(unit / largest, INVERSE_BITS)
    # The first doubling needs no product of two shared matrices: X0 is a public multiple of the unit.
    factor = round(2.0**INVERSE_BITS / largest)
    residual = engine.truncate(matrix.scaled(factor), INVERSE_BITS)
    inverse = _refine(engine, None, residual, start)
    for _ in range(iterations - 1):
        product = engine.truncate(engine.matmul(matrix, inverse), INVERSE_BITS)
        inverse = _refine(engine, inverse, product, start)
    return inverse


def _refine(engine: AidedEngine, inverse: Shared | None, product: Shared, start: np.ndarray) -> Shared:
    """``X (2 I - A X)`` from X and the product A X (scale `MATRIX_BITS`)."""
    size = product.shape[0]
    rest = engine.add_public(product.scaled(-1), encode(2 * np.eye(size), MATRIX_BITS))
    if inverse is None:
        factor = int(start[0, 0])
        return engine.truncate(rest.scaled(factor), MATRIX_BITS)
    return engine.truncate(engine.matmul(inverse, rest), MATRIX_BITS)
