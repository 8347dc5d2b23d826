"""The sum of many institutions' vectors, and nothing of any single one, also when some of them leave.

Statement
    Parties: N institutions with data; the asker coordinates, and may be one of them. No helper.
    Who learns what: the coordinator learns the sum over the institutions whose vectors arrived, and who they
    are; the others learn who they are, and the sum where it is told to all. Everything else that arrives are
    public keys, sealed boxes, and words and shares that are uniform to their receiver. Whoever knows the sum
    and its own vector knows the sum of the rest; so a sum is of at least `AggregationSettings.least` vectors,
    never below three.
    Assumption: semi-honest; fewer than `threshold` institutions collude, the coordinator with them or not;
    the assumptions of `aggregation_keys`; AES-256 in counter mode is indistinguishable from uniform. A lying
    coordinator that asks different institutions different questions gets no further: more than half of them
    are needed for an answer, and each answers once. One that exchanges the public keys of institutions for
    its own would break the protection; with `AggregationSettings.signed` it is found.
    Does not hold: a wrong vector spoils the sum unnoticed. A wrong share is noticed, and ends the run.
    Drop-outs: an institution that leaves, or is silent for `patience_s`, is left out from then on. Before
    its vector arrives it is not in the sum, afterwards it is; either way there is one sum, and no second one
    over the same vectors. Fewer than the quorum (threshold or least) end the run.
    Cost: with vectors of n words and batches of S sums, an institution sends 8 n + 33 N bytes a sum, and for
    each batch 96 + 64 S + (N - 1) (66 S + 16) bytes, and receives for each batch N (96 + 64 S) + (N - 1)
    (66 S + 16), besides the heads of messages and the places named in them. Two rounds a sum, two a batch. An
    institution makes (N - 1) (S + 2) X25519 agreements a batch and N masks of n words a sum; the coordinator
    removes one mask of n words for each that stayed, and as many for each that left.
    Paper: Bonawitz, Ivanov, Kreuter, Marcedone, McMahan, Patel, Ramage, Segal and Seth, Practical secure
    aggregation for privacy-preserving machine learning (CCS 2017), its semi-honest protocol with double
    masking (figure 4), keys and shares made ahead for a batch of sums, each with keys of its own.

Vectors are of words in Z_2^64; `for_sum` checks that the sum of so many cannot wrap.
"""

from collections.abc import Collection, Sequence
from typing import Any, Final, TypeVar

import msgspec
import numpy as np

from tongzhou.errors import DataError, PeerError, PlanError, ProtocolError
from tongzhou.secure.aggregation_keys import KEY_BYTES, label
from tongzhou.secure.aggregation_links import Spokes, bearing
from tongzhou.secure.aggregation_member import (
    Bytes,
    Member,
    Slot,
    advert_rows,
    box_bytes,
)
from tongzhou.secure.aggregation_settings import AggregationSettings, members_of
from tongzhou.secure.aggregation_unmasking import Unmasking
from tongzhou.secure.party import Party, Role
from tongzhou.secure.ring import Words
from tongzhou.secure.shamir import SHARE_BYTES
from tongzhou.secure.vouching import SIGNATURE_BYTES
from tongzhou.wire.messages import ArraySpec, Link

__all__ = ["Aggregation"]

T = TypeVar("T")

_COORDINATOR: Final = "asker"
_MEMBER_PATIENCE: Final = 6
"""How many phases' time an institution waits for the coordinator, which waits for others and computes."""


class _Call(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The coordinator calls for vectors."""

    batch: int
    slot: int
    circle: tuple[int, ...]


class _Question(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The coordinator says whose vectors arrived, and asks for shares."""

    stayed: tuple[int, ...]
    left: tuple[int, ...]


class Aggregation:
    """Sums among the institutions of one run, seen from one party. Every party runs the same lines.

    Args:
        party: seat in the run.
        settings: as agreed.
        slots: sums for which keys are made at a time.

    Attributes:
        members: roles of the institutions with data, by place less one.
        stayed: roles whose vectors are in the last sum.
    """

    def __init__(self, party: Party, settings: AggregationSettings, *, slots: int = 16) -> None:
        self.party = party
        self.settings = settings
        self.members = members_of(party, settings)
        self.stayed: tuple[Role, ...] = ()
        self._circle = settings.circle(slots)
        self._slot = Slot(0, slots)
        role = party.role
        self._member = Member(self._circle, self.members.index(role) + 1) if role in self.members else None
        if settings.signed and party.voucher is None and self.is_member:
            raise PlanError(
                "the public keys of this run are to be signed, and the {role} has no key", role=role
            )
        self._adverts: dict[int, Bytes] = {}
        for link in party.session.links.values():
            link.stand_alone()
        self._spokes = Spokes(party, self.members, settings.patience_s) if self.is_coordinator else None

    @property
    def is_coordinator(self) -> bool:
        """Whether this party gathers the vectors."""
        return self.party.role == _COORDINATOR

    @property
    def is_member(self) -> bool:
        """Whether this party brings vectors."""
        return self._member is not None

    @property
    def institutions(self) -> int:
        """How many brought data at the start: a bound on how many a sum adds up."""
        return len(self.members)

    @property
    def quorum(self) -> int:
        """The fewest vectors that a sum adds up."""
        return self._circle.quorum

    # --- what protocols use ------------------------------------------------------------------------------

    def sum(
        self, words: Words | None, *, length: int, what: str, reason: str, to_all: bool = False
    ) -> Words | None:
        """Add up the institutions' vectors.

        Args:
            words: ``(length,)`` the own vector; ``None`` at a coordinator without data.
            length: the agreed length.
            what: the sum, in words, for the receipt.
            reason: why it is opened.
            to_all: whether the institutions learn it too.

        Returns:
            The sum over `stayed` at the coordinator, and at the institutions if it is told to all.

        Raises:
            PeerError: too few institutions stayed, or (at an institution) the coordinator left.
            ProtocolError: somebody broke the protocol.
        """
        if self._slot.number >= self._circle.slots:
            self._slot = Slot(self._slot.batch + 1, 0)
            self._exchange_keys()
        receivers = tuple(sorted({_COORDINATOR, *self.members})) if to_all else (_COORDINATOR,)
        self.party.record(what, length, receivers, reason)
        total = None
        if self._spokes is not None:
            total = self._gather(self._spokes, words, length)
        else:
            self._contribute(words, length)
        self._slot = Slot(self._slot.batch, self._slot.number + 1)
        if not to_all:
            return total
        spec = ArraySpec("<u8", (length,))
        told: list[Words] = self.tell_arrays("aggregate.total", [spec], None if total is None else [total])
        return told[0]

    def tell(self, tag: str, kind: type[T], value: T | None = None) -> T:
        """The coordinator tells every institution a value; all of them return it.

        Args:
            tag: of the message.
            kind: type of the value.
            value: the value, at the coordinator.
        """
        if self._spokes is None or value is None:
            return self._hear(tag, kind)[0]
        self._spokes.send_all(self._spokes.live, tag, value)
        return value

    def tell_arrays(
        self, tag: str, specs: Sequence[ArraySpec], given: Sequence[Any] | None = None
    ) -> list[Any]:
        """The same with arrays.

        Args:
            tag: of the message.
            specs: what the arrays look like.
            given: the arrays, at the coordinator.
        """
        if self._spokes is None or given is None:
            return self._hear(tag, None, specs)[1]
        self._spokes.send_all(self._spokes.live, tag, None, given)
        return list(given)

    # --- keys of a batch -----------------------------------------------------------------------------------

    def _exchange_keys(self) -> None:
        """Advertise keys, then share them: phases 0 and 1."""
        if self._spokes is not None:
            self._gather_keys(self._spokes)
        else:
            self._give_keys()

    def _gather_keys(self, spokes: Spokes) -> None:
        batch, rows = self._slot.batch, advert_rows(self._circle)
        found = spokes.collect(spokes.live, "aggregate.keys", _key_specs(rows))
        if self._member is not None:
            found[self._member.place] = self._advert(self._member)
        roster = self._enough(found)
        self._adverts = {place: found[place][0] for place in roster}
        stacked = [np.stack([found[place][kind] for place in roster]) for kind in range(2)]
        self._verify_adverts(roster, stacked)
        spokes.send_all(roster, "aggregate.roster", roster, stacked)
        spec = ArraySpec("|u1", (len(roster) - 1, box_bytes(self._circle)))
        sent = spokes.collect(roster, "aggregate.boxes", [spec])
        boxes = {
            sender: dict(zip((p for p in roster if p != sender), arrays[0], strict=True))
            for sender, arrays in sent.items()
        }
        if self._member is not None:
            boxes[self._member.place] = self._member.share(batch, self._adverts)
        senders = self._enough(boxes)
        for place in senders:
            others = tuple(sender for sender in senders if sender != place)
            if self._member is not None and place == self._member.place:
                self._member.take(batch, {sender: boxes[sender][place] for sender in others})
            else:
                handed = np.stack([boxes[sender][place] for sender in others])
                spokes.send(place, "aggregate.mail", others, [handed])
        spokes.keep(senders)

    def _give_keys(self) -> None:
        member, batch = self._own_member(), self._slot.batch
        self._up.send("aggregate.keys", None, self._advert(member))
        specs = [ArraySpec("|u1", (None, *spec.shape)) for spec in _key_specs(advert_rows(self._circle))]
        roster, adverts = self._hear("aggregate.roster", tuple[int, ...], specs)
        self._check_places(roster, *map(len, adverts))
        self._verify_adverts(roster, adverts)
        boxes = member.share(batch, dict(zip(roster, adverts[0], strict=True)))
        self._up.send("aggregate.boxes", None, [np.stack([boxes[place] for place in sorted(boxes)])])
        spec = ArraySpec("|u1", (None, box_bytes(self._circle)))
        senders, (mail,) = self._hear("aggregate.mail", tuple[int, ...], [spec])
        self._check_places(senders, len(mail))
        member.take(batch, dict(zip(senders, mail, strict=True)))

    def _advert(self, member: Member) -> list[Bytes]:
        """Fresh public keys, and the signature of this institution over them (zeros if none is asked for)."""
        advert = member.advertise(self._slot.batch)
        signature = bytes(SIGNATURE_BYTES)
        if self.settings.signed and self.party.voucher is not None:
            signature = self.party.voucher.sign(self._signed(member.place, advert))
        return [advert, np.frombuffer(signature, dtype=np.uint8)]

    def _verify_adverts(self, roster: Sequence[int], adverts: Sequence[Bytes]) -> None:
        if not self.settings.signed or self.party.voucher is None:
            return
        for place, advert, signature in zip(roster, *adverts, strict=True):
            name = self.party.names[self.members[place - 1]]
            self.party.voucher.verify(name, self._signed(place, advert), signature.tobytes())

    def _signed(self, place: int, advert: Bytes) -> bytes:
        return label("keys", self._circle.context, self._slot.batch, place) + advert.tobytes()

    # --- one sum -----------------------------------------------------------------------------------------

    def _gather(self, spokes: Spokes, words: Words | None, length: int) -> Words:
        """Coordinator: masked vectors, then shares, then the sum: phases 2 and 3."""
        slot, circle = self._slot, self._enough(spokes.live)
        spokes.send_all(circle, "aggregate.call", _Call(slot.batch, slot.number, circle))
        found = spokes.collect(circle, "aggregate.masked", [ArraySpec("<u8", (length,))])
        masked: dict[int, Words] = {place: arrays[0] for place, arrays in found.items()}
        if self._member is not None:
            masked[self._member.place] = self._member.mask(slot, _own(words, length), circle)
        stayed = self._enough(masked)
        left = tuple(place for place in circle if place not in masked)
        spokes.send_all(stayed, "aggregate.question", _Question(stayed, left))
        specs = [ArraySpec("|u1", (len(places), SHARE_BYTES)) for places in (stayed, left)]
        answers = spokes.collect(stayed, "aggregate.answer", specs)
        if self._member is not None:
            answers[self._member.place] = list(self._member.reveal(slot, stayed, left))
        spokes.keep(self._enough(answers, self._circle.threshold))
        self.stayed = tuple(self.members[place - 1] for place in stayed)
        return Unmasking(self._circle, slot, self._adverts, stayed, left, answers).total(masked)

    def _contribute(self, words: Words | None, length: int) -> None:
        """Institution: its masked vector, then shares."""
        member, slot = self._own_member(), self._slot
        call, _ = self._hear("aggregate.call", _Call)
        if (call.batch, call.slot) != (slot.batch, slot.number):
            raise ProtocolError(
                "the coordinator calls slot {got} of batch {batch}, where slot {slot} was due",
                got=call.slot,
                batch=call.batch,
                slot=slot.number,
            )
        self._check_places(call.circle)
        self._up.send("aggregate.masked", None, [member.mask(slot, _own(words, length), call.circle)])
        question, _ = self._hear("aggregate.question", _Question)
        answer = member.reveal(slot, question.stayed, question.left)
        self._up.send("aggregate.answer", None, list(answer))
        self.stayed = tuple(self.members[place - 1] for place in question.stayed)

    # --- links -------------------------------------------------------------------------------------------

    @property
    def _up(self) -> Link:
        return self.party.link(_COORDINATOR)

    def _hear(
        self, tag: str, kind: type[T] | None = None, arrays: Sequence[ArraySpec] = ()
    ) -> tuple[T, list[Any]]:
        """Institution: the next message of the coordinator, which may wait for others and compute before."""
        with bearing(self._up, _MEMBER_PATIENCE * self.settings.patience_s):
            return self._up.recv(tag, kind, arrays)

    def _own_member(self) -> Member:
        if self._member is None:
            raise PlanError("the {role} brings no data to this sum", role=self.party.role)
        return self._member

    def _enough(self, there: Collection[int], least: int = 0) -> tuple[int, ...]:
        """Places in order, if they are enough to go on."""
        least = least or self._circle.quorum
        if len(there) < least:
            raise PeerError(
                "only {got} of {members} institutions are still there; a sum needs {least}",
                got=len(there),
                members=self._circle.members,
                least=least,
            )
        return tuple(sorted(there))

    def _check_places(self, places: Sequence[int], *rows: int) -> None:
        """Places that the coordinator names must be ours, in order, one for each row."""
        inside = all(1 <= place <= self._circle.members for place in places)
        if not inside or list(places) != sorted(set(places)) or {*rows} - {len(places)}:
            raise ProtocolError("the coordinator names institutions that do not exist, or one twice")


def _key_specs(rows: int) -> list[ArraySpec]:
    return [ArraySpec("|u1", (rows, KEY_BYTES)), ArraySpec("|u1", (SIGNATURE_BYTES,))]


def _own(words: Words | None, length: int) -> Words:
    if words is None or words.shape != (length,):
        raise DataError(
            "the vector has {got} numbers, {agreed} were agreed",
            got=0 if words is None else words.size,
            agreed=length,
        )
    return words
