"""Products of private bits of two owners, made in advance, and what follows from them: wrap-arounds.

Statement
    Parties: asker and provider.
    Who learns what: each owner receives the other's bits masked by uniform bits; nobody learns anything else.
    Assumption: as `tongzhou.secure.blind`.
    Cost: for 8,192 products one ciphertext and one result, in advance; then one bit each way a product, and
    one round for any number.
    Papers: Beaver, CRYPTO 1991, with one factor private to each owner. That a bound on the value makes the
    wrap-around of two shares the OR of two private bits: Rathee and others, SiRnn (IEEE S&P 2021), for rings.

Two shares a, b below a modulus t add up to ``v + w t``, and to use them under another modulus one must know
the wrap-around w. If v is below t/2, then w = 0 exactly where both shares are below t/2.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.blind import Blind
from tongzhou.secure.lattice import DEGREE, SLOTS
from tongzhou.secure.prg import Stream, new_seed
from tongzhou.secure.ring import Words
from tongzhou.wire.messages import ArraySpec

__all__ = ["BitProducts", "Bits"]

Bits = NDArray[np.bool_]

_MINUS = np.uint64((1 << 64) - 1)


@dataclass
class BitProducts:
    """A stock of products of random bits, of which each owner knows its own factor and a share modulo 2^64.

    Attributes:
        blind: the exchange of the two owners.
    """

    blind: Blind
    _stream: Stream = field(default_factory=lambda: Stream(new_seed()), repr=False)
    _bits: Bits = field(default_factory=lambda: np.zeros(0, dtype=np.bool_), repr=False)
    _shares: Words = field(default_factory=lambda: np.zeros(0, dtype=np.uint64), repr=False)

    def missing(self, count: int) -> int:
        """How many polynomials of products must be made before `count` can be used."""
        return max(0, -(-(count - len(self._bits)) // DEGREE))

    def draw(self, polynomials: int) -> Bits:
        """Own random bits for as many polynomials of products, ``(p, 8192)``."""
        words = self._stream.words(polynomials, DEGREE // 64)
        return np.unpackbits(words.view(np.uint8), axis=1).astype(np.bool_)

    def keep(self, bits: Bits, shares: list[Words]) -> None:
        """Add to the stock: own bits as drawn, and shares of the products modulo the prime of `SLOTS`."""
        if not shares:
            return
        # Shares of a bit do not wrap but with a chance of 2^-49.
        products = np.concatenate(shares)
        if self.blind.holds_keys:
            products -= np.uint64(self.blind.modulus(SLOTS))
        self._bits = np.concatenate([self._bits, bits.reshape(-1)])
        self._shares = np.concatenate([self._shares, products])

    def make(self, count: int) -> None:
        """Make enough products for `count` uses."""
        polynomials = self.missing(count)
        if not polynomials:
            return
        bits = self.draw(polynomials)
        factors = bits.astype(np.uint64)
        blind = self.blind
        shares = blind.exchange(
            SLOTS,
            (polynomials, factors),
            [None] * polynomials,
            lambda got: ([(one, blind.factor(SLOTS, own))] for one, own in zip(got, factors, strict=True)),
        )
        self.keep(bits, shares)

    def wraps(self, upper: Bits) -> Words:
        """Shares modulo 2^64 of the OR of both owners' bits, of any shape."""
        own = upper.reshape(-1).astype(np.uint64)
        return (own - self._products(upper.reshape(-1))).reshape(upper.shape)

    def _products(self, bits: Bits) -> Words:
        """Shares modulo 2^64 of the products of both owners' bits, ``(n,)``. One round."""
        count = len(bits)
        self.make(count)
        drawn, shares = self._bits[:count], self._shares[:count]
        self._bits, self._shares = self._bits[count:], self._shares[count:]
        masked = bits ^ drawn
        peer = self.blind.party.peer
        peer.send("bits.masked", None, [np.packbits(masked)])
        _, (packed,) = peer.recv("bits.masked", None, [ArraySpec("|u1", (-(-count // 8),))])
        theirs = np.unpackbits(packed, count=count).astype(np.bool_)
        # a = A ^ α and b = B ^ β with A, B known to both: each of a, b is linear in its random bit.
        signs = np.where(masked ^ theirs, _MINUS, np.uint64(1))
        out: Words = signs * shares
        own_sign = np.where(masked, _MINUS, np.uint64(1))
        out += theirs.astype(np.uint64) * own_sign * drawn.astype(np.uint64)
        if self.blind.holds_keys:
            out += (masked & theirs).astype(np.uint64)
        return out
