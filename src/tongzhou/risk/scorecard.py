"""Scorecards: built from weights and coefficients, kept as JSON, scoring one row or millions alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import floor, isfinite

import msgspec

from tongzhou.errors import DataError

from ._bins import Bins
from ._card import CardVariable, Reason, Scale, Scorecard, Values

__all__ = [
    "CardInput",
    "CardVariable",
    "Reason",
    "Scale",
    "Scorecard",
    "Values",
    "build_scorecard",
    "from_json",
    "points_of",
    "spread_base",
    "to_json",
]


@dataclass(frozen=True)
class CardInput:
    """What a model says about one variable of the card to build.

    Args:
        bins: of the variable; their ``variable`` becomes its name.
        woe: weight of evidence of each bin.
        coefficient: of the weight of evidence in the logit of the event.
        owner: party that holds the column.
        meaning: what the variable means, by language.
    """

    bins: Bins
    woe: Sequence[float]
    coefficient: float
    owner: str = ""
    meaning: Mapping[str, str] = field(default_factory=dict)


def build_scorecard(
    name: str,
    inputs: Sequence[CardInput],
    intercept: float,
    *,
    scale: Scale | None = None,
    version: str = "1",
    created: str = "",
    provenance: Mapping[str, str] | None = None,
) -> Scorecard:
    """Turn weights and coefficients into whole points.

    ``points = offset - factor * logit``: the part that no variable moves, ``offset - factor * intercept``, is
    spread in whole points over the variables; each bin then adds ``-factor * coefficient * woe``, rounded. A
    score differs from the exact one by at most half a point for each variable and half a point for the base.

    Args:
        name: of the card.
        inputs: the variables in order.
        intercept: of the logit.
        scale: points to double the odds, base points, base odds; 20, 600 and 20 by default.
        version: of the card.
        created: ISO 8601 time, or empty.
        provenance: run, data, code version and the like.

    Raises:
        DataError: no variable, one name twice, lengths that do not fit the bins, numbers not finite.
    """
    scale = scale or Scale()
    if not inputs:
        raise DataError("card {card} has no variable", card=name)
    if not isfinite(intercept):
        raise DataError("card {card}: the intercept must be a finite number", card=name)
    shares = spread_base(scale, intercept, len(inputs))
    variables = tuple(
        CardVariable(
            name=entry.bins.variable,
            owner=entry.owner,
            bins=entry.bins,
            woe=tuple(float(value) for value in entry.woe),
            coefficient=float(entry.coefficient),
            points=points_of(scale, entry, share),
            meaning=dict(entry.meaning),
        )
        for entry, share in zip(inputs, shares, strict=True)
    )
    return Scorecard(name, version, variables, float(intercept), scale, created, dict(provenance or {}))


def spread_base(scale: Scale, intercept: float, count: int) -> list[int]:
    """Return ``count`` whole numbers, equal but for one point, that add up to the rounded base.

    Each owner of a joint card can work out the points of its own variables from these.
    """
    base = _rounded(scale.offset - scale.factor * intercept)
    each, left = divmod(base, count)
    return [each + (position < left) for position in range(count)]


def points_of(scale: Scale, entry: CardInput, share: int) -> tuple[int, ...]:
    """Return the points of each bin of one variable, its share of the base included.

    Raises:
        DataError: weights that are not finite.
    """
    if not all(map(isfinite, (*entry.woe, entry.coefficient))):
        raise DataError(
            "card variable {variable}: weights must be finite numbers", variable=entry.bins.variable
        )
    return tuple(share + _rounded(-scale.factor * entry.coefficient * woe) for woe in entry.woe)


def to_json(card: Scorecard) -> str:
    """Return the card as JSON text; the same card always gives the same bytes."""
    return msgspec.json.format(msgspec.json.encode(card), indent=2).decode() + "\n"


def from_json(text: str | bytes) -> Scorecard:
    """Read a card and check it whole.

    Raises:
        DataError: not JSON, a field missing, unknown or of another type, or a card that contradicts itself.
    """
    try:
        return msgspec.json.decode(text, type=Scorecard)
    except msgspec.ValidationError as error:
        raise DataError("the scorecard file does not fit: {detail}", detail=str(error)) from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise DataError("the scorecard file is not JSON: {detail}", detail=str(error)) from error


def _rounded(value: float) -> int:
    # Halves go up, always: Python's own rounding sends them to the even neighbour.
    return floor(value + 0.5)
