"""The bridge from an institution's identity to its evidence log.

The evidence room imports nothing of ours, so it knows a signer only by shape. `LogSigner` gives it the
identity's key under the log's name; `log_origin` is that name.
"""

from typing import Protocol

__all__ = ["LogSigner", "SigningIdentity", "log_origin"]


class SigningIdentity(Protocol):
    """The part of an identity that signing needs."""

    @property
    def party_id(self) -> str:
        """Identifier of the party."""

    @property
    def public_key_bytes(self) -> bytes:
        """Raw Ed25519 public key, 32 bytes."""

    def sign(self, data: bytes) -> bytes:
        """Ed25519 signature of `data`."""


def log_origin(party_id: str) -> str:
    """The origin line of a party's log; a name without a scheme, as the checkpoint format asks for."""
    return f"tongzhou.example/{party_id}"


class LogSigner:
    """An identity in the shape that the evidence room signs with.

    Args:
        identity: whose key signs.
    """

    def __init__(self, identity: SigningIdentity) -> None:
        self._identity = identity

    @property
    def name(self) -> str:
        """The key name in signed notes: the log's origin."""
        return log_origin(self._identity.party_id)

    @property
    def public_key_bytes(self) -> bytes:
        """Raw Ed25519 public key, 32 bytes."""
        return self._identity.public_key_bytes

    def sign(self, data: bytes) -> bytes:
        """Ed25519 signature of `data`."""
        return self._identity.sign(data)
