"""One over a shared number, over three decades, in eight rounds.

Statement
    Parties: two data owners and the helper (`aided`).
    Who learns what: as `operands`: nothing but masked words.
    Assumption: as `tongzhou.secure.aided`.
    Cost: 8 rounds; 60 bytes each way between the owners and 376 from the helper a number.
    Papers: Goldschmidt, Applications of division by convergence (1964); stretched steps as in Chebyshev's
    iteration. The choice of the stretches below is our own.

Goldschmidt's iteration keeps y and R with ``R = 1 - v y`` and squares R: ``y (1 + R)`` and ``R²`` follow.
Where v is small R is near 1 and the first squarings bring little. With a stretch g between 1 and 2, ::

    y' = g y (1 + R),    R' = 1 - v y' = g R² - (g - 1)

the range of R is centred on zero and shrinks as fast as Chebyshev's polynomials allow: eight steps reach
3e-7 from v = 1 down to v = 2^-9, where plain squaring would need thirteen. R stays within [-1, 1] whatever v
in [0, 1] is. Below 2^-9 the result is too small, by 2 % at 2^-10, by a half at 2^-12, and never larger than
5,400, so nothing overflows.
"""

from typing import Final

import numpy as np

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.halves import Halved, reduced
from tongzhou.secure.operands import multiply, open_operands
from tongzhou.secure.ring import Words
from tongzhou.secure.shared import Shared

__all__ = ["INVERSE_DROP", "INVERSE_LIMIT", "REST_BITS", "START", "inverse"]

REST_BITS: Final = 28
"""Fractional bits of R."""
START: Final = (63, 32)
"""The first y, as numerator and denominator: R begins as 1 - (63 / 32) v."""
INVERSE_DROP: Final = 32
"""Fractional bits of the result above `_WORKING_BITS`; at most so many may be dropped at once."""
INVERSE_LIMIT: Final = 5_400
"""The result is below this."""

_STRETCHES: Final = (31, 31, 28, 23, 18, 16, 16, 16)
_STRETCH_BITS: Final = 4
_WORKING_BITS: Final = 17
"""Fractional bits of y between the steps: 5,400 times 2^17 is below 2^30."""


def inverse(engine: AidedEngine, rest: Halved) -> Shared:
    """One over v.

    Args:
        engine: who computes.
        rest: ``1 - (63 / 32) v`` with `REST_BITS`, for v in [0, 1].

    Returns:
        Shared 1 / v with 49 fractional bits, below 2^62.
    """
    (opened,) = open_operands(engine, rest)
    lifted = opened.lifted(engine)
    # The first y is public: y (1 + R) needs no product. With 28 + 5 + 4 bits it is brought to 49.
    scale = START[0] * _STRETCHES[0] << (49 - REST_BITS - 5 - _STRETCH_BITS)
    result = engine.add_public(lifted, _whole(lifted.shape, 1 << REST_BITS)).scaled(scale)
    for step, stretch in enumerate(_STRETCHES[1:], start=1):
        (square,) = multiply(engine, [(1, opened, opened)])
        rest = _centred(engine, square, _STRETCHES[step - 1])
        opened, present = open_operands(engine, rest, reduced(engine, result, INVERSE_DROP))
        (grown,) = multiply(engine, [(1, opened, present)])
        result = (present.lifted(engine).scaled(1 << REST_BITS) + grown).scaled(stretch)
    return result


def _centred(engine: AidedEngine, square: Shared, stretch: int) -> Halved:
    """``g R² - (g - 1)`` from R² with twice the bits."""
    less = (stretch - (1 << _STRETCH_BITS)) << (2 * REST_BITS)
    total = engine.add_public(square.scaled(stretch), _whole(square.shape, -less))
    return reduced(engine, total, REST_BITS + _STRETCH_BITS)


def _whole(shape: tuple[int, ...], value: int) -> Words:
    return np.full(shape, value % (1 << 64), dtype=np.uint64)
