"""Checkpoints (c2sp.org/tlog-checkpoint, version 1.0.0): a log's size and root, as a signed note.

The text is three lines: origin, size in decimal, root in Base 64. This room writes no extension lines
(nobody audits them) and reads notes that have some.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tongzhou.evidence.errors import EvidenceCheckError, EvidenceFormatError
from tongzhou.evidence.merkle import HASH_BYTES, MAX_SIZE
from tongzhou.evidence.note import Signer, VerifierKey, decode_base64, encode_base64, open_note, sign_note

__all__ = [
    "Checkpoint",
    "check_origin",
    "open_checkpoint",
    "parse_checkpoint_text",
    "parse_size",
    "sign_checkpoint",
]

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_RESERVED_ORIGINS = ("cosignature/v1", "subtree/v1")  # first lines of what witnesses sign


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head: which log, how many entries, which root (32 bytes), other lines if any."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The note text, with its final newline."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)


def check_origin(origin: str) -> str:
    """Return the origin if it can name a log.

    Raises:
        EvidenceFormatError: empty, with space, plus or control character, or reserved for signed messages.
    """
    if not origin or origin in _RESERVED_ORIGINS or any(c.isspace() or c == "+" or c < " " for c in origin):
        raise EvidenceFormatError(
            "the origin of a log is a short name without space or plus, such as bank.example/log, got {got}",
            got=repr(origin[:60]),
        )
    return origin


def parse_size(text: str) -> int:
    """Read a tree size or index: ASCII decimal without leading zero.

    Raises:
        EvidenceFormatError: anything else.
    """
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise EvidenceFormatError(
            "a size or index is a decimal number without leading zero, got {got}", got=repr(text[:30])
        )
    return int(text)


def parse_checkpoint_text(text: str) -> Checkpoint:
    """Read the text of a checkpoint; signatures are not looked at.

    Raises:
        EvidenceFormatError: it does not have the form of a checkpoint.
    """
    lines = text.removesuffix("\n").split("\n")
    if len(lines) < 3 or not text.endswith("\n") or not all(lines):
        raise EvidenceFormatError(
            "a checkpoint has three or more lines, none of them empty: origin, size, root"
        )
    root = decode_base64(lines[2], "root")
    if len(root) != HASH_BYTES:
        raise EvidenceFormatError("the root of a checkpoint has {got} bytes; it must have 32", got=len(root))
    return Checkpoint(lines[0], parse_size(lines[1]), root, tuple(lines[3:]))


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> str:
    """Return the checkpoint as a note signed by the log."""
    check_origin(checkpoint.origin)
    return sign_note(checkpoint.text, signer)


def open_checkpoint(note: str, origin: str, keys: Iterable[VerifierKey]) -> Checkpoint:
    """Check a signed checkpoint of the named log and return its content.

    Raises:
        EvidenceFormatError: not a checkpoint.
        EvidenceCheckError: of another log, or not signed by one of the keys.
    """
    checkpoint = parse_checkpoint_text(open_note(note, keys).text)
    if checkpoint.origin != origin:
        raise EvidenceCheckError(
            "the checkpoint is of log {got}, not of log {wanted}", got=checkpoint.origin, wanted=origin
        )
    return checkpoint
