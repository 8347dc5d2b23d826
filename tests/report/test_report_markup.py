"""Markup cannot be injected into; words come in both languages."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.report._markup import Markup, both, code, join, of_words, strong, table, tag, words
from tongzhou.report.figures import Words

TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=40)


class Reader(HTMLParser):
    """Collects what a browser would see: elements with attributes, and text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, name, attributes):
        self.elements.append((name, dict(attributes)))

    def handle_data(self, data):
        self.text += data


@given(TEXT, TEXT)
def test_text_stays_text_and_attributes_stay_attributes(content, attribute):
    read = Reader(tag("p", content, title=attribute))
    assert read.elements == [("p", {"title": attribute})]
    assert read.text == content


@given(TEXT)
def test_values_of_sentences_stay_text(value):
    read = Reader(both("clients of {party}", party=value))
    assert [name for name, _ in read.elements] == ["span", "span"]
    assert value in read.text


@given(TEXT, TEXT)
def test_pairs_of_words_stay_text(en, zh):
    read = Reader(of_words(Words(en, zh)))
    assert read.text == (en if en == zh else en + zh)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (tag("br"), "<br>"),
        (tag("td", "a", cls=None), "<td>a</td>"),
        (tag("td", None, 3, cls="n"), '<td class="n">3</td>'),
        (tag("meta", http_equiv="x"), '<meta http-equiv="x">'),
        (tag("label", for_="a"), '<label for="a"></label>'),
        (tag("p", strong("<b>")), "<p><b>&lt;b&gt;</b></p>"),
        (code("a&b"), "<code>a&amp;b</code>"),
        (join("a", Markup("<i>"), None, 1, by="|"), "a|<i>||1"),
    ],
)
def test_elements(made, expected):
    assert made == expected
    assert isinstance(made, Markup)


def test_sentence_in_both_languages():
    made = both("clients of {party}", party=Words("Bank", "银行"))
    assert made == '<span lang="en">clients of Bank</span><span lang="zh">银行的客户</span>'


def test_markup_passes_into_a_sentence():
    assert both("{points} points", points=strong(3)).startswith('<span lang="en"><b>3</b> points</span>')


def test_same_words_are_written_once():
    assert both("ROC") == "ROC"


def test_plain_words_in_both_languages():
    assert words("WOE of {variable}", variable="x") == Words("WOE of x", "x 的 WOE")


def test_braces_in_values_are_only_text():
    assert words("WOE of {variable}", variable="{0}{y}").en == "WOE of {0}{y}"
    assert "{0}{y}" in both("clients of {party}", party="{0}{y}")


def test_table_sets_numbers_right_and_scrolls():
    made = table(["a", "b"], [["x", "1"]], foot=["sum", "1"], cls="t")
    assert made.startswith('<div class="scroll"><table class="t"><thead><tr><th scope="col">a</th>')
    assert '<td>x</td><td class="n">1</td>' in made
    assert '<tfoot><tr><td>sum</td><td class="n">1</td></tr></tfoot>' in made
