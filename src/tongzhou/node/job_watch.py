"""While a job runs: notice at once that it was cancelled, or that its grant was revoked or has expired."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Event, Thread

from tongzhou.errors import ConflictError, PeerError, TongzhouError
from tongzhou.node.home import Home
from tongzhou.wire.messages import Session
from tongzhou.wire.session import interrupt

__all__ = ["Watch", "watching"]

Check = Callable[[Home, datetime], None]

_EVERY_S = 0.5
"""How often the own files are asked; a run stops within about a second of a revocation."""


class Watch:
    """What the watching thread found, for the thread that runs the job."""

    def __init__(self) -> None:
        self._found: TongzhouError | None = None

    def stop(self, session: Session, error: TongzhouError) -> None:
        """Let the job end with `error`: at its next word to a peer, or when it heeds."""
        self._found = error
        interrupt(session, error)

    def heed(self) -> None:
        """Raise what should stop the run; long computing calls this now and then."""
        if self._found is not None:
            raise self._found


@contextmanager
def watching(
    home: Home,
    run_id: str,
    session: Session,
    *,
    check: Check,
    clock: Callable[[], datetime],
) -> Iterator[Watch]:
    """Interrupt the session when the run is cancelled here or `check` raises.

    Args:
        home: the institution; a second handle on its files is opened for the watching thread.
        run_id: the run.
        session: what to interrupt.
        check: raises what should stop the run, for example because its grant was revoked.
        clock: gives the time.
    """
    stop, watch = Event(), Watch()

    def look() -> None:
        # A watch that ends for whatever reason ends the run: nothing goes on unwatched.
        error: TongzhouError = PeerError("the watch over run {run} ended by an internal fault", run=run_id)
        try:
            _watch(home.folder, run_id, check, clock, stop)
        except TongzhouError as found:
            error = found
        finally:
            if not stop.is_set():
                watch.stop(session, error)

    watcher = Thread(target=look, name=f"watch-{run_id}", daemon=True)
    watcher.start()
    try:
        yield watch
    finally:
        stop.set()
        watcher.join()


def _watch(folder: Path, run_id: str, check: Check, clock: Callable[[], datetime], stop: Event) -> None:
    with Home.open(folder) as home:
        while not stop.wait(_EVERY_S):
            if home.store.run(run_id).state == "cancelled":
                raise ConflictError("run {run} was cancelled by {party}", run=run_id, party=home.party_id)
            check(home, clock())
