"""Who may call whom: every refusal is a sentence on both sides, and the listener lives on."""

import errno
import socket
import ssl
import struct
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tongzhou.errors import ConflictError, NotFoundError, PeerError, ProtocolError, StorageError
from tongzhou.parties.identity import Identity
from tongzhou.parties.trust import TrustStore
from tongzhou.wire import hello, tls
from tongzhou.wire.hello import Hello
from tongzhou.wire.memory import memory_sessions
from tongzhou.wire.messages import Traffic
from tongzhou.wire.tls import Listener


def failures(calling, accepting):
    """The sentences with which both sides end."""
    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(accepting)
        with pytest.raises((PeerError, ProtocolError)) as ours:
            calling()
        with pytest.raises((PeerError, ProtocolError)) as theirs:
            accepted.result(20)
    return str(ours.value), str(theirs.value)


def test_the_called_party_learns_purpose_and_run(town):
    listener = town["cardnet"].listen()
    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(listener.accept)
        calling = town["bank"].call(town["cardnet"], listener.endpoint, purpose="control", run_id="r-17")
        link = accepted.result(10)
    assert (link.hello.purpose, link.hello.run_id, link.hello.party_id) == ("control", "r-17", "bank")
    assert calling.hello.party_id == "cardnet"
    assert link.timeout_s == calling.timeout_s == 120
    assert repr(link) == "TlsLink(peer='bank')"
    calling.close()
    link.close()


def test_tls_1_3_only(link_pair):
    for link in link_pair():
        assert link._connection.version() == "TLSv1.3"


def test_packets_leave_at_once_and_no_tls_session_outlives_the_call(link_pair):
    calling, called = link_pair()
    for link in (calling, called):
        assert link._connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    called.send("step")
    calling.recv("step")
    assert not calling._connection.session.has_ticket


def test_the_greeting_is_not_counted(link_pair):
    calling, called = link_pair()
    assert calling.traffic == called.traffic == Traffic()
    called.send("step")
    calling.recv("step")
    assert (calling.traffic.rounds, calling.traffic.messages_received) == (0, 1)


def test_nobody_listens(town):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(
        PeerError, match=rf"^cardnet does not answer: nobody listens at 127\.0\.0\.1 port {port}$"
    ):
        town["bank"].call(town["cardnet"], f"127.0.0.1:{port}")


def test_an_unknown_host(town):
    with pytest.raises(PeerError, match=r"^cardnet cannot be reached at no-such-host\.invalid port 7000: "):
        town["bank"].call(town["cardnet"], "no-such-host.invalid:7000")


def test_a_listener_that_never_answers(town):
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(
            PeerError, match=rf"^cardnet \({endpoint}\) did not finish the TLS handshake in time$"
        ):
            town["bank"].call(town["cardnet"], endpoint, greeting_timeout_s=0.2)


def test_a_caller_that_is_not_trusted(town):
    town["cardnet"].trust.remove("bank")
    listener = town["cardnet"].listen()
    ours, theirs = failures(
        lambda: town["bank"].call(town["cardnet"], listener.endpoint), lambda: listener.accept(10)
    )
    assert ours.startswith(
        "cardnet refused the certificate of this institution (TLSV1_ALERT_UNKNOWN_CA): it must"
    )
    assert theirs.startswith("the certificate of 127.0.0.1:")
    assert theirs.endswith("compare and add the party's card first")


def test_a_party_that_trusts_nobody_yet(town):
    for other in ("bank", "helper"):
        town["cardnet"].trust.remove(other)
    listener = town["cardnet"].listen()
    ours, theirs = failures(
        lambda: town["bank"].call(town["cardnet"], listener.endpoint), lambda: listener.accept(10)
    )
    assert "refused the certificate" in ours
    assert "is not trusted here" in theirs


def test_calling_a_party_that_is_not_trusted(town):
    town["bank"].trust.remove("cardnet")
    with pytest.raises(NotFoundError, match=r"^no party cardnet is trusted here"):
        town["bank"].call(town["cardnet"], "127.0.0.1:1")


def test_an_impostor_at_the_called_address(town, tmp_path):
    """Another key under the same name, which the caller does not trust."""
    impostor = Identity.create(tmp_path / "impostor", "cardnet", "Impostor")
    with Listener(impostor, town["cardnet"].trust, "127.0.0.1", 0) as listener:
        ours, theirs = failures(
            lambda: town["bank"].call(town["cardnet"], listener.endpoint), lambda: listener.accept(10)
        )
    assert ours.startswith(f"the certificate of cardnet ({listener_name(ours)}) is not trusted here")
    assert "does not trust the certificate of this institution" in theirs


def listener_name(sentence):
    return sentence.split("(")[1].split(")")[0]


def test_another_trusted_party_at_the_called_address(town):
    listener = town["helper"].listen()
    ours, theirs = failures(
        lambda: town["bank"].call(town["cardnet"], listener.endpoint), lambda: listener.accept(10)
    )
    assert ours == f"helper answers at {listener.endpoint}, where cardnet was expected"
    assert theirs == f"bank stopped: {ours}"


def test_a_trusted_authority_cannot_vouch_for_another_party(town, monkeypatch):
    """TLS alone would accept it; the second look refuses, and says so to the caller."""
    listener = town["cardnet"].listen()

    def refuse(self, certificate):
        raise PeerError("the peer calls itself {party}, which is not trusted here", party="'x'")

    def accepting():
        monkeypatch.setattr(TrustStore, "identify", refuse)
        return listener.accept(10)

    caller_trust = town["bank"].trust
    monkeypatch.setattr(caller_trust, "identify", lambda der: caller_trust.get("cardnet"), raising=False)
    ours, theirs = failures(lambda: town["bank"].call(town["cardnet"], listener.endpoint), accepting)
    assert theirs == "the peer calls itself 'x', which is not trusted here"
    assert ours == f"cardnet stopped: {theirs}"


def test_trust_taken_and_given_holds_from_the_next_call_on(town):
    listener = town["cardnet"].listen()
    call = lambda: town["bank"].call(town["cardnet"], listener.endpoint)  # noqa: E731
    card = town["bank"].card_bytes()
    town["cardnet"].trust.remove("bank")
    ours, theirs = failures(call, lambda: listener.accept(10))
    assert ours.startswith("cardnet refused the certificate of this institution")
    assert "is not trusted here" in theirs
    town["cardnet"].trust.add(card)
    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(listener.accept, 10)
        calling = call()
        taken = accepted.result(10)
    assert (calling.peer, taken.peer) == ("cardnet", "bank")
    taken.close()
    calling.close()


@pytest.mark.parametrize("days", [400, -30])
def test_an_expired_certificate(town, tmp_path, days):
    """A caller whose clock is wrong made itself a certificate of another time."""
    wrong = datetime.now(UTC) - timedelta(days=days)
    caller = town["bank"]
    late = Identity.load(_copy_identity(caller.identity, tmp_path / "late"), clock=lambda: wrong)
    caller.identity = late
    late.ensure_tls = lambda now=None: False  # as if it had started then and never looked again
    listener = town["cardnet"].listen()
    ours, theirs = failures(
        lambda: caller.call(town["cardnet"], listener.endpoint), lambda: listener.accept(10)
    )
    assert "refused the certificate of this institution" in ours
    assert ("certificate has expired" if days > 0 else "not yet valid") in theirs


def _copy_identity(identity, folder):
    folder.mkdir(mode=0o700)
    source = identity.tls_key_path.parent / "identity.pem"
    target = folder / "identity.pem"
    target.touch(mode=0o600)
    target.write_bytes(source.read_bytes())
    return folder


def test_another_version_of_the_protocols(town, monkeypatch):
    listener = town["cardnet"].listen()
    real = Hello.of

    def of(party_id, purpose="", run_id=""):
        own = real(party_id, purpose, run_id)
        return Hello(2, "9.9.9", party_id, purpose, run_id) if party_id == "bank" else own

    monkeypatch.setattr(tls.Hello, "of", of)
    ours, theirs = failures(
        lambda: town["bank"].call(town["cardnet"], listener.endpoint), lambda: listener.accept(10)
    )
    assert ours == (
        "cardnet runs version 1 of the protocols (release 0.1.0), here it is version 2 (release 9.9.9): "
        "both must run the same"
    )
    assert theirs.startswith("bank runs version 2 of the protocols (release 9.9.9), here it is version 1")


def test_another_name_than_the_certificates():
    sessions = memory_sessions(["bank", "cardnet"])
    sessions["bank"].links["cardnet"].send("hello", Hello.of("helper"))
    with pytest.raises(ProtocolError, match=r"^bank greets under another name than its certificate's$"):
        hello.answer(sessions["cardnet"].links["bank"], Hello.of("cardnet"))


def test_a_later_releases_greeting_is_understood_as_far_as_needed():
    sessions = memory_sessions(["bank", "cardnet"])
    later = {"protocol_version": 3, "software_version": "9\x1b[2J", "party_id": "bank", "colour": "red"}
    sessions["bank"].links["cardnet"].send("hello", later)
    with pytest.raises(PeerError, match=r"^bank runs version 3 of the protocols \(release 9\\x1b\[2J\)"):
        hello.answer(sessions["cardnet"].links["bank"], Hello.of("cardnet"))


@pytest.mark.parametrize(
    ("rubbish", "sentence"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", r"does not speak TLS 1\.3 as a party does \(HTTP_REQUEST\)$"),
        (bytes(range(256)) * 10, r"does not speak TLS 1\.3 as a party does"),
        (b"", "hung up during the TLS handshake$"),
        (b"\x16\x03\x01\x02\x00\x01", "hung up during the TLS handshake$"),
    ],
)
def test_rubbish_before_the_handshake_harms_nobody(town, rubbish, sentence):
    listener = town["cardnet"].listen()
    with socket.create_connection(listener.address) as raw:
        raw.sendall(rubbish)
        raw.shutdown(socket.SHUT_WR)
        with pytest.raises(PeerError, match=rf"^127\.0\.0\.1:\d+ {sentence}"):
            listener.accept(5)
    _still_works(town, listener)


def _still_works(town, listener):
    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(listener.accept, 10)
        calling = town["bank"].call(town["cardnet"], listener.endpoint)
        calling.send("ping")
        link = accepted.result(10)
        link.recv("ping")
    calling.close()
    link.close()


def test_a_caller_without_a_certificate(town):
    listener = town["cardnet"].listen()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    def call():
        with socket.create_connection(listener.address) as raw, context.wrap_socket(raw) as connection:
            connection.recv(1)
            raise PeerError("it was let in")

    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(listener.accept, 10)
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
            call()
        with pytest.raises(PeerError, match=r"^127\.0\.0\.1:\d+ showed no certificate$"):
            accepted.result(10)
    _still_works(town, listener)


def test_an_old_version_of_tls(town):
    listener = town["cardnet"].listen()
    context = tls._context(town["bank"].identity, town["bank"].trust, ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2

    def call():
        with socket.create_connection(listener.address) as raw, context.wrap_socket(raw):
            pass

    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(listener.accept, 10)
        with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
            call()
        with pytest.raises(
            PeerError, match=r"does not speak TLS 1\.3 as a party does \(UNSUPPORTED_PROTOCOL\)$"
        ):
            accepted.result(10)


def test_a_caller_that_drips_its_handshake_is_let_go_in_time(town):
    listener = town["cardnet"].listen()
    stop = threading.Event()

    def drip():
        with socket.create_connection(listener.address) as raw:
            for byte in b"\x16\x03\x01\x02\x00" + bytes(500):
                if stop.wait(0.02):
                    return
                try:
                    raw.send(bytes([byte]))
                except OSError:
                    return

    dripping = threading.Thread(target=drip)
    dripping.start()
    start = time.monotonic()
    with pytest.raises(PeerError, match=r"did not finish the TLS handshake in time|does not speak TLS"):
        listener.accept(5, greeting_timeout_s=0.3)
    assert time.monotonic() - start < 5
    stop.set()
    dripping.join()


def test_a_caller_that_greets_with_something_else(town, monkeypatch):
    listener = town["cardnet"].listen()
    monkeypatch.setattr(tls, "call", lambda link, own: link.send("hello", [1, 2, 3]))
    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(listener.accept, 10)
        link = town["bank"].call(town["cardnet"], listener.endpoint)
        with pytest.raises(ProtocolError, match=r"^bank sent hello with a value of another type"):
            accepted.result(10)
    link.close()


def test_a_slow_caller_holds_up_nobody(town):
    listener = town["cardnet"].listen()
    with socket.create_connection(listener.address):
        slow = listener.wait(5)
        assert slow.address.startswith("127.0.0.1:")
        _still_works(town, listener)
        slow.hang_up()


def test_a_caller_that_resets_before_it_is_accepted(town):
    listener = town["cardnet"].listen()
    with socket.create_connection(listener.address) as raw:
        raw.sendall(b"hello?")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with pytest.raises(PeerError, match=r"^127\.0\.0\.1:\d+ hung up during the TLS handshake$"):
        listener.accept(5)
    _still_works(town, listener)


def test_closing_wakes_a_thread_that_waits_for_calls(town):
    listener = town["cardnet"].listen()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(listener.wait)
        time.sleep(0.05)
        listener.close()
        assert waiting.result(5) is None
    assert listener.wait(0) is None


def test_a_machine_out_of_descriptors_says_so(town, monkeypatch):
    listener = town["cardnet"].listen()

    class Exhausted:
        def settimeout(self, _):
            raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(listener, "_socket", Exhausted())
        with pytest.raises(PeerError, match=r"^cannot take a call: Too many open files$"):
            listener.wait(0)
    _still_works(town, listener)


def test_nobody_calls(town):
    listener = town["cardnet"].listen()
    assert listener.wait(0.05) is None
    with pytest.raises(PeerError, match=rf"^nobody called at {listener.endpoint} for 0\.05 seconds$"):
        listener.accept(0.05)


def test_a_taken_port(town):
    listener = town["cardnet"].listen()
    port = listener.address[1]
    with pytest.raises(ConflictError, match=rf"^port {port} of 127\.0\.0\.1 is taken by another program"):
        Listener(town["bank"].identity, town["bank"].trust, "127.0.0.1", port)


def test_an_address_of_another_machine(town):
    with pytest.raises(PeerError, match=r"^cannot listen at 203\.0\.113\.1 port 0: "):
        Listener(town["bank"].identity, town["bank"].trust, "203.0.113.1", 0)


def test_a_damaged_trust_store_refuses_the_call_and_says_why(town):
    listener = town["cardnet"].listen()
    next(town["cardnet"].trust.folder.iterdir()).write_text("rubbish")
    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(listener.accept, 10)
        with pytest.raises(PeerError, match="hung up during the TLS handshake"):
            town["bank"].call(town["cardnet"], listener.endpoint)
        with pytest.raises(StorageError, match="is damaged"):
            accepted.result(10)


def test_ipv6_endpoints(town):
    try:
        listener = Listener(town["cardnet"].identity, town["cardnet"].trust, "::1", 0)
    except PeerError:
        pytest.skip("no IPv6 on this machine")
    with listener:
        assert listener.endpoint == f"[::1]:{listener.address[1]}"
        _still_works(town, listener)
