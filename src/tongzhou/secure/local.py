"""The same joint jobs in one process, in the clear: the reference that every protected mode must equal.

Statement
    Parties: one process that holds both owners' data.
    Who learns what: that process learns everything. Nothing is protected.
    For: tests, teaching and baselines.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError
from tongzhou.secure.counting import BinCounts, CountOpening, refuse_small
from tongzhou.secure.logistic import LogisticSettings, OwnerBlock, OwnerFit
from tongzhou.secure.matching import MatchSettings, Places
from tongzhou.secure.ring import Reals

__all__ = ["ClearFit", "count_events_clear", "fit_logistic_clear", "match_clear", "score_clear"]


@dataclass(frozen=True)
class ClearFit:
    """Both owners' parts of a model fitted in the clear, and their standard errors."""

    asker: OwnerFit
    provider: OwnerFit
    asker_errors: Reals
    provider_errors: Reals
    steps: int


def match_clear(
    settings: MatchSettings, asker: Sequence[str], provider: Sequence[str]
) -> tuple[Places, Places]:
    """Places of common identifiers in both lists, in one order."""
    where = {identifier: place for place, identifier in enumerate(provider)}
    pairs = [(place, where[identifier]) for place, identifier in enumerate(asker) if identifier in where]
    if len(pairs) < max(settings.minimum_rows, 1):
        raise DataError(
            "fewer than {minimum} identifiers are common, so no match is told; check that both sides "
            "normalise the same identifier, or lower match.minimum_rows within the grant",
            minimum=max(settings.minimum_rows, 1),
        )
    own, other = zip(*pairs, strict=True)
    return np.array(own, dtype=np.int64), np.array(other, dtype=np.int64)


def count_events_clear(
    bins: Sequence[int],
    codes: Sequence[NDArray[np.int16]],
    label: NDArray[np.int8],
    *,
    minimum_rows: int = 1,
    receivers: CountOpening = "provider",
) -> tuple[list[BinCounts], list[BinCounts]]:
    """Rows and events of each bin, as the asker and as the provider see them."""
    asker, provider = [], []
    for variable, (size, code) in enumerate(zip(bins, codes, strict=True)):
        totals = np.bincount(code, minlength=size).astype(np.int64)
        refuse_small(variable, totals, minimum_rows)
        events = np.bincount(code[label == 1], minlength=size).astype(np.int64)
        provider.append(BinCounts(totals, events))
        asker.append(BinCounts(totals, events if receivers == "both" else None))
    return asker, provider


def fit_logistic_clear(settings: LogisticSettings, asker: OwnerBlock, provider: OwnerBlock) -> ClearFit:
    """Newton's iteration in float64 on both blocks together."""
    if asker.label is None:
        raise DataError("the asker needs a label to train")
    rows = settings.rows
    values = np.hstack([asker.values, provider.values])
    means = values.mean(axis=0)
    block = np.hstack([np.ones((rows, 1)), values - means])
    ridge = np.eye(block.shape[1]) * settings.l2
    ridge[0, 0] = 0.0
    weights, curvature, steps = _newton(block, asker.label, ridge, settings)
    errors = np.sqrt(np.diag(np.linalg.inv(curvature)) / rows)
    split = 1 + settings.asker_columns
    betas = weights[1:]
    first = OwnerFit(float(weights[0] - means[: split - 1] @ betas[: split - 1]), betas[: split - 1])
    second = OwnerFit(float(-means[split - 1 :] @ betas[split - 1 :]), betas[split - 1 :])
    return ClearFit(first, second, errors[1:split], errors[split:], steps)


def score_clear(asker: OwnerFit, provider: OwnerFit, asker_values: Reals, provider_values: Reals) -> Reals:
    """Total logits of new rows."""
    return (
        asker.intercept
        + provider.intercept
        + asker_values @ asker.coefficients
        + provider_values @ provider.coefficients
    )


def _newton(block: Reals, label: Reals, ridge: Reals, settings: LogisticSettings) -> tuple[Reals, Reals, int]:
    rows = block.shape[0]
    weights = np.zeros(block.shape[1])
    rate = float(label.mean())
    if not 0 < rate < 1:
        raise DataError("the label of the training rows is all one class; both 0 and 1 are needed")
    weights[0] = np.log(rate / (1 - rate))
    for step in range(settings.max_steps):
        chance = 1 / (1 + np.exp(-block @ weights))
        gradient = block.T @ (chance - label) / rows + ridge @ weights
        curvature = (block * (chance * (1 - chance))[:, np.newaxis]).T @ block / rows + ridge
        if np.linalg.norm(gradient) <= settings.tolerance:
            return weights, curvature, step
        weights = weights - np.linalg.solve(curvature, gradient)
    raise DataError(
        "the training did not converge in {steps} steps: the gradient is {got:.2g} long, {allowed:.2g} was "
        "asked; a column may separate the classes: set train.l2, for example to 0.0001",
        steps=settings.max_steps,
        got=float(np.linalg.norm(gradient)),
        allowed=settings.tolerance,
    )
