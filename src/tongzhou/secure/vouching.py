"""Whether public keys that came through a third party are really those of the institution named.

Statement
    Parties: an institution that signs its fresh keys with its identity key; others that trust its card.
    Who learns what: nothing but what is signed, which everybody sees anyway.
    Assumption: Ed25519 signatures cannot be forged; the cards were compared when trust was given.
    Cost: 64 bytes a signature.
    Paper: RFC 8032 (Ed25519).
"""

from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tongzhou.errors import VerificationError
from tongzhou.parties.identity import Identity
from tongzhou.parties.trust import TrustStore

__all__ = ["SIGNATURE_BYTES", "IdentityVoucher", "Voucher"]

SIGNATURE_BYTES: Final = 64


class Voucher(Protocol):
    """Signs for this institution, and verifies what others signed."""

    def sign(self, data: bytes) -> bytes:
        """A signature of `SIGNATURE_BYTES`."""

    def verify(self, party: str, data: bytes, signature: bytes) -> None:
        """Return if `party` signed the data.

        Raises:
            VerificationError: it did not.
            NotFoundError: the party is not trusted here.
        """


class IdentityVoucher:
    """Vouching with the identity key and the cards of trusted parties.

    Args:
        identity: who signs.
        trust: whose signatures count.
    """

    def __init__(self, identity: Identity, trust: TrustStore) -> None:
        self._identity = identity
        self._trust = trust

    def sign(self, data: bytes) -> bytes:
        """Sign with the identity key."""
        return self._identity.sign(data)

    def verify(self, party: str, data: bytes, signature: bytes) -> None:
        """Verify with the key on the party's card.

        Raises:
            VerificationError: the signature is not the party's over this data.
            NotFoundError: the party is not trusted here.
        """
        key = Ed25519PublicKey.from_public_bytes(self._trust.get(party).public_key_bytes)
        try:
            key.verify(signature, data)
        except InvalidSignature:
            raise VerificationError(
                "the public keys that came for {party} are not signed by it: they may have been exchanged on "
                "the way",
                party=party,
            ) from None
