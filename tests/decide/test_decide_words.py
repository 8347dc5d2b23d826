"""Every sentence of this room, and every part of one, exists in Chinese; the catalogue holds nothing else."""

import ast
import gettext
import string
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages.pofile import read_po
from strategy_texts import declare, rule, strategy_files

import tongzhou.decide
from tongzhou import errors
from tongzhou.decide import Strategy, parse_condition
from tongzhou.decide._section import _KINDS
from tongzhou.decide._source import PLACE
from tongzhou.errors import PlanError
from tongzhou.i18n import say

ROOM = Path(tongzhou.decide.__file__).parent
CATALOGUE = ROOM.parent / "locale" / "zh" / "LC_MESSAGES" / "decide.po"
KINDS = set(errors.__all__)
# Methods that put the place before the sentence that they are given.
PLACED = {"error", "_unexpected"}
# Functions whose text is said as it is; the number is the index of the argument.
SAID = {"phrase": 0, "_said": 1, "_wrong": 1}


def _texts(node: ast.AST) -> Iterator[str]:
    """Constants, and constants after the place."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.BinOp) and isinstance(node.left, ast.Name) and node.left.id == "PLACE":
        yield from (PLACE + text for text in _texts(node.right))


def _of_call(call: ast.Call) -> Iterator[str]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    if name in KINDS and call.args:
        yield from _texts(call.args[0])
    elif name in PLACED:
        for argument in call.args[:2]:
            # the first argument may be a key, which is one word
            yield from (PLACE + text for text in _texts(argument) if " " in text)
    elif name in SAID and len(call.args) > SAID[name]:
        yield from _texts(call.args[SAID[name]])


def templates() -> set[str]:
    found = set(_KINDS.values())
    for path in ROOM.glob("*.py"):
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                found.update(_of_call(node))
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "template":
                found.update(_texts(node.value))
    return found


def catalogue() -> dict[str, str]:
    with CATALOGUE.open("rb") as file:
        return {str(message.id): str(message.string) for message in read_po(file) if message.id}


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_every_sentence_is_translated_and_nothing_else() -> None:
    assert len(templates()) > 70
    assert sorted(templates() - set(catalogue())) == []
    assert sorted(set(catalogue()) - templates()) == []


def test_translations_use_the_same_fields() -> None:
    for template, translation in catalogue().items():
        assert translation, template
        assert fields(template) == fields(translation), template


def test_the_compiled_catalogue_is_the_written_one() -> None:
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for template, translation in catalogue().items():
        assert compiled.gettext(template) == translation


@pytest.mark.parametrize(
    ("condition", "sentence"),
    [
        (
            "agee > 3",
            "rules.toml 第 3 行第 11 列：没有输入项 agee（是否应为 age？）；输入项在 strategy.toml 中声明",
        ),
        ("age > 'x'", "rules.toml 第 3 行第 17 列：> 右侧须为 number，实为 text"),
        ("（age > 3）", "rules.toml 第 3 行第 11 列：字符 （ 在此处没有含义（应写作 (）"),
    ],
)
def test_a_sentence_is_said_in_chinese_with_all_its_parts(condition: str, sentence: str) -> None:
    with pytest.raises(PlanError) as caught:
        Strategy.from_files(strategy_files(declare("age", "number"), rules=rule("r", condition)))
    assert say(caught.value, "zh") == sentence


def test_the_end_is_named_in_both_languages() -> None:
    with pytest.raises(PlanError) as caught:
        parse_condition("age >", {"age": "number"})
    assert say(caught.value, "en").endswith("a value must stand here, got the end")
    assert say(caught.value, "zh").endswith("此处须为一个值，实为 结尾")
