"""A job at the parties that were asked: the provider and the helper.

Both check the offer before anything is computed: who asks, which plan, whether a grant allows it.
"""

from collections.abc import Callable
from datetime import datetime

import msgspec

from tongzhou.errors import GrantError, PlanError, ProtocolError, TongzhouError
from tongzhou.node.home import Home
from tongzhou.node.job_context import JobContext
from tongzhou.node.job_journal import (
    attempts_of,
    commit_table,
    enter_missing,
    note_end,
    note_refusal,
)
from tongzhou.node.job_messages import STEPS, Acceptance, Offer, StepOrder
from tongzhou.node.job_play import play_step
from tongzhou.node.job_watch import watching
from tongzhou.node.job_witness import exchange_cosignatures
from tongzhou.node.plan import Plan, decode_plan, plan_digest
from tongzhou.parties.grants import Grant, GrantRequest, Openings
from tongzhou.parties.times import utc_now
from tongzhou.secure.party import Role
from tongzhou.wire.messages import Link, Session

__all__ = ["OfferedJob", "follow_job", "grant_request", "read_offer"]

Clock = Callable[[], datetime]


class OfferedJob(msgspec.Struct, frozen=True):
    """An offer that this party may take up.

    Attributes:
        offer: as the asker sent it.
        plan: its plan.
        role: own role in it.
        grant: the grant that allows it, at the provider.
    """

    offer: Offer
    plan: Plan
    role: str
    grant: Grant | None


def read_offer(home: Home, link: Link, *, clock: Clock = utc_now) -> OfferedJob:
    """Take an offer from an asker and check it.

    Raises:
        PlanError: the plan is malformed, gives this party no role, or gives the asker's role to another.
        ProtocolError: digest and plan differ.
        GrantError: no grant allows it; the refusal is entered in the log.
        NotFoundError: a table or a party is unknown here.
    """
    offer, _ = link.recv("job.offer", Offer)
    plan = decode_plan(offer.plan.encode(), f"the plan of {link.peer}")
    if plan_digest(plan) != offer.plan_digest:
        raise ProtocolError("{peer} sent a plan that does not fit its digest", peer=link.peer)
    if plan.parties.asker != link.peer:
        raise PlanError(
            "the plan names {asker} as asker, but {peer} sent it", asker=plan.parties.asker, peer=link.peer
        )
    role = plan.role(home.party_id)
    for party in plan.members:
        if party != home.party_id:
            home.trust.get(party)
    if role != "provider":
        return OfferedJob(offer, plan, role, None)
    try:
        grant = _find_grant(home, plan, offer.run_id, clock())
    except GrantError as error:
        note_refusal(home.log, offer.run_id, link.peer, str(error))
        raise
    return OfferedJob(offer, plan, role, grant)


def _find_grant(home: Home, plan: Plan, run_id: str, now: datetime) -> Grant:
    grant = home.grants.find(grant_request(plan), now, run_id=run_id)
    home.store.table(grant.table)
    home.grants.use(grant.grant_id, run_id)
    return grant


def grant_request(plan: Plan) -> GrantRequest:
    """What a plan asks of the provider's data."""
    table = plan.tables[plan.parties.provider]
    openings = plan.openings
    return GrantRequest(
        asker=plan.parties.asker,
        helper=plan.parties.helper,
        purpose=plan.purpose,
        table=table.table,
        columns=list(table.columns),
        mode="aided",
        protocols=["match", "bin", "train", "score"],
        openings=Openings(
            bin_counts=openings.bin_counts,
            card=openings.card,
            reasons=openings.reasons,
            training_summary=openings.training_summary,
        ),
    )


def follow_job(home: Home, job: OfferedJob, session: Session, *, clock: Clock = utc_now) -> None:
    """Accept an offer and follow the asker's orders to the end of the run.

    Raises:
        TongzhouError: why this party stopped; it stands in the run and in the log.
    """
    run_id, grant_id = job.offer.run_id, "" if job.grant is None else job.grant.grant_id
    home.store.start_run(run_id, job.plan, role=job.role, grant_id=grant_id or None, now=clock())
    home.store.reopen_run(run_id)
    enter_missing(home, run_id)
    try:
        with watching(home, run_id, session, check=_grant_check(job), clock=clock):
            _follow(home, job, session, clock)
    except TongzhouError as error:
        if home.store.run(run_id).state == "running":
            home.store.finish_run(run_id, "failed", reason=str(error), now=clock())
            note_end(home.log, run_id, "failed", str(error))
        raise
    home.store.finish_run(run_id, "done", now=clock())


def _follow(home: Home, job: OfferedJob, session: Session, clock: Clock) -> None:
    context = JobContext(home, job.plan, _role(job), job.offer.run_id, session, clock=clock)
    asker = context.party.link("asker")
    if job.plan.parties.helper is not None:
        _compare_digests(context)
    asker.send("job.accept", _acceptance(home, job))
    while True:
        order, _ = asker.recv("step.order", StepOrder)
        if not order.step:
            break
        _check_order(context, job, order)
        home.store.forget_steps(context.run_id, after=order.after or None)
        context.minimum_rows = order.minimum_rows
        context.minimum_bin_rows = order.minimum_bin_rows
        play_step(context, order)
    note_end(home.log, context.run_id, "done", "")
    exchange_cosignatures(context)


def _compare_digests(context: JobContext) -> None:
    """Provider and helper make sure that the asker told both the same plan."""
    other = context.party.link("helper" if context.role == "provider" else "provider")
    other.send("job.digest", context.digest)
    theirs, _ = other.recv("job.digest", str)
    if theirs != context.digest:
        raise ProtocolError(
            "{peer} was told another plan of run {run} than {me}: the parties disagree on the plan",
            peer=other.peer,
            run=context.run_id,
            me=context.home.party_id,
        )


def _acceptance(home: Home, job: OfferedJob) -> Acceptance:
    run_id, grant = job.offer.run_id, job.grant
    grant_id = "" if grant is None else grant.grant_id
    return Acceptance(
        party=home.party_id,
        plan_digest=plan_digest(job.plan),
        done=tuple(record.step for record in home.store.steps(run_id)),
        attempts=attempts_of(home.log, run_id),
        grant_id=grant_id,
        grant="" if grant is None else home.grants.document(grant_id),
        minimum_rows=0 if grant is None else grant.minimum_rows,
        minimum_bin_rows=0 if grant is None else grant.minimum_bin_rows,
        commitment=commit_table(home, job.plan, run_id, role=job.role, grant_id=grant_id),
    )


def _check_order(context: JobContext, job: OfferedJob, order: StepOrder) -> None:
    """The asker may not lower what the grant demands, skip a step, or use another grant."""
    grant, peer = job.grant, context.party.names["asker"]
    if order.after not in ("", *STEPS) or order.step not in STEPS:
        raise ProtocolError("{peer} ordered a step that does not exist", peer=peer)
    if STEPS.index(order.step) != (STEPS.index(order.after) + 1 if order.after else 0):
        raise ProtocolError("{peer} ordered steps out of order", peer=peer)
    if grant is None:
        return
    if order.grant_id != grant.grant_id or order.minimum_rows < grant.minimum_rows:
        raise ProtocolError(
            "{peer} ordered a step under other terms than grant {grant}",
            peer=peer,
            grant=grant.grant_id,
        )
    if order.minimum_bin_rows < grant.minimum_bin_rows:
        raise ProtocolError(
            "{peer} ordered bins of {got} rows; grant {grant} demands {minimum}",
            peer=peer,
            got=order.minimum_bin_rows,
            grant=grant.grant_id,
            minimum=grant.minimum_bin_rows,
        )
    context.home.grants.check(grant.grant_id, grant_request(job.plan), context.clock(), run_id=context.run_id)


def _grant_check(job: OfferedJob) -> Callable[[Home, datetime], None]:
    """What the watcher asks: whether the grant still holds."""

    def check(home: Home, now: datetime) -> None:
        if job.grant is not None:
            home.grants.check(job.grant.grant_id, grant_request(job.plan), now, run_id=job.offer.run_id)

    return check


def _role(job: OfferedJob) -> Role:
    return "provider" if job.role == "provider" else "helper"
