"""Boosting and scoring by boosted trees as joint jobs; see `tongzhou.secure.tasks`."""

from dataclasses import dataclass

import msgspec

from tongzhou.secure.boost_clear import ClearBoost, boost_clear, score_boost_clear
from tongzhou.secure.boost_model import BoostModel, reachable
from tongzhou.secure.boost_scoring import BoostShape, check_new, score_boosted
from tongzhou.secure.boost_settings import BoostSettings, LeafOpening
from tongzhou.secure.boosting import Boosted, boost
from tongzhou.secure.logistic import OwnerBlock
from tongzhou.secure.ring import Reals
from tongzhou.secure.tasks import Seat

__all__ = ["BoostScoreInput", "BoostScoreTask", "BoostTask"]


@dataclass(frozen=True)
class BoostTask:
    """Joint boosted trees; see `tongzhou.secure.boosting`.

    Attributes:
        settings: what all parties agree on.
        leaves: whether leaf weights are opened to the asker.
        gains: whether each owner learns the total gain of each of its own columns.
    """

    settings: BoostSettings
    leaves: LeafOpening = "shared"
    gains: bool = False

    def run(self, seat: Seat, own: OwnerBlock | None) -> Boosted | None:
        """Train; ``None`` at the helper."""
        if seat.mode == "local":
            return seat.meet(own, self.clear)
        return boost(seat.helped_engine("boost"), self.settings, own, leaves=self.leaves, gains=self.gains)

    def clear(self, asker: OwnerBlock, provider: OwnerBlock) -> tuple[Boosted, Boosted]:
        """The same model in float64."""
        found = boost_clear(self.settings, asker, provider)
        return self._kept(found, found.asker), self._kept(found, found.provider)

    def _kept(self, found: ClearBoost, model: BoostModel) -> Boosted:
        opened = msgspec.structs.replace(model, opened=self.leaves == "asker")
        return Boosted(opened, found.gains(model.role) if self.gains else None)


@dataclass(frozen=True)
class BoostScoreInput:
    """An owner's new rows ``(m, d)``, with its part of the model."""

    values: Reals
    model: BoostModel


@dataclass(frozen=True)
class BoostScoreTask:
    """Scores of new rows, for the asker; see `tongzhou.secure.boost_scoring`.

    Attributes:
        rows: number of new rows.
        trees: trees of the model.
        depth: their depth.
    """

    rows: int
    trees: int
    depth: int

    def run(self, seat: Seat, own: BoostScoreInput | None) -> Reals | None:
        """Scores in log-odds at the asker, ``None`` elsewhere."""
        if seat.mode == "local":
            return seat.meet(own, self.clear)
        model, values = (None, None) if own is None else (own.model, own.values)
        return score_boosted(seat.helped_engine("boost_score"), self._shape, model, values)

    def clear(self, asker: BoostScoreInput, provider: BoostScoreInput) -> tuple[Reals, None]:
        """The same scores in one process."""
        for own in (asker, provider):
            check_new(self._shape, own.model, own.values)
        reached = (reachable(asker.model, asker.values), reachable(provider.model, provider.values))
        return score_boost_clear(asker.model, provider.model, reached), None

    @property
    def _shape(self) -> BoostShape:
        return BoostShape(self.rows, self.trees, self.depth)
