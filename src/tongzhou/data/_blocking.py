"""Which names are worth comparing: those that share enough rare pieces, found without looking at all pairs.

The prefix filter of set similarity joins (Chaudhuri, Ganti, Kaushik, ICDE 2006; Bayardo, Ma, Srikant, WWW
2007): pieces of a name stand in one global order, rarest first. If two names share pieces of enough
weight, they share one among the first few of each, so only those need an index.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Pieces", "shared_pairs"]

Ints = NDArray[np.int64]

_BUDGET = 12_000_000  # pairs made at most, repeats counted; about two seconds and 0.7 GB


@dataclass(frozen=True, slots=True)
class Pieces:
    """Pieces of many names, as numbers.

    Attributes:
        of: int64[names + 1]; the pieces of name i are `ids[of[i]:of[i + 1]]`, rarest first.
        ids: int64; pieces, numbered by rarity, 0 the rarest.
        weights: float64[pieces]; the logarithm of names over holders, so that rare pieces weigh more.
    """

    of: Ints
    ids: Ints
    weights: NDArray[np.float64]

    @classmethod
    def cut(cls, names: Sequence[Sequence[str]]) -> "Pieces":
        """Number the pieces of each name.

        Args:
            names: the pieces of each, in any order; repeats count once.
        """
        unique = [sorted(set(pieces)) for pieces in names]
        holders = Counter(piece for pieces in unique for piece in pieces)
        order = sorted(holders, key=lambda piece: (holders[piece], piece))
        number = {piece: at for at, piece in enumerate(order)}
        ids = [sorted(number[piece] for piece in pieces) for pieces in unique]
        counts = np.array([holders[piece] for piece in order], dtype=np.float64)
        return cls(
            of=np.concatenate(([0], np.cumsum([len(one) for one in ids], dtype=np.int64))),
            ids=np.array([piece for one in ids for piece in one], dtype=np.int64),
            weights=np.log((len(names) + 1.0) / counts),
        )


def shared_pairs(pieces: Pieces, least: float, *, split: int | None = None, budget: int = _BUDGET) -> Ints:
    """Pairs of names whose pieces may have a weighted Dice coefficient of `least` or more.

    Args:
        pieces: of all names.
        least: from above 0 to 1; every pair that reaches it is given, as long as the budget is not used up.
        split: if given, only pairs of one name before and one from this place on.
        budget: pairs looked at. The rarest pieces are followed first, so what goes beyond it are names
            that share nothing but what very many share.

    Returns:
        int64[pairs, 2], places of two names, first < second, ascending, no pair twice.
    """
    names = pieces.of.size - 1
    owner = np.repeat(np.arange(names), np.diff(pieces.of))
    kept = _prefix(pieces, owner, least)
    owner, ids = owner[kept], pieces.ids[kept]
    order = np.lexsort((owner, ids))
    owner, ids = owner[order], ids[order]
    starts = np.flatnonzero(np.diff(ids, prepend=-1))
    sizes = np.diff(np.append(starts, ids.size))
    firsts, first_sizes, seconds, second_sizes = _sides(owner, starts, sizes, split)
    work = np.where(sizes > 1, first_sizes * second_sizes, 0)
    one = _affordable(work, sizes, budget)
    left, right = _products(firsts[one], first_sizes[one], seconds[one], second_sizes[one])
    first, second = owner[left], owner[right]
    forward = first < second
    keys = np.sort(first[forward] * names + second[forward])  # several times faster here than np.unique
    keys = keys[np.diff(keys, prepend=-1) > 0]
    return np.column_stack((keys // names, keys % names))


def _prefix(pieces: Pieces, owner: Ints, least: float) -> NDArray[np.bool_]:
    """Which entries stand among the first pieces of their name, of which a similar name must share one.

    With overlap I, 2 I >= t (wa + wb) and wb >= I give I >= t / (2 - t) wa. The first shared piece in the
    global order therefore has that much weight from it to the end of the name.
    """
    weight = pieces.weights[pieces.ids]
    total = np.bincount(owner, weight, minlength=pieces.of.size - 1)
    before = np.cumsum(weight) - weight
    within = before - before[np.minimum(pieces.of[:-1], weight.size - 1)][owner]
    rest = total[owner] - within
    return rest >= least / (2.0 - least) * total[owner] - 1e-9


def _sides(owner: Ints, starts: Ints, sizes: Ints, split: int | None) -> tuple[Ints, Ints, Ints, Ints]:
    """For each piece where its first and its second holders begin, and how many they are."""
    if split is None:
        return starts, sizes, starts, sizes
    before = np.add.reduceat((owner < split).astype(np.int64), starts) if starts.size else starts
    return starts, before, starts + before, sizes - before


def _affordable(work: Ints, sizes: Ints, budget: int) -> Ints:
    """The pieces to follow: those with few holders first, as many as the budget allows."""
    order = np.argsort(sizes, kind="stable")
    affordable = order[np.cumsum(work[order]) <= budget]
    return np.sort(affordable[work[affordable] > 0])


def _products(firsts: Ints, first_sizes: Ints, seconds: Ints, second_sizes: Ints) -> tuple[Ints, Ints]:
    """Every first holder with every second holder of the same piece."""
    counts = first_sizes * second_sizes
    piece = np.repeat(np.arange(counts.size), counts)
    step = np.arange(piece.size) - np.repeat(np.cumsum(counts) - counts, counts)
    across = second_sizes[piece]
    return firsts[piece] + step // across, seconds[piece] + step % across
