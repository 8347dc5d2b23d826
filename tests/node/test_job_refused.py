"""Runs that are refused or stopped: by a grant, by trust, by a plan. Each with its sentence, nothing lost."""

import threading
import time
from datetime import timedelta

import job_town
import pytest

from tongzhou.errors import ConflictError, GrantError, NotFoundError, PeerError, PlanError
from tongzhou.node.daemon import Daemon
from tongzhou.node.home import Home
from tongzhou.node.job_run import cancel_run, resume_plan, run_job
from tongzhou.node.plan import parse_plan
from tongzhou.parties.card import issue_card
from tongzhou.parties.grants import Openings
from tongzhou.parties.times import utc_now, utc_text


def _days(days: int) -> str:
    return utc_text(utc_now() + timedelta(days=days))


def test_no_grant(town) -> None:
    plan = town.plan(town.purpose())
    sentence = town.fails(plan)
    assert sentence.startswith("cardnet refuses: ")
    assert "is for purpose" in sentence or "has no grant for bank" in sentence


def test_a_refusal_stands_in_the_providers_log_and_in_the_askers(town) -> None:
    town.fails(town.plan(town.purpose()))
    run_id = town.last_run()
    refusal = town.cardnet.log.payload(town.cardnet.log.find("job-refused", f"{run_id}/1"))
    assert refusal["peer"] == "bank"
    ended = town.bank.log.payload(town.bank.log.find("job-ended", f"{run_id}/1"))
    assert ended == {"state": "failed", "reason": f"cardnet refuses: {refusal['reason']}"}
    assert town.bank.store.run(run_id).state == "failed"
    with pytest.raises(NotFoundError):
        town.cardnet.store.run(run_id)


REFUSALS = {
    "expired": ({"valid_from": _days(-3), "valid_until": _days(-1)}, "expired at"),
    "not yet": ({"valid_from": _days(1), "valid_until": _days(2)}, "holds from"),
    "columns": (
        {"columns": job_town.THEIRS[:-1]},
        "does not cover column paid_1 of behaviour; did you mean repay_1?",
    ),
    "another helper": ({"helpers": ["other"]}, "does not accept helper as helper"),
    "no scores": ({"protocols": ["match", "bin", "train"]}, "allows the protocols match, bin, train, not"),
    "card": ({"openings": Openings(card="own", reasons=4)}, "allows opening"),
}


@pytest.mark.parametrize(("changes", "words"), REFUSALS.values(), ids=REFUSALS)
def test_a_grant_that_does_not_allow_it(town, changes, words) -> None:
    plan, grant = town.granted(**changes)
    sentence = town.fails(plan)
    assert words in sentence
    assert sentence.startswith("cardnet refuses: ")
    assert town.cardnet.grants.runs_used(grant.grant_id) == 0


def test_a_grant_for_somebody_else_is_not_talked_about(town) -> None:
    plan, grant = town.granted(askers=["other"])
    sentence = town.fails(plan)
    assert sentence.startswith("cardnet refuses: ")
    assert grant.grant_id not in sentence


def test_a_grant_revoked_before(town) -> None:
    plan, grant = town.granted()
    town.cardnet.grants.revoke(grant.grant_id, utc_now())
    assert f"cardnet refuses: grant {grant.grant_id} was revoked at" in town.fails(plan)


def test_a_grant_used_up(town) -> None:
    plan, grant = town.granted(runs=1)
    run_job(town.bank, plan)
    assert f"grant {grant.grant_id} allows 1 runs and all of them are used" in town.fails(plan)
    assert town.cardnet.grants.runs_used(grant.grant_id) == 1


def test_a_grant_revoked_in_the_middle_stops_the_run_within_a_second_and_forbids_to_resume(town) -> None:
    plan, grant = town.granted()
    when = {}

    def revoke_and_wait() -> None:
        town.cardnet.grants.revoke(grant.grant_id, utc_now())
        revoked = time.monotonic()
        town.ends("cardnet", town.last_run())
        when["stopped after"] = time.monotonic() - revoked

    sentence = town.fails(plan, watcher=job_town.Steps("train", revoke_and_wait))
    assert sentence == f"cardnet stopped: {town.cardnet.store.run(town.last_run()).reason}"
    assert f"grant {grant.grant_id} was revoked at" in sentence
    assert when["stopped after"] < 2.0
    run_id = town.last_run()
    assert [step.step for step in town.bank.store.steps(run_id)] == ["match", "bin", "select"]
    with pytest.raises(Exception, match=f"cardnet refuses: grant {grant.grant_id} was revoked at"):
        town.resume(run_id)
    reasons = [record.reason for record in (town.bank.store.run(run_id), town.cardnet.store.run(run_id))]
    assert all("was revoked at" in reason for reason in reasons)


def test_a_resumed_run_stays_with_its_grant_and_counts_once(town) -> None:
    plan, grant = town.granted(valid_until=_days(3))
    town.fails(plan, watcher=job_town.Steps("bin", lambda: _stop(town)))
    sooner = town.grant(plan.purpose)
    town.resume(town.last_run())
    assert town.cardnet.store.run(town.last_run()).grant_id == grant.grant_id
    assert town.cardnet.grants.runs_used(grant.grant_id) == 1
    assert town.cardnet.grants.runs_used(sooner.grant_id) == 0


def _stop(town) -> None:
    raise ConflictError("run {run} is stopped by a test", run=town.last_run())


def test_a_finished_run_is_not_resumed(town) -> None:
    plan, _ = town.granted()
    run_id = run_job(town.bank, plan)
    with pytest.raises(ConflictError, match=f"run {run_id} is done and cannot go on"):
        resume_plan(town.bank, run_id)
    with pytest.raises(ConflictError, match=f"run {run_id} is led by bank; resume it there"):
        resume_plan(town.cardnet, run_id)
    with pytest.raises(ConflictError, match=f"run {run_id} is done and cannot become cancelled"):
        cancel_run(town.bank, run_id, now=utc_now())


def test_a_run_is_not_resumed_with_another_plan(town) -> None:
    plan, _ = town.granted()
    town.fails(plan, watcher=job_town.Steps("bin", lambda: _stop(town)))
    run_id = town.last_run()
    other = town.plan(plan.purpose, {"max_bins = 4": "max_bins = 3"})
    with pytest.raises(ConflictError, match=f"run {run_id} exists already with another plan, role or grant"):
        run_job(town.bank, other, run_id=run_id)


def test_a_run_is_not_resumed_on_other_rows(town, tmp_path) -> None:
    plan, _ = town.granted({'table = "clients"': 'table = "passing"'})
    job_town.add_table(town.bank, job_town.bank_clients(), "passing", "default")
    town.fails(plan, watcher=job_town.Steps("bin", lambda: _stop(town)))
    rows = job_town.bank_clients()
    job_town.add_table(town.bank, rows.slice(0, rows.num_rows - 1), "passing", "default", replace=True)
    with pytest.raises(ConflictError, match="were replaced since it began; start a new run"):
        town.resume(town.last_run())


def test_only_the_asker_may_run_a_plan(town) -> None:
    plan, _ = town.granted()
    with pytest.raises(PlanError, match="plan small must be run by its asker bank; this is cardnet"):
        run_job(town.cardnet, plan)


@pytest.mark.parametrize("run_id", ["../../etc", "UPPER-case-1", "short", "x" * 65, "with space 1"])
def test_a_runs_identifier_cannot_be_a_path(town, run_id) -> None:
    plan, _ = town.granted()
    with pytest.raises(PlanError, match="a run's identifier has 8 to 64 small letters"):
        run_job(town.bank, plan, run_id=run_id)


# --- cancelling


def test_cancelling_a_run_in_progress_ends_it_everywhere(town) -> None:
    plan, _ = town.granted()

    def cancel() -> None:
        cancel_from_elsewhere = threading.Thread(
            target=lambda: cancel_run(Home.open(town.bank.folder), town.last_run(), now=utc_now())
        )
        cancel_from_elsewhere.start()
        time.sleep(1.0)

    assert town.fails(plan, watcher=job_town.Steps("train", cancel)).endswith("was cancelled by bank")
    run_id = town.last_run()
    assert town.bank.store.run(run_id).state == "cancelled"
    assert town.ends("cardnet", run_id).reason == f"bank stopped: run {run_id} was cancelled by bank"
    with pytest.raises(ConflictError, match=f"run {run_id} is cancelled and cannot go on"):
        resume_plan(town.bank, run_id)
    _eventually(lambda: town.bank.store.step_state(run_id, "match") == b"")
    ends = [town.bank.log.payload(town.bank.log.find("job-ended", f"{run_id}/1"))]
    assert ends == [{"state": "cancelled", "reason": "cancelled by bank"}]
    assert town.bank.log.find("job-ended", f"{run_id}/2") is None


def _eventually(check, seconds: float = 8.0) -> None:
    until = time.monotonic() + seconds
    while not check() and time.monotonic() < until:
        time.sleep(0.02)
    assert check()


def test_the_provider_may_cancel_too(town) -> None:
    plan, _ = town.granted()

    def cancel() -> None:
        cancel_run(town.cardnet, town.last_run(), now=utc_now())

    run_id_in = town.fails(plan, watcher=job_town.Steps("train", cancel))
    run_id = town.last_run()
    assert f"run {run_id} was cancelled by cardnet" in run_id_in or "has ended" in run_id_in
    with pytest.raises(Exception, match=f"cardnet stopped: run {run_id} was cancelled by cardnet"):
        town.resume(run_id)


def test_stopping_from_the_keyboard_is_told_as_such_and_can_be_resumed(town) -> None:
    plan, _ = town.granted()

    def press() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_job(town.bank, plan, watcher=job_town.Steps("select", press))
    run_id = town.last_run()
    assert town.bank.store.run(run_id).reason == "its operator stopped the run from the keyboard"
    assert "bank stopped: its operator stopped the run" in town.ends("cardnet", run_id).reason
    steps = job_town.Steps()
    town.resume(run_id, watcher=steps)
    assert steps.begun == ["select", "train", "score", "publish"]


# --- trust


@pytest.fixture
def stranger(tmp_path):
    home = Home.create(tmp_path / "stranger", "stranger", "Stranger", "127.0.0.1:9")
    yield home
    home.close()


def test_a_stranger_is_not_served_and_learns_why(town, stranger, tmp_path) -> None:
    stranger.trust.add(issue_card(town.cardnet.identity, town.cardnet.settings.endpoint, utc_now()))
    stranger.trust.add(issue_card(town.helper.identity, town.helper.settings.endpoint, utc_now()))
    text = (
        job_town.plan_text(town.purpose())
        .replace('"bank"', '"stranger"')
        .replace("tables.bank", "tables.stranger")
    )
    job_town.add_table(stranger, job_town.bank_clients(), "clients", "default")
    with pytest.raises(PeerError, match="cardnet refused the certificate of this institution"):
        run_job(stranger, parse_plan(text, "plan.toml"))
    _eventually(lambda: "is not trusted here" in town.printed("cardnet"))


def test_a_partner_that_is_not_trusted_here(town) -> None:
    text = job_town.plan_text(town.purpose(), {'helper = "helper"': 'helper = "nobody"'})
    assert town.fails(parse_plan(text, "plan.toml")).startswith("no party nobody is trusted here")


def test_a_party_named_by_the_plan_that_the_provider_does_not_trust(town, stranger) -> None:
    town.bank.trust.add(issue_card(stranger.identity, town.helper.settings.endpoint, utc_now()))
    try:
        text = job_town.plan_text(town.purpose(), {'helper = "helper"': 'helper = "stranger"'})
        # Somebody else answers where the stranger's card says it is.
        assert "helper" in town.fails(parse_plan(text, "plan.toml"))
    finally:
        town.bank.trust.remove("stranger")


# --- places


def test_a_partner_that_does_not_answer(town, tmp_path) -> None:
    quiet = job_town.Town(tmp_path).found()
    sentence = quiet.fails(quiet.granted()[0])
    assert sentence.startswith("cardnet does not answer: nobody listens at 127.0.0.1 port")
    assert quiet.bank.store.runs()[-1].state == "failed"
    quiet.stop()


def test_a_taken_port(town) -> None:
    port = int(town.cardnet.settings.endpoint.split(":")[1])
    with pytest.raises(ConflictError, match=f"port {port} of 127.0.0.1 is taken by another program"):
        Daemon(town.cardnet.folder)


def test_two_runs_at_once(town) -> None:
    plans = [town.granted()[0] for _ in range(3)]
    runs, homes = {}, [Home.open(town.bank.folder) for _ in plans]

    def run(place: int) -> None:
        runs[place] = run_job(homes[place], plans[place])

    threads = [threading.Thread(target=run, args=(place,)) for place in range(len(plans))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(set(runs.values())) == len(plans)
    assert {town.ends("cardnet", run_id).state for run_id in runs.values()} == {"done"}


def test_the_same_run_is_not_played_twice_at_once(town) -> None:
    plan, _ = town.granted()
    sentences = []

    def again() -> None:
        with Home.open(town.bank.folder) as home, pytest.raises(ConflictError) as caught:
            run_job(home, plan, run_id=town.last_run())
        sentences.append(str(caught.value))

    run_id = run_job(town.bank, plan, watcher=job_town.Steps("select", again))
    assert sentences == [f"run {run_id} is being played at bank already; wait until that ends"]
    assert not list((town.bank.folder / "locks").glob(f"{run_id}*"))


def test_of_several_grants_that_lack_as_much_the_newest_is_spoken_of(town) -> None:
    plan = town.plan("two grants")
    town.grant(plan.purpose, openings=Openings())
    fitting = town.grant(plan.purpose)
    town.cardnet.grants.revoke(fitting.grant_id, utc_now())
    assert town.fails(plan).startswith(f"cardnet refuses: grant {fitting.grant_id} was revoked at")


def test_who_has_no_grant_learns_nothing_of_tables_and_leaves_a_trace(town) -> None:
    plan = town.plan("probing", {'table = "behaviour"': 'table = "behavior"'})
    sentence = town.fails(plan)
    assert "did you mean" not in sentence
    assert "table" not in sentence.replace("acceptable", "")
    index = town.cardnet.log.find("job-refused", f"{town.last_run()}/1")
    assert index is not None
    assert sentence == f"cardnet refuses: {town.cardnet.log.payload(index)['reason']}"


def test_a_refusal_is_of_the_kind_grant(town) -> None:
    with pytest.raises(GrantError, match="cardnet refuses: "):
        run_job(town.bank, town.plan("nobody granted this"))
