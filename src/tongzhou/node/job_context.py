"""One party's view of a running job: its home, plan, role, links, and the states of finished steps."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tongzhou.data.columns import label_column, numeric_column, text_column
from tongzhou.errors import PlanError, ProtocolError
from tongzhou.node.home import Home
from tongzhou.node.job import Job
from tongzhou.node.job_states import HelperState
from tongzhou.node.plan import Plan, PlanTable, plan_digest
from tongzhou.node.plan_jobs import JOB_RULES, LATTICE_FREE
from tongzhou.node.states import decode_state
from tongzhou.node.tables import load_table
from tongzhou.parties.grants import ConsentKeeper
from tongzhou.parties.times import utc_now
from tongzhou.secure.exchange import Exchange
from tongzhou.secure.lattice import require_library
from tongzhou.secure.party import Party, Role
from tongzhou.secure.tasks import Seat
from tongzhou.wire.messages import Session

__all__ = ["JobContext", "Progress"]

S = TypeVar("S", bound=msgspec.Struct)
Progress = Callable[[str, int, int], None]


def _nobody(step: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def _nothing() -> None:
    """Nobody watches whether the run should stop."""


@dataclass
class JobContext:
    """What a step needs to play its part.

    Attributes:
        home: the institution's folder.
        job: what is run.
        role: own role.
        session: links to the other parties.
        exchange: in mode local, where the two owners of this process meet.
        minimum_rows: fewest matched rows that plan and grant allow.
        minimum_bin_rows: fewest rows in an opened bin.
        consents: which owner keeps the clients' consents, by provider, as their grants demand.
        progress: told about long work.
        heed: raises what should stop the run; long work calls it now and then.
        clock: gives the time.
        measures: further figures of the running step, for its report.
    """

    home: Home
    job: Job
    role: Role
    session: Session
    exchange: Exchange | None = None
    minimum_rows: int = 1
    minimum_bin_rows: int = 1
    consents: dict[str, ConsentKeeper] = field(default_factory=dict)
    progress: Progress = _nobody
    heed: Callable[[], None] = _nothing
    clock: Callable[[], datetime] = utc_now
    party: Party = field(init=False)
    seat: Seat = field(init=False)
    measures: dict[str, int] = field(default_factory=dict, init=False)
    _table: pa.Table | None = field(default=None, init=False)
    _states: dict[str, msgspec.Struct] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        rules = JOB_RULES[self.plan.job]
        if self.plan.mode == "pair" and not set(rules.protocols) <= LATTICE_FREE:
            # Before anything is asked of anybody.
            require_library()
        self.party = Party(self.role, self.session, self.plan.roles)
        self.seat = Seat(self.party, self.plan.mode, self.exchange)

    @property
    def plan(self) -> Plan:
        """The agreed plan."""
        return self.job.plan

    @property
    def run_id(self) -> str:
        """The run."""
        return self.job.run_id

    @property
    def is_owner(self) -> bool:
        """Whether this party brings data."""
        return self.role != "helper"

    @property
    def digest(self) -> str:
        """Digest of the plan."""
        return plan_digest(self.plan)

    @property
    def own(self) -> PlanTable:
        """What the plan says of this owner's table."""
        return self.plan.tables[self.home.party_id]

    @property
    def signers(self) -> tuple[str, ...]:
        """Who signs receipts: every party, but in mode local only the one that there is."""
        if self.plan.mode == "local":
            return (self.plan.parties.asker,)
        return tuple(self.party.names.values())

    def tell(self, tag: str, value: object) -> None:
        """Tell every other party the same."""
        for link in self.session.links.values():
            link.send(tag, value)

    def tell_helper(self, tag: str, value: object) -> None:
        """Tell the helper, where there is one."""
        if "helper" in self.party.names:
            self.party.link("helper").send(tag, value)

    def state(self, step: str, kind: type[S]) -> S:
        """What a finished step left behind; for scores, steps of the base run too."""
        if step not in self._states:
            saved = self.home.store.step_state(self.job.run_of(step), step)
            self._states[step] = decode_state(saved, kind)
        found = self._states[step]
        if not isinstance(found, kind):
            raise PlanError("step {step} was read as another state", step=step)
        return found

    def fact(self, run_id: str, step: str, name: str) -> int:
        """At the helper, a number that a finished step of a run told every party.

        Raises:
            ProtocolError: it told none.
        """
        facts = decode_state(self.home.store.step_state(run_id, step), HelperState).facts
        try:
            return int(facts[name])
        except (KeyError, ValueError) as error:
            raise ProtocolError("step {step} told no {fact}", step=step, fact=name) from error

    def begin_step(self, step: str) -> None:
        """Start the ledger of a step anew, and forget what an earlier attempt at it left."""
        self.measures.clear()
        self.party.openings.clear()
        self._states.pop(step, None)

    # --- the own table -----------------------------------------------------------------------------

    def table(self) -> pa.Table:
        """The own rows: the registered table, proved unchanged, or the applicants."""
        if self.job.applicants is not None:
            return self.job.applicants.table
        if self._table is None:
            _, self._table = load_table(self.home, self.own.table)
        return self._table

    def identifiers(self) -> list[str]:
        """The own identifiers, in normal form, in the table's order."""
        return [str(value) for value in text_column(self.table(), self.identifier)]

    @property
    def identifier(self) -> str:
        """Name of the own identifier column."""
        return self.plan.match.identifier[self.home.party_id]

    def column(self, name: str, places: NDArray[np.int64]) -> NDArray[np.float64]:
        """Numbers of one own column for the matched rows, in the agreed order."""
        return numeric_column(self.table(), name)[places]

    def label(self, places: NDArray[np.int64]) -> NDArray[np.int8]:
        """The label of the matched rows."""
        if self.own.label is None:
            raise PlanError("plan {plan}: the asker's table has no label", plan=self.plan.name)
        return label_column(self.table(), self.own.label)[places]
