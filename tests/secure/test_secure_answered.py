"""The record of what was answered: what counts of it, and how rows and sets are named."""

import numpy as np
import pytest

from tongzhou.secure.answered import ENTRY_BYTES, Answered, Entry, MemoryHistory, name_rows, new_entry_id
from tongzhou.secure.row_audit import RowSet


def rows(*keys: int) -> RowSet:
    return RowSet(np.array(sorted(keys), dtype=np.uint64))


def sketches(cells: int) -> np.ndarray:
    return np.arange(cells * 3, dtype=np.uint64).reshape(cells, 3)


FIRST = Entry(b"1" * 16, {0: rows(1, 2), 1: rows(3)}, ((0, 0), (1, 0)), sketches(2))
SECOND = Entry(b"2" * 16, {2: rows(1, 3)}, ((2, 0), (0, 5)), sketches(2) + np.uint64(100))
COLUMN = Entry(b"3" * 16, {3: RowSet(np.array([1], dtype=np.uint64), np.array([2.5]))})


def test_cells_and_sketches_add_up_over_entries() -> None:
    answered = Answered([FIRST, SECOND])
    assert answered.cells == [(0, 0), (1, 0), (2, 0), (0, 5)]
    assert answered.is_answered((2, 0)) and not answered.is_answered((2, 5))
    assert [share.tolist() for share in answered.sketches()] == [
        [0, 1, 2],
        [3, 4, 5],
        [100, 101, 102],
        [103, 104, 105],
    ]
    assert answered.refusals == 0


def test_a_cell_that_is_answered_again_keeps_its_sketch() -> None:
    answered = Answered([FIRST, Entry(b"9" * 16, {}, ((0, 0),), sketches(1) + np.uint64(7))])
    assert len(answered.cells) == 2
    assert answered.sketches()[0].tolist() == [0, 1, 2]


def test_sets_that_met_the_same_rows() -> None:
    answered = Answered([FIRST, SECOND, COLUMN])
    assert answered.met("asker", 0) == [0, 1, 2]
    assert answered.met("asker", 5) == [0]
    assert answered.met("provider", 0) == [0, 5]
    assert answered.met("asker", 9) == []


def test_all_sets_and_columns_are_there_for_the_audit() -> None:
    found = Answered([FIRST, SECOND, COLUMN]).all_rows()
    assert [rows.keys.tolist() for rows in found] == [[1, 2], [3], [1, 3], [1]]
    assert [None if rows.weights is None else rows.weights.tolist() for rows in found] == [
        None,
        None,
        None,
        [2.5],
    ]


def test_equal_sets_have_one_number_and_new_ones_the_next() -> None:
    answered = Answered([FIRST, SECOND])
    assert answered.numbers([rows(3), rows(2, 1), rows(4), rows(4)]) == [1, 0, 5, 6]
    assert Answered().numbers([rows(4), rows(4)]) == [0, 1]
    assert answered.is_known(2) and not answered.is_known(3)
    assert len(answered.rows(0)) == 2


def test_weights_make_another_set() -> None:
    answered = Answered([FIRST, COLUMN])
    weighted = RowSet(np.array([1], dtype=np.uint64), np.array([2.5]))
    other = RowSet(np.array([1], dtype=np.uint64), np.array([2.0]))
    assert answered.numbers([weighted, other, rows(1)]) == [3, 5, 6]


def test_refusals_are_counted() -> None:
    answered = Answered([Entry(b"1" * 16, refused=True), FIRST])
    answered.take(Entry(b"2" * 16, refused=True))
    assert answered.refusals == 2
    assert answered.cells == [(0, 0), (1, 0)]


def test_memory_keeps_and_confirms() -> None:
    history = MemoryHistory()
    assert (history.key(), history.entries()) == (None, [])
    history.keep_key(b"k")
    history.add(FIRST)
    history.add(SECOND)
    history.confirm(SECOND.entry_id)
    assert history.key() == b"k"
    assert [(entry.entry_id, entry.confirmed) for entry in history.entries()] == [
        (FIRST.entry_id, False),
        (SECOND.entry_id, True),
    ]


def test_identifiers_of_entries_are_fresh() -> None:
    drawn = {new_entry_id() for _ in range(50)}
    assert len(drawn) == 50
    assert {len(one) for one in drawn} == {ENTRY_BYTES}


def test_rows_have_names_under_the_key_alone() -> None:
    names = name_rows(b"k" * 32, ["a", "b", "c"])
    chosen = names.set_of(np.array([True, False, True]))
    assert set(chosen.keys.tolist()) == {names.keys[0], names.keys[2]}
    assert (np.diff(chosen.keys.astype(object)) > 0).all()
    later = name_rows(b"k" * 32, ["c", "x", "a"])
    assert later.members(chosen).tolist() == [True, False, True]
    assert not name_rows(b"q" * 32, ["a", "c"]).members(chosen).any()


def test_weights_follow_their_rows() -> None:
    names = name_rows(b"k" * 32, [str(row) for row in range(20)])
    values = np.arange(20.0)
    weighted = names.set_of(values > 4, values)
    by_key = dict(zip(weighted.keys.tolist(), weighted.weights.tolist(), strict=True))
    assert by_key == {
        key: value for key, value in zip(names.keys.tolist(), values.tolist(), strict=True) if value > 4
    }


def test_an_identifier_is_text_of_any_script() -> None:
    names = name_rows(b"k" * 32, ["王", "李", ""])
    assert len(set(names.keys.tolist())) == 3
    with pytest.raises(AttributeError):
        name_rows(b"k" * 32, [3])  # type: ignore[list-item]
