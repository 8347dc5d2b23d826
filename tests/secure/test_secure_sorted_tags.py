"""Tags: sorted as plain Python sorts them, joined as sets are, refused where a list is out of order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.errors import ProtocolError
from tongzhou.secure.sorted_tags import (
    STATISTICAL_BITS,
    Tags,
    check_rising,
    has_repeats,
    join_tags,
    rising_order,
    sort_tags,
    tail_type,
)

# Heads from few values, so that they meet in all of their bits or in their upper half alone.
heads = st.sampled_from([0, 1, 2, 1 << 32, (1 << 32) + 1, 1 << 63, 2**64 - 1])
digest = st.tuples(heads, st.integers(0, 2**17))
digest_lists = st.lists(digest, max_size=25, unique=True)


def blocks(pairs: list[tuple[int, int]]) -> np.ndarray:
    return np.array(pairs, dtype=np.uint64).reshape(-1, 2)


def pairs_of(tags: Tags) -> list[tuple[int, int]]:
    return list(zip(tags.heads.tolist(), tags.tails.tolist(), strict=True))


@given(digest_lists)
def test_tags_rise_and_say_where_they_come_from(pairs: list[tuple[int, int]]) -> None:
    tags, order = sort_tags(blocks(pairs))
    assert pairs_of(tags) == sorted(pairs)
    assert [pairs[place] for place in order] == sorted(pairs)
    check_rising(tags)
    assert not has_repeats(tags)


def test_many_random_tags_rise() -> None:
    digests = np.random.default_rng(1).integers(0, 2**64, (300_000, 2), dtype=np.uint64)
    # Enough for some to agree in 32 bits by chance.
    assert len(np.unique(digests[:, 0] >> np.uint64(32))) < 300_000
    order = rising_order(digests[:, 0], digests[:, 1])
    assert np.array_equal(order, np.lexsort((digests[:, 1], digests[:, 0])))


@settings(max_examples=200)
@given(digest_lists, digest_lists)
def test_joining_finds_what_sets_have_in_common(
    left: list[tuple[int, int]], right: list[tuple[int, int]]
) -> None:
    ours, theirs = sort_tags(blocks(left))[0], sort_tags(blocks(right))[0]
    own, other = join_tags(ours, theirs)
    common = sorted(set(left) & set(right))
    assert [sorted(left)[place] for place in own] == common
    assert [sorted(right)[place] for place in other] == common


def test_joining_long_lists() -> None:
    digests = np.random.default_rng(2).integers(0, 2**64, (30_000, 2), dtype=np.uint64)
    left, first = sort_tags(digests[:20_000])
    right, second = sort_tags(digests[10_000:])
    own, other = join_tags(left, right)
    assert np.array_equal(first[own], second[other] + 10_000)
    assert sorted(first[own].tolist()) == list(range(10_000, 20_000))


@pytest.mark.parametrize(
    ("pairs", "sentence"),
    [
        ([(1, 5), (1, 5)], "holds the same identifier twice"),
        ([(1, 5), (2, 1), (2, 1), (3, 0)], "holds the same identifier twice"),
        ([(2, 5), (1, 5)], "is not in the order of its tags"),
        ([(1, 5), (1, 4)], "is not in the order of its tags"),
    ],
)
def test_lists_that_do_not_rise_are_refused(pairs: list[tuple[int, int]], sentence: str) -> None:
    array = blocks(pairs)
    with pytest.raises(ProtocolError, match=sentence):
        check_rising(Tags(array[:, 0], array[:, 1].astype(np.uint32)))


def test_equal_heads_with_rising_tails_are_fine() -> None:
    array = blocks([(1, 4), (1, 5), (2, 0)])
    tags = Tags(array[:, 0], array[:, 1].astype(np.uint16))
    check_rising(tags)
    assert not has_repeats(tags)


@given(st.integers(1, 4_000_000), st.integers(1, 4_000_000))
def test_tags_are_long_enough(left: int, right: int) -> None:
    """Of all pairs of unlike identifiers, none has like tags but by a chance of 2^-40."""
    bits = 64 + 8 * np.dtype(tail_type(left * right)).itemsize
    assert left * right * 2.0**STATISTICAL_BITS <= 2.0**bits


def test_a_million_a_side_needs_ten_bytes_a_tag() -> None:
    assert tail_type(10**12) == "<u2"
    assert tail_type(2**41) == "<u4"
