"""Scoring new applicants with the card of a finished run, as a job of its own between processes."""

import job_town
import numpy as np
import pyarrow as pa
import pytest

from tongzhou.data.example import bank_table
from tongzhou.errors import ConflictError, NotFoundError, PlanError
from tongzhou.node.job import Applicants
from tongzhou.node.job_run import cancel_run, resume_plan, run_job
from tongzhou.node.job_score import DECISIONS, base_plan, card_columns, score_applicants
from tongzhou.node.models import find_model
from tongzhou.parties.times import utc_now

ROWS = 40


@pytest.fixture(scope="module")
def base(town):
    """A finished run with a grant for a few more: its identifier and grant."""
    plan, grant = town.granted(runs=40)
    return run_job(town.bank, plan), grant


def people(low: int, high: int, mark: str = "") -> Applicants:
    """Clients as applicants; those from 300 on are known to the card network."""
    table = job_town.cut(bank_table(), low, high, job_town.OWN)
    columns = {"client_id": [*table["client_id"].to_pylist(), "NOBODY-1"]}
    for name in job_town.OWN:
        columns[name] = pa.array([*table[name].to_pylist(), 30.0], pa.float64())
    digest = f"{low:x}{high:x}{mark}".ljust(64, "0")
    return Applicants(pa.table(columns), digest)


def known(town, applicants: Applicants) -> set[str]:
    theirs = set(job_town.cardnet_clients()["client_id"].to_pylist())
    return {name for name in applicants.table["client_id"].to_pylist() if name in theirs}


def test_scores_are_those_of_the_card_and_unknown_applicants_get_none(town, base) -> None:
    applicants = people(280, 280 + ROWS)
    scored = score_applicants(town.bank, base[0], applicants)
    names = applicants.table["client_id"].to_pylist()
    here = known(town, applicants)
    assert [points is not None for points in scored.points] == [name in here for name in names]
    assert 0 < len(here) < len(names)
    card = find_model(town.bank, "small", base[0])
    theirs = {row["client_id"]: row for row in job_town.cardnet_clients().to_pylist()}
    for row, points, reasons in zip(applicants.table.to_pylist(), scored.points, scored.reasons, strict=True):
        if points is None:
            assert reasons == []
            continue
        values = {key: value for key, value in (row | theirs[row["client_id"]]).items() if key != "client_id"}
        scale = card.scale
        assert abs(points - (scale.offset - scale.factor * card.logit(values))) <= 0.51
        lost = {name: cost for name, cost in card.points_lost(values).items() if cost}
        assert set(reasons) <= set(card.inputs)
        assert reasons == sorted(reasons, key=lambda name: -lost.get(name, 0)) or len(lost) != len(reasons)


def test_it_counts_as_one_run_with_two_steps_signed_by_all(town, base) -> None:
    used = town.cardnet.grants.runs_used(base[1].grant_id)
    steps = job_town.Steps()
    scored = score_applicants(town.bank, base[0], people(400, 420), watcher=steps)
    assert steps.begun == ["match", "score"]
    assert town.cardnet.grants.runs_used(base[1].grant_id) == used + 1
    for step in steps.begun:
        signed = steps.ended[step].receipt
        assert set(signed.signatures) == set(job_town.PARTIES)
        assert (signed.receipt.kind, signed.receipt.base_run) == ("score", base[0])
    assert {town.ends(party, scored.run_id).state for party in job_town.PARTIES} == {"done"}


def test_one_applicant_is_enough(town, base) -> None:
    applicants = people(500, 501)
    assert sum(points is not None for points in score_applicants(town.bank, base[0], applicants).points) <= 1
    assert town.last_run() != base[0]


def test_no_applicant_that_the_partner_knows(town, base) -> None:
    scored = score_applicants(town.bank, base[0], people(0, 30))
    assert scored.points == [None] * len(scored.points)
    assert town.ends("helper", scored.run_id).state == "done"


def test_a_scoring_that_stopped_goes_on_under_the_same_run(town, base) -> None:
    applicants = people(600, 640)

    def stop() -> None:
        raise ConflictError("stopped by a test")

    with pytest.raises(ConflictError, match="stopped by a test"):
        score_applicants(town.bank, base[0], applicants, watcher=job_town.Steps("score", stop))
    used = town.cardnet.grants.runs_used(base[1].grant_id)
    stopped = town.last_run()
    with pytest.raises(ConflictError, match=f"scores applicants; go on with: tongzhou decide {base[0]}"):
        resume_plan(town.bank, stopped)
    steps = job_town.Steps()
    scored = score_applicants(town.bank, base[0], applicants, watcher=steps)
    assert (scored.run_id, steps.begun) == (stopped, ["score"])
    assert town.cardnet.grants.runs_used(base[1].grant_id) == used


def test_a_finished_scoring_without_decisions_is_not_played_again(town, base) -> None:
    applicants = people(700, 720)
    first = score_applicants(town.bank, base[0], applicants)
    steps = job_town.Steps()
    assert score_applicants(town.bank, base[0], applicants, watcher=steps) == first
    assert steps.begun == []
    town.bank.log.append({}, kind=DECISIONS, key=first.run_id)
    assert score_applicants(town.bank, base[0], applicants).run_id != first.run_id


def test_a_cancelled_scoring_is_not_taken_up(town, base) -> None:
    applicants = people(740, 750)

    def stop() -> None:
        raise ConflictError("stopped by a test")

    with pytest.raises(ConflictError, match="stopped by a test"):
        score_applicants(town.bank, base[0], applicants, watcher=job_town.Steps("score", stop))
    stopped = town.last_run()
    cancel_run(town.bank, stopped, now=utc_now())
    assert score_applicants(town.bank, base[0], applicants).run_id != stopped


def test_a_grant_without_score_refuses(town) -> None:
    plan, grant = town.granted()
    run_id = run_job(town.bank, plan)
    town.cardnet.grants.revoke(grant.grant_id, utc_now())
    town.grant(plan.purpose, protocols=["match", "bin", "train"])
    with pytest.raises(
        Exception, match=r"cardnet refuses: grant .* allows the protocols match, bin, train, not score"
    ):
        score_applicants(town.bank, run_id, people(300, 310))


def test_a_grant_of_match_and_score_is_enough(town) -> None:
    plan, grant = town.granted()
    run_id = run_job(town.bank, plan)
    town.cardnet.grants.revoke(grant.grant_id, utc_now())
    town.grant(plan.purpose, protocols=["match", "score"])
    assert score_applicants(town.bank, run_id, people(300, 310)).run_id == town.last_run()


def test_a_revoked_grant_refuses(town) -> None:
    plan, grant = town.granted()
    run_id = run_job(town.bank, plan)
    town.cardnet.grants.revoke(grant.grant_id, utc_now())
    with pytest.raises(Exception, match=f"cardnet refuses: grant {grant.grant_id} was revoked at"):
        score_applicants(town.bank, run_id, people(300, 310))


def test_a_card_that_stays_shared_scores_without_reasons(town) -> None:
    plan, _ = town.granted({"[binning]": '[openings]\ncard = "shared"\n[binning]'})
    run_id = run_job(town.bank, plan)
    scored = score_applicants(town.bank, run_id, people(300, 340))
    assert any(points is not None for points in scored.points)
    assert not any(scored.reasons)


def test_bases_that_cannot_score(town, base) -> None:
    scored = score_applicants(town.bank, base[0], people(800, 810))
    with pytest.raises(ConflictError, match=f"run {scored.run_id} made no card, it scored with that of run"):
        base_plan(town.bank, scored.run_id)
    with pytest.raises(ConflictError, match=f"run {base[0]} is led by bank; only bank can score with it"):
        base_plan(town.cardnet, base[0])
    with pytest.raises(NotFoundError, match="there is no run 20200101-nobody"):
        base_plan(town.bank, "20200101-nobody")
    town.fails(town.plan(town.purpose()))
    with pytest.raises(ConflictError, match="is failed at bank; only a finished one can score"):
        base_plan(town.bank, town.last_run())


def test_a_base_of_mode_local_has_no_partner(town) -> None:
    plan = town.plan(
        "local", {'mode = "aided"': 'mode = "local"', 'helper = "helper"': "", 'protocol = "aided"': ""}
    )
    job_town.add_table(town.bank, job_town.cardnet_clients(), "behaviour", replace=True)
    run_id = run_job(town.bank, plan)
    with pytest.raises(PlanError, match="was of mode local, which has no partner"):
        base_plan(town.bank, run_id)


def test_the_partner_knows_which_runs_can_score(town, base) -> None:
    """An asker that names a base which the partner did not finish is refused there."""
    plan, grant = town.granted()
    town.fails(plan, watcher=job_town.Steps("train", _raise))
    run_id = town.last_run()
    town.bank.store._database._connection.execute(
        "UPDATE runs SET state = 'done' WHERE run_id = ?", (run_id,)
    )
    with pytest.raises(Exception, match=f"(cardnet|helper) stopped: run {run_id} is failed at"):
        score_applicants(town.bank, run_id, people(300, 310))
    assert town.cardnet.grants.runs_used(grant.grant_id) == 1


def _raise() -> None:
    raise ConflictError("stopped by a test")


def test_the_columns_of_the_card_are_told(town, base) -> None:
    assert set(card_columns(town.bank, base[0])) <= set(job_town.OWN)
    assert np.isfinite(len(card_columns(town.bank, base[0])))
