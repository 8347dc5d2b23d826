"""Steps `boost` and `boost-score`: joint boosted trees, and scores of rows that no tree was trained on."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import ProtocolError
from tongzhou.node.job_context import JobContext
from tongzhou.node.job_messages import BoostFacts
from tongzhou.node.job_states import BoostState, MatchState, ScoreState
from tongzhou.secure.boost_settings import BoostSettings
from tongzhou.secure.boost_tasks import BoostScoreInput, BoostScoreTask, BoostTask
from tongzhou.secure.logistic import OwnerBlock

__all__ = ["boost_score_step", "boost_step", "scored_places"]

_DIRECTIONS = {"up": 1, "down": -1}


def boost_step(context: JobContext) -> tuple[BoostState | None, dict[str, object]]:
    """Train boosted trees on the rows that are not set aside; these decide when to stop, if the plan says so.

    Raises:
        ProtocolError: the asker tells the helper of other trees than it saw grow.
    """
    told = context.plan.boosting
    settings = _settings(context)
    task = BoostTask(settings, told.leaves, told.gains)
    if not context.is_owner:
        task.run(context.seat, None)
        facts, _ = context.party.link("asker").recv("boost.facts", BoostFacts)
        if facts.trees > told.trees or facts.rows != settings.rows:
            raise ProtocolError(
                "{peer} tells of other trees than were grown", peer=context.party.names["asker"]
            )
        return None, msgspec.to_builtins(facts)
    trained = task.run(context.seat, _block(context, settings))
    if trained is None:
        raise ProtocolError("boosting gave no trees")
    facts = BoostFacts(len(trained.model.trees), settings.rows)
    if context.role == "asker":
        context.tell_helper("boost.facts", facts)
    return BoostState(trained.model, trained.gains), msgspec.to_builtins(facts)


def boost_score_step(context: JobContext) -> tuple[ScoreState | None, dict[str, object]]:
    """Score the rows set aside, or all applicants; only the asker learns scores."""
    rows, trees = _scored_rows(context), _trees(context)
    task = BoostScoreTask(rows, trees, context.plan.boosting.depth)
    facts: dict[str, object] = {"scored_rows": rows}
    if not context.is_owner:
        if rows:
            task.run(context.seat, None)
        return None, facts
    logits = None
    if rows:
        model = context.state("boost", BoostState).model
        values = _values(context, scored_places(context.state("match", MatchState)))
        logits = task.run(context.seat, BoostScoreInput(values, model))
    none = np.empty((0, 0), np.int16)
    found = np.empty(0) if logits is None else logits
    return ScoreState(found, none, none, np.empty((0, 0), np.int32)), facts


def scored_places(matched: MatchState) -> NDArray[np.int64]:
    """Places in the own table of the rows that are scored, in order."""
    places: NDArray[np.int64] = matched.places[matched.held_out]
    return places


def _settings(context: JobContext) -> BoostSettings:
    """The same at every party, from the plan and from what all know of the match."""
    plan, told = context.plan, context.plan.boosting
    asker, provider = (plan.tables[party].columns for party in plan.owners)
    train, held_out = (_match_fact(context, name) for name in ("training_rows", "held_out_rows"))
    used = held_out if told.patience else 0
    return BoostSettings(
        rows=train + used,
        asker_columns=len(asker),
        provider_columns=len(provider),
        asker_monotone=tuple(_direction(context, name) for name in asker),
        provider_monotone=tuple(_direction(context, name) for name in provider),
        held_out=used,
        **{
            name: getattr(told, name)
            for name in told.__struct_fields__
            if name not in ("monotone", "leaves", "gains")
        },
    )


def _direction(context: JobContext, column: str) -> int:
    return _DIRECTIONS.get(context.plan.boosting.monotone.get(column, ""), 0)


def _match_fact(context: JobContext, name: str) -> int:
    if not context.is_owner:
        return context.fact(context.run_id, "match", name)
    held_out = context.state("match", MatchState).held_out
    return int(held_out.sum()) if name == "held_out_rows" else int((~held_out).sum())


def _block(context: JobContext, settings: BoostSettings) -> OwnerBlock:
    """The own rows in the common order: trained ones first, those set aside after them if they are used."""
    matched = context.state("match", MatchState)
    places = matched.places[~matched.held_out]
    if settings.held_out:
        places = np.concatenate([places, matched.places[matched.held_out]])
    label = context.label(places).astype(np.float64) if context.role == "asker" else None
    return OwnerBlock(_values(context, places), list(context.own.columns), label)


def _values(context: JobContext, places: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.column_stack([context.column(name, places) for name in context.own.columns])


def _scored_rows(context: JobContext) -> int:
    if not context.is_owner:
        fact = "matched_rows" if context.job.kind == "score" else "held_out_rows"
        return context.fact(context.run_id, "match", fact)
    return int(context.state("match", MatchState).held_out.sum())


def _trees(context: JobContext) -> int:
    if not context.is_owner:
        return context.fact(context.job.run_of("boost"), "boost", "trees")
    return len(context.state("boost", BoostState).model.trees)
