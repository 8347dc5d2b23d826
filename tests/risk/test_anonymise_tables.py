"""Whole tables through both methods, judged by a checker that shares nothing with them."""

import re
from itertools import product

import anonymise_naive as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.errors import DataError, PlanError
from tongzhou.risk import anonymise_lattice
from tongzhou.risk.anonymise import Request, classes_of
from tongzhou.risk.anonymise_criteria import (
    Closeness,
    DistinctDiversity,
    EntropyDiversity,
    RecursiveDiversity,
    Sensitive,
)
from tongzhou.risk.anonymise_domains import ANYTHING, MISSING, category_domain, number_domain, prefix_domain
from tongzhou.risk.anonymise_lattice import full_domain
from tongzhou.risk.anonymise_mondrian import mondrian

PATHS = {"a": ["ab", "abc"], "b": ["ab", "abc"], "c": ["c", "abc"], "d": ["d", "d"]}
DISEASES = {"flu": ["lungs"], "cough": ["lungs"], "ulcer": ["stomach"]}

TABLES = st.lists(
    st.tuples(
        st.none() | st.integers(18, 60),
        st.none() | st.sampled_from("abcd"),
        st.sampled_from(["2001", "2002", "2101", "31"]),
        st.sampled_from("mf"),
        st.sampled_from(["flu", "cough", "ulcer"]),
    ),
    min_size=4,
    max_size=60,
)
METHODS = {"mondrian": mondrian, "full domain": full_domain}


def quasi_of(rows):
    ages = [np.nan if row[0] is None else float(row[0]) for row in rows]
    return (
        number_domain("age", ages, [5, 10, 20]),
        category_domain("region", [row[1] for row in rows], PATHS),
        prefix_domain("post", [row[2] for row in rows], [2, 1]),
        category_domain("sex", [row[3] for row in rows]),
    )


def sensitive_of(rows, *criteria):
    domain = category_domain("ill", [row[4] for row in rows], DISEASES)
    return Sensitive(domain, tuple(make(domain) for make in criteria))


def published(request_, classes):
    """Labels of each published row, and its place in the source."""
    labels = classes.labels(request_.quasi)
    places = [place for place in range(request_.rows) if classes.of[place] >= 0]
    return [[column[classes.of[place]] for column in labels] for place in places], places


def covers(label, value, path=()):
    """Whether a published text can stand for a value; read as text, as whoever gets the table would."""
    if label == ANYTHING or label == (MISSING if value is None else str(value)) or label in path:
        return True
    if label.startswith("missing or "):
        return value is None or covers(label.removeprefix("missing or "), value)
    if label.startswith("{"):
        return (MISSING if value is None else str(value)) in label.strip("{}").split(" | ")
    if found := re.fullmatch(r"\[(-?[\d.]+), (-?[\d.]+)([\])])", label):
        low, high = float(found[1]), float(found[2])
        return value is not None and low <= value and (value <= high if found[3] == "]" else value < high)
    return label.endswith("*") and value is not None and str(value).startswith(label.rstrip("*"))


def check(request_, classes, rows, conditions):
    """k, the conditions, and that every label stands for its value."""
    shown, places = published(request_, classes)
    ill = [rows[place][4] for place in places]
    for members in naive.classes_by_label(shown).values():
        assert len(members) >= request_.k
        own = [ill[member] for member in members]
        for condition in conditions:
            condition(own, ill)
    for label, place in zip(shown, places, strict=True):
        age, region, post, sex, _ = rows[place]
        assert covers(label[0], age)
        assert covers(label[1], region, PATHS.get(region, ()))
        assert covers(label[2], post)
        assert covers(label[3], sex)
    assert request_.rows - len(places) <= request_.suppression * request_.rows + 1e-9


def at_least(measure, bound):
    def condition(own, _everybody):
        assert measure(own) >= bound - 1e-9

    return condition


def below_c(own, _everybody):
    assert naive.recursive_c(own, 2) < 3


def within(measure, bound):
    def condition(own, everybody):
        assert measure(own, everybody) <= bound + 1e-9

    return condition


CONDITIONS = {
    "k only": ([], []),
    "distinct": ([lambda _: DistinctDiversity(2)], [at_least(lambda own: len(set(own)), 2)]),
    "entropy": ([lambda _: EntropyDiversity(1.8)], [at_least(naive.entropy_l, 1.8)]),
    "recursive": ([lambda _: RecursiveDiversity(3, 2)], [below_c]),
    "equal": ([lambda d: Closeness(0.3, "equal", d)], [within(naive.equal_t, 0.3)]),
    "ordered": (
        [lambda d: Closeness(0.25, "ordered", d)],
        [within(lambda own, all_: naive.ordered_t(own, all_, tree_order(all_)), 0.25)],
    ),
    "hierarchy": (
        [lambda d: Closeness(0.25, "hierarchy", d)],
        [within(lambda own, all_: naive.tree_t(own, all_, DISEASES), 0.25)],
    ),
    "several": (
        [lambda _: DistinctDiversity(2), lambda d: Closeness(0.4, "equal", d)],
        [at_least(lambda own: len(set(own)), 2), within(naive.equal_t, 0.4)],
    ),
}


def tree_order(everybody):
    """Ranks follow the source's own values: those that occur, in the order of the hierarchy."""
    return [value for value in ("cough", "flu", "ulcer") if value in everybody]


@pytest.mark.parametrize("name", CONDITIONS)
@settings(deadline=None, max_examples=60)
@given(rows=TABLES, k=st.integers(1, 6))
def test_mondrian_satisfies_every_condition(name, rows, k):
    makers, conditions = CONDITIONS[name]
    request = Request(quasi_of(rows), (sensitive_of(rows, *makers),), k)
    try:
        classes = mondrian(request)
    except DataError as error:
        assert "whole table" in str(error)
        return
    assert classes.suppressed == 0
    check(request, classes, rows, conditions)


@pytest.mark.parametrize("name", CONDITIONS)
@settings(deadline=None, max_examples=40)
@given(rows=TABLES, k=st.integers(1, 6), suppression=st.sampled_from([0.0, 0.1, 0.4]))
def test_full_domain_satisfies_every_condition(name, rows, k, suppression):
    makers, conditions = CONDITIONS[name]
    request = Request(quasi_of(rows), (sensitive_of(rows, *makers),), k, suppression)
    try:
        classes = full_domain(request)
    except DataError as error:
        assert "no choice of levels satisfies" in str(error)
        return
    check(request, classes, rows, conditions)


@pytest.mark.parametrize("method", METHODS)
@settings(deadline=None, max_examples=40)
@given(rows=TABLES, seed=st.integers(0, 99))
def test_the_order_of_rows_changes_nothing(method, rows, seed):
    """The same rows in any order look the same afterwards: nothing of the order gets through."""
    order = np.random.default_rng(seed).permutation(len(rows))
    shown = []
    for own in (rows, [rows[at] for at in order]):
        request = Request(quasi_of(own), (sensitive_of(own, lambda _: DistinctDiversity(1)),), 3, 0.1)
        try:
            labels, places = published(request, METHODS[method](request))
        except DataError:
            shown.append(None)
            continue
        shown.append(sorted((*label, own[place][4]) for label, place in zip(labels, places, strict=True)))
    assert shown[0] == shown[1]


def naive_loss(request, levels, kept):
    """Mean penalty by its definition: range over range, or covered share of values."""
    total = 0.0
    for place in range(request.rows):
        if not kept[place]:
            total += len(levels)
            continue
        for domain, level in zip(request.quasi, levels, strict=True):
            bounds = domain.levels[level].bounds
            node = int(np.searchsorted(bounds, domain.codes[place], side="right")) - 1
            low, high = bounds[node], bounds[node + 1] - 1
            if domain.positions is not None:
                span = domain.positions[-1] - domain.positions[0]
                total += (domain.positions[high] - domain.positions[low]) / span if span else 0.0
            elif high > low:
                total += (high - low + 1) / domain.size
    return total / (request.rows * len(levels))


@settings(deadline=None, max_examples=30)
@given(rows=TABLES, k=st.integers(2, 5), suppression=st.sampled_from([0.0, 0.2]))
def test_no_choice_of_levels_loses_less(rows, k, suppression):
    """Against trying every choice, counting with dictionaries."""
    request = Request(quasi_of(rows), (), k, suppression)
    losses = []
    for levels in product(*(range(len(domain.levels)) for domain in request.quasi)):
        shown = [
            [
                domain.levels[level].labels[domain.levels[level].node_of(domain.codes[place : place + 1])[0]]
                for domain, level in zip(request.quasi, levels, strict=True)
            ]
            for place in range(request.rows)
        ]
        kept = [False] * request.rows
        for members in naive.classes_by_label(shown).values():
            for member in members:
                kept[member] = len(members) >= k
        if any(kept) and request.rows - sum(kept) <= suppression * request.rows + 1e-9:
            losses.append(naive_loss(request, levels, kept))
    if not losses:
        with pytest.raises(DataError, match="no choice of levels"):
            full_domain(request)
        return
    classes = full_domain(request)
    assert naive_loss(request, classes.levels, classes.of >= 0) == pytest.approx(min(losses))


@settings(deadline=None, max_examples=40)
@given(rows=TABLES, k=st.integers(2, 5))
def test_mondrian_never_stops_where_a_half_could_stand(rows, k):
    """No class of k-anonymity alone can be cut once more at any value of a number."""
    request = Request(quasi_of(rows)[:1], (), k)
    try:
        classes = mondrian(request)
    except DataError:
        return
    for one in range(classes.low.shape[1]):
        codes = np.sort(request.quasi[0].codes[classes.of == one])
        median = codes[(codes.size - 1) // 2]
        for left in (np.count_nonzero(codes <= median), np.count_nonzero(codes < median)):
            assert left < k or codes.size - left < k


def test_mondrian_cuts_at_the_median_along_the_widest():
    ages, incomes = [20, 30, 40, 50], [100, 101, 102, 900]
    request = Request((number_domain("age", ages), number_domain("income", incomes)), (), 2)
    classes = mondrian(request)
    assert classes.of.tolist() == [0, 0, 1, 1]
    assert classes.labels(request.quasi) == [["[20, 30]", "[40, 50]"], [ANYTHING, ANYTHING]]


def test_a_table_that_breaks_a_condition_as_a_whole_is_refused():
    rows = [(20, "a", "31", "m", "flu")] * 5
    with pytest.raises(DataError, match="a class needs 6 rows, and the whole table has 5"):
        mondrian(Request(quasi_of(rows), (), 6))
    with pytest.raises(DataError, match="the whole table in one class breaks the conditions on ill"):
        mondrian(Request(quasi_of(rows), (sensitive_of(rows, lambda _: DistinctDiversity(2)),), 2))
    with pytest.raises(
        DataError, match="no choice of levels satisfies the conditions with at most 0 of the rows"
    ):
        full_domain(Request(quasi_of(rows), (), 6))


def test_too_many_choices_are_refused(monkeypatch):
    rows = [(20, "a", "31", "m", "flu")] * 5
    monkeypatch.setattr(anonymise_lattice, "CHOICES_MAX", 10)
    with pytest.raises(PlanError, match="the levels of all columns make 160 choices, more than 10"):
        full_domain(Request(quasi_of(rows), (), 2))


def test_outliers_are_left_out_when_that_loses_less():
    ages = [30] * 20 + [31] * 20 + [99]
    request = Request((number_domain("age", ages, [10]),), (), 5, 0.05)
    classes = full_domain(request)
    assert classes.levels == (0,)
    assert classes.suppressed == 1
    assert classes.of[-1] == -1
    strict = full_domain(Request(request.quasi, (), 5, 0.0))
    assert strict.suppressed == 0
    assert strict.levels == (2,)


def test_rows_left_out_do_not_count_for_closeness():
    """The published rows are held against the published rows, again until nothing changes."""
    rows = [
        (age, "a", "31", "m", ill)
        for age, ill in [(20, "flu")] * 6 + [(20, "ulcer")] * 6 + [(60, "ulcer")] * 2
    ]
    domain = category_domain("ill", [row[4] for row in rows], DISEASES)
    request = Request(
        (number_domain("age", [float(row[0]) for row in rows], [5]),),
        (Sensitive(domain, (Closeness(0.05, "equal", domain),)),),
        2,
        0.2,
    )
    classes = full_domain(request)
    kept = [row[4] for row, of in zip(rows, classes.of, strict=True) if of >= 0]
    assert classes.suppressed == 2
    assert naive.equal_t(kept, kept) == 0


@given(
    columns=st.integers(1, 4).flatmap(
        lambda width: st.lists(st.tuples(*[st.integers(0, 2**31 - 2)] * width), min_size=1, max_size=20)
    )
)
def test_combinations_are_numbered_in_their_order(columns):
    of, groups = classes_of([np.array(column) for column in zip(*columns, strict=True)])
    number = {row: at for at, row in enumerate(sorted(set(columns)))}
    assert groups == len(number)
    assert of.tolist() == [number[row] for row in columns]
