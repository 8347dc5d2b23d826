"""The page of a published table: all figures on it, both languages, hostile names, pictures, a browser."""

import html
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import msgspec
import pytest
from test_report_browser import CHROMIUM, watch

from tongzhou.errors import DataError
from tongzhou.report import release_charts as charts
from tongzhou.report.figures import Words
from tongzhou.report.release_figures import (
    AttackFigure,
    ColumnFigure,
    ConditionFigure,
    LossFigure,
    QueryFigure,
    ReleaseFigures,
    RiskFigure,
    SensitiveFigure,
    SizeBand,
    release_from_json,
    release_to_json,
)
from tongzhou.report.release_page import render_release

HOSTILE = "<script>alert('x')</script>&\"年龄 with a long name"


def risk(smallest, unique, highest):
    attack = AttackFigure(highest, highest / 2, [unique, 0.3, 0.5, 0.912])
    return RiskFigure(
        rows=980,
        classes=70,
        smallest=smallest,
        unique=unique,
        prosecutor=attack,
        journalist=attack,
        marketer=0.0123,
        unique_in_population=None if unique else 0.0,
    )


def column(name, role, treatment, **more):
    return ColumnFigure(name=name, role=role, treatment=treatment, values_before=12, values_after=5, **more)


FIGURES = ReleaseFigures(
    version=1,
    title=Words("Published table: overdue", "发布的数据表：overdue"),
    name="overdue",
    made="2026-11-24T12:00:00Z",
    software="Tongzhou test",
    digest="d" * 64,
    settings_digest="e" * 64,
    method="full-domain",
    k=10,
    source_rows=1000,
    published_rows=980,
    suppression=0.02,
    population=50_000,
    scope="overdue",
    columns=[
        column("id", "identifier", "pseudonym"),
        column("name", "identifier", "dropped"),
        column(HOSTILE, "quasi", "generalised", level=2, levels=4, penalty=0.25, entropy=0.5),
        column("sex", "quasi", "generalised", level=0, levels=2, penalty=0.0, entropy=0.0),
        column("late", "sensitive", "unchanged"),
        column("product", "plain", "unchanged"),
        column("note", "dropped", "dropped"),
    ],
    conditions=[
        ConditionFigure(column="", kind="k", asked=10, reached=11),
        ConditionFigure(column="late", kind="distinct", asked=2, reached=3),
        ConditionFigure(column="late", kind="entropy", asked=1.5, reached=1.75),
        ConditionFigure(column="late", kind="recursive", asked=3, reached=1e308, tail=2),
        ConditionFigure(column="late", kind="equal", asked=0.3, reached=0.25),
        ConditionFigure(column="late", kind="ordered", asked=0.3, reached=0.125),
        ConditionFigure(column="late", kind="hierarchy", asked=0.3, reached=0.0625),
    ],
    bands=[
        SizeBand(low=1, high=1, before=0.17, after=0.0),
        SizeBand(low=2, high=9, before=0.5, after=0.0),
        SizeBand(low=10, high=None, before=0.33, after=1.0),
    ],
    thresholds=[0.5, 0.2, 0.1, 0.05],
    before=risk(1, 0.17, 1.0),
    after=risk(10, 0.0, 0.1),
    loss=LossFigure(
        penalty=0.125, entropy=0.25, discernibility=12345, discernibility_before=999, class_size=1.4
    ),
    queries=QueryFigure(
        queries=1000,
        median=0.081,
        mean=0.2,
        worst_tenth=0.6,
        share=[0.0, 0.5, 0.9, 1.0],
        error=[0.0, 0.081, 0.6, 9.0],
    ),
    sensitive=[
        SensitiveFigure(
            column="late",
            values=["0", "<b>", ""],
            overall=[0.6, 0.3, 0.1],
            farthest=[0.2, 0.8, 0.0],
            distance=0.5,
        )
    ],
)


@pytest.fixture(scope="module")
def page():
    return render_release(FIGURES)


class Text(HTMLParser):
    """Visible text by language, and the tags."""

    def __init__(self):
        super().__init__()
        self.lang, self.found, self.tags = [], {"en": "", "zh": "", None: ""}, set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag in ("span", "tspan"):
            self.lang.append(dict(attributes).get("lang"))

    def handle_endtag(self, tag):
        if tag in ("span", "tspan"):
            self.lang.pop()

    def handle_data(self, data):
        said = next((lang for lang in reversed(self.lang) if lang), None)
        self.found[said] += data + " "


def read(page):
    parser = Text()
    parser.feed(page)
    return parser


def test_figures_stand_on_the_page(page):
    both = " ".join(read(page).found.values())
    for number in (
        "980",
        "1,000",
        "17.0%",
        "1.23%",
        "0.125",
        "12,345",
        "8.1%",
        "∞",
        "1.75",
        "0.0625"[:5],
        "d" * 64,
    ):
        assert number in both, number
    assert "9 others" not in both, "ten in the smallest class means nine others, in bold"
    assert "<b>9</b>" in page


def test_every_sentence_stands_in_both_languages(page):
    found = read(page).found
    assert len(found["zh"]) > 1000
    assert not re.search("[一-鿿]", found["en"])
    for word in (
        "检察官",
        "记者",
        "营销者",
        "假名",
        "直接标识",
        "已泛化，第 2 级（最高第 3 级）",
        "未改变，第 0 级",
    ):
        assert word in found["zh"], word
    for word in ("Prosecutor", "Journalist", "Marketer", "pseudonymous, not anonymous", "level 2 of 3"):
        assert word in found["en"], word


@pytest.mark.parametrize(
    ("change", "there", "gone"),
    [
        ({"scope": ""}, "at one level", "pseudonymous"),
        ({"method": "mondrian"}, "halved again and again", "at one level"),
        ({"population": None}, "taken for the whole population", "a sample of"),
        ({"sensitive": []}, "What was lost", "class that differs most"),
    ],
)
def test_the_page_says_what_applies_and_nothing_else(change, there, gone):
    text = read(render_release(msgspec.structs.replace(FIGURES, **change))).found["en"]
    assert there in text
    assert gone not in text


def test_hostile_names_stay_text(page):
    assert page.count("<script") == 1
    assert "alert('x')</script>" not in page
    assert "&lt;script&gt;alert" in page
    assert "<b>&lt;" not in page


def test_the_page_needs_nothing_and_allows_nothing(page):
    assert not re.search(r"https?://(?!www\.w3\.org)", page)
    assert "default-src 'none'" in html.unescape(page)
    identifiers = re.findall(r' id="([^"]+)"', page)
    assert len(identifiers) == len(set(identifiers))


def test_it_opens_in_the_language_asked_for():
    assert '<html lang="zh-Hans">' in render_release(FIGURES, lang="zh")
    with pytest.raises(DataError, match="the report's language must be one of en, zh, got fr"):
        render_release(FIGURES, lang="fr")


def test_figures_are_read_back_and_others_refused():
    assert release_from_json(release_to_json(FIGURES)) == FIGURES
    with pytest.raises(DataError, match="the figures of a release cannot be read"):
        release_from_json(b"{}")
    other = msgspec.json.decode(release_to_json(FIGURES)) | {"version": 99}
    with pytest.raises(DataError, match="must have version 1, got 99"):
        release_from_json(msgspec.json.encode(other))


@pytest.mark.parametrize(
    "svg",
    [
        charts.bands_chart(FIGURES.bands, 10),
        charts.loss_chart(FIGURES.columns[2:4]),
        charts.queries_chart(FIGURES.queries),
        charts.sensitive_chart(FIGURES.sensitive[0], "s"),
    ],
    ids=["bands", "loss", "queries", "sensitive"],
)
def test_pictures_are_well_formed_small_and_from_here(svg):
    root = ET.fromstring(svg)
    assert root.tag == "svg"
    assert " / " in root.get("aria-label")
    assert len(svg) < 14_000
    assert not re.search(r"https?:|href|<image|<style|<script", svg)
    assert '<tspan lang="zh">' in svg


def test_names_cut_alike_stay_two_rows():
    columns = [
        column(f"{'x' * 40}{at}", "quasi", "generalised", penalty=0.11 * at, entropy=0.1) for at in (1, 2)
    ]
    texts = [one.text or "" for one in ET.fromstring(charts.loss_chart(columns)).iter()]
    assert {"0.11", "0.22"} <= set(texts)


def test_pictures_of_nothing_are_drawn():
    assert "svg" in charts.queries_chart(
        QueryFigure(queries=0, median=0, mean=0, worst_tenth=0, share=[0.0], error=[0.0])
    )
    assert "svg" in charts.bands_chart([SizeBand(low=1, high=None, before=0.0, after=0.0)], 2)
    assert "svg" in charts.loss_chart([])


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: the page is not tested in a browser")
@pytest.mark.parametrize("width", [360, 1200])
def test_one_language_at_a_time_and_nothing_overflows(tmp_path, page, width):
    seen = watch(tmp_path, page, sandbox="allow-scripts allow-same-origin", width=width)
    first, chinese, english = seen
    assert first["zh"] == chinese["en"] == english["zh"] == 0
    assert first["en"] > 50
    assert [step["wide"] for step in seen] == [0, 0, 0]
