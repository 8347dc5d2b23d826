"""The data of the measurements: made from the example, the same every time, of one kind at every size."""

from pathlib import Path

import numpy as np
import pytest

from bench import worlds


def test_the_base_is_the_examples_common_clients() -> None:
    known = worlds.base()
    assert len(known.label) == 24_000
    assert (len(known.asker), len(known.provider)) == (5, 18)
    assert set(known.columns) == {*known.asker, *known.provider} == set(known.tables)
    assert known.label.mean() == pytest.approx(0.22, abs=0.005)


def test_arrays_have_the_sizes_asked_for(tmp_path: Path) -> None:
    world = worlds.make_world(tmp_path / "one", 700)
    assert world.block("asker").shape == (700, world.asker_columns) == (700, 5)
    assert world.block("provider").shape == (700, world.provider_columns) == (700, 18)
    assert set(np.unique(world.label())) == {0.0, 1.0}


def test_the_same_size_gives_the_same_arrays(tmp_path: Path) -> None:
    first, second = (worlds.make_world(tmp_path / name, 700) for name in ("one", "two"))
    for role in ("asker", "provider"):
        assert np.array_equal(first.block(role), second.block(role))
    assert np.array_equal(first.label(), second.label())


def test_every_number_is_a_weight_of_evidence(tmp_path: Path) -> None:
    world, known = worlds.make_world(tmp_path / "one", 5000), worlds.base()
    for role, names in (("asker", known.asker), ("provider", known.provider)):
        for name, column in zip(names, world.block(role).T, strict=True):
            assert set(column) <= set(known.tables[name].woe), name
            assert len(set(column)) > 1, name


def test_drawn_rows_are_not_copies(tmp_path: Path) -> None:
    """Amounts change a little, so a client drawn twice may fall into other bins."""
    world, known = worlds.make_world(tmp_path / "one", 5000), worlds.base()
    woe = np.column_stack(
        [
            np.array(known.tables[name].woe)[known.tables[name].bins.assign(known.columns[name])]
            for name in known.provider
        ]
    )
    own = {row.tobytes() for row in woe}
    fresh = sum(row.tobytes() not in own for row in np.ascontiguousarray(world.block("provider")))
    assert 0.2 < fresh / world.rows < 0.95


def test_larger_sizes_keep_the_event_rate(tmp_path: Path) -> None:
    rates = [worlds.make_world(tmp_path / str(rows), rows).label().mean() for rows in (20_000, 60_000)]
    assert rates == pytest.approx([worlds.base().label.mean()] * 2, abs=0.01)


def test_raw_worlds_hold_the_examples_numbers_a_little_changed(tmp_path: Path) -> None:
    world, known = worlds.make_raw_world(tmp_path / "one", 4000), worlds.base()
    again = worlds.make_raw_world(tmp_path / "two", 4000)
    assert (world.asker_columns, world.provider_columns) == (5, 18)
    for role, names in (("asker", known.asker), ("provider", known.provider)):
        assert np.array_equal(world.block(role), again.block(role))
        for name, column in zip(names, world.block(role).T, strict=True):
            same = np.isin(column, known.columns[name]).mean()
            # Amounts of the large columns move; grades do not.
            assert same == 1 or name.startswith(("bill", "paid", "limit", "age")), name
            assert column.mean() == pytest.approx(known.columns[name].mean(), rel=0.2, abs=0.1), name
    assert world.label().mean() == pytest.approx(known.label.mean(), abs=0.03)


def test_folds_part_the_rows(tmp_path: Path) -> None:
    folds = [worlds.make_fold(tmp_path / str(fold), fold, 3, 900) for fold in range(3)]
    held = [np.load(world.folder / "new_provider.npy") for world in folds]
    assert [len(block) for block in held] == [300] * 3
    assert [world.rows for world in folds] == [600] * 3
    for world, block in zip(folds, held, strict=True):
        both = np.concatenate([world.block("provider"), block])
        assert sorted(map(bytes, both)) == sorted(
            map(bytes, np.concatenate([folds[0].block("provider"), held[0]]))
        )
        assert len(np.load(world.folder / "new_label.npy")) == 300
        assert world.block("asker").shape == (600, 5)
