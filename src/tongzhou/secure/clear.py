"""An engine that protects nothing: one process plays both owners. And how owners tell each other things.

Statement
    Parties: one process that holds both owners' data.
    Who learns what: that process learns everything. Nothing is protected.
    For: mode `local` of protocols that are written against the primitives of `tongzhou.secure.aided`. They
    run the same lines as in a protected mode and give the same numbers, which is what tests compare.

A shared value is the value itself here; what one owner brings stands beside what the other brings.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.comparison import MAX_BITS, negative, zero
from tongzhou.secure.engine import Hidden
from tongzhou.secure.party import OWNERS, Party, Role
from tongzhou.secure.products import multiply, square
from tongzhou.secure.ring import Words, matrix_times_rows, rows_times_matrix
from tongzhou.secure.shared import Shared
from tongzhou.wire.messages import Session

__all__ = ["ClearEngine", "tell"]

T = TypeVar("T")


class ClearEngine(AidedEngine):
    """The primitives of `AidedEngine` in the clear; both owners' private values must be given."""

    def __init__(self) -> None:
        super().__init__(Party("asker", Session("asker", {}), {role: role for role in OWNERS}))

    def start(self) -> None:
        """Nothing to agree on."""

    def own(self, owner: Role, shape: tuple[int, ...], words: Words | None) -> Shared:
        """The value itself."""
        return Shared(shape, _given(words, owner))

    def add_public(self, value: Shared, words: Words) -> Shared:
        """The sum."""
        return Shared(value.shape, _given(value.share, "asker") + words)

    def open(self, value: Shared, *, what: str, receivers: Sequence[Role], reason: str) -> Words | None:
        """The value, whoever receives it: the caller hands to each owner what is its own."""
        self.party.record(what, int(np.prod(value.shape)), receivers, reason)
        return value.share

    def hide(self, owner: Role, shape: tuple[int, int], words: Words | None) -> Hidden:
        """The matrix itself."""
        return Hidden(owner, *shape, _given(words, owner))

    def times(self, matrix: Hidden, weights: Shared) -> Shared:
        """``weights (d,)`` times the matrix: ``(n,)``."""
        return Shared((matrix.rows,), rows_times_matrix(_given(weights.share, "asker"), matrix.held))

    def transpose_times(self, matrix: Hidden, rows: Shared) -> Shared:
        """The matrix times ``rows (n,)`` or ``(k, n)``: ``(d,)`` or ``(d, k)``."""
        product = matrix_times_rows(matrix.held, _given(rows.share, "asker"))
        return Shared(product.shape, product)

    def scale_rows(self, matrix: Hidden, factors: Shared) -> Shared:
        """Each row of the matrix times a factor ``(n,)``: ``(d, n)``."""
        product: Words = matrix.held * _given(factors.share, "asker")
        return Shared(product.shape, product)

    def matmul(self, left: Shared, right: Shared, *, drop: int = 0) -> Shared:
        """Product of two matrices."""
        product = _given(left.share, "asker") @ _given(right.share, "asker")
        return self.truncate(Shared(product.shape, product), drop)

    def truncate(self, value: Shared, bits: int) -> Shared:
        """Drop fractional bits, rounding down."""
        signed = _given(value.share, "asker").view(np.int64) >> np.int64(bits)
        return Shared(value.shape, signed.view(np.uint64))


def tell(
    engine: AidedEngine, teller: Role, tag: str, value: T | None, kind: type[T], *, helper: bool
) -> T | None:
    """An owner tells the other, and the helper if it needs to know, something in the clear.

    The caller records what is told.

    Args:
        engine: who computes.
        teller: owner that tells.
        tag: tag of the message.
        value: what is told; ``None`` everywhere but at the teller.
        kind: its type.
        helper: whether the helper is told.

    Returns:
        The value; ``None`` at a helper that is not told.
    """
    party = engine.party
    if isinstance(engine, ClearEngine):
        return value
    if party.role == teller:
        for role in party.names:
            if role != teller and (helper or role != "helper"):
                party.link(role).send(tag, value)
        return value
    if not party.is_owner and not helper:
        return None
    return party.link(teller).recv(tag, kind)[0]


def _given(words: Words | None, owner: Role) -> Words:
    if words is None:
        raise ValueError(f"mode local needs the {owner}'s values")
    return words


@negative.register(ClearEngine)
def _negative_clear(engine: ClearEngine, value: Shared, *, bits: int = MAX_BITS) -> Shared:
    return Shared(value.shape, _given(value.share, "asker") >> np.uint64(63))


@zero.register(ClearEngine)
def _zero_clear(engine: ClearEngine, value: Shared, *, bits: int = MAX_BITS) -> Shared:
    return Shared(value.shape, (_given(value.share, "asker") == 0).astype(np.uint64))


@multiply.register(ClearEngine)
def _multiply_clear(engine: ClearEngine, left: Shared, right: Shared, *, drop: int = 0) -> Shared:
    product = _given(left.share, "asker") * _given(right.share, "asker")
    return engine.truncate(Shared(left.shape, product), drop)


@square.register(ClearEngine)
def _square_clear(engine: ClearEngine, value: Shared) -> Shared:
    return _multiply_clear(engine, value, value)
