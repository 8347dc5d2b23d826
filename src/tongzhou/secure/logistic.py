"""Joint logistic regression of two owners: weights, residuals and predictions stay shared.

Statement
    Parties: asker (its own columns and the label), provider (its own columns), and in mode `aided` a
    helper.
    Who learns what: both owners learn the number of rows and columns, the event rate rounded to two
    digits (it sets the first step), and the length of the gradient after each step (it decides whether to go
    on). At the end the openings that the grant names: each owner its own weights and their covariance, or
    nobody anything (weights stay shared); see `window` for what is told of the range of scores. The helper
    learns the shapes, whether events are rare, which kind of step was made each time, and how long a series.
    Assumption: as the engine of the mode, `tongzhou.secure.aided` or `tongzhou.secure.pair`.
    Cost: in mode `aided` with n rows, d columns (d_a of them the asker's, the intercept included; d_p the
    provider's) and K harmonics: once 8 n (2 d_a + d_p + 2) bytes; an evaluation 8 n (6 + 2 K) bytes; a
    curvature matrix 8 m (2 d + d_a + 2 + 2 K) bytes on its m rows, and 1 + 2 doublings rounds for its
    inverse.
    Method: Newton's iteration with a curvature matrix that is kept while that is cheaper than a new one (a
    chord method); see `staircase` for the logistic function, `curvature` for the matrix and `linear` for its
    inverse.

Fixed point. With L = ceil(log2 n) a block has 14 fractional bits (11 for the largest) and columns of length
2^(L/2). Residuals have 61 - L bits less the block's, so that by Cauchy and Schwarz a gradient sum stays below
2^61 and needs no truncation over the rows at all; only d numbers are truncated in each step.

The training ends when the gradient is shorter than the tolerance, or after a step that must make it so: one
that starts from a gradient which the rate of the step before brings below the tolerance.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

import msgspec
import numpy as np

from tongzhou.errors import DataError, ProtocolError
from tongzhou.secure.curvature import Curvature, Scales, sample_step
from tongzhou.secure.engine import Engine, Hidden
from tongzhou.secure.linear import INVERSE_BITS, MATRIX_BITS, MAX_DOUBLINGS, invert, refine
from tongzhou.secure.party import Role
from tongzhou.secure.refusals import no_label, not_converged, one_class, too_many_rows, undefined_weights
from tongzhou.secure.ring import Reals, decode, encode
from tongzhou.secure.shared import Shared, join, zeros
from tongzhou.secure.staircase import LINE_BITS, NARROW, RARE, WIDE, Angles, Staircase, mask_angles
from tongzhou.secure.stepwise import Drop, constrain, decrement
from tongzhou.secure.whitening import RIDGE_SHARE, Whitened, intercept_value, row_bits, whiten

__all__ = [
    "SMALLEST_CURVATURE",
    "WEIGHT_BITS",
    "CardOpening",
    "LogisticSettings",
    "OwnerBlock",
    "OwnerFit",
    "Training",
    "coefficient_errors",
    "drop_variable",
    "fit_logistic",
    "open_weights",
    "row_block_bits",
    "widen",
]

CardOpening = Literal["shared", "own", "both"]

WEIGHT_BITS = 30
"""Fractional bits of the shared weights."""

_GRADIENT_BITS = 61
_KEEP = 0.3
"""A step must shorten the gradient by this factor, or the curvature is renewed whatever it costs."""
_SERVES = 0.5
"""After a drop, a step that shortens the decrement by less than this renews the curvature."""
_FIRST_DOUBLINGS, _DOUBLINGS, _RARE_DOUBLINGS = 4, 4, 9
_MOST_SLOPE = 0.25
_MOST_EIGENVALUE = 1.9
"""Of a guess of the inverse times the matrix; below 2 a refinement converges."""
_CURVATURE_SHIFT = 1
"""The curvature is a quarter of the identity at most, twice that when the two blocks are fully correlated:
doubled, its eigenvalues are at most 1."""
SMALLEST_CURVATURE = 2.0 ** (3 - _CURVATURE_SHIFT - MAX_DOUBLINGS)
"""A curvature below this (about 1 in 2,048) in some direction is out of reach of the doublings."""
_MAX_ROW_BITS = 22
_FACTOR_BITS = 10
_VARIANCE_MIN = 2.0**-12
"""Rarer events than one in 4,096 take a shorter first step, so that it fits the number format."""


class LogisticSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all parties must agree on before training.

    Attributes:
        rows: number of matched training rows.
        asker_columns: variables of the asker, without the intercept.
        provider_columns: variables of the provider.
        tolerance: how short the gradient of the mean loss must be at the end, in whitened coordinates; below
            about 1e-7 fixed-point noise decides.
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
        engine: who computes.
        scales: fractional bits of what runs over the rows.
        whitened: this owner's own transformation (``None`` at the helper).
        asker, provider: the two hidden blocks.
        staircase: the logistic function on the window that suits the event rate.
        rate: the event rate to two digits (one half at the helper).
        gram: shared ``(d, d)`` matrix ``Xᵀ X / 2^L``.
        linear: shared ``(d, d)`` matrix of the gradient's linear part, the penalty included.
        ridge: shared ``(d, d)`` matrix of the penalty.
        weights: shared ``(d,)`` whitened weights with `WEIGHT_BITS`.
        gradient_norms: length of the gradient at each evaluation (after a drop, the Newton decrement).
        start: shared ``(d, d)`` inverse curvature of the model with an intercept only.
        inverse: shared ``(d, d)`` inverse curvature that the last step used.
        dropped: variables without a weight, in the order in which they were dropped.
    """

    settings: LogisticSettings
    engine: Engine
    scales: Scales
    whitened: Whitened | None
    asker: Hidden
    provider: Hidden
    staircase: Staircase
    rate: float
    gram: Shared
    linear: Shared
    ridge: Shared
    weights: Shared
    gradient_norms: list[float]
    start: Shared | None = None
    inverse: Shared | None = None
    dropped: list[Drop] = field(default_factory=list)

    @property
    def split(self) -> int:
        """Where the provider's weights begin."""
        return self.settings.asker_columns + 1


class _Move(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the owners do next; they decide it alike, and the asker tells the helper.

    Attributes:
        step: whether a step is made at all.
        back: whether it goes half the last step back.
        renew: whether the curvature is computed anew before it.
        last: whether the training ends with it.
        harmonics: how much of the series the evaluation that follows uses.
    """

    step: bool = True
    back: bool = False
    renew: bool = False
    last: bool = False
    harmonics: int = 0


def row_block_bits(rows: int) -> int:
    """Fractional bits of a whitened block of that many training rows."""
    return Scales(row_bits(rows)).block


def fit_logistic(engine: Engine, settings: LogisticSettings, block: OwnerBlock | None) -> Training:
    """Train; every party calls it with the same settings, owners with their block.

    Raises:
        DataError: a column is constant or a combination of others; one class only; too many rows; no
            convergence within the bound of steps.
    """
    if row_bits(settings.rows) > _MAX_ROW_BITS:
        raise too_many_rows(settings.rows, 1 << _MAX_ROW_BITS)
    if block is not None:
        _check_block(engine, settings, block)
    training = _prepare(engine, settings, block)
    gradient = _first_gradient(training, block)
    start = _first_weights(training, block)
    step = _first_step(training, gradient)
    training.weights = start + step
    _iterate(training, block, step)
    return training


def _check_block(engine: Engine, settings: LogisticSettings, block: OwnerBlock) -> None:
    agreed = settings.asker_columns if engine.party.role == "asker" else settings.provider_columns
    rows, columns = block.values.shape
    if (rows, columns) != (settings.rows, agreed):
        raise DataError(
            "the block has {rows} rows and {columns} columns; {agreed_rows} and {agreed} were agreed",
            rows=rows,
            columns=columns,
            agreed_rows=settings.rows,
            agreed=agreed,
        )
    if engine.party.role != "asker":
        return
    if block.label is None:
        raise no_label()
    if len(block.label) != rows:
        raise DataError("there are {labels} labels for {rows} rows", labels=len(block.label), rows=rows)
    if not 0 < float(block.label.mean()) < 1:
        raise one_class()


def _iterate(training: Training, block: OwnerBlock | None, step: Shared) -> None:
    """Newton steps until the gradient is short enough; a step that lengthens it is halved."""
    engine, settings, norms = training.engine, training.settings, training.gradient_norms
    if engine.renewal_price is not None:
        # Dear: a step more with the first curvature comes before one that is soon out of date.
        training.inverse = training.start
    harmonics = 0
    move = _Move(harmonics=training.staircase.coarse)
    for _ in range(settings.max_steps):
        longer, harmonics = move.harmonics > harmonics, move.harmonics
        angles = _masked_logits(training)
        gradient = _gradient(training, angles, block, harmonics=harmonics)
        norm, onward = _norm_and_step(engine, training.inverse, gradient)
        move = _next_move(training, norm, harmonics=harmonics, longer=longer, fresh=onward is not None)
        if not move.step:
            return
        if move.back:
            step = engine.truncate(step, 1)
            training.weights = training.weights - step
            continue
        if onward is None or move.renew:
            training.inverse = _training_inverse(training, angles)
            onward = _newton_step(engine, training.inverse, gradient)
        step = onward
        training.weights = training.weights + step
        if move.last:
            return
    raise not_converged(settings.max_steps, norms[-1] if norms else math.inf, settings.tolerance)


def _next_move(training: Training, norm: float | None, *, harmonics: int, longer: bool, fresh: bool) -> _Move:
    """Decide from the length of the gradient; the helper, which does not know it, is told.

    Args:
        training: what is trained.
        norm: the length; ``None`` at the helper.
        harmonics: how much of the series the gradient is of.
        longer: whether that is more than before, which moves the optimum a little.
        fresh: whether there is an inverse curvature.
    """
    engine, norms = training.engine, training.gradient_norms
    if norm is None:
        return engine.announce("train.move", None, _Move)
    rate = norm / norms[-1] if norms else math.inf
    norms.append(norm)
    following = training.staircase.length(norm)
    fine = harmonics == training.staircase.harmonics
    if fine and norm <= training.settings.tolerance:
        move = _Move(step=False)
    elif len(norms) > 1 and rate > 2 and not longer:
        norms[-1] = norms[-2]
        move = _Move(back=True, harmonics=following)
    else:
        last = fine and fresh and not longer and rate * norm <= training.settings.tolerance
        renew = not fresh or (len(norms) > 1 and _worth_renewing(training, norm, rate))
        move = _Move(renew=renew, last=last, harmonics=following)
    return engine.announce("train.move", move, _Move)


def drop_variable(training: Training, block: OwnerBlock | None, drop: Drop) -> None:
    """Take a variable out of a finished training and train on; see `tongzhou.secure.stepwise`.

    Args:
        training: a finished training; its weights change.
        block: this owner's block, as in training.
        drop: the variable; all parties name the same.

    Raises:
        DataError: no convergence within the bound of steps.
        ProtocolError: there is no such variable, or it is dropped already.
    """
    counts = {"asker": training.settings.asker_columns, "provider": training.settings.provider_columns}
    if not 0 <= drop.place < counts[drop.role] or drop in training.dropped:
        raise ProtocolError(
            "there is no variable {place} of the {role} to drop", place=drop.place, role=drop.role
        )
    if training.inverse is None:
        training.inverse = _training_inverse(training, _masked_logits(training))
    training.inverse, training.weights = _constrained(training, training.inverse, drop)
    training.dropped.append(drop)
    _train_on(training, block)


def widen(training: Training, block: OwnerBlock | None) -> None:
    """Train on with the wide window of the logistic function, from where the narrow one led.

    Raises:
        DataError: no convergence within the bound of steps.
    """
    training.staircase = WIDE
    training.linear = _linear(training.engine, WIDE, training.gram, training.ridge)
    training.inverse = None
    _train_on(training, block)


def _constrained(training: Training, inverse: Shared, drop: Drop) -> tuple[Shared, Shared]:
    parts = {role: slice(start, stop) for role, start, stop in _owner_parts(training.settings)}
    own = training.engine.party.role == drop.role
    return constrain(
        training.engine,
        inverse,
        training.weights,
        drop,
        part=parts[drop.role],
        whitened=training.whitened if own else None,
        weight_bits=WEIGHT_BITS,
    )


def _train_on(training: Training, block: OwnerBlock | None) -> None:
    """Newton steps under the constraints, until the decrement is as small as the gradient must be."""
    engine, settings = training.engine, training.settings
    last: float | None = None
    for _ in range(settings.max_steps):
        angles = _masked_logits(training)
        gradient = _gradient(training, angles, block, harmonics=training.staircase.harmonics)
        if training.inverse is None:
            training.inverse = _constrained_inverse(training, angles)
        step = _newton_step(engine, training.inverse, gradient)
        length = decrement(engine, gradient, step, WEIGHT_BITS)
        move = _move_on(training, length, last)
        last = length
        if move.renew:
            training.inverse = _constrained_inverse(training, angles)
            continue
        training.weights = training.weights + step
        if move.last:
            return
    norms = training.gradient_norms
    raise not_converged(settings.max_steps, norms[-1] if norms else math.inf, settings.tolerance)


def _constrained_inverse(training: Training, angles: Angles) -> Shared:
    """A new inverse curvature under the constraints of all drops; the weights are moved onto them again."""
    inverse = _training_inverse(training, angles)
    for drop in training.dropped:
        inverse, training.weights = _constrained(training, inverse, drop)
    return inverse


def _move_on(training: Training, length: float | None, last: float | None) -> _Move:
    """The step is made unless the curvature no longer serves; it is the last where it must be enough."""
    engine, tolerance = training.engine, training.settings.tolerance
    if length is None:
        return engine.announce("train.move", None, _Move)
    training.gradient_norms.append(length)
    rate = 0.0 if last is None else length / last
    enough = length <= tolerance or (last is not None and rate * length <= tolerance)
    move = _Move(last=enough, renew=rate > _SERVES and not enough)
    return engine.announce("train.move", move, _Move)


def _worth_renewing(training: Training, norm: float, rate: float) -> bool:
    """Whether a new curvature costs less than the steps that it saves.

    With it the gradient shrinks at about the square of the present rate, or as well as the sample allows.
    """
    if rate > _KEEP:
        return True
    settings, staircase = training.settings, training.staircase
    every = sample_step(settings.rows, training.engine.sample_least)
    sampled = math.sqrt(settings.columns * every / settings.rows) if every > 1 else 0.0
    wanted = math.log(settings.tolerance / norm)
    saved = wanted / math.log(rate) - wanted / math.log(max(rate * rate, sampled))
    if training.engine.renewal_price is not None:
        return saved > training.engine.renewal_price
    step = 6 + 2 * staircase.harmonics
    curvature = 2 * settings.columns + settings.asker_columns + 3 + 2 * staircase.rough
    return saved * step * every > curvature


def _prepare(engine: Engine, settings: LogisticSettings, block: OwnerBlock | None) -> Training:
    """Whiten, hide both blocks, and share the matrix of the gradient's linear part."""
    scales = Scales(row_bits(settings.rows))
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
    rate, staircase = _agree_rate(engine, block)
    asker = engine.hide("asker", (settings.asker_columns + 1, settings.rows), words)
    provider = engine.hide("provider", (settings.provider_columns, settings.rows), words)
    ridge = _ridge(settings, whitened)
    # Whitening with a penalty leaves each own block short of the unit matrix by a multiple of the penalty.
    gram = _gram(engine, settings, asker, provider, bits=scales.block)
    gram = gram - ridge.scaled(RIDGE_SHARE)
    return Training(
        settings=settings,
        engine=engine,
        scales=scales,
        whitened=whitened,
        asker=asker,
        provider=provider,
        staircase=staircase,
        rate=rate,
        gram=gram,
        linear=_linear(engine, staircase, gram, ridge),
        ridge=ridge,
        weights=zeros(settings.columns, owner=engine.is_owner),
        gradient_norms=[],
    )


def _linear(engine: Engine, staircase: Staircase, gram: Shared, ridge: Shared) -> Shared:
    line = round(staircase.line * 2.0**LINE_BITS)
    return engine.truncate(gram.scaled(line), LINE_BITS) + ridge


def _gram(
    engine: Engine, settings: LogisticSettings, asker: Hidden, provider: Hidden, *, bits: int
) -> Shared:
    """Shared ``Xᵀ X / 2^L``: the unit matrix in each block, the cross-correlation between them."""
    shape = (settings.asker_columns + 1, settings.rows)
    # Scaled up, so that a sum (below 1) fills the ring and nothing of the block is rounded off.
    lift = _GRADIENT_BITS - 2 * bits - row_bits(settings.rows)
    cross = engine.transpose_times(provider, engine.own("asker", shape, asker.words).scaled(1 << lift))
    cross = engine.truncate(cross, _GRADIENT_BITS - MATRIX_BITS)
    top = join(zeros(shape[0], shape[0], owner=engine.is_owner), cross).transposed()
    size = settings.provider_columns
    bottom = join(cross.transposed(), zeros(size, size, owner=engine.is_owner)).transposed()
    own = np.eye(settings.columns)
    own[0, 0] = settings.rows / 2.0 ** row_bits(settings.rows) * intercept_value(settings.rows, bits) ** 2
    return engine.add_public(join(top, bottom), encode(own, MATRIX_BITS))


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


def _agree_rate(engine: Engine, block: OwnerBlock | None) -> tuple[float, Staircase]:
    """The asker tells the event rate to the provider, and whether it is small to the helper."""
    party = engine.party
    party.record("event rate, two digits", 1, ("provider",), "scale of the first step")
    rate = 0.5
    if not party.is_owner:
        pass
    elif block is not None and block.label is not None:
        rate = float(f"{block.label.mean():.2g}")
        party.peer.send("train.rate", rate)
    else:
        rate, _ = party.peer.recv("train.rate", float)
        if not 0 < rate < 1:
            raise ProtocolError("{peer} sent an event rate outside 0 to 1", peer=party.peer.peer)
    rare = engine.announce(
        "train.rare",
        _is_rare(rate) if party.is_owner else None,
        bool,
        what="whether events are rare",
        reason="window of the logistic function",
    )
    return rate, WIDE if rare else NARROW


def _is_rare(rate: float) -> bool:
    return min(rate, 1 - rate) < RARE


def _first_step(training: Training, gradient: Shared) -> Shared:
    """Newton's step from the model with an intercept only.

    Its curvature is the Gram matrix, of eigenvalues up to 2, times the label's variance, plus the penalty, of
    eigenvalues up to a quarter. The variance is rounded up to a power of two, so that dividing is a shift.
    """
    engine, variance = training.engine, max(training.rate * (1 - training.rate), _VARIANCE_MIN)
    shift = math.floor(-math.log2(2 * variance + (0.25 if training.settings.l2 else 0.0)))
    factor = round(variance * 2.0 ** (shift + _FACTOR_BITS))
    gram = engine.truncate(training.gram.scaled(factor), _FACTOR_BITS)
    inverse = invert(engine, gram + training.ridge.scaled(1 << shift), doublings=_FIRST_DOUBLINGS)
    training.start = inverse.scaled(1 << shift)
    return _newton_step(engine, training.start, gradient)


def _first_weights(training: Training, block: OwnerBlock | None) -> Shared:
    """The model with an intercept only, held by the asker."""
    words = np.zeros(training.settings.columns, dtype=np.uint64)
    if block is not None and block.label is not None and training.whitened is not None:
        rate = block.label.mean()
        words[:1] = encode(np.array([math.log(rate / (1 - rate)) / training.whitened.scale]), WEIGHT_BITS)
    return training.engine.own("asker", (training.settings.columns,), words)


def _first_gradient(training: Training, block: OwnerBlock | None) -> Shared:
    """The gradient of the model with an intercept only: its residuals are the asker's own."""
    words = None
    if block is not None and block.label is not None:
        words = encode(block.label.mean() - block.label, training.scales.residual)
    residuals = training.engine.own("asker", (training.settings.rows,), words)
    return _drop_rows(training, residuals, None)


def _masked_logits(training: Training) -> Angles:
    """The logits at the current weights, opened under masks."""
    engine = training.engine
    weights = training.weights.scaled(
        1 << (training.staircase.logit_bits - training.scales.block - WEIGHT_BITS)
    )
    return mask_angles(engine, engine.times_both(training.asker, training.provider, weights))


def _gradient(training: Training, angles: Angles, block: OwnerBlock | None, *, harmonics: int) -> Shared:
    """Shared gradient of the mean loss at the current weights, with `WEIGHT_BITS`."""
    engine, settings, bits = training.engine, training.settings, training.scales.residual
    series = training.staircase.sigmoid.first(harmonics)
    residuals = angles.sum(series, dealt_bits=training.scales.dealt, bits=bits)
    if block is not None and block.label is not None:
        residuals = engine.add_public(residuals, encode(0.5 - block.label, bits))
    linear = engine.matmul(training.linear, training.weights.reshaped(settings.columns, 1))
    return _drop_rows(training, residuals, linear.reshaped(settings.columns))


def _drop_rows(training: Training, residuals: Shared, linear: Shared | None) -> Shared:
    """``Xᵀ residuals / 2^L`` plus the linear part, truncated once."""
    engine = training.engine
    total = engine.transposes_times(training.asker, training.provider, residuals)
    if linear is not None:
        total = total + linear.scaled(1 << (_GRADIENT_BITS - MATRIX_BITS - WEIGHT_BITS))
    return engine.truncate(total, _GRADIENT_BITS - WEIGHT_BITS)


def _norm_and_step(
    engine: Engine, inverse: Shared | None, gradient: Shared
) -> tuple[float | None, Shared | None]:
    """Open the length of the gradient to the owners, and make the step to it in the same product.

    Returns:
        The length, ``None`` at the helper; the step, ``None`` without an inverse curvature.
    """
    size = gradient.shape[0]
    row = gradient.reshaped(1, size)
    product = engine.matmul(row if inverse is None else join(inverse, row), gradient.reshaped(size, 1))
    rows = product.shape[0]
    opened = engine.open(
        product.part(rows - 1, rows),
        what="squared length of the gradient",
        receivers=("asker", "provider"),
        reason="when to stop",
    )
    norm = None if opened is None else math.sqrt(max(float(decode(opened, 2 * WEIGHT_BITS)[0, 0]), 0.0))
    if inverse is None:
        return norm, None
    return norm, engine.truncate(product.part(0, size).reshaped(size), INVERSE_BITS).scaled(-1)


def _newton_step(engine: Engine, inverse: Shared, gradient: Shared) -> Shared:
    size = gradient.shape[0]
    return engine.matmul(inverse, gradient.reshaped(size, 1), drop=INVERSE_BITS).reshaped(size).scaled(-1)


def _training_inverse(training: Training, angles: Angles) -> Shared:
    """Inverse curvature that is good enough for a step: from a sample of the rows if there are many."""
    curvature = Curvature(
        training.engine, training.scales, training.asker, training.provider, training.staircase, angles
    )
    matrix = curvature.sampled() + training.ridge
    if training.start is None:
        raise ValueError("a training begins with its first step")
    # The first curvature is that of the variance v of the label; no slope is above a quarter.
    variance = max(training.rate * (1 - training.rate), _VARIANCE_MIN)
    factor = round(min(1.0, _MOST_EIGENVALUE * variance / _MOST_SLOPE) * 2.0**_FACTOR_BITS)
    guess = training.engine.truncate(training.start.scaled(factor), _FACTOR_BITS)
    # Where events are rare the curvature is small in every direction.
    doublings = _DOUBLINGS if training.staircase is NARROW else _RARE_DOUBLINGS
    return refine(training.engine, matrix, guess, doublings=doublings)


def open_weights(training: Training, card: CardOpening) -> OwnerFit | None:
    """Open the weights as the grant says: to nobody, or to each owner its own."""
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
    gone = _dropped_places(training)
    # What rounding left on a dropped variable (below 1e-5) goes from the intercept too.
    intercept += float(whitened.means[gone] @ coefficients[gone])
    coefficients[gone] = 0.0
    return OwnerFit(intercept, coefficients)


def _dropped_places(training: Training) -> list[int]:
    """Places of this owner's dropped variables."""
    return [drop.place for drop in training.dropped if drop.role == training.engine.party.role]


def _owner_parts(settings: LogisticSettings) -> list[tuple[Role, int, int]]:
    """Where each owner's weights stand."""
    split = settings.asker_columns + 1
    return [("asker", 0, split), ("provider", split, settings.columns)]


def coefficient_errors(training: Training) -> Reals | None:
    """Standard errors of an owner's own coefficients, ``(d,)``; ``None`` at the helper.

    The curvature of all rows at the final weights is inverted under sharing; each owner receives the block of
    the inverse that belongs to its own weights.

    Raises:
        DataError: columns of the two owners determine each other.
    """
    engine, settings, whitened = training.engine, training.settings, training.whitened
    angles = _masked_logits(training)
    curvature = Curvature(
        engine, training.scales, training.asker, training.provider, training.staircase, angles
    )
    matrix = curvature.full() + training.ridge
    inverse = invert(engine, matrix.scaled(1 << _CURVATURE_SHIFT), doublings=MAX_DOUBLINGS)
    for drop in training.dropped:
        inverse, _ = _constrained(training, inverse, drop)
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
    if float(np.diag(mine).max()) * SMALLEST_CURVATURE > 2.0**-_CURVATURE_SHIFT:
        raise undefined_weights()
    covariance = whitened.covariance(mine) / 2.0 ** (training.scales.row_bits - _CURVATURE_SHIFT)
    variances = np.diag(covariance).copy()
    variances[_dropped_places(training)] = 0.0
    errors: Reals = np.sqrt(variances)
    return errors
