"""What a ranking means in business terms: who is approved, how many turn bad, who changes places."""

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from tongzhou.errors import DataError

from ._types import Bools, Floats, binary_labels, float_vector, same_length

__all__ = [
    "CalibrationBand",
    "Group",
    "ScoreBand",
    "SwapSet",
    "approval_at_bad_rate",
    "approved",
    "bad_rate_at_approval",
    "brier",
    "calibration",
    "score_distribution",
    "swap_set",
]

_SCORE_MAX = 1e100  # beyond it, the width of a band could overflow


class Group(msgspec.Struct, frozen=True):
    """A group of applicants.

    Args:
        rows: how many.
        events: how many of them turned bad.
        bad_rate: events / rows, 0 for an empty group.
        exposure: money lent to them, None when no exposure was given.
        bad_exposure: money lent to those who turned bad.
    """

    rows: int
    events: int
    bad_rate: float
    exposure: float | None = None
    bad_exposure: float | None = None


class SwapSet(msgspec.Struct, frozen=True):
    """Who changes places when a new ranking replaces an old one at the same number of approvals.

    Args:
        approval: share of applicants approved by each.
        both: approved by both.
        swap_in: approved by the new one only.
        swap_out: approved by the old one only.
        neither: declined by both.
        old: all approved by the old one.
        new: all approved by the new one.
        avoided_loss: bad exposure of ``old`` minus that of ``new``, None without exposures.
    """

    approval: float
    both: Group
    swap_in: Group
    swap_out: Group
    neither: Group
    old: Group
    new: Group
    avoided_loss: float | None = None


class ScoreBand(msgspec.Struct, frozen=True):
    """Rows with ``low <= score < high``."""

    low: float
    high: float
    rows: int
    events: int
    bad_rate: float


class CalibrationBand(msgspec.Struct, frozen=True):
    """Rows of neighbouring predictions: mean predicted probability against the observed rate."""

    rows: int
    predicted: float
    observed: float


def approved(risk: ArrayLike, approval: float) -> Bools:
    """Return who is approved when the least risky share ``approval`` is.

    The number approved is the share of rows, rounded. Among equal risks at the border the earlier rows are
    approved, so that the number is always exact and repeats.

    Raises:
        DataError: the share is not above 0 and at most 1, approves no one, or a risk is missing.
    """
    numbers = float_vector(risk, "risk")
    if np.isnan(numbers).any():
        raise DataError("{name} is missing in {count} rows, the first is row {row}", **_missing(numbers))
    if not 0 < approval <= 1:
        raise DataError("the share approved must be above 0 and at most 1, got {got}", got=approval)
    count = int(approval * numbers.size + 0.5)
    if count == 0:
        raise DataError("a share of {share} approves none of {rows} rows", share=approval, rows=numbers.size)
    chosen = np.zeros(numbers.size, dtype=np.bool_)
    chosen[np.argsort(numbers, kind="stable")[:count]] = True
    return chosen


def bad_rate_at_approval(y: ArrayLike, risk: ArrayLike, approval: float) -> float:
    """Return the share of events among the approved.

    Args:
        y: n labels, 1 for an event.
        risk: n numbers, higher is riskier.
        approval: share approved, the least risky.

    Raises:
        DataError: as :func:`approved`, or labels that are not 0 and 1.
    """
    labels = binary_labels(y)
    chosen = approved(risk, approval)
    same_length(labels.size, chosen.size, "risk")
    return float(labels[chosen].mean())


def approval_at_bad_rate(y: ArrayLike, risk: ArrayLike, bad_rate: float) -> float:
    """Return the largest share that can be approved with at most this share of events among them.

    Equal risks are approved together. 0 when even the least risky group exceeds the rate.

    Raises:
        DataError: labels that are not 0 and 1, lengths that differ, or a rate outside 0 to 1.
    """
    labels = binary_labels(y)
    numbers = float_vector(risk, "risk")
    same_length(labels.size, numbers.size, "risk")
    if not 0 <= bad_rate <= 1:
        raise DataError("the bad rate must be from 0 to 1, got {got}", got=bad_rate)
    order = np.argsort(numbers, kind="stable")
    ordered = numbers[order]
    last_of_group = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    rows = last_of_group + 1
    rates = np.cumsum(labels[order], dtype=np.int64)[last_of_group] / rows
    within = np.flatnonzero(rates <= bad_rate)
    return float(rows[within[-1]] / labels.size) if within.size else 0.0


def swap_set(
    y: ArrayLike, old: ArrayLike, new: ArrayLike, approval: float, exposure: ArrayLike | None = None
) -> SwapSet:
    """Compare two rankings at the same number of approvals.

    Args:
        y: n labels, 1 for an event.
        old: n risks of the present ranking, higher is riskier.
        new: n risks of the new ranking.
        approval: share approved by each.
        exposure: money lent to each applicant if approved, zero or more.

    Raises:
        DataError: as :func:`approved`, or an exposure that is negative or missing.
    """
    labels = binary_labels(y)
    by_old, by_new = approved(old, approval), approved(new, approval)
    same_length(labels.size, by_old.size, "old")
    same_length(labels.size, by_new.size, "new")
    money = _exposures(exposure, labels.size)

    def group(chosen: Bools) -> Group:
        events = labels[chosen] == 1
        rows, bad = int(chosen.sum()), int(events.sum())
        lent = None if money is None else float(money[chosen].sum())
        lost = None if money is None else float(money[chosen][events].sum())
        return Group(rows, bad, bad / rows if rows else 0.0, lent, lost)

    before, after = group(by_old), group(by_new)
    avoided = None
    if before.bad_exposure is not None and after.bad_exposure is not None:
        avoided = before.bad_exposure - after.bad_exposure
    return SwapSet(
        approval=approval,
        both=group(by_old & by_new),
        swap_in=group(by_new & ~by_old),
        swap_out=group(by_old & ~by_new),
        neither=group(~by_old & ~by_new),
        old=before,
        new=after,
        avoided_loss=avoided,
    )


def score_distribution(y: ArrayLike, score: ArrayLike, *, bands: int = 20) -> list[ScoreBand]:
    """Return events and rows in score bands of equal, round width (1, 2 or 5 times a power of ten).

    Args:
        y: n labels.
        score: n numbers, in either direction.
        bands: most bands, at least 2.

    Raises:
        DataError: labels that are not 0 and 1, lengths that differ, scores not finite.
    """
    labels = binary_labels(y)
    numbers = float_vector(score, "score")
    same_length(labels.size, numbers.size, "score")
    if not np.all(np.abs(numbers) <= _SCORE_MAX):
        raise DataError("{name} must be finite in every row", name="score")
    if bands < 2:
        raise DataError("bands must be at least {least}, got {got}", least=2, got=bands)
    edges = _band_edges(float(numbers.min()), float(numbers.max()), bands)
    places = np.searchsorted(edges, numbers, side="right") - 1
    rows = np.bincount(places, minlength=edges.size - 1)
    events = np.bincount(places[labels == 1], minlength=edges.size - 1)
    return [
        ScoreBand(float(edges[i]), float(edges[i + 1]), int(n), int(e), float(e / n) if n else 0.0)
        for i, (n, e) in enumerate(zip(rows, events, strict=True))
    ]


def brier(y: ArrayLike, probability: ArrayLike) -> float:
    """Return the mean squared distance of predicted probability and label.

    Raises:
        DataError: labels that are not 0 and 1, lengths that differ, or a probability outside 0 to 1.
    """
    labels, chances = _probabilities(y, probability)
    return float(np.mean((chances - labels) ** 2))


def calibration(y: ArrayLike, probability: ArrayLike, *, bands: int = 10) -> list[CalibrationBand]:
    """Return predicted against observed rates in bands of equal size, from low to high; ties stay together.

    Raises:
        DataError: as :func:`brier`, or no band.
    """
    labels, chances = _probabilities(y, probability)
    if bands < 1:
        raise DataError("bands must be at least {least}, got {got}", least=1, got=bands)
    cuts = np.quantile(chances, np.arange(1, bands) / bands, method="inverted_cdf")
    places = np.searchsorted(np.unique(cuts), chances, side="left")
    rows = np.bincount(places)
    filled = np.flatnonzero(rows)
    predicted = np.bincount(places, weights=chances)
    observed = np.bincount(places, weights=labels)
    return [
        CalibrationBand(int(rows[i]), float(predicted[i] / rows[i]), float(observed[i] / rows[i]))
        for i in filled
    ]


def _probabilities(y: ArrayLike, probability: ArrayLike) -> tuple[Floats, Floats]:
    labels = binary_labels(y).astype(np.float64)
    chances = float_vector(probability, "probability")
    same_length(labels.size, chances.size, "probability")
    if not np.all((chances >= 0) & (chances <= 1)):
        raise DataError("{name} must be from 0 to 1 in every row", name="probability")
    return labels, chances


def _exposures(exposure: ArrayLike | None, rows: int) -> Floats | None:
    if exposure is None:
        return None
    money = float_vector(exposure, "exposure")
    same_length(rows, money.size, "exposure")
    if not np.all(np.isfinite(money) & (money >= 0)):
        raise DataError("{name} must be zero or more in every row", name="exposure")
    return money


def _missing(numbers: Floats) -> dict[str, object]:
    where = np.flatnonzero(np.isnan(numbers))
    return {"name": "risk", "count": int(where.size), "row": int(where[0]) + 1}


def _band_edges(low: float, high: float, bands: int) -> Floats:
    """Return round edges, the last above ``high``, at most ``bands`` bands."""
    largest = max(abs(low), abs(high))
    # Scores that differ by rounding errors only are shown in one band, not in bands finer than a float.
    span = high - low if high - low > max(largest * 1e-9, 1e-12) else max(largest, 1.0)
    # One band is lost to starting at a round number and one to ending above the highest score.
    rough = span / max(bands - 2, 1)
    exponent = int(np.floor(np.log10(rough)))
    times = next(times for times in (1, 2, 5, 10) if times * 10.0**exponent >= rough)
    # Whole numbers are multiplied or divided once, so that an edge at 0.3 is 0.3 and not its neighbour.
    scale = 10.0 ** abs(exponent)
    step = times * scale if exponent >= 0 else times / scale
    wholes = np.arange(np.floor(low / step) - 1, np.floor(high / step) + 3) * times
    edges: Floats = wholes * scale if exponent >= 0 else wholes / scale
    return edges[
        np.searchsorted(edges, low, side="right") - 1 : np.searchsorted(edges, high, side="right") + 1
    ]
