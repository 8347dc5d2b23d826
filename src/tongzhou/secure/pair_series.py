"""Sums of sines and cosines of shared angles in mode `pair`, and shares brought from a prime to the ring.

Statement
    As `tongzhou.secure.pair`, of which this is a part: nothing is opened here.

Each owner knows the sines and cosines of its own share of an angle. Their products are summed in slots,
modulo a prime t, and the shares of the sums are brought to the ring by their wrap-arounds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tongzhou.secure.bit_products import BitProducts, Bits
from tongzhou.secure.blind import Blind
from tongzhou.secure.lattice import DEGREE, SLOTS
from tongzhou.secure.packing import parts
from tongzhou.secure.ring import Words, encode_bounded
from tongzhou.secure.series import Series, multiples, series_factors

__all__ = ["PairSeries"]

_FACTOR_BITS = 20
"""Fractional bits of sines and cosines, and of what they are multiplied with. A sum, below 2^7, stays below
2^47, a quarter of the prime."""
_SIGN = np.uint64(63)


@dataclass(frozen=True)
class PairSeries:
    """What an owner does with shared angles.

    Attributes:
        blind: the exchange of the two owners.
        bits: products of bits, for the way back to the ring.
    """

    blind: Blind
    bits: BitProducts

    def summed(self, angles: Words, series: Series, *, bits: int) -> Words:
        """Own share of a series at each angle.

        The products of bits that bring the sums back to the ring are made in the same round.

        Args:
            angles: own share of the angles, ``(n,)``.
            series: what to sum.
            bits: fractional bits of the result.
        """
        rows, width = len(angles), 2 * len(series.coefficients)
        blocks = parts(rows, DEGREE)
        spare = self.bits.draw(self.bits.missing(rows))
        own = self._factors(angles, series, spare)

        def evaluate(got: Sequence[Any]) -> Iterator[list[tuple[Any, Any]]]:
            factors = (self.blind.factor(SLOTS, words) for words in own)
            products = zip(got, factors, strict=True)
            for _ in blocks:
                yield [next(products) for _ in range(width)]
            for product in products:
                yield [product]

        count, results = width * len(blocks) + len(spare), len(blocks) + len(spare)
        found = self.blind.exchange(SLOTS, (count, own), [None] * results, evaluate)
        self.bits.keep(spare, found[len(blocks) :])
        return self.to_ring(np.concatenate(found[: len(blocks)])[:rows], 2 * _FACTOR_BITS - bits)

    def _factors(self, angles: Words, series: Series, spare: Bits) -> Iterator[Words]:
        """This owner's factor of each product, ``(8192,)`` below the prime, one after the other."""
        modulus = np.uint64(self.blind.modulus(SLOTS))
        for block in parts(len(angles), DEGREE):
            part = angles[block]
            if self.blind.holds_keys:
                values = multiples(part, len(series.coefficients))
            else:
                values = series_factors(part, series)
            words = encode_bounded(values, _FACTOR_BITS)
            words += modulus * (words >> _SIGN)
            yield from np.pad(words, ((0, 0), (0, DEGREE - words.shape[1])))
        yield from spare.astype(np.uint64)

    def to_ring(self, share: Words, drop: int) -> Words:
        """A share modulo the prime t, of values v with ``|v| < t/4``, as a share modulo 2^64.

        Args:
            share: own share, ``(n,)``.
            drop: fractional bits to take away; to add, if negative.
        """
        prime = self.blind.modulus(SLOTS)
        quarter = prime // 4
        if self.blind.holds_keys:
            share = (share + np.uint64(quarter)) % np.uint64(prime)
        # v + t/4 is below t/2, so that the shares wrap around unless both are.
        wraps = self.bits.wraps(share > np.uint64(prime // 2))
        if drop >= 0:
            out = self.blind.divided(share, drop) - wraps * np.uint64(round(prime / 2**drop))
            offset = round(quarter / 2**drop)
        else:
            out = (share - wraps * np.uint64(prime)) << np.uint64(-drop)
            offset = quarter << -drop
        return out - np.uint64(offset) if self.blind.holds_keys else out
