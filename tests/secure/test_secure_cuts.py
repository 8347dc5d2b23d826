"""An owner's columns in bins: about equal, in order, and the same for new rows as for old ones."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tongzhou.secure.cuts import MISSING, Cuts, bin_rows, cut_columns

FLOATS = st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.integers(-4, 4).map(float))


@settings(max_examples=400, deadline=None)
@example(values=[0.0, 1.0, 1.0, 2.0, 2.0, -1.0], bins=4)
@given(values=st.lists(FLOATS, min_size=1, max_size=80), bins=st.integers(4, 16))
def test_bins_keep_the_order_and_the_number(values: list[float], bins: int) -> None:
    column = np.array(values)
    (cuts,) = cut_columns(column[:, np.newaxis], bins)
    assert list(cuts.edges) == sorted(set(cuts.edges))
    assert len(cuts.edges) <= bins - 2
    codes = cuts.codes(column)
    assert (codes[np.isnan(column)] == MISSING).all()
    known = ~np.isnan(column)
    assert (codes[known] > MISSING).all()
    assert (codes < bins).all()
    order = np.argsort(column[known], kind="stable")
    assert (np.diff(codes[known][order].astype(int)) >= 0).all()


@settings(max_examples=100, deadline=None)
@given(values=st.lists(FLOATS, min_size=2, max_size=60), bins=st.integers(4, 12))
def test_a_threshold_divides_rows_as_the_bins_do(values: list[float], bins: int) -> None:
    column = np.array(values)
    (cuts,) = cut_columns(column[:, np.newaxis], bins)
    codes = cuts.codes(column)
    assert cuts.threshold(MISSING) is None
    known = ~np.isnan(column)
    for code in range(1, len(cuts.edges) + 1):
        assert ((column[known] <= cuts.threshold(code)) == (codes[known] <= code)).all()
    # Beyond the last edge everything finite goes left.
    assert cuts.threshold(bins - 1) == np.finfo(np.float64).max


def test_few_values_have_a_bin_each() -> None:
    (cuts,) = cut_columns(np.array([[3.0], [1.0], [2.0], [1.0]]), 8)
    assert cuts.edges == (1.5, 2.5)


def test_continuous_columns_have_bins_of_about_equal_size() -> None:
    values = np.random.default_rng(1).lognormal(size=(10_000, 1))
    codes = bin_rows(cut_columns(values, 32), values)[0]
    sizes = np.bincount(codes, minlength=32)
    assert sizes[MISSING] == 0
    assert sizes[1:].min() > 300
    assert sizes[1:].max() < 340


def test_a_frequent_value_does_not_cost_the_others_their_bins() -> None:
    source = np.random.default_rng(2)
    values = np.where(source.random(10_000) < 0.7, 0.0, source.normal(size=10_000))
    codes = cut_columns(values[:, np.newaxis], 32)[0].codes(values)
    sizes = np.sort(np.bincount(codes, minlength=32))[::-1]
    assert sizes[0] > 6900
    assert sizes[1] < 200
    assert (sizes > 0).sum() >= 29


@pytest.mark.parametrize("values", [[np.nan, np.nan], [5.0, 5.0], [1.0, np.nan]])
def test_columns_without_anything_to_cut(values: list[float]) -> None:
    (cuts,) = cut_columns(np.array(values)[:, np.newaxis], 4)
    assert cuts == Cuts(())
    assert set(cuts.codes(np.array(values)).tolist()) <= {MISSING, 1}


def test_neighbours_without_a_number_between_them() -> None:
    low = 1.0
    high = np.nextafter(low, 2)
    (cuts,) = cut_columns(np.array([[low], [high]]), 4)
    assert cuts.codes(np.array([low, high])).tolist() == [1, 2]
