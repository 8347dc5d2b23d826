"""Rows of columns: there and back for any values, equal lengths, and sentences for what does not fit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.errors import DataError, PlanError, ProtocolError
from tongzhou.secure.payload import Column, check_columns, decode_rows, encode_rows, row_bytes

NUMBERS, TEXTS = Column("limit"), Column("city", 12)
BOTH = (NUMBERS, TEXTS)
texts = st.none() | st.text(max_size=12).filter(lambda text: len(text.encode()) <= 12)


@given(st.lists(st.tuples(st.floats(), texts), max_size=12))
def test_columns_come_back(values: list[tuple[float, str | None]]) -> None:
    given_columns = {
        "limit": np.array([number for number, _ in values], dtype=np.float64),
        "city": [text for _, text in values],
        "never asked for": None,
    }
    rows = encode_rows(BOTH, given_columns, len(values))
    assert rows.shape == (len(values), row_bytes(BOTH)) == (len(values), 21)
    found = decode_rows(BOTH, rows, "bank")
    assert list(found) == ["limit", "city"]
    # Bit by bit, so that zeros of both signs and missing numbers count.
    assert found["limit"].tobytes() == given_columns["limit"].tobytes()
    assert found["city"] == given_columns["city"]


@given(texts)
def test_a_text_tells_nothing_by_its_length(text: str | None) -> None:
    assert encode_rows((TEXTS,), {"city": [text]}, 1).shape == (1, 13)


def test_integers_become_doubles() -> None:
    found = decode_rows((NUMBERS,), encode_rows((NUMBERS,), {"limit": np.array([3, 2**53])}, 2), "bank")
    assert found["limit"].tolist() == [3.0, 2.0**53]
    assert found["limit"].dtype == np.float64


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ((), "columns to learn must be at least one and have different names"),
        ((NUMBERS, Column("limit", 3)), "columns to learn must be at least one and have different names"),
        ((Column("c", 255),), "column c: texts of 1 to 254 bytes can be learnt, got 255"),
        ((Column("c", -1),), "column c: texts of 1 to 254 bytes can be learnt, got -1"),
        (
            tuple(Column(f"c{n}", 254) for n in range(17)),
            "the columns to learn take 4335 bytes a row; at most 4096 are possible",
        ),
    ],
)
def test_columns_that_cannot_be_carried(columns: Any, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        check_columns(columns)


def test_columns_that_can_be_carried() -> None:
    check_columns((NUMBERS, Column("c", 254)))


@pytest.mark.parametrize(
    ("column", "values", "sentence"),
    [
        (NUMBERS, {}, "the table has no column limit"),
        (NUMBERS, {"limit": np.zeros(3)}, "column limit has 3 values for 2 identifiers"),
        (NUMBERS, {"limit": ["a", "b"]}, "column limit must hold numbers"),
        (NUMBERS, {"limit": np.array(["a", "b"])}, "column limit must hold numbers"),
        (TEXTS, {"city": [1, 2]}, "column city must hold texts"),
        (TEXTS, {"city": ["a", "b" * 13]}, "column city has a text of 13 bytes; 12 were agreed"),
        (TEXTS, {"city": ["中中中中", "中中中中中"]}, "column city has a text of 15 bytes; 12 were agreed"),
    ],
)
def test_values_that_do_not_fit(column: Column, values: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        encode_rows((column,), values, 2)
    assert "bbb" not in str(caught.value) and "中" not in str(caught.value)


@pytest.mark.parametrize(
    "row",
    [
        bytes([13]) + b"a" * 12,  # longer than the column
        bytes([2]) + b"abc" + bytes(9),  # padding that is not zero
        bytes([255]) + b"a" + bytes(11),  # missing, and a text
        bytes([2]) + b"\xff\xfe" + bytes(10),  # not UTF-8
        bytes([1]) + "中".encode()[:1] + bytes(11),  # cut off within a character
        bytes([254]) + bytes(12),
    ],
)
def test_malformed_texts_of_a_peer_are_refused(row: bytes) -> None:
    rows = np.frombuffer(row, dtype=np.uint8).reshape(1, -1)
    with pytest.raises(ProtocolError, match="bank sent a malformed text in column city"):
        decode_rows((TEXTS,), rows, "bank")


@given(st.binary(min_size=13, max_size=13))
def test_any_row_of_a_peer_is_a_text_or_a_sentence(row: bytes) -> None:
    rows = np.frombuffer(row, dtype=np.uint8).reshape(1, -1)
    try:
        found = decode_rows((TEXTS,), rows, "bank")
    except ProtocolError:
        return
    assert encode_rows((TEXTS,), found, 1).tobytes() == row
