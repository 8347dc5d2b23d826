"""How a message looks as bytes, and how it is read back without trusting a single length.

A frame is a fixed prefix (magic, version, kind, two lengths), a MessagePack header (tag, sequence number,
layout of the arrays, the value) and the arrays' raw bytes, each padded to eight. A length beyond its bound
is refused before anything is allocated for it. `FrameReader` does no I/O: it offers a buffer to fill.
"""

import math
import struct
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import PeerError, ProtocolError

__all__ = [
    "DTYPES",
    "FRAME_VERSION",
    "MAX_ARRAYS",
    "MAX_DIMENSIONS",
    "MAX_FRAME",
    "MAX_HEADER",
    "MAX_TAG",
    "Frame",
    "FrameReader",
    "Kind",
    "encode_frame",
]

Array = NDArray[Any]
Buffer = bytes | bytearray | memoryview

FRAME_VERSION: Final = 1
"""Changes whenever an older reader could misread a frame."""

MAX_FRAME: Final = 256 * 1024 * 1024
"""Bytes of arrays in one frame; one million rows of 32 columns of eight bytes just fit."""

MAX_HEADER: Final = 1024 * 1024
"""Bytes of the header, the value included; whatever is larger belongs into arrays."""

MAX_TAG: Final = 120
"""Characters of a tag."""

MAX_ARRAYS: Final = 4096
"""Arrays in one frame."""

MAX_DIMENSIONS: Final = 8
"""Dimensions of one array."""

DTYPES: Final = frozenset({"<u8", "<u4", "<u2", "|u1", "<i8", "<i4", "<i2", "|i1", "<f8"})
"""Element types that may travel; all little-endian, none of them Python objects."""

_MAGIC: Final = b"TZhf"
_PREFIX: Final = struct.Struct("<4sBBHIQ")
_ALIGNMENT: Final = 8  # so that every array is aligned in the receiver's buffer
_SCRATCH: Final = 64 * 1024  # several TLS records; prefix and header are parsed here
_COALESCE: Final = 16 * 1024  # one TLS record: pieces below this are joined into one write
_MAX_SEQUENCE: Final = 2**63 - 1


class Kind(IntEnum):
    """What a frame is for."""

    MESSAGE = 1
    FAILURE = 2  # the sender stops; the tag is empty and the value is a sentence
    GOODBYE = 3  # the sender is done


_Size = Annotated[int, msgspec.Meta(ge=0, le=MAX_FRAME)]
_Shape = Annotated[tuple[_Size, ...], msgspec.Meta(max_length=MAX_DIMENSIONS)]
_Layout = Annotated[tuple[tuple[str, _Shape], ...], msgspec.Meta(max_length=MAX_ARRAYS)]


class _Header(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True, gc=False):
    tag: Annotated[str, msgspec.Meta(max_length=MAX_TAG)]
    sequence: Annotated[int, msgspec.Meta(ge=0, le=_MAX_SEQUENCE)]
    arrays: _Layout
    value: msgspec.Raw


_header_encoder = msgspec.msgpack.Encoder()
_header_decoder = msgspec.msgpack.Decoder(_Header)


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame as it arrived.

    Attributes:
        kind: what it is for.
        tag: which step of which protocol.
        value: the value, still as MessagePack.
        arrays: views into the frame's own buffer, aligned and writable.
        size: bytes on the wire, prefix and header included.
    """

    kind: Kind
    tag: str
    value: bytes | memoryview
    arrays: list[Array]
    size: int


def encode_frame(
    kind: Kind, sequence: int, tag: str, *, value: object = None, arrays: Sequence[Array] = ()
) -> list[Buffer]:
    """Turn a message into the buffers to write, in order, without copying large arrays.

    Args:
        kind: what the frame is for.
        sequence: number of this frame in its direction, from 0.
        tag: at most `MAX_TAG` characters.
        value: anything that msgspec encodes.
        arrays: arrays of the types in `DTYPES`, any shape.

    Returns:
        Buffers; small ones are joined so that each is worth a write of its own.

    Raises:
        ProtocolError: the message does not fit the bounds, or an array has a type that may not travel.
    """
    solid = [array if array.flags.c_contiguous else np.ascontiguousarray(array) for array in arrays]
    body_length = _check_outgoing(tag, solid)
    layout = tuple((array.dtype.str, array.shape) for array in solid)
    header = _header_encoder.encode(
        _Header(tag, sequence, layout, msgspec.Raw(msgspec.msgpack.encode(value)))
    )
    if len(header) > MAX_HEADER:
        raise ProtocolError(
            "message {tag} has a value of {size} bytes, at most {limit} are allowed: "
            "send large data as arrays",
            tag=tag,
            size=len(header),
            limit=MAX_HEADER,
        )
    head = _PREFIX.pack(_MAGIC, FRAME_VERSION, kind, 0, len(header), body_length) + header
    if not body_length:
        return [head]
    return _join_small(head, solid)


def _check_outgoing(tag: str, arrays: Sequence[Array]) -> int:
    if len(tag) > MAX_TAG or len(arrays) > MAX_ARRAYS:
        raise ProtocolError(
            "message {tag} has {count} arrays, at most {limit} are allowed, "
            "and a tag has at most {tag_limit} characters",
            tag=tag[:MAX_TAG],
            count=len(arrays),
            limit=MAX_ARRAYS,
            tag_limit=MAX_TAG,
        )
    for array in arrays:
        if array.dtype.str not in DTYPES or array.ndim > MAX_DIMENSIONS:
            raise ProtocolError(
                "message {tag} has an array of type {dtype} with {dimensions} dimensions; "
                "allowed are {allowed} with at most {limit}",
                tag=tag,
                dtype=array.dtype.str,
                dimensions=array.ndim,
                allowed=", ".join(sorted(DTYPES)),
                limit=MAX_DIMENSIONS,
            )
    length = sum(_padded(array.nbytes) for array in arrays)
    if length > MAX_FRAME:
        raise ProtocolError(
            "message {tag} has {size} bytes of arrays, at most {limit} are allowed: send it in parts",
            tag=tag,
            size=length,
            limit=MAX_FRAME,
        )
    return length


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT


def _join_small(head: bytes, arrays: Sequence[Array]) -> list[Buffer]:
    buffers: list[Buffer] = []
    small = bytearray(head)
    for array in arrays:
        if not array.nbytes:
            continue
        raw = array.reshape(-1).view(np.uint8).data
        if array.nbytes < _COALESCE:
            small += raw
        else:
            # The first record takes what still fits, so that no short record precedes the long ones.
            fill = max(0, _COALESCE - len(small)) if small else 0
            if fill:
                small += raw[:fill]
            if small:
                buffers.append(small)
            buffers.append(raw[fill:])
            small = bytearray()
        small += bytes(_padded(array.nbytes) - array.nbytes)
        if len(small) >= _COALESCE:
            buffers.append(small)
            small = bytearray()
    if small:
        buffers.append(small)
    return buffers


class FrameReader:
    """Turns one direction of a stream into frames, whatever pieces it arrives in.

    Ask for `buffer`, put bytes into its front, tell `advance` how many, and take frames from `frames`.
    A large body is received straight into the buffer that the arrays will view.

    Args:
        peer: who sends, for the sentences.

    Attributes:
        frames: complete frames not yet taken.
        received: bytes taken in so far.
    """

    def __init__(self, peer: str) -> None:
        self.frames: deque[Frame] = deque()
        self.received = 0
        self._peer = peer
        self._sequence = 0
        self._scratch = bytearray(_SCRATCH)
        self._view = memoryview(self._scratch)
        self._start = 0
        self._end = 0
        self._prefix: tuple[Kind, int, int] | None = None
        self._header: _Header | None = None
        self._target: Array | None = None
        self._filled = 0

    @property
    def due(self) -> int:
        """Bytes that the frame under way still needs, 0 between frames, as far as its lengths are known."""
        have = self._end - self._start
        if self._header is not None and self._prefix is not None:
            return self._prefix[2] - self._filled
        if self._prefix is not None:
            return (
                self._prefix[1] + self._prefix[2] - have - (self._filled if self._target is not None else 0)
            )
        return _PREFIX.size - have if have else 0

    def buffer(self) -> memoryview:
        """Where the next bytes belong; never empty."""
        if self._target is not None:
            return self._target.data[self._filled :]
        if self._start and self._end == _SCRATCH:
            rest = self._end - self._start
            self._view[:rest] = self._scratch[self._start : self._end]
            self._start, self._end = 0, rest
        return self._view[self._end :]

    def advance(self, count: int) -> None:
        """Take the first `count` bytes of `buffer` as arrived, and finish the frames they complete.

        Raises:
            ProtocolError: rubbish, a length beyond its bound, a wrong sequence number or layout.
            PeerError: the peer speaks another version of this format.
        """
        self.received += count
        if self._target is not None:
            self._filled += count
            # A large body arrives in thousands of pieces; between the first and the last nothing is finished.
            if self._filled < self._target.nbytes:
                return
        else:
            self._end += count
        while self._step():
            pass
        if self._start == self._end:
            self._start = self._end = 0

    def feed(self, data: Buffer) -> None:
        """Take in `data` as if it had arrived in `buffer`, by copying it there."""
        view = memoryview(data).cast("B")
        while view:
            place = self.buffer()
            count = min(len(place), len(view))
            place[:count] = view[:count]
            self.advance(count)
            view = view[count:]

    def _step(self) -> bool:
        if self._prefix is None:
            return self._read_prefix()
        if self._header is None:
            return self._read_header(self._prefix[1])
        return self._read_body(self._prefix, self._header)

    def _read_prefix(self) -> bool:
        if self._end - self._start < _PREFIX.size:
            return False
        magic, version, kind, reserved, header_length, body_length = _PREFIX.unpack_from(
            self._scratch, self._start
        )
        if magic != _MAGIC:
            raise ProtocolError(
                "{peer} sent bytes that are no frame at frame {sequence}",
                peer=self._peer,
                sequence=self._sequence,
            )
        if version != FRAME_VERSION:
            raise PeerError(
                "{peer} speaks version {got} of the wire format, here it is version {expected}: "
                "both must run the same release",
                peer=self._peer,
                got=version,
                expected=FRAME_VERSION,
            )
        self._check_lengths(header_length, body_length)
        if reserved or kind not in Kind.__members__.values():
            raise ProtocolError("{peer} sent a frame of unknown kind {kind}", peer=self._peer, kind=kind)
        self._prefix = (Kind(kind), header_length, body_length)
        self._start += _PREFIX.size
        if header_length > _SCRATCH - _PREFIX.size:
            self._begin_target(header_length)
        return True

    def _check_lengths(self, header_length: int, body_length: int) -> None:
        for part, length, limit in (("header", header_length, MAX_HEADER), ("body", body_length, MAX_FRAME)):
            if length > limit:
                raise ProtocolError(
                    "{peer} announced a frame with a {part} of {size} bytes, at most {limit} are allowed",
                    peer=self._peer,
                    part=part,
                    size=length,
                    limit=limit,
                )

    def _begin_target(self, length: int) -> None:
        """Open a buffer of its own for what comes next, and move into it what has arrived already."""
        self._target = np.empty(length, np.uint8)
        self._filled = min(length, self._end - self._start)
        self._target.data[: self._filled] = self._view[self._start : self._start + self._filled]
        self._start += self._filled

    def _read_header(self, length: int) -> bool:
        if self._target is not None:
            if self._filled < length:
                return False
            raw = self._target.tobytes()
            self._target = None
        elif self._end - self._start < length:
            if self._start + length > _SCRATCH:
                self._view[: self._end - self._start] = self._scratch[self._start : self._end]
                self._start, self._end = 0, self._end - self._start
            return False
        else:
            # A copy, because the header's value is kept while the scratch buffer is used again.
            raw = bytes(self._view[self._start : self._start + length])
            self._start += length
        self._header = self._decode_header(raw)
        self._filled = 0
        return True

    def _decode_header(self, raw: bytes) -> _Header:
        try:
            header = _header_decoder.decode(raw)
        except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
            raise ProtocolError(
                "{peer} sent a frame with a malformed header at frame {sequence}: {reason}",
                peer=self._peer,
                sequence=self._sequence,
                reason=str(error),
            ) from error
        if header.sequence != self._sequence:
            raise ProtocolError(
                "{peer} sent frame {got} where frame {sequence} was due: "
                "a frame was lost, repeated or replayed",
                peer=self._peer,
                got=header.sequence,
                sequence=self._sequence,
            )
        return header

    def _read_body(self, prefix: tuple[Kind, int, int], header: _Header) -> bool:
        length = prefix[2]
        if self._target is None and length:
            self._check_layout(header, length)
            self._begin_target(length)
        elif not length:
            self._check_layout(header, 0)
        if self._filled < length:
            return False
        arrays = _split(header.arrays, self._target)
        size = _PREFIX.size + prefix[1] + length
        self.frames.append(Frame(prefix[0], header.tag, memoryview(header.value), arrays, size))
        self._prefix = self._header = self._target = None
        self._filled = 0
        self._sequence += 1
        return True

    def _check_layout(self, header: _Header, body_length: int) -> None:
        """Refuse before the body is allocated what its layout does not explain."""
        for dtype, _ in header.arrays:
            if dtype not in DTYPES:
                raise ProtocolError(
                    "{peer} sent {tag} with an array of a type that may not travel; allowed are {allowed}",
                    peer=self._peer,
                    tag=header.tag,
                    allowed=", ".join(sorted(DTYPES)),
                )
        # A zero in a shape makes the size zero, but NumPy still refuses shapes beyond the address space.
        if any(math.prod(max(n, 1) for n in shape) > MAX_FRAME for _, shape in header.arrays):
            raise ProtocolError(
                "{peer} sent {tag} with an array of impossible shape", peer=self._peer, tag=header.tag
            )
        layout_length = sum(_padded(_nbytes(dtype, shape)) for dtype, shape in header.arrays)
        if layout_length != body_length:
            raise ProtocolError(
                "{peer} sent {tag} with {got} bytes of arrays where its layout needs {expected}",
                peer=self._peer,
                tag=header.tag,
                got=body_length,
                expected=layout_length,
            )


def _nbytes(dtype: str, shape: tuple[int, ...]) -> int:
    return int(dtype[2]) * math.prod(shape)


def _split(layout: _Layout, body: Array | None) -> list[Array]:
    arrays: list[Array] = []
    offset = 0
    for dtype, shape in layout:
        size = _nbytes(dtype, shape)
        if size and body is not None:
            arrays.append(body[offset : offset + size].view(dtype).reshape(shape))
        else:
            arrays.append(np.empty(shape, dtype))
        offset += _padded(size)
    return arrays
