"""Steps `train` and `score`: the joint regression on weights of evidence, and the total scores."""

import math
import time
from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError, ProtocolError
from tongzhou.node.job_context import JobContext
from tongzhou.node.job_messages import ScoredShape, TrainShape
from tongzhou.node.job_states import BinState, MatchState, ScoreState, SelectState, TrainState, Variable
from tongzhou.risk.scorecard import Scale
from tongzhou.secure.logistic import LogisticSettings, OwnerBlock, OwnerFit
from tongzhou.secure.party import Role, other_owner
from tongzhou.secure.scoring import ScoringKey
from tongzhou.secure.stepwise import Drop
from tongzhou.secure.tasks import ScoreInput, ScoreTask, TrainResult, TrainTask
from tongzhou.secure.whitening import Whitened
from tongzhou.wire.messages import ArraySpec

__all__ = ["evidence_matrix", "points_lost", "score_step", "scoring_key", "train_step"]

Floats = NDArray[np.float64]
_Kept = tuple[tuple[str, ...], tuple[str, ...]]
_Reasons = tuple[NDArray[np.int16], NDArray[np.int16], NDArray[np.int32]]


def train_step(context: JobContext) -> tuple[TrainState | None, dict[str, object]]:
    """Train; drop variables whose weight has the wrong sign, one at a time, and train on without them."""
    selected = context.state("select", SelectState) if context.is_owner else None
    kept, rows = _agree_shape(context, selected)
    gone: list[str] = []
    while True:
        training = _Training(context, kept)
        result = training.run(rows)
        if training.again is None:
            break
        gone.append(training.again)
        kept = (_without(kept[0], training.again), _without(kept[1], training.again))
    dropped = (*gone, *training.dropped)
    left = training.left
    facts: dict[str, object] = {
        "passes": 1 + len(dropped),
        "variables": len(left[0]) + len(left[1]),
        "training_rows": rows,
        "scored_asker": len(training.kept[0]),
        "scored_provider": len(training.kept[1]),
    }
    if result is None:
        return None, facts
    return _train_state(context, training, result, dropped), facts


def _agree_shape(context: JobContext, selected: SelectState | None) -> tuple[_Kept, int]:
    """The helper learns names and rows from the asker; the owners know them."""
    if selected is not None:
        rows = int((~context.state("match", MatchState).held_out).sum())
        if context.role == "asker":
            context.tell_helper("train.shape", TrainShape(selected.asker, selected.provider, rows))
        return (selected.asker, selected.provider), rows
    shape, _ = context.party.link("asker").recv("train.shape", TrainShape)
    run = context.run_id
    kept = (context.fact(run, "select", "kept_asker"), context.fact(run, "select", "kept_provider"))
    rows = context.fact(run, "match", "training_rows")
    if (len(shape.asker), len(shape.provider), shape.rows) != (*kept, rows):
        raise ProtocolError(
            "{peer} trains on other variables or rows than were kept", peer=context.party.names["asker"]
        )
    return (shape.asker, shape.provider), rows


class _Summary(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an owner knows of the model: parts of the intercept, weights, standard errors."""

    intercept: dict[str, float]
    coefficients: dict[str, float]
    errors: dict[str, float]

    def joined(self, other: "_Summary") -> "_Summary":
        """Both owners' knowledge."""
        return _Summary(
            self.intercept | other.intercept,
            self.coefficients | other.coefficients,
            self.errors | other.errors,
        )


@dataclass
class _Training:
    """The joint training, and the review of its signs.

    Attributes:
        context: the job.
        kept: variables of asker and provider that enter it.
        dropped: variables dropped so far, out of the trained model.
        again: a variable without which to train anew. So it goes where the grant opens no training summary:
            dropping out of a trained model opens the covariance of its owner's weights to that owner.
    """

    context: JobContext
    kept: _Kept
    dropped: list[str] = field(default_factory=list)
    again: str | None = None
    _started: float = field(default_factory=time.thread_time)

    @property
    def left(self) -> _Kept:
        """Variables of asker and provider that are not dropped."""
        asker, provider = (tuple(name for name in names if name not in self.dropped) for names in self.kept)
        return asker, provider

    @property
    def own(self) -> tuple[str, ...]:
        """This owner's variables that enter the training."""
        return self.kept[0] if self.context.role == "asker" else self.kept[1]

    def run(self, rows: int) -> TrainResult | None:
        """Train and review."""
        context, plan = self.context, self.context.plan
        settings = LogisticSettings(
            rows=rows,
            asker_columns=len(self.kept[0]),
            provider_columns=len(self.kept[1]),
            tolerance=plan.train.tolerance,
            l2=plan.train.l2,
            max_steps=plan.train.max_iterations,
        )
        block = self._block()
        self._started = time.thread_time()
        task = TrainTask(settings, plan.openings.card, plan.openings.training_summary, self._review)
        return task.run(context.seat, block)

    def _block(self) -> OwnerBlock | None:
        context = self.context
        if not context.is_owner:
            return None
        matched = context.state("match", MatchState)
        training = ~matched.held_out
        values = evidence_matrix(context, self.own, matched.places[training])
        label = context.label(matched.places)[training].astype(float) if context.role == "asker" else None
        return OwnerBlock(values, list(self.own), label)

    def _review(self, fit: OwnerFit | None) -> Drop | None:
        """Note the training's time so far, and agree on a variable to drop."""
        spent = round(1e6 * (time.thread_time() - self._started))
        measures = self.context.measures
        measures["train_cpu_us"] = measures.get("train_cpu_us", 0) + spent
        self._started += spent / 1e6
        if self.context.plan.openings.card == "shared":
            return None
        name = self._agree_drop(fit)
        if name is None:
            return None
        if not self.context.plan.openings.training_summary:
            self.again = name
            return None
        self.dropped.append(name)
        role: Role = "asker" if name in self.kept[0] else "provider"
        return Drop(role, self.kept[0 if role == "asker" else 1].index(name))

    def _agree_drop(self, fit: OwnerFit | None) -> str | None:
        party = self.context.party
        wrong = () if fit is None else self._wrong(fit)
        party.record(
            "variables whose weight has the wrong sign", len(wrong), ("asker",), "which variable to drop"
        )
        if party.role == "provider":
            party.peer.send("train.wrong", wrong)
        if party.role != "asker":
            told, _ = party.link("asker").recv("train.drop", str)
            return self._told_drop(told) if told else None
        theirs, _ = party.peer.recv("train.wrong", tuple[str, ...])
        if set(theirs) - set(self.left[1]):
            raise ProtocolError("{peer} named variables that are not its own", peer=party.peer.peer)
        drop = self._weakest((*wrong, *theirs))
        self.context.tell("train.drop", drop or "")
        return drop

    def _wrong(self, fit: OwnerFit) -> tuple[str, ...]:
        """Own variables whose weight is not positive: more evidence of bad clients would lower the risk."""
        weights = zip(self.own, fit.coefficients, strict=True)
        return tuple(name for name, weight in weights if weight <= 0 and name not in self.dropped)

    def _told_drop(self, told: str) -> str:
        """Each drop leaves one variable less, and neither owner's last one goes: so the training ends."""
        if not any(told in names and len(names) > 1 for names in self.left):
            raise ProtocolError(
                "{peer} drops a variable that is not in the training, or the last of its owner",
                peer=self.context.party.names["asker"],
            )
        return told

    def _weakest(self, wrong: tuple[str, ...]) -> str | None:
        """Of the variables with a wrong sign, the one with the least information."""
        if not wrong:
            return None
        binned = self.context.state("bin", BinState)
        values = {v.name: v.table.iv for v in binned.own} | {o.name: o.iv for o in binned.offers}
        drop = min(wrong, key=lambda name: (values[name], name))
        for names in self.left:
            if names == (drop,):
                raise DataError(
                    "{column} is the last variable of its owner and its weight has the wrong sign: the "
                    "data of this owner adds nothing to the card",
                    column=drop,
                )
        return drop


def _without(names: tuple[str, ...], gone: str) -> tuple[str, ...]:
    return tuple(name for name in names if name != gone)


def _train_state(
    context: JobContext, training: _Training, result: TrainResult, dropped: tuple[str, ...]
) -> TrainState:
    if result.key is None:
        raise ProtocolError("the training left no weights")
    known = _own_summary(training, result)
    if context.plan.openings.card == "both":
        context.party.peer.send("train.card", known)
        known = known.joined(_their_summary(context, training.left))
        context.party.record(
            "weights of both owners", len(known.coefficients), ("asker", "provider"), "grant: card"
        )
    block = result.key.whitened
    asker, provider = training.left
    return TrainState(
        asker=asker,
        provider=provider,
        scored=training.own,
        columns=(len(training.kept[0]), len(training.kept[1])),
        intercept=known.intercept,
        coefficients=known.coefficients,
        errors=known.errors,
        means=block.means,
        unmix=block.unmix,
        scale=block.scale,
        bits=block.bits,
        weights=result.key.weights,
        training_rows=int((~context.state("match", MatchState).held_out).sum()),
        gradients=result.gradient_norms,
        passes=1 + len(dropped),
        dropped=dropped,
    )


def _their_summary(context: JobContext, kept: _Kept) -> _Summary:
    """The other owner's part, and nothing that is not its own."""
    peer = context.party.peer
    theirs, _ = peer.recv("train.card", _Summary)
    role = other_owner(context.role)
    names = set(kept[0] if role == "asker" else kept[1])
    numbers = (*theirs.intercept.values(), *theirs.coefficients.values(), *theirs.errors.values())
    wrong = set(theirs.intercept) != {role} or set(theirs.coefficients) != names
    if wrong or not set(theirs.errors) <= names or not all(map(math.isfinite, numbers)):
        raise ProtocolError("{peer} told weights that are not those of its variables", peer=peer.peer)
    return theirs


def _own_summary(training: _Training, result: TrainResult) -> _Summary:
    if result.fit is None:
        return _Summary({}, {}, {})

    def by_name(values: Floats) -> dict[str, float]:
        named = zip(training.own, map(float, values), strict=True)
        return {name: value for name, value in named if name not in training.dropped}

    errors = {} if result.errors is None else by_name(result.errors)
    return _Summary({training.context.role: result.fit.intercept}, by_name(result.fit.coefficients), errors)


def score_step(context: JobContext) -> tuple[ScoreState | None, dict[str, object]]:
    """Score every matched client; only the asker learns totals, and reasons for those new to the card.

    New to the card are the held-out clients of a scorecard job, and all applicants of a scoring job.
    """
    if not context.is_owner:
        rows = _help_scoring(context)
        return None, {"scored_rows": rows}
    matched, trained = context.state("match", MatchState), context.state("train", TrainState)
    rows = len(matched.places)
    if rows == 0:
        return ScoreState(np.empty(0), *_no_reasons()), {"scored_rows": 0}
    shape = ScoredShape(rows, *trained.columns, trained.training_rows)
    if context.role == "asker":
        context.tell_helper("score.shape", shape)
    values = _scored_evidence(context, trained, matched.places)
    logits = _score_task(shape).run(context.seat, ScoreInput(values, scoring_key(context, trained)))
    reasons = _reasons(context, trained, int(matched.held_out.sum()))
    state = ScoreState(np.empty(0) if logits is None else logits, *reasons)
    return state, {"scored_rows": rows}


def _scored_evidence(context: JobContext, trained: TrainState, places: NDArray[np.int64]) -> Floats:
    """Weights of evidence that enter a score; a dropped variable has no weight, so it is not even read."""
    values = np.zeros((len(places), len(trained.scored)))
    kept = [place for place, name in enumerate(trained.scored) if name not in trained.dropped]
    values[:, kept] = evidence_matrix(context, tuple(trained.scored[place] for place in kept), places)
    return values


def _help_scoring(context: JobContext) -> int:
    rows = context.fact(context.run_id, "match", "matched_rows")
    if rows == 0:
        return 0
    shape, _ = context.party.link("asker").recv("score.shape", ScoredShape)
    run = context.job.run_of("train")
    told = (context.fact(run, "train", f) for f in ("scored_asker", "scored_provider", "training_rows"))
    known = ScoredShape(rows, *told)
    if shape != known:
        raise ProtocolError("{peer} scores other rows than were matched", peer=context.party.names["asker"])
    _score_task(shape).run(context.seat, None)
    return rows


def _score_task(shape: ScoredShape) -> ScoreTask:
    return ScoreTask(shape.rows, shape.asker_columns, shape.provider_columns, shape.training_rows)


def scoring_key(context: JobContext, trained: TrainState) -> ScoringKey:
    """What this owner kept to score with."""
    empty = np.empty((trained.means.shape[0] + (context.role == "asker"), 0), dtype=np.uint64)
    ridge = np.zeros((0, 0))
    block = Whitened(
        trained.means, trained.unmix, trained.scale, context.role == "asker", empty, trained.bits, ridge
    )
    return ScoringKey(block, trained.weights)


def evidence_matrix(context: JobContext, names: tuple[str, ...], places: NDArray[np.int64]) -> Floats:
    """Weights of evidence of own variables for rows of the own table, ``(n, d)``."""
    variables = {variable.name: variable for variable in context.state("bin", BinState).own}
    columns = [
        np.array(variables[name].table.woe)[variables[name].table.bins.assign(context.column(name, places))]
        for name in names
    ]
    return np.column_stack(columns)


def points_lost(variable: Variable, weight: float, scale: Scale) -> NDArray[np.int32]:
    """Points that each bin of a variable costs against its best bin that has a value."""
    woe = np.array(variable.table.woe)
    best = woe[: variable.table.bins.missing_bin].min()
    lost: NDArray[np.int32] = np.maximum(np.rint(scale.factor * weight * (woe - best)), 0).astype(np.int32)
    return lost


def _reasons(context: JobContext, trained: TrainState, rows: int) -> _Reasons:
    """The provider names, for each held-out client, its variables that cost most; the asker receives them."""
    limit = min(context.plan.openings.reasons, len(trained.provider))
    if context.plan.openings.card == "shared" or limit == 0:
        return _no_reasons()
    if context.role == "provider":
        found = _costliest(context, trained, limit)
        context.party.peer.send("score.reasons", None, found)
        return _no_reasons()
    specs = [ArraySpec(kind, (rows, limit)) for kind in ("<i2", "<i2", "<i4")]
    _, (which, bins, points) = context.party.peer.recv("score.reasons", None, specs)
    context.party.record(
        "costliest variables of a held-out client", rows * limit, ("asker",), "grant: reasons"
    )
    limits = _bin_limits(context, trained)
    known = bool(((which >= -1) & (which < len(trained.provider))).all())
    if not known or bool((points < 0).any()) or bool(((bins < -1) | (bins >= limits[which])).any()):
        raise ProtocolError(
            "{peer} named a reason that is not one of its variables", peer=context.party.peer.peer
        )
    return which, bins, points


def _bin_limits(context: JobContext, trained: TrainState) -> NDArray[np.int64]:
    """How many bins each variable of the provider has, as far as the asker knows; 0 where closed, at -1."""
    offers = {offer.name: offer.variable for offer in context.state("bin", BinState).offers}
    found = [offers.get(name) for name in trained.provider]
    counts = [0 if variable is None else variable.table.bins.bin_count for variable in found]
    return np.array([*counts, 0], dtype=np.int64)


def _no_reasons() -> _Reasons:
    return np.empty((0, 0), np.int16), np.empty((0, 0), np.int16), np.empty((0, 0), np.int32)


def _costliest(context: JobContext, trained: TrainState, limit: int) -> _Reasons:
    matched = context.state("match", MatchState)
    places = matched.places[matched.held_out]
    card = context.plan.card
    scale = Scale(card.pdo, card.base_points, card.base_odds)
    variables = {variable.name: variable for variable in context.state("bin", BinState).own}
    bins = np.empty((len(places), len(trained.provider)), dtype=np.int16)
    lost = np.empty(bins.shape, dtype=np.int32)
    for column, name in enumerate(trained.provider):
        variable = variables[name]
        bins[:, column] = variable.table.bins.assign(context.column(name, places))
        lost[:, column] = points_lost(variable, trained.coefficients[name], scale)[bins[:, column]]
    which = np.argsort(-lost, axis=1, kind="stable")[:, :limit].astype(np.int16)
    points = np.take_along_axis(lost, which, axis=1)
    told = np.take_along_axis(bins, which, axis=1)
    closed = points == 0
    which[closed] = -1
    told[closed if context.plan.openings.card == "both" else np.ones_like(closed)] = -1
    return np.ascontiguousarray(which), np.ascontiguousarray(told), np.ascontiguousarray(points)
