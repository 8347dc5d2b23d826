"""The frame codec: what goes in comes out whatever the pieces, and every other byte is a sentence."""

import struct
import tracemalloc

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tongzhou.errors import PeerError, ProtocolError, TongzhouError
from tongzhou.wire import frames
from tongzhou.wire.frames import DTYPES, Frame, FrameReader, Kind, encode_frame

PREFIX = struct.Struct("<4sBBHIQ")


def raw(sequence=0, tag="step", value=None, arrays=(), kind=Kind.MESSAGE) -> bytes:
    return b"".join(encode_frame(kind, sequence, tag, value=value, arrays=arrays))


def read(data: bytes) -> list[Frame]:
    reader = FrameReader("bank")
    reader.feed(data)
    return list(reader.frames)


def forged(fields_of_header: object, **prefix: int) -> bytes:
    """A frame with any header and any field of the prefix."""
    packed = msgspec.msgpack.encode(fields_of_header)
    fields = {"version": 1, "kind": 1, "reserved": 0, "header": len(packed), "body": 0} | prefix
    return PREFIX.pack(b"TZhf", *fields.values()) + packed


array_lists = st.lists(
    st.sampled_from(sorted(DTYPES)).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=6))
    ),
    max_size=5,
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    messages=st.lists(st.tuples(st.text(max_size=120), values, array_lists), min_size=1, max_size=4),
    cuts=st.lists(st.integers(1, 200), min_size=1, max_size=20),
)
@settings(max_examples=150, deadline=None)
def test_frames_arrive_as_sent_whatever_the_pieces(messages, cuts):
    data = b"".join(raw(i, tag, value, arrays) for i, (tag, value, arrays) in enumerate(messages))
    reader = FrameReader("bank")
    position = turn = 0
    while position < len(data):
        piece = cuts[turn % len(cuts)]
        reader.feed(data[position : position + piece])
        position, turn = position + piece, turn + 1
    assert reader.due == 0
    assert sum(frame.size for frame in reader.frames) == reader.received == len(data)
    for frame, (tag, value, arrays) in zip(reader.frames, messages, strict=True):
        assert frame.tag == tag
        assert msgspec.msgpack.decode(frame.value) == value
        assert len(frame.arrays) == len(arrays)
        for got, sent in zip(frame.arrays, arrays, strict=True):
            assert got.dtype == sent.dtype
            assert got.shape == sent.shape
            assert got.tobytes() == sent.tobytes()


@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_a_damaged_frame_is_never_taken_for_another_kind_of_error(position, noise):
    data = bytearray(raw(0, "step", {"rows": [1, 2]}, [np.arange(6, dtype="<u4").reshape(2, 3)]))
    position %= len(data)
    data[position : position + len(noise)] = noise
    reader = FrameReader("bank")
    try:
        reader.feed(bytes(data))
    except TongzhouError as error:
        assert str(error).startswith("bank ")
        return
    # What passes is either a frame that kept its shape, or one that still waits for bytes.
    for frame in reader.frames:
        assert sum(array.nbytes for array in frame.arrays) <= len(data)


@given(st.binary(min_size=20, max_size=300))
def test_rubbish_is_refused_at_once(data):
    with pytest.raises(ProtocolError, match=r"^bank sent bytes that are no frame at frame 0$"):
        read(b"GET " + data)


@pytest.mark.parametrize("size", [15_000, 16_384, 65_516, 65_517, 200_000])
@pytest.mark.parametrize("piece", [1_000, 16_384, 70_000])
def test_large_headers_and_bodies_cross_the_scratch_buffer(size, piece):
    value, body = "x" * size, np.arange(size, dtype="<u2")
    data = raw(0, "a", value, [body]) + raw(1, "b", value) + raw(2, "c", None, [body, body])
    reader = FrameReader("bank")
    for start in range(0, len(data), piece):
        reader.feed(data[start : start + piece])
    assert [frame.tag for frame in reader.frames] == ["a", "b", "c"]
    assert msgspec.msgpack.decode(reader.frames[1].value) == value
    for array in reader.frames[0].arrays + reader.frames[2].arrays:
        np.testing.assert_array_equal(array, body)


def test_the_value_survives_the_next_frame():
    reader = FrameReader("bank")
    for i in range(50):
        reader.feed(raw(i, "step", f"value {i}" * 100))
    assert [msgspec.msgpack.decode(frame.value)[:8].strip("v") for frame in reader.frames][:2] == [
        "alue 0",
        "alue 1",
    ]


def test_due_counts_down_to_the_end_of_the_frame():
    data = raw(0, "step", "v" * 100, [np.zeros(20_000)])
    reader = FrameReader("bank")
    reader.feed(data[:10])
    assert reader.due == PREFIX.size - 10
    reader.feed(data[10:50])
    assert reader.due == len(data) - 50
    reader.feed(data[50:100_000])
    assert reader.due == len(data) - 100_000
    reader.feed(data[100_000:])
    assert reader.due == 0


@pytest.mark.parametrize(
    ("field", "size", "sentence"),
    [
        ("body", 10 * 2**30, "a body of 10737418240 bytes, at most 268435456 are allowed$"),
        ("body", frames.MAX_FRAME + 1, "a body of 268435457 bytes"),
        ("header", frames.MAX_HEADER + 1, "a header of 1048577 bytes, at most 1048576 are allowed$"),
    ],
)
def test_a_length_beyond_its_bound_is_refused_before_allocation(field, size, sentence):
    data = forged(["step", 0, [], None], **{field: size})[: PREFIX.size]
    reader = FrameReader("bank")
    tracemalloc.start()
    try:
        with pytest.raises(ProtocolError, match=f"^bank announced a frame with {sentence}"):
            reader.feed(data)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_body_that_the_layout_does_not_explain_is_refused_before_allocation():
    data = forged(["step", 0, [["<f8", [2]]], None], body=frames.MAX_FRAME)
    with pytest.raises(
        ProtocolError, match=r"step with 268435456 bytes of arrays where its layout needs 16$"
    ):
        read(data)


@pytest.mark.parametrize("sequence", [0, 2, 5])
def test_lost_repeated_and_replayed_frames_are_refused(sequence):
    reader = FrameReader("bank")
    reader.feed(raw(0))
    with pytest.raises(
        ProtocolError, match=f"^bank sent frame {sequence} where frame 1 was due: a frame was lost"
    ):
        reader.feed(raw(sequence))


def test_another_version_is_the_peers_matter():
    with pytest.raises(PeerError, match=r"^bank speaks version 9 of the wire format, here it is version 1"):
        read(forged(["step", 0, [], None], version=9))


@pytest.mark.parametrize("change", [{"kind": 0}, {"kind": 77}, {"reserved": 1}])
def test_unknown_kinds_are_refused(change):
    with pytest.raises(ProtocolError, match=r"^bank sent a frame of unknown kind \d+$"):
        read(forged(["step", 0, [], None], **change))


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (["step", 0, []], "malformed header"),
        (["step", 0, [], None, 1], "malformed header"),
        (["step", -1, [], None], "malformed header"),
        ([7, 0, [], None], "malformed header"),
        (["x" * 121, 0, [], None], "malformed header"),
        (["step", 0, [["<f8", [1] * 9]], None], "malformed header"),
        (["step", 0, [["<f8", [-1]]], None], "malformed header"),
        (["step", 0, [["<f8", [2**40]]], None], "malformed header"),
        (["step", 0, [["<f8", []]] * 4097, None], "malformed header"),
        ({"tag": "step"}, "malformed header"),
        (["step", 0, [["|O8", [1]]], None], "a type that may not travel"),
        (["step", 0, [[">f8", [1]]], None], "a type that may not travel"),
        (["step", 0, [["<f8", [0, 2**28, 2**28, 2**28]]], None], "impossible shape"),
        (["step", 0, [["<f8", [2**28, 2**28, 2**28]]], None], "impossible shape"),
    ],
)
def test_headers_that_lie_are_refused(header, sentence):
    with pytest.raises(ProtocolError, match=sentence):
        read(forged(header))


def test_deep_nesting_is_refused():
    header = msgspec.msgpack.encode("step")
    nested = b"\x94" + header + b"\x00\x90" + b"\x91" * 100_000 + b"\xc0"
    with pytest.raises(ProtocolError, match="malformed header"):
        read(PREFIX.pack(b"TZhf", 1, 1, 0, len(nested), 0) + nested)


@pytest.mark.parametrize(
    "array", [np.array([None]), np.array([True]), np.zeros(1, ">f8"), np.zeros(1, "<f4")]
)
def test_only_plain_numbers_may_be_sent(array):
    with pytest.raises(ProtocolError, match=r"^message step has an array of type .* allowed are <f8, <i2"):
        raw(arrays=[array])


def test_bounds_hold_for_the_sender_too():
    with pytest.raises(
        ProtocolError, match=r"has a value of \d+ bytes, at most 1048576 are allowed: send large"
    ):
        raw(value="x" * frames.MAX_HEADER)
    with pytest.raises(ProtocolError, match="has 268435464 bytes of arrays, at most 268435456 are allowed"):
        raw(arrays=[np.empty(frames.MAX_FRAME // 8 + 1)])
    with pytest.raises(ProtocolError, match="a tag has at most 120 characters"):
        raw(tag="x" * 121)
    with pytest.raises(ProtocolError, match="has 5000 arrays, at most 4096 are allowed"):
        raw(arrays=[np.zeros(0)] * 5000)


def test_small_messages_are_one_write_and_large_arrays_are_not_copied():
    assert len(encode_frame(Kind.MESSAGE, 0, "s", arrays=[np.zeros(8), np.zeros(3, np.uint8)])) == 1
    large = np.zeros(100_000)
    buffers = encode_frame(Kind.MESSAGE, 0, "s", arrays=[np.zeros(8), large, np.zeros(8)])
    assert len(buffers) == 3
    assert np.shares_memory(np.frombuffer(buffers[1], np.uint8), large)
    assert len(buffers[0]) == 16 * 1024


def test_arrays_in_other_orders_are_sent_in_c_order():
    matrix = np.arange(12, dtype="<i4").reshape(3, 4).T
    [frame] = read(raw(arrays=[matrix, matrix[::2]]))
    np.testing.assert_array_equal(frame.arrays[0], matrix)
    np.testing.assert_array_equal(frame.arrays[1], matrix[::2])


def test_arrays_are_aligned_and_writable():
    [frame] = read(raw(arrays=[np.ones(3, np.uint8), np.ones(5), np.ones(1, "<u2"), np.ones(2, "<i8")]))
    for array in frame.arrays:
        assert array.flags.aligned
        assert array.flags.writeable
