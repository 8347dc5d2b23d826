"""The data of the measurements: the bundled example, and more rows made from it.

The example's 24,000 clients in common are the base. More rows are drawn from them with a seeded generator,
amounts and ages slightly changed, and go through the same bins to the same weights of evidence. So every size
has the same 23 variables (5 of the asker, 18 of the provider), the same event rate and nearly the same model.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tongzhou.data.example import bank_table, card_network_table
from tongzhou.risk.binning import BinTable, bin_table, fine_bins, merge_bins

__all__ = ["LABEL", "Base", "World", "base", "make_fold", "make_raw_world", "make_world", "split_world"]

Floats = NDArray[np.float64]

LABEL = "default"

_SEED = 2005
_JITTER = 0.05
"""Relative standard deviation of the change of an amount."""
_YEARS = 1.0
"""Standard deviation of the change of an age, in years."""
_MAX_BINS = 6
_MIN_SHARE = 0.02
_SPECIALS = (-2.0, -1.0)
_BLOCK = 1 << 17


@dataclass(frozen=True)
class Base:
    """The clients that both sides of the example know, and the bins of their variables.

    Attributes:
        columns: ``(n,)`` values of each variable, asker's first.
        asker, provider: names of each owner's variables.
        label: ``(n,)`` of 0 and 1.
        tables: bins and weights of evidence of each variable.
    """

    columns: dict[str, Floats]
    asker: tuple[str, ...]
    provider: tuple[str, ...]
    label: NDArray[np.int8]
    tables: dict[str, BinTable]


@dataclass(frozen=True)
class World:
    """Arrays of one size, as files that each process loads for itself.

    Attributes:
        rows: number of rows.
        folder: where ``asker.npy (n, 5)``, ``provider.npy (n, 18)`` and ``label.npy (n,)`` lie.
        asker_columns, provider_columns: number of variables.
    """

    rows: int
    folder: Path
    asker_columns: int
    provider_columns: int

    def block(self, role: str) -> Floats:
        """An owner's weights of evidence."""
        loaded: Floats = np.load(self.folder / f"{role}.npy", allow_pickle=False)
        return loaded

    def label(self) -> Floats:
        """The asker's label, as numbers."""
        loaded: Floats = np.load(self.folder / "label.npy", allow_pickle=False)
        return loaded


@cache
def base() -> Base:
    """Match and bin the example."""
    bank, network = bank_table(), card_network_table()
    _, here, there = np.intersect1d(_ids(bank), _ids(network), return_indices=True)
    asker = tuple(name for name in bank.column_names if name not in {"client_id", LABEL})
    provider = tuple(name for name in network.column_names if name != "client_id")
    columns = {name: _numbers(bank, name)[here] for name in asker}
    columns |= {name: _numbers(network, name)[there] for name in provider}
    label = _numbers(bank, LABEL)[here].astype(np.int8)
    tables = {name: _binned(name, values, label) for name, values in columns.items()}
    return Base(columns, asker, provider, label, tables)


def make_world(folder: Path, rows: int) -> World:
    """Write the arrays of `rows` rows into a new folder."""
    known = base()
    folder.mkdir(parents=True)
    generator = np.random.default_rng([_SEED, rows])
    places = generator.integers(0, len(known.label), rows)
    for role, names in (("asker", known.asker), ("provider", known.provider)):
        block = np.empty((rows, len(names)))
        for place, name in enumerate(names):
            block[:, place] = _evidence(known, name, places, generator)
        np.save(folder / f"{role}.npy", block)
    np.save(folder / "label.npy", known.label[places].astype(np.float64))
    return World(rows, folder, len(known.asker), len(known.provider))


def make_raw_world(folder: Path, rows: int) -> World:
    """The same in original units, for models that cut columns by themselves."""
    known = base()
    folder.mkdir(parents=True)
    generator = np.random.default_rng([_SEED, rows])
    places = generator.integers(0, len(known.label), rows)
    for role, names in (("asker", known.asker), ("provider", known.provider)):
        columns = [
            _jittered(name, known.columns[name][places], generator.standard_normal(rows)) for name in names
        ]
        np.save(folder / f"{role}.npy", np.stack(columns, axis=1))
    np.save(folder / "label.npy", known.label[places].astype(np.float64))
    return World(rows, folder, len(known.asker), len(known.provider))


def make_fold(folder: Path, fold: int, folds: int, rows: int) -> World:
    """Write one fold of the example itself: rows to train on, and ``new_*`` rows to score that are apart.

    Args:
        folder: new.
        fold: which, from 0; after each `folds` of them the rows are put into another seeded order.
        folds: how many parts the rows are cut into.
        rows: how many rows of the example are used.
    """
    known = base()
    folder.mkdir(parents=True)
    turn, part = divmod(fold, folds)
    order = np.random.default_rng([_SEED, turn]).permutation(len(known.label))[:rows]
    held = np.arange(len(order)) % folds == part
    for prefix, places in (("", order[~held]), ("new_", order[held])):
        for role, names in (("asker", known.asker), ("provider", known.provider)):
            block = np.stack([known.columns[name][places] for name in names], axis=1)
            np.save(folder / f"{prefix}{role}.npy", block)
        np.save(folder / f"{prefix}label.npy", known.label[places].astype(np.float64))
    return World(int((~held).sum()), folder, len(known.asker), len(known.provider))


def split_world(world: World, folder: Path, asker_columns: int) -> World:
    """The same rows with the columns divided otherwise between the owners, in a new folder."""
    folder.mkdir(parents=True)
    columns = np.hstack([world.block("asker"), world.block("provider")])
    np.save(folder / "asker.npy", columns[:, :asker_columns])
    np.save(folder / "provider.npy", columns[:, asker_columns:])
    np.save(folder / "label.npy", world.label())
    return World(world.rows, folder, asker_columns, columns.shape[1] - asker_columns)


def _evidence(known: Base, name: str, places: NDArray[np.int64], generator: np.random.Generator) -> Floats:
    """Weights of evidence of drawn rows, in blocks so that a large size needs little memory."""
    woe = np.array(known.tables[name].woe)
    out = np.empty(len(places))
    for start in range(0, len(places), _BLOCK):
        values = known.columns[name][places[start : start + _BLOCK]]
        values = _jittered(name, values, generator.standard_normal(len(values)))
        out[start : start + _BLOCK] = woe[known.tables[name].bins.assign(values)]
    return out


def _jittered(name: str, values: Floats, noise: Floats) -> Floats:
    """Ages and amounts a little changed; grades as they are."""
    if name == "age":
        return np.rint(values + _YEARS * noise)
    if name.startswith(("bill", "paid", "limit")):
        return np.rint(values * (1 + _JITTER * noise))
    return values


def _binned(name: str, values: Floats, label: NDArray[np.int8]) -> BinTable:
    fine = fine_bins(name, values, specials=_SPECIALS if name.startswith("repay") else ())
    codes = fine.assign(values)
    totals = np.bincount(codes, minlength=fine.bin_count).astype(np.int64)
    events = np.bincount(codes[label == 1], minlength=fine.bin_count).astype(np.int64)
    merged = merge_bins(fine, totals, events, max_bins=_MAX_BINS, min_rows=round(_MIN_SHARE * len(values)))
    return bin_table(merged.bins, merged.fold(totals), merged.fold(events))


def _ids(table: pa.Table) -> NDArray[np.str_]:
    return np.array(table.column("client_id").to_pylist(), dtype=np.str_)


def _numbers(table: pa.Table, name: str) -> Floats:
    return np.asarray(table.column(name).to_numpy(), dtype=np.float64)
