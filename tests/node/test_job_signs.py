"""Variables of the wrong sign leave the card, and nothing is opened that the grant does not name."""

import job_town
import numpy as np
import pytest

from tongzhou.data.example import bank_table, card_network_table
from tongzhou.node.job import Applicants
from tongzhou.node.job_run import run_job
from tongzhou.node.job_score import score_applicants
from tongzhou.node.job_states import MatchState, ScoreState, TrainState
from tongzhou.node.states import decode_state
from tongzhou.parties.grants import Openings

WIDE = [f"{name}_{month}" for name in ("repay", "bill") for month in range(1, 7)]
TABLE = {
    'table = "behaviour"': 'table = "wide"',
    str(job_town.THEIRS).replace("'", '"'): str(WIDE).replace("'", '"'),
}
CLOSED = {"[binning]": "[openings]\ntraining_summary = false\n[binning]"}


@pytest.fixture(scope="module")
def runs(town):
    """The same plan with and without the training summary: the state and the openings of the step."""
    found = {}
    clients = job_town.cut(card_network_table(), 300, 3300, WIDE)
    job_town.add_table(town.cardnet, clients, "wide")
    for name, changes in (("open", TABLE), ("closed", TABLE | CLOSED)):
        openings = Openings(bin_counts="both", card="both", reasons=4, training_summary=name == "open")
        plan, _ = town.granted(changes, openings=openings, table="wide", columns=WIDE)
        run_id = run_job(town.bank, plan)
        state = decode_state(town.bank.store.step_state(run_id, "train"), TrainState)
        opened = set()
        for home in (town.bank, town.cardnet):
            index = home.log.find("job-step", f"{run_id}/train/1")
            opened |= {one["what"] for one in home.log.payload(index)["openings"]}
        found[name] = (state, opened)
    return found


def test_a_variable_of_the_wrong_sign_leaves_in_both_ways(runs) -> None:
    for state, _ in runs.values():
        assert state.dropped, "the tables must hold such a variable, or nothing is tested"
        assert all(weight > 0 for weight in state.coefficients.values())
        assert not set(state.dropped) & set(state.coefficients)
        assert state.passes == 1 + len(state.dropped)


def test_both_ways_lead_to_the_same_card(runs) -> None:
    (first, _), (second, _) = runs["open"], runs["closed"]
    assert first.dropped == second.dropped
    assert set(first.coefficients) == set(second.coefficients)
    gaps = [abs(first.coefficients[name] - second.coefficients[name]) for name in first.coefficients]
    assert np.max(gaps) < 2e-3


def test_no_covariance_is_opened_where_the_grant_keeps_the_summary_closed(runs) -> None:
    assert any("covariance" in what for what in runs["open"][1])
    assert not any("covariance" in what for what in runs["closed"][1])
    assert runs["open"][0].errors
    assert not runs["closed"][0].errors


def test_a_model_trained_anew_keeps_only_what_it_scores_with(runs) -> None:
    closed, opened = runs["closed"][0], runs["open"][0]
    assert set(closed.scored) == set(closed.asker)
    assert closed.columns == (len(closed.asker), len(closed.provider))
    assert sum(opened.columns) == len(opened.coefficients) + len(opened.dropped)


def test_applicants_need_no_column_of_a_variable_that_was_dropped(town) -> None:
    """The bank's own variable leaves the card; scoring with the card asks for nothing but what is on it."""
    own = bank_table().slice(0, 4000).select(["client_id", "limit", "education", "default"])
    job_town.add_table(town.bank, own, "few", "default")
    theirs = card_network_table().select(["client_id", "repay_1", "repay_2"])
    job_town.add_table(town.cardnet, theirs, "late")
    changes = {
        'table = "clients"': 'table = "few"',
        str(job_town.OWN).replace("'", '"'): '["limit", "education"]',
        'table = "behaviour"': 'table = "late"',
        str(job_town.THEIRS).replace("'", '"'): '["repay_1", "repay_2"]',
        "max_bins = 4": "max_bins = 6",
    }
    plan, _ = town.granted(changes, table="late", columns=["repay_1", "repay_2"], minimum_bin_rows=50)
    run_id = run_job(town.bank, plan)
    trained = decode_state(town.bank.store.step_state(run_id, "train"), TrainState)
    assert trained.dropped == ("education",), "the tables must hold such a variable, or nothing is tested"
    applicants = Applicants(own.slice(0, 40).select(["client_id", "limit"]), "a" * 64)
    scored = score_applicants(town.bank, run_id, applicants)
    state = decode_state(town.bank.store.step_state(run_id, "score"), ScoreState)
    places = decode_state(town.bank.store.step_state(run_id, "match"), MatchState).places
    clients = own["client_id"].to_pylist()
    whole = {clients[place]: logit for place, logit in zip(places, state.logits, strict=True)}
    new = decode_state(town.bank.store.step_state(scored.run_id, "score"), ScoreState)
    order = decode_state(town.bank.store.step_state(scored.run_id, "match"), MatchState).places
    assert len(order) > 20
    for place, logit in zip(order, new.logits, strict=True):
        assert logit == pytest.approx(whole[clients[place]], abs=1e-4)
