"""Rounding a shared number to a multiple of a public base, before it is opened.

Statement
    As `tongzhou.secure.comparison`, of which this is made: nothing is opened.
    Cost: for numbers of k bits, (k - log2 base) / 4 steps of one comparison's rounds; 15 comparisons a number
    and step.

The result is a function of the number alone, the same whenever it is asked for: unlike noise, it cannot be
averaged away. `AidedEngine.truncate` would not do: it may be off by one unit, at random.

Long division in base 16: a digit of the quotient is the number of multiples ``j base 16^i``, j from 1 to 15,
that the rest still holds.
"""

import numpy as np

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.comparison import at_least
from tongzhou.secure.shared import Shared

__all__ = ["MAX_ROUNDED_BITS", "round_to"]

MAX_ROUNDED_BITS = 56
"""Numbers to be rounded are below 2^56 on either side of zero."""

_DIGIT = 16


def round_to(engine: AidedEngine, value: Shared, base: int, *, bits: int) -> Shared:
    """The nearest multiple of `base`; halves go up.

    Args:
        engine: who computes.
        value: shared ``(k,)`` integers, ``|x| < 2^bits``.
        base: 1 to 2^(bits - 1); 1 changes nothing.
        bits: at most `MAX_ROUNDED_BITS`.

    Returns:
        Shared ``(k,)``.
    """
    if base == 1:
        return value
    # Moved up by a multiple of the base, so that what is divided is not negative.
    lift = base * -(-(1 << bits) // base)
    rest = engine.add_public(value, np.full(value.shape, lift + base // 2, dtype=np.uint64))
    start = engine.add_public(value, np.full(value.shape, base // 2, dtype=np.uint64))
    most = 2 * lift + base
    step = base
    while step * _DIGIT <= most:
        step *= _DIGIT
    while step >= base:
        rest = rest - _digit(engine, rest, step).scaled(step)
        step //= _DIGIT
    # What is left is the remainder; the lift, a multiple of the base, does not change it.
    return start - rest


def _digit(engine: AidedEngine, rest: Shared, step: int) -> Shared:
    """How many times `step` goes into each number, 0 to 15."""
    bits = (_DIGIT * step).bit_length()
    below = np.outer(
        np.ones(rest.shape[0], dtype=np.uint64), np.arange(1, _DIGIT, dtype=np.uint64) * np.uint64(step)
    )
    copies = Shared(
        below.shape, None if rest.share is None else np.repeat(rest.share[:, None], _DIGIT - 1, axis=1)
    )
    reached = at_least(engine, copies, below, bits=min(bits, 63))
    return Shared(rest.shape, None if reached.share is None else reached.share.sum(axis=1, dtype=np.uint64))
