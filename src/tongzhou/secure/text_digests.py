"""Keyed digests of many texts at once: AES-CMAC over arrays, where a call for each text would take seconds.

AES-CMAC (NIST SP 800-38B, RFC 4493) is a pseudorandom function of texts of any length under a secret key.
Texts of equal length are laid out as rows of blocks, and each column of blocks goes through the cipher in
one call.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tongzhou.secure.fixed_hash import BLOCK_BYTES, BlockCipher, Blocks

__all__ = ["digest_texts"]

_DOUBLING = 0x87
_PIECE = 1 << 15
"""Texts at a time, so that they stay in the cache."""

Starts = NDArray[np.int64]


def digest_texts(texts: Sequence[str], key: bytes) -> Blocks:
    """AES-CMAC of each text's UTF-8 bytes: ``(n, 2)``, the bytes of a row are the digest.

    Args:
        texts: any texts.
        key: 16, 24 or 32 bytes.
    """
    starts, data = _bytes_of(texts)
    lengths = np.diff(starts)
    digests = np.empty((len(lengths), 2), dtype=np.uint64)
    cipher = BlockCipher(key)
    for length in np.flatnonzero(np.bincount(lengths)).tolist() if len(lengths) else []:
        rows = np.flatnonzero(lengths == length)
        for first in range(0, len(rows), _PIECE):
            some = rows[first : first + _PIECE]
            digests[some] = _cmac(cipher, _letters(data, starts, some))
    return digests


def _letters(data: NDArray[np.uint8], starts: Starts, rows: Starts) -> NDArray[np.uint8]:
    """The bytes of texts of one length, a row each."""
    begin, length = starts[rows[0]], int(starts[rows[0] + 1] - starts[rows[0]])
    if rows[-1] - rows[0] == len(rows) - 1:
        # Neighbours: their bytes lie one after the other.
        return data[begin : begin + len(rows) * length].reshape(len(rows), length)
    taken: NDArray[np.uint8] = data[starts[rows, None] + np.arange(length)]
    return taken


def _bytes_of(texts: Sequence[str]) -> tuple[Starts, NDArray[np.uint8]]:
    """All bytes one after the other, and where each text starts (and the last one ends)."""
    array = pa.array(texts, type=pa.large_string())
    _, offsets, data = (memoryview(b"" if one is None else one) for one in array.buffers())
    return np.frombuffer(offsets, dtype=np.int64)[: len(array) + 1], np.frombuffer(data, dtype=np.uint8)


def _cmac(cipher: BlockCipher, letters: NDArray[np.uint8]) -> Blocks:
    """CMAC of texts of one length, ``(n, length)`` bytes."""
    count, length = letters.shape
    blocks = max(1, -(-length // BLOCK_BYTES))
    message = np.zeros((count, blocks * BLOCK_BYTES), dtype=np.uint8)
    message[:, :length] = letters
    whole = length == blocks * BLOCK_BYTES
    if not whole:
        message[:, length] = 0x80
    columns = message.view(np.uint64).reshape(count, blocks, 2)
    state = np.zeros((count, 2), dtype=np.uint64)
    for place in range(blocks - 1):
        state = cipher.encrypt(state ^ columns[:, place])
    once, twice = _subkeys(cipher)
    return cipher.encrypt(state ^ columns[:, -1] ^ (once if whole else twice))


def _subkeys(cipher: BlockCipher) -> tuple[Blocks, Blocks]:
    """What is added to the last block: one for whole blocks, one for padded ones."""
    zero = cipher.encrypt(np.zeros((1, 2), dtype=np.uint64))
    once = _double(zero.tobytes())
    return _as_block(once), _as_block(_double(once))


def _double(block: bytes) -> bytes:
    """Times x in GF(2^128), in CMAC's order of bits."""
    number = int.from_bytes(block, "big") << 1
    if number >> 128:
        number ^= (1 << 128) | _DOUBLING
    return number.to_bytes(BLOCK_BYTES, "big")


def _as_block(data: bytes) -> Blocks:
    return np.frombuffer(data, dtype=np.uint64)
