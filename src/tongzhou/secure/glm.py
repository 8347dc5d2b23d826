"""Joint Poisson and Gamma regression of two owners with a helper, with the logarithm as link.

Statement
    Parties: asker (its own columns, outcome, exposure and offset), provider (its own columns), helper.
    Who learns what: both owners learn the number of rows and columns; the mean count (or weight) a row
    rounded to two digits; the size of residuals as a power of two; the length of the gradient after each
    step; the size (Frobenius norm) of each curvature matrix; how far the other's part of a linear predictor
    reaches, rounded up to two digits; with standard errors of a Gamma regression the dispersion. At the end
    each owner learns its own weights and, if asked for, their covariance. The helper learns the shapes, the
    family, the size of residuals and of curvatures as powers of two, and which kind of step was made.
    Assumption: as `tongzhou.secure.aided`.
    Cost: with n rows and d columns (d_a the asker's, the intercept included; d_p the provider's): once
    8 n (d + 3) bytes; an evaluation 112 n bytes; a curvature matrix 8 m (2 d + d_a + 6) bytes on its m rows,
    and 1 + 2 doublings rounds for its inverse.
    Method: Newton's iteration for ``Σ p exp(η) - q η`` (see `glm_settings`) with a curvature matrix that is
    kept while it serves. The first is that of the model without variables, whose slopes p (Poisson), or q
    (Gamma: Fisher's matrix, the same everywhere), are the asker's own numbers. McCullagh and
    Nelder, Generalized Linear Models (1989), chapters 2, 6 and 8; see `exponent` for the exponential.

Fixed point. With L = ceil(log2 n) columns have length 2^(L/2) and the fractional bits of `curvature.Scales`.
Residuals have a mean square below 2^(2h), so that with 61 - L - h less the block's fractional bits a gradient
sum stays below 2^61 by Cauchy and Schwarz. The exponential is cut to 12 bits less before it meets p, which
has 12 bits; what rounding took from p is an offset of the linear predictor, so that nothing of p is lost.
Rows with p below 2^-13 of the mean count as zero.
"""

import math
from dataclasses import dataclass, field

import msgspec
import numpy as np

from tongzhou.errors import ProtocolError
from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.curvature import Scales
from tongzhou.secure.engine import Hidden
from tongzhou.secure.exponent import EXPONENT_BITS, REACH, RESULT_BITS, exponential
from tongzhou.secure.glm_settings import (
    MOST_HEADROOM,
    GlmBlock,
    GlmSettings,
    Loss,
    check_block,
    loss_of,
)
from tongzhou.secure.linear import INVERSE_BITS, MATRIX_BITS, MAX_DOUBLINGS, invert
from tongzhou.secure.logistic import WEIGHT_BITS, OwnerFit
from tongzhou.secure.party import OWNERS, Role
from tongzhou.secure.refusals import beyond_exponential, not_fitted, undefined_coefficients
from tongzhou.secure.ring import Reals, decode, encode
from tongzhou.secure.shared import Shared, join, zeros
from tongzhou.secure.whitening import Whitened, row_bits, whiten

__all__ = [
    "LARGEST_INVERSE",
    "WINDOW",
    "Gauge",
    "GlmTraining",
    "fit_glm",
    "glm_errors",
    "open_glm",
    "scaled_weights",
]

_PRICE_BITS = 12
_LOST = 0.7
"""The rounding of p moves a linear predictor by less than this."""
WINDOW = REACH - _LOST
"""How far a linear predictor may be from that of the model without variables."""

_CURVATURE_BITS = 55
"""A curvature has entries below 2^7: the mean slope is 1, and no level has 128 times as much for its size."""
_SIZE_BITS = 22
_KEEP = 0.15
"""A step must shorten the gradient by this factor, or the curvature is renewed."""
_BACK = 1.5
"""A step that lengthens the gradient by this factor goes half back."""
_DOUBLINGS = 9
LARGEST_INVERSE = 2.0 ** (MAX_DOUBLINGS - 3)
"""Of the matrix over its size; beyond it a direction is out of reach of the doublings."""
_PIECE_ROWS = 1 << 16
_SAMPLE_SHARE, _SAMPLE_LEAST, _SAMPLE_MOST = 8, 1 << 13, 1 << 16
_SHARE_BITS = 10
_PEARSON_BITS = 14
_NEGATIVE = -1e-6


@dataclass(frozen=True)
class Gauge:
    """Fractional bits of what runs over n rows, ``2^row_bits ≥ n``, residuals below ``2^headroom``."""

    row_bits: int
    headroom: int

    @property
    def block(self) -> int:
        """Of the whitened blocks."""
        return Scales(self.row_bits).block

    @property
    def residual(self) -> int:
        """Of residuals and slopes."""
        return 61 - self.row_bits - self.block - self.headroom

    @property
    def exponential(self) -> int:
        """Of the exponential."""
        return self.residual - _PRICE_BITS

    @property
    def gradient(self) -> int:
        """Of the gradient."""
        return 28 - self.headroom

    def slope(self, row_bits: int) -> int:
        """Of slopes when 2^row_bits rows are summed in a curvature."""
        return min(_CURVATURE_BITS - row_bits - 2 * self.block, self.residual)


class _Scale(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the asker tells of its outcome: the mean to the provider (1 to the helper), and the headroom."""

    mean: float
    headroom: int


class _Move(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the owners do next; they decide it alike, and the asker tells the helper.

    Attributes:
        step: whether a step is made at all.
        back: whether it goes half the last step back.
        renew: whether the curvature is computed anew before it.
        last: whether the training ends with it.
    """

    step: bool = True
    back: bool = False
    renew: bool = False
    last: bool = False


@dataclass(frozen=True)
class _Inverse:
    """Inverse curvature: shared ``(d, d)`` with `INVERSE_BITS`, times ``2^-shift``."""

    matrix: Shared
    shift: int


@dataclass
class GlmTraining:
    """A training: weights still shared.

    Attributes:
        settings: as agreed.
        engine: who computes.
        gauge: fractional bits.
        mean: the mean count or weight to two digits (1 at the helper).
        whitened: this owner's own transformation (``None`` at the helper).
        loss: the asker's loss (``None`` elsewhere).
        asker, provider: the two hidden blocks.
        prices: the asker's p, hidden, ``(1, n)``.
        weights: shared ``(d,)`` whitened weights with `WEIGHT_BITS`.
        inverse: inverse curvature of the last step.
        gradient_norms: length of the gradient before the first step and after each.
    """

    settings: GlmSettings
    engine: AidedEngine
    gauge: Gauge
    mean: float
    whitened: Whitened | None
    loss: Loss | None
    asker: Hidden
    provider: Hidden
    prices: Hidden
    weights: Shared
    inverse: _Inverse | None = None
    gradient_norms: list[float] = field(default_factory=list)

    @property
    def tolerance(self) -> float:
        """How short the gradient must be, beside the size of residuals."""
        return self.settings.tolerance * 2.0 ** (self.gauge.headroom - 2)

    @property
    def parts(self) -> list[tuple[Role, int, int]]:
        """Where each owner's weights stand."""
        split = self.settings.asker_columns + 1
        return [("asker", 0, split), ("provider", split, self.settings.columns)]


def fit_glm(engine: AidedEngine, settings: GlmSettings, block: GlmBlock | None) -> GlmTraining:
    """Train; every party calls it with the same settings, owners with their block.

    Raises:
        DataError: a column is constant or a combination of others; outcomes are not what the family takes;
            no convergence within the bound of steps.
        ProtocolError: the other party told a scale that makes no sense.
    """
    training = _prepare(engine, settings, block)
    rows, loss = settings.rows, training.loss
    first = None if loss is None else encode(loss.p - loss.q, training.gauge.residual)
    gradient = _gradient_of(training, engine.own("asker", (rows,), first))
    norm = _norm(training, gradient)
    if norm is not None:
        training.gradient_norms.append(norm)
    training.inverse = _first_inverse(training, every=_every(rows), doublings=_DOUBLINGS)
    step = _step(training, gradient)
    training.weights = training.weights + step
    _iterate(training, step)
    return training


def _prepare(engine: AidedEngine, settings: GlmSettings, block: GlmBlock | None) -> GlmTraining:
    """Look at the own numbers, agree scales, hide the blocks and the asker's p."""
    role, loss, whitened = engine.party.role, None, None
    if block is not None:
        check_block(settings, role, block)
        loss = loss_of(settings, block) if role == "asker" else None
    scale = _agree_scale(engine, loss)
    gauge = Gauge(row_bits(settings.rows), scale.headroom)
    if block is not None:
        whitened = whiten(block.values, block.names, bits=gauge.block, intercept=role == "asker")
    words = None if whitened is None else whitened.words
    prices = None if loss is None else encode(_rounded_prices(loss.p)[np.newaxis], 0)
    return GlmTraining(
        settings=settings,
        engine=engine,
        gauge=gauge,
        mean=scale.mean,
        whitened=whitened,
        loss=loss,
        asker=engine.hide("asker", (settings.asker_columns + 1, settings.rows), words),
        provider=engine.hide("provider", (settings.provider_columns, settings.rows), words),
        prices=engine.hide("asker", (1, settings.rows), prices),
        weights=zeros(settings.columns, owner=engine.is_owner),
    )


def _agree_scale(engine: AidedEngine, loss: Loss | None) -> _Scale:
    party = engine.party
    party.record("mean count or weight, two digits", 1, ("provider",), "scale of standard errors")
    party.record("size of residuals, a power of two", 1, ("provider", "helper"), "number format")
    if loss is not None:
        scale = _Scale(loss.mean, loss.headroom)
        party.peer.send("glm.scale", scale)
        party.link("helper").send("glm.scale", _Scale(1.0, loss.headroom))
        return scale
    scale, _ = party.link("asker").recv("glm.scale", _Scale)
    if not (0 < scale.mean < math.inf and 0 < scale.headroom <= MOST_HEADROOM):
        raise ProtocolError("{peer} sent a scale that no outcome has", peer=party.link("asker").peer)
    return scale


def _rounded_prices(p: Reals) -> Reals:
    """The numbers p in units of 2^-12; whoever has at least half a unit keeps one."""
    units = np.rint(p * 2.0**_PRICE_BITS)
    units[p * 2.0**_PRICE_BITS >= 0.5] = np.maximum(units[p * 2.0**_PRICE_BITS >= 0.5], 1.0)
    return units


def _lost_in_rounding(p: Reals) -> Reals:
    """The logarithm of p over what it was rounded to."""
    units = _rounded_prices(p)
    ratio = np.divide(p * 2.0**_PRICE_BITS, units, out=np.ones_like(p), where=units > 0)
    return np.log(ratio)


def _iterate(training: GlmTraining, step: Shared) -> None:
    """Newton steps until the gradient is short enough; a step that lengthens it is halved."""
    engine, settings, norms = training.engine, training.settings, training.gradient_norms
    for _ in range(settings.max_steps):
        slopes = _slopes(training)
        gradient = _gradient_of(training, _residuals(training, slopes))
        move = _next_move(training, _norm(training, gradient))
        if not move.step:
            return
        if move.back:
            step = engine.truncate(step, 1)
            training.weights = training.weights - step
            continue
        if move.renew:
            training.inverse = _inverse(training, _sampled_curvature(training, slopes), _DOUBLINGS)
        step = _step(training, gradient)
        training.weights = training.weights + step
        if move.last:
            return
    raise not_fitted(settings.max_steps, norms[-1] if norms else math.inf, training.tolerance)


def _next_move(training: GlmTraining, norm: float | None) -> _Move:
    """Decide from the length of the gradient; the helper, which does not know it, is told."""
    party, norms = training.engine.party, training.gradient_norms
    if norm is None:
        move, _ = party.link("asker").recv("glm.move", _Move)
        return move
    rate = norm / norms[-1] if norms[-1] else 0.0
    if norm <= training.tolerance:
        norms.append(norm)
        move = _Move(step=False)
    elif rate > _BACK:
        norms.append(norms[-1])
        move = _Move(back=True)
    else:
        norms.append(norm)
        last = rate * norm <= training.tolerance
        move = _Move(renew=rate > _KEEP and not last, last=last)
    if party.role == "asker":
        party.link("helper").send("glm.move", move)
    return move


def _predictors(training: GlmTraining) -> Shared:
    """Linear predictors, and what the rounding of p took, ``(n,)`` with `EXPONENT_BITS`."""
    engine, split = training.engine, training.settings.asker_columns + 1
    weights = training.weights.scaled(1 << (EXPONENT_BITS - training.gauge.block - WEIGHT_BITS))
    total = engine.times(training.asker, weights.part(0, split))
    total = total + engine.times(training.provider, weights.part(split, weights.shape[0]))
    lost = None if training.loss is None else encode(_lost_in_rounding(training.loss.p), EXPONENT_BITS)
    return total + engine.own("asker", total.shape, lost)


def _powers(training: GlmTraining) -> Shared:
    """The exponential of each linear predictor, ``(n,)``."""
    found = exponential(training.engine, _predictors(training))
    return training.engine.truncate(found, RESULT_BITS - training.gauge.exponential)


def _slopes(training: GlmTraining) -> Shared:
    """``p exp(η)``, ``(n,)``."""
    return training.engine.scale_rows(training.prices, _powers(training)).reshaped(training.settings.rows)


def _residuals(training: GlmTraining, slopes: Shared) -> Shared:
    loss = training.loss
    words = None if loss is None else encode(-loss.q, training.gauge.residual)
    return slopes + training.engine.own("asker", slopes.shape, words)


def _gradient_of(training: GlmTraining, residuals: Shared) -> Shared:
    """``Xᵀ residuals / 2^L``."""
    engine, gauge = training.engine, training.gauge
    total = join(
        engine.transpose_times(training.asker, residuals),
        engine.transpose_times(training.provider, residuals),
    )
    return engine.truncate(total, 61 - gauge.headroom - gauge.gradient)


def _norm(training: GlmTraining, gradient: Shared) -> float | None:
    """Open the length of the gradient to the owners; ``None`` at the helper."""
    engine, size = training.engine, gradient.shape[0]
    opened = engine.open(
        engine.matmul(gradient.reshaped(1, size), gradient.reshaped(size, 1)),
        what="squared length of the gradient",
        receivers=OWNERS,
        reason="when to stop",
    )
    if opened is None:
        return None
    square = float(decode(opened, 2 * training.gauge.gradient)[0, 0])
    # A step beyond the window leaves nothing but noise; a negative square tells it.
    return math.sqrt(max(square, 0.0)) if square > _NEGATIVE else math.inf


def _step(training: GlmTraining, gradient: Shared) -> Shared:
    if training.inverse is None:
        raise ValueError("a step needs a curvature")
    size = gradient.shape[0]
    drop = INVERSE_BITS + training.inverse.shift + training.gauge.gradient - WEIGHT_BITS
    product = training.engine.matmul(training.inverse.matrix, gradient.reshaped(size, 1), drop=drop)
    return product.reshaped(size).scaled(-1)


# --- curvature ---------------------------------------------------------------------------------------------


def _first_inverse(training: GlmTraining, *, every: int, doublings: int) -> _Inverse:
    """Of the model without variables, whose slopes are the asker's own numbers.

    For Gamma it is Fisher's matrix, the same at any weights.
    """
    settings, loss = training.settings, training.loss
    bits = training.gauge.slope(row_bits(len(range(0, settings.rows, every))))
    own = None if loss is None else loss.p if settings.family == "poisson" else loss.q
    slopes = None if own is None else encode(own[::every], bits)
    shared = training.engine.own("asker", (len(range(0, settings.rows, every)),), slopes)
    return _inverse(training, _curvature(training, shared, every=every), doublings)


def _sampled_curvature(training: GlmTraining, slopes: Shared) -> Shared:
    """The curvature at shared slopes, from a sample of the rows if there are many."""
    return _curvature_at(training, slopes, every=_every(training.settings.rows))


def _curvature_at(training: GlmTraining, slopes: Shared, *, every: int) -> Shared:
    gauge, rows = training.gauge, training.settings.rows
    drop = gauge.residual - gauge.slope(row_bits(len(range(0, rows, every))))
    chosen = _some(slopes, slice(0, rows, every))
    if drop:
        chosen = training.engine.truncate(chosen, drop)
    return _curvature(training, chosen, every=every)


def _curvature(training: GlmTraining, slopes: Shared, *, every: int) -> Shared:
    """``Xᵀ S X / 2^L``: shared ``(d, d)`` with `MATRIX_BITS`.

    Args:
        training: whose blocks.
        slopes: of the rows that are taken.
        every: every which row is taken.
    """
    engine, gauge, rows = training.engine, training.gauge, training.settings.rows
    count = len(range(0, rows, every))
    bits = row_bits(count)
    total: Shared | None = None
    for start in range(0, count, _PIECE_ROWS):
        stop = min(start + _PIECE_ROWS, count)
        taken = slice(start * every, min(stop * every, rows), every)
        blocks = [block.some(taken) for block in (training.asker, training.provider)]
        part = _weighted_gram(engine, blocks[0], blocks[1], slopes.part(start, stop))
        total = part if total is None else total + part
    if total is None:
        raise ValueError("a curvature needs rows")
    matrix = engine.truncate(total, gauge.slope(bits) + 2 * gauge.block + bits - MATRIX_BITS)
    share = (2.0**bits / count) / (2.0**gauge.row_bits / rows)
    if share == 1.0:
        return matrix
    return engine.truncate(matrix.scaled(round(share * 2.0**_SHARE_BITS)), _SHARE_BITS)


def _weighted_gram(engine: AidedEngine, asker: Hidden, provider: Hidden, factors: Shared) -> Shared:
    """``Σ f x xᵀ`` over rows x of both blocks, with shared factors f ``(n,)``: ``(d, d)``."""
    asker_rows = engine.scale_rows(asker, factors)
    provider_rows = engine.scale_rows(provider, factors)
    cross = engine.transpose_times(provider, asker_rows)
    left = join(engine.transpose_times(asker, asker_rows), cross)
    right = join(cross.transposed(), engine.transpose_times(provider, provider_rows))
    return join(left.transposed(), right.transposed())


def _some(value: Shared, rows: slice) -> Shared:
    share = None if value.share is None else np.ascontiguousarray(value.share[rows])
    return Shared((len(range(value.shape[0])[rows]),), share)


def _every(rows: int) -> int:
    """Every which row the curvature for a step takes."""
    return max(1, rows // min(max(rows // _SAMPLE_SHARE, _SAMPLE_LEAST), _SAMPLE_MOST))


def _inverse(training: GlmTraining, matrix: Shared, doublings: int) -> _Inverse:
    """Inverse of a curvature, whose size is opened so that eigenvalues can be brought below 1."""
    engine = training.engine
    shift = _agree_shift(training, _size(engine, matrix))
    scaled = engine.truncate(matrix, shift) if shift else matrix
    return _Inverse(invert(engine, scaled, doublings=doublings), shift)


def _size(engine: AidedEngine, matrix: Shared) -> float | None:
    """Frobenius norm, at least the largest eigenvalue; ``None`` at the helper."""
    count = matrix.shape[0] * matrix.shape[1]
    short = engine.truncate(matrix, MATRIX_BITS - _SIZE_BITS)
    opened = engine.open(
        engine.matmul(short.reshaped(1, count), short.reshaped(count, 1)),
        what="squared size of the curvature",
        receivers=OWNERS,
        reason="scale of its inverse",
    )
    return None if opened is None else math.sqrt(max(float(decode(opened, 2 * _SIZE_BITS)[0, 0]), 0.0))


def _agree_shift(training: GlmTraining, size: float | None) -> int:
    """Bits by which the matrix is too large; the asker tells the helper."""
    party = training.engine.party
    party.record("size of the curvature, a power of two", 1, ("helper",), "scale of its inverse")
    if size is None:
        shift, _ = party.link("asker").recv("glm.shift", int)
        if not 0 <= shift <= _CURVATURE_BITS - MATRIX_BITS:
            raise ProtocolError("{peer} sent a scale that no outcome has", peer=party.link("asker").peer)
        return shift
    shift = max(0, math.ceil(math.log2(size))) if size > 0 else 0
    if party.role == "asker":
        party.link("helper").send("glm.shift", shift)
    return shift


# --- what is opened at the end -----------------------------------------------------------------------------


def open_glm(training: GlmTraining, block: GlmBlock | None) -> OwnerFit | None:
    """Open to each owner its own weights, and see that linear predictors are inside the window.

    Raises:
        DataError: they are not.
    """
    engine, whitened, sign = training.engine, training.whitened, training.settings.sign
    mine: Reals | None = None
    for role, start, stop in training.parts:
        opened = engine.open(
            training.weights.part(start, stop),
            what=f"weights of the {role}'s variables",
            receivers=(role,),
            reason="grant: card",
        )
        if opened is not None:
            mine = decode(opened, WEIGHT_BITS)
    engine.party.record("largest part of a score", 1, OWNERS, "range of the exponential")
    if mine is None or whitened is None or block is None:
        return None
    intercept, coefficients = whitened.coefficients(mine)
    reach = _reach(training, block.values @ coefficients + intercept)
    if not reach < WINDOW:
        raise beyond_exponential(reach, WINDOW)
    centre = 0.0 if training.loss is None else training.loss.centre
    return OwnerFit(sign * (intercept + centre), sign * coefficients)


def _reach(training: GlmTraining, parts: Reals) -> float:
    """How far both parts of a linear predictor reach together.

    Raises:
        ProtocolError: the other owner sent no reach.
    """
    party = training.engine.party
    own = float(f"{1.05 * float(np.abs(parts).max()):.2g}")
    party.peer.send("glm.reach", own)
    theirs, _ = party.peer.recv("glm.reach", float)
    if not theirs >= 0:
        raise ProtocolError("{peer} sent a reach that is not a number above zero", peer=party.peer.peer)
    return own + theirs


def scaled_weights(training: GlmTraining) -> Shared:
    """Shares of the weights for scoring: with the centre, and the family's sign."""
    loss, whitened, size = training.loss, training.whitened, training.settings.columns
    words = np.zeros(size, dtype=np.uint64)
    if loss is not None and whitened is not None:
        words[:1] = encode(np.array([loss.centre / whitened.scale]), WEIGHT_BITS)
    return (training.weights + training.engine.own("asker", (size,), words)).scaled(training.settings.sign)


def glm_errors(training: GlmTraining) -> tuple[Reals | None, float | None]:
    """Standard errors of an owner's own coefficients ``(d,)``, and the dispersion; ``None`` at the helper.

    Raises:
        DataError: columns of the two owners determine each other.
    """
    engine, settings, whitened = training.engine, training.settings, training.whitened
    inverse, dispersion = _last_inverse(training)
    mine: Reals | None = None
    for role, start, stop in training.parts:
        opened = engine.open(
            inverse.matrix.part(start, stop).transposed().part(start, stop),
            what=f"covariance of the {role}'s weights",
            receivers=(role,),
            reason="standard errors",
        )
        if opened is not None:
            mine = decode(opened, INVERSE_BITS)
    if mine is None or whitened is None or dispersion is None:
        return None, None
    if float(np.diag(mine).max()) > LARGEST_INVERSE:
        raise undefined_coefficients()
    factor = dispersion / (training.mean * 2.0 ** (row_bits(settings.rows) + inverse.shift))
    return np.sqrt(factor * np.diag(whitened.covariance(mine))), dispersion


def _last_inverse(training: GlmTraining) -> tuple[_Inverse, float | None]:
    """Inverse of Fisher's matrix of all rows at the final weights, and the dispersion."""
    settings, engine = training.settings, training.engine
    if settings.family == "poisson":
        matrix = _curvature_at(training, _slopes(training), every=1)
        return _inverse(training, matrix, MAX_DOUBLINGS), 1.0 if engine.is_owner else None
    opened = engine.open(
        _pearson(training),
        what="sum of Pearson's squares",
        receivers=OWNERS,
        reason="dispersion",
    )
    total = None if opened is None else float(decode(opened, 2 * _pearson_bits(training))[0, 0])
    inverse = _first_inverse(training, every=1, doublings=MAX_DOUBLINGS)
    if total is None:
        return inverse, None
    return inverse, training.mean * max(total, 0.0) / (settings.rows - settings.columns)


def _pearson_bits(training: GlmTraining) -> int:
    """Fractional bits of a Pearson residual, so that the sum of squares stays below 2^62."""
    return (61 - training.gauge.row_bits - 2 * training.gauge.headroom) // 2


def _pearson(training: GlmTraining) -> Shared:
    """Shared ``Σ (p exp(η) - q)² / q``, ``(1, 1)``."""
    engine, loss, rows = training.engine, training.loss, training.settings.rows
    prices = own = None
    bits = _pearson_bits(training)
    if loss is not None:
        root = np.sqrt(loss.q)
        units = _rounded_prices(loss.p) * 2.0**-_PRICE_BITS
        prices = encode((units / root)[np.newaxis], _PEARSON_BITS)
        own = encode(-root[np.newaxis], bits)
    hidden = engine.hide("asker", (1, rows), prices)
    part = engine.scale_rows(hidden, _powers(training))
    drop = training.gauge.exponential + _PEARSON_BITS - bits
    part = engine.truncate(part, drop) if drop > 0 else part.scaled(1 << -drop)
    total = part + engine.own("asker", (1, rows), own)
    return engine.matmul(total, total.reshaped(rows, 1))
