"""A boosted model as each owner keeps it: its own splits, and its shares of the leaves.

Neither owner can score alone. Together they score by `tongzhou.secure.boost_scoring`.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.party import Role
from tongzhou.secure.ring import Reals

__all__ = ["BoostModel", "OwnSplit", "OwnTree", "reachable"]


class OwnSplit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A split on an own column.

    Attributes:
        column: place of the column among the own ones.
        threshold: values up to it go left; ``None``: only missing values do.
        missing_left: whether missing values go left.
    """

    column: int
    threshold: float | None
    missing_left: bool

    def left(self, values: Reals) -> NDArray[np.bool_]:
        """Which rows ``(m, d)`` go left."""
        column = values[:, self.column]
        missing = np.isnan(column)
        if self.threshold is None:
            return missing
        goes: NDArray[np.bool_] = np.where(missing, self.missing_left, column <= self.threshold)
        return goes


class OwnTree(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one owner knows of a tree.

    Attributes:
        owners: whose column splits each inner node, level by level: a role, or an empty text where no split
            was worth it.
        splits: the own splits in the same order; ``None`` at all other nodes.
        leaves: own shares of the leaf weights, from left to right, modulo 2^32.
    """

    owners: tuple[str, ...]
    splits: tuple[OwnSplit | None, ...]
    leaves: tuple[int, ...]


class BoostModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One owner's part of a model.

    Attributes:
        role: whose part.
        columns: names of the own columns, in the order in which rows must bring them.
        depth: splits on the way to a leaf.
        bits: fractional bits of leaf weights.
        base: score before the first tree, in log-odds; zero at the provider.
        trees: what is known of each tree.
        opened: whether the asker's shares are the leaf weights themselves.
    """

    role: Role
    columns: tuple[str, ...]
    depth: int
    bits: int
    base: float
    trees: tuple[OwnTree, ...]
    opened: bool = False

    @property
    def leaf_shares(self) -> NDArray[np.uint32]:
        """Own shares of all leaf weights, ``(trees, leaves)``."""
        return np.array([tree.leaves for tree in self.trees], dtype=np.uint32).reshape(len(self.trees), -1)

    def split_counts(self) -> NDArray[np.int64]:
        """How many splits each own column has."""
        counts = np.zeros(len(self.columns), dtype=np.int64)
        for tree in self.trees:
            for split in tree.splits:
                if split is not None:
                    counts[split.column] += 1
        return counts


def reachable(model: BoostModel, values: Reals) -> NDArray[np.bool_]:
    """Which leaves each row can reach by the own conditions alone, ``(m, trees, leaves)``.

    A node without a split sends all rows left; it is the asker's to say so.

    Args:
        model: an owner's part.
        values: own columns ``(m, d)`` of the rows; not a number stands for missing.
    """
    leaves = 1 << model.depth
    found = np.ones((len(values), len(model.trees), leaves), dtype=np.bool_)
    for place, tree in enumerate(model.trees):
        for node, split in enumerate(tree.splits):
            nobody = model.role == "asker" and not tree.owners[node]
            if split is None and not nobody:
                continue
            left = np.ones(len(values), dtype=np.bool_) if split is None else split.left(values)
            start, middle, stop = _below(node, model.depth)
            found[:, place, start:middle] &= left[:, np.newaxis]
            found[:, place, middle:stop] &= ~left[:, np.newaxis]
    return found


def _below(node: int, depth: int) -> tuple[int, int, int]:
    """Leaves below an inner node: where the left ones begin, where the right ones do, and the end."""
    level = (node + 1).bit_length() - 1
    width = 1 << (depth - level)
    start = (node + 1 - (1 << level)) * width
    return start, start + width // 2, start + width
