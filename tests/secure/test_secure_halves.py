"""Numbers shared modulo 2^32, and the dropping of bits that cannot fail."""

import numpy as np
import pytest
from boost_worlds import halves_of, joined, masks_for, play, words_of
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.secure.halves import Halved, reduced, stack_halves

WORDS = st.integers(-(2**62), 2**62)


@settings(max_examples=15, deadline=None)
@given(value=WORDS, bits=st.integers(0, 32), mask=st.integers(0, 2**64 - 1))
def test_dropping_bits_is_off_by_less_than_one_unit(value: int, bits: int, mask: int) -> None:
    values, masks = np.array([value]), np.array([mask], dtype=np.uint64)
    found = joined(play(lambda engine: reduced(engine, words_of(engine, values, masks), bits)))
    exact = value / 2**bits
    near = {(int(np.floor(exact)) + step) % 2**32 for step in ((0, 1) if bits else (0,))}
    assert int(found[0]) % 2**32 in near


def test_rounding_has_no_lean() -> None:
    """A third of a unit becomes one unit in a third of the cases."""
    values = np.full(30_000, round(2**20 * (5 + 1 / 3)))
    masks = masks_for(values.shape, np.uint64)
    found = joined(play(lambda engine: reduced(engine, words_of(engine, values, masks), 20)))
    assert set(found) == {5, 6}
    assert found.mean() == pytest.approx(5 + 1 / 3, abs=6 * 0.47 / np.sqrt(30_000))


def test_more_than_half_a_word_is_not_dropped() -> None:
    def program(engine):
        return reduced(engine, words_of(engine, np.zeros(1), np.zeros(1, dtype=np.uint64)), 33)

    with pytest.raises(ValueError, match="33 bits cannot be dropped"):
        play(program)


def test_arithmetic() -> None:
    left, right = np.array([[5, -7], [2**31 - 1, 0]]), np.array([[1, 2], [3, -4]])
    masks = [masks_for(left.shape), masks_for(right.shape)]

    def program(engine):
        one, two = halves_of(engine, left, masks[0]), halves_of(engine, right, masks[1])
        both = stack_halves([one + two, one - two.scaled(3)], axis=0)
        return both, both.at(1), both.sliced(slice(1, 2), slice(None), slice(0, 1)), one.reshaped(4)

    results = play(program)
    both = joined({role: found[0] for role, found in results.items()})
    total = np.stack([left + right, left - 3 * right])
    wanted = total.astype(np.uint32).view(np.int32)
    assert (both == wanted).all()
    assert (joined({role: found[1] for role, found in results.items()}) == wanted[..., 1]).all()
    assert (joined({role: found[2] for role, found in results.items()}) == wanted[1:2, :, 0:1]).all()
    assert (joined({role: found[3] for role, found in results.items()}) == left.reshape(4)).all()


def test_shapes_are_broadcast_at_every_party() -> None:
    column, row = Halved((3, 1), np.ones((3, 1), dtype=np.uint32)), Halved((4,), np.ones(4, dtype=np.uint32))
    assert (column + row).shape == (3, 4)
    assert (Halved((3, 1), None) - Halved((4,), None)).shape == (3, 4)
    assert Halved((3, 1), None).sliced(slice(0, 2)).shape == (2, 1)
