"""A whole job of two institutions alone: receipts, refusals, and parties that die and come back."""

import signal
from importlib.util import find_spec

import job_town
import pytest

from tongzhou.errors import GrantError, PlanError
from tongzhou.evidence.checker import verify_log
from tongzhou.node import check, job_context
from tongzhou.node.check import check_job
from tongzhou.node.job import Applicants
from tongzhou.node.job_follow import grant_request
from tongzhou.node.job_messages import STEPS
from tongzhou.node.job_run import run_job
from tongzhou.node.job_score import score_applicants
from tongzhou.node.job_witness import log_vkey
from tongzhou.node.models import find_model

needs_library = pytest.mark.skipif(find_spec("tenseal") is None, reason="mode pair needs TenSEAL")
OWNERS = {"bank", "cardnet"}


@pytest.fixture(scope="module")
def made(town):
    """A finished run, its grant and what its steps said."""
    plan, grant = town.granted(job_town.IN_PAIR, **job_town.ALONE)
    steps = job_town.Steps()
    return run_job(town.bank, plan, watcher=steps), grant, steps


@needs_library
def test_only_the_owners_take_part_sign_and_learn(town, made) -> None:
    run_id, grant, steps = made
    assert steps.begun == list(STEPS)
    assert {town.ends(party, run_id).state for party in OWNERS} == {"done"}
    for step, summary in steps.ended.items():
        receipt = summary.receipt.receipt
        assert (receipt.mode, receipt.grants) == ("pair", {"cardnet": grant.grant_id})
        assert set(summary.receipt.signatures) == OWNERS
        assert set(receipt.roles) == set(receipt.learned) == {"asker", "provider"}
        for opening in summary.openings:
            assert set(opening.receivers) <= {"asker", "provider"}, (step, opening)
    assert run_id not in [run.run_id for run in town.helper.store.runs()]
    for party in OWNERS:
        home = town.homes[party]
        verify_log(home.log_path, log_key=log_vkey(party, home.identity.public_key_bytes))


@needs_library
def test_new_applicants_are_scored_without_a_helper(town, made) -> None:
    applicants = Applicants(job_town.cut(job_town.bank_table(), 400, 420, job_town.OWN), "4" * 64)
    scored = score_applicants(town.bank, made[0], applicants)
    assert sum(points is not None for points in scored.points) > 10


@needs_library
def test_a_provider_killed_at_every_step_in_turn(town, made) -> None:
    """The job goes on after each, to the same card."""
    plan, grant = town.granted(job_town.IN_PAIR, **job_town.ALONE)
    run_id, failed = town.run_despite_kills(plan, "cardnet")
    assert len(failed) >= 3
    assert town.ends("cardnet", run_id).state == "done"
    assert town.cardnet.grants.runs_used(grant.grant_id) == 1
    _same_card(town, run_id, made[0])


@needs_library
def test_an_asker_killed_in_the_middle_of_the_training(town, made) -> None:
    plan, grant = town.granted(job_town.IN_PAIR, **job_town.ALONE)
    process = job_town.start_process(
        town.bank.folder, "asker", job_town.run_and_die, town.bank.folder, plan, None, "train", "begins"
    )
    process.join(60)
    assert process.exitcode == -signal.SIGKILL, (town.bank.folder / "asker.txt").read_text()
    run_id = town.last_run()
    assert [record.step for record in town.bank.store.steps(run_id)] == ["match", "bin", "select"]
    town.resume(run_id)
    assert {town.ends(party, run_id).state for party in OWNERS} == {"done"}
    assert town.cardnet.grants.runs_used(grant.grant_id) == 1
    _same_card(town, run_id, made[0])


def _same_card(town, run_id: str, other: str) -> None:
    for home in (town.bank, town.cardnet):
        card, wanted = find_model(home, "small", run_id), find_model(home, "small", other)
        assert [(v.name, v.bins) for v in card.variables] == [(v.name, v.bins) for v in wanted.variables]
        # Masks round: a point may fall on the other side of a half.
        for one, two in zip(card.variables, wanted.variables, strict=True):
            assert all(abs(a - b) <= 1 for a, b in zip(one.points, two.points, strict=True))


@needs_library
def test_a_grant_for_another_mode_refuses(town) -> None:
    plan, _ = town.granted(job_town.IN_PAIR)
    assert "allows trust mode aided, not pair" in town.fails(plan)
    plan, _ = town.granted(**job_town.ALONE)
    assert "allows trust mode pair, not aided" in town.fails(plan)


def _missing() -> None:
    raise PlanError("mode pair needs the library TenSEAL; install it with: pip install 'tongzhou[pair]'")


def test_without_the_library_nothing_begins_and_the_check_says_so(town, monkeypatch) -> None:
    """The asker is told before anybody is asked for anything, and no use of the grant is counted."""
    plan, grant = town.granted(job_town.IN_PAIR, **job_town.ALONE)
    monkeypatch.setattr(job_context, "require_library", _missing)
    monkeypatch.setattr(check, "require_library", _missing)
    assert "pip install 'tongzhou[pair]'" in town.fails(plan)
    assert town.cardnet.grants.runs_used(grant.grant_id) == 0
    (error,) = [f for f in check_job(town.bank, plan).findings if f.severity == "error"]
    assert error.template.startswith("mode pair needs the library TenSEAL")


def test_a_grant_of_another_table_is_no_grant_in_pair_either(town) -> None:
    plan = town.plan(town.purpose(), job_town.IN_PAIR)
    with pytest.raises(GrantError):
        town.cardnet.grants.find(grant_request(plan, plan.job, "cardnet"), job_town.utc_now())
