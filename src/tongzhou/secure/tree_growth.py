"""How a tree grows from summed histograms: which nodes to sum, where to split them, what the leaves say.

Nothing here sends anything or sees a row; `tongzhou.secure.federated_boost` brings the histograms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.federated_trees import LEAF, Tree, left_child
from tongzhou.secure.ring import Reals

__all__ = ["Growth", "Leaves", "Splits"]

Ints = NDArray[np.int64]

_GRADIENT, _CURVATURE, _ROWS = range(3)
_NO_LIMIT: Final = float(np.finfo(np.float64).max)


@dataclass(frozen=True)
class Leaves:
    """What a leaf must have, and how its value is made.

    Attributes:
        rate: what of the best step is taken.
        l2: added to the curvature.
        min_rows: fewest rows.
        min_curvature: least curvature.
    """

    rate: float
    l2: float
    min_rows: int
    min_curvature: float

    def score(self, sums: Reals) -> Reals:
        """How much a leaf with these sums ``(…, 3)`` lowers the loss, twice."""
        below = sums[..., _CURVATURE] + self.l2
        above = sums[..., _GRADIENT] ** 2
        return np.divide(above, below, out=np.zeros(below.shape), where=below > 0)

    def allows(self, sums: Reals) -> NDArray[np.bool_]:
        """Whether there may be such a leaf."""
        enough: NDArray[np.bool_] = (sums[..., _ROWS] >= self.min_rows) & (
            sums[..., _CURVATURE] >= self.min_curvature
        )
        return enough

    def value(self, sums: Reals) -> float:
        """What a leaf with these sums ``(3,)`` adds to the log odds."""
        below = float(sums[_CURVATURE]) + self.l2
        return -self.rate * float(sums[_GRADIENT]) / below if below > 0 else 0.0


@dataclass(frozen=True)
class Splits:
    """Nodes of one level that are split, and the nodes whose histograms are wanted next.

    Attributes:
        nodes: ``(k,)``.
        columns: ``(k,)`` which decides.
        cuts: ``(k,)`` last bin that goes left.
        missing_left: ``(k,)`` 1 where missing values go left.
        wanted: ``(m,)`` children to sum up.
    """

    nodes: Ints
    columns: Ints
    cuts: Ints
    missing_left: Ints
    wanted: Ints

    def arrays(self) -> list[Ints]:
        """In the order of the fields."""
        return [self.nodes, self.columns, self.cuts, self.missing_left, self.wanted]


class Growth:
    """One tree while it grows.

    Args:
        edges: of each column.
        leaves: what is asked of a leaf.
        depth: splits from the root to a leaf, at most.
    """

    def __init__(self, edges: Sequence[Reals], leaves: Leaves, depth: int) -> None:
        self._edges = edges
        self._leaves = leaves
        self._depth = depth
        bins = np.array([len(cuts) + 1 for cuts in edges])
        first = np.cumsum([0, *(bins + 1)])
        self.cells = int(first[-1])
        """Cells of all columns, the missing ones included."""
        place = np.arange(bins.max())
        self._real = place < bins[:, None]
        # Places beyond a column's bins point at a cell of zeros after all others.
        self._values = np.where(self._real, first[:-1, None] + place, self.cells)
        self._missing = first[:-1] + bins
        self._sums: dict[int, Reals] = {}
        self._open: dict[int, Reals] = {}
        self._parents: dict[int, Reals] = {}
        self._size = 2 ** (depth + 1) - 1
        self._columns = np.full(self._size, LEAF)
        self._limits = np.zeros(self._size)
        self._missing_left = np.zeros(self._size, dtype=bool)

    def grow(self, wanted: Ints, histograms: Reals, *, same_rows: bool) -> Splits:
        """Split a level.

        Args:
            wanted: nodes that were to be summed: the root, or what the last splits wanted.
            histograms: ``(m, cells, 3)`` their gradients, curvatures and rows.
            same_rows: whether all institutions of the level before are in these sums. If not, nothing can be
                subtracted, and nodes of which there is no histogram stay leaves.
        """
        self._open = {}
        for node, histogram in zip(wanted.tolist(), histograms, strict=True):
            self._open[node] = histogram
            parent = self._parents.get((node - 1) // 2) if node else None
            if parent is not None and same_rows:
                self._open[node + 1 if node % 2 else node - 1] = parent - histogram
        self._parents = {}
        if not self._sums:
            self._sums[0] = self._total(histograms[0])
        nodes = sorted(node for node in self._open if self._may_split(node))
        if not nodes:
            return self._none()
        found = self._best(np.stack([self._open[node] for node in nodes]))
        return self._take(nodes, *found)

    def tree(self) -> Tree:
        """The tree as it is."""
        values = np.zeros(self._size)
        for node, sums in self._sums.items():
            if self._columns[node] == LEAF:
                values[node] = self._leaves.value(sums)
        last = max(self._sums) + 1
        return Tree(
            tuple(self._columns[:last].tolist()),
            tuple(self._limits[:last].tolist()),
            tuple(self._missing_left[:last].tolist()),
            tuple(values[:last].tolist()),
        )

    def _total(self, histogram: Reals) -> Reals:
        """Sums of a node: those of any column's cells."""
        total: Reals = histogram[: int(self._missing[0]) + 1].sum(axis=0)
        return total

    def _may_split(self, node: int) -> bool:
        deep = left_child(node) >= self._size
        return not deep and float(self._sums[node][_ROWS]) >= 2 * self._leaves.min_rows

    def _best(self, histograms: Reals) -> tuple[Ints, Ints, NDArray[np.bool_], Reals, Reals]:
        """For each node the best column, cut, side of the missing; sums of its left child; the gain."""
        count = len(histograms)
        padded = np.concatenate([histograms, np.zeros((count, 1, 3))], axis=1)
        missing = padded[:, self._missing]
        total = (padded[:, self._values[0]].sum(axis=1) + missing[:, 0])[:, None, None, None]
        below = np.cumsum(padded[:, self._values], axis=2)
        # (nodes, columns, cuts, missing to the right or left, 3)
        left = np.stack([below, below + missing[:, :, None]], axis=3)
        right = total - left
        gain = self._leaves.score(left) + self._leaves.score(right) - self._leaves.score(total)
        allowed = self._leaves.allows(left) & self._leaves.allows(right) & self._real[None, :, :, None]
        flat = np.where(allowed, gain, -np.inf).reshape(count, -1)
        best = flat.argmax(axis=1)
        rows = np.arange(count)
        columns, cuts, sides = np.unravel_index(best, gain.shape[1:])
        chosen = left.reshape(count, -1, 3)[rows, best]
        # Where no value is missing, a missing one of later goes with most rows.
        more_left = 2 * chosen[:, _ROWS] > total[:, 0, 0, 0, _ROWS]
        none_missing = missing[rows, columns, _ROWS] == 0
        missing_left = np.where(none_missing, more_left, sides == 1)
        return columns, cuts, missing_left, chosen, flat[rows, best]

    def _take(
        self,
        nodes: list[int],
        columns: Ints,
        cuts: Ints,
        missing_left: NDArray[np.bool_],
        left: Reals,
        gain: Reals,
    ) -> Splits:
        """Make the splits that gain, and say which children are to be summed."""
        made = np.flatnonzero(gain > 0).tolist()
        wanted: list[int] = []
        for place in made:
            node, column, cut = nodes[place], int(columns[place]), int(cuts[place])
            edges = self._edges[column]
            self._columns[node] = column
            self._limits[node] = edges[cut] if cut < len(edges) else _NO_LIMIT
            self._missing_left[node] = missing_left[place]
            child = left_child(node)
            self._sums[child] = left[place]
            self._sums[child + 1] = self._sums[node] - left[place]
            if self._may_split(child) or self._may_split(child + 1):
                fewer = self._sums[child][_ROWS] <= self._sums[child + 1][_ROWS]
                wanted.append(child if fewer else child + 1)
                self._parents[node] = self._open[node]
        chosen = np.array(nodes, dtype=np.int64)[made]
        return Splits(
            chosen,
            columns[made].astype(np.int64),
            cuts[made].astype(np.int64),
            missing_left[made].astype(np.int64),
            np.array(wanted, dtype=np.int64),
        )

    def _none(self) -> Splits:
        empty = np.zeros(0, dtype=np.int64)
        return Splits(empty, empty, empty, empty, empty)
