"""Finished English sentences are said anew: every template of every room, and text that is not ours."""

import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_house_words import translations

from tongzhou.errors import DataError, NotFoundError, PeerError
from tongzhou.evidence.errors import EvidenceCheckError
from tongzhou.i18n import resay, say

NO_GRANT = "cardnet has no grant for bank; ask it to issue one"
NO_GRANT_ZH = "cardnet 没有给 bank 的授权；请其签发"


def pieces(template: str) -> tuple[tuple[str, bool], ...]:
    return tuple((text, name is not None) for text, name, _, _ in string.Formatter().parse(template))


def fields(template: str) -> list[str]:
    return [name for _, name, _, _ in string.Formatter().parse(template) if name is not None]


def fill(template: str, values: dict[str, str]) -> str:
    """What `str.format` would give, whatever the format of a field."""
    return "".join(
        text + (values[name] if name is not None else "")
        for text, name, _, _ in string.Formatter().parse(template)
    )


def unambiguous() -> dict[str, str]:
    """Templates with words of their own whose literals no other template has."""
    shapes: dict[tuple[tuple[str, bool], ...], list[str]] = {}
    known = translations()
    for english, chinese in known.items():
        words = any(one.isalpha() for text, _ in pieces(english) for one in text)
        if " " in english and english != chinese and words:
            shapes.setdefault(pieces(english), []).append(english)
    return {same[0]: known[same[0]] for same in shapes.values() if len(same) == 1}


TEMPLATES = unambiguous()
VALUES = st.text("qj0123456789_-é字", min_size=1, max_size=12)


def test_nearly_all_templates_are_unambiguous() -> None:
    assert len(TEMPLATES) > 0.8 * sum(" " in english for english in translations())


@settings(deadline=None, max_examples=10)
@given(values=st.lists(VALUES, min_size=10, max_size=10))
def test_every_template_is_recognised(values: list[str]) -> None:
    for english, chinese in TEMPLATES.items():
        given_values = dict(zip(dict.fromkeys(fields(english)), values, strict=False))
        assert resay(fill(english, given_values), "zh") == fill(chinese, given_values), english


def test_a_peers_reason_is_said_anew() -> None:
    error = PeerError("{peer} stopped: {reason}", peer="cardnet", reason=NO_GRANT)
    assert say(error, "zh") == f"cardnet 已中止：{NO_GRANT_ZH}" == resay(str(error), "zh")
    assert say(error, "en") == str(error) == resay(str(error), "en")


def test_reasons_inside_reasons_are_said_anew_to_a_depth() -> None:
    assert resay(f"a stopped: b stopped: {NO_GRANT}", "zh") == f"a 已中止：b 已中止：{NO_GRANT_ZH}"
    deep = resay("a stopped: " * 50 + NO_GRANT, "zh")
    assert deep.startswith("a 已中止：a 已中止：")
    assert "a stopped: a stopped: " in deep


def test_the_checkers_sentence_is_said_anew() -> None:
    error = EvidenceCheckError(
        "entry {index} ({kind}): the stored record is not what the entry commits to", index=6, kind="job-step"
    )
    assert resay(str(error), "zh") == "第 6 条记录（job-step）：存储的内容与其承诺不符" == say(error, "zh")


def test_punctuation_alone_makes_no_sentence_but_carries_one() -> None:
    assert resay("disk: broken", "zh") == "disk: broken"
    assert resay(f"helper: {NO_GRANT}", "zh") == f"helper：{NO_GRANT_ZH}"


def test_a_remark_in_brackets_stands_apart_from_the_value_before_it() -> None:
    said = resay("a.toml, line 2, column 3: unknown key nme (did you mean name?)", "zh")
    assert said == "a.toml 第 2 行第 3 列：未知的键 nme（是否应为 name？）"
    assert resay("a.toml, line 2, column 3: unknown key nme", "zh") == "a.toml 第 2 行第 3 列：未知的键 nme"


def test_a_field_that_stands_twice_holds_the_same() -> None:
    template = "run {run} is done; look at it with: tongzhou job show {run}"
    assert resay(template.format(run="r-1"), "zh") == translations()[template].format(run="r-1")
    other = "run r-1 is done; look at it with: tongzhou job show r-2"
    assert resay(other, "zh") == other


def test_names_of_users_are_not_words_of_ours() -> None:
    """Runs and files have any names; a field such as `reason` is a sentence."""
    said = say(NotFoundError("there is no run {run}", run="there is no card x"), "zh")
    assert "there is no card x" in said
    said = say(DataError("{file} cannot be read: {reason}", file="bad rate 7", reason="disk on fire"), "zh")
    assert "bad rate 7" in said
    assert "disk on fire" in said


@pytest.mark.parametrize("lang", ["en", "fr", ""])
def test_a_language_without_catalogues_reads_english(lang: str) -> None:
    assert resay(NO_GRANT, lang) == NO_GRANT


@pytest.mark.parametrize(
    "text", ["", " ", "card", "{", "}", "{0}", "nothing that we say", "已中止", "\x00\ud800"]
)
def test_unknown_text_comes_back_as_it_is(text: str) -> None:
    assert resay(text, "zh") == text


@settings(deadline=None)
@given(text=st.text(max_size=300) | st.lists(st.sampled_from(sorted(TEMPLATES)), max_size=6).map(": ".join))
def test_no_text_is_an_error(text: str) -> None:
    assert isinstance(resay(text, "zh"), str)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 10_000,
        " " * 10_000,
        "a: " * 3_333,
        "a stopped: " * 909,
        "a stopped: " * 300,
        "a cannot be read: b stopped: " * 120,
        "row 1, row 2: " * 280,
    ],
)
def test_long_text_takes_no_longer_than_a_moment(text: str) -> None:
    resay("", "zh")  # the templates are made at the first sentence
    start = time.process_time()
    said = resay(text, "zh")
    assert time.process_time() - start < 0.5
    if len(text) > 4000:
        assert said == text
