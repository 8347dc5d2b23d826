"""The page on grants tells the truth: its examples run, its sentences are those of the code."""

import re
import tomllib
from pathlib import Path

import msgspec
import pytest

from tongzhou.parties.grants import GrantTerms, Openings, read_terms

PAGE = (Path(__file__).parents[2] / "docs" / "grants.md").read_text("utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, flags=re.DOTALL)


def test_the_example_terms_are_good():
    (text,) = blocks("toml")
    terms = read_terms(tomllib.loads(text), "cardnet")
    assert terms.openings == Openings(bin_counts="both", card="own", reasons=4, training_summary=True)


def test_the_python_example_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (code,) = blocks("python")
    exec(compile(code, "grants.md", "exec"), {})
    assert re.fullmatch(r"grant g-\w+ was revoked at 2026-11-05T00:00:00Z\n", capsys.readouterr().out)


@pytest.mark.parametrize("kind", [GrantTerms, Openings])
def test_every_field_is_explained(kind):
    explained = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", PAGE, flags=re.MULTILINE))))
    assert set(kind.__struct_fields__) <= explained


def test_defaults_are_as_the_page_says():
    defaults = {
        field.name: field.default for field in msgspec.structs.fields(GrantTerms) if not field.required
    }
    assert f"| {defaults['minimum_rows']} |" in PAGE
    assert f"| {defaults['minimum_bin_rows']} |" in PAGE


def test_every_sentence_on_the_page_stands_in_the_code():
    from tongzhou.parties import _grant_rules

    source = Path(_grant_rules.__file__).read_text("utf-8")
    templates = re.findall(r'"([^"]*\{(?:grant|provider)\}[^"]*)"', source)
    patterns = [re.sub(r"\\\{\w+\\\}", ".+", re.escape(template)) for template in templates]
    rows = re.findall(r"^\| \d+ \| .*? \| `(.*)` \|$", PAGE, flags=re.MULTILINE)
    assert len(rows) == len(_grant_rules._RULES)
    for row in rows:
        assert any(re.fullmatch(pattern, row) for pattern in patterns), row
