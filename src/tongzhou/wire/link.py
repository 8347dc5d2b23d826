"""What every link does with frames, whatever carries them: number, count, check, and speak in sentences."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import PeerError, ProtocolError, TongzhouError
from tongzhou.wire.frames import MAX_TAG, Frame, Kind, encode_frame
from tongzhou.wire.messages import ArraySpec, Traffic

__all__ = ["DEFAULT_TIMEOUT_S", "MAX_INBOX", "MAX_REASON", "FramedLink"]

T = TypeVar("T")
Array = NDArray[Any]
Buffer = bytes | bytearray | memoryview

DEFAULT_TIMEOUT_S: Final = 120.0
"""Seconds of silence after which a peer counts as lost; a peer that merely computes must speak sooner."""

MAX_INBOX: Final = 512 * 1024 * 1024
"""Bytes read ahead from one peer; beyond, its bytes wait in the network and hold the peer back."""

MAX_REASON: Final = 1000
"""Characters of a peer's parting sentence that are passed on."""


@lru_cache(maxsize=512)
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[Any]:
    return msgspec.msgpack.Decoder(kind)


class FramedLink(ABC):
    """One ordered stream of frames to one peer; the carrier implements `_write`, `_take` and `_shut`.

    Args:
        peer: identifier of the party at the other end.
        timeout_s: longest silence to bear, in seconds.
    """

    def __init__(self, peer: str, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        self._peer = peer
        self._traffic = Traffic()
        self._spoken = False
        self._sequence = 0
        self._end: PeerError | ProtocolError | None = None
        self._closed = False
        self._interruption: TongzhouError | None = None
        self._alone = False
        self.timeout_s = timeout_s

    def __repr__(self) -> str:
        return f"{type(self).__name__}(peer={self._peer!r})"

    @property
    def peer(self) -> str:
        """Identifier of the party at the other end."""
        return self._peer

    @property
    def traffic(self) -> Traffic:
        """Running counts; bytes are those of frames, before the carrier's own overhead."""
        return self._traffic

    def send(self, tag: str, value: object = None, arrays: Sequence[Array] = ()) -> None:
        """Send one message; returns when the carrier has taken all of it.

        Raises:
            ProtocolError: the message does not fit the bounds of a frame.
            PeerError: the peer stopped, left, or does not take the message within the timeout.
        """
        self._send(Kind.MESSAGE, tag, value, arrays)
        self._spoken = True

    def recv(
        self, tag: str, kind: type[T] | None = None, arrays: Sequence[ArraySpec] = ()
    ) -> tuple[T, list[Array]]:
        """Wait for the next message, check it against tag, type and array shapes, and return it.

        Args:
            tag: the tag that must come next.
            kind: type of the value; None if the message must carry none.
            arrays: what each array must look like, in order.

        Raises:
            ProtocolError: another tag, type or shape arrived.
            PeerError: the peer stopped (its sentence is passed on), left, or stayed silent too long.
        """
        if self._spoken:
            self._spoken = False
            self._traffic.rounds += 1
        self._raise_if_interrupted()
        frame = self._take(tag)
        if frame.kind is not Kind.MESSAGE:
            self._end = self._farewell(frame, tag)
            raise self._end
        self._traffic.messages_received += 1
        self._traffic.bytes_received += frame.size
        if frame.tag != tag:
            raise ProtocolError(
                "{peer} sent {got} where {tag} was due",
                peer=self._peer,
                got=_clean(frame.tag, MAX_TAG),
                tag=tag,
            )
        self._check_arrays(frame, tag, arrays)
        return cast("T", self._value(frame, tag, kind)), frame.arrays

    def send_error(self, reason: str) -> None:
        """Tell the peer in one sentence why this side stops, then close; a peer already gone is no error."""
        self._part(Kind.FAILURE, _clean(reason, MAX_REASON))

    def close(self) -> None:
        """Say goodbye and close; doing it twice is fine, and a peer already gone is no error."""
        self._part(Kind.GOODBYE, None)

    def count_from_zero(self) -> None:
        """Forget the counts so far: a greeting is no part of the run that follows."""
        self._traffic = Traffic()
        self._spoken = False

    def bear(self, seconds: float) -> float:
        """Bear the peer's silence for so many seconds from now on; returns how long it was borne so far."""
        before, self.timeout_s = self.timeout_s, seconds
        return before

    def stand_alone(self) -> None:
        """From now on, that this peer stops does not interrupt a wait for another one.

        Where many take part and the run can go on without some, whoever waits for this peer itself learns it.
        """
        self._alone = True

    def interrupt(self, error: TongzhouError) -> None:
        """From any thread: let the thread that uses this link raise `error` soon, within a second."""
        self._interruption = error

    def _raise_if_interrupted(self) -> None:
        if self._interruption is not None:
            raise self._interruption

    def _part(self, kind: Kind, value: object) -> None:
        if self._closed:
            return
        self._interruption = None
        self._ready_to_part(kind)
        try:
            if self._end is None or isinstance(self._end, ProtocolError):
                self._end = None
                self._send(kind, "", value, ())
        except PeerError:
            pass  # it is gone already, which is all that was to be said
        finally:
            self._closed = True
            self._shut()

    def _send(self, kind: Kind, tag: str, value: object, arrays: Sequence[Array]) -> None:
        if self._closed:
            raise PeerError("the link to {peer} is closed, {tag} cannot be sent", peer=self._peer, tag=tag)
        self._raise_if_interrupted()
        if self._end is not None:
            raise self._end
        buffers = encode_frame(kind, self._sequence, tag, value=value, arrays=arrays)
        self._sequence += 1
        self._write(buffers, tag)
        self._traffic.bytes_sent += sum(map(len, buffers))
        if kind is Kind.MESSAGE:
            self._traffic.messages_sent += 1

    def _value(self, frame: Frame, tag: str, kind: Any) -> object:
        try:
            expected: Any = type(None) if kind is None else kind
            return _decoder(expected).decode(frame.value)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise ProtocolError(
                "{peer} sent {tag} with a value of another type: {reason}",
                peer=self._peer,
                tag=tag,
                reason=str(error),
            ) from error

    def _check_arrays(self, frame: Frame, tag: str, specs: Sequence[ArraySpec]) -> None:
        if len(frame.arrays) != len(specs):
            raise ProtocolError(
                "{peer} sent {tag} with {got} arrays where {expected} were due",
                peer=self._peer,
                tag=tag,
                got=len(frame.arrays),
                expected=len(specs),
            )
        for index, (array, spec) in enumerate(zip(frame.arrays, specs, strict=True)):
            if not spec.accepts(array):
                raise ProtocolError(
                    "{peer} sent {tag} with array {index} of {got} where {expected} was due",
                    peer=self._peer,
                    tag=tag,
                    index=index,
                    got=_describe(array.dtype.str, array.shape),
                    expected=_describe(np.dtype(spec.dtype).str, spec.shape),
                )

    def _farewell(self, frame: Frame, tag: str) -> PeerError:
        if frame.kind is Kind.GOODBYE:
            return PeerError(
                "{peer} ended the session where {tag} was due", peer=self._peer, tag=tag or "goodbye"
            )
        try:
            reason = _clean(_decoder(str).decode(frame.value), MAX_REASON)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            reason = "no readable reason"
        return PeerError("{peer} stopped: {reason}", peer=self._peer, reason=reason)

    def _left(self, tag: str) -> PeerError:
        return PeerError("{peer} left during {tag}", peer=self._peer, tag=tag)

    def _ready_to_part(self, kind: Kind) -> None:  # noqa: B027 most carriers need nothing here
        """Prepare for the last frame, of this kind."""

    @abstractmethod
    def _write(self, buffers: list[Buffer], tag: str) -> None:
        """Hand all buffers to the carrier."""

    @abstractmethod
    def _take(self, tag: str) -> Frame:
        """Wait for the next frame."""

    @abstractmethod
    def _shut(self) -> None:
        """Release the carrier."""


def _clean(text: str, limit: int) -> str:
    """A peer's words made harmless for a terminal: printable, one line, bounded."""
    return "".join(c if c.isprintable() else " " for c in text[:limit])


def _describe(dtype: str, shape: tuple[int | None, ...]) -> str:
    return f"{dtype.lstrip('|')}[{','.join('any' if n is None else str(n) for n in shape)}]"
