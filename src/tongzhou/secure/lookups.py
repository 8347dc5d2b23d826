"""Any function of six shared bits in one round, by truth tables that are used once.

Statement
    Parties: two data owners and the helper (`aided`).
    Who learns what: both owners learn the bits under a uniform mask, which is uniform; the helper learns the
    shapes.
    Assumption: as `tongzhou.secure.aided`.
    Cost: one round, one byte each way between the owners and 8 bytes a function from the helper.
    Paper: Ishai, Kushilevitz, Meldgaard, Orlandi and Paskin-Cherniavsky, On the power of correlated
        randomness in secure computation (TCC 2013): one-time truth tables.

The helper shifts the table by the mask and shares it; the owners look at the place that they opened. Bits are
shared by exclusive or, one a byte; a table of six bits is one word of 64 bits.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.dealing import XOR, deal, exchange, mask
from tongzhou.secure.ring import Words
from tongzhou.wire.messages import ArraySpec

__all__ = ["PLACES", "Bits", "Table", "look_up", "open_bits"]

Bits = NDArray[np.uint8]
"""Shares of bits, 0 or 1 each."""

Table = tuple[int, ...]
"""64 values of 0 or 1: the function at each setting of the six bits."""

PLACES = 64
_SIX = np.uint8(PLACES - 1)
_ONE = np.uint64(1)
_ALL = np.uint64((1 << 64) - 1)


def look_up(
    engine: AidedEngine,
    inputs: Bits | None,
    tables: Sequence[Table],
    *,
    shape: tuple[int, ...],
    flip: Bits | None = None,
) -> list[Bits]:
    """Functions of six shared bits.

    Args:
        engine: who computes.
        inputs: at an owner its shares, six bits a byte; ``None`` at the helper.
        tables: the functions.
        shape: shape of the inputs.
        flip: at the helper, where it knows that the results are to be turned round.

    Returns:
        An owner's shares, one array a function; nothing at the helper.
    """
    own = mask(engine, "|u1", shape, XOR) & _SIX
    words = deal(
        engine,
        "table",
        [("<u8", shape)] * len(tables),
        lambda: [_turned(_shifted(table)[own], flip) for table in tables],
        XOR,
    )
    if inputs is None:
        return []
    masked = inputs ^ own
    (theirs,) = exchange(engine, "bits", masked)
    place = ((masked ^ theirs) & _SIX).astype(np.uint64)
    return [((word >> place) & _ONE).astype(np.uint8) for word in words]


def open_bits(engine: AidedEngine, tag: str, bits: Bits | None, shape: tuple[int, ...]) -> Bits:
    """Open shared bits to both owners, eight a byte; zeros at the helper.

    The caller says why nothing is learnt from them, or records the opening.
    """
    if bits is None:
        return np.zeros(shape, dtype=np.uint8)
    packed = np.packbits(bits.reshape(-1))
    party = engine.party
    party.peer.send(f"open.{tag}", None, [packed])
    _, (theirs,) = party.peer.recv(f"open.{tag}", None, [ArraySpec("|u1", packed.shape)])
    return np.unpackbits(packed ^ theirs, count=bits.size).reshape(shape)


@cache
def _shifted(table: Table) -> Words:
    """For each mask, the word whose bit c is the function at ``c ^ mask``."""
    words = [sum(table[place ^ shift] << place for place in range(PLACES)) for shift in range(PLACES)]
    return np.array(words, dtype=np.uint64)


def _turned(words: Words, flip: Bits | None) -> Words:
    if flip is None:
        return words
    turned: Words = words ^ (flip.astype(np.uint64) * _ALL)
    return turned
