"""What the helper deals and what the owners open under masks, for numbers and for bits of any width.

Statement
    Parties: two data owners and the helper (`aided`).
    Who learns what: an owner receives dealt shares, which are uniform, and the other owner's masked words,
    which are uniform; the helper receives nothing.
    Assumption: as `tongzhou.secure.aided`.
    Cost: dealt numbers travel once, from the helper to the provider (the asker draws its shares from the
    stream that it has in common with the helper); an exchange is one round.

The helper calls the same functions as the owners. Where an owner gets its share, the helper gets the value.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.party import OWNERS
from tongzhou.secure.prg import Stream
from tongzhou.wire.messages import ArraySpec

__all__ = ["ADD", "XOR", "Array", "Layout", "deal", "exchange", "mask"]

Array = NDArray[Any]
Layout = Sequence[tuple[str, tuple[int, ...]]]
"""Type (``<u8``, ``<u4``, ``|u1``) and shape of each array."""

ADD: Final = (np.add, np.subtract)
"""Shares that add up, modulo the size of the type."""
XOR: Final = (np.bitwise_xor, np.bitwise_xor)
"""Shares whose exclusive or is the value, bit by bit."""

_Rule = tuple[np.ufunc, np.ufunc]


def mask(engine: AidedEngine, kind: str, shape: tuple[int, ...], rule: _Rule = ADD) -> Array:
    """A fresh uniform mask: at an owner its own, at the helper both owners' put together."""
    if engine.is_owner:
        return _draw(engine.stream(engine.party.role), kind, shape)
    first, second = (_draw(engine.stream(role), kind, shape) for role in OWNERS)
    joined: Array = rule[0](first, second)
    return joined


def deal(
    engine: AidedEngine, tag: str, layout: Layout, values: Callable[[], Sequence[Array]], rule: _Rule = ADD
) -> list[Array]:
    """Share what only the helper can compute.

    Args:
        engine: who computes.
        tag: name of the message to the provider, after ``deal.``.
        layout: what the values look like; all parties give the same.
        values: computes them; called at the helper only.
        rule: how shares make the value.

    Returns:
        This owner's shares; at the helper the values.
    """
    role = engine.party.role
    if role == "provider":
        specs = [ArraySpec(kind, shape) for kind, shape in layout]
        return engine.party.link("helper").recv(f"deal.{tag}", None, specs)[1]
    drawn = [_draw(engine.stream("asker"), kind, shape) for kind, shape in layout]
    if role == "asker":
        return drawn
    made = list(values())
    engine.party.link("provider").send(
        f"deal.{tag}", None, [rule[1](value, share) for value, share in zip(made, drawn, strict=True)]
    )
    return made


def exchange(engine: AidedEngine, tag: str, *masked: Array) -> list[Array]:
    """Owners: send masked arrays and take the other owner's; nothing at the helper."""
    if not engine.is_owner:
        return []
    peer = engine.party.peer
    peer.send(f"masked.{tag}", None, masked)
    return peer.recv(f"masked.{tag}", None, [ArraySpec(one.dtype.str, one.shape) for one in masked])[1]


def _draw(stream: Stream, kind: str, shape: tuple[int, ...]) -> Array:
    if kind == "<u8":
        return stream.words(*shape)
    return stream.halves(*shape) if kind == "<u4" else stream.octets(*shape)
