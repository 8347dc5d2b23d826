"""Where each owner learns its own part of the card only, the parts add up to the whole."""

import numpy as np
import pytest

from tongzhou.node.job_run import run_job
from tongzhou.node.job_states import ScoreState, TrainState
from tongzhou.node.models import find_model
from tongzhou.node.states import decode_state

OWN = {"[binning]": '[openings]\ncard = "own"\nreasons = 2\n[binning]'}


@pytest.fixture(scope="module")
def parts(town):
    plan, _ = town.granted(OWN)
    run_id = run_job(town.bank, plan)
    cards = [find_model(home, plan.name, run_id) for home in (town.bank, town.cardnet)]
    return town, run_id, cards


def test_points_of_both_parts_add_up_to_the_score(parts) -> None:
    _, _, (bank, cardnet) = parts
    values = {"limit": 120000.0, "education": 2.0, "age": 33.0}
    values |= {"repay_1": 2.0, "repay_2": 0.0, "bill_1": 4000.0, "paid_1": 0.0}
    own, theirs = ({name: values[name] for name in card.inputs} for card in (bank, cardnet))
    logit = bank.logit(own) + cardnet.logit(theirs)
    whole = bank.scale.offset - bank.scale.factor * logit
    points = bank.score(own) + cardnet.score(theirs)
    assert abs(points - whole) <= 0.5 * (len(bank.variables) + len(cardnet.variables)) + 1


def test_neither_part_holds_the_other_owners_variables(parts) -> None:
    _, _, (bank, cardnet) = parts
    assert {variable.owner for variable in bank.variables} == {"bank"}
    assert {variable.owner for variable in cardnet.variables} == {"cardnet"}
    assert bank.provenance["part"] == "bank"
    assert cardnet.provenance["part"] == "cardnet"


def test_scores_come_from_both_parts_though_neither_is_shown(parts) -> None:
    town, run_id, (bank, _) = parts
    trained = decode_state(town.bank.store.step_state(run_id, "train"), TrainState)
    scores = decode_state(town.bank.store.step_state(run_id, "score"), ScoreState)
    assert set(trained.coefficients) == {variable.name for variable in bank.variables}
    assert np.isfinite(scores.logits).all()
    assert scores.logits.std() > 0.2
    assert scores.reason_rows.shape[1] == 2
    assert (scores.reason_bins == -1).all(), "bins of the partner stay closed"
