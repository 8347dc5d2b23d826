"""Deciding applicants under a strategy, and what is left of it: a line for each, and an entry in the log."""

import hashlib
from collections import Counter

import msgspec

from tongzhou.decide.engine import DecisionEngine
from tongzhou.decide.strategy import OUTCOMES
from tongzhou.errors import DataError
from tongzhou.node.applicants import ApplicantFile
from tongzhou.node.home import Home
from tongzhou.node.job_score import DECISIONS, Scored
from tongzhou.node.job_states import PublishState
from tongzhou.node.states import decode_state

__all__ = ["DecidedApplicant", "GivenReason", "decide_applicants", "enter_decisions", "json_lines"]


class GivenReason(msgspec.Struct, frozen=True):
    """A reason in words.

    Attributes:
        code: the rule, or a variable of the score.
        en: English.
        zh: Chinese.
    """

    code: str
    en: str
    zh: str


class DecidedApplicant(msgspec.Struct, frozen=True):
    """One applicant, decided.

    Attributes:
        applicant: identifier as in the file.
        outcome: "approve", "review" or "decline".
        grade: the highest grade that was hit.
        score: points; none for applicants that the partner does not know.
        known_to_partner: whether the partner knows the applicant.
        reasons: why, the weightiest first.
    """

    applicant: str
    outcome: str
    grade: str | None
    score: int | None
    known_to_partner: bool
    reasons: tuple[GivenReason, ...]


def decide_applicants(engine: DecisionEngine, file: ApplicantFile, scored: Scored) -> list[DecidedApplicant]:
    """Decide every applicant of a file with its joint score.

    Raises:
        DataError: a score lies outside what the strategy allows.
    """
    found = []
    for row, inputs in enumerate(file.inputs):
        points = scored.points[row]
        given = inputs if points is None else inputs | {"score": points, "score_reasons": scored.reasons[row]}
        try:
            decision = engine.decide(given)
        except DataError as error:
            raise DataError("applicant {row}: {cause}", row=row + 1, cause=error) from error
        found.append(
            DecidedApplicant(
                applicant=file.names[row],
                outcome=decision.outcome,
                grade=decision.grade,
                score=points,
                known_to_partner=points is not None,
                reasons=tuple(GivenReason(*reason) for reason in decision.reasons),
            )
        )
    return found


def json_lines(decided: list[DecidedApplicant]) -> bytes:
    """A JSON line for each applicant, in the order of the file."""
    return b"".join(msgspec.json.encode(one) + b"\n" for one in decided)


def enter_decisions(
    home: Home, engine: DecisionEngine, decided: list[DecidedApplicant], *, run_id: str, base_run: str
) -> int:
    """Enter in the log that applicants were decided: digests of strategy, model and results, and counts.

    Returns:
        Index of the entry.
    """
    outcomes = Counter(one.outcome for one in decided)
    model = decode_state(home.store.step_state(base_run, "publish"), PublishState)
    return home.log.append(
        {
            "applicants": len(decided),
            "base_run": base_run,
            "decisions_digest": hashlib.sha256(json_lines(decided)).hexdigest(),
            "known_to_partner": sum(one.known_to_partner for one in decided),
            "model_digest": model.digest,
            "outcomes": {outcome: outcomes[outcome] for outcome in OUTCOMES},
            "run_id": run_id,
            "strategy": engine.strategy.name,
            "strategy_digest": engine.strategy.digest,
            "strategy_version": engine.strategy.version,
        },
        kind=DECISIONS,
        key=run_id,
    )
