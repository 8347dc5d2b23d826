"""Every sentence of this room can be said in Chinese, with the same fields."""

import ast
import string
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

import tongzhou.parties
from tongzhou import errors
from tongzhou.i18n import say

ROOM = Path(tongzhou.parties.__file__).parent
CATALOGUE = ROOM.parent / "locale" / "zh" / "LC_MESSAGES" / "parties.po"
KINDS = set(errors.__all__)
STATES = ["valid", "pending", "expired", "revoked", "used up"]


def templates() -> list[str]:
    found = set()
    for path in ROOM.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in KINDS:
                found.add(ast.literal_eval(node.args[0]))
    return sorted(found)


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def catalogue() -> dict[str, str]:
    with CATALOGUE.open("rb") as file:
        return {str(message.id): str(message.string) for message in read_po(file) if message.id}


def test_every_sentence_and_state_is_translated_and_nothing_else():
    assert sorted(catalogue()) == sorted(templates() + STATES)


def test_translations_use_the_same_fields():
    for template, translation in catalogue().items():
        assert translation, template
        assert fields(template) == fields(translation), template


def test_the_compiled_catalogue_is_the_written_one():
    with CATALOGUE.open("rb") as file, CATALOGUE.with_suffix(".mo").open("rb") as compiled:
        import gettext

        made = gettext.GNUTranslations(compiled)
        for message in read_po(file):
            if message.id:
                assert made.gettext(str(message.id)) == message.string


@pytest.mark.parametrize(
    ("language", "words"), [("zh", "授权 g-1 已于 then 撤销"), ("en", "grant g-1 was revoked at then")]
)
def test_a_refusal_reads_well_in_both_languages(language, words):
    error = errors.GrantError("grant {grant} was revoked at {at}", grant="g-1", at="then", missing="revoked")
    assert say(error, language) == words
