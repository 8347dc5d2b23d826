"""Frames over a TLS socket, pumped by one thread for all links of a session.

While a send or a receive waits, the same thread takes in what arrives on every link of the session. So two
parties that send each other more than the network buffers hold, or three that do so in a circle, never wait
for each other, and no message pays for a change of thread.

Silence is bounded, and so is dripping: within each timeout some bytes must move, and while a message is under
way at least `MIN_RATE` bytes a second.
"""

import select
import socket
import ssl
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from tongzhou.errors import PeerError, ProtocolError
from tongzhou.wire.frames import Frame, FrameReader, Kind
from tongzhou.wire.hello import Hello
from tongzhou.wire.link import DEFAULT_TIMEOUT_S, MAX_INBOX, FramedLink

__all__ = ["MIN_RATE", "Pump", "TlsLink", "close_gently"]

Buffer = bytes | bytearray | memoryview

MIN_RATE: Final = 16 * 1024
"""Bytes a second that a message under way must move, averaged over one timeout."""

_FRAME_COST: Final = 1024  # what a waiting frame takes in memory besides its bytes
_READS_PER_TURN: Final = 64  # records taken from one link before the others have their turn
_PARTING_S: Final = 2.0  # how long a parting sentence may take
_LINGER_S: Final = 1.0  # how long to wait for the peer to read it
_LINGER_BYTES: Final = 256 * 1024
_SLICE_S: Final = 0.25  # an interruption by another thread is noticed within this time
_FIRST_BYTES: Final = 20  # a message that begins must at least show its prefix within one timeout
_REFUSALS: Final = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")


class _Patience:
    """A window of time within which enough bytes must move; it opens anew whenever they did."""

    def __init__(self, seconds: float, moved: int, due: int) -> None:
        self._seconds = seconds
        self._open(moved, due)

    def _open(self, moved: int, due: int) -> None:
        self._until = time.monotonic() + self._seconds
        self._moved = moved
        self._needed = max(1, min(due, int(MIN_RATE * self._seconds)))

    def left(self, moved: int, due: int) -> float:
        """Seconds still to wait; 0 when patience is at its end."""
        left = self._until - time.monotonic()
        if left > 0:
            return left
        if moved - self._moved < self._needed:
            return 0.0
        self._open(moved, due)
        return self._seconds


class Pump:
    """Takes in bytes for all links of one session while one of them waits. Belongs to one thread.

    Args:
        links: the links; each leaves the pump it had before.
    """

    def __init__(self, links: Iterable["TlsLink"]) -> None:
        self._links = list(links)
        for link in self._links:
            link.pump = self

    def wait(self, waiting: "TlsLink", *, to_write: bool, seconds: float) -> None:
        """Wait until something moved on any link, or until `waiting` may write.

        Raises:
            PeerError: a peer of the session said that it stops.
            TongzhouError: another thread interrupted the session.
        """
        # Decrypted bytes may lie in the TLS layer, where poll does not see them.
        held = [link for link in self._links if link.holds_bytes()]
        ready = held or self._poll(waiting, to_write=to_write, seconds=min(seconds, _SLICE_S))
        for link in ready:
            link.take_in()
        for link in self._links:
            link.raise_if_stopped()

    def _poll(self, waiting: "TlsLink", *, to_write: bool, seconds: float) -> list["TlsLink"]:
        poll = select.poll()
        by_descriptor = {}
        for link in self._links:
            events = select.POLLIN if link.wants_bytes() else 0
            if to_write and link is waiting:
                events |= select.POLLOUT
            if events:
                by_descriptor[link.fileno()] = link
                poll.register(link.fileno(), events)
        ready = poll.poll(max(0.0, seconds) * 1000)
        return [by_descriptor[found] for found, events in ready if events & ~select.POLLOUT]


def close_gently(connection: ssl.SSLSocket, linger_s: float) -> None:
    """Close a connection in a way that lets the peer read what was said last.

    Closing with bytes unread makes the system reset the connection, and the peer may then lose the last
    words. So this side stops writing, and reads on until the peer has closed or `linger_s` is over.
    """
    # Without TLS around it, the rest need not be decrypted.
    raw = socket.socket(fileno=connection.detach())
    until = time.monotonic() + linger_s
    with raw, suppress(OSError):
        raw.shutdown(socket.SHUT_WR)
        while True:
            raw.settimeout(max(0.0, until - time.monotonic()))
            if not raw.recv(_LINGER_BYTES):
                return


class TlsLink(FramedLink):
    """A link to another institution. Made by `tongzhou.wire.tls`, not directly.

    Args:
        peer: identifier of the party at the other end, as its certificate proved it.
        connection: the socket after the handshake; the link owns it.
        timeout_s: longest silence to bear, in seconds.

    Attributes:
        hello: what the peer said first.
        pump: what moves the bytes; shared by the links of a session.
    """

    def __init__(self, peer: str, connection: ssl.SSLSocket, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        super().__init__(peer, timeout_s)
        connection.setblocking(False)
        self.hello: Hello | None = None
        self.pump = Pump([self])
        self._connection = connection
        self._reader = FrameReader(peer)
        self._waiting = 0  # bytes of frames that wait to be taken
        self._unsent: list[memoryview] = []
        self._written = 0
        self._linger_s = 0.0
        self._gone = False
        self._stopped = False

    def fileno(self) -> int:
        """Descriptor of the socket."""
        return self._connection.fileno()

    def wants_bytes(self) -> bool:
        """Whether there is room for more, and somebody who may send it."""
        open_ = not (self._gone or self._closed or self._end is not None)
        return open_ and (self._waiting < MAX_INBOX or not self._reader.frames)

    def holds_bytes(self) -> bool:
        """Whether decrypted bytes wait in the TLS layer."""
        return self.wants_bytes() and self._connection.pending() > 0

    def raise_if_stopped(self) -> None:
        """Raise what ends the whole session: an interruption, or a peer's word that it stops.

        A link that stands alone ends no session; its peer's word is read in its turn.
        """
        self._raise_if_interrupted()
        if self._stopped and not self._alone:
            self._stopped = False
            raise self._farewell(self._reader.frames[-1], "")

    def take_in(self) -> None:
        """Read what has arrived, a bounded amount at a time; what is wrong with it is raised on use."""
        try:
            for _ in range(_READS_PER_TURN):
                count = self._connection.recv_into(self._reader.buffer())
                if not count:
                    self._gone = True
                    return
                before = len(self._reader.frames)
                self._reader.advance(count)
                if len(self._reader.frames) > before:
                    self._account(before)
                    return
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except (PeerError, ProtocolError) as error:
            self._end = error
        except ssl.SSLError as error:
            self._end = self._explain(error)
        except OSError:
            self._gone = True

    def _account(self, before: int) -> None:
        frames = self._reader.frames
        for index in range(before - len(frames), 0):
            self._waiting += frames[index].size + _FRAME_COST
        self._stopped = frames[-1].kind is Kind.FAILURE

    def _take(self, tag: str) -> Frame:
        reader = self._reader
        patience = None
        while not reader.frames:
            self._raise_if_over(tag)
            self.take_in()
            if reader.frames or self._gone or self._end is not None:
                continue
            due = reader.due or _FIRST_BYTES
            if patience is None:
                patience = _Patience(self.timeout_s, reader.received, due)
                start = reader.received
            left = patience.left(reader.received, due)
            if not left:
                raise self._too_slow(tag, silent=reader.received == start)
            self.pump.wait(self, to_write=False, seconds=left)
        frame = reader.frames.popleft()
        self._waiting -= frame.size + _FRAME_COST
        if frame.kind is Kind.FAILURE:
            self._stopped = False
        return frame

    def _raise_if_over(self, tag: str) -> None:
        if self._end is not None:
            raise self._end
        if self._gone:
            raise self._left(tag)
        if self._closed:
            raise PeerError("the link to {peer} is closed, {tag} cannot be received", peer=self.peer, tag=tag)

    def _too_slow(self, tag: str, *, silent: bool) -> PeerError:
        if silent:
            return PeerError(
                "{peer} was silent for {seconds:g} seconds where {tag} was due",
                peer=self.peer,
                seconds=self.timeout_s,
                tag=tag,
            )
        return PeerError(
            "{peer} sent {tag} too slowly: less than {rate} bytes a second for {seconds:g} seconds",
            peer=self.peer,
            tag=tag,
            rate=MIN_RATE,
            seconds=self.timeout_s,
        )

    def _write(self, buffers: list[Buffer], tag: str) -> None:
        self._unsent.extend(map(memoryview, buffers))
        self._flush(tag)

    def _flush(self, tag: str) -> None:
        """Write all that is unsent. If this raises midway, a later parting sentence continues the frame."""
        patience = None
        while self._unsent:
            try:
                view = self._unsent[0]
                while view:
                    count = self._connection.send(view)
                    self._written += count
                    view = self._unsent[0] = view[count:]
                del self._unsent[0]
                continue
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                pass
            except OSError as error:
                raise self._why_unsent(tag) from error
            due = sum(map(len, self._unsent))
            patience = patience or _Patience(self.timeout_s, self._written, due)
            left = patience.left(self._written, due)
            if not left:
                raise PeerError(
                    "{peer} did not take {tag} for {seconds:g} seconds",
                    peer=self.peer,
                    tag=tag,
                    seconds=self.timeout_s,
                )
            self.pump.wait(self, to_write=True, seconds=left)

    def _why_unsent(self, tag: str) -> PeerError | ProtocolError:
        """Why the peer no longer takes bytes: its own words, if it said some before it closed."""
        self._unsent.clear()
        while self.wants_bytes() and self._readable():
            self.take_in()
        self._gone = True
        last = self._reader.frames[-1] if self._reader.frames else None
        if last is not None and last.kind is not Kind.MESSAGE:
            return self._farewell(last, tag)
        return self._end or self._left(tag)

    def _readable(self) -> bool:
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return self._connection.pending() > 0 or bool(poll.poll(0))

    def _explain(self, error: ssl.SSLError) -> PeerError:
        reason = error.reason or "TLS"
        if "ALERT" in reason and any(word in reason for word in _REFUSALS):
            return PeerError(
                "{peer} refused the certificate of this institution ({reason}): "
                "it must trust this institution's card, and the certificate must not have expired",
                peer=self.peer,
                reason=reason,
            )
        return PeerError(
            "the bytes from {peer} were damaged on the way ({reason})", peer=self.peer, reason=reason
        )

    def _ready_to_part(self, kind: Kind) -> None:
        # The last words must not wait long, nor fail because of what ends the session on other links.
        self.pump = Pump([self])
        self.timeout_s = min(self.timeout_s, _PARTING_S)
        self._linger_s = _LINGER_S if kind is Kind.FAILURE else 0.0

    def _shut(self) -> None:
        self._stopped = False
        close_gently(self._connection, self._linger_s)
