"""Shared bits times shared numbers: kept or zero, for any shapes that fit each other."""

import numpy as np
import pytest
from boost_worlds import bits_of, each, halves_of, joined, masks_for, play
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import Watch, chi_square

from tongzhou.secure.choices import choose, open_choice


@pytest.mark.parametrize(
    ("bits_shape", "value_shape"),
    [((5,), (5,)), ((3, 17), (2, 3, 17)), ((3, 17), (3, 1)), ((2, 4), (2, 1, 4)), ((1,), (1,))],
)
def test_numbers_are_kept_where_the_bit_is_one(
    bits_shape: tuple[int, ...], value_shape: tuple[int, ...]
) -> None:
    bits = masks_for(bits_shape, np.uint8) & 1
    values = masks_for(value_shape).view(np.int32).astype(np.int64)
    masks = masks_for(bits_shape, np.uint8) & 1, masks_for(value_shape)

    def program(engine):
        choice = open_choice(engine, bits_of(engine, bits, masks[0]), bits_shape)
        first = choose(engine, choice, halves_of(engine, values, masks[1]))
        # The same opened bits serve again.
        return first, choose(engine, choice, halves_of(engine, values + 1, masks[1]))

    results = play(program)
    assert (joined(each(results, 0)) == bits * values).all()
    assert (joined(each(results, 1)) == (bits * (values + 1)).astype(np.uint32).view(np.int32)).all()


@settings(max_examples=15, deadline=None)
@given(
    pairs=st.lists(st.tuples(st.integers(0, 1), st.integers(-(2**31), 2**31 - 1)), min_size=1, max_size=20)
)
def test_every_number_and_bit(pairs: list[tuple[int, int]]) -> None:
    bits = np.array([bit for bit, _ in pairs], dtype=np.uint8)
    values = np.array([value for _, value in pairs])
    masks = masks_for(bits.shape, np.uint8) & 1, masks_for(values.shape)

    def program(engine):
        choice = open_choice(engine, bits_of(engine, bits, masks[0]), bits.shape)
        return choose(engine, choice, halves_of(engine, values, masks[1]))

    assert joined(play(program)).tolist() == [bit * value for bit, value in pairs]


def test_what_arrives_is_uniform_and_as_much_as_the_statement_says() -> None:
    watch, count = Watch(), 80_000
    bits = np.ones(count, dtype=np.uint8)

    def program(engine):
        engine.party.session = watch(engine.party.session)
        own = None if not engine.is_owner else bits * np.uint8(engine.party.role == "asker")
        choice = open_choice(engine, own, (count,))
        return choose(engine, choice, halves_of(engine, np.zeros(count), np.zeros(count, dtype=np.uint32)))

    play(program)
    assert watch.tags("asker") == {("provider", "masked.choice"), ("provider", "masked.chosen")}
    assert not watch.views["helper"]
    for role in ("asker", "provider"):
        assert abs(chi_square(watch.words(role))) < 6
    arrived = sum(a.nbytes for m in watch.views["asker"] for a in m.arrays)
    dealt = sum(a.nbytes for m in watch.views["provider"] for a in m.arrays)
    assert arrived == count * (1 / 8 + 4)
    assert dealt == arrived + count * (4 + 4)
