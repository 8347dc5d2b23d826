"""Noise for answers, drawn exactly: discrete Laplace and discrete Gaussian from uniform integers.

Floating-point noise leaks through its low digits what it should hide; here every probability is a ratio of
integers, so the distributions are those of the proofs. Uniform integers come from the operating system.

Paper: Canonne, Kamath and Steinke, The discrete Gaussian for differential privacy (NeurIPS 2020), algorithms
1 to 3, proposition 5 and corollary 9.
"""

import math
import secrets
from fractions import Fraction
from typing import Final, Literal

import msgspec

from tongzhou.errors import PlanError
from tongzhou.secure.exact_sampling import Below, sample_gaussian, sample_laplace

__all__ = ["LARGEST_EPSILON", "Noise", "draw_gaussian", "draw_laplace", "draw_noise", "variance_for"]

LARGEST_EPSILON: Final = 20.0
"""Beyond this the noise hides nothing worth the name."""

_DIGITS: Final = 10**6
"""Epsilon counts in millionths, rounded to the private side."""
_SMALLEST_DELTA: Final = 1e-15
_A_LITTLE_LESS: Final = 1 - Fraction(1, 2**40)
"""Covers the rounding of floating-point roots and logarithms."""


class Noise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What noise an answer gets, so that one entry of one owner hardly shows in it.

    Attributes:
        kind: ``laplace`` gives epsilon-differential privacy, ``gaussian`` (epsilon, delta).
        epsilon: of one answer; the budgets of several answers about the same entry add up.
        delta: only for ``gaussian``, above 0 and below 1.
    """

    kind: Literal["laplace", "gaussian"]
    epsilon: float
    delta: float = 0.0

    def check(self) -> None:
        """Refuse what gives no such guarantee.

        Raises:
            PlanError: epsilon or delta is out of range.
        """
        if not 1 / _DIGITS <= self.epsilon <= LARGEST_EPSILON:
            raise PlanError(
                "epsilon of the noise is {got:g}; from 0.000001 to {limit:g} is allowed",
                got=self.epsilon,
                limit=LARGEST_EPSILON,
            )
        allowed = self.delta == 0 if self.kind == "laplace" else _SMALLEST_DELTA <= self.delta < 1
        if not allowed:
            raise PlanError(
                "delta of {kind} noise is {got:g}; laplace wants none, gaussian one above 0 and below 1",
                kind=self.kind,
                got=self.delta,
            )


def draw_noise(noise: Noise, sensitivity: int, below: Below = secrets.randbelow) -> int:
    """One draw for a sum that one entry moves by at most `sensitivity`.

    Args:
        noise: kind and budget.
        sensitivity: positive.
        below: where uniform integers come from.
    """
    if noise.kind == "laplace":
        return draw_laplace(Fraction(sensitivity) / _epsilon(noise), below)
    return draw_gaussian(variance_for(noise, sensitivity), below)


def variance_for(noise: Noise, sensitivity: int) -> Fraction:
    """Variance of discrete Gaussian noise that gives (epsilon, delta).

    A discrete Gaussian gives rho-concentrated privacy with rho = sensitivity² / (2 variance), and that gives
    epsilon = rho + 2 sqrt(rho log(1/delta)). Solved for rho and rounded to more noise.
    """
    log = math.log(1 / noise.delta)
    epsilon = float(_epsilon(noise))
    # The difference of the roots, without cancellation.
    rho = (epsilon / (math.sqrt(log + epsilon) + math.sqrt(log))) ** 2
    return Fraction(sensitivity**2) / (2 * Fraction(rho) * _A_LITTLE_LESS)


def draw_laplace(scale: Fraction, below: Below = secrets.randbelow) -> int:
    """The integer x with probability proportional to ``exp(-|x| / scale)``."""
    return sample_laplace(scale.numerator, scale.denominator, below)


def draw_gaussian(variance: Fraction, below: Below = secrets.randbelow) -> int:
    """The integer x with probability proportional to ``exp(-x² / (2 variance))``."""
    return sample_gaussian(variance.numerator, variance.denominator, below)


def _epsilon(noise: Noise) -> Fraction:
    return Fraction(math.floor(noise.epsilon * _DIGITS), _DIGITS)
