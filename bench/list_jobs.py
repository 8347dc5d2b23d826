"""What each party does in the bench `online`: set lists up, and ask them one person at a time."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.measures import Meter
from tongzhou.node.list_ledger import SqliteLedger
from tongzhou.node.list_store import FolderListStore
from tongzhou.secure.list_books import AskerBook, HelperBook
from tongzhou.secure.list_entries import ListEntries
from tongzhou.secure.list_query import ListAsker, ListHelper, day_of
from tongzhou.secure.list_tasks import ListInput, ListSetupTask
from tongzhou.secure.list_terms import Column, ListTerms, Measure
from tongzhou.secure.party import provider_roles
from tongzhou.secure.tasks import Seat
from tongzhou.wire.session import total_traffic

__all__ = ["list_query", "list_setup"]

_EPOCH = "bench"
_WARM = 20
_MOST = 1000
"""Queries of one turn at most."""
_LARGEST = 10**12

Result = dict[str, Any]


@dataclass(frozen=True)
class _Job:
    """What the arguments say: ``FOLDER PROVIDERS ENTRIES SLOTS``."""

    folder: Path
    providers: int
    entries: int
    slots: int

    @classmethod
    def read(cls, arguments: list[str]) -> "_Job":
        providers, entries, slots = map(int, arguments[1:4])
        return cls(Path(arguments[0]), providers, entries, slots)

    @property
    def terms(self) -> ListTerms:
        """One query opens whether anybody lists the person, its exposure, and its recent applications."""
        measures = (
            Measure("listed", "any", ("listed",)),
            Measure("exposure", "sum", ("exposure",)),
            Measure("applications", "sum", ("count30",)),
        )
        return ListTerms(
            _EPOCH,
            self.providers,
            (Column("exposure", _LARGEST), Column("count30", 1000)),
            measures,
            capacity=self.entries,
            first_day=day_of(time.time()),
            days=2,  # a measurement may run past midnight
            per_day=self.slots,
            per_minute=1e6,
            burst=self.slots,
        )

    def own(self, role: str, entries: ListEntries | None = None) -> ListInput:
        """A party's store and ledger, in a folder of its own."""
        store = FolderListStore(self.folder / role)
        return ListInput(store, SqliteLedger(self.folder / role / "ledger.db"), entries=entries)

    def list_of(self, role: str) -> ListEntries | None:
        """A provider's list: every second person of the world, other ones at each."""
        roles = provider_roles(self.providers)
        if role not in roles:
            return None
        generator = np.random.default_rng(roles.index(role))
        people = generator.permutation(2 * self.entries)[: self.entries]
        columns = {
            "exposure": generator.integers(0, _LARGEST, self.entries),
            "count30": generator.integers(0, 10, self.entries),
        }
        return ListEntries([f"P{number:012}" for number in people], columns)


def list_setup(seat: Seat, arguments: list[str]) -> Result:
    """``list-setup FOLDER PROVIDERS ENTRIES SLOTS``: mask, deal, send and keep."""
    job, role = _Job.read(arguments), seat.party.role
    own = job.own(role, job.list_of(role))
    meter = Meter()
    ListSetupTask(job.terms).run(seat, own)
    sent = {peer: link.traffic.bytes_sent for peer, link in seat.party.session.links.items()}
    kept = sum(path.stat().st_size for path in (job.folder / role).glob("*.list"))
    return meter.read() | {"bytes": sum(sent.values()), "rounds": 1, "kept": kept}


def list_query(seat: Seat, arguments: list[str]) -> Result:
    """``list-query FOLDER PROVIDERS ENTRIES SLOTS TURN QUERIES``: ask, one at a time, and time each.

    Providers, if they are here, wait for the end and do nothing.
    """
    job, (turn, queries) = _Job.read(arguments), map(int, arguments[4:])
    role, session = seat.party.role, seat.party.session
    if role not in ("asker", "helper"):
        meter = Meter()
        seat.party.link("asker").recv("bench.done", bool)
        return meter.read() | {"bytes": 0, "rounds": 0}
    own = job.own(role)
    if role == "helper":
        helper = ListHelper(seat.party.link("asker"), HelperBook.open(own.store, _EPOCH), own.ledger)
        for _ in range(_WARM):
            helper.serve()
        before, meter = total_traffic(session), Meter()
        for _ in range(queries):
            helper.serve()
        return meter.read() | {"bytes": total_traffic(session).bytes_sent - before.bytes_sent, "rounds": 0}
    book = AskerBook.open(own.store, _EPOCH)
    asker = ListAsker(seat.party.link("helper"), book, own.ledger, day=day_of(time.time()))
    # Other people each time: who was asked today is answered from the asker's own notes.
    people = np.random.default_rng(0).permutation(2 * job.entries)[
        turn * _MOST : turn * _MOST + _WARM + queries
    ]
    identifiers = [f"P{number:012}" for number in people]
    for identifier in identifiers[:_WARM]:
        asker.ask([identifier])
    return _timed(seat, asker, identifiers[_WARM:])


def _timed(seat: Seat, asker: ListAsker, identifiers: list[str]) -> Result:
    session = seat.party.session
    before, meter, took, listed = total_traffic(session), Meter(), [], 0
    for identifier in identifiers:
        start = time.perf_counter()
        (answer,) = asker.ask([identifier])
        took.append(time.perf_counter() - start)
        listed += answer.values["listed"]
    found = meter.read()
    after = total_traffic(session)
    for role in seat.party.names:
        if role not in ("asker", "helper"):
            seat.party.link(role).send("bench.done", True)
    return found | {
        "bytes": after.bytes_sent - before.bytes_sent,
        "rounds": after.rounds - before.rounds,
        "p50_ms": 1000 * float(np.percentile(took, 50)),
        "p99_ms": 1000 * float(np.percentile(took, 99)),
        "listed": listed / len(identifiers),
    }
