"""Columns as arrays: what is accepted, and the sentence for everything else."""

import datetime as dt
import decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.data.columns import label_column, numeric_column, text_column
from tongzhou.errors import DataError


def one(values, kind=None):
    return pa.table({"x": pa.array(values, kind)})


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, None, 3], pa.int8(), [1, np.nan, 3]),
        ([1, 2], pa.uint64(), [1, 2]),
        ([0.5, None, float("nan")], pa.float32(), [0.5, np.nan, np.nan]),
        ([True, False, None], pa.bool_(), [1, 0, np.nan]),
        ([decimal.Decimal("1.25"), None], pa.decimal128(9, 2), [1.25, np.nan]),
        ([None, None], pa.null(), [np.nan, np.nan]),
        ([], pa.int64(), []),
    ],
)
def test_numbers_of_every_type_become_float64_with_nan(values, kind, expected):
    column = numeric_column(one(values, kind), "x")
    assert column.dtype == np.float64
    assert np.array_equal(column, expected, equal_nan=True)


def test_chunks_are_joined_and_positions_kept():
    table = pa.table({"x": pa.chunked_array([[1, None], [], [3]])})
    assert np.array_equal(numeric_column(table, "x"), [1, np.nan, 3], equal_nan=True)


@given(values=st.lists(st.none() | st.integers(-(2**53), 2**53)))
def test_whole_numbers_within_the_bound_are_exact(values):
    column = numeric_column(one(values, pa.int64()), "x")
    assert [None if np.isnan(value) else int(value) for value in column] == values


BAD_NUMBERS = {
    "a word": (["1", "2", "many"], None, "column x, row 3: must be a number, got text of length 4"),
    "words only": (["a", "bc"], None, "column x, row 1: must be a number, got text of length 1"),
    "text of numbers": (["1", "2"], None, "column x: must hold numbers, got a column of type text"),
    "dates": ([dt.date(2024, 1, 1)], None, "column x: must hold numbers, got a column of type date"),
    "infinite": ([1.0, float("-inf")], None, "column x, row 2: must be a finite number or missing"),
    "too large": ([2**53, 2**53 + 2], pa.int64(), r"column x, row 2: a whole number must lie within ±2\^53"),
    "lists": ([[1]], None, "column x: must hold numbers, got a column of type list"),
}


@pytest.mark.parametrize("case", BAD_NUMBERS)
def test_what_is_no_number_is_named_by_row(case):
    values, kind, sentence = BAD_NUMBERS[case]
    with pytest.raises(DataError, match=sentence):
        numeric_column(one(values, kind), "x")


def test_the_sentence_does_not_show_the_value():
    with pytest.raises(DataError, match="row 1") as caught:
        numeric_column(one(["hunter2"]), "x")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("read", [numeric_column, label_column, text_column])
def test_a_missing_column_suggests_the_nearest(read):
    table = pa.table({"client_id": ["a"], "Age": [1]})
    with pytest.raises(DataError, match=r"there is no column age; did you mean Age\?"):
        read(table, "age")
    with pytest.raises(DataError, match=r"there is no column income; the table has client_id, Age$"):
        read(table, "income")


def test_a_wide_table_is_not_listed_in_full():
    table = pa.table({f"c{number}": [1] for number in range(40)})
    with pytest.raises(DataError, match=r"the table has c0, .*c11, …$"):
        numeric_column(table, "zzz")


@pytest.mark.parametrize(
    ("values", "kind"), [([0, 1], pa.int8()), ([0.0, 1.0], pa.float64()), ([False, True], pa.bool_())]
)
def test_labels_of_every_type(values, kind):
    label = label_column(one(values, kind), "x")
    assert label.dtype == np.int8
    assert label.tolist() == [0, 1]


BAD_LABELS = {
    "two": ([0, 1, 2], "label x, row 3: must be 0 or 1, got another number"),
    "minus one": ([-1, 1], "label x, row 1: must be 0 or 1, got another number"),
    "half": ([0.0, 0.5], "label x, row 2: must be 0 or 1, got another number"),
    "missing": ([0, None, 1], "label x, row 2: must be 0 or 1, got a missing value"),
    "nan": ([0.0, float("nan")], "label x, row 2: must be 0 or 1, got a missing value"),
    "words": (["good", "bad"], "column x, row 1: must be a number, got text of length 4"),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_a_bad_label_is_named_by_row(case):
    values, sentence = BAD_LABELS[case]
    with pytest.raises(DataError, match=sentence):
        label_column(one(values), "x")


def test_identifiers_are_text_or_whole_numbers():
    assert text_column(one(["a", None]), "x") == ["a", None]
    assert text_column(one([1, 2]), "x") == [1, 2]
    assert text_column(one(["a"], pa.large_string()), "x") == ["a"]


@pytest.mark.parametrize(
    ("values", "got"), [([1.5], "double"), ([True], "yes/no"), ([dt.date(2024, 1, 1)], "date")]
)
def test_other_types_are_no_identifiers(values, got):
    with pytest.raises(
        DataError, match=f"identifier x: must be text or whole numbers, got a column of type {got}"
    ):
        text_column(one(values), "x")
