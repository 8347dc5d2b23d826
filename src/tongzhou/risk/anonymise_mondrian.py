"""Mondrian: the table is halved again and again, each part along the column that is widest in it.

LeFevre, DeWitt, Ramakrishnan, *Mondrian Multidimensional K-Anonymity*, ICDE 2006, strict: equal values stay
together. A part is cut only if every piece satisfies all conditions, so the result does. Columns with a
hierarchy are cut along it. The cut depends on the values in a part and never on the order of its rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError

from ._types import Floats
from .anonymise import Classes, Request
from .anonymise_criteria import ClassCounts, Sensitive
from .anonymise_domains import Domain

__all__ = ["mondrian"]

Rows = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows that look alike so far, and what they look like: first and last value in each column."""

    rows: Rows
    low: tuple[int, ...]
    high: tuple[int, ...]

    def narrowed(self, column: int, rows: Rows, low: int, high: int) -> "_Part":
        """A piece of it, narrower in one column."""
        lows, highs = list(self.low), list(self.high)
        lows[column], highs[column] = low, high
        return _Part(rows, tuple(lows), tuple(highs))


def mondrian(request: Request) -> Classes:
    """Cut a table into classes that satisfy all conditions, no row left out.

    Args:
        request: columns and conditions; `suppression` is not used.

    Raises:
        DataError: the table as a whole breaks a condition, so that nothing can be published.
    """
    cutter = _Cutter(request)
    whole = _Part(
        np.arange(request.rows, dtype=np.int32),
        (0,) * len(request.quasi),
        tuple(domain.size - 1 for domain in request.quasi),
    )
    cutter.check_whole(whole)
    of = np.empty(request.rows, dtype=np.int32)
    lows: list[tuple[int, ...]] = []
    highs: list[tuple[int, ...]] = []
    waiting = [whole]
    while waiting:
        part = waiting.pop()
        pieces = cutter.cut(part)
        if pieces:
            waiting += reversed(pieces)
            continue
        of[part.rows] = len(lows)
        lows.append(part.low)
        highs.append(part.high)
    return Classes(of, np.array(lows, dtype=np.int32).T, np.array(highs, dtype=np.int32).T)


class _Cutter:
    """Finds the cut of a part."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._quasi = request.quasi
        self._shares = [(one, one.overall()) for one in request.sensitive if one.criteria]

    def check_whole(self, whole: _Part) -> None:
        """Refuse a table that breaks a condition in one class.

        Raises:
            DataError: it does.
        """
        if self._request.rows < self._request.k:
            raise DataError(
                "a class needs {k} rows, and the whole table has {rows}",
                k=self._request.k,
                rows=self._request.rows,
            )
        for sensitive, shares in self._shares:
            if not self._sound(whole.rows, sensitive, shares):
                raise DataError(
                    "the whole table in one class breaks the conditions on {column}; "
                    "ask for less, or leave the column out",
                    column=sensitive.domain.name,
                )

    def cut(self, part: _Part) -> list[_Part]:
        """The pieces of a part; none if it cannot be cut."""
        if part.rows.size < 2 * self._request.k:
            return []
        codes = [domain.codes[part.rows] for domain in self._quasi]
        widths = [
            _width(domain, own, part, at)
            for at, (domain, own) in enumerate(zip(self._quasi, codes, strict=True))
        ]
        for column in sorted(range(len(widths)), key=lambda at: (-widths[at], at)):
            if not widths[column]:
                return []
            domain = self._quasi[column]
            found = _along_levels if domain.tree else _in_halves
            for pieces in found(domain, codes[column], part, column):
                if all(self._may_stand(piece) for piece in pieces):
                    return pieces
        return []

    def _may_stand(self, piece: _Part) -> bool:
        return piece.rows.size >= self._request.k and all(
            self._sound(piece.rows, sensitive, shares) for sensitive, shares in self._shares
        )

    def _sound(self, rows: Rows, sensitive: Sensitive, shares: Floats) -> bool:
        counts = ClassCounts.single(sensitive.domain.codes[rows], sensitive.domain.size)
        return all(bool(criterion.holds(counts, shares)[0]) for criterion in sensitive.criteria)


def _width(domain: Domain, codes: Rows, part: _Part, column: int) -> float:
    """How far the values in a part spread, over the spread of the column; 0 if there is nothing to cut."""
    low, high = int(codes.min()), int(codes.max())
    if low == high:
        return 0.0
    if domain.tree:
        return (part.high[column] - part.low[column] + 1) / domain.size
    if domain.positions is None:
        return (high - low) / (domain.size - 1)
    # a missing value beside the least number is no distance, and a cut all the same
    return max(float(domain.penalty(low, high)), 1e-12)


def _in_halves(domain: Domain, codes: Rows, part: _Part, column: int) -> Iterator[list[_Part]]:
    """Two halves at the median, equal values together; first the more even of the two ways to do so."""
    ordered = np.sort(codes)
    median = int(ordered[(ordered.size - 1) // 2])
    up_to, below = np.searchsorted(ordered, [median + 1, median]).tolist()
    cuts = []
    if up_to < ordered.size:
        cuts.append((abs(2 * up_to - ordered.size), 0, median))
    if below > 0:
        # the last value that occurs below the median: the border is drawn behind it
        cuts.append((abs(2 * below - ordered.size), 1, int(ordered[below - 1])))
    for _, _, last in sorted(cuts):
        left = codes <= last
        yield [
            part.narrowed(column, part.rows[left], part.low[column], last),
            part.narrowed(column, part.rows[~left], last + 1, part.high[column]),
        ]


def _along_levels(domain: Domain, codes: Rows, part: _Part, column: int) -> Iterator[list[_Part]]:
    """The parts of the next finer level on which there is more than one; only one way."""
    for level in reversed(domain.levels[:-1]):
        nodes = level.node_of(codes)
        present = np.unique(nodes)
        if present.size == 1:
            continue
        yield [
            part.narrowed(
                column, part.rows[nodes == node], int(level.bounds[node]), int(level.bounds[node + 1]) - 1
            )
            for node in present.tolist()
        ]
        return
