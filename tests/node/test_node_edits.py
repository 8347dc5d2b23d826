"""Decisions about names in an institution's folder, and tables added under them."""

import json
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.csv
import pytest

from tongzhou.data.edits import Decision, EditList
from tongzhou.errors import ConflictError, DataError, NotFoundError, PlanError, StorageError
from tongzhou.node.edits import edits_digest, keep_edits, load_edits, name_column, suggest
from tongzhou.node.home import Home
from tongzhou.node.tables import examine, keep_table, load_table, recheck

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
FIRMS = {"firm": ["蓝海", "广州蓝海餐饮有限责任公司", "红山有限公司"], "x": [1, 2, 3]}
EDITS = EditList((Decision("same", "蓝海", "广州蓝海餐饮有限公司"),))


@pytest.fixture
def home(tmp_path):
    with Home.create(tmp_path / "bank", "bank", "Bank", "h:1") as opened:
        yield opened


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "t.csv"
    pyarrow.csv.write_csv(pa.table(FIRMS), path)
    return path


def test_decisions_are_kept_and_noted_in_the_log(home) -> None:
    assert load_edits(home, "firms") == EditList()
    keep_edits(home, "firms", EDITS, now=NOW)
    assert load_edits(home, "firms") == EDITS
    assert load_edits(home, "other") == EditList()
    (entry,) = home.log.entries()
    assert entry.kind == "names-decided"
    assert entry.record == {"decisions": 1, "digest": edits_digest(EDITS), "table": "firms"}
    assert "蓝海" not in str(entry.record)


def test_a_damaged_list_is_named(home) -> None:
    keep_edits(home, "firms", EDITS, now=NOW)
    path = home.folder / "edits" / "firms.json"
    path.write_text('{"decisions": [{"verdict": "maybe"}]}', encoding="utf-8")
    with pytest.raises(StorageError, match=r"firms.json is damaged: .*; restore it from a backup"):
        load_edits(home, "firms")


def test_a_list_changed_by_hand_cannot_lead_in_a_circle(home) -> None:
    keep_edits(home, "firms", EDITS, now=NOW)
    circle = [{"verdict": "same", "name": one, "other": other} for one, other in ("ab", "bc", "ca")]
    (home.folder / "edits" / "firms.json").write_text(json.dumps({"decisions": circle}), encoding="utf-8")
    with pytest.raises(StorageError, match="is damaged: row 3: the two names would be written as each other"):
        load_edits(home, "firms")


@pytest.mark.parametrize("name", ["../x", "A", ""])
def test_a_tables_name_is_a_safe_file_name(home, name) -> None:
    with pytest.raises(PlanError, match="a table's name has small letters"):
        load_edits(home, name)


def test_rows_that_meet_are_refused_or_the_first_kept(home, file) -> None:
    with pytest.raises(DataError, match="identifier firm: each must occur once"):
        keep_table(home, examine(file, identifier="firm", kind="company", edits=EDITS), "t", now=NOW)
    examined = examine(file, identifier="firm", kind="company", edits=EDITS, repeats="first")
    found = {one.rule: (one.severity, one.rows, one.row) for one in examined.findings}
    assert found == {"identifier-edited": ("warning", 1, 1), "identifier-left-out": ("warning", 1, 2)}
    record = keep_table(home, examined, "t", now=NOW)
    assert load_table(home, "t")[1].to_pydict() == {
        "firm": ["广州蓝海餐饮有限公司", "红山有限公司"],
        "x": [1, 3],
    }
    assert [one["rule"] for one in record.findings] == ["identifier-edited", "identifier-left-out"]
    assert list(home.log.entries())[-1].record["edits"] == edits_digest(EDITS)
    assert recheck(home, "t") == []


def test_without_decisions_the_log_says_nothing_of_them(home, file) -> None:
    keep_table(home, examine(file, identifier="firm", kind="company"), "t", now=NOW)
    assert "edits" not in list(home.log.entries())[-1].record


def test_decisions_are_for_names_of_companies_only(file) -> None:
    assert [one.rule for one in examine(file, identifier="firm", kind="text", edits=EDITS).findings] == []


def test_repeats_can_be_left_out_in_any_kind(home, tmp_path) -> None:
    path = tmp_path / "u.csv"
    pyarrow.csv.write_csv(pa.table({"id": ["a", "A ", "b", None, None], "x": [1, 2, 3, 4, 5]}), path)
    examined = examine(path, identifier="id", repeats="first")
    assert examined.table.column("x").to_pylist() == [1, 3, 4, 5]
    with pytest.raises(
        DataError, match="identifier id: every row must have one; rows without: 2, first row 4"
    ):
        keep_table(home, examined, "t", now=NOW)


def test_a_column_of_names_holds_each_form_once_with_its_first_row(tmp_path) -> None:
    path = tmp_path / "n.csv"
    pyarrow.csv.write_csv(
        pa.table({"firm": ["某有限公司", None, "某有限责任公司", "--", "乙"], "x": [1] * 5}), path
    )
    names = name_column(path, "firm")
    assert names.normal == ["某有限公司", "乙"]
    assert names.written == [("某有限公司", 1), ("乙", 5)]
    with pytest.raises(DataError, match=r"n.csv: there is no column firn; did you mean firm\?"):
        name_column(path, "firn")
    with pytest.raises(NotFoundError, match="there is no file"):
        name_column(tmp_path / "none.csv", "firm")


def test_suggestions_leave_out_what_is_decided(file) -> None:
    pytest.importorskip("rapidfuzz", reason="the extra names is not installed")
    names = name_column(file, "firm")
    (found,) = suggest(names, None, EditList(), least=0.8, most=10)
    assert (names.normal[found.first], names.normal[found.second]) == ("蓝海", "广州蓝海餐饮有限公司")
    assert suggest(names, None, EDITS, least=0.8, most=10) == []
    with pytest.raises(PlanError, match=r"the lowest score must be from 0\.5 to 1, got 0\.2"):
        suggest(names, None, EDITS, least=0.2, most=10)


def test_a_table_changed_by_new_decisions_needs_replace(home, file) -> None:
    keep_table(home, examine(file, identifier="firm", kind="company"), "t", now=NOW)
    examined = examine(file, identifier="firm", kind="company", edits=EDITS, repeats="first")
    with pytest.raises(ConflictError, match="replace it with --replace"):
        keep_table(home, examined, "t", now=NOW)
    assert keep_table(home, examined, "t", replace=True, now=NOW).rows == 2
