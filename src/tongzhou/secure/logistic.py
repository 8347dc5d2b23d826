"""Joint logistic regression of two owners with a helper: weights, residuals and predictions stay shared.

Statement
    Parties: asker (its own columns and the label), provider (its own columns), helper.
    Who learns what: both owners learn the number of rows and columns, the event rate rounded to two
    digits (it sets the first step), and the length of the gradient after each step (it decides whether to go
    on). At the end the openings that the grant names: each owner its own weights and their covariance, or
    both all weights, or nobody anything (weights stay shared). The helper learns the shapes and how many
    steps were made.
    Assumption: as `tongzhou.secure.aided`.
    Cost: with n rows, d columns, K harmonics: once 8 n d bytes; a step 8 n (5 + 2 K) bytes and five rounds;
    a curvature matrix 8 n (3 d + d_asker) bytes and about 4 log2(condition) rounds.
    Method: Newton's iteration with a curvature matrix that is kept while it serves (a chord method) and
    renewed when a step gains less than a factor ten; see `staircase` for the logistic function and `linear`
    for the inverse.

Fixed point. With L = ceil(log2 n) a block has 14 fractional bits (12 from 2^18 rows on) and columns of length
2^(L/2). Residuals have 61 - L bits less the block's, so that by Cauchy and Schwarz a gradient sum stays below
2^61 and needs no truncation over the rows at all; only d numbers are truncated in each step.
"""

import math
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np

from tongzhou.errors import DataError, ProtocolError
from tongzhou.secure.aided import AidedEngine, Hidden
from tongzhou.secure.linear import INVERSE_BITS, MATRIX_BITS, invert
from tongzhou.secure.party import Role
from tongzhou.secure.ring import Reals, decode, encode
from tongzhou.secure.shared import Shared, join, zeros
from tongzhou.secure.staircase import (
    LOGIT_BITS,
    PERIOD,
    PERIOD_BITS,
    Angles,
    share_angles,
    sigmoid_coefficients,
    slope_coefficients,
)
from tongzhou.secure.whitening import RIDGE_SHARE, Whitened, row_bits, whiten

__all__ = [
    "WEIGHT_BITS",
    "CardOpening",
    "LogisticSettings",
    "OwnerBlock",
    "OwnerFit",
    "Training",
    "coefficient_errors",
    "fit_logistic",
    "open_weights",
    "row_block_bits",
]

CardOpening = Literal["shared", "own", "both"]

WEIGHT_BITS = 30
"""Fractional bits of the shared weights."""

_GRADIENT_BITS = 61
_COARSE, _FINE = 3, 8
_NEAR = 0.05
"""From this gradient length on the fine series is used."""
_KEEP = 0.1
"""A step must shorten the gradient by this factor, or the curvature is renewed."""
_INVERSE_ITERATIONS = 8
_LARGEST_CURVATURE = 0.5
"""A quarter for each whitened block, twice that when the two blocks are fully correlated."""
_MAX_ROW_BITS = 22
_MAX_LOGIT = PERIOD / 2


class LogisticSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all parties must agree on before training.

    Attributes:
        rows: number of matched training rows.
        asker_columns: variables of the asker, without the intercept.
        provider_columns: variables of the provider.
        tolerance: the training ends when the gradient of the mean loss, in whitened coordinates, is shorter.
        l2: ridge penalty on the mean loss, on original coefficients (0: none).
        max_steps: bound on Newton steps.
    """

    rows: int
    asker_columns: int
    provider_columns: int
    tolerance: float = 1e-6
    l2: float = 0.0
    max_steps: int = 40

    @property
    def columns(self) -> int:
        """All columns, the intercept included."""
        return 1 + self.asker_columns + self.provider_columns


@dataclass(frozen=True)
class OwnerBlock:
    """What one owner brings.

    Attributes:
        values: ``(n, d)`` numbers, rows in the agreed order.
        names: column names.
        label: ``(n,)`` of 0 and 1 at the asker, ``None`` at the provider.
    """

    values: Reals
    names: list[str]
    label: Reals | None = None


@dataclass(frozen=True)
class OwnerFit:
    """What one owner may know at the end, in original units.

    Attributes:
        intercept: this owner's part of the intercept (the parts add up).
        coefficients: ``(d,)`` of this owner's columns.
    """

    intercept: float
    coefficients: Reals


@dataclass
class Training:
    """A finished training: weights still shared.

    Attributes:
        settings: as agreed.
        engine: who computed.
        whitened: this owner's own transformation (``None`` at the helper).
        asker, provider: the two hidden blocks.
        gram: shared ``(d, d)`` matrix ``Xᵀ X / (2^L P)``, of the logistic function's linear part.
        ridge: shared ``(d, d)`` matrix of the penalty.
        weights: shared ``(d,)`` whitened weights with `WEIGHT_BITS`.
        angles: of the last evaluation, for the curvature.
        gradient_norms: length of the gradient at each evaluation.
    """

    settings: LogisticSettings
    engine: AidedEngine
    whitened: Whitened | None
    asker: Hidden
    provider: Hidden
    gram: Shared
    ridge: Shared
    weights: Shared
    angles: Angles | None
    gradient_norms: list[float]


@dataclass(frozen=True)
class _Scales:
    """Fractional bits of everything that runs over the rows (see the module text)."""

    row_bits: int

    @property
    def block(self) -> int:
        return 14 if self.row_bits <= 15 else 13 if self.row_bits <= 17 else 12

    @property
    def residual(self) -> int:
        return _GRADIENT_BITS - self.row_bits - self.block

    @property
    def slope(self) -> int:
        return _GRADIENT_BITS + 2 - self.row_bits - 2 * self.block

    @property
    def dealt(self) -> int:
        return self.slope - 8


def row_block_bits(rows: int) -> int:
    """Fractional bits of a whitened block of that many training rows."""
    return _Scales(row_bits(rows)).block


def fit_logistic(engine: AidedEngine, settings: LogisticSettings, block: OwnerBlock | None) -> Training:
    """Train; every party calls it with the same settings, owners with their block.

    Raises:
        DataError: a column is constant or a combination of others; one class only; too many rows; no
            convergence within the bound of steps.
    """
    scales = _Scales(row_bits(settings.rows))
    if scales.row_bits > _MAX_ROW_BITS:
        raise DataError(
            "{rows} training rows are too many: at most {limit} fit the number format",
            rows=settings.rows,
            limit=1 << _MAX_ROW_BITS,
        )
    training = _prepare(engine, settings, scales, block)
    rate = _event_rate(engine, block)
    gradient = _first_gradient(training, scales, block)
    weights = _first_weights(training, block)
    inverse = _first_inverse(training, rate)
    step = _newton_step(engine, inverse, gradient)
    training.weights = weights + step
    _iterate(training, scales, block, step)
    return training


def _iterate(training: Training, scales: _Scales, block: OwnerBlock | None, step: Shared) -> None:
    """Newton steps until the gradient is short enough; a step that lengthens it is halved."""
    engine, settings, norms = training.engine, training.settings, training.gradient_norms
    inverse: Shared | None = None
    for _ in range(settings.max_steps):
        near = bool(norms) and norms[-1] < _NEAR
        gradient = _gradient(training, scales, block, _FINE if near else _COARSE)
        norms.append(_norm(engine, gradient))
        if near and norms[-1] <= settings.tolerance:
            return
        if len(norms) > 1 and norms[-1] > 2 * norms[-2]:
            norms[-1] = norms[-2]
            step = engine.truncate(step, 1)
            training.weights = training.weights - step
            continue
        if inverse is None or norms[-1] > _KEEP * norms[-2]:
            inverse = _inverse_curvature(training, scales)
        step = _newton_step(engine, inverse, gradient)
        training.weights = training.weights + step
    raise DataError(
        "the training did not converge in {steps} steps: the gradient is {got:.2g} long, {allowed:.2g} was "
        "asked; a column may separate the classes: set train.l2, for example to 0.0001",
        steps=settings.max_steps,
        got=norms[-1],
        allowed=settings.tolerance,
    )


def _prepare(
    engine: AidedEngine, settings: LogisticSettings, scales: _Scales, block: OwnerBlock | None
) -> Training:
    """Whiten, hide both blocks, and share the matrix of the gradient's linear part."""
    whitened = None
    if block is not None:
        whitened = whiten(
            block.values,
            block.names,
            bits=scales.block,
            intercept=engine.party.role == "asker",
            l2=settings.l2,
        )
    words = None if whitened is None else whitened.words
    asker = engine.hide("asker", (settings.asker_columns + 1, settings.rows), words)
    provider = engine.hide("provider", (settings.provider_columns, settings.rows), words)
    gram = _gram(engine, settings, scales, asker, provider)
    ridge = _ridge(settings, whitened)
    # Whitening with a penalty leaves each own block short of the unit matrix by a multiple of the penalty.
    gram = gram - engine.truncate(ridge.scaled(RIDGE_SHARE), PERIOD_BITS)
    weights = zeros(settings.columns, owner=engine.is_owner)
    return Training(settings, engine, whitened, asker, provider, gram, ridge, weights, None, [])


def _gram(
    engine: AidedEngine, settings: LogisticSettings, scales: _Scales, asker: Hidden, provider: Hidden
) -> Shared:
    """Shared ``Xᵀ X / (2^L P)``: the unit matrix in each block, the cross-correlation between them."""
    shape = (settings.asker_columns + 1, settings.rows)
    rows = engine.own("asker", shape, asker.words)
    cross = engine.transpose_times(provider, rows)
    drop = 2 * scales.block + scales.row_bits + PERIOD_BITS - MATRIX_BITS
    cross = engine.truncate(cross, drop)
    top = join(zeros(shape[0], shape[0], owner=engine.is_owner), cross).transposed()
    size = settings.provider_columns
    bottom = join(cross.transposed(), zeros(size, size, owner=engine.is_owner)).transposed()
    return engine.add_public(join(top, bottom), encode(np.eye(settings.columns) / PERIOD, MATRIX_BITS))


def _ridge(settings: LogisticSettings, whitened: Whitened | None) -> Shared:
    """The penalty's matrix: each owner's block is its own share, so nothing is sent."""
    shape = (settings.columns, settings.columns)
    if whitened is None:
        return Shared(shape, None)
    full = np.zeros(shape)
    start = 0 if whitened.intercept else settings.columns - settings.provider_columns
    stop = start + whitened.columns
    full[start:stop, start:stop] = whitened.ridge
    return Shared(shape, encode(full, MATRIX_BITS))


def _event_rate(engine: AidedEngine, block: OwnerBlock | None) -> float:
    """The event rate to two digits, told by the asker to all; it scales the first step."""
    party = engine.party
    if party.role != "asker" or block is None or block.label is None:
        rate, _ = party.link("asker").recv("train.rate", float)
        if not 0 < rate < 1:
            raise ProtocolError("{peer} sent an event rate outside 0 to 1", peer=party.names["asker"])
        return rate
    exact = float(block.label.mean())
    if not 0 < exact < 1:
        raise DataError("the label of the training rows is all one class; both 0 and 1 are needed")
    rate = float(f"{exact:.2g}")
    for role in ("provider", "helper"):
        party.link(role).send("train.rate", rate)
    party.record("event rate, two digits", 1, ("provider", "helper"), "scale of the first step")
    return rate


def _first_inverse(training: Training, rate: float) -> Shared:
    """Inverse curvature of the model with an intercept only: the Gram matrix times the label's variance."""
    engine, variance = training.engine, rate * (1 - rate)
    start = engine.truncate(training.gram.scaled(round(variance * PERIOD * 2**10)), 10) + training.ridge
    largest = 2 * variance if training.settings.l2 == 0 else _LARGEST_CURVATURE
    return invert(engine, start, largest=largest, iterations=_INVERSE_ITERATIONS)


def _first_weights(training: Training, block: OwnerBlock | None) -> Shared:
    """The model with an intercept only, held by the asker."""
    words = np.zeros(training.settings.columns, dtype=np.uint64)
    if block is not None and block.label is not None and training.whitened is not None:
        rate = block.label.mean()
        words[:1] = encode(np.array([math.log(rate / (1 - rate)) / training.whitened.scale]), WEIGHT_BITS)
    return training.engine.own("asker", (training.settings.columns,), words)


def _first_gradient(training: Training, scales: _Scales, block: OwnerBlock | None) -> Shared:
    """The gradient of the model with an intercept only: its residuals are the asker's own."""
    words = None
    if block is not None and block.label is not None:
        words = encode(block.label.mean() - block.label, scales.residual)
    residuals = training.engine.own("asker", (training.settings.rows,), words)
    return _drop_rows(training, residuals, None)


def _gradient(training: Training, scales: _Scales, block: OwnerBlock | None, harmonics: int) -> Shared:
    """Shared gradient of the mean loss at the current weights, with `WEIGHT_BITS`."""
    engine, settings = training.engine, training.settings
    weights = training.weights.scaled(1 << (LOGIT_BITS - scales.block - WEIGHT_BITS))
    split = settings.asker_columns + 1
    logits = engine.times(training.asker, weights.part(0, split)) + engine.times(
        training.provider, weights.part(split, settings.columns)
    )
    training.angles = share_angles(engine, logits, harmonics, scales.dealt)
    residuals = training.angles.sine_series(sigmoid_coefficients(harmonics), scales.residual)
    if block is not None and block.label is not None:
        residuals = engine.add_public(residuals, encode(0.5 - block.label, scales.residual))
    linear = engine.matmul(training.gram + training.ridge, training.weights.reshaped(settings.columns, 1))
    return _drop_rows(training, residuals, linear.reshaped(settings.columns))


def _drop_rows(training: Training, residuals: Shared, linear: Shared | None) -> Shared:
    """``Xᵀ residuals / 2^L`` plus the linear part, truncated once."""
    engine = training.engine
    total = join(
        engine.transpose_times(training.asker, residuals),
        engine.transpose_times(training.provider, residuals),
    )
    if linear is not None:
        total = total + linear.scaled(1 << (_GRADIENT_BITS - MATRIX_BITS - WEIGHT_BITS))
    return engine.truncate(total, _GRADIENT_BITS - WEIGHT_BITS)


def _norm(engine: AidedEngine, gradient: Shared) -> float:
    """Open the length of the gradient to the owners; the helper is told."""
    size = gradient.shape[0]
    square = engine.matmul(gradient.reshaped(1, size), gradient.reshaped(size, 1))
    opened = engine.open(
        square, what="squared length of the gradient", receivers=("asker", "provider"), reason="when to stop"
    )
    helper = engine.party.names["helper"]
    if opened is None:
        norm, _ = engine.party.link("asker").recv("train.norm", float)
        return norm
    norm = math.sqrt(max(float(decode(opened, 2 * WEIGHT_BITS)[0, 0]), 0.0))
    if engine.party.role == "asker":
        engine.party.session.links[helper].send("train.norm", norm)
    return norm


def _newton_step(engine: AidedEngine, inverse: Shared, gradient: Shared) -> Shared:
    product = engine.matmul(inverse, gradient.reshaped(gradient.shape[0], 1))
    return engine.truncate(product.reshaped(gradient.shape[0]), INVERSE_BITS).scaled(-1)


def _inverse_curvature(training: Training, scales: _Scales) -> Shared:
    """Shared inverse of the curvature ``Xᵀ S X / 2^L`` at the last evaluated weights."""
    engine, angles = training.engine, training.angles
    if angles is None:
        raise ProtocolError("the curvature was asked for before any gradient")
    slopes = angles.cosine_series(slope_coefficients(angles.harmonics), scales.slope)
    constant = encode(np.full(angles.rows, 1 / PERIOD), scales.slope)
    slopes = engine.add_public(slopes, constant)
    asker_rows = engine.scale_rows(training.asker, slopes)
    provider_rows = engine.scale_rows(training.provider, slopes)
    cross = engine.transpose_times(training.provider, asker_rows)
    left = join(engine.transpose_times(training.asker, asker_rows), cross)
    right = join(cross.transposed(), engine.transpose_times(training.provider, provider_rows))
    full = join(left.transposed(), right.transposed())
    drop = 2 * scales.block + scales.slope + scales.row_bits - MATRIX_BITS
    curvature = engine.truncate(full, drop) + training.ridge
    return invert(engine, curvature, largest=_LARGEST_CURVATURE, iterations=_INVERSE_ITERATIONS)


def open_weights(training: Training, card: CardOpening) -> OwnerFit | None:
    """Open the weights as the grant says: to nobody, or to each owner its own.

    Raises:
        DataError: scores leave the range in which the logistic function is exact.
    """
    engine, settings, whitened = training.engine, training.settings, training.whitened
    if card == "shared":
        return None
    mine: Reals | None = None
    for role, start, stop in _owner_parts(settings):
        opened = engine.open(
            training.weights.part(start, stop),
            what=f"weights of the {role}'s variables",
            receivers=(role,),
            reason="grant: card",
        )
        if opened is not None:
            mine = decode(opened, WEIGHT_BITS)
    if mine is None or whitened is None:
        return None
    intercept, coefficients = whitened.coefficients(mine)
    return OwnerFit(intercept, coefficients)


def _owner_parts(settings: LogisticSettings) -> list[tuple[Role, int, int]]:
    """Where each owner's weights stand."""
    split = settings.asker_columns + 1
    return [("asker", 0, split), ("provider", split, settings.columns)]


def coefficient_errors(training: Training) -> Reals | None:
    """Standard errors of an owner's own coefficients, ``(d,)``; ``None`` at the helper.

    The curvature at the final weights is inverted under sharing; each owner receives the block of the inverse
    that belongs to its own weights.
    """
    engine, settings, whitened = training.engine, training.settings, training.whitened
    scales = _Scales(row_bits(settings.rows))
    inverse = _inverse_curvature(training, scales)
    mine: Reals | None = None
    for role, start, stop in _owner_parts(settings):
        block = inverse.part(start, stop).transposed().part(start, stop)
        opened = engine.open(
            block,
            what=f"covariance of the {role}'s weights",
            receivers=(role,),
            reason="standard errors",
        )
        if opened is not None:
            mine = decode(opened, INVERSE_BITS)
    if mine is None or whitened is None:
        return None
    covariance = whitened.covariance(mine) / 2.0**scales.row_bits
    return np.sqrt(np.diag(covariance))
