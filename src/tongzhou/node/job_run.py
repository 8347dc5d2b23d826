"""A job at the asker: offer it to the others, order its steps, resume it where it stopped."""

import secrets
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

import msgspec

from tongzhou import __version__
from tongzhou.errors import ConflictError, PlanError, ProtocolError, TongzhouError
from tongzhou.node.home import Home
from tongzhou.node.job_context import JobContext, Progress
from tongzhou.node.job_journal import StepSummary, attempts_of, commit_table, enter_missing, note_end
from tongzhou.node.job_messages import JOB_PURPOSE, STEPS, Acceptance, Offer, StepOrder
from tongzhou.node.job_play import play_step
from tongzhou.node.job_watch import watching
from tongzhou.node.job_witness import exchange_cosignatures
from tongzhou.node.plan import Plan, encode_plan, plan_digest
from tongzhou.parties.documents import verify_document
from tongzhou.parties.grants import Grant
from tongzhou.parties.times import utc_now
from tongzhou.wire.messages import Session
from tongzhou.wire.session import closing, join_links
from tongzhou.wire.tls import connect

__all__ = ["Connect", "Watcher", "call_parties", "new_run_id", "run_job"]

Clock = Callable[[], datetime]
Connect = Callable[[Home, Plan, str], AbstractContextManager[Session]]


class Watcher(Protocol):
    """Who is told how a job goes on."""

    def step_begins(self, step: str, position: int, of: int) -> None:
        """A step starts."""

    def progress(self, step: str, done: int, total: int) -> None:
        """A long step has come so far."""

    def step_ends(self, step: str, summary: StepSummary) -> None:
        """A step is saved by every party."""


class Silent:
    """A watcher that looks away."""

    def step_begins(self, step: str, position: int, of: int) -> None:
        """Nothing."""

    def progress(self, step: str, done: int, total: int) -> None:
        """Nothing."""

    def step_ends(self, step: str, summary: StepSummary) -> None:
        """Nothing."""


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
                links.append(connect(home.identity, card, home.trust, purpose=JOB_PURPOSE, run_id=run_id))
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
        connect_parties: makes the session; over TLS by default.
        clock: gives the time.

    Returns:
        The run's identifier.

    Raises:
        PlanError: this party is not the plan's asker, or the mode needs no partners.
        ConflictError: the run was cancelled, is done, or was begun with another plan.
        TongzhouError: why the run stopped; it can be resumed.
    """
    if home.party_id != plan.parties.asker:
        raise PlanError(
            "plan {plan} must be run by its asker {asker}; this is {me}",
            plan=plan.name,
            asker=plan.parties.asker,
            me=home.party_id,
        )
    run_id = run_id or new_run_id(clock())
    home.store.start_run(run_id, plan, role="asker", now=clock())
    home.store.reopen_run(run_id)
    enter_missing(home, run_id)
    try:
        with (
            connect_parties(home, plan, run_id) as session,
            watching(home, run_id, session, check=_no_check, clock=clock),
        ):
            _lead(home, plan, run_id, session, watcher or Silent(), clock)
    except TongzhouError as error:
        _note_failure(home, run_id, error, clock)
        raise
    home.store.finish_run(run_id, "done", now=clock())
    return run_id


def _note_failure(home: Home, run_id: str, error: TongzhouError, clock: Clock) -> None:
    if home.store.run(run_id).state == "running":
        home.store.finish_run(run_id, "failed", reason=str(error), now=clock())
    note_end(home.log, run_id, home.store.run(run_id).state, str(error))


def _lead(home: Home, plan: Plan, run_id: str, session: Session, watcher: Watcher, clock: Clock) -> None:
    context = JobContext(home, plan, "asker", run_id, session, progress=_progress(watcher), clock=clock)
    terms = _offer(context)
    after = _common_step(home, run_id, [acceptance.done for acceptance in terms.acceptances])
    home.store.forget_steps(run_id, after=after or None)
    context.minimum_rows, context.minimum_bin_rows = terms.minimum_rows, terms.minimum_bin_rows
    for position in range(STEPS.index(after) + 1 if after else 0, len(STEPS)):
        step = STEPS[position]
        order = StepOrder(
            step=step,
            attempt=terms.next_attempt(step, attempts_of(home.log, run_id)),
            after=STEPS[position - 1] if position else "",
            grant_id=terms.grant_id,
            commitments=terms.commitments,
            minimum_rows=terms.minimum_rows,
            minimum_bin_rows=terms.minimum_bin_rows,
        )
        watcher.step_begins(step, position, len(STEPS))
        _order(session, order)
        watcher.step_ends(step, play_step(context, order))
    _order(session, msgspec.structs.replace(_END, commitments={}))
    note_end(home.log, run_id, "done", "")
    exchange_cosignatures(context)


_END = StepOrder(
    step="", attempt=0, after="", grant_id="", commitments={}, minimum_rows=0, minimum_bin_rows=0
)


def _order(session: Session, order: StepOrder) -> None:
    for link in session.links.values():
        link.send("step.order", order)


class _Terms(msgspec.Struct, frozen=True):
    """What the others accepted."""

    acceptances: tuple[Acceptance, ...]
    commitments: dict[str, str]
    grant_id: str
    minimum_rows: int
    minimum_bin_rows: int

    def next_attempt(self, step: str, own: dict[str, int]) -> int:
        """The first number under which no party has entered the step yet."""
        return 1 + max(own[step], *(acceptance.attempts.get(step, 0) for acceptance in self.acceptances))


def _offer(context: JobContext) -> _Terms:
    home, plan, run_id = context.home, context.plan, context.run_id
    own = commit_table(home, plan, run_id, role="asker", grant_id="")
    offer = Offer(run_id, encode_plan(plan).decode(), plan_digest(plan), __version__, own)
    for link in context.session.links.values():
        link.send("job.offer", offer)
    acceptances = {}
    for link in context.session.links.values():
        accepted, _ = link.recv("job.accept", Acceptance)
        if accepted.party != link.peer or accepted.plan_digest != offer.plan_digest:
            raise ProtocolError("{peer} accepted another plan than it was offered", peer=link.peer)
        acceptances[link.peer] = accepted
    provider = acceptances[plan.parties.provider]
    grant = _check_grant(home, plan, provider)
    return _Terms(
        acceptances=tuple(acceptances.values()),
        commitments={home.party_id: own, plan.parties.provider: provider.commitment},
        grant_id=grant.grant_id,
        minimum_rows=max(grant.minimum_rows, plan.match.minimum_rows),
        minimum_bin_rows=grant.minimum_bin_rows,
    )


def _check_grant(home: Home, plan: Plan, accepted: Acceptance) -> Grant:
    """The asker keeps the signed grant that its run rests on, so it looks at it."""
    card = home.trust.get(plan.parties.provider)
    grant = verify_document(accepted.grant, "grant", Grant, card.public_key_bytes, signer=card.party_id)
    if grant.grant_id != accepted.grant_id or home.party_id not in grant.askers:
        raise ProtocolError("{peer} showed a grant that is not for this run", peer=card.party_id)
    return grant


def _common_step(home: Home, run_id: str, others: Iterable[tuple[str, ...]]) -> str:
    """The last step that every party has finished."""
    done = [tuple(record.step for record in home.store.steps(run_id)), *others]
    last = ""
    for position, step in enumerate(STEPS):
        if not all(len(steps) > position and steps[position] == step for steps in done):
            break
        last = step
    return last


def _progress(watcher: Watcher) -> Progress:
    return watcher.progress


def _no_check(home: Home, now: datetime) -> None:
    """The asker has no grant of its own to watch."""


def resume_plan(home: Home, run_id: str) -> Plan:
    """The plan of a run that can go on.

    Raises:
        ConflictError: it is done or cancelled, or another party leads it.
        NotFoundError: there is no such run.
    """
    run = home.store.run(run_id)
    if run.role != "asker":
        raise ConflictError(
            "run {run} is led by {asker}; resume it there", run=run_id, asker=run.plan.parties.asker
        )
    if run.state in ("done", "cancelled"):
        raise ConflictError("run {run} is {state} and cannot go on", run=run_id, state=run.state)
    return run.plan
