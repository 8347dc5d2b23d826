"""Profiles, and one test for each way a table can be bad."""

import datetime as dt

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.data.findings import Finding, refuse
from tongzhou.data.profile import QUANTILES, check, profile
from tongzhou.data.tables import read_table
from tongzhou.errors import DataError
from tongzhou.i18n import say

GOOD = {
    "client_id": ["a", "b", "c", "d"],
    "default": [0, 1, 0, 1],
    "age": [30, 40, None, 50],
    "limit": [1.5, 2.5, 3.5, 3.5],
}


def good(**changes):
    return pa.table({**GOOD, **changes})


def check_good(table, **options):
    return check(table, "client_id", "default", **options)


def test_a_good_table_has_no_findings():
    assert check_good(good()) == []
    assert check_good(good(limit=[1, 2, -(2**53), 2**53])) == []


BAD_TABLES = {
    "identifier missing": (
        good(client_id=["a", None, "c", " "]),
        "identifier-missing",
        "identifier client_id: every row must have one; rows without: 2, first row 2",
    ),
    "identifier twice": (
        good(client_id=["a", "b", "a", "a"]),
        "identifier-duplicated",
        "identifier client_id: each must occur once; rows that repeat an earlier one: 2, first row 3",
    ),
    "identifier twice but for case": (
        good(client_id=["a1", "A1 ", "c", "d"]),
        "identifier-duplicated",
        "identifier client_id: each must occur once; rows that repeat an earlier one: 1, first row 2",
    ),
    "identifier number twice": (
        good(client_id=[1, 2, 2, 3]),
        "identifier-duplicated",
        "identifier client_id: each must occur once; rows that repeat an earlier one: 1, first row 3",
    ),
    "mixed column": (
        good(age=["30", "unknown", None, "50"]),
        "column-mixed",
        "column age: must hold numbers in every row; rows with text: 1, first row 2",
    ),
    "label of other numbers": (
        good(default=[0, 1, 2, 3]),
        "label-not-binary",
        "label default: must be 0 or 1; rows with other numbers: 2, first row 3",
    ),
    "label with gaps": (
        good(default=[0, 1, None, 1]),
        "label-missing",
        "label default: every row must have 0 or 1; rows without: 1, first row 3",
    ),
    "label of words": (
        good(default=["good", "bad", "good", "bad"]),
        "label-type",
        "label default: must hold 0 or 1, got a column of type text",
    ),
    "label all good": (
        good(default=[0, 0, 0, 0]),
        "label-one-class",
        "label default: must hold both 0 and 1, got 0 in every row",
    ),
    "label all bad": (
        good(default=[True, True, True, True]),
        "label-one-class",
        "label default: must hold both 0 and 1, got 1 in every row",
    ),
    "column without values": (
        good(age=pa.array([None] * 4, pa.int64())),
        "column-all-missing",
        "column age: must have values, got none in any row",
    ),
    "column of nan": (
        good(age=[float("nan")] * 4),
        "column-all-missing",
        "column age: must have values, got none in any row",
    ),
    "infinite values": (
        good(limit=[1.0, float("inf"), 2.0, float("-inf")]),
        "column-infinite",
        "column limit: numbers must be finite; rows with infinite ones: 2, first row 2",
    ),
    "numbers too large": (
        good(limit=[1, 2, 3, 2**60]),
        "column-inexact",
        "column limit: whole numbers must lie within ±2^53 to stay exact; "
        "rows with larger ones: 1, first row 4",
    ),
    "no rows": (good().slice(0, 0), "table-empty", "the table must have rows, got none"),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_each_bad_table_has_its_finding_and_is_refused(case):
    table, rule, sentence = BAD_TABLES[case]
    (finding,) = check_good(table)
    assert (finding.rule, finding.severity, finding.sentence) == (rule, "error", sentence)
    with pytest.raises(DataError) as caught:
        refuse([finding])
    assert str(caught.value) == sentence


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_finding_says_where_it_is(case):
    (finding,) = check_good(BAD_TABLES[case][0])
    if finding.row is not None:
        assert f"row {finding.row}" in finding.sentence
        assert finding.rows >= 1
    assert finding.column is None or finding.column in finding.sentence


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_finding_is_said_in_chinese_and_travels_as_json(case):
    (finding,) = check_good(BAD_TABLES[case][0])
    chinese = say(finding, "zh")
    assert any("\u4e00" <= character <= "\u9fff" for character in chinese)
    assert "must" not in chinese
    assert msgspec.json.decode(msgspec.json.encode(finding), type=Finding) == finding


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([7, 7, 7, 7], "column age: must vary to be of use, got the same value in every row"),
        ([7, None, 7, 7], "column age: must vary to be of use, got the same value in every row that has one"),
        ([True, True, True, True], "column age: must vary to be of use, got the same value in every row"),
    ],
)
def test_a_constant_column_is_a_warning(values, sentence):
    (finding,) = check_good(good(age=values))
    assert (finding.rule, finding.severity, finding.sentence) == ("column-constant", "warning", sentence)
    refuse([finding])


@pytest.mark.parametrize(
    ("values", "got"),
    [(["x", "y", "z", "x"], "text"), ([dt.date(2024, 1, day) for day in (1, 2, 3, 4)], "date")],
)
def test_a_column_of_another_type_matters_only_when_chosen(values, got):
    table = good(city=values)
    sentence = f"column city: must hold numbers, got a column of type {got}"
    (noticed,) = check_good(table)
    assert (noticed.severity, noticed.sentence) == ("warning", sentence)
    (refused,) = check_good(table, columns=["age", "city"])
    assert (refused.severity, refused.sentence) == ("error", sentence)


def test_text_of_numbers_is_not_called_mixed():
    (finding,) = check_good(good(age=["01", "02", "03", "04"]), columns=["age"])
    assert finding.rule == "column-type"


def test_only_chosen_columns_are_looked_at():
    table = good(limit=[float("inf")] * 4)
    assert check_good(table, columns=["age"]) == []


def test_all_findings_are_collected_errors_first():
    table = good(age=[1, 1, 1, 1], limit=[1.0, float("inf"), 2.0, 3.0], default=[0, 0, 0, 0])
    findings = check_good(table)
    assert [finding.rule for finding in findings] == ["label-one-class", "column-infinite", "column-constant"]


def test_refuse_raises_the_first_error_and_passes_none():
    refuse([])
    with pytest.raises(DataError, match="must hold both 0 and 1"):
        refuse(check_good(good(age=[1, 1, 1, 1], default=[0, 0, 0, 0])))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"identifier": "client"}, r"there is no column client; did you mean client_id\?"),
        (
            {"identifier": "client_id", "label": "defualt"},
            r"there is no column defualt; did you mean default\?",
        ),
        (
            {"identifier": "client_id", "columns": ["limits"]},
            r"there is no column limits; did you mean limit\?",
        ),
        (
            {"identifier": "limit"},
            "identifier limit: must be text or whole numbers, got a column of type double",
        ),
        ({"identifier": "client_id", "kind": "fone"}, r"got fone; did you mean phone\?"),
    ],
)
def test_a_question_about_what_does_not_exist_is_an_error(options, sentence):
    with pytest.raises(DataError, match=sentence):
        check(good(), **options)


def test_the_kind_of_identifier_decides_what_repeats():
    table = good(client_id=["138 0013 8000", "+86-13800138000", "13800138001", "021-62345678"])
    assert [finding.rule for finding in check(table, "client_id", kind="phone")] == ["identifier-duplicated"]
    assert check(table, "client_id", kind="text") == []


def test_a_csv_with_a_stray_word_is_found_with_its_row(tmp_path):
    """The reader loses nothing and the check names the row, however far down."""
    rows = [f"c{number},{number % 2},{number}" for number in range(1, 5001)]
    rows[4321] = "c4322,1,n.n."
    path = tmp_path / "clients.csv"
    path.write_text("client_id,default,age\n" + "\n".join(rows))
    (finding,) = check_good(read_table(path), columns=["age"])
    assert (finding.rule, finding.row, finding.rows) == ("column-mixed", 4322, 1)


@given(values=st.lists(st.sampled_from(["a", "b", "c", "d", None]), min_size=1, max_size=12))
def test_missing_and_repeated_identifiers_are_counted_exactly(values):
    found = {
        finding.rule: finding.rows for finding in check(pa.table({"id": pa.array(values, pa.string())}), "id")
    }
    present = [value for value in values if value is not None]
    expected = {
        "identifier-missing": values.count(None),
        "identifier-duplicated": len(present) - len(set(present)),
    }
    assert found == {rule: rows for rule, rows in expected.items() if rows}


# --- profile ---------------------------------------------------------------------------------------------


def test_a_profile_describes_each_column_in_order():
    described = profile(good(note=["x", "x", None, "y"]))
    assert described.rows == 4
    assert [column.name for column in described.columns] == [*GOOD, "note"]
    by_name = {column.name: column for column in described.columns}
    assert by_name["client_id"].top == []
    assert (by_name["age"].type, by_name["age"].missing, by_name["age"].distinct) == ("number", 1, 3)
    assert (by_name["age"].minimum, by_name["age"].maximum, by_name["age"].mean) == (30.0, 50.0, 40.0)
    assert [(count.value, count.rows) for count in by_name["note"].top] == [("x", 2), ("y", 1)]
    assert by_name["note"].quantiles == []


def test_nan_counts_as_missing_and_infinity_stays_out_of_the_range():
    (column,) = profile(pa.table({"x": [1.0, float("nan"), float("inf"), None, 3.0]})).columns
    assert (column.missing, column.distinct, column.minimum, column.maximum) == (2, 3, 1.0, 3.0)


@pytest.mark.parametrize(
    "table", [good().slice(0, 0), pa.table({"x": [float("nan")]})], ids=["no rows", "nan only"]
)
def test_columns_without_values_have_no_range(table):
    for column in profile(table).columns:
        assert column.distinct == 0
        assert column.minimum is None
        assert column.quantiles == []
        assert column.top == []


def test_many_values_are_described_by_quantiles_not_listed():
    values = np.arange(1000) % 17
    (column,) = profile(pa.table({"x": values})).columns
    assert column.top == []
    assert column.quantiles == pytest.approx(np.quantile(values, QUANTILES))


def test_yes_no_and_date_columns_have_their_own_type():
    described = profile(
        pa.table({"b": [True, False], "d": [dt.date(2024, 1, 1)] * 2, "t": [dt.datetime(2024, 1, 1)] * 2})
    )
    assert [column.type for column in described.columns] == ["yes/no", "date", "time"]


def test_a_profile_travels_as_json():
    described = profile(good())
    assert msgspec.json.decode(msgspec.json.encode(described), type=type(described)) == described
