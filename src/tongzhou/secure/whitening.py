"""An owner's own preparation of its block: centred, uncorrelated, unit variance, as ring words.

Whitening within each block (Cholesky) makes the joint problem well conditioned without any protected work:
what remains is the correlation between the two owners' blocks.
"""

import math
from dataclasses import dataclass

import numpy as np

from tongzhou.errors import DataError
from tongzhou.secure.ring import Reals, Words, encode

__all__ = ["RIDGE_SHARE", "Whitened", "intercept_value", "row_bits", "whiten", "whiten_new", "whitened_rows"]

RIDGE_SHARE = 4
"""How many times the penalty is added to the variances; see `whiten`."""

_PIECE_ROWS = 1 << 14

_COLLINEAR = 1e-9
"""A pivot this small (relative) means that a column is a combination of earlier ones."""


def row_bits(rows: int) -> int:
    """L with ``2^L ≥ rows``: sums over rows are divided by 2^L, a shift."""
    return max(1, (rows - 1).bit_length())


def intercept_value(rows: int, bits: int) -> float:
    """Value of the intercept column, ``sqrt(2^L / n)``, rounded as the ring words of the block are."""
    return round(math.sqrt(2.0 ** row_bits(rows) / rows) * 2.0**bits) / 2.0**bits


@dataclass(frozen=True)
class Whitened:
    """How one owner's block was changed, and how to change coefficients back.

    Attributes:
        means: ``(d,)`` column means.
        unmix: ``(d, d)``: original coefficients = unmix @ whitened coefficients.
        scale: value of the intercept column.
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
        DataError: a column has a value that is not finite, is constant, or is a combination of the columns
            before it.
    """
    rows = values.shape[0]
    with np.errstate(invalid="ignore", over="ignore"):
        means = values.mean(axis=0)
        covariance = _covariance(values, means)
    _refuse_infinite(covariance, names)
    widened = covariance + RIDGE_SHARE * l2 * np.eye(len(names))
    _refuse_dependent(covariance, widened, names)
    inverse = np.linalg.inv(np.linalg.cholesky(widened))
    unmix = math.sqrt(2.0 ** row_bits(rows) / rows) * inverse.T
    ridge = l2 * inverse @ inverse.T
    if intercept:
        ridge = np.pad(ridge, ((1, 0), (1, 0)))
    words = np.empty((len(names) + intercept, rows), dtype=np.uint64)
    block = Whitened(means, unmix, intercept_value(rows, bits), intercept, words, bits, ridge)
    for start in range(0, rows, _PIECE_ROWS):
        part = slice(start, start + _PIECE_ROWS)
        words[:, part] = encode(whitened_rows(block, values[part]), bits)
    return block


def _covariance(values: Reals, means: Reals) -> Reals:
    """Covariance of the columns, a piece of the rows at a time, so that no second table is held."""
    total = np.zeros((len(means), len(means)))
    for start in range(0, len(values), _PIECE_ROWS):
        centred = values[start : start + _PIECE_ROWS] - means
        total += centred.T @ centred
    return total / len(values)


def whitened_rows(block: Whitened, values: Reals) -> Reals:
    """Rows ``(m, d)`` in the coordinates of a whitened block, ``(d [+1], m)``."""
    rows = np.empty((block.columns, values.shape[0]))
    rows[: block.intercept] = block.scale
    np.matmul(block.unmix.T, (values - block.means).T, out=rows[int(block.intercept) :])
    return rows


def whiten_new(block: Whitened, values: Reals) -> Words:
    """The same as ring words."""
    return encode(whitened_rows(block, values), block.bits)


def _refuse_infinite(covariance: Reals, names: list[str]) -> None:
    for place, name in enumerate(names):
        if not np.isfinite(covariance[place, place]):
            raise DataError("column {column} has a value that is missing or not finite", column=name)


def _refuse_dependent(covariance: Reals, widened: Reals, names: list[str]) -> None:
    """Name the first column that is constant or that the columns before it determine."""
    work = widened.copy()
    for place, name in enumerate(names):
        pivot, variance = work[place, place], covariance[place, place]
        if variance <= 0:
            raise DataError(
                "column {column} is constant; a joint regression needs columns that differ: remove it",
                column=name,
            )
        if pivot <= _COLLINEAR * widened[place, place]:
            raise DataError(
                "column {column} is a linear combination of the columns before it; a joint regression needs "
                "columns that differ: remove it",
                column=name,
            )
        work -= np.outer(work[:, place], work[place]) / pivot
