"""What two institutions agree on without the coordinator that carries their messages: seeds and envelopes.

Statement
    Parties: two institutions; a third one carries what they send each other.
    Who learns what: the carrier sees public keys and sealed boxes; it learns lengths.
    Assumption: the carrier hands on the public keys that it was given (semi-honest); the gap Diffie–Hellman
    problem on Curve25519 is hard; HKDF with SHA-256 is a random oracle; AES-256-GCM authenticates and hides.
    Cost: 32 bytes a public key, 16 bytes a sealed box beyond its content; one scalar multiplication a seed.
    Papers: RFC 7748 (X25519), RFC 5869 (HKDF), NIST SP 800-38D (GCM).

Every key is derived for one purpose, one run, one batch, one slot and one ordered pair, so no key is used
twice, and the nonce of a box may be zero.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tongzhou.errors import ProtocolError

__all__ = ["KEY_BYTES", "TAG_BYTES", "agree", "derive", "label", "open_box", "seal_box"]

KEY_BYTES: Final = 32
"""Bytes of a public key, a private key, a seed."""

TAG_BYTES: Final = 16
"""Bytes that a sealed box has beyond its content."""

_DOMAIN: Final = b"tongzhou/aggregate/v1/"
_NONCE: Final = bytes(12)


def label(purpose: str, context: str, *numbers: int) -> bytes:
    """What a key is for, as bytes that no other purpose, run or numbers have.

    Args:
        purpose: a word of ours.
        context: the run.
        numbers: batch, slot, places; each below 2^32.
    """
    parts = [text.encode() for text in (purpose, context)]
    head = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return _DOMAIN + head + b"".join(number.to_bytes(4, "big") for number in numbers)


def agree(private: X25519PrivateKey, public: bytes, purpose: bytes) -> bytes:
    """The 32 bytes that both holders of a private key and the other's public key derive.

    Raises:
        ProtocolError: the public key lies in a small subgroup; no honest institution has such a key.
    """
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise ProtocolError("an institution's public key is not in the group of keys") from None
    return derive(shared, purpose)


def derive(secret: bytes, purpose: bytes) -> bytes:
    """32 bytes for one purpose, from a secret."""
    return HKDF(SHA256(), KEY_BYTES, salt=None, info=purpose).derive(secret)


def seal_box(key: bytes, content: bytes, purpose: bytes) -> bytes:
    """Encrypt and authenticate the one message that this key is for."""
    return AESGCM(key).encrypt(_NONCE, content, purpose)


def open_box(key: bytes, box: bytes, purpose: bytes) -> bytes:
    """The content of a box.

    Raises:
        ProtocolError: it was sealed by somebody else, for something else, or changed on the way.
    """
    try:
        return AESGCM(key).decrypt(_NONCE, box, purpose)
    except InvalidTag:
        raise ProtocolError(
            "a sealed box of another institution does not open: it was changed on the way, or is not for here"
        ) from None
