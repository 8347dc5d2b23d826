"""Tables that say nothing about their keys: every key draws its value, and the table is uniform."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import chi_square

from tongzhou.errors import ProtocolError
from tongzhou.secure import hidden_table
from tongzhou.secure.hidden_table import pack_table, read_table, slot_count
from tongzhou.secure.prg import Stream, new_seed

WORD = np.uint64(2**64 - 1)


def uniform(count: int) -> np.ndarray:
    return Stream(new_seed()).words(count, 2)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 400))
def test_every_key_draws_its_value(count: int) -> None:
    keys, values = uniform(count), uniform(count)
    table = pack_table(keys, values)
    assert table.shape == (slot_count(count), 2)
    assert (read_table(table, keys) == values).all()


def test_a_long_list_in_few_slots() -> None:
    keys, values = uniform(100_000), uniform(100_000)
    table = pack_table(keys, values)
    assert (read_table(table, keys) == values).all()
    assert len(table) < 1.33 * 100_000


@pytest.mark.parametrize("count", [1, 100, 10_000, 4_000_000])
def test_slots_are_as_many_as_the_statement_says(count: int) -> None:
    assert 1.3 * count < slot_count(count) <= 1.3 * count + 8 * np.sqrt(count) + 83


def test_another_key_draws_something_else() -> None:
    keys = uniform(5000)
    table = pack_table(keys[:2500], np.zeros((2500, 2), dtype=np.uint64))
    foreign = read_table(table, keys[2500:])
    assert foreign.any(axis=1).all()
    assert len(np.unique(foreign[:, 0])) == 2500


def test_a_table_is_uniform_and_another_one_each_time() -> None:
    """Uniform values, which the protocols give; the same keys and values twice."""
    keys, values = uniform(1500), uniform(1500)
    tables = [pack_table(keys, values) for _ in range(2)]
    for table in tables:
        assert abs(chi_square(table.reshape(-1).view(np.uint8))) < 6
    # Slots that no key needs are drawn anew; with 1.3 slots a key that is most of the table.
    assert (tables[0] != tables[1]).any(axis=1).mean() > 0.5


@pytest.mark.parametrize("shared", [2, 6, 12])
def test_keys_that_share_all_their_slots_are_solved_by_the_dense_part(shared: int) -> None:
    """Keys that differ in the dense bits alone: no slot is ever one key's own."""
    keys = np.repeat(uniform(1), shared, axis=0)
    low = keys[:, 1] & np.uint64(255)
    keys[:, 1] = low | (uniform(shared)[:, 0] << np.uint64(8))
    others = uniform(300)
    every = np.concatenate([others, keys])
    slots = hidden_table._slots(every, slot_count(len(every)))
    _, left = hidden_table._peeled(slots, slot_count(len(every)))
    assert set(range(300, 300 + shared)) <= set(left.tolist())
    values = uniform(len(every))
    assert (read_table(pack_table(every, values), every) == values).all()


def test_what_fits_into_no_table_is_a_sentence() -> None:
    keys = np.repeat(uniform(1), 2, axis=0)
    with pytest.raises(ProtocolError, match="the values of this list fit into no table; run the job again"):
        pack_table(keys, uniform(2))


@pytest.mark.parametrize("count", [30, 200, 1000])
def test_few_keys_are_left_over(count: int) -> None:
    """The dense part takes what is left; it must stay far below its 56 slots."""
    left = []
    for _ in range(60):
        slots = hidden_table._slots(uniform(count), slot_count(count))
        left.append(len(hidden_table._peeled(slots, slot_count(count))[1]))
    assert max(left) <= 12
    assert np.mean(np.array(left) > 0) < 0.2


def test_slots_lie_in_their_thirds_and_are_hit_evenly() -> None:
    keys, count = uniform(60_000), slot_count(60)
    slots = hidden_table._slots(keys, count)
    third = (count - 56) // 3
    for n in range(3):
        hits = np.bincount(slots[:, n] - n * third, minlength=third)
        assert len(hits) == third
        expected = 60_000 / third
        deviation = (((hits - expected) ** 2 / expected).sum() - (third - 1)) / np.sqrt(2 * (third - 1))
        assert abs(deviation) < 6


def test_the_dense_part_is_linear_in_the_bits() -> None:
    """Written out bit by bit for one key."""
    table, (key,) = uniform(slot_count(1)), uniform(1)
    expected = np.zeros(2, dtype=np.uint64)
    for bit in range(56):
        if int(key[1]) >> (8 + bit) & 1:
            expected ^= table[len(table) - 56 + bit]
    assert (hidden_table._dense(table, key.reshape(1, 2))[0] == expected).all()
