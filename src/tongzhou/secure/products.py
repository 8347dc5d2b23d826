"""Products of shared numbers, place by place.

Statement
    As `tongzhou.secure.aided`, of whose primitives this is made: nothing is opened.
    Cost: 48 bytes a product, 24 a square, and one round; truncation as `AidedEngine.truncate`.

With shares ``x = x1 + x2`` and ``y = y1 + y2`` an owner computes ``x1 y1`` alone, the other ``x2 y2``. In the
cross terms each factor is private to one owner, which is what a hidden matrix is for.
"""

import math
from functools import singledispatch

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.party import Role, other_owner
from tongzhou.secure.shared import Shared

__all__ = ["choose", "multiply", "square"]


@singledispatch
def multiply(engine: AidedEngine, left: Shared, right: Shared, *, drop: int = 0) -> Shared:
    """The products of two shared arrays of one shape, modulo 2^64.

    An engine with a cheaper way registers it: ``multiply.register(PairEngine, function)``.

    Args:
        engine: who computes.
        left: shared, any shape.
        right: shared, of the same shape.
        drop: fractional bits to truncate from the products, as `AidedEngine.truncate` does.
    """
    own = None if left.share is None or right.share is None else left.share * right.share
    total = Shared(left.shape, own) + _crossed(engine, "asker", left, right)
    total = total + _crossed(engine, "provider", left, right)
    return engine.truncate(total, drop) if drop else total


@singledispatch
def square(engine: AidedEngine, value: Shared) -> Shared:
    """The squares of shared numbers, any shape, for half of what a product costs."""
    own = None if value.share is None else value.share * value.share
    return Shared(value.shape, own) + _crossed(engine, "asker", value, value).scaled(2)


def choose(engine: AidedEngine, condition: Shared, left: Shared, right: Shared) -> Shared:
    """`left` where the condition is 1, `right` where it is 0.

    Args:
        engine: who computes.
        condition: shared words of 0 and 1, any shape.
        left: shared, of the same shape.
        right: shared, of the same shape.
    """
    return right + multiply(engine, condition, left - right)


def _crossed(engine: AidedEngine, owner: Role, left: Shared, right: Shared) -> Shared:
    """One owner's share of the left times the other's share of the right."""
    size, role, other = math.prod(left.shape), engine.party.role, other_owner(owner)
    hidden = engine.hide(owner, (1, size), left.reshaped(1, size).share if role == owner else None)
    factor = engine.own(other, (size,), right.reshaped(size).share if role == other else None)
    return engine.scale_rows(hidden, factor).reshaped(*left.shape)
