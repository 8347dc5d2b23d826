"""The tables of the book of grants."""

from pathlib import Path

from tongzhou.errors import StorageError
from tongzhou.parties._store import PartyStore

__all__ = ["damaged_at", "grant_store"]

_VERSION = 2  # 1 had no approvers, drafts and approvals
_SCHEMA = """
CREATE TABLE IF NOT EXISTS grants (grant_id TEXT PRIMARY KEY, document TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS revocations (
    grant_id TEXT PRIMARY KEY REFERENCES grants, document TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS uses (
    grant_id TEXT NOT NULL REFERENCES grants, run_id TEXT NOT NULL, used_at TEXT NOT NULL,
    PRIMARY KEY (grant_id, run_id)) STRICT;
CREATE TABLE IF NOT EXISTS approvers (
    name TEXT NOT NULL, public_key TEXT NOT NULL, added_at TEXT NOT NULL, added_by TEXT,
    removed_at TEXT, removed_by TEXT, PRIMARY KEY (name, public_key)) STRICT;
CREATE TABLE IF NOT EXISTS drafts (grant_id TEXT PRIMARY KEY, body TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS approvals (
    grant_id TEXT NOT NULL REFERENCES drafts, approver TEXT NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (grant_id, approver)) STRICT;
"""


def grant_store(folder: Path) -> PartyStore:
    """The book in an institution's folder."""
    return PartyStore(Path(folder) / "grants.db", _SCHEMA, version=_VERSION)


def damaged_at(path: Path, grant_id: str, cause: Exception) -> StorageError:
    """The sentence for a document in the book that is not what it was when it was signed."""
    return StorageError("{file} is damaged at grant {grant}: {cause}", file=path, grant=grant_id, cause=cause)
