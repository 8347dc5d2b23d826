"""Weights of evidence and information value against figures worked out by hand."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.risk.binning import SMOOTHING, Bins, BinTable, bin_table

TWO = Bins(variable="v", edges=(0.0,))


def test_textbook_example():
    # 100 events, 900 others; bin 1: 20 of 400, bin 2: 60 of 500, missing: 20 of 100
    table = bin_table(TWO, [400, 500, 100], [20, 60, 20])
    expected = [
        math.log((20 / 100) / (380 / 900)),
        math.log((60 / 100) / (440 / 900)),
        math.log(0.2 / (80 / 900)),
    ]
    assert table.woe == pytest.approx(expected, abs=1e-15)
    assert table.iv_parts[0] == pytest.approx((20 / 100 - 380 / 900) * expected[0], abs=1e-15)
    assert table.iv == pytest.approx(sum(table.iv_parts))
    assert table.rate == (0.05, 0.12, 0.2)
    assert table.woe[0] < 0 < table.woe[1], "riskier than average is positive"


def test_bin_without_one_class_is_smoothed_by_half_a_row():
    table = bin_table(TWO, [10, 90, 0], [0, 30, 0])
    assert table.woe[0] == pytest.approx(math.log((0.5 / 30) / (10.5 / 70)))
    assert table.smoothing == SMOOTHING == 0.5
    assert table.woe[1] == pytest.approx(math.log((30 / 30) / (60 / 70)))


def test_empty_bins_weigh_nothing():
    table = bin_table(Bins(variable="v", specials=(-1.0,)), [10, 0, 0], [4, 0, 0])
    assert table.woe[1:] == (0.0, 0.0)
    assert table.rate == (0.4, 0.0, 0.0)
    assert table.iv == pytest.approx(0.0, abs=1e-15)


def test_small_special_bins_can_be_made_neutral_but_numeric_bins_keep_their_weight():
    bins = Bins(variable="v", edges=(0.0,), specials=(-1.0,))
    table = bin_table(bins, [5, 90, 3, 40], [3, 20, 3, 20], neutral_below=10)
    assert table.woe[0] > 0
    assert table.woe[2] == 0.0
    assert table.woe[3] > 0


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=3, max_size=3).filter(
        lambda pairs: sum(e for e, _ in pairs) > 0 and sum(n for _, n in pairs) > 0
    )
)
def test_parts_are_never_negative_and_all_finite(pairs):
    events = np.array([e for e, _ in pairs])
    totals = events + np.array([n for _, n in pairs])
    table = bin_table(TWO, totals, events)
    assert all(part >= 0 for part in table.iv_parts)
    assert all(map(math.isfinite, table.woe))


@given(
    st.lists(st.tuples(st.integers(1, 500), st.integers(1, 500)), min_size=3, max_size=3), st.integers(2, 50)
)
def test_value_does_not_depend_on_the_size_of_the_table(pairs, factor):
    events = np.array([e for e, _ in pairs])
    totals = events + np.array([n for _, n in pairs])
    small, large = bin_table(TWO, totals, events), bin_table(TWO, totals * factor, events * factor)
    assert small.iv == pytest.approx(large.iv, abs=1e-12)


def test_table_is_json():
    table = bin_table(TWO, [400, 500, 100], [20, 60, 20])
    assert msgspec.json.decode(msgspec.json.encode(table), type=BinTable) == table
