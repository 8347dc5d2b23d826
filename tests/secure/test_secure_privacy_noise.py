"""Samples follow the discrete Gaussian distribution exactly; nothing but whole numbers makes them."""

import ast
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.secure import exact_sampling, privacy_noise
from tongzhou.secure.exact_sampling import chance_exp
from tongzhou.secure.privacy_noise import DiscreteGaussian

SEED = bytes(range(32))


def probabilities(variance: int, reach: int) -> dict[int, float]:
    weights = {x: math.exp(-x * x / (2 * variance)) for x in range(-40 * reach, 40 * reach + 1)}
    total = sum(weights.values())
    return {x: weight / total for x, weight in weights.items()}


@pytest.mark.parametrize("variance", [1, 2, 3, 7, 40])
def test_every_value_has_its_probability(variance: int) -> None:
    """Chi-square over all values that are likely at all."""
    source, count = DiscreteGaussian(variance, seed=SEED), 40_000
    samples = np.array([source.sample() for _ in range(count)])
    wanted = probabilities(variance, math.isqrt(variance) + 1)
    statistic, classes = 0.0, 0
    for value, chance in wanted.items():
        if chance * count >= 10:
            statistic += (int((samples == value).sum()) - chance * count) ** 2 / (chance * count)
            classes += 1
    assert classes > 5
    assert statistic < classes + 4 * math.sqrt(2 * classes)


@pytest.mark.parametrize("variance", [1, 5, 100, 10**9 + 7, 2**66 + 1, 2**100])
def test_mean_and_variance(variance: int) -> None:
    source, count = DiscreteGaussian(variance, seed=SEED), 20_000
    scaled = np.array([source.sample() / math.sqrt(variance) for _ in range(count)])
    assert abs(scaled.mean()) < 4.5 / math.sqrt(count)
    assert abs(scaled.var() - 1) < 4.5 * math.sqrt(2 / count)
    # The tails too: the fourth moment of a Gaussian is three.
    if variance > 1:
        assert (scaled**4).mean() == pytest.approx(3, abs=4.5 * math.sqrt(96 / count))


def test_the_variance_is_the_parameter_up_to_what_the_text_says() -> None:
    for variance in (1, 2, 9):
        exact = sum(x * x * chance for x, chance in probabilities(variance, 4).items())
        assert -1e-12 < 1 - exact / variance < 1e-6


def test_words_are_samples_modulo_two_to_the_64() -> None:
    words = DiscreteGaussian(10**6, seed=SEED).words(500)
    one_by_one = DiscreteGaussian(10**6, seed=SEED)
    assert words.dtype == np.uint64
    assert words.view(np.int64).tolist() == [one_by_one.sample() for _ in range(500)]
    assert min(words.view(np.int64)) < 0 < max(words.view(np.int64))


def test_fresh_noise_each_time() -> None:
    one, other = (DiscreteGaussian(2**40).words(20).tolist() for _ in range(2))
    assert not set(one) & set(other)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 200), st.integers(1, 60))
def test_coins_have_the_chance_of_an_exponential(above: int, below: int) -> None:
    source, count = DiscreteGaussian(1, seed=SEED), 600
    hits = sum(chance_exp(above, below, source._below) for _ in range(count))
    chance = math.exp(-above / below)
    assert abs(hits - chance * count) < 5.5 * math.sqrt(count * chance * (1 - chance)) + 1.5


@given(st.integers(1, 2**130))
def test_uniform_numbers_stay_below_their_limit(limit: int) -> None:
    source = DiscreteGaussian(1)
    assert all(0 <= source._below(limit) < limit for _ in range(5))


def test_uniform_numbers_are_uniform() -> None:
    source = DiscreteGaussian(1, seed=SEED)
    counts = np.bincount([source._below(5) for _ in range(10_000)], minlength=5)
    assert ((counts - 2000) ** 2 / 2000).sum() < 25


def test_no_floating_point_number_takes_part() -> None:
    """Neither a constant nor a division, and of `math` the integer root alone."""
    nodes = [
        node
        for module in (privacy_noise, exact_sampling)
        for node in ast.walk(ast.parse(Path(module.__file__).read_text(encoding="utf-8")))
    ]
    assert not [n for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, float)]
    assert not [n for n in nodes if isinstance(n, ast.Div)]
    used = {n.attr for n in nodes if isinstance(n, ast.Attribute) and getattr(n.value, "id", "") == "math"}
    assert used == {"isqrt"}


@pytest.mark.parametrize("variance", [0, -3])
def test_a_variance_is_from_one(variance: int) -> None:
    with pytest.raises(ValueError, match="whole number from 1"):
        DiscreteGaussian(variance)
