"""A job at the parties that were asked: the provider and the helper.

Both check the offer before anything is computed: who asks, which plan, whether a grant allows it.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import msgspec

from tongzhou.errors import ConflictError, GrantError, NotFoundError, PlanError, ProtocolError, TongzhouError
from tongzhou.node.home import Home
from tongzhou.node.job import Job
from tongzhou.node.job_context import JobContext
from tongzhou.node.job_faults import INTERNAL_FAULT, from_peer, note_failure, our_kinds
from tongzhou.node.job_journal import attempts_of, commit_table, enter_missing, note_end, note_refusal
from tongzhou.node.job_messages import MAX_ATTEMPTS, Acceptance, JobKind, Offer, StepOrder, protocols_of
from tongzhou.node.job_play import play_step
from tongzhou.node.job_watch import watching
from tongzhou.node.job_witness import exchange_cosignatures
from tongzhou.node.plan import Plan, PlanOpenings, decode_plan, plan_digest
from tongzhou.node.plan_jobs import JOB_RULES
from tongzhou.node.store import RunRecord
from tongzhou.parties.grants import Grant, GrantRequest, Openings
from tongzhou.parties.times import parse_utc, utc_now, utc_text
from tongzhou.secure.exchange import Exchange
from tongzhou.wire.link import FramedLink
from tongzhou.wire.messages import Session

__all__ = ["OfferedJob", "follow_job", "grant_request", "read_offer"]

Clock = Callable[[], datetime]

_REFUSAL_MAX: Final = 2000
_CLOCKS_APART: Final = timedelta(minutes=10)
_NO_OPENINGS: Final = PlanOpenings(bin_counts="provider", card="shared", reasons=0, training_summary=False)


class OfferedJob(msgspec.Struct, frozen=True):
    """An offer that this party may take up.

    Attributes:
        offer: as the asker sent it.
        plan: its plan.
        role: own role in it.
        grant: the grant that allows it, at the provider; none in mode local.
    """

    offer: Offer
    plan: Plan
    role: str
    grant: Grant | None

    @property
    def job(self) -> Job:
        """What is run."""
        return Job.offered(self.offer, self.plan)


def read_offer(home: Home, link: FramedLink, *, clock: Clock = utc_now) -> OfferedJob:
    """Take an offer from an asker and check it.

    Raises:
        PlanError: the plan is malformed, gives this party no role, or gives the asker's role to another.
        ProtocolError: digest and plan differ.
        ConflictError: the run exists here as another one, or was cancelled.
        GrantError: no grant allows it; the refusal is entered in the log.
        NotFoundError: a table, a party or the base run is unknown here.
    """
    offer, _ = link.recv("job.offer", Offer)
    plan = decode_plan(offer.plan.encode(), f"the plan of {link.peer}")
    if plan_digest(plan) != offer.plan_digest:
        raise ProtocolError("{peer} sent a plan that does not fit its digest", peer=link.peer)
    if plan.parties.asker != link.peer:
        raise PlanError(
            "the plan names {asker} as asker, but {peer} sent it", asker=plan.parties.asker, peer=link.peer
        )
    if plan.mode == "local":
        raise PlanError("{peer} offers a plan of mode local, which has no partners", peer=link.peer)
    role = plan.role(home.party_id)
    for party in plan.members:
        if party != home.party_id:
            home.trust.get(party)
    known = _known_run(home, offer, plan)
    _check_base_run(home, offer, plan)
    if role == "helper":
        return OfferedJob(offer, plan, role, None)
    # The grant comes first: who has none learns nothing, not even whether a table of that name exists.
    try:
        grant = _find_grant(home, Job.offered(offer, plan), known, clock())
        _check_own_table(home, plan)
        home.grants.use(grant.grant_id, offer.run_id)
    except GrantError as error:
        note_refusal(home.log, offer.run_id, link.peer, str(error))
        refusal = Acceptance(home.party_id, offer.plan_digest, (), refused=str(error)[:_REFUSAL_MAX])
        link.send("job.accept", refusal)
        link.close()
        raise
    return OfferedJob(offer, plan, role, grant)


def _known_run(home: Home, offer: Offer, plan: Plan) -> RunRecord | None:
    """The run as it stands here, if it began before; it must be the same one."""
    try:
        known = home.store.run(offer.run_id)
    except NotFoundError:
        return None
    if known.plan != plan:
        raise ConflictError("run {run} exists already with another plan, role or grant", run=offer.run_id)
    if known.state == "cancelled":
        raise ConflictError("run {run} was cancelled by {party}", run=offer.run_id, party=home.party_id)
    return known


def _check_base_run(home: Home, offer: Offer, plan: Plan) -> None:
    """Scores rest on a finished run of the same plan, and on nothing else."""
    if offer.kind == "score" and not JOB_RULES[plan.job].scoring:
        raise PlanError("a {job} job leaves nothing to score with", job=plan.job)
    if offer.kind != "score":
        if offer.base_run:
            raise ProtocolError("only scores rest on another run, got {run}", run=offer.base_run)
        if offer.kind != plan.job:
            raise ProtocolError("the plan asks for {wanted}, not for {got}", wanted=plan.job, got=offer.kind)
        return
    try:
        base = home.store.run(offer.base_run)
    except NotFoundError:
        # Without the hint that the own terminal gets: names of other runs are nobody else's business.
        raise NotFoundError("there is no run {run}", run=offer.base_run) from None
    if base.plan != plan:
        raise PlanError("run {run} was of another plan", run=offer.base_run)
    if base.state != "done":
        raise ConflictError(
            "run {run} is {state} at {party}; only a finished one can score",
            run=offer.base_run,
            state=base.state,
            party=home.party_id,
        )


def _check_own_table(home: Home, plan: Plan) -> None:
    """The own table must be there as the plan says, before a use of the grant is counted."""
    wanted = plan.tables[home.party_id]
    record = home.store.table(wanted.table)
    identifier = plan.match.identifier[home.party_id]
    if (record.identifier, record.kind) != (identifier, plan.match.kind):
        raise PlanError(
            "table {table} was added with identifier {got} of kind {kind}; "
            "the plan says {wanted} of kind {wanted_kind}",
            table=wanted.table,
            got=record.identifier,
            kind=record.kind,
            wanted=identifier,
            wanted_kind=plan.match.kind,
        )
    missing = [column for column in wanted.columns if column not in record.columns]
    if missing:
        raise PlanError("table {table} has no column {column}", table=wanted.table, column=missing[0])


def _find_grant(home: Home, job: Job, known: RunRecord | None, now: datetime) -> Grant:
    """The grant for a run; one that began before stays with the grant that it began under."""
    request = grant_request(job.plan, job.kind, home.party_id)
    if known is None or known.grant_id is None:
        return home.grants.find(request, now, run_id=job.run_id)
    if known.state != "done":
        home.grants.check(known.grant_id, request, now, run_id=job.run_id)
    return home.grants.get(known.grant_id)


def grant_request(plan: Plan, kind: JobKind, provider: str) -> GrantRequest:
    """What a run asks of a provider's data."""
    table, openings = plan.tables[provider], _openings(plan)
    scores = kind == "score"
    return GrantRequest(
        asker=plan.parties.asker,
        helper=plan.parties.helper,
        purpose=plan.purpose,
        table=table.table,
        columns=list(table.columns),
        mode=plan.mode,
        protocols=list(protocols_of(kind, plan.job)),
        openings=Openings(
            bin_counts="provider" if scores else openings.bin_counts,
            card=openings.card,
            reasons=openings.reasons,
            training_summary=openings.training_summary and not scores,
        ),
    )


def _openings(plan: Plan) -> PlanOpenings:
    """What the plan's job opens, in the words of a grant."""
    if "openings" in JOB_RULES[plan.job].sections:
        return plan.openings
    if plan.job == "boosting":
        return msgspec.structs.replace(
            _NO_OPENINGS,
            card="own" if plan.boosting.leaves == "asker" else "shared",
            training_summary=plan.boosting.gains,
        )
    # What no section of its plan opens, the job cannot open.
    return _NO_OPENINGS


def follow_job(
    home: Home,
    offered: OfferedJob,
    session: Session,
    *,
    exchange: Exchange | None = None,
    clock: Clock = utc_now,
) -> None:
    """Accept an offer and follow the asker's orders to the end of the run.

    Args:
        home: the institution.
        offered: the offer, checked.
        session: links to the other parties.
        exchange: in mode local, where the two owners of this process meet.
        clock: gives the time.

    Raises:
        TongzhouError: why this party stopped; it stands in the run and in the log.
    """
    run_id, grant_id = offered.offer.run_id, "" if offered.grant is None else offered.grant.grant_id
    with our_kinds():
        run = home.store.start_run(
            run_id, offered.plan, role=offered.role, grant_id=grant_id or None, now=clock()
        )
        if run.state != "done":  # a finished one may still owe its cosignature
            home.store.reopen_run(run_id)
        enter_missing(home, run_id)
    reason = INTERNAL_FAULT
    try:
        with (
            our_kinds(),
            watching(home, run_id, session, check=_grant_check(offered), clock=clock) as watch,
        ):
            context = JobContext(
                home, offered.job, offered.role, session, exchange, heed=watch.heed, clock=clock
            )
            _follow(context, offered)
        home.store.finish_run(run_id, "done", now=clock())
        reason = ""
        context.party.link("asker").send("job.ended", run_id)
    except TongzhouError as error:
        reason = str(error)
        raise
    finally:
        if reason:
            note_failure(home, run_id, reason, clock())


def _follow(context: JobContext, offered: OfferedJob) -> None:
    asker = context.party.link("asker")
    _compare_digests(context, offered.offer)
    accepted = _acceptance(context, offered)
    asker.send("job.accept", accepted)
    while True:
        order, _ = asker.recv("step.order", StepOrder)
        context.heed()
        if not order.step:
            break
        _check_order(context, offered, accepted, order)
        context.home.store.forget_steps(context.run_id, after=order.after or None)
        context.minimum_rows = order.minimum_rows
        context.minimum_bin_rows = order.minimum_bin_rows
        context.consents = order.consents
        play_step(context, order)
    _finish(context)


def _finish(context: JobContext) -> None:
    """The end of a run at this party: every step must be there."""
    steps = tuple(record.step for record in context.home.store.steps(context.run_id))
    if steps != context.job.steps:
        raise ProtocolError(
            "{peer} ended run {run} before its last step",
            peer=context.party.names["asker"],
            run=context.run_id,
        )
    note_end(context.home.log, context.run_id, "done", "")
    exchange_cosignatures(context)


def _compare_digests(context: JobContext, offer: Offer) -> None:
    """Those that were asked make sure that the asker told all of them the same."""
    told = [context.digest, offer.kind, offer.base_run, offer.commitment]
    others = [link for peer, link in context.session.links.items() if peer != context.plan.parties.asker]
    for link in others:
        link.send("job.digest", told)
    for link in others:
        theirs, _ = link.recv("job.digest", list[str])
        if theirs != told:
            raise ProtocolError(
                "{peer} was told another plan of run {run} than {me}: the parties disagree on the plan",
                peer=link.peer,
                run=context.run_id,
                me=context.home.party_id,
            )


def _acceptance(context: JobContext, offered: OfferedJob) -> Acceptance:
    home, run_id, grant = context.home, context.run_id, offered.grant
    grant_id = "" if grant is None else grant.grant_id
    scores = offered.offer.kind == "score"
    return Acceptance(
        party=home.party_id,
        plan_digest=context.digest,
        done=tuple(record.step for record in home.store.steps(run_id)),
        attempts=attempts_of(home.log, run_id),
        grant_id=grant_id,
        grant="" if grant is None else home.grants.document(grant_id),
        # Applicants come one or a few at a time: the least number of rows is about building a card.
        minimum_rows=0 if grant is None else 1 if scores else grant.minimum_rows,
        minimum_bin_rows=0 if grant is None else grant.minimum_bin_rows,
        commitment=commit_table(home, context.job, role=offered.role, grant_id=grant_id),
    )


def _check_order(context: JobContext, offered: OfferedJob, accepted: Acceptance, order: StepOrder) -> None:
    """The asker may not lower what plan and grant demand, skip a step, or name other grants or inputs."""
    peer = context.party.names["asker"]
    _check_place(context, order)
    _check_time(context, order)
    least = 1 if offered.offer.kind == "score" else context.plan.match.minimum_rows
    if order.minimum_rows < max(accepted.minimum_rows, least):
        raise ProtocolError(
            "{peer} ordered matches of {got} rows; plan and grant demand {minimum}",
            peer=peer,
            got=order.minimum_rows,
            minimum=max(accepted.minimum_rows, least),
        )
    inputs = {peer: offered.offer.commitment}
    if context.is_owner:
        inputs[context.home.party_id] = accepted.commitment
    told = {party: order.commitments.get(party) for party in inputs}
    if told != inputs or set(order.commitments) != set(context.plan.owners):
        raise ProtocolError("{peer} ordered a step with other commitments than were made", peer=peer)
    if offered.grant is not None:
        _check_terms(context, offered.grant, order)


def _check_place(context: JobContext, order: StepOrder) -> None:
    """The step must be the next one, and not be played without end."""
    steps, peer, store = context.job.steps, context.party.names["asker"], context.home.store
    if order.after not in ("", *steps) or order.step not in steps:
        raise ProtocolError("{peer} ordered a step that does not exist", peer=peer)
    done = [record.step for record in store.steps(context.run_id)]
    place = steps.index(order.step)
    if order.after != ("" if place == 0 else steps[place - 1]) or place > len(done):
        raise ProtocolError("{peer} ordered steps out of order", peer=peer)
    if store.run(context.run_id).state == "done":
        raise ConflictError("run {run} is {old} and cannot go on", run=context.run_id, old="done")
    played = attempts_of(context.home.log, context.run_id)[order.step]
    if not played < order.attempt <= MAX_ATTEMPTS:
        raise ProtocolError(
            "{peer} ordered attempt {got} at step {step}; {played} are entered, and {most} are allowed",
            peer=peer,
            got=order.attempt,
            step=order.step,
            played=played,
            most=MAX_ATTEMPTS,
        )


def _check_time(context: JobContext, order: StepOrder) -> None:
    """The receipt carries the asker's time, so it must be about the own time too."""
    now, peer = context.clock(), context.party.names["asker"]
    with from_peer(peer):
        at = parse_utc(order.at, "step.order")
    if abs(at - now) > _CLOCKS_APART:
        raise ProtocolError(
            "{peer} orders a step at {got}, and it is {now} here: set the clocks",
            peer=peer,
            got=order.at,
            now=utc_text(now),
        )


def _check_terms(context: JobContext, grant: Grant, order: StepOrder) -> None:
    peer = context.party.names["asker"]
    me = context.home.party_id
    if (order.grants.get(me), order.consents.get(me)) != (grant.grant_id, grant.consents):
        raise ProtocolError(
            "{peer} ordered a step under other terms than grant {grant}", peer=peer, grant=grant.grant_id
        )
    if order.minimum_bin_rows < grant.minimum_bin_rows:
        raise ProtocolError(
            "{peer} ordered bins of {got} rows; grant {grant} demands {minimum}",
            peer=peer,
            got=order.minimum_bin_rows,
            grant=grant.grant_id,
            minimum=grant.minimum_bin_rows,
        )
    request = grant_request(context.plan, context.job.kind, me)
    context.home.grants.check(grant.grant_id, request, context.clock(), run_id=context.run_id)


def _grant_check(offered: OfferedJob) -> Callable[[Home, datetime], None]:
    """What the watcher asks: whether the grant still holds."""

    def check(home: Home, now: datetime) -> None:
        if offered.grant is not None:
            request = grant_request(offered.plan, offered.offer.kind, home.party_id)
            home.grants.check(offered.grant.grant_id, request, now, run_id=offered.offer.run_id)

    return check
