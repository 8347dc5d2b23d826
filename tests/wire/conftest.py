"""Three institutions on this machine with real certificates, and a relay that mistreats what passes it."""

import contextlib
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tongzhou.parties.card import PartyCard, issue_card, read_card
from tongzhou.parties.identity import Identity
from tongzhou.parties.trust import TrustStore
from tongzhou.wire.stream import TlsLink
from tongzhou.wire.tls import Listener, connect

IDS = ("bank", "cardnet", "helper")


@dataclass
class Institution:
    """An identity, the cards it trusts, and a socket to be called at."""

    identity: Identity
    trust: TrustStore
    listeners: list[Listener] = field(default_factory=list)

    @property
    def id(self) -> str:
        return self.identity.party_id

    def card(self, endpoint: str = "127.0.0.1:1") -> PartyCard:
        return read_card(self.card_bytes(endpoint))

    def card_bytes(self, endpoint: str = "127.0.0.1:1") -> bytes:
        return issue_card(self.identity, endpoint, datetime.now(UTC))

    def listen(self) -> Listener:
        listener = Listener(self.identity, self.trust, "127.0.0.1", 0)
        self.listeners.append(listener)
        return listener

    def call(self, other: "Institution", endpoint: str, **options) -> TlsLink:
        return connect(self.identity, other.card(endpoint), self.trust, **options)


@pytest.fixture(scope="session")
def identities(tmp_path_factory) -> dict[str, Identity]:
    folder = tmp_path_factory.mktemp("parties")
    return {party: Identity.create(folder / party, party, f"The {party}") for party in IDS}


@pytest.fixture
def town(identities, tmp_path: Path) -> Iterator[dict[str, Institution]]:
    """All three, each trusting the two others."""
    town = {party: Institution(identities[party], TrustStore(tmp_path / party)) for party in IDS}
    for one in town.values():
        for other in town.values():
            if one is not other:
                one.trust.add(other.card_bytes())
    yield town
    for institution in town.values():
        for listener in institution.listeners:
            listener.close()


@pytest.fixture
def link_pair(town) -> Iterator[Callable[..., tuple[TlsLink, TlsLink]]]:
    """Makes two greeted ends of a link: the caller's and the one that was called."""
    opened: list[TlsLink] = []

    def make(caller="bank", called="cardnet", *, timeout_s=5.0, through=None) -> tuple[TlsLink, TlsLink]:
        listener = town[called].listen()
        endpoint = through(listener.endpoint) if through else listener.endpoint
        with ThreadPoolExecutor(1) as pool:
            accepted = pool.submit(listener.accept, timeout_s)
            calling = town[caller].call(town[called], endpoint, timeout_s=timeout_s)
            pair = calling, accepted.result(10)
        opened.extend(pair)
        return pair

    yield make
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(TlsLink.close, opened))


class Relay:
    """A TCP proxy between a caller and one listener.

    Args:
        target: endpoint to forward to.
        treat: gets the direction (``"up"`` from the caller, ``"down"`` to it) and a piece, and returns what
            is passed on in its place; None cuts both connections.
        delay_s: one-way delay of every piece.
    """

    def __init__(self, target: str, treat=None, delay_s: float = 0.0) -> None:
        self.treat = treat or (lambda direction, data: data)
        self.delay_s = delay_s
        self.held = threading.Event()
        self._target = target
        self._server = socket.create_server(("127.0.0.1", 0))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def endpoint(self) -> str:
        return f"127.0.0.1:{self._server.getsockname()[1]}"

    def _run(self) -> None:
        self._server.settimeout(10)
        host, port = self._target.split(":")
        with contextlib.suppress(OSError):
            caller, _ = self._server.accept()
            with caller, socket.create_connection((host, int(port))) as called:
                self._pass_on(caller, called)

    def _pass_on(self, caller: socket.socket, called: socket.socket) -> None:
        other = {caller: (called, "up"), called: (caller, "down")}
        due: list[tuple[float, socket.socket, bytes]] = []
        while not self._stop.is_set():
            ready, _, _ = select.select([] if self.held.is_set() else list(other), [], [], 0.002)
            now = time.monotonic()
            for source in ready:
                sink, direction = other[source]
                data = source.recv(65536)
                treated = self.treat(direction, data) if data else None
                if treated is None:
                    return
                due.append((now + self.delay_s, sink, treated))
            while due and due[0][0] <= now:
                _, sink, data = due.pop(0)
                sink.sendall(data)

    def close(self) -> None:
        self._stop.set()
        self._server.close()
        self._thread.join(15)


@pytest.fixture
def relay() -> Iterator[Callable[..., Relay]]:
    made: list[Relay] = []

    def make(target: str, treat=None, delay_s: float = 0.0) -> Relay:
        made.append(Relay(target, treat, delay_s))
        return made[-1]

    yield make
    for one in made:
        one.close()
