"""Noise has exactly the distribution it says: frequencies, and the privacy bound itself."""

import math
import secrets
from collections import Counter
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from tongzhou.errors import PlanError
from tongzhou.secure.exact_sampling import chance_exp
from tongzhou.secure.noise import Noise, draw_gaussian, draw_laplace, draw_noise, variance_for

DRAWS = 4000


def seeded(seed: int) -> Callable[[int], int]:
    """Uniform integers that are the same every time."""
    source = np.random.default_rng(seed)
    return lambda below: int(source.integers(below))


def check_frequencies(draws: list[int], weight: Callable[[int], float], reach: int) -> None:
    """Each value's frequency within six standard deviations of its probability."""
    total = sum(weight(x) for x in range(-50 * reach, 50 * reach + 1))
    counts = Counter(draws)
    for x in range(-reach, reach + 1):
        chance = weight(x) / total
        deviation = math.sqrt(len(draws) * chance * (1 - chance))
        assert abs(counts[x] - len(draws) * chance) < 6 * deviation, x


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(1), Fraction(7, 3), Fraction(10)])
def test_laplace(scale: Fraction) -> None:
    below = seeded(scale.numerator)
    draws = [draw_laplace(scale, below) for _ in range(DRAWS)]
    check_frequencies(draws, lambda x: math.exp(-abs(x) / scale), math.ceil(2 * scale))


@pytest.mark.parametrize("variance", [Fraction(1, 4), Fraction(1), Fraction(29, 4), Fraction(100)])
def test_gaussian(variance: Fraction) -> None:
    below = seeded(variance.numerator)
    draws = [draw_gaussian(variance, below) for _ in range(DRAWS)]
    check_frequencies(draws, lambda x: math.exp(-x * x / (2 * variance)), math.ceil(2 * math.sqrt(variance)))


def test_a_chance_is_its_exponential() -> None:
    below = seeded(5)
    for exponent in (Fraction(0), Fraction(1, 3), Fraction(1), Fraction(5, 2)):
        hits = sum(chance_exp(exponent.numerator, exponent.denominator, below) for _ in range(DRAWS))
        chance = math.exp(-exponent)
        assert abs(hits - DRAWS * chance) <= 6 * math.sqrt(DRAWS * chance * (1 - chance))


def test_large_scales_are_exact_too() -> None:
    """A billion for a sensitivity: the median of the size is the scale times log 2."""
    below = seeded(6)
    spec = Noise("laplace", 0.5)
    sizes = [abs(draw_noise(spec, 10**9, below)) for _ in range(1500)]
    assert np.median(sizes) == pytest.approx(2e9 * math.log(2), rel=0.1)


def test_the_gaussian_variance_keeps_the_promise() -> None:
    """The exact privacy loss of the discrete Gaussian (theorem 7 of the paper) stays below delta."""
    for epsilon, delta in ((0.5, 1e-5), (1.0, 1e-6), (3.0, 1e-9)):
        variance = float(variance_for(Noise("gaussian", epsilon, delta), 1))
        xs = np.arange(-2000, 2001)
        chances = np.exp(-(xs**2) / (2 * variance))
        chances /= chances.sum()
        moved = np.roll(chances, 1)
        assert np.maximum(chances - math.exp(epsilon) * moved, 0).sum() <= delta


def test_variance_grows_with_the_sensitivity_and_for_tiny_budgets() -> None:
    spec = Noise("gaussian", 1.0, 1e-6)
    assert variance_for(spec, 10) == 100 * variance_for(spec, 1)
    tiny = Noise("gaussian", 1e-6, 1e-15)
    assert float(variance_for(tiny, 1)) > 1e13


def test_randomness_comes_from_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        draw_laplace.__defaults__
        == draw_gaussian.__defaults__
        == draw_noise.__defaults__
        == (secrets.randbelow,)
    )
    assert len({draw_noise(Noise("laplace", 0.001), 1000) for _ in range(8)}) > 1


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (Noise("laplace", 0.0), "epsilon of the noise is 0; from 0.000001 to 20 is allowed"),
        (Noise("laplace", 21.0), "epsilon of the noise is 21"),
        (Noise("laplace", float("nan")), "epsilon of the noise is nan"),
        (Noise("laplace", 1.0, 1e-6), "delta of laplace noise is 1e-06"),
        (Noise("gaussian", 1.0), "delta of gaussian noise is 0"),
        (Noise("gaussian", 1.0, 1.0), "delta of gaussian noise is 1"),
    ],
)
def test_budgets_that_promise_nothing_are_refused(spec: Noise, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        spec.check()


def test_budgets_that_are_allowed() -> None:
    Noise("laplace", 1.0).check()
    Noise("gaussian", 0.5, 1e-6).check()
    with pytest.raises(PlanError):
        Noise("gaussian", 0.5).check()
