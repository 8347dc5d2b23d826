"""Every kind of job with a plan in each of its modes, for the tests that all of them must pass."""

from dataclasses import dataclass, field
from typing import Any

import job_town
import pyarrow as pa

from tongzhou.node.job_results import result_table
from tongzhou.node.plan import Plan, parse_plan
from tongzhou.node.plan_jobs import JOB_RULES
from tongzhou.parties.grants import Openings

HEAD = """
[plan]
name = "{job}"
purpose = "{purpose}"
mode = "{mode}"
job = "{job}"
[parties]
asker = "bank"
provider = "cardnet"
{helper}
[match]
protocol = "{protocol}"
identifier = "client_id"
minimum_rows = 500
"""


@dataclass(frozen=True)
class Kind:
    """A job in one mode.

    Attributes:
        job: its name.
        mode: trust mode.
        sections: the rest of its plan.
        terms: what the grant says besides.
        protocol: of matching; the mode's usual one by default.
    """

    job: str
    mode: str
    sections: str
    terms: dict[str, Any] = field(default_factory=dict)
    protocol: str = ""

    def __str__(self) -> str:
        return f"{self.job}-{self.mode}"

    @property
    def steps(self) -> tuple[str, ...]:
        return JOB_RULES[self.job].steps

    def plan(self, purpose: str) -> Plan:
        aided = self.mode == "aided"
        head = HEAD.format(
            job=self.job,
            purpose=purpose,
            mode=self.mode,
            helper='helper = "helper"' if aided else "",
            protocol=self.protocol or ("aided" if aided else "dh"),
        )
        return parse_plan(head + self.sections, "plan.toml")

    def granted(self, town: job_town.Town) -> Plan:
        purpose = town.purpose()
        given = {
            "modes": [self.mode],
            "helpers": ["helper"] if self.mode == "aided" else [],
            "protocols": list(JOB_RULES[self.job].protocols),
        }
        town.grant(purpose, **(given | self.terms))
        return self.plan(purpose)

    def result(self, home: Any, run_id: str) -> pa.Table:
        """The result, in an order that does not depend on the run."""
        table = result_table(home, run_id)
        return table.sort_by([(table.column_names[0], "ascending")])


MATCH = """
[tables.bank]
table = "clients"
columns = ["age"]
[tables.cardnet]
table = "behaviour"
"""

_SIZE = """
[tables.bank]
table = "clients"
[tables.cardnet]
table = "behaviour"
[size]
multiple = 100
"""
_JOIN = """
[tables.bank]
table = "clients"
columns = ["age"]
[tables.cardnet]
table = "behaviour"
columns = ["repay_1", "bill_1"]
"""
_BOOSTING = """
[tables.bank]
table = "clients"
label = "default"
columns = ["limit", "education", "age"]
[tables.cardnet]
table = "behaviour"
columns = ["repay_1", "repay_2", "bill_1", "paid_1"]
[boosting]
trees = 4
depth = 2
bins = 8
patience = 2
monotone = {repay_1 = "up"}
gains = true
"""
_ALL_OPEN = Openings(bin_counts="both", card="both", reasons=4, training_summary=True)

KINDS = [
    Kind("match", "pair", MATCH, {"columns": []}),
    Kind("match", "aided", MATCH, {"columns": []}),
    *(Kind("size", mode, _SIZE, {"columns": []}) for mode in ("pair", "aided")),
    *(Kind("join", mode, _JOIN, {"columns": ["repay_1", "bill_1"]}) for mode in ("pair", "aided")),
    Kind("boosting", "aided", _BOOSTING, {"columns": job_town.THEIRS, "openings": _ALL_OPEN}),
]
