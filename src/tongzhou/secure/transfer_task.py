"""Transfer between two owners as one job; see `tongzhou.secure.transfer`."""

from dataclasses import dataclass
from typing import cast

from tongzhou.errors import DataError
from tongzhou.secure.logistic import CardOpening, LogisticSettings, OwnerBlock
from tongzhou.secure.ring import Reals
from tongzhou.secure.tasks import Seat, TrainResult, TrainTask
from tongzhou.secure.transfer import (
    OwnScore,
    Representation,
    TransferSettings,
    TransferTable,
    asker_block,
    check_asker,
    cross_moments,
    cross_moments_clear,
    own_score,
    represent,
)

__all__ = ["TransferResult", "TransferTask"]


@dataclass(frozen=True)
class TransferResult:
    """What an owner holds after a transfer.

    Attributes:
        joint: its part of the model of the matched rows, and its key to score with.
        own: at the asker, the score that it computes alone.
        representation: at the provider, its components.
        level, spread: at the asker, of the own score among the matched rows.
    """

    joint: TrainResult
    own: OwnScore | None = None
    representation: Representation | None = None
    level: float = 0.0
    spread: float = 1.0

    def block(self, values: Reals) -> Reals:
        """This owner's columns of the joint model, of new rows ``(m, d)``: what a `ScoreTask` takes."""
        if self.own is not None:
            return ((self.own.logit(values) - self.level) / self.spread)[:, None]
        return cast("Representation", self.representation).apply(values)


@dataclass(frozen=True)
class TransferTask:
    """Learn from a provider with whom the asker has few clients in common.

    Attributes:
        settings: what all parties agree on.
        card: whether the weights of the joint model are opened to their owners.
    """

    settings: TransferSettings
    card: CardOpening = "own"

    def run(self, seat: Seat, own: TransferTable | None) -> TransferResult | None:
        """Map, score, and train on the matched rows; ``None`` at the helper."""
        if seat.mode == "local":
            return seat.meet(own, self.clear)
        engine = seat.helped_engine("transfer")
        if own is None:
            cross_moments(engine, self.settings, None)
            self._training().run(seat, None)
            return None
        if seat.party.role == "asker":
            scale = check_asker(self.settings, own)
            rows = asker_block(scale, own)
            moments = cross_moments(engine, self.settings, rows[0] * rows[1][:, None])
            score, unseen = own_score(own, scale, cast("Reals", moments), rows=rows)
            block, level, spread = self._score_block(own, unseen)
            joint = self._training().run(seat, block)
            return TransferResult(cast("TrainResult", joint), score, None, level, spread)
        kept, block = self._provider(own)
        cross_moments(engine, self.settings, block.values)
        joint = self._training().run(seat, block)
        return TransferResult(cast("TrainResult", joint), None, kept)

    def clear(self, asker: TransferTable, provider: TransferTable) -> tuple[TransferResult, TransferResult]:
        """The same in one process."""
        scale = check_asker(self.settings, asker)
        kept, other = self._provider(provider)
        rows = asker_block(scale, asker)
        moments = cross_moments_clear(rows[0] * rows[1][:, None], other.values)
        score, unseen = own_score(asker, scale, moments, rows=rows)
        block, level, spread = self._score_block(asker, unseen)
        first, second = self._training().clear(block, other)
        return TransferResult(first, score, None, level, spread), TransferResult(second, None, kept)

    def _training(self) -> TrainTask:
        settings = self.settings
        agreed = LogisticSettings(
            settings.rows, 1, settings.components, tolerance=settings.tolerance, l2=settings.penalty
        )
        return TrainTask(agreed, self.card, errors=False)

    def _provider(self, table: TransferTable) -> tuple[Representation, OwnerBlock]:
        if len(table.matched) != self.settings.rows:
            raise DataError(
                "{got} rows are matched here, {agreed} were agreed",
                got=len(table.matched),
                agreed=self.settings.rows,
            )
        kept = represent(table, self.settings.components)
        names = [f"component {place + 1}" for place in range(self.settings.components)]
        return kept, OwnerBlock(kept.apply(table.values[table.matched]), names)

    def _score_block(self, table: TransferTable, unseen: Reals) -> tuple[OwnerBlock, float, float]:
        level, spread = float(unseen.mean()), float(unseen.std())
        if not spread > 0:
            raise DataError("the asker's score does not vary among the matched rows")
        label = cast("Reals", table.label)[table.matched]
        return OwnerBlock(((unseen - level) / spread)[:, None], ["own score"], label), level, spread
