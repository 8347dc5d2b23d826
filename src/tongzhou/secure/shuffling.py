"""Events in each bin by shares in a shuffled order, with a helper that deals the shuffle.

Statement
    Parties: asker (label), provider (bins), helper.
    Who learns what: the asker sees, for each variable, a uniformly permuted order of the rows; the provider
    sees the label masked by uniform words; the helper sees nothing. The receivers of the opening learn the
    events.
    Assumption: as `tongzhou.secure.aided`.
    Cost: 12 bytes a row and variable; two rounds for any number of variables.
    Paper: share translation, Chase, Ghosh and Poburinnaya, Secret-shared shuffle (ASIACRYPT 2020), with the
    correlation dealt by the helper.

The provider's permutation sorts the rows by bin. Once the label is shared in that order, a bin is a run of
neighbouring places, and its events are the sum of that run.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import ProtocolError
from tongzhou.secure.engine import BinLabels, CountOpening, Counts
from tongzhou.secure.party import Party, Role
from tongzhou.secure.prg import Stream
from tongzhou.secure.refusals import no_label
from tongzhou.wire.messages import ArraySpec

__all__ = ["deal_shuffles", "events_in_bins"]


def deal_shuffles(party: Party, streams: Mapping[Role, Stream], rows: int, variables: int) -> None:
    """The helper's part: one shuffle a variable."""
    for _ in range(variables):
        inner = streams["provider"].permutation(rows)
        before, after = streams["asker"].halves(rows), streams["asker"].halves(rows)
        party.link("provider").send("bin.shuffle", None, [before[inner] - after])


def events_in_bins(
    party: Party, stream: Stream, rows: int, given: BinLabels, opening: CountOpening
) -> list[Counts] | None:
    """An owner's part: events in each bin of each variable, at the receivers of the opening."""
    return _open_sums(party, _permuted_sums(party, stream, rows, given), opening)


def _permuted_sums(party: Party, stream: Stream, rows: int, given: BinLabels) -> list[NDArray[np.uint32]]:
    """This owner's shares of the events in each bin of each variable.

    With the dealt permutation ρ, masks a and b, and D = ρ(a) - b: the asker orders the label by the masked
    permutation τ = π ρ⁻¹, hides it with a, and the provider's ρ brings it into bin order π.
    """
    if given.codes is not None:
        # All orders go out before the first label is awaited: one round for any number of variables.
        inner = [_send_order(party, stream, code) for code in given.codes]
        return [
            _sums_by_provider(party, own, counts) for own, counts in zip(inner, given.totals, strict=True)
        ]
    if given.label is None:
        raise no_label()
    words = given.label.astype(np.uint32)
    return [_sums_by_asker(party, stream, words, counts) for counts in given.totals]


def _send_order(party: Party, stream: Stream, codes: NDArray[np.int16]) -> NDArray[np.uint32]:
    """Tell the asker the masked order of one variable; returns the inner permutation."""
    inner = stream.permutation(len(codes)).astype(np.uint32)
    masked = np.empty(len(codes), dtype=np.uint32)
    masked[inner] = np.argsort(codes, kind="stable")
    party.peer.send("bin.order", None, [masked])
    return inner


def _sums_by_provider(party: Party, inner: NDArray[np.uint32], totals: Counts) -> NDArray[np.uint32]:
    spec = ArraySpec("<u4", (len(inner),))
    _, (dealt,) = party.link("helper").recv("bin.shuffle", None, [spec])
    _, (hidden,) = party.peer.recv("bin.label", None, [spec])
    return _segment_sums(hidden[inner] + dealt, totals)


def _sums_by_asker(
    party: Party, stream: Stream, label: NDArray[np.uint32], totals: Counts
) -> NDArray[np.uint32]:
    rows = len(label)
    before, after = stream.halves(rows), stream.halves(rows)
    _, (outer,) = party.peer.recv("bin.order", None, [ArraySpec("<u4", (rows,))])
    _refuse_repeats(party.peer.peer, outer, rows)
    party.peer.send("bin.label", None, [label[outer] - before])
    return _segment_sums(after, totals)


def _open_sums(party: Party, sums: list[NDArray[np.uint32]], receivers: CountOpening) -> list[Counts] | None:
    """Open the events to the receivers of the grant."""
    roles: tuple[Role, ...] = ("provider",) if receivers == "provider" else ("asker", "provider")
    if party.role == "asker" or "asker" in roles:
        party.peer.send("bin.events", None, sums)
    if party.role not in roles:
        return None
    _, theirs = party.peer.recv("bin.events", None, [ArraySpec("<u4", s.shape) for s in sums])
    return [(ours + other).astype(np.int64) for ours, other in zip(sums, theirs, strict=True)]


def _segment_sums(values: NDArray[np.uint32], totals: Counts) -> NDArray[np.uint32]:
    """Sums over neighbouring runs of the given lengths; empty runs give zero."""
    running = np.concatenate([np.zeros(1, dtype=np.uint32), np.cumsum(values, dtype=np.uint32)])
    ends = np.cumsum(totals)
    sums: NDArray[np.uint32] = running[ends] - running[ends - totals]
    return sums


def _refuse_repeats(peer: str, order: NDArray[np.uint32], rows: int) -> None:
    # A place beyond the rows, or one that is missing because another came twice.
    if int(order.max()) >= rows or not bool(np.bincount(order, minlength=rows).all()):
        raise ProtocolError("{peer} sent an order of the rows that is not a permutation", peer=peer)
