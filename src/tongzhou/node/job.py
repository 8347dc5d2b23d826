"""What a run is about: its plan, what it makes, and the asker's rows where they are no registered table."""

from dataclasses import dataclass

import pyarrow as pa

from tongzhou.node.job_messages import JobKind, Offer, steps_of
from tongzhou.node.plan import Plan

__all__ = ["Applicants", "Job"]


@dataclass(frozen=True)
class Applicants:
    """Rows that an asker scores once and does not keep.

    Attributes:
        table: the rows, identifiers in normal form.
        content_hash: SHA-256 (hex) of the file they came from.
    """

    table: pa.Table
    content_hash: str


@dataclass(frozen=True)
class Job:
    """One job.

    Attributes:
        plan: the plan; for scores, that of the base run.
        run_id: the run.
        kind: what it makes.
        base_run: for scores, the run that made the card; empty otherwise.
        applicants: at the asker of scores, the rows to be scored.
    """

    plan: Plan
    run_id: str
    kind: JobKind
    base_run: str = ""
    applicants: Applicants | None = None

    @classmethod
    def offered(cls, offer: Offer, plan: Plan) -> "Job":
        """The run that an asker offers."""
        return cls(plan, offer.run_id, offer.kind, offer.base_run)

    @property
    def steps(self) -> tuple[str, ...]:
        """Its steps, in order."""
        return steps_of(self.kind, self.plan.job)

    def run_of(self, step: str) -> str:
        """The run whose state of a step counts: the base run's where this job has no such step itself."""
        return self.run_id if step in self.steps else self.base_run
