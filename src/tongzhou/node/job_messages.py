"""What the parties of a job say to each other around the protocols."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from tongzhou.secure.party import Opening

__all__ = [
    "JOB_PURPOSE",
    "PEER_PURPOSE",
    "STEPS",
    "WITNESS_PURPOSE",
    "Acceptance",
    "Offer",
    "Receipt",
    "SignedReceipt",
    "StepCost",
    "StepOrder",
    "StepReport",
]

JOB_PURPOSE: Final = "job"
"""Purpose of an asker's call."""

WITNESS_PURPOSE: Final = "witness"
"""Purpose of a call for a cosignature."""

PEER_PURPOSE: Final = "job-peer"
"""Purpose of a provider's call to the helper of the same run."""

STEPS: Final = ("match", "bin", "select", "train", "score", "publish")
"""The steps of a scorecard job, in order; each is saved by every party before the next begins."""

_RunId = Annotated[str, Meta(pattern=r"^[a-z0-9-]{8,64}$")]


class _Message(Struct, frozen=True, forbid_unknown_fields=True):
    """Nothing unknown is accepted from a peer."""


class Offer(_Message, frozen=True):
    """The asker proposes a run to a peer.

    Attributes:
        run_id: identifier of the run.
        plan: the plan, as `encode_plan` writes it.
        plan_digest: its digest, which the peer computes anew.
        software: version of the asker's program.
        commitment: salted commitment to the asker's table.
    """

    run_id: _RunId
    plan: str
    plan_digest: str
    software: str
    commitment: str


class Acceptance(_Message, frozen=True):
    """A peer takes part.

    Attributes:
        party: who accepts.
        plan_digest: digest of the plan it will work to.
        done: steps of this run that it has finished and saved.
        grant_id: the provider's grant that allows the run; empty at the helper.
        grant: the grant as a signed document; empty at the helper.
        attempts: how often each step of this run stands in its log.
        minimum_rows: fewest matched rows of the grant; 0 at the helper.
        minimum_bin_rows: fewest rows in an opened bin; 0 at the helper.
        commitment: salted commitment to the provider's table; empty at the helper.
    """

    party: str
    plan_digest: str
    done: tuple[str, ...]
    attempts: dict[str, int] = {}
    grant_id: str = ""
    grant: str = ""
    minimum_rows: int = 0
    minimum_bin_rows: int = 0
    commitment: str = ""


class StepOrder(_Message, frozen=True):
    """The asker starts a step (or, with an empty name, ends the run).

    Attributes:
        step: name of the step.
        attempt: 1 for the first time this step is played in this run.
        after: last step that all parties have finished; what lies beyond is dropped.
        grant_id: the grant in force.
        commitments: of the tables, by party.
        minimum_rows: fewest matched rows that plan and grant allow.
        minimum_bin_rows: fewest rows in an opened bin.
    """

    step: str
    attempt: int
    after: str
    grant_id: str
    commitments: dict[str, str]
    minimum_rows: int
    minimum_bin_rows: int


class StepCost(_Message, frozen=True):
    """What a step cost one party.

    Attributes:
        wall_us, cpu_us: microseconds.
        bytes_sent: to all peers.
        rounds: waits for a peer after having spoken.
    """

    wall_us: int
    cpu_us: int
    bytes_sent: int
    rounds: int


class Receipt(_Message, frozen=True):
    """What all parties of a step agree happened. Each signs exactly this.

    Attributes:
        run_id, step, attempt: which.
        plan_digest: of the plan.
        grant_id: the grant that allowed it.
        software: version of the program.
        roles: party of each role.
        commitments: salted commitments to the input tables, by party.
        facts: results that every party may know, as text.
        learned: the leakage statement: for each role, what the step taught it.
    """

    run_id: str
    step: str
    attempt: int
    plan_digest: str
    grant_id: str
    software: str
    roles: dict[str, str]
    commitments: dict[str, str]
    facts: dict[str, str]
    learned: dict[str, str]


class SignedReceipt(_Message, frozen=True):
    """A receipt with the signatures of all parties.

    Attributes:
        receipt: the agreed text.
        signatures: compact JWS of each party over the same receipt.
    """

    receipt: Receipt
    signatures: dict[str, str]


class StepReport(_Message, frozen=True):
    """A peer's word at the end of a step.

    Attributes:
        signature: its signature over the receipt.
        cost: what the step cost it.
        openings: what was opened, as its program recorded.
        measures: further figures of the step, such as the time of the training alone.
    """

    signature: str
    cost: StepCost
    openings: tuple[Opening, ...] = ()
    measures: dict[str, int] = msgspec.field(default_factory=dict)
