"""Exact samples of the discrete Gaussian distribution, from cryptographic randomness and integers alone.

Statement
    Parties: one; each institution draws its own share of the noise.
    Who learns what: nobody; the sample is added to a vector before that is masked.
    Assumption: AES-256 in counter mode is indistinguishable from uniform. Floating-point numbers are never
    used, so that no low bit of a sample says what was added to it (Mironov, On significance of the least
    significant bits for differential privacy, CCS 2012). How long a sample takes is not hidden.
    Cost: about twenty small draws a sample.
    Paper: Canonne, Kamath and Steinke, The discrete Gaussian for differential privacy (NeurIPS 2020),
    algorithms 1 to 3.

The distribution has at each integer x a probability proportional to ``exp(-x² / (2 v))``; its variance is v
for all v that matter here (it is below v, by less than a part in 10^6 from v = 1 on).
"""

from typing import Final

import numpy as np

from tongzhou.secure.exact_sampling import sample_gaussian
from tongzhou.secure.prg import Stream, new_seed
from tongzhou.secure.ring import Words

__all__ = ["DiscreteGaussian"]

_WORDS: Final = 4096


class DiscreteGaussian:
    """Samples with one variance.

    Args:
        variance: v, a whole number from 1.
        seed: 32 bytes; fresh from the operating system if not given.

    Raises:
        ValueError: the variance is no whole number from 1.
    """

    def __init__(self, variance: int, *, seed: bytes | None = None) -> None:
        if variance < 1:
            raise ValueError("a variance is a whole number from 1")
        self.variance = variance
        self._stream = Stream(new_seed() if seed is None else seed)
        self._pool = b""
        self._at = 0

    def words(self, size: int) -> Words:
        """So many independent samples, as words in Z_2^64."""
        return np.array([self.sample() % (1 << 64) for _ in range(size)], dtype=np.uint64)

    def sample(self) -> int:
        """One sample."""
        return sample_gaussian(self.variance, 1, self._below)

    def _below(self, limit: int) -> int:
        """A uniform whole number below a limit."""
        bits = (limit - 1).bit_length()
        size = -(-bits // 8)
        while True:
            number = int.from_bytes(self._bytes(size), "little") & ((1 << bits) - 1)
            if number < limit:
                return number

    def _bytes(self, size: int) -> bytes:
        if self._at + size > len(self._pool):
            self._pool, self._at = self._stream.words(_WORDS + size // 8).tobytes(), 0
        self._at += size
        return self._pool[self._at - size : self._at]
