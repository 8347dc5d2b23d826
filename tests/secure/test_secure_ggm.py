"""Trees: leaves as the plain definition has them, every leaf but one from the handed-over sums."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import chi_square

from tongzhou.secure.ggm import Grove

KEY = bytes(range(32))


def child(node: bytes, side: int) -> bytes:
    encryptor = Cipher(AES(KEY[16 * side : 16 * side + 16]), ECB()).encryptor()
    return bytes(a ^ b for a, b in zip(encryptor.update(node), node, strict=True))


def leaf(root: bytes, place: int, depth: int) -> bytes:
    for level in range(depth):
        root = child(root, place >> level & 1)
    return root


def roots(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, (count, 2), dtype=np.uint64)


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_leaves_follow_the_bits_of_their_place(depth: int) -> None:
    start = roots(3)
    leaves, _ = Grove(KEY).grow(start, depth)
    assert leaves.shape == (2**depth, 3, 2)
    for tree in range(3):
        for place in range(2**depth):
            assert leaves[place, tree].tobytes() == leaf(start[tree].tobytes(), place, depth)


def test_sums_are_those_of_either_side_of_each_level() -> None:
    start, depth = roots(2), 4
    _, sums = Grove(KEY).grow(start, depth)
    for level in range(depth):
        nodes, _ = Grove(KEY).grow(start, level + 1)
        for side in (0, 1):
            some = nodes[[place for place in range(2 ** (level + 1)) if place >> level == side]]
            assert np.array_equal(sums[level, side], np.bitwise_xor.reduce(some, axis=0))


def handed_over(sums: np.ndarray, holes: np.ndarray) -> np.ndarray:
    """For each level, the sum of the side that the path does not take."""
    return np.array(
        [
            [sums[level, 1 - (hole >> level & 1), tree] for tree, hole in enumerate(holes)]
            for level in range(len(sums))
        ]
    )


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 7), st.data())
def test_all_leaves_but_the_hole_are_found(depth: int, data: st.DataObject) -> None:
    holes = np.array(data.draw(st.lists(st.integers(0, 2**depth - 1), min_size=1, max_size=6)))
    start = roots(len(holes), data.draw(st.integers(0, 1000)))
    leaves, sums = Grove(KEY).grow(start, depth)
    found = Grove(KEY).grow_around(holes, handed_over(sums, holes))
    trees = np.arange(len(holes))
    assert not found[holes, trees].any()
    leaves[holes, trees] = 0
    assert np.array_equal(found, leaves)


def test_every_hole_of_a_small_tree() -> None:
    start = roots(8)
    leaves, sums = Grove(KEY).grow(start, 3)
    holes = np.arange(8)
    found = Grove(KEY).grow_around(holes, handed_over(sums, holes))
    for hole in holes:
        same = (found[:, hole] == leaves[:, hole]).all(axis=1)
        assert [place for place in range(8) if not same[place]] == [hole]


def test_pieces_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = Grove(KEY).grow(roots(5), 6)
    monkeypatch.setattr("tongzhou.secure.ggm._PIECE", 7)
    parts, _ = Grove(KEY).grow(roots(5), 6)
    assert np.array_equal(whole, parts)


def test_leaves_look_uniform_and_depend_on_the_key() -> None:
    leaves, _ = Grove(KEY).grow(np.zeros((1, 2), dtype=np.uint64), 13)
    assert abs(chi_square(leaves.reshape(-1).view(np.uint8))) < 6
    assert len(np.unique(leaves[:, 0, 0])) == 2**13
    other, _ = Grove(bytes(16) + KEY[:16]).grow(np.zeros((1, 2), dtype=np.uint64), 13)
    assert not (leaves == other).any()
