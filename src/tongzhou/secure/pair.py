"""Computing on shared values of two owners with nobody else.

Statement
    Parties: two data owners (asker, provider).
    Who learns what: the provider receives public keys and ciphertexts; the asker receives ciphertexts of
    uniform messages; both receive words and bits masked by uniform ones. Nobody learns more than
    `Engine.open` opens on purpose, and the shapes.
    Assumption: semi-honest parties; ring learning with errors as in `tongzhou.secure.lattice`; AES-256 in
    counter mode is indistinguishable from uniform.
    Cost: see the page of mode `pair`; a private matrix of the asker is encrypted once (about 25 bytes a
    number), the provider's never leaves it.
    Papers: products on ciphertexts as in `tongzhou.secure.blind`; wrap-arounds as in
    `tongzhou.secure.bit_products`.

The asker holds the keys and the provider computes. A product of a share with the other owner's numbers is
made modulo 2^50 (2^56 for small matrices). That costs the 14 (8) lowest bits of the operands and nothing
else: the two shares of a value, each divided by 2^14, add up to the value divided by 2^14, modulo 2^50, so
that the wrap-around of the ring is kept.

Sines and cosines are sums of products of numbers that one owner knows each, `tongzhou.secure.series`. They
are made modulo a prime, in slots, and brought back to the ring by their wrap-arounds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from tongzhou.errors import PlanError
from tongzhou.secure.bit_products import BitProducts
from tongzhou.secure.blind import Blind, Job, Sealed, Term
from tongzhou.secure.engine import SPARE_BITS, BinLabels, CountOpening, Counts, Engine, Hidden
from tongzhou.secure.lattice import DEGREE, ROWS, SLOTS, SMALL, require_library
from tongzhou.secure.packing import Layout, best_layout, parts
from tongzhou.secure.party import Party, Role
from tongzhou.secure.refusals import no_label
from tongzhou.secure.ring import Words, encode_bounded, matrix_times_rows, rows_times_matrix
from tongzhou.secure.series import Series, multiples, series_factors
from tongzhou.secure.shared import Shared, join
from tongzhou.wire.messages import ArraySpec

__all__ = ["PairEngine"]

T = TypeVar("T")

_HALF_RANGE = np.uint64(1 << 62)
_TOP = np.uint64(63)
_FACTOR_BITS = 20
"""Fractional bits of sines and cosines, and of what they are multiplied with."""
_COLUMN = Layout(DEGREE, 1, 1)
"""One column of many rows in a polynomial."""
_SMALL_SPARE = (64 - SMALL.bits) // 2


class PairEngine(Engine):
    """The primitives of mode `pair`, seen from one owner.

    Args:
        party: seat in the run.
    """

    curvature_cost = 3.0
    sample_least = DEGREE // 2

    def __init__(self, party: Party) -> None:
        super().__init__(party)
        self._blind = Blind(party)
        self._bits = BitProducts(self._blind)

    def start(self) -> None:
        """Keys are made and sent with the first ciphertexts that need them.

        Raises:
            PlanError: a third party takes part, or the library is missing.
        """
        if "helper" in self.party.names:
            raise PlanError("mode pair has no helper; remove it or use mode aided")
        require_library()

    def announce(self, tag: str, value: T | None, kind: type[T], *, what: str = "", reason: str = "") -> T:
        """Both owners know already, and there is nobody else."""
        if value is None:
            raise PlanError("mode pair has no helper; remove it or use mode aided")
        return value

    # --- private matrices ------------------------------------------------------------------------------

    def hide(self, owner: Role, shape: tuple[int, int], words: Words | None) -> Hidden:
        """Nothing is sent before a product needs it."""
        columns, rows = shape
        return Hidden(owner, columns, rows, words if self.party.role == owner else None)

    def sample(self, matrix: Hidden, rows: slice) -> Hidden:
        """Some rows, turned by their owner so that their own products add up as those of all rows do.

        What is left to chance then is the correlation between the blocks, and between a block and the slopes.
        """
        some = matrix.some(rows)
        return some if matrix.words is None else replace(some, words=_alike(some.held, matrix.words))

    def times(self, matrix: Hidden, weights: Shared) -> Shared:
        """Shared ``weights (d,)`` times a private matrix ``(d, n)``: ``(n,)``."""
        return self._weighted([matrix], weights)

    def times_both(self, asker: Hidden, provider: Hidden, weights: Shared) -> Shared:
        """Both at once: their products are added before they are sent back."""
        return self._weighted([asker, provider], weights)

    def _weighted(self, matrices: Sequence[Hidden], weights: Shared) -> Shared:
        """The asker's matrix lies encrypted with the provider; against the provider's it encrypts its weights."""
        rows, start = matrices[0].rows, 0
        mine = self._rounded(_share(weights), SPARE_BITS)
        local = np.zeros(rows, dtype=np.uint64)
        constants: list[Words] = []
        sums: list[_Weighted] = []
        for matrix in matrices:
            part = mine[start : start + matrix.columns]
            start += matrix.columns
            if matrix.owner == "asker":
                sums.append(_Weighted(matrix, part, self._sealed(matrix)))
            else:
                sums.append(_Weighted(matrix, part, None))
                constants += [np.pad(word, (0, DEGREE - 1)) for word in part[:, None]]
            if matrix.owner == self.party.role:
                local += rows_times_matrix(part << np.uint64(SPARE_BITS), matrix.held)
        blocks = parts(rows, DEGREE)

        def evaluate(got: Sequence[Any]) -> Iterator[list[tuple[Any, Any]]]:
            fixed = [one.weights_as_factors(self._blind) for one in sums]
            for number, block in enumerate(blocks):
                yield [
                    product
                    for one, factors in zip(sums, fixed, strict=True)
                    for product in one.products(self._blind, got, factors, number, block)
                ]

        replies = [None if b.stop - b.start == DEGREE else np.arange(b.stop - b.start) for b in blocks]
        found = np.concatenate(self._blind.exchange(ROWS, (len(constants), constants), replies, evaluate))
        return Shared((rows,), local + (found << np.uint64(SPARE_BITS)))

    def transpose_times(self, matrix: Hidden, rows: Shared) -> Shared:
        """A private matrix times shared ``rows (n,)`` or ``(k, n)``: ``(d,)`` or ``(d, k)``."""
        (found,) = self._summed([matrix], rows)
        return found if len(rows.shape) > 1 else found.reshaped(matrix.columns)

    def transposes_times(self, asker: Hidden, provider: Hidden, rows: Shared) -> Shared:
        """Both in one round."""
        first, second = self._summed([asker, provider], rows)
        return join(first.reshaped(asker.columns), second.reshaped(provider.columns))

    def _summed(self, matrices: Sequence[Hidden], rows: Shared) -> list[Shared]:
        """Each matrix times the rows, ``(d, k)``."""
        mine = self._rounded(np.atleast_2d(_share(rows)), SPARE_BITS)
        found = self._blind.products(ROWS, [self._sum_job(matrix, mine) for matrix in matrices])
        out = []
        for matrix, share in zip(matrices, found, strict=True):
            turned = share.T if matrix.owner == "asker" else share
            total = turned << np.uint64(SPARE_BITS)
            if matrix.owner == self.party.role:
                total = total + matrix_times_rows(matrix.held, mine << np.uint64(SPARE_BITS))
            out.append(Shared(total.shape, total))
        return out

    def _sum_job(self, matrix: Hidden, rows: Words) -> Job:
        """The provider's matrix times the asker's share, or the provider's share times the asker's matrix."""
        count = len(rows)
        if matrix.owner == "asker" and count == 1:
            left = None if self._blind.holds_keys else rows
            return Job(count, matrix.columns, [Term(_COLUMN, matrix.rows, left, sealed=self._sealed(matrix))])
        if matrix.owner == "asker":
            layout = best_layout(count, matrix.rows, matrix.columns)
            right = None if matrix.words is None else matrix.words.T
            return Job(count, matrix.columns, [Term(layout, matrix.rows, self._at_provider(rows), right)])
        layout = best_layout(matrix.columns, matrix.rows, count)
        kept = matrix.made.setdefault("factors", {})
        term = Term(layout, matrix.rows, matrix.words, self._at_asker(rows.T), factors=kept)
        return Job(matrix.columns, count, [term])

    def _sealed(self, matrix: Hidden) -> Sealed:
        """The asker's matrix as it lies encrypted with the provider."""
        if "sealed" not in matrix.made:
            words = None if matrix.words is None else matrix.words.T
            matrix.made["sealed"] = self._blind.seal(ROWS, (matrix.rows, matrix.columns), words)
        sealed: Sealed = matrix.made["sealed"]
        return sealed

    def weighted_gram(self, asker: Hidden, provider: Hidden, factors: Shared) -> Shared:
        """Within a block, products of two columns, which its owner knows, against the other's share of the factors.

        Between the blocks, ``Σ xₐ f xₚ`` is the sum of an owner's column times its own share of f, against the
        other's column.
        """
        mine = _share(factors)
        jobs = [
            self._own_gram_job(asker, mine),
            self._own_gram_job(provider, mine),
            self._cross_gram_job(asker, provider, mine),
        ]
        first, second, cross = self._blind.products(ROWS, jobs)
        spare = np.uint64(SPARE_BITS)
        blocks = []
        for matrix, share in ((asker, first.reshape(-1)), (provider, second.reshape(-1))):
            total = share << spare
            if matrix.owner == self.party.role:
                total = total + (matrix_times_rows(_pairs(matrix.held), mine) << spare)
            blocks.append(_symmetric(total, matrix.columns))
        between = Shared(cross.shape, cross << spare)
        top = join(blocks[0], between).transposed()
        return join(top, join(between.transposed(), blocks[1]).transposed())

    def _own_gram_job(self, matrix: Hidden, mine: Words) -> Job:
        count = matrix.columns * (matrix.columns + 1) // 2
        products = None if matrix.words is None else _pairs(matrix.words)
        if matrix.owner == "asker":
            layout = best_layout(1, matrix.rows, count)
            right = None if products is None else products.T
            return Job(1, count, [Term(layout, matrix.rows, self._at_provider(mine[None]), right)])
        layout = best_layout(count, matrix.rows, 1)
        return Job(count, 1, [Term(layout, matrix.rows, products, self._at_asker(mine[:, None]))])

    def _cross_gram_job(self, asker: Hidden, provider: Hidden, mine: Words) -> Job:
        """``(d_p, d_a)``: the provider's columns times the asker's weighted ones, and the other way round."""
        layout = best_layout(provider.columns, provider.rows, asker.columns)
        plain = weighted = turned = turned_weighted = None
        if provider.words is not None:
            plain, weighted = provider.words, self._rounded(provider.words * mine, SPARE_BITS)
        if asker.words is not None:
            turned, turned_weighted = asker.words.T, self._rounded(asker.words * mine, SPARE_BITS).T
        rows = provider.rows
        return Job(
            provider.columns,
            asker.columns,
            [Term(layout, rows, plain, turned_weighted), Term(layout, rows, weighted, turned)],
        )

    # --- functions of shared numbers ---------------------------------------------------------------------

    def angles(self, logits: Shared) -> Words:
        """Nothing is opened: each owner keeps its share."""
        return _share(logits)

    def sum_series(self, angles: Words, series: Series, *, dealt_bits: int, bits: int) -> Shared:
        """Each owner knows the sines and cosines of its share; their products are summed on ciphertexts.

        The products of bits that bring the sums back to the ring are made in the same round.
        """
        rows, count = len(angles), len(series.coefficients)
        blocks = parts(rows, DEGREE)
        spare = self._bits.draw(self._bits.missing(rows))
        given = (2 * count * len(blocks) + len(spare), self._slots(angles, series, spare))
        width = 2 * count

        def evaluate(got: Sequence[Any]) -> Iterator[list[tuple[Any, Any]]]:
            own = (self._blind.factor(SLOTS, words) for words in given[1])
            products = zip(got, own, strict=True)
            for _ in blocks:
                yield [next(products) for _ in range(width)]
            for product in products:
                yield [product]

        found = self._blind.exchange(SLOTS, given, [None] * (len(blocks) + len(spare)), evaluate)
        self._bits.keep(spare, found[len(blocks) :])
        total = np.concatenate(found[: len(blocks)])[:rows]
        return Shared((rows,), self._to_ring(total, 2 * _FACTOR_BITS - bits))

    def _slots(
        self, angles: Words, series: Series, spare: np.ndarray[Any, np.dtype[np.bool_]]
    ) -> Iterator[Words]:
        """This owner's factor of each product, ``(8192,)`` below the prime, one after the other."""
        modulus = np.uint64(self._blind.modulus(SLOTS))
        for block in parts(len(angles), DEGREE):
            part = angles[block]
            if self._blind.holds_keys:
                factors = multiples(part, len(series.coefficients))
            else:
                factors = series_factors(part, series)
            words = encode_bounded(factors, _FACTOR_BITS)
            words += modulus * (words >> _TOP)
            yield from np.pad(words, ((0, 0), (0, DEGREE - words.shape[1])))
        yield from spare.astype(np.uint64)

    def _to_ring(self, share: Words, drop: int) -> Words:
        """Shares modulo the prime t of values below t/4 as shares modulo 2^64, with `drop` bits less."""
        prime = self._blind.modulus(SLOTS)
        quarter = prime // 4
        if self._blind.holds_keys:
            share = (share + np.uint64(quarter)) % np.uint64(prime)
        wraps = self._bits.wraps(share > np.uint64(prime // 2))
        if drop >= 0:
            out = self._rounded(share, drop) - wraps * np.uint64(round(prime / 2**drop))
            offset = round(quarter / 2**drop)
        else:
            out = (share - wraps * np.uint64(prime)) << np.uint64(-drop)
            offset = quarter << -drop
        return out - np.uint64(offset) if self._blind.holds_keys else out

    # --- shared by shared --------------------------------------------------------------------------------

    def matmul(self, left: Shared, right: Shared, *, drop: int = 0) -> Shared:
        """Product of two shared matrices: each owner's left share against the other's right share."""
        (rows, inner), columns = left.shape, right.shape[1]
        mine = self._rounded(_share(left), _SMALL_SPARE)
        other = self._rounded(_share(right), _SMALL_SPARE)
        (share,) = self._blind.products(SMALL, [self._small_job(mine, other)])
        total = mine @ other + share
        value = Shared((rows, columns), total << np.uint64(2 * _SMALL_SPARE))
        return self.truncate(value, drop) if drop else value

    def _small_job(self, left: Words, right: Words) -> Job:
        """Both products of shares in the same results: the second is laid out turned."""
        (rows, inner), columns = left.shape, right.shape[1]
        height = min(rows, DEGREE // inner)
        width = min(columns, DEGREE // (inner * height))
        straight, turned = Layout(inner, height, width), Layout(inner, width, height, turned=True)
        if self._blind.holds_keys:
            return Job(rows, columns, [Term(straight, inner, None, right), Term(turned, inner, None, left.T)])
        return Job(rows, columns, [Term(straight, inner, left), Term(turned, inner, right.T)])

    def truncate(self, value: Shared, bits: int) -> Shared:
        """Drop fractional bits: each owner divides its share, and the wrap-around is taken off."""
        share = _share(value)
        if self._blind.holds_keys:
            share = share + _HALF_RANGE
        wraps = self._bits.wraps(share >> _TOP != 0)
        out = self._rounded(share, bits) - (wraps << np.uint64(64 - bits))
        if self._blind.holds_keys:
            out -= np.uint64(1 << (62 - bits))
        return Shared(value.shape, out)

    def _rounded(self, share: Words, bits: int) -> Words:
        """A share divided by 2^bits: one owner rounds down, the other up, so that the sum has no lean."""
        out: Words = share >> np.uint64(bits)
        if not self._blind.holds_keys:
            out += share & np.uint64((1 << bits) - 1) != 0
        return out

    # --- counts ------------------------------------------------------------------------------------------

    def count_labels(
        self, rows: int, bins: Sequence[int], given: BinLabels, opening: CountOpening
    ) -> list[Counts] | None:
        """The provider's bins, as columns of 0 and 1, times the asker's encrypted label.

        Several bins share a column: counts are digits of one number.
        """
        width = rows.bit_length()
        group = ROWS.bits // width
        count = -(-sum(bins) // group)
        left = None if given.codes is None else _indicators(given.codes, bins, width, group)
        right = None if given.label is None else given.label.astype(np.uint64)[:, None]
        if left is None and right is None:
            raise no_label()
        job = Job(count, 1, [Term(best_layout(count, rows, 1), rows, left, right)])
        (share,) = self._blind.products(ROWS, [job])
        opened = self._open_digits(share.reshape(-1), opening)
        if opened is None:
            return None
        digits = opened[:, None] >> np.arange(0, group * width, width, dtype=np.uint64)
        counts = (digits & np.uint64((1 << width) - 1)).reshape(-1)[: sum(bins)].astype(np.int64)
        return np.split(counts, np.cumsum(bins)[:-1])

    def _open_digits(self, share: Words, opening: CountOpening) -> Words | None:
        """Open packed counts to the receivers."""
        party = self.party
        receives = party.role == "provider" or opening == "both"
        if party.role == "asker" or opening == "both":
            party.peer.send("bin.events", None, [share])
        if not receives:
            return None
        _, (theirs,) = party.peer.recv("bin.events", None, [ArraySpec("<u8", share.shape)])
        return (share + theirs) & np.uint64((1 << ROWS.bits) - 1)

    def _at_provider(self, words: Words) -> Words | None:
        return None if self._blind.holds_keys else words

    def _at_asker(self, words: Words) -> Words | None:
        return words if self._blind.holds_keys else None


class _Weighted:
    """One matrix of a sum of weighted columns."""

    def __init__(self, matrix: Hidden, weights: Words, sealed: Sealed | None) -> None:
        self._matrix, self._weights, self._sealed = matrix, weights, sealed

    def weights_as_factors(self, blind: Blind) -> list[Any]:
        """The provider's weights of the asker's columns."""
        if self._sealed is None:
            return []
        return [blind.factor(ROWS, np.pad(word, (0, DEGREE - 1))) for word in self._weights[:, None]]

    def products(
        self, blind: Blind, got: Sequence[Any], factors: list[Any], number: int, block: slice
    ) -> list[tuple[Any, Any]]:
        """What the matrix adds to a block of rows, at the provider."""
        if self._sealed is not None:
            return list(zip(self._sealed.ciphertexts[number], factors, strict=True))
        kept = self._matrix.made.setdefault("columns", {})
        if number not in kept:
            part = self._matrix.held[:, block]
            kept[number] = [blind.factor(ROWS, np.pad(row, (0, DEGREE - len(row)))) for row in part]
        return list(zip(got, kept[number], strict=True))


def _share(value: Shared) -> Words:
    if value.share is None:
        raise PlanError("mode pair has no helper; remove it or use mode aided")
    return value.share


def _pairs(words: Words) -> Words:
    """Products of all pairs of columns, less `SPARE_BITS` bits, ``(d (d + 1) / 2, n)``."""
    signed = words.view(np.int64)
    first, second = np.triu_indices(len(words))
    products = signed[first] * signed[second]
    products += 1 << (SPARE_BITS - 1)
    products >>= SPARE_BITS
    return products.view(np.uint64)


def _symmetric(upper: Words, size: int) -> Shared:
    out = np.empty((size, size), dtype=np.uint64)
    first, second = np.triu_indices(size)
    out[first, second] = out[second, first] = upper
    return Shared((size, size), out)


def _indicators(codes: Sequence[np.ndarray[Any, Any]], bins: Sequence[int], width: int, group: int) -> Words:
    """Columns of 0 and 1 for each bin, `group` of them as digits of one number, ``(c, n)``."""
    rows = len(codes[0])
    columns = np.zeros((-(-sum(bins) // group), rows), dtype=np.uint64)
    start, every = 0, np.arange(rows)
    for code, count in zip(codes, bins, strict=True):
        place = start + code.astype(np.int64)
        columns[place // group, every] += np.uint64(1) << (width * (place % group)).astype(np.uint64)
        start += count
    return columns


def _alike(some: Words, words: Words) -> Words:
    """Rows with the covariance that all rows have, ``(d, m)``; as they are if they do not span the columns."""
    part, whole = some.view(np.int64).astype(np.float64), words.view(np.int64).astype(np.float64)
    try:
        turn = np.linalg.cholesky(whole @ whole.T / whole.shape[1]) @ np.linalg.inv(
            np.linalg.cholesky(part @ part.T / part.shape[1])
        )
    except np.linalg.LinAlgError:
        return some
    return np.rint(turn @ part).astype(np.int64).view(np.uint64)
