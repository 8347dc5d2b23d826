"""Taking the masks off a sum, from shares of the secrets behind them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tongzhou.errors import ProtocolError
from tongzhou.secure.aggregation_member import Bytes, Circle, Slot, pair_mask, self_mask
from tongzhou.secure.prg import Stream
from tongzhou.secure.ring import Words
from tongzhou.secure.shamir import at_zero, combine

__all__ = ["Unmasking"]


@dataclass(frozen=True)
class Unmasking:
    """What the coordinator needs to open one sum.

    Attributes:
        circle: what was agreed.
        slot: which sum.
        adverts: what each place advertised.
        stayed: places whose vectors are in the sum.
        left: places that masked with them and whose vectors are not.
        answers: by place, shares of the own masks of `stayed` and of the keys of `left`.
    """

    circle: Circle
    slot: Slot
    adverts: Mapping[int, Bytes]
    stayed: Sequence[int]
    left: Sequence[int]
    answers: Mapping[int, Sequence[Bytes]]

    def total(self, masked: Mapping[int, Words]) -> Words:
        """The sum of the vectors of those who stayed.

        Args:
            masked: their masked vectors, by place.

        Raises:
            ProtocolError: shares that do not give back what was advertised.
        """
        total = masked[self.stayed[0]].copy()
        for place in self.stayed[1:]:
            total += masked[place]
        helpers = sorted(self.answers)[: self.circle.threshold]
        weights = at_zero(helpers)
        for row, place in enumerate(self.stayed):
            root = combine(weights, [self.answers[helper][0][row].tobytes() for helper in helpers])
            seed, check = self_mask(self.circle, self.slot, place, root)
            self._verify(place, 1 + self.circle.slots, check)
            total -= Stream(seed).words(len(total))
        for row, gone in enumerate(self.left):
            secret = combine(weights, [self.answers[helper][1][row].tobytes() for helper in helpers])
            self._take_off_pairs(total, gone, X25519PrivateKey.from_private_bytes(secret))
        return total

    def _take_off_pairs(self, total: Words, gone: int, key: X25519PrivateKey) -> None:
        """The masks that those who stayed have with one who left."""
        self._verify(gone, 1, key.public_key().public_bytes_raw())
        for place in self.stayed:
            public = self.adverts[place][1 + self.slot.number].tobytes()
            seed = pair_mask(self.circle, self.slot, key, (gone, place), public)
            between = Stream(seed).words(len(total))
            if place < gone:
                total -= between
            else:
                total += between

    def _verify(self, place: int, first: int, found: bytes) -> None:
        if self.adverts[place][first + self.slot.number].tobytes() != found:
            raise ProtocolError(
                "the shares of institution {place} do not give back what it advertised", place=place
            )
