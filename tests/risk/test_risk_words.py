"""The sentences of this room that are not errors exist in Chinese too, with the same fields."""

import ast
import re
from pathlib import Path

import pytest

import tongzhou.risk
from tongzhou.errors import DataError
from tongzhou.i18n import say, translator
from tongzhou.risk.binning import Bins
from tongzhou.risk.selection import Candidate, select_variables

SELECTION = Path(tongzhou.risk.__file__).with_name("selection.py")


def sentences_for_dropped_variables():
    for node in ast.walk(ast.parse(SELECTION.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "template":
            yield node.value.value
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "_drop":
            yield from (a.value for a in node.args if isinstance(a, ast.Constant) and " " in a.value)


def test_the_search_finds_the_sentences():
    assert len(set(sentences_for_dropped_variables())) == 7


@pytest.mark.parametrize("template", sorted(set(sentences_for_dropped_variables())))
def test_reasons_for_dropping_exist_in_chinese(template):
    translated = translator("zh", "risk")(template)
    assert translated != template
    assert sorted(re.findall(r"\{\w+\}", translated)) == sorted(re.findall(r"\{\w+\}", template))


def test_a_reason_reads_in_chinese():
    dropped = select_variables([Candidate("sex", 0.009)]).dropped[0]
    assert translator("zh", "risk")(dropped.template).format(**dropped.values) == "IV 为 0.009，低于 0.02"


def test_an_error_reads_in_chinese():
    with pytest.raises(DataError) as caught:
        Bins(variable="limit").assign_one("text")
    assert say(caught.value, "zh") == "limit必须是数值或缺失，现为 str 类型的值"
