"""Gradient steps at the institutions, and averages of what they come to: fewer sums, or smaller ones.

Statement
    Parties: as `tongzhou.secure.federated_logistic`.
    Who learns what: as there, without the curvature of each step: with ``fedsgd`` the coordinator learns the
    gradient of all rows at each step, with ``fedavg`` the weights that the institutions reached, averaged by
    their rows, and never those of one. The second moments of the columns and the derivatives at the end are
    opened to the coordinator, for the rate and for the standard errors.
    Assumption: as `tongzhou.secure.aggregation`.
    Cost: with d columns, three sums for scale and rate, one of d + 2 words a round, one for the errors.
    Papers: McMahan, Moore, Ramage, Hampson and Agüera y Arcas, Communication-efficient learning of deep
    networks from decentralized data (AISTATS 2017), with all rows in each local step; Li, Huang, Yang, Wang
    and Zhang, On the convergence of FedAvg on non-IID data (ICLR 2020), for where it ends.

``fedsgd`` goes to the pooled model, slowly. ``fedavg`` gets near it in a few rounds and, where the
institutions differ, stops beside it: the average of what each would do by itself is not what all would do
together. A plan that wants the pooled model takes ``newton``, which also needs the fewest rounds here; these
methods keep the curvature closed during training, and their vectors are short.
"""

import numpy as np

from tongzhou.secure.federated_columns import Moments, Table
from tongzhou.secure.federated_logistic import (
    FederatedFit,
    FederatedLogisticSettings,
    Scaled,
    ending,
    finish,
    penalty_of,
    scale_table,
    start_weights,
    sum_derivatives,
    tell_weights,
)
from tongzhou.secure.ring import Reals, Words, decode, encode
from tongzhou.secure.summing import Summing
from tongzhou.secure.whitening import row_bits

__all__ = ["fit_averaging"]

_BITS = 52
"""Of sums over all rows of weights or gradients up to 2^10: with 2^L rows, 52 - L fractional bits."""
_LARGEST = 2.0**10


def fit_averaging(summing: Summing, settings: FederatedLogisticSettings, table: Table | None) -> FederatedFit:
    """Train by `settings.max_steps` rounds of ``fedsgd`` or ``fedavg``.

    Raises:
        DataError: as `tongzhou.secure.federated_logistic.fit_federated`, but for convergence: the length of
            the gradient at the end stands in the result.
    """
    moments, own = scale_table(summing, settings, table)
    penalty = penalty_of(settings, moments)
    weights = start_weights(moments)
    rate = settings.rate or _safe_rate(summing, own, weights, penalty, moments)
    norms: list[float] = []
    for _ in range(settings.max_steps):
        weights = tell_weights(summing, weights)
        local = None if own is None else _local(settings, own, weights, penalty, rate)
        mean = _average(summing, own, local, len(weights), moments.rows)
        if mean is None:
            continue
        norms.append(float(np.linalg.norm((weights - mean) / rate)))
        weights = mean
    weights = tell_weights(summing, weights)
    found = sum_derivatives(summing, own, weights, penalty, moments.rows)
    if found is not None:
        norms.append(float(np.linalg.norm(found.gradient)))
    end = ending(found, norms)
    return finish(summing, weights, end, centre=moments.means, scale=moments.deviations)


def _safe_rate(
    summing: Summing, own: Scaled | None, weights: Reals, penalty: Reals, moments: Moments
) -> float:
    """One over a bound of the curvature anywhere: a quarter of the largest second moment, and the penalty.

    At the starting weights all rows have the same slope, so that the curvature there is that of the moments.
    """
    found = sum_derivatives(summing, own, weights, penalty, moments.rows)
    rate = None
    if found is not None:
        chance = moments.events / moments.rows
        second = (found.curvature - np.diag(penalty)) / (chance * (1 - chance))
        rate = 1 / (float(np.linalg.eigvalsh(second)[-1]) / 4 + float(penalty.max()))
    return summing.tell("federated.rate", float, rate)


def _local(
    settings: FederatedLogisticSettings, own: Scaled, weights: Reals, penalty: Reals, rate: float
) -> Reals:
    """Where the own rows alone lead, in one or more steps."""
    for _ in range(settings.local_steps if settings.method == "fedavg" else 1):
        chance = 0.5 * (1 + np.tanh(own.design @ weights / 2))
        gradient = own.design.T @ (chance - own.label) / len(own.label) + penalty * weights
        weights = weights - rate * gradient
    return weights


def _average(summing: Summing, own: Scaled | None, local: Reals | None, size: int, rows: int) -> Reals | None:
    """Mean of the institutions' weights by their rows, at the coordinator."""
    bits = _BITS - row_bits(rows)
    words: Words | None = None
    if own is not None and local is not None:
        count = float(len(own.label))
        words = encode(np.concatenate([[count], count * np.clip(local, -_LARGEST, _LARGEST)]), bits)
    total = summing.sum(words, length=size + 1, what="weights by rows", reason="a round of the training")
    if total is None:
        return None
    numbers = decode(total, bits)
    mean: Reals = numbers[1:] / numbers[0]
    return mean
