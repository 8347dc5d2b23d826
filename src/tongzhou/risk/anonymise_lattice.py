"""Full-domain generalisation: every column written at one level, the levels chosen so that least is lost.

Samarati, *Protecting Respondents' Identities in Microdata Release*, 2001, with rows left out up to a limit;
the lattice of levels as in LeFevre, DeWitt, Ramakrishnan, *Incognito*, SIGMOD 2005. The search is exact:
choices of levels are tried from the least loss on, and it ends when no untried one could lose less. With
conditions on sensitive values and rows left out, a coarser choice may fail where a finer one holds, so
nothing is inferred from one choice for another.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError, PlanError

from ._types import Bools, Floats, Ints
from .anonymise import Classes, Request, classes_of
from .anonymise_criteria import ClassCounts, Closeness, Sensitive
from .anonymise_domains import Domain

__all__ = ["CHOICES_MAX", "full_domain"]

CHOICES_MAX = 20_000
"""Choices of levels that are tried at most."""


@dataclass(frozen=True, slots=True)
class _Tally:
    """One sensitive column counted by combination of the quasi-identifying values, once for all choices."""

    sensitive: Sensitive
    combination: Ints
    value: Ints
    rows: Ints


def full_domain(request: Request) -> Classes:
    """Choose a level for each column.

    Args:
        request: columns and conditions.

    Returns:
        The classes of the choice that loses least: mean certainty penalty, a row left out counting as all
            lost;
        among equals the one with the finer first columns.

    Raises:
        DataError: no choice satisfies the conditions, or the table is too small.
        PlanError: there are too many choices.
    """
    choices = 1
    for domain in request.quasi:
        choices *= len(domain.levels)
    if choices > CHOICES_MAX:
        raise PlanError(
            "the levels of all columns make {got} choices, more than {most}; give fewer levels",
            got=choices,
            most=CHOICES_MAX,
        )
    search = _Search(request)
    penalties = [
        [_mean_penalty(domain, level) for level in range(len(domain.levels))] for domain in request.quasi
    ]
    order = sorted(
        (sum(own[level] for own, level in zip(penalties, levels, strict=True)) / len(penalties), levels)
        for levels in product(*(range(len(own)) for own in penalties))
    )
    best: tuple[float, tuple[int, ...], Bools] | None = None
    for bound, levels in order:
        # what is left out only adds to the loss
        if best is not None and bound >= best[0]:
            break
        found = search.kept(levels)
        if found is None:
            continue
        loss = search.loss(levels, found)
        if best is None or loss < best[0]:
            best = (loss, levels, found)
    if best is None:
        raise DataError(
            "no choice of levels satisfies the conditions with at most {share} of the rows left out; "
            "ask for less, add coarser levels, or let more rows be left out",
            share=f"{request.suppression:g}",
        )
    return search.classes(best[1], best[2])


def _mean_penalty(domain: Domain, level: int) -> float:
    bounds = domain.levels[level].bounds
    per_value = np.repeat(domain.penalty(bounds[:-1], bounds[1:] - 1), np.diff(bounds))
    return float(per_value @ np.bincount(domain.codes, minlength=domain.size)) / domain.codes.size


class _Search:
    """Tries choices of levels on the different combinations of the table, which are fewer than its rows."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._of_rows, combinations = classes_of([domain.codes for domain in request.quasi])
        first = np.zeros(combinations, dtype=np.int64)
        first[self._of_rows] = np.arange(request.rows)
        self._codes = [domain.codes[first] for domain in request.quasi]
        self._rows = np.bincount(self._of_rows, minlength=combinations)
        self._tallies = [_tally(one, self._of_rows) for one in request.sensitive if one.criteria]
        self._most_left_out = int(request.suppression * request.rows + 1e-9)

    def kept(self, levels: tuple[int, ...]) -> Bools | None:
        """Which combinations are published under a choice; none if too many rows would be left out."""
        of, groups = self._groups(levels)
        sizes = np.bincount(of, self._rows, minlength=groups)
        kept = sizes >= self._request.k
        while True:
            if self._request.rows - sizes[kept].sum() > self._most_left_out or not kept.any():
                return None
            broken = self._broken(of, kept)
            if not broken.any():
                published: Bools = kept[of]
                return published
            # who reads the published table compares with the published table, so it is judged anew
            kept &= ~broken

    def _broken(self, of: Ints, kept: Bools) -> Bools:
        """Classes to leave out next, of the kept ones that break a condition.

        Who breaks a closeness breaks it against a table that the other breakers belong to. So only the
        farther half of them goes at once: the nearer ones may be close enough to what is left.
        """
        number = np.cumsum(kept) - 1
        always = np.zeros(int(kept.sum()), dtype=np.bool_)
        excess = np.zeros(always.size)
        for tally in self._tallies:
            counts, overall = _kept_counts(tally, of, kept, number)
            for criterion in tally.sensitive.criteria:
                measured = criterion.measure(counts, overall)
                failing = ~criterion.allows(measured)
                if isinstance(criterion, Closeness):
                    excess = np.maximum(excess, np.where(failing, measured - criterion.t, 0.0))
                else:
                    always |= failing
        if not always.any() and excess.any():
            always = excess >= np.median(excess[excess > 0])
        broken = np.zeros_like(kept)
        broken[kept] = always
        return broken

    def loss(self, levels: tuple[int, ...], kept: Bools) -> float:
        """Mean certainty penalty over all cells."""
        lost = np.zeros(kept.size)
        for domain, codes, level in zip(self._request.quasi, self._codes, levels, strict=True):
            low, high = _covered(domain, codes, level)
            lost += domain.penalty(low, high)
        cells = np.where(kept, lost / len(levels), 1.0)
        return float(cells @ self._rows) / self._request.rows

    def classes(self, levels: tuple[int, ...], kept: Bools) -> Classes:
        """The classes of a choice, numbered in the order of their values."""
        of, _ = self._groups(levels)
        numbers, number = np.unique(of[kept], return_inverse=True)
        own = np.full(kept.size, -1, dtype=np.int32)
        own[kept] = number
        lows: list[NDArray[np.int32]] = []
        highs: list[NDArray[np.int32]] = []
        for domain, codes, level in zip(self._request.quasi, self._codes, levels, strict=True):
            low, high = _covered(domain, codes[kept], level)
            for bound, out in ((low, lows), (high, highs)):
                by_class = np.zeros(numbers.size, dtype=np.int32)
                by_class[number] = bound
                out.append(by_class)
        return Classes(own[self._of_rows], np.stack(lows), np.stack(highs), levels)

    def _groups(self, levels: tuple[int, ...]) -> tuple[Ints, int]:
        return classes_of(
            [
                domain.levels[level].node_of(codes)
                for domain, codes, level in zip(self._request.quasi, self._codes, levels, strict=True)
            ]
        )


def _kept_counts(tally: _Tally, of: Ints, kept: Bools, number: Ints) -> tuple[ClassCounts, Floats]:
    """Values of the kept classes, and of all kept rows together."""
    classes = of[tally.combination]
    inside = kept[classes]
    size, rows = tally.sensitive.domain.size, tally.rows[inside]
    counts = ClassCounts.of(
        number[classes[inside]], tally.value[inside], groups=int(kept.sum()), size=size, rows=rows
    )
    return counts, np.bincount(tally.value[inside], rows, minlength=size) / rows.sum()


def _covered(domain: Domain, codes: NDArray[np.integer], level: int) -> tuple[Ints, Ints]:
    """First and last value of the node of each value."""
    bounds = domain.levels[level].bounds
    node = domain.levels[level].node_of(codes)
    return bounds[node], bounds[node + 1] - 1


def _tally(sensitive: Sensitive, of_rows: Ints) -> _Tally:
    size = sensitive.domain.size
    keys, rows = np.unique(of_rows * size + sensitive.domain.codes, return_counts=True)
    return _Tally(sensitive, keys // size, keys % size, rows)
