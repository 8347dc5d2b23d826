"""The provider's book of grants: what it signed, what it revoked, which run used what.

Grants and revocations are kept as signed documents and verified whenever they are read, so a changed book
is noticed. Every call opens the file anew: the daemon and a terminal may use it at the same time, and a
revocation is seen by the very next check.
"""

import secrets
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from tongzhou.errors import GrantError, NotFoundError, StorageError, VerificationError
from tongzhou.parties._grant_drafts import active_approvers
from tongzhou.parties._grant_rules import no_grant, no_runs_left, violations, was_revoked
from tongzhou.parties._grant_store import damaged_at, grant_store
from tongzhou.parties._grant_terms import Grant, GrantRequest, GrantTerms, check_terms
from tongzhou.parties.approvals import check_approvals
from tongzhou.parties.documents import sign_document, verify_document
from tongzhou.parties.identity import Identity
from tongzhou.parties.names import near_name
from tongzhou.parties.times import Clock, parse_utc, utc_now, utc_text

__all__ = ["GRANT_KIND", "REVOCATION_KIND", "GrantBook", "GrantStatus", "GrantUse", "Revocation"]

GRANT_KIND = "grant"
REVOCATION_KIND = "revocation"


class Revocation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The end of a grant before its time; signed as a document of kind ``revocation``.

    Attributes:
        grant_id: which grant.
        provider: whose.
        revoked_at: from when on, ISO 8601 UTC.
    """

    grant_id: str
    provider: str
    revoked_at: str


_Kept = TypeVar("_Kept", Grant, Revocation)


class GrantUse(msgspec.Struct, frozen=True, kw_only=True):
    """One run that was counted against a grant.

    Attributes:
        run_id: which run.
        used_at: when it was counted, ISO 8601 UTC.
    """

    run_id: str
    used_at: str


class GrantStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A grant and what became of it.

    Attributes:
        grant: the grant.
        runs_used: runs counted against it.
        revoked_at: when it was revoked, ISO 8601 UTC; none if it was not.
    """

    grant: Grant
    runs_used: int
    revoked_at: str | None

    def state(self, now: datetime) -> str:
        """``revoked``, ``pending``, ``expired``, ``used up`` or ``valid`` at `now`."""
        if self.revoked_at is not None:
            return "revoked"
        if now < parse_utc(self.grant.valid_from, "valid_from"):
            return "pending"
        if now >= parse_utc(self.grant.valid_until, "valid_until"):
            return "expired"
        return "valid" if self.runs_used < self.grant.runs else "used up"


# Inside the class, `list` is its method.
_Grants = list[Grant]
_Statuses = list[GrantStatus]
_Uses = list[GrantUse]


class GrantBook:
    """The grants of one provider, in ``grants.db``.

    Args:
        folder: where the file lies; made with the first grant.
        identity: the provider; signs grants and revocations.
        clock: where the time of uses comes from.
    """

    def __init__(self, folder: Path, identity: Identity, *, clock: Clock = utc_now) -> None:
        self._store = grant_store(folder)
        self._identity = identity
        self._clock = clock

    def new(self, terms: GrantTerms) -> Grant:
        """Number, sign and keep a grant.

        Raises:
            DataError: the terms contradict themselves; the sentence names the field.
            GrantError: the institution has approvers, so two of them must agree first: see `DraftBook`.
            StorageError: the book cannot be written.
        """
        checked = check_terms(terms, self._identity.party_id)
        fields = {name: getattr(checked, name) for name in GrantTerms.__struct_fields__}
        grant = Grant(grant_id=f"g-{secrets.token_hex(5)}", provider=self._identity.party_id, **fields)
        document = sign_document(self._identity, GRANT_KIND, grant)
        with self._store.write() as book:
            if active_approvers(book):
                raise GrantError(
                    "a grant of {party} needs the approval of two people; draft it, and let them approve it",
                    party=self._identity.party_id,
                    missing="approver",
                )
            book.execute("INSERT INTO grants VALUES (?, ?)", (grant.grant_id, document))
        return grant

    def list(self) -> _Grants:
        """All grants, the oldest first.

        Raises:
            StorageError: the book is damaged.
        """
        return [status.grant for status in self.statuses()]

    def statuses(self) -> _Statuses:
        """All grants with their use and revocation, the oldest first.

        Raises:
            StorageError: the book is damaged.
        """
        return self._statuses(None)

    def get(self, grant_id: str) -> Grant:
        """One grant, its signature verified.

        Raises:
            NotFoundError: there is no such grant; a near name is suggested.
            StorageError: the book is damaged.
        """
        return self.status(grant_id).grant

    def status(self, grant_id: str) -> GrantStatus:
        """One grant with its use and revocation.

        Raises:
            NotFoundError: there is no such grant; a near name is suggested.
            StorageError: the book is damaged.
        """
        with self._store.read() as book:
            return self._status(book, grant_id)

    def document(self, grant_id: str) -> str:
        """The signed grant, to hand to the asker (compact JWS of kind ``grant``).

        Raises:
            NotFoundError: there is no such grant.
        """
        with self._store.read() as book:
            self._status(book, grant_id)
            return str(_one(book, "SELECT document FROM grants WHERE grant_id = ?", grant_id))

    def revoke(self, grant_id: str, now: datetime) -> str:
        """End a grant from `now` on. Revoking again changes nothing and returns the first revocation.

        Returns:
            The signed revocation, to hand to the asker (compact JWS of kind ``revocation``).

        Raises:
            NotFoundError: there is no such grant.
        """
        body = Revocation(grant_id=grant_id, provider=self._identity.party_id, revoked_at=utc_text(now))
        with self._store.write() as book:
            self._status(book, grant_id)
            book.execute(
                "INSERT OR IGNORE INTO revocations VALUES (?, ?)",
                (grant_id, sign_document(self._identity, REVOCATION_KIND, body)),
            )
            return str(_one(book, "SELECT document FROM revocations WHERE grant_id = ?", grant_id))

    def find(self, request: GrantRequest, now: datetime, *, run_id: str | None = None) -> Grant:
        """The grant that allows `request`; of several, the one that ends first.

        Args:
            request: what a run wants.
            now: the moment of asking.
            run_id: the run that asks; a use already counted for it does not count against it.

        Raises:
            GrantError: none does; the sentence is on the grant that comes closest.
        """
        refusals: list[tuple[bool, int, int, GrantError]] = []
        fitting: list[tuple[str, str, Grant]] = []
        for status in self._statuses(run_id):
            faults = list(_violations(status, request, now))
            if faults:
                # One for another purpose or table is about something else, however little it lacks. Of
                # those that lack as much, the newest is the provider's last word.
                elsewhere = any(fault.values["missing"] in {"purpose", "table"} for fault in faults)
                refusals.append((elsewhere, len(faults), -len(refusals), faults[0]))
            else:
                fitting.append((status.grant.valid_until, status.grant.grant_id, status.grant))
        if fitting:
            return min(fitting)[2]
        # A grant that does not name the asker is none of its business, however close it comes.
        own = [refusal for refusal in refusals if refusal[-1].values["missing"] != "asker"]
        if own:
            raise min(own)[-1]
        raise no_grant(self._identity.party_id, request.asker)

    def check(self, grant_id: str, request: GrantRequest, now: datetime, *, run_id: str) -> None:
        """Check one grant again for a run that has begun: it may have been revoked since.

        Raises:
            GrantError: it no longer allows the request.
            NotFoundError: there is no such grant.
        """
        with self._store.read() as book:
            status = self._status(book, grant_id, run_id)
        for error in _violations(status, request, now):
            raise error

    def use(self, grant_id: str, run_id: str) -> None:
        """Count a run against its grant, once however often this is called for the same run.

        The count is on the disk when this returns. Two runs that want the last use at the same moment
        get one winner: the quota is checked in the transaction that counts.

        Raises:
            GrantError: all runs are used, or the grant was revoked.
            NotFoundError: there is no such grant.
        """
        with self._store.write() as book:
            status = self._status(book, grant_id)
            if _one(book, "SELECT 1 FROM uses WHERE grant_id = ? AND run_id = ?", grant_id, run_id):
                return
            if status.revoked_at is not None:
                raise was_revoked(status.grant, status.revoked_at)
            if status.runs_used >= status.grant.runs:
                raise no_runs_left(status.grant)
            book.execute("INSERT INTO uses VALUES (?, ?, ?)", (grant_id, run_id, utc_text(self._clock())))

    def runs_used(self, grant_id: str) -> int:
        """How many runs were counted against a grant.

        Raises:
            NotFoundError: there is no such grant.
        """
        return self.status(grant_id).runs_used

    def uses(self, grant_id: str) -> _Uses:
        """The runs that were counted against a grant, the oldest first.

        Raises:
            NotFoundError: there is no such grant.
        """
        with self._store.read() as book:
            self._status(book, grant_id)
            rows = book.execute(
                "SELECT run_id, used_at FROM uses WHERE grant_id = ? ORDER BY rowid", (grant_id,)
            ).fetchall()
        return [GrantUse(run_id=run_id, used_at=used_at) for run_id, used_at in rows]

    def _statuses(self, except_run: str | None) -> _Statuses:
        with self._store.read() as book:
            rows = book.execute("SELECT grant_id FROM grants ORDER BY rowid").fetchall()
            return [self._status(book, grant_id, except_run) for (grant_id,) in rows]

    def _status(self, book: sqlite3.Connection, grant_id: str, except_run: str | None = None) -> GrantStatus:
        document = _one(book, "SELECT document FROM grants WHERE grant_id = ?", grant_id)
        if document is None:
            raise _missing(book, grant_id)
        grant = self._verified(str(document), GRANT_KIND, Grant, grant_id)
        document = _one(book, "SELECT document FROM revocations WHERE grant_id = ?", grant_id)
        revoked_at = None
        if document is not None:
            revoked_at = self._verified(str(document), REVOCATION_KIND, Revocation, grant_id).revoked_at
        count = "SELECT count(*) FROM uses WHERE grant_id = ? AND run_id IS NOT ?"
        (used,) = book.execute(count, (grant_id, except_run)).fetchone()
        return GrantStatus(grant=grant, runs_used=used, revoked_at=revoked_at)

    def _verified(self, document: str, kind: str, body_type: type[_Kept], grant_id: str) -> _Kept:
        me = self._identity
        try:
            body = verify_document(document, kind, body_type, me.public_key_bytes, signer=me.party_id)
            if isinstance(body, Grant):
                check_approvals(body)
        except VerificationError as error:
            raise damaged_at(self._store.path, grant_id, error) from error
        if body.grant_id != grant_id:
            raise StorageError(
                "{file} is damaged at grant {grant}: it holds another grant, {got}",
                file=self._store.path,
                grant=grant_id,
                got=body.grant_id,
            )
        return body


def _violations(status: GrantStatus, request: GrantRequest, now: datetime) -> Iterator[GrantError]:
    at = None if status.revoked_at is None else parse_utc(status.revoked_at, "revoked_at")
    return violations(status.grant, request, now, status.runs_used, revoked_at=at)


def _one(book: sqlite3.Connection, sql: str, *values: str) -> object:
    row = book.execute(sql, values).fetchone()
    return None if row is None else row[0]


def _missing(book: sqlite3.Connection, grant_id: str) -> NotFoundError:
    known = [name for (name,) in book.execute("SELECT grant_id FROM grants")]
    near = near_name(grant_id, known)
    if near is not None:
        return NotFoundError("there is no grant {grant}; did you mean {near}?", grant=grant_id, near=near)
    return NotFoundError("there is no grant {grant}", grant=grant_id)
