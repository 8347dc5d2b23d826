"""Randomness that protects secrets: one AES-256-CTR stream a seed, from the `cryptography` package.

The operating system gives the seeds. Two parties that hold the same seed draw the same words as long as
they draw in the same order with the same shapes; that is how the helper hands out correlated randomness
without sending it. NumPy's generators are never used here.
"""

import math
import secrets
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray

__all__ = ["SEED_BYTES", "Stream", "new_seed"]

SEED_BYTES = 32
_BLOCK_BYTES = 16
_ZEROS = bytes(1 << 20)
_ZEROS_VIEW = memoryview(_ZEROS)

Words = NDArray[np.uint64]


def new_seed() -> bytes:
    """A fresh 32-byte seed from the operating system."""
    return secrets.token_bytes(SEED_BYTES)


class Stream:
    """A stream of uniform words, the same for everyone who holds the seed.

    Args:
        seed: 32 bytes, used once: two streams of one seed are equal.
        start: first counter block, 16 bytes.
    """

    def __init__(self, seed: bytes, *, start: bytes = bytes(_BLOCK_BYTES)) -> None:
        self._encryptor = Cipher(AES(seed), CTR(start)).encryptor()

    def __repr__(self) -> str:
        return "Stream(seed=********)"

    def words(self, *shape: int) -> Words:
        """Uniform elements of Z_2^64, of the given shape."""
        return self._fill(shape, np.dtype(np.uint64))

    def halves(self, *shape: int) -> NDArray[np.uint32]:
        """Uniform elements of Z_2^32, of the given shape."""
        return self._fill(shape, np.dtype(np.uint32))

    def octets(self, *shape: int) -> NDArray[np.uint8]:
        """Uniform bytes, of the given shape."""
        return self._fill(shape, np.dtype(np.uint8))

    def permutation(self, size: int) -> NDArray[np.intp]:
        """A uniform permutation of ``range(size)``.

        The order of 64-bit random keys; two equal keys (chance below size² / 2^65) would be ordered by
        place, a bias far below what anyone can see.
        """
        return np.argsort(self.words(size), kind="stable")

    def _fill(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        size = math.prod(shape) * dtype.itemsize
        # Whole cipher blocks per draw: how much was drawn before never shifts later words by part of a block.
        padded = -(-size // _BLOCK_BYTES) * _BLOCK_BYTES
        buffer = np.empty(padded, dtype=np.uint8)
        view = buffer.data
        for start in range(0, padded, len(_ZEROS)):
            stop = min(start + len(_ZEROS), padded)
            self._encryptor.update_into(_ZEROS_VIEW[: stop - start], view[start:stop])
        return buffer[:size].view(dtype).reshape(shape)
