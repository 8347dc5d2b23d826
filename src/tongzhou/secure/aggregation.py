"""The sum of many institutions' vectors, and nothing of any single one, also when some of them leave.

Statement
    Parties: N institutions with data; the asker coordinates, and may be one of them. No helper.
    Who learns what: the coordinator learns the sum over the institutions whose vectors arrived, and who they
    are; the others learn who they are, and the sum where it is told to all. Everything else that the
    coordinator receives is uniform to it. Whoever knows the sum and its own vector knows the sum of the rest;
    so a sum is of at least `AggregationSettings.least` vectors, never below three.
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

import time
from collections.abc import Collection, Sequence
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tongzhou.errors import DataError, PeerError, PlanError, ProtocolError
from tongzhou.secure.aggregation_keys import KEY_BYTES, label
from tongzhou.secure.aggregation_member import (
    Bytes,
    Member,
    Slot,
    advert_rows,
    box_bytes,
    pair_mask,
    self_mask,
)
from tongzhou.secure.aggregation_settings import AggregationSettings, members_of
from tongzhou.secure.party import Party, Role
from tongzhou.secure.prg import Stream
from tongzhou.secure.ring import Words
from tongzhou.secure.shamir import SHARE_BYTES, at_zero, combine
from tongzhou.secure.vouching import SIGNATURE_BYTES
from tongzhou.wire.messages import ArraySpec, Link

__all__ = ["Aggregation"]

T = TypeVar("T")

_COORDINATOR: Final = "asker"
_BRIEF_S: Final = 0.05
"""What has arrived already is read, also when the time of a phase is over."""
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
        self._live = list(range(1, len(self.members) + 1))
        if self.is_coordinator:
            for link in self._links().values():
                link.stand_alone()
        else:
            self._up.bear(_MEMBER_PATIENCE * settings.patience_s)
            for link in party.session.links.values():
                link.stand_alone()

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
        if self.is_coordinator:
            total = self._gather(words, length)
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
        if not self.is_coordinator or value is None:
            return self._up.recv(tag, kind)[0]
        self._send_all(self._live, tag, value)
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
        if not self.is_coordinator or given is None:
            return self._up.recv(tag, None, specs)[1]
        self._send_all(self._live, tag, None, given)
        return list(given)

    def places(self) -> tuple[Role, ...]:
        """Roles that are still there, as the coordinator knows; at an institution those of the last sum."""
        if self.is_coordinator:
            return tuple(self.members[place - 1] for place in self._live)
        return self.stayed

    # --- keys of a batch -----------------------------------------------------------------------------------

    def _exchange_keys(self) -> None:
        """Advertise keys, then share them: phases 0 and 1."""
        if self.is_coordinator:
            self._gather_keys()
        else:
            self._give_keys()

    def _gather_keys(self) -> None:
        batch, rows = self._slot.batch, advert_rows(self._circle)
        found = self._collect(self._live, "aggregate.keys", _key_specs(rows))
        if self._member is not None:
            found[self._member.place] = self._advert(self._member)
        roster = self._enough(found)
        self._adverts = {place: found[place][0] for place in roster}
        stacked = [np.stack([found[place][kind] for place in roster]) for kind in range(2)]
        self._verify_adverts(roster, stacked)
        self._send_all(roster, "aggregate.roster", roster, stacked)
        spec = ArraySpec("|u1", (len(roster) - 1, box_bytes(self._circle)))
        sent = self._collect([p for p in roster if p in self._live], "aggregate.boxes", [spec])
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
                self._send(place, "aggregate.mail", others, [handed])
        self._live = [place for place in senders if place in self._live]

    def _give_keys(self) -> None:
        member, batch = self._own_member(), self._slot.batch
        self._up.send("aggregate.keys", None, self._advert(member))
        specs = [ArraySpec("|u1", (None, *spec.shape)) for spec in _key_specs(advert_rows(self._circle))]
        roster, adverts = self._up.recv("aggregate.roster", tuple[int, ...], specs)
        self._check_places(roster, *map(len, adverts))
        self._verify_adverts(roster, adverts)
        boxes = member.share(batch, dict(zip(roster, adverts[0], strict=True)))
        self._up.send("aggregate.boxes", None, [np.stack([boxes[place] for place in sorted(boxes)])])
        spec = ArraySpec("|u1", (None, box_bytes(self._circle)))
        senders, (mail,) = self._up.recv("aggregate.mail", tuple[int, ...], [spec])
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

    def _gather(self, words: Words | None, length: int) -> Words:
        """Coordinator: masked vectors, then shares, then the sum: phases 2 and 3."""
        slot, circle = self._slot, self._enough(self._live)
        self._send_all(circle, "aggregate.call", _Call(slot.batch, slot.number, circle))
        found = self._collect(self._live, "aggregate.masked", [ArraySpec("<u8", (length,))])
        masked: dict[int, Words] = {place: arrays[0] for place, arrays in found.items()}
        if self._member is not None:
            masked[self._member.place] = self._member.mask(slot, _own(words, length), circle)
        stayed = self._enough(masked)
        left = tuple(place for place in circle if place not in masked)
        self._send_all(stayed, "aggregate.question", _Question(stayed, left))
        specs = [ArraySpec("|u1", (len(places), SHARE_BYTES)) for places in (stayed, left)]
        answers = self._collect([p for p in stayed if p in self._live], "aggregate.answer", specs)
        if self._member is not None:
            answers[self._member.place] = list(self._member.reveal(slot, stayed, left))
        self._live = list(self._enough(answers, self._circle.threshold))
        self.stayed = tuple(self.members[place - 1] for place in stayed)
        total: Words = np.add.reduce([masked[place] for place in stayed])
        return self._unmasked(total, stayed, left, answers)

    def _contribute(self, words: Words | None, length: int) -> None:
        """Institution: its masked vector, then shares."""
        member, slot = self._own_member(), self._slot
        call, _ = self._up.recv("aggregate.call", _Call)
        if (call.batch, call.slot) != (slot.batch, slot.number):
            raise ProtocolError(
                "the coordinator calls slot {got} of batch {batch}, where slot {slot} was due",
                got=call.slot,
                batch=call.batch,
                slot=slot.number,
            )
        self._check_places(call.circle)
        self._up.send("aggregate.masked", None, [member.mask(slot, _own(words, length), call.circle)])
        question, _ = self._up.recv("aggregate.question", _Question)
        answer = member.reveal(slot, question.stayed, question.left)
        self._up.send("aggregate.answer", None, list(answer))
        self.stayed = tuple(self.members[place - 1] for place in question.stayed)

    def _unmasked(
        self, total: Words, stayed: tuple[int, ...], left: tuple[int, ...], answers: dict[int, list[Bytes]]
    ) -> Words:
        """Take off the own masks of those who stayed, and their masks with those who left."""
        length, helpers = len(total), sorted(answers)[: self._circle.threshold]
        weights = at_zero(helpers)

        def secret(kind: int, row: int) -> bytes:
            return combine(weights, [answers[place][kind][row].tobytes() for place in helpers])

        for row, place in enumerate(stayed):
            seed, check = self_mask(self._circle, self._slot, place, secret(0, row))
            self._verify(place, 1 + self._circle.slots, check)
            total -= Stream(seed).words(length)
        for row, gone in enumerate(left):
            key = X25519PrivateKey.from_private_bytes(secret(1, row))
            self._verify(gone, 1, key.public_key().public_bytes_raw())
            for place in stayed:
                public = self._adverts[place][1 + self._slot.number].tobytes()
                seed = pair_mask(self._circle, self._slot, key, (gone, place), public)
                between = Stream(seed).words(length)
                total = total - between if place < gone else total + between
        return total

    def _verify(self, place: int, first: int, found: bytes) -> None:
        if self._adverts[place][first + self._slot.number].tobytes() != found:
            raise ProtocolError(
                "the shares of institution {place} do not give back what it advertised", place=place
            )

    # --- links -------------------------------------------------------------------------------------------

    @property
    def _up(self) -> Link:
        return self.party.link(_COORDINATOR)

    def _links(self) -> dict[int, Link]:
        """The coordinator's links, by place; there is none to itself."""
        return {
            place: self.party.link(role)
            for place, role in enumerate(self.members, start=1)
            if role != self.party.role
        }

    def _own_member(self) -> Member:
        if self._member is None:
            raise PlanError("the {role} brings no data to this sum", role=self.party.role)
        return self._member

    def _collect(self, places: Sequence[int], tag: str, specs: Sequence[ArraySpec]) -> dict[int, list[Any]]:
        """One message from each place; whoever does not answer in time is left out from now on."""
        found: dict[int, list[Any]] = {}
        until = time.monotonic() + self.settings.patience_s
        for place, link in self._links().items():
            if place not in places:
                continue
            link.bear(max(_BRIEF_S, until - time.monotonic()))
            try:
                found[place] = link.recv(tag, None, specs)[1]
            except PeerError:
                self._leave_out(place, tag)
        return found

    def _send_all(self, places: Sequence[int], tag: str, value: object, arrays: Sequence[Any] = ()) -> None:
        for place in [place for place in places if place in self._live]:
            self._send(place, tag, value, arrays)

    def _send(self, place: int, tag: str, value: object, arrays: Sequence[Any] = ()) -> None:
        link = self._links().get(place)
        if link is None:
            return
        link.bear(self.settings.patience_s)
        try:
            link.send(tag, value, arrays)
        except PeerError:
            self._leave_out(place, tag)

    def _leave_out(self, place: int, tag: str) -> None:
        """Go on without an institution. If it comes back it learns why nobody listens."""
        self._live.remove(place)
        late = PeerError(
            "this institution was left out: it did not answer within {seconds:g} s where {tag} was due",
            seconds=self.settings.patience_s,
            tag=tag,
        )
        self._links()[place].send_error(str(late))

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
