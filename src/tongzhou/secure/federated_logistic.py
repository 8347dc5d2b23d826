"""Logistic regression over the rows of many institutions, as if they lay in one place.

Statement
    Parties: as `tongzhou.secure.aggregation`; every institution has the same columns and the label of other
    rows.
    Who learns what: all learn the moments of the columns (`federated_columns`), the weights after each step,
    and the standard errors. The coordinator learns, at each step's weights, the number of rows, the loss, the
    gradient and the curvature (the Hessian) of all rows together. With few institutions that is much: who
    knows its own gradient knows the sum of the others'; so at least three are in each sum, and each has a
    minimum of rows. If an institution leaves between two steps, the sums before and after differ by its own
    gradient, at slightly different weights: an approximate view of one institution's sum, never of a row.
    Assumption: as `tongzhou.secure.aggregation`.
    Cost: with d columns, two sums for the scale, and for each step one of 3 + d + (d + 1) (d + 2) / 2 words
    and 8 (d + 1) bytes to each institution.
    Method: Newton's iteration on standardised columns (iteratively reweighted least squares) on the summed
    gradient and curvature; a step that raises the loss is halved. The result is the pooled model to fixed
    point precision (of sums over 2^L rows, L - 58 bits), whatever the institutions are like. With fewer
    things opened, and less exact, see `federated_averaging`; with noise, see `private_logistic`.
"""

import math
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError
from tongzhou.secure.aggregation_settings import AggregationSettings
from tongzhou.secure.federated_columns import Moments, Table, check_table, column_moments
from tongzhou.secure.party import Role
from tongzhou.secure.private_sums import PrivacyReport, PrivacySettings
from tongzhou.secure.refusals import not_converged, one_class, undefined_weights
from tongzhou.secure.ring import Reals, decode, encode
from tongzhou.secure.summing import Summing
from tongzhou.secure.whitening import row_bits
from tongzhou.wire.messages import ArraySpec

__all__ = [
    "Derivatives",
    "Ending",
    "FederatedFit",
    "FederatedLogisticSettings",
    "Scaled",
    "ending",
    "finish",
    "fit_federated",
    "invert_curvature",
    "penalty_of",
    "refuse_missing",
    "scale_table",
    "start_weights",
    "sum_derivatives",
    "tell_weights",
]

Indices = NDArray[np.intp]

_SUM_BITS: Final = 58
_SINGULAR: Final = 1e-12
_REACH: Final = 30.0
"""A standardised weight this large moves the odds by e^30 a deviation: a column separates the classes."""
_CERTAIN: Final = 1e-6
"""So little of the curvature at the start is left where a column separates the classes."""
_MEAN_LIMIT: Final = 16.0
"""No mean over rows is sent that is larger; of losses only a hopeless one is, and it is cut."""


class FederatedLogisticSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all institutions agree on before training.

    Attributes:
        aggregation: how vectors are added up.
        columns: names of the columns, the same at every institution.
        method: ``newton`` is exact; ``fedsgd`` and ``fedavg`` take gradient steps, the latter `local_steps`
            of them at each institution between two sums.
        tolerance: how short the gradient of the mean loss must be at the end, on standardised columns.
        l2: ridge penalty on the mean loss, on original coefficients (0: none).
        max_steps: bound on Newton steps; with the other methods the number of rounds.
        local_steps: of ``fedavg``, gradient steps at an institution between two sums.
        rate: of gradient steps, on standardised columns; 0 takes the largest that is safe.
        privacy: trains with noise instead; see `tongzhou.secure.private_logistic`.
        bounds: with `privacy`, the least and the largest value of each column that counts; agreed without
            looking at the data.
        rounds: with `privacy`, gradients that are released.
    """

    aggregation: AggregationSettings
    columns: tuple[str, ...]
    method: Literal["newton", "fedsgd", "fedavg"] = "newton"
    tolerance: float = 1e-8
    l2: float = 0.0
    max_steps: int = 25
    local_steps: int = 10
    rate: float = 0.0
    privacy: PrivacySettings | None = None
    bounds: tuple[tuple[float, float], ...] = ()
    rounds: int = 5


@dataclass(frozen=True)
class FederatedFit:
    """The model, which all institutions hold.

    Attributes:
        intercept: log odds where all columns are zero.
        coefficients: ``(d,)`` in original units.
        errors: ``(d,)`` standard errors of the coefficients.
        intercept_error: standard error of the intercept.
        rows: rows behind the last sum.
        gradient_norms: length of the gradient of the mean loss at each evaluation.
        stayed: roles whose rows are in the model.
        privacy: what it cost each record, if it was trained with noise.
    """

    intercept: float
    coefficients: Reals
    errors: Reals
    intercept_error: float
    rows: int
    gradient_norms: list[float]
    stayed: tuple[Role, ...]
    privacy: PrivacyReport | None = None


@dataclass(frozen=True)
class Scaled:
    """Rows of one institution in common coordinates.

    Attributes:
        design: ``(n, d + 1)`` standardised columns after a column of ones.
        label: ``(n,)`` of 0 and 1.
    """

    design: Reals
    label: Reals


@dataclass(frozen=True)
class Derivatives:
    """Of the mean loss with its penalty, at some weights, over all rows.

    Attributes:
        rows: how many.
        loss: the mean loss.
        gradient: ``(d + 1,)``.
        curvature: ``(d + 1, d + 1)``.
    """

    rows: int
    loss: float
    gradient: Reals
    curvature: Reals


def fit_federated(summing: Summing, settings: FederatedLogisticSettings, table: Table | None) -> FederatedFit:
    """Train by Newton's iteration; every party calls it alike, institutions with their table.

    Raises:
        DataError: too few rows, a column that is constant or misses values, one class, weights that the data
            do not define, no convergence.
    """
    moments, own = scale_table(summing, settings, table)
    newton = _Newton(settings, moments)
    more = True
    while more:
        weights = tell_weights(summing, newton.weights)
        found = sum_derivatives(summing, own, weights, newton.penalty, moments.rows)
        more = summing.tell(
            "federated.more", bool, None if found is None else newton.step(found, summing.stayed)
        )
        if not more:
            end = ending(found, newton.norms)
            return finish(summing, weights, end, centre=moments.means, scale=moments.deviations)
    raise ValueError("a training ends with a fit or a refusal")


class _Newton:
    """The coordinator's side of the iteration.

    Attributes:
        weights: ``(d + 1,)`` where the next derivatives are wanted, on standardised columns.
        penalty: ``(d + 1,)`` of the squares of weights.
        norms: length of the gradient at each evaluation.
    """

    def __init__(self, settings: FederatedLogisticSettings, moments: Moments) -> None:
        self.penalty = penalty_of(settings, moments)
        self.weights = start_weights(moments)
        self.norms: list[float] = []
        self._settings = settings
        self._step = np.zeros_like(self.weights)
        self._loss = math.inf
        self._rows_of: tuple[Role, ...] = ()
        self._evaluations = 0
        self._first: Reals | None = None

    def step(self, found: Derivatives, rows_of: tuple[Role, ...]) -> bool:
        """Move on; whether more derivatives are needed.

        Args:
            found: derivatives at `weights`.
            rows_of: whose rows they are from. Losses compare only while these stay the same.
        """
        settings = self._settings
        self._evaluations += 1
        last = self._loss if rows_of == self._rows_of else math.inf
        self._rows_of = rows_of
        norm = float(np.linalg.norm(found.gradient))
        if self._first is None:
            self._first = found.curvature
        if norm <= settings.tolerance:
            self.norms.append(norm)
            self._refuse_certain(found.curvature)
            return False
        if self._evaluations > settings.max_steps:
            raise not_converged(settings.max_steps, norm, settings.tolerance)
        if found.loss > last + 1e-12 * abs(last):
            self._step = self._step / 2
            self.weights = self.weights - self._step
            return True
        self.norms.append(norm)
        self._loss = found.loss
        self._step = -invert_curvature(found.curvature) @ found.gradient
        if not settings.l2 and float(np.abs(self.weights[1:]).max()) > _REACH:
            raise undefined_weights()
        self.weights = self.weights + self._step
        return True

    def _refuse_certain(self, curvature: Reals) -> None:
        """Refuse weights that only the tolerance kept from growing.

        At the start all rows have the slope of the event rate. A direction in which hardly any of that is
        left is known from no row whose label is in doubt.
        """
        if self._settings.l2 or self._first is None:
            return
        try:
            root = np.linalg.inv(np.linalg.cholesky(self._first))
        except np.linalg.LinAlgError:
            raise undefined_weights() from None
        if float(np.linalg.eigvalsh(root @ curvature @ root.T)[0]) < _CERTAIN:
            raise undefined_weights()


def tell_weights(summing: Summing, weights: Reals) -> Reals:
    """The coordinator's weights, at every party."""
    spec = ArraySpec("<f8", weights.shape)
    told: list[Reals] = summing.tell_arrays(
        "federated.weights", [spec], [weights] if summing.is_coordinator else None
    )
    return told[0]


def scale_table(
    summing: Summing, settings: FederatedLogisticSettings, table: Table | None
) -> tuple[Moments, Scaled | None]:
    """Moments of all rows, and the own rows in common coordinates.

    Raises:
        DataError: as `fit_federated`, of what can be seen before training.
    """
    if table is not None:
        check_table(settings.aggregation, settings.columns, table, label=True)
        refuse_missing(table)
    moments = column_moments(summing, len(settings.columns), table)
    if not 0 < moments.events < moments.rows:
        raise one_class()
    _refuse_constant(moments, settings.columns)
    if table is None or table.label is None:
        return moments, None
    design = np.ones((len(table.values), len(settings.columns) + 1))
    design[:, 1:] = (table.values - moments.means) / moments.deviations
    return moments, Scaled(design, table.label)


def sum_derivatives(
    summing: Summing, own: Scaled | None, weights: Reals, penalty: Reals, rows: int
) -> Derivatives | None:
    """Loss, gradient and curvature over all rows, at the coordinator; ``None`` elsewhere.

    Args:
        summing: who adds up.
        own: the own rows; ``None`` at a coordinator without data.
        weights: where, on standardised columns.
        penalty: of the squares of weights.
        rows: of all institutions at the start; sets the scale.
    """
    size = len(weights)
    upper = np.triu_indices(size)
    bits = _SUM_BITS - row_bits(rows)
    words = None
    if own is not None:
        words = encode(_within(own, *_local_sums(own, weights), upper), bits)
    length = 2 + size + len(upper[0])
    total = summing.sum(
        words, length=length, what="rows, loss, gradient and curvature", reason="a step of the training"
    )
    if total is None:
        return None
    numbers = decode(total, bits)
    count, loss, gradient, entries = numbers[0], numbers[1], numbers[2 : 2 + size], numbers[2 + size :]
    curvature = np.zeros((size, size))
    curvature[upper] = entries
    curvature = curvature + np.triu(curvature, 1).T
    return Derivatives(
        rows=round(count),
        loss=float(loss / count + 0.5 * penalty @ weights**2),
        gradient=gradient / count + penalty * weights,
        curvature=curvature / count + np.diag(penalty),
    )


def _local_sums(own: Scaled, weights: Reals) -> tuple[float, Reals, Reals]:
    """Sums of loss, gradient and curvature over the own rows."""
    logits = own.design @ weights
    chance = 0.5 * (1 + np.tanh(logits / 2))
    loss = float(np.sum(np.logaddexp(0.0, logits) - own.label * logits))
    curvature = (own.design.T * (chance * (1 - chance))) @ own.design
    return loss, own.design.T @ (chance - own.label), curvature


def _within(
    own: Scaled, loss: float, gradient: Reals, curvature: Reals, upper: tuple[Indices, Indices]
) -> Reals:
    """The numbers to add up. With columns of unit variance none but the loss exceeds the number of rows."""
    rows = float(len(own.label))
    return np.concatenate([[rows, min(loss, _MEAN_LIMIT * rows)], gradient, curvature[upper]])


def start_weights(moments: Moments) -> Reals:
    """Weights of the model that knows the event rate alone."""
    weights = np.zeros(len(moments.means) + 1)
    weights[0] = math.log(moments.events / (moments.rows - moments.events))
    return weights


def penalty_of(settings: FederatedLogisticSettings, moments: Moments) -> Reals:
    """The ridge penalty of original coefficients, on standardised ones; none on the intercept."""
    return np.concatenate([[0.0], settings.l2 / moments.deviations**2])


def invert_curvature(curvature: Reals) -> Reals:
    """Inverse of a curvature.

    Raises:
        DataError: the data do not define the weights.
    """
    if float(np.linalg.eigvalsh(curvature)[0]) < _SINGULAR:
        raise undefined_weights()
    return np.asarray(np.linalg.inv(curvature), dtype=np.float64)


@dataclass(frozen=True)
class Ending:
    """What the coordinator knows at the end of a training.

    Attributes:
        covariance: ``(d + 1, d + 1)`` of the weights in common coordinates.
        rows: behind the last sum.
        norms: lengths of the gradients.
    """

    covariance: Reals
    rows: int
    norms: list[float]


def ending(found: Derivatives | None, norms: list[float]) -> Ending | None:
    """From the derivatives at the final weights; ``None`` where they are not known."""
    if found is None:
        return None
    return Ending(invert_curvature(found.curvature) / found.rows, found.rows, norms)


def finish(
    summing: Summing, weights: Reals, end: Ending | None, *, centre: Reals, scale: Reals
) -> FederatedFit:
    """The model in original units, with standard errors, told to all.

    Args:
        summing: who adds up.
        weights: the final ones, in common coordinates.
        end: at the coordinator, what it knows.
        centre: ``(d,)`` zero of the common coordinates.
        scale: ``(d,)`` their unit.
    """
    size = len(weights)
    given = None
    if end is not None:
        # The intercept is that of centred columns less the part of the centres.
        back = np.diag(np.concatenate([[1.0], 1 / scale]))
        back[0, 1:] = -centre / scale
        variances = np.diag(back @ end.covariance @ back.T)
        given = [np.sqrt(variances), np.array([end.rows], dtype=np.int64), np.array(end.norms)]
    specs = [ArraySpec("<f8", (size,)), ArraySpec("<i8", (1,)), ArraySpec("<f8", (None,))]
    errors, rows, lengths = summing.tell_arrays("federated.errors", specs, given)
    coefficients = weights[1:] / scale
    return FederatedFit(
        intercept=float(weights[0] - coefficients @ centre),
        coefficients=coefficients,
        errors=errors[1:],
        intercept_error=float(errors[0]),
        rows=int(rows[0]),
        gradient_norms=lengths.tolist(),
        stayed=summing.stayed,
    )


def refuse_missing(table: Table) -> None:
    """Refuse a table with missing values.

    Raises:
        DataError: with the name of the first such column.
    """
    missing = np.isnan(table.values).any(axis=0)
    if missing.any():
        raise DataError(
            "column {column} misses values; a regression needs them all: fill them or bin the column",
            column=table.names[int(np.flatnonzero(missing)[0])],
        )


def _refuse_constant(moments: Moments, names: tuple[str, ...]) -> None:
    constant = moments.deviations <= 1e-12 * np.maximum(np.abs(moments.means), 1e-300)
    if constant.any():
        raise DataError(
            "column {column} is constant; a joint regression needs columns that differ: remove it",
            column=names[int(np.flatnonzero(constant)[0])],
        )
