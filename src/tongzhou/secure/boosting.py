"""Joint gradient-boosted trees of two owners with a helper.

Statement
    Parties: asker (its own columns and the label), provider (its own columns), helper.
    Who learns what: both owners learn, for each node of each tree, whose column splits it or that none does;
    the owner of that column learns which column and threshold. If trees stop early, both owners learn after
    each tree whether the held-out loss fell. Leaf weights stay shared, or the asker learns them if the grant
    says so. If asked for, each owner learns the total gain of each of its own columns. Nobody learns a
    gradient, a sum, a gain of a split, the size of a bin or of a node, which rows are in a node, or the score
    of a training row. The helper learns the shapes, and how many trees there are.
    Assumption: as `tongzhou.secure.aided`.
    Cost: with n rows, d columns, K harmonics and trees of depth D, a tree takes about 9 n d 2^(D-1) bytes
    for its histograms, 8 n (5 + 4 K) bytes for gradients, 28 n 2^D bytes for membership and scores, and
    41 D + 14 rounds; see `splits` for what the search takes.
    Papers: Chen and Guestrin, XGBoost (KDD 2016). On shared values, with the order of each column permuted by
    dealt randomness: Fang, Zhao, Tan, Chen, Yu, Wang, Wang, Zhou and Zhang, Large-scale secure XGB for
    vertical federated learning (CIKM 2021). Attacks on what others open: Weng and others, arXiv 2011.09290;
    Takahashi, Liu and Liu, arXiv 2307.10318.

Fixed point. With at most 2^L rows (L at least 15), gradients have 29 - L fractional bits and curvatures
31 - L, so that every sum over rows stays below 2^30: a gradient is below 2, a curvature below a half. To each
row's curvature one part in 128 of its absolute gradient is added. So no leaf weight is above 128 and no
number on the way to a split leaves its range, whatever the data are; on calibrated scores leaf weights become
1.5 % smaller. A row's score is a number modulo 2^64; the window of the logistic function is one turn of it
(see `staircase`).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from tongzhou.errors import DataError
from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.boost_model import BoostModel, OwnTree
from tongzhou.secure.boost_rows import Boosting, base_score, gradients, loss_fell
from tongzhou.secure.boost_settings import BoostFormat, BoostSettings, LeafOpening, check_boost
from tongzhou.secure.boost_tree import add_tree
from tongzhou.secure.choices import open_choice
from tongzhou.secure.cuts import bin_rows, cut_columns
from tongzhou.secure.gains import column_gains
from tongzhou.secure.histograms import RunShape, hide_columns
from tongzhou.secure.logistic import OwnerBlock
from tongzhou.secure.party import OWNERS, Role
from tongzhou.secure.refusals import no_label, one_class
from tongzhou.secure.ring import Reals
from tongzhou.wire.messages import ArraySpec

__all__ = ["Boosted", "boost", "check_block"]


class _Move(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the owners do next, which they decide alike; the helper is told.

    Attributes:
        more: whether another tree is grown.
        kept: how many trees are kept if there is none.
    """

    more: bool
    kept: int


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
    stale = 0
    while True:
        rows, residuals = gradients(training)
        if settings.patience:
            stale = 0 if loss_fell(training, residuals) else stale + 1
        if not _goes_on(training, stale):
            break
        add_tree(training, rows, gains=gains)
    _record(training)
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
        first = np.full(
            rows, round(base_score(settings, block) * 2.0**form.score) % (1 << 64), dtype=np.uint64
        )
        bits = block.label.astype(np.uint8)
    label = open_choice(engine, bits, (rows,))
    scores = engine.own("asker", (rows,), first)
    return Boosting(engine, settings, block, cuts, codes, columns, scores, label)


def _goes_on(training: Boosting, stale: int) -> bool:
    """Whether there is another tree; the asker tells the helper, which so never runs far ahead."""
    party, settings = training.engine.party, training.settings
    if not party.is_owner:
        move, _ = party.link("asker").recv("boost.next", _Move)
        training.best = move.kept
        return move.more
    if not settings.patience:
        training.best = training.count
    more = training.count < settings.trees and (stale < settings.patience or not settings.patience)
    if party.role == "asker":
        party.link("helper").send("boost.next", _Move(more, training.best))
    return more


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


def _record(training: Boosting) -> None:
    """Note what was opened of all trees, those that are dropped included."""
    engine = training.engine
    nodes = training.count * (training.settings.leaves - 1)
    engine.party.record("whose column splits a node", nodes, OWNERS, "each owner applies its own splits")
    for role in OWNERS:
        count = sum(owner == role for tree in training.trees for owner in tree.owners)
        if count:
            engine.party.record("column and threshold of a split", count, (role,), "its own column")


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
    return [
        OwnTree(tree.owners, tree.splits, tuple(row)) for tree, row in zip(trees, kept.tolist(), strict=True)
    ]
