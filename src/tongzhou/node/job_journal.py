"""What a job leaves in a party's evidence log, and how a killed party finds its place again.

A step is first saved (state and signed receipt in one transaction), then entered in the log. A party killed
between the two finds the step saved without its entry; `enter_missing` makes up for it from the saved
receipt, and the log's own keys keep an entry from being made twice.
"""

import hashlib
import secrets
from typing import Any, TypeVar

import msgspec

from tongzhou.errors import ConflictError, ProtocolError, VerificationError
from tongzhou.evidence.log import Log
from tongzhou.node.home import Home
from tongzhou.node.job import Job
from tongzhou.node.job_messages import ALL_STEPS, MAX_ATTEMPTS, Receipt, SignedReceipt, StepCost
from tongzhou.node.plan import encode_plan, plan_digest
from tongzhou.parties.documents import sign_document, verify_document
from tongzhou.secure.party import Opening

__all__ = [
    "StepSummary",
    "attempts_of",
    "begun_as",
    "commit_table",
    "enter_missing",
    "enter_step",
    "note_end",
    "note_refusal",
    "sign_receipt",
    "verify_from",
    "verify_receipt",
]

B = TypeVar("B", bound=msgspec.Struct)

RECEIPT_KIND = "receipt"
STARTED, STEP, ENDED, REFUSED = "job-started", "job-step", "job-ended", "job-refused"
_SALT_BYTES = 32
_NOTES_MAX = 1000


class StepSummary(msgspec.Struct, frozen=True):
    """What a party keeps of a finished step, beside the private state.

    Attributes:
        receipt: the signed receipt.
        cost: own cost.
        openings: what was opened, as the own program recorded.
        measures: further own figures.
        peers: at the asker, the costs of the other parties.
        peer_measures: at the asker, further figures of the other parties.
    """

    receipt: SignedReceipt
    cost: StepCost
    openings: tuple[Opening, ...]
    measures: dict[str, int]
    peers: dict[str, StepCost] = {}
    peer_measures: dict[str, dict[str, int]] = {}


def commit_table(home: Home, job: Job, *, role: str, grant_id: str) -> str:
    """Note that a run begins, and return the salted commitment to the own rows ("" at the helper).

    The salt stays in the private part of the entry: opening it later proves which rows were used. Asked again
    for the same run, it answers the same.

    Raises:
        ConflictError: the run was begun as another job, or on rows that were replaced since.
    """
    record: dict[str, Any] = {
        "base_run": job.base_run,
        "commitment": "",
        "content_hash": _content_hash(home, job, role),
        "grant_id": grant_id,
        "kind": job.kind,
        "plan": encode_plan(job.plan).decode(),
        "plan_digest": plan_digest(job.plan),
        "role": role,
        "salt": "",
    }
    begun = begun_as(home.log, job.run_id)
    if begun is not None:
        _compare_beginnings(job.run_id, begun, record)
        return str(begun["commitment"])
    if role != "helper":
        salt = secrets.token_bytes(_SALT_BYTES)
        record["salt"] = salt.hex()
        record["commitment"] = hashlib.sha256(salt + bytes.fromhex(record["content_hash"])).hexdigest()
    home.log.append(record, kind=STARTED, key=job.run_id)
    return str(record["commitment"])


def begun_as(log: Log, run_id: str) -> dict[str, Any] | None:
    """What was noted when a run began; ``None`` if it did not begin here."""
    index = log.find(STARTED, run_id)
    return None if index is None else dict(log.payload(index))


def _content_hash(home: Home, job: Job, role: str) -> str:
    if role == "helper":
        return ""
    if job.applicants is not None:
        return job.applicants.content_hash
    return home.store.table(job.plan.tables[home.party_id].table).content_hash


def _compare_beginnings(run_id: str, begun: dict[str, Any], now: dict[str, Any]) -> None:
    if begun["content_hash"] != now["content_hash"]:
        raise ConflictError("the rows of run {run} were replaced since it began; start a new run", run=run_id)
    for field in ("kind", "base_run", "plan_digest", "role"):
        if begun[field] != now[field]:
            raise ConflictError("run {run} was begun as another job; start a new run", run=run_id)


def enter_step(log: Log, summary: StepSummary) -> int:
    """Enter a finished step; the same step and attempt again gives the same entry."""
    receipt = summary.receipt.receipt
    record = {
        "receipt": msgspec.to_builtins(receipt),
        "signatures": summary.receipt.signatures,
        "own_cost": msgspec.to_builtins(summary.cost),
        "own_measures": summary.measures,
        "openings": msgspec.to_builtins(summary.openings),
    }
    return log.append(record, kind=STEP, key=_key(receipt.run_id, receipt.step, receipt.attempt))


def enter_missing(home: Home, run_id: str) -> None:
    """Enter every saved step that has no entry yet."""
    for record in home.store.steps(run_id):
        summary = msgspec.convert(record.summary, StepSummary)
        receipt = summary.receipt.receipt
        if home.log.find(STEP, _key(run_id, receipt.step, receipt.attempt)) is None:
            enter_step(home.log, summary)


def attempts_of(log: Log, run_id: str) -> dict[str, int]:
    """How often each step of a run stands in the log."""
    counts = {}
    for step in ALL_STEPS:
        attempt = 0
        while attempt < MAX_ATTEMPTS and log.find(STEP, _key(run_id, step, attempt + 1)) is not None:
            attempt += 1
        counts[step] = attempt
    return counts


def note_refusal(log: Log, run_id: str, peer: str, sentence: str) -> None:
    """Enter that a request was refused, and why; a repeated refusal of the same run is entered once each."""
    for count in range(1, _NOTES_MAX):
        key = f"{run_id}/{count}"
        if log.find(REFUSED, key) is None:
            log.append({"peer": peer, "reason": sentence}, kind=REFUSED, key=key)
            return


def note_end(log: Log, run_id: str, state: str, reason: str) -> None:
    """Enter how a run ended; the end of a resumed run is a further entry."""
    for count in range(1, _NOTES_MAX):
        key = f"{run_id}/{count}"
        index = log.find(ENDED, key)
        if index is None:
            log.append({"state": state, "reason": reason}, kind=ENDED, key=key)
            return
        if log.payload(index).get("state") == "done":
            return


def sign_receipt(home: Home, receipt: Receipt) -> str:
    """This party's signature over a receipt."""
    return sign_document(home.identity, RECEIPT_KIND, receipt)


def verify_receipt(home: Home, party: str, token: str, receipt: Receipt) -> None:
    """Return if `party` signed exactly this receipt.

    Raises:
        VerificationError: it is not signed by that party.
        ProtocolError: it signed something else: the parties do not agree on what happened.
    """
    key = home.identity.public_key_bytes if party == home.party_id else home.trust.get(party).public_key_bytes
    signed = verify_from(party, token, RECEIPT_KIND, Receipt, key)
    if signed != receipt:
        field = next(
            name for name in receipt.__struct_fields__ if getattr(signed, name) != getattr(receipt, name)
        )
        raise ProtocolError(
            "{peer} does not agree on step {step}: its receipt differs in {field}",
            peer=party,
            step=receipt.step,
            field=field,
        )


def verify_from(party: str, token: str, kind: str, body: type[B], key: bytes) -> B:
    """A document that a party of the run must have signed; a refusal names the party.

    Raises:
        VerificationError: it is not signed by that party.
    """
    try:
        return verify_document(token, kind, body, key, signer=party)
    except VerificationError as error:
        raise VerificationError("{peer}: {reason}", peer=party, reason=error) from error


def _key(run_id: str, step: str, attempt: int) -> str:
    return f"{run_id}/{step}/{attempt}"
