"""What the log's SQLite file consists of; known to the store that writes it and to the checker."""

import hashlib

__all__ = ["APPLICATION_ID", "SCHEMA", "cosignature_digest", "sqlite_version_number"]

APPLICATION_ID = 0x545A4C31  # "TZL1": what the file is, and the version of its layout

# Rows are only ever inserted, in the order of their keys. `entries` and `tiles` are the log and what follows
# from it; `bodies` holds what entries commit to, apart, so that one of them can be erased; `checkpoints` and
# `cosignatures` hold what was signed. Statements are stored by SQLite as written here, and compared.
SCHEMA: tuple[tuple[str, str, str, str], ...] = (
    ("table", "about", "about", "CREATE TABLE about(origin TEXT NOT NULL, vkey TEXT NOT NULL) STRICT"),
    (
        "table",
        "entries",
        "entries",
        "CREATE TABLE entries(idx INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL,"
        " time INTEGER NOT NULL, leaf TEXT NOT NULL) STRICT",
    ),
    ("index", "entry_keys", "entries", "CREATE UNIQUE INDEX entry_keys ON entries(kind, key)"),
    (
        "table",
        "bodies",
        "bodies",
        "CREATE TABLE bodies(idx INTEGER PRIMARY KEY, salt BLOB NOT NULL, body TEXT NOT NULL) STRICT",
    ),
    ("table", "tiles", "tiles", "CREATE TABLE tiles(seq INTEGER PRIMARY KEY, hashes BLOB NOT NULL) STRICT"),
    (
        "table",
        "checkpoints",
        "checkpoints",
        "CREATE TABLE checkpoints(size INTEGER PRIMARY KEY, note TEXT NOT NULL) STRICT",
    ),
    (
        "table",
        "cosignatures",
        "cosignatures",
        "CREATE TABLE cosignatures(seq INTEGER PRIMARY KEY, size INTEGER NOT NULL,"
        " line TEXT NOT NULL, digest BLOB NOT NULL) STRICT",
    ),
    (
        "index",
        "cosignature_sizes",
        "cosignatures",
        "CREATE INDEX cosignature_sizes ON cosignatures(size)",
    ),
)


def sqlite_version_number(version: tuple[int, ...]) -> int:
    """Return SQLite's version as the number that it writes into files, such as 3040001."""
    major, minor, patch = version[:3]
    return major * 1_000_000 + minor * 1_000 + patch


def cosignature_digest(size: int, line: str) -> bytes:
    """Return what is stored beside a cosignature, so that damage shows without the witness's key."""
    return hashlib.sha256(f"{size}\n{line}".encode()).digest()
