"""A shared bit times a shared number: keep it or make it zero, without telling which.

Statement
    Parties: two data owners and the helper (`aided`).
    Who learns what: both owners learn the bits and the numbers under uniform masks; the helper learns the
    shapes.
    Assumption: as `tongzhou.secure.aided`.
    Cost: one bit each way and 4 bytes from the helper a bit, once for all its products; a product takes 4
    bytes each way and 4 from the helper a number; a round each.
    Paper: Beaver (CRYPTO 1991), with the mask of the bit dealt as a bit and as a number.

Bits are shared by exclusive or, numbers modulo 2^32. With the bit opened as c = b ^ m, b is m where c is 0
and 1 - m where it is 1; m is dealt as a number, and m x = m (x - v) + m v where x - v is opened and m v is
dealt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.dealing import XOR, deal, exchange, mask
from tongzhou.secure.halves import Halved, Halves
from tongzhou.secure.lookups import Bits

__all__ = ["Choice", "choose", "open_choice"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Shared bits, opened under masks.

    Attributes:
        shape: shape of the bits.
        opened: the masked bits, as numbers; ``None`` at the helper.
        mask: an owner's share of the masks as numbers; the masks at the helper.
    """

    shape: tuple[int, ...]
    opened: Halves | None
    mask: Halves


def open_choice(engine: AidedEngine, bits: Bits | None, shape: tuple[int, ...]) -> Choice:
    """Open bits under masks, for any number of products.

    Args:
        engine: who computes.
        bits: an owner's shares; ``None`` at the helper.
        shape: shape of the bits.
    """
    size = int(np.prod(shape))
    drawn = mask(engine, "|u1", (-(-size // 8),), XOR)
    flat = np.unpackbits(drawn, count=size)
    (dealt,) = deal(engine, "choice", [("<u4", shape)], lambda: [flat.reshape(shape).astype(np.uint32)])
    if bits is None:
        return Choice(shape, None, dealt)
    masked = np.packbits(bits.reshape(-1)) ^ drawn
    (theirs,) = exchange(engine, "choice", masked)
    opened = np.unpackbits(masked ^ theirs, count=size).reshape(shape)
    return Choice(shape, opened.astype(np.uint32), dealt)


def choose(engine: AidedEngine, choice: Choice, value: Halved) -> Halved:
    """The numbers where the bit is 1, zeros elsewhere; bits and numbers are broadcast against each other."""
    shape = np.broadcast_shapes(choice.shape, value.shape)
    drawn = mask(engine, "<u4", value.shape)
    (crossed,) = deal(engine, "chosen", [("<u4", shape)], lambda: [choice.mask * drawn])
    if value.share is None or choice.opened is None:
        return Halved(shape, None)
    masked = value.share - drawn
    (theirs,) = exchange(engine, "chosen", masked)
    crossed = choice.mask * (masked + theirs) + crossed
    # Where c is 1 the product is x - m x.
    share: Halves = (np.uint32(1) - (choice.opened << np.uint32(1))) * crossed
    share += choice.opened * value.share
    return Halved(shape, share)
