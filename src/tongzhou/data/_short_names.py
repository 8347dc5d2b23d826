"""Short names (简称) and the full names that they may stand for.

A Chinese short name takes characters of the full name in their order: a run of them, most often the firm's
own word (腾讯 of 深圳市腾讯计算机系统有限公司), or the first of several words (工行 of 工商银行, 上汽 of
上海汽车集团). A Latin one takes the first words (SIEMENS) or the first letters (ICBC). Many full names may
fit: the more, the less each of them is worth.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from tongzhou.data._resemblance import Comparer, Resemblance, is_eastern
from tongzhou.data.companies import CompanyName

__all__ = ["FullNames", "is_short"]

_CHARACTERS_MAX = 8  # of a Chinese short name
_WORDS_MAX = 3
_LETTERS_MIN, _LETTERS_MAX = 3, 6  # of initials
_NOT_COUNTED = frozenset({"AND", "OF", "THE", "FOR", "DE", "DU", "UND", "ET"})  # words without an initial
_FITS_MAX = 8  # full names given for one short name, the best

_OWN_WORD, _WITHIN, _FIRST_WORDS, _INITIALS = 0.92, 0.82, 0.9, 0.88
_FIRST_CHARACTERS, _SOME_CHARACTERS = 0.86, 0.74
_EACH_RIVAL = 0.03  # taken off for each doubling of the full names that fit as well

Ints = NDArray[np.int64]


def is_short(name: CompanyName) -> bool:
    """Whether a name says neither legal form nor branch and is short enough to be a short name."""
    if name.form or name.branch or not name.core:
        return False
    if is_eastern(name.core):
        return 2 <= len(name.normal) <= _CHARACTERS_MAX
    return len(name.core) > 2 and len(name.core.split()) <= _WORDS_MAX


class FullNames:
    """Full names, found by the short ones they may have.

    Args:
        names: all names; short ones among them are left out.
        comparer: what is rare among them.
    """

    def __init__(self, names: Sequence[CompanyName], comparer: Comparer) -> None:
        self._names = names
        self._comparer = comparer
        self._by_character: dict[str, Ints] = {}
        self._by_word: dict[str, list[int]] = defaultdict(list)
        self._by_initials: dict[str, list[int]] = defaultdict(list)
        by_character: dict[str, list[int]] = defaultdict(list)
        for at, name in enumerate(names):
            if is_short(name):
                continue
            if is_eastern(name.core):
                for character in set(name.place + name.core):
                    by_character[character].append(at)
            else:
                words = name.core.split()
                self._by_word[words[0] if words else ""].append(at)
                self._by_initials["".join(word[0] for word in words if word not in _NOT_COUNTED)].append(at)
        self._by_character = {key: np.array(held, dtype=np.int64) for key, held in by_character.items()}

    def fitting(self, short: CompanyName) -> list[tuple[int, Resemblance]]:
        """Places of the full names that a short name may stand for, the best first.

        Args:
            short: a name for which `is_short` holds.
        """
        found = list(self._eastern(short) if is_eastern(short.core) else self._western(short))
        rivals = defaultdict(set)
        for at, fit in found:
            rivals[fit].add(self._names[at].core)
        scored = [
            (at, Resemblance(fit.score - _EACH_RIVAL * math.log2(len(rivals[fit])), fit.reason))
            for at, fit in found
        ]
        return sorted(scored, key=lambda one: (-one[1].score, one[0]))[:_FITS_MAX]

    def _eastern(self, short: CompanyName) -> Iterator[tuple[int, Resemblance]]:
        text = short.place + short.core
        held = [self._by_character.get(character) for character in set(text)]
        if any(one is None for one in held):
            return
        places = sorted((one for one in held if one is not None), key=len)
        both = places[0]
        for other in places[1:]:
            both = np.intersect1d(both, other, assume_unique=True)
        for at in both.tolist():
            fit = _eastern_fit(short, self._names[at])
            if fit is not None:
                yield at, fit

    def _western(self, short: CompanyName) -> Iterator[tuple[int, Resemblance]]:
        words = short.core.split()
        if len(words) == 1 and _LETTERS_MIN <= len(words[0]) <= _LETTERS_MAX:
            for at in self._by_initials.get(words[0], ()):
                yield at, Resemblance(_INITIALS, "initials")
        for at in self._by_word.get(words[0], ()):
            full = self._names[at].core.split()
            if len(full) > len(words) and full[: len(words)] == words:
                share = sum(map(self._comparer.weight, words)) / sum(map(self._comparer.weight, full))
                yield at, Resemblance(round(_FIRST_WORDS * min(1.0, 0.5 + share), 3), "short")


def _eastern_fit(short: CompanyName, full: CompanyName) -> Resemblance | None:
    """How a short name is taken from a full one, if its characters stand there in this order."""
    if short.place and short.place in full.place and short.core in full.core:
        own, within = full.core.startswith(short.core), short.core in full.core
    else:
        own, within = full.core.startswith(short.normal), short.normal in full.core
    if own and len(full.core) > len(short.core):
        return Resemblance(_OWN_WORD, "short")
    if within:
        return Resemblance(_WITHIN, "short")
    if len(short.normal) > _LETTERS_MAX:
        return None
    starts = [start for start in (full.place + full.core, full.core) if _in_order(short.normal, start)]
    if not starts:
        return None
    ends = any(short.normal[-1] in start[-2:] for start in starts)
    behind_place = full.place[:1] == short.normal[0] and full.core.startswith(short.normal[1:])
    return Resemblance(_FIRST_CHARACTERS if ends or behind_place else _SOME_CHARACTERS, "characters")


def _in_order(short: str, full: str) -> bool:
    """Whether a text begins like another and takes the rest of its characters from it, in order."""
    if short[0] != full[:1]:
        return False
    rest = iter(full)
    return all(character in rest for character in short)
