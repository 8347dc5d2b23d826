"""Computing on shared values of two owners with nobody else.

Statement
    Parties: two data owners (asker, provider).
    Who learns what: the provider receives public keys and ciphertexts; the asker receives ciphertexts of
    uniform messages; both receive words and bits masked by uniform ones. Nobody learns more than
    `Engine.open` opens on purpose, and the shapes.
    Assumption: semi-honest parties; ring learning with errors as in `tongzhou.secure.lattice`; AES-256 in
    counter mode is indistinguishable from uniform.
    Cost: a private matrix of the asker is encrypted once, about 25 bytes a number; the provider's never
    leaves it. A sum of 2 K products a row is 48 K bytes a row, an exchange of small matrices about 0.6 MB,
    each in one round. The page of mode `pair` has a training measured.
    Papers: products on ciphertexts as in `tongzhou.secure.blind`; wrap-arounds as in
    `tongzhou.secure.bit_products`.

The asker holds the keys and the provider computes. A product of a share with the other owner's numbers is
made modulo 2^50 (2^56 for small matrices). That costs the 14 (8) lowest bits of the operands and nothing
else: the two shares of a value, each divided by 2^14, add up to the value divided by 2^14, modulo 2^50, so
that the wrap-around of the ring is kept.

Sines and cosines are sums of products of numbers that one owner knows each, `tongzhou.secure.series`. They
are made modulo a prime, in slots, and brought back to the ring by their wrap-arounds.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from tongzhou.errors import PlanError
from tongzhou.secure.bit_products import BitProducts
from tongzhou.secure.blind import Blind, Job, Term
from tongzhou.secure.engine import BinLabels, CountOpening, Counts, Engine, Hidden
from tongzhou.secure.lattice import DEGREE, SMALL, require_library
from tongzhou.secure.packing import Layout
from tongzhou.secure.pair_counts import count_in_bins
from tongzhou.secure.pair_matrices import PairMatrices
from tongzhou.secure.pair_series import PairSeries
from tongzhou.secure.party import Party, Role
from tongzhou.secure.ring import Words
from tongzhou.secure.series import Series
from tongzhou.secure.shared import Shared, join

__all__ = ["PairEngine"]

T = TypeVar("T")

_HALF_RANGE = np.uint64(1 << 62)
_TOP = np.uint64(63)
_SMALL_SPARE = (64 - SMALL.bits) // 2
_MOST_PLAIN = DEGREE // 2
"""Numbers in a polynomial of a small matrix, so that the noise of two products stays within its bound."""


class PairEngine(Engine):
    """The primitives of mode `pair`, seen from one owner.

    Args:
        party: seat in the run.
    """

    renewal_price = 1.25
    sample_least = DEGREE // 2

    def __init__(self, party: Party) -> None:
        super().__init__(party)
        self._blind = Blind(party)
        self._bits = BitProducts(self._blind)
        self._matrices = PairMatrices(self._blind)
        self._series = PairSeries(self._blind, self._bits)

    def start(self) -> None:
        """Keys are made and sent with the first ciphertexts that need them.

        Raises:
            PlanError: a third party takes part, or the library is missing.
        """
        if "helper" in self.party.names:
            raise _no_helper()
        require_library()

    def announce(self, tag: str, value: T | None, kind: type[T], *, what: str = "", reason: str = "") -> T:
        """Both owners know already, and there is nobody else."""
        if value is None:
            raise _no_helper()
        return value

    # --- private matrices ------------------------------------------------------------------------------

    def hide(self, owner: Role, shape: tuple[int, int], words: Words | None) -> Hidden:
        """Nothing is sent before a product needs it."""
        columns, rows = shape
        return Hidden(owner, columns, rows, words if self.party.role == owner else None)

    def sample(self, matrix: Hidden, rows: slice) -> Hidden:
        """Some rows, turned by their owner to resemble all of its own."""
        return self._matrices.sample(matrix, rows)

    def times(self, matrix: Hidden, weights: Shared) -> Shared:
        """Shared ``weights (d,)`` times a private matrix ``(d, n)``: ``(n,)``."""
        return Shared((matrix.rows,), self._matrices.weighted([matrix], _share(weights)))

    def times_both(self, asker: Hidden, provider: Hidden, weights: Shared) -> Shared:
        """Both at once: their products are added before they are sent back."""
        return Shared((asker.rows,), self._matrices.weighted([asker, provider], _share(weights)))

    def transpose_times(self, matrix: Hidden, rows: Shared) -> Shared:
        """A private matrix times shared ``rows (n,)`` or ``(k, n)``: ``(d,)`` or ``(d, k)``."""
        (total,) = self._matrices.summed([matrix], np.atleast_2d(_share(rows)))
        found = Shared(total.shape, total)
        return found if len(rows.shape) > 1 else found.reshaped(matrix.columns)

    def transposes_times(self, asker: Hidden, provider: Hidden, rows: Shared) -> Shared:
        """Both in one round."""
        totals = self._matrices.summed([asker, provider], np.atleast_2d(_share(rows)))
        return join(*(Shared((len(total),), total[:, 0]) for total in totals))

    def weighted_gram(self, asker: Hidden, provider: Hidden, factors: Shared) -> Shared:
        """Within blocks and between them, in one round."""
        total = self._matrices.gram(asker, provider, _share(factors))
        return Shared(total.shape, total)

    # --- functions of shared numbers ---------------------------------------------------------------------

    def angles(self, logits: Shared) -> Words:
        """Nothing is opened: each owner keeps its share."""
        return _share(logits)

    def sum_series(self, angles: Words, series: Series, *, dealt_bits: int, bits: int) -> Shared:
        """Each owner knows the sines and cosines of its share; their products are summed on ciphertexts."""
        return Shared((len(angles),), self._series.summed(angles, series, bits=bits))

    # --- shared by shared --------------------------------------------------------------------------------

    def matmul(self, left: Shared, right: Shared, *, drop: int = 0) -> Shared:
        """Product of two shared matrices: each owner's left share meets the other's right share."""
        mine = self._blind.divided(_share(left), _SMALL_SPARE)
        other = self._blind.divided(_share(right), _SMALL_SPARE)
        (between,) = self._blind.products(SMALL, [self._small_job(mine, other)])
        total = (mine @ other + between) << np.uint64(2 * _SMALL_SPARE)
        value = Shared(total.shape, total)
        return self.truncate(value, drop) if drop else value

    def _small_job(self, left: Words, right: Words) -> Job:
        """Both products of shares in the same results: the second is laid out turned."""
        (rows, inner), columns = left.shape, right.shape[1]
        height = max(1, min(rows, _MOST_PLAIN // inner))
        width = max(1, min(columns, DEGREE // (inner * height), _MOST_PLAIN // inner))
        straight, turned = Layout(inner, height, width), Layout(inner, width, height, turned=True)
        if self._blind.holds_keys:
            return Job(rows, columns, [Term(straight, inner, None, right), Term(turned, inner, None, left.T)])
        return Job(rows, columns, [Term(straight, inner, left), Term(turned, inner, right.T)])

    def truncate(self, value: Shared, bits: int) -> Shared:
        """Drop fractional bits: each owner divides its share, and the wrap-around is taken off."""
        share = _share(value)
        if self._blind.holds_keys:
            share = share + _HALF_RANGE
        # The value plus 2^62 is below 2^63, so that the shares wrap around unless both are.
        wraps = self._bits.wraps(share >> _TOP != 0)
        out = self._blind.divided(share, bits) - (wraps << np.uint64(64 - bits))
        if self._blind.holds_keys:
            out -= np.uint64(1 << (62 - bits))
        return Shared(value.shape, out)

    # --- counts ------------------------------------------------------------------------------------------

    def count_labels(
        self, rows: int, bins: Sequence[int], given: BinLabels, opening: CountOpening
    ) -> list[Counts] | None:
        """The provider's bins, as columns of 0 and 1, times the asker's encrypted label."""
        return count_in_bins(self._blind, rows, bins, given, opening)


def _share(value: Shared) -> Words:
    if value.share is None:
        raise _no_helper()
    return value.share


def _no_helper() -> PlanError:
    return PlanError("mode pair has no helper; remove it or use mode aided")
