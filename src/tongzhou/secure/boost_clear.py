"""Boosted trees in one process, in the clear: the reference that every protected mode must equal.

Statement
    Parties: one process that holds both owners' data.
    Who learns what: that process learns everything. Nothing is protected.
    For: tests, teaching and baselines.

The formulas are those of `tongzhou.secure.boosting` and `splits`, in float64 and with divisions.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.boost_model import BoostModel, OwnSplit, OwnTree
from tongzhou.secure.boost_rows import base_score
from tongzhou.secure.boost_settings import (
    FLOOR_BITS,
    LARGEST_WEIGHT_BITS,
    BoostFormat,
    BoostSettings,
    check_boost,
)
from tongzhou.secure.boost_tree import sampled
from tongzhou.secure.boosting import check_block
from tongzhou.secure.cuts import MISSING, Cuts, bin_rows, cut_columns
from tongzhou.secure.logistic import OwnerBlock
from tongzhou.secure.party import OWNERS, Role
from tongzhou.secure.refusals import no_label
from tongzhou.secure.ring import Reals
from tongzhou.secure.splits import SMALLEST_GAIN, Candidates

__all__ = ["ClearBoost", "ClearTree", "boost_clear", "score_boost_clear"]

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class ClearTree:
    """One tree in the clear.

    Attributes:
        splits: of each inner node, level by level: role, own split and gain; ``None`` where none is worth it.
        weights: ``(leaves,)``, the learning rate included.
    """

    splits: list[tuple[Role, OwnSplit, float] | None]
    weights: Reals


@dataclass(frozen=True)
class ClearBoost:
    """A model in the clear: both owners' parts, and all that a protected mode does not tell.

    Attributes:
        asker, provider: their parts; the asker's holds the leaf weights, the provider's zeros.
        trees: all trees.
        losses: mean squared residual of the held-out rows before each tree, and after the last.
    """

    asker: BoostModel
    provider: BoostModel
    trees: list[ClearTree]
    losses: list[float]

    def gains(self, role: Role) -> Reals:
        """Total gain of each of an owner's columns."""
        model = self.asker if role == "asker" else self.provider
        totals = np.zeros(len(model.columns))
        for tree in self.trees:
            for split in tree.splits:
                if split is not None and split[0] == role:
                    totals[split[1].column] += split[2]
        return totals


@dataclass
class _Nodes:
    """The nodes of one level, ``(k,)`` each: sums, and bounds of the leaf weights below."""

    gradient: Reals
    curvature: Reals
    low: Reals
    high: Reals


@dataclass(frozen=True)
class _Data:
    """Both owners' rows in bins."""

    settings: BoostSettings
    cuts: list[Cuts]
    codes: list[NDArray[np.uint8]]
    label: Reals


def boost_clear(settings: BoostSettings, asker: OwnerBlock, provider: OwnerBlock) -> ClearBoost:
    """Train in float64 on both blocks together.

    Raises:
        PlanError: a setting is out of range.
        DataError: a block does not fit the settings, or the label is of one class.
    """
    check_boost(settings)
    check_block(settings, asker, "asker")
    check_block(settings, provider, "provider")
    if asker.label is None:
        raise no_label()
    cuts = [cut_columns(block.values[: settings.trained_rows], settings.bins) for block in (asker, provider)]
    codes = [bin_rows(cuts[0], asker.values), bin_rows(cuts[1], provider.values)]
    data = _Data(settings, cuts[0] + cuts[1], codes[0] + codes[1], asker.label)
    scores = np.full(settings.rows, base_score(settings, asker))
    trees: list[ClearTree] = []
    losses = [_loss(data, scores)]
    while len(trees) < settings.trees and not _stale(settings, losses):
        tree, leaf = _grow(data, scores, len(trees))
        scores = scores + tree.weights[leaf]
        trees.append(tree)
        losses.append(_loss(data, scores))
    if settings.patience:
        trees = trees[: int(np.argmin(losses))]
    base = base_score(settings, asker)
    parts = [
        _part(settings, role, block, trees, base if role == "asker" else 0.0)
        for role, block in (("asker", asker), ("provider", provider))
    ]
    return ClearBoost(parts[0], parts[1], trees, losses)


def score_boost_clear(asker: BoostModel, provider: BoostModel, reached: tuple[Flags, Flags]) -> Reals:
    """Scores from both parts and the leaves that each owner's conditions leave open."""
    weights = (asker.leaf_shares + provider.leaf_shares).view(np.int32) / 2.0**asker.bits
    found: Reals = asker.base + np.where(reached[0] & reached[1], weights, 0.0).sum(axis=(1, 2))
    return found


def _stale(settings: BoostSettings, losses: list[float]) -> bool:
    """Whether the last trees did not bring the held-out loss below what it was before them."""
    since = len(losses) - 1 - int(np.argmin(losses))
    return bool(settings.patience) and since >= settings.patience


def _loss(data: _Data, scores: Reals) -> float:
    start = data.settings.trained_rows
    if start == data.settings.rows:
        return 0.0
    chance = 1 / (1 + np.exp(-scores[start:]))
    return float(np.mean((chance - data.label[start:]) ** 2))


def _grow(data: _Data, scores: Reals, place: int) -> tuple[ClearTree, NDArray[np.int64]]:
    """A tree, and the leaf of every row."""
    settings = data.settings
    columns, rows = sampled(settings, place)
    chance = 1 / (1 + np.exp(-scores))
    gradient = chance - data.label
    curvature = chance * (1 - chance) + np.abs(gradient) / 2.0**LARGEST_WEIGHT_BITS + 2.0**-FLOOR_BITS
    lanes = np.stack([gradient, curvature]) * rows
    reach = np.array([2.0**LARGEST_WEIGHT_BITS])
    gradient_sum, curvature_sum = lanes.sum(axis=1, keepdims=True)
    nodes = _Nodes(gradient_sum, curvature_sum, -reach, reach)
    candidates = Candidates(settings, columns)
    where = np.zeros(settings.rows, dtype=np.int64)
    splits: list[tuple[Role, OwnSplit, float] | None] = []
    for _ in range(settings.depth):
        sums = _histograms(data, columns, lanes, where, len(nodes.gradient))
        best, gains, below = _best(settings, candidates, nodes, sums)
        found = [_split(data, candidates, int(one)) for one in best]
        splits += [
            None if one is None else (*one, float(gain)) for one, gain in zip(found, gains, strict=True)
        ]
        nodes = _children(settings, candidates, nodes, best, below)
        where = 2 * where + _goes_right(data, candidates, best)[where, np.arange(settings.rows)]
    weights = np.clip(-nodes.gradient / (nodes.curvature + settings.l2), nodes.low, nodes.high)
    return ClearTree(splits, weights * settings.rate), where


def _histograms(
    data: _Data, columns: tuple[int, ...], lanes: Reals, where: NDArray[np.int64], nodes: int
) -> Reals:
    """Sums ``(2, k, columns, bins)`` of both lanes."""
    bins = data.settings.bins
    sums = np.zeros((2, nodes, len(columns), bins))
    for place, column in enumerate(columns):
        cells = where * bins + data.codes[column]
        for lane, values in enumerate(lanes):
            sums[lane, :, place] = np.bincount(cells, values, minlength=nodes * bins).reshape(nodes, bins)
    return sums


def _best(
    settings: BoostSettings, candidates: Candidates, nodes: _Nodes, sums: Reals
) -> tuple[NDArray[np.intp], Reals, tuple[Reals, Reals]]:
    """The best candidate of each node, its gain, and the sums of its left child."""
    gradient = candidates.left_sums(sums[0], nodes.gradient)
    curvature = candidates.left_sums(sums[1], nodes.curvature)
    whole_gradient, whole = nodes.gradient[:, np.newaxis], nodes.curvature[:, np.newaxis]
    left, right = curvature + settings.l2, whole - curvature + settings.l2
    lean = gradient * right - (whole_gradient - gradient) * left
    with np.errstate(divide="ignore", invalid="ignore"):
        gains = gradient**2 / left + (whole_gradient - gradient) ** 2 / right
    gains -= whole_gradient**2 / (whole + settings.l2)
    least = settings.min_child_weight
    valid = (curvature >= least) & (whole - curvature >= least) & (lean * candidates.directions >= 0)
    gains[~valid] = -np.inf
    gains[:, 0] = settings.min_gain + SMALLEST_GAIN * nodes.curvature
    best = np.argmax(gains, axis=1)
    every = np.arange(len(best))
    return best, gains[every, best], (gradient[every, best], curvature[every, best])


def _children(
    settings: BoostSettings,
    candidates: Candidates,
    nodes: _Nodes,
    best: NDArray[np.intp],
    left: tuple[Reals, Reals],
) -> _Nodes:
    """The next level; below a split on a monotone column both sides keep apart."""
    gradient = np.stack([left[0], nodes.gradient - left[0]])
    curvature = np.stack([left[1], nodes.curvature - left[1]])
    weights = np.clip(-gradient / np.maximum(curvature + settings.l2, 2.0**-30), nodes.low, nodes.high)
    middle = weights.mean(axis=0)
    direction = candidates.directions[best]
    low, high = np.stack([nodes.low] * 2), np.stack([nodes.high] * 2)
    high[0], low[1] = (np.where(direction > 0, middle, one) for one in (nodes.high, nodes.low))
    high[1], low[0] = (np.where(direction < 0, middle, one) for one in (high[1], low[0]))
    return _Nodes(*(one.T.reshape(-1) for one in (gradient, curvature, low, high)))


def _split(data: _Data, candidates: Candidates, best: int) -> tuple[Role, OwnSplit] | None:
    if best == 0:
        return None
    settings, owner = data.settings, int(candidates.owners[best])
    column, last, missing_left = candidates.meaning(int(candidates.codes[best]))
    place = column + (settings.asker_columns if owner == 2 else 0)
    missing = bool((data.codes[place][: settings.trained_rows] == MISSING).any())
    return OWNERS[owner - 1], OwnSplit(column, data.cuts[place].threshold(last), missing_left or not missing)


def _goes_right(data: _Data, candidates: Candidates, best: NDArray[np.intp]) -> Flags:
    """For each node and row whether the row goes right there, ``(k, n)``."""
    settings = data.settings
    right = np.zeros((len(best), settings.rows), dtype=np.bool_)
    for node, one in enumerate(best):
        if one == 0:
            continue
        column, last, missing_left = candidates.meaning(int(candidates.codes[one]))
        codes = data.codes[column + (settings.asker_columns if candidates.owners[one] == 2 else 0)]
        right[node] = codes > last
        if not missing_left:
            right[node] |= codes == MISSING
    return right


def _part(
    settings: BoostSettings, role: Role, block: OwnerBlock, trees: list[ClearTree], base: float
) -> BoostModel:
    """An owner's part, as a protected mode gives it."""
    bits = BoostFormat.of(settings).score
    known = []
    for tree in trees:
        units = np.rint(tree.weights * 2.0**bits).astype(np.int64).astype(np.uint32)
        known.append(
            OwnTree(
                tuple("" if split is None else split[0] for split in tree.splits),
                tuple(split[1] if split is not None and split[0] == role else None for split in tree.splits),
                tuple((units if role == "asker" else np.zeros_like(units)).tolist()),
            )
        )
    return BoostModel(role, tuple(block.names), settings.depth, bits, base, tuple(known))
