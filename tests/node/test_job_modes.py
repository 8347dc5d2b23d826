"""One behaviour in every trust mode: the same tables give the same card and the same scores."""

from importlib.util import find_spec

import job_town
import numpy as np
import pytest

from tongzhou.errors import NotFoundError, PlanError
from tongzhou.node.home import Home
from tongzhou.node.job_messages import STEPS
from tongzhou.node.job_run import resume_plan, run_job
from tongzhou.node.job_states import BinState, MatchState, ScoreState, TrainState
from tongzhou.node.models import find_model
from tongzhou.node.states import decode_state

LOCAL = {'mode = "aided"': 'mode = "local"', 'helper = "helper"': "", 'protocol = "aided"': 'protocol = "dh"'}
SHARP = {"tolerance = 1e-6": "tolerance = 1e-7\nl2 = 0.001"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """A bank that holds both tables, with no partner anywhere."""
    home = Home.create(tmp_path_factory.mktemp("alone") / "bank", "bank", "Bank", "127.0.0.1:9")
    job_town.add_table(home, job_town.bank_clients(), "clients", "default")
    job_town.add_table(home, job_town.cardnet_clients(), "behaviour")
    yield home
    home.close()


@pytest.fixture(scope="module")
def both(town, alone):
    """The asker's home and the run, by mode."""
    plan, _ = town.granted(SHARP, minimum_bin_rows=1)
    runs = {"aided": (town.bank, run_job(town.bank, plan))}
    if find_spec("tenseal") is not None:
        pair, _ = town.granted(job_town.IN_PAIR | SHARP, minimum_bin_rows=1, **job_town.ALONE)
        runs["pair"] = (town.bank, run_job(town.bank, pair))
    local = town.plan(plan.purpose, LOCAL | SHARP)
    return runs | {"local": (alone, run_job(alone, local))}


def _state(both, mode, step, kind):
    home, run_id = both[mode]
    return decode_state(home.store.step_state(run_id, step), kind)


PROTECTED = pytest.mark.parametrize(
    "mode",
    [
        "aided",
        pytest.param(
            "pair",
            marks=pytest.mark.skipif(find_spec("tenseal") is None, reason="mode pair needs TenSEAL"),
        ),
    ],
)


@pytest.mark.parametrize("mode", [*PROTECTED.args[1], "local"])
def test_the_same_steps_leave_the_same_kinds_of_state(both, mode) -> None:
    home, run_id = both[mode]
    assert [step.step for step in home.store.steps(run_id)] == list(STEPS)
    assert home.store.run(run_id).state == "done"
    for step, kind in (
        ("match", MatchState),
        ("bin", BinState),
        ("train", TrainState),
        ("score", ScoreState),
    ):
        assert isinstance(_state(both, mode, step, kind), kind)


@PROTECTED
def test_the_same_clients_are_matched_and_set_aside(both, mode) -> None:
    found = {mode: _state(both, mode, "match", MatchState) for mode in both}
    clients = {
        mode: set(zip(m.places.tolist(), m.held_out.tolist(), strict=True)) for mode, m in found.items()
    }
    assert clients[mode] == clients["local"]


@PROTECTED
def test_the_same_bins_and_weights_of_evidence(both, mode) -> None:
    found = {mode: _state(both, mode, "bin", BinState) for mode in both}
    for joint, local in zip(found[mode].own, found["local"].own, strict=True):
        assert joint == local
    for joint, local in zip(found[mode].offers, found["local"].offers, strict=True):
        assert (joint.name, joint.variable.table) == (local.name, local.variable.table)


@PROTECTED
def test_the_same_weights(both, mode) -> None:
    found = {mode: _state(both, mode, "train", TrainState) for mode in both}
    joint, local = found[mode], found["local"]
    assert (joint.asker, joint.provider) == (local.asker, local.provider)
    for name, weight in local.coefficients.items():
        assert abs(joint.coefficients[name] - weight) < 1e-3, name
        assert abs(joint.errors[name] - local.errors[name]) < 1e-3, name


@PROTECTED
def test_the_same_scores(both, mode) -> None:
    points = {}
    for one in both:
        places = _state(both, one, "match", MatchState).places
        logits = _state(both, one, "score", ScoreState).logits
        points[one] = logits[np.argsort(places)] * 20 / np.log(2)
    assert np.abs(points[mode] - points["local"]).max() < 1.0


@PROTECTED
def test_the_same_reasons(both, mode) -> None:
    found = {}
    for one in both:
        matched = _state(both, one, "match", MatchState)
        order = np.argsort(matched.places[matched.held_out])
        found[one] = _state(both, one, "score", ScoreState).reason_points[order]
    assert np.abs(found[mode] - found["local"]).max() <= 1


@PROTECTED
def test_the_same_card_but_for_its_mode(both, mode) -> None:
    cards = {one: find_model(home, "small", run_id) for one, (home, run_id) in both.items()}
    assert [v.name for v in cards[mode].variables] == [v.name for v in cards["local"].variables]
    for joint, local in zip(cards[mode].variables, cards["local"].variables, strict=True):
        assert joint.bins == local.bins
        assert np.abs(np.array(joint.points) - np.array(local.points)).max() <= 1
    assert {one: card.provenance["mode"] for one, card in cards.items()} == {one: one for one in both}


# --- what is particular to mode local


def test_receipts_say_that_nothing_was_protected_and_only_the_asker_signs(both) -> None:
    home, run_id = both["local"]
    for step in STEPS:
        record = home.log.payload(home.log.find("job-step", f"{run_id}/{step}/1"))
        assert record["receipt"]["mode"] == "local"
        assert record["receipt"]["grants"] == {}
        assert "nothing is protected" in record["receipt"]["learned"]["asker"]
        assert set(record["signatures"]) == {"bank"}


def test_both_tables_must_be_here(alone, town) -> None:
    plan = town.plan("p", LOCAL | {'table = "behaviour"': 'table = "behavior"'})
    with pytest.raises(NotFoundError, match="mode local needs both tables here: there is no table behavior"):
        run_job(alone, plan)


def test_a_local_run_that_stopped_begins_anew(alone, town) -> None:
    plan = town.plan("p", LOCAL)

    def stop() -> None:
        raise PlanError("stopped by a test")

    with pytest.raises(PlanError, match="stopped by a test"):
        run_job(alone, plan, watcher=job_town.Steps("select", stop))
    run_id = alone.store.runs()[-1].run_id
    steps = job_town.Steps()
    run_job(alone, resume_plan(alone, run_id), run_id=run_id, watcher=steps)
    assert steps.begun == list(STEPS)
    assert alone.log.find("job-step", f"{run_id}/match/2") is not None


def test_bad_data_is_said_in_mode_local_too(alone, town) -> None:
    plan = town.plan("p", LOCAL | {"minimum_rows = 500": "minimum_rows = 50000"})
    with pytest.raises(Exception, match="fewer than 50000 identifiers are common"):
        run_job(alone, plan)
    plan = town.plan("p", LOCAL | {"min_iv = 0.001": "min_iv = 9.0"})
    with pytest.raises(Exception, match="reaches an information value of 9"):
        run_job(alone, plan)


def test_nothing_is_left_of_the_providers_thread(both, alone) -> None:
    assert not list((alone.folder / "locks").iterdir())
    assert alone.trust.all() == []


def test_a_partner_refuses_an_offer_of_mode_local(town) -> None:
    plan, _ = town.granted()
    local = town.plan(plan.purpose, LOCAL)
    from tongzhou.node.job import Job
    from tongzhou.node.job_context import JobContext
    from tongzhou.node.job_lead import Silent, lead
    from tongzhou.node.job_run import call_parties

    town.bank.store.start_run("local-offer-1", local, role="asker", now=job_town.utc_now())
    with (
        pytest.raises(Exception, match="cardnet stopped: bank offers a plan of mode local"),
        call_parties(town.bank, local, "local-offer-1") as session,
    ):
        lead(JobContext(town.bank, Job(local, "local-offer-1", "scorecard"), "asker", session), Silent())
