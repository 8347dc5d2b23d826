"""A job at the asker: call the others, run it from its first unfinished step, resume or cancel it."""

import secrets
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import datetime
from typing import Final

from tongzhou.errors import ConflictError, PlanError, TongzhouError
from tongzhou.node.home import Home
from tongzhou.node.job import Job
from tongzhou.node.job_context import JobContext
from tongzhou.node.job_faults import INTERNAL_FAULT, note_failure, our_kinds
from tongzhou.node.job_journal import begun_as, enter_missing, note_end
from tongzhou.node.job_lead import Silent, Watcher, lead
from tongzhou.node.job_local import local_parties
from tongzhou.node.job_lock import check_run_id, holding_run
from tongzhou.node.job_messages import JOB_PURPOSE, SILENCE_S
from tongzhou.node.job_watch import watching
from tongzhou.node.plan import Plan
from tongzhou.node.store import RunRecord
from tongzhou.parties.times import utc_now
from tongzhou.secure.exchange import Exchange
from tongzhou.wire.link import FramedLink
from tongzhou.wire.messages import Session
from tongzhou.wire.session import closing, join_links
from tongzhou.wire.tls import connect

__all__ = [
    "Connect",
    "Watcher",
    "call_parties",
    "cancel_run",
    "new_run_id",
    "play_job",
    "resume_plan",
    "run_job",
]

Clock = Callable[[], datetime]
Connect = Callable[[Home, Plan, str], AbstractContextManager[Session]]

_INTERRUPTED: Final = "its operator stopped the run from the keyboard"
_ERASE_WAIT_S: Final = 5.0


def new_run_id(now: datetime) -> str:
    """A fresh identifier: the day for people, randomness against guessing."""
    return f"{now:%Y%m%d}-{secrets.token_hex(6)}"


def call_parties(home: Home, plan: Plan, run_id: str) -> AbstractContextManager[Session]:
    """Call every other party of the plan over TLS."""
    links = []
    try:
        for party in plan.members:
            if party != home.party_id:
                card = home.trust.get(party)
                link = connect(
                    home.identity, card, home.trust, purpose=JOB_PURPOSE, run_id=run_id, timeout_s=SILENCE_S
                )
                links.append(link)
    except TongzhouError:
        for link in links:
            link.close()
        raise
    return closing(join_links(home.party_id, links))


def run_job(
    home: Home,
    plan: Plan,
    *,
    run_id: str | None = None,
    watcher: Watcher | None = None,
    connect_parties: Connect = call_parties,
    clock: Clock = utc_now,
) -> str:
    """Run a plan from its first unfinished step to its end.

    Args:
        home: the asker's institution.
        plan: what to run.
        run_id: a run to resume; a new one by default.
        watcher: told of each step.
        connect_parties: makes the session; over TLS by default. Not asked in mode local.
        clock: gives the time.

    Returns:
        The run's identifier.

    Raises:
        PlanError: this party is not the plan's asker.
        ConflictError: the run was cancelled, is done, was begun with another plan, or is being run already.
        TongzhouError: why the run stopped; it can be resumed.
    """
    job = Job(plan, check_run_id(run_id or new_run_id(clock())), plan.job)
    play_job(home, job, watcher=watcher, connect_parties=connect_parties, clock=clock)
    return job.run_id


def play_job(
    home: Home,
    job: Job,
    *,
    watcher: Watcher | None = None,
    connect_parties: Connect = call_parties,
    clock: Clock = utc_now,
) -> None:
    """Run any kind of job; arguments and errors as `run_job`."""
    plan, run_id = job.plan, job.run_id
    if home.party_id != plan.parties.asker:
        raise PlanError(
            "plan {plan} must be run by its asker {asker}; this is {me}",
            plan=plan.name,
            asker=plan.parties.asker,
            me=home.party_id,
        )
    with holding_run(home, run_id):
        with our_kinds():
            home.store.start_run(run_id, plan, role="asker", now=clock())
            home.store.reopen_run(run_id)
            enter_missing(home, run_id)
        reason = INTERNAL_FAULT
        try:
            with our_kinds():
                _in_session(home, job, watcher or Silent(), connect_parties, clock=clock)
            home.store.finish_run(run_id, "done", now=clock())
            reason = ""
        except TongzhouError as error:
            reason = str(error)
            raise
        except KeyboardInterrupt:
            reason = _INTERRUPTED
            raise
        finally:
            if reason:
                note_failure(home, run_id, reason, clock())


def _in_session(home: Home, job: Job, watcher: Watcher, connect_parties: Connect, *, clock: Clock) -> None:
    exchange = Exchange() if job.plan.mode == "local" else None
    opened = (
        connect_parties(home, job.plan, job.run_id)
        if exchange is None
        else local_parties(home, job.plan, exchange, clock=clock)
    )
    with (
        opened as session,
        our_kinds(),
        watching(home, job.run_id, session, check=_no_check, clock=clock) as watch,
    ):
        context = JobContext(
            home, job, "asker", session, exchange, progress=watcher.progress, heed=watch.heed, clock=clock
        )
        try:
            lead(context, watcher)
        except KeyboardInterrupt:
            for link in session.links.values():
                if isinstance(link, FramedLink):
                    link.send_error(_INTERRUPTED)
            raise


def _no_check(home: Home, now: datetime) -> None:
    """The asker has no grant of its own to watch."""


def resume_plan(home: Home, run_id: str) -> Plan:
    """The plan of a run that can go on.

    Raises:
        ConflictError: it is done or cancelled, another party leads it, or it needs its applicants' file.
        NotFoundError: there is no such run.
    """
    run = home.store.run(run_id)
    if run.role != "asker":
        raise ConflictError(
            "run {run} is led by {asker}; resume it there", run=run_id, asker=run.plan.parties.asker
        )
    if run.state in ("done", "cancelled"):
        raise ConflictError("run {run} is {old} and cannot go on", run=run_id, old=run.state)
    begun = begun_as(home.log, run_id)
    if begun is not None and begun["kind"] == "score":
        raise ConflictError(
            "run {run} scores applicants; go on with: tongzhou decide {base} and the same file",
            run=run_id,
            base=begun["base_run"],
        )
    return run.plan


def cancel_run(home: Home, run_id: str, *, now: datetime) -> RunRecord:
    """Stop a run for good and erase its private states; a run in progress ends within a second.

    Raises:
        ConflictError: it is done.
        NotFoundError: there is no such run.
    """
    if home.store.run(run_id).state == "failed":
        home.store.reopen_run(run_id)
    reason = f"cancelled by {home.party_id}"
    record = home.store.finish_run(run_id, "cancelled", reason=reason, now=now)
    note_end(home.log, run_id, "cancelled", reason)
    # The process that plays it may still read its states; if it does not let go, they stay.
    with suppress(ConflictError), holding_run(home, run_id, wait_s=_ERASE_WAIT_S):
        home.store.erase_states(run_id)
    return record
