"""One owner's graph applied to a shared number a node: sums over neighbours, without showing an edge.

Statement
    Parties: two data owners and the helper (`aided`). One owner knows a list of at most m edges among n
        nodes; both hold shares of a number for each node.
    Who learns what: nobody learns a sum, which stays shared. The other owner learns n, m and three uniform
        orders of n + m places, once; the graph's owner receives the other's shares under fresh uniform masks;
        the helper learns the shapes. Degrees and the number of edges stay with the owner.
    Assumption: as `tongzhou.secure.aided`.
    Cost: 12 (n + m) bytes once; each use 3 (n + m) words from the other owner and 3 n + 2 m words from the
        helper, in one round for any number of maps.
    Papers: sums and copies over sorted lists of vertices and edges: Nayak, Wang, Ioannidis, Weinsberg, Taft
        and Shi, GraphSC (IEEE S&P 2015), with permutations between the orders in place of sorting after
        Araki, Furukawa, Ohara, Pinkas, Rosemarin and Tsuchida, Secure graph analysis at scale (CCS 2021);
        share translation: Chase, Ghosh and Poburinnaya, Secret-shared shuffle (ASIACRYPT 2020), as in
        `counting`.

Copying a vertex's number to its edges, and adding edges up at a vertex, are running sums over the right
order, and running sums are linear: each owner computes them on its own share. With x a number a vertex, ::

    vertex order    x_0, x_1 - x_0, x_2 - x_1, ..., and m zeros
    source order    each vertex, then the edges that leave it: the running sum is x of the source everywhere
    target order    the edges that enter a vertex, then the vertex: running sums end at the vertices
    vertex order    differences of these ends: the sum over a vertex's edges, plus x, which is taken off

Padding leaves no vertex and enters none: in target order it stands behind the last vertex. As the graph's
owner knows all three orders, each is a permutation that is private to one owner, behind one that the helper
dealt. What the other owner holds after the first is nothing but dealt words, so that all its three messages
go out at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import ProtocolError
from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.dealing import Array
from tongzhou.secure.graph_settings import Edges
from tongzhou.secure.party import Role, other_owner
from tongzhou.wire.messages import ArraySpec

__all__ = ["EdgeMap", "Kind", "Order", "hide_edges", "neighbour_sums", "orders_of", "sums_by_orders"]

Order = NDArray[np.uint32]
Kind = str
"""Words that numbers are shared in: ``<u8`` or ``<u4``."""

_ORDERS = 3


@dataclass(frozen=True, slots=True)
class EdgeMap:
    """One owner's edges, seen from one party.

    Attributes:
        owner: role that knows them.
        nodes: number of nodes n.
        edges: bound on the edges m.
        orders: at the owner the three orders; at the other owner the same, permuted; nothing at the helper.
        inner: the dealt permutations (at the owner and the helper).
    """

    owner: Role
    nodes: int
    edges: int
    orders: tuple[Order, ...] = ()
    inner: tuple[Order, ...] = ()

    @property
    def places(self) -> int:
        """Length of the list of vertices and edges."""
        return self.nodes + self.edges


def orders_of(edges: Edges, nodes: int, bound: int) -> tuple[Order, Order, Order]:
    """The three orders of a graph: for each place, the place that it is filled from in the order before.

    Args:
        edges: ``(e, 2)`` source and target.
        nodes: number of nodes n.
        bound: length m to which edges are padded, at least e.
    """
    vertices = np.arange(nodes)
    # In vertex order a place below n is a vertex, the e next are edges, the rest is padding.
    padding = np.full(bound - len(edges), nodes)
    sources, targets = (np.concatenate([vertices, ends, padding]).astype(np.int64) for ends in edges.T)
    # Stable sorting leaves a vertex before its edges; with odd and even keys it comes after them.
    by_source = _sorted_places(sources)
    is_vertex = np.arange(nodes + bound) < nodes
    by_target = _sorted_places(2 * targets + is_vertex)
    at_source, at_target = _inverse(by_source), _inverse(by_target)
    first, second, third = (o.astype(np.uint32) for o in (by_source, at_source[by_target], at_target))
    return first, second, third


def sums_by_orders(orders: Sequence[Order], values: Array) -> Array:
    """What the protocol computes, in the clear: sums over neighbours ``(lanes, n)`` by running sums."""
    nodes = values.shape[1]
    state = _spread(values, len(orders[0]))
    state = _running(state[:, orders[0]])
    state = _running(state[:, orders[1]])
    return _ends(state[:, orders[2][:nodes]], values)


def hide_edges(engine: AidedEngine, owner: Role, size: tuple[int, int], edges: Edges | None) -> EdgeMap:
    """Tell the other owner a graph's masked orders, once for all its uses.

    Args:
        engine: who computes.
        owner: role that knows the edges.
        size: nodes n, and the bound m on edges.
        edges: at the owner the edges; ``None`` elsewhere.

    Raises:
        ProtocolError: the owner sent an order that is not a permutation.
    """
    nodes, bound = size
    places = nodes + bound
    if engine.party.role == other_owner(owner):
        specs = [ArraySpec("<u4", (places,))] * _ORDERS
        _, orders = engine.party.peer.recv("graph.orders", None, specs)
        for order in orders:
            _refuse_repeats(engine, order)
        return EdgeMap(owner, nodes, bound, tuple(orders))
    inner = tuple(engine.stream(owner).permutation(places).astype(np.uint32) for _ in range(_ORDERS))
    if edges is None:
        return EdgeMap(owner, nodes, bound, inner=inner)
    orders_here = orders_of(edges, nodes, bound)
    masked = [np.empty(places, dtype=np.uint32) for _ in range(_ORDERS)]
    for one, own, order in zip(masked, inner, orders_here, strict=True):
        one[own] = order
    engine.party.peer.send("graph.orders", None, masked)
    return EdgeMap(owner, nodes, bound, orders_here, inner)


def neighbour_sums(
    engine: AidedEngine, edge_map: EdgeMap, share: Array | None, *, lanes: int, kind: Kind
) -> Array | None:
    """Shares of the sums over each node's incoming edges.

    Args:
        engine: who computes. Where two maps are applied in one round, an owner calls first for the map that
            is not its own: that call only sends.
        edge_map: whose graph.
        share: an owner's shares ``(lanes, n)``; ``None`` at the helper.
        lanes: number of vectors.
        kind: words they are shared in.

    Returns:
        An owner's shares ``(lanes, n)``; ``None`` at the helper.
    """
    if share is None:
        _deal(engine, edge_map, lanes, kind)
        return None
    if engine.party.role == edge_map.owner:
        return _receive(engine, edge_map, share, kind)
    return _send(engine, edge_map, share, kind)


# --- the three parts ---------------------------------------------------------------------------------------


def _send(engine: AidedEngine, edge_map: EdgeMap, share: Array, kind: Kind) -> Array:
    """The other owner: mask its share in three orders; what it keeps is made of dealt words."""
    lanes = len(share)
    state, messages = _spread(share, edge_map.places), []
    for step, order in enumerate(edge_map.orders):
        before, after = _masks(engine, edge_map, lanes, kind, step)
        messages.append(np.take(state, order, axis=1) - before)
        state = _running(after)
    engine.party.peer.send("graph.values", None, messages)
    return _ends(after, share)


def _receive(engine: AidedEngine, edge_map: EdgeMap, share: Array, kind: Kind) -> Array:
    """The graph's owner: put its own share and what the other handed over into the three orders."""
    lanes, party = len(share), engine.party
    specs = [ArraySpec(kind, (lanes, edge_map.places))] * _ORDERS
    _, received = party.peer.recv("graph.values", None, specs)
    dealt_specs = [ArraySpec(kind, (lanes, _kept(edge_map, step))) for step in range(_ORDERS)]
    _, dealt = party.link("helper").recv("deal.graph", None, dealt_specs)
    state = _spread(share, edge_map.places)
    for step in range(_ORDERS):
        kept = _kept(edge_map, step)
        moved = np.take(state, edge_map.orders[step][:kept], axis=1)
        moved += np.take(received[step], edge_map.inner[step][:kept], axis=1)
        moved += dealt[step]
        state = _running(moved) if step < _ORDERS - 1 else moved
    return _ends(state, share)


def _deal(engine: AidedEngine, edge_map: EdgeMap, lanes: int, kind: Kind) -> None:
    """Helper: what turns the masks before a permutation into those after it."""
    dealt = []
    for step, inner in enumerate(edge_map.inner):
        before, after = _masks(engine, edge_map, lanes, kind, step)
        dealt.append(np.take(before, inner[: _kept(edge_map, step)], axis=1) - after)
    engine.party.link(edge_map.owner).send("deal.graph", None, dealt)


def _masks(engine: AidedEngine, edge_map: EdgeMap, lanes: int, kind: Kind, step: int) -> tuple[Array, Array]:
    """Masks before and after one permutation, from the stream that helper and other owner share."""
    stream = engine.stream(other_owner(edge_map.owner))
    draw = stream.words if kind == "<u8" else stream.halves
    return draw(lanes, edge_map.places), draw(lanes, _kept(edge_map, step))


def _kept(edge_map: EdgeMap, step: int) -> int:
    """After the last order only vertices are needed."""
    return edge_map.places if step < _ORDERS - 1 else edge_map.nodes


# --- running sums ------------------------------------------------------------------------------------------


def _spread(values: Array, places: int) -> Array:
    """Vertex order: first differences, then zeros."""
    lanes, nodes = values.shape
    out = np.zeros((lanes, places), dtype=values.dtype)
    out[:, :nodes] = values
    out[:, 1:nodes] -= values[:, :-1]
    return out


def _running(values: Array) -> Array:
    summed: Array = np.cumsum(values, axis=1, dtype=values.dtype)
    return summed


def _ends(ends: Array, values: Array) -> Array:
    """Sums of the runs that end at the vertices, less the vertices' own numbers."""
    sums = ends - values
    sums[:, 1:] -= ends[:, :-1]
    return sums


def _sorted_places(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places in the order of their keys, equal keys by place: twice as fast as a stable `argsort`.

    Keys are below 2^22 and places below 2^23 (see `check_graph`), so that both fit one word.
    """
    bits = len(keys).bit_length()
    packed = np.sort((keys << bits) | np.arange(len(keys)))
    places: NDArray[np.int64] = packed & ((1 << bits) - 1)
    return places


def _inverse(order: NDArray[np.int64]) -> NDArray[np.int64]:
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return back


def _refuse_repeats(engine: AidedEngine, order: Order) -> None:
    if int(order.max()) >= len(order) or not bool(np.bincount(order, minlength=len(order)).all()):
        raise ProtocolError(
            "{peer} sent an order of nodes and edges that is not a permutation", peer=engine.party.peer.peer
        )
