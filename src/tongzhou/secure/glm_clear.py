"""Poisson and Gamma regression in float64, in one process: the reference that the protected modes must equal.

Statement
    Parties: one process that holds both owners' data.
    Who learns what: that process learns everything. Nothing is protected.
    For: tests, teaching and baselines.
"""

from dataclasses import dataclass

import numpy as np

from tongzhou.secure.curvature import Scales
from tongzhou.secure.glm import LARGEST_INVERSE, WINDOW
from tongzhou.secure.glm_settings import GlmBlock, GlmSettings, Loss, check_block, loss_of
from tongzhou.secure.logistic import WEIGHT_BITS, OwnerFit
from tongzhou.secure.refusals import beyond_exponential, not_fitted, undefined_coefficients
from tongzhou.secure.ring import Reals, encode
from tongzhou.secure.scoring import ScoringKey
from tongzhou.secure.whitening import row_bits, whiten, whitened_rows

__all__ = ["ClearGlm", "ClearGlmPart", "fit_glm_clear"]

_HALVINGS = 30


@dataclass(frozen=True)
class ClearGlmPart:
    """One owner's part: its coefficients, their standard errors ``(d,)``, and what it scores with."""

    fit: OwnerFit
    errors: Reals
    key: ScoringKey


@dataclass(frozen=True)
class ClearGlm:
    """A model fitted in the clear: both parts, the dispersion, and the lengths of the gradient."""

    asker: ClearGlmPart
    provider: ClearGlmPart
    dispersion: float
    norms: list[float]


def fit_glm_clear(settings: GlmSettings, asker: GlmBlock, provider: GlmBlock) -> ClearGlm:
    """Fit by Newton's iteration with halved steps.

    Raises:
        DataError: as `tongzhou.secure.glm.fit_glm`.
    """
    check_block(settings, "asker", asker)
    check_block(settings, "provider", provider)
    loss, bits = loss_of(settings, asker), row_bits(settings.rows)
    blocks = [
        whiten(block.values, block.names, bits=Scales(bits).block, intercept=block is asker)
        for block in (asker, provider)
    ]
    rows = [
        whitened_rows(block, given.values) for block, given in zip(blocks, (asker, provider), strict=True)
    ]
    weights, norms = _newton(np.vstack(rows), loss, settings)
    _check_window(weights, rows)
    slopes = loss.p * np.exp(weights @ np.vstack(rows))
    fisher = slopes if settings.family == "poisson" else loss.q
    inverse = _inverse((np.vstack(rows) * fisher) @ np.vstack(rows).T / 2.0**bits)
    pearson = loss.mean * float(np.sum((slopes - loss.q) ** 2 / np.where(loss.q > 0, loss.q, 1.0)))
    dispersion = 1.0 if settings.family == "poisson" else pearson / (settings.rows - settings.columns)
    total = weights.copy()
    total[0] += loss.centre / blocks[0].scale
    words = encode(settings.sign * total, WEIGHT_BITS)
    parts = []
    split = settings.asker_columns + 1
    for block, own, share in zip(
        blocks, (slice(split), slice(split, None)), (words, np.zeros_like(words)), strict=True
    ):
        intercept, coefficients = block.coefficients(total[own])
        variances = np.diag(block.covariance(inverse[own, own])) * dispersion / (loss.mean * 2.0**bits)
        fit = OwnerFit(settings.sign * intercept, settings.sign * coefficients)
        parts.append(ClearGlmPart(fit, np.sqrt(variances), ScoringKey(block.without_rows(), share)))
    return ClearGlm(parts[0], parts[1], dispersion, norms)


def _newton(rows: Reals, loss: Loss, settings: GlmSettings) -> tuple[Reals, list[float]]:
    """Weights, and the lengths of the gradient."""
    count = 2.0 ** row_bits(settings.rows)
    tolerance = settings.tolerance * 2.0 ** (loss.headroom - 2)
    weights, norms = np.zeros(len(rows)), []
    for _ in range(settings.max_steps):
        slopes = loss.p * np.exp(weights @ rows)
        gradient = rows @ (slopes - loss.q) / count
        norms.append(float(np.linalg.norm(gradient)))
        step = _inverse((rows * slopes) @ rows.T / count) @ gradient
        if norms[-1] <= tolerance:
            # One step more costs nothing here, and leaves rounding alone.
            return weights - step, norms
        weights = _shortened(weights, step, rows, loss)
    raise not_fitted(settings.max_steps, norms[-1], tolerance)


def _shortened(weights: Reals, step: Reals, rows: Reals, loss: Loss) -> Reals:
    """A step, halved until the loss falls."""
    before = _value(weights, rows, loss)
    for _ in range(_HALVINGS):
        if _value(weights - step, rows, loss) <= before:
            break
        step = step / 2
    return weights - step


def _value(weights: Reals, rows: Reals, loss: Loss) -> float:
    predictors = weights @ rows
    with np.errstate(over="ignore"):
        return float(np.sum(loss.p * np.exp(predictors) - loss.q * predictors))


def _inverse(curvature: Reals) -> Reals:
    """The inverse, refused where the protected modes cannot compute it either."""
    if float(np.linalg.eigvalsh(curvature)[0]) * LARGEST_INVERSE < float(np.linalg.norm(curvature)):
        raise undefined_coefficients()
    return np.asarray(np.linalg.inv(curvature), dtype=np.float64)


def _check_window(weights: Reals, rows: list[Reals]) -> None:
    split = len(rows[0])
    reach = float(np.abs(weights[:split] @ rows[0]).max() + np.abs(weights[split:] @ rows[1]).max())
    if not reach < WINDOW:
        raise beyond_exponential(reach, WINDOW)
