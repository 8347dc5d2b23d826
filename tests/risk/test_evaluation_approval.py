"""Approvals, swap sets, score bands and calibration against counting by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from tongzhou.errors import DataError
from tongzhou.risk.evaluation import (
    approval_at_bad_rate,
    approved,
    bad_rate_at_approval,
    brier,
    calibration,
    score_distribution,
    swap_set,
)

Y = [0, 0, 1, 0, 1, 0, 1, 1, 0, 0]
OLD = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
NEW = [1, 2, 9, 3, 8, 4, 7, 10, 5, 6]
MONEY = [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]


def test_least_risky_are_approved_and_ties_by_row():
    assert np.flatnonzero(approved([3, 1, 2, 1], 0.5)).tolist() == [1, 3]
    assert np.flatnonzero(approved([1, 1, 1, 1], 0.5)).tolist() == [0, 1]
    assert approved([1, 2, 3], 1.0).all()
    assert approved([5, 5, 5], 0.5).sum() == 2, "half of three rounds up"


def test_bad_rate_at_approval():
    assert bad_rate_at_approval(Y, OLD, 0.5) == 2 / 5
    assert bad_rate_at_approval(Y, NEW, 0.5) == 0 / 5
    assert bad_rate_at_approval(Y, NEW, 1.0) == 4 / 10


def test_approval_at_bad_rate():
    assert approval_at_bad_rate(Y, NEW, 0.0) == 0.6
    assert approval_at_bad_rate(Y, OLD, 0.0) == 0.2
    assert approval_at_bad_rate(Y, OLD, 0.4) == 1.0
    assert approval_at_bad_rate([1, 0], [1, 2], 0.1) == 0.0
    assert approval_at_bad_rate([1, 0, 0], [1, 1, 2], 0.4) == 1.0
    with pytest.raises(DataError, match=r"the bad rate must be from 0 to 1, got 1.5"):
        approval_at_bad_rate(Y, OLD, 1.5)


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=2, max_size=40), st.floats(0, 1))
def test_approval_at_bad_rate_is_the_largest_allowed(rows, rate):
    y, risk = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    if len(set(y.tolist())) < 2:
        return
    allowed = [(risk <= t).mean() for t in set(risk.tolist()) if y[risk <= t].mean() <= rate]
    assert approval_at_bad_rate(y, risk, rate) == max(allowed, default=0.0)


class TestSwapSet:
    def test_counts_rates_and_money_by_hand(self):
        swap = swap_set(Y, OLD, NEW, 0.5, MONEY)
        # the old one approves rows 1-5, the new one rows 1, 2, 4, 6, 9
        assert (swap.both.rows, swap.both.events, swap.both.exposure) == (3, 0, 70.0)
        assert (swap.swap_in.rows, swap.swap_in.events, swap.swap_in.exposure) == (2, 0, 150.0)
        assert (swap.swap_out.rows, swap.swap_out.events, swap.swap_out.bad_exposure) == (2, 2, 80.0)
        assert (swap.neither.rows, swap.neither.events) == (3, 2)
        assert (swap.old.bad_rate, swap.new.bad_rate) == (0.4, 0.0)
        assert swap.avoided_loss == 80.0

    def test_without_money(self):
        swap = swap_set(Y, OLD, NEW, 0.5)
        assert swap.avoided_loss is None
        assert swap.swap_in.exposure is None

    def test_same_ranking_swaps_no_one(self):
        swap = swap_set(Y, OLD, OLD, 0.3, MONEY)
        assert swap.swap_in.rows == swap.swap_out.rows == 0
        assert swap.swap_in.bad_rate == 0.0
        assert swap.avoided_loss == 0.0

    @given(st.integers(0, 1000), st.floats(0.1, 1.0))
    def test_groups_add_up(self, seed, approval):
        rng = np.random.default_rng(seed)
        y = np.array([0, 1, *rng.integers(0, 2, 30)])
        old, new, money = rng.integers(0, 9, 32), rng.integers(0, 9, 32), rng.random(32)
        swap = swap_set(y, old, new, approval, money)
        assert swap.swap_in.rows == swap.swap_out.rows
        assert swap.old.rows == swap.new.rows == swap.both.rows + swap.swap_in.rows
        groups = (swap.both, swap.swap_in, swap.swap_out, swap.neither)
        assert sum(g.rows for g in groups) == 32
        assert sum(g.events for g in groups) == y.sum()
        assert swap.avoided_loss == pytest.approx(swap.swap_out.bad_exposure - swap.swap_in.bad_exposure)
        assert swap.new.bad_rate == bad_rate_at_approval(y, new, approval)

    @pytest.mark.parametrize("money", [[-1, *MONEY[1:]], [math.nan, *MONEY[1:]]])
    def test_exposure_is_checked(self, money):
        with pytest.raises(DataError, match="exposure must be zero or more in every row"):
            swap_set(Y, OLD, NEW, 0.5, money)

    def test_lengths(self):
        with pytest.raises(DataError, match="new must have 10 rows, got 9"):
            swap_set(Y, OLD, NEW[1:], 0.5)
        with pytest.raises(DataError, match="exposure must have 10 rows, got 1"):
            swap_set(Y, OLD, NEW, 0.5, [1])


@pytest.mark.parametrize(
    ("approval", "sentence"),
    [
        (0.0, "the share approved must be above 0 and at most 1, got 0.0"),
        (1.1, "the share approved must be above 0 and at most 1, got 1.1"),
        (math.nan, "the share approved must be above 0 and at most 1, got nan"),
        (0.01, "a share of 0.01 approves none of 10 rows"),
    ],
)
def test_share_is_checked(approval, sentence):
    for call in (lambda: approved(OLD, approval), lambda: bad_rate_at_approval(Y, OLD, approval)):
        with pytest.raises(DataError, match=sentence):
            call()


def test_missing_risk_is_refused():
    with pytest.raises(DataError, match="risk is missing in 1 rows, the first is row 2"):
        approved([1.0, math.nan], 0.5)


class TestScoreDistribution:
    @given(
        st.lists(
            st.one_of(st.floats(-1e6, 1e6), st.integers(-9, 9).map(lambda i: i / 10)), min_size=2, max_size=40
        ),
        st.integers(2, 30),
    )
    def test_every_row_lies_in_its_band(self, scores, bands):
        y = [0, 1] * (len(scores) // 2) + [0] * (len(scores) % 2)
        found = score_distribution(y, scores, bands=bands)
        assert len(found) <= max(bands, 3)
        numbers = np.array(scores)
        for band in found:
            inside = (numbers >= band.low) & (numbers < band.high)
            assert band.rows == inside.sum()
            assert band.events == np.array(y)[inside].sum()
        assert sum(band.rows for band in found) == len(scores)

    def test_bands_are_round(self):
        bands = score_distribution([0, 1, 0, 1], [503, 551, 617, 698], bands=12)
        assert [band.low for band in bands] == list(range(500, 700, 20))
        assert bands[2].bad_rate == 1.0

    def test_equal_scores(self):
        (band,) = [b for b in score_distribution([0, 1], [600, 600]) if b.rows]
        assert band.low <= 600 < band.high
        assert (band.rows, band.events, band.bad_rate) == (2, 1, 0.5)

    def test_refusals(self):
        for bad in (math.inf, math.nan, -1e200):
            with pytest.raises(DataError, match="score must be finite in every row"):
                score_distribution([0, 1], [1.0, bad])
        with pytest.raises(DataError, match="bands must be at least 2, got 1"):
            score_distribution([0, 1], [1.0, 2.0], bands=1)


class TestProbabilities:
    def test_brier_agrees_with_scikit_learn(self):
        rng = np.random.default_rng(0)
        p = rng.random(500)
        y = (rng.random(500) < p).astype(int)
        assert brier(y, p) == pytest.approx(metrics.brier_score_loss(y, p))

    def test_calibrated_predictions_lie_on_the_diagonal(self):
        rng = np.random.default_rng(1)
        p = rng.random(200_000)
        y = rng.random(200_000) < p
        bands = calibration(y, p)
        assert [band.rows for band in bands] == [20_000] * 10
        for band in bands:
            assert band.observed == pytest.approx(band.predicted, abs=0.015)

    def test_bands_add_up_with_ties(self):
        y, p = [0, 1, 1, 0, 1], [0.2, 0.2, 0.2, 0.7, 0.7]
        bands = calibration(y, p, bands=4)
        assert [(band.rows, band.predicted) for band in bands] == [
            (3, pytest.approx(0.2)),
            (2, pytest.approx(0.7)),
        ]
        assert bands[0].observed == pytest.approx(2 / 3)

    @pytest.mark.parametrize("p", [[0.5, 1.5], [-0.1, 0.5], [math.nan, 0.5]])
    def test_probabilities_are_checked(self, p):
        for call in (brier, calibration):
            with pytest.raises(DataError, match="probability must be from 0 to 1 in every row"):
                call([0, 1], p)

    def test_number_of_bands(self):
        with pytest.raises(DataError, match="bands must be at least 1, got 0"):
            calibration([0, 1], [0.1, 0.2], bands=0)
