"""An upper bound on how alike names can be, for millions of pairs at once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tongzhou.data._resemblance import Comparer, words_of

__all__ = ["WordBounds"]

_WORDS_MAX = 12  # of a core that are looked at; what a longer one has beyond them counts as shared
_PAIRS_AT_ONCE = 1 << 17
_EASTERN_LETTERS_MAX = 1

Ints = NDArray[np.int32]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WordBounds:
    """Words of many cores as numbers, padded to one width.

    Attributes:
        keys: int32[kinds, cores, words]; what two words may have in common: the word itself, for longer
            words also the first letter and the last two, since a word with one mistake keeps one of them.
            0 is no word.
        weights: float64[cores, words], 0 where there is no word.
        beyond: float64[cores]; weight of the words beyond the width.
    """

    keys: Ints
    weights: Floats
    beyond: Floats

    @classmethod
    def of(cls, cores: Sequence[str], comparer: Comparer) -> "WordBounds":
        """Number the words of each core."""
        words = [words_of(core) for core in cores]
        width = min(_WORDS_MAX, max(map(len, words)))
        numbers: dict[str, int] = {}
        kinds = 3 if any(len(word) > _EASTERN_LETTERS_MAX for one in words for word in one) else 1
        keys = np.zeros((kinds, len(cores), width), dtype=np.int32)
        weights = np.zeros((len(cores), width))
        beyond = np.zeros(len(cores))
        for at, one in enumerate(words):
            for place, word in enumerate(one[:width]):
                weights[at, place] = comparer.weight(word)
                for kind, key in zip(range(kinds), (word, f"{word[0]}-", f"-{word[-2:]}"), strict=False):
                    keys[kind, at, place] = numbers.setdefault(key, len(numbers) + 1)
            beyond[at] = sum(comparer.weight(word) for word in one[width:])
        return cls(keys, weights, beyond)

    def reach(self, pairs: NDArray[np.int64], least: float) -> NDArray[np.bool_]:
        """Whether the names of each pair could have a score of `least`.

        Args:
            pairs: int64[pairs, 2], places of cores.
            least: the score.

        Returns:
            bool[pairs].
        """
        parts = [
            self._reach(pairs[start : start + _PAIRS_AT_ONCE], least)
            for start in range(0, len(pairs), _PAIRS_AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.bool_)

    def _reach(self, pairs: NDArray[np.int64], least: float) -> NDArray[np.bool_]:
        a, b = pairs[:, 0], pairs[:, 1]
        in_b = np.zeros((len(pairs), self.weights.shape[1]), dtype=np.bool_)
        in_a = np.zeros_like(in_b)
        for keys in self.keys:
            first, second = keys[a], keys[b]
            for place in range(first.shape[1]):
                same = (first[:, place, None] == second) & (second != 0)
                in_b[:, place] |= same.any(axis=1)
                in_a |= same
        wa, wb = self.weights[a], self.weights[b]
        extra = self.beyond[a] + self.beyond[b]
        total = wa.sum(axis=1) + wb.sum(axis=1) + extra
        shared = (wa * in_b).sum(axis=1) + (wb * in_a).sum(axis=1) + extra
        return np.asarray(shared >= least * total - 1e-9)
