"""Values shared modulo 2^32: half the bytes of `tongzhou.secure.shared`, for sums that need no more room.

Fractional bits of a value shared modulo 2^64 are dropped by each owner alone while the value moves into the
smaller ring (truncate and reduce, Rathee et al., SiRnn, IEEE S&P 2021). With k bits dropped from shares a and
b, ``floor(a / 2^k) + floor(b / 2^k)`` differs from the true quotient by the two remainders, and by a multiple
of 2^(64 - k) where the shares wrapped around; for k ≤ 32 that multiple is zero modulo 2^32. So nothing is
sent and nothing can fail. The remainders are uniform, so that the result (one unit added) is the value
rounded up or down at random, with no lean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.shared import Shared

__all__ = ["Halved", "Halves", "own_halves", "reduced", "stack_halves"]

Halves = NDArray[np.uint32]

_MOST_DROPPED = 32


@dataclass(frozen=True, slots=True)
class Halved:
    """One party's view of a value shared modulo 2^32.

    Attributes:
        shape: shape of the value.
        share: this party's additive share; ``None`` at the helper.
    """

    shape: tuple[int, ...]
    share: Halves | None

    def __add__(self, other: Halved) -> Halved:
        return _both(self, other, np.add)

    def __sub__(self, other: Halved) -> Halved:
        return _both(self, other, np.subtract)

    def scaled(self, factor: int) -> Halved:
        """The value times a public integer."""
        if self.share is None:
            return self
        return Halved(self.shape, self.share * np.uint32(factor % (1 << 32)))

    def reshaped(self, *shape: int) -> Halved:
        """The same value in another shape."""
        return Halved(shape, None if self.share is None else self.share.reshape(shape))

    def sliced(self, *where: slice) -> Halved:
        """Part of the value."""
        if self.share is not None:
            part = self.share[where]
            return Halved(part.shape, part)
        shape = tuple(len(range(size)[cut]) for size, cut in zip(self.shape, where, strict=False))
        return Halved((*shape, *self.shape[len(shape) :]), None)

    def at(self, place: int) -> Halved:
        """One place of the last axis."""
        return Halved(self.shape[:-1], None if self.share is None else self.share[..., place])


def own_halves(engine: AidedEngine, values: Halves | None, shape: tuple[int, ...]) -> Halved:
    """Numbers that one owner knows, as shared numbers: the other, which passes ``None``, holds zeros."""
    if not engine.is_owner:
        return Halved(shape, None)
    return Halved(shape, np.zeros(shape, dtype=np.uint32) if values is None else values)


def stack_halves(values: list[Halved], axis: int = -1) -> Halved:
    """Values of one shape, side by side along a new axis."""
    place = axis % (len(values[0].shape) + 1)
    shape = (*values[0].shape[:place], len(values), *values[0].shape[place:])
    shares = [value.share for value in values if value.share is not None]
    return Halved(shape, np.stack(shares, axis=place) if len(shares) == len(values) else None)


def reduced(engine: AidedEngine, value: Shared, bits: int) -> Halved:
    """Drop `bits` fractional bits, 0 to 32, and keep the value modulo 2^32; see the module text.

    Raises:
        ValueError: more bits than can be dropped without failing.
    """
    if not 0 <= bits <= _MOST_DROPPED:
        raise ValueError(f"{bits} bits cannot be dropped by each owner alone")
    if value.share is None:
        return Halved(value.shape, None)
    share = (value.share >> np.uint64(bits)).astype(np.uint32)
    if bits and engine.party.role == "asker":
        share += np.uint32(1)
    return Halved(value.shape, share)


def _both(left: Halved, right: Halved, operation: np.ufunc) -> Halved:
    shape = np.broadcast_shapes(left.shape, right.shape)
    if left.share is None or right.share is None:
        return Halved(shape, None)
    return Halved(shape, operation(left.share, right.share))
