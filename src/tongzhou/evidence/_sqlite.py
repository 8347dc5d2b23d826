"""SQLite connections with durable settings, and SQLite's errors as sentences."""

import os
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tongzhou.evidence._format import sqlite_version_number
from tongzhou.evidence.errors import EvidenceConflictError, EvidenceNotFoundError, EvidenceStoreError

__all__ = ["connect", "create_file", "existing", "storing", "transaction"]

BUSY_SECONDS = 30.0  # how long a writer waits for another one before it says so


def connect(path: Path) -> sqlite3.Connection:
    """Open a file for writing: WAL, every commit synced to disk, deleted bytes overwritten."""
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    for setting in ("synchronous=FULL", "secure_delete=ON", "trusted_schema=OFF", "cell_size_check=ON"):
        connection.execute(f"PRAGMA {setting}")
    return connection


@contextmanager
def create_file(path: Path, page_bytes: int, application_id: int) -> Iterator[sqlite3.Connection]:
    """Make a new SQLite file that appears under its name only when the block has ended without an error.

    The file is built under another name and linked, so a crash leaves no half-made store, and an existing
    file is never touched: the link fails.
    """
    if path.exists():
        raise EvidenceConflictError("{file} exists already; it is not overwritten", file=str(path))
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}.new")
    with storing(path):
        try:
            os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
            connection = connect(draft)
            try:
                connection.execute(f"PRAGMA page_size={page_bytes}")
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute(f"PRAGMA application_id={application_id}")
                yield connection
                claim_version(connection)
            finally:
                connection.close()
            os.link(draft, path)
            _sync_folder(path.parent)
        except FileExistsError as error:
            raise EvidenceConflictError(
                "{file} exists already; it is not overwritten", file=str(path)
            ) from error
        finally:
            draft.unlink(missing_ok=True)


def existing(path: Path) -> Path:
    """Return the path if a file is there."""
    if not path.is_file():
        raise EvidenceNotFoundError("there is no file {file}", file=str(path))
    return path


def claim_version(connection: sqlite3.Connection) -> None:
    """Write SQLite's version into a second field of the file header.

    SQLite notes the version of the last writer in a field that follows from nothing. With a copy beside
    it, the checker can tell a flipped bit there from a new version.
    """
    version = sqlite_version_number(sqlite3.sqlite_version_info)
    if connection.execute("PRAGMA user_version").fetchone()[0] != version:
        connection.execute(f"PRAGMA user_version={version}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run a block as the only writer; commit at its end, or roll back."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the file system into one sentence each."""
    try:
        yield
    except sqlite3.Error as error:
        raise _sentence(path, error) from error
    except (OSError, UnicodeError) as error:
        if isinstance(error, FileExistsError):
            raise
        raise EvidenceStoreError(
            "the store {file} cannot be used: {reason}", file=str(path), reason=str(error)
        ) from error


def _sentence(path: Path, error: sqlite3.Error) -> EvidenceStoreError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return EvidenceStoreError(
            "the disk is full; nothing of this step was written to {file}", file=str(path)
        )
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return EvidenceStoreError(
            "another process has been writing to {file} for more than {seconds} seconds",
            file=str(path),
            seconds=int(BUSY_SECONDS),
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return EvidenceStoreError("the store {file} is damaged: {reason}", file=str(path), reason=str(error))
    if code == sqlite3.SQLITE_READONLY:
        return EvidenceStoreError("the store {file} may not be written to", file=str(path))
    return EvidenceStoreError("the store {file} cannot be used: {reason}", file=str(path), reason=str(error))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
