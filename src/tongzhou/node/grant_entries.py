"""The evidence log's entries about grants and the people who approve them, made from the book of grants.

The book is the truth and is written first. Entries follow from it, each under a key of its own, so whoever
was killed between the two makes up for it with the next command: normal way and recovery are the same call.
"""

from typing import Final

from tongzhou.node.home import Home
from tongzhou.parties.grants import Grant

__all__ = ["enter_grants"]

_MADE: Final = "grant-made"
_REVOKED: Final = "grant-revoked"
_APPROVED: Final = "grant-approved"
_ADDED: Final = "approver-added"
_REMOVED: Final = "approver-removed"


def enter_grants(home: Home) -> None:
    """Enter everything in the book of grants that has no entry yet.

    Raises:
        StorageError: the book or the log cannot be used.
    """
    _enter_people(home)
    for draft in home.drafts.drafts():
        for name in draft.approved_by:
            record = {"approver": name, "grant": draft.grant.grant_id}
            home.log.append(record, kind=_APPROVED, key=f"{draft.grant.grant_id}/{name}")
    for status in home.grants.statuses():
        grant_id = status.grant.grant_id
        home.log.append(_made(status.grant), kind=_MADE, key=grant_id)
        if status.revoked_at is not None:
            record = {"grant": grant_id, "revoked_at": status.revoked_at}
            home.log.append(record, kind=_REVOKED, key=grant_id)


def _enter_people(home: Home) -> None:
    for term in home.drafts.terms_of_approvers():
        person = term.approver
        record = {"approver": person.name, "public_key": person.public_key, "by": term.added_by}
        home.log.append(record, kind=_ADDED, key=f"{person.name}/{person.public_key}")
        if term.removed_at is not None:
            record = {"approver": person.name, "by": term.removed_by}
            home.log.append(record, kind=_REMOVED, key=f"{person.name}/{person.public_key}")


def _made(grant: Grant) -> dict[str, object]:
    return {
        "askers": grant.askers,
        "columns": grant.columns,
        "grant": grant.grant_id,
        "helpers": grant.helpers,
        "purpose": grant.purpose,
        "runs": grant.runs,
        "table": grant.table,
        "valid_until": grant.valid_until,
    }
