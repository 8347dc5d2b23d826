"""Signed notes (c2sp.org/signed-note, version 1.0.0): a text and the signatures under it.

A *vkey* is a verifier key written as ``name+hash+base64``; this room uses Ed25519 keys only, of type 0x01
(plain, a log's own signature) and 0x04 (timestamped, a witness, see `cosignature`). Signatures by unknown
keys are ignored, as the format demands; one bad signature by a known key spoils the whole note.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tongzhou.evidence.errors import EvidenceCheckError, EvidenceFormatError

__all__ = [
    "COSIGNATURE_TYPE",
    "LOG_TYPE",
    "MAX_NOTE_BYTES",
    "MAX_SIGNATURES",
    "Note",
    "Signature",
    "Signer",
    "VerifierKey",
    "check_ed25519",
    "decode_base64",
    "encode_base64",
    "make_vkey",
    "open_note",
    "parse_note",
    "parse_vkey",
    "sign_note",
    "signature_line",
]

LOG_TYPE = 0x01
COSIGNATURE_TYPE = 0x04
MAX_NOTE_BYTES = 1 << 20  # a note with MAX_SIGNATURES post-quantum signatures still fits
MAX_SIGNATURES = 100  # the format asks readers to take 16 or more, and to have a limit

_KEY_ID_BYTES = 4
_ED25519_BYTES = 32
_DASH = "— "


class Signer(Protocol):
    """What signs: a party's identity, or an adapter to a key in hardware."""

    @property
    def name(self) -> str:
        """Key name, as it stands in signature lines; for a log, its origin."""

    @property
    def public_key_bytes(self) -> bytes:
        """Raw Ed25519 public key, 32 bytes."""

    def sign(self, data: bytes) -> bytes:
        """Return the Ed25519 signature of ``data``, 64 bytes."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key that a reader trusts: name, signature type and raw Ed25519 key."""

    name: str
    type: int
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name, newline, type, key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.type]) + self.public_key).digest()[
            :_KEY_ID_BYTES
        ]

    @property
    def vkey(self) -> str:
        """The key as text."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.type]) + self.public_key)}"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who (name and key id) and the bytes after the key id."""

    name: str
    key_id: bytes
    data: bytes

    @property
    def line(self) -> str:
        """The line as it stands in the note, with its newline."""
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.data)}\n"

    def is_by(self, key: VerifierKey) -> bool:
        """Tell whether the line names this key; says nothing of its validity."""
        return self.name == key.name and self.key_id == key.key_id


@dataclass(frozen=True, slots=True)
class Note:
    """A parsed note: text (with its final newline) and all signature lines, none of them checked."""

    text: str
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(signature.line for signature in self.signatures)


def make_vkey(name: str, public_key: bytes, key_type: int = LOG_TYPE) -> str:
    """Return the text form of a verifier key.

    Args:
        name: key name; for a log, its origin.
        public_key: raw Ed25519 key, 32 bytes.
        key_type: `LOG_TYPE` or `COSIGNATURE_TYPE`.
    """
    return _checked_key(name, key_type, public_key).vkey


def parse_vkey(vkey: str, key_type: int = LOG_TYPE) -> VerifierKey:
    """Read a verifier key of the expected type.

    Raises:
        EvidenceFormatError: not a key, of another type, or its key id does not fit.
    """
    parts = vkey.split("+", 2)
    if len(parts) != 3:
        raise EvidenceFormatError("a verifier key has the form name+id+base64, got {got}", got=_short(vkey))
    name, key_id, encoded = parts
    material = decode_base64(encoded, "key")
    key = _checked_key(name, material[0] if material else 0, material[1:])
    if key.type != key_type:
        raise EvidenceFormatError(
            "the verifier key of {name} has type {got}, but type {wanted} is needed here",
            name=name,
            got=f"{key.type:#04x}",
            wanted=f"{key_type:#04x}",
        )
    if key.key_id.hex() != key_id:
        raise EvidenceFormatError(
            "the verifier key of {name} has id {wanted}, but says {got}",
            name=name,
            wanted=key.key_id.hex(),
            got=_short(key_id),
        )
    return key


def sign_note(text: str, *signers: Signer) -> str:
    """Return the note: the text and one plain Ed25519 signature by each signer.

    Args:
        text: what is signed, ending in a newline, without control characters.
        signers: one or more.
    """
    _check_characters(text)
    if not text.endswith("\n") or not signers:
        raise EvidenceFormatError("a note needs a text that ends in a newline, and a signer")
    lines = []
    for signer in signers:
        key = _checked_key(signer.name, LOG_TYPE, signer.public_key_bytes)
        signature = signer.sign(text.encode())
        check_ed25519(key, text.encode(), signature)  # a signer with the wrong key must not go unnoticed
        lines.append(Signature(key.name, key.key_id, signature).line)
    return text + "\n" + "".join(lines)


def parse_note(note: str) -> Note:
    """Take a note apart without checking any signature.

    Raises:
        EvidenceFormatError: it does not have the form of a note.
    """
    _check_characters(note)
    text, blank, tail = note.rpartition("\n\n")
    if not blank or not text or not tail.endswith("\n"):
        raise EvidenceFormatError("a note needs a text, an empty line and signature lines")
    lines = tail[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise EvidenceFormatError(
            "a note has {got} signatures; at most {limit} are read", got=len(lines), limit=MAX_SIGNATURES
        )
    return Note(text + "\n", tuple(signature_line(line) for line in lines))


def signature_line(line: str) -> Signature:
    """Read one signature line, with or without its final newline.

    Raises:
        EvidenceFormatError: it does not have the form of a signature line.
    """
    body = line.removesuffix("\n")
    name, space, encoded = body.removeprefix(_DASH).rpartition(" ")
    if not body.startswith(_DASH) or not space or not _is_key_name(name):
        raise EvidenceFormatError("a signature line has the form — name base64, got {got}", got=_short(body))
    data = decode_base64(encoded, "signature")
    if len(data) <= _KEY_ID_BYTES:
        raise EvidenceFormatError("the signature line of {name} has no signature", name=name)
    return Signature(name, data[:_KEY_ID_BYTES], data[_KEY_ID_BYTES:])


def open_note(note: str, keys: Iterable[VerifierKey]) -> Note:
    """Check a note against plain Ed25519 keys; at least one must have signed it.

    Returns:
        The text with the signatures by these keys only.

    Raises:
        EvidenceFormatError: not a note.
        EvidenceCheckError: no signature by any of the keys, or a wrong one.
    """
    parsed = parse_note(note)
    trusted = list(keys)
    good = []
    for signature in dict.fromkeys(parsed.signatures):
        for key in trusted:
            if signature.is_by(key):
                check_ed25519(key, parsed.text.encode(), signature.data)
                good.append(signature)
    if not good:
        raise EvidenceCheckError(
            "the note is not signed by {names}", names=", ".join(key.name for key in trusted) or "-"
        )
    return Note(parsed.text, tuple(good))


def check_ed25519(key: VerifierKey, message: bytes, signature: bytes) -> None:
    """Check one Ed25519 signature (RFC 8032).

    Raises:
        EvidenceCheckError: it is wrong.
    """
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, message)
    except (InvalidSignature, ValueError) as error:
        raise EvidenceCheckError("the signature by {name} is wrong", name=key.name) from error


def encode_base64(data: bytes) -> str:
    """Return standard Base 64 with padding (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str, field: str) -> bytes:
    """Read standard Base 64; only the one spelling that `encode_base64` writes is taken.

    Raises:
        EvidenceFormatError: naming the field.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise EvidenceFormatError(
            "the field {field} is not Base 64: {got}", field=field, got=_short(text)
        ) from error
    if encode_base64(data) != text:
        raise EvidenceFormatError("the field {field} is not Base 64: {got}", field=field, got=_short(text))
    return data


def _checked_key(name: str, key_type: int, public_key: bytes) -> VerifierKey:
    if not _is_key_name(name):
        raise EvidenceFormatError(
            "a key name is one or more characters without space, plus or control character, got {got}",
            got=_short(name),
        )
    if len(public_key) != _ED25519_BYTES:
        raise EvidenceFormatError(
            "the key of {name} has {got} bytes; an Ed25519 key has 32", name=name, got=len(public_key)
        )
    return VerifierKey(name, key_type, public_key)


def _is_key_name(name: str) -> bool:
    return bool(name) and not any(c.isspace() or c == "+" or c < " " for c in name)


def _check_characters(note: str) -> None:
    if len(note) > MAX_NOTE_BYTES:
        raise EvidenceFormatError(
            "a note has {got} characters; at most {limit} are read", got=len(note), limit=MAX_NOTE_BYTES
        )
    if any((c < " " and c != "\n") or "\ud800" <= c <= "\udfff" for c in note):
        raise EvidenceFormatError("a note holds a control character or half of a UTF-16 pair")


def _short(text: str) -> str:
    """Return at most 60 characters of foreign text, safe to print."""
    shown = text[:60].encode("unicode_escape").decode("ascii")
    return f"«{shown}»" if len(text) <= 60 else f"«{shown}…»"
