"""Two people for one grant: keys of approvers, and their signed approvals.

An institution that names approvers can no longer issue a grant by one hand: it is drafted, and becomes a
grant when two different approvers have signed the same text. Each approver has a key in a file of its own,
under a passphrase; the institution holds the public halves. The approvals travel inside the grant, so whoever
verifies the grant sees which two people stood behind it.

Honest limit: whoever can write the institution's folder can take the approvers out of it. Each change of
approvers is an entry in the evidence log, and once there are two, needs the key of one of them.
"""

import hashlib
import os
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tongzhou.errors import DataError, StorageError, VerificationError
from tongzhou.parties import _files as files
from tongzhou.parties._certificates import raw_key
from tongzhou.parties._grant_terms import Grant
from tongzhou.parties.canonical import base64url, canonical_json, from_base64url
from tongzhou.parties.documents import sign_document, verify_document
from tongzhou.parties.names import check_party_id
from tongzhou.parties.times import utc_text

__all__ = [
    "APPROVALS_NEEDED",
    "APPROVAL_KIND",
    "Approval",
    "Approver",
    "ApproverKey",
    "check_approvals",
    "draft_digest",
    "sign_approval",
    "verified_approval",
]

APPROVALS_NEEDED: Final = 2
"""How many different people must approve a grant, where there are approvers at all."""

APPROVAL_KIND: Final = "grant-approval"

_MAX_KEY_FILE = 16 * 1024
_LEAST_PASSPHRASE = 12


class Approver(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A person who may approve grants.

    Attributes:
        name: short identifier, as a party's.
        public_key: raw Ed25519 public key, base64url.
    """

    name: str
    public_key: str

    def key_bytes(self) -> bytes:
        """The raw public key, 32 bytes.

        Raises:
            VerificationError: it is not one.
        """
        try:
            key = from_base64url(self.public_key)
        except ValueError:
            key = b""
        if len(key) != 32:
            raise VerificationError("approver {name} has no Ed25519 public key", name=self.name)
        return key


class Approval(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One person's consent to one text; signed by that person as a document of kind ``grant-approval``.

    Attributes:
        grant_id: which draft.
        provider: whose.
        digest: `draft_digest` of the text that was approved.
        approver: who approves.
        approved_at: when, ISO 8601 UTC.
    """

    grant_id: str
    provider: str
    digest: str
    approver: str
    approved_at: str


class ApproverKey:
    """An approver's private key. Printing one never shows it.

    Attributes:
        party_id: the approver's name, as a signed document names its signer.
    """

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self.party_id = name
        self._key = key

    def __repr__(self) -> str:
        return f"ApproverKey({self.party_id!r}, key=****)"

    @classmethod
    def create(cls, path: Path, name: str, passphrase: str) -> "ApproverKey":
        """Make a key and keep it in a new file, encrypted.

        Args:
            path: a file that does not exist yet.
            name: the approver.
            passphrase: at least 12 characters; without it the file is useless.

        Raises:
            DataError: an illegal name, or too short a passphrase.
            ConflictError: the file exists.
            StorageError: it cannot be written.
        """
        check_party_id(name, "name of an approver")
        if len(passphrase) < _LEAST_PASSPHRASE:
            raise DataError(
                "the passphrase of an approver must have at least {least} characters, got {got}",
                least=_LEAST_PASSPHRASE,
                got=len(passphrase),
            )
        key = Ed25519PrivateKey.generate()
        sealed = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(passphrase.encode()),
        )
        files.create_file(Path(path), f"{name}\n".encode() + sealed, files.PRIVATE)
        return cls(name, key)

    @classmethod
    def load(cls, path: Path, passphrase: str) -> "ApproverKey":
        """Read a key.

        Raises:
            StorageError: the file is open to others, or holds no key.
            VerificationError: the passphrase is wrong.
        """
        content = files.read_private(Path(path), _MAX_KEY_FILE)
        name, _, sealed = content.partition(b"\n")
        damaged = StorageError("{file} holds no key of an approver", file=path)
        if not sealed.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----"):
            raise damaged
        try:
            key = serialization.load_pem_private_key(sealed, password=passphrase.encode())
        except ValueError as error:
            # The library does not tell a wrong passphrase from a broken file; the former is the rule.
            raise VerificationError(
                "{file} cannot be opened: the passphrase is wrong, or the file is damaged", file=path
            ) from error
        if not isinstance(key, Ed25519PrivateKey):
            raise damaged
        return cls(check_party_id(os.fsdecode(name), "name of an approver"), key)

    @property
    def approver(self) -> Approver:
        """The public half, for the institution."""
        return Approver(name=self.party_id, public_key=base64url(raw_key(self._key.public_key())))

    def sign(self, data: bytes) -> bytes:
        """Ed25519 signature of `data`."""
        return self._key.sign(data)


def draft_digest(grant: Grant) -> str:
    """SHA-256 (hex) of the canonical text of a grant without its approvals: what approvers sign."""
    bare = msgspec.structs.replace(grant, approvals=[], approvers={})
    return hashlib.sha256(canonical_json(bare)).hexdigest()


def sign_approval(key: ApproverKey, grant: Grant, now: datetime) -> str:
    """One approver's signed approval of a draft (compact JWS)."""
    body = Approval(
        grant_id=grant.grant_id,
        provider=grant.provider,
        digest=draft_digest(grant),
        approver=key.party_id,
        approved_at=utc_text(now),
    )
    return sign_document(key, APPROVAL_KIND, body)


def check_approvals(grant: Grant) -> list[Approval]:
    """The approvals that a grant carries, each verified; none, if its provider has no approvers.

    Raises:
        VerificationError: one is forged, about another text, or there are too few different people.
    """
    if not grant.approvals and not grant.approvers:
        return []
    found: dict[str, Approval] = {}
    for name, document in zip(sorted(grant.approvers), grant.approvals, strict=False):
        approver = Approver(name=name, public_key=grant.approvers[name])
        body = verify_document(document, APPROVAL_KIND, Approval, approver.key_bytes(), signer=name)
        if (body.grant_id, body.provider, body.approver) != (grant.grant_id, grant.provider, name):
            raise VerificationError(
                "an approval of grant {grant} is about another grant", grant=grant.grant_id
            )
        if body.digest != draft_digest(grant):
            raise VerificationError(
                "{approver} approved another text of grant {grant}", approver=name, grant=grant.grant_id
            )
        found[name] = body
    keys = set(grant.approvers.values())
    people = min(len(found), len(keys))
    if people < APPROVALS_NEEDED or not len(found) == len(grant.approvals) == len(grant.approvers):
        raise VerificationError(
            "grant {grant} needs the approvals of {least} people, got {got}",
            grant=grant.grant_id,
            least=APPROVALS_NEEDED,
            got=people,
        )
    return [found[name] for name in sorted(found)]


def verified_approval(document: str, grant: Grant, approver: Approver) -> Approval:
    """One approval of a draft.

    Raises:
        VerificationError: it is not this approver's approval of this text.
    """
    body = verify_document(document, APPROVAL_KIND, Approval, approver.key_bytes(), signer=approver.name)
    if body.digest != draft_digest(grant):
        raise VerificationError(
            "{approver} approved another text of grant {grant}", approver=approver.name, grant=grant.grant_id
        )
    return body
