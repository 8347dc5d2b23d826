"""The pictures: well-formed, in both languages, with nothing from outside."""

import re
import xml.etree.ElementTree as ET

import msgspec
import pytest

from tongzhou.report import _svg, charts
from tongzhou.report.figures import BinFigure, Interval, KsFigure, Line, Words

HOSTILE = "\"]<script>alert(1)</script>&'{}"


@pytest.fixture(scope="module")
def drawn(figures):
    variable = figures.variables[5]
    return {
        "gain": charts.gain_chart(figures.models, figures.gain.auc),
        "roc": charts.roc_chart(figures.roc),
        "ks": charts.ks_chart(figures.ks[1]),
        "distribution": charts.distribution_chart(figures.distributions[1]),
        "woe": charts.woe_chart(variable, charts.woe_domain(figures.variables), "#c2671b", "woe0"),
        "approval": charts.approval_chart(figures.approvals, 0.7),
        "swap": charts.swap_chart(figures.swap),
        "calibration": charts.calibration_chart([Line(model="joint", x=[0.1, 0.4], y=[0.12, 0.38])]),
    }


NAMES = ["gain", "roc", "ks", "distribution", "woe", "approval", "swap", "calibration"]


def texts(svg):
    return [t.text or "" for t in ET.fromstring(svg).iter() if t.text and t.text.strip()]


@pytest.mark.parametrize("name", NAMES)
def test_svg_is_well_formed_and_scales(drawn, name):
    root = ET.fromstring(drawn[name])
    assert root.tag == "svg"
    assert root.get("viewBox").startswith("0 0 ")
    assert root.get("width") is None
    assert root.get("role") == "img"
    assert " / " in root.get("aria-label")


@pytest.mark.parametrize("name", NAMES)
def test_svg_brings_nothing_from_outside(drawn, name):
    assert not re.search(r"https?:|href|@font-face|<image|<style|<script|font-family", drawn[name])


@pytest.mark.parametrize("name", NAMES)
def test_svg_is_small(drawn, name):
    assert len(drawn[name]) < 12_000


@pytest.mark.parametrize(
    ("name", "en", "zh"),
    [
        ("gain", "Joint, protected", "联合·受保护"),
        ("roc", "share of bad clients declined", "被拒坏客户占比"),
        ("ks", "score in points", "得分"),
        ("distribution", "cut-off", "分数线"),
        ("woe", "missing", "缺失"),
        ("approval", "share of clients approved", "批准客户占比"),
        ("swap", "swapped in", "换入"),
        ("calibration", "observed bad rate", "实际坏样本率"),
    ],
)
def test_labels_come_in_both_languages(drawn, name, en, zh):
    assert f'<tspan lang="en">{en}</tspan><tspan lang="zh">{zh}</tspan>' in drawn[name]


@pytest.mark.parametrize(
    ("name", "number"),
    [("gain", "+0.120"), ("gain", "0.648"), ("ks", "KS 0.4"), ("swap", "40.2%"), ("woe", "−0.31")],
)
def test_numbers_are_written_in_the_picture(drawn, name, number):
    assert any(number in text for text in texts(drawn[name]))


def test_hostile_bin_labels_stay_text(figures):
    bins = [
        BinFigure(label=Words(HOSTILE[:18], "坏"), woe=0.2),
        BinFigure(label=Words("<b>", "<i>"), woe=-0.2),
    ]
    variable = msgspec.structs.replace(figures.variables[0], bins=bins, name=HOSTILE)
    svg = charts.woe_chart(variable, (-1.0, 1.0), "#000", "w")
    assert {node.tag for node in ET.fromstring(svg).iter()} <= {
        "svg",
        "g",
        "path",
        "line",
        "text",
        "tspan",
        "rect",
    }
    assert "<b>" in texts(svg)
    assert HOSTILE in ET.fromstring(svg).get("aria-label")


def test_equal_labels_stay_two_bins(figures):
    bins = [BinFigure(label=Words("1,000,000,000,000 – 2", "a"), woe=w) for w in (0.11, 0.22, 0.33)]
    svg = charts.woe_chart(msgspec.structs.replace(figures.variables[0], bins=bins), (0.0, 0.5), "#000", "w")
    assert [t for t in texts(svg) if t.startswith("+")] == ["+0.11", "+0.22", "+0.33"]
    assert texts(svg).count("1,000,000,000,000 –…") == 3


def test_a_variable_without_bins_is_an_empty_panel(figures):
    svg = charts.woe_chart(msgspec.structs.replace(figures.variables[0], bins=[]), (0.0, 0.1), "#000", "w")
    assert ET.fromstring(svg).tag == "svg"


def test_clip_identifiers_are_unique_by_picture(figures):
    found = [re.findall(r'id="([^"]+)"', charts.ks_chart(ks)) for ks in figures.ks]
    assert all(found)
    assert not set(found[0]) & set(found[1])


def test_long_curves_are_thinned_and_keep_their_ends():
    values = [i / 9999 for i in range(10_000)]
    thin = charts._thin(values)
    assert len(thin) == charts._POINTS_MAX
    assert (thin[0], thin[-1]) == (0.0, 1.0)
    assert charts._thin([1.0, 2.0]) == [1.0, 2.0]


def test_ks_of_two_points_is_drawn():
    ks = KsFigure(model="bank", score=[1.0, 2.0], good=[0.2, 1.0], bad=[0.9, 1.0], at_score=1.0, ks=0.7)
    assert "KS 0.700" in texts(charts.ks_chart(ks))


def test_gain_of_one_model_is_drawn(figures):
    svg = charts.gain_chart(figures.models[:1], Interval(0.1, 0.0, 0.2))
    assert "0.648" in texts(svg)
    assert "+0.100" not in texts(svg)


def test_an_unknown_model_is_called_by_its_key():
    assert charts.model_words("boosted") == Words("boosted", "boosted")


def test_woe_domain_holds_zero(figures):
    low, high = charts.woe_domain(figures.variables)
    assert low < 0 < high
    assert charts.woe_domain([]) == (0.0, 0.1)


def test_numbers_in_text_are_never_shortened():
    svg = '<svg viewBox="0 0 10 10" width="10"><text x="1.23456">0.123456</text></svg>'
    made = _svg._inline(svg, "n", Words("a", "b"), {})
    assert '<text x="1.2">0.123456</text>' in made


def test_another_renderer_contract_is_noticed():
    with pytest.raises(RuntimeError, match="without a view box"):
        _svg._inline("<svg></svg>", "n", Words("a", "b"), {})
