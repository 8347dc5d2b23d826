"""Sums over the rows that lie in a group of each owner: the one computation that all statistics are made of.

Statement
    Parties: two data owners and the helper (`aided`), or as the engine says.
    Who learns what: nobody learns anything. Which rows a group has, and its sums, stay hidden.
    Assumption: as `tongzhou.secure.aided`.
    Cost: n rows, k_a groups of the asker, k_p of the provider, v_a and v_p columns: 8 n (k_a + k_p (1 + v_p))
    bytes, with columns of the asker 8 n v_a (k_a + k_p) more, with sketches 8 n k_p (k_a + 1) more. One
    round.

A group is a row of 0 and 1, a column within a group a row of numbers. The count of the rows in both groups,
or the sum of a column over them, is the product of one owner's row with the other's, computed by
`AidedEngine` from masked words.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.party import Role
from tongzhou.secure.ring import Words
from tongzhou.secure.shared import Shared, join
from tongzhou.secure.sketches import BUCKETS, Sketcher

__all__ = ["JointCells", "Part", "joint_cells", "joint_counts"]

_PIECE_BYTES = 64 << 20
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Part:
    """One owner's part of a table of cells.

    Attributes:
        owner: role.
        groups: number of its groups k.
        columns: number of its columns v to be summed.
        sets: ``(k, n)`` its groups; ``None`` at everybody else.
        values: v arrays ``(n,)`` of ring words, 0 outside all groups; ``None`` at everybody else.
    """

    owner: Role
    groups: int
    columns: int = 0
    sets: Flags | None = None
    values: Sequence[Words] | None = None


@dataclass(frozen=True)
class JointCells:
    """Shared numbers of each cell; rows of the tables are the asker's groups, columns the provider's.

    Attributes:
        counts: shared ``(k_a, k_p)`` number of rows.
        sums: for each owner a shared ``(k_a, k_p)`` table for each of its columns.
        sketches: shared ``(k_a k_p, m)``, the cells row by row, if asked for.
    """

    counts: Shared
    sums: dict[Role, list[Shared]]
    sketches: Shared | None


def joint_cells(
    engine: AidedEngine,
    rows: int,
    asker: Part,
    provider: Part,
    *,
    sketch: bool,
    sketcher: Sketcher | None = None,
) -> JointCells:
    """Counts, sums and sketches of all cells of two owners' groups.

    Args:
        engine: who computes.
        rows: number of matched rows n.
        asker: the asker's groups and columns.
        provider: the provider's.
        sketch: whether sketches are made.
        sketcher: how; needed at the owners if so.
    """
    tables, sketches = [], []
    for start, stop in _pieces(asker.groups, rows):
        part = None if asker.sets is None else asker.sets[start:stop].astype(np.uint64)
        hidden = engine.hide("asker", (stop - start, rows), part)
        size = provider.groups * (1 + provider.columns)
        tables.append(
            engine.transpose_times(hidden, engine.own("provider", (size, rows), _stacked(provider)))
        )
        if sketch:
            factors = [_group(engine, provider, place, rows) for place in range(provider.groups)]
            made = [_sketched(engine.scale_rows(hidden, factor), sketcher) for factor in factors]
            sketches.append(_by_cell(made, stop - start))
    turned = join(*tables).transposed()
    step = provider.groups
    counts = turned.part(0, step).transposed()
    sums = {
        "asker": [_asker_sums(engine, rows, asker, provider, place) for place in range(asker.columns)],
        "provider": [
            turned.part(step * place, step * (place + 1)).transposed()
            for place in range(1, 1 + provider.columns)
        ],
    }
    return JointCells(counts, sums, join(*sketches) if sketch else None)


def joint_counts(engine: AidedEngine, rows: int, asker: Part, provider: Part) -> Shared:
    """Only the counts: shared ``(k_a, k_p)``."""
    return joint_cells(engine, rows, asker, provider, sketch=False).counts


def _asker_sums(engine: AidedEngine, rows: int, asker: Part, provider: Part, place: int) -> Shared:
    """Sums of one column of the asker: shared ``(k_a, k_p)``."""
    parts = []
    for start, stop in _pieces(asker.groups, rows):
        words = None
        if asker.sets is not None and asker.values is not None:
            words = np.where(asker.sets[start:stop], asker.values[place], np.uint64(0))
        hidden = engine.hide("asker", (stop - start, rows), words)
        sets = None if provider.sets is None else provider.sets.astype(np.uint64)
        parts.append(engine.transpose_times(hidden, engine.own("provider", (provider.groups, rows), sets)))
    return join(*parts)


def _stacked(part: Part) -> Words | None:
    """Groups, then each column within each group: ``(k (1 + v), n)``."""
    if part.sets is None or part.values is None:
        return None
    ones = part.sets.astype(np.uint64)
    return np.concatenate([ones, *(np.where(part.sets, values, np.uint64(0)) for values in part.values)])


def _group(engine: AidedEngine, part: Part, place: int, rows: int) -> Shared:
    words = None if part.sets is None else part.sets[place].astype(np.uint64)
    return engine.own(part.owner, (rows,), words)


def _sketched(products: Shared, sketcher: Sketcher | None) -> Shared:
    shape = (products.shape[0], BUCKETS)
    if products.share is None or sketcher is None:
        return Shared(shape, None)
    return Shared(shape, sketcher.sketch(products.share))


def _by_cell(made: list[Shared], groups: int) -> Shared:
    """From a list by the provider's groups to ``(k_a k_p, m)``, the asker's groups first."""
    shares = [one.share for one in made if one.share is not None]
    shape = (groups * len(made), BUCKETS)
    if len(shares) < len(made):
        return Shared(shape, None)
    return Shared(shape, np.stack(shares, axis=1).reshape(shape))


def _pieces(groups: int, rows: int) -> Iterator[tuple[int, int]]:
    step = max(1, _PIECE_BYTES // (8 * max(rows, 1)))
    for start in range(0, groups, step):
        yield start, min(start + step, groups)
