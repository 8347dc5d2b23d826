"""Every word of the report has its Chinese, and the compiled catalogue is the written one."""

import re
from io import BytesIO
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

import tongzhou

PACKAGE = Path(tongzhou.__file__).parent
FOLDER = PACKAGE / "locale" / "zh" / "LC_MESSAGES"
KEYWORDS = {"words": None, "both": None, "DataError": None}
# names that are the same in both languages
SAME = {"ROC"}
ASCII_PUNCTUATION = re.compile(r"[一-鿿][,;:?!()]|[,;?!()][一-鿿]")


def used():
    found = extract_from_dir(str(PACKAGE / "report"), [("**.py", "python")], {}, keywords=KEYWORDS)
    return {message for _, _, message, _, _ in found if isinstance(message, str)}


@pytest.fixture(scope="module")
def catalogue():
    with (FOLDER / "report.po").open("rb") as file:
        messages = read_po(file, locale="zh")
    return {message.id: message.string for message in messages if message.id}


def fields(template):
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def test_words_are_found():
    assert len(used()) > 150


def test_every_word_has_its_chinese(catalogue):
    assert used() - set(catalogue) == set()


def test_no_word_is_left_over(catalogue):
    assert set(catalogue) - used() == set()


def test_chinese_is_chinese(catalogue):
    plain = {key for key, text in catalogue.items() if not re.search(r"[一-鿿]", text)}
    assert plain - SAME <= {"KS, {model}", "{level}: {low} to {high}"}


def test_fields_are_the_same(catalogue):
    assert {key for key, text in catalogue.items() if fields(key) != fields(text)} == set()


def test_chinese_uses_chinese_punctuation(catalogue):
    assert {text for text in catalogue.values() if ASCII_PUNCTUATION.search(text)} == set()


def test_compiled_catalogue_is_the_written_one(catalogue):
    compiled = read_mo(BytesIO((FOLDER / "report.mo").read_bytes()))
    assert {m.id: m.string for m in compiled if m.id} == catalogue
