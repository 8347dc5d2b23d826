"""Sums of shared rows in the bins of a private column.

Statement
    Parties: two data owners, each with columns cut into bins, and the helper (`aided`).
    Who learns what: for each column the other owner sees a uniformly permuted order of the rows, once, and a
    masked matrix; the column's owner sees the other's shares under fresh uniform masks. Nobody learns a sum
    or the number of rows in a bin: sums stay shared, sizes are hidden by padding. The helper sees the shapes.
    Assumption: as `tongzhou.secure.aided`.
    Cost: with n rows and b bins a column takes once 4.5 n + 36 b² bytes, and for each k vectors of two lanes
    9 k n bytes in one round for any number of columns, and 80 k b bytes from the helper.
    Paper: share translation, Chase, Ghosh and Poburinnaya, Secret-shared shuffle (ASIACRYPT 2020), with the
    correlation dealt by the helper, as in `counting`. The padded runs are our own.

The owner sorts its rows by bin into runs of equal length, n / 8 b rows each, and fills the last run of each
bin
with rows of zeros: 9 b runs are always enough, whatever the sizes of the bins are. The other owner puts its
shares of the rows into this order, behind a permutation that the helper dealt, and masks them; the owner
undoes the permutation and adds up each run. Which run belongs to which bin is a private matrix of zeros and
ones, of which the other owner holds a masked form: it multiplies it with its own shares of the runs, which
    are nothing but dealt numbers, so that this product costs no message.

The masked order is told once for a training; fresh masks hide every use of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import ProtocolError
from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.halves import Halved, Halves
from tongzhou.secure.party import Role, other_owner
from tongzhou.wire.messages import ArraySpec

__all__ = ["Codes", "Column", "RunShape", "hide_columns", "histograms"]

Codes = NDArray[np.uint8]
"""Bin of each row."""

_PADDING = 8
"""Runs have the length of an average bin over this; padding adds one part in so many."""

Order = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class RunShape:
    """Public sizes of a column.

    Attributes:
        rows: number of rows n.
        bins: number of bins b.
    """

    rows: int
    bins: int

    @property
    def length(self) -> int:
        """Rows in a run."""
        return max(1, self.rows // (_PADDING * self.bins))

    @property
    def runs(self) -> int:
        """Number of runs: one may be short in each bin."""
        return -(-self.rows // self.length) + self.bins

    @property
    def slots(self) -> int:
        """Rows with the padding."""
        return self.length * self.runs


@dataclass(frozen=True, slots=True)
class Column:
    """One column, seen from one party.

    Attributes:
        owner: role that knows its bins.
        shape: public sizes.
        inner: the dealt permutation (at the owner and the helper).
        order: at the owner the rows in the order of the runs; at the other owner the same, permuted.
        matrix: ``(b, runs)``: at the owner which run belongs to which bin; at the other owner that minus the
            mask; at the helper the mask.
    """

    owner: Role
    shape: RunShape
    inner: Order | None
    order: Order | None
    matrix: Halves


def hide_columns(
    engine: AidedEngine, shape: RunShape, counts: dict[Role, int], codes: Sequence[Codes]
) -> list[Column]:
    """Tell the other owner each column's masked order and matrix, once for all histograms.

    Args:
        engine: who computes.
        shape: public sizes.
        counts: how many columns each owner has.
        codes: this owner's columns, ``(n,)`` each; empty at the helper.

    Returns:
        All columns, the asker's first.

    Raises:
        ProtocolError: the other owner sent an order that is not a permutation.
    """
    role = engine.party.role
    own = [_hide(engine, shape, one) for one in codes]
    found: list[Column] = []
    for owner, count in counts.items():
        if owner == role:
            found += own
        else:
            found += [_receive(engine, shape, owner) for _ in range(count)]
    return found


def histograms(engine: AidedEngine, columns: Sequence[Column], rows: Halved) -> Halved:
    """Sums of shared rows in each bin of each column.

    Args:
        engine: who computes.
        columns: of one shape.
        rows: shared ``(2, k, n)``: two lanes of k vectors.

    Returns:
        Shared ``(k, columns, b, 2)``.
    """
    lanes, vectors, _ = rows.shape
    shape = columns[0].shape
    padded = None if rows.share is None else _padded(rows.share, shape.slots)
    role = engine.party.role
    if padded is None:
        for column in columns:
            _deal_sums(engine, column, vectors)
        return Halved((vectors, len(columns), shape.bins, lanes), None)
    # Everything goes out before anything is awaited: one round for any number of columns.
    theirs = {id(column): _send_rows(engine, column, padded) for column in columns if column.owner != role}
    sums = [
        theirs[id(column)] if column.owner != role else _own_sums(engine, column, padded)
        for column in columns
    ]
    share = np.stack(sums).reshape(len(columns), shape.bins, vectors, lanes)
    ordered = np.ascontiguousarray(share.transpose(2, 0, 1, 3))
    return Halved(ordered.shape, ordered)


# --- once a training ---------------------------------------------------------------------------------------


def _hide(engine: AidedEngine, shape: RunShape, codes: Codes) -> Column:
    role = engine.party.role
    inner, mask = _draw(engine, role, shape)
    order, matrix = _runs(codes, shape)
    masked = np.empty_like(order)
    masked[inner] = order
    engine.party.peer.send("column.order", None, [masked, matrix - mask])
    return Column(role, shape, inner, order, matrix)


def _receive(engine: AidedEngine, shape: RunShape, owner: Role) -> Column:
    if not engine.is_owner:
        inner, mask = _draw(engine, owner, shape)
        return Column(owner, shape, inner, None, mask)
    specs = [ArraySpec("<u4", (shape.slots,)), ArraySpec("<u4", (shape.bins, shape.runs))]
    _, (order, matrix) = engine.party.peer.recv("column.order", None, specs)
    if int(order.max()) >= shape.slots or not bool(np.bincount(order, minlength=shape.slots).all()):
        raise ProtocolError(
            "{peer} sent an order of the rows that is not a permutation", peer=engine.party.peer.peer
        )
    return Column(owner, shape, None, order, matrix)


def _draw(engine: AidedEngine, owner: Role, shape: RunShape) -> tuple[Order, Halves]:
    stream = engine.stream(owner)
    return stream.permutation(shape.slots).astype(np.uint32), stream.halves(shape.bins, shape.runs)


def _runs(codes: Codes, shape: RunShape) -> tuple[Order, Halves]:
    """Rows in the order of runs, and which run belongs to which bin.

    Place ``p * runs + r`` is the p-th row of run r, so that adding up runs is adding up neighbouring rows.
    """
    sizes = np.bincount(codes, minlength=shape.bins)
    needed = -(-sizes // shape.length)
    starts = np.cumsum(needed * shape.length) - needed * shape.length
    by_bin = np.argsort(codes, kind="stable")
    sorted_codes = codes[by_bin]
    within = np.arange(shape.rows) - (np.cumsum(sizes) - sizes)[sorted_codes]
    places = starts[sorted_codes] + within
    order = np.full(shape.slots, shape.slots, dtype=np.uint32)
    order[places] = by_bin
    order[order == shape.slots] = np.arange(shape.rows, shape.slots, dtype=np.uint32)
    matrix = np.zeros((shape.bins, shape.runs), dtype=np.uint32)
    matrix[np.repeat(np.arange(shape.bins), needed), np.arange(int(needed.sum()))] = 1
    return np.ascontiguousarray(order.reshape(shape.runs, shape.length).T).reshape(-1), matrix


# --- for each use ------------------------------------------------------------------------------------------


def _send_rows(engine: AidedEngine, column: Column, padded: NDArray[np.uint64]) -> Halves:
    """The other owner: hand over the masked rows; its share of the sums is made of dealt numbers."""
    stream, shape = engine.stream(engine.party.role), column.shape
    rows = _in_order(padded, column.order)
    rows -= stream.halves(*rows.shape)
    engine.party.peer.send("column.rows", None, [rows])
    lanes = rows.shape[1]
    runs, sums = stream.halves(shape.runs, lanes), stream.halves(shape.bins, lanes)
    return _times(column.matrix, runs) - sums


def _own_sums(engine: AidedEngine, column: Column, padded: NDArray[np.uint64]) -> Halves:
    """The column's owner: add up runs, its own share's and what the other handed over."""
    shape, lanes = column.shape, 2 * padded.shape[1]
    _, (masked,) = engine.party.peer.recv("column.rows", None, [ArraySpec("<u4", (shape.slots, lanes))])
    specs = [ArraySpec("<u4", (shape.runs, lanes)), ArraySpec("<u4", (shape.bins, lanes))]
    _, (runs, sums) = engine.party.link("helper").recv("deal.column", None, specs)
    total = _add_runs(_in_order(masked.view(np.uint64), column.inner), shape)
    total += _add_runs(_in_order(padded, column.order), shape)
    return _times(column.matrix, total + runs) + sums


def _deal_sums(engine: AidedEngine, column: Column, vectors: int) -> None:
    """Helper: what the masks add up to in each run, less the other owner's share of the runs."""
    stream, shape, lanes = engine.stream(other_owner(column.owner)), column.shape, 2 * vectors
    masks = stream.halves(shape.slots, lanes)
    runs, sums = stream.halves(shape.runs, lanes), stream.halves(shape.bins, lanes)
    total = _add_runs(_in_order(masks.view(np.uint64), column.inner), shape)
    crossed = _times(column.matrix, runs) + sums
    engine.party.link(column.owner).send("deal.column", None, [total - runs, crossed])


def _padded(rows: Halves, slots: int) -> NDArray[np.uint64]:
    """Both lanes of a vector as one word, ``(slots, k)``, with rows of zeros at the end."""
    lanes, vectors, count = rows.shape
    padded = np.zeros((slots, vectors, lanes), dtype=np.uint32)
    for lane, one in enumerate(rows):
        padded[:count, :, lane] = one.T
    return padded.reshape(slots, -1).view(np.uint64)


def _in_order(rows: NDArray[np.uint64], order: Order | None) -> Halves:
    """Rows of words in the given order, as lanes."""
    taken = rows if order is None else np.take(rows, order, axis=0)
    return taken.view(np.uint32)


def _add_runs(rows: Halves, shape: RunShape) -> Halves:
    total: Halves = rows.reshape(shape.length, -1).sum(axis=0, dtype=np.uint32)
    return total.reshape(shape.runs, -1)


def _times(matrix: Halves, runs: Halves) -> Halves:
    product: Halves = np.einsum("br,rl->bl", matrix, runs)
    return product
