"""A run's session: its links moved by one pump, ended so that every peer knows how it ended."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tongzhou.errors import DataError, StorageError, TongzhouError
from tongzhou.wire.link import FramedLink
from tongzhou.wire.messages import Link, Session, Traffic
from tongzhou.wire.stream import Pump, TlsLink

__all__ = ["closing", "interrupt", "join_links", "sentence_for_peers", "total_traffic"]


def join_links(me: str, links: Iterable[TlsLink]) -> Session:
    """Make a session of greeted links: from now on a wait on one of them moves the bytes of all.

    Args:
        me: own identifier.
        links: one link for each other party.
    """
    by_peer: dict[str, Link] = {}
    joined = list(links)
    for link in joined:
        by_peer[link.peer] = link
    Pump(joined)
    return Session(me, by_peer)


@contextmanager
def closing(session: Session) -> Iterator[Session]:
    """End every link when the block ends: with a goodbye, or with the reason why this party stops."""
    reason = "an internal fault"
    try:
        yield session
        reason = ""
    except TongzhouError as error:
        reason = sentence_for_peers(error)
        raise
    finally:
        for link in _framed(session):
            if reason:
                link.send_error(reason)
            else:
                link.close()


def sentence_for_peers(error: TongzhouError) -> str:
    """What peers are told of a failure: the sentence itself, unless it is about own data or storage."""
    if isinstance(error, DataError):
        return "it found a problem in its own data"
    if isinstance(error, StorageError):
        return "it has a problem with its own storage"
    return str(error)


def interrupt(session: Session, error: TongzhouError) -> None:
    """From any thread: let the thread that runs this session raise `error` within a second."""
    for link in _framed(session):
        link.interrupt(error)


def total_traffic(session: Session) -> Traffic:
    """The counts of all links together; rounds are those of the busiest link."""
    total = Traffic()
    for link in session.links.values():
        total.bytes_sent += link.traffic.bytes_sent
        total.bytes_received += link.traffic.bytes_received
        total.messages_sent += link.traffic.messages_sent
        total.messages_received += link.traffic.messages_received
        total.rounds = max(total.rounds, link.traffic.rounds)
    return total


def _framed(session: Session) -> list[FramedLink]:
    return [link for link in session.links.values() if isinstance(link, FramedLink)]
