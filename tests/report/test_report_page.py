"""The page: complete, in both languages, safe with hostile text, and it loads nothing."""

import base64
import hashlib
import re
import time
from html.parser import HTMLParser

import msgspec
import pytest

from tongzhou.errors import DataError
from tongzhou.report.figures import Interval, Words
from tongzhou.report.page import render

VOID = {"br", "col", "hr", "input", "meta"}
HOSTILE = "<img src=x onerror=alert(1)>\"'&{0}"
SECTIONS = [
    "parties", "grant", "gain", "curves", "scores", "variables", "card", "policy", "decisions", "cost",
    "leakage", "receipt", "check", "limits",
]  # fmt: skip


class Page(HTMLParser):
    """Reads a page strictly: every element must be closed in order."""

    def __init__(self, html):
        super().__init__()
        self.open, self.elements, self.text, self.pairs = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
            if tag in {"span", "tspan"} and dict(attrs).get("lang"):
                self.pairs.append(dict(attrs)["lang"])

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in {"style", "script"}:
            self.text.append(data)

    def all(self, attribute):
        return [attrs[attribute] for _, attrs in self.elements if attribute in attrs]


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


@pytest.fixture(scope="module")
def small(figures):
    """The same run with three candidate variables: quick to draw."""
    return replace(figures, variables=[figures.variables[i] for i in (0, 5, 11)])


def replace(figures, **changes):
    return msgspec.structs.replace(figures, **changes)


def test_page_is_well_formed(page):
    assert page.elements[0][0] == "html"
    assert [tag for tag, _ in page.elements].count("main") == 1


def test_page_loads_nothing(html, page):
    assert page.all("src") == page.all("srcset") == page.all("xlink:href") == []
    assert all(href.startswith("#") for href in page.all("href"))
    assert not {"link", "img", "iframe", "object", "embed", "base", "form"} & {
        tag for tag, _ in page.elements
    }
    assert not re.search(r"@import|url\((?!#)|https?://", html)


def test_policy_allows_only_the_pages_own_script(html):
    scripts = re.findall(r"<script>(.*?)</script>", html, re.S)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', html)
    assert policy is not None
    assert "default-src &#x27;none&#x27;" in policy[1]
    assert f"script-src &#x27;sha256-{digest}&#x27;" in policy[1]


def test_nothing_is_remembered(html):
    assert not re.search(r"localStorage|sessionStorage|cookie|indexedDB|fetch\(|XMLHttpRequest", html)


def test_every_english_word_stands_before_its_chinese(page):
    pairs = [lang for lang in page.pairs if lang]
    assert len(pairs) > 300
    spaces = pairs.count("en") - pairs.count("zh")
    assert 0 <= spaces <= 10  # the spaces between English sentences have no Chinese
    assert pairs[0] == "en"


def test_sections_and_contents_agree(page):
    sections = [attrs["id"] for tag, attrs in page.elements if tag == "section"]
    assert sections == SECTIONS
    assert page.all("href") == [f"#{name}" for name in SECTIONS]


def test_identifiers_are_unique(page):
    ids = page.all("id")
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize(
    "number",
    [
        *("24,285", "26,990", "27,012", "+0.120", "+0.106 – +0.134", "0.648", "0.634 – 0.662", "3.1 × 10⁻⁵"),
        *(
            "38.6 s",
            "61.0 MB",
            "93.8 MB",
            "NT$ 52.5 M",
            "NT$ 5,250 万",
            "551",
            "701",
            "14.7%",
            "−29",
            "0.770",
        ),
        *("g-7f3a20c1", "20,511", "2 cores, Python 3.11", "ROC", "缺失", "连续三个月逾期"),
        "sha256:8b1f3c77d2a94e0e4f5b6a0c1d2e3f405162738495a6b7c8d9eaf0b1c2d3e4f5",
        "entry 9 (receipt): the stored leaf differs from the payload",
        "Meadows 1986; Huberman, Franklin, Hogg 1999",
        "cardnet has no grant for bank: purpose credit-scorecard, table behaviour",
    ],
)
def test_figures_appear(page, number):
    assert number in "|".join(page.text)


@pytest.mark.parametrize(
    ("lang", "checked", "page_lang"), [("en", "show-en", "en"), ("zh", "show-zh", "zh-Hans")]
)
def test_page_opens_in_the_asked_language(small, lang, checked, page_lang):
    page = Page(render(small, lang=lang))
    assert page.elements[0][1]["lang"] == page_lang
    assert [attrs["id"] for _, attrs in page.elements if "checked" in attrs] == [checked]


def test_an_unknown_language_is_refused(small):
    with pytest.raises(DataError, match="language must be one of en, zh, got fr"):
        render(small, lang="fr")


def test_hostile_names_stay_text(small, page):
    bad = Words(HOSTILE, HOSTILE)
    variable = replace(small.variables[0], name=HOSTILE, meaning=bad, dropped_because=bad, kept=False)
    party = replace(small.parties[0], name=bad, fingerprint=HOSTILE, holds=bad)
    receipt = replace(small.receipt, run_id=HOSTILE, commitments=[(HOSTILE, HOSTILE)])
    run = replace(small.run, run_id=HOSTILE, machine=HOSTILE, mode=HOSTILE)
    decision = replace(small.decisions.examples[0], outcome=HOSTILE)
    made = render(
        replace(
            small,
            title=bad,
            variables=[variable, *small.variables[1:]],
            parties=[party, *small.parties[1:]],
            receipt=receipt,
            run=run,
            grant=replace(small.grant, columns=[HOSTILE], refusal=bad),
            decisions=replace(small.decisions, examples=[decision]),
            limits=[bad],
        )
    )
    hostile = Page(made)
    assert {tag for tag, _ in hostile.elements} <= {tag for tag, _ in page.elements}
    assert hostile.all("onerror") == []
    assert "".join(hostile.text).count(HOSTILE) > 15


@pytest.mark.parametrize(
    ("interval", "sentence"),
    [
        (Interval(0.12, 0.1, 0.14), "tells good clients from bad better"),
        (Interval(0.004, -0.003, 0.011), "no proven gain"),
        (Interval(-0.05, -0.07, -0.03), "got worse"),
    ],
)
def test_headline_says_what_the_interval_allows(small, interval, sentence):
    html = render(replace(small, gain=replace(small.gain, auc=interval)))
    claim = re.search(r'<p class="claim">(.*?)</p>', html)
    assert claim is not None
    assert sentence in claim[1]


def test_missing_parts_leave_no_holes(small):
    """A local run: no helper, no refusal, nothing opened, no tampering, no reasons, no calibration."""
    variables = [
        replace(v, bins=[replace(b, rows=None, event_rate=None, points=None) for b in v.bins])
        for v in small.variables
    ]
    lines = [replace(line, standard_error=None, p_value=None) for line in small.card.lines]
    agreement = replace(small.agreement, woe=None, iv=None, cpu_s_protected=None, cpu_s_clear=None)
    decisions = replace(
        small.decisions,
        cutoff_review=None,
        bad_rate_approved=None,
        bad_rate_declined=None,
        rules=[],
        examples=[],
    )
    logs = [
        replace(log, verified=False, checkpoint=replace(log.checkpoint, text="", cosignatures=[]))
        for log in small.verification.logs
    ]
    bare = replace(
        small,
        parties=small.parties[:2],
        grant=replace(small.grant, helpers=[], refusal=None),
        variables=variables,
        card=replace(small.card, lines=[*lines, replace(lines[0], name="unknown")]),
        agreement=agreement,
        decisions=decisions,
        approvals=[],
        distributions=[],
        ks=[],
        verification=replace(small.verification, logs=logs, tamper=None, commands=[]),
    )
    text = "|".join(Page(render(bare)).text)
    assert "None" not in text
    assert "not verified" in text
    assert "no tampering was tried" in text
    assert "with the help of" not in text
    assert "saw no table" not in text


def test_a_run_without_protection_is_not_called_protected(small):
    html = render(replace(small, run=replace(small.run, mode="local")))
    assert html.count("nothing was protected") == 2
    assert "No table left its owner" not in html
    assert "saw no table" not in html


def test_what_was_not_stated_is_not_called_nothing(small):
    leakage = replace(small.leakage[3], learned=[("bank", Words("scores", "得分"))])
    html = render(replace(small, leakage=[leakage]))
    assert html.count("<td>–</td>") == 2
    assert "nothing" not in html.split('id="leakage"')[1].split("</section>")[0]


def test_the_checkers_sentence_is_in_both_languages(small):
    html = render(small)
    assert "entry 9 (receipt): the stored leaf differs from the payload" in html
    assert "第 9 条记录（receipt）：存储的叶子与内容不符" in html


def test_tampering_that_was_not_found_is_said(small):
    tamper = replace(small.verification.tamper, found=False)
    html = render(replace(small, verification=replace(small.verification, tamper=tamper)))
    assert "Not found: do not rely on this version." in html
    assert "tampered copy: not found" in html


def test_a_costly_protection_is_not_praised(small, html):
    assert "Protection costs no accuracy." in html
    worse = render(replace(small, agreement=replace(small.agreement, score_points=2.0)))
    assert "Protection costs no accuracy." not in worse


def test_more_bad_exposure_is_said(small):
    html = render(replace(small, swap=replace(small.swap, bad_exposure_avoided=-1e6)))
    assert "more credit limit in bad hands" in html
    assert "less credit limit" not in html


def test_page_is_light_and_cheap(figures):
    start = time.process_time()
    html = render(figures)
    assert time.process_time() - start < 6
    assert len(html.encode()) < 400_000
