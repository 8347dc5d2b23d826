"""Exact samples of the discrete Laplace and Gaussian distributions, from uniform integers and integers alone.

Every probability is a ratio of whole numbers, so the distributions are those of the proofs; floating-point
noise would leak through its low digits what it should hide (Mironov, On significance of the least significant
bits for differential privacy, CCS 2012). Where the uniform integers come from, the caller says. How long a
sample takes is not hidden.

Paper: Canonne, Kamath and Steinke, The discrete Gaussian for differential privacy (NeurIPS 2020), algorithms
1 to 3.
"""

import math
from collections.abc import Callable

__all__ = ["Below", "chance_exp", "sample_gaussian", "sample_laplace"]

Below = Callable[[int], int]
"""A uniform integer from zero to below its argument."""


def sample_laplace(upper: int, lower: int, below: Below) -> int:
    """The integer x with probability proportional to ``exp(-|x| lower / upper)``; both are positive."""
    while True:
        fine = below(upper)
        if not chance_exp(fine, upper, below):
            continue
        coarse = 0
        while chance_exp(1, 1, below):
            coarse += 1
        size, negative = (fine + upper * coarse) // lower, below(2)
        if size or not negative:  # zero would come twice as often as it may
            return -size if negative else size


def sample_gaussian(above: int, under: int, below: Below) -> int:
    """The integer x with probability proportional to ``exp(-x² / (2 v))``, for v = above / under."""
    scale = math.isqrt(above // under) + 1
    while True:
        drawn = sample_laplace(scale, 1, below)
        # Accepted with probability exp(-(|y| - v / t)² / (2 v)), as a fraction of whole numbers.
        distance = abs(drawn) * scale * under - above
        if chance_exp(distance * distance, 2 * above * under * scale * scale, below):
            return drawn


def chance_exp(above: int, under: int, below: Below) -> bool:
    """True with probability ``exp(-above / under)``, for whole numbers from 0 and from 1."""
    while above > under:
        if not _small(1, 1, below):
            return False
        above -= under
    return _small(above, under, below)


def _small(above: int, under: int, below: Below) -> bool:
    """The same for a fraction of at most 1: the series of the exponential function, term by term."""
    term = 1
    while below(under * term) < above:
        term += 1
    return term % 2 == 1
