"""Deciding applicants under a strategy, and what is left of it: a line for each, and an entry in the log.

A scoring costs a run of the partner's grant, so its decisions must survive whatever happens to the file they
are meant for. They are kept in the institution's folder first, then entered in the log, then handed over, and
only then forgotten here: what is kept is what is owed.
"""

import hashlib
from collections import Counter
from pathlib import Path

import msgspec

from tongzhou.decide.engine import DecisionEngine
from tongzhou.decide.strategy import OUTCOMES
from tongzhou.errors import DataError, StorageError
from tongzhou.node.applicants import ApplicantFile
from tongzhou.node.files import read_file, write_file
from tongzhou.node.home import Home
from tongzhou.node.job_journal import begun_as
from tongzhou.node.job_score import DECISIONS, Scored
from tongzhou.node.job_states import PublishState
from tongzhou.node.states import decode_state

__all__ = [
    "DecidedApplicant",
    "GivenReason",
    "Made",
    "decide_applicants",
    "enter_decisions",
    "forget_decisions",
    "json_lines",
    "keep_decisions",
    "owed_decisions",
]

_KEPT_BYTES_MAX = 1 << 32
_SUFFIX = ".jsonl"


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


class Made(msgspec.Struct, frozen=True):
    """Decisions that are kept and entered.

    Attributes:
        run_id: the scoring run they rest on.
        entry: index of their entry in the log.
        decided: a decision for each applicant, in the order of the file.
        kept: the file that holds them until they are handed over.
    """

    run_id: str
    entry: int
    decided: list[DecidedApplicant]
    kept: Path


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


def keep_decisions(
    home: Home, engine: DecisionEngine, decided: list[DecidedApplicant], *, run_id: str, base_run: str
) -> Made:
    """Keep decisions in the institution's folder, then enter them in the log.

    Raises:
        StorageError: the disk does not take them; a later `decide` of the same applicants goes on.
    """
    kept = home.decisions / f"{run_id}{_SUFFIX}"
    try:
        home.decisions.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StorageError("{file} cannot be written: {cause}", file=kept, cause=error.strerror) from error
    write_file(kept, json_lines(decided))
    entry = enter_decisions(home, engine, decided, run_id=run_id, base_run=base_run)
    return Made(run_id, entry, decided, kept)


def owed_decisions(home: Home, engine: DecisionEngine, base_run: str, content_hash: str) -> Made | None:
    """Decisions on the same file, run and strategy that were entered in the log and never handed over.

    Args:
        home: the institution.
        engine: the strategy.
        base_run: the finished run that made the card.
        content_hash: of the file of applicants.

    Raises:
        StorageError: the kept file is not what was entered.
    """
    for kept in sorted(home.decisions.glob(f"*{_SUFFIX}"), reverse=True):
        run_id = kept.name.removesuffix(_SUFFIX)
        entry, begun = home.log.find(DECISIONS, run_id), begun_as(home.log, run_id)
        if entry is None or begun is None:
            continue
        made = home.log.payload(entry)
        wanted = (base_run, engine.strategy.digest, content_hash)
        if (made["base_run"], made["strategy_digest"], begun["content_hash"]) != wanted:
            continue
        content = read_file(kept, _KEPT_BYTES_MAX)
        if hashlib.sha256(content).hexdigest() != made["decisions_digest"]:
            raise StorageError(
                "{file} has changed since its decisions were entered in the log; "
                "move it away and decide again",
                file=kept,
            )
        decided = [msgspec.json.decode(line, type=DecidedApplicant) for line in content.splitlines()]
        return Made(run_id, entry, decided, kept)
    return None


def forget_decisions(made: Made) -> None:
    """Remove what is kept: the decisions were handed over.

    Raises:
        StorageError: the folder cannot be written.
    """
    try:
        made.kept.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            "{file} cannot be removed: {cause}", file=made.kept, cause=error.strerror
        ) from error
