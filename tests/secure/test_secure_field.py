"""Arithmetic modulo 2^61 - 1 equals that of whole numbers, at the edges too."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.errors import DataError, ProtocolError
from tongzhou.secure import field
from tongzhou.secure.field import PRIME

EDGES = [
    0,
    1,
    2,
    (1 << 30) - 1,
    1 << 30,
    (1 << 31) - 1,
    1 << 31,
    (1 << 60) - 1,
    1 << 60,
    PRIME - 2,
    PRIME - 1,
]
ELEMENT = st.integers(0, PRIME - 1) | st.sampled_from(EDGES)


def words(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.uint64)


@given(ELEMENT, ELEMENT)
def test_operations_equal_those_of_whole_numbers(left: int, right: int) -> None:
    a, b = words(left), words(right)
    assert int(field.add(a, b)[0]) == (left + right) % PRIME
    assert int(field.subtract(a, b)[0]) == (left - right) % PRIME
    assert int(field.negate(a)[0]) == -left % PRIME
    assert int(field.multiply(a, b)[0]) == left * right % PRIME


def test_all_pairs_of_edges() -> None:
    left, right = (side.reshape(-1) for side in np.meshgrid(words(*EDGES), words(*EDGES)))
    wanted = [int(a) * int(b) % PRIME for a, b in zip(left, right, strict=True)]
    assert field.multiply(left, right).tolist() == wanted


@given(st.lists(ELEMENT, min_size=0, max_size=40))
def test_sums_of_any_length(numbers: list[int]) -> None:
    rows = words(*numbers)[:, None] * np.ones((1, 2), np.uint64)
    assert field.sum_rows(rows, 0).tolist() == [sum(numbers) % PRIME] * 2
    assert field.sum_rows(rows.T, 1).tolist() == [sum(numbers) % PRIME] * 2


@given(st.integers(0, 2**64 - 1) | st.sampled_from([PRIME, PRIME + 1, 2 * PRIME, 2**64 - 1]))
def test_uniform_words_become_elements(word: int) -> None:
    assert int(field.from_words(words(word))[0]) == word % 2**61 % PRIME


@given(st.integers(-(PRIME // 2), PRIME // 2))
def test_signed_numbers_come_back(number: int) -> None:
    element = field.from_signed(np.array([number]))
    assert int(element[0]) == number % PRIME
    assert field.to_signed(element).tolist() == [number]


@pytest.mark.parametrize("number", [PRIME // 2 + 1, -(PRIME // 2) - 1, 2**62])
def test_numbers_that_do_not_fit_are_refused_and_not_printed(number: int) -> None:
    with pytest.raises(DataError, match="larger than 1152921504606846975") as caught:
        field.from_signed(np.array([1, number]))
    assert str(abs(number)) not in str(caught.value)


@pytest.mark.parametrize("word", [PRIME, 2**61, 2**64 - 1])
def test_words_outside_the_field_are_refused(word: int) -> None:
    assert field.check("peer", "tag", words(0, PRIME - 1)).tolist() == [0, PRIME - 1]
    with pytest.raises(ProtocolError, match="peer sent tag with a number outside the field"):
        field.check("peer", "tag", words(3, word))
