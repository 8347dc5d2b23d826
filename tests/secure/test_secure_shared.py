"""Shared values: what is done to shares is done to the value, and a helper's empty share stays empty."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tongzhou.secure.shared import Shared, join, zeros

WORDS = hnp.arrays(np.uint64, (3, 4), elements=st.integers(0, 2**64 - 1))


def split(value: np.ndarray, mask: np.ndarray) -> tuple[Shared, Shared]:
    return Shared(value.shape, value - mask), Shared(value.shape, mask)


def together(one: Shared, other: Shared) -> list:
    assert one.share is not None
    assert other.share is not None
    assert one.shape == other.shape == one.share.shape
    return (one.share + other.share).tolist()


@settings(deadline=None)
@given(WORDS, WORDS, WORDS, st.integers(-(2**63), 2**63))
def test_linear_maps_act_on_the_value(
    left: np.ndarray, right: np.ndarray, mask: np.ndarray, factor: int
) -> None:
    a, b = split(left, mask), split(right, mask[::-1])
    assert together(a[0] + b[0], a[1] + b[1]) == (left + right).tolist()
    assert together(a[0] - b[0], a[1] - b[1]) == (left - right).tolist()
    scaled = [[int(x) * factor % 2**64 for x in line] for line in left]
    assert together(a[0].scaled(factor), a[1].scaled(factor)) == scaled
    assert together(a[0].transposed(), a[1].transposed()) == left.T.tolist()
    assert together(a[0].part(1, 3), a[1].part(1, 3)) == left[1:3].tolist()
    assert together(a[0].reshaped(2, 6), a[1].reshaped(2, 6)) == left.reshape(2, 6).tolist()
    assert together(join(a[0], b[0]), join(a[1], b[1])) == np.concatenate([left, right]).tolist()


def test_the_helper_follows_shapes_and_holds_nothing() -> None:
    one, other = Shared((3, 4), None), zeros(3, 4, owner=False)
    for value, shape in [
        (one + other, (3, 4)),
        (one - other, (3, 4)),
        (one.scaled(5), (3, 4)),
        (one.transposed(), (4, 3)),
        (one.part(1, 3), (2, 4)),
        (one.reshaped(12), (12,)),
        (join(one, other), (6, 4)),
    ]:
        assert (value.shape, value.share) == (shape, None)


def test_a_shared_zero_is_zero() -> None:
    assert together(zeros(2, 2, owner=True), zeros(2, 2, owner=True)) == [[0, 0], [0, 0]]


def test_a_transposed_share_is_contiguous() -> None:
    value = Shared((2, 3), np.arange(6, dtype=np.uint64).reshape(2, 3)).transposed()
    assert value.share is not None
    assert value.share.flags.c_contiguous
