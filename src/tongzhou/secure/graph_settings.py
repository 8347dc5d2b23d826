"""What two owners agree on before they compute over their graphs together, what each brings, what comes out.

Nodes are matched before: both owners number them 0 to n - 1 in one order. An edge ``(source, target)`` says
that what is known of the source counts at the target; where direction means nothing, `undirected` lists each
edge both ways.
"""

from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError, PlanError

__all__ = [
    "RISK_BITS",
    "Edges",
    "GraphFeature",
    "GraphInput",
    "GraphReceivers",
    "GraphResult",
    "GraphSettings",
    "PairCounts",
    "check_graph",
    "check_input",
    "sharing",
    "undirected",
]

GraphFeature = Literal["risk", "reach", "flagged", "pairs"]
GraphReceivers = Literal["asker", "both"]
Edges = NDArray[np.int64]
"""``(e, 2)``: source and target of each edge."""

RISK_BITS: Final = 24
"""Fractional bits of risk between the rounds."""

_MOST_NODES = 1 << 20
_MOST_EDGES = 1 << 22
_MOST_ROUNDS = 32
_MOST_PAIRS = 4096
_FEWEST_BITS = 4


class GraphSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of one joint feature over two graphs.

    Attributes:
        nodes: number of matched nodes n.
        asker_edges, provider_edges: most edges that each owner may have; lists are padded to that length, so
            that it is all the other side learns.
        feature: ``risk``: risk spread from the asker's flagged nodes over both graphs; ``reach``: whether a
            flagged node is within `rounds` steps; ``flagged``: how many flagged nodes the provider's graph
            joins to each node (with `sharing`: that share a device or an address); ``pairs``: neighbours that
            two nodes have in common in the union of both graphs.
        rounds: steps k of ``risk`` and ``reach``, 1 to 32.
        damping: part a of a node's risk that comes from its neighbours, above 0 and at most 1.
        provider_weight: part of that which comes from the provider's graph, 0 to 1.
        opened_bits: fractional bits of the risks that are opened, 4 to 24: fewer tell less.
        minimum_flagged: fewer flagged nodes than this are refused, so that no result speaks of one node.
        pairs: number of pairs that the asker asks about.
        receivers: who learns the result; from risk and reach the provider can tell who is flagged. Pairs are
            the asker's alone.
    """

    nodes: int
    asker_edges: int
    provider_edges: int
    feature: GraphFeature = "risk"
    rounds: int = 3
    damping: float = 0.5
    provider_weight: float = 0.5
    opened_bits: int = 10
    minimum_flagged: int = 5
    pairs: int = 0
    receivers: GraphReceivers = "asker"

    @property
    def roles(self) -> tuple[str, ...]:
        """Roles that learn the result."""
        return ("asker",) if self.receivers == "asker" else ("asker", "provider")

    def edges(self, role: str) -> int:
        """The bound on an owner's edges."""
        return self.asker_edges if role == "asker" else self.provider_edges

    def weight(self, role: str) -> float:
        """What an owner's neighbours count together in one step of ``risk``."""
        share = self.provider_weight if role == "provider" else 1 - self.provider_weight
        return self.damping * share


class PairCounts(msgspec.Struct, frozen=True):
    """What the union of both graphs says about two nodes.

    Attributes:
        common: nodes that both have an edge to.
        first, second: nodes that the first and the second have an edge to (their degrees in the union).
    """

    common: int
    first: int
    second: int


class GraphResult(msgspec.Struct, frozen=True):
    """One feature, as a receiver gets it; lists that the feature does not fill are empty.

    Attributes:
        risk: risk of each node, between 0 and 1 (feature ``risk``).
        counts: flagged neighbours of each node (``flagged``), or 1 where a flagged node is within reach
            (``reach``).
        pairs: one entry a pair, in the order asked (``pairs``).
    """

    risk: list[float] = []
    counts: list[int] = []
    pairs: list[PairCounts] = []


@dataclass(frozen=True)
class GraphInput:
    """What an owner brings.

    Attributes:
        edges: ``(e, 2)`` distinct edges between matched nodes, without loops.
        flagged: the asker's ``(n,)`` flags, 0 or 1; not with ``pairs``.
        pairs: the asker's ``(q, 2)`` nodes to compare; only with ``pairs``.
    """

    edges: Edges
    flagged: NDArray[np.int8] | None = None
    pairs: Edges | None = None


def check_graph(settings: GraphSettings) -> None:
    """Refuse settings that contradict themselves or do not fit the number format.

    Raises:
        PlanError: with the setting and what is allowed.
    """
    ranges: dict[str, tuple[float, float]] = {
        "nodes": (1, _MOST_NODES),
        "asker_edges": (0, _MOST_EDGES),
        "provider_edges": (int(settings.feature in ("flagged", "pairs")), _MOST_EDGES),
        "rounds": (1, _MOST_ROUNDS),
        "provider_weight": (0, 1),
        "damping": (2.0**-10, 1),
        "opened_bits": (_FEWEST_BITS, RISK_BITS),
        "minimum_flagged": (0, settings.nodes),
        "pairs": (1, _MOST_PAIRS) if settings.feature == "pairs" else (0, 0),
    }
    for name, (least, most) in ranges.items():
        got = getattr(settings, name)
        if not least <= got <= most:
            raise PlanError(
                "graph.{name} is {got}; from {least:g} to {most:g} is allowed",
                name=name,
                got=got,
                least=least,
                most=most,
            )
    if settings.feature == "pairs" and settings.receivers != "asker":
        raise PlanError("which pairs are compared is the asker's secret: receivers must be asker")
    if settings.feature == "flagged" and settings.asker_edges:
        raise PlanError("feature flagged is about the provider's graph alone: asker_edges must be 0")


def check_input(settings: GraphSettings, role: str, own: GraphInput) -> None:
    """Refuse what an owner brings where it does not fit what was agreed; nothing has been sent by then.

    Raises:
        DataError: edges beyond the bound or the nodes, repeats, loops, missing or too few flags.
    """
    _check_edges(settings, role, own.edges)
    if role != "asker":
        return
    if settings.feature == "pairs":
        pairs = own.pairs
        if pairs is None or pairs.shape != (settings.pairs, 2) or not _inside(pairs, settings.nodes):
            raise DataError(
                "the asker must bring {pairs} pairs of nodes below {nodes}, as agreed",
                pairs=settings.pairs,
                nodes=settings.nodes,
            )
        return
    flagged = own.flagged
    if flagged is None or flagged.shape != (settings.nodes,) or not _inside(flagged, 2):
        raise DataError(
            "the asker must bring a flag of 0 or 1 for each of the {nodes} nodes", nodes=settings.nodes
        )
    if int(flagged.sum()) < settings.minimum_flagged:
        # How many there are is private; the bound is not.
        raise DataError(
            "fewer than {minimum} nodes are flagged; so few would let the result speak of single edges",
            minimum=settings.minimum_flagged,
        )


def undirected(edges: Edges) -> Edges:
    """Each edge in both directions, once; loops are left out.

    Args:
        edges: ``(e, 2)``, with repeats and in any direction, as transfers or contacts are recorded.
    """
    pairs = edges[edges[:, 0] != edges[:, 1]]
    both = np.concatenate([pairs, pairs[:, ::-1]])
    ordered = both[np.lexsort((both[:, 1], both[:, 0]))]
    fresh = np.ones(len(ordered), dtype=bool)
    fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    found: Edges = ordered[fresh]
    return found


def sharing(holdings: Edges, largest: int = 50) -> Edges:
    """Edges between nodes that hold the same thing: a device, an address, a number.

    Args:
        holdings: ``(h, 2)``: node, and number of what it holds.
        largest: a thing held by more nodes joins none of them: a public network or a registered agent's
            address tells nothing, and would make the square of its holders in edges.
    """
    held = np.unique(holdings, axis=0)
    _, thing, sizes = np.unique(held[:, 1], return_inverse=True, return_counts=True)
    few = sizes[thing] <= largest
    order = np.argsort(thing[few], kind="stable")
    nodes, thing = held[few][order, 0], thing[few][order]
    sizes = np.bincount(thing, minlength=len(sizes))
    # Each holding meets all holdings of its group: as many partners as the group has, from its first place.
    partners = sizes[thing]
    source = np.repeat(nodes, partners)
    begins = np.repeat((np.cumsum(sizes) - sizes)[thing], partners)
    within = np.arange(len(source)) - np.repeat(np.cumsum(partners) - partners, partners)
    found = np.stack([source, nodes[begins + within]], axis=1)
    return undirected(found.astype(np.int64))


def _check_edges(settings: GraphSettings, role: str, edges: Edges) -> None:
    bound = settings.edges(role)
    if edges.ndim != 2 or edges.shape[1] != 2 or edges.dtype.kind != "i":
        raise DataError("edges must be signed whole numbers in two columns, source and target")
    if len(edges) > bound:
        raise DataError("there are {got} edges; at most {bound} were agreed", got=len(edges), bound=bound)
    if not _inside(edges, settings.nodes):
        raise DataError("an edge names a node that is not among the {nodes} matched", nodes=settings.nodes)
    keys = np.sort(edges[:, 0].astype(np.int64) * settings.nodes + edges[:, 1].astype(np.int64))
    if bool((keys[1:] == keys[:-1]).any()) or bool((edges[:, 0] == edges[:, 1]).any()):
        raise DataError("edges hold a repeat or a loop; list each once, for example with undirected")


def _inside(values: NDArray[np.int64] | NDArray[np.int8], limit: int) -> bool:
    return not values.size or (int(values.min()) >= 0 and int(values.max()) < limit)
