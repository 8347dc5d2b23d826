"""Put shared rows into an order that nobody knows, in one round.

Statement
    Parties: two data owners and the helper (`aided`).
    Who learns what: each owner receives the other's shares under a uniform mask, and permutations that are
    uniform on their own; neither learns the common order. The helper, which knows the order, sees no number.
    Assumption: as `tongzhou.secure.aided`.
    Cost: one round, the rows once each way between the owners and once from the helper, and 4 bytes a row.
    Paper: Chase, Ghosh and Poburinnaya, Secret-shared shuffle (ASIACRYPT 2020), with the correlation dealt by
    the helper. There two orders follow each other in two rounds; here they run side by side.

The order s is the asker's permutation followed by the provider's, and at the same time another of the
provider's followed by another of the asker's. The asker's share goes the first way, the provider's the
second::

    asker: masks its share, permuted by a1 --> provider: permutes by b1
    provider: masks its share, permuted by b2 --> asker: permutes by a2

Each owner's two permutations are independent and uniform to itself, because the other's are.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.dealing import Array, Layout, deal, exchange
from tongzhou.secure.prg import Stream
from tongzhou.wire.messages import ArraySpec

__all__ = ["shuffle"]

Order = NDArray[np.intp]


def shuffle(engine: AidedEngine, shares: Sequence[Array] | None, layout: Layout) -> list[Array]:
    """Reorder several shared arrays ``(k, s)`` alike, each of the k rows of places in an order of its own.

    Args:
        engine: who computes.
        shares: an owner's shares; ``None`` at the helper.
        layout: type and shape of each array; the shapes are equal.

    Returns:
        An owner's new shares; nothing at the helper.
    """
    shape = layout[0][1]
    role = engine.party.role
    if shares is None:
        _deal_orders(engine, layout, shape)
        return []
    first = _order(engine.stream(role), shape)
    second = _order(engine.stream(role), shape) if role == "asker" else _take_order(engine, shape)
    masks = [_mask(engine, kind, shape) for kind, _ in layout]
    crossed = deal(engine, "shuffle", layout, list)
    sent, applied = (first, second) if role == "asker" else (second, first)
    masked = [_by(share, sent) - drawn for share, drawn in zip(shares, masks, strict=True)]
    theirs = exchange(engine, "shuffle", *masked)
    return [_by(other, applied) + cross for other, cross in zip(theirs, crossed, strict=True)]


def _deal_orders(engine: AidedEngine, layout: Layout, shape: tuple[int, ...]) -> None:
    """Helper: a1 and a2 are the asker's own, b1 the provider's; b2 follows from them and is told."""
    asker, provider = engine.stream("asker"), engine.stream("provider")
    a1, b1, a2 = _order(asker, shape), _order(provider, shape), _order(asker, shape)
    order = _by(a1, b1)
    b2 = np.empty_like(order)
    np.put_along_axis(b2, a2, order, axis=-1)
    engine.party.link("provider").send("shuffle.order", None, [b2.astype(np.uint32)])
    drawn = [
        [_draw(asker, kind, shape) for kind, _ in layout],
        [_draw(provider, kind, shape) for kind, _ in layout],
    ]
    values = [_by(one, b1) + _by(other, a2) for one, other in zip(*drawn, strict=True)]
    deal(engine, "shuffle", layout, lambda: values)


def _take_order(engine: AidedEngine, shape: tuple[int, ...]) -> Order:
    _, (order,) = engine.party.link("helper").recv("shuffle.order", None, [ArraySpec("<u4", shape)])
    return order.astype(np.intp)


def _order(stream: Stream, shape: tuple[int, ...]) -> Order:
    """Uniform permutations along the last axis, by random keys as in `Stream.permutation`."""
    return np.argsort(stream.words(*shape), axis=-1, kind="stable")


def _mask(engine: AidedEngine, kind: str, shape: tuple[int, ...]) -> Array:
    return _draw(engine.stream(engine.party.role), kind, shape)


def _draw(stream: Stream, kind: str, shape: tuple[int, ...]) -> Array:
    return stream.words(*shape) if kind == "<u8" else stream.halves(*shape)


def _by(values: Array, order: Order) -> Array:
    return np.take_along_axis(values, order, axis=-1)
