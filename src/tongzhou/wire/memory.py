"""Parties of one process: the same frames, handed over in memory. For tests and teaching."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from threading import Condition, Lock, Thread
from typing import Any, TypeVar, cast

from tongzhou.errors import PeerError, TongzhouError
from tongzhou.wire.frames import Frame, FrameReader
from tongzhou.wire.link import DEFAULT_TIMEOUT_S, MAX_INBOX, FramedLink
from tongzhou.wire.messages import Link, Session
from tongzhou.wire.session import closing

__all__ = ["MemoryLink", "memory_sessions", "run_parties"]

R = TypeVar("R")
Buffer = bytes | bytearray | memoryview


class _Pipe:
    """One direction: frames wait here, decoded by the sender's thread, until the receiver takes them."""

    def __init__(self, sender: str) -> None:
        self.reader = FrameReader(sender)
        self.waiting = 0
        self.closed = False
        self.changed = Condition(Lock())


class MemoryLink(FramedLink):
    """A link to a party in another thread of this process.

    Args:
        peer: identifier of the party at the other end.
        out: the direction this link writes.
        into: the direction it reads.
        timeout_s: longest silence to bear, in seconds.
    """

    def __init__(self, peer: str, out: _Pipe, into: _Pipe, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        super().__init__(peer, timeout_s)
        self._out = out
        self._into = into

    def _write(self, buffers: list[Buffer], tag: str) -> None:
        pipe = self._out
        with pipe.changed:
            if not self._wait(pipe, lambda: pipe.closed or pipe.waiting < MAX_INBOX):
                raise PeerError(
                    "{peer} did not take {tag} for {seconds:g} seconds",
                    peer=self.peer,
                    tag=tag,
                    seconds=self.timeout_s,
                )
            if pipe.closed:
                raise self._why_closed(tag)
            for buffer in buffers:
                pipe.reader.feed(buffer)
            pipe.waiting += sum(map(len, buffers))
            pipe.changed.notify_all()

    def _take(self, tag: str) -> Frame:
        pipe = self._into
        with pipe.changed:
            if self._end is not None:
                raise self._end
            if not self._wait(pipe, lambda: pipe.closed or bool(pipe.reader.frames)):
                raise PeerError(
                    "{peer} was silent for {seconds:g} seconds where {tag} was due",
                    peer=self.peer,
                    seconds=self.timeout_s,
                    tag=tag,
                )
            if not pipe.reader.frames:
                self._end = self._left(tag)
                raise self._end
            frame = pipe.reader.frames.popleft()
            pipe.waiting -= frame.size
            pipe.changed.notify_all()
            return frame

    def interrupt(self, error: TongzhouError) -> None:
        """From any thread: let the thread that uses this link raise `error` soon."""
        super().interrupt(error)
        for pipe in (self._out, self._into):
            with pipe.changed:
                pipe.changed.notify_all()

    def _wait(self, pipe: _Pipe, ready: Callable[[], bool]) -> bool:
        found = pipe.changed.wait_for(lambda: ready() or self._interruption is not None, self.timeout_s)
        self._raise_if_interrupted()
        return found

    def _why_closed(self, tag: str) -> PeerError:
        """The peer's own words if it said some before it closed."""
        with self._into.changed:
            last = self._into.reader.frames[-1] if self._into.reader.frames else None
        return self._left(tag) if last is None else self._farewell(last, tag)

    def _shut(self) -> None:
        for pipe in (self._out, self._into):
            with pipe.changed:
                pipe.closed = True
                pipe.changed.notify_all()


def memory_sessions(ids: Sequence[str], timeout_s: float = DEFAULT_TIMEOUT_S) -> dict[str, Session]:
    """Join parties of one process, each with every other.

    Args:
        ids: identifiers, all different.
        timeout_s: longest silence to bear, in seconds.

    Returns:
        The session of each party; each belongs to one thread.
    """
    links: dict[str, dict[str, Link]] = {party: {} for party in ids}
    for one, other in combinations(ids, 2):
        there, back = _Pipe(one), _Pipe(other)
        links[one][other] = MemoryLink(other, there, back, timeout_s=timeout_s)
        links[other][one] = MemoryLink(one, back, there, timeout_s=timeout_s)
    return {party: Session(party, links[party]) for party in ids}


class _Run:
    """What the threads of `run_parties` share."""

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}
        self.failures: list[BaseException] = []

    def play(self, session: Session, function: Callable[[Session], object]) -> None:
        """Run one party to its end, and let its peers know how it ended."""
        try:
            with closing(session):
                self.results[session.me] = self._call(session, function)
        except BaseException:  # noqa: BLE001 the thread's outermost edge; noted by _call and raised to the caller
            return

    def _call(self, session: Session, function: Callable[[Session], object]) -> object:
        try:
            return function(session)
        except BaseException as error:
            # Noted before the peers are told, so that the cause stands before its consequences.
            self.failures.append(error)
            raise


def run_parties(
    functions: Mapping[str, Callable[[Session], R]], timeout_s: float = DEFAULT_TIMEOUT_S
) -> dict[str, R]:
    """Run each party's function in a thread of its own, joined in memory.

    Args:
        functions: what each party does with its session, by identifier.
        timeout_s: longest silence to bear, in seconds.

    Returns:
        What each function returned.

    Raises:
        BaseException: the failure that came first; the other parties are stopped by it.
    """
    sessions = memory_sessions(list(functions), timeout_s)
    run = _Run()
    threads = [
        Thread(target=run.play, args=(sessions[party], function), name=f"party-{party}", daemon=True)
        for party, function in functions.items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if run.failures:
        raise run.failures[0]
    return {party: cast("R", run.results[party]) for party in functions}
