"""One tree of a joint boosting: split, deal the rows to the children, weigh the leaves, add to the scores.

Statement
    Parties: asker, provider, helper.
    Who learns what: both owners learn whose column splits each node, or that none does; the owner of the
    column learns which and where. Which rows are in a node stays shared.
    Assumption: as `tongzhou.secure.aided`.
    Cost: see `boosting`.

The split's owner knows for every row whether it would go left; that private bit times the node's shared
gradients gives those of the left child, and the right child has the rest. A tree is always of full depth: in
a node without a worthwhile split all rows go left, and its leaves are one.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import ProtocolError
from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.boost_model import OwnSplit, OwnTree
from tongzhou.secure.boost_rows import Boosting
from tongzhou.secure.boost_settings import BoostFormat, BoostSettings
from tongzhou.secure.bounds import WEIGHT_BITS, Bounds, clamped, narrowed, unbounded
from tongzhou.secure.choices import Choice, choose, open_choice
from tongzhou.secure.cuts import MISSING
from tongzhou.secure.gains import split_gains
from tongzhou.secure.halves import Halved, Halves, reduced
from tongzhou.secure.histograms import histograms
from tongzhou.secure.lookups import Bits
from tongzhou.secure.operands import multiply, open_operands
from tongzhou.secure.party import OWNERS
from tongzhou.secure.prg import Stream
from tongzhou.secure.reciprocals import REST_BITS
from tongzhou.secure.splits import NOBODY, Candidates, Found, Level, best_splits, children, constant, root
from tongzhou.wire.messages import ArraySpec

__all__ = ["add_tree", "sampled"]


def sampled(settings: BoostSettings, tree: int) -> tuple[tuple[int, ...], NDArray[np.bool_]]:
    """Columns and rows that a tree looks at, from the public seed; never the held-out rows."""
    rows = np.zeros(settings.rows, dtype=np.bool_)
    rows[: settings.trained_rows] = True
    columns = tuple(range(settings.columns))
    if settings.column_share == settings.row_share == 1:
        return columns, rows
    stream = Stream(hashlib.sha256(f"tongzhou boost {settings.seed} {tree}".encode()).digest())
    drawn = stream.permutation(settings.columns)[: math.ceil(settings.column_share * settings.columns)]
    left_out = stream.permutation(settings.trained_rows)[
        math.ceil(settings.row_share * settings.trained_rows) :
    ]
    rows[left_out] = False
    return tuple(sorted(int(column) for column in drawn)), rows


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


def add_tree(training: Boosting, gradients: Halved, *, gains: bool) -> None:
    """Grow one tree and add it to the scores."""
    engine, settings = training.engine, training.settings
    columns, rows = sampled(settings, training.count)
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
    training.count += 1


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
    codes = _swap(engine, "owner", found.owner.share, found.owner.share)
    if int(codes.max()) > len(OWNERS):
        raise ProtocolError("{peer} sent shares that name no owner of a split", peer=party.peer.peer)
    names = ["" if code == NOBODY else OWNERS[code - 1] for code in codes]
    own = np.array([name == role for name in names])
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


def _leaves(engine: AidedEngine, settings: BoostSettings, level: Level, bounds: Bounds | None) -> Halved:
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
