"""Fixed-point words: exact to half a unit, refused beyond the range, products modulo 2^64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tongzhou.errors import DataError
from tongzhou.secure.ring import decode, encode, matrix_times_rows, rows_times_matrix

WORD = st.integers(0, 2**64 - 1)
LAST_EXACT = float(np.nextafter(2.0**62, 0))


@settings(deadline=None)
@given(st.integers(0, 40), hnp.arrays(float, 5, elements=st.floats(-(2.0**11), 2.0**11)))
def test_a_number_survives_to_half_a_unit(bits: int, values: np.ndarray) -> None:
    assert np.all(np.abs(decode(encode(values, bits), bits) - values) <= 2.0 ** -(bits + 1))


@settings(deadline=None)
@given(st.integers(-(2**50), 2**50), st.integers(0, 40))
def test_whole_units_are_exact(units: int, bits: int) -> None:
    word = encode(np.array([np.ldexp(float(units), -bits)]), bits)
    assert int(word[0]) == units % 2**64
    assert decode(word, bits)[0] == np.ldexp(float(units), -bits)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("bits", [0, 20, 61])
def test_the_edges_of_the_range(bits: int, sign: int) -> None:
    largest = np.ldexp(sign * LAST_EXACT, -bits)
    assert decode(encode(np.array([largest]), bits), bits)[0] == largest
    with pytest.raises(DataError, match=f"the most that {bits} fractional bits hold"):
        encode(np.array([0.0, np.ldexp(sign * 2.0**62, -bits)]), bits)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused_without_being_printed(value: float) -> None:
    with pytest.raises(DataError, match="not finite") as caught:
        encode(np.array([[1.0], [value]]), 10)
    assert set(caught.value.values) == {"limit", "bits"}


@settings(deadline=None)
@given(hnp.arrays(np.uint64, (3, 4), elements=WORD), hnp.arrays(np.uint64, (2, 4), elements=WORD))
def test_products_are_those_of_integers_modulo_the_ring(matrix: np.ndarray, rows: np.ndarray) -> None:
    exact = [[sum(int(a) * int(b) for a, b in zip(m, r, strict=True)) % 2**64 for r in rows] for m in matrix]
    assert matrix_times_rows(matrix, rows).tolist() == exact
    assert matrix_times_rows(matrix, rows[0]).tolist() == [line[0] for line in exact]
    weights = matrix[:, 0]
    wanted = [
        sum(int(w) * int(m) for w, m in zip(weights, column, strict=True)) % 2**64 for column in matrix.T
    ]
    assert rows_times_matrix(weights, matrix).tolist() == wanted


def test_decode_reads_words_as_signed() -> None:
    words = np.array([0, 1, 2**63 - 1, 2**63, 2**64 - 1], dtype=np.uint64)
    assert decode(words, 1).tolist() == [0.0, 0.5, 2.0**62, -(2.0**62), -0.5]
