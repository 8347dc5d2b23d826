"""Which bin a value falls into: edges, special values, missing, one value against many."""

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.errors import DataError
from tongzhou.risk.binning import Bins

NAN = math.nan
BINS = Bins(variable="limit", edges=(0.0, 50.0, 100.0), specials=(-2.0, 60.0))

finite = st.floats(allow_nan=False, allow_infinity=False)
edge_sets = st.lists(finite, max_size=80, unique=True).map(sorted).map(tuple)


def test_order_of_bins_is_numeric_then_special_then_missing():
    assert (BINS.numeric_count, BINS.missing_bin, BINS.bin_count) == (4, 6, 7)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (-1.0, 0),
        (0.0, 0),
        (-0.0, 0),
        (0.1, 1),
        (50.0, 1),
        (50.000001, 2),
        (100.0, 2),
        (100.1, 3),
        (math.inf, 3),
        (-math.inf, 0),
        (-2.0, 4),
        (60.0, 5),
        (NAN, 6),
    ],
)
def test_value_falls_into_the_bin_closed_on_the_right(value, expected):
    assert BINS.assign([value]).tolist() == [expected]
    assert BINS.assign_one(value) == expected


def test_missing_forms_of_one_value():
    assert BINS.assign_one(None) == BINS.assign_one(NAN) == BINS.missing_bin


@given(edges=edge_sets, specials=st.lists(finite, max_size=3, unique=True), values=st.lists(st.floats()))
def test_one_value_and_many_values_agree(edges, specials, values):
    bins = Bins(variable="v", edges=edges, specials=tuple(specials))
    values = [*values, *edges, *specials]
    together = bins.assign(np.array(values, dtype=np.float64))
    assert together.dtype == np.int16
    assert together.tolist() == [bins.assign_one(value) for value in values]


@given(edges=edge_sets, values=st.lists(finite, min_size=1))
def test_assignment_keeps_order(edges, values):
    bins = Bins(variable="v", edges=edges)
    assigned = bins.assign(np.sort(np.array(values)))
    assert np.all(np.diff(assigned) >= 0)


def test_many_rows_cross_blocks_alike():
    values = np.linspace(-20, 130, 30_011)
    for edges in [(0.0, 50.0, 100.0), tuple(np.arange(0.0, 100.0, 3.0)), tuple(np.arange(0.0, 100.0))]:
        bins = Bins(variable="v", edges=edges)
        assert np.array_equal(bins.assign(values), np.searchsorted(np.array(edges), values, side="left"))


def test_whole_numbers_and_booleans_count_as_numbers():
    assert BINS.assign(np.array([0, 51, -2])).tolist() == [0, 2, 4]
    assert BINS.assign_one(51) == 2
    assert BINS.assign_one(True) == 1
    assert BINS.assign_one(2**53 + 1) == BINS.assign(np.array([2**53 + 1])).item()


@pytest.mark.parametrize("value", ["12", b"1", [1.0], object()])
def test_other_types_are_named_without_their_value(value):
    for bins in (BINS, Bins(variable="limit")):
        with pytest.raises(DataError, match=r"limit must be a number or missing, got a value of type \w+$"):
            bins.assign_one(value)


def test_huge_whole_number_is_refused():
    with pytest.raises(DataError, match="limit must be a number or missing, got a value of type int"):
        BINS.assign_one(10**400)


def test_column_of_text_is_refused():
    with pytest.raises(DataError, match="limit must be numbers, got values of type <U1"):
        BINS.assign(np.array(["a", "b"]))


def test_table_instead_of_column_is_refused():
    with pytest.raises(DataError, match="limit must be one column of numbers, got 2 dimensions"):
        BINS.assign(np.zeros((2, 2)))


@pytest.mark.parametrize("edges", [(1.0, 1.0), (2.0, 1.0), (math.nan,), (math.inf,)])
def test_edges_must_ascend(edges):
    with pytest.raises(DataError, match="bins of v: cut points must be finite and ascend"):
        Bins(variable="v", edges=edges)


@pytest.mark.parametrize("specials", [(1.0, 1.0), (math.nan,), (0.0, -0.0)])
def test_specials_must_differ(specials):
    with pytest.raises(DataError, match="bins of v: special values must be finite and each stated once"):
        Bins(variable="v", specials=specials)


def test_counts_of_rows_and_events():
    values = [1.0, 2.0, NAN, -2.0, 200.0, NAN]
    assert BINS.count(values).tolist() == [0, 2, 0, 1, 1, 0, 2]
    assert BINS.count(values, [1, 0, 1, 1, 0, 1]).tolist() == [0, 1, 0, 0, 1, 0, 2]
    with pytest.raises(DataError, match="events must have 6 rows, got 1"):
        BINS.count(values, [1])


def test_labels_read_well():
    assert BINS.labels() == ["≤ 0", "(0, 50]", "(50, 100]", "> 100", "= -2", "= 60", "missing"]
    assert BINS.labels("zh")[-1] == "缺失"
    assert Bins(variable="v").labels() == ["any value", "missing"]
    assert Bins(variable="v", edges=(0.125, 1234567.5)).labels()[1] == "(0.125, 1.23457e+06]"


def test_json_round_trip():
    text = msgspec.json.encode(BINS)
    assert msgspec.json.decode(text, type=Bins) == BINS
    with pytest.raises(DataError, match="must be finite and ascend"):
        msgspec.json.decode(b'{"variable": "v", "edges": [2, 1]}', type=Bins)
