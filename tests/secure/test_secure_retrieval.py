"""Tables whose rows are sums of three cells: every stored key finds its row, whatever the sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.errors import DataError
from tongzhou.secure import field
from tongzhou.secure.prg import Stream
from tongzhou.secure.retrieval import MAX_ATTEMPTS, cells_for, fill_cells, places, read_rows


def stored(count: int, width: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    stream = Stream(seed.to_bytes(32, "big"))
    return stream.words(count, 2), field.from_words(stream.words(count, width))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 400), st.integers(1, 4), st.integers(0, 10**6))
def test_every_stored_key_finds_its_row(count: int, width: int, seed: int) -> None:
    keys, rows = stored(count, width, seed)
    cells = cells_for(count)
    table, attempt = fill_cells(keys, rows, cells)
    assert table.shape == (cells, width)
    assert 0 <= attempt < MAX_ATTEMPTS
    assert np.array_equal(read_rows(table, places(keys, attempt, cells)), rows)


def test_large_tables_succeed_at_once() -> None:
    keys, rows = stored(60_000, 1)
    table, attempt = fill_cells(keys, rows, cells_for(60_000))
    assert attempt == 0
    assert np.array_equal(read_rows(table, places(keys, 0, len(table))), rows)


def test_a_shorter_list_has_a_table_of_the_agreed_size() -> None:
    keys, rows = stored(3, 2)
    table, _ = fill_cells(keys, rows, cells_for(1000))
    assert len(table) == cells_for(1000)


def test_sizes_follow_from_the_capacity() -> None:
    for capacity in (0, 1, 7, 1000, 10**6):
        cells = cells_for(capacity)
        assert cells % 3 == 0
        assert 1.25 * capacity <= cells <= 1.25 * capacity + 52


def test_places_are_one_in_each_third_and_spread() -> None:
    keys, _ = stored(30_000, 1)
    for attempt in (0, 1, 63):
        spots = places(keys, attempt, 300)
        assert [(int(column.min()), int(column.max())) for column in spots.T] == [
            (0, 99),
            (100, 199),
            (200, 299),
        ]
        assert np.bincount(spots.reshape(-1), minlength=300).min() > 200
    assert (places(keys, 0, 3000) == places(keys, 1, 3000)).mean() < 0.01


def test_shares_of_a_table_give_shares_of_rows() -> None:
    keys, rows = stored(50, 3)
    table, attempt = fill_cells(keys, rows, cells_for(50))
    masks = field.from_words(Stream(bytes(32)).words(*table.shape))
    spots = places(keys, attempt, len(table))
    shares = read_rows(field.subtract(table, masks), spots), read_rows(masks, spots)
    assert np.array_equal(field.add(*shares), rows)


def test_another_attempt_is_made_where_one_fails() -> None:
    """Twelve keys in 24 cells: some sets of places fail, and another is found."""
    attempts = {fill_cells(*stored(12, 1, seed), 24)[1] for seed in range(40)}
    assert len(attempts) > 1


@pytest.mark.parametrize("cells", [6, 48])
def test_what_cannot_be_stored_is_a_sentence(cells: int) -> None:
    keys, rows = stored(7, 1)
    keys[1] = keys[0]
    with pytest.raises(
        DataError, match=rf"7 entries do not fit into a table of {cells} cells: entries repeat"
    ):
        fill_cells(keys, rows, cells)
