"""Drop a variable from a trained joint regression without training anew.

Statement
    Parties: as `tongzhou.secure.logistic`.
    Who learns what: the owner of the variable learns the covariance of its own weights, the block that it
    would learn for its standard errors anyway; both owners learn the Newton decrement and the length of each
    further step (how far the model still is from its optimum). Nobody else learns anything new.
    Assumption: as `tongzhou.secure.logistic`.
    Cost: four products of ``(d, d)`` matrices, then one or two evaluations as in training; no row is hidden
    again.
    Method: constrained Newton iteration. With M the inverse curvature and t the variable's row of the owner's
    transformation (its weight in original units is t·w), the constraint t·w = 0 turns M into
    ``M - m mᵀ`` with ``m = M u`` and ``u = t / sqrt(tᵀ M t)``, and the weights step to ``w - m (u·w)``: the
    estimator of Wald's test. From there the iteration goes on and never leaves the constraint, because the
    new M is zero along t. (Wald, Transactions of the American Mathematical Society 54, 1943; Nocedal and
    Wright, Numerical Optimization, section 16.1.)

The owner knows its own block of M (it is opened to it), its own weights and t; so u and u·w are private to
it, and only ``M u`` needs protection.
"""

import math

import msgspec
import numpy as np

from tongzhou.errors import ProtocolError
from tongzhou.secure.engine import Engine
from tongzhou.secure.linear import INVERSE_BITS
from tongzhou.secure.party import Role
from tongzhou.secure.ring import Reals, Words, decode, encode
from tongzhou.secure.shared import Shared, join
from tongzhou.secure.whitening import Whitened

__all__ = ["Drop", "constrain", "decrement"]

_VECTOR_BITS = 26

_ROUNDED = 1e-3
"""Below this a decrement may be mostly rounding."""


class Drop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A variable to drop.

    Attributes:
        role: its owner.
        place: its place among the owner's variables, from 0.
    """

    role: Role
    place: int


def constrain(
    engine: Engine,
    inverse: Shared,
    weights: Shared,
    drop: Drop,
    *,
    part: slice,
    whitened: Whitened | None,
    weight_bits: int,
) -> tuple[Shared, Shared]:
    """Bring inverse curvature and weights under the constraint that one variable has no weight.

    Args:
        engine: who computes.
        inverse: shared ``(d, d)`` with `INVERSE_BITS`, under the constraints of earlier drops.
        weights: shared ``(d,)``.
        drop: the variable.
        part: where the owner's weights stand.
        whitened: this owner's own transformation.
        weight_bits: fractional bits of the weights.

    Returns:
        The inverse and the weights.
    """
    size = weights.shape[0]
    owner = drop.role
    block = inverse.part(part.start, part.stop).transposed().part(part.start, part.stop)
    covariance = engine.open(
        block, what=f"covariance of the {owner}'s weights", receivers=(owner,), reason="drop a variable"
    )
    own = engine.open(
        weights.part(part.start, part.stop),
        what=f"weights of the {owner}'s variables",
        receivers=(owner,),
        reason="drop a variable",
    )
    words: Words | None = None
    if covariance is not None and own is not None and whitened is not None:
        words = np.zeros((2, size), dtype=np.uint64)
        directions = _directions(
            whitened, drop.place, decode(covariance, INVERSE_BITS), decode(own, weight_bits)
        )
        words[:, part] = encode(directions, _VECTOR_BITS)
    turned = engine.matmul(engine.own(owner, (2, size), words), inverse, drop=_VECTOR_BITS)
    column, move = turned.part(0, 1), turned.part(1, 2)
    outer = engine.matmul(column.transposed(), column, drop=INVERSE_BITS)
    shift = 1 << (weight_bits - INVERSE_BITS)
    return inverse - outer, weights - move.reshaped(size).scaled(shift)


def _directions(whitened: Whitened, place: int, covariance: Reals, weights: Reals) -> Reals:
    """``u`` and ``u (u·w)`` in the owner's whitened coordinates, ``(2, d)``."""
    row = whitened.unmix[place]
    if whitened.intercept:
        row = np.concatenate([[0.0], row])
    variance = float(row @ covariance @ row)
    if not variance > 0:
        raise ProtocolError("the variable to drop is gone already")
    unit = row / math.sqrt(variance)
    return np.stack([unit, unit * float(unit @ weights)])


def decrement(engine: Engine, gradient: Shared, step: Shared, bits: int) -> float | None:
    """Open the Newton decrement ``sqrt(gᵀ M g)`` to the owners; ``None`` at the helper.

    A dropped variable keeps a gradient g that the constraint holds up. M is zero along it but for rounding,
    and that alone can make the decrement 1e-5, because it enters by its square root. It enters the step as it
    is. In whitened coordinates the loss curves by less than 1, so that the step's length bounds the
    decrement; the smaller of the two is nearer the truth. (Where events are rare M is large, and it is the
    step that rounding lengthens.)

    Args:
        engine: who computes.
        gradient: shared ``(d,)`` with `bits`.
        step: shared ``-M g`` with `bits`.
        bits: fractional bits of both.
    """
    size = gradient.shape[0]
    both = join(gradient.scaled(-1).reshaped(1, size), step.reshaped(1, size))
    opened = engine.open(
        engine.matmul(both, step.reshaped(size, 1)),
        what="squares of the Newton decrement and of the step",
        receivers=("asker", "provider"),
        reason="when to stop",
    )
    if opened is None:
        return None
    length, bound = np.sqrt(np.maximum(decode(opened, 2 * bits)[:, 0], 0.0)).tolist()
    # The square of the decrement is about twice what the mean loss can still fall: far below 8, where the
    # ring ends. That of the step need not be; but such a step has a long decrement.
    return float(min(length, bound) if length < _ROUNDED else length)
