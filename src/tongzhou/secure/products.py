"""Products of shared numbers, place by place.

Statement
    As `tongzhou.secure.aided`, of whose primitives this is made: nothing is opened.
    Cost: 48 bytes a product and one round; truncation as `AidedEngine.truncate`.

With shares ``x = x1 + x2`` and ``y = y1 + y2`` an owner computes ``x1 y1`` alone, the other ``x2 y2``. In the
cross terms each factor is private to one owner, which is what a hidden matrix is for.
"""

from functools import singledispatch

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.party import OWNERS
from tongzhou.secure.shared import Shared

__all__ = ["choose", "multiply"]


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
    size = 1
    for length in left.shape:
        size *= length
    asker, provider = OWNERS
    one, other = left.reshaped(1, size), right.reshaped(size)
    total = Shared(
        other.shape,
        None if left.share is None or right.share is None else (left.share * right.share).reshape(size),
    )
    mine = engine.party.role
    for owner, peer in ((asker, provider), (provider, asker)):
        hidden = engine.hide(owner, (1, size), one.share if mine == owner else None)
        factor = engine.own(peer, (size,), other.share if mine == peer else None)
        total = total + engine.scale_rows(hidden, factor).reshaped(size)
    if drop:
        total = engine.truncate(total, drop)
    return total.reshaped(*left.shape)


def choose(engine: AidedEngine, condition: Shared, left: Shared, right: Shared) -> Shared:
    """`left` where the condition is 1, `right` where it is 0.

    Args:
        engine: who computes.
        condition: shared words of 0 and 1, any shape.
        left: shared, of the same shape.
        right: shared, of the same shape.
    """
    return right + multiply(engine, condition, left - right)
