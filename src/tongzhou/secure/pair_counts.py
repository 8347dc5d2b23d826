"""Events in each bin in mode `pair`: the provider's bins times the asker's encrypted label.

Statement
    Parties: asker (label), provider (bins).
    Who learns what: the receivers of the opening learn the events; nobody learns anything else. The provider
    receives ciphertexts of the label, the asker masked ciphertexts.
    Assumption: as `tongzhou.secure.pair`.
    Cost: for n rows and b bins of at most 2^w - 1 rows, ``b / floor(50 / w)`` columns; about
    ``sqrt(n · columns) / 40`` ciphertexts there and back; one round, and one to open.

Columns of 0 and 1, one a bin, are summed over the rows of an event. Several bins share a column: their counts
are digits of one number.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.blind import Blind, Job, Term
from tongzhou.secure.engine import BinLabels, CountOpening, Counts
from tongzhou.secure.lattice import ROWS
from tongzhou.secure.packing import best_layout
from tongzhou.secure.ring import Words
from tongzhou.wire.messages import ArraySpec

__all__ = ["count_in_bins"]


def count_in_bins(
    blind: Blind, rows: int, bins: Sequence[int], given: BinLabels, opening: CountOpening
) -> list[Counts] | None:
    """Events in each bin of each variable, at the receivers of the opening.

    Args:
        blind: the exchange of the two owners.
        rows: how many.
        bins: number of bins of each variable.
        given: codes or label.
        opening: who learns.
    """
    width = rows.bit_length()
    group = ROWS.bits // width
    count = -(-sum(bins) // group)
    left = None if given.codes is None else _indicators(given.codes, bins, width, group)
    right = None if given.label is None else given.label.astype(np.uint64)[:, None]
    (share,) = blind.products(ROWS, [Job(count, 1, [Term(best_layout(count, rows, 1), rows, left, right)])])
    opened = _opened(blind, share.reshape(-1), opening)
    if opened is None:
        return None
    digits = opened[:, None] >> np.arange(0, group * width, width, dtype=np.uint64)
    counts = (digits & np.uint64((1 << width) - 1)).reshape(-1)[: sum(bins)].astype(np.int64)
    return np.split(counts, np.cumsum(bins)[:-1])


def _opened(blind: Blind, share: Words, opening: CountOpening) -> Words | None:
    """Open the packed counts to the receivers."""
    party = blind.party
    if party.role == "asker" or opening == "both":
        party.peer.send("bin.events", None, [share])
    if party.role == "asker" and opening == "provider":
        return None
    _, (theirs,) = party.peer.recv("bin.events", None, [ArraySpec("<u8", share.shape)])
    return (share + theirs) & np.uint64((1 << ROWS.bits) - 1)


def _indicators(codes: Sequence[NDArray[np.int16]], bins: Sequence[int], width: int, group: int) -> Words:
    """Columns of 0 and 1 for each bin, `group` of them as digits of one number, ``(c, n)``."""
    rows = len(codes[0])
    columns = np.zeros((-(-sum(bins) // group), rows), dtype=np.uint64)
    start, every = 0, np.arange(rows)
    for code, count in zip(codes, bins, strict=True):
        place = start + code.astype(np.int64)
        columns[place // group, every] += np.uint64(1) << (width * (place % group)).astype(np.uint64)
        start += count
    return columns
