"""Logistic regression by Newton's method, with standard errors and p-values.

The reference that joint training must equal, and the fit of an owner's own card. Columns are standardised
inside, so that a column in cents and a column of rates are solved equally well; results are in the columns'
own units.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import erfc, isfinite, sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tongzhou.errors import DataError

from ._types import Floats, binary_labels, same_length

__all__ = ["LogisticFit", "fit_logistic", "log_likelihood", "p_value", "sigmoid"]

# Below this eigenvalue of the correlation matrix a column is, to nine digits, a sum of others.
_COLLINEAR = 1e-9
# A standardised coefficient this large moves the odds by e^25 a standard deviation: the data are separated.
_SEPARATED = 25.0
# Information left in a direction, as a share of what rows at the base rate give. Below it, all rows that
# speak about the direction are fitted to certainty, and only the tolerance stopped the coefficient's growth.
_CERTAIN_MIN, _CERTAIN_MAX = 1e-6, 1e-4
_HALVINGS_MAX = 30


@dataclass(frozen=True)
class LogisticFit:
    """A fitted regression. Arrays have one value for each column.

    Args:
        names: of the columns.
        coefficients: of the columns, in log odds for one unit.
        intercept: log odds where all columns are zero.
        standard_errors: of the coefficients, from the inverse Hessian.
        intercept_standard_error: of the intercept.
        z: coefficients / standard_errors.
        p_values: two-sided, normal approximation.
        iterations: Newton steps taken.
        log_likelihood: of the labels under the fit, without penalty.
    """

    names: tuple[str, ...]
    coefficients: Floats
    intercept: float
    standard_errors: Floats
    intercept_standard_error: float
    z: Floats
    p_values: Floats
    iterations: int
    log_likelihood: float

    def logit(self, X: ArrayLike) -> Floats:
        """Return the log odds of each row of ``X`` (n rows, k columns)."""
        matrix = np.asarray(X, dtype=np.float64)
        return matrix @ self.coefficients + self.intercept

    def probability(self, X: ArrayLike) -> Floats:
        """Return the probability of the event for each row of ``X``."""
        return sigmoid(self.logit(X))


@dataclass(frozen=True)
class _Scaled:
    """Standardised columns with a leading column of ones."""

    design: Floats
    mean: Floats
    deviation: Floats


def sigmoid(logit: Floats) -> Floats:
    """Return 1 / (1 + exp(-logit)) without overflow at either end."""
    small = np.exp(-np.abs(logit))
    return np.where(logit >= 0, 1.0, small) / (1.0 + small)


def log_likelihood(logit: Floats, y: ArrayLike) -> float:
    """Return the sum over rows of the log probability of the label, from log odds."""
    return float(np.sum(np.asarray(y) * logit - np.logaddexp(0.0, logit)))


def p_value(z: float) -> float:
    """Return the two-sided p-value of a standard normal statistic."""
    return erfc(abs(z) / sqrt(2))


def fit_logistic(
    X: ArrayLike,
    y: ArrayLike,
    *,
    l2: float = 0.0,
    tolerance: float = 1e-8,
    max_iterations: int = 50,
    names: Sequence[str] | None = None,
) -> LogisticFit:
    """Fit ``P(y = 1) = sigmoid(X w + b)`` by maximum likelihood.

    Args:
        X: n rows, k columns of finite numbers.
        y: n labels, 0 or 1.
        l2: penalty ``l2 / 2 * sum(w**2)`` on the coefficients, never on the intercept (``1 / C``).
        tolerance: stop when the largest gradient of the mean loss, on standardised columns, is below.
        max_iterations: most Newton steps.
        names: of the columns, for errors; ``column 1`` and so on when absent.

    Raises:
        DataError: shapes that do not fit, a value missing or infinite, a constant column, columns that are
            sums of others, labels that a column separates perfectly, or no convergence.
    """
    matrix, labels, columns = _checked(X, y, names)
    if not (isfinite(l2) and l2 >= 0):
        raise DataError("l2 must be zero or above, got {got}", got=l2)
    scaled = _standardised(matrix, columns)
    if l2 == 0.0:
        _refuse_collinear(scaled, columns)
    penalty = np.concatenate(([0.0], l2 / scaled.deviation**2))
    weights = np.zeros(matrix.shape[1] + 1)
    weights[0] = np.log(labels.mean() / (1 - labels.mean()))
    iterations = 0
    while True:
        gradient, hessian = _derivatives(scaled.design, labels, weights, penalty)
        if np.max(np.abs(gradient)) / labels.size < tolerance:
            break
        _refuse_separated(weights, l2, columns)
        if iterations == max_iterations:
            raise DataError(
                "the regression did not settle in {most} steps; raise max_iterations or l2",
                most=max_iterations,
            )
        weights = _newton_step(scaled.design, labels, weights, penalty, gradient, hessian)
        iterations += 1
    if l2 == 0.0:
        _refuse_certain(scaled.design, hessian, labels, tolerance, columns)
    return _in_own_units(scaled, weights, hessian, labels, iterations, columns)


def _checked(
    X: ArrayLike, y: ArrayLike, names: Sequence[str] | None
) -> tuple[Floats, NDArray[np.int8], tuple[str, ...]]:
    matrix = np.asarray(X, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[1] == 0:
        raise DataError("the regression needs a table with at least one column")
    labels = binary_labels(y)
    same_length(matrix.shape[0], labels.size, "label")
    columns = tuple(names) if names is not None else tuple(f"column {i + 1}" for i in range(matrix.shape[1]))
    if len(columns) != matrix.shape[1]:
        raise DataError(
            "{columns} columns were given with {names} names", columns=matrix.shape[1], names=len(columns)
        )
    finite = np.isfinite(matrix).all(axis=0)
    if not finite.all():
        raise DataError(
            "{column} holds missing or infinite values; the regression needs finite numbers",
            column=columns[int(np.flatnonzero(~finite)[0])],
        )
    return matrix, labels, columns


def _standardised(matrix: Floats, columns: tuple[str, ...]) -> _Scaled:
    mean = matrix.mean(axis=0)
    deviation = matrix.std(axis=0)
    # A constant that is no exact binary number leaves a deviation of rounding size.
    constant = deviation <= 1e-12 * np.maximum(np.abs(mean), np.finfo(np.float64).tiny)
    if constant.any():
        raise DataError(
            "{column} is constant, so it cannot explain anything; leave it out",
            column=columns[int(np.flatnonzero(constant)[0])],
        )
    design = np.empty((matrix.shape[0], matrix.shape[1] + 1))
    design[:, 0] = 1.0
    design[:, 1:] = (matrix - mean) / deviation
    return _Scaled(design, mean, deviation)


def _refuse_collinear(scaled: _Scaled, columns: tuple[str, ...]) -> None:
    inner = scaled.design[:, 1:]
    values, vectors = np.linalg.eigh(inner.T @ inner / inner.shape[0])
    if values[0] < _COLLINEAR:
        taking_part = np.flatnonzero(np.abs(vectors[:, 0]) > 1e-3)
        raise DataError(
            "these columns determine each other, so no single fit exists: {columns}; leave one out or set l2",
            columns=", ".join(columns[int(i)] for i in taking_part),
        )


def _derivatives(
    design: Floats, labels: NDArray[np.int8], weights: Floats, penalty: Floats
) -> tuple[Floats, Floats]:
    """Return gradient and Hessian of the penalised negative log likelihood."""
    chance = sigmoid(design @ weights)
    gradient = design.T @ (chance - labels) + penalty * weights
    hessian = (design.T * (chance * (1 - chance))) @ design
    hessian[np.diag_indices_from(hessian)] += penalty
    return gradient, hessian


def _newton_step(
    design: Floats,
    labels: NDArray[np.int8],
    weights: Floats,
    penalty: Floats,
    gradient: Floats,
    hessian: Floats,
) -> Floats:
    """Return the weights one step on; a step that makes the fit worse is halved until it does not."""
    step = np.linalg.lstsq(hessian, gradient, rcond=None)[0]
    before = _loss(design, labels, weights, penalty)
    for _ in range(_HALVINGS_MAX):
        after = _loss(design, labels, weights - step, penalty)
        if after <= before + 1e-12 * abs(before):
            break
        step = step / 2
    moved: Floats = weights - step
    return moved


def _loss(design: Floats, labels: NDArray[np.int8], weights: Floats, penalty: Floats) -> float:
    return float(0.5 * np.sum(penalty * weights**2)) - log_likelihood(design @ weights, labels)


def _refuse_separated(weights: Floats, l2: float, columns: tuple[str, ...]) -> None:
    largest = int(np.argmax(np.abs(weights[1:])))
    if l2 == 0.0 and abs(weights[1 + largest]) > _SEPARATED:
        raise _separated(columns[largest])


def _refuse_certain(
    design: Floats, hessian: Floats, labels: NDArray[np.int8], tolerance: float, columns: tuple[str, ...]
) -> None:
    """Refuse a fit in which some direction is known from rows fitted to certainty only."""
    rows, base = labels.size, float(labels.mean())
    root = np.linalg.inv(np.linalg.cholesky(design.T @ design / rows))
    shares, directions = np.linalg.eigh(root @ (hessian / rows) @ root.T)
    if shares[0] < base * (1 - base) * min(max(10 * tolerance, _CERTAIN_MIN), _CERTAIN_MAX):
        raise _separated(columns[int(np.argmax(np.abs(root.T @ directions[:, 0])[1:]))])


def _separated(column: str) -> DataError:
    return DataError(
        "{column} tells labels apart without error, so its coefficient has no limit; "
        "look for a leak of the label, leave it out, or set l2",
        column=column,
    )


def _in_own_units(
    scaled: _Scaled,
    weights: Floats,
    hessian: Floats,
    labels: NDArray[np.int8],
    iterations: int,
    columns: tuple[str, ...],
) -> LogisticFit:
    covariance = np.linalg.inv(hessian)
    coefficients = weights[1:] / scaled.deviation
    errors = np.sqrt(np.diag(covariance))[1:] / scaled.deviation
    # The intercept is b0 - sum(w * mean / deviation); its variance follows from the same covariance.
    shift = np.concatenate(([1.0], -scaled.mean / scaled.deviation))
    z = coefficients / errors
    return LogisticFit(
        names=columns,
        coefficients=coefficients,
        intercept=float(shift @ weights),
        standard_errors=errors,
        intercept_standard_error=float(np.sqrt(shift @ covariance @ shift)),
        z=z,
        p_values=np.array([p_value(float(value)) for value in z]),
        iterations=iterations,
        log_likelihood=log_likelihood(scaled.design @ weights, labels),
    )
