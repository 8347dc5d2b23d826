"""The exponential of a shared number, by one opening and two dealt words.

Statement
    Parties: two data owners and the helper (`aided`).
    Who learns what: both owners learn ``v + r`` modulo 2^64 with r uniform, which is uniform; nobody learns
    anything else.
    Assumption: as `tongzhou.secure.aided`. The number lies in the window of `REACH` around zero: outside it
    the result is wrong, and whoever calls must see to that.
    Cost: one round; per row 8 bytes each way between the owners, and 16 bytes from the helper to the
    provider.
    Papers: the wrap-around told by the mask's top bit is that of the truncation of Escudero, Ghosh, Keller,
    Rachuri and Scholl (CRYPTO 2020), section 5. Its use for the exponential is our own derivation.

The window, 16 long, is laid on the lower half of the ring: ``v = (x + 8) / 16`` of 2^63. With a mask r the
owners open ``c = v + r``. Write c' and r' for the lower 63 bits. As v has no top bit, it is
``c' - r' + w 2^63``; w says whether the lower bits wrapped: whether the top bits of c and r differ. So::

    exp(x) = exp(c' - 8) · exp(-r' + 16 w)

in units of the window. The first factor is public. The second the helper deals twice, for either top bit of
c; the owners take the one that c names. That is exact: there is no series to cut off.

Rounding: the dealt factor reaches exp(16) < 2^23.1 and has 25 fractional bits, so that it takes 49 bits; the
public one reaches exp(8) < 2^11.6 and has 24. Beside a result of 1 either is off by less than 2^-13, and by
2^-16 in the mean square over the masks; both have no lean. The product has 49 bits and reaches 2^60.6.

The public factor must agree between the owners to the last bit. It comes from a table of correctly rounded
decimals and from single additions and multiplications, which every machine rounds alike.
"""

from dataclasses import dataclass
from decimal import Context, Decimal
from functools import cache
from typing import Final

import numpy as np

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.party import OWNERS
from tongzhou.secure.ring import Reals, Words, encode_bounded
from tongzhou.secure.shared import Shared
from tongzhou.wire.messages import ArraySpec

__all__ = ["EXPONENT_BITS", "REACH", "RESULT_BITS", "exponential", "public_exponential"]

REACH: Final = 8
"""The exponential is exact for numbers of less than this size."""

EXPONENT_BITS: Final = 59
"""Fractional bits of the number: the window's length 2^4 is half the ring."""

_DEALT_BITS, _PUBLIC_BITS = 25, 24
RESULT_BITS: Final = _DEALT_BITS + _PUBLIC_BITS
"""Fractional bits of the exponential."""

_WINDOW = 2 * REACH
_TABLE_BITS = 12
_TABLE_SHIFT = np.uint64(63 - _TABLE_BITS)
_REST_MASK = np.uint64((1 << (63 - _TABLE_BITS)) - 1)
_LOW_63 = np.uint64((1 << 63) - 1)
_TOP = np.uint64(63)
_UNIT = 2.0**-EXPONENT_BITS
_DIGITS = 40


@dataclass(frozen=True)
class _Masked:
    """At the owners the masked numbers, at the helper the masks ``(n,)``; an owner's dealt shares."""

    words: Words
    dealt: Words | None


def exponential(engine: AidedEngine, numbers: Shared) -> Shared:
    """``exp`` of shared numbers ``(n,)`` with `EXPONENT_BITS`, smaller than `REACH`.

    Returns:
        Shared ``(n,)`` with `RESULT_BITS`, below 2^61.
    """
    masked = _mask(engine, numbers)
    if masked.dealt is None:
        return Shared(numbers.shape, None)
    chosen = np.where(masked.words >> _TOP, masked.dealt[1], masked.dealt[0])
    return Shared(numbers.shape, encode_bounded(public_exponential(masked.words), _PUBLIC_BITS) * chosen)


def _mask(engine: AidedEngine, numbers: Shared) -> _Masked:
    """Open the numbers under uniform masks; the helper deals the exponentials of the masks."""
    party, (rows,) = engine.party, numbers.shape
    if numbers.share is None:
        masks = engine.stream(OWNERS[0]).words(rows) + engine.stream(OWNERS[1]).words(rows)
        dealt = _mask_exponentials(masks) - engine.stream("asker").words(2, rows)
        party.link("provider").send("deal.exponential", None, [dealt])
        return _Masked(masks, None)
    masked = numbers.share + engine.stream(party.role).words(rows)
    if party.role == "asker":
        masked += np.uint64(REACH << EXPONENT_BITS)
        dealt = engine.stream("asker").words(2, rows)
    else:
        dealt = party.link("helper").recv("deal.exponential", None, [ArraySpec("<u8", (2, rows))])[1][0]
    party.peer.send("masked.exponential", None, [masked])
    _, (theirs,) = party.peer.recv("masked.exponential", None, [ArraySpec("<u8", (rows,))])
    return _Masked(masked + theirs, dealt)


def _mask_exponentials(masks: Words) -> Words:
    """The dealt factor for a top bit of 0 and of 1 of the opened word, ``(2, n)``."""
    low = (masks & _LOW_63) * _UNIT
    top = masks >> _TOP
    wrapped = np.stack([top, np.uint64(1) - top])
    return encode_bounded(np.exp(_WINDOW * wrapped.astype(np.float64) - low), _DEALT_BITS)


def public_exponential(words: Words) -> Reals:
    """``exp(c' - 8)`` of opened words, equal to the last bit on every machine; right to 1e-14 of it."""
    low = words & _LOW_63
    rest = (low & _REST_MASK).astype(np.float64) * _UNIT
    # Taylor's series; the rest is below 16/4096, so what is left out is below 1e-14.
    series = 1.0 + rest * (1.0 + rest * (0.5 + rest * (1.0 / 6.0 + rest * (1.0 / 24.0))))
    found: Reals = _table()[(low >> _TABLE_SHIFT).astype(np.intp)] * series
    return found


@cache
def _table() -> Reals:
    """``exp(k · 16/4096 - 8)``, correctly rounded from decimals."""
    context = Context(prec=_DIGITS)
    return np.array(
        [
            float(context.exp(Decimal(place * _WINDOW) / (1 << _TABLE_BITS) - REACH))
            for place in range(1 << _TABLE_BITS)
        ]
    )
