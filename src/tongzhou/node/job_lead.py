"""The asker's part of a session: offer the job, learn the terms, order the steps, end the run."""

import secrets
from collections.abc import Iterable, Mapping
from typing import Final, Protocol

import msgspec

from tongzhou import __version__
from tongzhou.errors import GrantError, ProtocolError
from tongzhou.node.home import Home
from tongzhou.node.job import Job
from tongzhou.node.job_context import JobContext
from tongzhou.node.job_journal import StepSummary, attempts_of, commit_table, note_end, verify_from
from tongzhou.node.job_messages import Acceptance, Offer, StepOrder
from tongzhou.node.job_play import play_step
from tongzhou.node.job_witness import exchange_cosignatures
from tongzhou.node.plan import encode_plan, plan_digest
from tongzhou.parties.grants import ConsentKeeper, Grant
from tongzhou.parties.times import utc_text

__all__ = ["Silent", "Watcher", "lead"]

_CALL_BYTES: Final = 16


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


def lead(context: JobContext, watcher: Watcher) -> None:
    """Play a job from its first unfinished step to its end.

    Raises:
        ProtocolError: a peer accepted something else than was offered.
        TongzhouError: why it stopped.
    """
    home, run_id, steps = context.home, context.run_id, context.job.steps
    terms = _offer(context)
    after = _common_step(context, [acceptance.done for acceptance in terms.acceptances])
    home.store.forget_steps(run_id, after=after or None)
    context.minimum_rows, context.minimum_bin_rows = terms.minimum_rows, terms.minimum_bin_rows
    context.consents = terms.consents
    for position in range(steps.index(after) + 1 if after else 0, len(steps)):
        step = steps[position]
        order = terms.order(
            step,
            steps[position - 1] if position else "",
            own=attempts_of(home.log, run_id),
            at=utc_text(context.clock()),
        )
        watcher.step_begins(step, position, len(steps))
        context.tell("step.order", order)
        watcher.step_ends(step, play_step(context, order))
    context.tell("step.order", _END)
    note_end(home.log, run_id, "done", "")
    exchange_cosignatures(context)
    # Done is done everywhere: a party killed before it noted the end is asked again when the run is resumed.
    for link in context.session.links.values():
        ended, _ = link.recv("job.ended", str)
        if ended != run_id:
            raise ProtocolError("{peer} ended another run than {run}", peer=link.peer, run=run_id)


_END: Final = StepOrder(
    step="", attempt=0, after="", grants={}, commitments={}, minimum_rows=0, minimum_bin_rows=0
)


class _Terms(msgspec.Struct, frozen=True):
    """What the others accepted."""

    acceptances: tuple[Acceptance, ...]
    commitments: dict[str, str]
    grants: dict[str, str]
    minimum_rows: int
    minimum_bin_rows: int
    consents: dict[str, ConsentKeeper]

    def order(self, step: str, after: str, *, own: Mapping[str, int], at: str) -> StepOrder:
        """The order of a step, with the first attempt under which no party has entered it yet."""
        played = max(own[step], *(acceptance.attempts.get(step, 0) for acceptance in self.acceptances))
        return StepOrder(
            step=step,
            attempt=played + 1,
            after=after,
            grants=self.grants,
            commitments=self.commitments,
            minimum_rows=self.minimum_rows,
            minimum_bin_rows=self.minimum_bin_rows,
            consents=self.consents,
            at=at,
        )


def _offer(context: JobContext) -> _Terms:
    home, job = context.home, context.job
    own = commit_table(home, job, role="asker", grant_id="")
    offer = Offer(
        run_id=job.run_id,
        plan=encode_plan(job.plan).decode(),
        plan_digest=plan_digest(job.plan),
        software=__version__,
        commitment=own,
        call=secrets.token_hex(_CALL_BYTES),
        kind=job.kind,
        base_run=job.base_run,
    )
    context.tell("job.offer", offer)
    acceptances = {}
    for link in context.session.links.values():
        accepted, _ = link.recv("job.accept", Acceptance)
        if accepted.party != link.peer or accepted.plan_digest != offer.plan_digest:
            raise ProtocolError("{peer} accepted another plan than it was offered", peer=link.peer)
        if accepted.refused:
            raise GrantError("{peer} refuses: {reason}", peer=link.peer, reason=accepted.refused)
        acceptances[link.peer] = accepted
    return _terms(home, job, own, acceptances)


def _terms(home: Home, job: Job, own: str, acceptances: Mapping[str, Acceptance]) -> _Terms:
    providers = [acceptances[party] for party in job.plan.parties.providers]
    grants = [] if job.plan.mode == "local" else [_check_grant(home, accepted) for accepted in providers]
    minimum_rows = 1 if job.kind == "score" else job.plan.match.minimum_rows
    if job.kind != "score":
        minimum_rows = max(minimum_rows, *(grant.minimum_rows for grant in grants), 1)
    return _Terms(
        acceptances=tuple(acceptances.values()),
        commitments={home.party_id: own} | {accepted.party: accepted.commitment for accepted in providers},
        grants={grant.provider: grant.grant_id for grant in grants},
        minimum_rows=minimum_rows,
        minimum_bin_rows=max((grant.minimum_bin_rows for grant in grants), default=1),
        consents={grant.provider: grant.consents for grant in grants},
    )


def _check_grant(home: Home, accepted: Acceptance) -> Grant:
    """The asker keeps the signed grant that its run rests on, so it looks at it."""
    card = home.trust.get(accepted.party)
    grant = verify_from(card.party_id, accepted.grant, "grant", Grant, card.public_key_bytes)
    if grant.grant_id != accepted.grant_id or home.party_id not in grant.askers:
        raise ProtocolError("{peer} showed a grant that is not for this run", peer=card.party_id)
    return home.held_grants.keep(accepted.grant)


def _common_step(context: JobContext, others: Iterable[tuple[str, ...]]) -> str:
    """The last step that every party has finished."""
    done = [tuple(record.step for record in context.home.store.steps(context.run_id)), *others]
    last = ""
    for position, step in enumerate(context.job.steps):
        if not all(len(steps) > position and steps[position] == step for steps in done):
            break
        last = step
    return last
