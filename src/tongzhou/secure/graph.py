"""What two graphs say together about each node: spread risk, reach, flagged neighbours, common neighbours.

Statement
    Parties: asker (graph, flagged nodes or pairs of nodes), provider (graph), helper.
    Who learns what: the receivers named in the grant learn the feature of each node, the asker alone that of
        each pair; besides, as `graph_maps` and `signs`: each owner learns the bound on the other's edges, and
        uniform words. The helper learns the shapes.
    Assumption: as `tongzhou.secure.aided`.
    Cost: with n nodes and bounds on edges that add up to m, ``risk`` takes 40 n + 12 m bytes once and
        40 (4 n + m) bytes and two rounds a step; ``reach`` 20 m + 155 n bytes and five rounds a step;
        ``flagged`` one round; ``pairs``: see `graph_pairs`. Opening adds one round.
    Papers: `graph_maps`. Risk spreads as in Zhou, Bousquet, Lal, Weston and Schölkopf, Learning with local
        and global consistency (NIPS 2003), and in the PageRank of Page, Brin, Motwani and Winograd (1999).

Risk begins at the flagged nodes, r0, and in each step a part a of it is replaced by what neighbours have, ::

    r' = (1 - a) r0 + a ((1 - w) mean of r over the asker's neighbours + w mean over the provider's)

Each graph has its own mean and its fixed weight w. Over the union's degree a graph with many edges, such as
calls, would drown one with few, such as transfers; and the number of contacts would be needed as a shared
divisor, over a wider range than `reciprocals` covers. With means of their own each owner divides by a number
that it knows: it scales the sum by a private factor, in the round of the sum itself. A node without edges in
a graph gets nothing from it.
"""

from collections.abc import Sequence

import numpy as np

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.choices import open_choice
from tongzhou.secure.dealing import Array
from tongzhou.secure.engine import Hidden
from tongzhou.secure.graph_maps import EdgeMap, hide_edges, neighbour_sums
from tongzhou.secure.graph_pairs import compare_pairs
from tongzhou.secure.graph_settings import RISK_BITS, GraphInput, GraphResult, GraphSettings
from tongzhou.secure.halves import Halved, own_halves
from tongzhou.secure.lookups import Bits
from tongzhou.secure.party import OWNERS, Role, other_owner
from tongzhou.secure.ring import decode, encode
from tongzhou.secure.shared import Shared
from tongzhou.secure.signs import negative
from tongzhou.wire.messages import ArraySpec

__all__ = ["SCALE_BITS", "graph_feature"]

SCALE_BITS = 36
"""Fractional bits of one over a degree: a sum of risks times this is at most 2^60 units at any degree."""

_WIDTH = 32
_REASON = "grant: graph"


def graph_feature(engine: AidedEngine, settings: GraphSettings, own: GraphInput | None) -> GraphResult | None:
    """One feature of `settings`; the inputs have been checked.

    Args:
        engine: who computes.
        settings: as agreed.
        own: this owner's input; ``None`` at the helper.

    Returns:
        The feature at the receivers, ``None`` elsewhere.

    Raises:
        ProtocolError: the other owner's orders are not permutations.
    """
    if settings.feature == "pairs":
        return compare_pairs(engine, settings, own)
    return {"risk": _risk, "reach": _reach, "flagged": _flagged}[settings.feature](engine, settings, own)


# --- risk --------------------------------------------------------------------------------------------------


def _risk(engine: AidedEngine, settings: GraphSettings, own: GraphInput | None) -> GraphResult | None:
    shape = (1, settings.nodes)
    maps = _maps(engine, settings, own)
    # Once more the own part goes out before the other's is awaited.
    factors = {role: _hide_factors(engine, settings, role, own) for role in reversed(maps)}
    start = _flags(engine, own, np.float64)
    risk = engine.own("asker", shape, None if start is None else encode(start, RISK_BITS))
    kept = None if start is None else encode(start * (1 - settings.damping), RISK_BITS + SCALE_BITS)
    base = engine.own("asker", shape, kept)
    for step in range(settings.rounds):
        spread = base
        for role, edge_map in maps.items():
            share = neighbour_sums(engine, edge_map, risk.share, lanes=1, kind="<u8")
            spread = spread + engine.scale_rows(factors[role], Shared(shape, share))
        last = step == settings.rounds - 1
        risk = engine.truncate(spread, SCALE_BITS + (RISK_BITS - settings.opened_bits if last else 0))
    opened = engine.open(risk, what="risk of each node", receivers=settings.roles, reason=_REASON)
    if opened is None:
        return None
    # Rounding goes up or down by less than a unit, also at the ends.
    return GraphResult(risk=np.clip(decode(opened[0], settings.opened_bits), 0.0, 1.0).tolist())


def _maps(
    engine: AidedEngine, settings: GraphSettings, own: GraphInput | None, roles: Sequence[Role] = OWNERS
) -> dict[Role, EdgeMap]:
    """The graphs that may have edges, the other owner's first, so that each sends before it waits."""
    me = engine.party.role
    maps = {}
    # Orders go out before the other's are awaited.
    for role in sorted(roles, key=lambda one: one != me):
        if settings.edges(role):
            mine = own.edges if own is not None and role == me else None
            maps[role] = hide_edges(engine, role, (settings.nodes, settings.edges(role)), mine)
    return dict(reversed(maps.items()))


def _hide_factors(
    engine: AidedEngine, settings: GraphSettings, owner: Role, own: GraphInput | None
) -> Hidden:
    """What an owner's sums are scaled by: its weight over each node's degree."""
    shape = (1, settings.nodes)
    if own is None or engine.party.role != owner:
        return engine.hide(owner, shape, None)
    degrees = np.bincount(own.edges[:, 1], minlength=settings.nodes)
    factors = settings.weight(owner) / np.maximum(degrees, 1)
    return engine.hide(owner, shape, encode(factors.reshape(shape), SCALE_BITS))


def _flags(engine: AidedEngine, own: GraphInput | None, dtype: type) -> Array | None:
    """At the asker its flags ``(1, n)``."""
    if own is None or own.flagged is None or engine.party.role != "asker":
        return None
    return own.flagged.astype(dtype)[np.newaxis]


# --- reach, flagged neighbours -----------------------------------------------------------------------------


def _reach(engine: AidedEngine, settings: GraphSettings, own: GraphInput | None) -> GraphResult | None:
    maps = _maps(engine, settings, own)
    reached = own_halves(engine, _flags(engine, own, np.uint32), (1, settings.nodes))
    for _ in range(settings.rounds):
        total = reached
        for edge_map in maps.values():
            share = neighbour_sums(engine, edge_map, reached.share, lanes=1, kind="<u4")
            total = total + Halved(total.shape, share)
        reached = _is_positive(engine, total)
    return _open_counts(engine, settings, reached, "whether a flagged node is within reach of each node")


def _is_positive(engine: AidedEngine, value: Halved) -> Halved:
    """1 where a shared number below 2^31 is above zero, else 0."""
    turned = value.scaled(-1)
    words = None if turned.share is None else turned.share.astype(np.uint64)
    return _as_number(engine, negative(engine, Shared(value.shape, words), _WIDTH), value.shape)


def _as_number(engine: AidedEngine, bits: Bits | None, shape: tuple[int, ...]) -> Halved:
    """Shared bits as shared numbers: with c = b ^ m opened, b is m or 1 - m."""
    choice = open_choice(engine, bits, shape)
    if choice.opened is None:
        return Halved(shape, None)
    share = (np.uint32(1) - (choice.opened << np.uint32(1))) * choice.mask
    if engine.party.role == "asker":
        share += choice.opened
    return Halved(shape, share)


def _flagged(engine: AidedEngine, settings: GraphSettings, own: GraphInput | None) -> GraphResult | None:
    flags = own_halves(engine, _flags(engine, own, np.uint32), (1, settings.nodes))
    edge_map = _maps(engine, settings, own, ("provider",))["provider"]
    share = neighbour_sums(engine, edge_map, flags.share, lanes=1, kind="<u4")
    total = Halved(flags.shape, share)
    return _open_counts(engine, settings, total, "flagged neighbours of each node")


def _open_counts(
    engine: AidedEngine, settings: GraphSettings, counts: Halved, what: str
) -> GraphResult | None:
    """Open numbers of the small ring to the receivers."""
    party, roles = engine.party, settings.roles
    party.record(what, settings.nodes, roles, _REASON)
    if counts.share is None:
        return None
    tag = f"open.{what}"
    if other_owner(party.role) in roles:
        party.peer.send(tag, None, [counts.share])
    if party.role not in roles:
        return None
    _, (theirs,) = party.peer.recv(tag, None, [ArraySpec("<u4", counts.shape)])
    return GraphResult(counts=(counts.share + theirs)[0].tolist())
