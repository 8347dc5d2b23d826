"""What every kind of job must do in every mode: go through, sign, be refused, and go on after a kill."""

import job_town
import numpy as np
import pyarrow as pa
import pytest
from job_kinds import KINDS, Kind

from tongzhou.evidence.checker import verify_log
from tongzhou.i18n import translator
from tongzhou.node.job_run import run_job
from tongzhou.node.job_witness import log_vkey
from tongzhou.node.plan_jobs import JOB_RULES

every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)


@pytest.fixture(scope="module")
def undisturbed(town):
    """The result of each kind at the asker, when nobody disturbs."""
    found: dict[str, object] = {}

    def result(kind: Kind) -> object:
        if str(kind) not in found:
            found[str(kind)] = kind.result(town.bank, run_job(town.bank, kind.granted(town)))
        return found[str(kind)]

    return result


def equal(one: pa.Table, other: pa.Table) -> bool:
    """Equal to fixed-point rounding: masks are fresh in every run."""
    if one.column_names != other.column_names or one.num_rows != other.num_rows:
        return False
    pairs = [(one[name], other[name]) for name in one.column_names]
    allowed = {
        name: 1.0 if name == "points" else 2e-2 if pa.types.is_floating(one[name].type) else None
        for name in one.column_names
    }
    return all(
        left.equals(right) if near is None else np.allclose(left.to_numpy(), right.to_numpy(), atol=near)
        for (left, right), near in zip(pairs, allowed.values(), strict=True)
    )


def test_every_job_is_here_in_every_protected_mode() -> None:
    wanted = {(job, mode) for job, rules in JOB_RULES.items() for mode in rules.modes if mode != "local"}
    elsewhere = {("scorecard", mode) for mode in JOB_RULES["scorecard"].modes}  # has tests of its own
    assert {(kind.job, kind.mode) for kind in KINDS} == wanted - elsewhere


@every_kind
def test_it_goes_through_and_every_party_signs_every_step(town, kind: Kind) -> None:
    run_id = run_job(town.bank, kind.granted(town))
    members = ["bank", "cardnet", *(["helper"] if kind.mode == "aided" else [])]
    receipts = {}
    for party in members:
        home = town.homes[party]
        if party != "bank":
            assert town.ends(party, run_id).state == "done"
        steps = home.store.steps(run_id)
        assert tuple(step.step for step in steps) == kind.steps
        receipts[party] = [step.summary["receipt"] for step in steps]
        verify_log(home.log_path, log_key=log_vkey(party, home.identity.public_key_bytes))
    first, *others = receipts.values()
    assert all(other == first for other in others)
    for signed in first:
        assert sorted(signed["signatures"]) == sorted(members)
        assert set(signed["receipt"]["learned"]) == set(signed["receipt"]["roles"])
        assert signed["receipt"]["kind"] == kind.job


@every_kind
def test_it_gives_the_same_result_every_time(town, kind: Kind, undisturbed) -> None:
    again = kind.result(town.bank, run_job(town.bank, kind.granted(town)))
    assert equal(again, undisturbed(kind))


@every_kind
def test_without_a_grant_for_it_it_is_refused(town, kind: Kind) -> None:
    purpose = town.purpose()
    nothing = town.fails(kind.plan(purpose))
    assert "has no grant" in nothing or "is for purpose" in nothing
    town.grant(purpose, protocols=["bin"], columns=job_town.THEIRS, modes=["pair", "aided"])
    assert "allows the protocols bin, not" in town.fails(kind.plan(purpose))


@every_kind
@pytest.mark.parametrize("moment", ["begins", "ends"])
def test_an_asker_killed_at_every_step_goes_on(town, kind: Kind, moment: str, undisturbed) -> None:
    run_id = town.run_despite_deaths(kind.granted(town), moment)
    assert equal(kind.result(town.bank, run_id), undisturbed(kind))


@every_kind
def test_a_provider_killed_under_way_goes_on(town, kind: Kind, undisturbed) -> None:
    run_id, _ = town.run_despite_kills(kind.granted(town), "cardnet")
    assert town.ends("cardnet", run_id).state == "done"
    assert equal(kind.result(town.bank, run_id), undisturbed(kind))


@every_kind
def test_a_grant_revoked_under_way_stops_it(town, kind: Kind) -> None:
    plan = kind.granted(town)
    grant = town.cardnet.grants.list()[-1]
    last = kind.steps[-1]
    steps = job_town.Steps(last, lambda: town.cardnet.grants.revoke(grant.grant_id, job_town.utc_now()))
    assert f"grant {grant.grant_id} was revoked" in town.fails(plan, watcher=steps)


@pytest.mark.parametrize("job", sorted(JOB_RULES))
def test_steps_have_a_chinese_name(job: str) -> None:
    word = translator("zh", "cli")
    assert [step for step in JOB_RULES[job].steps if word(f"step {step}") == f"step {step}"] == []
