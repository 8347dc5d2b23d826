"""The joint jobs, each one object with the same call in every trust mode.

A task is settings that all parties agree on. `run` plays one party's part; `clear` does the same with both
owners' data in one place (mode `local`). What comes out has the same types in every mode.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Generic, Literal, Protocol, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import PlanError, ProtocolError
from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.counting import BinCounts, count_events
from tongzhou.secure.engine import CountOpening, Engine
from tongzhou.secure.exchange import Exchange
from tongzhou.secure.local import ClearPart, count_events_clear, fit_logistic_clear, match_clear, score_clear
from tongzhou.secure.logistic import (
    CardOpening,
    LogisticSettings,
    OwnerBlock,
    OwnerFit,
    coefficient_errors,
    drop_variable,
    fit_logistic,
    row_block_bits,
)
from tongzhou.secure.match_rules import MatchSettings, Places
from tongzhou.secure.matching import match_dh
from tongzhou.secure.matching_aided import match_aided
from tongzhou.secure.matching_vole import match_vole
from tongzhou.secure.pair import PairEngine
from tongzhou.secure.party import Party, Role
from tongzhou.secure.ring import Reals
from tongzhou.secure.scoring import ScoreShape, ScoringKey, score_rows
from tongzhou.secure.stepwise import Drop
from tongzhou.secure.window import open_within_window

__all__ = [
    "SUPPORT",
    "CountInput",
    "CountTask",
    "MatchTask",
    "Mode",
    "Playable",
    "ScoreInput",
    "ScoreTask",
    "Seat",
    "Task",
    "TrainResult",
    "TrainTask",
]

Mode = Literal["local", "aided", "pair", "group"]
"""``group``: three or more owners and nobody else; the asker coordinates, and no majority colludes."""

In = TypeVar("In")
Out = TypeVar("Out")
In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)

SUPPORT: Final[dict[str, tuple[Mode, ...]]] = {
    "match": ("local", "aided", "pair"),
    "count": ("local", "aided", "pair"),
    "train": ("local", "aided", "pair"),
    "score": ("local", "aided", "pair"),
    "boost": ("local", "aided"),
    "boost_score": ("local", "aided"),
    "graph": ("local", "aided"),
    "glm": ("local", "aided"),
    "glm_score": ("local", "aided"),
    "list_setup": ("local", "aided"),
    "list_query": ("local", "aided"),
    "size": ("local", "aided", "pair"),
    "join": ("local", "aided", "pair"),
    "common to all": ("local", "aided", "pair"),
    "cached match": ("local", "aided", "pair"),
    "statistics": ("local", "aided"),
    "aggregate": ("local", "group"),
    "federated statistics": ("local", "group"),
    "federated logistic": ("local", "group"),
    "federated boost": ("local", "group"),
    "transfer": ("local", "aided"),
}
"""Which task runs in which mode. Matching by Diffie–Hellman needs no helper, so it is a `pair` task too."""


@dataclass
class Seat:
    """One party's place in a run: its party, and what its mode computes with.

    Attributes:
        party: who sits here.
        mode: trust mode of the run.
        exchange: in mode `local`, where the two owners of this process meet; both seats hold the same one.
    """

    party: Party
    mode: Mode
    exchange: Exchange | None = None
    _engine: Engine | None = field(default=None, init=False)

    def require(self, task: str) -> None:
        """Refuse a task that does not exist in this mode; nothing falls back to a weaker one.

        Raises:
            PlanError: with the modes that the task runs in.
        """
        if self.mode not in SUPPORT[task]:
            raise PlanError(
                "{task} does not run in mode {mode}; it runs in {allowed}",
                task=task,
                mode=self.mode,
                allowed=", ".join(SUPPORT[task]),
            )

    def engine(self, task: str) -> Engine:
        """The engine of a protected mode, started on first use.

        Raises:
            PlanError: the task does not exist in this mode.
        """
        self.require(task)
        if self._engine is None:
            self._engine = PairEngine(self.party) if self.mode == "pair" else AidedEngine(self.party)
            self._engine.start()
        return self._engine

    def helped_engine(self, task: str) -> AidedEngine:
        """The engine of mode `aided`, for tasks that another engine does not carry.

        Raises:
            PlanError: the task does not exist in this mode.
        """
        engine = self.engine(task)
        if not isinstance(engine, AidedEngine):
            raise PlanError("{task} needs a helper", task=task)
        return engine

    def meet(self, own: In | None, clear: Callable[[In, In], tuple[Out, Out]]) -> Out:
        """In mode `local`: compute with the other owner's input, in the clear.

        Raises:
            PlanError: there is nobody to meet.
        """
        if self.exchange is None or own is None:
            raise PlanError("mode local needs both owners, and nobody else, in one process")
        return self.exchange.meet(self.party.role, own, clear)

    def gather(self, own: In | None, clear: Callable[[Mapping[Role, In | None]], Mapping[Role, Out]]) -> Out:
        """In mode `local`, with any number of owners: compute with everybody's input, in the clear.

        Args:
            own: this owner's input; ``None`` at a coordinator without data.
            clear: takes the inputs by role, gives the results by role.

        Raises:
            PlanError: there is nobody to meet.
        """
        if self.exchange is None:
            raise PlanError("mode local needs all owners in one process")
        return self.exchange.gather(self.party.role, own, self.party.owners, clear)


class Playable(Protocol, Generic[In_contra, Out_co]):
    """What any number of parties play together."""

    def run(self, seat: Seat, own: In_contra | None) -> Out_co | None:
        """Play one party's part; the helper passes and gets ``None``."""


class Task(Playable[In_contra, Out_co], Protocol, Generic[In_contra, Out_co]):
    """A joint job of two owners."""

    def clear(self, asker: In_contra, provider: In_contra) -> tuple[Out_co, Out_co]:
        """Do it in one process."""


def _silent(done: int, total: int) -> None:
    """Progress that nobody watches."""


def _content(fit: OwnerFit | None) -> Drop | None:
    """A review that accepts any weights."""
    return None


@dataclass(frozen=True)
class MatchTask:
    """Find the common identifiers.

    Attributes:
        settings: minimum and context.
        protocol: ``dh``, ``vole`` or ``aided``.
        progress: called with done and total (``dh`` alone takes long enough).
    """

    settings: MatchSettings
    protocol: Literal["dh", "vole", "aided"] = "dh"
    progress: Callable[[int, int], None] = _silent

    def run(self, seat: Seat, own: Sequence[str] | None) -> Places | None:
        """Places of the common identifiers in the own list; ``None`` at the helper."""
        seat.require("match")
        if seat.mode == "local":
            return seat.meet(own, self.clear)
        if self.protocol == "aided":
            if seat.mode != "aided":
                raise PlanError(
                    "matching by a helper does not run in mode {mode}: use dh or vole", mode=seat.mode
                )
            return match_aided(seat.party, self.settings, own)
        if self.protocol == "vole":
            return None if own is None else match_vole(seat.party, self.settings, own)
        return None if own is None else match_dh(seat.party, self.settings, own, self.progress)

    def clear(self, asker: Sequence[str], provider: Sequence[str]) -> tuple[Places, Places]:
        """Places in both lists."""
        return match_clear(self.settings, asker, provider)


@dataclass(frozen=True)
class CountInput:
    """The provider brings codes, the asker the label."""

    codes: Sequence[NDArray[np.int16]] | None = None
    label: NDArray[np.int8] | None = None


@dataclass(frozen=True)
class CountTask:
    """Count rows and events in the provider's bins; see `tongzhou.secure.counting`."""

    rows: int
    bins: tuple[int, ...]
    minimum_rows: int = 1
    receivers: CountOpening = "provider"

    def run(self, seat: Seat, own: CountInput | None) -> list[BinCounts] | None:
        """Counts of each variable as this owner may know them."""
        if seat.mode == "local":
            return seat.meet(own, self.clear)
        given = CountInput() if own is None else own
        counts = count_events(
            seat.engine("count"),
            self.rows,
            self.bins,
            codes=given.codes,
            label=given.label,
            minimum_rows=self.minimum_rows,
            receivers=self.receivers,
        )
        return None if own is None else counts

    def clear(self, asker: CountInput, provider: CountInput) -> tuple[list[BinCounts], list[BinCounts]]:
        """The same counts in one process."""
        label = cast("NDArray[np.int8]", asker.label)
        return count_events_clear(
            self.bins,
            provider.codes or (),
            label,
            minimum_rows=self.minimum_rows,
            receivers=self.receivers,
        )


@dataclass(frozen=True)
class TrainResult:
    """What an owner holds after training.

    Attributes:
        fit: its opened part of the model, if the grant opens it.
        errors: standard errors of its own coefficients, if asked for.
        key: what it needs to score later.
        gradient_norms: length of the gradient after each step.
        dropped: variables that the review dropped; their weights and errors are zero.
    """

    fit: OwnerFit | None
    errors: Reals | None
    key: ScoringKey | None
    gradient_norms: list[float]
    dropped: tuple[Drop, ...] = ()


@dataclass(frozen=True)
class TrainTask:
    """Joint logistic regression; see `tongzhou.secure.logistic`.

    Attributes:
        settings: what all parties agree on.
        card: whether weights are opened to their owners.
        errors: whether standard errors are computed.
        review: sees the own weights and names a variable to drop, or nothing to accept them; every party's
            `review` must answer the same (they may talk to each other to agree). It is asked again after each
            drop.
    """

    settings: LogisticSettings
    card: CardOpening = "own"
    errors: bool = True
    review: Callable[[OwnerFit | None], Drop | None] = _content

    def run(self, seat: Seat, own: OwnerBlock | None) -> TrainResult | None:
        """Train, open what the grant says, drop what `review` names, and compute standard errors."""
        if seat.mode == "local":
            return self._run_clear(seat, own)
        training = fit_logistic(seat.engine("train"), self.settings, own)
        fit = open_within_window(training, own, self.card)
        while (drop := self.review(fit)) is not None:
            drop_variable(training, own, drop)
            fit = open_within_window(training, own, self.card)
        errors = coefficient_errors(training) if self.errors else None
        if training.whitened is None or training.weights.share is None:
            return None
        key = ScoringKey(training.whitened.without_rows(), training.weights.share)
        return TrainResult(fit, errors, key, training.gradient_norms, tuple(training.dropped))

    def _run_clear(self, seat: Seat, own: OwnerBlock | None) -> TrainResult:
        dropped: tuple[Drop, ...] = ()
        while True:
            result = seat.meet(own, partial(self._fit_clear, dropped=dropped))
            drop = self.review(result.fit)
            if drop is None:
                return self._kept(result)
            dropped = (*dropped, drop)

    def clear(self, asker: OwnerBlock, provider: OwnerBlock) -> tuple[TrainResult, TrainResult]:
        """The same model in float64.

        Raises:
            ProtocolError: the owners' reviews differ.
        """
        dropped: tuple[Drop, ...] = ()
        while True:
            first, second = self._fit_clear(asker, provider, dropped=dropped)
            drop = self.review(first.fit)
            if self.review(second.fit) != drop:
                raise ProtocolError("the owners do not agree which variable is dropped")
            if drop is None:
                return self._kept(first), self._kept(second)
            dropped = (*dropped, drop)

    def _fit_clear(
        self, asker: OwnerBlock, provider: OwnerBlock, *, dropped: tuple[Drop, ...] = ()
    ) -> tuple[TrainResult, TrainResult]:
        model = fit_logistic_clear(self.settings, asker, provider, dropped)
        first, second = (self._result(part, model.norms, dropped) for part in (model.asker, model.provider))
        return first, second

    def _result(self, part: ClearPart, norms: list[float], dropped: tuple[Drop, ...]) -> TrainResult:
        fit = None if self.card == "shared" else part.fit
        return TrainResult(fit, part.errors, part.key, norms, dropped)

    def _kept(self, result: TrainResult) -> TrainResult:
        return result if self.errors else replace(result, errors=None)


@dataclass(frozen=True)
class ScoreInput:
    """An owner's new rows, with the key that it kept from training."""

    values: Reals
    key: ScoringKey


@dataclass(frozen=True)
class ScoreTask:
    """Total logits of new rows, for the asker; see `tongzhou.secure.scoring`."""

    rows: int
    asker_columns: int
    provider_columns: int
    training_rows: int

    def run(self, seat: Seat, own: ScoreInput | None) -> Reals | None:
        """Logits at the asker, ``None`` elsewhere."""
        if seat.mode == "local":
            return seat.meet(own, self.clear)
        bits = row_block_bits(self.training_rows)
        shape = ScoreShape(self.rows, self.asker_columns, self.provider_columns, bits)
        key, values = (None, None) if own is None else (own.key, own.values)
        return score_rows(seat.engine("score"), shape, key, values)

    def clear(self, asker: ScoreInput, provider: ScoreInput) -> tuple[Reals, None]:
        """The same logits in float64."""
        return score_clear(asker.key, provider.key, asker.values, provider.values), None
