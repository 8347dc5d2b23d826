"""The witness protocol (c2sp.org/tlog-witness, add-checkpoint): a memory of other parties' logs.

A witness cosigns a checkpoint only if the tree in it begins with the tree that it cosigned before, and it
stores what it is about to cosign before it answers. So no log can show two histories to two parties that ask
the same witness, and no crash makes a witness forget. How requests travel is not this module's matter: a
request and an answer are texts, the answer with the HTTP status that the protocol assigns.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tongzhou.evidence import _sqlite
from tongzhou.evidence.checkpoint import Checkpoint, open_checkpoint, parse_checkpoint_text, parse_size
from tongzhou.evidence.cosignature import check_cosignature, cosign
from tongzhou.evidence.errors import (
    EvidenceCheckError,
    EvidenceError,
    EvidenceFormatError,
    EvidenceStoreError,
)
from tongzhou.evidence.log import Log
from tongzhou.evidence.merkle import EMPTY_ROOT, verify_consistency
from tongzhou.evidence.note import (
    COSIGNATURE_TYPE,
    Signer,
    encode_base64,
    parse_note,
    parse_vkey,
    signature_line,
)
from tongzhou.evidence.proof import parse_hashes

__all__ = [
    "SIZE_CONTENT_TYPE",
    "Witness",
    "WitnessAnswer",
    "WitnessRequest",
    "build_request",
    "gather_cosignature",
    "parse_request",
]

SIZE_CONTENT_TYPE = "text/x.tlog.size"
_TEXT_CONTENT_TYPE = "text/plain; charset=utf-8"
_APPLICATION_ID = 0x545A5731  # "TZW1"
_PAGE_BYTES = 4096
_CONFLICTS_KEPT = 16  # for each log; one is proof enough, and a hostile log must not fill the disk
_TRIES = 2  # the second follows the witness's own word on what it has seen
_SCHEMA = (
    "CREATE TABLE latest(origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL,"
    " note TEXT NOT NULL, line TEXT NOT NULL, time INTEGER NOT NULL) STRICT",
    "CREATE TABLE conflicts(seq INTEGER PRIMARY KEY, origin TEXT NOT NULL, ours TEXT NOT NULL,"
    " theirs TEXT NOT NULL) STRICT",
)


@dataclass(frozen=True, slots=True)
class WitnessAnswer:
    """What a witness answers: status 200, 400, 403, 404, 409 or 422, and a body.

    The body is cosignature lines (200), the size that the witness has seen (409), or a reason.
    """

    status: int
    body: str
    content_type: str = _TEXT_CONTENT_TYPE


@dataclass(frozen=True, slots=True)
class WitnessRequest:
    """What a log asks: the size that the witness has cosigned, the proof from there, the new checkpoint."""

    old: int
    proof: tuple[bytes, ...]
    note: str


class _Refusal(Exception):  # noqa: N818  (an answer, not an error)
    def __init__(self, status: int, body: str, content_type: str = _TEXT_CONTENT_TYPE) -> None:
        super().__init__(body)
        self.answer = WitnessAnswer(status, body + "\n", content_type)


def build_request(old: int, proof: Sequence[bytes], note: str) -> str:
    """Return the body of an add-checkpoint request."""
    return f"old {old}\n" + "".join(f"{encode_base64(one)}\n" for one in proof) + "\n" + note


def parse_request(text: str) -> WitnessRequest:
    """Take an add-checkpoint request apart.

    Raises:
        EvidenceFormatError: it does not have the form of one.
    """
    head, blank, note = text.partition("\n\n")
    first, *hashes = head.split("\n")
    if not blank or not first.startswith("old "):
        raise EvidenceFormatError("a request to a witness begins with the old size and holds a checkpoint")
    return WitnessRequest(parse_size(first.removeprefix("old ")), parse_hashes(hashes), note)


class Witness:
    """A party's witness over a file of its own.

    Args:
        path: the file; made if it does not exist.
        signer: whose cosignatures it gives.
        logs: from the origin of each log that it watches to that log's vkey.
        clock: gives seconds since 1970 UTC.
    """

    def __init__(
        self,
        path: Path | str,
        signer: Signer,
        logs: Mapping[str, str],
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = Path(path)
        self._signer = signer
        self._logs = {origin: parse_vkey(vkey) for origin, vkey in logs.items()}
        self._clock = clock
        self._lock = threading.RLock()
        self._connection = _open(self._path)

    def close(self) -> None:
        """Release the file."""
        with self._lock, _sqlite.storing(self._path):
            self._connection.close()

    def trust(self, origin: str, vkey: str) -> None:
        """Watch one more log from now on."""
        self._logs[origin] = parse_vkey(vkey)

    def add_checkpoint(self, request: str) -> WitnessAnswer:
        """Answer an add-checkpoint request.

        Raises:
            EvidenceStoreError: the witness cannot write; then it has not answered, and signed nothing.
        """
        try:
            asked = parse_request(request)
            return WitnessAnswer(200, self._cosign(asked, self._verified(asked)))
        except _Refusal as refusal:
            return refusal.answer
        except EvidenceFormatError as error:
            return WitnessAnswer(400, f"{error}\n")

    def latest(self, origin: str) -> str | None:
        """Return the largest checkpoint cosigned for a log, with the log's and the witness's signatures."""
        row = self._latest(origin)
        return None if row is None else str(row[2]) + str(row[3])

    def conflicts(self, origin: str) -> list[tuple[str, str]]:
        """Return pairs of checkpoints, both signed by the log, that cannot be of one history."""
        query = "SELECT ours, theirs FROM conflicts WHERE origin = ? ORDER BY seq"
        with self._lock, _sqlite.storing(self._path):
            return [(str(ours), str(theirs)) for ours, theirs in self._connection.execute(query, (origin,))]

    def _verified(self, asked: WitnessRequest) -> Checkpoint:
        origin = parse_checkpoint_text(parse_note(asked.note).text).origin
        key = self._logs.get(origin)
        if key is None:
            raise _Refusal(404, "this witness does not watch that log")
        try:
            checkpoint = open_checkpoint(asked.note, origin, [key])
        except EvidenceCheckError as error:
            raise _Refusal(403, str(error)) from error
        if asked.old > checkpoint.size:
            raise _Refusal(400, "the old size is larger than the checkpoint's")
        return checkpoint

    def _cosign(self, asked: WitnessRequest, checkpoint: Checkpoint) -> str:
        """Compare with memory, sign, store, and only after the commit return the line.

        Comparing and storing are one transaction, so two requests at once cannot roll memory back.
        """
        refusal: _Refusal | None = None
        line = ""
        with self._lock, _sqlite.storing(self._path), _sqlite.transaction(self._connection):
            try:
                last = self._compare(asked, checkpoint)
            except _Refusal as found:
                refusal = found  # what was stored as a conflict must be committed, so leave the block first
            else:
                moment = max(int(self._clock()), last, 1)  # the format reserves 0; memory never goes back
                line = cosign(checkpoint.text, self._signer, moment)
                self._connection.execute(
                    "INSERT OR REPLACE INTO latest VALUES (?, ?, ?, ?, ?, ?)",
                    (checkpoint.origin, checkpoint.size, checkpoint.root, asked.note, line, moment),
                )
        if refusal is not None:
            raise refusal
        return line

    def _compare(self, asked: WitnessRequest, checkpoint: Checkpoint) -> int:
        """Check a checkpoint against memory; return the time of the last cosignature for this log."""
        row = self._latest(checkpoint.origin)
        size, root, note, _, last = (0, EMPTY_ROOT, "", "", 0) if row is None else row
        if asked.old != size:
            raise _Refusal(409, str(size), SIZE_CONTENT_TYPE)
        try:
            verify_consistency(size, checkpoint.size, root, checkpoint.root, asked.proof)
        except EvidenceCheckError as error:
            if size == checkpoint.size and root != checkpoint.root and note:
                self._keep_conflict(checkpoint.origin, note, asked.note)
            raise _Refusal(422, str(error)) from error
        return last

    def _latest(self, origin: str) -> tuple[int, bytes, str, str, int] | None:
        query = "SELECT size, root, note, line, time FROM latest WHERE origin = ?"
        with self._lock, _sqlite.storing(self._path):
            row: tuple[int, bytes, str, str, int] | None = self._connection.execute(
                query, (origin,)
            ).fetchone()
        return row

    def _keep_conflict(self, origin: str, ours: str, theirs: str) -> None:
        (count,) = self._connection.execute(
            "SELECT count(*) FROM conflicts WHERE origin = ?", (origin,)
        ).fetchone()
        if count < _CONFLICTS_KEPT:
            self._connection.execute(
                "INSERT INTO conflicts(origin, ours, theirs) VALUES (?, ?, ?)", (origin, ours, theirs)
            )


def gather_cosignature(log: Log, ask: Callable[[str], WitnessAnswer], *, witness_key: str) -> str:
    """Bring a log's largest checkpoint to a witness, store its cosignature and return the line.

    Args:
        log: the log; it must have a checkpoint.
        ask: carries a request to the witness and its answer back.
        witness_key: vkey of the witness.

    Raises:
        EvidenceCheckError: the witness refused, or answered without a right cosignature.
    """
    key = parse_vkey(witness_key, COSIGNATURE_TYPE)
    old = log.last_cosigned(witness_key)
    size, note = log.stored_checkpoint()
    answer = WitnessAnswer(0, "")
    for _ in range(_TRIES):
        answer = ask(build_request(old, log.consistency(old, size), note))
        if answer.status == 200:
            return _take(log, size, note, answer.body, witness_key)
        if answer.status != 409:
            break
        old = parse_size(answer.body.removesuffix("\n"))
        if old > size:
            raise EvidenceCheckError(
                "witness {name} has seen {old} entries, but the checkpoint has {size}: the log went back",
                name=key.name,
                old=old,
                size=size,
            )
    raise EvidenceCheckError(
        "witness {name} refused the checkpoint with status {status}: {reason}",
        name=key.name,
        status=answer.status,
        reason=answer.body.strip()[:200],
    )


def _take(log: Log, size: int, note: str, body: str, witness_key: str) -> str:
    """Store the one line in an answer that is by the expected witness; others are ignored."""
    key = parse_vkey(witness_key, COSIGNATURE_TYPE)
    for line in body.splitlines():
        signature = signature_line(line)
        if signature.is_by(key):
            check_cosignature(parse_note(note).text, signature, key)
            log.add_cosignature(signature.line, witness_key=witness_key, size=size)
            return signature.line
    raise EvidenceCheckError("the answer holds no cosignature by {name}", name=key.name)


def _open(path: Path) -> sqlite3.Connection:
    if not path.exists():
        with _sqlite.create_file(path, _PAGE_BYTES, _APPLICATION_ID) as connection:
            for statement in _SCHEMA:
                connection.execute(statement)
    with _sqlite.storing(path):
        connection = _sqlite.connect(path)
        try:
            if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION_ID:
                raise EvidenceStoreError("{file} is not the memory of a witness", file=str(path))
        except (sqlite3.Error, EvidenceError):
            connection.close()
            raise
    return connection
