"""What an institution runs: it takes calls from partners and follows their jobs.

One thread accepts; each call has a thread of its own, so a slow or hostile caller holds up nobody else. A
provider calls the helper itself; a helper waits until both owners of a run have called.
"""

import logging
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from tongzhou.errors import PeerError, TongzhouError
from tongzhou.evidence.errors import EvidenceError
from tongzhou.node.home import Home
from tongzhou.node.job_follow import OfferedJob, follow_job, read_offer
from tongzhou.node.job_messages import JOB_PURPOSE, PEER_PURPOSE, WITNESS_PURPOSE
from tongzhou.node.job_witness import answer_cosignatures
from tongzhou.parties.times import utc_now
from tongzhou.wire.session import closing, join_links, sentence_for_peers
from tongzhou.wire.stream import TlsLink
from tongzhou.wire.tls import Caller, Listener, connect

__all__ = ["Daemon"]

MAX_CALLS: Final = 32
"""Calls served at a time; further callers are told to come again."""

_RENDEZVOUS_S: Final = 30.0
"""How long a helper waits for the second owner of a run."""

_POLL_S: Final = 0.2

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
        self._meetings = _Meetings()
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
        """Stop accepting calls; `serve` returns soon after."""
        self._stop.set()

    def serve(self) -> None:
        """Accept calls until `stop`."""
        try:
            while not self._stop.is_set():
                caller = self._listener.wait(_POLL_S)
                if caller is not None:
                    self._take(caller)
        finally:
            self._listener.close()

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
            link = caller.greet()
            with Home.open(self._folder) as home:
                self._serve_call(home, link)
        except (TongzhouError, EvidenceError) as error:
            _log.warning("%s: call from %s ended: %s", self.party_id, caller.address, error)
        finally:
            self._calls.release()

    def _serve_call(self, home: Home, link: TlsLink) -> None:
        hello = link.hello
        if hello is not None and hello.purpose == PEER_PURPOSE:
            self._meetings.deliver(hello.run_id, link, _RENDEZVOUS_S)
            return
        if hello is not None and hello.purpose == WITNESS_PURPOSE:
            with closing(join_links(home.party_id, [link])):
                answer_cosignatures(home, link)
            return
        if hello is None or hello.purpose != JOB_PURPOSE:
            purpose = "" if hello is None else hello.purpose[:40]
            error = PeerError("{me} does not serve calls for {purpose!r}", me=self.party_id, purpose=purpose)
            link.send_error(str(error))
            raise error
        try:
            job = read_offer(home, link, clock=self._clock)
            other = self._second_link(home, job)
        except TongzhouError as error:
            link.send_error(sentence_for_peers(error))
            raise
        with closing(join_links(home.party_id, [link, other])) as session:
            _log.info("%s: run %s begins as %s", self.party_id, job.offer.run_id, job.role)
            follow_job(home, job, session, clock=self._clock)
            _log.info("%s: run %s is done", self.party_id, job.offer.run_id)

    def _second_link(self, home: Home, job: OfferedJob) -> TlsLink:
        """The provider calls the helper; the helper waits for the provider's call."""
        parties, run_id = job.plan.parties, job.offer.run_id
        if job.role == "helper":
            return self._meetings.meet(run_id, parties.provider, _RENDEZVOUS_S)
        helper = home.trust.get(str(parties.helper))
        return connect(home.identity, helper, home.trust, purpose=PEER_PURPOSE, run_id=run_id)


class _Meetings:
    """Where the second owner's call to a helper waits for the run it belongs to."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[tuple[str, str], TlsLink] = {}

    def deliver(self, run_id: str, link: TlsLink, seconds: float) -> None:
        """Leave a link for its run; one that nobody takes is closed."""
        key = (run_id, link.peer)
        with self._changed:
            self._waiting[key] = link
            self._changed.notify_all()
            taken = self._changed.wait_for(lambda: self._waiting.get(key) is not link, seconds)
            if not taken:
                del self._waiting[key]
        if not taken:
            link.send_error(f"the asker of run {run_id} did not call within {seconds:g} seconds")

    def meet(self, run_id: str, peer: str, seconds: float) -> TlsLink:
        """Take the link that `peer` left for a run.

        Raises:
            PeerError: it did not call in time.
        """
        key = (run_id, peer)
        with self._changed:
            if not self._changed.wait_for(lambda: key in self._waiting, seconds):
                raise PeerError(
                    "{peer} did not call for run {run} within {seconds:g} seconds",
                    peer=peer,
                    run=run_id,
                    seconds=seconds,
                )
            link = self._waiting.pop(key)
            self._changed.notify_all()
            return link
