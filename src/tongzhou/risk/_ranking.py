"""How well a number ranks events before others: ROC, AUC, Gini, KS, with bootstrap intervals.

One definition each. ``risk`` is any number that is higher for riskier rows (log odds, probability, minus
points). Rows with equal risk are one step of each curve, so ties count half in AUC and never help KS.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tongzhou.errors import DataError

from ._types import Floats, Ints, binary_labels, float_vector, same_length

__all__ = [
    "Bootstrap",
    "Interval",
    "KsCurve",
    "RocCurve",
    "auc",
    "bootstrap_intervals",
    "gini",
    "ks",
    "ks_curve",
    "roc_curve",
]

METRICS = ("auc", "ks", "gini")


@dataclass(frozen=True)
class RocCurve:
    """Receiver operating characteristic, from the riskiest row on; both ends included.

    Args:
        threshold: rows at or above this risk are called events; the first is infinite.
        false_positive_rate: share of others called events.
        true_positive_rate: share of events called events.
    """

    threshold: Floats
    false_positive_rate: Floats
    true_positive_rate: Floats


@dataclass(frozen=True)
class KsCurve:
    """Shares of events and of others found among the riskiest rows.

    Args:
        share: of all rows taken, from 0 to 1, the riskiest first.
        events: share of the events among them.
        others: share of the others among them.
        ks: largest distance of the two.
        at: share of rows at which it occurs.
        threshold: risk at which it occurs.
    """

    share: Floats
    events: Floats
    others: Floats
    ks: float
    at: float
    threshold: float


class Interval(msgspec.Struct, frozen=True):
    """A figure with its bootstrap interval."""

    value: float
    low: float
    high: float


class Bootstrap(msgspec.Struct, frozen=True):
    """Figures of several rankings of the same rows, with intervals.

    Args:
        metrics: by ranking, by metric ("auc", "ks", "gini").
        gains: by ranking but the first, by metric: the figure minus that of the first ranking. The same
            resamples serve both, so the interval of a gain is far narrower than those of the two figures.
        repeats: number of resamples.
        level: share of resamples inside the interval.
        seed: of the resampling.
    """

    metrics: dict[str, dict[str, Interval]]
    gains: dict[str, dict[str, Interval]]
    repeats: int
    level: float
    seed: int


@dataclass(frozen=True)
class _Ranked:
    """Distinct risks in descending order and the place of each row among them."""

    risks: Floats
    event_places: NDArray[np.intp]
    other_places: NDArray[np.intp]

    def steps(self, event_places: NDArray[np.intp], other_places: NDArray[np.intp]) -> tuple[Ints, Ints]:
        """Return cumulative events and others after each distinct risk."""
        size = self.risks.size
        return (
            np.cumsum(np.bincount(event_places, minlength=size)),
            np.cumsum(np.bincount(other_places, minlength=size)),
        )


def auc(y: ArrayLike, risk: ArrayLike) -> float:
    """Return the area under the ROC curve: the chance that an event ranks above another row, ties half.

    Args:
        y: n labels, 1 for an event.
        risk: n numbers, higher is riskier.

    Raises:
        DataError: labels other than 0 and 1 or all equal, lengths that differ, missing risks.
    """
    ranked = _ranked(y, risk, "risk")
    return _area(*ranked.steps(ranked.event_places, ranked.other_places))


def gini(y: ArrayLike, risk: ArrayLike) -> float:
    """Return ``2 * auc - 1``. Arguments and errors as :func:`auc`."""
    return 2 * auc(y, risk) - 1


def ks(y: ArrayLike, risk: ArrayLike) -> float:
    """Return the largest distance between the cumulative shares of events and others, over all thresholds.

    Arguments and errors as :func:`auc`.
    """
    ranked = _ranked(y, risk, "risk")
    return _distance(*ranked.steps(ranked.event_places, ranked.other_places))


def roc_curve(y: ArrayLike, risk: ArrayLike, *, points: int | None = None) -> RocCurve:
    """Return the ROC curve; with ``points``, thinned evenly to at most so many, ends kept.

    Errors as :func:`auc`.
    """
    ranked = _ranked(y, risk, "risk")
    events, others = ranked.steps(ranked.event_places, ranked.other_places)
    keep = _thin(events.size + 1, points)
    return RocCurve(
        threshold=np.concatenate(([np.inf], ranked.risks))[keep],
        false_positive_rate=np.concatenate(([0.0], others / others[-1]))[keep],
        true_positive_rate=np.concatenate(([0.0], events / events[-1]))[keep],
    )


def ks_curve(y: ArrayLike, risk: ArrayLike, *, points: int | None = None) -> KsCurve:
    """Return the KS curve; with ``points``, thinned evenly to at most so many, ends kept.

    The distance and its place are those of the full curve. Errors as :func:`auc`.
    """
    ranked = _ranked(y, risk, "risk")
    events, others = ranked.steps(ranked.event_places, ranked.other_places)
    rows = int(events[-1] + others[-1])
    widest = int(np.argmax(np.abs(events / events[-1] - others / others[-1])))
    keep = _thin(events.size + 1, points)
    return KsCurve(
        share=np.concatenate(([0.0], (events + others) / rows))[keep],
        events=np.concatenate(([0.0], events / events[-1]))[keep],
        others=np.concatenate(([0.0], others / others[-1]))[keep],
        ks=_distance(events, others),
        at=float((events[widest] + others[widest]) / rows),
        threshold=float(ranked.risks[widest]),
    )


def bootstrap_intervals(
    y: ArrayLike,
    score_sets: Mapping[str, ArrayLike],
    *,
    repeats: int = 500,
    seed: int = 0,
    level: float = 0.95,
) -> Bootstrap:
    """Return AUC, KS and Gini of each ranking with percentile bootstrap intervals.

    Events and others are resampled apart, each to its own number, so no resample lacks a class.

    Args:
        y: n labels, 1 for an event.
        score_sets: by name, n risks each (higher is riskier); gains are against the first.
        repeats: number of resamples, at least 2.
        seed: same seed, same intervals.
        level: share of resamples inside the interval.

    Raises:
        DataError: as :func:`auc`, or no ranking, or a setting out of range.
    """
    if not score_sets:
        raise DataError("at least one ranking is needed for intervals")
    if repeats < 2 or not 0 < level < 1:
        raise DataError(
            "repeats must be at least 2 and level between 0 and 1, got {repeats} and {level}",
            repeats=repeats,
            level=level,
        )
    ranked = {name: _ranked(y, risk, name) for name, risk in score_sets.items()}
    values = {name: _figures(r, r.event_places, r.other_places) for name, r in ranked.items()}
    draws = {name: np.empty((repeats, len(METRICS))) for name in ranked}
    first = next(iter(ranked))
    generator = np.random.default_rng(seed)
    sizes = ranked[first].event_places.size, ranked[first].other_places.size
    for repeat in range(repeats):
        event_rows, other_rows = (generator.integers(0, size, size) for size in sizes)
        for name, r in ranked.items():
            draws[name][repeat] = _figures(r, r.event_places[event_rows], r.other_places[other_rows])
    return Bootstrap(
        metrics={name: _intervals(values[name], draws[name], level) for name in ranked},
        gains={
            name: _intervals(values[name] - values[first], draws[name] - draws[first], level)
            for name in ranked
            if name != first
        },
        repeats=repeats,
        level=level,
        seed=seed,
    )


def _ranked(y: ArrayLike, risk: ArrayLike, name: str) -> _Ranked:
    labels = binary_labels(y)
    numbers = float_vector(risk, name)
    same_length(labels.size, numbers.size, name)
    if np.isnan(numbers).any():
        raise DataError(
            "{name} is missing in {count} rows, the first is row {row}",
            name=name,
            count=int(np.isnan(numbers).sum()),
            row=int(np.flatnonzero(np.isnan(numbers))[0]) + 1,
        )
    risks, places = np.unique(numbers, return_inverse=True)
    places = risks.size - 1 - places
    return _Ranked(risks[::-1], places[labels == 1], places[labels == 0])


def _area(events: Ints, others: Ints) -> float:
    # Twice the area in whole numbers: each step of others meets the events before it and half of its own.
    before = np.concatenate(([0], events[:-1]))
    new_others = np.diff(others, prepend=0)
    twice = int(np.dot(new_others, events + before))
    return twice / (2 * int(events[-1]) * int(others[-1]))


def _distance(events: Ints, others: Ints) -> float:
    return float(np.max(np.abs(events / events[-1] - others / others[-1])))


def _figures(ranked: _Ranked, event_places: NDArray[np.intp], other_places: NDArray[np.intp]) -> Floats:
    steps = ranked.steps(event_places, other_places)
    area = _area(*steps)
    return np.array([area, _distance(*steps), 2 * area - 1])


def _intervals(values: Floats, draws: Floats, level: float) -> dict[str, Interval]:
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return {
        metric: Interval(float(values[i]), float(low[i]), float(high[i])) for i, metric in enumerate(METRICS)
    }


def _thin(size: int, points: int | None) -> NDArray[np.intp]:
    if points is None or size <= points:
        return np.arange(size)
    if points < 2:
        raise DataError("a curve needs at least 2 points, got {got}", got=points)
    return np.unique(np.rint(np.linspace(0, size - 1, points)).astype(np.intp))
