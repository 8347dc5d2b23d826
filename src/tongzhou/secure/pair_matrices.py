"""Products of private matrices with shared numbers in mode `pair`.

Statement
    As `tongzhou.secure.pair`, of which this is a part: nothing is opened here.

The asker's matrix is encrypted once and lies with the provider; the provider's never leaves it, and the asker
encrypts its shares instead. All products are modulo 2^50, of operands without their lowest 14 bits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tongzhou.secure.blind import Blind, Job, Sealed, Term
from tongzhou.secure.engine import SPARE_BITS, Hidden
from tongzhou.secure.lattice import DEGREE, ROWS
from tongzhou.secure.packing import Layout, best_layout, parts
from tongzhou.secure.party import Role
from tongzhou.secure.ring import Words, matrix_times_rows, rows_times_matrix

__all__ = ["PairMatrices", "turned_alike"]

_COLUMN = Layout(DEGREE, 1, 1)
"""One column of many rows in a polynomial."""
_SPARE = np.uint64(SPARE_BITS)


@dataclass(frozen=True)
class PairMatrices:
    """What an owner does with private matrices.

    Attributes:
        blind: the exchange of the two owners.
    """

    blind: Blind

    @property
    def _role(self) -> Role:
        return self.blind.party.role

    def weighted(self, matrices: Sequence[Hidden], weights: Words) -> Words:
        """Own share of ``Σ weights · matrix`` over all columns of the matrices: ``(n,)``.

        Args:
            matrices: ``(d, n)`` each.
            weights: own share of the weights of all their columns, in order.
        """
        rows, start = matrices[0].rows, 0
        mine = self.blind.divided(weights, SPARE_BITS)
        local = np.zeros(rows, dtype=np.uint64)
        constants: list[Words] = []
        sums: list[_Weighted] = []
        for matrix in matrices:
            part = mine[start : start + matrix.columns]
            start += matrix.columns
            if matrix.owner == "asker":
                sums.append(_Weighted(self.blind, matrix, part, self._sealed(matrix)))
            else:
                sums.append(_Weighted(self.blind, matrix, part, None))
                constants += [_constant(word) for word in part]
            if matrix.owner == self._role:
                local += rows_times_matrix(part << _SPARE, matrix.held)
        blocks = parts(rows, DEGREE)

        def evaluate(got: Sequence[Any]) -> Iterator[list[tuple[Any, Any]]]:
            fixed = [one.weights_as_factors() for one in sums]
            for number, block in enumerate(blocks):
                yield [
                    product
                    for one, factors in zip(sums, fixed, strict=True)
                    for product in one.products(got, factors, number, block)
                ]

        replies = [None if b.stop - b.start == DEGREE else np.arange(b.stop - b.start) for b in blocks]
        found = self.blind.exchange(ROWS, (len(constants), constants), replies, evaluate)
        return local + (np.concatenate(found) << _SPARE)

    def summed(self, matrices: Sequence[Hidden], rows: Words) -> list[Words]:
        """Own shares of each matrix times the rows: ``(d, k)``.

        Args:
            matrices: ``(d, n)`` each.
            rows: own share of the rows, ``(k, n)``.
        """
        mine = self.blind.divided(rows, SPARE_BITS)
        found = self.blind.products(ROWS, [self._sum_job(matrix, mine) for matrix in matrices])
        out = []
        for matrix, share in zip(matrices, found, strict=True):
            total = (share.T if matrix.owner == "asker" else share) << _SPARE
            if matrix.owner == self._role:
                total = total + matrix_times_rows(matrix.held, mine << _SPARE)
            out.append(total)
        return out

    def _sum_job(self, matrix: Hidden, rows: Words) -> Job:
        """The provider's matrix times the asker's share, or the provider's share times the asker's matrix."""
        count = len(rows)
        if matrix.owner == "asker":
            left = self.blind.at_provider(rows)
            if count == 1:
                term = Term(_COLUMN, matrix.rows, left, sealed=self._sealed(matrix))
            else:
                layout = best_layout(count, matrix.rows, matrix.columns)
                term = Term(layout, matrix.rows, left, None if matrix.words is None else matrix.words.T)
            return Job(count, matrix.columns, [term])
        layout = best_layout(matrix.columns, matrix.rows, count)
        # Single rows come again in every evaluation.
        kept = matrix.made.setdefault("factors", {}) if count == 1 else None
        term = Term(layout, matrix.rows, matrix.words, self.blind.at_asker(rows.T), factors=kept)
        return Job(matrix.columns, count, [term])

    def _sealed(self, matrix: Hidden) -> Sealed:
        """The asker's matrix as it lies encrypted with the provider."""
        if "sealed" not in matrix.made:
            words = None if matrix.words is None else matrix.words.T
            matrix.made["sealed"] = self.blind.seal(ROWS, (matrix.rows, matrix.columns), words)
        sealed: Sealed = matrix.made["sealed"]
        return sealed

    def gram(self, asker: Hidden, provider: Hidden, factors: Words) -> Words:
        """Own share of ``Σ f x xᵀ`` over the rows x of both matrices: ``(d, d)``.

        Within a block, products of two columns, which its owner knows, meet the other's share of f. Between
        the blocks, an owner's columns times its own share of f meet the other's columns.

        Args:
            asker: its matrix.
            provider: its matrix.
            factors: own share of f, ``(n,)``.
        """
        jobs = [
            self._own_job(asker, factors),
            self._own_job(provider, factors),
            self._cross_job(asker, provider, factors),
        ]
        *shares, cross = self.blind.products(ROWS, jobs)
        out = np.empty((asker.columns + provider.columns,) * 2, dtype=np.uint64)
        split = asker.columns
        for matrix, share, start in ((asker, shares[0], 0), (provider, shares[1], split)):
            total = share.reshape(-1) << _SPARE
            if matrix.owner == self._role:
                total = total + (matrix_times_rows(_pairs(matrix.held), factors) << _SPARE)
            first, second = np.triu_indices(matrix.columns)
            out[start + first, start + second] = out[start + second, start + first] = total
        out[split:, :split] = cross << _SPARE
        out[:split, split:] = out[split:, :split].T
        return out

    def _own_job(self, matrix: Hidden, factors: Words) -> Job:
        count = matrix.columns * (matrix.columns + 1) // 2
        products = None if matrix.words is None else _pairs(matrix.words)
        if matrix.owner == "asker":
            layout = best_layout(1, matrix.rows, count)
            right = None if products is None else products.T
            return Job(1, count, [Term(layout, matrix.rows, self.blind.at_provider(factors[None]), right)])
        layout = best_layout(count, matrix.rows, 1)
        return Job(count, 1, [Term(layout, matrix.rows, products, self.blind.at_asker(factors[:, None]))])

    def _cross_job(self, asker: Hidden, provider: Hidden, factors: Words) -> Job:
        """``(d_p, d_a)``: the provider's columns times the asker's weighted ones, and the other way round."""
        rows = provider.rows
        layout = best_layout(provider.columns, 2 * rows, asker.columns)
        plain = weighted = other = other_weighted = None
        if provider.words is not None:
            plain, weighted = provider.words, self._weigh(provider.words, factors)
        if asker.words is not None:
            other, other_weighted = asker.words.T, self._weigh(asker.words, factors).T
        terms = [Term(layout, rows, plain, other_weighted), Term(layout, rows, weighted, other)]
        return Job(provider.columns, asker.columns, terms)

    def _weigh(self, words: Words, factors: Words) -> Words:
        return self.blind.divided(words * factors, SPARE_BITS)

    def sample(self, matrix: Hidden, rows: slice) -> Hidden:
        """Some rows, turned by their owner so that their own products add up as those of all rows do.

        What is left to chance then is the correlation between the blocks, and between a block and the slopes.
        """
        some = matrix.some(rows)
        return some if matrix.words is None else replace(some, words=turned_alike(some.held, matrix.words))


class _Weighted:
    """One matrix of a sum of weighted columns."""

    def __init__(self, blind: Blind, matrix: Hidden, weights: Words, sealed: Sealed | None) -> None:
        self._blind, self._matrix, self._weights, self._sealed = blind, matrix, weights, sealed

    def weights_as_factors(self) -> list[Any]:
        """The provider's weights of the asker's columns."""
        if self._sealed is None:
            return []
        return [self._blind.factor(ROWS, _constant(word)) for word in self._weights]

    def products(
        self, got: Sequence[Any], factors: list[Any], number: int, block: slice
    ) -> list[tuple[Any, Any]]:
        """What the matrix adds to a block of rows, at the provider."""
        if self._sealed is not None:
            return list(zip(self._sealed.ciphertexts[number], factors, strict=True))
        kept = self._matrix.made.setdefault("columns", {})
        if number not in kept:
            part = self._matrix.held[:, block]
            padding = (0, DEGREE - part.shape[1])
            kept[number] = [self._blind.factor(ROWS, np.pad(row, padding)) for row in part]
        return list(zip(got, kept[number], strict=True))


def _constant(word: np.uint64) -> Words:
    """A polynomial that is a number."""
    out = np.zeros(DEGREE, dtype=np.uint64)
    out[0] = word
    return out


def _pairs(words: Words) -> Words:
    """Products of all pairs of columns, less `SPARE_BITS` bits, ``(d (d + 1) / 2, n)``."""
    signed = words.view(np.int64)
    first, second = np.triu_indices(len(words))
    products = signed[first] * signed[second]
    products += 1 << (SPARE_BITS - 1)
    products >>= SPARE_BITS
    return products.view(np.uint64)


def turned_alike(some: Words, words: Words) -> Words:
    """Rows with the second moments that all rows have, ``(d, m)``; unchanged if they do not span the columns.

    Args:
        some: ``(d, m)`` rows that were chosen.
        words: ``(d, n)`` all rows.
    """
    part, whole = some.view(np.int64).astype(np.float64), words.view(np.int64).astype(np.float64)
    try:
        turn = np.linalg.cholesky(whole @ whole.T / whole.shape[1]) @ np.linalg.inv(
            np.linalg.cholesky(part @ part.T / part.shape[1])
        )
    except np.linalg.LinAlgError:
        return some
    return np.rint(turn @ part).astype(np.int64).view(np.uint64)
