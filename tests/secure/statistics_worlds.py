"""Two owners' tables of the same clients, and short ways to ask about them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tongzhou.parties.disclosure import DisclosurePolicy
from tongzhou.secure.answered import MemoryHistory
from tongzhou.secure.owner_side import StatisticsInput
from tongzhou.secure.simulate import Outcome, simulate
from tongzhou.secure.statistic_requests import Condition, Request, Totals
from tongzhou.secure.statistics import StatisticsTask
from tongzhou.secure.tasks import Mode

MODES: list[Mode] = ["local", "aided"]
OPEN = DisclosurePolicy(minimum_rows=0)
"""No rule at all: the naive baseline."""


@dataclass
class Town:
    """What both owners hold of n clients.

    Attributes:
        rows: n.
        asker, provider: columns by name.
        groups: categories of both, by ``owner.name``, with their number of groups.
        names: identifiers of the clients; by their places if empty.
    """

    rows: int
    asker: dict[str, np.ndarray]
    provider: dict[str, np.ndarray]
    groups: dict[str, tuple[np.ndarray, int]]
    names: list[str] = field(default_factory=list)

    def inputs(self, histories: tuple[Any, Any] = (None, None)) -> list[StatisticsInput]:
        """Both owners' inputs."""
        names = self.names or [f"client-{row}" for row in range(self.rows)]
        return [
            StatisticsInput(
                columns,
                {
                    name.split(".")[1]: codes
                    for name, (codes, _) in self.groups.items()
                    if name.startswith(role)
                },
                names,
                history,
            )
            for role, columns, history in zip(
                ("asker", "provider"), (self.asker, self.provider), histories, strict=True
            )
        ]

    def ask(
        self,
        *requests: Request,
        mode: Mode = "aided",
        policy: DisclosurePolicy = OPEN,
        histories: tuple[Any, Any] = (None, None),
        watch: Any = None,
    ) -> Outcome[Any]:
        """Run one task; both owners' answers."""
        sizes = {name: size for name, (_, size) in self.groups.items()}
        task = StatisticsTask(self.rows, requests, sizes, policy)
        return simulate(mode, task, *self.inputs(histories), watch=watch)


def town(rows: int = 600, *, seed: int = 1, regions: int = 4, sectors: int = 3) -> Town:
    """Correlated columns of both owners, and categories with no small part."""
    source = np.random.default_rng(seed)
    age = source.integers(18, 80, rows).astype(float)
    income = np.round(source.lognormal(8, 1, rows), 2)
    asker = {
        "age": age,
        "limit": np.round(income / 10 + source.normal(0, 50, rows), 1),
        "default": (source.random(rows) < 0.3).astype(float),
    }
    provider = {
        "income": income,
        "visits": source.poisson(3, rows).astype(float) - 1,
        "balance": np.round(source.normal(0, 1000, rows) + 10 * age, 2),
    }
    groups = {
        "asker.region": (np.arange(rows) % regions, regions),
        "provider.sector": (source.integers(0, sectors, rows), sectors),
    }
    return Town(rows, asker, provider, groups)


def histories() -> tuple[MemoryHistory, MemoryHistory]:
    """A record for each owner."""
    return MemoryHistory(), MemoryHistory()


def count(name: str, *conditions: Condition, **options: Any) -> Totals:
    """A count of the rows that fulfil all conditions."""
    return Totals(name=name, where=conditions, **options)


def at_least(column: str, least: float) -> Condition:
    """Rows from a value on."""
    return Condition(column=column, least=least)


def flagged(column: str) -> Condition:
    """Rows where a column of 0 and 1 is 1."""
    return Condition(column=column, least=1)
