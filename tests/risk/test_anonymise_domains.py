"""Columns as numbered values: every generalisation is a run of neighbours and covers what it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.errors import DataError, PlanError
from tongzhou.risk.anonymise_domains import ANYTHING, MISSING, category_domain, number_domain, prefix_domain

PATHS = {
    "flu": ["lungs", "ill"],
    "cough": ["lungs", "ill"],
    "ulcer": ["stomach", "ill"],
    "none": ["well", "well"],
}


def published(domain, level):
    """What each row reads on a level."""
    nodes = domain.levels[level].node_of(domain.codes)
    return [domain.levels[level].labels[node] for node in nodes]


def test_numbers_go_into_intervals_that_begin_at_zero():
    domain = number_domain("age", [23, 5, 41, 23, -3], [10, 20])
    assert published(domain, 0) == ["23", "5", "41", "23", "-3"]
    assert published(domain, 1) == ["[20, 30)", "[0, 10)", "[40, 50)", "[20, 30)", "[-10, 0)"]
    assert published(domain, 2) == ["[20, 40)", "[0, 20)", "[40, 60)", "[20, 40)", "[-20, 0)"]
    assert published(domain, 3) == [ANYTHING] * 5


def test_missing_numbers_are_a_value_of_their_own_up_to_the_top():
    domain = number_domain("age", [23.5, np.nan, 5], [10])
    assert published(domain, 0) == ["23.5", MISSING, "5"]
    assert published(domain, 1) == ["[20, 30)", MISSING, "[0, 10)"]
    assert published(domain, 2) == [ANYTHING] * 3
    assert domain.label(0, 1) == "missing or 5"
    assert domain.label(1, 2) == "[5, 23.5]"
    assert domain.label(0, 2) == ANYTHING
    assert domain.penalty(0, 1) == 0.0
    assert domain.penalty(1, 2) == 1.0


def test_texts_follow_their_paths():
    domain = category_domain("ill", ["none", "flu", None, "ulcer", "cough"], PATHS)
    assert published(domain, 1) == ["well", "lungs", MISSING, "stomach", "lungs"]
    assert published(domain, 2) == ["well", "ill", MISSING, "ill", "ill"]
    low, high = domain.codes[4], domain.codes[1]
    assert sorted((low, high)) == [low, high], "flu and cough are neighbours"
    assert domain.label(int(low), int(high)) == "lungs"
    assert domain.penalty(low, high) == pytest.approx(2 / 5)


def test_texts_without_paths_become_sets_in_their_order():
    domain = category_domain("grade", ["low", "high", "middle"], order=["low", "middle", "high", "top"])
    assert domain.label(0, 1) == "{low | middle}"
    assert domain.labels == ("low", "middle", "high")
    assert category_domain("grade", ["low", "high", "middle"]).label(0, 1) == "{high | low}"


def test_codes_keep_their_beginnings():
    domain = prefix_domain("post", ["200120", "200433", "100001", "2001"], [4, 2])
    assert published(domain, 1) == ["2001*", "2004*", "1000*", "2001"]
    assert published(domain, 2) == ["20*", "20*", "10*", "20*"]


@pytest.mark.parametrize(
    ("make", "kind", "sentence"),
    [
        (
            lambda: number_domain("x", [1], [10, 15]),
            PlanError,
            "widths must grow, each a multiple .* got 10, 15",
        ),
        (lambda: number_domain("x", [1], [10, 10]), PlanError, "widths must grow"),
        (lambda: number_domain("x", [1], [-1]), PlanError, "widths must grow"),
        (lambda: number_domain("x", [np.inf]), DataError, "x must be finite numbers or missing"),
        (
            lambda: category_domain("x", ["a"], {"b": ["c"]}),
            PlanError,
            "1 of its values have no place in the levels",
        ),
        (
            lambda: category_domain("x", ["a", "b"], {"a": ["c"], "b": []}),
            PlanError,
            "the same number of levels",
        ),
        (
            lambda: category_domain("x", ["a", "b"], {"a": ["c", "d"], "b": ["c", "e"]}),
            PlanError,
            "c stands under two names of the next level, d and e",
        ),
        (
            lambda: category_domain("x", ["a"], order=["b"]),
            PlanError,
            "1 of its values have no place in the order",
        ),
        (
            lambda: category_domain("x", ["a"], {"a": ["b"]}, order=["a"]),
            PlanError,
            "an order or levels, not both",
        ),
        (
            lambda: category_domain("x", [str(n) for n in range(1001)]),
            DataError,
            "1001 different texts, more than 1000",
        ),
        (lambda: prefix_domain("x", ["a"], [2, 2]), PlanError, "fewer characters than the one before"),
        (lambda: prefix_domain("x", ["a"], [0]), PlanError, "one at least, got 0"),
    ],
)
def test_what_does_not_fit_is_a_sentence(make, kind, sentence):
    with pytest.raises(kind, match=sentence):
        make()


@given(
    values=st.lists(
        st.floats(-1e6, 1e6) | st.just(float("nan")) | st.integers(-50, 50), min_size=1, max_size=30
    ),
    width=st.sampled_from([0.25, 1, 7, 1000]),
)
def test_an_interval_holds_its_numbers(values, width):
    domain = number_domain("x", [float(value) for value in values], [width, width * 4])
    for level in (1, 2):
        for value, label in zip(values, published(domain, level), strict=True):
            if np.isnan(value):
                assert label == MISSING
                continue
            low, high = (float(end) for end in label.strip("[)").split(", "))
            assert low <= value < high


@given(values=st.lists(st.sampled_from([*PATHS, None]), min_size=1, max_size=20))
def test_every_level_is_cut_into_whole_runs(values):
    domain = category_domain("x", values, PATHS)
    for finer, coarser in zip(domain.levels, domain.levels[1:], strict=False):
        assert set(coarser.bounds) <= set(finer.bounds), "a coarser node is a union of finer ones"
        assert coarser.bounds[0] == 0
        assert coarser.bounds[-1] == domain.size
    assert [domain.labels[code] for code in domain.codes] == [value or MISSING for value in values]


@given(values=st.lists(st.text(st.sampled_from("ab1"), min_size=1, max_size=4), min_size=1, max_size=20))
def test_a_prefix_level_never_puts_other_beginnings_together(values):
    domain = prefix_domain("x", values, [3, 1])
    for level, size in ((1, 3), (2, 1)):
        for value, label in zip(values, published(domain, level), strict=True):
            assert label.rstrip("*") == value[:size]
