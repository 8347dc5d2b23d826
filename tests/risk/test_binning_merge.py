"""Merging: the optimum against every possible division, constraints, determinism, no raw rows."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.errors import DataError
from tongzhou.risk.binning import Bins, bin_table, fine_bins, merge_bins

SHAPES = {
    "up": lambda d: all(x > 0 for x in d),
    "down": lambda d: all(x < 0 for x in d),
    "none": lambda d: True,
    "valley": lambda d: all(x != 0 for x in d) and not any(a > 0 > b for a, b in itertools.pairwise(d)),
    "peak": lambda d: all(x != 0 for x in d) and not any(a < 0 < b for a, b in itertools.pairwise(d)),
}


def fine_of(count, specials=()):
    return Bins(variable="v", edges=tuple(float(i) for i in range(1, count)), specials=specials)


def folded(counts, starts):
    return np.add.reduceat(counts, list(starts))


def brute_force(totals, events, numeric, *, max_bins, min_rows, min_events, monotone):
    """Try every division of the numeric bins; return the highest information value, or None."""
    shapes = ["up", "down"] if monotone == "auto" else [monotone]
    best = None
    for size in range(max_bins):
        for cuts in itertools.combinations(range(1, numeric), size):
            t = folded(totals[:numeric], (0, *cuts))
            e = folded(events[:numeric], (0, *cuts))
            if np.any(t < max(min_rows, 1)) or np.any(e < min_events) or np.any(t - e < min_events):
                continue
            steps = [int(e[i + 1] * t[i] - e[i] * t[i + 1]) for i in range(len(t) - 1)]
            if not any(SHAPES[shape](steps) for shape in shapes):
                continue
            value = textbook_value(t, e, int(totals.sum()), int(events.sum()))
            best = value if best is None else max(best, value)
    return best


def textbook_value(totals, events, all_rows, all_events):
    value = 0.0
    for t, e in zip(totals.tolist(), events.tolist(), strict=True):
        added = 0.5 if e in {0, t} else 0.0
        bad, good = (e + added) / all_events, (t - e + added) / (all_rows - all_events)
        value += (bad - good) * math.log(bad / good)
    return value


@st.composite
def counted(draw):
    numeric = draw(st.integers(1, 8))
    specials = tuple(range(-draw(st.integers(0, 2)), 0))
    size = numeric + len(specials) + 1
    totals = draw(st.lists(st.integers(0, 40), min_size=size, max_size=size))
    events = [draw(st.integers(0, total)) for total in totals]
    return numeric, tuple(map(float, specials)), np.array(totals), np.array(events)


@settings(max_examples=150, deadline=None)
@given(
    case=counted(),
    max_bins=st.integers(1, 8),
    min_rows=st.integers(0, 30),
    min_events=st.integers(0, 4),
    monotone=st.sampled_from(["auto", "up", "down", "none", "valley", "peak"]),
)
def test_merging_finds_the_optimum_of_all_divisions(case, max_bins, min_rows, min_events, monotone):
    numeric, specials, totals, events = case
    if events.sum() in {0, totals.sum()}:
        return
    fine = fine_of(numeric, specials)
    limits = {"max_bins": max_bins, "min_rows": min_rows, "min_events": min_events, "monotone": monotone}
    merged = merge_bins(fine, totals, events, **limits)
    best = brute_force(totals, events, numeric, **limits)
    assert merged.satisfied == (best is not None)
    t, e = merged.fold(totals), merged.fold(events)
    assert t.sum() == totals.sum()
    assert e.sum() == events.sum()
    if best is None:
        assert merged.bins.numeric_count == 1
        return
    inside = slice(0, merged.bins.numeric_count)
    ours = textbook_value(t[inside], e[inside], int(totals.sum()), int(events.sum()))
    assert ours == pytest.approx(best, abs=1e-9)
    assert merged.bins.numeric_count <= max_bins
    assert np.all(t[inside] >= min_rows)
    assert np.all(e[inside] >= min_events)
    steps = np.sign(e[1:] * t[:-1] - e[:-1] * t[1:])[: merged.bins.numeric_count - 1].tolist()
    if merged.direction != "flat":
        assert SHAPES[merged.direction](steps)


def test_groups_map_fine_bins_to_merged_bins_and_keep_specials():
    fine = fine_of(4, specials=(-2.0, -1.0))
    merged = merge_bins(fine, [10, 10, 10, 10, 5, 5, 3], [1, 1, 6, 6, 1, 1, 1], max_bins=2)
    assert merged.bins == Bins(variable="v", edges=(2.0,), specials=(-2.0, -1.0))
    assert merged.groups.tolist() == [0, 0, 1, 1, 2, 3, 4]
    assert merged.groups.dtype == np.int16
    assert merged.direction == "up"
    assert merged.fold([1, 2, 3, 4, 5, 6, 7]).tolist() == [3, 7, 5, 6, 7]


def test_merged_bins_assign_like_fine_bins_and_groups():
    rng = np.random.default_rng(3)
    values = np.where(rng.random(5000) < 0.1, np.nan, rng.gamma(2.0, 100.0, 5000).round())
    y = (rng.random(5000) < 1 / (1 + np.exp(2 - np.nan_to_num(values) / 200))).astype(int)
    fine = fine_bins("v", values, specials=[0.0])
    merged = merge_bins(fine, fine.count(values), fine.count(values, y), min_rows=100)
    assert np.array_equal(merged.bins.assign(values), merged.groups[fine.assign(values)])
    assert np.array_equal(merged.bins.count(values, y), merged.fold(fine.count(values, y)))


def test_auto_takes_the_better_direction():
    fine = fine_of(3)
    assert merge_bins(fine, [50, 50, 50, 0], [30, 20, 10, 0]).direction == "down"
    assert merge_bins(fine, [50, 50, 50, 0], [10, 20, 30, 0]).direction == "up"
    assert merge_bins(fine, [50, 50, 50, 0], [20, 20, 20, 0]).direction == "flat"


def test_equal_rates_are_never_kept_apart():
    merged = merge_bins(fine_of(4), [10, 20, 10, 30, 0], [2, 4, 5, 15, 0], monotone="none")
    assert merged.groups.tolist() == [0, 0, 1, 1, 2]


def test_more_freedom_never_lowers_the_value():
    rng = np.random.default_rng(9)
    for _ in range(20):
        totals = rng.integers(1, 200, 33)
        events = rng.binomial(totals, rng.random(33))
        fine = fine_of(32)

        def value(fine=fine, totals=totals, events=events, **limits):
            merged = merge_bins(fine, totals, events, **limits)
            return bin_table(merged.bins, merged.fold(totals), merged.fold(events)).iv

        auto, valley, free = (value(monotone=m) for m in ("auto", "valley", "none"))
        assert value(monotone="down") <= valley + 1e-9
        assert auto <= free + 1e-9
        assert valley <= free + 1e-9
        assert value(monotone="auto", max_bins=3) <= auto + 1e-9


def test_minimum_that_cannot_be_met_gives_one_bin_and_says_so():
    merged = merge_bins(fine_of(3), [5, 5, 5, 2], [1, 2, 3, 1], min_rows=100)
    assert (merged.bins.edges, merged.direction, merged.satisfied) == ((), "flat", False)
    assert merged.groups.tolist() == [0, 0, 0, 1]


def test_counts_of_two_billion_rows_do_not_overflow():
    totals = [2**29, 2**29, 2**29, 0]
    merged = merge_bins(fine_of(3), totals, [2**28 + 2**20, 2**28, 2**28 - 2**20, 0], min_rows=1)
    assert merged.direction == "down"
    assert merged.bins.numeric_count == 3


BAD_COUNTS = [
    ([1, 1, 1], [1, 0, 0], "v must have one count for each of the 4 bins, got 3"),
    ([1, 1, 1, 0], [1, 2, 0, 0], "v: bin 2 has more events than rows"),
    ([1, 1, -1, 0], [1, 0, 0, 0], "v: counts per bin must be whole numbers, zero or more"),
    ([1, 1, 0.5, 0], [1, 0, 0, 0], "v: counts per bin must be whole numbers, zero or more"),
    ([1, 1, 1, 0], [0, 0, 0, 0], "v: weights need both classes, but 0 of 3 rows are events"),
    ([1, 1, 1, 0], [1, 1, 1, 0], "v: weights need both classes, but 3 of 3 rows are events"),
    ([2**31, 1, 1, 0], [1, 1, 1, 0], "v: at most 2147483648 rows, got 2147483650"),
]


@pytest.mark.parametrize(("totals", "events", "sentence"), BAD_COUNTS)
def test_impossible_counts_are_refused(totals, events, sentence):
    for call in (merge_bins, bin_table):
        with pytest.raises(DataError, match=sentence):
            call(fine_of(3), totals, events)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"max_bins": 0}, "max_bins must be at least 1, got 0"),
        ({"min_rows": -1}, "min_rows must be at least 0, got -1"),
        ({"min_events": -2}, "min_events must be at least 0, got -2"),
        (
            {"monotone": "sideways"},
            "monotone must be one of auto, up, down, none, valley, peak, got sideways",
        ),
    ],
)
def test_settings_are_checked(setting, sentence):
    with pytest.raises(DataError, match=sentence):
        merge_bins(fine_of(3), [1, 1, 1, 0], [1, 0, 0, 0], **setting)


def test_too_many_fine_bins_are_refused():
    with pytest.raises(DataError, match="fine bins must be from 1 to 256, got 300"):
        merge_bins(fine_of(300), [2] * 301, [1] * 301)
