"""The same features in one process, in the clear: the reference that the protected mode must equal.

Statement
    Parties: one process that holds both owners' graphs.
    Who learns what: that process learns everything. Nothing is protected.
    For: tests, teaching and baselines.
"""

import numpy as np

from tongzhou.secure.graph_pairs import neighbour_rows
from tongzhou.secure.graph_settings import Edges, GraphInput, GraphResult, GraphSettings, PairCounts
from tongzhou.secure.party import OWNERS, Role
from tongzhou.secure.ring import Reals

__all__ = ["graph_clear", "spread_clear"]


def graph_clear(settings: GraphSettings, asker: GraphInput, provider: GraphInput) -> GraphResult:
    """One feature of `settings` from both owners' checked inputs."""
    if settings.feature == "pairs":
        return _pairs_clear(settings, asker, provider)
    edges = dict(zip(OWNERS, (asker.edges, provider.edges), strict=True))
    flagged = np.zeros(settings.nodes) if asker.flagged is None else asker.flagged.astype(np.float64)
    if settings.feature == "risk":
        step = 2.0**settings.opened_bits
        return GraphResult(risk=(np.rint(spread_clear(settings, edges, flagged) * step) / step).tolist())
    if settings.feature == "flagged":
        return GraphResult(counts=_sums(edges["provider"], flagged).astype(np.int64).tolist())
    reached = flagged
    for _ in range(settings.rounds):
        reached = (reached + sum(_sums(one, reached) for one in edges.values()) > 0).astype(np.float64)
    return GraphResult(counts=reached.astype(np.int64).tolist())


def spread_clear(settings: GraphSettings, edges: dict[Role, Edges], start: Reals) -> Reals:
    """Risk ``(n,)`` after all rounds, in float64, not rounded.

    Args:
        settings: as agreed.
        edges: each owner's.
        start: risk that the nodes begin with.
    """
    factors = {
        role: settings.weight(role) / np.maximum(np.bincount(one[:, 1], minlength=len(start)), 1)
        for role, one in edges.items()
    }
    risk = start
    for _ in range(settings.rounds):
        spread = (1 - settings.damping) * start
        for role, one in edges.items():
            spread = spread + factors[role] * _sums(one, risk)
        risk = spread
    return risk


def _sums(edges: Edges, values: Reals) -> Reals:
    """Sum of the sources' numbers at each target."""
    total = np.bincount(edges[:, 1], weights=values[edges[:, 0]], minlength=len(values))
    return np.asarray(total, dtype=np.float64)


def _pairs_clear(settings: GraphSettings, asker: GraphInput, provider: GraphInput) -> GraphResult:
    pairs = np.zeros((0, 2), dtype=np.int64) if asker.pairs is None else asker.pairs
    found = []
    for pair in pairs:
        held, theirs = (neighbour_rows(own.edges, pair, settings.nodes) for own in (asker, provider))
        first, second = (held | theirs).astype(bool)
        found.append(PairCounts(int((first & second).sum()), int(first.sum()), int(second.sum())))
    return GraphResult(pairs=found)
