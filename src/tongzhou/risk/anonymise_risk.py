"""How likely somebody is told apart in a published table, in three models of who tries and why.

The *prosecutor* looks for one person known to be in the table; the *journalist* for anybody, to show that it
can be done; the *marketer* for as many as possible (El Emam, *Guide to the De-Identification of Personal
Health Information*, 2013; El Emam, Dankar, JAMIA 2008; Dankar, El Emam, 2010). The prosecutor knows that the
person is in the table, so the rows that look alike there count. The others know only that their people are
in the population, where more look alike.

How many more is not known. Given the sampled share p, the rows F of the population that look like f of the
table are taken as negative binomial (Bethlehem, Keller, Pannekoek 1990; Benedetti, Franconi 1998), which
gives the mean of 1/F. How many people are alone in the whole population is estimated by Pitman's model
(Hoshino, *Applying Pitman's sampling formula to microdata disclosure risk assessment*, JOS 2001).
"""

import math
from dataclasses import dataclass

import numpy as np

from tongzhou.errors import DataError

from ._types import Floats, Ints

__all__ = [
    "THRESHOLDS",
    "Attack",
    "Reidentification",
    "inverse_population",
    "measure_risk",
    "population_uniques",
]

THRESHOLDS = (0.5, 0.2, 0.1, 0.05)
"""Chances of being told apart above which rows are counted: classes of less than 2, 5, 10, 20."""

_SIZE_EXACT_MAX = 200
_QUADRATURE = 160  # nodes; exact for a power of twice as many
_STEPS_MAX = 200
_TINY = 1e-12


@dataclass(frozen=True, slots=True)
class Attack:
    """Risk in one model.

    Attributes:
        highest: of the row most at risk.
        mean: over all published rows.
        above: share of the published rows above each of `THRESHOLDS`.
    """

    highest: float
    mean: float
    above: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Reidentification:
    """Risk of a table.

    Attributes:
        rows: published rows.
        classes: how many look different.
        smallest: rows of the smallest class.
        unique: share of rows that are alone in their class.
        prosecutor: who knows that the person is in the table.
        journalist: who knows only that the person is in the population.
        marketer: share of the published rows that who takes everybody is expected to tell apart.
        population: people in the population; the table's own rows if it is the population.
        unique_in_population: estimated share of the published rows that are alone in the population too;
            none if the estimate does not settle.
    """

    rows: int
    classes: int
    smallest: int
    unique: float
    prosecutor: Attack
    journalist: Attack
    marketer: float
    population: int
    unique_in_population: float | None


def measure_risk(sizes: Ints, population: int | None = None) -> Reidentification:
    """Measure the risk of a table.

    Args:
        sizes: int64[classes]; rows of each class, one at least.
        population: people that the rows are drawn from; the table is the population by default.

    Raises:
        DataError: no rows, or a population smaller than the table.
    """
    rows = int(sizes.sum())
    people = rows if population is None else population
    if rows == 0:
        raise DataError("there are no rows whose risk could be measured")
    if people < rows:
        raise DataError(
            "the population must have at least the {rows} rows of the table, got {got}", rows=rows, got=people
        )
    own = 1.0 / sizes
    drawn = inverse_population(sizes, rows / people)
    return Reidentification(
        rows=rows,
        classes=int(sizes.size),
        smallest=int(sizes.min()),
        unique=float(np.count_nonzero(sizes == 1) / rows),
        prosecutor=_attack(sizes, own),
        journalist=_attack(sizes, drawn),
        marketer=float(sizes @ drawn / rows),
        population=people,
        unique_in_population=_unique_share(sizes, rows, people),
    )


def _attack(sizes: Ints, chance: Floats) -> Attack:
    rows = sizes.sum()
    above = tuple(float(sizes[chance > limit + _TINY].sum() / rows) for limit in THRESHOLDS)
    return Attack(highest=float(chance.max()), mean=float(sizes @ chance / rows), above=above)


def _unique_share(sizes: Ints, rows: int, people: int) -> float | None:
    if people == rows:
        return float(np.count_nonzero(sizes == 1) / rows)
    found = population_uniques(sizes, people)
    return None if found is None else min(found / people, float(np.count_nonzero(sizes == 1) / rows))


def inverse_population(sizes: Ints, share: float) -> Floats:
    """Mean of one over the rows of the population that look like a class.

    F given f is f plus a negative binomial number, so the mean of 1/F is the integral from 0 to 1 of
    p x^(f-1) / (p + (1-p) x).

    Args:
        sizes: int64[classes]; rows f of each class.
        share: p, above 0 and up to 1: rows of the table over people of the population.
    """
    if share >= 1.0:
        return np.asarray(1.0 / sizes)
    distinct, place = np.unique(sizes, return_inverse=True)
    return np.array([_integral(int(size), share) for size in distinct])[place]


def _integral(size: int, share: float) -> float:
    rest = 1.0 - share
    if size > _SIZE_EXACT_MAX:
        # the population is nearly f / p, up to terms of 1 / f
        return share / size * (1.0 + rest / size)
    if share > 0.5:
        nodes, weights = np.polynomial.legendre.leggauss(_QUADRATURE)
        x = (nodes + 1.0) / 2.0
        return float(share * (weights / 2.0) @ (x ** (size - 1) / (share + rest * x)))
    # I(f + 1) = (1 / f - p I(f)) / q, which loses nothing while p <= q
    value = -math.log(share) / rest
    for f in range(1, size):
        value = (1.0 / f - share * value) / rest
    return share * value


def population_uniques(sizes: Ints, population: int) -> float | None:
    """How many people are expected to be alone in the population, by Pitman's model.

    Args:
        sizes: int64[classes]; rows of each class of the table.
        population: people in the population.

    Returns:
        The number, or none if the table has too few lone rows or none that are not alone, so that no fit
        exists.
    """
    counts = np.bincount(sizes)
    if counts.size < 3 or counts[1] == 0 or counts[2] == 0:
        return 0.0 if counts.size > 1 and counts[1] == 0 else None
    fitted = _fit_pitman(sizes)
    if fitted is None:
        return None
    theta, alpha = fitted
    log_uniques = math.lgamma(theta + 1.0) - math.lgamma(theta + alpha) + alpha * math.log(population)
    return min(math.exp(log_uniques), float(population))


def _fit_pitman(sizes: Ints) -> tuple[float, float] | None:
    """Newton's iteration on the likelihood of Pitman's sampling formula, in coordinates without bounds.

    theta + alpha is written as the exponential of one, alpha as the logistic function of the other.
    """
    model = _Pitman(sizes)
    point = model.start()
    value, slope, curve = model.look(point)
    for _ in range(_STEPS_MAX):
        step = _ascent(slope, curve)
        length = 1.0
        while length > _TINY:
            tried = model.look(point + length * step)
            if tried[0] >= value:
                break
            length /= 2.0
        else:
            break
        point = point + length * step
        gained = tried[0] - value
        value, slope, curve = tried
        if gained < 1e-9 * (1.0 + abs(value)):
            break
    alpha = 1.0 / (1.0 + math.exp(-point[1]))
    if not 1e-6 < alpha < 1.0 - 1e-6:
        return None
    return math.exp(point[0]) - alpha, alpha


def _ascent(slope: Floats, curve: Floats) -> Floats:
    """Newton's step, made uphill where the likelihood is not concave, and no longer than 2."""
    values, vectors = np.linalg.eigh(curve)
    step = vectors @ ((vectors.T @ slope) / np.maximum(np.abs(values), 1e-9))
    length = float(np.linalg.norm(step))
    return np.asarray(step if length <= 2.0 else step * (2.0 / length))


class _Pitman:
    """Log-likelihood of the sizes of classes with slope and curvature by differences."""

    def __init__(self, sizes: Ints) -> None:
        self._rows, self._classes = int(sizes.sum()), int(sizes.size)
        counts = np.bincount(sizes)
        # how many classes have more than i rows, for i from 1 on
        self._larger = np.cumsum(counts[::-1])[::-1][2:].astype(np.float64)
        self._lone, self._pairs = float(counts[1]), float(counts[2])

    def start(self) -> Floats:
        """A first guess from lone rows and pairs: their ratio is near (1 - alpha) / 2."""
        alpha = min(max(1.0 - 2.0 * self._pairs / self._lone, 0.05), 0.95)
        return np.array([math.log(max(self._classes / 2.0, 1.0)), math.log(alpha / (1.0 - alpha))])

    def look(self, point: Floats) -> tuple[float, Floats, Floats]:
        """Likelihood, slope and curvature at a point."""
        h = 1e-4
        steps = [np.array([h, 0.0]), np.array([0.0, h])]
        middle = self._value(point)
        ahead, behind = [self._value(point + s) for s in steps], [self._value(point - s) for s in steps]
        slope = np.array([(a - b) / (2 * h) for a, b in zip(ahead, behind, strict=True)])
        curve = np.diag([(a + b - 2 * middle) / h**2 for a, b in zip(ahead, behind, strict=True)])
        both = self._value(point + steps[0] + steps[1]) - self._value(point + steps[0] - steps[1])
        both -= self._value(point - steps[0] + steps[1]) - self._value(point - steps[0] - steps[1])
        curve[0, 1] = curve[1, 0] = both / (4 * h**2)
        return middle, slope, curve

    def _value(self, point: Floats) -> float:
        alpha = 1.0 / (1.0 + math.exp(-float(point[1])))
        theta = math.exp(float(point[0])) - alpha
        # Products of theta + i alpha over classes and of theta + i over rows, as gamma functions.
        grown = (self._classes - 1) * math.log(alpha)
        grown += math.lgamma(theta / alpha + self._classes) - math.lgamma(theta / alpha + 1.0)
        grown -= math.lgamma(theta + self._rows) - math.lgamma(theta + 1.0)
        inner = np.log(np.arange(1, self._larger.size + 1) - alpha)
        return grown + float(self._larger @ inner)
