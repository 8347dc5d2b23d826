"""Arithmetic modulo the prime 2^61 - 1, on arrays of 64-bit words.

A field, and not the ring Z_2^64, wherever a check or a zero must be sure: a random multiple of any number but
zero is uniform, so one word of a linear authenticator forges with probability 2^-61, and a random multiple
of a sum says whether the sum is zero and nothing else.

Elements are words below `PRIME`. Every function returns such words and expects them.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError, ProtocolError
from tongzhou.secure.ring import Words

__all__ = [
    "PRIME",
    "add",
    "check",
    "from_signed",
    "from_words",
    "multiply",
    "negate",
    "subtract",
    "sum_rows",
    "to_signed",
]

PRIME: Final = (1 << 61) - 1
"""The order of the field, a Mersenne prime: 2^61 is 1."""

_P = np.uint64(PRIME)
_61 = np.uint64(61)
_31, _LOW_31 = np.uint64(31), np.uint64((1 << 31) - 1)
_30, _LOW_30 = np.uint64(30), np.uint64((1 << 30) - 1)
_ONE = np.uint64(1)
_HALF = PRIME // 2
_MOST_TERMS = 7
"""Elements that can be added before a word overflows."""


def from_words(words: Words) -> Words:
    """Elements from uniform words: the low 61 bits, with the one value beyond the field taken as zero.

    The distance from uniform is below 2^-61 an element.
    """
    return _wrap(words & _P)


def from_signed(numbers: NDArray[np.int64]) -> Words:
    """Elements of signed numbers of at most 2^60 - 1.

    Raises:
        DataError: a number is larger (it is not printed).
    """
    if numbers.size and not (int(numbers.max()) <= _HALF and int(numbers.min()) >= -_HALF):
        raise DataError("a number is larger than {limit}, the most that the field holds", limit=_HALF)
    return np.where(numbers < 0, numbers + PRIME, numbers).astype(np.uint64)


def to_signed(elements: Words) -> NDArray[np.int64]:
    """The number of least size that each element stands for."""
    signed = elements.astype(np.int64)
    return np.where(signed > _HALF, signed - PRIME, signed)


def check(peer: str, tag: str, elements: Words) -> Words:
    """Refuse words that are no elements.

    Raises:
        ProtocolError: a peer sent a word beyond the field.
    """
    if elements.size and int(elements.max()) >= PRIME:
        raise ProtocolError("{peer} sent {tag} with a number outside the field", peer=peer, tag=tag)
    return elements


def add(left: Words, right: Words) -> Words:
    """Sums."""
    return _wrap(left + right)


def subtract(left: Words, right: Words) -> Words:
    """Differences."""
    return _wrap(left + (_P - right))


def negate(elements: Words) -> Words:
    """Opposites."""
    return _wrap(_P - elements)


def multiply(left: Words, right: Words) -> Words:
    """Products.

    Both factors are cut into 30 high and 31 low bits; no partial sum reaches 2^64.
    """
    left_high, left_low = left >> _31, left & _LOW_31
    right_high, right_low = right >> _31, right & _LOW_31
    middle = left_high * right_low + left_low * right_high
    total = left_low * right_low
    total += (left_high * right_high) << _ONE  # 2^62 is 2
    total += middle >> _30  # 2^61 is 1
    total += (middle & _LOW_30) << _31
    return _reduce(total)


def sum_rows(elements: Words, axis: int) -> Words:
    """Sums along one axis, of any length."""
    moved = np.moveaxis(elements, axis, 0)
    total = np.zeros(moved.shape[1:], dtype=np.uint64)
    for start in range(0, len(moved), _MOST_TERMS):
        piece: Words = np.add.reduce(moved[start : start + _MOST_TERMS], axis=0)
        total = _reduce(total + piece)
    return total


def _reduce(words: Words) -> Words:
    """Any word, as an element."""
    return _wrap((words & _P) + (words >> _61))


def _wrap(words: Words) -> Words:
    """Words below twice the prime, as elements."""
    wrapped: Words = np.minimum(words, words - _P)
    return wrapped
