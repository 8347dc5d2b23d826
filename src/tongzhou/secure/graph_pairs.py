"""Neighbours that two nodes have in common in the union of two graphs, for pairs that only the asker knows.

Statement
    Parties: asker (graph, pairs of nodes), provider (graph), helper.
    Who learns what: the asker learns for each pair how many nodes both have an edge to, and how many each has
        an edge to, an edge that both owners hold being counted once. The provider learns how many pairs were
        asked, and uniform words; the helper learns the shapes.
    Assumption: as `tongzhou.secure.aided`.
    Cost: as `graph_maps` with one vector a node of a pair; in all 88 n + 40 m bytes a node of a pair, m
        being the bound on the provider's edges, and three rounds for each block of pairs. Opening adds one.
    Papers: `graph_maps`; Beaver (CRYPTO 1991).

The asker shares, for each node of a pair, the vector that is 1 there. The provider's graph sends it to the
node's neighbours there, p. With its own neighbours a, the union is ``a + (1 - a) p``, and what two nodes have
in common is the product of their unions, summed up.
"""

from dataclasses import dataclass

import numpy as np

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.dealing import deal, exchange, mask
from tongzhou.secure.graph_maps import EdgeMap, hide_edges, neighbour_sums
from tongzhou.secure.graph_settings import Edges, GraphInput, GraphResult, GraphSettings, PairCounts
from tongzhou.secure.ring import Words
from tongzhou.secure.shared import Shared, join

__all__ = ["compare_pairs", "neighbour_rows"]

_BLOCK_WORDS = 1 << 21
"""About so many words travel in one array for a block of pairs."""


@dataclass(frozen=True, slots=True)
class _Block:
    """Some pairs: all their first nodes, then all their second.

    Attributes:
        count: number of pairs c.
        nodes: number of nodes n.
        ends: at the asker the ``(2 c,)`` nodes.
        edges: at the asker its edges.
    """

    count: int
    nodes: int
    ends: Edges | None = None
    edges: Edges | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return 2 * self.count, self.nodes


def compare_pairs(engine: AidedEngine, settings: GraphSettings, own: GraphInput | None) -> GraphResult | None:
    """Common neighbours and degrees of the asker's pairs.

    Args:
        engine: who computes.
        settings: as agreed.
        own: this owner's checked input; ``None`` at the helper.

    Returns:
        The counts at the asker, ``None`` elsewhere.
    """
    mine = own.edges if own is not None and engine.party.role == "provider" else None
    edge_map = hide_edges(engine, "provider", (settings.nodes, settings.provider_edges), mine)
    step = max(1, _BLOCK_WORDS // (2 * edge_map.places))
    found = []
    for start in range(0, settings.pairs, step):
        count = min(step, settings.pairs - start)
        block = _Block(count, settings.nodes)
        if own is not None and own.pairs is not None and engine.party.role == "asker":
            ends = own.pairs[start : start + count].T.reshape(-1)
            block = _Block(count, settings.nodes, ends, own.edges)
        found.append(_counts(engine, edge_map, block))
    opened = engine.open(
        join(*found),
        what="common neighbours and degrees of each pair",
        receivers=("asker",),
        reason="grant: graph",
    )
    return None if opened is None else GraphResult(pairs=[PairCounts(*map(int, row)) for row in opened])


def neighbour_rows(edges: Edges, ends: Edges, nodes: int) -> Words:
    """For each of some nodes the row of its neighbours, 0 or 1, ``(ends, n)``."""
    rows = np.zeros((len(ends), nodes), dtype=np.uint64)
    order = np.argsort(edges[:, 0], kind="stable")
    sources, targets = edges[order, 0], edges[order, 1]
    for row, first, last in zip(
        rows, np.searchsorted(sources, ends), np.searchsorted(sources, ends, side="right"), strict=True
    ):
        row[targets[first:last]] = 1
    return rows


def _counts(engine: AidedEngine, edge_map: EdgeMap, block: _Block) -> Shared:
    """Common neighbours and both degrees of a block's pairs, ``(c, 3)``."""
    union = _union(engine, edge_map, block)
    common = _row_products(engine, union.part(0, block.count), union.part(block.count, 2 * block.count))
    if union.share is None or common.share is None:
        return Shared((block.count, 3), None)
    first, second = union.share.sum(axis=1, dtype=np.uint64).reshape(2, block.count)
    return Shared((block.count, 3), np.stack([common.share, first, second], axis=1))


def _union(engine: AidedEngine, edge_map: EdgeMap, block: _Block) -> Shared:
    """Neighbours of each node of the pairs in the union of both graphs, ``(2 c, n)``."""
    units = rows = rest = None
    if block.ends is not None and block.edges is not None:
        units = np.zeros(block.shape, dtype=np.uint64)
        units[np.arange(len(block.ends)), block.ends] = 1
        rows = neighbour_rows(block.edges, block.ends, block.nodes)
        rest = np.uint64(1) - rows
    asked = engine.own("asker", block.shape, units)
    lanes = block.shape[0]
    theirs = Shared(block.shape, neighbour_sums(engine, edge_map, asked.share, lanes=lanes, kind="<u8"))
    hidden = engine.hide("asker", block.shape, rest)
    return engine.own("asker", block.shape, rows) + engine.scale_rows(hidden, theirs)


def _row_products(engine: AidedEngine, left: Shared, right: Shared) -> Shared:
    """Each row of one shared matrix times the same row of another, summed up: ``(c,)``."""
    first, second = mask(engine, "<u8", left.shape), mask(engine, "<u8", right.shape)
    (crossed,) = deal(engine, "pairs", [("<u8", left.shape[:1])], lambda: [_row_sums(first, second)])
    if left.share is None or right.share is None:
        return Shared(left.shape[:1], None)
    masked = left.share - first, right.share - second
    theirs = exchange(engine, "pairs", *masked)
    opened = [own + other for own, other in zip(masked, theirs, strict=True)]
    share = crossed + _row_sums(opened[0], second) + _row_sums(first, opened[1])
    if engine.party.role == "asker":
        share += _row_sums(*opened)
    return Shared(left.shape[:1], share)


def _row_sums(left: Words, right: Words) -> Words:
    product: Words = np.einsum("cn,cn->c", left, right)
    return product
