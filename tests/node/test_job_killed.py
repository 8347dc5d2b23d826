"""A party that dies at any step (kill -9) and comes back: the run goes on, to the same card."""

import job_town
import pytest

from tongzhou.evidence.checker import verify_log
from tongzhou.node.job_messages import STEPS
from tongzhou.node.job_run import run_job
from tongzhou.node.job_witness import log_vkey
from tongzhou.node.models import find_model


@pytest.fixture(scope="module")
def undisturbed(town):
    """The card of a run that nobody disturbs."""
    plan, _ = town.granted()
    return find_model(town.bank, "small", run_job(town.bank, plan))


def _same_card(town, run_id: str, undisturbed) -> None:
    for home in (town.bank, town.cardnet):
        card = find_model(home, "small", run_id)
        assert [(v.name, v.bins, v.points) for v in card.variables] == [
            (v.name, v.bins, v.points) for v in undisturbed.variables
        ]


def _logs_verify(town) -> None:
    for party, home in town.homes.items():
        verify_log(home.log_path, log_key=log_vkey(party, home.identity.public_key_bytes))


@pytest.mark.parametrize("moment", ["before its order", "under way"])
@pytest.mark.parametrize("party", ["cardnet", "helper"])
def test_a_partner_killed_at_every_step_in_turn(town, undisturbed, party, moment) -> None:
    plan, grant = town.granted()
    at_once = None if moment == "under way" else (lambda: town.kill(party))
    run_id, failed = town.run_despite_kills(plan, party, at_once)
    assert all(
        any(words in said for words in ("left during", "stopped", "hung up")) for said in failed.values()
    )
    # Timing decides which steps are cut in the middle; most are.
    assert list(failed) == list(STEPS) or (moment == "under way" and len(failed) >= 3)
    assert town.ends(party, run_id).state == "done"
    assert town.cardnet.grants.runs_used(grant.grant_id) == 1
    _same_card(town, run_id, undisturbed)
    _logs_verify(town)


@pytest.mark.parametrize("when", ["begins", "ends"])
def test_the_asker_killed_at_every_step_in_turn(town, undisturbed, when) -> None:
    plan, grant = town.granted()
    run_id = town.run_despite_deaths(plan, when)
    assert {town.ends(party, run_id).state for party in job_town.PARTIES} == {"done"}
    assert town.cardnet.grants.runs_used(grant.grant_id) == 1
    _same_card(town, run_id, undisturbed)
    _logs_verify(town)


def test_an_asker_that_died_after_the_end_was_ordered_only_needs_the_end(town) -> None:
    plan, _ = town.granted()
    run_id = run_job(town.bank, plan)
    town.ends("cardnet", run_id)
    # As if the power failed before the asker noted that the run is done.
    town.bank.store._database._connection.execute(
        "UPDATE runs SET state = 'running', finished = NULL WHERE run_id = ?", (run_id,)
    )
    steps = job_town.Steps()
    town.resume(run_id, watcher=steps)
    assert steps.begun == []
    assert town.bank.store.run(run_id).state == "done"


def test_a_step_saved_but_not_entered_is_entered_when_the_party_comes_back(town) -> None:
    plan, _ = town.granted()
    stopped = job_town.Steps("select", _fail)
    with pytest.raises(ZeroDivisionError):
        run_job(town.bank, plan, watcher=stopped)
    run_id = town.last_run()
    assert town.bank.store.run(run_id).reason == "an internal fault"
    assert town.ends("cardnet", run_id).reason == "bank stopped: an internal fault"
    key = f"{run_id}/bin/1"
    before = town.bank.log.payload(town.bank.log.find("job-step", key))
    town.resume(run_id)
    assert town.bank.log.payload(town.bank.log.find("job-step", key)) == before
    attempts = [town.bank.log.find("job-step", f"{run_id}/select/{attempt}") for attempt in (1, 2)]
    assert attempts[0] is not None and attempts[1] is None


def _fail() -> None:
    raise ZeroDivisionError
