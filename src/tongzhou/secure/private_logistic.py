"""Logistic regression over the rows of many institutions, from noised sums alone.

Statement
    Parties: as `tongzhou.secure.federated_logistic`.
    Who learns what: all learn the weights after each step and the model. The coordinator learns, with noise,
    the second moments of the columns and a few gradients; the number of rows is among the moments, with noise
    too. Nothing is opened exactly, so that the model itself says next to nothing about any one record.
    Assumption, protection, drop-outs: as `tongzhou.secure.private_sums`.
    Cost: one sum of (d + 1) (d + 2) / 2 words and `rounds` of d + 1.
    Method: columns are mapped to [-1, 1] by bounds agreed beforehand, values beyond them being moved to the
    bound, so that no statistic of the data is needed for the scale. The noised moments, times an estimate of
    the slope of the logistic function, stand for the curvature in every step (Böhning and Lindsay,
    Monotonicity of quadratic-approximation algorithms, Annals of the Institute of Statistical Mathematics 40,
    1988, bound it by a quarter of the moments); a fifth of the loss is spent on them and the rest on
    gradients. Directions in which the moments are not above their noise are damped.

Standard errors are approximate: those of the sample at the mean slope, and of the last gradient's noise.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from tongzhou.errors import DataError, PlanError
from tongzhou.secure.federated_columns import Table, check_table
from tongzhou.secure.federated_logistic import (
    Ending,
    FederatedFit,
    FederatedLogisticSettings,
    finish,
    refuse_missing,
    tell_weights,
)
from tongzhou.secure.private_sums import PrivacySettings, Release, noise_hands, private_sum, spend
from tongzhou.secure.ring import Reals
from tongzhou.secure.summing import Summing

__all__ = ["fit_private"]

_MOMENTS_SHARE: Final = 0.2
_DAMPING: Final = 2.0
"""Eigenvalues of the moments below so many deviations of their noise are raised to it."""
_SLOPE: Final = 1.5
"""The curvature is taken this much larger than at the mean chance, since it is so for uncertain rows."""
_PIECE_ROWS: Final = 4096
_LEAST_CHANCE: Final = 0.01


@dataclass(frozen=True)
class _Noised:
    """What the coordinator made of the moments.

    Attributes:
        rows: about how many there are.
        values, vectors: eigenvalues (damped) and eigenvectors of the mean moments.
    """

    rows: float
    values: Reals
    vectors: Reals

    def inverse(self) -> Reals:
        """Of the damped moments."""
        inverse: Reals = (self.vectors / self.values) @ self.vectors.T
        return inverse


def fit_private(summing: Summing, settings: FederatedLogisticSettings, table: Table | None) -> FederatedFit:
    """Train with noise; every party calls it alike, institutions with their table and its budget.

    Raises:
        GrantError: an institution's budget does not allow it; nothing was released.
        DataError: as `tongzhou.secure.federated_logistic.fit_federated`, as far as it shows through noise.
        PlanError: bounds are missing or empty.
    """
    privacy, centre, scale = _checked(settings)
    own = None
    if table is not None:
        check_table(settings.aggregation, settings.columns, table, label=True)
        refuse_missing(table)
        own = np.ones((len(table.values), len(settings.columns) + 1))
        own[:, 1:] = np.clip((table.values - centre) / scale, -1.0, 1.0)
    moments, gradient = _releases(settings, privacy, noise_hands(summing, privacy))
    made = [moments, *[gradient] * settings.rounds]
    budget = None if table is None else table.budget
    report = spend(privacy, made, budget, member=summing.is_member, what="a regression with noise")
    noised = _moments(summing, own, moments)
    weights = np.zeros(len(settings.columns) + 1)
    slope, norms = 0.25, []
    for turn in range(settings.rounds):
        weights = tell_weights(summing, weights)
        records = None if own is None or table is None else _residuals(own, table, weights)
        total = private_sum(summing, records, gradient, what="gradient of the loss")
        if total is None or noised is None:
            continue
        mean = total / noised.rows + settings.l2 / np.concatenate([[np.inf], scale**2]) * weights
        norms.append(float(np.linalg.norm(mean)))
        weights = weights - noised.inverse() @ mean / slope
        if turn == 0:
            # At zero weights every chance is one half: the intercept's gradient is that less the event rate.
            chance = min(max(0.5 - float(mean[0]), _LEAST_CHANCE), 1 - _LEAST_CHANCE)
            slope = min(0.25, _SLOPE * chance * (1 - chance))
    weights = tell_weights(summing, weights)
    end = None if noised is None else _ending(noised, slope, gradient, len(summing.stayed), norms)
    return replace(finish(summing, weights, end, centre=centre, scale=scale), privacy=report)


def _checked(settings: FederatedLogisticSettings) -> tuple[PrivacySettings, Reals, Reals]:
    """The privacy asked for, and centre and half width of each column's bounds."""
    bounds = np.array(settings.bounds, dtype=np.float64).reshape(-1, 2)
    if settings.privacy is None or len(bounds) != len(settings.columns) or settings.rounds < 1:
        raise PlanError(
            "a regression with noise needs rounds, and bounds for each of the {columns} columns; got {got}",
            columns=len(settings.columns),
            got=len(bounds),
        )
    if not (np.isfinite(bounds).all() and (bounds[:, 0] < bounds[:, 1]).all()):
        raise PlanError("the bounds of a column are two numbers, the lower one first")
    return settings.privacy, bounds.mean(axis=1), (bounds[:, 1] - bounds[:, 0]) / 2


def _releases(
    settings: FederatedLogisticSettings, privacy: PrivacySettings, hands: int
) -> tuple[Release, Release]:
    """The moments, and one gradient."""
    size, rho = len(settings.columns) + 1, privacy.rho()
    # A row has the length of at most the root of its numbers, and its residual is below 1.
    moments = Release(rho * _MOMENTS_SHARE, float(size), size * (size + 1) // 2, hands)
    gradient = Release(rho * (1 - _MOMENTS_SHARE) / settings.rounds, math.sqrt(size), size, hands)
    return moments, gradient


def _moments(summing: Summing, own: Reals | None, release: Release) -> _Noised | None:
    """Second moments of all rows with noise, damped; at the coordinator."""
    size = math.isqrt(2 * release.size)
    upper = np.triu_indices(size)
    # What stands twice in the matrix counts twice in its norm.
    weight = np.where(upper[0] == upper[1], 1.0, math.sqrt(2.0))

    def pieces(rows: Reals) -> Iterator[Reals]:
        for start in range(0, len(rows), _PIECE_ROWS):
            piece = rows[start : start + _PIECE_ROWS]
            yield piece[:, upper[0]] * piece[:, upper[1]] * weight

    total = private_sum(
        summing, None if own is None else pieces(own), release, what="second moments of columns"
    )
    if total is None:
        return None
    matrix = np.zeros((size, size))
    matrix[upper] = total / weight
    matrix = matrix + np.triu(matrix, 1).T
    rows = float(matrix[0, 0])
    noise = release.deviation(len(summing.stayed))
    if rows < 10 * noise:
        raise DataError(
            "there are too few rows for a regression with this noise: raise epsilon, or take more rows"
        )
    values, vectors = np.linalg.eigh(matrix / rows)
    return _Noised(rows, np.maximum(values, _DAMPING * noise * math.sqrt(size) / rows), vectors)


def _residuals(own: Reals, table: Table, weights: Reals) -> Iterator[Reals]:
    """Gradients of the loss of each own row, in pieces."""
    label = np.zeros(len(own)) if table.label is None else table.label
    for start in range(0, len(own), _PIECE_ROWS):
        part = slice(start, start + _PIECE_ROWS)
        chance = 0.5 * (1 + np.tanh(own[part] @ weights / 2))
        yield own[part] * (chance - label[part])[:, None]


def _ending(
    noised: _Noised, slope: float, gradient: Release, institutions: int, norms: list[float]
) -> Ending:
    inverse = noised.inverse()
    sample = inverse * _SLOPE / slope / noised.rows
    noise = inverse / slope * gradient.deviation(institutions) / noised.rows
    return Ending(sample + noise @ noise, round(noised.rows), norms)
