"""Joint gradient-boosted trees of two owners with a helper: gradients, histograms, membership and scores of the
training rows stay shared.

Statement
    Parties: asker (its own columns and the label), provider (its own columns), helper.
    Who learns what: both owners learn the settings, and for each node of each tree whose column splits it or
    that none does. The owner of that column learns which column and threshold. If trees stop early, both
    owners learn after each tree whether the held-out loss fell. Leaf weights stay shared, or the asker learns
    them if the grant says so. If asked for, each owner learns the total gain of each of its own columns.
    Nobody learns a gradient, a sum, a gain of a split, the size of a bin or of a node, a row's leaf or a
    row's score. The helper learns the shapes, and how many trees there are.
    Assumption: as `tongzhou.secure.aided`.
    Cost: with n rows, d columns and trees of depth D, a tree takes about 9 n d (1 + 2^(D-2)) bytes for its
    histograms, n (170 + 14 * 2^D) for the logistic function and for membership, and 36 D + 12 rounds.
    Papers: Chen and Guestrin, XGBoost (KDD 2016); on shared values: Fang, Zhao, Tan, Chen, Yu, Wang, Wang, Zhou
    and Yin, Large-scale secure XGB for vertical federated learning (CIKM 2021). What an open partition
    tells: Weng, Zhang, Xue, Wei, Ji and Zong, Privacy leakage of real-world vertical federated learning
    (arXiv 2011.09290); Takahashi, Liu and Liu, Eliminating label leakage in tree-based vertical federated
    learning (arXiv 2307.10318).

Fixed point. With at most 2^L rows (L at least 15), gradients have 29 - L fractional bits and curvatures 31 - L, so
that any sum over rows stays below 2^30: a gradient is below 2, a curvature below a half. To each row's curvature
one part in 128 of its absolute gradient is added, so that no leaf weight and no number on the way to a split
leaves its range, whatever the data are; on calibrated scores this makes leaf weights 1.5 % smaller. The score of a row is a
number modulo 2^64 of which the window of the logistic function is one turn (see `staircase`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError, ProtocolError
from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.boost_model import BoostModel, OwnSplit, OwnTree
from tongzhou.secure.boost_settings import (
    FLOOR_BITS,
    LARGEST_WEIGHT_BITS,
    BoostFormat,
    BoostSettings,
    LeafOpening,
    check_boost,
)
from tongzhou.secure.bounds import WEIGHT_BITS, Bounds, clamped, narrowed, unbounded
from tongzhou.secure.choices import Choice, choose, open_choice
from tongzhou.secure.cuts import MISSING, Cuts, bin_rows, cut_columns
from tongzhou.secure.gains import column_gains, split_gains
from tongzhou.secure.halves import Halved, Halves, reduced
from tongzhou.secure.histograms import Column, RunShape, hide_columns, histograms
from tongzhou.secure.logistic import OwnerBlock
from tongzhou.secure.lookups import Bits, open_bits
from tongzhou.secure.operands import multiply, open_operands
from tongzhou.secure.party import OWNERS, Role
from tongzhou.secure.prg import Stream
from tongzhou.secure.reciprocals import REST_BITS
from tongzhou.secure.refusals import no_label, one_class
from tongzhou.secure.ring import Reals, encode
from tongzhou.secure.shared import Shared
from tongzhou.secure.signs import negative
from tongzhou.secure.splits import NOBODY, Candidates, Found, Level, best_splits, children, constant, root
from tongzhou.secure.staircase import LINE_BITS, mask_angles
from tongzhou.wire.messages import ArraySpec

__all__ = ["Boosted", "Boosting", "base_score", "boost", "check_block", "sampled"]

_DEALT_BITS = 22
_LOSS_WIDTH = 60


@dataclass
class Boosting:
    """A training under way.

    Attributes:
        engine: who computes.
        settings: as agreed.
        block: this owner's rows; ``None`` at the helper.
        cuts: this owner's cuts.
        codes: this owner's bins.
        columns: all columns as the histograms need them.
        scores: shared score of each row.
        label: the asker's label as shared bits.
        trees: what this owner knows of the trees.
        best: how many trees had the lowest held-out loss.
        gains: shared gains of the splits of each tree, if they are asked for.
    """

    engine: AidedEngine
    settings: BoostSettings
    block: OwnerBlock | None
    cuts: list[Cuts]
    codes: list[NDArray[np.uint8]]
    columns: list[Column]
    scores: Shared
    label: Choice
    trees: list[OwnTree] = field(default_factory=list)
    best: int = 0
    gains: list[Shared] = field(default_factory=list)
    _least: Shared | None = None

    @property
    def own_directions(self) -> tuple[int, ...]:
        """Directions of this owner's columns."""
        split = self.settings.asker_columns
        every = self.settings.monotone
        return every[:split] if self.engine.party.role == "asker" else every[split:]

    @property
    def form(self) -> BoostFormat:
        """The number format."""
        return BoostFormat.of(self.settings)


@dataclass(frozen=True)
class Boosted:
    """What an owner holds after training.

    Attributes:
        model: its part of the model.
        gains: total gain of each of its columns ``(d,)``, if asked for.
    """

    model: BoostModel
    gains: Reals | None


def boost(
    engine: AidedEngine,
    settings: BoostSettings,
    block: OwnerBlock | None,
    *,
    leaves: LeafOpening = "shared",
    gains: bool = False,
) -> Boosted | None:
    """Train; every party calls it with the same settings, owners with their block.

    Args:
        engine: who computes.
        settings: as agreed.
        block: this owner's rows; ``None`` at the helper.
        leaves: whether leaf weights are opened to the asker.
        gains: whether each owner learns the total gain of its columns.

    Returns:
        ``None`` at the helper.

    Raises:
        PlanError: a setting is out of range.
        DataError: the block does not fit the settings, or the label is of one class.
    """
    check_boost(settings)
    if block is not None:
        check_block(settings, block, engine.party.role)
    training = _prepare(engine, settings, block)
    patience = 0
    for place in range(settings.trees + 1):
        gradients, loss = _gradients(training)
        if settings.patience:
            patience = 0 if _fell(training, loss) else patience + 1
        if not _goes_on(engine, place < settings.trees and (patience < settings.patience or not settings.patience)):
            break
        _add_tree(training, place, gradients, gains=gains)
    if not settings.patience:
        training.best = place
    opened = None
    if gains:
        kept = slice(training.best)
        opened = column_gains(engine, settings, training.trees[kept], training.gains[kept])
    model = _model(training, leaves)
    return None if model is None else Boosted(model, opened)


def check_block(settings: BoostSettings, block: OwnerBlock, role: Role) -> None:
    """Refuse a block that is not what was agreed.

    Raises:
        DataError: shape or label do not fit.
    """
    agreed = settings.asker_columns if role == "asker" else settings.provider_columns
    rows, columns = block.values.shape
    if (rows, columns) != (settings.rows, agreed):
        raise DataError(
            "the block has {rows} rows and {columns} columns; {agreed_rows} and {agreed} were agreed",
            rows=rows,
            columns=columns,
            agreed_rows=settings.rows,
            agreed=agreed,
        )
    if role != "asker":
        return
    if block.label is None:
        raise no_label()
    if len(block.label) != rows:
        raise DataError("there are {labels} labels for {rows} rows", labels=len(block.label), rows=rows)
    if not 0 < float(block.label[: settings.trained_rows].mean()) < 1:
        raise one_class()


def base_score(settings: BoostSettings, block: OwnerBlock) -> float:
    """Log-odds of the event among the asker's training rows, as a multiple of the score's unit."""
    if block.label is None:
        raise no_label()
    rate = float(block.label[: settings.trained_rows].mean())
    unit = 2.0 ** BoostFormat.of(settings).score
    return round(math.log(rate / (1 - rate)) * unit) / unit


def sampled(settings: BoostSettings, tree: int) -> tuple[tuple[int, ...], NDArray[np.bool_]]:
    """Columns and rows that a tree looks at, from the public seed; never the held-out rows."""
    rows = np.zeros(settings.rows, dtype=np.bool_)
    rows[: settings.trained_rows] = True
    columns = tuple(range(settings.columns))
    if settings.column_share == settings.row_share == 1:
        return columns, rows
    stream = Stream(hashlib.sha256(f"tongzhou boost {settings.seed} {tree}".encode()).digest())
    drawn = stream.permutation(settings.columns)[: math.ceil(settings.column_share * settings.columns)]
    left_out = stream.permutation(settings.trained_rows)[math.ceil(settings.row_share * settings.trained_rows) :]
    rows[left_out] = False
    return tuple(sorted(int(column) for column in drawn)), rows


# --- before the first tree ---------------------------------------------------------------------------------


def _prepare(engine: AidedEngine, settings: BoostSettings, block: OwnerBlock | None) -> Boosting:
    form, rows = BoostFormat.of(settings), settings.rows
    cuts = [] if block is None else cut_columns(block.values[: settings.trained_rows], settings.bins)
    codes = [] if block is None else bin_rows(cuts, block.values)
    counts = {"asker": settings.asker_columns, "provider": settings.provider_columns}
    columns = hide_columns(engine, RunShape(rows, settings.bins), counts, codes)
    first, bits = None, None
    if engine.is_owner:
        bits = np.zeros(rows, dtype=np.uint8)
    if block is not None and block.label is not None:
        first = np.full(rows, round(base_score(settings, block) * 2.0**form.score) % (1 << 64), dtype=np.uint64)
        bits = block.label.astype(np.uint8)
    label = open_choice(engine, bits, (rows,))
    scores = engine.own("asker", (rows,), first)
    return Boosting(engine, settings, block, cuts, codes, columns, scores, label)


def _goes_on(engine: AidedEngine, more: bool) -> bool:
    """The asker tells the helper whether there is another tree; so the helper never runs far ahead."""
    party = engine.party
    if not party.is_owner:
        return party.link("asker").recv("boost.next", bool)[0]
    if party.role == "asker":
        party.link("helper").send("boost.next", more)
    return more


# --- gradients ---------------------------------------------------------------------------------------------


def _gradients(training: Boosting) -> tuple[Halved, Halved]:
    """Gradient and curvature of each row, ``(2, n)``, and the residuals ``(n,)`` for the loss."""
    engine, form = training.engine, training.form
    staircase = training.settings.staircase
    scores = training.scores
    angles = mask_angles(engine, scores.scaled(1 << (staircase.logit_bits - form.score)))
    risen, slope = (
        angles.sum(series, dealt_bits=_DEALT_BITS, bits=form.series)
        for series in (staircase.sigmoid, staircase.slope)
    )
    line = round(staircase.line * 2.0**LINE_BITS)
    half = np.full(scores.shape, 1 << (form.series - 1), dtype=np.uint64)
    chance = engine.add_public(risen + scores.scaled(line), half)
    gradient = reduced(engine, _less_label(training, chance), form.series - form.gradient)
    constant_slope = (line << (form.series - LINE_BITS)) + (1 << (form.series - FLOOR_BITS))
    slope = engine.add_public(slope, np.full(scores.shape, constant_slope, dtype=np.uint64))
    curvature = reduced(engine, slope, form.series - form.curvature) + _absolute(training, chance)
    share = None
    if gradient.share is not None and curvature.share is not None:
        share = np.stack([gradient.share, curvature.share])
    return Halved((2, *scores.shape), share), gradient


def _less_label(training: Boosting, chance: Shared) -> Shared:
    block = training.block
    if block is None or block.label is None:
        return chance
    return training.engine.add_public(chance, encode(-block.label, training.form.series))


def _absolute(training: Boosting, chance: Shared) -> Halved:
    """One part in 128 of each row's absolute gradient: of ``y + p - 2 y p``."""
    engine, form = training.engine, training.form
    # A unit of the curvature is 128 units here.
    coarse = reduced(engine, chance, form.series - (form.curvature - LARGEST_WEIGHT_BITS))
    kept = choose(engine, training.label, coarse)
    total = coarse - kept.scaled(2)
    block = training.block
    if total.share is None or block is None or block.label is None:
        return total
    one = np.uint32(1 << (form.curvature - LARGEST_WEIGHT_BITS))
    return Halved(total.shape, total.share + block.label.astype(np.uint32) * one)


def _fell(training: Boosting, residuals: Halved) -> bool:
    """Whether the sum of squared residuals of the held-out rows is the lowest so far; opened to both owners."""
    engine, settings = training.engine, training.settings
    (opened,) = open_operands(engine, residuals.sliced(slice(settings.trained_rows, None)))
    (squares,) = multiply(engine, [(1, opened, opened)])
    share = None if squares.share is None else squares.share.sum(keepdims=True)
    loss = Shared((1,), share)
    if training._least is None:
        training._least = loss
        return True
    bit = open_bits(engine, "held-out loss", negative(engine, loss - training._least, _LOSS_WIDTH), (1,))
    fell = bool(bit[0])
    engine.party.record("whether the held-out loss fell", 1, OWNERS, "when to stop")
    if fell:
        training._least, training.best = loss, len(training.trees)
    return fell


# --- one tree ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Known:
    """What the owners know of the splits of a level.

    Attributes:
        owners: role of each node's split, or an empty text.
        splits: own splits.
        bits: shares ``(k, n)`` of which rows go left.
        directions: shares ``(2, k)`` of whether scores rise, or fall, with the column of the split.
    """

    owners: list[str]
    splits: list[OwnSplit | None]
    bits: Bits
    directions: Bits

    @property
    def split(self) -> NDArray[np.bool_]:
        """Which nodes are split at all, ``(k,)``."""
        return np.array([bool(owner) for owner in self.owners])


def _add_tree(training: Boosting, place: int, gradients: Halved, *, gains: bool) -> None:
    """Grow one tree and add it to the scores."""
    engine, settings = training.engine, training.settings
    columns, rows = sampled(settings, place)
    candidates = Candidates(settings, columns)
    chosen = [training.columns[column] for column in columns]
    members = _members(gradients, rows)
    sums = histograms(engine, chosen, members)
    levels = [root(engine, settings, *_totals(members))]
    bounds = unbounded(engine) if any(settings.monotone) else None
    knowledge: list[_Known] = []
    choices: list[Choice] = []
    for depth in range(settings.depth):
        found = best_splits(engine, settings, candidates, levels[-1], sums)
        known = _open_splits(training, candidates, found)
        levels.append(children(engine, settings, levels[-1], found, None if known is None else known.split))
        if bounds is not None:
            directions = None if known is None else known.directions
            bounds = narrowed(engine, settings, bounds, levels[-1], directions)
        choices.append(
            open_choice(engine, None if known is None else known.bits, (1 << depth, settings.rows))
        )
        if depth + 1 < settings.depth:
            left = choose(engine, choices[-1], members)
            sums = _paired(histograms(engine, chosen, left), sums, axis=0)
            members = _paired(left, members, axis=1)
        knowledge += [] if known is None else [known]
    leaves = _leaves(engine, settings, levels[-1], bounds)
    if leaves.share is not None:
        training.trees.append(_own_tree(knowledge, leaves.share))
    if gains:
        training.gains.append(split_gains(engine, settings, levels))
    _add_scores(training, choices, leaves)


def _own_tree(knowledge: Sequence[_Known], leaves: Halves) -> OwnTree:
    return OwnTree(
        tuple(owner for known in knowledge for owner in known.owners),
        tuple(split for known in knowledge for split in known.splits),
        tuple(leaves.tolist()),
    )


def _members(gradients: Halved, rows: NDArray[np.bool_]) -> Halved:
    """Gradients of the rows that take part, ``(2, 1, n)``."""
    lanes, count = gradients.shape
    if gradients.share is None:
        return Halved((lanes, 1, count), None)
    return Halved((lanes, 1, count), (gradients.share * rows)[:, np.newaxis])


def _totals(members: Halved) -> tuple[Halved, Halved]:
    if members.share is None:
        return Halved((1,), None), Halved((1,), None)
    first, second = members.share.sum(axis=2, dtype=np.uint32)
    return Halved((1,), first), Halved((1,), second)


def _paired(left: Halved, whole: Halved, axis: int) -> Halved:
    """Left and right parts in turn along an axis; the right part is the whole less the left."""
    shape = (*whole.shape[:axis], 2 * whole.shape[axis], *whole.shape[axis + 1 :])
    if left.share is None or whole.share is None:
        return Halved(shape, None)
    both = np.stack([left.share, whole.share - left.share], axis=axis + 1)
    return Halved(shape, both.reshape(shape))


def _open_splits(training: Boosting, candidates: Candidates, found: Found) -> _Known | None:
    """Open whose split each node has, and to its owner which it is."""
    engine = training.engine
    if found.owner.share is None or found.code.share is None:
        return None
    party, role = engine.party, engine.party.role
    nodes = found.owner.shape[0]
    party.record("whose column splits a node", nodes, OWNERS, "each owner applies its own splits")
    codes = _swap(engine, "owner", found.owner.share, found.owner.share)
    if int(codes.max()) > len(OWNERS):
        raise ProtocolError("{peer} sent shares that name no owner of a split", peer=party.peer.peer)
    names = ["" if code == NOBODY else OWNERS[code - 1] for code in codes]
    own = np.array([name == role for name in names])
    party.record("column and threshold of a split", int((codes == 1).sum()), ("asker",), "its own column")
    party.record("column and threshold of a split", int((codes == 2).sum()), ("provider",), "its own column")
    others = (codes != NOBODY) & ~own
    meanings = _swap(engine, "split", found.code.share[own], found.code.share[others])
    splits: list[OwnSplit | None] = [None] * nodes
    bits = np.zeros((nodes, training.settings.rows), dtype=np.uint8)
    if role == "asker":
        bits[codes == NOBODY] = 1
    directions = np.zeros((2, nodes), dtype=np.uint8)
    for node, code in zip(np.flatnonzero(own), meanings, strict=True):
        split, bits[node] = _own_split(training, candidates, int(code))
        direction = training.own_directions[split.column]
        splits[node], directions[:, node] = split, (direction > 0, direction < 0)
    return _Known(names, splits, bits, directions)


def _swap(engine: AidedEngine, what: str, own: Halves, given: Halves) -> Halves:
    """Give the other owner shares of its numbers, and complete the own."""
    peer = engine.party.peer
    peer.send(f"open.{what}", None, [np.ascontiguousarray(given)])
    _, (theirs,) = peer.recv(f"open.{what}", None, [ArraySpec("<u4", own.shape)])
    total: Halves = own + theirs
    return total


def _own_split(training: Boosting, candidates: Candidates, code: int) -> tuple[OwnSplit, Bits]:
    """What the opened code says, and which rows it sends left."""
    column, last, missing_left = candidates.meaning(code)
    if column >= len(training.codes) or last >= training.settings.bins - 1:
        raise ProtocolError(
            "{peer} sent a share that names no column of {role}",
            peer=training.engine.party.peer.peer,
            role=training.engine.party.role,
        )
    codes = training.codes[column]
    bits = codes <= last
    if not missing_left:
        bits &= codes != MISSING
    # Where no value was missing both sides are as good; left it is, in every mode.
    missing_left = missing_left or not bool((codes[: training.settings.trained_rows] == MISSING).any())
    split = OwnSplit(column, training.cuts[column].threshold(last), missing_left)
    return split, bits.astype(np.uint8)


def _leaves(
    engine: AidedEngine, settings: BoostSettings, level: Level, bounds: Bounds | None
) -> Halved:
    """Leaf weights times the learning rate.

    The inverse that came with the split is made exact by one step of Newton's iteration: y (2 - a y).
    """
    form = BoostFormat.of(settings)
    penalty = np.full(1, round(settings.l2 * 2.0**form.curvature), dtype=np.uint32)
    weight, inverted = open_operands(engine, level.curvature + constant(engine, penalty), level.inverse)
    (product,) = multiply(engine, [(1, weight, inverted)])
    bits = form.curvature + form.scale
    two = np.full(product.shape, 2 << bits, dtype=np.uint64)
    rest = reduced(engine, engine.add_public(product.scaled(-1), two), bits - REST_BITS)
    (factor,) = open_operands(engine, rest)
    (exact,) = multiply(engine, [(1, inverted, factor)])
    final, gradient = open_operands(
        engine, reduced(engine, exact, form.scale + REST_BITS - form.inner), level.gradient
    )
    (leaf,) = multiply(engine, [(-1, final, gradient)])
    if bounds is not None:
        plain = reduced(engine, leaf, form.inner + form.gradient - WEIGHT_BITS)
        (kept,) = open_operands(engine, clamped(engine, plain, bounds))
        leaf = kept.lifted(engine).scaled(1 << (form.inner + form.gradient - WEIGHT_BITS))
    drop = form.inner + form.gradient + form.rate - form.score
    return reduced(engine, leaf.scaled(settings.rate_units), drop)


def _add_scores(training: Boosting, choices: Sequence[Choice], leaves: Halved) -> None:
    """Give each row the weight of its leaf: from the lowest level up, left or right as its bit says."""
    engine = training.engine
    values = leaves.reshaped(leaves.shape[0], 1)
    for choice in reversed(choices):
        left, right = values.sliced(slice(0, None, 2)), values.sliced(slice(1, None, 2))
        values = right + choose(engine, choice, left - right)
    (opened,) = open_operands(engine, values.reshaped(values.shape[1]))
    training.scores = training.scores + opened.lifted(engine)


# --- after the last tree -----------------------------------------------------------------------------------


def _model(training: Boosting, leaves: LeafOpening) -> BoostModel | None:
    """This owner's part, of the trees up to the lowest held-out loss."""
    engine, block = training.engine, training.block
    trees = training.trees[: training.best]
    if leaves == "asker":
        trees = _open_leaves(training, trees)
    if block is None:
        return None
    return BoostModel(
        role=engine.party.role,
        columns=tuple(block.names),
        depth=training.settings.depth,
        bits=training.form.score,
        base=base_score(training.settings, block) if block.label is not None else 0.0,
        trees=tuple(trees),
        opened=leaves == "asker",
    )


def _open_leaves(training: Boosting, trees: list[OwnTree]) -> list[OwnTree]:
    """The provider hands its shares of the leaves to the asker and keeps zeros."""
    party = training.engine.party
    if not party.is_owner:
        return trees
    shares = np.array([tree.leaves for tree in trees], dtype=np.uint32).reshape(len(trees), -1)
    party.record("leaf weights", shares.size, ("asker",), "grant: leaves")
    if party.role == "provider":
        party.peer.send("open.leaves", None, [shares])
        kept = np.zeros_like(shares)
    else:
        _, (theirs,) = party.peer.recv("open.leaves", None, [ArraySpec("<u4", shares.shape)])
        kept = shares + theirs
    return [OwnTree(tree.owners, tree.splits, tuple(row)) for tree, row in zip(trees, kept.tolist(), strict=True)]
