"""Every sentence of the room exists in Chinese, with the same fields, in the compiled catalogue too."""

import ast
import string
from importlib import resources
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

import tongzhou.data
from tongzhou.i18n import translator

FOLDER = Path(tongzhou.data.__file__).parent
CATALOGUE = resources.files("tongzhou") / "locale" / "zh" / "LC_MESSAGES" / "data.po"
WORDS = {
    "number",
    "text",
    "date",
    "time",
    "yes/no",
    "error",
    "warning",
}  # types and severities, shown in tables


def sentences() -> list[str]:
    """All constant texts with fields and blanks, or that say what was got: the templates of this room."""
    found = []
    for path in sorted(FOLDER.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        parts = {
            id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)
        }
        docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and id(node) not in parts | docs
            ):
                text = node.value
                if ("{" in text and " " in text) or ", got " in text:
                    found.append(text)
    return sorted(set(found))


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_there_are_sentences_to_look_at():
    assert len(sentences()) > 40


@pytest.mark.parametrize("template", sentences())
def test_a_sentence_has_its_chinese_with_the_same_fields(template):
    chinese = translator("zh", "data")(template)
    assert chinese != template
    assert fields(chinese) == fields(template)
    assert not chinese.isascii()


@pytest.mark.parametrize("word", sorted(WORDS))
def test_a_word_has_its_chinese(word):
    assert not translator("zh", "data")(word).isascii()


def test_the_catalogue_holds_nothing_that_nobody_says():
    with CATALOGUE.open("rb") as file:
        said = {str(message.id) for message in read_po(file) if message.id}
    assert said == {*sentences(), *WORDS}


def test_the_compiled_catalogue_is_the_written_one():
    with CATALOGUE.open("rb") as file:
        for message in read_po(file):
            if message.id:
                assert translator("zh", "data")(str(message.id)) == message.string
