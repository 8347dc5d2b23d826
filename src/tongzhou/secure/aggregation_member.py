"""One institution's answers in a secure aggregation, without any sending: keys, shares, a masked vector.

The statement stands in `tongzhou.secure.aggregation`, which carries what is made here. Keys are made for a
*batch* of sums at a time, one set for each *slot* (one sum), so that a sum costs two rounds. No secret of one
slot says anything about another slot.

What an institution refuses, whatever the coordinator asks:

* to mask twice in one slot, or for a circle smaller than the threshold or than the fewest in a sum;
* to give both kinds of shares of one institution, or to answer twice for a slot: with both kinds the
  coordinator could take both masks off that institution's vector.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from numpy.typing import NDArray

from tongzhou.errors import ProtocolError
from tongzhou.secure.aggregation_keys import (
    KEY_BYTES,
    TAG_BYTES,
    agree,
    derive,
    label,
    open_box,
    seal_box,
)
from tongzhou.secure.prg import Stream, new_seed
from tongzhou.secure.ring import Words
from tongzhou.secure.shamir import SHARE_BYTES, split

__all__ = ["Bytes", "Circle", "Member", "Slot", "advert_rows", "box_bytes", "pair_mask", "self_mask"]

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Circle:
    """What all institutions of a run agree on.

    Attributes:
        context: the run; it enters every key.
        members: institutions with data, at places 1 to `members`.
        threshold: how many must be there to the end; fewer together learn nothing.
        least: the fewest institutions whose vectors may be added up and told.
        slots: sums for which a batch makes keys.
    """

    context: str
    members: int
    threshold: int
    least: int
    slots: int

    @property
    def quorum(self) -> int:
        """The fewest with whom a sum may go on."""
        return max(self.threshold, self.least)


@dataclass(frozen=True)
class Slot:
    """One sum: its batch, and its place in the batch."""

    batch: int
    number: int


def advert_rows(circle: Circle) -> int:
    """Rows of 32 bytes that an institution advertises: a cipher key, and for each slot a key and a check."""
    return 1 + 2 * circle.slots


def box_bytes(circle: Circle) -> int:
    """Bytes of a sealed box: for each slot a share of the own mask's root and one of the slot's key."""
    return 2 * circle.slots * SHARE_BYTES + TAG_BYTES


def self_mask(circle: Circle, slot: Slot, place: int, root: bytes) -> tuple[bytes, bytes]:
    """Seed of an institution's own mask, and the check that it advertised, from the root that is shared."""
    numbers = (slot.batch, slot.number, place)
    seed = derive(root, label("self", circle.context, *numbers))
    return seed, derive(root, label("check", circle.context, *numbers))


def pair_mask(
    circle: Circle, slot: Slot, key: X25519PrivateKey, places: tuple[int, int], public: bytes
) -> bytes:
    """Seed of the mask between two institutions: the same from either side.

    Args:
        circle: who takes part.
        slot: which sum.
        key: the slot's private key of one of them.
        places: both places, in any order.
        public: the slot's public key of the other.
    """
    purpose = label("pair", circle.context, slot.batch, slot.number, *sorted(places))
    return agree(key, public, purpose)


@dataclass
class _Batch:
    """Keys of one batch, and what the others sent."""

    cipher: X25519PrivateKey
    keys: list[X25519PrivateKey]
    roots: list[bytes]
    adverts: dict[int, Bytes] = field(default_factory=dict)
    root_shares: dict[int, list[bytes]] = field(default_factory=dict)
    key_shares: dict[int, list[bytes]] = field(default_factory=dict)
    circles: dict[int, frozenset[int]] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)


class Member:
    """One institution.

    Args:
        circle: what was agreed.
        place: its own place, from 1.
    """

    def __init__(self, circle: Circle, place: int) -> None:
        self.circle = circle
        self.place = place
        self._batches: dict[int, _Batch] = {}

    def advertise(self, batch: int) -> Bytes:
        """Fresh keys for a batch; returns their public part, ``(advert_rows, 32)``."""
        slots = range(self.circle.slots)
        made = _Batch(
            cipher=X25519PrivateKey.generate(),
            keys=[X25519PrivateKey.generate() for _ in slots],
            roots=[new_seed() for _ in slots],
        )
        # Keys of earlier batches are of no more use, and what is forgotten cannot be taken.
        self._batches = {batch: made}
        checks = [
            self_mask(self.circle, Slot(batch, number), self.place, root)[1]
            for number, root in enumerate(made.roots)
        ]
        public = [key.public_key().public_bytes_raw() for key in (made.cipher, *made.keys)]
        return _rows([*public, *checks], KEY_BYTES)

    def share(self, batch: int, adverts: Mapping[int, Bytes]) -> dict[int, Bytes]:
        """A sealed box for each other institution that advertised.

        Args:
            batch: the batch.
            adverts: what each place advertised, the own one among them.

        Raises:
            ProtocolError: too few advertised, the own advert is changed or missing, or two are equal.
        """
        made = self._batch(batch)
        self._check_adverts(made, adverts)
        made.adverts = dict(adverts)
        places = sorted(adverts)
        threshold = self.circle.threshold
        roots = [split(root, threshold, places) for root in made.roots]
        keys = [split(key.private_bytes_raw(), threshold, places) for key in made.keys]
        boxes = {}
        for column, place in enumerate(places):
            root_shares, key_shares = ([shares[column] for shares in kind] for kind in (roots, keys))
            if place == self.place:
                made.root_shares[place], made.key_shares[place] = root_shares, key_shares
                continue
            purpose = label("box", self.circle.context, batch, self.place, place)
            key = agree(made.cipher, adverts[place][0].tobytes(), purpose)
            box = seal_box(key, b"".join((*root_shares, *key_shares)), purpose)
            boxes[place] = np.frombuffer(box, dtype=np.uint8)
        return boxes

    def take(self, batch: int, boxes: Mapping[int, Bytes]) -> None:
        """Open the boxes of the others, by the place of the sender.

        Raises:
            ProtocolError: a box of somebody who did not advertise, or one that does not open.
        """
        made = self._batch(batch)
        for place, box in boxes.items():
            if place == self.place or place not in made.adverts:
                raise ProtocolError(
                    "a sealed box came from institution {place}, which has no keys", place=place
                )
            purpose = label("box", self.circle.context, batch, place, self.place)
            key = agree(made.cipher, made.adverts[place][0].tobytes(), purpose)
            content = open_box(key, box.tobytes(), purpose)
            shares = [content[start : start + SHARE_BYTES] for start in range(0, len(content), SHARE_BYTES)]
            slots = self.circle.slots
            made.root_shares[place], made.key_shares[place] = shares[:slots], shares[slots:]

    def mask(self, slot: Slot, words: Words, circle: Collection[int]) -> Words:
        """The own vector under the own mask and one mask for each other institution of the circle.

        Args:
            slot: which sum.
            words: ``(n,)`` the own vector in Z_2^64.
            circle: the places that take part, the own one among them.

        Raises:
            ProtocolError: the slot is used, or the circle is too small or holds somebody without shares.
        """
        made = self._batch(slot.batch)
        self._check_circle(made, slot, circle)
        made.circles[slot.number] = frozenset(circle)
        own, _ = self_mask(self.circle, slot, self.place, made.roots[slot.number])
        masked = words + Stream(own).words(len(words))
        for place in sorted(circle):
            if place == self.place:
                continue
            public = made.adverts[place][1 + slot.number].tobytes()
            seed = pair_mask(self.circle, slot, made.keys[slot.number], (self.place, place), public)
            between = Stream(seed).words(len(words))
            if self.place < place:
                masked += between
            else:
                masked -= between
        return masked

    def reveal(self, slot: Slot, stayed: Sequence[int], left: Sequence[int]) -> tuple[Bytes, Bytes]:
        """Shares of the own masks of those whose vector arrived, and of the keys of those whose did not.

        Args:
            slot: which sum.
            stayed: places whose vectors are in the sum.
            left: places that were to take part, and are not in it.

        Returns:
            ``(stayed, 33)`` and ``(left, 33)`` shares, in the order asked.

        Raises:
            ProtocolError: a question that would uncover somebody's vector.
        """
        made = self._batch(slot.batch)
        self._check_question(made, slot, stayed, left)
        made.answered.add(slot.number)
        roots = [made.root_shares[place][slot.number] for place in stayed]
        keys = [made.key_shares[place][slot.number] for place in left]
        return _rows(roots, SHARE_BYTES), _rows(keys, SHARE_BYTES)

    def _batch(self, batch: int) -> _Batch:
        if batch not in self._batches:
            raise ProtocolError(
                "the coordinator asks for batch {batch}, of which there are no keys", batch=batch
            )
        return self._batches[batch]

    def _check_adverts(self, made: _Batch, adverts: Mapping[int, Bytes]) -> None:
        if made.adverts:
            raise ProtocolError("the coordinator handed out the public keys of a batch twice")
        if len(adverts) < self.circle.quorum:
            raise _too_few(len(adverts), self.circle.quorum)
        own = [made.cipher.public_key().public_bytes_raw()]
        mine = adverts.get(self.place)
        if mine is None or mine[0].tobytes() != own[0]:
            raise ProtocolError("the coordinator changed or left out the public keys of this institution")
        keys = [row.tobytes() for advert in adverts.values() for row in advert[: 1 + self.circle.slots]]
        if len(set(keys)) != len(keys):
            raise ProtocolError("two public keys in a batch are equal; every institution makes fresh ones")

    def _check_circle(self, made: _Batch, slot: Slot, circle: Collection[int]) -> None:
        if not 0 <= slot.number < self.circle.slots or slot.number in made.circles:
            raise ProtocolError(
                "the coordinator calls slot {slot} a second time, or it does not exist; each is for one sum",
                slot=slot.number,
            )
        if len(set(circle)) != len(circle) or self.place not in circle or set(circle) - set(made.key_shares):
            raise ProtocolError(
                "the coordinator calls a circle with institutions that did not share their keys"
            )
        if len(circle) < self.circle.quorum:
            raise _too_few(len(circle), self.circle.quorum)

    def _check_question(self, made: _Batch, slot: Slot, stayed: Sequence[int], left: Sequence[int]) -> None:
        both = set(stayed) & set(left)
        if both:
            raise ProtocolError(
                "the coordinator asks for both kinds of shares of institution {place}; together they would "
                "uncover its values, so neither is given",
                place=min(both),
            )
        if slot.number in made.answered:
            raise ProtocolError(
                "the coordinator asks a second time for the shares of slot {slot}; a second answer could "
                "uncover an institution's values",
                slot=slot.number,
            )
        asked = [*stayed, *left]
        if len(set(asked)) != len(asked) or set(asked) != made.circles.get(slot.number, frozenset()):
            raise ProtocolError("the coordinator asks for shares of others than took part in the sum")
        if self.place not in stayed:
            raise ProtocolError(
                "the coordinator says that this institution's vector did not arrive, and asks it"
            )
        if len(stayed) < self.circle.quorum:
            raise _too_few(len(stayed), self.circle.quorum)


def _too_few(got: int, least: int) -> ProtocolError:
    return ProtocolError(
        "{got} institutions are too few for a sum; at least {least} were agreed", got=got, least=least
    )


def _rows(items: Sequence[bytes], width: int) -> Bytes:
    return np.frombuffer(b"".join(items), dtype=np.uint8).reshape(len(items), width)
