"""What an institution still allows to be learnt of its tables by results with noise, kept in one SQLite file.

A loss is entered for good before anything is released, in one transaction with the look at what is left: two
runs at the same time cannot both take the last of it, and a run that is killed afterwards has spent it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tongzhou.errors import ConflictError, NotFoundError, PlanError
from tongzhou.node._database import Database
from tongzhou.parties.times import utc_now
from tongzhou.secure.private_sums import budget_exceeded

__all__ = ["PrivacyBudgets", "Spent", "TableBudget"]

_VERSION = 1
_SCHEMA = """
CREATE TABLE budget (name TEXT PRIMARY KEY, most REAL NOT NULL CHECK (most > 0)) STRICT, WITHOUT ROWID;
CREATE TABLE loss (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL REFERENCES budget (name), rho REAL NOT NULL CHECK (rho > 0),
    what TEXT NOT NULL, moment TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True)
class Spent:
    """One loss.

    Attributes:
        rho: how much.
        what: by which run, in words.
        moment: when, in UTC.
    """

    rho: float
    what: str
    moment: datetime


class PrivacyBudgets:
    """The budgets of all tables of an institution.

    Args:
        path: the file; `create` makes it.
        clock: gives the moment of an entry.
    """

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._database = Database(path, _VERSION)
        self._clock = clock

    @classmethod
    def create(cls, path: Path, *, clock: Callable[[], datetime] = utc_now) -> "PrivacyBudgets":
        """Make the file.

        Raises:
            ConflictError: it exists.
            StorageError: it cannot be written.
        """
        Database.create(path, _SCHEMA, _VERSION).close()
        return cls(path, clock=clock)

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    def allow(self, table: str, most: float) -> None:
        """Set the most that may ever be spent on a table; once set it can only be raised.

        Raises:
            PlanError: not above zero.
            ConflictError: below what is allowed already, which runs may count on.
        """
        if not 0 < most < float("inf"):
            raise PlanError("a privacy budget must be above zero, got {got}", got=most)
        with self._database.write() as connection:
            found = connection.execute("SELECT most FROM budget WHERE name = ?", (table,)).fetchone()
            if found is not None and most < found[0]:
                raise ConflictError(
                    "the privacy budget of {table} is {most:g} and can only be raised, not set to {got:g}",
                    table=table,
                    most=found[0],
                    got=most,
                )
            connection.execute(
                "INSERT INTO budget VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET most = excluded.most",
                (table, most),
            )

    def table(self, table: str) -> "TableBudget":
        """The budget of one table, to bring to a run.

        Raises:
            NotFoundError: none was allowed.
        """
        if not self._database.rows("SELECT 1 FROM budget WHERE name = ?", table):
            raise NotFoundError("there is no privacy budget for {table}; allow one first", table=table)
        return TableBudget(self, table)

    def left(self, table: str) -> float:
        """What may still be spent; 0 where none was allowed."""
        rows = self._database.rows(
            "SELECT most - (SELECT COALESCE(SUM(rho), 0) FROM loss WHERE loss.name = budget.name) "
            "FROM budget WHERE name = ?",
            table,
        )
        return max(0.0, float(rows[0][0])) if rows else 0.0

    def losses(self, table: str) -> list[Spent]:
        """All losses of a table, the oldest first."""
        rows = self._database.rows("SELECT rho, what, moment FROM loss WHERE name = ? ORDER BY id", table)
        return [Spent(rho, what, datetime.fromisoformat(moment)) for rho, what, moment in rows]

    def enter(self, table: str, rho: float, what: str) -> None:
        """Enter a loss if it fits into what is left.

        Raises:
            GrantError: it does not; nothing is entered then.
        """
        with self._database.write() as connection:
            most = connection.execute("SELECT most FROM budget WHERE name = ?", (table,)).fetchone()
            spent = connection.execute(
                "SELECT COALESCE(SUM(rho), 0) FROM loss WHERE name = ?", (table,)
            ).fetchone()
            left = (0.0 if most is None else float(most[0])) - float(spent[0])
            if not 0 < rho <= left:
                raise budget_exceeded(what, rho, left)
            connection.execute(
                "INSERT INTO loss (name, rho, what, moment) VALUES (?, ?, ?, ?)",
                (table, rho, what, self._clock().isoformat()),
            )


@dataclass(frozen=True)
class TableBudget:
    """The budget of one table; fits `tongzhou.secure.private_sums.Budget`."""

    budgets: PrivacyBudgets
    name: str

    def spend(self, rho: float, what: str) -> None:
        """Enter a loss for good.

        Raises:
            GrantError: it does not fit into what is left.
        """
        self.budgets.enter(self.name, rho, what)
