"""Values of identifiers under a fresh key that the owners have and the helper has not.

Each value has 64 bytes and is cut into independent parts: what names the identifier to the helper, and what
only the owners use. HMAC-SHA-512 is taken to be a pseudorandom function.
"""

import hmac
import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from tongzhou.errors import ProtocolError
from tongzhou.secure.party import Party, Role
from tongzhou.secure.points import prefix

__all__ = ["KEY_BYTES", "TAG_BYTES", "owner_values", "recv_key", "send_key"]

KEY_BYTES: Final = 32
TAG_BYTES: Final = 16
"""Bytes by which identifiers are compared: among four million each a false match has a chance of 2^-84."""


def send_key(party: Party, roles: Sequence[Role], tag: str) -> bytes:
    """Draw a key and send it to other owners."""
    key = secrets.token_bytes(KEY_BYTES)
    for role in roles:
        party.link(role).send(tag, key)
    return key


def recv_key(party: Party, role: Role, tag: str) -> bytes:
    """The key that another owner drew.

    Raises:
        ProtocolError: what came is no key.
    """
    link = party.link(role)
    key, _ = link.recv(tag, bytes)
    if len(key) != KEY_BYTES:
        raise ProtocolError(
            "{peer} sent a seed of {got} bytes; {size} are due", peer=link.peer, got=len(key), size=KEY_BYTES
        )
    return key


def owner_values(
    key: bytes, context: str, texts: Iterable[bytes], *, purpose: str = "tags"
) -> Iterator[bytes]:
    """Values of texts, 64 bytes each, in order; each purpose has values of its own."""
    start = prefix(f"owner-{purpose}", context)
    return (hmac.digest(key, start + text, "sha512") for text in texts)
