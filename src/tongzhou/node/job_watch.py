"""While a job runs: notice at once that it was cancelled, or that its grant was revoked or has expired."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Event, Thread

from tongzhou.errors import ConflictError, TongzhouError
from tongzhou.node.home import Home
from tongzhou.wire.messages import Session
from tongzhou.wire.session import interrupt

__all__ = ["watching"]

Check = Callable[[Home, datetime], None]

_EVERY_S = 0.5
"""How often the own files are asked; a run stops within about a second of a revocation."""


@contextmanager
def watching(
    home: Home,
    run_id: str,
    session: Session,
    *,
    check: Check,
    clock: Callable[[], datetime],
) -> Iterator[None]:
    """Interrupt the session when the run is cancelled here or `check` raises.

    Args:
        home: the institution; a second handle on its files is opened for the watching thread.
        run_id: the run.
        session: what to interrupt.
        check: raises what should stop the run, for example because its grant was revoked.
        clock: gives the time.
    """
    stop = Event()
    watcher = Thread(
        target=_watch,
        args=(home.folder, run_id, session, check, clock, stop),
        name=f"watch-{run_id}",
        daemon=True,
    )
    watcher.start()
    try:
        yield
    finally:
        stop.set()
        watcher.join()


def _watch(
    folder: Path,
    run_id: str,
    session: Session,
    check: Check,
    clock: Callable[[], datetime],
    stop: Event,
) -> None:
    with Home.open(folder) as home:
        while not stop.wait(_EVERY_S):
            try:
                if home.store.run(run_id).state == "cancelled":
                    raise ConflictError("run {run} was cancelled by {party}", run=run_id, party=home.party_id)
                check(home, clock())
            except TongzhouError as error:
                interrupt(session, error)
                return
