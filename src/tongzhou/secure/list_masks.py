"""Tables of lists in masked form: one party holds the masked rows, another the short secret behind the masks.

A masked row is the row minus a pad, and beside it stands one authenticator: a secret linear function of the
masked row, plus a pad of its own. Sums of masked rows have sums of authenticators, so whoever holds the rows
can show that what it says it read is what stands there, and can make up another sum with probability 2^-61
only.

Pads come from AES in counter mode; the holder of the secret computes those of single cells.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure import field
from tongzhou.secure.blocks import BlockCipher
from tongzhou.secure.prg import SEED_BYTES, Stream
from tongzhou.secure.ring import Words

__all__ = ["TableMask", "authenticate"]

_PIECE = 1 << 16
"""Rows that are masked at a time, so that they stay in the cache."""


class TableMask:
    """Pads and authenticators of one table. Belongs to one thread.

    Args:
        secret: 32 bytes, of this table alone.
        width: words of a row.

    Attributes:
        factors: ``(width,)`` the secret linear function.
    """

    def __init__(self, secret: bytes, width: int) -> None:
        self._secret = secret
        self._width = width
        self._blocks = -(-(width + 1) // 2)  # a row's pads, and the authenticator's, in whole cipher blocks
        self._cipher = BlockCipher(_derived(secret, b"pads"))
        self.factors = field.from_words(Stream(_derived(secret, b"factors")).words(width))

    def __repr__(self) -> str:
        return "TableMask(secret=********)"

    def hide(self, cells: Words) -> Words:
        """Masked rows with their authenticators, ``(n, width + 1)``, of the cells ``(n, width)``."""
        stream = Stream(_derived(self._secret, b"pads"))
        hidden = np.empty((len(cells), self._width + 1), dtype=np.uint64)
        for start in range(0, len(cells), _PIECE):
            piece = cells[start : start + _PIECE]
            pads = self._split(stream.words(len(piece), 2 * self._blocks))
            rows = field.subtract(piece, pads[:, :-1])
            hidden[start : start + _PIECE, :-1] = rows
            hidden[start : start + _PIECE, -1] = field.add(authenticate(self.factors, rows), pads[:, -1])
        return hidden

    def at(self, places: NDArray[np.int64]) -> Words:
        """Pads of the cells at ``places (…)``, those of their authenticators last: ``(…, width + 1)``."""
        counters = np.zeros((*places.shape, self._blocks, 2), dtype=">u8")
        counters[..., 1] = places[..., None] * self._blocks + np.arange(self._blocks)
        words = self._cipher(counters.view(np.uint64))
        return self._split(words.reshape(*places.shape, 2 * self._blocks))

    def _split(self, words: Words) -> Words:
        return field.from_words(words[..., : self._width + 1])


def authenticate(factors: Words, rows: Words) -> Words:
    """The linear function of rows ``(…, w)``: ``(…,)``."""
    return field.sum_rows(field.multiply(factors, rows), rows.ndim - 1)


def _derived(secret: bytes, use: bytes) -> bytes:
    """A key for one use."""
    return hashlib.blake2b(key=secret, person=use, digest_size=SEED_BYTES).digest()
