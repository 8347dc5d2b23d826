"""Pairs of names that are worth a score, with it: those of one core, of similar cores, and short names."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations, islice, pairwise, product

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz, process

from tongzhou.data._blocking import Pieces, shared_pairs
from tongzhou.data._bounds import WordBounds
from tongzhou.data._resemblance import Comparer, Resemblance, is_eastern, words_of
from tongzhou.data._short_names import FullNames, is_short
from tongzhou.data.companies import CompanyName

__all__ = ["scored_pairs"]

_ALIKE_LEAST = 0.5  # weighted share of common pieces below which two cores are not compared
_RATIO_LEAST = 66.0  # of their letters, in per cent, likewise
_GROUP_MAX = 200  # names of one core compared each with each; a chain of shops has thousands
_EXPANDED_MAX = 60  # pairs of names for one pair of cores
_RARE_WORDS = 2  # of each Latin core, cut into letters too, so that a mistake in them is found

Ints = NDArray[np.int64]
Pair = tuple[int, int]


def scored_pairs(
    names: Sequence[CompanyName], split: int | None = None, *, least: float
) -> Iterator[tuple[int, int, Resemblance]]:
    """Score the pairs worth it.

    Args:
        names: all names; with `split`, those of one list and then those of the other.
        split: where the other list begins; then only pairs across are given.
        least: lowest score asked for; pairs that cannot reach it are not compared.

    Yields:
        Places of two names and their resemblance; a pair may come twice.
    """
    comparer = Comparer.learn(names)
    across = _across(split)
    yield from _short_pairs(names, comparer, across)
    groups: dict[str, list[int]] = defaultdict(list)
    for at, name in enumerate(names):
        groups[name.core].append(at)
    for group in groups.values():
        for one, other in _within(group, names):
            if across(one, other) and names[one].normal != names[other].normal:
                yield one, other, comparer.compare(names[one], names[other])
    for a, b in _core_pairs(list(groups), comparer, least):
        for one, other in islice(product(groups[a], groups[b]), _EXPANDED_MAX):
            if across(one, other):
                yield one, other, comparer.compare(names[one], names[other])


def _across(split: int | None) -> Callable[[int, int], bool]:
    if split is None:
        return lambda one, other: one != other
    return lambda one, other: (one < split) != (other < split)


def _short_pairs(
    names: Sequence[CompanyName], comparer: Comparer, across: Callable[[int, int], bool]
) -> Iterator[tuple[int, int, Resemblance]]:
    full = FullNames(names, comparer)
    for at, name in enumerate(names):
        if is_short(name):
            for fit, resemblance in full.fitting(name):
                if across(at, fit):
                    yield at, fit, resemblance


def _within(group: list[int], names: Sequence[CompanyName]) -> Iterator[Pair]:
    """Pairs of names with one core; in a large group only those of one place."""
    if len(group) <= _GROUP_MAX:
        yield from combinations(group, 2)
        return
    places: dict[str, list[int]] = defaultdict(list)
    for at in group:
        places[names[at].place].append(at)
    for one in places.values():
        yield from combinations(one[:_GROUP_MAX], 2)


def _core_pairs(cores: list[str], comparer: Comparer, least: float) -> set[tuple[str, str]]:
    """Pairs of different cores that are alike enough to be compared word by word."""
    found = set()
    for key in (_without_blanks, _words_sorted):
        groups: dict[str, list[str]] = defaultdict(list)
        for core in cores:
            groups[key(core)].append(core)
        found |= {pair for group in groups.values() for pair in combinations(group[:_GROUP_MAX], 2)}
    for some in (
        [core for core in cores if is_eastern(core)],
        [core for core in cores if not is_eastern(core)],
    ):
        found |= _similar(some, comparer, least)
    return found


def _without_blanks(core: str) -> str:
    return core.replace(" ", "")


def _words_sorted(core: str) -> str:
    return " ".join(sorted(core.split()))


def _similar(cores: list[str], comparer: Comparer, least: float) -> set[tuple[str, str]]:
    if not cores:
        return set()
    pairs = shared_pairs(Pieces.cut(_pieces(cores)), _ALIKE_LEAST)
    lengths = np.array([len(core) for core in cores])[pairs]
    # A ratio of r needs at least r / (2 - r) of the longer one's letters.
    pairs = pairs[lengths.min(axis=1) * (200.0 - _RATIO_LEAST) >= lengths.max(axis=1) * _RATIO_LEAST]
    pairs = pairs[WordBounds.of(cores, comparer).reach(pairs, least)]
    texts = np.array(cores, dtype=object)
    ratios = process.cpdist(
        texts[pairs[:, 0]], texts[pairs[:, 1]], scorer=fuzz.ratio, score_cutoff=_RATIO_LEAST
    )
    return {(cores[one], cores[other]) for one, other in pairs[ratios >= _RATIO_LEAST].tolist()}


def _pieces(cores: list[str]) -> list[list[str]]:
    """Words of each core, and letters of the rare ones; neighbours where there are no blanks."""
    words = [words_of(core) for core in cores]
    holders: dict[str, int] = defaultdict(int)
    for one in words:
        for word in set(one):
            holders[word] += 1
    pieces = []
    for core, own in zip(cores, words, strict=True):
        if is_eastern(core):
            pieces.append([a + b for a, b in pairwise(own)] or own)
            continue
        rare = sorted(set(own), key=lambda word: (holders[word], word))[:_RARE_WORDS]
        pieces.append([*own, *(piece for word in rare for piece in _letters(word))])
    return pieces


def _letters(word: str) -> list[str]:
    padded = f"_{word}_"
    return [padded[at : at + 3] for at in range(len(padded) - 2)]
