"""Words and error sentences in the reader's language."""

from pathlib import Path

import pytest

import tongzhou
from tongzhou.errors import DataError, PlanError, TongzhouError
from tongzhou.i18n import LANGUAGES, detect_language, domains, say, translator

VERSION = "the report's figures have version {got}; this program draws version {allowed}"


def test_english_is_the_source():
    assert translator("en", "report")("The card") == "The card"


def test_chinese_comes_from_the_package():
    assert translator("zh", "report")("The card") == "评分卡"


@pytest.mark.parametrize("text", ["a sentence nobody translated", "", "The card "])
def test_unknown_text_stays_as_it_is(text):
    assert translator("zh", "report")(text) == text


@pytest.mark.parametrize(("lang", "domain"), [("zh", "no-such-room"), ("fr", "report"), ("", "report")])
def test_unknown_language_or_room_reads_english(lang, domain):
    assert translator(lang, domain)("The card") == "The card"


def test_domains_are_the_compiled_catalogues():
    folder = Path(tongzhou.__file__).parent / "locale" / "zh" / "LC_MESSAGES"
    assert "report" in domains("zh")
    assert domains("zh") == sorted(path.stem for path in folder.glob("*.mo"))
    assert domains("en") == domains("xx") == []


def test_say_looks_through_all_rooms():
    error = DataError(VERSION, got=3, allowed=1)
    assert say(error, "en") == str(error) == VERSION.format(got=3, allowed=1)
    assert say(error, "zh") == "报告数据的版本为 3；本程序绘制版本 1"


def test_say_falls_back_to_english():
    error = PlanError("{file}: nobody translated {what}", file="plan.toml", what="this")
    assert say(error, "zh") == "plan.toml: nobody translated this"


def test_say_translates_an_error_inside_an_error():
    inner = DataError(VERSION, got=3, allowed=1)
    outer = TongzhouError("the job stopped, nobody translated why: {reason}", reason=inner)
    assert say(outer, "zh").endswith("报告数据的版本为 3；本程序绘制版本 1")
    assert say(outer, "en") == str(outer)


def test_say_takes_any_error_of_the_same_shape():
    class EvidenceLikeError(Exception):
        template = VERSION
        values = {"got": 2, "allowed": 1}  # noqa: RUF012

    assert say(EvidenceLikeError(), "zh") == "报告数据的版本为 2；本程序绘制版本 1"


def test_braces_in_a_value_are_only_text():
    error = DataError("{file}: broken", file="{got}{0}.csv")
    assert say(error, "zh") == "{got}{0}.csv: broken"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh"}, "zh"),
        ({"LANG": "zh-Hant-TW"}, "zh"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "POSIX"}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "zhuang"}, "en"),
        ({"LC_ALL": "en_US.UTF-8", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_ALL": "", "LC_MESSAGES": "zh_CN", "LANG": "en_US"}, "zh"),
        ({"TONGZHOU_LANG": "ZH", "LC_ALL": "en_US.UTF-8"}, "zh"),
        ({"TONGZHOU_LANG": " en ", "LANG": "zh_CN.UTF-8"}, "en"),
    ],
)
def test_language_of_the_environment(environ, expected):
    assert detect_language(environ) == expected
    assert expected in LANGUAGES
