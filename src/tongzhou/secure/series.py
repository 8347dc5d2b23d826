"""Sums of sines or of cosines of the multiples of an angle, and how two owners split them.

An angle is a word of Z_2^64: the ring is one period. If the angle is θ = r + s, with r known to one side and
s to the other, the addition theorems make each sum of K multiples an inner product of 2 K numbers of r with
2 K numbers of s.

Both owners multiply shares by the same public factors in mode `aided`, which must agree to the last bit: a
factor that differs by one unit turns the sum of two uniform shares into noise. So these factors come from
integers and from single additions and multiplications in float64, which every machine rounds alike, and not
from the sine of a mathematics library, which differs between processors. What is dealt, or what only one
owner computes, need not be reproduced.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from tongzhou.secure.ring import Reals, Words

__all__ = ["Series", "multiples", "public_multiples", "series_factors"]

_RADIANS = math.pi / 2.0**63
_TABLE_BITS = 12
_TABLE_SHIFT = np.uint64(64 - _TABLE_BITS)
_REST_MASK = np.uint64((1 << (64 - _TABLE_BITS)) - 1)
_EXACT_BITS = 160


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


def series_factors(words: Words, series: Series) -> Reals:
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
