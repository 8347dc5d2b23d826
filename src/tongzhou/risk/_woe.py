"""Weight of evidence and information value: one definition for all parts of the system.

For bin b with e events and n non-events, out of E and N in all bins: ``woe = ln((e / E) / (n / N))`` and its
part of the information value is ``(e / E - n / N) * woe``. A positive weight means riskier than average.
"""

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from tongzhou.errors import DataError

from ._bins import Bins
from ._types import Floats, Ints, integer_counts

__all__ = ["SMOOTHING", "BinTable", "bin_table", "evidence"]

# Added to both counts of a bin that lacks events or non-events, where the logarithm would be infinite.
SMOOTHING = 0.5

# Rates are compared by products of counts, which must stay inside int64.
ROWS_MAX = 2**31


class BinTable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What each bin of a variable holds. All lists have one value for each bin, in the order of ``bins``.

    Args:
        bins: the bins.
        rows: rows in each bin.
        events: events (label 1) in each bin.
        rate: events / rows; 0 for an empty bin.
        woe: weight of evidence; positive is riskier than average; 0 for an empty bin.
        iv_parts: each bin's part of the information value.
        iv: information value, the sum of the parts.
        smoothing: what was added to both counts of a bin that lacked a class.
    """

    bins: Bins
    rows: tuple[int, ...]
    events: tuple[int, ...]
    rate: tuple[float, ...]
    woe: tuple[float, ...]
    iv_parts: tuple[float, ...]
    iv: float
    smoothing: float = SMOOTHING


def evidence(events: Ints, non_events: Ints, all_events: int, all_non_events: int) -> tuple[Floats, Floats]:
    """Return weight of evidence and part of the information value for counts of any shape."""
    added = np.where((events == 0) | (non_events == 0), SMOOTHING, 0.0)
    event_share = (events + added) / all_events
    other_share = (non_events + added) / all_non_events
    filled = (events + non_events) > 0
    woe = np.where(filled, np.log(event_share / other_share), 0.0)
    return woe, np.where(filled, (event_share - other_share) * woe, 0.0)


def checked_counts(bins: Bins, totals: ArrayLike, events: ArrayLike) -> tuple[Ints, Ints]:
    """Return rows and events per bin after checking that they can be counts of one table.

    Raises:
        DataError: wrong length, negative, more events than rows, one class only, or too many rows.
    """
    rows = integer_counts(totals, bins.variable, bins.bin_count)
    hits = integer_counts(events, bins.variable, bins.bin_count)
    if np.any(hits > rows):
        raise DataError(
            "{variable}: bin {bin} has more events than rows",
            variable=bins.variable,
            bin=int(np.flatnonzero(hits > rows)[0]) + 1,
        )
    all_rows, all_hits = int(rows.sum()), int(hits.sum())
    if all_hits in {0, all_rows}:
        raise DataError(
            "{variable}: weights need both classes, but {events} of {rows} rows are events",
            variable=bins.variable,
            events=all_hits,
            rows=all_rows,
        )
    if all_rows > ROWS_MAX:
        raise DataError(
            "{variable}: at most {most} rows, got {got}", variable=bins.variable, most=ROWS_MAX, got=all_rows
        )
    return rows, hits


def bin_table(bins: Bins, totals: ArrayLike, events: ArrayLike, *, neutral_below: int = 1) -> BinTable:
    """Describe each bin by its rate, weight of evidence and part of the information value.

    Args:
        bins: b bins.
        totals: rows in each bin, b counts.
        events: events in each bin, b counts.
        neutral_below: special and missing bins with fewer rows get weight 0, since so few rows prove nothing.

    Raises:
        DataError: counts that cannot be.
    """
    rows, hits = checked_counts(bins, totals, events)
    all_hits = int(hits.sum())
    woe, parts = evidence(hits, rows - hits, all_hits, int(rows.sum()) - all_hits)
    small = rows < max(neutral_below, 1)
    small[: bins.numeric_count] = rows[: bins.numeric_count] == 0
    woe[small] = 0.0
    parts[small] = 0.0
    return BinTable(
        bins=bins,
        rows=tuple(rows.tolist()),
        events=tuple(hits.tolist()),
        rate=tuple((hits / np.maximum(rows, 1)).tolist()),
        woe=tuple(woe.tolist()),
        iv_parts=tuple(parts.tolist()),
        iv=float(parts.sum()),
    )
