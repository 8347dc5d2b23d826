"""Links in memory: messages arrive as sent, and every mismatch is a sentence."""

import threading

import msgspec
import numpy as np
import pytest

from tongzhou.errors import GrantError, PeerError, ProtocolError
from tongzhou.wire.memory import memory_sessions, run_parties
from tongzhou.wire.messages import ArraySpec, Session


class Offer(msgspec.Struct):
    rows: int
    names: list[str]


def test_a_message_arrives_as_sent():
    matrix = np.arange(12, dtype=np.uint64).reshape(3, 4)
    flags = np.array([1, 0, 1], np.uint8)

    def asker(session: Session) -> None:
        session.links["provider"].send("offer", Offer(3, ["甲", "乙"]), [matrix, flags])

    def provider(session: Session) -> tuple[Offer, list[np.ndarray]]:
        return session.links["asker"].recv(
            "offer", Offer, [ArraySpec("<u8", (None, 4)), ArraySpec("|u1", (3,))]
        )

    offer, arrays = run_parties({"asker": asker, "provider": provider})["provider"]
    assert offer == Offer(3, ["甲", "乙"])
    np.testing.assert_array_equal(arrays[0], matrix)
    np.testing.assert_array_equal(arrays[1], flags)


def test_what_arrived_is_a_copy_that_the_receiver_may_change():
    sessions = memory_sessions(["a", "b"])
    sent = np.ones(4)
    sessions["a"].links["b"].send("x", arrays=[sent])
    _, [got] = sessions["b"].links["a"].recv("x", arrays=[ArraySpec("<f8", (4,))])
    got += 1
    np.testing.assert_array_equal(sent, np.ones(4))


@pytest.mark.parametrize(
    ("tag", "kind", "specs", "sentence"),
    [
        ("other", int, [ArraySpec("<f8", (2,))], "^a sent step where other was due$"),
        (
            "step",
            str,
            [ArraySpec("<f8", (2,))],
            "^a sent step with a value of another type: Expected `str`, got `int`",
        ),
        ("step", None, [ArraySpec("<f8", (2,))], "a value of another type: Expected `null`"),
        ("step", int, [], "^a sent step with 1 arrays where 0 were due$"),
        ("step", int, [ArraySpec("<f8", (3,))], r"array 0 of <f8\[2\] where <f8\[3\] was due$"),
        ("step", int, [ArraySpec("<u8", (None,))], r"array 0 of <f8\[2\] where <u8\[any\] was due$"),
    ],
)
def test_anything_but_the_expected_is_refused(tag, kind, specs, sentence):
    sessions = memory_sessions(["a", "b"])
    sessions["a"].links["b"].send("step", 7, [np.zeros(2)])
    with pytest.raises(ProtocolError, match=sentence):
        sessions["b"].links["a"].recv(tag, kind, specs)


def test_traffic_is_equal_on_both_sides_and_a_round_is_a_wait_after_speaking():
    sessions = memory_sessions(["a", "b"])
    here, there = sessions["a"].links["b"], sessions["b"].links["a"]
    for _ in range(2):
        here.send("one", arrays=[np.zeros(1000)])
        here.send("two")
    for _ in range(2):
        there.recv("one", arrays=[ArraySpec("<f8", (1000,))])
        there.recv("two")
    there.send("answer")
    here.recv("answer")
    assert here.traffic.bytes_sent == there.traffic.bytes_received > 16_000
    assert here.traffic.bytes_received == there.traffic.bytes_sent
    assert (here.traffic.messages_sent, there.traffic.messages_received) == (4, 4)
    assert (here.traffic.rounds, there.traffic.rounds) == (1, 0)


def test_silence_ends_in_a_sentence():
    sessions = memory_sessions(["a", "b"], timeout_s=0.05)
    with pytest.raises(PeerError, match=r"^b was silent for 0\.05 seconds where step was due$"):
        sessions["a"].links["b"].recv("step")


def test_the_first_failure_is_raised_and_stops_the_others():
    seen = {}

    def fails(session: Session) -> None:
        session.links["b"].recv("go")
        raise GrantError("no grant for {table}", table="clients")

    def waits(session: Session) -> None:
        session.links["a"].send("go")
        try:
            session.links["a"].recv("answer")
        except PeerError as error:
            seen["b"] = str(error)
            raise

    def idle(session: Session) -> None:
        session.links["a"].recv("never")

    with pytest.raises(GrantError, match=r"^no grant for clients$"):
        run_parties({"a": fails, "b": waits, "c": idle}, timeout_s=5)
    assert seen["b"] == "a stopped: no grant for clients"


def test_a_fault_of_our_own_is_raised_but_not_told_to_peers():
    seen = {}

    def fails(session: Session) -> None:
        raise ZeroDivisionError("a secret 4711")

    def waits(session: Session) -> None:
        with pytest.raises(PeerError) as caught:
            session.links["a"].recv("answer")
        seen["b"] = str(caught.value)

    with pytest.raises(ZeroDivisionError):
        run_parties({"a": fails, "b": waits}, timeout_s=5)
    assert seen["b"] == "a stopped: an internal fault"


def test_a_party_that_is_done_says_goodbye():
    def done(session: Session) -> None:
        session.links["b"].send("last")

    def waits(session: Session) -> None:
        session.links["a"].recv("last")
        session.links["a"].recv("more")

    with pytest.raises(PeerError, match=r"^a ended the session where more was due$"):
        run_parties({"a": done, "b": waits}, timeout_s=5)


def test_sending_to_a_party_that_stopped_gives_its_reason():
    sessions = memory_sessions(["a", "b"])
    sessions["b"].links["a"].send_error("the disk is full\x1b[2J")
    with pytest.raises(PeerError, match=r"^b stopped: the disk is full \[2J$"):
        sessions["a"].links["b"].send("step")


def test_a_closed_link_refuses_to_send_and_closing_twice_is_fine():
    link = memory_sessions(["a", "b"])["a"].links["b"]
    link.close()
    link.close()
    with pytest.raises(PeerError, match=r"^the link to b is closed, step cannot be sent$"):
        link.send("step")


def test_a_sender_waits_until_the_receiver_has_room(monkeypatch):
    monkeypatch.setattr("tongzhou.wire.memory.MAX_INBOX", 1000)
    sessions = memory_sessions(["a", "b"], timeout_s=5)
    link = sessions["a"].links["b"]
    link.send("one", arrays=[np.zeros(500)])
    sender = threading.Thread(target=link.send, args=("two",))
    sender.start()
    sender.join(0.05)
    assert sender.is_alive()
    sessions["b"].links["a"].recv("one", arrays=[ArraySpec("<f8", (500,))])
    sessions["b"].links["a"].recv("two")
    sender.join(5)
    assert not sender.is_alive()


def test_a_receiver_that_never_takes_is_a_sentence(monkeypatch):
    monkeypatch.setattr("tongzhou.wire.memory.MAX_INBOX", 10)
    link = memory_sessions(["a", "b"], timeout_s=0.05)["a"].links["b"]
    link.send("one")
    with pytest.raises(PeerError, match=r"^b did not take two for 0\.05 seconds$"):
        link.send("two")


def test_patience_can_be_changed_and_standing_alone_changes_nothing_here():
    sessions = memory_sessions(["a", "b"], timeout_s=60)
    link = sessions["a"].links["b"]
    assert link.bear(0.05) == 60
    link.stand_alone()
    with pytest.raises(PeerError, match=r"b was silent for 0\.05 seconds where step was due"):
        link.recv("step", int)
    assert link.bear(60) == 0.05
