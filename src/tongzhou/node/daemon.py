"""What an institution runs: it takes calls from partners and follows their jobs.

One thread accepts; each call has a thread of its own, so a slow or hostile caller holds up nobody else. A
provider calls the helper itself; a helper waits until both owners of a run have called.

Nothing that a caller does ends the daemon: an error ends its call, with a sentence to the peers, and a
mistake of ours is written to ``HOME/crash`` besides.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from tongzhou.errors import PeerError, TongzhouError
from tongzhou.node.crash import write_crash
from tongzhou.node.home import Home
from tongzhou.node.job_calls import Meetings, Playing
from tongzhou.node.job_faults import our_kinds
from tongzhou.node.job_follow import OfferedJob, follow_job, read_offer
from tongzhou.node.job_lock import holding_run
from tongzhou.node.job_messages import JOB_PURPOSE, PEER_PURPOSE, SILENCE_S, WITNESS_PURPOSE
from tongzhou.node.job_witness import answer_cosignatures
from tongzhou.parties.times import utc_now
from tongzhou.wire.session import closing, join_links
from tongzhou.wire.stream import TlsLink
from tongzhou.wire.tls import Caller, Listener, connect

__all__ = ["MAX_CALLS", "Daemon"]

MAX_CALLS: Final = 64
"""Calls served at a time; further callers are hung up on."""

_RENDEZVOUS_S: Final = 30.0
"""How long a helper waits for the second owner of a run."""

_OFFER_S: Final = 30.0
"""How long a caller may take to say what it wants."""

_LOCK_S: Final = 30.0
"""How long a run that is taken up anew waits for its earlier session to end."""

_POLL_S: Final = 0.2
_STOP_S: Final = 5.0  # how long sessions have to say goodbye when the daemon stops

Clock = Callable[[], datetime]
_log = logging.getLogger(__name__)


class Daemon:
    """Serves one institution's folder. Start it, stop it, or use it in a ``with`` block.

    Args:
        folder: the institution's folder.
        host: address to listen at; the endpoint's by default.
        port: port to listen at; the endpoint's by default.
        clock: gives the time.

    Raises:
        ConflictError: the port is taken.
    """

    def __init__(
        self, folder: Path, host: str | None = None, port: int | None = None, *, clock: Clock = utc_now
    ) -> None:
        self._folder = folder
        self._clock = clock
        self._stop = threading.Event()
        self._calls = threading.Semaphore(MAX_CALLS)
        self._meetings = Meetings()
        self._playing = Playing()
        with Home.open(folder) as home:
            own_host, _, own_port = home.settings.endpoint.rpartition(":")
            self.party_id = home.party_id
            self._listener = Listener(
                home.identity,
                home.trust,
                host or own_host.strip("[]"),
                int(own_port) if port is None else port,
            )
        self._thread = threading.Thread(target=self.serve, name=f"daemon-{self.party_id}", daemon=True)

    @property
    def endpoint(self) -> str:
        """Where it listens, ``host:port``."""
        return self._listener.endpoint

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._thread.join()

    def stop(self) -> None:
        """Stop accepting calls; `serve` ends the runs in progress with a sentence and returns soon after."""
        self._stop.set()

    def serve(self) -> None:
        """Accept calls until `stop`."""
        try:
            while not self._stop.is_set():
                try:
                    caller = self._listener.wait(_POLL_S)
                except PeerError as error:  # for want of descriptors; some become free when calls end
                    _log.warning("%s: %s", self.party_id, error)
                    self._stop.wait(_POLL_S)
                    continue
                if caller is not None:
                    self._take(caller)
        finally:
            self._listener.close()
            self._playing.end_all(PeerError("{party} is shutting down", party=self.party_id), _STOP_S)

    def _take(self, caller: Caller) -> None:
        if not self._calls.acquire(blocking=False):
            _log.warning("%s: too many calls at once, one was turned away", self.party_id)
            caller.hang_up()
            return
        thread = threading.Thread(target=self._answer, args=(caller,), name="call", daemon=True)
        thread.start()

    def _answer(self, caller: Caller) -> None:
        """One call from greeting to end. Whatever goes wrong ends this call only."""
        try:
            link = caller.greet(_OFFER_S)
            with Home.open(self._folder) as home:
                self._serve_call(home, link)
        except TongzhouError as error:
            _log.warning("%s: call from %s ended: %s", self.party_id, caller.address, error)
        except Exception as error:  # noqa: BLE001 - the outermost edge of a call: the daemon goes on
            report = write_crash(self._folder / "crash", error, self._clock())
            _log.error(
                "%s: call from %s ended by a mistake of ours (%s); report: %s",
                self.party_id,
                caller.address,
                type(error).__name__,
                report,
            )
        finally:
            self._calls.release()

    def _serve_call(self, home: Home, link: TlsLink) -> None:
        purpose, run_id = ("", "") if link.hello is None else (link.hello.purpose, link.hello.run_id)
        if purpose == PEER_PURPOSE:
            try:
                self._meetings.deliver(run_id, link, _RENDEZVOUS_S)
            except PeerError:
                link.close()
                raise
            return
        with closing(join_links(home.party_id, [link])), our_kinds():
            if purpose == WITNESS_PURPOSE:
                answer_cosignatures(home, link)
            elif purpose == JOB_PURPOSE:
                self._serve_job(home, link)
            else:
                raise PeerError(
                    "{me} does not serve calls for {purpose}", me=self.party_id, purpose=ascii(purpose[:40])
                )

    def _serve_job(self, home: Home, link: TlsLink) -> None:
        offered = read_offer(home, link, clock=self._clock)
        run_id = offered.offer.run_id
        links = [link, *self._peer_links(home, offered, link)]
        with closing(join_links(home.party_id, links)) as session:
            for one in links:
                one.timeout_s = SILENCE_S
            with self._playing.taking(run_id, session), holding_run(home, run_id, wait_s=_LOCK_S):
                _log.info("%s: run %s begins as %s", self.party_id, run_id, offered.role)
                follow_job(home, offered, session, clock=self._clock)
                _log.info("%s: run %s is done", self.party_id, run_id)

    def _peer_links(self, home: Home, offered: OfferedJob, caller: TlsLink) -> list[TlsLink]:
        """Links to the others that were called: who stands earlier in the plan calls who stands later."""
        others, call = offered.plan.members[1:], offered.offer.call
        place = others.index(home.party_id)
        links: list[TlsLink] = []
        try:
            for party in others[place + 1 :]:
                card = home.trust.get(party)
                links.append(connect(home.identity, card, home.trust, purpose=PEER_PURPOSE, run_id=call))
            for party in others[:place]:
                links.append(self._meetings.meet(call, party, caller, seconds=_RENDEZVOUS_S))
        except TongzhouError:
            for link in links:
                link.close()
            raise
        return links
