"""The leaf rule: what of a record enters the tree, so that the log proves it and shows none of it.

* *body*: canonical JSON of ``{"key": …, "record": …}``; kept beside the log, never in the tree.
* *commitment*: SHA-256(0x00 || salt || body), with 32 random bytes of salt per entry. Without the salt
  nobody can test a guess of the body (an invoice number, say) against the tree.
* *leaf*: four lines, each ended by a newline: ``tongzhou.leaf/v1``, the kind of the entry, the log's time
  (UTC, whole seconds), the commitment in Base 64. Kind and time are public; choose kinds accordingly.
"""

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from tongzhou.evidence.canonical import Json, canonical_json, parse_canonical_json
from tongzhou.evidence.errors import EvidenceFormatError
from tongzhou.evidence.note import decode_base64, encode_base64

__all__ = [
    "LEAF_VERSION",
    "MAX_BODY_BYTES",
    "MAX_KEY_CHARACTERS",
    "SALT_BYTES",
    "Leaf",
    "build_body",
    "check_key",
    "check_kind",
    "commit",
    "new_salt",
    "parse_leaf",
    "read_body",
]

LEAF_VERSION = "tongzhou.leaf/v1"
SALT_BYTES = 32
MAX_BODY_BYTES = 1 << 20  # a receipt has a few kilobytes; more than a megabyte is a mistake
MAX_KEY_CHARACTERS = 256
_KIND = re.compile(r"[a-z0-9][a-z0-9._/-]{0,63}")
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True, slots=True)
class Leaf:
    """What the tree hashes: kind of entry, time in seconds since 1970 UTC, commitment (32 bytes)."""

    kind: str
    time: int
    commitment: bytes

    @property
    def text(self) -> str:
        """The four lines."""
        stamp = datetime.fromtimestamp(self.time, UTC).strftime(_TIME)
        return f"{LEAF_VERSION}\n{self.kind}\n{stamp}\n{encode_base64(self.commitment)}\n"


def parse_leaf(text: str) -> Leaf:
    """Read the four lines of a leaf.

    Raises:
        EvidenceFormatError: anything but the one spelling that `Leaf.text` writes.
    """
    lines = text.split("\n")
    if len(lines) != 5 or lines[0] != LEAF_VERSION:
        raise EvidenceFormatError("a leaf has four lines, the first being {version}", version=LEAF_VERSION)
    try:
        moment = datetime.strptime(lines[2], _TIME).replace(tzinfo=UTC)
    except ValueError as error:
        raise EvidenceFormatError("the time of a leaf has the form 2026-01-31T23:59:59Z") from error
    leaf = Leaf(check_kind(lines[1]), int(moment.timestamp()), decode_base64(lines[3], "commitment"))
    if leaf.text != text or len(leaf.commitment) != hashlib.sha256().digest_size:
        raise EvidenceFormatError("a leaf has four lines, the first being {version}", version=LEAF_VERSION)
    return leaf


def commit(salt: bytes, body: str) -> bytes:
    """Return the commitment SHA-256(0x00 || salt || body), 32 bytes.

    Raises:
        EvidenceFormatError: the salt does not have 32 bytes.
    """
    if len(salt) != SALT_BYTES:
        raise EvidenceFormatError("a salt has {got} bytes; it must have 32", got=len(salt))
    return hashlib.sha256(b"\x00" + salt + body.encode()).digest()


def new_salt() -> bytes:
    """Return 32 random bytes from the operating system."""
    return secrets.token_bytes(SALT_BYTES)


def build_body(key: str, record: Mapping[str, object]) -> str:
    """Return the canonical text that is committed to.

    Raises:
        EvidenceFormatError: key or record has no canonical form, or is too large.
    """
    body = canonical_json({"key": check_key(key), "record": record})
    if len(body.encode()) > MAX_BODY_BYTES:
        raise EvidenceFormatError(
            "the record has {got} bytes; at most {limit} are taken",
            got=len(body.encode()),
            limit=MAX_BODY_BYTES,
        )
    return body


def read_body(body: str) -> tuple[str, dict[str, Json]]:
    """Return key and record from a body.

    Raises:
        EvidenceFormatError: not a body in canonical form.
    """
    value = parse_canonical_json(body)
    if not isinstance(value, dict) or value.keys() != {"key", "record"}:
        raise EvidenceFormatError("the body of an entry holds a key and a record, and nothing else")
    key, record = value["key"], value["record"]
    if not isinstance(key, str) or not isinstance(record, dict):
        raise EvidenceFormatError("the body of an entry holds a key and a record, and nothing else")
    return check_key(key), record


def check_kind(kind: str) -> str:
    """Return the kind if it is one: up to 64 of ``a-z 0-9 . _ / -``, such as ``job/receipt``."""
    if not _KIND.fullmatch(kind):
        raise EvidenceFormatError(
            "the kind of an entry is 1 to 64 of a-z 0-9 . _ / -, such as job/receipt, got {got}",
            got=repr(kind[:70]),
        )
    return kind


def check_key(key: str) -> str:
    """Return the key if it is one: 1 to 256 printable characters."""
    if not key or len(key) > MAX_KEY_CHARACTERS or not key.isprintable():
        raise EvidenceFormatError(
            "the key of an entry is 1 to {limit} printable characters, got {got}",
            limit=MAX_KEY_CHARACTERS,
            got=len(key),
        )
    return key
