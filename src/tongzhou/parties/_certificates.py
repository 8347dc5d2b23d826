"""The two certificates of a party, and what makes a certificate authority acceptable.

A party's identity key signs itself a certificate authority that may name this one party and nobody else
(critical name constraints, RFC 5280 section 4.2.1.10), and a short-lived certificate for TLS below it.
So whoever trusts a card trusts its authority for one name, and the authority of one trusted party cannot
speak for another.
"""

from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tongzhou.errors import VerificationError

__all__ = [
    "check_authority",
    "make_authority",
    "make_leaf",
    "organisation",
    "pem",
    "private_pem",
    "raw_key",
    "subject_id",
]

# An identity outlives the software; its TLS certificates are short-lived and renewed without anyone's help.
AUTHORITY_LIFE = timedelta(days=20 * 365)
LEAF_LIFE = timedelta(days=365)
# Clocks of two institutions differ; a new certificate is already valid on a machine that lags a day.
CLOCK_SKEW = timedelta(days=1)

LeafKey = ec.EllipticCurvePrivateKey


def make_authority(
    key: Ed25519PrivateKey, party_id: str, display_name: str, now: datetime
) -> x509.Certificate:
    """The self-signed certificate authority of one party, able to name this party only."""
    name = _name(party_id, display_name)
    public = key.public_key()
    builder = _builder(name, name, public, now, AUTHORITY_LIFE)
    constraints = x509.NameConstraints([x509.DNSName(party_id)], None)
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(constraints, critical=True)
        .add_extension(_usage(authority=True), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
    )
    return builder.sign(key, None)


def make_leaf(
    key: Ed25519PrivateKey, authority: x509.Certificate, now: datetime
) -> tuple[LeafKey, x509.Certificate]:
    """A fresh P-256 key and its certificate for both ends of TLS, valid a year."""
    leaf_key = ec.generate_private_key(ec.SECP256R1())
    party_id = subject_id(authority)
    name = _name(party_id, organisation(authority))
    life = min(LEAF_LIFE, authority.not_valid_after_utc - now)
    builder = _builder(name, authority.subject, leaf_key.public_key(), now, life)
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(party_id)]), critical=False)
        .add_extension(_usage(authority=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
    )
    return leaf_key, builder.sign(key, None)


def check_authority(certificate: x509.Certificate, party_id: str, public_key: bytes) -> None:
    """Accept a certificate authority only if it belongs to this key and can name this party alone.

    Raises:
        VerificationError: the sentence says which of these does not hold.
    """
    key = certificate.public_key()
    if not isinstance(key, Ed25519PublicKey) or raw_key(key) != public_key:
        raise VerificationError(
            "the certificate authority of {party} belongs to another key than its card", party=party_id
        )
    try:
        certificate.verify_directly_issued_by(certificate)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise VerificationError(
            "the certificate authority of {party} is not signed by its own key", party=party_id
        ) from error
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if [name.value for name in names] != [party_id]:
        raise VerificationError("the certificate authority of {party} names another party", party=party_id)
    if not _is_confined(certificate, party_id):
        raise VerificationError(
            "the certificate authority of {party} could speak for other parties", party=party_id
        )


def subject_id(certificate: x509.Certificate) -> str:
    """The party id in a certificate's subject."""
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def organisation(certificate: x509.Certificate) -> str:
    """The institution's name in a certificate's subject."""
    return str(certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value)


def raw_key(key: Ed25519PublicKey) -> bytes:
    """The 32 bytes of a public key."""
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM text."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def private_pem(key: Ed25519PrivateKey | LeafKey) -> bytes:
    """A private key as PKCS8 PEM text, not encrypted: the file's mode protects it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _is_confined(certificate: x509.Certificate, party_id: str) -> bool:
    try:
        basic = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        limits = certificate.extensions.get_extension_for_class(x509.NameConstraints)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False
    only_party = x509.NameConstraints([x509.DNSName(party_id)], None)
    return basic.value.ca and basic.value.path_length == 0 and limits.critical and limits.value == only_party


def _name(party_id: str, display_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, display_name),
            x509.NameAttribute(NameOID.COMMON_NAME, party_id),
        ]
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: Ed25519PublicKey | ec.EllipticCurvePublicKey,
    now: datetime,
    life: timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
