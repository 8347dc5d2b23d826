"""From a list of firms to decisions about its names and a table under them, on the command line."""

import csv

import cli_run
import pytest

from tongzhou.cli import data_names

pytest.importorskip("rapidfuzz", reason="the extra names is not installed")

FIRMS = ["蓝海", "广州蓝海餐饮有限责任公司", "红山有限公司", "ACME LTD", "Acme", "Kestrel Inc"]


@pytest.fixture
def firms(tmp_path):
    return cli_run.write_csv(tmp_path / "firms.csv", firm=FIRMS, x=list(range(len(FIRMS))))


def suggest(bank, firms, pairs, *more):
    return bank.ok("data", "suggest", firms, "--identifier", "firm", "--name", "firms", "--out", pairs, *more)


def decide(pairs, *words):
    """Write the words of a person into the first column."""
    rows = list(csv.reader(pairs.read_text(encoding="utf-8-sig").splitlines()))
    for row, word in zip(rows[1:], words, strict=True):
        row[0] = word
    with pairs.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return [(row[3], row[4]) for row in rows[1:]]


ADD = ("--name", "firms", "--identifier", "firm", "--kind", "company")


def test_variants_are_suggested_settled_and_applied(bank, firms, tmp_path) -> None:
    pairs = tmp_path / "pairs.csv"
    found = suggest(bank, firms, pairs)
    assert (found["candidates"], found["reasons"]) == (2, {"form": 1, "short": 1})
    assert decide(pairs, "same", "相同") == [("Acme", "ACME LTD"), ("蓝海", "广州蓝海餐饮有限责任公司")]
    settled = bank.ok("data", "settle", pairs, "--name", "firms")
    assert (settled["same"], settled["different"], settled["open"]) == (2, 0, 0)
    assert [one["other"] for one in bank.ok("data", "edits", "firms")["decisions"]] == [
        "ACME LTD",
        "广州蓝海餐饮有限公司",
    ]
    assert "each must occur once" in bank.fails(3, "data", "add", firms, *ADD)
    added = bank.ok("data", "add", firms, *ADD, "--repeats", "first")["table"]
    assert added["rows"] == 4
    assert [one["rule"] for one in added["findings"]] == ["identifier-edited", "identifier-left-out"]
    assert suggest(bank, firms, pairs)["candidates"] == 0
    assert [one["kind"] for one in bank.ok("log", "show")["entries"]] == ["names-decided", "table-added"]


def test_rejected_pairs_are_not_asked_again_until_forgotten(bank, firms, tmp_path) -> None:
    pairs = tmp_path / "pairs.csv"
    suggest(bank, firms, pairs)
    decide(pairs, "different", "")
    settled = bank.ok("data", "settle", pairs, "--name", "firms")
    assert (settled["same"], settled["different"], settled["open"]) == (0, 1, 1)
    assert suggest(bank, firms, pairs)["candidates"] == 1
    assert bank.ok("data", "edits", "firms", "--forget", "acme")["decisions"] == []
    assert suggest(bank, firms, pairs)["candidates"] == 2
    assert "nothing was decided about the name acme" in bank.fails(
        10, "data", "edits", "firms", "--forget", "acme"
    )


def test_contradictions_name_file_and_row_and_keep_nothing(bank, firms, tmp_path) -> None:
    pairs = tmp_path / "pairs.csv"
    suggest(bank, firms, pairs)
    decide(pairs, "different", "same")
    bank.ok("data", "settle", pairs, "--name", "firms")
    decide(pairs, "same", "same")
    sentence = bank.fails(11, "data", "settle", pairs, "--name", "firms")
    assert "pairs.csv: row 1: this pair is decided otherwise already" in sentence
    assert len(bank.ok("data", "edits", "firms")["decisions"]) == 2


def test_names_are_compared_with_a_list(bank, firms, tmp_path) -> None:
    register = cli_run.write_csv(
        tmp_path / "register.csv", official=["Kestrel Incorporated", "KESTREL GROUP INC", "Acme Ltd"]
    )
    pairs = tmp_path / "pairs.csv"
    found = suggest(bank, firms, pairs, "--against", register, "--against-column", "official")
    rows = list(csv.reader(pairs.read_text(encoding="utf-8-sig").splitlines()))[1:]
    assert found["candidates"] == len(rows)
    assert ("Acme", "Acme Ltd") in {(row[3], row[4]) for row in rows}
    assert ("Kestrel Inc", "Kestrel Incorporated") not in {(row[3], row[4]) for row in rows}


def test_pairs_can_be_decided_at_the_terminal(bank, firms, tmp_path, monkeypatch) -> None:
    pairs = tmp_path / "pairs.csv"
    suggest(bank, firms, pairs)
    answers = iter(["x", "same", "q"])
    monkeypatch.setattr(data_names.typer, "prompt", lambda *_, **__: next(answers))
    shown = bank("data", "settle", pairs, "--name", "firms", "--ask")
    assert shown.code == 0
    assert "Acme\nACME LTD" in shown.out
    assert "same 1, different 0, still open 1" in shown.out
    answers = iter(["d"])
    assert (
        "same 0, different 1, still open 0" in bank("data", "settle", pairs, "--name", "firms", "--ask").out
    )
    assert [one["verdict"] for one in bank.ok("data", "edits", "firms")["decisions"]] == ["same", "different"]


def test_not_now_leaves_a_pair_open(bank, firms, tmp_path, monkeypatch) -> None:
    pairs = tmp_path / "pairs.csv"
    suggest(bank, firms, pairs)
    monkeypatch.setattr(data_names.typer, "prompt", lambda *_, **__: "n")
    assert (
        "same 0, different 0, still open 2" in bank("data", "settle", pairs, "--name", "firms", "--ask").out
    )
    assert bank.ok("log", "show")["size"] == 0, "nothing new, nothing noted"


def test_people_read_reasons_in_their_language(bank, firms, tmp_path) -> None:
    pairs = tmp_path / "pairs.csv"
    words = ("data", "suggest", firms, "--identifier", "firm", "--name", "firms", "--out", pairs)
    assert "the same but for the legal form" in bank(*words).out
    chinese = bank(*words, "--lang", "zh").out
    assert "仅组织形式不同" in chinese
    assert "2 对候选已写入" in chinese
    decide(pairs, "same", "same")
    bank("data", "settle", pairs, "--name", "firms")
    assert "相同" in bank("data", "edits", "firms", "--lang", "zh").out


def test_what_cannot_be_done_is_a_sentence(bank, firms, tmp_path) -> None:
    pairs = tmp_path / "pairs.csv"
    base = ("data", "suggest", firms, "--name", "firms", "--out", pairs)
    assert "did you mean firm?" in bank.fails(3, *base, "--identifier", "firn")
    assert "from 0.5 to 1, got 0.1" in bank.fails(4, *base, "--identifier", "firm", "--least", "0.1")
    assert "small letters" in bank.fails(
        4, "data", "suggest", firms, "--name", "../x", "--out", pairs, "--identifier", "firm"
    )
    assert "cannot be written" in bank.fails(
        8, "data", "suggest", firms, "--name", "f", "--identifier", "firm", "--out", tmp_path / "no" / "p.csv"
    )
    assert "needs the column decision" in bank.fails(3, "data", "settle", firms, "--name", "firms")
    assert not pairs.exists()
