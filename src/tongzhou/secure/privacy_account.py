"""How much of one record's privacy a run spends: zero-concentrated differential privacy, and (ε, δ).

What it means: whether one record is in the data or not changes the odds of anything that anybody may see by
at most a factor e^ε, but for a chance of δ. A record here is one row of one institution; records are added or
removed, so that how many there are is protected too.

Losses are added up as ρ, in which composition is exact for Gaussian noise, and told as (ε, δ).

Papers: Bun and Steinke, Concentrated differential privacy (TCC 2016); Mironov, Rényi differential privacy
(CSF 2017); Canonne, Kamath and Steinke, The discrete Gaussian for differential privacy (NeurIPS 2020),
proposition 12 for (ε, δ); Kairouz, Liu and Steinke, The distributed discrete Gaussian mechanism for federated
learning with secure aggregation (ICML 2021), proposition 14 for noise from many hands.
"""

import math
from typing import Final

__all__ = ["delta_of", "epsilon_of", "gaussian_rho", "rho_of", "variance_for"]

_STEPS: Final = 200
_LEAST_ORDER: Final = 1.0 + 1e-9


def delta_of(rho: float, epsilon: float) -> float:
    """The smallest δ (by the Rényi bound) such that ρ-zCDP gives (ε, δ)."""
    if rho <= 0:
        return 0.0

    def slope(order: float) -> float:
        return (2 * order - 1) * rho - epsilon + math.log1p(-1 / order)

    low, high = _LEAST_ORDER, (epsilon + 1) / (2 * rho) + 2
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    # Any order gives a valid bound; the search only makes it small.
    logarithm = (high - 1) * (high * rho - epsilon) + high * math.log1p(-1 / high) - math.log(high - 1)
    return min(1.0, math.exp(min(logarithm, 0.0)))


def epsilon_of(rho: float, delta: float) -> float:
    """The smallest ε such that ρ-zCDP gives (ε, δ)."""
    if rho <= 0:
        return 0.0
    low, high = 0.0, rho + 2 * math.sqrt(rho * math.log(1 / delta))
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if delta_of(rho, middle) <= delta else (middle, high)
    return high


def rho_of(epsilon: float, delta: float) -> float:
    """The largest ρ whose zCDP gives (ε, δ)."""
    low, high = 0.0, epsilon + 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if delta_of(middle, epsilon) <= delta else (low, middle)
    return low


def gaussian_rho(sensitivity: float, variance: float, *, shares: int, size: int) -> float:
    """ρ of a sum of integer vectors with discrete Gaussian noise from several hands.

    Args:
        sensitivity: most that one record changes the sum, in the Euclidean norm.
        variance: of each hand's noise.
        shares: hands whose noise an observer does not know.
        size: numbers in the vector.
    """
    # A sum of discrete Gaussians is not one, but this near to it.
    gap = 10 * sum(math.exp(-2 * math.pi**2 * variance * place / (place + 1)) for place in range(1, shares))
    distance = sensitivity / math.sqrt(shares * variance) + math.sqrt(size) * gap
    return distance * distance / 2


def variance_for(rho: float, sensitivity: float, *, shares: int, size: int) -> int:
    """The least whole variance of each hand's noise with which the sum spends at most ρ."""
    variance = max(1, math.ceil(sensitivity * sensitivity / (2 * rho * shares)))
    while gaussian_rho(sensitivity, float(variance), shares=shares, size=size) > rho:
        variance += 1 + variance // 1_000_000
    return variance
