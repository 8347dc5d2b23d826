"""Whether a shared number is negative, as a shared bit.

Statement
    Parties: two data owners and the helper (`aided`).
    Who learns what: both owners learn the number, and then bits, under uniform masks; the helper learns the
    shapes.
    Assumption: as `tongzhou.secure.aided`.
    Cost: for numbers of at most 19, 55 or 163 bits two, three or four rounds. A number of 54 bits takes 12
        bytes each way between the owners and 128 from the helper.
    Papers: the number is opened under a mask whose bits are dealt: Damgård, Fitzi, Kiltz, Nielsen and Toft
    (TCC 2006); tables: see `lookups`. Digits in place of bits, each with a dealt unit vector, are our own
    arrangement.

With z = x + r modulo 2^w opened, the top bit of x is that of z, turned round where r has its top bit set and
turned round where the rest of z is below the rest of r. The rests are compared digit by digit, in digits of
six bits: the helper shares the unit vector of each digit of r, one word of 64 bits, in which both answers can
be read without a message. Bit z says whether the digits are equal; the parity of the bits above z says
whether the digit of z is the smaller. Tables then put three digits together in a round.
"""

import numpy as np

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.dealing import XOR, deal, exchange, mask
from tongzhou.secure.lookups import PLACES, Bits, Table, look_up
from tongzhou.secure.ring import Words
from tongzhou.secure.shared import Shared

__all__ = ["negative"]

_DIGIT_BITS = 6
_DIGIT = np.uint64(PLACES - 1)
_ONE = np.uint64(1)
_ABOVE = np.uint64((1 << 64) - 2)
_FEW = 3
"""Digits that one table puts together."""
_HALF_WIDTH = 32


def negative(engine: AidedEngine, value: Shared, width: int) -> Bits | None:
    """Shares (exclusive or) of whether each number is negative; ``None`` at the helper.

    Args:
        engine: who computes.
        value: shared numbers; only the low `width` bits count, read as signed.
        width: at most 64.
    """
    size = int(np.prod(value.shape))
    drawn = mask(engine, "<u8", (size,))
    digits = -(-(width - 1) // _DIGIT_BITS)
    units = deal(
        engine, "digit", [("<u8", (digits, size))], lambda: [_ONE << _digits(drawn, width, digits)], XOR
    )[0]
    top = ((drawn >> np.uint64(width - 1)) & _ONE).astype(np.uint8)
    if value.share is None:
        _put_together(engine, None, None, (digits, size), flip=top)
        return None
    opened = _open(engine, value.share.reshape(-1) + drawn, width)
    below, equal = _read(units, _digits(opened, width, digits))
    sign = _put_together(engine, below, equal, (digits, size))
    if engine.party.role == "asker":
        sign = sign ^ ((opened >> np.uint64(width - 1)) & _ONE).astype(np.uint8)
    return sign.reshape(value.shape)


def _open(engine: AidedEngine, masked: Words, width: int) -> Words:
    """Add up what both owners masked; of narrow numbers only half of each word travels."""
    if width <= _HALF_WIDTH:
        half = masked.astype(np.uint32)
        (theirs,) = exchange(engine, "sign", half)
        return (half + theirs).astype(np.uint64)
    (theirs,) = exchange(engine, "sign", masked)
    opened: Words = masked + theirs
    return opened


def _digits(words: Words, width: int, digits: int) -> Words:
    """Digits ``(digits, n)`` of all but the top bit, the lowest first."""
    rest = words & np.uint64((1 << (width - 1)) - 1)
    shifts = (np.arange(digits, dtype=np.uint64) * np.uint64(_DIGIT_BITS))[:, np.newaxis]
    found: Words = (rest >> shifts) & _DIGIT
    return found


def _read(units: Words, digits: Words) -> tuple[Bits, Bits]:
    """Shares of whether each opened digit is below the dealt one, and whether it equals it."""
    equal = ((units >> digits) & _ONE).astype(np.uint8)
    below = np.bitwise_count(units & (_ABOVE << digits)) & np.uint8(1)
    return below, equal


def _put_together(
    engine: AidedEngine,
    below: Bits | None,
    equal: Bits | None,
    shape: tuple[int, int],
    *,
    flip: Bits | None = None,
) -> Bits:
    """One answer from those of all digits; turned round where the helper says so."""
    digits, size = shape
    last = False
    while not last:
        groups = -(-digits // _FEW)
        last = groups == 1
        packed = None if below is None or equal is None else _packed(engine, below, equal, groups)
        found = look_up(
            engine,
            packed,
            [_BELOW] if last else [_BELOW, _EQUAL],
            shape=(groups, size),
            flip=None if not last or flip is None else flip[np.newaxis],
        )
        if found:
            below, equal = found[0], None if last else found[1]
        digits = groups
    return np.zeros(size, dtype=np.uint8) if below is None else below[0]


def _packed(engine: AidedEngine, below: Bits, equal: Bits, groups: int) -> Bits:
    """Six bits a group: below and equal of its three digits, the highest first; missing digits are equal."""
    digits, size = below.shape
    padded = np.zeros((groups * _FEW, size), dtype=np.uint8)
    padded[:digits] = (below << np.uint8(1)) | equal
    if engine.party.role == "asker":
        padded[digits:] = 1
    three = padded.reshape(groups, _FEW, size)
    packed: Bits = (three[:, 2] << np.uint8(4)) | (three[:, 1] << np.uint8(2)) | three[:, 0]
    return packed


def _is_below(place: int) -> int:
    """Of three digits, given as below and equal, the highest first: is the number below?"""
    pairs = [(place >> shift & 2, place >> shift & 1) for shift in (4, 2, 0)]
    for below, equal in pairs:
        if below or not equal:
            return 1 if below else 0
    return 0


_BELOW: Table = tuple(_is_below(place) for place in range(PLACES))
_EQUAL: Table = tuple(int(place & 0b010101 == 0b010101) for place in range(PLACES))
