"""Sketches tell how far groups are apart, near the minimum reliably; no share of one tells anything."""

from typing import Any

import numpy as np
import pytest
from secure_worlds import Watch, chi_square, play, revealed

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.answered import name_rows
from tongzhou.secure.party import OWNERS
from tongzhou.secure.shared import Shared
from tongzhou.secure.sketches import BUCKETS, Sketcher, close_pairs, threshold, with_lengths

ROWS = 4000
SOURCE = np.random.default_rng(7)


def sketcher(key: bytes = b"k" * 32) -> Sketcher:
    return Sketcher(name_rows(key, [f"c{row}" for row in range(ROWS)]))


def squared_distance(made: Sketcher, one: np.ndarray, other: np.ndarray) -> int:
    sketches = made.sketch(np.array([one, other], dtype=np.uint64)).view(np.int64)
    return int(np.square(sketches[0] - sketches[1]).sum())


def moved(group: np.ndarray, rows: int) -> np.ndarray:
    """The group with some rows moved in or out."""
    other = group.copy()
    places = SOURCE.permutation(ROWS)[:rows]
    other[places] = ~other[places]
    return other


def test_a_sketch_is_linear_in_the_ring() -> None:
    made = sketcher()
    one, other = (SOURCE.integers(0, 2**64, (1, ROWS), dtype=np.uint64) for _ in range(2))
    assert np.array_equal(made.sketch(one) + made.sketch(other), made.sketch(one + other))
    assert made.sketch(np.zeros((2, ROWS), dtype=np.uint64)).tolist() == np.zeros((2, BUCKETS)).tolist()


@pytest.mark.parametrize("minimum", [2, 5, 10, 50, 200])
def test_groups_that_are_too_close_are_below_the_threshold(minimum: int) -> None:
    """One row fewer than the minimum, under 200 keys: never above, and far groups never below."""
    group = np.arange(ROWS) % 2 == 0
    for trial in range(200):
        made = sketcher(trial.to_bytes(32, "big"))
        assert squared_distance(made, group, moved(group, minimum - 1)) < threshold(minimum)
        assert squared_distance(made, group, moved(group, 2 * threshold(minimum))) >= threshold(minimum)


def test_what_the_threshold_adds_stays_small() -> None:
    assert [threshold(minimum) for minimum in (10, 50, 200)] == [18, 64, 232]


def test_names_depend_on_key_and_identifier_only() -> None:
    rows = [f"c{row}" for row in range(50)]
    names, turned = name_rows(b"k" * 32, rows), name_rows(b"k" * 32, rows[::-1])
    assert names.keys.tolist() == turned.keys.tolist()[::-1]
    assert len(set(names.keys.tolist()) | set(names.marks.tolist())) == 100
    other = name_rows(b"q" * 32, rows)
    assert not set(names.keys.tolist()) & set(other.keys.tolist())


def shared(engine: AidedEngine, words: np.ndarray) -> Shared:
    mask = np.random.default_rng(3).integers(0, 2**64, words.shape, dtype=np.uint64)
    return Shared(words.shape, {"asker": words - mask, "provider": mask}.get(engine.party.role))


def test_pairs_are_compared_under_protection() -> None:
    made = sketcher()
    group = np.arange(ROWS) % 2 == 0
    new = np.array([group, moved(group, 3), moved(group, 40)])
    earlier = np.array([group, moved(group, 500)])
    words = [made.sketch(flags.astype(np.uint64)) for flags in (new, earlier)]

    def program(engine: AidedEngine) -> Any:
        one, other = (with_lengths(engine, shared(engine, part)) for part in words)
        return close_pairs(engine, one, other, minimum=10, bits=27)

    assert revealed(play(program)).reshape(3, 2).tolist() == [[1, 0], [1, 0], [0, 0]]


def test_lengths_stand_after_the_sketches() -> None:
    words = sketcher().sketch((np.arange(3 * ROWS).reshape(3, ROWS) % 3 == 0).astype(np.uint64))
    got = revealed(play(lambda engine: with_lengths(engine, shared(engine, words))))
    assert np.array_equal(got[:, :-1].view(np.uint64), words)
    assert got[:, -1].tolist() == np.square(words.view(np.int64)).sum(axis=1).tolist()


def test_nothing_arrives_but_uniform_words() -> None:
    """Sketches of the empty group, so that every masked word is bare mask."""
    watch = Watch()
    words = np.zeros((2, BUCKETS), dtype=np.uint64)

    def program(engine: AidedEngine) -> None:
        engine.party.session = watch(engine.party.session)
        one, other = (with_lengths(engine, shared(engine, words)) for _ in range(2))
        close_pairs(engine, one, other, minimum=10, bits=27)

    play(program)
    for role in OWNERS:
        assert abs(chi_square(watch.words(role, "masked.matmul"))) < 6
    assert abs(chi_square(watch.words("provider", "hide"))) < 6
    assert abs(chi_square(watch.words("asker", "product.scale"))) < 6
    assert not watch.views["helper"]
