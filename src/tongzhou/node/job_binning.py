"""Step `bin`: both owners bin their variables against the asker's label.

The asker bins its own columns by itself. The provider cuts fine bins, the joint count gives their events, and
the provider merges them; nothing in merging needs a row.
"""

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError, ProtocolError
from tongzhou.i18n import LANGUAGES
from tongzhou.node.job_context import JobContext
from tongzhou.node.job_faults import from_peer
from tongzhou.node.job_messages import BinShape
from tongzhou.node.job_states import BinState, MatchState, Variable, VariableOffer
from tongzhou.node.plan import Binning
from tongzhou.risk.binning import Bins, bin_table, fine_bins, merge_bins
from tongzhou.secure.counting import BinCounts
from tongzhou.secure.tasks import CountInput, CountTask

__all__ = ["bin_step", "column_meaning", "cut_fine", "merge_counts", "receive_offers"]

Codes = NDArray[np.int16]
Floats = NDArray[np.float64]
_MEANING_MAX = 200


def bin_step(context: JobContext) -> tuple[BinState | None, dict[str, object]]:
    """Bin; returns the state (``None`` at the helper) and the facts that every party may know."""
    if context.role == "asker":
        return _as_asker(context)
    if context.role == "provider":
        return _as_provider(context)
    shape, _ = context.party.link("provider").recv("bin.shape", BinShape)
    if shape.rows != context.fact(context.run_id, "match", "training_rows"):
        raise ProtocolError("{peer} bins other rows than were matched", peer=context.party.names["provider"])
    _task(context, shape).run(context.seat, None)
    return None, {"variables_provider": len(shape.bins)}


def _as_asker(context: JobContext) -> tuple[BinState, dict[str, object]]:
    matched = context.state("match", MatchState)
    label = context.label(matched.places)[~matched.held_out]
    _two_classes(label)
    own = tuple(_own_variable(context, name, label) for name in context.own.columns)
    provider = context.plan.parties.provider
    shape, _ = context.party.peer.recv("bin.shape", BinShape)
    if len(shape.bins) != len(context.plan.tables[provider].columns) or shape.rows != len(label):
        raise ProtocolError("{peer} binned other columns or rows than the plan names", peer=provider)
    _task(context, shape).run(context.seat, CountInput(label=label))
    offers = receive_offers(context, "bin.offers")
    if [offer.name for offer in offers] != list(context.plan.tables[provider].columns):
        raise ProtocolError("{peer} offered other columns than the plan names", peer=provider)
    return BinState(own, offers), {"variables_provider": len(shape.bins)}


def receive_offers(context: JobContext, tag: str) -> tuple[VariableOffer, ...]:
    """Variables of the other owner, as it tells them.

    Raises:
        ProtocolError: what came contradicts itself, or opens more or less than the grant says.
    """
    peer = context.party.peer
    with from_peer(peer.peer):
        offers, _ = peer.recv(tag, tuple[VariableOffer, ...])
    opened = context.plan.openings.card == "both"
    for offer in offers:
        variable = offer.variable
        if (variable is not None) != opened or not math.isfinite(offer.iv):
            raise ProtocolError("{peer} told {tag} otherwise than the plan opens it", peer=peer.peer, tag=tag)
        if variable is not None and not _consistent(offer.name, offer.iv, variable):
            raise ProtocolError("{peer} sent bins that contradict themselves", peer=peer.peer)
    return tuple(msgspec.structs.replace(offer, meaning=_bounded(offer.meaning)) for offer in offers)


def _consistent(name: str, iv: float, variable: Variable) -> bool:
    table = variable.table
    lists = (table.rows, table.events, table.rate, table.woe, table.iv_parts)
    return (
        (variable.name, table.iv) == (name, iv)
        and all(len(values) == table.bins.bin_count for values in lists)
        and all(map(math.isfinite, (*table.woe, *table.rate, *table.iv_parts)))
    )


def _as_provider(context: JobContext) -> tuple[BinState, dict[str, object]]:
    matched = context.state("match", MatchState)
    training = ~matched.held_out
    fine, codes = [], []
    for name in context.own.columns:
        bins, coded = _fine(context, name, context.column(name, matched.places)[training])
        fine.append(bins)
        codes.append(coded)
        context.heed()
    shape = BinShape(tuple(bins.bin_count for bins in fine), int(training.sum()))
    context.tell("bin.shape", shape)
    counts = _task(context, shape).run(context.seat, CountInput(codes=codes))
    own = tuple(_merged(context, bins, count) for bins, count in zip(fine, counts or [], strict=True))
    opened = context.plan.openings.card == "both"
    offers = tuple(
        VariableOffer(v.name, v.table.iv, v if opened else None, column_meaning(context, v.name)) for v in own
    )
    context.party.peer.send("bin.offers", msgspec.to_builtins(offers))
    context.party.record(
        "information value of each variable" if not opened else "bins and weights of each variable",
        len(own),
        ("asker",),
        "grant: card" if opened else "selection",
    )
    return BinState(own), {"variables_provider": len(shape.bins)}


def _task(context: JobContext, shape: BinShape) -> CountTask:
    return CountTask(shape.rows, shape.bins, context.minimum_bin_rows, context.plan.openings.bin_counts)


def _own_variable(context: JobContext, name: str, label: NDArray[np.int8]) -> Variable:
    """The asker's own variable: fine bins, counts and merging in the clear, by the same functions."""
    matched = context.state("match", MatchState)
    values = context.column(name, matched.places)[~matched.held_out]
    bins, codes = _fine(context, name, values)
    totals = np.bincount(codes, minlength=bins.bin_count).astype(np.int64)
    events = np.bincount(codes[label == 1], minlength=bins.bin_count).astype(np.int64)
    return _merged(context, bins, BinCounts(totals, events))


def _fine(context: JobContext, name: str, values: Floats) -> tuple[Bins, Codes]:
    """Fine bins of at least the minimum size, and the bin of each row."""
    specials = context.own.specials.get(name, ())
    return cut_fine(
        name, values, specials=specials, limit=context.plan.binning.fine, minimum=context.minimum_bin_rows
    )


def cut_fine(
    name: str, values: Floats, *, specials: Sequence[float], limit: int, minimum: int
) -> tuple[Bins, Codes]:
    """Fine bins of a column, none smaller than the minimum, and the bin of each row.

    Args:
        name: column name.
        values: ``(n,)`` numbers, NaN where missing.
        specials: values that get a bin of their own if they are frequent enough.
        limit: most fine bins.
        minimum: fewest rows of a bin.

    Raises:
        DataError: the column is constant.
    """
    _not_constant(name, values)
    frequent = [special for special in specials if int((values == special).sum()) >= minimum]
    bins = fine_bins(name, values, limit=limit, specials=frequent)
    return _coarsen(bins, bins.assign(values), minimum)


def _coarsen(bins: Bins, codes: Codes, minimum: int) -> tuple[Bins, Codes]:
    """Join numeric bins that hold fewer rows than the minimum to a neighbour.

    A missing bin that is too small is counted with the largest bin; having no rows of its own it then gets
    weight 0.
    """
    totals = np.bincount(codes, minlength=bins.bin_count)
    groups = np.zeros(bins.bin_count, dtype=np.int16)
    edges: list[float] = []
    running = 0
    for place in range(bins.numeric_count):
        groups[place] = len(edges)
        running += int(totals[place])
        rest = int(totals[place + 1 : bins.numeric_count].sum())
        if place < bins.numeric_count - 1 and running >= minimum and rest >= minimum:
            edges.append(bins.edges[place])
            running = 0
    merged = Bins(bins.variable, tuple(edges), bins.specials)
    shift = merged.numeric_count - bins.numeric_count
    groups[bins.numeric_count :] = np.arange(bins.numeric_count, bins.bin_count) + shift
    grouped = groups[codes]
    sizes = np.bincount(grouped, minlength=merged.bin_count)
    if 0 < sizes[merged.missing_bin] < minimum:
        grouped[grouped == merged.missing_bin] = int(np.argmax(sizes[: merged.missing_bin]))
    return merged, grouped.astype(np.int16)


def _merged(context: JobContext, fine: Bins, counts: BinCounts) -> Variable:
    return merge_counts(fine, counts, context.plan.binning, context.minimum_bin_rows)


def merge_counts(fine: Bins, counts: BinCounts, settings: Binning, minimum: int) -> Variable:
    """Merge fine bins from their counts, and weigh them.

    Args:
        fine: fine bins.
        counts: rows and events in each.
        settings: of the plan.
        minimum: fewest rows of a bin.
    """
    if counts.events is None:
        raise ProtocolError("the events of {variable} were not opened to its owner", variable=fine.variable)
    rows = int(counts.totals.sum())
    merged = merge_bins(
        fine,
        counts.totals,
        counts.events,
        max_bins=settings.max_bins,
        min_rows=max(minimum, round(settings.min_share * rows)),
        monotone=settings.monotone,
    )
    table = bin_table(merged.bins, merged.fold(counts.totals), merged.fold(counts.events))
    return Variable(table, merged.direction)


def column_meaning(context: JobContext, name: str) -> dict[str, str]:
    """What a column means, from the metadata of its Parquet field (keys ``en`` and ``zh``)."""
    metadata = context.table().schema.field(name).metadata or {}
    return _bounded({lang: metadata.get(lang.encode(), b"").decode("utf-8", "replace") for lang in LANGUAGES})


def _bounded(meaning: dict[str, str]) -> dict[str, str]:
    found = {lang: meaning.get(lang, "")[:_MEANING_MAX] for lang in LANGUAGES}
    return {lang: text for lang, text in found.items() if text}


def _not_constant(name: str, values: Floats) -> None:
    present = values[~np.isnan(values)]
    if len(present) == 0 or (present.min() == present.max() and len(present) == len(values)):
        raise DataError(
            "column {column} is constant over the matched training rows; it says nothing, so remove it from "
            "the plan",
            column=name,
        )


def _two_classes(label: NDArray[np.int8]) -> None:
    events = int(label.sum())
    if events in {0, len(label)}:
        raise DataError(
            "the label is {value} in all {rows} training rows; both 0 and 1 are needed",
            value=int(label[0]),
            rows=len(label),
        )
