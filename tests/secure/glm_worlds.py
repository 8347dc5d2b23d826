"""Small insurance portfolios whose columns two owners share."""

from typing import Any

import numpy as np

from tongzhou.secure.glm_settings import GlmBlock, GlmSettings

ROWS = 3000
COLUMNS = (3, 4)


def settings(family: Any, rows: int = ROWS) -> GlmSettings:
    return GlmSettings(family, rows, *COLUMNS)


def insured(family: str, rows: int = ROWS, *, seed: int = 1) -> tuple[GlmBlock, GlmBlock]:
    """Correlated numbers; counts on exposures, or mean amounts of one to three claims."""
    source = np.random.default_rng(seed)
    size = sum(COLUMNS)
    values = source.normal(size=(rows, size)) * 0.8 + source.normal(size=(rows, 1)) * 0.5
    effects = values @ np.random.default_rng(2).uniform(-0.3, 0.3, size)
    if family == "poisson":
        exposure = source.uniform(0.05, 1, rows)
        outcome = source.poisson(exposure * np.exp(effects - 1)).astype(float)
    else:
        exposure = source.integers(1, 4, rows).astype(float)
        outcome = np.exp(effects + 7) * source.gamma(0.8 * exposure, 1 / (0.8 * exposure))
    names = [f"column_{place}" for place in range(size)]
    split = COLUMNS[0]
    return (
        GlmBlock(values[:, :split], names[:split], outcome, exposure),
        GlmBlock(values[:, split:], names[split:]),
    )


def coefficients(outcome: Any) -> np.ndarray:
    """The intercept, then the asker's and the provider's coefficients."""
    mine, theirs = outcome.asker.fit, outcome.provider.fit
    return np.concatenate([[mine.intercept + theirs.intercept], mine.coefficients, theirs.coefficients])
