"""The exponential of shared numbers: right everywhere in its window, and the same on every machine."""

import hashlib
import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from secure_worlds import play, revealed

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.exponent import EXPONENT_BITS, REACH, RESULT_BITS, exponential, public_exponential
from tongzhou.secure.ring import encode
from tongzhou.secure.shared import Shared

EDGE = 2.0**-40


def computed(numbers: np.ndarray) -> np.ndarray:
    def program(engine: AidedEngine) -> Shared:
        # Both owners hold a part, so that shares are nothing special.
        first = engine.own("asker", numbers.shape, encode(numbers / 3, EXPONENT_BITS))
        rest = encode(numbers, EXPONENT_BITS) - encode(numbers / 3, EXPONENT_BITS)
        return exponential(engine, first + engine.own("provider", numbers.shape, rest))

    return np.ldexp(revealed(play(program)).astype(float), -RESULT_BITS)


def test_it_is_exact_in_the_whole_window() -> None:
    numbers = np.linspace(-REACH + EDGE, REACH - EDGE, 20_001)
    error = computed(numbers) - np.exp(numbers)
    # The dealt factor is off by half of 2^-25 and meets at most exp(8); the public one is off by 2^-25
    # and makes that share of a result times exp(8).
    bound = math.exp(REACH) * (2.0**-26 + 2.0**-25 * np.exp(numbers))
    assert (np.abs(error) < bound).all()
    near = np.abs(numbers) < 1
    assert np.sqrt(np.mean((error[near] / np.exp(numbers[near])) ** 2)) < 2.0**-14


def test_it_has_no_lean() -> None:
    """Beside 1, the mean of many results is right to far more digits than one of them."""
    rows = 200_000
    assert abs(computed(np.zeros(rows)).mean() - 1) < 5 * 2.0**-14 / math.sqrt(rows)


@limits(max_examples=25, deadline=None)
@given(
    st.lists(
        st.floats(-REACH + EDGE, REACH - EDGE, allow_nan=False, allow_infinity=False), min_size=1, max_size=20
    )
)
def test_any_numbers_in_the_window(numbers: list[float]) -> None:
    given_numbers = np.array(numbers)
    bound = math.exp(REACH) * (2.0**-26 + 2.0**-25 * np.exp(given_numbers))
    assert (np.abs(computed(given_numbers) - np.exp(given_numbers)) < bound).all()


@limits(max_examples=100, deadline=None)
@given(st.integers(0, 2**64 - 1))
def test_the_public_factor_against_decimals(word: int) -> None:
    """The top bit does not count; the rest is the place in the window."""
    with localcontext() as context:
        context.prec = 50
        exact = (Decimal(word % 2**63) / 2**EXPONENT_BITS - REACH).exp()
    assert public_exponential(np.array([word], dtype=np.uint64))[0] == pytest.approx(float(exact), rel=1e-14)


def test_the_public_factor_is_the_same_on_every_machine() -> None:
    """Both owners must round alike: SHA-256 of 4,096 factors at multiples of an odd number."""
    words = np.arange(4096, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    digest = hashlib.sha256(public_exponential(words).astype("<f8").tobytes()).hexdigest()
    assert digest == "2fc53549eaef9e818d4e0af30172ccf9cd0ecc4f7418d84fad323dfd5d0c071f"
