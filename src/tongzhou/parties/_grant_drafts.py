"""Drafts of grants and the people who approve them, in the provider's book.

A draft becomes a grant in the transaction that takes the last approval; at no moment is it neither or both.
"""

import secrets
import sqlite3
from datetime import datetime
from pathlib import Path

import msgspec

from tongzhou.errors import ConflictError, GrantError, NotFoundError, VerificationError
from tongzhou.parties._grant_store import damaged_at, grant_store
from tongzhou.parties._grant_terms import Grant, GrantTerms, check_terms
from tongzhou.parties.approvals import (
    APPROVALS_NEEDED,
    Approver,
    ApproverKey,
    sign_approval,
    verified_approval,
)
from tongzhou.parties.canonical import canonical_json
from tongzhou.parties.documents import sign_document
from tongzhou.parties.identity import Identity
from tongzhou.parties.times import utc_text

__all__ = ["ApproverTerm", "DraftBook", "GrantDraft", "active_approvers"]

_KIND = "grant"


class GrantDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A grant that waits for people.

    Attributes:
        grant: its text; no approvals in it yet.
        approved_by: who has approved so far.
    """

    grant: Grant
    approved_by: list[str]


class ApproverTerm(msgspec.Struct, frozen=True, kw_only=True):
    """From when until when a person could approve.

    Attributes:
        approver: the person.
        added_by: name of the approver who stood for it; none for the first two.
        removed_at: when it was taken out, ISO 8601 UTC; none if it was not.
        removed_by: name of the approver who stood for that.
    """

    approver: Approver
    added_by: str | None
    removed_at: str | None
    removed_by: str | None


class DraftBook:
    """What the provider's people still have to agree to, in ``grants.db``.

    Args:
        folder: the institution's folder.
        identity: the provider; signs a grant when two people have approved it.
    """

    def __init__(self, folder: Path, identity: Identity) -> None:
        self._store = grant_store(folder)
        self._identity = identity

    # --- people ----------------------------------------------------------------------------------------

    def approvers(self) -> list[Approver]:
        """Who may approve, by name."""
        with self._store.read() as book:
            return active_approvers(book)

    def terms_of_approvers(self) -> list[ApproverTerm]:
        """Who may approve or once might, in the order in which they were added."""
        with self._store.read() as book:
            rows = book.execute(
                "SELECT name, public_key, added_by, removed_at, removed_by FROM approvers ORDER BY rowid"
            ).fetchall()
        return [
            ApproverTerm(
                approver=Approver(name=name, public_key=key),
                added_by=added_by,
                removed_at=removed_at,
                removed_by=removed_by,
            )
            for name, key, added_by, removed_at, removed_by in rows
        ]

    def add_approver(self, approver: Approver, now: datetime, *, by: ApproverKey | None = None) -> None:
        """Let a person approve grants.

        Args:
            approver: its name and public key.
            now: the time.
            by: an approver who stands for it; needed once there are two.

        Raises:
            ConflictError: the name is taken, or the key is or was.
            GrantError: there are two approvers, and none of them stands for it.
        """
        approver.key_bytes()
        with self._store.write() as book:
            known = active_approvers(book)
            self._check_sponsor(known, by)
            # A key that was taken out does not come back: whoever removed it had a reason.
            keys = {key for (key,) in book.execute("SELECT public_key FROM approvers")}
            if approver.name in {one.name for one in known} or approver.public_key in keys:
                raise ConflictError("approver {name} is known already", name=approver.name)
            book.execute(
                "INSERT INTO approvers VALUES (?, ?, ?, ?, NULL, NULL)",
                (approver.name, approver.public_key, utc_text(now), None if by is None else by.party_id),
            )

    def remove_approver(self, name: str, now: datetime, *, by: ApproverKey | None = None) -> None:
        """Let a person approve no longer; its approvals of drafts do not count any more.

        Raises:
            NotFoundError: there is no such approver.
            GrantError: no approver stands for it.
        """
        with self._store.write() as book:
            known = active_approvers(book)
            if name not in {one.name for one in known}:
                raise NotFoundError("there is no approver {name}", name=name)
            self._check_sponsor(known, by)
            book.execute(
                "UPDATE approvers SET removed_at = ?, removed_by = ? WHERE name = ? AND removed_at IS NULL",
                (utc_text(now), None if by is None else by.party_id, name),
            )
            book.execute("DELETE FROM approvals WHERE approver = ?", (name,))

    def _check_sponsor(self, known: list[Approver], by: ApproverKey | None) -> None:
        if len(known) < APPROVALS_NEEDED:
            return
        if by is None:
            raise GrantError(
                "{party} has {count} approvers: a change among them needs the key of one of them",
                party=self._identity.party_id,
                count=len(known),
                missing="approver",
            )
        _known(known, by)

    # --- drafts ----------------------------------------------------------------------------------------

    def propose(self, terms: GrantTerms) -> GrantDraft:
        """Number a grant and let it wait for two approvals.

        Raises:
            DataError: the terms contradict themselves; the sentence names the field.
            GrantError: there are fewer than two approvers.
        """
        checked = check_terms(terms, self._identity.party_id)
        fields = {name: getattr(checked, name) for name in GrantTerms.__struct_fields__}
        grant = Grant(grant_id=f"g-{secrets.token_hex(5)}", provider=self._identity.party_id, **fields)
        with self._store.write() as book:
            known = active_approvers(book)
            if len(known) < APPROVALS_NEEDED:
                raise GrantError(
                    "a grant of {party} needs {least} approvers, got {got}; add one",
                    party=self._identity.party_id,
                    least=APPROVALS_NEEDED,
                    got=len(known),
                    missing="approver",
                )
            book.execute("INSERT INTO drafts VALUES (?, ?)", (grant.grant_id, canonical_json(grant).decode()))
        return GrantDraft(grant=grant, approved_by=[])

    def drafts(self) -> list[GrantDraft]:
        """What waits, the oldest first."""
        with self._store.read() as book:
            names = [name for (name,) in book.execute("SELECT grant_id FROM drafts ORDER BY rowid")]
            return [self._draft(book, name) for name in names]

    def draft(self, grant_id: str) -> GrantDraft:
        """One draft.

        Raises:
            NotFoundError: none of that name waits.
        """
        with self._store.read() as book:
            return self._draft(book, grant_id)

    def approve(self, grant_id: str, key: ApproverKey, now: datetime) -> Grant | None:
        """Add one person's approval.

        Returns:
            The grant, if this was the last approval that it needed; else ``None``.

        Raises:
            NotFoundError: no such draft waits.
            GrantError: the key is of nobody who may approve, or this person has approved already.
        """
        with self._store.write() as book:
            grant = self._draft(book, grant_id).grant
            known = active_approvers(book)
            _known(known, key)
            given = _approvals(book, grant_id)
            if key.party_id in given:
                raise GrantError(
                    "{approver} has approved grant {grant} already; another person must",
                    approver=key.party_id,
                    grant=grant_id,
                    missing="approver",
                )
            given[key.party_id] = sign_approval(key, grant, now)
            book.execute(
                "INSERT INTO approvals VALUES (?, ?, ?)", (grant_id, key.party_id, given[key.party_id])
            )
            if len(given) < APPROVALS_NEEDED:
                return None
            return self._issue(book, grant, given, {one.name: one for one in known})

    def withdraw(self, grant_id: str) -> None:
        """Drop a draft.

        Raises:
            NotFoundError: no such draft waits.
        """
        with self._store.write() as book:
            self._draft(book, grant_id)
            self._drop(book, grant_id)

    def _issue(
        self, book: sqlite3.Connection, draft: Grant, given: dict[str, str], known: dict[str, Approver]
    ) -> Grant:
        """Sign a grant that is approved, and put it in the draft's place."""
        names = sorted(given)
        for name in names:
            verified_approval(given[name], draft, known[name])
        grant = msgspec.structs.replace(
            draft,
            approvals=[given[name] for name in names],
            approvers={name: known[name].public_key for name in names},
        )
        document = sign_document(self._identity, _KIND, grant)
        book.execute("INSERT INTO grants VALUES (?, ?)", (grant.grant_id, document))
        self._drop(book, grant.grant_id)
        return grant

    def _draft(self, book: sqlite3.Connection, grant_id: str) -> GrantDraft:
        row = book.execute("SELECT body FROM drafts WHERE grant_id = ?", (grant_id,)).fetchone()
        if row is None:
            raise NotFoundError("no draft of grant {grant} waits for approval", grant=grant_id)
        try:
            grant = msgspec.json.decode(row[0], type=Grant)
            check_terms(grant, self._identity.party_id)
        except msgspec.MsgspecError as error:
            raise damaged_at(self._store.path, grant_id, error) from error
        known = {one.name: one for one in active_approvers(book)}
        try:
            for name, document in _approvals(book, grant_id).items():
                verified_approval(document, grant, known[name])
        except (VerificationError, KeyError) as error:
            raise damaged_at(self._store.path, grant_id, error) from error
        return GrantDraft(grant=grant, approved_by=sorted(_approvals(book, grant_id)))

    def _drop(self, book: sqlite3.Connection, grant_id: str) -> None:
        book.execute("DELETE FROM approvals WHERE grant_id = ?", (grant_id,))
        book.execute("DELETE FROM drafts WHERE grant_id = ?", (grant_id,))


def active_approvers(book: sqlite3.Connection) -> list[Approver]:
    """Who may approve now, by name."""
    rows = book.execute("SELECT name, public_key FROM approvers WHERE removed_at IS NULL ORDER BY name")
    return [Approver(name=name, public_key=key) for name, key in rows.fetchall()]


def _approvals(book: sqlite3.Connection, grant_id: str) -> dict[str, str]:
    rows = book.execute("SELECT approver, document FROM approvals WHERE grant_id = ?", (grant_id,))
    return dict(rows.fetchall())


def _known(known: list[Approver], key: ApproverKey) -> None:
    if key.approver not in known:
        raise GrantError(
            "{approver} is no approver here; known: {known}",
            approver=key.party_id,
            known=", ".join(one.name for one in known) or "-",
            missing="approver",
        )
