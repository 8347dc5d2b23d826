"""Files that people hand to the terminal: each refusal names the file, and everything that is wrong in it."""

import cli_run
import pytest

from tongzhou.cli.job_run import Bars
from tongzhou.cli.terminal import Manner, Terminal

CHECK = ("--identifier", "id", "--label", "bad")
ADD = ("--name", "c", *CHECK)


@pytest.fixture(params=["check", "add"])
def judge(request, bank):
    """`data check` and `data add`, which must say the same about a file."""
    return lambda file, *words: bank.fails(
        3, "data", request.param, file, *(words or (CHECK if request.param == "check" else ADD))
    )


def test_every_ragged_row_is_named(judge, tmp_path) -> None:
    file = tmp_path / "ragged.csv"
    file.write_text("id,bad\na,1\nb\nc,0,7\nd,0\ne\n", encoding="utf-8")
    sentence = judge(file)
    assert sentence.startswith(f"{file}: every row must have 2 fields like the header; ")
    assert sentence.endswith("rows with another number: 3, namely (fields in brackets) 2 (1), 3 (3), 5 (1)")


def test_a_column_that_is_not_there_is_missed_in_a_file(judge, tmp_path) -> None:
    file = cli_run.write_csv(tmp_path / "a.csv", idd=["x"], bad=[1])
    assert judge(file) == f"{file}: there is no column id; did you mean idd?"


def test_a_table_without_rows_is_a_file_without_rows(judge, tmp_path) -> None:
    file = tmp_path / "none.csv"
    file.write_text("id,bad\n", encoding="utf-8")
    assert judge(file) == f"{file}: the table must have rows, got none"


def test_a_finding_names_the_file(judge, tmp_path) -> None:
    file = cli_run.write_csv(tmp_path / "b.csv", id=["x", "y"], bad=[1, 1])
    assert judge(file) == f"{file}: label bad: must hold both 0 and 1, got 1 in every row"


def test_a_file_is_named_in_chinese_too(bank, tmp_path) -> None:
    file = tmp_path / "none.csv"
    file.write_text("id,bad\n", encoding="utf-8")
    sentence = bank.fails(3, "data", "check", file, *CHECK, "--lang", "zh")
    assert sentence.startswith(f"{file}：")
    assert "the table" not in sentence


def test_a_device_is_no_table(judge) -> None:
    assert judge("/dev/zero") == "/dev/zero must be a regular file, got a device, a pipe or a socket"


# names, cards and refusals


def test_an_empty_name_is_no_name(nobody) -> None:
    sentence = nobody.fails(3, "party", "new", "bank", "--name", "")
    assert sentence.endswith("printable characters and no outer spaces, got 0 characters")
    assert not nobody.home.exists()
    assert nobody.ok("party", "new", "bank")["name"] == "bank"


def test_nobody_trusts_itself(bank, tmp_path) -> None:
    card = tmp_path / "own.card.json"
    bank.ok("party", "card", "--out", card)
    sentence = bank.fails(3, "party", "trust", card, "--yes", "--replace")
    assert sentence.startswith(f"{card} is a card of bank, which is this institution itself; ")
    assert bank.ok("party", "show")["trusted"] == []


def test_bars_without_a_step_print_nothing(bank, capsys) -> None:
    with Terminal(Manner(bank.home)) as terminal, Bars(terminal):
        pass
    assert capsys.readouterr().out == ""
