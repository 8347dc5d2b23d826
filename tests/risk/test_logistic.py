"""Logistic regression against scikit-learn and numerical derivatives; refusals by name."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LogisticRegression

from tongzhou.errors import DataError
from tongzhou.risk.logistic import fit_logistic, log_likelihood, p_value, sigmoid


def sample(rows=2000, columns=5, seed=0, scales=None):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, columns)) @ (np.eye(columns) + 0.3 * rng.normal(size=(columns, columns)))
    logit = X @ rng.normal(size=columns) * 0.7 - 1.0
    y = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    return (X if scales is None else X * np.asarray(scales)), y


def sklearn_fit(X, y, l2):
    model = LogisticRegression(C=1 / l2 if l2 else np.inf, solver="newton-cholesky", tol=1e-12, max_iter=500)
    return model.fit(X, y)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), columns=st.integers(1, 8), l2=st.sampled_from([0.0, 0.1, 1.0, 50.0]))
def test_agrees_with_scikit_learn(seed, columns, l2):
    X, y = sample(600, columns, seed)
    ours, theirs = fit_logistic(X, y, l2=l2), sklearn_fit(X, y, l2)
    assert ours.coefficients == pytest.approx(theirs.coef_[0], abs=2e-6)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=2e-6)
    assert ours.probability(X) == pytest.approx(theirs.predict_proba(X)[:, 1], abs=1e-6)


def test_gradient_vanishes_and_standard_errors_are_the_inverse_hessian():
    X, y = sample()
    fit = fit_logistic(X, y)
    design = np.column_stack([np.ones(len(y)), X])
    chance = fit.probability(X)
    assert np.max(np.abs(design.T @ (chance - y))) < 1e-4
    covariance = np.linalg.inv((design.T * (chance * (1 - chance))) @ design)
    assert np.sqrt(np.diag(covariance)) == pytest.approx([fit.intercept_standard_error, *fit.standard_errors])


def test_p_values_are_the_normal_ones():
    X, y = sample(400)
    fit = fit_logistic(X, y)
    assert fit.z == pytest.approx(fit.coefficients / fit.standard_errors)
    assert fit.p_values == pytest.approx(2 * stats.norm.sf(np.abs(fit.z)))
    assert p_value(0.0) == 1.0
    assert p_value(-1.959963984540054) == pytest.approx(0.05)


def test_standard_errors_cover_the_truth():
    rng = np.random.default_rng(4)
    inside = 0
    for _ in range(200):
        X = rng.normal(size=(400, 1))
        y = rng.random(400) < 1 / (1 + np.exp(-(0.8 * X[:, 0] - 0.5)))
        fit = fit_logistic(X, y)
        inside += abs(fit.coefficients[0] - 0.8) < 1.96 * fit.standard_errors[0]
    assert 180 <= inside <= 199


def test_units_of_a_column_change_its_coefficient_only():
    plain, y = sample()
    scaled, _ = sample(scales=[1e9, 1e-7, 1, 1, 1e4])
    a, b = fit_logistic(plain, y), fit_logistic(scaled, y)
    assert b.coefficients * [1e9, 1e-7, 1, 1, 1e4] == pytest.approx(a.coefficients)
    assert b.p_values == pytest.approx(a.p_values)
    assert b.log_likelihood == pytest.approx(a.log_likelihood)


def test_offset_of_a_column_moves_the_intercept_only():
    X, y = sample()
    a, b = fit_logistic(X, y), fit_logistic(X + 1000, y)
    assert b.coefficients == pytest.approx(a.coefficients)
    assert b.intercept == pytest.approx(a.intercept - 1000 * a.coefficients.sum())
    assert b.logit(X + 1000) == pytest.approx(a.logit(X), abs=1e-6)


def test_few_steps_and_the_tolerance_counts():
    X, y = sample()
    assert fit_logistic(X, y).iterations <= 8
    assert fit_logistic(X, y, tolerance=1e-2).iterations < fit_logistic(X, y, tolerance=1e-10).iterations


def test_rare_events_settle():
    rng = np.random.default_rng(8)
    X = rng.normal(size=(50_000, 3))
    y = rng.random(50_000) < 1 / (1 + np.exp(-(X @ [1.5, -1.0, 0.5] - 8)))
    fit = fit_logistic(X, y)
    assert fit.coefficients == pytest.approx(sklearn_fit(X, y, 0.0).coef_[0], abs=1e-5)


def test_sigmoid_and_likelihood_at_the_ends():
    ends = np.array([-1e308, -745.0, 0.0, 745.0, 1e308])
    assert sigmoid(ends) == pytest.approx([0.0, 0.0, 0.5, 1.0, 1.0])
    assert log_likelihood(np.array([0.0, 0.0]), [0, 1]) == pytest.approx(2 * math.log(0.5))
    assert log_likelihood(np.array([800.0, -800.0]), [1, 0]) == pytest.approx(0.0)


class TestRefusals:
    def test_collinear_columns_are_named(self):
        X, y = sample(columns=4)
        X[:, 3] = X[:, 0] - 2 * X[:, 2]
        with pytest.raises(
            DataError, match="determine each other, so no single fit exists: limit, age, bill;"
        ):
            fit_logistic(X, y, names=["limit", "sex", "age", "bill"])
        assert np.isfinite(fit_logistic(X, y, l2=1.0).coefficients).all()

    def test_copy_of_a_column(self):
        X, y = sample(columns=2)
        with pytest.raises(DataError, match="column 1, column 3"):
            fit_logistic(np.column_stack([X, X[:, 0]]), y)

    @pytest.mark.parametrize("value", [0.0, 7.0, 0.1, -1e12])
    def test_constant_column_is_named(self, value):
        X, y = sample(columns=2)
        X[:, 1] = value
        with pytest.raises(DataError, match="age is constant, so it cannot explain anything; leave it out"):
            fit_logistic(X, y, names=["limit", "age"])

    def test_separated_labels_are_explained(self):
        X, _ = sample(columns=2)
        y = (X[:, 1] > 0.3).astype(int)
        with pytest.raises(DataError, match="leak tells labels apart without error"):
            fit_logistic(X, y, names=["limit", "leak"])
        assert np.isfinite(fit_logistic(X, y, l2=0.5).coefficients).all()

    def test_a_flag_that_only_events_carry(self):
        X, y = sample(columns=1)
        flag = np.zeros(len(y))
        flag[np.flatnonzero(y == 1)[:300]] = 1.0
        with pytest.raises(DataError, match="flag tells labels apart without error"):
            fit_logistic(np.column_stack([X, flag]), y, names=["limit", "flag"], max_iterations=200)

    @pytest.mark.parametrize("share", [0.5, 0.01, 0.001])
    def test_rare_flags_and_rare_events_are_not_mistaken_for_separation(self, share):
        rng = np.random.default_rng(2)
        X = np.column_stack([rng.normal(size=40_000), rng.random(40_000) < 0.005])
        y = rng.random(40_000) < np.where(X[:, 1] > 0, 0.3, share)
        assert fit_logistic(X, y).coefficients[1] == pytest.approx(
            math.log(0.3 / 0.7 * (1 - share) / share), abs=0.6
        )

    def test_no_convergence(self):
        X, y = sample()
        with pytest.raises(
            DataError, match="the regression did not settle in 1 steps; raise max_iterations or l2"
        ):
            fit_logistic(X, y, max_iterations=1)

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_values_must_be_finite(self, value):
        X, y = sample(columns=2)
        X[5, 1] = value
        with pytest.raises(DataError, match="column 2 holds missing or infinite values"):
            fit_logistic(X, y)

    @pytest.mark.parametrize(
        ("y", "sentence"),
        [
            ([0, 1, 2, 0], "label must be 0 or 1 in every row: 1 rows are neither, the first is row 3"),
            (
                [0, math.nan, 1, 0],
                "label must be 0 or 1 in every row: 1 rows are neither, the first is row 2",
            ),
            ([1, 1, 1, 1], "label must hold both 0 and 1: 4 of 4 rows are 1"),
            ([0, 0, 0, 0], "label must hold both 0 and 1: 0 of 4 rows are 1"),
            ([0, 1], "label must have 4 rows, got 2"),
        ],
    )
    def test_labels(self, y, sentence):
        with pytest.raises(DataError, match=sentence):
            fit_logistic(np.arange(8.0).reshape(4, 2) ** 2, y)

    def test_shapes_and_settings(self):
        X, y = sample(columns=2)
        with pytest.raises(DataError, match="needs a table with at least one column"):
            fit_logistic(X[:, 0], y)
        with pytest.raises(DataError, match="needs a table with at least one column"):
            fit_logistic(X[:, :0], y)
        with pytest.raises(DataError, match="2 columns were given with 1 names"):
            fit_logistic(X, y, names=["a"])
        with pytest.raises(DataError, match="l2 must be zero or above, got -1"):
            fit_logistic(X, y, l2=-1)
