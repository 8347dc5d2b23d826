"""An owner's own preparation of its block: centred, uncorrelated, unit variance, as ring words.

Whitening within each block (Cholesky) makes the joint problem well conditioned without any protected work:
what remains is the correlation between the two owners' blocks.
"""

import math
from dataclasses import dataclass

import numpy as np

from tongzhou.errors import DataError
from tongzhou.secure.ring import Reals, Words, encode

__all__ = ["RIDGE_SHARE", "Whitened", "row_bits", "whiten", "whiten_new", "whitened_rows"]

RIDGE_SHARE = 4
"""How many times the penalty is added to the variances; see `whiten`."""

_COLLINEAR = 1e-9
"""A pivot this small (relative) means that a column is a combination of earlier ones."""


def row_bits(rows: int) -> int:
    """L with ``2^L ≥ rows``: sums over rows are divided by 2^L, a shift."""
    return max(1, (rows - 1).bit_length())


@dataclass(frozen=True)
class Whitened:
    """How one owner's block was changed, and how to change coefficients back.

    Attributes:
        means: ``(d,)`` column means.
        unmix: ``(d, d)``: original coefficients = unmix @ whitened coefficients.
        scale: value of the intercept column, ``sqrt(2^L / n)``.
        intercept: whether the block carries the intercept as its first column.
        words: ``(d [+1], n)`` fixed-point block.
        bits: fractional bits of `words`.
        ridge: ``(d [+1], d [+1])`` the ridge penalty in whitened coordinates, zero without one.
    """

    means: Reals
    unmix: Reals
    scale: float
    intercept: bool
    words: Words
    bits: int
    ridge: Reals

    @property
    def columns(self) -> int:
        """Variables in the block, the intercept included."""
        columns: int = self.words.shape[0]
        return columns

    def without_rows(self) -> "Whitened":
        """The transformation alone, to keep after training."""
        empty = np.empty((self.columns, 0), dtype=np.uint64)
        return Whitened(self.means, self.unmix, self.scale, self.intercept, empty, self.bits, self.ridge)

    def coefficients(self, whitened: Reals) -> tuple[float, Reals]:
        """This block's part of the intercept, and its coefficients in original units."""
        start = self.scale * whitened[0] if self.intercept else 0.0
        betas = self.unmix @ (whitened[1:] if self.intercept else whitened)
        return float(start - self.means @ betas), betas

    def covariance(self, whitened: Reals) -> Reals:
        """Covariance of the coefficients in original units."""
        inner = whitened[1:, 1:] if self.intercept else whitened
        return self.unmix @ inner @ self.unmix.T


def whiten(values: Reals, names: list[str], *, bits: int, intercept: bool, l2: float = 0.0) -> Whitened:
    """Whiten one owner's block.

    Args:
        values: ``(n, d)`` finite numbers.
        names: the d column names, for messages.
        bits: fractional bits of the result.
        intercept: put a constant column first.
        l2: ridge penalty. Four times it is added to the variances before whitening, which keeps the curvature
            (at most a quarter of the variance, plus the penalty) below a quarter whatever the penalty.

    Raises:
        DataError: a column is constant, or a combination of the columns before it.
    """
    rows = values.shape[0]
    scale = math.sqrt(2.0 ** row_bits(rows) / rows)
    means = values.mean(axis=0)
    centred = values - means
    covariance = centred.T @ centred / rows
    widened = covariance + RIDGE_SHARE * l2 * np.eye(len(names))
    _refuse_dependent(covariance, widened, names)
    inverse = np.linalg.inv(np.linalg.cholesky(widened))
    unmix = scale * inverse.T
    ridge = l2 * inverse @ inverse.T
    block = (centred @ unmix).T
    if intercept:
        block = np.vstack([np.full(rows, scale), block])
        ridge = np.pad(ridge, ((1, 0), (1, 0)))
    words = encode(np.ascontiguousarray(block), bits)
    return Whitened(means, unmix, scale, intercept, words, bits, ridge)


def whitened_rows(block: Whitened, values: Reals) -> Reals:
    """Rows ``(m, d)`` in the coordinates of a whitened block, ``(d [+1], m)``."""
    rows = ((values - block.means) @ block.unmix).T
    if block.intercept:
        rows = np.vstack([np.full(values.shape[0], block.scale), rows])
    return np.ascontiguousarray(rows)


def whiten_new(block: Whitened, values: Reals) -> Words:
    """The same as ring words."""
    return encode(whitened_rows(block, values), block.bits)


def _refuse_dependent(covariance: Reals, widened: Reals, names: list[str]) -> None:
    """Name the first column that is constant or that the columns before it determine."""
    work = widened.copy()
    for place, name in enumerate(names):
        pivot, variance = work[place, place], covariance[place, place]
        if variance <= 0 or pivot <= _COLLINEAR * widened[place, place]:
            kind = "is constant" if variance <= 0 else "is a linear combination of the columns before it"
            raise DataError(
                "column {column} {kind}; a joint regression needs columns that differ: remove it",
                column=name,
                kind=kind,
            )
        work -= np.outer(work[:, place], work[place]) / pivot
