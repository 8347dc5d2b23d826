"""The curvature matrix ``Xᵀ S X / 2^L`` of the joint regression, S the slopes of the logistic function.

Statement
    As `tongzhou.secure.logistic`, of which this is a part: nothing is opened here.

The engine sums both owners' rows with the shared slopes as weights. A Newton step needs the matrix only
roughly, so that training takes a sample of evenly spread rows (`sample_step`); standard errors take all rows,
a piece at a time, so that memory stays bounded.
"""

from dataclasses import dataclass

import numpy as np

from tongzhou.secure.engine import Engine, Hidden
from tongzhou.secure.linear import MATRIX_BITS
from tongzhou.secure.ring import encode
from tongzhou.secure.shared import Shared
from tongzhou.secure.staircase import Angles, Staircase
from tongzhou.secure.whitening import row_bits

__all__ = ["Curvature", "Scales", "sample_step"]

_SAMPLE_SHARE = 8
_SAMPLE_MOST = 1 << 16
"""Rows of the curvature for a step: one in eight, within bounds. With d columns and m rows the matrix, and so
the rate of the steps, is right to about sqrt(d / m): 5 % for 20 columns and 8,192 rows."""

_PIECE_ROWS = 1 << 16
_CURVATURE_BITS = 63
_FULL_BLOCKS = (11, 13, 18)
"""Row bits up to which a block has 14, 13 and 12 fractional bits; beyond it has 11."""
_PIECE_ROWS = 1 << 16


def sample_step(rows: int, least: int) -> int:
    """Every which row the curvature for a training step takes, so that at least about `least` remain."""
    return max(1, -(-rows // min(max(rows // _SAMPLE_SHARE, least), _SAMPLE_MOST)))


@dataclass(frozen=True)
class Scales:
    """Fractional bits of everything that runs over n rows, ``2^row_bits ≥ n``.

    A column of a block has length 2^(row_bits / 2). So a sum of residuals (at most 1) against a column stays
    below 2^61, and a sum of slopes (at most a quarter) against two columns below 2^61 as well.
    """

    row_bits: int

    @property
    def block(self) -> int:
        """Of the whitened blocks."""
        return 14 - sum(self.row_bits > most for most in _FULL_BLOCKS)

    @property
    def residual(self) -> int:
        """Of residuals."""
        return 61 - self.row_bits - self.block

    @property
    def dealt(self) -> int:
        """Of dealt sines and cosines that make residuals; their rounding is random and averages out."""
        return self.residual // 2 - 2

    def slope(self, row_bits: int) -> int:
        """Of slopes when 2^row_bits rows are summed."""
        return _CURVATURE_BITS - row_bits - 2 * self.block


@dataclass(frozen=True)
class Curvature:
    """How to get the curvature at some logits.

    Attributes:
        engine: who computes.
        scales: fractional bits.
        asker, provider: the hidden blocks.
        staircase: the logistic function.
        angles: the logits, masked.
    """

    engine: Engine
    scales: Scales
    asker: Hidden
    provider: Hidden
    staircase: Staircase
    angles: Angles

    def sampled(self) -> Shared:
        """Shared ``(d, d)`` with `MATRIX_BITS`, from a sample of the rows."""
        rows = self.asker.rows
        chosen = slice(0, rows, sample_step(rows, self.engine.sample_least))
        count = len(range(rows)[chosen])
        bits = row_bits(count)
        # Columns are scaled for all rows; a sample of them is shorter by the share that is left out.
        share = (2.0**bits / count) / (2.0**self.scales.row_bits / rows)
        return self._finished(self._sum(chosen, share, self.staircase.rough, bits))

    def full(self) -> Shared:
        """The same from all rows."""
        bits = self.scales.row_bits
        harmonics = self.staircase.harmonics
        total: Shared | None = None
        for start in range(0, self.asker.rows, _PIECE_ROWS):
            part = self._sum(slice(start, start + _PIECE_ROWS), 1.0, harmonics, bits)
            total = part if total is None else total + part
        if total is None:
            raise ValueError("a curvature needs rows")
        return self._finished(total)

    def _sum(self, rows: slice, share: float, harmonics: int, bits: int) -> Shared:
        """Shared sum over some rows, with all the bits of the product."""
        engine = self.engine
        asker, provider = self.asker, self.provider
        if rows != slice(0, asker.rows, 1):
            sampled = (rows.step or 1) > 1
            asker, provider = (
                engine.sample(matrix, rows) if sampled else matrix.some(rows) for matrix in (asker, provider)
            )
        slope_bits = self.scales.slope(bits)
        # Few bits for the dealt cosines, whose rounding averages out, so that small coefficients survive.
        series = self.staircase.slope.first(harmonics).times(share)
        slopes = self.angles.some(rows).sum(series, dealt_bits=slope_bits * 2 // 5, bits=slope_bits)
        slopes = engine.add_public(slopes, encode(np.array(share * self.staircase.line), slope_bits))
        return engine.weighted_gram(asker, provider, slopes)

    def _finished(self, total: Shared) -> Shared:
        return self.engine.truncate(total, _CURVATURE_BITS - MATRIX_BITS)
