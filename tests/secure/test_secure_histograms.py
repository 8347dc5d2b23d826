"""Sums in the bins of private columns: exact for any sizes of bins, and nothing told of them."""

import numpy as np
import pytest
from boost_worlds import joined, masks_for, play
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import Watch, chi_square

from tongzhou.errors import ProtocolError
from tongzhou.secure.halves import Halved
from tongzhou.secure.histograms import RunShape, hide_columns, histograms


def program_of(codes: dict[str, list[np.ndarray]], rows: np.ndarray, bins: int, watch: Watch | None = None):
    masks = masks_for(rows.shape)
    shape = RunShape(rows.shape[-1], bins)
    counts = {role: len(columns) for role, columns in codes.items()}

    def program(engine):
        if watch is not None:
            engine.party.session = watch(engine.party.session)
        columns = hide_columns(engine, shape, counts, codes.get(engine.party.role, []))
        share = {"asker": rows - masks, "provider": masks, "helper": None}[engine.party.role]
        value = Halved(rows.shape, share)
        first = histograms(engine, columns, value)
        # The same columns serve again, also a part of them.
        return first, histograms(engine, columns[-1:], value)

    return program


def check(codes: dict[str, list[np.ndarray]], rows: np.ndarray, bins: int) -> None:
    results = play(program_of(codes, rows, bins))
    found = joined({role: one[0] for role, one in results.items()}).astype(np.uint32)
    again = joined({role: one[1] for role, one in results.items()}).astype(np.uint32)
    columns = [one for side in codes.values() for one in side]
    assert found.shape == (rows.shape[1], len(columns), bins, 2)
    for place, column in enumerate(columns):
        for code in range(bins):
            wanted = rows[:, :, column == code].sum(axis=2, dtype=np.uint32).T
            assert (found[:, place, code] == wanted).all()
    assert (again[:, 0] == found[:, -1]).all()


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_sums_of_any_codes(data: st.DataObject) -> None:
    rows, bins = data.draw(st.integers(1, 120)), data.draw(st.integers(2, 9))
    vectors = data.draw(st.integers(1, 3))
    source = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    crowd = data.draw(st.integers(1, bins))  # few bins may hold all rows
    codes = {
        role: [source.integers(0, crowd, rows).astype(np.uint8) for _ in range(count)]
        for role, count in (("asker", 2), ("provider", 1))
    }
    check(codes, source.integers(0, 2**32, (2, vectors, rows), dtype=np.uint32), bins)


@pytest.mark.parametrize("column", [np.zeros(1000), np.arange(1000) % 8, np.sort(np.arange(1000) % 8)])
def test_crowded_even_and_sorted_columns(column: np.ndarray) -> None:
    check({"asker": [], "provider": [column.astype(np.uint8)]}, masks_for((2, 2, 1000)), 8)


@pytest.mark.parametrize(
    ("rows", "bins"), [(1, 4), (7, 8), (255, 4), (256, 4), (30_000, 32), (1_000_000, 32)]
)
def test_padding_is_enough_and_small(rows: int, bins: int) -> None:
    shape = RunShape(rows, bins)
    worst = -(-(rows - (bins - 1)) // shape.length) + bins - 1 if rows >= bins else rows
    assert worst <= shape.runs
    if rows > 64 * bins:
        assert shape.slots < 1.14 * rows + shape.length
        assert shape.runs < 9.2 * bins


def test_all_that_arrives_is_uniform_and_of_the_same_size_for_any_column() -> None:
    """All rows in one bin, and rows of zeros: nothing to see."""
    shapes, rows, bins = [], np.zeros((2, 2, 4000), dtype=np.uint32), 8
    for column in (np.zeros(4000, dtype=np.uint8), (np.arange(4000) % 8).astype(np.uint8)):
        watch = Watch()
        play(program_of({"asker": [column], "provider": [column]}, rows, bins, watch))
        for role in ("asker", "provider"):
            assert watch.tags(role) == {
                ("provider" if role == "asker" else "asker", "column.order"),
                ("provider" if role == "asker" else "asker", "column.rows"),
                ("helper", "deal.column"),
            }
            assert abs(chi_square(watch.words(role, "column.rows", "deal.column"))) < 6
            (order,) = [m for m in watch.views[role] if m.tag == "column.order"]
            assert abs(chi_square(order.arrays[1].reshape(-1).view(np.uint8))) < 6
        assert not watch.views["helper"]
        shapes.append({role: [m.shape for m in view] for role, view in watch.views.items()})
    assert shapes[0] == shapes[1]


def test_the_masked_order_says_nothing_of_neighbours() -> None:
    """Rows of one bin stand anywhere in the masked order: the first row's place is uniform."""
    rows, bins, places = 16, 2, []
    column = np.repeat([0, 1], 8).astype(np.uint8)
    slots = RunShape(rows, bins).slots
    for _ in range(400):
        watch = Watch()
        play(
            program_of(
                {"asker": [], "provider": [column]}, np.zeros((2, 1, rows), dtype=np.uint32), bins, watch
            )
        )
        (order,) = [m for m in watch.views["asker"] if m.tag == "column.order"]
        places.append(int(np.flatnonzero(order.arrays[0] == 0)[0]))
    counts = np.bincount(places, minlength=slots)
    expected = len(places) / slots
    assert ((counts - expected) ** 2 / expected).sum() < slots + 8 * np.sqrt(2 * slots)


@pytest.mark.parametrize("wrong", ["repeat", "beyond"])
def test_an_order_that_is_no_permutation_is_refused(wrong: str) -> None:
    shape = RunShape(40, 4)

    def program(engine):
        if engine.party.role == "provider":
            order = np.arange(shape.slots, dtype=np.uint32)
            order[3] = 4 if wrong == "repeat" else shape.slots
            matrix = np.zeros((4, shape.runs), dtype=np.uint32)
            engine.party.peer.send("column.order", None, [order, matrix])
            return
        hide_columns(engine, shape, {"asker": 0, "provider": 1}, [])

    with pytest.raises(ProtocolError, match="provider sent an order of the rows that is not a permutation"):
        play(program)


def test_bytes_by_formula() -> None:
    """9 k n bytes a column and use, 4.5 n + 36 b² once; 80 k b from the helper."""
    rows, bins, vectors, watch = 32_000, 16, 3, Watch()
    column = (np.arange(rows) % bins).astype(np.uint8)
    play(program_of({"asker": [], "provider": [column]}, masks_for((2, vectors, rows)), bins, watch))
    sizes = {}
    for role in ("asker", "provider"):
        for message in watch.views[role]:
            sizes.setdefault(message.tag, sum(a.nbytes for a in message.arrays))
    assert sizes["column.order"] == pytest.approx(4.5 * rows + 36 * bins**2, rel=0.01)
    assert sizes["column.rows"] == pytest.approx(9 * vectors * rows, rel=0.01)
    assert sizes["deal.column"] == 80 * vectors * bins
