"""How alike two companies' names are, and why: a score from 0 to 1 and the reason in one word.

Words that few names have weigh more (soft TF-IDF: Cohen, Ravikumar, Fienberg, *A Comparison of String
Distance Metrics for Name-Matching Tasks*, 2003). Chinese names are written without blanks; there every
character is a word.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rapidfuzz.distance import OSA, LCSseq

from tongzhou.data.companies import CompanyName

__all__ = ["Comparer", "Resemblance", "is_eastern", "words_of"]

_EAST = re.compile(r"[々〇㐀-䶿一-鿿ぁ-ヿ가-힣\U00020000-\U0003FFFF]")
_EASTERN_WORDS = re.compile(r"[0-9A-Z]+|.")
_NUMERALS = frozenset("〇零一二三四五六七八九十百千甲乙丙丁")
_CODE = re.compile(r".{1,3}|.*\d.*|[IVXLC]+")  # words that tell two names apart by one character
# Letters of a word in which one mistake, or two, leave no doubt what was meant: exchanged neighbours are
# one mistake.
_ONE_MISTAKE, _TWO_MISTAKES = 5, 9
_SHORTENED = 0.9  # credit for MGMT beside MANAGEMENT
_SHORTENED_LETTERS_MIN = 3
_SHORTENED_HOLDERS_MIN = 5  # only words that several names have are written short

# What is left of the score when parts differ that name another company more often than not.
_OTHER_FORM, _NO_FORM = 0.9, 0.98
_OTHER_PLACE, _LESS_PLACE = 0.55, 0.96
_OTHER_BRANCH, _OTHER_CODE, _OTHER_WORDS = 0.6, 0.5, 0.85


@dataclass(frozen=True, slots=True)
class Resemblance:
    """A score from 0 to 1, and its reason: what differs."""

    score: float
    reason: str


def is_eastern(text: str) -> bool:
    """Whether a name has Chinese, Japanese or Korean characters."""
    return _EAST.search(text) is not None


def words_of(core: str) -> list[str]:
    """Words of a name's core; characters where it is written without blanks."""
    return _EASTERN_WORDS.findall(core.replace(" ", "")) if is_eastern(core) else core.split()


@dataclass(frozen=True, slots=True)
class _Core:
    """A name's core as words with their weights."""

    words: list[str]
    weights: list[float]
    total: float
    eastern: bool


@dataclass(frozen=True)
class Comparer:
    """Compares names by what is rare among them.

    Args:
        holders: for each word how many names have it.
        names: how many names there are.
    """

    holders: Counter[str]
    names: int

    @classmethod
    def learn(cls, names: Sequence[CompanyName]) -> "Comparer":
        """Count words over all names that will be compared."""
        return cls(Counter(word for name in names for word in set(words_of(name.core))), len(names))

    @cached_property
    def _cores(self) -> dict[str, _Core]:
        return {}

    def _core(self, core: str) -> _Core:
        """Words and weights of a core; each is compared many times."""
        known = self._cores.get(core)
        if known is None:
            words = words_of(core)
            weights = [self.weight(word) for word in words]
            known = self._cores[core] = _Core(words, weights, sum(weights), is_eastern(core))
        return known

    @cached_property
    def _weights(self) -> dict[str, float]:
        return {word: self._weight_of(count) for word, count in self.holders.items()}

    def _weight_of(self, count: int) -> float:
        return math.log((self.names + 1) / count) + 0.1

    def weight(self, word: str) -> float:
        """How much a word tells: the logarithm of names over holders."""
        return self._weights.get(word) or self._weight_of(1)

    def compare(self, first: CompanyName, second: CompanyName) -> Resemblance:
        """Score two different names in normal form.

        Args:
            first: one name.
            second: the other; the order does not matter.
        """
        a, b = first.core, second.core
        if a == b:
            score, reason = 1.0, "form" if first.form != second.form else "place"
        elif a.replace(" ", "") == b.replace(" ", ""):
            score, reason = 0.98, "blanks"
        else:
            # in one order, since several alignments may be the longest
            one, other = self._core(min(a, b)), self._core(max(a, b))
            alike = self._eastern if one.eastern or other.eastern else self._western
            score, reason = alike(one, other)
        return Resemblance(score * _parts_factor(first, second), reason)

    def _eastern(self, one: _Core, other: _Core) -> tuple[float, str]:
        """Weight of the characters that stand in both in the same order, over that of all."""
        a, b = one.words, other.words
        blocks = LCSseq.opcodes(a, b).as_matching_blocks()
        left_a, left_b = set(range(len(a))), set(range(len(b)))
        for block in blocks:
            left_a.difference_update(range(block.a, block.a + block.size))
            left_b.difference_update(range(block.b, block.b + block.size))
        lost = sum(one.weights[at] for at in left_a) + sum(other.weights[at] for at in left_b)
        apart = [a[at] for at in left_a] + [b[at] for at in left_b]
        codes = any(word in _NUMERALS or word.isascii() for word in apart)
        total = one.total + other.total
        return (total - lost) / total * (_OTHER_CODE if codes else 1.0), "spelling"

    def _western(self, one: _Core, other: _Core) -> tuple[float, str]:
        """Weight of the words that both have, or that are alike, over that of all."""
        a, b, total = one.words, other.words, one.total + other.total
        only_a, only_b = (
            list((Counter(a) - Counter(b)).elements()),
            list((Counter(b) - Counter(a)).elements()),
        )
        if not only_a and not only_b:
            return 0.97, "order"
        pairs = self._alike(only_a, only_b)
        lost = sum(map(self.weight, only_a)) + sum(map(self.weight, only_b))
        won = sum(credit * (self.weight(only_a[i]) + self.weight(only_b[j])) for i, j, credit in pairs)
        left_a = [word for at, word in enumerate(only_a) if at not in {i for i, _, _ in pairs}]
        left_b = [word for at, word in enumerate(only_b) if at not in {j for _, j, _ in pairs}]
        factor = _OTHER_WORDS if left_a and left_b else 1.0
        if any(_CODE.fullmatch(word) for word in (*left_a, *left_b) if word not in _SMALL_WORDS):
            factor *= _OTHER_CODE
        return (total - lost + won) / total * factor, "words" if left_a or left_b else "spelling"

    def _alike(self, a: list[str], b: list[str]) -> list[tuple[int, int, float]]:
        """Words of one that are words of the other written otherwise, each used once."""
        found = []
        for i, one in enumerate(a):
            for j, other in enumerate(b):
                credit = self._word_credit(one, other)
                if credit:
                    found.append((-credit, i, j))
        taken_a, taken_b, pairs = set(), set(), []
        for credit, i, j in sorted(found):
            if i not in taken_a and j not in taken_b:
                taken_a.add(i)
                taken_b.add(j)
                pairs.append((i, j, -credit))
        return pairs

    def _word_credit(self, one: str, other: str) -> float:
        """From 0 to 1: how surely two different words are one."""
        short, long = sorted((one, other), key=len)
        if any(character.isdigit() for character in one + other):
            return 0.0
        if self.holders[long] >= _SHORTENED_HOLDERS_MIN and _shortens(short, long):
            return _SHORTENED
        mistakes = 2 if len(long) >= _TWO_MISTAKES else 1 if len(long) >= _ONE_MISTAKE else 0
        made = OSA.distance(short, long, score_cutoff=mistakes)
        return 1.0 - made / len(long) if made <= mistakes else 0.0


_SMALL_WORDS = frozenset(
    {"AND", "OF", "THE", "FOR", "IN", "DE", "DU", "DI", "DER", "DIE", "UND", "ET", "E", "Y"}
)


def _shortens(short: str, long: str) -> bool:
    """Whether all letters of one stand in the longer other in the same order, from the first on."""
    if not _SHORTENED_LETTERS_MIN <= len(short) < len(long) - 1 or short[0] != long[0]:
        return False
    rest = iter(long)
    return all(letter in rest for letter in short)


def _parts_factor(first: CompanyName, second: CompanyName) -> float:
    factor = 1.0
    if first.form != second.form:
        factor *= _OTHER_FORM if first.form and second.form else _NO_FORM
    if first.place != second.place:
        factor *= _LESS_PLACE if _within(first.place, second.place) else _OTHER_PLACE
    if first.branch != second.branch:
        factor *= _OTHER_BRANCH
    return factor


def _within(one: str, other: str) -> bool:
    """Whether one place says less than the other and nothing else: none, or the city without its province."""
    return one in other or other in one
