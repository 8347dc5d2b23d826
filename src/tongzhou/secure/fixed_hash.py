"""Hashing millions of 16-byte blocks by AES under a fixed public key, and AES over whole arrays of blocks.

The hash is ``TMMO(x, i) = P(P(x) ^ i) ^ P(x)`` with P = AES-128 under a public key and a tweak i that occurs
once: it hides ``x ^ D`` for many x and one secret D (tweakable circular correlation robustness, with P as an
ideal permutation).

Paper: Guo, Katz, Wang and Yu, Efficient and secure multiparty computation from fixed-key block ciphers
(IEEE S&P 2020), section 7.4.

A *block* is a pair of 64-bit words; ``(n, 2)`` arrays of them are contiguous, so that the bytes of a row are
the 16 bytes of the block.
"""

from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from numpy.typing import NDArray

from tongzhou.secure.ring import Words

__all__ = ["BLOCK_BYTES", "HASH_KEY_BYTES", "BlockCipher", "Blocks", "FixedKeyHash"]

BLOCK_BYTES = 16
HASH_KEY_BYTES = 16
"""Bytes of the public key of a `FixedKeyHash`."""

_PIECE = 1 << 14
"""Blocks hashed at a time, so that they stay in the cache."""
_SLACK = BLOCK_BYTES - 1
"""`update_into` wants this much more room than it fills."""

Blocks = NDArray[np.uint64]
"""``(…, 2)`` words: one block a row."""


class BlockCipher:
    """AES over arrays of blocks, each block on its own.

    Args:
        key: 16, 24 or 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        # Every block here is a distinct input of a permutation; no message is encrypted in this mode.
        self._encryptor: Any = Cipher(AES(key), ECB()).encryptor()  # noqa: S305

    def __repr__(self) -> str:
        return "BlockCipher(key=********)"

    def encrypt(self, blocks: Blocks) -> Blocks:
        """The permutation of every block; any shape that ends in 2, C-contiguous."""
        size = blocks.size * 8
        buffer = np.empty(size + _SLACK, dtype=np.uint8)
        self._encryptor.update_into(blocks.reshape(-1).view(np.uint8).data, buffer.data)
        return buffer[:size].view(np.uint64).reshape(blocks.shape)


class FixedKeyHash:
    """TMMO over arrays.

    Args:
        key: 16 bytes, public, fresh for a run.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = BlockCipher(key)

    def pads(self, blocks: Blocks, first: int, words: int = 1) -> Words:
        """Hash each block to as many words as are wanted.

        Args:
            blocks: ``(n, 2)``.
            first: the tweak of the first block; the others follow. A tweak is used for one block (or for one
                pair of blocks that differ by a secret), never again.
            words: 64-bit words for each block, from 1.

        Returns:
            ``(n, words)`` uniform-looking words.
        """
        out = np.empty((len(blocks), words), dtype=np.uint64)
        step = max(1, _PIECE // (-(-words // 2)))
        for start in range(0, len(blocks), step):
            piece = blocks[start : start + step]
            out[start : start + step] = self._piece(piece, first + start, words)
        return out

    def tagged(self, blocks: Blocks, tweaks: Blocks) -> Blocks:
        """Hash each block to a block, under a tweak of its own: both ``(n, 2)``."""
        out = np.empty_like(blocks)
        for start in range(0, len(blocks), _PIECE):
            inner = self._cipher.encrypt(blocks[start : start + _PIECE])
            outer = self._cipher.encrypt(inner ^ tweaks[start : start + _PIECE])
            np.bitwise_xor(outer, inner, out=out[start : start + _PIECE])
        return out

    def _piece(self, blocks: Blocks, first: int, words: int) -> Words:
        """Output block j of input i has the tweak (i, j)."""
        inner = self._cipher.encrypt(blocks)
        count = -(-words // 2)
        tweaked = np.empty((len(blocks), count, 2), dtype=np.uint64)
        numbers = np.arange(first, first + len(blocks), dtype=np.uint64)
        np.bitwise_xor(inner[:, 0, None], numbers[:, None], out=tweaked[:, :, 0])
        np.bitwise_xor(inner[:, 1, None], np.arange(count, dtype=np.uint64), out=tweaked[:, :, 1])
        hashed = self._cipher.encrypt(tweaked)
        hashed ^= inner[:, None, :]
        return hashed.reshape(len(blocks), 2 * count)[:, :words]
