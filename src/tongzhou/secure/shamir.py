"""Shares of a 32-byte secret: any `threshold` of them give it back, fewer say nothing about it.

Statement
    Parties: whoever splits, and the holders of the shares.
    Who learns what: fewer than `threshold` holders together learn nothing, whatever they compute.
    Assumption: none beyond good randomness (`secrets`).
    Cost: 33 bytes a share; a share costs `threshold` multiplications modulo a 257-bit prime.
    Paper: Shamir, How to share a secret (Communications of the ACM 22, 1979).

The secret is the value at zero of a random polynomial of degree ``threshold - 1`` over the prime field of
``2^256 + 297``, the first prime above all 32-byte numbers; a share is its value at the holder's place.
"""

import secrets
from collections.abc import Sequence
from typing import Final

from tongzhou.errors import ProtocolError

__all__ = ["PRIME", "SECRET_BYTES", "SHARE_BYTES", "at_zero", "combine", "split"]

PRIME: Final = 2**256 + 297
"""The field of the shares."""

SECRET_BYTES: Final = 32
SHARE_BYTES: Final = 33


def split(secret: bytes, threshold: int, places: Sequence[int]) -> list[bytes]:
    """One share of `SHARE_BYTES` for each place.

    Args:
        secret: `SECRET_BYTES` bytes.
        threshold: how many shares give the secret back, at least 1.
        places: where the polynomial is evaluated; distinct and above zero.

    Raises:
        ValueError: places that are not distinct positive numbers, or fewer than the threshold.
    """
    if len(secret) != SECRET_BYTES or not 1 <= threshold <= len(places):
        raise ValueError("a secret has 32 bytes, and a threshold is at least 1 and at most the places")
    if len(set(places)) != len(places) or min(places) < 1:
        raise ValueError("places are distinct numbers above zero")
    # Highest power first, as Horner's scheme takes them.
    powers = [secrets.randbelow(PRIME) for _ in range(threshold - 1)]
    powers.append(int.from_bytes(secret, "big"))
    return [_value(powers, place).to_bytes(SHARE_BYTES, "big") for place in places]


def at_zero(places: Sequence[int]) -> list[int]:
    """Weights with which values at these places add up to the value at zero (Lagrange).

    Raises:
        ValueError: places that are not distinct positive numbers.
    """
    if len(set(places)) != len(places) or min(places, default=0) < 1:
        raise ValueError("places are distinct numbers above zero")
    weights = []
    for place in places:
        above, below = 1, 1
        for other in places:
            if other != place:
                above = above * other % PRIME
                below = below * (other - place) % PRIME
        weights.append(above * pow(below, -1, PRIME) % PRIME)
    return weights


def combine(weights: Sequence[int], shares: Sequence[bytes]) -> bytes:
    """The secret, from as many shares as the threshold and the weights of their places.

    Args:
        weights: from `at_zero`, in the order of the shares; made once for many secrets.
        shares: one share for each weight.

    Raises:
        ProtocolError: a share is no number of the field, or the shares do not belong together.
    """
    total = 0
    for weight, share in zip(weights, shares, strict=True):
        number = int.from_bytes(share, "big")
        if len(share) != SHARE_BYTES or number >= PRIME:
            raise ProtocolError("a share of a secret is not a number of the field of shares")
        total += weight * number
    secret = total % PRIME
    if secret >> (8 * SECRET_BYTES):
        raise ProtocolError("shares of a secret do not belong together")
    return secret.to_bytes(SECRET_BYTES, "big")


def _value(powers: Sequence[int], place: int) -> int:
    value = 0
    for power in powers:
        value = (value * place + power) % PRIME
    return value
