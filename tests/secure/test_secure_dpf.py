"""Point and comparison functions: both keys together are the function, each alone looks like noise."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import chi_square

from tongzhou.secure.blocks import BlockCipher, BlockHash
from tongzhou.secure.dcf import ComparisonKeys, deal_comparisons, evaluate_comparisons
from tongzhou.secure.dpf import (
    FIELD,
    RING,
    Group,
    PointKeys,
    deal_points,
    evaluate_everywhere,
    evaluate_points,
)
from tongzhou.secure.prg import Stream, new_seed

GROUPS = [pytest.param(group, id=group.name) for group in (RING, FIELD)]


def words(*numbers: int) -> np.ndarray:
    return np.array(numbers, dtype=np.uint64)


def point_keys(
    points: np.ndarray, payloads: np.ndarray, bits: int, group: Group
) -> tuple[PointKeys, PointKeys]:
    stream = Stream(new_seed())
    roots = stream.words(len(points), 2), stream.words(len(points), 2)
    dealt = deal_points(points, payloads, roots, bits=bits, group=group)
    return PointKeys(0, roots[0], dealt), PointKeys(1, roots[1], dealt)


def comparison_keys(
    points: np.ndarray, payloads: np.ndarray, bits: int, group: Group
) -> list[ComparisonKeys]:
    stream = Stream(new_seed())
    roots = stream.words(len(points), 2), stream.words(len(points), 2)
    dealt, values = deal_comparisons(points, payloads, roots, bits=bits, group=group)
    return [ComparisonKeys(0, roots[0], dealt, values), ComparisonKeys(1, roots[1], dealt, values)]


def both(keys: Any, evaluate: Callable[..., np.ndarray], *points: np.ndarray, group: Group) -> np.ndarray:
    return group.add(*(evaluate(one, *points, group=group) for one in keys))


@pytest.mark.parametrize("group", GROUPS)
@settings(max_examples=25, deadline=None)
@given(bits=st.integers(1, 7), length=st.integers(1, 5), seed=st.integers(0, 2**32))
def test_everywhere_is_the_payload_at_the_point_and_zero_elsewhere(
    group: Group, bits: int, length: int, seed: int
) -> None:
    source = np.random.default_rng(seed)
    points = source.integers(0, 1 << bits, 4).astype(np.uint64)
    payloads = group.from_words(source.integers(0, 2**64, (4, length), dtype=np.uint64))
    keys = point_keys(points, payloads, bits, group)
    wanted = np.zeros((4, 1 << bits, length), np.uint64)
    wanted[np.arange(4), points.astype(np.intp)] = payloads
    assert np.array_equal(both(keys, evaluate_everywhere, group=group), wanted)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("bits", [1, 2, 48, 61, 64])
def test_single_points(group: Group, bits: int) -> None:
    source = np.random.default_rng(bits)
    points = source.integers(0, 2**64, 60, dtype=np.uint64) >> np.uint64(64 - bits)
    payloads = group.from_words(source.integers(0, 2**64, (60, 2), dtype=np.uint64))
    keys = point_keys(points, payloads, bits, group)
    asked = points.copy()
    asked[20:40] ^= np.uint64(1)  # the sibling of the point
    asked[40:] = source.integers(0, 2**64, 20, dtype=np.uint64) >> np.uint64(64 - bits)
    got = both(keys, evaluate_points, asked, group=group)
    assert np.array_equal(got, np.where((asked == points)[:, None], payloads, 0))


@pytest.mark.parametrize("group", GROUPS)
def test_single_points_are_those_of_everywhere(group: Group) -> None:
    """For each evaluator by itself, so that shares may be mixed."""
    keys = point_keys(words(5, 0), group.from_words(words(7, 8, 9, 1, 2, 3).reshape(2, 3)), 4, group)
    for one in keys:
        everywhere = evaluate_everywhere(one, group=group)
        for at in range(16):
            assert np.array_equal(evaluate_points(one, words(at, 15 - at), group=group)[0], everywhere[0, at])


def test_a_batch_can_be_taken_apart() -> None:
    first, second = point_keys(words(1, 2, 3), words(10, 20, 30)[:, None], 3, RING)
    for place in ([2], [0, 2]):
        some = [
            PointKeys(k.party, k.roots[place], k.corrections.some(np.array(place))) for k in (first, second)
        ]
        got = both(some, evaluate_points, words(*(place_ + 1 for place_ in place)), group=RING)
        assert got[:, 0].tolist() == [10 * (one + 1) for one in place]


@pytest.mark.parametrize("group", GROUPS)
@settings(max_examples=30, deadline=None)
@given(bits=st.integers(1, 6), seed=st.integers(0, 2**32))
def test_comparisons_are_the_payload_below_the_point(group: Group, bits: int, seed: int) -> None:
    source = np.random.default_rng(seed)
    size = 1 << bits
    points = np.repeat(source.integers(0, size, 3).astype(np.uint64), size)
    payloads = np.repeat(group.from_words(source.integers(0, 2**64, 3, dtype=np.uint64)), size)
    asked = np.tile(np.arange(size, dtype=np.uint64), 3)
    got = both(comparison_keys(points, payloads, bits, group), evaluate_comparisons, asked, group=group)
    assert np.array_equal(got, np.where(asked < points, payloads, 0))


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("bits", [61, 64])
def test_comparisons_of_long_words_at_the_edges(group: Group, bits: int) -> None:
    top = (1 << bits) - 1
    pairs = [(0, 0), (top, top), (top, top - 1), (1, 0), (0, top), (1 << (bits - 1), (1 << (bits - 1)) - 1)]
    points, asked = (words(*side) for side in zip(*pairs, strict=True))
    got = both(
        comparison_keys(points, np.ones_like(points), bits, group), evaluate_comparisons, asked, group=group
    )
    assert got.tolist() == [int(x < point) for point, x in pairs]


def test_a_key_alone_looks_uniform_whatever_it_hides() -> None:
    """All that an evaluator holds besides its root; with the same point and payload in every key."""
    count = 3000
    for point, payload in ((0, 0), (2**48 - 1, 1)):
        points, payloads = np.full(count, point, np.uint64), np.full((count, 2), payload, np.uint64)
        dealt = point_keys(points, payloads, 48, RING)[0].corrections
        for part in (dealt.seeds[:, 0], dealt.seeds[:, 47], dealt.last):
            assert abs(chi_square(np.ascontiguousarray(part).reshape(-1).view(np.uint8))) < 6
        for level in (0, 20, 47):
            assert abs(dealt.right[:, level].mean() - 0.5) < 6 * 0.5 / np.sqrt(count)


def test_an_evaluators_values_look_uniform_at_the_point_and_elsewhere() -> None:
    count = 3000
    keys = point_keys(np.full(count, 9, np.uint64), np.ones((count, 2), np.uint64), 8, RING)
    for one in keys:
        for asked in (9, 8):
            values = evaluate_points(one, np.full(count, asked, np.uint64), group=RING)
            assert abs(chi_square(values.reshape(-1).view(np.uint8))) < 6


def test_a_comparison_key_alone_looks_uniform() -> None:
    count = 3000
    keys = comparison_keys(np.full(count, 77, np.uint64), np.ones(count, np.uint64), 16, RING)
    for part in (keys[0].values[:, 0], keys[0].values[:, 15], keys[0].corrections.last[:, 0]):
        assert abs(chi_square(np.ascontiguousarray(part).view(np.uint8))) < 6
    for one in keys:
        values = evaluate_comparisons(one, np.full(count, 76, np.uint64), group=RING)
        assert abs(chi_square(values.view(np.uint8))) < 6


def test_a_changed_correction_changes_the_values() -> None:
    first, second = point_keys(words(5), words(1)[:, None], 8, RING)
    assert both((first, second), evaluate_points, words(5), group=RING)[0, 0] == 1
    bent = PointKeys(1, second.roots ^ np.uint64(2), second.corrections)
    assert both((first, bent), evaluate_points, words(5), group=RING)[0, 0] != 1
    first.corrections.seeds[0, 3, 1] ^= np.uint64(4)
    assert both((first, second), evaluate_points, words(5), group=RING)[0, 0] != 1


def test_the_cipher_gives_the_known_answers() -> None:
    """FIPS 197, appendices C.1 and C.3."""
    block = np.frombuffer(bytes.fromhex("00112233445566778899aabbccddeeff"), "<u8").reshape(1, 2)
    for key, image in (
        (bytes(range(16)), "69c4e0d86a7b0430d8cdb78070b4c55a"),
        (bytes(range(32)), "8ea2b7ca516745bfeafc49904b496089"),
    ):
        assert BlockCipher(key)(np.concatenate([block, block])).tobytes().hex() == image * 2
        assert key.hex() not in repr(BlockCipher(key))


def test_hashes_of_other_names_differ_and_feed_forward() -> None:
    blocks = np.arange(6, dtype=np.uint64).reshape(3, 2)
    one, other = BlockHash("one")(blocks), BlockHash("other")(blocks)
    assert np.array_equal(one, BlockHash("one")(blocks))
    assert not (one == other).any()
    assert blocks.tolist() == [[0, 1], [2, 3], [4, 5]], "inputs are left alone"
