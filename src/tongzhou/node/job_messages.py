"""What the parties of a job say to each other around the protocols.

Every field that a peer fills has bounds: a message outside them is refused when it arrives, in one sentence.
"""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, Struct

from tongzhou.node.plan_jobs import JOB_RULES, PlanJob
from tongzhou.parties.grants import ConsentKeeper, Protocol
from tongzhou.secure.party import Opening
from tongzhou.secure.payload import Column

__all__ = [
    "ALL_STEPS",
    "JOB_PURPOSE",
    "MAX_ATTEMPTS",
    "PEER_PURPOSE",
    "SILENCE_S",
    "STEPS",
    "WITNESS_PURPOSE",
    "Acceptance",
    "BinShape",
    "BoostFacts",
    "JobKind",
    "JoinShape",
    "Kept",
    "MatchFacts",
    "Offer",
    "Published",
    "Receipt",
    "ScoredShape",
    "SignedReceipt",
    "StepCost",
    "StepOrder",
    "StepReport",
    "TrainShape",
    "protocols_of",
    "steps_of",
]

JOB_PURPOSE: Final = "job"
"""Purpose of an asker's call."""

WITNESS_PURPOSE: Final = "witness"
"""Purpose of a call for a cosignature."""

PEER_PURPOSE: Final = "job-peer"
"""Purpose of a provider's call to the helper of the same run."""

JobKind = PlanJob | Literal["score"]
"""What a run makes: what its plan says, or scores of new applicants with the card of an earlier run."""

STEPS: Final = JOB_RULES["scorecard"].steps
"""The steps of a scorecard job, in order."""

ALL_STEPS: Final = tuple(sorted({step for rules in JOB_RULES.values() for step in rules.steps}))
"""The name of every step of any job."""

SILENCE_S: Final = 900.0
"""Seconds of silence that a party of a run bears: matching a million identifiers is minutes of computing."""

MAX_ATTEMPTS: Final = 100
"""How often one step of one run may be played. Each time tells something anew, so the number is bounded."""

_MAX_ROWS: Final = 4_000_000
_MAX_COLUMNS: Final = 1000
_MAX_BINS: Final = 1024
_MAX_MEASURES: Final = 64
_MAX_OPENINGS: Final = 100_000
_MAX_PARTIES: Final = 64

_RunId = Annotated[str, Meta(pattern=r"^[a-z0-9-]{8,64}$")]
_AnyRunId = Annotated[str, Meta(pattern=r"^([a-z0-9-]{8,64})?$")]
_Digest = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
_Commitment = Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$")]
_Word = Annotated[str, Meta(max_length=200)]
_Step = Annotated[str, Meta(max_length=20)]
_Attempt = Annotated[int, Meta(ge=0, le=MAX_ATTEMPTS)]
_Count = Annotated[int, Meta(ge=0, le=2**53)]
_SomeRows = Annotated[int, Meta(ge=1, le=_MAX_ROWS)]
_Rows = Annotated[int, Meta(ge=0, le=_MAX_ROWS)]
_SomeColumns = Annotated[int, Meta(ge=1, le=_MAX_COLUMNS)]
_Names = Annotated[tuple[_Word, ...], Meta(min_length=1, max_length=_MAX_COLUMNS)]
_Words = Annotated[dict[_Word, _Word], Meta(max_length=_MAX_PARTIES)]


def steps_of(kind: JobKind, job: PlanJob) -> tuple[str, ...]:
    """The steps of a kind of run of a plan's job, in order."""
    return JOB_RULES[job].scoring if kind == "score" else JOB_RULES[job].steps


def protocols_of(kind: JobKind, job: PlanJob) -> tuple[Protocol, ...]:
    """The joint computations that a grant must allow for a kind of run of a plan's job."""
    return ("match", "score") if kind == "score" else JOB_RULES[job].protocols


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
        call: random word of this call, by which provider and helper find each other.
        kind: what the job makes.
        base_run: for scores, the run that made the card; empty otherwise.
    """

    run_id: _RunId
    plan: str
    plan_digest: _Digest
    software: _Word
    commitment: _Commitment
    call: Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
    kind: JobKind = "scorecard"
    base_run: _AnyRunId = ""


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
        refused: where no grant allows the run, the sentence that says so; nothing else counts then.
    """

    party: _Word
    plan_digest: _Digest
    done: Annotated[tuple[_Step, ...], Meta(max_length=len(ALL_STEPS))]
    attempts: Annotated[dict[_Step, _Attempt], Meta(max_length=len(ALL_STEPS))] = {}
    grant_id: _Word = ""
    grant: Annotated[str, Meta(max_length=1 << 19)] = ""
    minimum_rows: _Count = 0
    minimum_bin_rows: _Count = 0
    commitment: _Commitment = ""
    refused: Annotated[str, Meta(max_length=2000)] = ""


class StepOrder(_Message, frozen=True):
    """The asker starts a step (or, with an empty name, ends the run).

    Attributes:
        step: name of the step.
        attempt: 1 for the first time this step is played in this run.
        after: last step that all parties have finished; what lies beyond is dropped.
        grants: the grants in force, by provider.
        commitments: of the tables, by party.
        minimum_rows: fewest matched rows that plan and grant allow.
        minimum_bin_rows: fewest rows in an opened bin.
        consents: which owner keeps the clients' consents, by provider, as their grants demand.
        at: the asker's time, which the receipt will carry, ISO 8601 UTC.
    """

    step: _Step
    attempt: _Attempt
    after: _Step
    grants: _Words
    commitments: _Words
    minimum_rows: _Count
    minimum_bin_rows: _Count
    consents: Annotated[dict[_Word, ConsentKeeper], Meta(max_length=_MAX_PARTIES)] = {}
    at: Annotated[str, Meta(max_length=20)] = ""


class MatchFacts(_Message, frozen=True):
    """What the asker tells the others of a match, with the roots of the consents that grants demand."""

    held_out_rows: _Rows
    matched_rows: _Rows
    training_rows: _Rows
    consent_roots: Annotated[dict[_Word, _Digest], Meta(max_length=_MAX_PARTIES)] = {}


class BinShape(_Message, frozen=True):
    """What the provider tells of its fine bins: how many for each variable, and over how many rows."""

    bins: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=_MAX_BINS)], ...], Meta(min_length=1, max_length=_MAX_COLUMNS)
    ]
    rows: _SomeRows


class Kept(_Message, frozen=True):
    """The variables that the asker keeps."""

    asker: _Names
    provider: _Names


class TrainShape(_Message, frozen=True):
    """What the helper learns of a training."""

    asker: _Names
    provider: _Names
    rows: _SomeRows


class ScoredShape(_Message, frozen=True):
    """What the helper learns of a scoring."""

    rows: _SomeRows
    asker_columns: _SomeColumns
    provider_columns: _SomeColumns
    training_rows: _SomeRows


class Published(_Message, frozen=True):
    """Digest of the published model, or ``closed`` where the owners do not share it."""

    digest: Annotated[str, Meta(pattern=r"^([0-9a-f]{64}|closed)$")]


class JoinShape(_Message, frozen=True):
    """What the provider tells of the columns that the asker will learn: names, and how wide texts are."""

    columns: Annotated[tuple[Column, ...], Meta(min_length=1, max_length=_MAX_COLUMNS)]


class BoostFacts(_Message, frozen=True):
    """What every party knows of boosted trees: how many are kept, and over how many rows."""

    trees: Annotated[int, Meta(ge=0, le=10_000)]
    rows: _SomeRows


class StepCost(_Message, frozen=True):
    """What a step cost one party.

    Attributes:
        wall_us, cpu_us: microseconds.
        bytes_sent: to all peers.
        rounds: waits for a peer after having spoken.
    """

    wall_us: _Count
    cpu_us: _Count
    bytes_sent: _Count
    rounds: _Count


class Receipt(_Message, frozen=True):
    """What all parties of a step agree happened. Each signs exactly this.

    Attributes:
        run_id, step, attempt: which.
        plan_digest: of the plan.
        grants: the grant of each provider that allowed it.
        software: version of the program.
        roles: party of each role.
        commitments: salted commitments to the input tables, by party.
        facts: results that every party may know, as text.
        learned: the leakage statement: for each role, what the step taught it.
        mode: trust mode; ``local`` means that nothing was protected.
        kind: what the job makes.
        base_run: for scores, the run that made the card; empty otherwise.
        at: when the asker ordered the step, ISO 8601 UTC; the others' clocks agree within minutes.
    """

    run_id: str
    step: str
    attempt: int
    plan_digest: str
    grants: dict[str, str]
    software: str
    roles: dict[str, str]
    commitments: dict[str, str]
    facts: dict[str, str]
    learned: dict[str, str]
    mode: str = "aided"
    kind: str = "scorecard"
    base_run: str = ""
    at: str = ""


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

    signature: Annotated[str, Meta(max_length=1 << 16)]
    cost: StepCost
    openings: Annotated[tuple[Opening, ...], Meta(max_length=_MAX_OPENINGS)] = ()
    measures: Annotated[dict[_Word, _Count], Meta(max_length=_MAX_MEASURES)] = msgspec.field(
        default_factory=dict
    )
