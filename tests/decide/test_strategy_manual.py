"""The manual's files load, its conditions hold, its Python runs, its tables are the language's own."""

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tongzhou.decide import Strategy, compile_strategy, parse_condition, publish
from tongzhou.decide._functions import FUNCTIONS
from tongzhou.decide._inputs import intake
from tongzhou.decide.expression import KEYWORDS, MAX_DEPTH, MAX_LENGTH, TYPES

MANUAL = (Path(__file__).resolve().parents[2] / "docs" / "strategy-files.md").read_text(encoding="utf-8")
FILES = {
    name: text.encode()
    for name, text in re.findall(r"^```toml file=(\S+)\n(.*?)^```$", MANUAL, re.MULTILINE | re.DOTALL)
}
CONDITIONS = re.findall(r"^\| `([^`]+)` \| ((?:\w+ = [^|]+)?)\|$", MANUAL, re.MULTILINE)


def strategy() -> Strategy:
    return Strategy.from_files(FILES, where="the manual")


def test_the_files_of_the_manual_are_a_strategy() -> None:
    assert sorted(FILES) == ["admission.toml", "rules.toml", "strategy.toml", "words.toml"]
    assert [rule.grade for rule in strategy().rules] == ["advisory", "restrictive", "prohibitive", "advisory"]


@pytest.mark.parametrize(("condition", "given"), CONDITIONS)
def test_the_conditions_of_the_manual_hold(condition: str, given: str) -> None:
    inputs = tuple(replace(item, missing="allow") for item in strategy().inputs)
    application = {
        name: json.loads(value) for name, value in re.findall(r'(\w+) = (\[.*?\]|"[^"]*"|[0-9.]+)', given)
    }
    values = intake(inputs, refuse_extra=True)(application)
    parsed = parse_condition(condition, {item.name: item.type for item in inputs})
    assert parsed.compile({item.name: slot for slot, item in enumerate(inputs)})(values) is True


def test_there_are_conditions_in_the_manual() -> None:
    assert len(CONDITIONS) >= 12


def test_the_python_of_the_manual_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "small-loans"
    folder.mkdir()
    for name, raw in FILES.items():
        (folder / name).write_bytes(raw)
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"^```python\n(.*?)^```$", MANUAL, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {}
    exec(code, names)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "review"
    codes = [line.split()[0] for line in said[1:]]
    assert codes == ["R2-at-night", "R1-new-number", "R3-many-platforms.missing", "repay_1"]
    assert names["published"] == Path("published/small-loans/2026.1")


def test_the_shell_command_of_the_manual_gives_the_digest(tmp_path: Path) -> None:
    (command,) = re.findall(r"^```sh\n(.*?)\n```$", MANUAL, re.MULTILINE | re.DOTALL)
    without_words = {name: raw for name, raw in FILES.items() if name != "words.toml"}
    folder = publish(Strategy.from_files(without_words), tmp_path)
    done = subprocess.run(
        command, shell=True, cwd=folder, capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.split()[0] == (folder / "digest.txt").read_text().strip()


def test_the_tables_of_functions_and_types_are_complete() -> None:
    table = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", MANUAL, re.MULTILINE))
    assert {name: table.get(name) for name in FUNCTIONS} == {
        name: signature.meaning for name, signature in FUNCTIONS.items()
    }
    assert set(TYPES) <= set(table)


def test_the_grammar_names_every_word_and_the_bounds_are_stated() -> None:
    (grammar,) = re.findall(r"^```ebnf\n(.*?)^```$", MANUAL, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r'"([a-z]+)"', grammar)) == KEYWORDS | {"date", "time"}
    defined = re.findall(r"^(\w+) +=", grammar, re.MULTILINE)
    used = set(re.findall(r"\b([a-z]+)\b", re.sub(r'"[^"]*"', "", grammar)))
    assert used == {*defined, "name", "number", "text"}
    assert f"at most {MAX_LENGTH:,} characters and nests at most {MAX_DEPTH} levels" in MANUAL


def test_every_key_that_the_reader_knows_stands_in_the_manual() -> None:
    reading = Path(compile_strategy.__code__.co_filename).with_name("_reading.py").read_text(encoding="utf-8")
    keys = set(
        re.findall(r'(?:take|take_or|choose|table|tables|texts|source|_code)\((?:\w+, )?"(\w+)"', reading)
    )
    assert len(keys) > 20
    assert {key for key in keys if not re.search(rf"\b{key}\b", MANUAL)} == set()
