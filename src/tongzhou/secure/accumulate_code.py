"""A public linear map that turns sparse random noise into half as many words that look uniform.

The map is the transpose of a binary code of rate 1/2: an extended Golay code, then twice or three times a
random permutation and an accumulator (running sum). Applied to noise it accumulates, permutes, accumulates,
permutes, and takes each group of 24 words to 12. Everything is XOR, so words of any width pass bit by bit.

What the map must have is that every sum of outputs touches many inputs: the minimum distance d of the code. A
linear test of noise with one random value in each of t equal blocks is biased by at most ``(1 - d/N)^t``.
Over the choice of permutations the expected number of words of weight up to 0.1 N follows exactly from the
weight enumerators of the parts (Golay: 1, 759, 2576, 759, 1; accumulator: a product of two binomials); see
`tests/secure/test_secure_accumulate_code.py`, which computes it:

===========  ========================  =========================
length N     with two accumulators     with three accumulators
===========  ========================  =========================
8,208        2^-22                     2^-45
growth       N^-3                      N^-5
===========  ========================  =========================

Three are taken below `TWO_STAGES_FROM`, so that a code with a lighter word has chance below 2^-40 at all
lengths.

Papers: for the test of a code by its distance, Boyle et al., Correlated pseudorandomness from
expand-accumulate codes (CRYPTO 2022), and Raghuraman, Rindal and Tanguy, Expand-convolute codes (CRYPTO
2023); for block codes with two accumulators, Graell i Amat and Le Bidan, Minimum distance and convergence
analysis of Hamming-accumulate-accumulate codes (2009); for the enumerators, Divsalar, Jin and McEliece,
Coding theorems for turbo-like codes (Allerton 1998).
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.prg import Stream
from tongzhou.secure.ring import Words

__all__ = ["GROUP", "MINIMUM_LENGTH", "TWO_STAGES_FROM", "AccumulateCode", "golay_parity"]

GROUP: Final = 24
"""The length is a multiple of this."""

MINIMUM_LENGTH: Final = 8208
"""Below this the bound above is weaker than 2^-40."""

TWO_STAGES_FROM: Final = 640_000
"""From this length on two accumulators suffice."""

_PIECE = 1 << 11
"""Groups taken to their sums at a time, so that they stay in the cache."""


class AccumulateCode:
    """The map for one length.

    Args:
        length: N, a multiple of `GROUP`.
        seed: 32 public bytes that choose the permutations.
    """

    def __init__(self, length: int, seed: bytes) -> None:
        stream = Stream(seed)
        stages = 2 if length >= TWO_STAGES_FROM else 3
        self._orders = [_permutation(stream, length) for _ in range(stages)]
        self._length = length
        # Each sum names its parts once, among the second half of a group.
        self._parts = [np.flatnonzero(row).tolist() for row in golay_parity()]

    def compress(self, noise: Words) -> Words:
        """Apply the map.

        Args:
            noise: ``(N,)`` or ``(N, w)``; used up.

        Returns:
            ``(N / 2,)`` or ``(N / 2, w)``.
        """
        other = np.empty_like(noise)
        for order in self._orders[:-1]:
            _accumulate(noise)
            noise.take(order, axis=0, out=other, mode="clip")
            noise, other = other, noise
        _accumulate(noise)
        return self._fold(noise, other)

    def _fold(self, values: Words, room: Words) -> Words:
        """The last permutation and the groups: word j and some of the words 12 to 23 of each group."""
        groups = self._length // GROUP
        order = self._orders[-1].reshape(GROUP, groups)
        out = room[: self._length // 2].reshape(GROUP // 2, groups, *room.shape[1:])
        for start in range(0, groups, _PIECE):
            taken = values.take(order[:, start : start + _PIECE], axis=0, mode="clip")
            for place, parts in enumerate(self._parts):
                total = taken[place]
                for part in parts:
                    total ^= taken[GROUP // 2 + part]
                out[place, start : start + _PIECE] = total
        return out.reshape(self._length // 2, *room.shape[1:])


def golay_parity() -> NDArray[np.bool_]:
    """``(12, 12)``: B such that ``[I B]`` generates the extended binary Golay code.

    The bordered circulant of the non-residues modulo 11 (MacWilliams and Sloane, chapter 2, §6).
    """
    residues = {place * place % 11 for place in range(11)}
    table = np.ones((12, 12), dtype=np.bool_)
    table[0, 0] = False
    table[1:, 1:] = [[(row + column) % 11 not in residues - {0} for column in range(11)] for row in range(11)]
    return table


def _accumulate(values: Words) -> None:
    """Running XOR along the first axis, in place."""
    for column in values.reshape(len(values), -1).T:
        np.bitwise_xor.accumulate(column, out=column)


def _permutation(stream: Stream, size: int) -> NDArray[np.intp]:
    """A public permutation, by sorting random 32-bit keys in two passes of 16 bits each.

    NumPy sorts 16-bit keys by counting, several times faster than words. Equal keys (a few in ten thousand)
    keep their order, which the bound above does not notice.
    """
    passes = [stream.words(-(-size // 4)).view(np.uint16)[:size] for _ in range(2)]
    order = np.argsort(passes[0], kind="stable")
    return order[np.argsort(passes[1], kind="stable")]
