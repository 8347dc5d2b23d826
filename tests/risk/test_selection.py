"""Selection keeps what it should, in a stable order, and gives a sentence for each variable dropped."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.errors import DataError
from tongzhou.risk.selection import (
    Candidate,
    Dropped,
    drop_correlated,
    fit_with_signs,
    select_variables,
    wrong_signs,
)

REPAY = Candidate("repay_1", 0.86, owner="cardnet")
LIMIT = Candidate("limit", 0.18, owner="bank")
SEX = Candidate("sex", 0.009)
LEAK = Candidate("leak", 5.1)
FLAT = Candidate("flat", 0.5, bins=1)


def reasons(selection):
    return {d.name: (d.rule, d.reason) for d in selection.dropped}


def test_best_first_and_the_rest_explained():
    selection = select_variables([SEX, LIMIT, FLAT, LEAK, REPAY], max_iv=3.0)
    assert selection.names == ["repay_1", "limit"]
    assert reasons(selection) == {
        "sex": ("min_iv", "its IV 0.009 is below 0.02"),
        "leak": ("max_iv", "its IV 5.1 is above 3.0: too good to be true, look for a leak of the label"),
        "flat": ("single_bin", "all its values share one bin"),
    }


def test_limit_keeps_the_best():
    selection = select_variables([LIMIT, REPAY, LEAK], limit=2)
    assert selection.names == ["leak", "repay_1"]
    assert reasons(selection) == {"limit": ("limit", "2 variables with a higher IV are kept already")}


def test_a_variable_at_the_border_is_kept():
    assert select_variables([Candidate("v", 0.02)]).names == ["v"]


@given(st.lists(st.tuples(st.text(max_size=3), st.sampled_from([0.0, 0.1, 0.2])), unique_by=lambda t: t[0]))
def test_order_of_candidates_does_not_matter(pairs):
    candidates = [Candidate(*pair) for pair in pairs]
    one, two = select_variables(candidates, limit=2), select_variables(candidates[::-1], limit=2)
    assert one == two
    assert len(one.kept) + len(one.dropped) == len(pairs)


@pytest.mark.parametrize("iv", [-0.1, math.nan, math.inf])
def test_values_are_checked(iv):
    with pytest.raises(DataError, match="the IV of v must be zero or more"):
        select_variables([Candidate("v", iv)])


def test_names_are_unique():
    with pytest.raises(DataError, match="the variable limit is a candidate twice"):
        select_variables([LIMIT, LIMIT])


class TestCorrelation:
    def columns(self):
        rng = np.random.default_rng(0)
        a, b = rng.normal(size=(2, 500))
        return np.column_stack([a, b, -a + 0.1 * rng.normal(size=500)])

    def test_the_weaker_of_two_alike_is_dropped_and_names_its_rival(self):
        selection = drop_correlated([LIMIT, SEX, REPAY], self.columns())
        assert selection.names == ["repay_1", "sex"]
        rule, reason = reasons(selection)["limit"]
        assert rule == "correlation"
        assert reason.startswith("correlates at 0.99")
        assert reason.endswith("with repay_1, which has the higher IV")

    def test_threshold(self):
        assert len(drop_correlated([LIMIT, SEX, REPAY], self.columns(), threshold=1.0).kept) == 3
        assert drop_correlated([LIMIT, SEX, REPAY], self.columns(), threshold=1e-9).names == ["repay_1"]

    def test_a_constant_column_correlates_with_nothing(self):
        columns = self.columns()
        columns[:, 1] = 3.0
        assert "sex" in drop_correlated([LIMIT, SEX, REPAY], columns).names

    def test_refusals(self):
        with pytest.raises(DataError, match="there must be a column for each of 2 variables"):
            drop_correlated([LIMIT, SEX], self.columns())
        with pytest.raises(DataError, match="correlations need finite numbers in every row"):
            drop_correlated([LIMIT, SEX, REPAY], self.columns() * math.nan)
        with pytest.raises(DataError, match="the correlation threshold must be above 0 and at most 1, got 0"):
            drop_correlated([LIMIT, SEX, REPAY], self.columns(), threshold=0)


class TestSigns:
    def data(self):
        """Columns a and b that raise the risk, and one that does so alone but corrects a beside it."""
        rng = np.random.default_rng(1)
        a, b, other = rng.normal(size=(3, 4000))
        y = rng.random(4000) < 1 / (1 + np.exp(1 - a - 0.8 * b + 0.5 * other))
        return np.column_stack([a, b, 2 * a + other]), y

    def test_worst_first(self):
        assert wrong_signs(["a", "b", "c", "d"], [0.5, -0.1, 0.0, -2.0]) == ["d", "b", "c"]
        assert wrong_signs(["a"], [math.nan]) == ["a"]
        with pytest.raises(DataError, match="2 columns were given with 1 names"):
            wrong_signs(["a"], [1.0, 2.0])

    def test_variables_leave_until_all_signs_are_right(self):
        X, y = self.data()
        alone, _ = fit_with_signs(X[:, 2:], y, ["corrects"])
        assert alone.coefficients[0] > 0
        fit, dropped = fit_with_signs(X, y, ["a", "b", "corrects"])
        assert fit.names == ("a", "b")
        assert np.all(fit.coefficients > 0)
        assert [(d.name, d.rule) for d in dropped] == [("corrects", "sign")]
        assert "is not positive: it only corrects other variables" in dropped[0].reason

    def test_weak_effects_leave_when_asked(self):
        X, y = self.data()
        weak = np.random.default_rng(3).normal(size=4000) + 0.06 * y
        X = np.column_stack([X[:, :2], weak])
        fit, dropped = fit_with_signs(X, y, ["a", "b", "weak"])
        assert (fit.names, dropped) == (("a", "b", "weak"), ())
        strict, dropped = fit_with_signs(X, y, ["a", "b", "weak"], max_p_value=1e-6)
        assert strict.names == ("a", "b")
        assert dropped[0].rule == "p_value"
        assert dropped[0].reason.endswith("is above 1e-06")

    def test_nothing_left(self):
        X, y = self.data()
        with pytest.raises(
            DataError, match="no variable has a positive and strong enough effect; 1 were tried"
        ):
            fit_with_signs(-X[:, :1], y, ["a"])


def test_dropped_is_json_and_translatable():
    dropped = select_variables([SEX]).dropped[0]
    assert msgspec.json.decode(msgspec.json.encode(dropped), type=Dropped) == dropped
    assert dropped.template == "its IV {iv} is below {min_iv}"
