"""What boosted trees are said to cost is what travels: bytes by formula, and rounds."""

from typing import Any

import pytest
from boost_worlds import settings, table
from secure_worlds import Watch

from tongzhou.secure.boost_tasks import BoostTask
from tongzhou.secure.simulate import simulate


def boosted(rows: int, **options: Any) -> tuple[Watch, int]:
    """A watched training, and the rounds of its busiest owner."""
    watch = Watch()
    outcome = simulate("aided", BoostTask(settings(rows, **options)), *table(rows), watch=watch)
    rounds = max(t.rounds for role in ("asker", "provider") for t in outcome.traffic[role].values())
    return watch, rounds


def sent(watch: Watch, *tags: str) -> int:
    return sum(a.nbytes for view in watch.views.values() for m in view if m.tag in tags for a in m.arrays)


@pytest.mark.parametrize("depth", [1, 3, 4])
def test_histograms_take_nine_bytes_a_row_column_and_vector(depth: int) -> None:
    """One vector for the root, and one for each left child above the leaves."""
    rows, columns, trees = 16_000, 5, 1
    watch, _ = boosted(rows, depth=depth, trees=trees)
    vectors = 1 + sum(1 << level for level in range(depth - 1))
    assert sent(watch, "column.rows") == pytest.approx(9 * rows * columns * vectors * trees, rel=0.01)


@pytest.mark.parametrize(("rare", "harmonics"), [(False, 10), (True, 20)])
def test_gradients_take_what_the_statement_says(rare: bool, harmonics: int) -> None:
    """8 n (5 + 4 K) a tree, and once more to see where the training stands."""
    rows = 4000
    one, two = (boosted(rows, trees=trees, depth=1, rare=rare)[0] for trees in (1, 2))
    angles = sent(two, "masked.angle", "deal.angle") - sent(one, "masked.angle", "deal.angle")
    assert angles == rows * (16 + 2 * 16 * harmonics)
    assert angles == pytest.approx(8 * rows * (5 + 4 * harmonics), rel=0.08)


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_membership_takes_less_than_28_bytes_a_row_and_leaf(depth: int) -> None:
    rows = 8000
    one, two = (boosted(rows, trees=trees, depth=depth, bins=4)[0] for trees in (1, 2))
    tags = ("masked.choice", "masked.chosen", "deal.choice", "deal.chosen")
    each = sent(two, *tags) - sent(one, *tags)
    assert each < 28 * rows * 2**depth
    assert each > 14 * rows * 2**depth


def test_rounds_grow_with_the_depth_and_not_with_the_rows() -> None:
    """41 D + 14 at most for each tree."""
    for depth in (1, 2, 4):
        one, two = (boosted(400, trees=trees, depth=depth, bins=32)[1] for trees in (1, 2))
        assert 41 * depth + 10 <= two - one <= 41 * depth + 14
    assert boosted(400)[1] == boosted(3000)[1]


def test_directions_take_fifteen_rounds_a_level_and_twelve_for_the_leaves() -> None:
    depth = 3
    counts = []
    for options in ({}, {"provider_monotone": (1, 0, 0)}):
        one, two = (boosted(400, trees=trees, depth=depth, **options)[1] for trees in (1, 2))
        counts.append(two - one)
    assert counts[1] - counts[0] <= 15 * depth + 12


@pytest.mark.parametrize("depth", [1, 2])
def test_the_search_takes_what_the_statement_of_splits_says(depth: int) -> None:
    """About 170 bytes each way and 1.1 kB dealt, for each node and candidate."""
    found = []
    for bins in (17, 33):
        one, two = (boosted(400, trees=trees, depth=depth, bins=bins)[0] for trees in (1, 2))
        found.append([search(two, role) - search(one, role) for role in ("asker", "provider")])
    candidates = (2**depth - 1) * 5 * 16
    between, arrived = ((more - less) / candidates for less, more in zip(*found, strict=True))
    assert between == pytest.approx(170, abs=20)
    assert arrived - between == pytest.approx(1085, abs=10)


def search(watch: Watch, role: str) -> int:
    """Bytes that arrived at a role for all but the histograms."""
    return sum(a.nbytes for m in watch.views[role] if "column" not in m.tag for a in m.arrays)
