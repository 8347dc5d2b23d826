"""Who this institution is: its identity key, its certificate authority, its certificate for TLS.

Two files lie in the folder, both readable by their owner only:

``identity.pem``
    the Ed25519 identity key (PKCS8) and, after it, the self-signed certificate authority, which holds the
    party id and the institution's name. One file, so that it exists whole or not at all.
``tls.pem``
    a P-256 key, its certificate and the authority. It can be made again from ``identity.pem`` at any
    time, and is: when it is missing, cut short, or less than a month from its end.

Losing ``identity.pem`` is losing the identity: keep a copy of it in a safe place.
"""

from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tongzhou.errors import ConflictError, NotFoundError, StorageError, VerificationError
from tongzhou.parties import _certificates as certificates
from tongzhou.parties import _files as files
from tongzhou.parties.names import check_display_name, check_party_id
from tongzhou.parties.times import Clock, utc_now

__all__ = ["Identity"]

_IDENTITY_FILE = "identity.pem"
_TLS_FILE = "tls.pem"
# A key and a few certificates take about 2 KiB.
_MAX_FILE = 64 * 1024
_RENEW_BEFORE = timedelta(days=30)


class Identity:
    """The keys of the institution that this process acts for.

    Made by `create` once and by `load` ever after. Printing one never shows a key.

    Attributes:
        party_id: short identifier, also the name in its certificates.
        name: the institution's name for people.
        public_key_bytes: raw Ed25519 public key, 32 bytes.
        tls_key_path: PEM file with the key for TLS.
        tls_certificate_path: PEM file with the certificate for TLS and the authority above it. It is the
            same file as the key's, so that the two can never be of different age.
    """

    def __init__(
        self, folder: Path, key: Ed25519PrivateKey, authority: x509.Certificate, *, clock: Clock = utc_now
    ) -> None:
        self.party_id = certificates.subject_id(authority)
        self.name = certificates.organisation(authority)
        self.public_key_bytes = certificates.raw_key(key.public_key())
        self.tls_key_path = folder / _TLS_FILE
        self.tls_certificate_path = folder / _TLS_FILE
        self._key = key
        self._authority = authority
        self._clock = clock

    @classmethod
    def create(cls, folder: Path, party_id: str, display_name: str, *, clock: Clock = utc_now) -> "Identity":
        """Make a new identity in `folder`. A creation that was interrupted can be repeated.

        Raises:
            ConflictError: the folder holds an identity already.
            DataError: the id or the name is not allowed.
            StorageError: the folder cannot be written.
        """
        check_party_id(party_id)
        check_display_name(display_name)
        folder = Path(folder)
        files.make_folder(folder)
        key = Ed25519PrivateKey.generate()
        authority = certificates.make_authority(key, party_id, display_name, clock())
        content = certificates.private_pem(key) + certificates.pem(authority)
        try:
            # The one step that counts: before it there is no identity, after it `load` can complete all else.
            files.create_file(folder / _IDENTITY_FILE, content, files.PRIVATE)
        except ConflictError as error:
            raise ConflictError(
                "{folder} holds an identity already; a key is never overwritten", folder=folder
            ) from error
        return cls.load(folder, clock=clock)

    @classmethod
    def load(cls, folder: Path, *, clock: Clock = utc_now) -> "Identity":
        """Read the identity in `folder`, renewing its TLS certificate where that is due.

        Raises:
            NotFoundError: the folder holds no identity.
            StorageError: a key file is open to others, or damaged.
        """
        path = Path(folder) / _IDENTITY_FILE
        if not path.exists():
            raise NotFoundError(
                "{folder} holds no identity (there is no {file})", folder=folder, file=path.name
            )
        key, authority = _read_identity(path)
        identity = cls(Path(folder), key, authority, clock=clock)
        identity.ensure_tls()
        return identity

    @property
    def ca_certificate(self) -> str:
        """The self-signed certificate authority as PEM text, for the card."""
        return certificates.pem(self._authority).decode("ascii")

    def sign(self, data: bytes) -> bytes:
        """Ed25519 signature (64 bytes) of `data` by the identity key."""
        return self._key.sign(data)

    def ensure_tls(self, now: datetime | None = None) -> bool:
        """Issue a new TLS key and certificate unless the present ones are good for another month.

        Args:
            now: the moment to judge at; the identity's clock if not given.

        Returns:
            Whether new ones were issued.

        Raises:
            StorageError: the key file is open to others, or cannot be written.
        """
        moment = self._clock() if now is None else now
        if self.tls_key_path.exists() and self._tls_is_good(moment):
            return False
        leaf_key, leaf = certificates.make_leaf(self._key, self._authority, moment)
        content = (
            certificates.private_pem(leaf_key) + certificates.pem(leaf) + certificates.pem(self._authority)
        )
        files.replace_file(self.tls_key_path, content, files.PRIVATE)
        return True

    def _tls_is_good(self, moment: datetime) -> bool:
        content = files.read_private(self.tls_key_path, _MAX_FILE)
        try:
            key = serialization.load_pem_private_key(content, password=None)
            chain = x509.load_pem_x509_certificates(content)
        except (ValueError, TypeError):
            return False
        leaf = chain[0]
        return (
            chain[1:] == [self._authority]
            and leaf.public_key() == key.public_key()
            and leaf.not_valid_before_utc <= moment <= leaf.not_valid_after_utc - _RENEW_BEFORE
        )

    def __repr__(self) -> str:
        return f"Identity(party_id={self.party_id!r}, name={self.name!r}, key=****)"


def _read_identity(path: Path) -> tuple[Ed25519PrivateKey, x509.Certificate]:
    content = files.read_private(path, _MAX_FILE)
    try:
        # A key of another kind has no 32 raw bytes and fails below.
        key = cast(Ed25519PrivateKey, serialization.load_pem_private_key(content, password=None))
        authority = x509.load_pem_x509_certificate(content)
        party_id = certificates.subject_id(authority)
        public = certificates.raw_key(key.public_key())
        certificates.check_authority(authority, party_id, public)
    except (ValueError, TypeError, AttributeError, IndexError, VerificationError) as error:
        # The cause stays out of the sentence: a parser might quote what it read.
        raise StorageError(
            "{file} is damaged: it must hold an Ed25519 key and the certificate authority of that key; "
            "restore it from a backup",
            file=path,
        ) from error
    return key, authority
