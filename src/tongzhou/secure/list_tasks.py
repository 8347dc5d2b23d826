"""Lists as joint jobs: set up, deal a day's keys, send changes, ask. The same calls in every trust mode.

Every party of the run calls `run` with its own input. See `tongzhou.secure.list_setup` and
`tongzhou.secure.list_query` for who learns what.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from tongzhou.errors import PlanError
from tongzhou.secure.list_books import AskerBook, HelperBook, ProviderBook
from tongzhou.secure.list_entries import ListEntries, changes_between, check_entries
from tongzhou.secure.list_local import ClearLists
from tongzhou.secure.list_query import Answer, ListAsker, ListHelper, ask_clear
from tongzhou.secure.list_setup import (
    begin_as_provider,
    receive_gates,
    receive_keys,
    receive_table,
    send_gates,
    send_keys,
    send_salt,
    send_table,
)
from tongzhou.secure.list_store import ListStore
from tongzhou.secure.list_terms import MAX_BATCH, ListTerms
from tongzhou.secure.party import Party, Role, provider_roles
from tongzhou.secure.quota import Ledger, MemoryLedger
from tongzhou.secure.tasks import Seat

__all__ = ["ListInput", "ListKeysTask", "ListQueryTask", "ListSetupTask", "ListUpdateTask"]


@dataclass(frozen=True)
class ListInput:
    """What a party brings. Each needs a part of it only.

    Attributes:
        store: where the party keeps its part; everybody.
        ledger: asker and helper, to ask and to answer.
        identifiers: the asker's question.
        entries: a provider's list.
        before: a provider's list at the beginning of the epoch, where `entries` is newer.
        now: the clock of asker and helper, POSIX seconds.
    """

    store: ListStore
    ledger: Ledger = field(default_factory=MemoryLedger)
    identifiers: Sequence[str] = ()
    entries: ListEntries | None = None
    before: ListEntries | None = None
    now: Callable[[], float] = time.time


@dataclass(frozen=True)
class ListSetupTask:
    """Begin an epoch: tables of all providers, and keys of its first day.

    Attributes:
        terms: what all agreed on.
    """

    terms: ListTerms

    def run(self, seat: Seat, own: ListInput | None) -> None:
        """Play one party's part."""
        seat.require("list_setup")
        self.terms.check()
        party, given = seat.party, _given(own)
        if seat.mode == "local":
            _meet(seat, given, self._clear)
        elif party.role == "asker":
            self._ask(party, AskerBook.begin(given.store, self.terms))
        elif party.role == "helper":
            self._take(party, HelperBook.begin(given.store, self.terms))
        else:
            entries = _entries(given)
            check_entries(self.terms, entries)
            book = begin_as_provider(party.link("asker"), given.store, self.terms)
            send_table(party, book, "base", entries)
            send_keys(party, book, "base", self.terms.first_day)
            send_gates(party, book, self.terms.first_day)

    def _ask(self, party: Party, book: AskerBook) -> None:
        for provider in provider_roles(self.terms.providers):
            send_salt(party.link(provider), book)
        self._take(party, book)

    def _take(self, party: Party, book: AskerBook | HelperBook) -> None:
        for provider in provider_roles(self.terms.providers):
            head = receive_table(party, book, provider, "base")
            receive_keys(party, book, provider, head, self.terms.first_day)
            receive_gates(party, book, provider, self.terms.first_day)

    def _clear(self, inputs: Mapping[Role, ListInput]) -> dict[Role, None]:
        store = inputs["asker"].store
        ClearLists.begin(store, self.terms)
        for role, given in inputs.items():
            if role != "asker":
                ClearLists.keep(store, self.terms, role, _entries(given))
        return dict.fromkeys(inputs)


@dataclass(frozen=True)
class ListKeysTask:
    """Deal the keys of another day of the epoch.

    Attributes:
        epoch: its name.
        day: day number.
    """

    epoch: str
    day: int

    def run(self, seat: Seat, own: ListInput | None) -> None:
        """Play one party's part; in mode `local` there are no keys."""
        seat.require("list_setup")
        party, given = seat.party, _given(own)
        if seat.mode == "local":
            return
        if party.role in ("asker", "helper"):
            kind = AskerBook if party.role == "asker" else HelperBook
            book = kind.open(given.store, self.epoch)
            for provider in provider_roles(book.terms.providers):
                for head in book.heads(provider):
                    receive_keys(party, book, provider, head, self.day)
                receive_gates(party, book, provider, self.day)
            return
        own_book = ProviderBook.open(given.store, self.epoch)
        for head in own_book.heads(party.role):
            send_keys(party, own_book, head.kind, self.day)
        send_gates(party, own_book, self.day)


@dataclass(frozen=True)
class ListUpdateTask:
    """Send what changed in one provider's list since the epoch began, with keys for one day.

    Attributes:
        epoch: its name.
        day: day number.
        provider: whose list changed; the other providers do nothing.
    """

    epoch: str
    day: int
    provider: Role

    def run(self, seat: Seat, own: ListInput | None) -> None:
        """Play one party's part; the provider brings its list as it was and as it is."""
        seat.require("list_setup")
        party, given = seat.party, _given(own)
        if seat.mode == "local":
            _meet(seat, given, self._clear)
        elif party.role in ("asker", "helper"):
            kind = AskerBook if party.role == "asker" else HelperBook
            book = kind.open(given.store, self.epoch)
            head = receive_table(party, book, self.provider, "changes")
            receive_keys(party, book, self.provider, head, self.day)
        elif party.role == self.provider:
            self._send(party, ProviderBook.open(given.store, self.epoch), given)

    def _send(self, party: Party, book: ProviderBook, given: ListInput) -> None:
        if given.before is None:
            raise PlanError("an update needs the list as it was when the epoch began, and as it is")
        entries = _entries(given)
        check_entries(book.terms, entries)
        send_table(party, book, "changes", changes_between(book.terms, given.before, entries))
        send_keys(party, book, "changes", self.day)

    def _clear(self, inputs: Mapping[Role, ListInput]) -> dict[Role, None]:
        store = inputs["asker"].store
        ClearLists.keep(
            store, ClearLists(store, self.epoch).terms, self.provider, _entries(inputs[self.provider])
        )
        return dict.fromkeys(inputs)


@dataclass(frozen=True)
class ListQueryTask:
    """Ask all lists at once.

    Attributes:
        epoch: whose tables are asked.
        day: day number; the helper answers about today only.
    """

    epoch: str
    day: int

    def run(self, seat: Seat, own: ListInput | None) -> list[Answer] | None:
        """Answers at the asker, one for each identifier; ``None`` elsewhere. Providers do nothing."""
        seat.require("list_query")
        party = seat.party
        if party.role == "asker":
            given = _given(own)
            return self._clear(given) if seat.mode == "local" else self._ask(party, given)
        if party.role == "helper":
            self._help(party, _given(own))
        return None

    def _ask(self, party: Party, given: ListInput) -> list[Answer]:
        helper = party.link("helper")
        book = AskerBook.open(given.store, self.epoch)
        asker = ListAsker(helper, book, given.ledger, day=self.day, now=given.now)
        answers: list[Answer] = []
        for start in range(0, len(given.identifiers), MAX_BATCH):
            answers += asker.ask(
                given.identifiers[start : start + MAX_BATCH], before=partial(helper.send, "list.turn", True)
            )
        helper.send("list.turn", False)
        _record(party, book.terms, sum(answer.asked for answer in answers))
        return answers

    def _help(self, party: Party, given: ListInput) -> None:
        link = party.link("asker")
        book = HelperBook.open(given.store, self.epoch)
        helper = ListHelper(link, book, given.ledger, now=given.now)
        served = 0
        while link.recv("list.turn", bool)[0]:
            done = helper.serve()
            served += done.queries
            if done.refusal is not None:
                break
        _record(party, book.terms, served)

    def _clear(self, given: ListInput) -> list[Answer]:
        lists = ClearLists(given.store, self.epoch)
        return ask_clear(lists, given.ledger, given.identifiers, day=self.day, now=given.now())


def _record(party: Party, terms: ListTerms, count: int) -> None:
    for measure in terms.measures:
        party.record(f"{measure.kind} over all lists: {measure.name}", count, ("asker",), "list query")


def _given(own: ListInput | None) -> ListInput:
    if own is None:
        raise PlanError("each party of a list brings a store")
    return own


def _entries(given: ListInput) -> ListEntries:
    if given.entries is None:
        raise PlanError("a provider brings its list")
    return given.entries


def _meet(
    seat: Seat, own: ListInput, clear: Callable[[Mapping[Role, ListInput]], Mapping[Role, None]]
) -> None:
    if seat.exchange is None:
        raise PlanError("mode local needs all owners in one process")
    seat.exchange.gather(seat.party.role, own, seat.party.owners, clear)
