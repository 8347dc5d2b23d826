"""Whitening: unit covariance, exact way back, and columns that cannot be used are named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.errors import DataError
from tongzhou.secure.ring import decode
from tongzhou.secure.whitening import intercept_value, row_bits, whiten, whiten_new, whitened_rows

NAMES = ["first", "second", "third"]


def block(rows: int, seed: int = 0) -> np.ndarray:
    source = np.random.default_rng(seed)
    mix = source.normal(size=(3, 3))
    return source.normal(size=(rows, 3)) @ mix * [1, 100, 1e-3] + [5, -700, 0.2]


@settings(deadline=None)
@given(st.integers(1, 2**22))
def test_row_bits_is_the_smallest_power_that_holds_the_rows(rows: int) -> None:
    bits = row_bits(rows)
    assert 2**bits >= rows
    assert bits == 1 or 2 ** (bits - 1) < rows


@pytest.mark.parametrize("rows", [17, 1000, 40_000])
@pytest.mark.parametrize("intercept", [True, False])
def test_columns_become_uncorrelated_with_one_length(rows: int, intercept: bool) -> None:
    whitened = whiten(block(rows), NAMES, bits=14, intercept=intercept)
    words = decode(whitened.words, 14)
    assert words.shape == (3 + intercept, rows)
    gram = words @ words.T / 2 ** row_bits(rows)
    assert gram == pytest.approx(np.eye(3 + intercept), abs=3e-4)
    if intercept:
        assert np.all(words[0] == intercept_value(rows, 14))
        assert whitened.scale == words[0, 0]


def test_the_rounded_words_are_the_rows() -> None:
    values = block(20_000)
    whitened = whiten(values, NAMES, bits=13, intercept=True)
    exact = whitened_rows(whitened, values)
    assert np.abs(decode(whitened.words, 13) - exact).max() <= 2.0**-14
    assert np.array_equal(whiten_new(whitened.without_rows(), values), whitened.words)


@pytest.mark.parametrize("intercept", [True, False])
def test_coefficients_go_back_to_original_units(intercept: bool) -> None:
    values = block(500)
    whitened = whiten(values, NAMES, bits=14, intercept=intercept)
    weights = np.random.default_rng(1).normal(size=3 + intercept)
    start, betas = whitened.coefficients(weights)
    assert values @ betas + start == pytest.approx(weights @ whitened_rows(whitened, values), abs=1e-9)


def test_covariance_goes_back_to_original_units() -> None:
    values = block(500)
    whitened = whiten(values, NAMES, bits=14, intercept=True)
    rows = whitened_rows(whitened, values)
    inner = np.linalg.inv(rows @ rows.T)
    plain = np.column_stack([np.ones(500), values])
    assert whitened.covariance(inner) == pytest.approx(np.linalg.inv(plain.T @ plain)[1:, 1:], rel=1e-6)


def test_a_penalty_in_whitened_units_is_the_penalty() -> None:
    values = block(300)
    whitened = whiten(values, NAMES, bits=14, intercept=True, l2=0.3)
    weights = np.random.default_rng(2).normal(size=4)
    _, betas = whitened.coefficients(weights)
    # The mean loss is divided by 2^L here and by n in original units.
    assert weights @ whitened.ridge @ weights == pytest.approx(
        0.3 * betas @ betas * 300 / 2 ** row_bits(300), rel=1e-9
    )


@pytest.mark.parametrize(
    ("column", "sentence"),
    [
        (np.full(50, 2.5), "column third is constant; a joint regression needs columns that differ"),
        (None, "column third is a linear combination of the columns before it"),
    ],
)
def test_unusable_columns_are_named(column: np.ndarray | None, sentence: str) -> None:
    values = block(50)
    values[:, 2] = values[:, 0] * 3 - values[:, 1] if column is None else column
    with pytest.raises(DataError, match=sentence):
        whiten(values, NAMES, bits=14, intercept=True)
    if column is None:
        # A penalty gives such columns a meaning.
        assert whiten(values, NAMES, bits=14, intercept=True, l2=1.0).columns == 4


def test_numbers_that_are_not_finite_are_refused() -> None:
    values = block(50)
    values[3, 1] = np.inf
    with pytest.raises(DataError, match="column second has a value that is missing or not finite"):
        whiten(values, NAMES, bits=14, intercept=True)
