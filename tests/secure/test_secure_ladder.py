"""Ladders bound what they measure, and climbing one under protection ends on the right rung."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from secure_worlds import play, revealed

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.ladder import (
    RUNGS_OF_LARGEST,
    climb,
    largest_ladder,
    quantile_ladder,
    rungs_above,
    rungs_below,
)
from tongzhou.secure.party import OWNERS
from tongzhou.secure.shared import Shared

NUMBERS = hnp.arrays(
    np.float64, st.integers(1, 50), elements=st.floats(-1e9, 1e9, allow_nan=False).map(lambda x: round(x, 3))
)


@settings(max_examples=60, deadline=None)
@given(NUMBERS, st.integers(2, 60))
def test_a_grid_ascends_and_tops_all_values(values: np.ndarray, rungs: int) -> None:
    ladder = quantile_ladder(values, rungs)
    assert len(ladder) == rungs
    assert (np.diff(ladder) >= 0).all()
    assert ladder[-1] >= values.max() - 1e-6


@settings(max_examples=60, deadline=None)
@given(NUMBERS)
def test_as_many_rungs_as_values_are_the_values_to_three_digits(values: np.ndarray) -> None:
    ladder = quantile_ladder(values, len(values))
    ordered = np.sort(values)
    assert (ladder >= ordered - 1e-6).all()
    assert (np.abs(ladder - ordered) <= np.maximum.accumulate(np.abs(ordered)) * 0.01 + 1e-6).all() or (
        ordered.min() < 0
    )


def test_no_clients_value_is_told_as_it_stands() -> None:
    assert quantile_ladder(np.array([123456.78, 0.0123456, -9876.5]), 3).tolist() == [
        -9870.0,
        0.0124,
        124000.0,
    ]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 200), st.integers(2, 60), st.integers(1, 40))
def test_enough_values_lie_between_two_rungs(size: int, rungs: int, fewest: int) -> None:
    ladder = quantile_ladder(np.arange(size) * 1.0, rungs, fewest=fewest)
    assert len(ladder) == rungs
    counts = np.diff(np.searchsorted(np.arange(size), ladder, side="right"), prepend=0)
    assert min(counts[counts > 0]) >= min(fewest, size)


def test_a_grid_of_no_values_is_zero() -> None:
    assert quantile_ladder(np.empty(0), 3).tolist() == [0, 0, 0]


@settings(max_examples=60, deadline=None)
@given(st.floats(1e-3, 1e9), st.floats(1e-3, 1))
def test_the_bound_on_the_largest_is_a_fifth_too_large_at_most(top: float, part: float) -> None:
    ladder = largest_ladder(top)
    assert len(ladder) == RUNGS_OF_LARGEST
    value = top * part
    above = [bool(rung[0]) for rung in rungs_above(np.array([value]), ladder, np.array([True]))]
    bound = ladder[sum(above)]
    assert value <= bound <= value * 2**0.25 * (1 + 1e-9)
    assert ladder[0] == pytest.approx(top / 65536)


def test_rungs_count_only_rows_within() -> None:
    values, within = np.array([1.0, 2.0, 3.0]), np.array([True, True, False])
    ladder = np.array([1.0, 2.0, 9.0])
    assert [rung.tolist() for rung in rungs_below(values, ladder, within)] == [[1, 0, 0], [1, 1, 0]]
    assert [rung.tolist() for rung in rungs_above(values, ladder, within)] == [[0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("owner", OWNERS)
def test_climbing_ends_on_the_rung_after_those_passed(owner: str) -> None:
    ladder = np.array([-50, -3, 0, 7, 1000], dtype=np.int64)
    passed = np.array([[int(step < reached) for step in range(4)] for reached in range(5)], dtype=np.uint64)

    def program(engine: AidedEngine) -> Any:
        mask = np.full(passed.shape, 99, dtype=np.uint64)
        share = {"asker": passed - mask, "provider": mask}.get(engine.party.role)
        own = ladder.view(np.uint64) if engine.party.role == owner else None
        return climb(engine, owner, Shared(passed.shape, share), own)

    assert revealed(play(program)).tolist() == ladder.tolist()
