"""A value that two owners hold together: the sum of their shares, modulo 2^64.

The helper runs the same program and holds the same shapes, with no share at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tongzhou.secure.ring import Words

__all__ = ["Shared", "join", "zeros"]


@dataclass(frozen=True, slots=True)
class Shared:
    """One party's view of a shared value.

    Attributes:
        shape: shape of the value.
        share: this party's additive share; ``None`` at the helper.
    """

    shape: tuple[int, ...]
    share: Words | None

    def __add__(self, other: Shared) -> Shared:
        return Shared(self.shape, _both(self.share, other.share, np.add))

    def __sub__(self, other: Shared) -> Shared:
        return Shared(self.shape, _both(self.share, other.share, np.subtract))

    def scaled(self, factor: int) -> Shared:
        """The value times a public integer."""
        if self.share is None:
            return self
        return Shared(self.shape, self.share * np.uint64(factor % (1 << 64)))

    def transposed(self) -> Shared:
        """The transpose of a shared matrix."""
        share = None if self.share is None else np.ascontiguousarray(self.share.T)
        return Shared(self.shape[::-1], share)

    def part(self, start: int, stop: int) -> Shared:
        """Places ``start:stop`` of the first axis."""
        share = None if self.share is None else self.share[start:stop]
        return Shared((stop - start, *self.shape[1:]), share)

    def reshaped(self, *shape: int) -> Shared:
        """The same value in another shape."""
        return Shared(shape, None if self.share is None else self.share.reshape(shape))


def zeros(*shape: int, owner: bool) -> Shared:
    """A shared zero (both shares zero)."""
    return Shared(shape, np.zeros(shape, dtype=np.uint64) if owner else None)


def join(*parts: Shared) -> Shared:
    """Concatenate along the first axis."""
    shape = (sum(part.shape[0] for part in parts), *parts[0].shape[1:])
    shares = [part.share for part in parts if part.share is not None]
    return Shared(shape, np.concatenate(shares) if len(shares) == len(parts) else None)


def _both(left: Words | None, right: Words | None, operation: np.ufunc) -> Words | None:
    if left is None or right is None:
        return None
    result: Words = operation(left, right)
    return result
