"""A party that dies at any step (kill -9) and comes back: the run goes on, to the same card."""

import signal
import threading

import job_town
import pytest

from tongzhou.errors import TongzhouError
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
    def kill() -> None:
        if moment == "under way":
            threading.Timer(0.01, town.kill, [party]).start()
        else:
            town.kill(party)

    plan, grant = town.granted()
    run_id, killed = None, []
    for step in STEPS:
        steps = job_town.Steps(step, kill)
        try:
            if run_id is None:
                run_job(town.bank, plan, watcher=steps)
            else:
                town.resume(run_id, watcher=steps)
        except TongzhouError as error:
            killed.append(step)
            assert "left during" in str(error) or "stopped" in str(error) or "hung up" in str(error)
        run_id = town.last_run()
        _wait_for_death(town, party)
        town.start(party)
        if town.bank.store.run(run_id).state == "done":
            break
    if town.bank.store.run(run_id).state != "done":
        town.resume(run_id)
    # Timing decides which steps are cut in the middle; most are.
    assert killed == list(STEPS) or (moment == "under way" and len(killed) >= 3)
    assert town.ends(party, run_id).state == "done"
    assert town.cardnet.grants.runs_used(grant.grant_id) == 1
    _same_card(town, run_id, undisturbed)
    _logs_verify(town)


def _wait_for_death(town, party: str) -> None:
    for _ in range(500):
        if party not in town.processes:
            return
        threading.Event().wait(0.01)
    raise AssertionError(f"{party} lives")


@pytest.mark.parametrize("when", ["begins", "ends"])
def test_the_asker_killed_at_every_step_in_turn(town, undisturbed, when) -> None:
    plan, grant = town.granted()
    run_id = None
    for step in STEPS:
        process = job_town.start_process(
            town.bank.folder, "asker", job_town.run_and_die, town.bank.folder, plan, run_id, step, when
        )
        process.join(30)
        assert process.exitcode == -signal.SIGKILL, (town.bank.folder / "asker.txt").read_text()
        run_id = town.last_run()
        done = [record.step for record in town.bank.store.steps(run_id)]
        assert done == list(STEPS[: STEPS.index(step) + (when == "ends")])
    assert town.bank.store.run(run_id).state == "running"
    town.resume(run_id)
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
