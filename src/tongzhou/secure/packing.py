"""How matrices are laid out in polynomials, so that one product of polynomials is a product of matrices.

With `inner` length L, the left matrix ``(p, L)`` and the right matrix ``(L, q)`` become::

    A(x) = Σ A[i, l] x^(i·a + L - 1 - l)        B(x) = Σ B[l, j] x^(j·b + l)

and the coefficient of ``x^(i·a + j·b + L - 1)`` in A·B is ``Σ_l A[i, l] B[l, j]``. With strides (a, b) equal
to (L q, L), or (L, L p), every other pair of exponents meets elsewhere as long as ``L p q ≤ 8192``; what
wraps around comes back below L - 1. (Huang, Lu, Hong and Ding, Cheetah, USENIX Security 2022, for vectors;
Hao, Li, Chen, Xing, Xu and Zhang, Iron, NeurIPS 2022, for matrices.)

A long inner dimension is cut into pieces of L, whose products are added; many rows or columns are cut into
groups of p and q.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.lattice import DEGREE
from tongzhou.secure.ring import Words

__all__ = ["Layout", "best_layout", "parts"]

_IN, _OUT, _FACTOR, _PRODUCT = 3.9, 5.4, 0.45, 0.25
"""Milliseconds that both sides spend on a ciphertext in, a result out, a factor, a product."""


@dataclass(frozen=True)
class Layout:
    """Where the entries of two matrices stand.

    Attributes:
        inner: L.
        left: p, rows of the left matrix in a polynomial.
        right: q, columns of the right matrix in a polynomial.
        turned: whether the strides are (L, L p) instead of (L q, L).
    """

    inner: int
    left: int
    right: int
    turned: bool = False

    @property
    def strides(self) -> tuple[int, int]:
        """Of the rows of the left and of the columns of the right matrix."""
        if self.turned:
            return self.inner, self.inner * self.left
        return self.inner * self.right, self.inner

    def left_polynomial(self, part: Words) -> Words:
        """Coefficients of a left part ``(≤ p, ≤ L)``."""
        rows, inner = part.shape
        places = self.strides[0] * np.arange(rows)[:, None] + (self.inner - 1 - np.arange(inner))
        return _placed(places, part)

    def right_polynomial(self, part: Words) -> Words:
        """Coefficients of a right part ``(≤ L, ≤ q)``."""
        inner, columns = part.shape
        places = self.strides[1] * np.arange(columns) + np.arange(inner)[:, None]
        return _placed(places, part)

    def places(self, rows: int, columns: int) -> NDArray[np.intp]:
        """Where the product of a left part of `rows` and a right part of `columns` stands, ``(r, c)``."""
        left, right = self.strides
        return left * np.arange(rows)[:, None] + right * np.arange(columns) + self.inner - 1


def _placed(places: NDArray[np.intp], part: Words) -> Words:
    out = np.zeros(DEGREE, dtype=np.uint64)
    out[places] = part
    return out


def parts(length: int, size: int) -> list[slice]:
    """Pieces of at most `size` of a length."""
    return [slice(start, min(start + size, length)) for start in range(0, length, size)]


@cache
def best_layout(rows: int, inner: int, columns: int) -> Layout:
    """The cheapest layout for ``(rows, inner)`` times ``(inner, columns)``."""
    layouts = [
        Layout(min(DEGREE // (left * right), inner), left, right)
        for left in _groups(rows)
        for right in _groups(columns)
        if left * right <= DEGREE
    ]
    return min(layouts, key=lambda layout: _cost(rows, inner, columns, layout))


def _groups(count: int) -> list[int]:
    """Even ways to cut a count into groups, by the size of a group."""
    return sorted({-(-count // groups) for groups in range(1, count + 1)})


def _cost(rows: int, inner: int, columns: int, layout: Layout) -> float:
    pieces = -(-inner // layout.inner)
    lefts, rights = -(-rows // layout.left), -(-columns // layout.right)
    return _IN * pieces * rights + _FACTOR * pieces * lefts + (_PRODUCT * pieces + _OUT) * lefts * rights
