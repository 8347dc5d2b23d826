"""Field arithmetic over arrays equals multiplication of polynomials, done plainly with integers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.secure.gf64 import FixedProduct, combine_bits, times_x

MODULUS = (1 << 64) | 0b11011
words = st.integers(0, 2**64 - 1)


def reduced(product: int) -> int:
    for degree in range(product.bit_length() - 1, 63, -1):
        if product >> degree & 1:
            product ^= MODULUS << (degree - 64)
    return product


def times(a: int, b: int) -> int:
    product = 0
    for bit in range(64):
        if b >> bit & 1:
            product ^= a << bit
    return reduced(product)


def gcd(a: int, b: int) -> int:
    while b:
        while a.bit_length() >= b.bit_length():
            a ^= b << (a.bit_length() - b.bit_length())
        a, b = b, a
    return a


def test_the_modulus_is_irreducible() -> None:
    """Rabin's test: x^(2^64) = x, and x^(2^32) - x has no factor in common with the modulus."""
    power = 2
    for step in range(64):
        power = times(power, power)
        if step == 31:
            assert gcd(MODULUS, power ^ 2) == 1
    assert power == 2


@settings(deadline=None)
@given(st.lists(words, min_size=1, max_size=20), st.lists(words, min_size=1, max_size=3), words)
def test_products_by_fixed_factors(values: list[int], factors: list[int], start: int) -> None:
    sums = np.full((len(values), len(factors)), start, dtype=np.uint64)
    FixedProduct(np.array(factors, dtype=np.uint64)).add_to(sums, np.array(values, dtype=np.uint64))
    assert sums.tolist() == [[start ^ times(value, factor) for factor in factors] for value in values]


@pytest.mark.parametrize("value", [0, 1, 2, 1 << 63, 2**64 - 1])
def test_edges(value: int) -> None:
    assert int(times_x(np.array([value], dtype=np.uint64))[0]) == times(value, 2)
    sums = np.zeros((1, 2), dtype=np.uint64)
    FixedProduct(np.array([0, 1], dtype=np.uint64)).add_to(sums, np.array([value], dtype=np.uint64))
    assert sums.tolist() == [[0, value]]


def test_long_arrays_are_multiplied_in_pieces_that_do_not_show() -> None:
    source = np.random.default_rng(3)
    values = source.integers(0, 2**64, 20_000, dtype=np.uint64)
    product = FixedProduct(source.integers(0, 2**64, 2, dtype=np.uint64))
    whole, tail = np.zeros((20_000, 2), dtype=np.uint64), np.zeros((100, 2), dtype=np.uint64)
    product.add_to(whole, values)
    product.add_to(tail, values[-100:])
    assert np.array_equal(whole[-100:], tail)
    product.add_to(whole, values)
    assert not whole.any()


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32))
def test_rows_are_combined_by_powers_of_x(seed: int) -> None:
    rows = np.random.default_rng(seed).integers(0, 2**64, (64, 3), dtype=np.uint64)
    wanted = [0, 0, 0]
    for place, row in enumerate(rows.tolist()):
        wanted = [total ^ times(value, 1 << place) for total, value in zip(wanted, row, strict=True)]
    assert combine_bits(rows).tolist() == wanted


def test_factors_are_not_shown() -> None:
    assert "7" not in repr(FixedProduct(np.array([7], dtype=np.uint64)))
