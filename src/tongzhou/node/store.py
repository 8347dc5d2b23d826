"""The state of an institution that must survive a power cut: tables it added, runs, and their steps.

One SQLite file, ``state.db``. A run's step is saved whole in one transaction before the next begins, so a
party killed anywhere finds either the step or its absence when it comes back, never half of it. A step's
state carries its own hash: a damaged blob is found when it is read, not when it has spoilt a result.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from tongzhou.errors import ConflictError, NotFoundError, StorageError
from tongzhou.node._database import Database
from tongzhou.node.plan import Plan, decode_plan, encode_plan
from tongzhou.parties.names import near_name
from tongzhou.parties.times import utc_text

__all__ = ["RunRecord", "RunState", "StepRecord", "Store", "TableRecord"]

RunState = Literal["running", "done", "failed", "cancelled"]

_VERSION = 1
# SQLite's own bound on one value is 1 GB; a step that large is a mistake of ours.
_STATE_BYTES_MAX = 1 << 29
_SCHEMA = """
CREATE TABLE registry (
    name TEXT PRIMARY KEY, record BLOB NOT NULL
) STRICT;
CREATE TABLE runs (
    run_id TEXT PRIMARY KEY, plan BLOB NOT NULL, role TEXT NOT NULL, grant_id TEXT,
    state TEXT NOT NULL CHECK (state IN ('running', 'done', 'failed', 'cancelled')),
    reason TEXT, created TEXT NOT NULL, finished TEXT
) STRICT;
CREATE TABLE steps (
    run_id TEXT NOT NULL REFERENCES runs (run_id), position INTEGER NOT NULL, step TEXT NOT NULL,
    state BLOB NOT NULL, state_hash BLOB NOT NULL, summary BLOB NOT NULL, finished TEXT NOT NULL,
    PRIMARY KEY (run_id, position), UNIQUE (run_id, step)
) STRICT;
"""
_RUN = "SELECT run_id, plan, role, grant_id, state, reason, created, finished FROM runs"
_STEP = "SELECT run_id, position, step, summary, finished FROM steps"


class TableRecord(Struct, frozen=True):
    """A table that the owner added under a name.

    Attributes:
        name: the name plans and grants use.
        identifier: column of identifiers, in normal form.
        kind: normal form of the identifiers.
        label: the 0/1 label column, if the table has one.
        rows: number of rows.
        columns: names of all columns, in order.
        content_hash: SHA-256 (hex) of the stored Parquet file.
        added: when, ISO 8601 UTC.
        findings: warnings accepted at that time, as plain values.
    """

    name: str
    identifier: str
    kind: str
    label: str | None
    rows: int
    columns: tuple[str, ...]
    content_hash: str
    added: str
    findings: tuple[dict[str, Any], ...] = ()


class RunRecord(Struct, frozen=True):
    """One run, seen from this party.

    Attributes:
        run_id: identifier shared by all parties of the run.
        plan: the plan, as it was when the run began.
        role: own role: "asker", "provider" or "helper".
        grant_id: the grant that allowed it, if one applies.
        state: "running", "done", "failed" or "cancelled".
        reason: the sentence why it failed or was cancelled.
        created: when it began, ISO 8601 UTC.
        finished: when it ended, ISO 8601 UTC.
    """

    run_id: str
    plan: Plan
    role: str
    grant_id: str | None
    state: RunState
    reason: str | None
    created: str
    finished: str | None


class StepRecord(Struct, frozen=True):
    """A finished step of a run, without its state.

    Attributes:
        run_id: the run.
        position: 0 for the first step.
        step: its name.
        summary: figures about it: seconds, bytes, rounds, counts; never private values.
        finished: when, ISO 8601 UTC.
    """

    run_id: str
    position: int
    step: str
    summary: dict[str, Any]
    finished: str


class Store:
    """The durable state of one institution.

    Args:
        path: ``state.db``; it must exist.

    Raises:
        NotFoundError: there is no such file.
        StorageError: it is locked, damaged or of another version.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, _VERSION)

    @classmethod
    def create(cls, path: Path) -> "Store":
        """Make an empty store; refused if the file exists."""
        Database.create(path, _SCHEMA, _VERSION).close()
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "Store":
        """Open an existing store."""
        return cls(path)

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    # Tables

    def add_table(self, record: TableRecord, *, replace: bool = False) -> None:
        """Register a table.

        Raises:
            ConflictError: the name is taken and `replace` is false.
        """
        with self._database.write() as db:
            taken = db.execute("SELECT 1 FROM registry WHERE name = ?", (record.name,)).fetchone()
            if taken and not replace:
                raise ConflictError(
                    "there is already a table {table}; replace it with --replace", table=record.name
                )
            db.execute(
                "INSERT OR REPLACE INTO registry (name, record) VALUES (?, ?)",
                (record.name, msgspec.json.encode(record)),
            )

    def tables(self) -> list[TableRecord]:
        """All registered tables by name."""
        found = self._database.rows("SELECT record FROM registry ORDER BY name")
        return [self._table(record) for (record,) in found]

    def table(self, name: str) -> TableRecord:
        """One registered table.

        Raises:
            NotFoundError: no such table; a near name is suggested.
        """
        found = self._database.rows("SELECT record FROM registry WHERE name = ?", name)
        if found:
            return self._table(found[0][0])
        known = [record.name for record in self.tables()]
        if hint := near_name(name, known):
            raise NotFoundError("there is no table {name}; did you mean {near}?", name=name, near=hint)
        raise NotFoundError("there is no table {name}; add one with: tongzhou data add", name=name)

    # Runs

    def start_run(
        self, run_id: str, plan: Plan, *, role: str, grant_id: str | None = None, now: datetime
    ) -> RunRecord:
        """Record that a run begins. The same call again returns the run as it stands.

        Raises:
            ConflictError: this run exists with another plan, role or grant.
        """
        text = encode_plan(plan)
        with self._database.write() as db:
            old = db.execute("SELECT plan, role, grant_id FROM runs WHERE run_id = ?", (run_id,)).fetchone()
            if old is None:
                db.execute(
                    "INSERT INTO runs (run_id, plan, role, grant_id, state, created)"
                    " VALUES (?, ?, ?, ?, 'running', ?)",
                    (run_id, text, role, grant_id, utc_text(now)),
                )
            elif old != (text, role, grant_id):
                raise ConflictError("run {run} exists already with another plan, role or grant", run=run_id)
        return self.run(run_id)

    def run(self, run_id: str) -> RunRecord:
        """One run.

        Raises:
            NotFoundError: no such run; a near name is suggested.
        """
        found = self._database.rows(f"{_RUN} WHERE run_id = ?", run_id)
        if found:
            return self._run(found[0])
        known = [row[0] for row in self._database.rows("SELECT run_id FROM runs")]
        if hint := near_name(run_id, known):
            raise NotFoundError("there is no run {run}; did you mean {near}?", run=run_id, near=hint)
        raise NotFoundError("there is no run {run}", run=run_id)

    def runs(self) -> list[RunRecord]:
        """All runs, oldest first."""
        return [self._run(row) for row in self._database.rows(f"{_RUN} ORDER BY created, rowid")]

    def finish_run(
        self, run_id: str, state: RunState, *, reason: str | None = None, now: datetime
    ) -> RunRecord:
        """Record how a run ended. Saying the same again changes nothing.

        Raises:
            ConflictError: the run ended otherwise before; `reopen_run` must come first.
            NotFoundError: no such run.
        """
        with self._database.write() as db:
            old = db.execute("SELECT state FROM runs WHERE run_id = ?", (run_id,)).fetchone()
            if old is not None and old[0] == "running":
                db.execute(
                    "UPDATE runs SET state = ?, reason = ?, finished = ? WHERE run_id = ?",
                    (state, reason, None if state == "running" else utc_text(now), run_id),
                )
            elif old is not None and old[0] != state:
                raise ConflictError(
                    "run {run} is {old} and cannot become {new}", run=run_id, old=old[0], new=state
                )
        return self.run(run_id)

    def reopen_run(self, run_id: str) -> RunRecord:
        """Make a failed run run again; a running one stays as it is.

        Raises:
            ConflictError: the run is done or cancelled.
            NotFoundError: no such run.
        """
        with self._database.write() as db:
            old = db.execute("SELECT state FROM runs WHERE run_id = ?", (run_id,)).fetchone()
            if old is not None and old[0] in ("done", "cancelled"):
                raise ConflictError("run {run} is {old} and cannot go on", run=run_id, old=old[0])
            db.execute(
                "UPDATE runs SET state = 'running', reason = NULL, finished = NULL WHERE run_id = ?",
                (run_id,),
            )
        return self.run(run_id)

    # Steps

    def save_step(
        self, run_id: str, step: str, *, state: bytes, summary: Mapping[str, Any], now: datetime
    ) -> StepRecord:
        """Save a finished step durably. The same state again changes nothing.

        Args:
            run_id: the run; it must be running.
            step: name of the step; steps get positions in the order they are first saved.
            state: what the next step needs; private, at most 512 MiB.
            summary: figures about the step.
            now: the time.

        Raises:
            ConflictError: the step is saved with another state (`forget_steps` first), or the run ended.
            NotFoundError: no such run.
            StorageError: the state is too large, or cannot be written.
        """
        if len(state) > _STATE_BYTES_MAX:
            raise StorageError(
                "step {step}: its state has {got} bytes, more than {limit}",
                step=step,
                got=len(state),
                limit=_STATE_BYTES_MAX,
            )
        digest = hashlib.sha256(state).digest()
        if self.run(run_id).state != "running":
            raise ConflictError("run {run} has ended; step {step} cannot be saved", run=run_id, step=step)
        with self._database.write() as db:
            old = db.execute(
                "SELECT state_hash FROM steps WHERE run_id = ? AND step = ?", (run_id, step)
            ).fetchone()
            if old is None:
                db.execute(
                    "INSERT INTO steps SELECT ?1, coalesce(max(position) + 1, 0), ?2, ?3, ?4, ?5, ?6"
                    " FROM steps WHERE run_id = ?1",
                    (run_id, step, state, digest, msgspec.json.encode(dict(summary)), utc_text(now)),
                )
            elif old[0] != digest:
                raise ConflictError(
                    "run {run}: step {step} is saved already with another state", run=run_id, step=step
                )
        return next(record for record in self.steps(run_id) if record.step == step)

    def steps(self, run_id: str) -> list[StepRecord]:
        """Finished steps of a run, in order, without their states."""
        found = self._database.rows(f"{_STEP} WHERE run_id = ? ORDER BY position", run_id)
        return [
            StepRecord(
                run_id=run, position=position, step=step, summary=msgspec.json.decode(summary), finished=at
            )
            for run, position, step, summary, at in found
        ]

    def last_step(self, run_id: str) -> StepRecord | None:
        """The last finished step of a run, or None before the first."""
        return next(reversed(self.steps(run_id)), None)

    def step_state(self, run_id: str, step: str) -> bytes:
        """The state that a step saved.

        Raises:
            NotFoundError: the step is not finished.
            StorageError: the state is damaged.
        """
        found = self._database.rows(
            "SELECT state, state_hash FROM steps WHERE run_id = ? AND step = ?", run_id, step
        )
        if not found:
            raise NotFoundError("run {run}: step {step} is not finished", run=run_id, step=step)
        state, digest = found[0]
        if hashlib.sha256(state).digest() != digest:
            raise StorageError("run {run}: the saved state of step {step} is damaged", run=run_id, step=step)
        return bytes(state)

    def forget_steps(self, run_id: str, *, after: str | None) -> None:
        """Drop the steps after `after` (all when None), as when peers agree to go on from an earlier one.

        Raises:
            NotFoundError: `after` is not a finished step.
        """
        with self._database.write() as db:
            keep = -1
            if after is not None:
                row = db.execute(
                    "SELECT position FROM steps WHERE run_id = ? AND step = ?", (run_id, after)
                ).fetchone()
                if row is None:
                    raise NotFoundError("run {run}: step {step} is not finished", run=run_id, step=after)
                keep = row[0]
            db.execute("DELETE FROM steps WHERE run_id = ? AND position > ?", (run_id, keep))

    def erase_states(self, run_id: str) -> None:
        """Overwrite the private states of a run's steps; their summaries stay."""
        empty = b""
        with self._database.write() as db:
            db.execute(
                "UPDATE steps SET state = ?, state_hash = ? WHERE run_id = ?",
                (empty, hashlib.sha256(empty).digest(), run_id),
            )

    def _run(self, row: tuple[Any, ...]) -> RunRecord:
        run_id, plan, role, grant_id, state, reason, created, finished = row
        return RunRecord(
            run_id=run_id,
            plan=decode_plan(plan, f"{self._database.path} ({run_id})"),
            role=role,
            grant_id=grant_id,
            state=state,
            reason=reason,
            created=created,
            finished=finished,
        )

    def _table(self, data: bytes) -> TableRecord:
        try:
            return msgspec.json.decode(data, type=TableRecord)
        except msgspec.MsgspecError as error:
            raise StorageError(
                "{file} is damaged: {cause}; restore it from a backup", file=self._database.path, cause=error
            ) from error
