"""What joint computations are written in: the primitives that every protected mode offers.

Statement
    Parties: two data owners (asker, provider), and in mode `aided` a helper.
    Who learns what: see the engine of each mode, `aided` and `pair`. Whatever the mode, an owner receives
    nothing that depends on the other's data but what `Engine.open` opens on purpose.

Counting, training and scoring call these primitives and nothing else, so that they run in every mode through
the same lines. Numbers are shared modulo 2^64. A product with a shared operand may round that operand to a
multiple of ``2^SPARE_BITS``: whoever chooses the scales lets a result fill the ring, and loses nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.party import Party, Role, other_owner
from tongzhou.secure.ring import Words
from tongzhou.secure.series import Series
from tongzhou.secure.shared import Shared, join
from tongzhou.wire.messages import ArraySpec

__all__ = ["SPARE_BITS", "BinLabels", "CountOpening", "Counts", "Engine", "Hidden"]

T = TypeVar("T")

SPARE_BITS: Final = 14
"""Lowest bits of a shared operand that a product with a private matrix may round off."""

CountOpening = Literal["provider", "both"]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Hidden:
    """A private matrix of one owner, ready for products with shared numbers.

    Attributes:
        owner: role that knows the matrix.
        columns: number of variables d.
        rows: number of rows n.
        words: ``(d, n)``: the matrix at its owner; what the other party holds in its place, if anything.
        made: what the engine keeps with it to use again.
    """

    owner: Role
    columns: int
    rows: int
    words: Words | None
    made: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def held(self) -> Words:
        """The words, where this party holds some."""
        if self.words is None:
            raise ValueError("this party holds nothing of the matrix")
        return self.words

    def some(self, rows: slice) -> "Hidden":
        """The same matrix with fewer rows."""
        count = len(range(self.rows)[rows])
        words = None if self.words is None else np.ascontiguousarray(self.words[:, rows])
        return Hidden(self.owner, self.columns, count, words)


@dataclass(frozen=True)
class BinLabels:
    """What is counted: the provider's bins against the asker's label.

    Attributes:
        totals: ``(b,)`` rows in each bin, of each variable; known to both owners, empty at the helper.
        codes: at the provider, the ``(n,)`` bin of each row, of each variable.
        label: at the asker, its ``(n,)`` label of 0 and 1.
    """

    totals: Sequence[Counts]
    codes: Sequence[NDArray[np.int16]] | None = None
    label: NDArray[np.int8] | None = None


class Engine(ABC):
    """The primitives, seen from one party.

    Args:
        party: seat in the run.

    Attributes:
        renewal_price: what a new inverse curvature costs, in evaluations of the gradient; ``None`` if the
            bytes of mode `aided` say it.
        sample_least: rows that the curvature for a step takes at least.
    """

    renewal_price: ClassVar[float | None] = None
    sample_least: ClassVar[int] = 1 << 13

    def __init__(self, party: Party) -> None:
        self.party = party

    @abstractmethod
    def start(self) -> None:
        """Agree seeds or keys with the other parties, once a run."""

    @property
    def is_owner(self) -> bool:
        """Whether this party holds shares."""
        return self.party.is_owner

    # --- values in and out ---------------------------------------------------------------------------

    def own(self, owner: Role, shape: tuple[int, ...], words: Words | None) -> Shared:
        """Take a private value of one owner as a shared value, without sending anything."""
        if not self.is_owner:
            return Shared(shape, None)
        if self.party.role == owner:
            return Shared(shape, words)
        return Shared(shape, np.zeros(shape, dtype=np.uint64))

    def add_public(self, value: Shared, words: Words) -> Shared:
        """Add a public value (one owner's share moves)."""
        if self.party.role != "asker" or value.share is None:
            return value
        return Shared(value.shape, value.share + words)

    def open(self, value: Shared, *, what: str, receivers: Sequence[Role], reason: str) -> Words | None:
        """Open a shared value to the receivers and record it.

        Returns:
            The value at a receiver; ``None`` elsewhere. The helper never receives.
        """
        party = self.party
        party.record(what, int(np.prod(value.shape)), receivers, reason)
        if value.share is None:
            return None
        tag = f"open.{what}"
        if other_owner(party.role) in receivers:
            party.peer.send(tag, None, [np.ascontiguousarray(value.share)])
        if party.role not in receivers:
            return None
        _, (theirs,) = party.peer.recv(tag, None, [ArraySpec("<u8", value.shape)])
        return value.share + theirs

    @abstractmethod
    def announce(self, tag: str, value: T | None, kind: type[T], *, what: str = "", reason: str = "") -> T:
        """Let everybody know what both owners know: the course of the computation.

        Args:
            tag: of the message to the helper, where there is one.
            value: what the owners know; ``None`` at the helper.
            kind: its type.
            what: what the helper learns so, for the receipt; nothing is noted if empty.
            reason: why.
        """

    # --- private matrices ------------------------------------------------------------------------------

    @abstractmethod
    def hide(self, owner: Role, shape: tuple[int, int], words: Words | None) -> Hidden:
        """Take a private matrix ``(d, n)`` of one owner, for all its products."""

    def sample(self, matrix: Hidden, rows: slice) -> Hidden:
        """Some rows of a matrix, to estimate from."""
        return matrix.some(rows)

    @abstractmethod
    def times(self, matrix: Hidden, weights: Shared) -> Shared:
        """Shared ``weights (d,)`` times a private matrix: one shared number a row, ``(n,)``."""

    def times_both(self, asker: Hidden, provider: Hidden, weights: Shared) -> Shared:
        """Shared weights, the asker's first, times both owners' matrices: ``(n,)``."""
        split = asker.columns
        return self.times(asker, weights.part(0, split)) + self.times(
            provider, weights.part(split, weights.shape[0])
        )

    @abstractmethod
    def transpose_times(self, matrix: Hidden, rows: Shared) -> Shared:
        """A private matrix times shared ``rows (n,)`` or ``(k, n)``: ``(d,)`` or ``(d, k)``."""

    def transposes_times(self, asker: Hidden, provider: Hidden, rows: Shared) -> Shared:
        """Both owners' matrices times shared ``rows (n,)``, the asker's first: ``(d,)``."""
        return join(self.transpose_times(asker, rows), self.transpose_times(provider, rows))

    @abstractmethod
    def weighted_gram(self, asker: Hidden, provider: Hidden, factors: Shared) -> Shared:
        """``Σ f x xᵀ`` over rows x of both matrices, with shared factors f ``(n,)``: ``(d, d)``."""

    # --- functions of shared numbers ---------------------------------------------------------------------

    @abstractmethod
    def angles(self, logits: Shared) -> Words:
        """What this party keeps of shared angles ``(n,)``, whose period is the ring, for `sum_series`."""

    @abstractmethod
    def sum_series(self, angles: Words, series: Series, *, dealt_bits: int, bits: int) -> Shared:
        """Shared value of a series at each angle, ``(n,)``.

        Args:
            angles: what `angles` returned, or some rows of it.
            series: what to sum.
            dealt_bits: fractional bits of sines and cosines that a helper deals.
            bits: fractional bits of the result.
        """

    # --- shared by shared --------------------------------------------------------------------------------

    @abstractmethod
    def matmul(self, left: Shared, right: Shared, *, drop: int = 0) -> Shared:
        """Product of two shared matrices ``(p, q)`` and ``(q, r)``.

        Args:
            left: shared ``(p, q)``.
            right: shared ``(q, r)``.
            drop: fractional bits to truncate from the product, as `truncate` does.
        """

    @abstractmethod
    def truncate(self, value: Shared, bits: int) -> Shared:
        """Drop `bits` fractional bits of a shared value with ``|value| < 2^62``; off by about a unit."""

    # --- counts ------------------------------------------------------------------------------------------

    @abstractmethod
    def count_labels(
        self, rows: int, bins: Sequence[int], given: BinLabels, opening: CountOpening
    ) -> list[Counts] | None:
        """Events in each bin of each of the provider's variables, at the receivers of the opening."""
