"""Names that may mean one company are found with score and reason; those of another one are left alone."""

import importlib.util

import pytest

pytest.importorskip("rapidfuzz", reason="the extra names is not installed")

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.data._bounds import WordBounds
from tongzhou.data._resemblance import Comparer
from tongzhou.data.companies import company_form, parse_company
from tongzhou.data.similar import REASONS, find_candidates
from tongzhou.errors import NotFoundError

# Names around the ones looked at, so that some words are common and others rare, as in a table.
CROWD = [
    f"{place}{brand}{trade}有限公司"
    for place in ("上海", "北京", "深圳")
    for brand in ("恒泰", "华信", "金鼎", "瑞丰")
    for trade in ("贸易", "科技", "物流", "实业")
] + [
    f"{brand} {trade} LTD"
    for brand in ("NORDIC", "ALPINE", "ZENITH", "ORCHID")
    for trade in ("TRADING", "LOGISTICS", "TECHNOLOGY", "INVESTMENT MANAGEMENT", "INTERNATIONAL SERVICES")
]
FOUND = [
    ("广州蓝海餐饮管理", "广州蓝海餐饮管理有限公司", "form"),
    ("蓝海餐饮管理有限公司", "广州蓝海餐饮管理有限公司", "place"),
    ("蓝海餐饮管理（广州）有限公司", "广州蓝海餐饮管理有限公司", "place"),
    ("广州蓝海餐钦管理有限公司", "广州蓝海餐饮管理有限公司", "spelling"),
    ("蓝海", "广州蓝海餐饮管理有限公司", "short"),
    ("广州蓝海", "广州蓝海餐饮管理有限公司", "short"),
    ("工行", "中国工商银行股份有限公司", "characters"),
    ("深发展", "深圳发展银行股份有限公司", "characters"),
    ("VANTAGE MARITIME", "VANTAGE MARITIME LTD", "form"),
    ("VANTAGEMARITIME LTD", "VANTAGE MARITIME LTD", "blanks"),
    ("MARITIME VANTAGE LTD", "VANTAGE MARITIME LTD", "order"),
    ("VANTAGE MARTIIME LTD", "VANTAGE MARITIME LTD", "spelling"),
    ("VANTAGE INVESTMENT MGMT LTD", "VANTAGE INVESTMENT MANAGEMENT LTD", "spelling"),
    ("VANTAGE MARITIME BROKERAGE LTD", "VANTAGE MARITIME BROKERAGE OF LTD", "words"),
    ("VANTAGE", "VANTAGE MARITIME LTD", "short"),
    ("VMBG", "VANTAGE MARITIME BROKERAGE GROUP LTD", "initials"),
]
LEFT_ALONE = [
    ("上海蓝海餐饮管理有限公司", "广州蓝海餐饮管理有限公司"),  # another place
    ("广州蓝海第一餐饮管理有限公司", "广州蓝海第二餐饮管理有限公司"),
    ("广州蓝海餐饮管理有限公司", "广州蓝海餐饮管理有限公司天河分公司"),
    ("广州蓝海餐饮管理有限公司", "广州红山餐饮管理有限公司"),
    ("VANTAGE FUND II LP", "VANTAGE FUND III LP"),
    ("VANTAGE MARITIME 2019 LTD", "VANTAGE MARITIME 2020 LTD"),
    ("VANTAGE TRADING LTD", "KESTREL TRADING LTD"),
    ("VANTAGE MARITIME LTD", "VANTAGE AEROSPACE LTD"),
    ("AB INVESTMENT LTD", "AC INVESTMENT LTD"),
]


def find(*names, **words):
    normal = list(dict.fromkeys(map(company_form, [*names, *CROWD])))
    looked_at = {company_form(name) for name in names}
    return {
        (normal[one.first], normal[one.second]): one
        for one in find_candidates(normal, **words)
        if looked_at >= {normal[one.first], normal[one.second]}
    }


@pytest.mark.parametrize(("name", "other", "reason"), FOUND)
def test_a_variant_is_found_with_its_reason(name, other, reason):
    found = find(name, other)
    assert [set(pair) for pair in found] == [{company_form(name), company_form(other)}]
    (one,) = found.values()
    assert one.reason == reason
    assert 0.8 <= one.score <= 1


@pytest.mark.parametrize(("name", "other"), LEFT_ALONE)
def test_another_company_is_left_alone(name, other):
    assert find(name, other) == {}


def test_every_reason_is_shown_by_an_example():
    assert {reason for _, _, reason in FOUND} == set(REASONS)


def test_candidates_come_best_first_and_no_more_than_asked():
    names = [company_form(name) for pair in FOUND for name in pair[:2]]
    found = find_candidates(list(dict.fromkeys([*names, *CROWD])), least=0.7)
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    assert find_candidates(list(dict.fromkeys([*names, *CROWD])), least=0.7, most=3) == found[:3]
    assert min(scores) >= 0.7


def test_what_was_decided_is_not_asked_again():
    name, other = "VANTAGE MARITIME", "VANTAGE MARITIME LTD"
    assert find(name, other)
    assert find(name, other, decided=[(name, other)]) == {}
    assert find(name, other, decided=[(other, name)]) == {}


def test_against_a_list_only_pairs_across_are_given():
    own = ["蓝海", "蓝海餐饮管理有限公司", "上海恒泰贸易有限公司"]
    register = ["广州蓝海餐饮管理有限公司", "广州蓝海餐饮管理", "上海恒泰贸易有限公司"]
    found = find_candidates(own, against=register)
    assert {(one.first, one.second) for one in found} >= {(0, 0), (1, 0)}
    assert all(one.first < len(own) and one.second < len(register) for one in found)
    assert (2, 2) not in {(one.first, one.second) for one in found}, "equal names need no candidate"


def test_a_name_is_written_as_the_fuller_one_or_as_the_earlier_of_two():
    found = find("VANTAGE MARITIME LTD", "VANTAGE", "VANTAGE MARITIME")
    assert len(found) == 2
    assert all(len(one) < len(other) for one, other in found)
    ((one, other),) = find("VANTAGE MARTIIME LTD", "VANTAGE MARITIME LTD")
    assert (one, other) == ("VANTAGE MARITIME LTD", "VANTAGE MARTIIME LTD")
    ((one, other),) = find("VANTAGE MARITIME SHIPBROKERS", "VANTAGE MARITIME SHIPBROKER LTD")
    assert other == "VANTAGE MARITIME SHIPBROKER LTD", "the legal form decides before the length"


def test_a_short_name_that_fits_many_is_worth_less():
    few = ["蓝海", "广州蓝海餐饮管理有限公司"]
    many = [
        *few,
        *(f"{place}蓝海{trade}有限公司" for place in ("上海", "北京") for trade in ("贸易", "科技", "物流")),
    ]
    best = [
        max(one.score for one in find_candidates(names, least=0.5) if names[one.first] == "蓝海")
        for names in (few, many)
    ]
    assert best[1] < best[0]


def test_large_groups_of_one_core_stay_bounded():
    """A thousand shops of one name in places of their own are no million pairs."""
    from tongzhou.data._regions import place_names

    places = sorted(set(place_names().values()))[:1000]
    names = [f"{place}蓝海餐饮有限公司" for place in places]
    assert len(find_candidates(names)) < 3000


WORDS = st.lists(
    st.sampled_from(
        ["NORDIC", "NORDICS", "ALPINE", "ALPIEN", "TRADING", "TECH", "TECHNOLOGY", "II", "2019", "OF"]
    ),
    min_size=1,
    max_size=5,
).map(" ".join)
HAN = st.text(st.sampled_from("恒泰华信贸易科技一二A"), min_size=2, max_size=7)


@settings(deadline=None)
@given(names=st.lists(WORDS | HAN, min_size=2, max_size=10, unique=True), least=st.floats(0.3, 1.0))
def test_the_bound_is_never_below_the_score(names, least):
    """No pair is dropped unseen that would have reached the score."""
    parsed = [parse_company(name) for name in dict.fromkeys(map(company_form, names))]
    for kin in (
        [one for one in parsed if one.core.isascii()],
        [one for one in parsed if not one.core.isascii()],
    ):
        if len(kin) < 2:
            continue
        comparer = Comparer.learn(kin)
        bounds = WordBounds.of([one.core for one in kin], comparer)
        for first in range(len(kin)):
            for second in range(first + 1, len(kin)):
                reached = bounds.reach(np.array([[first, second]]), least)[0]
                resemblance = comparer.compare(kin[first], kin[second])
                if (
                    resemblance.reason not in ("form", "place", "blanks", "order")
                    and resemblance.score >= least
                ):
                    assert reached, (kin[first].core, kin[second].core, resemblance)


@settings(deadline=None)
@given(first=WORDS | HAN, second=WORDS | HAN)
def test_a_score_is_the_same_both_ways_and_at_most_one(first, second):
    one, other = parse_company(first), parse_company(second)
    comparer = Comparer.learn([one, other])
    there, back = comparer.compare(one, other), comparer.compare(other, one)
    assert there.reason == back.reason
    assert there.score == pytest.approx(back.score)
    assert 0 <= there.score <= 1


def test_without_the_extra_a_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("tongzhou.data.similar.find_spec", lambda name: None)
    with pytest.raises(NotFoundError, match=r"needs the extra \"names\": pip install 'tongzhou\[names\]'"):
        find_candidates(["a", "b"])
