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

from tongzhou.secure.counting import BinCounts, CountOpening, refuse_small
from tongzhou.secure.logistic import (
    SMALLEST_CURVATURE,
    WEIGHT_BITS,
    LogisticSettings,
    OwnerBlock,
    OwnerFit,
    row_block_bits,
)
from tongzhou.secure.match_rules import MatchSettings, Places
from tongzhou.secure.party import OWNERS
from tongzhou.secure.refusals import no_label, not_converged, one_class, too_few_common, undefined_weights
from tongzhou.secure.ring import Reals, Words, decode, encode
from tongzhou.secure.scoring import ScoringKey
from tongzhou.secure.stepwise import Drop
from tongzhou.secure.whitening import Whitened, row_bits, whiten, whitened_rows

__all__ = [
    "ClearFit",
    "ClearPart",
    "count_events_clear",
    "fit_logistic_clear",
    "match_clear",
    "score_clear",
]


@dataclass(frozen=True)
class ClearPart:
    """One owner's part of a model fitted in the clear.

    Attributes:
        fit: its part of the intercept, and its coefficients.
        errors: ``(d,)`` standard errors of its coefficients.
        key: what it scores with. The asker's holds all weights, the provider's zeros, so that they add up as
            shares do.
    """

    fit: OwnerFit
    errors: Reals
    key: ScoringKey


@dataclass(frozen=True)
class ClearFit:
    """A model fitted in the clear: both owners' parts, and the length of the gradient after each step."""

    asker: ClearPart
    provider: ClearPart
    norms: list[float]


def match_clear(
    settings: MatchSettings, asker: Sequence[str], provider: Sequence[str]
) -> tuple[Places, Places]:
    """Places of common identifiers in both lists, in one order."""
    where = {identifier: place for place, identifier in enumerate(provider)}
    pairs = [(place, where[identifier]) for place, identifier in enumerate(asker) if identifier in where]
    if len(pairs) < max(settings.minimum_rows, 1):
        raise too_few_common(settings.minimum_rows)
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


def fit_logistic_clear(
    settings: LogisticSettings, asker: OwnerBlock, provider: OwnerBlock, dropped: Sequence[Drop] = ()
) -> ClearFit:
    """Newton's iteration in float64 on both blocks together, in the coordinates of the protected modes.

    A dropped variable stays in the blocks with a weight of zero, as it does there.

    Raises:
        DataError: as `tongzhou.secure.logistic.fit_logistic`.
    """
    if asker.label is None:
        raise no_label()
    blocks = [
        whiten(
            owner.values,
            owner.names,
            bits=row_block_bits(settings.rows),
            intercept=owner is asker,
            l2=settings.l2,
        )
        for owner in (asker, provider)
    ]
    rows = np.vstack([whitened_rows(blocks[0], asker.values), whitened_rows(blocks[1], provider.values)])
    split = blocks[0].columns
    penalty = np.zeros((len(rows), len(rows)))
    penalty[:split, :split], penalty[split:, split:] = blocks[0].ridge, blocks[1].ridge
    basis = _basis(blocks, dropped)
    free, inverse, norms = _newton(basis.T @ rows, asker.label, basis.T @ penalty @ basis, settings)
    weights, inverse = basis @ free, basis @ inverse @ basis.T
    words = encode(weights, WEIGHT_BITS)
    parts = [
        _part(block, weights[own], inverse[own, own], share, settings, gone)
        for block, own, share, gone in zip(
            blocks,
            (slice(split), slice(split, None)),
            (words, np.zeros_like(words)),
            ([drop.place for drop in dropped if drop.role == role] for role in OWNERS),
            strict=True,
        )
    ]
    return ClearFit(parts[0], parts[1], norms)


def score_clear(
    asker: ScoringKey, provider: ScoringKey, asker_values: Reals, provider_values: Reals
) -> Reals:
    """Total logits of new rows."""
    weights = decode(asker.weights + provider.weights, WEIGHT_BITS)
    split = asker.whitened.columns
    own = weights[:split] @ whitened_rows(asker.whitened, asker_values)
    total: Reals = own + weights[split:] @ whitened_rows(provider.whitened, provider_values)
    return total


def _basis(blocks: list[Whitened], dropped: Sequence[Drop]) -> Reals:
    """Orthonormal columns that span the weights under which no dropped variable counts, ``(d, d - drops)``.

    The intercept is free, so it keeps a column of its own, the first.
    """
    sizes = [block.columns for block in blocks]
    rows = np.zeros((len(dropped), sum(sizes)))
    for row, drop in zip(rows, dropped, strict=True):
        block, start = (blocks[0], 1) if drop.role == "asker" else (blocks[1], sizes[0])
        row[start : start + len(block.means)] = block.unmix[drop.place]
    _, _, right = np.linalg.svd(rows[:, 1:])
    basis = np.zeros((sum(sizes), sum(sizes) - len(dropped)))
    basis[0, 0] = 1.0
    basis[1:, 1:] = right[len(dropped) :].T
    return basis


def _part(
    block: Whitened,
    weights: Reals,
    inverse: Reals,
    share: Words,
    settings: LogisticSettings,
    gone: list[int],
) -> ClearPart:
    intercept, coefficients = block.coefficients(weights)
    covariance = block.covariance(inverse) / 2.0 ** row_bits(settings.rows)
    variances = np.diag(covariance).copy()
    coefficients[gone] = variances[gone] = 0.0
    errors = np.sqrt(variances)
    return ClearPart(OwnerFit(intercept, coefficients), errors, ScoringKey(block.without_rows(), share))


def _newton(
    rows: Reals, label: Reals, penalty: Reals, settings: LogisticSettings
) -> tuple[Reals, Reals, list[float]]:
    """Weights, the inverse of the curvature there, and the lengths of the gradients."""
    count = 2.0 ** row_bits(settings.rows)
    rate = float(label.mean())
    if not 0 < rate < 1:
        raise one_class()
    weights = np.zeros(len(rows))
    weights[0] = np.log(rate / (1 - rate)) / rows[0, 0]
    norms: list[float] = []
    for _ in range(settings.max_steps):
        chance = 0.5 * (1 + np.tanh(weights @ rows / 2))
        gradient = rows @ (chance - label) / count + penalty @ weights
        curvature = (rows * (chance * (1 - chance))) @ rows.T / count + penalty
        inverse = _inverse(curvature)
        norms.append(float(np.linalg.norm(gradient)))
        if norms[-1] <= settings.tolerance:
            return weights, inverse, norms
        weights = weights - inverse @ gradient
    raise not_converged(settings.max_steps, norms[-1], settings.tolerance)


def _inverse(curvature: Reals) -> Reals:
    """The inverse, refused where the protected modes cannot compute it either."""
    if float(np.linalg.eigvalsh(curvature)[0]) < SMALLEST_CURVATURE:
        raise undefined_weights()
    return np.asarray(np.linalg.inv(curvature), dtype=np.float64)
