"""Each sentence that users read exists in Chinese, with the same fields, and the compiled words are fresh."""

import ast
import gettext
import importlib
import inspect
import re
import string
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import house_code
import pytest
from babel.messages.pofile import read_po

from tongzhou import errors
from tongzhou.data.findings import Severity
from tongzhou.evidence import errors as evidence_errors
from tongzhou.node.job_messages import ALL_STEPS
from tongzhou.node.store import RunState

LOCALE = house_code.SOURCE / "locale" / "zh" / "LC_MESSAGES"
CATALOGUES = sorted(LOCALE.glob("*.po"))
KINDS = {
    name
    for module in (errors, evidence_errors)
    for name, kind in inspect.getmembers(module, inspect.isclass)
    if issubclass(kind, Exception)
}
# Methods and functions of the terminal whose first argument is a word or a template for people.
SPEAKERS = {"say", "word", "heading", "waiting"}


def translations(room: str = "*") -> dict[str, str]:
    found = {}
    for path in sorted(LOCALE.glob(f"{room}.po")):
        with path.open("rb") as file:
            found |= {item.id: item.string for item in read_po(file) if item.id and item.string}
    return found


def _constants(node: ast.AST | None) -> Iterator[str]:
    """The texts an expression may be: a constant, or either side of a conditional."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _constants(node.body)
        yield from _constants(node.orelse)


def templates(name: str) -> Iterator[tuple[int, str]]:
    """Error templates in one module: first arguments of our error kinds."""
    for node in ast.walk(house_code.modules()[name]):
        if isinstance(node, ast.Call) and house_code.dotted(node.func).split(".")[-1] in KINDS and node.args:
            for text in _constants(node.args[0]):
                yield node.lineno, text


def words(name: str) -> Iterator[tuple[int, str]]:
    """Words of the terminal in one module."""
    for node in ast.walk(house_code.modules()[name]):
        if not isinstance(node, ast.Call):
            continue
        called = house_code.dotted(node.func).split(".")[-1]
        if called in SPEAKERS and node.args:
            yield from ((node.lineno, text) for text in _constants(node.args[0]))
        if called == "table" and node.args and isinstance(node.args[0], ast.List):
            for item in node.args[0].elts:
                yield from ((node.lineno, text) for text in _constants(item))


@pytest.mark.parametrize("name", sorted(house_code.modules()))
def test_every_error_template_is_translated(name: str) -> None:
    known = translations()
    missing = [f"{line}: {text}" for line, text in templates(name) if text not in known]
    assert missing == [], f"{name}: no Chinese for these sentences"


@pytest.mark.parametrize("name", [name for name in sorted(house_code.modules()) if name.startswith("cli/")])
def test_every_word_of_the_terminal_is_translated(name: str) -> None:
    known = translations("cli")
    missing = [
        f"{line}: {text}" for line, text in words(name) if re.search("[a-z]{2}", text) and text not in known
    ]
    assert missing == [], f"{name}: no Chinese for these words"


def test_every_state_that_the_terminal_names_is_translated() -> None:
    """Words that reach the terminal in a variable: states, roles, severities."""
    grants = {"revoked", "pending", "expired", "used up", "valid"}
    roles = {"asker", "provider", "helper"}
    steps = {f"step {step}" for step in ALL_STEPS}
    wanted = grants | roles | steps | set(get_args(RunState)) | set(get_args(Severity))
    assert wanted - set(translations("cli")) == set()


def test_every_finding_is_translated() -> None:
    """Templates of findings stand in tables and variables, so every long constant of these modules counts."""
    known, missing = translations(), []
    for name in ("data/profile.py", "data/identifiers.py", "node/check.py"):
        documented = set()
        for node in ast.walk(house_code.modules()[name]):
            if isinstance(node, ast.Module | ast.ClassDef | house_code.Function) and ast.get_docstring(node):
                documented.add(id(node.body[0].value))
        for node in ast.walk(house_code.modules()[name]):
            is_text = (
                isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented
            )
            if is_text and "{" in node.value and " " in node.value and node.value not in known:
                missing.append(f"{name}:{node.lineno}: {node.value}")
    # Parts of an f-string are not templates.
    assert [line for line in missing if "{}" not in line] == []


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_translations_have_the_same_fields(path: Path) -> None:
    def fields(text: str) -> set[str]:
        return {field for _, field, _, _ in string.Formatter().parse(text) if field is not None}

    with path.open("rb") as file:
        for item in read_po(file):
            if item.id:
                assert item.string, f"{path.name}: no Chinese for {item.id}"
                if "{" in item.id:
                    assert fields(item.string) == fields(item.id), f"{path.name}: {item.id}"


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.stem)
def test_compiled_words_are_fresh(path: Path) -> None:
    with path.open("rb") as file:
        wanted = {item.id: item.string for item in read_po(file) if item.id}
    with path.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    stale = {text for text in wanted if compiled.gettext(text) != wanted[text]}
    assert stale == set(), f"{path.name}: run make messages"


def test_one_template_has_one_translation() -> None:
    seen: dict[str, tuple[str, str]] = {}
    for path in CATALOGUES:
        with path.open("rb") as file:
            for item in read_po(file):
                if item.id and " " in item.id:
                    other = seen.setdefault(item.id, (path.name, item.string))
                    assert other[1] == item.string, f"{item.id}: {path.name} and {other[0]} differ"


def test_the_scan_finds_templates() -> None:
    found = {text for name in house_code.modules() for _, text in templates(name)}
    assert "{where}: unknown key {key}; did you mean {near}?" in found
    assert len(found) > 50
    assert importlib.import_module("tongzhou.i18n").domains("zh")
