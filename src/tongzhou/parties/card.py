"""A party's card: what others must know to trust it and to reach it, signed by itself.

A card is a small JSON file that can be sent by mail. Its signature proves that the owner of the key wrote
it, not who that owner is: therefore two people compare the fingerprint by telephone before they trust it.
"""

import base64
import binascii
import hashlib
import re
from datetime import datetime

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tongzhou.errors import DataError, VerificationError
from tongzhou.parties import _certificates as certificates
from tongzhou.parties.canonical import canonical_json
from tongzhou.parties.identity import Identity
from tongzhou.parties.names import check_display_name, check_party_id
from tongzhou.parties.times import parse_utc, utc_text

__all__ = ["MAX_CARD_BYTES", "PartyCard", "check_endpoint", "fingerprint", "issue_card", "read_card"]

# A card has about 1.5 KB; this leaves room for long names.
MAX_CARD_BYTES = 16 * 1024
_VERSION = 1
_SIGNED_PREFIX = b"tongzhou card v1\n"
_FINGERPRINT_PREFIX = b"tongzhou fingerprint v1\n"
# 160 bits: nobody finds a second key with the same ones, and ten groups can be read aloud.
_FINGERPRINT_BYTES = 20
_ENDPOINT = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]{1,253}):(?P<port>[0-9]{1,5})", re.ASCII)
_HIGHEST_PORT = 65535


class PartyCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a party says about itself.

    Attributes:
        party_id: short identifier; unique among those who trust it.
        name: the institution's name for people.
        public_key: raw Ed25519 identity key, base64.
        ca_certificate: the self-signed certificate authority of that key, PEM; it may name this party only.
        endpoint: where the party's daemon listens, ``host:port``.
        issued_at: when the card was written, ISO 8601 UTC.
        version: version of this format.
    """

    party_id: str
    name: str
    public_key: str
    ca_certificate: str
    endpoint: str
    issued_at: str
    version: int = _VERSION

    @property
    def public_key_bytes(self) -> bytes:
        """Raw Ed25519 identity key, 32 bytes."""
        return base64.b64decode(self.public_key)


class _CardFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    card: PartyCard
    signature: str


def issue_card(identity: Identity, endpoint: str, now: datetime) -> bytes:
    """Write and sign the card of `identity`.

    Args:
        identity: whose card it is.
        endpoint: ``host:port`` at which others reach its daemon; an IPv6 address in brackets.
        now: the moment of issue.

    Returns:
        The content of the card file: indented JSON, UTF-8.

    Raises:
        DataError: the endpoint is not ``host:port``.
    """
    card = PartyCard(
        party_id=identity.party_id,
        name=identity.name,
        public_key=base64.b64encode(identity.public_key_bytes).decode("ascii"),
        ca_certificate=identity.ca_certificate,
        endpoint=check_endpoint(endpoint),
        issued_at=utc_text(now),
    )
    signature = base64.b64encode(identity.sign(_signed_bytes(card))).decode("ascii")
    return msgspec.json.format(msgspec.json.encode(_CardFile(card, signature)), indent=2) + b"\n"


def read_card(content: bytes) -> PartyCard:
    """Read a card file and verify everything in it that can be verified without knowing the party.

    Raises:
        DataError: not a card, or of a version that this software does not know.
        VerificationError: changed since it was signed, or with a certificate authority that is not its own.
    """
    if len(content) > MAX_CARD_BYTES:
        raise DataError(
            "a party card has at most {most} bytes, got {got}", most=MAX_CARD_BYTES, got=len(content)
        )
    # Editors and mail programs like to put a byte order mark in front.
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        file = msgspec.json.decode(content, type=_CardFile)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        _check_version(content)
        raise DataError("not a party card: {reason}", reason=error) from error
    card = file.card
    _check_version(content)
    _check_fields(card)
    try:
        signature = base64.b64decode(file.signature, validate=True)
        Ed25519PublicKey.from_public_bytes(card.public_key_bytes).verify(signature, _signed_bytes(card))
    except (InvalidSignature, binascii.Error) as error:
        raise VerificationError(
            "the card of {party} was changed after it was signed, or signed by another key; ask for it again",
            party=card.party_id,
        ) from error
    certificates.check_authority(_authority(card), card.party_id, card.public_key_bytes)
    return card


def fingerprint(card: PartyCard) -> str:
    """What two people read to each other: ten groups of four hexadecimal digits.

    It covers the party id and the identity key, so it stays the same when the address changes.
    """
    text = card.party_id.encode("ascii") + b"\n" + card.public_key_bytes
    digits = hashlib.sha256(_FINGERPRINT_PREFIX + text).digest()[:_FINGERPRINT_BYTES].hex()
    return " ".join(digits[start : start + 4] for start in range(0, len(digits), 4))


def check_endpoint(endpoint: str) -> str:
    """Return `endpoint` if it is ``host:port``.

    Raises:
        DataError: it is not.
    """
    found = _ENDPOINT.fullmatch(endpoint)
    if found is None or not 1 <= int(found["port"]) <= _HIGHEST_PORT:
        raise DataError(
            "an endpoint must be host:port with a port from 1 to {highest}, got {got}",
            highest=_HIGHEST_PORT,
            got=ascii(endpoint[:80]),
        )
    return endpoint


def _signed_bytes(card: PartyCard) -> bytes:
    return _SIGNED_PREFIX + canonical_json(card)


def _check_fields(card: PartyCard) -> None:
    check_party_id(card.party_id)
    check_display_name(card.name)
    check_endpoint(card.endpoint)
    parse_utc(card.issued_at, "issued_at")
    try:
        length = len(base64.b64decode(card.public_key, validate=True))
    except (binascii.Error, ValueError):
        length = 0
    if length != 32:
        raise DataError(
            "the card of {party} must hold a public key of 32 bytes in base64", party=card.party_id
        )


def _authority(card: PartyCard) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(card.ca_certificate.encode("utf-8"))
    except ValueError as error:
        raise VerificationError(
            "the certificate authority of {party} is not a certificate", party=card.party_id
        ) from error


class _AnyCard(msgspec.Struct):
    version: int


class _AnyVersion(msgspec.Struct):
    card: _AnyCard


def _check_version(content: bytes) -> None:
    try:
        version = msgspec.json.decode(content, type=_AnyVersion).card.version
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return
    if version != _VERSION:
        raise DataError(
            "a party card of version {got}; this software reads version {known}: bring both to the same one",
            got=version,
            known=_VERSION,
        )
