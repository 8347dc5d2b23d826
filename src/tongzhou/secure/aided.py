"""Computing on shared values with a helper that deals correlated randomness.

Statement
    Parties: two data owners (asker, provider) and a helper.
    Who learns what: each owner receives only words masked with fresh uniform words, so its view is
    uniform apart from what `AidedEngine.open` opens on purpose; the helper receives nothing but the
    shapes of the computation.
    Assumption: semi-honest parties; the helper colludes with nobody; AES-256 in counter mode is
    indistinguishable from uniform.
    Cost: for each product, the masked operand once between the owners and one correction from the helper;
    one round a product or opening. Masks themselves travel as seeds (32 bytes a run and owner).
    Papers: Beaver, Efficient multiparty protocols using circuit randomization (CRYPTO 1991); truncation with
    dealt masks after Escudero, Ghosh, Keller, Rachuri and Scholl (CRYPTO 2020), section 5.

Every party runs the same lines. What a role does differently stands in the few primitives below.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from tongzhou.errors import ProtocolError
from tongzhou.secure.engine import BinLabels, CountOpening, Counts, Engine, Hidden
from tongzhou.secure.party import OWNERS, Party, Role, other_owner
from tongzhou.secure.prg import SEED_BYTES, Stream, new_seed
from tongzhou.secure.ring import Words, encode_bounded, matrix_times_rows, rows_times_matrix
from tongzhou.secure.series import Series, multiples, series_factors
from tongzhou.secure.shared import Shared, join
from tongzhou.secure.shuffling import deal_shuffles, events_in_bins
from tongzhou.wire.messages import ArraySpec

__all__ = ["AidedEngine"]

T = TypeVar("T")

_CHUNK_BYTES = 64 << 20
"""Large matrices travel in pieces of about this size, far below the frame bound."""

_CHUNK_ROWS = 1 << 12
"""Rows of a series handled at a time: the working arrays of one chunk stay in the second-level cache."""

_Bilinear = Callable[[Words, Words], Words]

_HALF_RANGE = np.uint64(1 << 62)
_LOW_63 = np.uint64((1 << 63) - 1)


class AidedEngine(Engine):
    """The primitives of `aided` mode, seen from one party.

    Args:
        party: seat in the run. The constructor only stores; `start` agrees the seeds.
    """

    def __init__(self, party: Party) -> None:
        super().__init__(party)
        self._streams: dict[Role, Stream] = {}

    def start(self) -> None:
        """Agree one secret seed between the helper and each owner."""
        party = self.party
        if party.is_owner:
            seed = new_seed()
            party.link("helper").send("aided.seed", seed)
            self._streams[party.role] = Stream(seed)
            return
        for role in OWNERS:
            seed, _ = party.link(role).recv("aided.seed", bytes)
            if len(seed) != SEED_BYTES:
                raise ProtocolError(
                    "{peer} sent a seed of {got} bytes; {size} are due",
                    peer=party.link(role).peer,
                    got=len(seed),
                    size=SEED_BYTES,
                )
            self._streams[role] = Stream(seed)

    def stream(self, role: Role) -> Stream:
        """The stream shared by the helper and one owner."""
        return self._streams[role]

    def announce(self, tag: str, value: T | None, kind: type[T], *, what: str = "", reason: str = "") -> T:
        """Owners pass what they know and the asker tells it to the helper, which is told."""
        party = self.party
        if what:
            party.record(what, 1, ("helper",), reason)
        if value is None:
            told, _ = party.link("asker").recv(tag, kind)
            return told
        if party.role == "asker":
            party.link("helper").send(tag, value)
        return value

    # --- private matrices ------------------------------------------------------------------------------

    def hide(self, owner: Role, shape: tuple[int, int], words: Words | None) -> Hidden:
        """Give the other owner a masked form of a private matrix ``(d, n)``, once for all its products."""
        columns, rows = shape
        if self.party.role == owner and words is not None:
            for start, stop in _pieces(*shape):
                masked = words[start:stop] - self.stream(owner).words(stop - start, rows)
                self.party.peer.send("hide", None, [masked])
            return Hidden(owner, columns, rows, words)
        held = np.empty(shape, dtype=np.uint64)
        for start, stop in _pieces(*shape):
            if self.is_owner:
                spec = ArraySpec("<u8", (stop - start, rows))
                held[start:stop] = self.party.peer.recv("hide", None, [spec])[1][0]
            else:
                held[start:stop] = self.stream(owner).words(stop - start, rows)
        return Hidden(owner, columns, rows, held)

    def times(self, matrix: Hidden, weights: Shared) -> Shared:
        """Shared ``weights (d,)`` times a private matrix: one shared number a row, ``(n,)``."""
        return self._product("times", matrix, weights, (matrix.rows,), _weights_times)

    def transpose_times(self, matrix: Hidden, rows: Shared) -> Shared:
        """A private matrix times shared ``rows (n,)`` or ``(k, n)``: ``(d,)`` or ``(d, k)``."""
        return self._product("transpose", matrix, rows, (matrix.columns, *rows.shape[:-1]), matrix_times_rows)

    def scale_rows(self, matrix: Hidden, factors: Shared) -> Shared:
        """Each row of a private matrix times a shared factor ``(n,)``: shared ``(d, n)``."""
        return self._product("scale", matrix, factors, (matrix.columns, matrix.rows), np.multiply)

    def weighted_gram(self, asker: Hidden, provider: Hidden, factors: Shared) -> Shared:
        """Each block is scaled by the factors, and the scaled rows are summed against both blocks."""
        asker_rows = self.scale_rows(asker, factors)
        provider_rows = self.scale_rows(provider, factors)
        cross = self.transpose_times(provider, asker_rows)
        left = join(self.transpose_times(asker, asker_rows), cross)
        right = join(cross.transposed(), self.transpose_times(provider, provider_rows))
        return join(left.transposed(), right.transposed())

    def _product(
        self, name: str, matrix: Hidden, operand: Shared, shape: tuple[int, ...], operation: _Bilinear
    ) -> Shared:
        """Shares of ``operation(matrix, operand)`` for any bilinear operation.

        With mask U on the matrix and v on the other owner's share x:
        ``X·x = X·(x - v) + (X - U)·v + U·v``. The matrix owner computes the first term, the other owner the
        second, and the helper deals shares of the third.
        """
        owner, other = matrix.owner, other_owner(matrix.owner)
        tag = f"product.{name}"
        if operand.share is None:
            mask = self.stream(other).words(*operand.shape)
            correction = operation(matrix.held, mask) - self.stream(other).words(*shape)
            self.party.link(owner).send(tag, None, [correction])
            return Shared(shape, None)
        if self.party.role == other:
            mask = self.stream(other).words(*operand.shape)
            self.party.peer.send(tag, None, [operand.share - mask])
            return Shared(shape, operation(matrix.held, mask) + self.stream(other).words(*shape))
        _, (masked,) = self.party.peer.recv(tag, None, [ArraySpec("<u8", operand.shape)])
        _, (correction,) = self.party.link("helper").recv(tag, None, [ArraySpec("<u8", shape)])
        return Shared(shape, operation(matrix.held, operand.share + masked) + correction)

    # --- functions of shared numbers ---------------------------------------------------------------------

    def angles(self, logits: Shared) -> Words:
        """Angles opened under uniform masks: at the owners the masked angles, at the helper the masks."""
        (rows,) = logits.shape
        if logits.share is None:
            return self.stream(OWNERS[0]).words(rows) + self.stream(OWNERS[1]).words(rows)
        masked = logits.share - self.stream(self.party.role).words(rows)
        (opened,) = self._exchange("angle", masked)
        return opened

    def sum_series(self, angles: Words, series: Series, *, dealt_bits: int, bits: int) -> Shared:
        """The helper deals sines and cosines of the masks; the owners combine by the addition theorems."""
        rows = len(angles)
        total = np.empty(rows, dtype=np.uint64) if self.is_owner else None
        for start in range(0, rows, _CHUNK_ROWS):
            part = angles[start : start + _CHUNK_ROWS]
            dealt = self._multiples(part, len(series.coefficients), dealt_bits)
            if total is not None and dealt is not None:
                factors = encode_bounded(series_factors(part, series), bits - dealt_bits)
                np.einsum("kn,kn->n", factors, dealt, out=total[start : start + _CHUNK_ROWS])
        return Shared((rows,), total)

    def _multiples(self, masks: Words, harmonics: int, bits: int) -> Words | None:
        """Shares of cos(k r) and sin(k r) of the masks, ``(2K, n)``; the helper, which knows them, deals."""
        shape = (2 * harmonics, len(masks))
        if self.party.role == "asker":
            return self.stream("asker").words(*shape)
        if self.party.role == "provider":
            return self.party.link("helper").recv("deal.angle", None, [ArraySpec("<u8", shape)])[1][0]
        values = encode_bounded(multiples(masks, harmonics), bits)
        values -= self.stream("asker").words(*shape)
        self.party.link("provider").send("deal.angle", None, [values])
        return None

    # --- counts ------------------------------------------------------------------------------------------

    def count_labels(
        self, rows: int, bins: Sequence[int], given: BinLabels, opening: CountOpening
    ) -> list[Counts] | None:
        """By shuffles that the helper deals; see `tongzhou.secure.shuffling`."""
        if not self.is_owner:
            deal_shuffles(self.party, self._streams, rows, len(bins))
            return None
        return events_in_bins(self.party, self.stream(self.party.role), rows, given, opening)

    # --- shared by shared --------------------------------------------------------------------------------

    def matmul(self, left: Shared, right: Shared, *, drop: int = 0) -> Shared:
        """Product of two shared matrices ``(p, q)`` and ``(q, r)`` (Beaver's triple).

        Args:
            left: shared ``(p, q)``.
            right: shared ``(q, r)``.
            drop: fractional bits to truncate from the product, as `truncate` does.
        """
        shape = (left.shape[0], right.shape[1])
        drawn = [left.shape, right.shape, *([shape] if drop else [])]
        if left.share is None or right.share is None:
            masks = self._mask_sums(drawn)
            dealt = [masks[0] @ masks[1], *([_mask_parts(masks[2], drop)] if drop else [])]
            self._deal("matmul", dealt)
            return Shared(shape, None)
        masks = [self.stream(self.party.role).words(*size) for size in drawn]
        product, *parts = self._dealt("matmul", [shape, *([(2, *shape)] if drop else [])])
        open_left, open_right = self._exchange("matmul", left.share - masks[0], right.share - masks[1])
        share = open_left @ masks[1] + masks[0] @ open_right + product
        if self.party.role == "asker":
            share += open_left @ open_right
        if drop:
            share = self._without_low_bits(share, masks[2], parts[0], drop)
        return Shared(shape, share)

    def truncate(self, value: Shared, bits: int) -> Shared:
        """Drop `bits` fractional bits of a shared value with ``|value| < 2^62``; off by less than one unit.

        The error depends on the mask alone and is zero in the mean.
        """
        if value.share is None:
            (mask,) = self._mask_sums([value.shape])
            self._deal("truncate", [_mask_parts(mask, bits)])
            return Shared(value.shape, None)
        mask = self.stream(self.party.role).words(*value.shape)
        (parts,) = self._dealt("truncate", [(2, *value.shape)])
        return Shared(value.shape, self._without_low_bits(value.share, mask, parts, bits))

    def _without_low_bits(self, share: Words, mask: Words, parts: Words, bits: int) -> Words:
        """An owner's part of a truncation, given its shares of the parts of the mask."""
        high, top = parts
        shifted = share + mask
        if self.party.role == "asker":
            shifted += _HALF_RANGE
        (opened,) = self._exchange("truncate", shifted)
        # The masked value wrapped past 2^63 exactly where the top bits of mask and opened word differ.
        opened_top = opened >> np.uint64(63)
        wrapped = top - (opened_top << np.uint64(1)) * top
        result: Words = (wrapped << np.uint64(63 - bits)) - high
        if self.party.role == "asker":
            result += (opened_top << np.uint64(63 - bits)) + ((opened & _LOW_63) >> np.uint64(bits))
            result -= np.uint64(1 << (62 - bits))
        return result

    # --- dealing -------------------------------------------------------------------------------------------

    def _mask_sums(self, shapes: Sequence[tuple[int, ...]]) -> list[Words]:
        """Helper: the masks that both owners draw from their streams, added up."""
        asker, provider = (self.stream(role) for role in OWNERS)
        return [asker.words(*shape) + provider.words(*shape) for shape in shapes]

    def _deal(self, tag: str, values: Sequence[Words]) -> None:
        """Helper: share values. The asker's shares come from its stream, the provider gets the rest."""
        shares = [value - self.stream("asker").words(*value.shape) for value in values]
        self.party.link("provider").send(f"deal.{tag}", None, shares)

    def _dealt(self, tag: str, shapes: Sequence[tuple[int, ...]]) -> list[Words]:
        """Owner: take its shares of dealt values."""
        if self.party.role == "asker":
            return [self.stream("asker").words(*shape) for shape in shapes]
        specs = [ArraySpec("<u8", shape) for shape in shapes]
        return self.party.link("helper").recv(f"deal.{tag}", None, specs)[1]

    def _exchange(self, tag: str, *masked: Words) -> list[Words]:
        """Owners: open values that a uniform mask hides."""
        self.party.peer.send(f"masked.{tag}", None, masked)
        _, theirs = self.party.peer.recv(f"masked.{tag}", None, [ArraySpec("<u8", m.shape) for m in masked])
        return [ours + other for ours, other in zip(masked, theirs, strict=True)]


def _mask_parts(mask: Words, bits: int) -> Words:
    """What the owners need to know of a truncation's mask, ``(2, …)``: its high bits, and its top bit."""
    return np.stack([(mask & _LOW_63) >> np.uint64(bits), mask >> np.uint64(63)])


def _weights_times(matrix: Words, weights: Words) -> Words:
    return rows_times_matrix(weights, matrix)


def _pieces(columns: int, rows: int) -> Iterator[tuple[int, int]]:
    step = max(1, _CHUNK_BYTES // (8 * max(rows, 1)))
    for start in range(0, columns, step):
        yield start, min(start + step, columns)
