"""Boosted trees as all institutions hold them, and what a tree says of new rows.

A tree is kept level by level in one list: node i has the children 2 i + 1 (up to the limit) and 2 i + 2.
"""

from typing import Final

import msgspec
import numpy as np

from tongzhou.errors import DataError
from tongzhou.secure.ring import Reals

__all__ = ["LEAF", "BoostedTrees", "Tree", "left_child"]

LEAF: Final = -1
"""In the place of a column: the node is not split."""


class Tree(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tree; all lists have one entry a node.

    Attributes:
        columns: which column decides; `LEAF` where none does.
        limits: values up to the limit go left.
        missing_left: where missing values go.
        values: what a leaf adds to the log odds.
    """

    columns: tuple[int, ...]
    limits: tuple[float, ...]
    missing_left: tuple[bool, ...]
    values: tuple[float, ...]


class BoostedTrees(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model of boosted trees.

    Attributes:
        names: of the columns, in the order of the table.
        start: log odds before the first tree.
        trees: in the order in which they were grown.
    """

    names: tuple[str, ...]
    start: float
    trees: tuple[Tree, ...]

    def logit(self, values: Reals) -> Reals:
        """Log odds of new rows ``(m, d)``; not a number stands for a missing value.

        Raises:
            DataError: another number of columns.
        """
        if values.ndim != 2 or values.shape[1] != len(self.names):
            raise DataError(
                "the rows have {got} columns, the model has {agreed}",
                got=values.shape[-1],
                agreed=len(self.names),
            )
        total = np.full(len(values), self.start)
        for tree in self.trees:
            total += _leaf_values(tree, values)
        return total


def left_child(node: int) -> int:
    """Where the rows with values up to the limit go."""
    return 2 * node + 1


def _leaf_values(tree: Tree, values: Reals) -> Reals:
    columns, limits = np.array(tree.columns), np.array(tree.limits)
    missing_left = np.array(tree.missing_left)
    node = np.zeros(len(values), dtype=np.intp)
    rows = np.arange(len(values))
    while True:
        column = columns[node]
        inner = column != LEAF
        if not inner.any():
            leaves: Reals = np.array(tree.values)[node]
            return leaves
        value = values[rows, np.maximum(column, 0)]
        left = np.where(np.isnan(value), missing_left[node], value <= limits[node])
        node = np.where(inner, 2 * node + 2 - left, node)
