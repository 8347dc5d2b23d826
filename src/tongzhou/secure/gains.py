"""How much each owner's columns gained, opened to their owner only.

Statement
    Parties: asker, provider, helper.
    Who learns what: each owner learns the total gain of each of its own columns over all trees. Which nodes
    these are stays with the owner; the gain of a single split stays shared, unless a column has only one.
    The helper learns the shapes.
    Assumption: as `tongzhou.secure.aided`.
    Cost: two rounds a tree; at the end, with s inner nodes in all trees and d own columns, 8 s (d + 2) bytes
    and three rounds for each owner.

The gain of a split is ``G_l² / (H_l + l2) + G_r² / (H_r + l2) - G² / (H + l2)``: each node adds one term,
its own to the split above and the opposite of it to its own split.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.boost_model import OwnTree
from tongzhou.secure.boost_settings import BoostFormat, BoostSettings
from tongzhou.secure.bounds import WEIGHT_BITS, weights
from tongzhou.secure.halves import reduced
from tongzhou.secure.operands import multiply, open_operands
from tongzhou.secure.party import OWNERS
from tongzhou.secure.ring import Reals, Words, decode
from tongzhou.secure.shared import Shared, join
from tongzhou.secure.splits import Level

__all__ = ["GAIN_BITS", "column_gains", "split_gains"]

GAIN_BITS = 8
"""Fractional bits of a gain."""


def split_gains(engine: AidedEngine, settings: BoostSettings, levels: Sequence[Level]) -> Shared:
    """Shared gains of all inner nodes of a tree, level by level.

    Args:
        engine: who computes.
        settings: as agreed.
        levels: from the root to the leaves.
    """
    form = BoostFormat.of(settings)
    found = [weights(engine, settings, level) for level in levels]
    terms = []
    for weight, level in zip(found, levels, strict=True):
        left, right = open_operands(engine, weight, level.gradient)
        (product,) = multiply(engine, [(1, left, right)])
        term = reduced(engine, product, WEIGHT_BITS + form.gradient - GAIN_BITS)
        (opened,) = open_operands(engine, term)
        terms.append(opened.lifted(engine))
    return join(*(_gain(above, below) for above, below in pairwise(terms)))


def column_gains(
    engine: AidedEngine, settings: BoostSettings, trees: Sequence[OwnTree], gains: Sequence[Shared]
) -> Reals | None:
    """Total gain of each own column ``(d,)``; ``None`` at the helper.

    Args:
        engine: who computes.
        settings: as agreed.
        trees: what this owner knows of the trees; empty at the helper.
        gains: shared gains of each tree, of as many trees.
    """
    if not gains:
        return None if not engine.is_owner else np.zeros(_own_columns(engine, settings))
    total = join(*gains)
    mine: Reals | None = None
    for role, columns in zip(OWNERS, (settings.asker_columns, settings.provider_columns), strict=True):
        if not columns:
            continue
        shape = (columns, total.shape[0])
        words = _matrix(trees, shape) if engine.party.role == role else None
        sums = engine.transpose_times(engine.hide(role, shape, words), total)
        opened = engine.open(
            sums, what=f"gain of each of the {role}'s columns", receivers=(role,), reason="grant: importance"
        )
        if opened is not None:
            mine = decode(opened, GAIN_BITS)
    return mine if mine is not None or not engine.is_owner else np.zeros(0)


def _own_columns(engine: AidedEngine, settings: BoostSettings) -> int:
    return settings.asker_columns if engine.party.role == "asker" else settings.provider_columns


def _gain(above: Shared, below: Shared) -> Shared:
    """What both children have more than their parent."""
    if above.share is None or below.share is None:
        return above
    return Shared(above.shape, below.share.reshape(-1, 2).sum(axis=1, dtype=np.uint64) - above.share)


def _matrix(trees: Sequence[OwnTree], shape: tuple[int, int]) -> Words:
    """One where a node is split on a column."""
    matrix = np.zeros(shape, dtype=np.uint64)
    for node, split in enumerate(split for tree in trees for split in tree.splits):
        if split is not None:
            matrix[split.column, node] = 1
    return matrix
