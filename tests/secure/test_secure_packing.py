"""Layouts: one product of polynomials is the product of matrices, whatever the sizes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.secure.lattice import DEGREE
from tongzhou.secure.packing import Layout, best_layout, parts

RUNS = settings(max_examples=40, deadline=None)


def negacyclic(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Product modulo x^8192 + 1, of small integers."""
    full = np.convolve(left.astype(np.int64), right.astype(np.int64))
    out = full[:DEGREE].copy()
    out[: len(full) - DEGREE] -= full[DEGREE:]
    return out


def small(rows: int, columns: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 50, (rows, columns)).astype(np.uint64)


@RUNS
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 300), st.booleans(), st.data())
def test_the_places_hold_the_product(
    left: int, right: int, inner: int, turned: bool, data: st.DataObject
) -> None:
    """Also where the parts are smaller than the layout."""
    layout = Layout(min(inner, DEGREE // (left * right)), left, right, turned)
    rows, columns = data.draw(st.integers(1, left)), data.draw(st.integers(1, right))
    length = data.draw(st.integers(1, layout.inner))
    one, two = small(rows, length, 1), small(length, columns, 2)
    found = negacyclic(layout.left_polynomial(one), layout.right_polynomial(two))
    assert found[layout.places(rows, columns)].tolist() == (one @ two).tolist()


@pytest.mark.parametrize(
    "layout", [Layout(DEGREE, 1, 1), Layout(1024, 8, 1), Layout(1024, 1, 8), Layout(512, 4, 4)]
)
def test_a_full_polynomial_is_no_exception(layout: Layout) -> None:
    one, two = small(layout.left, layout.inner, 3), small(layout.inner, layout.right, 4)
    found = negacyclic(layout.left_polynomial(one), layout.right_polynomial(two))
    assert found[layout.places(layout.left, layout.right)].tolist() == (one @ two).tolist()


@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 20))
def test_a_turned_layout_puts_the_transpose_in_the_same_places(rows: int, inner: int, columns: int) -> None:
    """What lets both products of two shared matrices share a result."""
    straight, turned = Layout(inner, rows, columns), Layout(inner, columns, rows, turned=True)
    assert straight.places(rows, columns).tolist() == turned.places(columns, rows).T.tolist()


@RUNS
@given(st.integers(1, 200), st.integers(1, 100_000), st.integers(1, 40))
def test_the_best_layout_fits(rows: int, inner: int, columns: int) -> None:
    layout = best_layout(rows, inner, columns)
    assert layout.inner >= 1
    assert layout.inner * layout.left * layout.right <= DEGREE
    assert layout.left <= rows
    assert layout.right <= columns
    assert best_layout(rows, inner, columns) is layout


def test_the_best_layout_balances_what_goes_and_what_comes() -> None:
    """One row needs no grouping; many rows of few numbers share one result."""
    assert best_layout(1, DEGREE, 1) == Layout(DEGREE, 1, 1)
    assert best_layout(100, 50, 1).left == 100
    assert 1 < best_layout(171, 3750, 1).left < 171


@given(st.integers(1, 10_000), st.integers(1, 3000))
def test_parts_cover_everything_once(length: int, size: int) -> None:
    found = parts(length, size)
    assert [place for part in found for place in range(part.start, part.stop)] == list(range(length))
    assert all(0 < part.stop - part.start <= size for part in found)
