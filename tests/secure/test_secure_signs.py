"""Signs of shared numbers of any width, and functions of shared bits."""

import numpy as np
import pytest
from boost_worlds import bits_of, masks_for, play, words_of
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import Watch, chi_square

from tongzhou.secure.lookups import PLACES, look_up, open_bits
from tongzhou.secure.signs import negative


def signs(values: np.ndarray, masks: np.ndarray, width: int) -> np.ndarray:
    results = play(lambda engine: negative(engine, words_of(engine, values, masks), width))
    assert results["helper"] is None
    return results["asker"] ^ results["provider"]


@settings(max_examples=25, deadline=None)
@given(data=st.data(), width=st.integers(2, 64))
def test_signs_are_exact(data: st.DataObject, width: int) -> None:
    numbers = st.integers(-(2 ** (width - 1)), 2 ** (width - 1) - 1)
    values = np.array(data.draw(st.lists(numbers, min_size=1, max_size=6)), dtype=np.int64)
    masks = np.array([data.draw(st.integers(0, 2**64 - 1)) for _ in values], dtype=np.uint64)
    assert (signs(values, masks, width) == (values < 0)).all()


@pytest.mark.parametrize("width", [2, 7, 8, 19, 20, 32, 33, 54, 55, 56, 64])
def test_edges_of_each_width(width: int) -> None:
    """At both ends of the range, around zero, and at each power of two: every digit decides somewhere."""
    top = 2 ** (width - 1)
    edges = {0, 1, -1, -2, top - 1, -top} | {2**k for k in range(width - 1)} | {-(2**k) for k in range(width)}
    values = np.array(sorted(edge for edge in edges if -top <= edge < top), dtype=np.int64)
    masks = masks_for(values.shape, np.uint64)
    assert (signs(values, masks, width) == (values < 0)).all()


def test_bits_above_the_width_do_not_count() -> None:
    values = np.array([5 + (3 << 40), -5 + (9 << 40)], dtype=np.int64)
    assert signs(values, masks_for((2,), np.uint64), 40).tolist() == [0, 1]


@pytest.mark.parametrize(("width", "rounds"), [(19, 2), (32, 3), (54, 3), (55, 3), (56, 4), (64, 4)])
def test_rounds_by_width(width: int, rounds: int) -> None:
    watch = Watch()
    values = np.zeros(4000, dtype=np.int64)

    def program(engine):
        engine.party.session = watch(engine.party.session)
        return negative(engine, words_of(engine, values, np.zeros(4000, dtype=np.uint64)), width)

    play(program)
    assert len(watch.views["asker"]) == rounds
    assert not watch.views["helper"]
    assert watch.tags("asker") == {("provider", "masked.sign"), ("provider", "masked.bits")}


def test_a_key_takes_what_the_statement_says_and_everything_is_uniform() -> None:
    """Zeros with shares of zero: whatever arrives is mask alone."""
    watch, count = Watch(), 20_000

    def program(engine):
        engine.party.session = watch(engine.party.session)
        zeros = np.zeros(count, dtype=np.uint64)
        return negative(engine, words_of(engine, np.zeros(count, dtype=np.int64), zeros), 54)

    play(program)
    sizes = {
        role: sum(a.nbytes for m in watch.views[role] for a in m.arrays) / count
        for role in ("asker", "provider")
    }
    assert sizes == {"asker": 12, "provider": 12 + 128}
    for role in ("asker", "provider"):
        assert abs(chi_square(watch.words(role, "masked.sign", "deal.digit", "deal.table"))) < 6
        # Six bits a byte: the two upper bits are clear, the others uniform.
        bits = watch.words(role, "masked.bits")
        counts = np.bincount(bits, minlength=256)
        assert counts[PLACES:].sum() == 0
        expected = len(bits) / PLACES
        statistic = ((counts[:PLACES] - expected) ** 2 / expected).sum()
        assert (statistic - 63) / np.sqrt(126) < 6


@given(table=st.lists(st.integers(0, 1), min_size=PLACES, max_size=PLACES), seed=st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_any_table_can_be_looked_up(table: list[int], seed: int) -> None:
    inputs = np.arange(PLACES, dtype=np.uint8).reshape(2, -1)
    masks = np.random.default_rng(seed).integers(0, PLACES, inputs.shape, dtype=np.uint8)
    flip = np.random.default_rng(seed + 1).integers(0, 2, inputs.shape, dtype=np.uint8)

    def program(engine):
        given_bits = bits_of(engine, inputs, masks)
        found = look_up(engine, given_bits, [tuple(table)], shape=inputs.shape)
        told = flip if engine.party.role == "helper" else None
        turned = look_up(engine, given_bits, [tuple(table), tuple(table)], shape=inputs.shape, flip=told)
        return [*found, *turned]

    results = play(program)
    plain, first, second = (results["asker"][place] ^ results["provider"][place] for place in range(3))
    assert plain.reshape(-1).tolist() == table
    assert ((first ^ flip).reshape(-1) == table).all()
    assert (first == second).all()


def test_opened_bits_are_the_bits() -> None:
    bits = np.array([[1, 0, 0, 1, 1], [0, 0, 1, 0, 1]], dtype=np.uint8)
    masks = masks_for(bits.shape, np.uint8) & 1
    results = play(lambda engine: open_bits(engine, "try", bits_of(engine, bits, masks), bits.shape))
    assert (results["asker"] == bits).all()
    assert (results["provider"] == bits).all()
    assert not results["helper"].any()
