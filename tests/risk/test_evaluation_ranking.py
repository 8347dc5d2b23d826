"""AUC, KS, Gini and their curves against scikit-learn, SciPy and pair counting; bootstrap intervals."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

from tongzhou.errors import DataError
from tongzhou.risk.evaluation import auc, bootstrap_intervals, gini, ks, ks_curve, roc_curve

labelled = st.lists(
    st.tuples(st.integers(0, 1), st.one_of(st.integers(-3, 3).map(float), st.floats(allow_nan=False))),
    min_size=2,
    max_size=60,
).filter(lambda rows: len({y for y, _ in rows}) == 2)


def split(rows):
    return np.array([y for y, _ in rows]), np.array([r for _, r in rows])


def sample(rows=3000, seed=0, noise=1.0, decimals=None):
    rng = np.random.default_rng(seed)
    y = (rng.random(rows) < 0.22).astype(int)
    risk = y + rng.normal(size=rows) * noise
    return y, risk if decimals is None else risk.round(decimals)


@given(labelled)
def test_auc_is_the_share_of_pairs_in_order(rows):
    y, risk = split(rows)
    pairs = [(a > b) + 0.5 * (a == b) for a in risk[y == 1] for b in risk[y == 0]]
    assert auc(y, risk) == pytest.approx(sum(pairs) / len(pairs), abs=1e-12)
    assert gini(y, risk) == pytest.approx(2 * auc(y, risk) - 1)


@given(labelled)
def test_reversing_the_order_mirrors_auc_and_keeps_ks(rows):
    y, risk = split(rows)
    assert auc(y, -risk) == pytest.approx(1 - auc(y, risk), abs=1e-12)
    assert ks(y, -risk) == pytest.approx(ks(y, risk), abs=1e-12)


@pytest.mark.parametrize("decimals", [None, 1, 0])
def test_agrees_with_scikit_learn_and_scipy(decimals):
    y, risk = sample(decimals=decimals)
    assert auc(y, risk) == pytest.approx(metrics.roc_auc_score(y, risk), abs=1e-12)
    assert ks(y, risk) == pytest.approx(stats.ks_2samp(risk[y == 1], risk[y == 0]).statistic, abs=1e-12)
    false_rate, true_rate, thresholds = metrics.roc_curve(y, risk, drop_intermediate=False)
    ours = roc_curve(y, risk)
    assert np.array_equal(ours.threshold, thresholds)
    assert ours.false_positive_rate == pytest.approx(false_rate)
    assert ours.true_positive_rate == pytest.approx(true_rate)


def test_known_values():
    assert auc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == 0.75
    assert ks([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]) == 0.5
    assert auc([0, 1], [3, 3]) == 0.5
    assert ks([0, 1], [3, 3]) == 0.0
    assert (auc([0, 1], [0, 1]), ks([0, 1], [0, 1])) == (1.0, 1.0)
    assert auc([0, 1], [-math.inf, math.inf]) == 1.0


def test_area_under_the_full_curve_is_auc():
    y, risk = sample(decimals=1)
    curve = roc_curve(y, risk)
    assert np.trapezoid(curve.true_positive_rate, curve.false_positive_rate) == pytest.approx(auc(y, risk))


def test_thinned_curves_keep_their_ends_and_their_distance():
    y, risk = sample()
    full, thin = roc_curve(y, risk), roc_curve(y, risk, points=50)
    assert full.threshold.size == 3001
    assert 40 <= thin.threshold.size <= 50
    assert (thin.true_positive_rate[0], thin.true_positive_rate[-1]) == (0.0, 1.0)
    curve = ks_curve(y, risk, points=50)
    assert curve.share.size <= 50
    assert curve.ks == ks(y, risk)
    assert curve.events[-1] == curve.others[-1] == curve.share[-1] == 1.0


def test_ks_curve_tells_where_the_distance_is():
    y, risk = sample()
    curve = ks_curve(y, risk)
    place = int(np.flatnonzero(curve.share == curve.at)[0])
    assert curve.events[place] - curve.others[place] == pytest.approx(curve.ks)
    above = risk >= curve.threshold
    assert above.mean() == pytest.approx(curve.at)
    assert above[y == 1].mean() - above[y == 0].mean() == pytest.approx(curve.ks)


class TestBootstrap:
    def test_values_are_the_plain_figures_and_lie_inside(self):
        y, risk = sample()
        result = bootstrap_intervals(y, {"only": risk}, repeats=200, seed=1)
        for metric, plain in (("auc", auc), ("gini", gini)):
            interval = result.metrics["only"][metric]
            assert interval.value == plain(y, risk)
            assert interval.low < interval.value < interval.high
        assert result.metrics["only"]["ks"].value == ks(y, risk)
        assert result.gains == {}

    def test_width_agrees_with_the_formula_of_hanley_and_mcneil(self):
        y, risk = sample(rows=4000)
        a = auc(y, risk)
        events, others = y.sum(), len(y) - y.sum()
        q1, q2 = a / (2 - a), 2 * a * a / (1 + a)
        error = math.sqrt(
            (a * (1 - a) + (events - 1) * (q1 - a * a) + (others - 1) * (q2 - a * a)) / (events * others)
        )
        interval = bootstrap_intervals(y, {"s": risk}, repeats=800, seed=2).metrics["s"]["auc"]
        assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.15)

    def test_gain_of_the_same_ranking_is_exactly_zero(self):
        y, risk = sample(rows=500)
        gain = bootstrap_intervals(y, {"a": risk, "b": 5 * risk + 1}, repeats=50).gains["b"]["auc"]
        assert (gain.value, gain.low, gain.high) == (0.0, 0.0, 0.0)

    def test_gain_is_narrower_than_the_difference_of_two_intervals(self):
        y, risk = sample()
        better = risk + 0.3 * y
        result = bootstrap_intervals(y, {"bank": risk, "joint": better}, repeats=300, seed=3)
        gain = result.gains["joint"]["auc"]
        assert gain.value == pytest.approx(auc(y, better) - auc(y, risk))
        assert 0 < gain.low < gain.value < gain.high
        single = result.metrics["bank"]["auc"]
        assert gain.high - gain.low < (single.high - single.low) / 2

    def test_seed_decides_and_level_widens(self):
        y, risk = sample(rows=400)
        one, again = (bootstrap_intervals(y, {"s": risk}, repeats=100, seed=7) for _ in range(2))
        assert one == again
        assert bootstrap_intervals(y, {"s": risk}, repeats=100, seed=8) != one
        narrow = bootstrap_intervals(y, {"s": risk}, repeats=100, seed=7, level=0.5).metrics["s"]["auc"]
        wide = one.metrics["s"]["auc"]
        assert wide.low < narrow.low < narrow.high < wide.high

    def test_two_rows_are_enough(self):
        interval = bootstrap_intervals([0, 1], {"s": [1.0, 2.0]}, repeats=10).metrics["s"]["auc"]
        assert (interval.low, interval.high) == (1.0, 1.0)

    def test_five_hundred_repeats_take_seconds_at_most(self):
        y, risk = sample(rows=20_000)
        sets = {"a": risk, "b": risk.round(2), "c": -risk}
        start = time.process_time()
        bootstrap_intervals(y, sets, repeats=500)
        assert time.process_time() - start < 4

    @pytest.mark.parametrize("setting", [{"repeats": 1}, {"level": 0.0}, {"level": 1.0}])
    def test_settings(self, setting):
        with pytest.raises(DataError, match="repeats must be at least 2 and level between 0 and 1, got"):
            bootstrap_intervals([0, 1], {"s": [1, 2]}, **setting)

    def test_names_of_bad_rankings(self):
        with pytest.raises(DataError, match="at least one ranking is needed for intervals"):
            bootstrap_intervals([0, 1], {})
        with pytest.raises(DataError, match="joint must have 2 rows, got 3"):
            bootstrap_intervals([0, 1], {"bank": [1, 2], "joint": [1, 2, 3]})


@pytest.mark.parametrize("call", [auc, ks, gini, roc_curve, ks_curve])
@pytest.mark.parametrize(
    ("y", "risk", "sentence"),
    [
        ([0, 1, 1], [1.0, math.nan, math.nan], "risk is missing in 2 rows, the first is row 2"),
        ([0, 1], [1.0], "risk must have 2 rows, got 1"),
        ([1, 1], [1.0, 2.0], "label must hold both 0 and 1: 2 of 2 rows are 1"),
        ([], [], "label must hold both 0 and 1: 0 of 0 rows are 1"),
        ([0, 2], [1.0, 2.0], "label must be 0 or 1 in every row: 1 rows are neither"),
    ],
)
def test_bad_input(call, y, risk, sentence):
    with pytest.raises(DataError, match=sentence):
        call(y, risk)


def test_a_curve_of_one_point_is_refused():
    with pytest.raises(DataError, match="a curve needs at least 2 points, got 1"):
        roc_curve(*sample(), points=1)


@settings(max_examples=30)
@given(labelled, st.integers(2, 10))
def test_thinning_never_leaves_the_curve(rows, points):
    y, risk = split(rows)
    full, thin = roc_curve(y, risk), roc_curve(y, risk, points=points)
    assert set(thin.threshold.tolist()) <= set(full.threshold.tolist())
