"""What one institution answers, and what it refuses whatever the coordinator asks."""

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import chi_square

from tongzhou.errors import ProtocolError
from tongzhou.secure.aggregation_keys import agree, derive, label, open_box, seal_box
from tongzhou.secure.aggregation_member import (
    Circle,
    Member,
    Slot,
    advert_rows,
    box_bytes,
    pair_mask,
    self_mask,
)
from tongzhou.secure.prg import Stream
from tongzhou.secure.shamir import at_zero, combine

CIRCLE = Circle("run", 5, 3, 3, 2)
FIRST = Slot(0, 0)
EVERYBODY = (1, 2, 3, 4, 5)


def members(circle: Circle = CIRCLE, *, batch: int = 0) -> list[Member]:
    """Institutions that have exchanged keys and shares."""
    found = [Member(circle, place) for place in range(1, circle.members + 1)]
    adverts = {member.place: member.advertise(batch) for member in found}
    boxes = {member.place: member.share(batch, adverts) for member in found}
    for member in found:
        member.take(
            batch, {place: sent[member.place] for place, sent in boxes.items() if place != member.place}
        )
    return found


def vector(place: int, length: int = 6) -> np.ndarray:
    return (np.arange(length, dtype=np.uint64) + np.uint64(place)) * np.uint64(2**60 + 3)


def secrets_of(found: Sequence[Member], answers: dict[int, Any], kind: int, row: int) -> bytes:
    places = sorted(answers)[: found[0].circle.threshold]
    return combine(at_zero(places), [answers[place][kind][row].tobytes() for place in places])


def test_masks_cancel_but_for_the_own_ones() -> None:
    found = members()
    masked = [member.mask(FIRST, vector(member.place), EVERYBODY) for member in found]
    answers = {member.place: member.reveal(FIRST, EVERYBODY, ()) for member in found}
    total = np.add.reduce(masked)
    for row, place in enumerate(EVERYBODY):
        seed, _ = self_mask(CIRCLE, FIRST, place, secrets_of(found, answers, 0, row))
        total = total - Stream(seed).words(6)
    assert np.array_equal(total, np.add.reduce([vector(place) for place in EVERYBODY]))


def test_a_key_of_one_who_left_gives_its_masks_with_the_others() -> None:
    found = members()
    masked = {member.place: member.mask(FIRST, vector(member.place), EVERYBODY) for member in found}
    stayed, left = (1, 3, 4, 5), (2,)
    answers = {p: found[p - 1].reveal(FIRST, stayed, left) for p in stayed}
    total = np.add.reduce([masked[place] for place in stayed])
    for row, place in enumerate(stayed):
        seed, _ = self_mask(CIRCLE, FIRST, place, secrets_of(found, answers, 0, row))
        total = total - Stream(seed).words(6)
    key = X25519PrivateKey.from_private_bytes(secrets_of(found, answers, 1, 0))
    for place in stayed:
        public = found[place - 1]._batches[0].keys[0].public_key().public_bytes_raw()
        between = Stream(pair_mask(CIRCLE, FIRST, key, (2, place), public)).words(6)
        total = total - between if place < 2 else total + between
    assert np.array_equal(total, np.add.reduce([vector(place) for place in stayed]))


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=8))
def test_a_masked_vector_differs_each_time(numbers: list[int]) -> None:
    words = np.array(numbers, dtype=np.uint64)
    one, other = (members()[0].mask(FIRST, words, EVERYBODY) for _ in range(2))
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, words)


def test_masked_zeros_are_uniform_in_every_slot() -> None:
    found = members(Circle("run", 4, 3, 3, 3))
    for number in range(3):
        for member in found:
            masked = member.mask(Slot(0, number), np.zeros(20_000, dtype=np.uint64), (1, 2, 3, 4))
            assert abs(chi_square(masked.view(np.uint8))) < 6


def test_slots_and_batches_share_nothing() -> None:
    """The same vector in two slots and two batches: masks are unrelated, and so are shares."""
    found = members()
    zeros = np.zeros(50, dtype=np.uint64)
    one = found[0].mask(FIRST, zeros, EVERYBODY)
    other = found[0].mask(Slot(0, 1), zeros, EVERYBODY)
    assert not set(one.tolist()) & set(other.tolist())
    for member in found[1:]:
        for number in (0, 1):
            member.mask(Slot(0, number), zeros, EVERYBODY)
    shares = [found[1].reveal(Slot(0, number), EVERYBODY, ())[0] for number in (0, 1)]
    assert not {row.tobytes() for row in shares[0]} & {row.tobytes() for row in shares[1]}


def test_keys_of_an_earlier_batch_are_forgotten() -> None:
    found = members()
    found[0].advertise(1)
    with pytest.raises(ProtocolError, match="batch 0, of which there are no keys"):
        found[0].mask(FIRST, vector(1), EVERYBODY)


# --- what is refused ---------------------------------------------------------------------------------------


def ready(count: int = 5) -> list[Member]:
    found = members()
    for member in found[:count]:
        member.mask(FIRST, vector(member.place), EVERYBODY)
    return found


def test_both_kinds_of_shares_of_one_institution_are_refused() -> None:
    """The known attack: own mask and pair masks of institution 2 together would uncover its vector."""
    found = ready()
    with pytest.raises(ProtocolError, match="both kinds of shares of institution 2; together they would"):
        found[0].reveal(FIRST, (1, 2, 3, 4, 5), (2,))


def test_a_second_question_is_refused() -> None:
    """The same attack in two steps."""
    found = ready()
    found[0].reveal(FIRST, EVERYBODY, ())
    with pytest.raises(ProtocolError, match="asks a second time for the shares of slot 0"):
        found[0].reveal(FIRST, (1, 3, 4, 5), (2,))
    with pytest.raises(ProtocolError, match="asks a second time"):
        found[0].reveal(FIRST, EVERYBODY, ())


@pytest.mark.parametrize("split_at", range(6))
def test_different_questions_to_different_institutions_uncover_nobody(split_at: int) -> None:
    """Some are told that 2 stayed, the others that it left: of one kind of share there are always too few."""
    found = ready()
    kinds: list[list[bytes]] = [[], []]
    for member in found:
        lied = member.place > split_at and member.place != 2
        stayed = tuple(p for p in EVERYBODY if p != 2) if lied else EVERYBODY
        roots, keys = member.reveal(FIRST, stayed, (2,) if lied else ())
        kinds[lied].append((keys if lied else roots)[0 if lied else stayed.index(2)].tobytes())
    assert min(len(kind) for kind in kinds) < CIRCLE.threshold
    assert sum(len(kind) for kind in kinds) == 5


@pytest.mark.parametrize(
    ("stayed", "left", "sentence"),
    [
        ((1, 2, 3, 4), (), "shares of others than took part"),
        ((1, 2, 3, 4, 5), (6,), "shares of others than took part"),
        ((1, 1, 2, 3, 4, 5), (), "shares of others than took part"),
        ((2, 3, 4, 5), (1,), "this institution's vector did not arrive, and asks it"),
        ((1, 2), (3, 4, 5), "2 institutions are too few for a sum; at least 3 were agreed"),
    ],
)
def test_questions_that_do_not_fit_the_sum_are_refused(
    stayed: tuple[int, ...], left: tuple[int, ...], sentence: str
) -> None:
    with pytest.raises(ProtocolError, match=sentence):
        ready()[0].reveal(FIRST, stayed, left)


def test_a_slot_is_for_one_vector() -> None:
    """With two vectors under the same masks the coordinator would learn their difference."""
    found = ready()
    with pytest.raises(ProtocolError, match="slot 0 a second time"):
        found[0].mask(FIRST, vector(9), EVERYBODY)


@pytest.mark.parametrize(
    ("number", "circle", "sentence"),
    [
        (2, EVERYBODY, "slot 2 a second time, or it does not exist"),
        (-1, EVERYBODY, "or it does not exist"),
        (0, (1, 2), "2 institutions are too few"),
        (0, (2, 3, 4), "did not share their keys"),
        (0, (1, 2, 3, 9), "did not share their keys"),
        (0, (1, 2, 2, 3), "did not share their keys"),
    ],
)
def test_circles_that_protect_nobody_are_refused(number: int, circle: tuple[int, ...], sentence: str) -> None:
    with pytest.raises(ProtocolError, match=sentence):
        members()[0].mask(Slot(0, number), vector(1), circle)


def test_least_counts_also_above_the_threshold() -> None:
    found = members(Circle("run", 5, 3, 4, 1))
    with pytest.raises(ProtocolError, match="3 institutions are too few for a sum; at least 4"):
        found[0].mask(FIRST, vector(1), (1, 2, 3))


# --- adverts and boxes -------------------------------------------------------------------------------------


def adverts(circle: Circle = CIRCLE) -> tuple[list[Member], dict[int, np.ndarray]]:
    found = [Member(circle, place) for place in range(1, circle.members + 1)]
    return found, {member.place: member.advertise(0) for member in found}


def test_an_advert_shows_public_keys_and_checks_only() -> None:
    found, sent = adverts()
    assert sent[1].shape == (advert_rows(CIRCLE), 32) == (5, 32)
    made = found[0]._batches[0]
    private = {key.private_bytes_raw() for key in (made.cipher, *made.keys)} | set(made.roots)
    assert not private & {row.tobytes() for row in sent[1]}
    seeds = {self_mask(CIRCLE, Slot(0, n), 1, root)[0] for n, root in enumerate(made.roots)}
    assert not seeds & {row.tobytes() for row in sent[1]}


def changed(sent: dict[int, np.ndarray], place: int, row: int, to: bytes) -> dict[int, np.ndarray]:
    copy = sent[place].copy()
    copy[row] = np.frombuffer(to, dtype=np.uint8)
    return {**sent, place: copy}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda sent: {p: sent[p] for p in (1, 2)}, "2 institutions are too few"),
        (
            lambda sent: {p: sent[p] for p in (2, 3, 4)},
            "changed or left out the public keys of this institution",
        ),
        (lambda sent: changed(sent, 1, 0, b"\x09" * 32), "changed or left out the public keys of this"),
        (lambda sent: changed(sent, 3, 1, sent[2][1].tobytes()), "two public keys in a batch are equal"),
        (lambda sent: changed(sent, 3, 0, bytes(32)), "not in the group of keys"),
    ],
)
def test_adverts_that_cannot_be_are_refused(change: Any, sentence: str) -> None:
    found, sent = adverts()
    with pytest.raises(ProtocolError, match=sentence):
        found[0].share(0, change(sent))


def test_keys_are_handed_out_once() -> None:
    """Shares for two rosters would be shares of the same secrets for more hands than agreed."""
    found, sent = adverts()
    found[0].share(0, sent)
    with pytest.raises(ProtocolError, match="handed out the public keys of a batch twice"):
        found[0].share(0, sent)


def test_boxes_open_for_their_receiver_from_their_sender_only() -> None:
    found, sent = adverts()
    boxes = {member.place: member.share(0, sent) for member in found}
    assert {len(box) for box in boxes[1].values()} == {box_bytes(CIRCLE)}
    with pytest.raises(ProtocolError, match="does not open"):
        found[1].take(0, {1: boxes[1][3]})
    with pytest.raises(ProtocolError, match="does not open"):
        found[1].take(0, {3: boxes[1][2]})
    broken = boxes[1][2].copy()
    broken[7] ^= 1
    with pytest.raises(ProtocolError, match="does not open"):
        found[1].take(0, {1: broken})
    for sender in (2, 9):
        with pytest.raises(ProtocolError, match=f"came from institution {sender}, which has no keys"):
            found[1].take(0, {sender: boxes[1][2]})
    found[1].take(0, {1: boxes[1][2]})


def test_boxes_of_equal_content_are_uniform_and_differ() -> None:
    key = X25519PrivateKey.generate()
    boxes = []
    for _ in range(200):
        other = X25519PrivateKey.generate()
        boxes.append(seal_box(agree(other, key.public_key().public_bytes_raw(), b"x"), bytes(100), b"x"))
    assert len(set(boxes)) == 200
    assert abs(chi_square(np.frombuffer(b"".join(boxes), dtype=np.uint8))) < 6


# --- keys --------------------------------------------------------------------------------------------------


def test_agreement_and_derivation_as_published() -> None:
    """RFC 7748, section 6.1 (X25519), and RFC 5869, A.3 (HKDF-SHA-256 without salt and info)."""
    alice = "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
    bob = "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"
    shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    key = X25519PrivateKey.from_private_bytes(bytes.fromhex(alice))
    assert agree(key, bytes.fromhex(bob), b"why") == derive(bytes.fromhex(shared), b"why")
    known = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
    assert derive(b"\x0b" * 22, b"") == bytes.fromhex(known)


def test_labels_of_different_things_differ() -> None:
    """Also where texts run into each other, or a number could be read as a letter."""
    made = [
        label("pair", "run", 0, 1, 2),
        label("pair", "run", 0, 1, 3),
        label("pair", "run1", 0, 1, 2),
        label("pai", "rrun", 0, 1, 2),
        label("self", "run", 0, 1, 2),
        label("pair", "run", 0, 1),
        label("pair", "run\x00\x00\x00\x00", 0, 1),
    ]
    assert len(set(made)) == len(made)
    assert not any(
        one != other and one.startswith(other) and len(one) == len(other) for one in made for other in made
    )


def test_both_sides_agree_and_outsiders_do_not() -> None:
    keys = [X25519PrivateKey.generate() for _ in range(3)]
    public = [key.public_key().public_bytes_raw() for key in keys]
    for left, right in combinations(range(3), 2):
        one = pair_mask(CIRCLE, FIRST, keys[left], (left, right), public[right])
        assert one == pair_mask(CIRCLE, FIRST, keys[right], (right, left), public[left])
        assert one != pair_mask(CIRCLE, Slot(0, 1), keys[left], (left, right), public[right])
        assert one != pair_mask(CIRCLE, Slot(1, 0), keys[left], (left, right), public[right])
    assert open_box(bytes(32), seal_box(bytes(32), b"hello", b"for"), b"for") == b"hello"
    assert derive(b"secret", b"one") != derive(b"secret", b"other")
