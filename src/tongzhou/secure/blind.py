"""Private products of two owners: one encrypts, the other multiplies and masks.

Statement
    Parties: asker (holds the keys) and provider (computes on ciphertexts).
    Who learns what: each owner gets an additive share of the result, which is uniform; nobody learns anything
    else. The provider receives public keys and ciphertexts; the asker ciphertexts whose messages are uniform
    and which say nothing else, see `tongzhou.secure.lattice`.
    Assumption: as `tongzhou.secure.lattice`; AES-256 in counter mode is indistinguishable from uniform.
    Cost: about 200 kB a ciphertext to the provider and 130 kB a result back (less than 230 kB and 190 kB for
    small matrices); one round for any number of products. Keys once a run, 0.5 MB each, with the first
    ciphertexts.
    Papers: as `tongzhou.secure.packing`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import ProtocolError
from tongzhou.secure.lattice import DEGREE, Evaluator, KeyHolder, Kind
from tongzhou.secure.packing import Layout, parts
from tongzhou.secure.party import Party
from tongzhou.secure.prg import Stream, new_seed
from tongzhou.secure.ring import Words
from tongzhou.wire.messages import ArraySpec

__all__ = ["Blind", "Job", "Sealed", "Term"]

_PIECE = 4
"""Ciphertexts in a message: few, so that one owner computes while the other does."""
_MOST_BYTES = 1 << 20
"""More than any key or ciphertext of these parameters takes."""

Places = NDArray[np.intp]
Products = Iterable[tuple[Any, Any]]


@dataclass(frozen=True)
class Sealed:
    """A matrix ``(l, k)`` of the asker that was encrypted once for many products, a column in a polynomial.

    Attributes:
        ciphertexts: at the provider, by piece of l and by column; empty at the asker.
    """

    ciphertexts: list[list[Any]]


@dataclass(frozen=True)
class Term:
    """One product ``(m, l)`` times ``(l, k)``, seen from one owner.

    Attributes:
        layout: how both are laid out. If it is turned, the asker brings the left matrix and the provider the
            right one, and `left` and `right` are the transposes: ``(k, l)`` and ``(l, m)``.
        inner: l.
        left: ``(m, l)`` words at the provider.
        right: ``(l, k)`` words at the asker.
        sealed: takes the place of `right`.
        factors: where the provider keeps its factors for the next time, if it will need them again.
    """

    layout: Layout
    inner: int
    left: Words | None = None
    right: Words | None = None
    sealed: Sealed | None = None
    factors: dict[Any, Any] | None = None


@dataclass(frozen=True)
class Job:
    """A sum of products ``(m, k)``. All terms put their results in the same places.

    Attributes:
        rows: m.
        columns: k.
        terms: what is added.
    """

    rows: int
    columns: int
    terms: Sequence[Term]

    @property
    def groups(self) -> list[tuple[slice, slice]]:
        """Rows and columns that share a result."""
        layout = self.terms[0].layout
        return [
            (rows, columns)
            for rows in parts(self.rows, layout.left)
            for columns in parts(self.columns, layout.right)
        ]

    def places(self, rows: slice, columns: slice) -> Places:
        """Where the results of a group stand."""
        layout = self.terms[0].layout
        return layout.places(rows.stop - rows.start, columns.stop - columns.start).reshape(-1)


@dataclass
class Blind:
    """The exchange of two owners, seen from one of them.

    Attributes:
        party: seat in the run.
    """

    party: Party
    _masks: Stream = field(default_factory=lambda: Stream(new_seed()), repr=False)
    _holders: dict[Kind, KeyHolder] = field(default_factory=dict, repr=False)
    _evaluators: dict[Kind, Evaluator] = field(default_factory=dict, repr=False)

    @property
    def holds_keys(self) -> bool:
        """Whether this owner encrypts."""
        return self.party.role == "asker"

    def modulus(self, kind: Kind) -> int:
        """The plaintext modulus of a kind."""
        return (self._holder(kind) if self.holds_keys else self._evaluator(kind)).modulus

    def divided(self, share: Words, bits: int) -> Words:
        """A share divided by 2^bits: one owner rounds down, the other up, so that the sum has no lean."""
        out: Words = share >> np.uint64(bits)
        if not self.holds_keys:
            out += share & np.uint64((1 << bits) - 1) != 0
        return out

    def at_provider(self, words: Words) -> Words | None:
        """The words at the provider."""
        return None if self.holds_keys else words

    def at_asker(self, words: Words) -> Words | None:
        """The words at the asker."""
        return words if self.holds_keys else None

    def factor(self, kind: Kind, words: Words) -> Any:
        """At the provider: own numbers ``(8192,)`` as a factor."""
        return self._evaluator(kind).factor(words)

    # --- products of matrices ----------------------------------------------------------------------------

    def products(self, kind: Kind, jobs: Sequence[Job]) -> list[Words]:
        """This owner's shares of each job ``(m, k)``, modulo the kind's modulus. One round for all."""
        replies = [job.places(*group) for job in jobs for group in job.groups]
        given = [term for job in jobs for term in job.terms if term.sealed is None]
        sent = sum(_count(job, term) for job in jobs for term in job.terms)
        polynomials = (polynomial for term in given for polynomial in _right_polynomials(term))
        found = iter(
            self.exchange(kind, (sent, polynomials), replies, lambda got: self._evaluated(kind, jobs, got))
        )
        return [_assembled(job, found) for job in jobs]

    def seal(self, kind: Kind, shape: tuple[int, int], matrix: Words | None) -> Sealed:
        """Encrypt a matrix ``(l, k)`` of the asker once, for terms with one column a polynomial."""
        inner, columns = shape
        pieces = parts(inner, DEGREE)
        if matrix is not None:
            self._send(kind, (_padded(matrix[piece, j]) for piece in pieces for j in range(columns)))
            return Sealed([])
        got = iter(self._receive(kind, len(pieces) * columns))
        return Sealed([[next(got) for _ in range(columns)] for _ in pieces])

    def _evaluated(self, kind: Kind, jobs: Sequence[Job], got: Sequence[Any]) -> Iterator[Products]:
        """The provider's products for each result."""
        evaluator, first = self._evaluator(kind), 0
        for job in jobs:
            ready = []
            for term in job.terms:
                count = _count(job, term)
                ready.append(_Ready(term, job, evaluator, got[first : first + count]))
                first += count
            for rows, columns in job.groups:
                yield chain.from_iterable(one.products(rows, columns) for one in ready)

    # --- one round -----------------------------------------------------------------------------------------

    def exchange(
        self,
        kind: Kind,
        given: tuple[int, Iterable[Words]],
        replies: Sequence[Places | None],
        evaluate: Callable[[Sequence[Any]], Iterable[Products]],
    ) -> list[Words]:
        """Ciphertexts to the provider, masked results back.

        Args:
            kind: parameters.
            given: how many ciphertexts the asker sends, and at the asker their polynomials ``(8192,)``.
            replies: which places of each result are used; ``None`` for all.
            evaluate: at the provider, from the ciphertexts to the products that each result sums.

        Returns:
            Shares of each result at its places.
        """
        count, polynomials = given
        if self.holds_keys:
            self._send(kind, polynomials)
            return self._opened(kind, replies)
        results = evaluate(self._receive(kind, count))
        return self._answered(kind, zip(results, replies, strict=True))

    def _opened(self, kind: Kind, replies: Sequence[Places | None]) -> list[Words]:
        holder, peer = self._holder(kind), self.party.peer.peer
        return [
            holder.decrypt(blob, places, peer)
            for blob, places in zip(
                self._blobs(f"blind.{kind.name}.back", len(replies)), replies, strict=True
            )
        ]

    def _answered(self, kind: Kind, results: Iterable[tuple[Products, Places | None]]) -> list[Words]:
        evaluator, shares = self._evaluator(kind), []
        modulus = np.uint64(evaluator.modulus)

        def masked() -> Iterator[NDArray[np.uint8]]:
            for products, places in results:
                mask = self._uniform(kind)
                used = mask if places is None else mask[places]
                shares.append((modulus - used) % modulus)
                yield evaluator.combine(products, mask)

        self._send_blobs(f"blind.{kind.name}.back", masked())
        return shares

    def _uniform(self, kind: Kind) -> Words:
        """Uniform numbers below the modulus, ``(8192,)``."""
        mask = self._masks.words(DEGREE) & np.uint64((1 << kind.bits) - 1)
        if kind.slots:
            # The prime is so near to the power of two that next to none is drawn again.
            modulus = np.uint64(self.modulus(kind))
            while (above := mask >= modulus).any():
                mask[above] = self._masks.words(int(above.sum())) & np.uint64((1 << kind.bits) - 1)
        return mask

    # --- ciphertexts on the wire ---------------------------------------------------------------------------

    def _holder(self, kind: Kind) -> KeyHolder:
        """The asker's side of a kind; its public key is sent when it is made."""
        if kind not in self._holders:
            holder = KeyHolder(kind)
            self._holders[kind] = holder
            self.party.peer.send(f"blind.{kind.name}.key", None, [holder.public_key()])
        return self._holders[kind]

    def _evaluator(self, kind: Kind) -> Evaluator:
        """The provider's side of a kind; it waits for the public key when it is made."""
        if kind not in self._evaluators:
            peer = self.party.peer
            _, (key,) = peer.recv(f"blind.{kind.name}.key", None, [ArraySpec("|u1", (None,))])
            self._evaluators[kind] = Evaluator(kind, key, peer.peer)
        return self._evaluators[kind]

    def _send(self, kind: Kind, polynomials: Iterable[Words]) -> None:
        holder = self._holder(kind)
        self._send_blobs(f"blind.{kind.name}", (holder.encrypt(polynomial) for polynomial in polynomials))

    def _receive(self, kind: Kind, count: int) -> list[Any]:
        evaluator, peer = self._evaluator(kind), self.party.peer.peer
        return [evaluator.ciphertext(blob, peer) for blob in self._blobs(f"blind.{kind.name}", count)]

    def _send_blobs(self, tag: str, blobs: Iterable[NDArray[np.uint8]]) -> None:
        """A few at a time, so that the other owner can begin."""
        waiting: list[NDArray[np.uint8]] = []
        for blob in blobs:
            waiting.append(blob)
            if len(waiting) == _PIECE:
                self._send_piece(tag, waiting)
                waiting = []
        if waiting:
            self._send_piece(tag, waiting)

    def _send_piece(self, tag: str, blobs: Sequence[NDArray[np.uint8]]) -> None:
        sizes = np.array([len(blob) for blob in blobs], dtype=np.int64)
        self.party.peer.send(tag, None, [sizes, np.concatenate(blobs)])

    def _blobs(self, tag: str, count: int) -> Iterator[NDArray[np.uint8]]:
        peer = self.party.peer
        for piece in parts(count, _PIECE):
            specs = [ArraySpec("<i8", (piece.stop - piece.start,)), ArraySpec("|u1", (None,))]
            _, (sizes, data) = peer.recv(tag, None, specs)
            if int(sizes.min()) < 0 or int(sizes.max()) > _MOST_BYTES or int(sizes.sum()) != len(data):
                raise ProtocolError("{peer} sent a ciphertext that is none", peer=peer.peer)
            yield from np.split(data, np.cumsum(sizes)[:-1])


class _Ready:
    """A term at the provider, with the ciphertexts that came for it."""

    def __init__(self, term: Term, job: Job, evaluator: Evaluator, got: Sequence[Any]) -> None:
        self._term, self._evaluator = term, evaluator
        self._pieces = parts(term.inner, term.layout.inner)
        # What serves one result only is not kept: it may be all of a large table.
        again = len(parts(_encrypted(job, term), term.layout.right)) > 1
        self._factors: dict[Any, Any] | None = {} if term.factors is None and again else term.factors
        if term.sealed is not None:
            self._got = term.sealed.ciphertexts
        else:
            width = len(parts(_encrypted(job, term), term.layout.right))
            self._got = [list(got[i * width : (i + 1) * width]) for i in range(len(self._pieces))]

    def products(self, rows: slice, columns: slice) -> Iterator[tuple[Any, Any]]:
        """What the term adds to one result, one after the other."""
        layout = self._term.layout
        theirs, own = (rows, columns) if layout.turned else (columns, rows)
        place = theirs.start // layout.right
        for number, piece in enumerate(self._pieces):
            yield self._got[number][place], self._factor(own, piece)

    def _factor(self, rows: slice, piece: slice) -> Any:
        if self._factors is None:
            return self._made(rows, piece)
        key = (self._term.layout, rows.start, piece.start)
        if key not in self._factors:
            self._factors[key] = self._made(rows, piece)
        return self._factors[key]

    def _made(self, rows: slice, piece: slice) -> Any:
        left = self._term.left
        if left is None:
            raise ValueError("the provider has no left matrix")
        return self._evaluator.factor(self._term.layout.left_polynomial(left[rows, piece]))


def _count(job: Job, term: Term) -> int:
    """How many ciphertexts a term needs."""
    if term.sealed is not None:
        return 0
    return len(parts(term.inner, term.layout.inner)) * len(parts(_encrypted(job, term), term.layout.right))


def _encrypted(job: Job, term: Term) -> int:
    """How many columns the asker's matrix of a term has."""
    return job.rows if term.layout.turned else job.columns


def _right_polynomials(term: Term) -> Iterator[Words]:
    """What the asker encrypts for a term."""
    right = term.right
    if right is None:
        raise ValueError("the asker has no right matrix")
    for piece in parts(term.inner, term.layout.inner):
        for columns in parts(right.shape[1], term.layout.right):
            yield term.layout.right_polynomial(right[piece, columns])


def _assembled(job: Job, found: Iterator[Words]) -> Words:
    out = np.empty((job.rows, job.columns), dtype=np.uint64)
    for rows, columns in job.groups:
        out[rows, columns] = next(found).reshape(rows.stop - rows.start, columns.stop - columns.start)
    return out


def _padded(words: Words) -> Words:
    return np.pad(words, (0, DEGREE - len(words)))
