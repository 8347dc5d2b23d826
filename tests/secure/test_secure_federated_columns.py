"""Rows, means, deviations, quantiles and counts over many institutions are those of the pooled rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from federated_worlds import Fate, agreed, play_group, roles_of, tables
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.errors import DataError
from tongzhou.secure.aggregation import Aggregation
from tongzhou.secure.federated_columns import (
    Table,
    bin_codes,
    check_table,
    column_edges,
    column_moments,
    count_bins,
)
from tongzhou.secure.summing import WIDE, Alone, wide_numbers, wide_words

NAMES = ("a", "b", "c")
REALS = st.floats(-(2.0**57), 2.0**57, allow_nan=False)


def parts(institutions: int = 4, rows: int = 120, columns: int = 3) -> list[Table]:
    found = tables(institutions, rows, columns)
    return [Table(values, NAMES[:columns], label) for values, label in found]


def pooled(found: list[Table]) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([t.values for t in found]), np.concatenate([t.label for t in found])


def group(found: list[Table], work: Callable[[Any, Table], Any], **options: Any) -> Any:
    roles = roles_of(len(found))

    def program(role: str) -> Any:
        table = found[roles.index(role)]
        return lambda party: work(Aggregation(party, agreed(len(found)), slots=8), table)

    return play_group({role: program(role) for role in roles}, **options)


# --- wide numbers ------------------------------------------------------------------------------------------


@given(st.lists(st.lists(REALS, min_size=3, max_size=3), min_size=1, max_size=8))
def test_wide_sums_are_exact_to_one_rounding(vectors: list[list[float]]) -> None:
    words = np.add.reduce([wide_words(np.array(vector)) for vector in vectors])
    assert words.shape == (3 * WIDE,)
    for got, column in zip(wide_numbers(words), zip(*vectors, strict=True), strict=True):
        # Numbers below 2^-60 round to it; the rest of a double fits into the 128 bits.
        assert got == pytest.approx(
            float(np.sum(np.array(column, dtype=np.longdouble))), rel=1e-15, abs=1e-16
        )


def test_wide_sums_do_not_lose_small_numbers_beside_large_ones() -> None:
    words = [wide_words(np.array([value])) for value in (2.0**57, 0.25, -(2.0**57))]
    assert wide_numbers(np.add.reduce(words)).tolist() == [0.25]


def test_two_hundred_of_the_largest_still_fit() -> None:
    words = wide_words(np.array([2.0**57, -(2.0**57)])) * np.uint64(200)
    assert wide_numbers(words).tolist() == [200 * 2.0**57, -200 * 2.0**57]


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), 2.0**58])
def test_numbers_that_do_not_fit_are_refused(value: float) -> None:
    with pytest.raises(DataError, match=r"is larger than 2\.88\d+e\+17, the most that can be added up"):
        wide_words(np.array([1.0, value]))


# --- moments -----------------------------------------------------------------------------------------------


def test_moments_are_those_of_the_pooled_rows() -> None:
    found = parts()
    values, label = pooled(found)
    played = group(found, lambda aggregation, table: column_moments(aggregation, 3, table))
    for role in roles_of(4):
        moments = played.results[role]
        assert (moments.rows, moments.events) == (len(values), int(label.sum()))
        assert moments.means == pytest.approx(values.mean(axis=0), rel=1e-13)
        assert moments.deviations == pytest.approx(values.std(axis=0), rel=1e-13)
        assert moments.counts.tolist() == [len(values)] * 3


def test_a_small_deviation_around_a_large_mean() -> None:
    values = 2.0e9 + np.arange(100.0)[:, None] * 1e-3
    moments = column_moments(Alone(["asker"]), 1, Table(values, ("a",)))
    assert moments.deviations == pytest.approx(values.std(axis=0), rel=1e-6)


def test_missing_values_are_left_out() -> None:
    found = parts()
    for place, table in enumerate(found):
        table.values[place::7, 1] = np.nan
    values, _ = pooled(found)
    moments = group(found, lambda a, t: column_moments(a, 3, t)).results["provider"]
    assert moments.means == pytest.approx(np.nanmean(values, axis=0), rel=1e-13)
    assert moments.deviations == pytest.approx(np.nanstd(values, axis=0), rel=1e-13)
    assert moments.counts.tolist() == np.isfinite(values).sum(axis=0).tolist()


def test_a_column_without_any_value_has_no_moments() -> None:
    values = np.column_stack([np.full(60, np.nan), np.arange(60.0)])
    moments = column_moments(Alone(["asker"]), 2, Table(values, ("a", "b")))
    assert (moments.means[0], moments.deviations[0], moments.counts[0]) == (0, 0, 0)


# --- bins --------------------------------------------------------------------------------------------------


def test_edges_and_counts_do_not_depend_on_who_holds_a_row() -> None:
    found = parts(rows=300)
    values, label = pooled(found)

    def work(summing: Any, table: Table) -> Any:
        edges = column_edges(summing, 3, table.values, bins=8)
        return edges, count_bins(summing, edges, table)

    played = group(found, work)
    wanted = work(Alone(["asker"]), Table(values, NAMES, label))
    for role in roles_of(4):
        edges, counts = played.results[role]
        for got, due in zip(edges, wanted[0], strict=True):
            assert got.tolist() == due.tolist()
        for got, due in zip(counts, wanted[1], strict=True):
            assert [part.tolist() for part in got] == [part.tolist() for part in due]


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_bins_hold_about_equal_rows(data: st.DataObject) -> None:
    source = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    scale = 10.0 ** data.draw(st.integers(-6, 9))
    values = source.normal(size=(2000, 1)) * scale * data.draw(st.sampled_from([1.0, -3.0]))
    bins = data.draw(st.integers(2, 40))
    (edges,) = column_edges(Alone(["asker"]), 1, values, bins=bins)
    assert np.all(np.diff(edges) > 0)
    assert len(edges) <= bins - 1
    counts = np.bincount(bin_codes([edges], values)[0], minlength=bins)
    # A cell holds at most an eighth of a bin, so that no bin is off by more.
    assert counts[:bins].min() > 0.6 * 2000 / bins
    assert counts[:bins].max() < 1.4 * 2000 / bins


@pytest.mark.parametrize("bins", [2, 5, 12, 254])
def test_few_values_get_a_bin_each(bins: int) -> None:
    """The example's repayment codes: whole numbers, of which some are frequent."""
    source = np.random.default_rng(3)
    values = source.choice(
        np.arange(-2.0, 9.0),
        p=[0.1, 0.2, 0.45, 0.1, 0.1, 0.01, 0.01, 0.01, 0.01, 0.005, 0.005],
        size=(3000, 1),
    )
    (edges,) = column_edges(Alone(["asker"]), 1, values, bins=bins)
    codes = bin_codes([edges], values)[0]
    if bins >= 11:
        assert len(set(codes.tolist())) == 11
        assert all(len(set(values[codes == code, 0].tolist())) == 1 for code in range(11))
    else:
        assert 1 <= len(edges) <= bins - 1


def test_a_frequent_value_does_not_starve_the_others() -> None:
    """Nine tenths are zero; the rest is still divided."""
    source = np.random.default_rng(4)
    values = np.where(source.random(5000) < 0.9, 0.0, source.exponential(1e5, 5000))[:, None]
    (edges,) = column_edges(Alone(["asker"]), 1, values, bins=16)
    assert len(edges) >= 10
    assert edges[0] == 0
    assert edges[1] > 0


@pytest.mark.parametrize("value", [0.0, -3.25, 1e12, 2.0**-45])
def test_a_constant_column_has_one_bin(value: float) -> None:
    (edges,) = column_edges(Alone(["asker"]), 1, np.full((200, 1), value), bins=8)
    assert len(edges) == 0


def test_missing_values_have_the_code_after_the_last_bin() -> None:
    values = np.array([[1.0], [np.nan], [3.0], [2.0]])
    assert bin_codes([np.array([2.0, 3.0])], values).tolist() == [[0, 3, 1, 0]]


def test_counts_in_bins_are_of_rows_and_events() -> None:
    values = np.array([[0.0], [1.0], [np.nan], [1.0], [5.0]])
    table = Table(values, ("a",), np.array([0.0, 1.0, 1.0, 0.0, 1.0]))
    ((totals, events),) = count_bins(Alone(["asker"]), [np.array([1.0, 4.0])], table)
    assert totals.tolist() == [3, 0, 1, 1]
    assert events.tolist() == [1, 0, 1, 1]
    ((totals, events),) = count_bins(Alone(["asker"]), [np.array([0.0])], Table(values, ("a",)))
    assert (totals.tolist(), events.tolist()) == ([1, 3, 1], [0, 0, 0])


def test_an_institution_that_leaves_between_is_not_missed() -> None:
    """It is in the moments and no more in the edges."""
    found = parts(rows=400)

    def work(summing: Any, table: Table) -> Any:
        return column_moments(summing, 3, table).rows, column_edges(summing, 3, table.values, bins=6)

    played = group(found, work, fates={"provider3": Fate("aggregate.masked", 3)})
    rows, edges = played.results["asker"]
    assert rows == sum(len(table.values) for table in found)
    assert [len(cuts) for cuts in edges] == [5, 5, 5]
    assert "provider3" in played.errors


# --- what is refused at home -------------------------------------------------------------------------------


def table(**changes: Any) -> Table:
    values = np.arange(180.0).reshape(60, 3)
    return Table(**{"values": values, "names": NAMES, "label": np.arange(60.0) % 2, **changes})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"values": np.zeros((49, 3))}, "49 rows are too few to take part: at least 50 were agreed"),
        ({"values": np.zeros((60, 2))}, "the table has 2 columns and 3 names; 3 were agreed"),
        ({"names": ("a", "b")}, "the table has 3 columns and 2 names; 3 were agreed"),
        ({"names": ("a", "x", "c")}, "column 2 of the table is x; b was agreed"),
        ({"values": np.full((60, 3), np.inf)}, "column a has an infinite value"),
        ({"label": None}, "needs a label, one of 0 and 1"),
        ({"label": np.ones(59)}, "needs a label, one of 0 and 1"),
        ({"label": np.full(60, 0.5)}, "needs a label, one of 0 and 1"),
        ({"label": np.full(60, np.nan)}, "needs a label, one of 0 and 1"),
    ],
)
def test_tables_that_must_not_take_part(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        check_table(agreed(3), NAMES, table(**changes), label=True)
    check_table(agreed(3), NAMES, table(), label=True)


def test_missing_values_and_no_label_may_take_part_where_no_label_is_needed() -> None:
    check_table(agreed(3), NAMES, table(values=np.full((60, 3), np.nan), label=None), label=False)
