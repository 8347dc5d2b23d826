"""What all answers together tell about single rows: an audit by linear algebra. Pure logic, no I/O.

Each answered sum is a known weight for each row (a group: 1 for its rows) applied to numbers that the reader
does not know. Whoever adds and subtracts answers gets other weights: all of the *span* of the answered ones.
If the span holds weights on fewer rows than the minimum, those rows' numbers are told, however many answers
the way there takes: differences, trackers, anything linear (Chin and Ozsoyoglu, Auditing and inference
control in statistical databases, IEEE TSE 1982; Denning, Denning and Schwartz, The tracker, ACM TODS 1979).

To find the sparsest weights of a span is hard, but a bound is easy. Let h_i be the *leverage* of row i, the
squared length of its part of an orthonormal basis of the span (Hoaglin and Welsch, The hat matrix in
regression and ANOVA, 1978). For weights v of the span, ``v_i² ≤ h_i |v|²``. So if v lies on the rows S
alone::

    1 = Σ_{i in S} v_i² / |v|² ≤ Σ_{i in S} h_i

and S has at least ``1 / max h`` rows. `tells_of_fewer` therefore says no only where *every* combination of
answers lies on at least the minimum of rows. It says yes too often rather than too seldom: think of each row
as having a budget of 1 / (minimum - 1), of which a new group of s rows takes up to 1 / s from each of its
rows.

The numbers that the weights apply to may differ from answer to answer (other conditions of the other owner,
another column), and may be related in ways the reader knows: whatever is computed is, for each of them, a
combination of the answered weights. So one audit of all sets together covers them all.

The bound holds for any real weights, so columns of a correlation are audited with the groups; a row with an
outlying value has a large leverage, as it should.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["RowSet", "implied_sets", "largest_leverage", "tells_of_fewer"]

Keys = NDArray[np.uint64]
Reals = NDArray[np.float64]

_PIECE_ROWS = 1 << 14
_RANK = 1e-11
"""Eigenvalues of the Gram matrix of unit vectors below this part of the largest are rounding: dependent."""
_SURE = 1.0 - 1e-7
_ZERO = 1e-7
"""In reduced rows, whose entries are quotients of small determinants, what is smaller is rounding."""


@dataclass(frozen=True)
class RowSet:
    """Weights on some rows: a group, or a column of numbers.

    Attributes:
        keys: ``(s,)`` names of the rows as 64-bit numbers, ascending, without repeats.
        weights: ``(s,)`` numbers other than zero; ``None`` for a group, where all are 1.
    """

    keys: Keys
    weights: Reals | None = None

    def __len__(self) -> int:
        return len(self.keys)


def tells_of_fewer(sets: Sequence[RowSet], minimum: int) -> bool:
    """Whether some combination of answers might tell about fewer rows than the minimum.

    Args:
        sets: the weights of all answers together.
        minimum: rows, at least 1.
    """
    return largest_leverage(sets) * (minimum - 1) >= _SURE


def largest_leverage(sets: Sequence[RowSet]) -> float:
    """The largest leverage that any row has in the span of the given weights, 0 to 1."""
    filled = [one for one in sets if len(one)]
    if not filled:
        return 0.0
    gram = np.zeros((len(filled), len(filled)))
    for part in _pieces(filled):
        gram += part @ part.T
    values, vectors = np.linalg.eigh(gram)
    kept = values > _RANK * values[-1]
    basis = vectors[:, kept] / np.sqrt(values[kept])
    return max(float(np.square(basis.T @ part).sum(axis=0).max()) for part in _pieces(filled))


def implied_sets(sets: Sequence[RowSet]) -> list[RowSet]:
    """Groups that sums and differences of the given groups lead to, above all those with few rows.

    The groups are written over their *atoms* (rows that lie in the same groups) and reduced to echelon form,
    with the largest atoms as pivots, so that every reduced row holds one large atom and otherwise small ones.
    Where one combination isolates a single atom, the reduced form shows it (Chin and Ozsoyoglu's criterion);
    other combinations with few rows are shown often, not always.

    Args:
        sets: groups, not columns of weights.

    Returns:
        As many groups as given. Where a group depends on the others it is returned itself.
    """
    filled = [place for place, one in enumerate(sets) if len(one)]
    keys, atoms = _atoms([sets[place] for place in filled])
    sizes = np.bincount(atoms)
    first = np.unique(atoms, return_index=True)[1]
    order = np.argsort(-sizes, kind="stable")
    table = np.array([np.isin(keys[first], sets[place].keys) for place in filled], dtype=np.float64)
    reduced = _reduced(table[:, order]) if filled else np.zeros((0, 0))
    out = list(sets)
    for place, row in zip(filled, reduced, strict=False):
        support = np.zeros(len(sizes), dtype=np.bool_)
        support[order] = np.abs(row) > _ZERO
        out[place] = RowSet(keys[support[atoms]])
    return out


def _pieces(sets: Sequence[RowSet]) -> Iterator[Reals]:
    """The weights over all rows, scaled to unit length: ``(k, m)`` a piece of the rows at a time."""
    keys = np.unique(np.concatenate([one.keys for one in sets]))
    weights = [np.ones(len(one)) if one.weights is None else one.weights for one in sets]
    for start in range(0, len(keys), _PIECE_ROWS):
        part = keys[start : start + _PIECE_ROWS]
        piece = np.zeros((len(sets), len(part)))
        for place, (one, values) in enumerate(zip(sets, weights, strict=True)):
            low = np.searchsorted(one.keys, part[0])
            high = np.searchsorted(one.keys, part[-1], side="right")
            columns = np.searchsorted(part, one.keys[low:high])
            piece[place, columns] = values[low:high] / np.linalg.norm(values)
        yield piece


def _atoms(sets: Sequence[RowSet]) -> tuple[Keys, NDArray[np.intp]]:
    """All rows of the groups, and for each the number of its atom."""
    keys = np.unique(np.concatenate([np.empty(0, dtype=np.uint64), *(one.keys for one in sets)]))
    atoms = np.zeros(len(keys), dtype=np.intp)
    for one in sets:
        # Two atoms to each old one: outside and inside this group. Numbered anew, so that they stay few.
        atoms *= 2
        atoms[np.searchsorted(keys, one.keys)] += 1
        atoms = np.unique(atoms, return_inverse=True)[1]
    return keys, atoms


def _reduced(table: Reals) -> Reals:
    """The rows of the reduced echelon form that are not zero; columns are tried from the left."""
    work, rank = table.copy(), 0
    while rank < len(work):
        columns = np.flatnonzero(np.abs(work[rank:]).max(axis=0) > _ZERO)
        if not len(columns):
            break
        column = columns[0]
        pivot = rank + int(np.argmax(np.abs(work[rank:, column])))
        work[[rank, pivot]] = work[[pivot, rank]]
        work[rank] /= work[rank, column]
        others = np.arange(len(work)) != rank
        work[others] -= np.outer(work[others, column], work[rank])
        rank += 1
    return work[:rank]
