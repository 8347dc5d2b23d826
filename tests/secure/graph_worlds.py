"""Small graphs held by two owners."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tongzhou.secure.graph_settings import GraphInput, GraphSettings, undirected
from tongzhou.secure.graph_tasks import GraphTask
from tongzhou.secure.simulate import Outcome, simulate


@dataclass(frozen=True)
class GraphWorld:
    """Both owners' inputs, for the features over nodes."""

    nodes: int
    asker: GraphInput
    provider: GraphInput

    def settings(self, feature: str, **options: Any) -> GraphSettings:
        bounds = (0 if feature == "flagged" else len(self.asker.edges) + 7, len(self.provider.edges) + 5)
        options = {"minimum_flagged": 1, **options}
        return GraphSettings(self.nodes, *bounds, feature=feature, **options)

    def play(self, mode: Any, feature: str, *, watch: Any = None, **options: Any) -> Outcome:
        asker = self.asker
        if feature == "flagged":
            asker = replace(asker, edges=asker.edges[:0])
        if feature == "pairs":
            options.setdefault("pairs", len(asker.pairs))
        task = GraphTask(self.settings(feature, **options))
        return simulate(mode, task, asker, self.provider, watch=watch)


def graph_world(
    nodes: int = 40, contacts: tuple[int, int] = (50, 30), *, flagged: int = 4, pairs: int = 3, seed: int = 1
) -> GraphWorld:
    """Random contacts at both owners, random flags and pairs."""
    source = np.random.default_rng(seed)
    edges = [undirected(source.integers(0, nodes, (count, 2))) for count in contacts]
    flags = np.zeros(nodes, dtype=np.int8)
    flags[source.permutation(nodes)[:flagged]] = 1
    asked = source.integers(0, nodes, (pairs, 2))
    return GraphWorld(nodes, GraphInput(edges[0], flags, asked), GraphInput(edges[1]))


def adjacency(edges: np.ndarray, nodes: int) -> np.ndarray:
    """Dense matrix with a one at ``[target, source]``."""
    matrix = np.zeros((nodes, nodes))
    matrix[edges[:, 1], edges[:, 0]] = 1
    return matrix


def dense_risk(world: GraphWorld, settings: GraphSettings) -> np.ndarray:
    """The formula of the page, with dense matrices."""
    start = world.asker.flagged.astype(float)
    risk = start
    steps = []
    for own, share in (
        (world.asker, 1 - settings.provider_weight),
        (world.provider, settings.provider_weight),
    ):
        matrix = adjacency(own.edges, world.nodes)
        steps.append(share * matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1))
    for _ in range(settings.rounds):
        risk = (1 - settings.damping) * start + settings.damping * (steps[0] + steps[1]) @ risk
    return risk
