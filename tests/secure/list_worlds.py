"""Small worlds of lists: random entries, stores and ledgers that outlive a run, and a fixed clock."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tongzhou.secure.list_entries import ListEntries
from tongzhou.secure.list_query import day_of
from tongzhou.secure.list_store import MemoryListStore
from tongzhou.secure.list_tasks import ListInput, ListKeysTask, ListQueryTask, ListSetupTask, ListUpdateTask
from tongzhou.secure.list_terms import Column, ListTerms, Measure
from tongzhou.secure.party import provider_roles
from tongzhou.secure.quota import MemoryLedger
from tongzhou.secure.simulate import simulate_parties
from tongzhou.secure.tasks import Mode

NOW = 1_764_000_000.0
DAY = day_of(NOW)

LISTED = Measure("listed", "any", ("listed",))
EXPOSURE = Measure("exposure", "sum", ("exposure",))


def terms_for(providers: int, **changes: Any) -> ListTerms:
    """Terms of a small epoch; any field may be given."""
    fields: dict[str, Any] = {
        "epoch": "e1",
        "providers": providers,
        "columns": (Column("exposure", 10**9), Column("count", 1000)),
        "measures": (LISTED, EXPOSURE),
        "capacity": 40,
        "first_day": DAY,
        "per_day": 200,
        "burst": 200,
        "changes": 20,
    }
    return ListTerms(**(fields | changes))


def entries_of(terms: ListTerms, identifiers: list[str], seed: int) -> ListEntries:
    """A list with random numbers in each column of the terms."""
    source = np.random.default_rng(seed)
    columns = {
        column.name: source.integers(-column.largest, column.largest, len(identifiers), endpoint=True)
        for column in terms.columns
    }
    return ListEntries(identifiers, columns)


@dataclass
class ListWorld:
    """All parties of an epoch and what they keep between runs."""

    terms: ListTerms
    lists: dict[str, ListEntries]
    mode: Mode = "aided"
    watch: Any = None
    now: float = NOW
    stores: dict[str, MemoryListStore] = field(default_factory=dict)
    ledgers: dict[str, MemoryLedger] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for role in self.roles:
            self.stores.setdefault(role, MemoryListStore())
            self.ledgers.setdefault(role, MemoryLedger())

    @property
    def roles(self) -> tuple[str, ...]:
        """Everybody; mode local has no helper."""
        owners = ("asker", *provider_roles(self.terms.providers))
        return owners if self.mode == "local" else (*owners, "helper")

    def play(self, task: Any, **special: dict[str, Any]) -> Any:
        """Run a task; `special` holds fields of single roles' inputs."""
        inputs = {
            role: ListInput(
                self.stores[role],
                self.ledgers[role],
                **({"entries": self.lists.get(role), "now": lambda: self.now} | special.get(role, {})),
            )
            for role in self.roles
        }
        return simulate_parties(self.mode, task, inputs, watch=self.watch)

    def set_up(self) -> "ListWorld":
        self.play(ListSetupTask(self.terms))
        return self

    def keys(self, day: int) -> None:
        self.play(ListKeysTask(self.terms.epoch, day))

    def update(self, provider: str, newer: ListEntries, day: int = DAY) -> None:
        """The provider's list becomes `newer`; what it was at the beginning is kept in `lists`."""
        change = {"before": self.lists[provider], "entries": newer}
        self.play(ListUpdateTask(self.terms.epoch, day, provider), **{provider: change})

    def ask(self, *identifiers: str, day: int = DAY) -> list[dict[str, int]]:
        outcome = self.play(ListQueryTask(self.terms.epoch, day), asker={"identifiers": identifiers})
        assert {role for role, result in outcome.results.items() if result is not None} == {"asker"}
        return [answer.values for answer in outcome.results["asker"]]


def world(
    providers: int = 2, *, seed: int = 1, mode: Mode = "aided", watch: Any = None, **changes: Any
) -> ListWorld:
    """Providers with 25 of 60 persons each."""
    terms = terms_for(providers, **changes)
    source = np.random.default_rng(seed)
    lists = {
        role: entries_of(
            terms, [f"p{n}" for n in source.choice(60, min(25, terms.capacity), replace=False)], seed + place
        )
        for place, role in enumerate(provider_roles(providers))
    }
    return ListWorld(terms, lists, mode, watch)


def expected(lists: dict[str, ListEntries], identifier: str, column: str) -> int:
    """The sum over all lists, in the plainest way."""
    total = 0
    for entries in lists.values():
        if identifier in entries.identifiers:
            place = list(entries.identifiers).index(identifier)
            total += 1 if column == "listed" else int(entries.columns[column][place])
    return total
