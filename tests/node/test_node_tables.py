"""Tables under names: examined, normalised, kept whole, entered in the log."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tongzhou.errors import ConflictError, DataError, NotFoundError, PlanError, StorageError
from tongzhou.node import tables
from tongzhou.node.home import Home
from tongzhou.node.tables import examine, keep_table, load_table, recheck, show_table

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
GOOD = {"id": [" c1", "C2 ", "ｃ3"], "x": [1, 2, 3], "bad": [0, 1, 0]}


@pytest.fixture
def home(tmp_path):
    with Home.create(tmp_path / "bank", "bank", "Bank", "h:1") as opened:
        yield opened


@pytest.fixture
def file(tmp_path):
    def write(columns: dict, name: str = "t.csv"):
        path = tmp_path / name
        pyarrow.csv.write_csv(pa.table(columns), path)
        return path

    return write


def test_identifiers_are_kept_in_normal_form(home, file) -> None:
    record = keep_table(home, examine(file(GOOD), identifier="id", label="bad"), "t", now=NOW)
    assert (record.rows, record.columns, record.label) == (3, ("id", "x", "bad"), "bad")
    loaded, table = load_table(home, "t")
    assert loaded == record
    assert table.column("id").to_pylist() == ["C1", "C2", "C3"]
    assert table.column("x").to_pylist() == [1, 2, 3]


def test_parquet_is_taken_like_csv(home, tmp_path) -> None:
    pq.write_table(pa.table(GOOD), tmp_path / "t.parquet")
    keep_table(home, examine(tmp_path / "t.parquet", identifier="id"), "t", now=NOW)
    assert show_table(home, "t")[1].rows == 3


def test_the_log_commits_to_the_content(home, file) -> None:
    record = keep_table(home, examine(file(GOOD), identifier="id"), "t", now=NOW)
    (entry,) = home.log.entries()
    assert entry.kind == "table-added"
    assert entry.record == {
        "columns": ["id", "x", "bad"],
        "content_hash": record.content_hash,
        "identifier": "id",
        "name": "t",
        "rows": 3,
    }
    assert record.content_hash not in entry.leaf.text


def test_columns_left_out_are_neither_kept_nor_judged(home, file) -> None:
    path = file({**GOOD, "name": ["Ann", "Bo", "Cy"]})
    assert [finding.rule for finding in examine(path, identifier="id").findings] == ["column-type"]
    examined = examine(path, identifier="id", columns=["x"])
    assert examined.findings == []
    assert keep_table(home, examined, "t", now=NOW).columns == ("id", "x")


def test_repeats_are_found_in_normal_form(home, file) -> None:
    examined = examine(file({**GOOD, "id": ["a", "b", "A"]}), identifier="id")
    assert [finding.rule for finding in examined.findings] == ["identifier-duplicated"]
    with pytest.raises(DataError, match="identifier id: each must occur once"):
        keep_table(home, examined, "t", now=NOW)
    assert home.store.tables() == []
    assert list(home.tables.iterdir()) == []
    assert home.log.size == 0


def test_warnings_are_recorded_and_do_not_refuse(home, file) -> None:
    record = keep_table(home, examine(file({**GOOD, "x": [7, 7, 7]}), identifier="id"), "t", now=NOW)
    assert [finding["rule"] for finding in record.findings] == ["column-constant"]
    assert [finding.rule for finding in recheck(home, "t")] == ["column-constant"]


def test_a_wrong_check_digit_is_a_warning(home, file) -> None:
    ids = ["11010519491231002X", "110105194912310021", "440524188001010014"]
    examined = examine(file({**GOOD, "id": ids}), identifier="id", kind="id-card-cn")
    assert [(finding.rule, finding.severity) for finding in examined.findings] == [
        ("identifier-check-digit", "warning")
    ]
    assert keep_table(home, examined, "t", now=NOW).kind == "id-card-cn"


@pytest.mark.parametrize(
    ("changes", "words", "sentence"),
    [
        ({}, {"identifier": "idd"}, "idd"),
        ({}, {"identifier": "id", "label": "x"}, "label x: must be 0 or 1"),
        ({}, {"identifier": "id", "columns": ["y"]}, "y"),
        ({"bad": [1, 1, 1]}, {"identifier": "id", "label": "bad"}, "label bad"),
        ({"id": ["a", None, "b"]}, {"identifier": "id"}, "identifier id: every row must have one"),
        ({}, {"identifier": "id", "kind": "txt"}, "kind of identifier must be one of .*; did you mean text"),
    ],
)
def test_what_spoils_a_table_is_refused_with_a_sentence(home, file, changes, words, sentence) -> None:
    with pytest.raises(DataError, match=sentence):
        keep_table(home, examine(file({**GOOD, **changes}), **words), "t", now=NOW)
    assert home.store.tables() == []


def test_an_empty_table_is_refused(home, tmp_path) -> None:
    path = tmp_path / "empty.csv"
    path.write_text("id,x\n", encoding="utf-8")
    with pytest.raises(DataError, match="must have rows"):
        keep_table(home, examine(path, identifier="id"), "t", now=NOW)


@pytest.mark.parametrize("name", ["", "../t", "a/b", "T", ".hidden", "x" * 65, "t\n"])
def test_a_name_is_a_safe_file_name(home, file, name) -> None:
    with pytest.raises(PlanError, match="a table's name has small letters"):
        keep_table(home, examine(file(GOOD), identifier="id"), name, now=NOW)


def test_a_taken_name_is_kept_until_replaced(home, file) -> None:
    first = keep_table(home, examine(file(GOOD), identifier="id"), "t", now=NOW)
    other = examine(file({**GOOD, "x": [4, 5, 6]}, "u.csv"), identifier="id")
    with pytest.raises(ConflictError, match="there is already a table t; replace it with --replace"):
        keep_table(home, other, "t", now=NOW)
    assert load_table(home, "t")[0] == first
    keep_table(home, other, "t", replace=True, now=NOW)
    assert load_table(home, "t")[1].column("x").to_pylist() == [4, 5, 6]
    assert home.log.size == 2


def test_a_changed_or_missing_file_is_named(home, file) -> None:
    keep_table(home, examine(file(GOOD), identifier="id"), "t", now=NOW)
    path = home.tables / "t.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        StorageError, match=r"table t: its file .* has changed since it was added; add it again"
    ):
        load_table(home, "t")
    path.unlink()
    with pytest.raises(StorageError, match=r"table t: its file .* is missing; add it again"):
        show_table(home, "t")
    with pytest.raises(NotFoundError, match="there is no table u; add one with"):
        recheck(home, "u")


@pytest.mark.parametrize("broken", ["write_parquet", "log", "registry"])
def test_a_crash_between_the_writes_is_mended_by_adding_again(home, file, monkeypatch, broken) -> None:
    class CrashError(Exception):
        pass

    def crash(*_args, **_kwargs):
        raise CrashError

    examined = examine(file(GOOD), identifier="id")
    with monkeypatch.context() as patch, pytest.raises(CrashError):
        if broken == "write_parquet":
            patch.setattr(tables, "write_parquet", crash)
        elif broken == "log":
            patch.setattr(home.log, "append", crash)
        else:
            patch.setattr(home.store, "add_table", crash)
        keep_table(home, examined, "t", now=NOW)
    with pytest.raises(NotFoundError, match="there is no table t"):
        load_table(home, "t")
    record = keep_table(home, examined, "t", now=NOW)
    assert load_table(home, "t")[0] == record
    assert home.log.size == 1
