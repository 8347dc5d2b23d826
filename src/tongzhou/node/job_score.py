"""Scoring new applicants with the card of a finished run: a job of its own with the steps match and score.

Each owner uses the key that it kept from the base run, the provider its table as it is now. It counts as a
run under the grant, which must list the protocols match and score.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import ConflictError, PlanError
from tongzhou.node.home import Home
from tongzhou.node.job import Applicants, Job
from tongzhou.node.job_journal import begun_as
from tongzhou.node.job_lead import Watcher
from tongzhou.node.job_run import Clock, Connect, call_parties, new_run_id, play_job
from tongzhou.node.job_states import BinState, MatchState, ScoreState, TrainState
from tongzhou.node.job_training import points_lost
from tongzhou.node.plan import Plan
from tongzhou.node.plan_jobs import JOB_RULES
from tongzhou.node.states import decode_state
from tongzhou.parties.times import utc_now
from tongzhou.risk.scorecard import Scale

__all__ = ["DECISIONS", "Scored", "base_plan", "card_columns", "score_applicants"]

DECISIONS = "decisions-made"
"""Kind of the log entry that ends a scoring; the demonstration enters its decisions under it too."""


@dataclass(frozen=True)
class Scored:
    """What a scoring gave, by applicant in the order of the rows.

    Attributes:
        run_id: the run.
        points: total points; ``None`` for applicants that the partner does not know.
        reasons: variables of both owners that cost most points, the costliest first.
    """

    run_id: str
    points: list[int | None]
    reasons: list[list[str]]


def base_plan(home: Home, base_run: str) -> Plan:
    """The plan of a finished run that can score.

    Raises:
        ConflictError: it is not finished, another party leads it, or it made no card.
        PlanError: it was of mode local: there is no partner.
        NotFoundError: there is no such run.
    """
    run = home.store.run(base_run)
    if run.role != "asker":
        raise ConflictError(
            "run {run} is led by {asker}; only {asker} can score with it",
            run=base_run,
            asker=run.plan.parties.asker,
        )
    begun = begun_as(home.log, base_run)
    if begun is not None and begun["kind"] == "score":
        raise ConflictError(
            "run {run} made no card, it scored with that of run {base}", run=base_run, base=begun["base_run"]
        )
    if run.state != "done":
        raise ConflictError(
            "run {run} is {state} at {party}; only a finished one can score",
            run=base_run,
            state=run.state,
            party=home.party_id,
        )
    if not JOB_RULES[run.plan.job].scoring:
        raise PlanError("a {job} job leaves nothing to score with", job=run.plan.job)
    if run.plan.mode == "local":
        raise PlanError(
            "run {run} was of mode local, which has no partner; its card scores by itself: "
            "tongzhou model export",
            run=base_run,
        )
    return run.plan


def card_columns(home: Home, base_run: str) -> tuple[str, ...]:
    """The asker's own columns on the card of a run."""
    run = home.store.run(base_run)
    if run.plan.job == "boosting":
        return run.plan.tables[home.party_id].columns
    return decode_state(home.store.step_state(base_run, "train"), TrainState).asker


def score_applicants(
    home: Home,
    base_run: str,
    applicants: Applicants,
    *,
    watcher: Watcher | None = None,
    connect_parties: Connect = call_parties,
    clock: Clock = utc_now,
) -> Scored:
    """Score applicants jointly with the partner of a finished run.

    A scoring of the same file that was not decided yet goes on where it stopped.

    Raises:
        TongzhouError: as `base_plan` and `play_job`.
    """
    plan = base_plan(home, base_run)
    run_id = _unfinished(home, base_run, applicants) or new_run_id(clock())
    job = Job(plan, run_id, "score", base_run, applicants)
    if not _is_done(home, run_id):
        play_job(home, job, watcher=watcher, connect_parties=connect_parties, clock=clock)
    return _scored(home, job, applicants)


def _unfinished(home: Home, base_run: str, applicants: Applicants) -> str | None:
    """The last scoring of these rows that is not cancelled and whose decisions are not entered."""
    for run in reversed(home.store.runs()):
        if run.role != "asker" or run.state == "cancelled":
            continue
        begun = begun_as(home.log, run.run_id)
        wanted = ("score", base_run, applicants.content_hash)
        if begun is None or (begun["kind"], begun["base_run"], begun["content_hash"]) != wanted:
            continue
        return None if home.log.find(DECISIONS, run.run_id) is not None else run.run_id
    return None


def _is_done(home: Home, run_id: str) -> bool:
    return any(run.run_id == run_id and run.state == "done" for run in home.store.runs())


def _scored(home: Home, job: Job, applicants: Applicants) -> Scored:
    matched = decode_state(home.store.step_state(job.run_id, "match"), MatchState)
    scores = decode_state(home.store.step_state(job.run_id, job.steps[-1]), ScoreState)
    rows, settings = applicants.table.num_rows, job.plan.card
    scale = Scale(settings.pdo, settings.base_points, settings.base_odds)
    points: list[int | None] = [None] * rows
    reasons: list[list[str]] = [[] for _ in range(rows)]
    totals = np.floor(scale.offset - scale.factor * scores.logits + 0.5)
    costs: list[dict[str, int]] = [{} for _ in matched.places]
    if job.plan.job == "scorecard":
        costs = _costs(home, job, applicants, matched.places, scores, scale)
    for place, row in enumerate(matched.places.tolist()):
        points[row] = int(totals[place])
        named = sorted(costs[place].items(), key=lambda entry: (-entry[1], entry[0]))
        reasons[row] = [name for name, lost in named if lost > 0]
    return Scored(job.run_id, points, reasons)


def _costs(
    home: Home,
    job: Job,
    applicants: Applicants,
    places: NDArray[np.int64],
    scores: ScoreState,
    scale: Scale,
) -> list[dict[str, int]]:
    """Points that variables cost each scored applicant: all of the own ones, and those the partner named."""
    trained = decode_state(home.store.step_state(job.base_run, "train"), TrainState)
    binned = decode_state(home.store.step_state(job.base_run, "bin"), BinState)
    own = {variable.name: variable for variable in binned.own}
    found: list[dict[str, int]] = [{} for _ in places]
    for name in trained.asker:
        if name not in trained.coefficients:  # the card stays shared: nobody knows what a variable costs
            continue
        bins = own[name].table.bins.assign(applicants.table.column(name).to_numpy()[places])
        lost = points_lost(own[name], trained.coefficients[name], scale)[bins]
        for place, points in enumerate(lost.tolist()):
            found[place][name] = points
    for place in range(len(scores.reason_rows)):
        for which, points in zip(
            scores.reason_rows[place].tolist(), scores.reason_points[place].tolist(), strict=True
        ):
            if which >= 0:
                found[place][trained.provider[which]] = points
    return found
