"""Signed documents: a compact JWS (RFC 7515) around one typed body.

The header holds ``alg`` (always ``Ed25519``, RFC 9864), ``kid`` (the signer's party id) and ``typ``
(``tongzhou+<kind>``), so that a signature for one kind of document never passes as another kind. The
payload is the canonical JSON of the body. Nothing else is accepted: no other algorithm, no further header
field, no field that the body does not know, no second spelling of the same content.
"""

import re
from typing import Protocol, TypeVar

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tongzhou.errors import VerificationError
from tongzhou.parties.canonical import base64url, canonical_json, from_base64url
from tongzhou.parties.names import shown

__all__ = [
    "MAX_DOCUMENT_BYTES",
    "DocumentHeader",
    "Signer",
    "read_header",
    "sign_document",
    "verify_document",
]

Body = TypeVar("Body", bound=msgspec.Struct)

# A receipt of a long run has some kilobytes; nothing signed here is data.
MAX_DOCUMENT_BYTES = 1024 * 1024
_ALGORITHM = "Ed25519"
_TYPE_PREFIX = "tongzhou+"
_KIND = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)


class DocumentHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a document says about its own signature.

    Attributes:
        alg: signature algorithm.
        kid: party id of the signer; whose key to verify with.
        typ: ``tongzhou+<kind>``.
    """

    alg: str
    kid: str
    typ: str

    @property
    def kind(self) -> str:
        """The kind of document, without the prefix."""
        return self.typ.removeprefix(_TYPE_PREFIX)


class Signer(Protocol):
    """Whoever can sign: an institution, or a person who approves."""

    @property
    def party_id(self) -> str:
        """The name that the document's header gives."""

    def sign(self, data: bytes) -> bytes:
        """Ed25519 signature of `data`."""


def sign_document(identity: Signer, kind: str, body: msgspec.Struct) -> str:
    """Sign `body` as a document of `kind`.

    Args:
        identity: the signer.
        kind: small letters, digits and hyphens, for example ``grant``.
        body: a struct of JSON-able fields.

    Returns:
        Compact JWS: three base64url texts with dots between them.

    Raises:
        ValueError: `kind` has another form (a mistake of the caller's).
    """
    if not _KIND.fullmatch(kind):
        raise ValueError(f"a kind of document must be small letters, digits and hyphens, got {kind!r}")
    header = DocumentHeader(alg=_ALGORITHM, kid=identity.party_id, typ=_TYPE_PREFIX + kind)
    signed = f"{base64url(canonical_json(header))}.{base64url(canonical_json(body))}"
    return f"{signed}.{base64url(identity.sign(signed.encode('ascii')))}"


def verify_document(
    token: str, kind: str, body_type: type[Body], public_key: bytes, *, signer: str | None = None
) -> Body:
    """Verify a document and return its body.

    Args:
        token: compact JWS, as `sign_document` gives it.
        kind: the only kind accepted.
        body_type: the struct that the payload must be.
        public_key: raw Ed25519 key of the signer, 32 bytes.
        signer: party id that the header must name, if the caller knows it.

    Raises:
        VerificationError: the document was altered, signed by another key or party, is of another kind, or
            its body is not a `body_type`.
    """
    header = read_header(token)
    if header.typ != _TYPE_PREFIX + kind:
        raise VerificationError(
            "the document must be of kind {kind}, got {got}", kind=kind, got=shown(header.typ)
        )
    if signer is not None and header.kid != signer:
        raise VerificationError(
            "the {kind} must be signed by {signer}, got {got}",
            kind=kind,
            signer=signer,
            got=shown(header.kid),
        )
    signed, _, signature_text = token.rpartition(".")
    try:
        signature = from_base64url(signature_text)
        payload = from_base64url(signed.partition(".")[2])
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, signed.encode("ascii"))
    except (InvalidSignature, ValueError) as error:
        raise VerificationError(
            "the {kind} was altered, or is not signed by {signer}", kind=kind, signer=shown(header.kid)
        ) from error
    return _body(payload, kind, body_type)


def read_header(token: str) -> DocumentHeader:
    """The header of a document, which is *not verified* by reading it: use it to find the signer's key.

    Raises:
        VerificationError: not a document, too long, or with another algorithm.
    """
    if len(token) > MAX_DOCUMENT_BYTES:
        raise VerificationError(
            "a document has at most {most} characters, got {got}", most=MAX_DOCUMENT_BYTES, got=len(token)
        )
    if not token.isascii() or token.count(".") != 2:
        raise VerificationError(
            "not a signed document: it must be three base64url texts with dots between them"
        )
    encoded = token.partition(".")[0]
    try:
        content = from_base64url(encoded)
        header = msgspec.json.decode(content, type=DocumentHeader)
    except (ValueError, msgspec.MsgspecError) as error:
        raise VerificationError(
            "not a signed document: its header must hold exactly alg, kid and typ"
        ) from error
    if header.alg != _ALGORITHM:
        raise VerificationError(
            "a document must be signed with {allowed}, got {got}", allowed=_ALGORITHM, got=shown(header.alg)
        )
    if canonical_json(header) != content:
        raise VerificationError("the header of the document is not written in its canonical form")
    return header


def _body(payload: bytes, kind: str, body_type: type[Body]) -> Body:
    try:
        plain = msgspec.json.decode(payload)
        body = msgspec.json.decode(payload, type=body_type)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise VerificationError(
            "the body of the {kind} is malformed: {reason}", kind=kind, reason=error
        ) from error
    # Two readers must never see different things in one signed text, as a repeated key would let them.
    if canonical_json(plain) != payload:
        raise VerificationError("the body of the {kind} is not written in its canonical form", kind=kind)
    # A field added by newer software is a condition that this one would silently drop.
    unknown = _unknown_field(plain, msgspec.to_builtins(body), ())
    if unknown is not None:
        raise VerificationError(
            "the {kind} has a field that this software does not know: {field}",
            kind=kind,
            field=shown(unknown),
        )
    return body


def _unknown_field(plain: object, known: object, path: tuple[str, ...]) -> str | None:
    pairs: list[tuple[str, object, object]] = []
    if isinstance(plain, dict) and isinstance(known, dict):
        for key in plain:
            if key not in known:
                return ".".join((*path, key))
        pairs = [(key, value, known[key]) for key, value in plain.items()]
    elif isinstance(plain, list) and isinstance(known, (list, tuple)):
        pairs = [(str(place), *both) for place, both in enumerate(zip(plain, known, strict=False))]
    deeper = (_unknown_field(value, other, (*path, name)) for name, value, other in pairs)
    return next((found for found in deeper if found is not None), None)
