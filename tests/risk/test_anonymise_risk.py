"""Risk of being told apart: closed forms, samples of known populations, and Pitman's process itself."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.errors import DataError
from tongzhou.risk.anonymise_risk import THRESHOLDS, inverse_population, measure_risk, population_uniques


def test_the_prosecutor_counts_who_looks_alike_in_the_table():
    """Classes of 1, 2, 5 and 12 rows."""
    risk = measure_risk(np.array([1, 2, 5, 12]))
    assert (risk.rows, risk.classes, risk.smallest, risk.unique) == (20, 4, 1, 0.05)
    assert (risk.prosecutor.highest, risk.prosecutor.mean) == (1.0, 4 / 20)
    assert THRESHOLDS == (0.5, 0.2, 0.1, 0.05)
    assert risk.prosecutor.above == (1 / 20, 3 / 20, 8 / 20, 1.0)
    assert risk.marketer == pytest.approx(4 / 20)
    assert (risk.population, risk.unique_in_population) == (20, 0.05)


def test_a_table_that_is_the_population_leaves_the_journalist_no_better_off():
    risk = measure_risk(np.array([3, 4]), 7)
    assert risk.journalist == risk.prosecutor
    assert risk.marketer == risk.prosecutor.mean


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=20), times=st.integers(1, 1000))
def test_prosecutor_journalist_marketer_stand_in_this_order(sizes, times):
    """El Emam: who manages the prosecutor's risk manages the others' too."""
    risk = measure_risk(np.array(sizes), sum(sizes) * times)
    assert risk.prosecutor.highest >= risk.journalist.highest - 1e-12
    assert risk.journalist.highest >= risk.marketer - 1e-12
    assert risk.prosecutor.mean >= risk.journalist.mean - 1e-12


@pytest.mark.parametrize("share", [0.001, 0.1, 0.4, 0.5, 0.51, 0.9, 0.999])
def test_lone_rows_and_pairs_have_closed_forms(share):
    """Integrals by hand: p ln(1/p) / (1-p), and p (1 - p + p ln p) / (1-p)^2."""
    rest = 1 - share
    one, two = inverse_population(np.array([1, 2]), share)
    assert one == pytest.approx(share * math.log(1 / share) / rest, rel=1e-9)
    assert two == pytest.approx(share * (rest + share * math.log(share)) / rest**2, rel=1e-6)


@pytest.mark.parametrize(
    ("size", "share"), [(1, 0.05), (3, 0.3), (40, 0.5), (199, 0.2), (201, 0.2), (7, 0.8), (500, 0.6)]
)
def test_the_mean_is_that_of_populations_drawn(size, share):
    """The population given f rows is f and a negative binomial number of others."""
    drawn = size + np.random.default_rng(size).negative_binomial(size, share, 200_000)
    (mean,) = inverse_population(np.array([size]), share)
    assert mean == pytest.approx((1 / drawn).mean(), rel=0.01)


def test_the_mean_has_no_jump_where_the_way_to_it_changes():
    for share in (0.1, 0.499999, 0.7):
        values = inverse_population(np.arange(195, 210), share)
        steps = np.diff(values) / values[:-1]
        assert np.all(steps < 0)
        assert np.abs(np.diff(steps)).max() < 1e-4
    below, above = (inverse_population(np.array([5]), share)[0] for share in (0.4999999, 0.5000001))
    assert below == pytest.approx(above, rel=1e-5)


def pitman(rows, theta, alpha, seed):
    """Classes of a population by Pitman's process: the next one is new, or joins a class by its size."""
    random = np.random.default_rng(seed)
    of, sizes, classes = np.empty(rows, dtype=np.int64), np.zeros(rows), 0
    for row in range(rows):
        if random.random() < (theta + alpha * classes) / (theta + row):
            of[row], sizes[classes] = classes, 1
            classes += 1
            continue
        while True:
            joined = of[random.integers(row)]
            if random.random() < (sizes[joined] - alpha) / sizes[joined]:
                break
        of[row] = joined
        sizes[joined] += 1
    return of


@pytest.mark.parametrize(("theta", "alpha"), [(50.0, 0.3), (300.0, 0.5), (5.0, 0.7)])
def test_uniques_of_a_population_are_estimated_from_a_sample(theta, alpha):
    of = pitman(30_000, theta, alpha, seed=1)
    truth = np.count_nonzero(np.bincount(of) == 1)
    sample = np.bincount(of[np.random.default_rng(2).permutation(of.size)[:6_000]])
    found = population_uniques(sample[sample > 0], of.size)
    assert found == pytest.approx(truth, rel=0.2)


@pytest.mark.parametrize("sizes", [[1, 1, 1], [3, 3], [1, 3, 3], [1], [2]])
def test_without_lone_rows_and_pairs_there_is_no_fit(sizes):
    found = population_uniques(np.array(sizes), 1000)
    assert found == (0.0 if 1 not in sizes else None)
    risk = measure_risk(np.array(sizes), 1000)
    assert risk.unique_in_population == found


def test_an_estimate_never_exceeds_the_lone_rows_of_the_table():
    sizes = np.array([1] * 50 + [2] * 3 + [40])
    risk = measure_risk(sizes, 10_000)
    assert 0 < risk.unique_in_population <= risk.unique


def test_what_cannot_be_measured_is_a_sentence():
    with pytest.raises(DataError, match="there are no rows whose risk could be measured"):
        measure_risk(np.array([], dtype=np.int64))
    with pytest.raises(DataError, match="must have at least the 5 rows of the table, got 4"):
        measure_risk(np.array([5]), 4)
