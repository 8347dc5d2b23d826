"""Variables of the wrong sign leave the card, and nothing is opened that the grant does not name."""

import job_town
import numpy as np
import pytest

from tongzhou.data.example import card_network_table
from tongzhou.node.job_run import run_job
from tongzhou.node.job_states import TrainState
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
