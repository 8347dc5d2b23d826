"""Links over real TLS on loopback: large messages in all directions at once, and every way to be lost."""

import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tongzhou.errors import GrantError, PeerError, ProtocolError
from tongzhou.wire import stream
from tongzhou.wire.frames import Kind, encode_frame
from tongzhou.wire.messages import ArraySpec
from tongzhou.wire.session import closing, interrupt, join_links, total_traffic

MIB = 1024 * 1024


def both(*calls):
    """Run calls at the same time, and return what each returned."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(60) for future in [pool.submit(call) for call in calls]]


def test_a_message_arrives_as_sent(link_pair):
    bank, cardnet = link_pair()
    matrix = np.arange(60_000, dtype="<u8").reshape(-1, 4)
    both(
        lambda: bank.send("step", {"rows": 15_000}, [matrix, np.ones(3, np.uint8)]),
        lambda: cardnet.send("back", "好"),
    )
    value, arrays = cardnet.recv(
        "step", dict[str, int], [ArraySpec("<u8", (None, 4)), ArraySpec("|u1", (3,))]
    )
    assert value == {"rows": 15_000}
    np.testing.assert_array_equal(arrays[0], matrix)
    assert bank.recv("back", str) == ("好", [])
    assert (bank.peer, cardnet.peer) == ("cardnet", "bank")
    assert bank.traffic.bytes_sent == cardnet.traffic.bytes_received > 480_000
    assert bank.traffic.bytes_received == cardnet.traffic.bytes_sent


def test_both_sides_send_64_mib_at_once_without_deadlock(link_pair):
    pair = link_pair()
    data = np.arange(8 * MIB, dtype="<u8")

    def speak(link):
        link.send("large", arrays=[data])
        _, [got] = link.recv("large", arrays=[ArraySpec("<u8", (8 * MIB,))])
        return got

    for got in both(lambda: speak(pair[0]), lambda: speak(pair[1])):
        np.testing.assert_array_equal(got, data)


def test_three_parties_send_in_a_circle_without_deadlock(link_pair):
    ends = [link_pair("bank", "cardnet"), link_pair("cardnet", "helper"), link_pair("helper", "bank")]
    bank = join_links("bank", [ends[0][0], ends[2][1]])
    cardnet = join_links("cardnet", [ends[1][0], ends[0][1]])
    helper = join_links("helper", [ends[2][0], ends[1][1]])

    def speak(session, to, of):
        data = np.full(16 * MIB, ord(session.me[0]), np.uint8)
        session.links[to].send("round", arrays=[data])
        _, [got] = session.links[of].recv("round", arrays=[ArraySpec("|u1", (16 * MIB,))])
        return chr(got[0]), chr(got[-1])

    firsts = both(
        lambda: speak(bank, "cardnet", "helper"),
        lambda: speak(cardnet, "helper", "bank"),
        lambda: speak(helper, "bank", "cardnet"),
    )
    assert firsts == [("h", "h"), ("b", "b"), ("c", "c")]
    traffic = total_traffic(bank)
    assert (traffic.messages_sent, traffic.messages_received, traffic.rounds) == (
        1,
        1,
        0,
    )  # a round is counted per link
    assert traffic.bytes_sent == traffic.bytes_received > 16 * MIB


def test_many_small_messages_keep_their_order(link_pair):
    bank, cardnet = link_pair()

    def speak():
        for i in range(2_000):
            bank.send("small", i, [np.full(i % 7, i, "<u2")])

    def listen():
        return [cardnet.recv("small", int, [ArraySpec("<u2", (i % 7,))])[0] for i in range(2_000)]

    assert both(speak, listen)[1] == list(range(2_000))


def test_silence_is_a_sentence_after_the_timeout(link_pair):
    bank, _ = link_pair(timeout_s=0.1)
    start = time.monotonic()
    with pytest.raises(PeerError, match=r"^cardnet was silent for 0\.1 seconds where step was due$"):
        bank.recv("step")
    assert 0.1 <= time.monotonic() - start < 5


def test_dripping_is_a_sentence_after_the_timeout(link_pair, monkeypatch):
    monkeypatch.setattr(stream, "MIN_RATE", 1_000_000)
    bank, cardnet = link_pair(timeout_s=0.2)
    stop = threading.Event()

    def drip():
        # The front of a large frame, a byte at a time.
        for byte in b"".join(map(bytes, stream_of_one_frame(100_000))):
            if stop.wait(0.01):
                return
            cardnet._connection.send(bytes([byte]))

    dripping = threading.Thread(target=drip)
    dripping.start()
    start = time.monotonic()
    with pytest.raises(
        PeerError, match=r"^cardnet sent step too slowly: less than 1000000 bytes a second for 0\.2"
    ):
        bank.recv("step", arrays=[ArraySpec("<f8", (None,))])
    assert time.monotonic() - start < 5
    stop.set()
    dripping.join()


def stream_of_one_frame(size):
    return encode_frame(Kind.MESSAGE, 1, "step", arrays=[np.zeros(size)])


def test_a_peer_that_does_not_read_is_a_sentence(link_pair):
    bank, _ = link_pair(timeout_s=0.2)
    with pytest.raises(PeerError, match=r"^cardnet did not take step for 0\.2 seconds$"):
        bank.send("step", arrays=[np.zeros(4 * MIB)])


@pytest.mark.parametrize(
    ("forge", "kind", "sentence"),
    [
        (
            lambda data: b"GET / HTTP/1.1\r\n\r\n......",
            ProtocolError,
            "sent bytes that are no frame at frame 1$",
        ),
        (lambda data: data[:4] + b"\x02" + data[5:], PeerError, "speaks version 2 of the wire format"),
        (
            lambda data: data[:12] + b"\0\0\0\0\x80\x02\0\0" + data[20:],
            ProtocolError,
            "announced a frame with a body of 2748779069440 bytes",
        ),
        (
            lambda data: data + data,
            ProtocolError,
            "sent frame 1 where frame 2 was due: a frame was lost, repeated",
        ),
        (lambda data: data[:-5], PeerError, "left during second"),
    ],
)
def test_forged_frames_are_refused(link_pair, forge, kind, sentence):
    bank, cardnet = link_pair()
    data = b"".join(map(bytes, stream_of_one_frame(10)))
    cardnet._connection.send(forge(data))
    cardnet._gone = True
    cardnet._shut()
    cardnet._closed = True

    def take():
        bank.recv("step", arrays=[ArraySpec("<f8", (10,))])
        bank.recv("second")

    with pytest.raises(kind, match=f"^cardnet {sentence}".replace("second", "(step|second)")):
        take()


def test_a_peers_reason_is_passed_on_even_while_sending(link_pair):
    bank, cardnet = link_pair()
    closer = threading.Timer(0.05, cardnet.send_error, ["the grant was revoked"])
    closer.start()
    with pytest.raises(PeerError, match=r"^cardnet stopped: the grant was revoked$"):
        bank.send("large", arrays=[np.zeros(8 * MIB)])
    closer.join()


def test_frames_sent_before_the_end_are_still_delivered(link_pair):
    bank, cardnet = link_pair()
    cardnet.send("one", 1)
    cardnet.send("two", 2)
    cardnet.close()
    assert bank.recv("one", int)[0] == 1
    assert bank.recv("two", int)[0] == 2
    with pytest.raises(PeerError, match=r"^cardnet ended the session where three was due$"):
        bank.recv("three")
    with pytest.raises(PeerError, match="cardnet ended the session"):
        bank.send("four")


def test_one_partys_stop_ends_a_wait_for_another(link_pair):
    with_cardnet, cardnet = link_pair("bank", "cardnet")
    with_helper, _ = link_pair("bank", "helper")
    join_links("bank", [with_cardnet, with_helper])
    cardnet.send_error("its operator stopped the run")
    with pytest.raises(PeerError, match=r"^cardnet stopped: its operator stopped the run$"):
        with_helper.recv("seeds")


def test_a_stop_on_a_link_that_stands_alone_ends_no_wait_for_another(link_pair):
    to_cardnet, at_cardnet = link_pair("bank", "cardnet")
    to_helper, at_helper = link_pair("bank", "helper")
    session = join_links("bank", [to_cardnet, to_helper])
    for link in session.links.values():
        link.stand_alone()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(to_cardnet.recv, "step", int)
        at_helper.send_error("the disk is full")
        at_cardnet.send("step", 7)
        assert waiting.result(5)[0] == 7
    with pytest.raises(PeerError, match="helper stopped: the disk is full"):
        to_helper.recv("step", int)
    to_cardnet.send("step", 8)
    assert at_cardnet.recv("step", int)[0] == 8


def test_patience_can_be_changed(link_pair):
    calling, _ = link_pair(timeout_s=60.0)
    calling.bear(0.05)
    with pytest.raises(PeerError, match=r"cardnet was silent for 0\.05 seconds where step was due"):
        calling.recv("step", int)


def test_bytes_held_in_the_tls_layer_are_not_overlooked(link_pair):
    """Poll cannot see them: a sender may put the end of one frame and a whole other into one record."""
    with_cardnet, cardnet = link_pair("bank", "cardnet")
    with_helper, _ = link_pair("bank", "helper")
    join_links("bank", [with_cardnet, with_helper])
    message = encode_frame(Kind.MESSAGE, 1, "step", arrays=[np.zeros(5_000)])
    farewell = encode_frame(Kind.FAILURE, 2, "", value="the run was stopped")
    data = memoryview(b"".join([*message, *farewell]))
    while data:
        data = data[cardnet._connection.send(data) :]
    with pytest.raises(PeerError, match=r"^cardnet stopped: the run was stopped$"):
        with_helper.recv("seeds")


def test_a_parting_word_arrives_though_neither_side_had_read_all(link_pair):
    """Closing at once would reset the connection and drop what the system still holds for the peer."""
    bank, cardnet = link_pair()
    cardnet.send("unwanted", arrays=[np.zeros(4_000)])
    bank.send("wanted", arrays=[np.zeros(MIB // 8)])
    with ThreadPoolExecutor(1) as pool:
        parting = pool.submit(bank.send_error, "the grant expired")
        time.sleep(0.2)
        cardnet.send("late", arrays=[np.zeros(4_000)])
        time.sleep(0.05)
        cardnet.recv("wanted", arrays=[ArraySpec("<f8", (MIB // 8,))])
        with pytest.raises(PeerError, match=r"^bank stopped: the grant expired$"):
            cardnet.recv("more")
        cardnet.close()
        parting.result(5)


def test_another_thread_can_interrupt_a_session_and_peers_learn_why(link_pair):
    bank, cardnet = link_pair()
    session = join_links("cardnet", [cardnet])
    timer = threading.Timer(
        0.1, interrupt, [session, GrantError("the grant {grant} was revoked", grant="g-1")]
    )
    timer.start()

    def run():
        with closing(session):
            cardnet.recv("step")

    with pytest.raises(GrantError, match=r"^the grant g-1 was revoked$"):
        run()
    timer.join()
    with pytest.raises(PeerError, match=r"^cardnet stopped: the grant g-1 was revoked$"):
        bank.recv("step")


def test_a_parting_word_after_half_a_message_is_still_readable(link_pair):
    bank, cardnet = link_pair(timeout_s=2)
    with_helper, helper = link_pair("bank", "helper")
    session = join_links("bank", [bank, with_helper])
    timer = threading.Timer(0.1, interrupt, [session, GrantError("the operator stopped the run")])
    timer.start()

    def run():
        with closing(session):
            bank.send("large", arrays=[np.zeros(4 * MIB)])

    def listen():
        time.sleep(0.5)
        cardnet.recv("large", arrays=[ArraySpec("<f8", (4 * MIB,))])
        cardnet.recv("more")

    with ThreadPoolExecutor(1) as pool:
        heard = pool.submit(listen)
        with pytest.raises(GrantError, match="the operator stopped the run"):
            run()
        with pytest.raises(PeerError, match=r"^bank stopped: the operator stopped the run$"):
            heard.result(10)
    with pytest.raises(PeerError, match=r"^bank stopped: the operator stopped the run$"):
        helper.recv("seeds")
    timer.join()


def test_a_peer_that_resets_while_being_sent_to(link_pair):
    bank, cardnet = link_pair()
    raw = cardnet._connection
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    resetting = threading.Timer(0.1, raw.close)
    resetting.start()
    with pytest.raises(PeerError, match=r"^cardnet left during large$"):
        bank.send("large", arrays=[np.zeros(8 * MIB)])
    resetting.join()
    with pytest.raises(PeerError, match=r"^cardnet left during more$"):
        bank.recv("more")
    cardnet._closed = True


def test_a_helper_that_is_done_early_disturbs_nobody(link_pair):
    with_cardnet, cardnet = link_pair("bank", "cardnet")
    with_helper, helper = link_pair("bank", "helper")
    join_links("bank", [with_cardnet, with_helper])
    helper.send("seeds", 7)
    helper.close()
    answering = threading.Timer(0.4, cardnet.send, ["answer"])
    answering.start()
    cpu = time.thread_time()
    with_cardnet.recv("answer")
    assert time.thread_time() - cpu < 0.1, "it must wait, not spin, beside a closed link"
    answering.join()
    assert with_helper.recv("seeds", int)[0] == 7
    with_cardnet.close()
    with pytest.raises(PeerError, match=r"^the link to cardnet is closed, more cannot be received$"):
        with_cardnet.recv("more")


def test_an_inbox_is_bounded(link_pair, monkeypatch):
    monkeypatch.setattr(stream, "MAX_INBOX", MIB)
    with_cardnet, cardnet = link_pair("bank", "cardnet", timeout_s=0.5)
    with_helper, _ = link_pair("bank", "helper", timeout_s=0.3)
    join_links("bank", [with_cardnet, with_helper])

    def flood():
        for _ in range(200):
            cardnet.send("flood", arrays=[np.zeros(MIB // 8)])

    with ThreadPoolExecutor(1) as pool:
        flooding = pool.submit(flood)
        with pytest.raises(PeerError, match="helper was silent"):
            with_helper.recv("seeds")
        assert with_cardnet._waiting < 4 * MIB
        with pytest.raises(PeerError, match=r"^bank did not take flood for 0\.5 seconds$"):
            flooding.result(10)


KILLED = """
import sys, numpy as np
from pathlib import Path
from tongzhou.parties.identity import Identity
from tongzhou.parties.trust import TrustStore
from tongzhou.wire.tls import connect
identity, trust = Identity.load(Path(sys.argv[1])), TrustStore(Path(sys.argv[2]))
link = connect(identity, trust.get("cardnet"), trust)
link.send("ready")
print("ready", flush=True)
while True:
    link.send("large", arrays=[np.zeros(4_000_000)])
"""


def test_a_peer_killed_in_the_middle_of_a_message_is_a_sentence(town):
    bank, cardnet = town["bank"], town["cardnet"]
    listener = cardnet.listen()
    bank.trust.add(cardnet.card_bytes(listener.endpoint))
    folder = bank.identity.tls_key_path.parent
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(folder), str(bank.trust.folder)], stdout=subprocess.PIPE
    )
    link = listener.accept(20)
    link.recv("ready")
    link.recv("large", arrays=[ArraySpec("<f8", (None,))])
    process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    with pytest.raises(PeerError, match=r"^bank left during large$"):
        for _ in range(10):
            link.recv("large", arrays=[ArraySpec("<f8", (None,))])
    link.close()


def test_a_relay_that_garbles_bytes(link_pair, relay):
    def garble_later(direction, data):
        if direction == "down" and len(data) > 5_000:  # the greeting is shorter
            return data[:3_000] + bytes([data[3_000] ^ 1]) + data[3_001:]
        return data

    bank, cardnet = link_pair(through=lambda endpoint: relay(endpoint, garble_later).endpoint)
    cardnet.send("step", arrays=[np.zeros(1_000)])
    with pytest.raises(
        PeerError, match=r"^the bytes from cardnet were damaged on the way \(.*BAD_RECORD_MAC\)$"
    ):
        bank.recv("step", arrays=[ArraySpec("<f8", (1_000,))])


def test_a_relay_that_cuts_the_connection(link_pair, relay):
    bank, cardnet = link_pair(
        through=lambda endpoint: relay(endpoint, lambda d, data: None if len(data) > 5_000 else data).endpoint
    )
    cardnet.send("step", arrays=[np.zeros(1_000)])
    with pytest.raises(PeerError, match=r"^cardnet left during step$"):
        bank.recv("step", arrays=[ArraySpec("<f8", (1_000,))])


@pytest.mark.parametrize("change", ["drop", "repeat"])
def test_a_relay_that_drops_or_repeats_records_is_found(link_pair, relay, change):
    greeted = threading.Event()

    def treat(direction, data):
        if direction == "down" and greeted.is_set() and len(data) > 1_000:
            return b"" if change == "drop" else data + data
        return data

    bank, cardnet = link_pair(through=lambda endpoint: relay(endpoint, treat).endpoint, timeout_s=1)
    greeted.set()
    cardnet.send("step", arrays=[np.zeros(300)])
    time.sleep(0.05)  # so that the relay meets each record by itself
    cardnet.send("end")
    with pytest.raises(PeerError, match="were damaged on the way"):
        for tag, specs in (("step", [ArraySpec("<f8", (300,))]), ("end", [])):
            bank.recv(tag, arrays=specs)


def test_a_network_that_stands_still_for_a_while_is_borne(link_pair, relay):
    made = []

    def through(endpoint):
        made.append(relay(endpoint))
        return made[0].endpoint

    bank, cardnet = link_pair(through=through, timeout_s=3)
    made[0].held.set()
    threading.Timer(0.3, made[0].held.clear).start()
    cardnet.send("step", 1)
    assert bank.recv("step", int)[0] == 1


def test_delay_costs_one_round_trip_per_round(link_pair, relay):
    bank, cardnet = link_pair(through=lambda endpoint: relay(endpoint, delay_s=0.1).endpoint)

    def ask():
        start = time.monotonic()
        bank.send("one")
        bank.send("two")
        bank.recv("answer")
        return time.monotonic() - start

    def reply():
        cardnet.recv("one")
        cardnet.recv("two")
        cardnet.send("answer")

    seconds, _ = both(ask, reply)
    assert 0.2 <= seconds < 0.39
    assert bank.traffic.rounds == 1
