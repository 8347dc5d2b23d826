"""Tables of tags: every list comes back, few bytes, changes are exact, and damage is a sentence."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.errors import ProtocolError
from tongzhou.secure import tag_table
from tongzhou.secure.prg import Stream, new_seed
from tongzhou.secure.tag_table import TagTable, block_bits_for, changes, merged, table_parts, tags_of

NAME = b"k" * 32


def made(tags: np.ndarray, block_bits: int | None = None, pieces: int = 1) -> bytes:
    bits = block_bits_for(len(tags)) if block_bits is None else block_bits
    return b"".join(table_parts(NAME, bits, np.array_split(tags, pieces)))


def uniform(count: int) -> np.ndarray:
    return np.unique(Stream(new_seed()).words(count))


def all_of(table: TagTable) -> np.ndarray:
    return np.concatenate([table.block(number) for number in range(1 << table.block_bits)])


edges = st.sampled_from([0, 1, 2**53, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1])
tag_sets = st.sets(edges | st.integers(0, 2**64 - 1), max_size=60)


@settings(max_examples=80, deadline=None)
@given(tag_sets, st.integers(0, 6), st.integers(1, 9))
def test_any_list_comes_back(tags: set[int], block_bits: int, pieces: int) -> None:
    array = np.array(sorted(tags), dtype=np.uint64)
    content = made(array, block_bits, pieces)
    table = TagTable.open(content)
    assert all_of(table).tolist() == array.tolist()
    assert (len(table), table.key_name, table.block_bits) == (len(tags), NAME, block_bits)
    # How the tags were handed in leaves no trace.
    assert content == made(array, block_bits)
    assert table.version == content[-32:] == hashlib.sha256(content[:-32]).digest()


@settings(max_examples=60, deadline=None)
@given(tag_sets, tag_sets, st.integers(0, 6))
def test_a_tag_is_found_where_it_is_and_nowhere_else(held: set[int], asked: set[int], bits: int) -> None:
    ascending = sorted(held)
    table = TagTable.open(made(np.array(ascending, dtype=np.uint64), bits))
    wanted = [*asked, *held]
    ranks = table.find(np.array(wanted, dtype=np.uint64)).tolist()
    assert ranks == [ascending.index(tag) if tag in held else -1 for tag in wanted]


@settings(max_examples=60, deadline=None)
@given(tag_sets, tag_sets, st.integers(0, 5), st.integers(0, 5))
def test_changes_lead_from_one_table_to_the_other(
    before: set[int], after: set[int], old_bits: int, new_bits: int
) -> None:
    """Also where the blocks of the two are cut otherwise."""
    old = TagTable.open(made(np.array(sorted(before), dtype=np.uint64), old_bits))
    content = made(np.array(sorted(after), dtype=np.uint64), new_bits)
    came, went = changes(old, TagTable.open(content))
    assert came.tolist() == sorted(after - before)
    assert went.tolist() == sorted(before - after)
    assert b"".join(table_parts(NAME, new_bits, merged(old, came, went))) == content


@pytest.mark.parametrize("count", [2**17, 180_000, 220_000, 2**18 - 1])
def test_bits_a_tag_are_as_few_as_the_module_says(count: int) -> None:
    """At most 66 - log2 n, and a little for head and index."""
    content = made(uniform(count))
    assert 8 * len(content) / count < 66 - np.log2(count) + 0.05


def test_ten_and_fifty_millions_by_the_formula() -> None:
    """What the module says of lists too long to make in a test; the lengths follow from the counts alone."""
    for count, wanted in ((10_000_000, 42.68), (50_000_000, 40.34)):
        bits = block_bits_for(count)
        counts = np.full(1 << bits, count >> bits)
        table = TagTable(memoryview(b""), NAME, bits, counts)
        assert 8 * float(table._starts[-1]) / counts.sum() == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize(("count", "bits"), [(0, 0), (2047, 0), (2048, 1), (10**7, 13), (10**8, 16)])
def test_block_bits(count: int, bits: int) -> None:
    assert block_bits_for(count) == bits


def test_only_the_blocks_of_a_query_are_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    tags = uniform(100_000)
    table = TagTable.open(made(tags))
    decoded: list[int] = []
    block = TagTable.block
    monkeypatch.setattr(TagTable, "block", lambda self, n: (decoded.append(n), block(self, n))[1])
    assert table.find(tags[[5, 6, 99_000]]).tolist() == [5, 6, 99_000]
    assert len(decoded) == 2 < 1 << table.block_bits


def test_tags_are_the_first_eight_bytes() -> None:
    values = [bytes(range(64)), b"\xff" * 64]
    assert tags_of(values).tolist() == [int.from_bytes(bytes(range(8)), "little"), 2**64 - 1]
    assert tags_of([]).tolist() == []


# --- damage -------------------------------------------------------------------------------------------------


def signed(content: bytes) -> bytes:
    """With a hash that fits: what a peer could send."""
    return content + hashlib.sha256(content).digest()


GOOD = made(np.array([1, 2, 2**63], dtype=np.uint64), 1)


@pytest.mark.parametrize("place", range(len(GOOD)))
def test_every_flipped_byte_is_noticed(place: int) -> None:
    bad = bytearray(GOOD)
    bad[place] ^= 0x10
    with pytest.raises(ProtocolError, match="table of tags"):
        TagTable.open(bytes(bad))


@pytest.mark.parametrize("length", [0, 1, 63, 64, 95, 96, 100, len(GOOD) - 1])
def test_a_table_that_is_cut_off_is_noticed(length: int) -> None:
    with pytest.raises(ProtocolError, match="table of tags"):
        TagTable.open(GOOD[:length])


@pytest.mark.parametrize(
    "content",
    [
        signed(b"x" * 64),
        signed(tag_table._MAGIC + NAME + bytes([40]) + bytes(23)),
        signed(tag_table._MAGIC + NAME + bytes([1]) + bytes(23)),
        signed(GOOD[:-40] + b"\x09" + GOOD[-39:-32]),
        signed(GOOD[:-32] + b"\0\0\0\0"),
        signed(GOOD[:-40] + b"\xff" * 8),
    ],
)
def test_bytes_that_are_no_table_are_refused_although_their_hash_fits(content: bytes) -> None:
    with pytest.raises(ProtocolError, match="the bytes are no table of tags"):
        TagTable.open(content)


def test_blocks_that_do_not_hold_what_they_say_are_refused() -> None:
    body = bytearray(GOOD[:-32])
    body[64] |= 0xF0  # more ones than tags
    table = TagTable.open(signed(bytes(body)))
    with pytest.raises(ProtocolError, match="block 0 of the table of tags is malformed"):
        table.block(0)
    assert table.block(1).tolist() == [2**63]


def test_tags_that_do_not_ascend_are_refused() -> None:
    content = made(np.array([5, 5], dtype=np.uint64), 0)
    with pytest.raises(ProtocolError, match="block 0 of the table of tags is malformed"):
        TagTable.open(content).block(0)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=64), st.integers(0, 3), st.data())
def test_any_bytes_of_a_peer_are_a_table_or_a_sentence(blocks: bytes, bits: int, data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(0, 3), min_size=1 << bits, max_size=1 << bits))
    head = tag_table._MAGIC + NAME + bytes([bits]) + bytes(23)
    filler = data.draw(st.binary(min_size=0, max_size=300))
    content = signed(head + blocks + filler * 3 + np.array(counts, dtype="<u4").tobytes())
    try:
        table = TagTable.open(content)
        assert len(all_of(table)) == sum(counts)
    except ProtocolError as error:
        assert "table of tags" in str(error)
