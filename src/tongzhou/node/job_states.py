"""What each step of a scorecard job leaves for the next ones, at each party."""

from msgspec import Struct

from tongzhou.node.states import Array
from tongzhou.risk.binning import BinTable
from tongzhou.secure.boost_model import BoostModel

__all__ = [
    "BinState",
    "BoostState",
    "HelperState",
    "JoinState",
    "MatchState",
    "PublishState",
    "ScoreState",
    "SelectState",
    "SizeState",
    "TrainState",
    "Variable",
    "VariableOffer",
]


class HelperState(Struct, frozen=True):
    """The helper keeps numbers only.

    Attributes:
        facts: what every party knows of the step.
    """

    facts: dict[str, str]


class MatchState(Struct, frozen=True):
    """Matched rows of an owner.

    Attributes:
        places: ``(m,)`` places in its own table, in the agreed order.
        held_out: ``(m,)`` which of them are set aside.
    """

    places: Array
    held_out: Array


class Variable(Struct, frozen=True):
    """A binned variable of an owner.

    Attributes:
        table: bins, counts, weights of evidence and information value.
        direction: "up", "down" or "none".
    """

    table: BinTable
    direction: str

    @property
    def name(self) -> str:
        """Column name."""
        return self.table.bins.variable


class VariableOffer(Struct, frozen=True, forbid_unknown_fields=True):
    """What the provider tells the asker about one of its variables.

    Attributes:
        name: column name.
        iv: information value.
        variable: everything, where the grant opens the card to both.
        meaning: what the column means, by language.
    """

    name: str
    iv: float
    variable: Variable | None
    meaning: dict[str, str]


class BinState(Struct, frozen=True):
    """Binned variables.

    Attributes:
        own: the owner's variables.
        offers: at the asker, what the provider told.
    """

    own: tuple[Variable, ...]
    offers: tuple[VariableOffer, ...] = ()


class SelectState(Struct, frozen=True):
    """Variables that enter the training.

    Attributes:
        asker: kept variables of the asker, in order.
        provider: kept variables of the provider, in order.
        dropped: why others were dropped, by variable (at the asker).
        offers: at the provider, the asker's kept variables, where the card is opened to both.
    """

    asker: tuple[str, ...]
    provider: tuple[str, ...]
    dropped: dict[str, str] = {}
    offers: tuple[VariableOffer, ...] = ()


class TrainState(Struct, frozen=True):
    """A trained model at an owner.

    Attributes:
        asker: variables of the asker in the model.
        provider: variables of the provider in the model.
        scored: own variables that a score has places for, the dropped ones (of weight zero) included.
        columns: how many such variables asker and provider have.
        intercept: own part of the intercept, and the partner's where it is known.
        coefficients: by variable, as far as this owner knows them.
        errors: standard errors, by variable.
        means, unmix, scale, bits: the transformation for scoring.
        weights: share of the whitened weights.
        training_rows: rows trained on.
        gradients: length of the gradient at each step.
        passes: 1, and one more for each variable that was dropped.
        dropped: variables dropped for their sign.
    """

    asker: tuple[str, ...]
    provider: tuple[str, ...]
    scored: tuple[str, ...]
    columns: tuple[int, int]
    intercept: dict[str, float]
    coefficients: dict[str, float]
    errors: dict[str, float]
    means: Array
    unmix: Array
    scale: float
    bits: int
    weights: Array
    training_rows: int
    gradients: list[float]
    passes: int
    dropped: tuple[str, ...]


class BoostState(Struct, frozen=True):
    """Boosted trees at an owner.

    Attributes:
        model: its part of them.
        gains: total gain of each own column, where they are told.
    """

    model: BoostModel
    gains: Array | None


class SizeState(Struct, frozen=True):
    """The number of common clients at an owner.

    Attributes:
        size: the number; ``None`` if it is below the floor, or not told here.
        told: whether this owner is told.
    """

    size: int | None
    told: bool


class JoinState(Struct, frozen=True):
    """Columns of common clients at the asker; empty at the provider.

    Attributes:
        places: places of the common clients in its own table.
        numbers: columns of numbers, in that order.
        texts: columns of texts.
    """

    places: Array
    numbers: dict[str, Array]
    texts: dict[str, list[str | None]]


class ScoreState(Struct, frozen=True):
    """Scores at the asker; empty at the provider.

    Attributes:
        logits: ``(m,)`` total logits of all matched rows.
        reason_rows: ``(h, k)`` for each held-out row the provider's costliest variables (-1: none).
        reason_bins: ``(h, k)`` bins of those, -1 where closed.
        reason_points: ``(h, k)`` points lost.
    """

    logits: Array
    reason_rows: Array
    reason_bins: Array
    reason_points: Array


class PublishState(Struct, frozen=True):
    """The published model.

    Attributes:
        model: name of the model file.
        digest: SHA-256 of it.
    """

    model: str
    digest: str
