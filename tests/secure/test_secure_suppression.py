"""Closed cells stay closed: every combination of totals and open cells is tried on small tables."""

from itertools import chain, combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tongzhou.secure.suppression import open_cells

MINIMUM = 5


def subsets(size: int) -> list[tuple[int, ...]]:
    return list(chain.from_iterable(combinations(range(size), k) for k in range(size + 1)))


def rows_told_about(counts: np.ndarray, opened: np.ndarray) -> list[int]:
    """How many rows each combination of totals, less open cells, is about: rows plus, columns minus.

    These are the cuts of the graph of closed cells; every other combination is about all rows of some cut.
    """
    found = []
    for down in subsets(counts.shape[0]):
        for across in subsets(counts.shape[1]):
            taken = np.zeros(counts.shape, dtype=int)
            taken[list(down)] += 1
            taken[:, list(across)] -= 1
            touched = (taken != 0) & ~opened
            if touched.any():
                found.append(int(counts[touched].sum()))
    return found


TABLES = hnp.arrays(np.int64, st.tuples(st.integers(2, 4), st.integers(2, 4)), elements=st.integers(0, 30))


@settings(max_examples=200, deadline=None)
@given(TABLES)
def test_no_combination_of_totals_is_about_fewer_rows_than_the_minimum(counts: np.ndarray) -> None:
    opened = open_cells(counts >= MINIMUM)
    if opened is None:
        return
    assert opened.any()
    assert not (opened & (counts < MINIMUM)).any()
    assert min(rows_told_about(counts, opened), default=MINIMUM) >= MINIMUM


@settings(max_examples=200, deadline=None)
@given(TABLES, st.integers(0, 1), st.integers(0, 1))
def test_what_is_left_is_never_opened_and_protected_too(counts: np.ndarray, below: int, beside: int) -> None:
    core = (counts.shape[0] - below, counts.shape[1] - beside)
    opened = open_cells(counts >= MINIMUM, core)
    if opened is None:
        return
    assert opened.any()
    assert not opened[core[0] :].any() and not opened[:, core[1] :].any()
    assert not (opened & (counts < MINIMUM)).any()
    assert min(rows_told_about(counts, opened), default=MINIMUM) >= MINIMUM


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ([[20, 20], [20, 20]], True),
        ([[20, 4], [20, 20]], False),
        ([[20, 20], [0, 20]], False),
        ([[20, 20], [20, 0]], False),
        ([[4, 20], [20, 20]], False),
    ],
)
def test_a_single_group_and_the_three_ways_outside_it(counts: list[list[int]], told: bool) -> None:
    """Denning's rule: neither a group nor what totals make of it may be small."""
    opened = open_cells(np.array(counts) >= MINIMUM, (1, 1))
    assert (opened is not None) == told
    if opened is not None:
        assert opened.tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize(("counts", "told"), [([20, 20], True), ([20, 4], False), ([20, 0], False)])
def test_a_group_of_one_owner_alone(counts: list[int], told: bool) -> None:
    assert (open_cells(np.array([counts]) >= MINIMUM, (1, 1)) is not None) == told
    assert (open_cells(np.array([counts]).T >= MINIMUM, (1, 1)) is not None) == told


def test_what_is_left_hides_a_small_group() -> None:
    """The rest is large and closed anyway, so no other group need be closed for the small one."""
    large = np.array([[True], [False], [True], [True]])
    assert open_cells(large, (3, 1))[:, 0].tolist() == [True, False, True, False]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 30), min_size=1, max_size=8), st.booleans())
def test_one_line_with_a_known_total(numbers: list[int], upright: bool) -> None:
    counts = np.array(numbers).reshape((-1, 1) if upright else (1, -1))
    opened = open_cells(counts >= MINIMUM)
    if opened is None:
        return
    rest = counts[~opened].sum()
    assert opened.shape == counts.shape
    assert opened.all() or rest >= MINIMUM
    assert not (opened & (counts < MINIMUM)).any()


def test_a_table_without_small_cells_is_open() -> None:
    assert open_cells(np.ones((3, 4), dtype=bool)).all()


def test_one_small_cell_takes_three_others_with_it() -> None:
    large = np.ones((3, 4), dtype=bool)
    large[1, 2] = False
    opened = open_cells(large)
    closed = np.argwhere(~opened).tolist()
    assert len(closed) == 4
    rows, columns = ({place[axis] for place in closed} for axis in (0, 1))
    assert (len(rows), len(columns)) == (2, 2) and 1 in rows and 2 in columns


def test_cells_closed_once_serve_again() -> None:
    """Two small cells in one row share the path between their columns."""
    large = np.ones((4, 4), dtype=bool)
    large[0, 0] = large[0, 1] = False
    assert int((~open_cells(large)).sum()) <= 7


def test_the_nearest_large_group_hides_a_small_one() -> None:
    assert open_cells(np.array([[True, True, True, False, True]])).tolist() == [
        [True, True, False, False, True]
    ]


@pytest.mark.parametrize(
    "large",
    [
        [[False]],
        [[True, False]],
        [[False, False, False]],
        [[False, True], [True, True]],
        [[False, False, False], [True, True, True], [True, True, True]],
    ],
    ids=["one", "two", "all small", "two by two", "a whole row"],
)
def test_where_nothing_can_be_hidden_nothing_is_told(large: list[list[bool]]) -> None:
    assert open_cells(np.array(large)) is None


def test_closing_only_the_small_cells_would_not_do() -> None:
    """The baseline that the tests above would catch: a lone closed cell is total less the rest."""
    counts = np.array([[20, 3, 9], [8, 12, 7], [10, 11, 30]])
    assert min(rows_told_about(counts, counts >= MINIMUM)) == 3
