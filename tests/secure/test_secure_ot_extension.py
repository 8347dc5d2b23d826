"""Extended transfers: what the receiver gets is what its bits choose, and what travels is uniform."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import Watch, chi_square

from tongzhou.errors import ProtocolError
from tongzhou.secure import ot_extension
from tongzhou.secure.base_ot import send_base
from tongzhou.secure.ot_extension import OtReceiver, OtSender
from tongzhou.wire.memory import run_parties
from tongzhou.wire.messages import Session


def pair(
    send: Callable[[OtSender], Any], receive: Callable[[OtReceiver], Any], watch: Watch | None = None
) -> tuple[Any, Any]:
    tap: Callable[[Session], Session] = watch or (lambda session: session)
    found = run_parties(
        {
            "sender": lambda session: send(OtSender(tap(session).links["receiver"])),
            "receiver": lambda session: receive(OtReceiver(tap(session).links["sender"])),
        }
    )
    return found["sender"], found["receiver"]


def bits(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2, count).astype(np.bool_)


def words(*shape: int, seed: int = 2) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, shape, dtype=np.uint64)


@pytest.mark.parametrize("count", [1, 127, 128, 1000])
def test_blocks_differ_by_delta_where_the_bit_is_one(count: int) -> None:
    choices = bits(count)
    (delta, sent), got = pair(lambda ot: (ot.delta, ot.blocks(count)), lambda ot: ot.blocks(choices))
    assert sent.shape == got.shape == (count, 2)
    assert np.array_equal(got, sent ^ np.where(choices[:, None], delta, np.uint64(0)))
    assert delta.any()


def test_batches_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ot_extension, "_BATCH", 256)
    choices = bits(700)
    sent, got = pair(lambda ot: ot.pads(700, 2), lambda ot: ot.pads(choices, 2))
    assert np.array_equal(got, np.where(choices[:, None], sent[1], sent[0]))
    assert len(np.unique(sent)) == 2 * 700 * 2


@settings(deadline=None, max_examples=6)
@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 5))
def test_pads_are_the_chosen_ones(choices: list[bool], width: int) -> None:
    count, chosen = len(choices), np.array(choices)
    sent, got = pair(lambda ot: ot.pads(count, width), lambda ot: ot.pads(chosen, width))
    assert sent.shape == (2, count, width)
    assert np.array_equal(got, np.where(chosen[:, None], sent[1], sent[0]))
    assert not (sent[0] == sent[1]).any()


@pytest.mark.parametrize("shape", [(50,), (50, 1), (50, 4)])
def test_correlated_words_differ_by_the_senders_words(shape: tuple[int, ...]) -> None:
    differences, choices = words(*shape), bits(50)
    width = None if len(shape) == 1 else shape[1]
    sent, got = pair(lambda ot: ot.correlated(differences), lambda ot: ot.correlated(choices, width))
    assert sent.shape == got.shape == shape
    assert np.array_equal(got - sent, differences * choices.reshape(-1, *[1] * (len(shape) - 1)))


def test_messages_arrive_as_chosen() -> None:
    zero, one, choices = words(60, 3, seed=3), words(60, 3, seed=4), bits(60)
    _, got = pair(lambda ot: ot.messages(zero, one), lambda ot: ot.messages(choices, 3))
    assert np.array_equal(got, np.where(choices[:, None], one, zero))
    _, flat = pair(lambda ot: ot.messages(zero[:, 0], one[:, 0]), lambda ot: ot.messages(choices))
    assert np.array_equal(flat, np.where(choices, one[:, 0], zero[:, 0]))


def test_calls_follow_each_other_without_repeating() -> None:
    choices = bits(90)

    def send(ot: OtSender) -> list[np.ndarray]:
        return [ot.pads(90), ot.pads(90), ot.correlated(words(90)), ot.pads(90)]

    def receive(ot: OtReceiver) -> list[np.ndarray]:
        return [ot.pads(choices), ot.pads(choices), ot.correlated(choices), ot.pads(choices)]

    sent, got = pair(send, receive)
    for place in (0, 1, 3):
        assert np.array_equal(got[place], np.where(choices[:, None], sent[place][1], sent[place][0]))
    assert len(np.unique(np.concatenate([sent[place].reshape(-1) for place in (0, 1, 3)]))) == 3 * 180


def test_transfers_both_ways_do_not_mix() -> None:
    choices = bits(70)

    def play(first: bool) -> Callable[[Session], Any]:
        def part(session: Session) -> Any:
            (link,) = session.links.values()
            one = OtSender(link) if first else OtReceiver(link)
            two = OtReceiver(link) if first else OtSender(link)
            make = {OtSender: lambda ot: ot.pads(70), OtReceiver: lambda ot: ot.pads(choices)}
            return [make[type(ot)](ot) for ot in (one, two)]

        return part

    found = run_parties({"a": play(True), "b": play(False)})
    for sent, got in zip((found["a"][0], found["b"][1]), (found["b"][0], found["a"][1]), strict=True):
        assert np.array_equal(got, np.where(choices[:, None], sent[1], sent[0]))


@pytest.mark.parametrize("constant", [False, True])
def test_what_each_side_receives_is_uniform_and_nothing_else_arrives(constant: bool) -> None:
    """Also where all bits are equal, and all words zero."""
    watch, count = Watch(), 6000
    choices, zeros = np.full(count, constant), np.zeros(count, dtype=np.uint64)

    def send(ot: OtSender) -> None:
        ot.correlated(zeros)
        ot.messages(zeros, zeros)

    def receive(ot: OtReceiver) -> None:
        ot.correlated(choices)
        ot.messages(choices)

    pair(send, receive, watch)
    assert watch.tags("sender") == {("receiver", tag) for tag in ("ot.base.public", "ot.columns")}
    assert watch.tags("receiver") == {
        ("sender", tag) for tag in ("ot.base.points", "ot.hash", "ot.differences", "ot.messages")
    }
    for role, tag in (("sender", "ot.columns"), ("receiver", "ot.differences"), ("receiver", "ot.messages")):
        assert abs(chi_square(watch.words(role, tag))) < 6, tag
    columns = [m.arrays[0] for m in watch.views["sender"] if m.tag == "ot.columns"]
    rows = np.concatenate(columns, axis=1)
    # No two columns are alike, and none is another's complement.
    assert len(np.unique(rows[:, 0])) == len(np.unique(np.concatenate([rows[:, 0], ~rows[:, 0]]))) // 2 == 128


def test_the_pad_that_was_not_chosen_looks_random_to_the_receiver() -> None:
    choices = bits(4000)
    sent, got = pair(lambda ot: ot.pads(4000, 2), lambda ot: ot.pads(choices, 2))
    other = np.where(choices[:, None], sent[0], sent[1])
    assert abs(chi_square((other ^ got).reshape(-1).view(np.uint8))) < 6
    assert abs(chi_square((other - got).reshape(-1).view(np.uint8))) < 6


@pytest.mark.parametrize(
    ("attack", "sentence"),
    [
        (lambda link: link.send("ot.hash", b"short"), "sender sent a seed of 5 bytes; 16 are due"),
        (lambda link: link.send("ot.hash", 3), "ot.hash"),
    ],
)
def test_a_sender_with_a_bad_hash_key_is_stopped(attack: Callable[[Any], None], sentence: str) -> None:
    def hostile(session: Session) -> None:
        link = session.links["receiver"]
        ot_extension.receive_base(link, bits(128))
        attack(link)

    with pytest.raises(ProtocolError, match=sentence):
        run_parties(
            {"sender": hostile, "receiver": lambda session: OtReceiver(session.links["sender"])}, timeout_s=5
        )


def test_a_receiver_with_columns_of_another_size_is_stopped() -> None:
    def hostile(session: Session) -> None:
        link = session.links["sender"]
        send_base(link, 128)
        link.recv("ot.hash", bytes)
        link.send("ot.columns", None, [np.zeros((128, 1), dtype=np.uint64)])

    with pytest.raises(ProtocolError, match=r"ot\.columns"):
        run_parties(
            {"sender": lambda session: OtSender(session.links["receiver"]).blocks(100), "receiver": hostile},
            timeout_s=5,
        )


def test_secrets_are_not_shown() -> None:
    sender, receiver = pair(repr, repr)
    assert (sender, receiver) == ("OtSender(used=0)", "OtReceiver(used=0)")
