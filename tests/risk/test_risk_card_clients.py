"""The whole way on real data: two tables, counts merged, variables selected, card built, gain measured."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from sklearn.linear_model import LogisticRegression

import tongzhou
from tongzhou.risk.binning import bin_table, fine_bins, merge_bins
from tongzhou.risk.evaluation import auc, bootstrap_intervals, ks, swap_set
from tongzhou.risk.logistic import fit_logistic
from tongzhou.risk.scorecard import CardInput, build_scorecard, from_json, to_json
from tongzhou.risk.selection import Candidate, fit_with_signs, select_variables

EXAMPLE = Path(tongzhou.__file__).parent / "data" / "example"
pytestmark = pytest.mark.skipif(not EXAMPLE.is_dir(), reason="the example tables are not built")

BANK = ["limit", "sex", "education", "marriage", "age"]


@pytest.fixture(scope="module")
def clients():
    """Columns of the clients that both institutions know, in the bank's order, and the label."""
    bank, network = (pq.read_table(EXAMPLE / f"{side}.parquet") for side in ("bank", "card_network"))
    ids = [np.array(table["client_id"].to_pylist()) for table in (bank, network)]
    shared, at_bank, at_network = np.intersect1d(*ids, return_indices=True)
    assert len(shared) > 20_000
    columns = {name: bank[name].to_numpy().astype(float)[at_bank] for name in BANK}
    for name in network.column_names:
        if name != "client_id":
            columns[name] = network[name].to_numpy().astype(float)[at_network]
    return columns, bank["default"].to_numpy().astype(int)[at_bank]


@pytest.fixture(scope="module")
def held_out(clients):
    return np.random.default_rng(2005).random(len(clients[1])) < 0.3


def binned(name, values, y, specials=()):
    """As in joint work: fine bins and counts, then merging and weights from the counts alone."""
    fine = fine_bins(name, values, specials=specials)
    totals, events = fine.count(values), fine.count(values, y)
    merged = merge_bins(fine, totals, events, max_bins=6, min_rows=len(y) // 50)
    return bin_table(merged.bins, merged.fold(totals), merged.fold(events))


def build(columns, y, names):
    """Bin, select, fit and build; return the card and the names that entered it."""
    tables = {name: binned(name, columns[name], y, [-2.0, -1.0] if "repay" in name else []) for name in names}
    chosen = select_variables([Candidate(name, table.iv) for name, table in tables.items()]).names
    woe = np.column_stack([np.array(tables[n].woe)[tables[n].bins.assign(columns[n])] for n in chosen])
    fit, _ = fit_with_signs(woe, y, chosen)
    inputs = [
        CardInput(tables[name].bins, tables[name].woe, coefficient, "bank" if name in BANK else "cardnet")
        for name, coefficient in zip(fit.names, fit.coefficients.tolist(), strict=True)
    ]
    return build_scorecard("clients", inputs, fit.intercept)


@pytest.fixture(scope="module")
def cards(clients, held_out):
    columns, y = clients
    training = {name: values[~held_out] for name, values in columns.items()}
    return {
        "bank": build(training, y[~held_out], BANK),
        "joint": build(training, y[~held_out], list(columns)),
    }


def risks(cards, clients, held_out):
    columns, y = clients
    test = {name: values[held_out] for name, values in columns.items()}
    return {name: -card.score_table(test) for name, card in cards.items()}, y[held_out]


def test_the_partner_adds_what_is_known_of_these_data(cards, clients, held_out):
    scores, y = risks(cards, clients, held_out)
    assert 0.59 < auc(y, scores["bank"]) < 0.66
    assert 0.75 < auc(y, scores["joint"]) < 0.79
    assert ks(y, scores["joint"]) > 0.37
    gain = bootstrap_intervals(y, scores, repeats=100, seed=1).gains["joint"]["auc"]
    assert gain.low > 0.1


def test_swapping_in_the_joint_card_lowers_the_bad_rate(cards, clients, held_out):
    scores, y = risks(cards, clients, held_out)
    swap = swap_set(y, scores["bank"], scores["joint"], 0.7, clients[0]["limit"][held_out])
    assert swap.swap_in.bad_rate < swap.swap_out.bad_rate
    assert swap.new.bad_rate < swap.old.bad_rate


def test_information_values_are_the_published_ones(clients):
    """Other libraries report 0.869 to 0.874 for the repayment status and 0.168 to 0.181 for the limit."""
    columns, y = clients
    assert binned("repay_1", columns["repay_1"], y).iv == pytest.approx(0.87, abs=0.03)
    assert binned("limit", columns["limit"], y).iv == pytest.approx(0.175, abs=0.02)


def test_binned_rates_are_monotone(cards):
    for variable in cards["joint"].variables:
        inside = variable.woe[: variable.bins.numeric_count]
        steps = np.sign(np.diff(inside))
        assert len(set(steps.tolist())) <= 1, variable.name


def test_points_rank_like_the_regression(cards, clients, held_out):
    columns, y = clients
    test = {name: values[held_out] for name, values in columns.items()}
    card = cards["joint"]
    exact = card.scale.offset - card.scale.factor * card.logit_table(test)
    assert np.max(np.abs(card.score_table(test) - exact)) <= 0.5 * (len(card.variables) + 1)
    assert auc(y[held_out], -card.score_table(test)) == pytest.approx(auc(y[held_out], -exact), abs=0.002)


def test_one_row_equals_the_batch_after_a_round_trip(cards, clients, held_out):
    columns, _ = clients
    card = from_json(to_json(cards["joint"]))
    batch = card.score_table(columns)
    logits = card.logit_table(columns)
    for row in range(0, len(batch), 997):
        values = {name: float(column[row]) for name, column in columns.items()}
        assert card.score(values) == batch[row]
        assert card.logit(values) == logits[row]
        assert len(card.reasons(values)) <= 4


def test_fit_on_real_weights_agrees_with_scikit_learn(clients):
    columns, y = clients
    names = ["limit", "repay_1", "repay_2", "paid_1", "paid_2"]
    tables = [binned(name, columns[name], y) for name in names]
    X = np.column_stack([np.array(t.woe)[t.bins.assign(columns[t.bins.variable])] for t in tables])
    ours = fit_logistic(X, y, names=names)
    theirs = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10).fit(X, y)
    assert ours.coefficients == pytest.approx(theirs.coef_[0], abs=1e-6)
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=1e-6)
