"""What all parties agree on before they boost trees, and the number format that follows from it."""

import math
from dataclasses import dataclass, replace
from typing import Final, Literal

import msgspec

from tongzhou.errors import PlanError
from tongzhou.secure.staircase import LINE_BITS, NARROW, WIDE, Staircase

__all__ = [
    "FLOOR_BITS",
    "LARGEST_WEIGHT_BITS",
    "BoostFormat",
    "BoostSettings",
    "LeafOpening",
    "Missing",
    "check_boost",
]

Missing = Literal["lowest", "learned"]
LeafOpening = Literal["shared", "asker"]

LARGEST_WEIGHT_BITS: Final = 7
"""No leaf weight is above 2^7 = 128 before the learning rate: one part in 128 of each row's absolute
gradient is
added to its curvature."""

FLOOR_BITS: Final = 15
"""2^-15 is added to each row's curvature, more than the error of its series."""

_NARROW = replace(NARROW, harmonics=10)
_RATE_BITS = 10

_MOST = {"trees": 1000, "depth": 6, "bins": 64, "rows": 1 << 20}
_SMALLEST_FLOOR = 2.0**-4
_MOST_L2 = 1024
_MOST_CHILD_WEIGHT = 4096
_MOST_CANDIDATES = 1 << 13
_MOST_GAIN = 32
_MOST_SCALE_BITS = 31


class BoostSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of one joint boosting.

    Attributes:
        rows: number of matched rows, the held-out rows included.
        asker_columns, provider_columns: variables of each owner.
        trees: number of trees.
        depth: splits on the way to a leaf, 1 to 6.
        bins: bins of each variable, one of them for missing values; 4 to 64.
        learning_rate: factor of each tree's leaf weights; rounded to a multiple of 1/1024.
        l2: penalty on leaf weights.
        min_child_weight: least sum of curvatures in a child.
        min_gain: least gain of a split.
        asker_monotone, provider_monotone: for each variable 1 where scores may only rise with it, -1 where
            they may only fall, 0 where both is fine; empty: all 0.
        missing: ``lowest``: missing values count as below all others; ``learned``: each split tries both
            sides.
        held_out: number of last rows that no tree is trained on.
        patience: trees in a row that may fail to lower the held-out loss; 0: train all trees.
        column_share, row_share: part of the columns and rows that each tree looks at, drawn by `seed`.
        seed: public seed of these draws.
        rare: whether scores reach beyond 8 log-odds, as where events are rare: a wider window, twice the work
            for the logistic function.
    """

    rows: int
    asker_columns: int
    provider_columns: int
    trees: int = 50
    depth: int = 3
    bins: int = 32
    learning_rate: float = 0.3
    l2: float = 1.0
    min_child_weight: float = 1.0
    min_gain: float = 0.0
    asker_monotone: tuple[int, ...] = ()
    provider_monotone: tuple[int, ...] = ()
    missing: Missing = "lowest"
    held_out: int = 0
    patience: int = 0
    column_share: float = 1.0
    row_share: float = 1.0
    seed: int = 0
    rare: bool = False

    @property
    def columns(self) -> int:
        """All variables."""
        return self.asker_columns + self.provider_columns

    @property
    def trained_rows(self) -> int:
        """Rows that trees are trained on: the first ones."""
        return self.rows - self.held_out

    @property
    def leaves(self) -> int:
        """Leaves of a tree."""
        return 1 << self.depth

    @property
    def rate_units(self) -> int:
        """The learning rate in units of 1/1024."""
        return max(1, round(self.learning_rate * (1 << _RATE_BITS)))

    @property
    def rate(self) -> float:
        """The learning rate as it is used."""
        return self.rate_units / (1 << _RATE_BITS)

    @property
    def monotone(self) -> tuple[int, ...]:
        """Directions of all variables, the asker's first."""
        asker = self.asker_monotone or (0,) * self.asker_columns
        return (*asker, *(self.provider_monotone or (0,) * self.provider_columns))

    @property
    def staircase(self) -> Staircase:
        """The logistic function's window."""
        return WIDE if self.rare else _NARROW


@dataclass(frozen=True)
class BoostFormat:
    """Fractional bits, from the settings; the bounds stand in the module text of `splits` and `boosting`.

    Attributes:
        gradient: of a gradient and its sums.
        curvature: of a curvature and its sums.
        scale: of one over a sum of curvatures.
        rate: of the learning rate.
    """

    gradient: int
    curvature: int
    scale: int
    rate: int = _RATE_BITS

    @staticmethod
    def of(settings: BoostSettings) -> "BoostFormat":
        """The format that holds all sums over the rows of these settings."""
        rows = max(15, (settings.rows - 1).bit_length())
        curvature = 31 - rows
        least = settings.l2 + settings.min_child_weight
        scale = min(47 - curvature, 29 + math.floor(math.log2(least)), _MOST_SCALE_BITS)
        return BoostFormat(29 - rows, curvature, scale)

    @property
    def series(self) -> int:
        """Of what the logistic function gives, before it is brought to a lane."""
        return self.curvature - LARGEST_WEIGHT_BITS + 32

    @property
    def score(self) -> int:
        """Of a row's score and of a leaf's weight."""
        return self.series - LINE_BITS

    @property
    def inner(self) -> int:
        """Of a leaf's inverse curvature."""
        return self.scale - 2


def check_boost(settings: BoostSettings) -> None:
    """Refuse settings outside what the number format and the protocol hold.

    Raises:
        PlanError: names the setting, what is allowed and what was got.
    """
    for name, most in _MOST.items():
        _bounded(name, getattr(settings, name), 4 if name == "bins" else 1, most)
    for name in ("asker_columns", "provider_columns"):
        _bounded(name, getattr(settings, name), 0, _MOST_CANDIDATES)
    _bounded("held_out", settings.held_out, 0, settings.rows - 1)
    _bounded("patience", settings.patience, 0, settings.trees)
    for name in ("learning_rate", "column_share", "row_share"):
        _bounded(name, getattr(settings, name), 2.0**-_RATE_BITS, 1)
    floor = settings.l2 + settings.min_child_weight
    _bounded("l2", settings.l2, 0, _MOST_L2)
    _bounded("min_child_weight", settings.min_child_weight, 0, _MOST_CHILD_WEIGHT)
    _bounded("l2 + min_child_weight", floor, _SMALLEST_FLOOR, _MOST_L2 + _MOST_CHILD_WEIGHT)
    _bounded("min_gain", settings.min_gain, 0, _MOST_GAIN * floor)
    _bounded("columns * bins", settings.columns * settings.bins, settings.bins, _MOST_CANDIDATES // 2)
    for name, count in (("asker", settings.asker_columns), ("provider", settings.provider_columns)):
        directions = getattr(settings, f"{name}_monotone")
        if len(directions) not in (0, count) or not set(directions) <= {-1, 0, 1}:
            raise PlanError(
                "{name} must give -1, 0 or 1 for each of the {count} variables of the {role}",
                name=f"{name}_monotone",
                count=count,
                role=name,
            )
    if settings.patience and not settings.held_out:
        raise PlanError("patience needs held_out rows on which the loss is measured")


def _bounded(name: str, got: float, least: float, most: float) -> None:
    if not least <= got <= most:
        raise PlanError(
            "{name} is {got}; from {least} to {most} is allowed", name=name, got=got, least=least, most=most
        )
