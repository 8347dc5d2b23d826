"""Events and totals in each bin of the provider's variables, against the asker's label.

Statement
    Parties: asker (label), provider (bins), and in mode `aided` a helper.
    Who learns what: both owners learn the number of rows in each bin (so that each can refuse bins that are
    too small); the receivers named in the grant learn the number of events in each bin. How the events are
    summed depends on the mode: `tongzhou.secure.shuffling` with a helper, `tongzhou.secure.pair` without.
    Assumption: as the engine of the mode.
    Cost: 8 bytes a bin besides the summing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError, ProtocolError
from tongzhou.secure.engine import BinLabels, CountOpening, Counts, Engine
from tongzhou.secure.party import Role
from tongzhou.secure.refusals import no_label
from tongzhou.wire.messages import ArraySpec

__all__ = ["BinCounts", "CountOpening", "count_events", "refuse_small"]


@dataclass(frozen=True)
class BinCounts:
    """Rows and events in each bin of one variable.

    Attributes:
        totals: ``(b,)`` rows in each bin; the last bin holds missing values.
        events: ``(b,)`` events in each bin, or ``None`` where this party may not know them.
    """

    totals: Counts
    events: Counts | None


def count_events(
    engine: Engine,
    rows: int,
    bins: Sequence[int],
    *,
    codes: Sequence[NDArray[np.int16]] | None = None,
    label: NDArray[np.int8] | None = None,
    minimum_rows: int = 1,
    receivers: CountOpening = "provider",
) -> list[BinCounts]:
    """Count events for each bin of each variable of the provider.

    Args:
        engine: who computes.
        rows: number of matched rows, in the agreed order.
        bins: number of bins of each variable (public).
        codes: the provider's bin of each row, one ``(n,)`` array a variable.
        label: the asker's ``(n,)`` label of 0 and 1.
        minimum_rows: a bin with fewer rows (but not empty) is refused before anything is opened.
        receivers: who learns the events.

    Returns:
        One `BinCounts` a variable; an empty list at the helper.

    Raises:
        DataError: a bin is smaller than the minimum.
    """
    totals = _share_totals(engine, rows, bins, codes)
    for variable, counts in enumerate(totals):
        refuse_small(variable, counts, minimum_rows)
    if engine.party.role == "asker" and label is None:
        raise no_label()
    _record(engine, bins, receivers)
    events = engine.count_labels(rows, bins, BinLabels(totals, codes, label), receivers)
    return [
        BinCounts(counts, None if events is None else events[place]) for place, counts in enumerate(totals)
    ]


def _share_totals(
    engine: Engine, rows: int, bins: Sequence[int], codes: Sequence[NDArray[np.int16]] | None
) -> list[Counts]:
    """The provider tells the asker how many rows each bin holds."""
    party = engine.party
    if not engine.is_owner:
        return []
    if codes is not None:
        totals = [np.bincount(c, minlength=b).astype(np.int64) for c, b in zip(codes, bins, strict=True)]
        party.peer.send("bin.totals", None, totals)
        return totals
    _, totals = party.peer.recv("bin.totals", None, [ArraySpec("<i8", (b,)) for b in bins])
    for counts in totals:
        if counts.min() < 0 or int(counts.sum()) != rows:
            raise ProtocolError(
                "{peer} sent bin sizes that do not add up to the {rows} matched rows",
                peer=party.peer.peer,
                rows=rows,
            )
    return totals


def _record(engine: Engine, bins: Sequence[int], receivers: CountOpening) -> None:
    roles: tuple[Role, ...] = ("provider",) if receivers == "provider" else ("asker", "provider")
    engine.party.record("rows in each bin of the provider", sum(bins), ("asker",), "refuse small bins")
    engine.party.record("events in each bin of the provider", sum(bins), roles, "grant: bin_counts")


def refuse_small(variable: int, totals: Counts, minimum_rows: int) -> None:
    """Refuse a variable (by its place, from 0) of which some bin is not empty but below the minimum."""
    small = totals[(totals > 0) & (totals < minimum_rows)]
    if len(small):
        raise DataError(
            "variable {variable} of the provider has a bin of {got} rows; at least {minimum} are required, "
            "so that no single client's label can be told from a count",
            variable=variable + 1,
            got=int(small.min()),
            minimum=minimum_rows,
        )
