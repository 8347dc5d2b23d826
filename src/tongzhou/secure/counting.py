"""Events and totals in each bin of the provider's variables, against the asker's label.

Statement
    Parties: asker (label), provider (bins), helper.
    Who learns what: both owners learn the number of rows in each bin (so that each can refuse bins that are
    too small); the receivers named in the grant learn the number of events in each bin. The asker sees, for
    each variable, a uniformly permuted order of the rows; the provider sees the label masked by uniform
    words; the helper sees nothing.
    Assumption: as `tongzhou.secure.aided`.
    Cost: 12 bytes a row and variable; two rounds for any number of variables.
    Paper: share translation, Chase, Ghosh and Poburinnaya, Secret-shared shuffle (ASIACRYPT 2020), with the
    correlation dealt by the helper.

The provider's permutation sorts the rows by bin. Once the label is shared in that order, a bin is a run of
neighbouring places, and its events are the sum of that run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError, ProtocolError
from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.party import Role
from tongzhou.secure.refusals import no_label
from tongzhou.wire.messages import ArraySpec

__all__ = ["BinCounts", "CountOpening", "count_events", "refuse_small"]

CountOpening = Literal["provider", "both"]
Counts = NDArray[np.int64]


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
    engine: AidedEngine,
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
    sums = _permuted_sums(engine, rows, len(bins), totals, codes=codes, label=label)
    _record(engine, bins, receivers)
    if not engine.is_owner:
        return []
    events = _open_sums(engine, sums, receivers)
    return [
        BinCounts(counts, None if events is None else events[place]) for place, counts in enumerate(totals)
    ]


def _share_totals(
    engine: AidedEngine, rows: int, bins: Sequence[int], codes: Sequence[NDArray[np.int16]] | None
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


def _permuted_sums(
    engine: AidedEngine,
    rows: int,
    variables: int,
    totals: list[Counts],
    *,
    codes: Sequence[NDArray[np.int16]] | None,
    label: NDArray[np.int8] | None,
) -> list[NDArray[np.uint32]]:
    """This owner's shares of the events in each bin of each variable.

    With the dealt permutation ρ, masks a and b, and D = ρ(a) - b: the asker orders the label by the masked
    permutation τ = π ρ⁻¹, hides it with a, and the provider's ρ brings it into bin order π.
    """
    if not engine.is_owner:
        for _ in range(variables):
            _deal_shuffle(engine, rows)
        return []
    if codes is not None:
        # All orders go out before the first label is awaited: one round for any number of variables.
        inner = [_send_order(engine, code) for code in codes]
        return [_sums_by_provider(engine, own, counts) for own, counts in zip(inner, totals, strict=True)]
    if label is None:
        raise no_label()
    words = label.astype(np.uint32)
    return [_sums_by_asker(engine, words, counts) for counts in totals]


def _deal_shuffle(engine: AidedEngine, rows: int) -> None:
    inner = engine.stream("provider").permutation(rows)
    before, after = engine.stream("asker").halves(rows), engine.stream("asker").halves(rows)
    engine.party.link("provider").send("bin.shuffle", None, [before[inner] - after])


def _send_order(engine: AidedEngine, codes: NDArray[np.int16]) -> NDArray[np.uint32]:
    """Tell the asker the masked order of one variable; returns the inner permutation."""
    inner = engine.stream("provider").permutation(len(codes)).astype(np.uint32)
    masked = np.empty(len(codes), dtype=np.uint32)
    masked[inner] = np.argsort(codes, kind="stable")
    engine.party.peer.send("bin.order", None, [masked])
    return inner


def _sums_by_provider(engine: AidedEngine, inner: NDArray[np.uint32], totals: Counts) -> NDArray[np.uint32]:
    party, spec = engine.party, ArraySpec("<u4", (len(inner),))
    _, (dealt,) = party.link("helper").recv("bin.shuffle", None, [spec])
    _, (hidden,) = party.peer.recv("bin.label", None, [spec])
    return _segment_sums(hidden[inner] + dealt, totals)


def _sums_by_asker(engine: AidedEngine, label: NDArray[np.uint32], totals: Counts) -> NDArray[np.uint32]:
    party, rows = engine.party, len(label)
    before, after = engine.stream("asker").halves(rows), engine.stream("asker").halves(rows)
    _, (outer,) = party.peer.recv("bin.order", None, [ArraySpec("<u4", (rows,))])
    _refuse_repeats(party.peer.peer, outer, rows)
    party.peer.send("bin.label", None, [label[outer] - before])
    return _segment_sums(after, totals)


def _open_sums(
    engine: AidedEngine, sums: list[NDArray[np.uint32]], receivers: CountOpening
) -> list[Counts] | None:
    """Open the events to the receivers of the grant."""
    party = engine.party
    roles: tuple[Role, ...] = ("provider",) if receivers == "provider" else ("asker", "provider")
    if party.role == "asker" or "asker" in roles:
        party.peer.send("bin.events", None, sums)
    if party.role not in roles:
        return None
    _, theirs = party.peer.recv("bin.events", None, [ArraySpec("<u4", s.shape) for s in sums])
    return [(ours + other).astype(np.int64) for ours, other in zip(sums, theirs, strict=True)]


def _record(engine: AidedEngine, bins: Sequence[int], receivers: CountOpening) -> None:
    roles: tuple[Role, ...] = ("provider",) if receivers == "provider" else ("asker", "provider")
    engine.party.record("rows in each bin of the provider", sum(bins), ("asker",), "refuse small bins")
    engine.party.record("events in each bin of the provider", sum(bins), roles, "grant: bin_counts")


def _segment_sums(values: NDArray[np.uint32], totals: Counts) -> NDArray[np.uint32]:
    """Sums over neighbouring runs of the given lengths; empty runs give zero."""
    running = np.concatenate([np.zeros(1, dtype=np.uint32), np.cumsum(values, dtype=np.uint32)])
    ends = np.cumsum(totals)
    sums: NDArray[np.uint32] = running[ends] - running[ends - totals]
    return sums


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


def _refuse_repeats(peer: str, order: NDArray[np.uint32], rows: int) -> None:
    # A place beyond the rows, or one that is missing because another came twice.
    if int(order.max()) >= rows or not bool(np.bincount(order, minlength=rows).all()):
        raise ProtocolError("{peer} sent an order of the rows that is not a permutation", peer=peer)
