"""The logistic function of a shared number, by a short sine series.

Statement
    Parties: two data owners, and in mode `aided` the helper.
    Who learns what: with the helper both owners learn ``z - r`` modulo the period with r uniform, which is
    uniform; in mode `pair` nothing is opened. Nobody learns anything else.
    Assumption: as the engine of the mode, `tongzhou.secure.aided` or `tongzhou.secure.pair`.
    Cost: with the helper one round; per row 8 bytes each way between the owners, and for each series of K
    harmonics 16 K bytes from the helper to the provider. In mode `pair` see there.
    Papers: functions of shared numbers by Fourier series with a dealer, used for Newton's iteration on
    logistic regression: Boura, Chillotti, Gama, Jetchev, Peceny and Petric, High-precision privacy-preserving
    real-valued function evaluation (Financial Cryptography 2018). Sine and cosine by a masked random angle:
    Korzilius and Schoenmakers, New approach for sine and cosine in secure fixed-point arithmetic (CSCML
    2023).
    The series below is our own derivation.

On a window of length P around zero, the logistic function is the line through its two ends plus an odd rest
that vanishes there. Continued with period P the rest is smooth up to a jump of ``2 s''(P/2)`` in its second
derivative, so that its sine series falls quickly::

    F(z) = 1/2 + a z + Σ_k c_k sin(2πkz/P),    a = (s(P/2) - 1/2) / (P/2)

With P = 16 and eight harmonics the error is below 2e-5 for |z| ≤ 8, and below 1e-3 of s itself for |z| ≤ 4;
with P = 32 and twenty, below 3e-6 for |z| ≤ 16. Outside the window F is a staircase that goes on rising, so
a training that strays there is pulled back instead of being thrown off. Where events are rare most clients
have logits far below zero, and the wide window is used.
Numbers enter at the scale where one period is the entire ring, so the wrap-around of Z_2^64 is the period.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

from tongzhou.secure.engine import Engine
from tongzhou.secure.ring import Words
from tongzhou.secure.series import Series
from tongzhou.secure.shared import Shared

__all__ = [
    "LINE_BITS",
    "NARROW",
    "RARE",
    "WIDE",
    "Angles",
    "Staircase",
    "mask_angles",
]

RARE: Final = 0.05
"""Below this event rate the wide window is used."""

LINE_BITS: Final = 20
"""Fractional bits of the line's slope."""
_COEFFICIENT_GRID = 2.0**40
"""Coefficients are rounded to this grid, so that the last bits of a library's exponential do not matter."""
_NODES = 1 << 8


@dataclass(frozen=True)
class Staircase:
    """The logistic function on a window, as a line and a sine series.

    Attributes:
        period_bits: the window's length is 2^period_bits.
        harmonics: length of the series.
        lengths: from which gradient length down so many harmonics are enough, the shortest series first.
    """

    period_bits: int
    harmonics: int
    lengths: tuple[tuple[float, int], ...]

    @property
    def coarse(self) -> int:
        """Length that is enough far from the optimum."""
        return self.lengths[0][1]

    def length(self, gradient: float) -> int:
        """Length that is enough for the evaluation after one whose gradient was so long."""
        return next((count for least, count in self.lengths if gradient >= least), self.harmonics)

    @property
    def rough(self) -> int:
        """Length that is enough for the slopes of a step."""
        return self.harmonics * 5 // 8

    @property
    def period(self) -> float:
        """Length of the window."""
        return float(1 << self.period_bits)

    @property
    def logit_bits(self) -> int:
        """Fractional bits of a logit whose period is the whole ring."""
        return 64 - self.period_bits

    @property
    def line(self) -> float:
        """Slope of the line, a multiple of ``2^-LINE_BITS``."""
        half = self.period / 2
        return round((_logistic(half) - 0.5) / half * 2.0**LINE_BITS) / 2.0**LINE_BITS

    @property
    def sigmoid(self) -> Series:
        """The function without ``1/2 + a z``, which the caller adds."""
        return Series(_sine_coefficients(self.period, self.line, self.harmonics), sine=True)

    @property
    def slope(self) -> Series:
        """Its derivative without the constant a, which the caller adds."""
        turns = 2 * math.pi / self.period
        rising = enumerate(self.sigmoid.coefficients, start=1)
        return Series(tuple(c * (turns * k) for k, c in rising), sine=False)


NARROW: Final = Staircase(4, 8, ((0.05, 3), (0.02, 5), (5e-3, 6)))
WIDE: Final = Staircase(5, 20, ((0.05, 6), (0.02, 12), (5e-3, 15)))


def _logistic(z: float) -> float:
    return 1 / (1 + math.exp(-z))


@cache
def _sine_coefficients(period: float, line: float, harmonics: int) -> tuple[float, ...]:
    """Sine coefficients of the rest, by the trapezoidal rule on half a period (exact to about 1e-10)."""
    nodes = [period / 2 * (n / _NODES) for n in range(_NODES)]
    rest = [_logistic(z) - 0.5 - line * z for z in nodes]
    found = []
    for k in range(1, harmonics + 1):
        total = math.fsum(
            r * math.sin(2 * math.pi * k * z / period) for r, z in zip(rest, nodes, strict=True)
        )
        found.append(round(2 * total / _NODES * _COEFFICIENT_GRID) / _COEFFICIENT_GRID)
    return tuple(found)


@dataclass(frozen=True)
class Angles:
    """Secret angles, ready for sums of sines and cosines.

    Attributes:
        engine: who computes.
        words: ``(n,)``: what the engine keeps of them.
    """

    engine: Engine
    words: Words

    def some(self, rows: slice) -> "Angles":
        """The same angles of fewer rows."""
        return Angles(self.engine, self.words[rows])

    def sum(self, series: Series, *, dealt_bits: int, bits: int) -> Shared:
        """Shared value of a series at each angle, ``(n,)``.

        Args:
            series: what to sum.
            dealt_bits: fractional bits of the sines and cosines that a helper deals. Their rounding is
                random and has no lean; the rounding of the public factors, which get the remaining bits,
                drops coefficients below half a unit.
            bits: fractional bits of the result.
        """
        return self.engine.sum_series(self.words, series, dealt_bits=dealt_bits, bits=bits)


def mask_angles(engine: Engine, logits: Shared) -> Angles:
    """Take logits ``(n,)`` with the staircase's `logit_bits` as angles."""
    return Angles(engine, engine.angles(logits))
