"""Scores of new rows by a boosted model, for the asker alone.

Statement
    Parties: asker and provider, each with its part of the model and its columns of the new rows; helper.
    Who learns what: the asker learns the score of each row. The provider learns the number of rows. Nobody
    learns which leaves a row reaches beyond what its own columns say, nor (unless leaves are opened) a leaf's
    weight. The helper learns the shapes.
    Assumption: as `tongzhou.secure.aided`.
    Cost: with m rows and l leaves in all trees 16 m (l + 1) bytes, two rounds.
    Papers: Beaver, CRYPTO 1991, with both factors private; a leaf as the product of what each owner's
    conditions leave open: as in Fang et al. (CIKM 2021).

Each owner marks the leaves that its own conditions leave open. A row is in the leaf that both mark, so its
score is the sum over leaves of asker's mark times provider's mark times weight; with the weight in two
shares this is an inner product of a vector of the asker and one of the provider::

    (mark_a share_a, mark_a) · (mark_p, mark_p share_p)
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tongzhou.errors import DataError
from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.boost_model import BoostModel, reachable
from tongzhou.secure.dealing import deal
from tongzhou.secure.halves import Halves
from tongzhou.secure.party import OWNERS
from tongzhou.secure.ring import Reals
from tongzhou.wire.messages import ArraySpec

__all__ = ["BoostShape", "check_new", "score_boosted"]

_CHUNK_BYTES = 16 << 20
"""Rows are scored in pieces whose vectors take about so many bytes."""


@dataclass(frozen=True)
class BoostShape:
    """Public sizes of one scoring.

    Attributes:
        rows: new rows m.
        trees: number of trees.
        depth: splits on the way to a leaf.
    """

    rows: int
    trees: int
    depth: int

    @property
    def leaves(self) -> int:
        """Leaves of all trees."""
        return self.trees << self.depth


def score_boosted(
    engine: AidedEngine, shape: BoostShape, model: BoostModel | None, values: Reals | None
) -> Reals | None:
    """Scores, in log-odds, of new rows.

    Args:
        engine: who computes.
        shape: agreed sizes.
        model: an owner's part; ``None`` at the helper.
        values: an owner's ``(m, d)`` new rows, in the agreed order.

    Returns:
        ``(m,)`` scores at the asker, ``None`` elsewhere.

    Raises:
        DataError: model or rows do not fit what was agreed.
    """
    party = engine.party
    party.record("score of each row", shape.rows, ("asker",), "the score")
    if model is not None and values is not None:
        check_new(shape, model, values)
    found = np.zeros(shape.rows, dtype=np.uint32)
    for rows in _pieces(shape):
        own = None
        if model is not None and values is not None:
            own = _vectors(model, values[rows])
        found[rows] = _inner_products(engine, own, (rows.stop - rows.start, 2 * shape.leaves))
    if party.role != "asker" or model is None:
        return None
    return model.base + np.ldexp(found.view(np.int32).astype(np.float64), -model.bits)


def check_new(shape: BoostShape, model: BoostModel, values: Reals) -> None:
    """Refuse rows or a model of other sizes than agreed.

    Raises:
        DataError: with both sizes.
    """
    if (len(model.trees), model.depth) != (shape.trees, shape.depth):
        raise DataError(
            "the model has {trees} trees of depth {depth}; {agreed_trees} of depth {agreed} were agreed",
            trees=len(model.trees),
            depth=model.depth,
            agreed_trees=shape.trees,
            agreed=shape.depth,
        )
    if values.shape != (shape.rows, len(model.columns)):
        raise DataError(
            "the block has {rows} rows and {columns} columns; {agreed_rows} and {agreed} were agreed",
            rows=values.shape[0],
            columns=values.shape[1],
            agreed_rows=shape.rows,
            agreed=len(model.columns),
        )


def _pieces(shape: BoostShape) -> Iterator[slice]:
    step = max(1, _CHUNK_BYTES // max(8 * shape.leaves, 1))
    for start in range(0, shape.rows, step):
        yield slice(start, min(start + step, shape.rows))


def _vectors(model: BoostModel, values: Reals) -> Halves:
    """This owner's side of the inner products, ``(m, 2 l)``."""
    marks = reachable(model, values).reshape(len(values), -1).astype(np.uint32)
    weighted = marks * model.leaf_shares.reshape(-1)
    return np.concatenate([weighted, marks] if model.role == "asker" else [marks, weighted], axis=1)


def _inner_products(engine: AidedEngine, own: Halves | None, shape: tuple[int, int]) -> Halves:
    """Row by row the product of the asker's vector with the provider's, at the asker.

    With masks u and v: ``x·y = (x - u)·y + u·(y - v) + u·v``.
    """
    party, (rows, _) = engine.party, shape
    if own is None:
        masks = [engine.stream(role).halves(*shape) for role in OWNERS]
        deal(engine, "inner", [("<u4", (rows,))], lambda: [_dot(*masks)])
        return np.zeros(rows, dtype=np.uint32)
    mask = engine.stream(party.role).halves(*shape)
    (dealt,) = deal(engine, "inner", [("<u4", (rows,))], list)
    party.peer.send("boost.marks", None, [own - mask])
    _, (theirs,) = party.peer.recv("boost.marks", None, [ArraySpec("<u4", shape)])
    if party.role == "provider":
        party.peer.send("open.score", None, [_dot(theirs, own) + dealt])
        return np.zeros(rows, dtype=np.uint32)
    _, (share,) = party.peer.recv("open.score", None, [ArraySpec("<u4", (rows,))])
    total: Halves = _dot(mask, theirs) + dealt + share
    return total


def _dot(left: Halves, right: Halves) -> Halves:
    product: Halves = np.einsum("ml,ml->m", left, right)
    return product
