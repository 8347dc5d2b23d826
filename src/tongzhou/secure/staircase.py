"""The logistic function of a shared number, by one opening and a short sine series.

Statement
    Parties: two data owners and the helper (`aided`).
    Who learns what: both owners learn ``z - r`` modulo the period with r uniform, which is uniform;
    nobody learns anything else.
    Assumption: as `tongzhou.secure.aided`.
    Cost: one round; per row 8 bytes each way between the owners, and for each series of K harmonics 16 K
    bytes from the helper to the provider.
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

Both owners multiply their shares by the same public factors, which must agree to the last bit: a factor that
differs by one unit turns the sum of two uniform shares into noise. So these factors come from integers and
from single additions and multiplications in float64, which every machine rounds alike, and not from the sine
of a mathematics library, which differs between processors. What the helper deals need not be reproduced.
"""

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.party import OWNERS
from tongzhou.secure.ring import Reals, Words, encode_bounded
from tongzhou.secure.shared import Shared
from tongzhou.wire.messages import ArraySpec

__all__ = [
    "LINE_BITS",
    "NARROW",
    "RARE",
    "WIDE",
    "Angles",
    "Series",
    "Staircase",
    "mask_angles",
    "multiples",
    "public_multiples",
]

RARE: Final = 0.05
"""Below this event rate the wide window is used."""

_CHUNK_ROWS = 1 << 12
"""Rows handled at a time: the working arrays of one chunk stay in the second-level cache."""

_RADIANS = math.pi / 2.0**63
_TABLE_BITS = 12
_TABLE_SHIFT = np.uint64(64 - _TABLE_BITS)
_REST_MASK = np.uint64((1 << (64 - _TABLE_BITS)) - 1)
_EXACT_BITS = 160
LINE_BITS: Final = 20
"""Fractional bits of the line's slope."""
_COEFFICIENT_GRID = 2.0**40
"""Coefficients are rounded to this grid, so that the last bits of a library's exponential do not matter."""
_NODES = 1 << 8


@dataclass(frozen=True)
class Series:
    """A sum of sines, or of cosines, of the multiples of an angle.

    Attributes:
        coefficients: of the multiples 1, 2, …
        sine: whether it sums sines.
    """

    coefficients: tuple[float, ...]
    sine: bool

    def first(self, harmonics: int) -> "Series":
        """The first harmonics only."""
        return Series(self.coefficients[:harmonics], self.sine)

    def times(self, factor: float) -> "Series":
        """Every coefficient times a public factor."""
        return Series(tuple(factor * c for c in self.coefficients), self.sine)


@dataclass(frozen=True)
class Staircase:
    """The logistic function on a window, as a line and a sine series.

    Attributes:
        period_bits: the window's length is 2^period_bits.
        harmonics: length of the series.
        coarse: length that is enough far from the optimum.
    """

    period_bits: int
    harmonics: int
    coarse: int

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


NARROW: Final = Staircase(4, 8, 3)
WIDE: Final = Staircase(5, 20, 6)


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
    """Secret angles, opened under a mask.

    Attributes:
        engine: who computes.
        words: ``(n,)``: at the owners the masked angles, at the helper the masks.
    """

    engine: AidedEngine
    words: Words

    def some(self, rows: slice) -> "Angles":
        """The same angles of fewer rows."""
        return Angles(self.engine, self.words[rows])

    def sum(self, series: Series, *, dealt_bits: int, bits: int) -> Shared:
        """Shared value of a series at each angle, ``(n,)``.

        Args:
            series: what to sum.
            dealt_bits: fractional bits of the sines and cosines that the helper deals. Their rounding is
                random and has no lean; the rounding of the public factors, which get the remaining bits,
                drops coefficients below half a unit.
            bits: fractional bits of the result.
        """
        rows, engine = len(self.words), self.engine
        total = np.empty(rows, dtype=np.uint64) if engine.is_owner else None
        for start in range(0, rows, _CHUNK_ROWS):
            part = self.words[start : start + _CHUNK_ROWS]
            dealt = _share_multiples(engine, part, len(series.coefficients), dealt_bits)
            if total is not None and dealt is not None:
                factors = encode_bounded(_factors(part, series), bits - dealt_bits)
                np.einsum("kn,kn->n", factors, dealt, out=total[start : start + _CHUNK_ROWS])
        return Shared((rows,), total)


def mask_angles(engine: AidedEngine, logits: Shared) -> Angles:
    """Open logits ``(n,)`` with the staircase's `logit_bits` under uniform masks."""
    (rows,) = logits.shape
    if logits.share is None:
        return Angles(engine, engine.stream(OWNERS[0]).words(rows) + engine.stream(OWNERS[1]).words(rows))
    party = engine.party
    masked = logits.share - engine.stream(party.role).words(rows)
    party.peer.send("masked.angle", None, [masked])
    _, (theirs,) = party.peer.recv("masked.angle", None, [ArraySpec("<u8", (rows,))])
    return Angles(engine, masked + theirs)


def _share_multiples(engine: AidedEngine, words: Words, harmonics: int, bits: int) -> Words | None:
    """Shares of cos(k r) and sin(k r) of the masks, ``(2K, n)``; the helper, which knows them, deals."""
    shape = (2 * harmonics, len(words))
    if engine.party.role == "asker":
        return engine.stream("asker").words(*shape)
    if engine.party.role == "provider":
        return engine.party.link("helper").recv("deal.angle", None, [ArraySpec("<u8", shape)])[1][0]
    values = encode_bounded(multiples(words, harmonics), bits)
    values -= engine.stream("asker").words(*shape)
    engine.party.link("provider").send("deal.angle", None, [values])
    return None


def _factors(words: Words, series: Series) -> Reals:
    """Factors of cos(k r) and sin(k r) by the addition theorems, times the coefficients, ``(2K, n)``."""
    count = len(series.coefficients)
    table = public_multiples(words, count)
    weights = np.array(series.coefficients)[:, np.newaxis]
    if not series.sine:
        table[:count] *= weights
        table[count:] *= -weights
        return table
    factors = np.empty_like(table)
    np.multiply(table[count:], weights, out=factors[:count])
    np.multiply(table[:count], weights, out=factors[count:])
    return factors


def multiples(words: Words, harmonics: int) -> Reals:
    """``cos(k θ)`` for k = 1 … K, then ``sin(k θ)``, of the angle that a ring element stands for."""
    angle = words.view(np.int64) * _RADIANS
    return _from_first(np.cos(angle), np.sin(angle), harmonics)


def public_multiples(words: Words, harmonics: int) -> Reals:
    """The same, equal to the last bit on every machine (see the module text); off by less than 1e-14."""
    cosine_table, sine_table = _exact_table()
    place = (words >> _TABLE_SHIFT).astype(np.intp)
    rest = (words & _REST_MASK).astype(np.float64) * _RADIANS
    square = rest * rest
    # Taylor's series; the rest is below 2π/4096, so what is left out is below 1e-16.
    cosine_rest = 1.0 - square * (0.5 - square * (1.0 / 24.0))
    sine_rest = rest * (1.0 - square * (1.0 / 6.0))
    cosine, sine = cosine_table[place], sine_table[place]
    first_cosine = cosine * cosine_rest - sine * sine_rest
    first_sine = sine * cosine_rest + cosine * sine_rest
    return _from_first(first_cosine, first_sine, harmonics)


def _from_first(cosine: Reals, sine: Reals, harmonics: int) -> Reals:
    """All multiples from the first, by the addition theorems."""
    table = np.empty((2, harmonics, len(cosine)))
    cosines, sines = table
    cosines[0], sines[0] = cosine, sine
    work = np.empty_like(cosine)
    for k in range(1, harmonics):
        # Doubling halves the rounding error of a plain recurrence and costs the same.
        half, rest = (k + 1) // 2 - 1, (k + 1) - (k + 1) // 2 - 1
        np.multiply(cosines[half], cosines[rest], out=cosines[k])
        cosines[k] -= np.multiply(sines[half], sines[rest], out=work)
        np.multiply(sines[half], cosines[rest], out=sines[k])
        sines[k] += np.multiply(cosines[half], sines[rest], out=work)
    return table.reshape(2 * harmonics, len(cosine))


@cache
def _exact_table() -> tuple[Reals, Reals]:
    """Cosine and sine of every multiple of 2π / 2^12, correctly rounded, from integers alone."""
    one = 1 << _EXACT_BITS
    step = _cos_sin_of_step()
    cosine, sine = one, 0
    cosines, sines = [], []
    for _ in range(1 << (_TABLE_BITS - 2)):
        cosines.append(cosine / one)
        sines.append(sine / one)
        cosine, sine = (
            (cosine * step[0] - sine * step[1]) >> _EXACT_BITS,
            (sine * step[0] + cosine * step[1]) >> _EXACT_BITS,
        )
    quarter, other = np.array(cosines), np.array(sines)
    return (
        np.concatenate([quarter, -other, -quarter, other]),
        np.concatenate([other, quarter, -other, -quarter]),
    )


def _cos_sin_of_step() -> tuple[int, int]:
    """Cosine and sine of 2π / 2^12 with `_EXACT_BITS` fractional bits, by halving a right angle."""
    one = 1 << _EXACT_BITS
    cosine = 0
    for _ in range(_TABLE_BITS - 2):
        cosine = math.isqrt((one + cosine) * one // 2)
    return cosine, math.isqrt(one * one - cosine * cosine)
