"""Publishing a table from the command line."""

import json

import pytest

from tongzhou.cli import data_release

SETTINGS = """
[release]
name = "overdue"
k = 4
{more}
[identifiers]
id = "pseudonym"
[quasi.age]
kind = "number"
widths = [10]
[sensitive.bad]
distinct = 2
"""


@pytest.fixture
def files(tmp_path, clients):
    path = tmp_path / "s.toml"
    path.write_text(SETTINGS.format(more=""), encoding="utf-8")
    return clients, path, tmp_path / "out.csv"


def words(files, *more):
    source, settings, out = files
    return ("data", "anonymise", source, "--settings", settings, "--out", out, *more)


def test_a_table_is_published_with_report_and_figures(bank, files, tmp_path) -> None:
    report, figures = tmp_path / "r.html", tmp_path / "f.json"
    found = bank.ok(*words(files, "--report", report, "--figures", figures))
    assert found["release"]["published_rows"] == 40
    assert found["release"]["after"]["smallest"] >= 4
    lines = files[2].read_text(encoding="utf-8").splitlines()
    assert lines[0] == '"id","age","bad"'
    assert len(lines) == 41
    assert "c001" not in files[2].read_text(encoding="utf-8")
    assert "Published table: overdue" in report.read_text(encoding="utf-8")
    assert json.loads(figures.read_text(encoding="utf-8")) == found["release"]
    (entry,) = bank.ok("log", "show")["entries"]
    assert entry["kind"] == "release-made"
    assert bank.ok("log", "show", 0)["record"]["digest"] == found["digest"]


def test_people_read_risk_loss_and_the_warning(bank, files) -> None:
    shown = bank(*words(files)).out
    assert "40 of 40 rows are in" in shown
    assert "highest risk of one person" in shown
    assert "rows carry pseudonyms: tables of scope overdue can be linked" in shown
    chinese = bank(*words(files, "--lang", "zh")).out
    assert "单人的最高风险" in chinese
    assert "各行带有假名" in chinese


def test_the_same_table_twice_is_the_same_file(bank, files) -> None:
    first = bank.ok(*words(files))["digest"]
    assert bank.ok(*words(files))["digest"] == first


def test_the_report_opens_in_the_readers_language(bank, files, tmp_path) -> None:
    report = tmp_path / "r.html"
    bank(*words(files, "--report", report, "--lang", "zh"))
    assert '<html lang="zh-Hans">' in report.read_text(encoding="utf-8")


def test_faults_are_one_sentence_and_nothing_is_written(bank, files, tmp_path) -> None:
    source, settings, out = files
    settings.write_text(SETTINGS.format(more="").replace("k = 4", "k = 400"), encoding="utf-8")
    assert "clients.csv: a class needs 400 rows, and the whole table has 40" in bank.fails(3, *words(files))
    settings.write_text(SETTINGS.format(more="methd = 1"), encoding="utf-8")
    assert "unknown key release.methd" in bank.fails(4, *words(files))
    settings.write_text(SETTINGS.format(more="").replace("quasi.age", "quasi.agee"), encoding="utf-8")
    assert "there is no column agee; did you mean age?" in bank.fails(3, *words(files))
    assert "there is no file" in bank.fails(10, *words((source, tmp_path / "none.toml", out)))
    assert not out.exists()
    assert bank.ok("log", "show")["size"] == 0


def test_a_place_that_takes_no_file_is_found_before_the_work(bank, files, tmp_path) -> None:
    assert "cannot be written" in bank.fails(8, *words(files, "--report", tmp_path / "no" / "r.html"))
    assert not files[2].exists()


def test_without_the_drawing_library_a_report_is_refused_and_a_table_is_not(
    bank, files, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(data_release, "find_spec", lambda name: None)
    assert 'needs the extra "report"' in bank.fails(10, *words(files, "--report", tmp_path / "r.html"))
    assert not files[2].exists()
    bank.ok(*words(files))


def test_parquet_comes_and_goes(bank, files, tmp_path) -> None:
    import pyarrow.csv
    import pyarrow.parquet as pq

    source, settings, _ = files
    pq.write_table(pyarrow.csv.read_csv(source), tmp_path / "in.parquet")
    bank.ok(*words((tmp_path / "in.parquet", settings, tmp_path / "out.parquet")))
    assert pq.read_table(tmp_path / "out.parquet").column_names == ["id", "age", "bad"]
