"""Bounds of the leaf weights below each node, so that scores rise or fall with a column throughout the model.

Statement
    Parties: two data owners and the helper (`aided`).
    Who learns what: as `signs` and `choices`: nothing but masked words. Which nodes are split on a column
        with a direction stays with the owner of the column.
    Assumption: as `tongzhou.secure.aided`.
    Cost: 15 rounds a level and 12 for the leaves, of a few numbers a node.
    Method: where a node is split on a column with a direction, the weights of both children have a middle;
        below the left child no leaf may pass it on one side, below the right child none on the other (as in
        XGBoost and LightGBM). A split against its direction is refused before (see `splits`); gains do not
        know of the bounds.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.boost_settings import LARGEST_WEIGHT_BITS, BoostFormat, BoostSettings
from tongzhou.secure.choices import choose, open_choice
from tongzhou.secure.halves import Halved, reduced, stack_halves
from tongzhou.secure.lookups import Bits
from tongzhou.secure.operands import multiply, open_operands
from tongzhou.secure.shared import Shared
from tongzhou.secure.signs import negative
from tongzhou.secure.splits import Level, constant

__all__ = ["WEIGHT_BITS", "Bounds", "clamped", "narrowed", "unbounded", "weights"]

WEIGHT_BITS: Final = 20
"""Fractional bits of a weight here."""

_WIDTH = 32


@dataclass(frozen=True)
class Bounds:
    """Least and largest weight below each node, shared ``(k,)`` each."""

    low: Halved
    high: Halved


def unbounded(engine: AidedEngine) -> Bounds:
    """The root's bounds: the largest weight that there is, either way."""
    limit = np.full(1, 1 << (LARGEST_WEIGHT_BITS + WEIGHT_BITS), dtype=np.uint32)
    return Bounds(constant(engine, np.negative(limit)), constant(engine, limit))


def weights(engine: AidedEngine, settings: BoostSettings, level: Level) -> Halved:
    """``G y`` of each node: its weight with the sign turned."""
    form = BoostFormat.of(settings)
    gradient, inverted = open_operands(engine, level.gradient, level.inverse)
    (product,) = multiply(engine, [(1, gradient, inverted)])
    return reduced(engine, product, form.gradient + form.scale - WEIGHT_BITS)


def narrowed(
    engine: AidedEngine, settings: BoostSettings, bounds: Bounds, level: Level, directions: Bits | None
) -> Bounds:
    """Bounds of the children.

    Args:
        engine: who computes.
        settings: as agreed.
        bounds: of the k nodes.
        level: their 2 k children, left before right.
        directions: an owner's shares ``(2, k)`` of whether a node's split is on a column with which scores
            rise, and whether on one with which they fall; ``None`` at the helper.
    """
    nodes = bounds.low.shape[0]
    twice = [stack_halves([one, one]).reshaped(2 * nodes) for one in (bounds.low, bounds.high)]
    below = clamped(engine, weights(engine, settings, level).scaled(-1), Bounds(*twice))
    total = below.sliced(slice(0, None, 2)) + below.sliced(slice(1, None, 2))
    (opened,) = open_operands(engine, total)
    middle = reduced(engine, opened.lifted(engine), 1)
    moves = stack_halves([middle - bounds.low, middle - bounds.high], axis=0)
    moved = choose(engine, open_choice(engine, directions, (2, nodes)), moves.reshaped(2, 1, nodes))
    low = [bounds.low + _picked(moved, 0, side) for side in (1, 0)]
    high = [bounds.high + _picked(moved, 1, side) for side in (0, 1)]
    # Rising: the left child ends at the middle and the right one begins there; falling: the other way round.
    return Bounds(stack_halves(low).reshaped(2 * nodes), stack_halves(high).reshaped(2 * nodes))


def clamped(engine: AidedEngine, values: Halved, bounds: Bounds) -> Halved:
    """Values ``(k,)`` brought within their bounds."""
    values = values - _where_negative(engine, values - bounds.low)
    return values + _where_negative(engine, bounds.high - values)


def _picked(moved: Halved, bound: int, direction: int) -> Halved:
    """The move of one bound that one direction asks for."""
    share = None if moved.share is None else moved.share[bound, direction]
    return Halved(moved.shape[2:], share)


def _where_negative(engine: AidedEngine, values: Halved) -> Halved:
    """The values that are negative, zeros elsewhere."""
    share = None if values.share is None else values.share.astype(np.uint64)
    signs = negative(engine, Shared(values.shape, share), _WIDTH)
    return choose(engine, open_choice(engine, signs, values.shape), values)
