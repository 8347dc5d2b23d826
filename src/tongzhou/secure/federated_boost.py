"""Boosted trees over the rows of many institutions, from summed histograms of gradients.

Statement
    Parties: as `tongzhou.secure.aggregation`; every institution has the same columns and the label of other
    rows.
    Who learns what: all learn the number of rows and events, the edges of bins and the model, tree by tree.
    The coordinator learns, for each node of each tree and each bin of each column, the number of rows of all
    institutions in it and the sums of their gradients and curvatures. These are sums over the rows of one bin
    in one node, which may be few: a node has at least `min_rows` rows, a bin of it may have one. Who holds it
    is not told, but the coordinator sees that row's gradient, and by that its label. Institutions for which
    that is too much take fewer bins, flatter trees and a larger `min_rows`, or the regression with noise.
    Assumption: as `tongzhou.secure.aggregation`.
    Cost: five sums before the first tree; then for a tree of depth D with c cells (bins, and one for missing
    values, of all columns) D sums, together of at most 2^D c words for D from 1: of two children the one with
    fewer rows is summed, the other follows by subtraction.
    Papers: Friedman, Greedy function approximation (Annals of Statistics 29, 2001); Chen and Guestrin,
    XGBoost (KDD 2016), for gain and leaf values; Ke et al., LightGBM (NeurIPS 2017), for histograms and
    subtraction.

Gradients and curvatures are rounded to whole units row by row, so that a sum does not depend on how the rows
are divided among institutions: the model is, to the last bit, the one that the pooled rows give.
"""

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import PlanError
from tongzhou.secure.aggregation_settings import AggregationSettings
from tongzhou.secure.federated_columns import MOST_BINS, Codes, Table, bin_codes, check_table, column_edges
from tongzhou.secure.federated_trees import BoostedTrees, Tree, left_child
from tongzhou.secure.party import Role
from tongzhou.secure.refusals import one_class, too_many_rows
from tongzhou.secure.ring import Reals, Words
from tongzhou.secure.summing import Summing
from tongzhou.secure.tree_growth import Growth, Leaves, Splits
from tongzhou.secure.whitening import row_bits
from tongzhou.wire.messages import ArraySpec

__all__ = ["BoostFit", "FederatedBoostSettings", "fit_boost"]

Ints = NDArray[np.int64]

_MOST_UNIT_BITS: Final = 30
_MANTISSA: Final = 52
_MOST_DEPTH: Final = 8
_MOST_TREES: Final = 1000
_MOST_ROW_BITS: Final = 26
_KINDS: Final = 2
"""Words a cell: one of gradients, one of curvatures and, in its upper bits, rows."""


class FederatedBoostSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all institutions agree on before boosting.

    Attributes:
        aggregation: how vectors are added up.
        columns: names of the columns, the same at every institution.
        trees: how many.
        depth: splits from the root to a leaf, at most.
        bins: most bins of a column, without the one for missing values.
        rate: what of a tree's answer is added.
        l2: added to the curvature of a leaf.
        min_rows: fewest rows of all institutions in a leaf.
        min_curvature: least curvature in a leaf.
    """

    aggregation: AggregationSettings
    columns: tuple[str, ...]
    trees: int = 100
    depth: int = 4
    bins: int = 32
    rate: float = 0.1
    l2: float = 0.0
    min_rows: int = 20
    min_curvature: float = 1e-3

    def check(self) -> None:
        """Refuse settings out of range.

        Raises:
            PlanError: with the setting, what is allowed and what was got.
        """
        for name, value, least, most in (
            ("trees", self.trees, 1, _MOST_TREES),
            ("depth", self.depth, 1, _MOST_DEPTH),
            ("bins", self.bins, 2, MOST_BINS - 1),
            ("rate", self.rate, 1e-6, 1),
            ("l2", self.l2, 0, 1e9),
            ("min_rows", self.min_rows, 1, 2**_MOST_ROW_BITS),
        ):
            if not least <= value <= most:
                raise PlanError(
                    "boosting takes {name} from {least:g} to {most:g}, got {got:g}",
                    name=name,
                    least=least,
                    most=most,
                    got=value,
                )


@dataclass(frozen=True)
class BoostFit:
    """The model, which all institutions hold.

    Attributes:
        model: the trees.
        rows: rows of all institutions at the start.
        stayed: roles whose rows are in the last sum.
    """

    model: BoostedTrees
    rows: int
    stayed: tuple[Role, ...]


@dataclass(frozen=True)
class _Units:
    """What takes how many bits of a word, so that nothing overflows and floats hold the sums."""

    rows: int

    @property
    def length(self) -> int:
        return row_bits(self.rows) + 1

    @property
    def gradient(self) -> int:
        return min(_MOST_UNIT_BITS, _MANTISSA - self.length)

    @property
    def shift(self) -> int:
        """Where the count of rows begins in the second word."""
        return 63 - self.length

    @property
    def curvature(self) -> int:
        # A row's curvature is at most a quarter.
        return min(_MOST_UNIT_BITS, self.shift - self.length + 2)


@dataclass
class _Rows:
    """An institution's rows while a model grows.

    Attributes:
        codes: ``(d, n)`` bin of each value.
        widths: ``(d,)`` bins of each column, the one for missing values included.
        label: ``(n,)``.
        logits: ``(n,)`` so far.
        node: ``(n,)`` where each row is in the present tree.
        gradient, curvature: ``(n,)`` in whole units.
    """

    codes: Codes
    widths: Ints
    label: Reals
    logits: Reals
    node: NDArray[np.intp]
    gradient: Reals
    curvature: Reals

    def begin(self, units: _Units) -> None:
        """A new tree: all rows at its root."""
        chance = 0.5 * (1 + np.tanh(self.logits / 2))
        self.gradient = np.rint((chance - self.label) * 2.0**units.gradient)
        self.curvature = np.rint(chance * (1 - chance) * 2.0**units.curvature)
        self.node = np.zeros(len(self.label), dtype=np.intp)

    def histogram(self, nodes: Ints, units: _Units) -> Words:
        """Words ``(2 · nodes · cells,)``: gradients, then curvatures and rows, of the cells of some nodes."""
        slot = np.full(max(int(self.node.max()), int(nodes.max())) + 1, -1)
        slot[nodes] = np.arange(len(nodes))
        slots = slot[self.node]
        here = np.flatnonzero(slots >= 0)
        slots, gradient, curvature = slots[here], self.gradient[here], self.curvature[here]
        sums = np.empty((_KINDS, len(nodes), int(self.widths.sum())), dtype=np.int64)
        first = 0
        for codes, width in zip(self.codes, self.widths.tolist(), strict=True):
            places, size = codes[here] + slots * width, len(nodes) * width
            part = sums[:, :, first : first + width]
            part[0] = np.bincount(places, gradient, size).reshape(len(nodes), width)
            part[1] = np.bincount(places, curvature, size).reshape(len(nodes), width)
            part[1] += np.bincount(places, minlength=size).reshape(len(nodes), width) << units.shift
            first += width
        return sums.reshape(-1).view(np.uint64)

    def move(self, splits: Splits) -> None:
        """Rows of split nodes go to a child."""
        for node, column, cut, missing_left in zip(*map(np.ndarray.tolist, splits.arrays()[:4]), strict=True):
            here = np.flatnonzero(self.node == node)
            codes = self.codes[column, here]
            left = np.where(codes == self.widths[column] - 1, missing_left == 1, codes <= cut)
            self.node[here] = left_child(node) + 1 - left

    def end(self, tree: Tree) -> None:
        """Take the leaves' values into the log odds."""
        self.logits += np.array(tree.values)[self.node]


def fit_boost(summing: Summing, settings: FederatedBoostSettings, table: Table | None) -> BoostFit:
    """Grow a model; every party calls it with the same settings, institutions with their table.

    Raises:
        PlanError: settings out of range.
        DataError: too few rows, other columns, no label, one class.
    """
    settings.check()
    if table is not None:
        check_table(settings.aggregation, settings.columns, table, label=True)
    rows, events = _sizes(summing, table)
    values = None if table is None else table.values
    edges = column_edges(summing, len(settings.columns), values, bins=settings.bins)
    start = float(np.log(events / (rows - events)))
    own = None if table is None else _own_rows(edges, table, start)
    growing = _Growing(summing, settings, edges, _Units(rows))
    trees = tuple(growing.one_tree(own) for _ in range(settings.trees))
    return BoostFit(BoostedTrees(settings.columns, start, trees), rows, summing.stayed)


def _sizes(summing: Summing, table: Table | None) -> tuple[int, int]:
    """Rows and events of all institutions."""
    own = None
    if table is not None and table.label is not None:
        own = np.array([len(table.label), int(table.label.sum())], dtype=np.uint64)
    total = summing.sum(own, length=2, what="rows and events", reason="start of boosting", to_all=True)
    rows, events = (0, 0) if total is None else (int(total[0]), int(total[1]))
    if not 0 < events < rows:
        raise one_class()
    if row_bits(rows) > _MOST_ROW_BITS:
        raise too_many_rows(rows, 1 << _MOST_ROW_BITS)
    return rows, events


def _own_rows(edges: list[Reals], table: Table, start: float) -> _Rows:
    count = len(table.values)
    nothing = np.zeros(count)
    return _Rows(
        codes=bin_codes(edges, table.values),
        widths=np.array([len(cuts) + 2 for cuts in edges]),
        label=nothing if table.label is None else table.label,
        logits=np.full(count, start),
        node=np.zeros(count, dtype=np.intp),
        gradient=nothing,
        curvature=nothing,
    )


@dataclass(frozen=True)
class _Growing:
    """Grows one tree after another, at any party."""

    summing: Summing
    settings: FederatedBoostSettings
    edges: list[Reals]
    units: _Units

    def one_tree(self, own: _Rows | None) -> Tree:
        """One tree, told to all; the own rows take it in."""
        settings, summing = self.settings, self.summing
        leaves = Leaves(settings.rate, settings.l2, settings.min_rows, settings.min_curvature)
        growth = Growth(self.edges, leaves, settings.depth)
        if own is not None:
            own.begin(self.units)
        wanted: Ints = np.zeros(1, dtype=np.int64)
        before: tuple[Role, ...] = ()
        while len(wanted):
            histograms = self._histograms(own, wanted, growth.cells)
            given = None
            if histograms is not None:
                splits = growth.grow(wanted, histograms, same_rows=summing.stayed == before)
                before, given = summing.stayed, splits.arrays()
            told = Splits(*summing.tell_arrays("federated.splits", [ArraySpec("<i8", (None,))] * 5, given))
            if own is not None:
                own.move(told)
            wanted = told.wanted
        tree = summing.tell("federated.tree", Tree, growth.tree() if summing.is_coordinator else None)
        if own is not None:
            own.end(tree)
        return tree

    def _histograms(self, own: _Rows | None, nodes: Ints, cells: int) -> Reals | None:
        """Of some nodes, over all rows: ``(m, cells, 3)`` at the coordinator."""
        units, size = self.units, len(nodes) * cells
        words = None if own is None else own.histogram(nodes, units)
        total = self.summing.sum(
            words, length=_KINDS * size, what="histograms of gradients", reason="a level of a tree"
        )
        if total is None:
            return None
        gradient, packed = total.view(np.int64).reshape(_KINDS, len(nodes), cells)
        rows = packed >> units.shift
        curvature = (packed - (rows << units.shift)) * 2.0**-units.curvature
        return np.stack([gradient * 2.0**-units.gradient, curvature, rows.astype(np.float64)], axis=-1)
