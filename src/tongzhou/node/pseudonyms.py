"""Keyed pseudonyms: a person has one name within a scope, which nobody can make without the key.

HMAC-SHA256 under a key that never leaves the institution's folder. Without a key a pseudonym would be no
protection: whoever lists all telephone numbers of a country can hash them all.
"""

import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from tongzhou.errors import StorageError
from tongzhou.node.home import Home

__all__ = ["pseudonym_key", "pseudonyms"]

_KEY_BYTES = 32
_SHOWN_BYTES = 16  # of the hash; two of a million persons share one with a chance below 1e-26
_FILE = "pseudonyms.key"


def pseudonym_key(home: Home) -> bytes:
    """The institution's key for pseudonyms, made at first use.

    Raises:
        StorageError: it cannot be read or made, or is damaged.
    """
    path = home.keys / _FILE
    try:
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as error:
        raise StorageError("{file} cannot be read: {cause}", file=path, cause=error.strerror) from error
    if len(key) != _KEY_BYTES:
        raise StorageError("{file} is damaged: {cause}; restore it from a backup", file=path, cause="length")
    return key


def pseudonyms(key: bytes, scope: str, column: str, values: Sequence[str | None]) -> list[str | None]:
    """Pseudonyms of the values of a column.

    Args:
        key: of the institution.
        scope: equal values get equal pseudonyms within one scope and one column, and unrelated ones
            elsewhere.
        column: name of the column.
        values: one for each row; none has none.

    Returns:
        32 hexadecimal digits for each row.
    """
    # each part behind its length, so that no two scopes and columns run together to the same text
    context = b"".join(len(part).to_bytes(4, "big") + part for part in (scope.encode(), column.encode()))
    own = hmac.new(key, b"tongzhou pseudonym" + context, hashlib.sha256).digest()
    return [
        None if value is None else hmac.new(own, value.encode(), hashlib.sha256).digest()[:_SHOWN_BYTES].hex()
        for value in values
    ]


def _make(path: Path) -> None:
    """Write a fresh key whole under its name, or find that another process has just done so."""
    staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    handle = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            # a link, and not a rename: an existing key must never be replaced
            os.link(staged, path)
        except FileExistsError:
            return
    finally:
        staged.unlink(missing_ok=True)
