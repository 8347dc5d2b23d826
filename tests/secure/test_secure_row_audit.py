"""The audit's promise, against every subset of rows in small worlds; and the attacks it is named for."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tongzhou.secure import row_audit
from tongzhou.secure.row_audit import RowSet, implied_sets, largest_leverage, tells_of_fewer


def group(flags: np.ndarray) -> RowSet:
    return RowSet(np.flatnonzero(flags).astype(np.uint64))


def weighted(values: np.ndarray) -> RowSet:
    places = np.flatnonzero(values)
    return RowSet(places.astype(np.uint64), values[places].astype(float))


def fewest_rows(table: np.ndarray) -> int:
    """Fewest rows on which some combination of the given weights lies, by trying all sets of rows."""
    table = table.astype(float)
    rank, rows = np.linalg.matrix_rank(table), table.shape[1]
    for size in range(1, rows + 1):
        for chosen in combinations(range(rows), size):
            rest = np.delete(table, chosen, axis=1)
            if (np.linalg.matrix_rank(rest) if rest.size else 0) < rank:
                return size
    return rows + 1


GROUPS = hnp.arrays(np.bool_, st.tuples(st.integers(1, 4), st.just(8)))


@settings(max_examples=150, deadline=None)
@given(GROUPS)
def test_no_combination_lies_on_fewer_rows_than_the_bound(table: np.ndarray) -> None:
    leverage = largest_leverage([group(line) for line in table])
    if table.any():
        assert fewest_rows(table) >= 1 / leverage - 1e-9
    else:
        assert leverage == 0


@settings(max_examples=60, deadline=None)
@given(hnp.arrays(np.int64, st.tuples(st.integers(1, 3), st.just(6)), elements=st.integers(-3, 3)))
def test_the_bound_holds_for_any_weights(table: np.ndarray) -> None:
    if table.any():
        leverage = largest_leverage([weighted(line) for line in table])
        assert fewest_rows(table) >= 1 / leverage - 1e-6


@settings(max_examples=100, deadline=None)
@given(GROUPS)
def test_groups_that_follow_do_follow_and_show_every_single_row(table: np.ndarray) -> None:
    found = implied_sets([group(line) for line in table])
    assert len(found) == len(table)
    if not table.any():
        return
    rank = np.linalg.matrix_rank(table.astype(float))
    for rows in found:
        outside = np.delete(table, rows.keys.astype(int), axis=1).astype(float)
        # Some combination vanishes outside these rows: the others alone have a smaller rank.
        if len(rows):
            assert (np.linalg.matrix_rank(outside) if outside.size else 0) < rank
    if fewest_rows(table) == 1:
        assert 1 in {len(rows) for rows in found}


def test_a_group_has_the_leverage_of_its_size() -> None:
    assert largest_leverage([group(np.arange(40) < 8)]) == pytest.approx(1 / 8)
    assert not tells_of_fewer([group(np.arange(40) < 8)], 8)
    assert tells_of_fewer([group(np.arange(40) < 8)], 9)


def test_nothing_asked_tells_nothing() -> None:
    assert not tells_of_fewer([], 50)
    assert not tells_of_fewer([group(np.zeros(5, dtype=bool))], 50)


def test_disjoint_groups_do_not_add_up() -> None:
    """A partition is as safe as its smallest group."""
    codes = np.arange(1000) % 20
    assert largest_leverage([group(codes == code) for code in range(20)]) == pytest.approx(1 / 50)


EVERYBODY = np.ones(200, dtype=bool)
HALF = np.arange(200) % 2 == 0
FEW = np.arange(200) < 3


@pytest.mark.parametrize(
    "asked",
    [
        [EVERYBODY, ~FEW],
        [FEW | HALF, FEW | ~HALF, EVERYBODY],
        [FEW | HALF, FEW | ~HALF, HALF, ~HALF],
        [HALF, HALF & ~FEW],
        [~FEW & HALF, ~HALF, EVERYBODY],
    ],
    ids=["difference", "general tracker", "general tracker by halves", "individual tracker", "left over"],
)
def test_trackers_are_found(asked: list[np.ndarray]) -> None:
    """Denning, Denning and Schwartz: every single set is large, and together they single out three rows."""
    sets = [group(flags) for flags in asked]
    assert not any(tells_of_fewer([one], 10) for one in sets)
    assert tells_of_fewer(sets, 10)
    assert min(len(one) for one in implied_sets(sets)) <= 3


def test_many_harmless_groups_pass() -> None:
    """Three crossing partitions and the total of 5,000 rows, none of whose parts is near the minimum."""
    source = np.random.default_rng(1)
    sets = [group(np.ones(5000, dtype=bool))]
    for parts in (4, 7, 12):
        codes = source.integers(0, parts, 5000)
        sets += [group(codes == code) for code in range(parts)]
    assert not tells_of_fewer(sets, 20)


def test_asking_the_same_again_changes_nothing() -> None:
    sets = [group(HALF), group(~HALF)]
    assert largest_leverage(sets * 5) == pytest.approx(largest_leverage(sets))
    assert largest_leverage([*sets, group(EVERYBODY)]) == pytest.approx(largest_leverage(sets))


def test_a_column_that_is_one_client_is_found() -> None:
    """A correlation with such a column would be that client's value."""
    column = np.full(500, 0.001)
    column[7] = 1e6
    assert tells_of_fewer([weighted(column)], 3)
    assert not tells_of_fewer([weighted(np.linspace(1, 2, 500))], 50)


def test_rows_are_taken_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = [group(FEW | HALF), group(FEW | ~HALF), weighted(np.linspace(-1, 1, 200))]
    whole = largest_leverage(sets)
    monkeypatch.setattr(row_audit, "_PIECE_ROWS", 7)
    assert largest_leverage(sets) == pytest.approx(whole)
