"""What the calls of a daemon share: where two calls of one run meet, and which sessions are under way."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tongzhou.errors import PeerError, TongzhouError
from tongzhou.wire.messages import Session
from tongzhou.wire.session import interrupt
from tongzhou.wire.stream import TlsLink

__all__ = ["Meetings", "Playing"]

_EVERY_S = 0.05


class Meetings:
    """Where the provider's call to a helper waits for the asker's call of the same session.

    They find each other by the random word that the asker gave to both. So a call that an earlier, failed
    session left behind is never taken for one of this session.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[tuple[str, str], TlsLink] = {}

    def deliver(self, word: str, link: TlsLink, seconds: float) -> None:
        """Leave a link for its session; one that nobody takes is closed with a sentence.

        Raises:
            PeerError: the peer left meanwhile.
        """
        key = (word, link.peer)
        with self._changed:
            if key in self._waiting:
                reason = "another call waits for this session already"
            else:
                self._waiting[key] = link
                self._changed.notify_all()
                try:
                    if self._wait(lambda: self._waiting.get(key) is not link, link, seconds):
                        return
                    reason = f"the asker of the run did not call within {seconds:g} seconds"
                finally:
                    if self._waiting.get(key) is link:
                        del self._waiting[key]
        link.send_error(reason)

    def meet(self, word: str, peer: str, caller: TlsLink, *, seconds: float) -> TlsLink:
        """Take the link that `peer` left for a session.

        Args:
            word: the random word of the session.
            peer: who must have left it.
            caller: whose call waits; when it leaves, the waiting ends.
            seconds: how long to wait.

        Raises:
            PeerError: `peer` did not call in time, or the caller stopped or left meanwhile.
        """
        key = (word, peer)
        with self._changed:
            if not self._wait(lambda: key in self._waiting, caller, seconds):
                raise PeerError("{peer} did not call within {seconds:g} seconds", peer=peer, seconds=seconds)
            link = self._waiting.pop(key)
            self._changed.notify_all()
            return link

    def _wait(self, ready: Callable[[], bool], link: TlsLink, seconds: float) -> bool:
        """Wait for `ready`, and see to it meanwhile that the peer of `link` is still there."""
        until = time.monotonic() + seconds
        while not (found := self._changed.wait_for(ready, _EVERY_S)) and time.monotonic() < until:
            link.take_in()
            link.raise_if_stopped()
            if not link.wants_bytes():
                raise PeerError("{peer} left before the run began", peer=link.peer)
        return found


class Playing:
    """The sessions under way, by run. A run that its asker takes up anew ends its earlier session."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    @contextmanager
    def taking(self, run_id: str, session: Session) -> Iterator[None]:
        """Be the session of a run; an earlier one is interrupted, and the run's lock tells when it ended."""
        with self._lock:
            earlier = self._sessions.get(run_id)
            self._sessions[run_id] = session
        if earlier is not None:
            interrupt(earlier, PeerError("run {run} was taken up anew by its asker", run=run_id))
        try:
            yield
        finally:
            with self._lock:
                if self._sessions.get(run_id) is session:
                    del self._sessions[run_id]

    def end_all(self, error: TongzhouError, seconds: float) -> None:
        """Interrupt every session, and wait a while for them to end."""
        until = time.monotonic() + seconds
        with self._lock:
            sessions = list(self._sessions.values())
        for session in sessions:
            interrupt(session, error)
        while time.monotonic() < until:
            with self._lock:
                if not self._sessions:
                    return
            time.sleep(_EVERY_S)
