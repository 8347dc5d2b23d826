"""Poisson and Gamma regression, and expected counts or amounts of new rows, as joint jobs."""

from dataclasses import dataclass

import numpy as np

from tongzhou.secure.glm import fit_glm, glm_errors, open_glm, scaled_weights
from tongzhou.secure.glm_clear import ClearGlmPart, fit_glm_clear
from tongzhou.secure.glm_settings import GlmBlock, GlmSettings
from tongzhou.secure.local import score_clear
from tongzhou.secure.logistic import OwnerFit, row_block_bits
from tongzhou.secure.ring import Reals
from tongzhou.secure.scoring import ScoreShape, ScoringKey, score_rows
from tongzhou.secure.tasks import ScoreInput, Seat

__all__ = ["GlmResult", "GlmScoreTask", "GlmTask"]


@dataclass(frozen=True)
class GlmResult:
    """What an owner holds after training.

    Attributes:
        fit: its part of the model: linear predictors are logarithms of the rate or mean.
        errors: ``(d,)`` standard errors of its own coefficients, if asked for.
        dispersion: 1 for Poisson, Pearson's estimate for Gamma; if errors are asked for.
        key: what it needs to score later.
        gradient_norms: length of the gradient before the first step and after each.
    """

    fit: OwnerFit
    errors: Reals | None
    dispersion: float | None
    key: ScoringKey
    gradient_norms: list[float]


@dataclass(frozen=True)
class GlmTask:
    """Joint Poisson or Gamma regression with the logarithm as link; see `tongzhou.secure.glm`.

    Attributes:
        settings: what all parties agree on.
        errors: whether standard errors (and the dispersion of a Gamma regression) are computed.
    """

    settings: GlmSettings
    errors: bool = True

    def run(self, seat: Seat, own: GlmBlock | None) -> GlmResult | None:
        """Train and open to each owner its own coefficients; ``None`` at the helper."""
        if seat.mode == "local":
            return seat.meet(own, self.clear)
        training = fit_glm(seat.helped_engine("glm"), self.settings, own)
        fit = open_glm(training, own)
        errors, dispersion = glm_errors(training) if self.errors else (None, None)
        share = scaled_weights(training).share
        if fit is None or training.whitened is None or share is None:
            return None
        key = ScoringKey(training.whitened.without_rows(), share)
        return GlmResult(fit, errors, dispersion, key, training.gradient_norms)

    def clear(self, asker: GlmBlock, provider: GlmBlock) -> tuple[GlmResult, GlmResult]:
        """The same model in float64."""
        found = fit_glm_clear(self.settings, asker, provider)

        def kept(part: ClearGlmPart) -> GlmResult:
            errors, dispersion = (part.errors, found.dispersion) if self.errors else (None, None)
            return GlmResult(part.fit, errors, dispersion, part.key, found.norms)

        return kept(found.asker), kept(found.provider)


@dataclass(frozen=True)
class GlmScoreTask:
    """Expected rates or amounts of new rows, for the asker; see `tongzhou.secure.scoring`.

    The linear predictor is opened to the asker, which takes the exponential by itself. A rate is that of one
    unit of exposure and an offset of zero: the asker multiplies by its own exposure.

    Attributes:
        rows: number of new rows.
        asker_columns: variables of the asker, without the intercept.
        provider_columns: variables of the provider.
        training_rows: rows of the training.
    """

    rows: int
    asker_columns: int
    provider_columns: int
    training_rows: int

    def run(self, seat: Seat, own: ScoreInput | None) -> Reals | None:
        """Rates or amounts ``(m,)`` at the asker, ``None`` elsewhere."""
        if seat.mode == "local":
            return seat.meet(own, self.clear)
        engine, bits = seat.helped_engine("glm_score"), row_block_bits(self.training_rows)
        shape = ScoreShape(self.rows, self.asker_columns, self.provider_columns, bits)
        key, values = (None, None) if own is None else (own.key, own.values)
        predictors = score_rows(engine, shape, key, values)
        return None if predictors is None else np.exp(predictors)

    def clear(self, asker: ScoreInput, provider: ScoreInput) -> tuple[Reals, None]:
        """The same in float64."""
        return np.exp(score_clear(asker.key, provider.key, asker.values, provider.values)), None
