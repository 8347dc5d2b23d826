"""Bits in words: packing and turning equal the plain definition, bit by bit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.secure.bits import pack_bits, transpose_bits, unpack_bits


def plain(rows: np.ndarray) -> np.ndarray:
    """A matrix of words as a matrix of bits."""
    return np.array(
        [[(int(row[bit // 64]) >> (bit % 64)) & 1 for bit in range(64 * len(row))] for row in rows]
    )


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 2), st.integers(1, 3), st.integers(0, 2**32))
def test_turning_is_the_transpose_of_the_bits(bands: int, width: int, seed: int) -> None:
    rows = np.random.default_rng(seed).integers(0, 2**64, (64 * bands, width), dtype=np.uint64)
    before = rows.copy()
    turned = transpose_bits(rows)
    assert turned.shape == (64 * width, bands)
    assert np.array_equal(plain(turned), plain(rows).T)
    assert np.array_equal(rows, before)


def test_a_single_bit_goes_where_it_belongs() -> None:
    rows = np.zeros((128, 2), dtype=np.uint64)
    rows[77, 1] = np.uint64(1) << np.uint64(5)
    turned = transpose_bits(rows)
    assert np.argwhere(turned).tolist() == [[64 + 5, 1]]
    assert int(turned[69, 1]) == 1 << (77 - 64)


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=200))
def test_packing_and_unpacking_are_inverse(bits: list[bool]) -> None:
    length = -(-len(bits) // 64) * 64 + 64
    words = pack_bits(np.array(bits, dtype=np.bool_), length)
    assert len(words) == length // 64
    assert unpack_bits(words, len(bits)).tolist() == bits
    assert not unpack_bits(words, length)[len(bits) :].any()


@pytest.mark.parametrize("place", [0, 1, 63, 64, 127])
def test_bit_i_has_the_value_two_to_the_i(place: int) -> None:
    bits = np.zeros(128, dtype=np.bool_)
    bits[place] = True
    assert pack_bits(bits, 128).tolist() == [
        2**place % 2**64 if place < 64 else 0,
        2 ** (place - 64) if place >= 64 else 0,
    ]
