"""Fine bins: equal size, ties together, round cut points, same for any order."""

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tongzhou.errors import DataError
from tongzhou.risk.binning import Bins, fine_bins

columns = st.lists(st.one_of(st.floats(), st.integers(-5, 5).map(float)), max_size=80)


@given(values=columns, limit=st.integers(1, 40))
@example(values=[5e-324, 0.0, -5e-324], limit=32)
@example(values=[1e308, 1.7e308, -1e308], limit=32)
def test_bins_separate_only_different_values_and_respect_the_limit(values, limit):
    bins = fine_bins("v", values, limit=limit)
    assert bins.numeric_count <= limit
    counts = bins.count(values)
    assert counts.sum() == len(values)
    if len(bins.edges):
        assert np.all(counts[: bins.numeric_count] > 0), "an empty fine bin says nothing"


@given(values=columns, limit=st.integers(1, 40), seed=st.integers(0, 9))
def test_order_of_rows_does_not_matter(values, limit, seed):
    shuffled = np.random.default_rng(seed).permutation(np.array(values, dtype=np.float64))
    assert fine_bins("v", values, limit=limit) == fine_bins("v", shuffled, limit=limit)


@given(values=st.lists(st.integers(-8, 8).map(float), min_size=1, max_size=60))
def test_few_values_get_a_bin_each(values):
    bins = fine_bins("v", values, limit=32)
    assert bins.numeric_count == len(set(values))


def test_sizes_are_nearly_equal_without_ties():
    values = np.random.default_rng(1).normal(size=32_000)
    counts = fine_bins("v", values, limit=32).count(values)[:-1]
    assert len(counts) == 32
    assert counts.min() >= 740
    assert counts.max() <= 1260


def test_cuts_move_a_little_to_be_round():
    values = np.random.default_rng(1).gamma(2.0, 50_000.0, 20_000)
    edges = fine_bins("v", values, limit=16).edges
    assert all(edge % 1000 == 0 for edge in edges)
    assert not set(edges) & set(values.tolist())


def test_a_value_that_holds_half_of_the_rows_stands_alone():
    values = np.concatenate([np.zeros(500), np.linspace(-9, -1, 40), np.linspace(1, 9, 460)])
    bins = fine_bins("v", values, limit=10)
    counts = bins.count(values)
    assert counts[bins.assign_one(0.0)] == 500


@given(before=st.integers(0, 900), rows=st.integers(201, 260))
def test_a_value_that_fills_two_bins_stands_alone_though_rounder_cuts_are_near(before, rows):
    others = 1000 - rows
    before = min(before, others)
    below, above = np.linspace(1, 18, before), np.linspace(18.5, 40, others - before)
    values = np.concatenate([np.full(rows, 18.37), below, above])
    bins = fine_bins("v", values, limit=10)
    assert bins.count(values)[bins.assign_one(18.37)] == rows


def test_special_values_do_not_move_the_cut_points():
    values = np.arange(1.0, 101.0)
    padded = np.concatenate([values, np.full(5000, -1.0), np.full(70, np.nan)])
    plain = fine_bins("v", values, limit=8)
    special = fine_bins("v", padded, limit=8, specials=[-1])
    assert special == Bins(variable="v", edges=plain.edges, specials=(-1.0,))
    assert special.count(padded)[special.numeric_count :].tolist() == [5000, 70]


@pytest.mark.parametrize(
    ("low", "high", "cut"),
    [
        (23456.0, 31234.0, 30000.0),
        (1.0, 2.0, 1.0),
        (-1.0, 0.0, -1.0),
        (0.0, 1.0, 0.0),
        (-5.0, 3.0, 0.0),
        (20.5, 47.0, 30.0),
        (0.1234, 0.1267, 0.125),
        (0.29999, 0.30001, 0.3),
        (1e-9, 2e-9, 1e-9),
        (5e-324, 1e-323, 5e-324),
    ],
)
def test_cut_is_the_roundest_number_between(low, high, cut):
    assert fine_bins("v", [low, high]).edges == (cut,)


@given(low=st.floats(allow_nan=False, allow_infinity=False), steps=st.integers(1, 3))
def test_cut_separates_even_neighbouring_floats(low, steps):
    high = low
    for _ in range(steps):
        high = math.nextafter(high, math.inf)
    if math.isinf(high) or low == high:
        return
    (cut,) = fine_bins("v", [low, high]).edges
    assert low <= cut < high


@pytest.mark.parametrize("values", [[], [math.nan] * 3, [math.inf, -math.inf]])
def test_column_without_numbers_gets_one_bin(values):
    assert fine_bins("v", np.array(values, dtype=np.float64)) == Bins(variable="v")


@pytest.mark.parametrize("limit", [0, -1, 257])
def test_limit_is_checked(limit):
    with pytest.raises(DataError, match=f"fine bins must be from 1 to 256, got {limit}"):
        fine_bins("v", [1.0], limit=limit)
