"""Every sentence of the wire room exists in Chinese, with the same fields."""

import ast
import gettext
import string
from pathlib import Path

import pytest

import tongzhou.wire

ROOM = Path(tongzhou.wire.__file__).parent
LOCALE = ROOM.parent / "locale"


def templates():
    """The constant first arguments of all errors raised in the room."""
    found = set()
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "").endswith("Error") and node.args:
                first = node.args[0]
                parts = [first.body, first.orelse] if isinstance(first, ast.IfExp) else [first]
                found |= {part.value for part in parts if isinstance(part, ast.Constant)}
    return sorted(found)


def fields(text):
    return sorted((name, spec) for _, name, spec, _ in string.Formatter().parse(text) if name)


def test_there_are_sentences():
    assert len(templates()) > 35


@pytest.mark.parametrize("template", templates())
def test_each_sentence_is_translated_with_its_fields(template):
    chinese = gettext.translation("wire", LOCALE, ["zh"]).gettext(template)
    assert chinese != template
    assert fields(chinese) == fields(template)


def test_no_translation_without_a_sentence():
    catalogue = gettext.translation("wire", LOCALE, ["zh"])._catalog
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in ROOM.glob("*.py")]
    constants = {n.value for tree in trees for n in ast.walk(tree) if isinstance(n, ast.Constant)}
    assert {key for key in catalogue if key} <= constants
