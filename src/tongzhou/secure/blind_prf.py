"""A keyed function that one party evaluates on texts of another without seeing them.

Statement
    Parties: the holder of the key, and a client with texts.
    Who learns what: the client learns the function's values at its own texts, and of the key nothing but its
    public point if it is told. The holder learns how many texts there were: each is multiplied by a scalar of
    its own that is used once, so what the holder sees is uniform whatever it computes, now or ever.
    Assumption: semi-honest; one-more gap Diffie–Hellman in the prime-order group of Curve25519; SHA-512 as a
    random oracle. Answers under one key make it no easier to find than the square root of their number: a
    million answers cost 10 of 126 bits.
    Cost: 32 bytes a text each way, one round; three multiplications a text, two at the client and one at the
    holder, which computes its own values with one each.
    Papers: Jarecki, Kiayias, Krawczyk and Xu, Highly-efficient and composable password-protected secret
    sharing (EuroS&P 2016), its 2HashDH; RFC 9497, from which the group encoding differs (see `points`).

A value is SHA-512 of the text and of its point times the key. Its 64 bytes are cut into independent parts.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tongzhou.secure.points import (
    base_multiple,
    fresh_scalar,
    multiple,
    multiples,
    prefix,
    texts_to_points,
    undoing,
)

__all__ = ["VALUE_BYTES", "BlindKey", "BlindQuery", "evaluate"]

VALUE_BYTES: Final = 64
_POINTS, _VALUES = "blind-prf-points", "blind-prf-values"
_KEY_DOMAIN = b"tongzhou/blind-prf-key/v1/"


@dataclass(frozen=True)
class BlindKey:
    """A key of the function.

    Attributes:
        scalar: clamped, 32 bytes: secret.
    """

    scalar: bytes = field(default_factory=fresh_scalar, repr=False)

    @property
    def name(self) -> bytes:
        """32 bytes that name the key to others: a hash of its public point."""
        return hashlib.sha256(_KEY_DOMAIN + base_multiple(self.scalar)).digest()

    def answer(self, points: Iterable[bytes]) -> Iterator[bytes]:
        """What the holder answers to a client's points.

        Raises:
            ProtocolError: a point has small order.
        """
        return multiples(self.scalar, points)


def evaluate(key: BlindKey, context: str, texts: Sequence[bytes]) -> Iterator[bytes]:
    """Values of the holder's own texts, 64 bytes each, in order.

    Args:
        key: the key.
        context: what the function is for; another context gives another function.
        texts: any bytes.
    """
    points = multiples(key.scalar, texts_to_points(prefix(_POINTS, context), texts))
    start = prefix(_VALUES, context)
    return (_value(start, text, point) for text, point in zip(texts, points, strict=True))


class BlindQuery:
    """A client's texts, blinded. The same query may go to several holders.

    Args:
        context: as in `evaluate`.
        texts: any bytes.
    """

    def __init__(self, context: str, texts: Sequence[bytes]) -> None:
        self._context = context
        self._texts = texts
        self._undoing: list[bytes] = []

    def points(self) -> Iterator[bytes]:
        """What is sent, in order of the texts; take all of it before `values`."""
        for place, point in enumerate(texts_to_points(prefix(_POINTS, self._context), self._texts)):
            blind = fresh_scalar()
            self._undoing.append(undoing(blind))
            yield multiple(blind, point, place)

    def values(self, answers: Iterable[bytes]) -> Iterator[bytes]:
        """Values of the texts, 64 bytes each, from a holder's answers.

        Raises:
            ProtocolError: an answer has small order.
        """
        start = prefix(_VALUES, self._context)
        rows = zip(self._texts, self._undoing, answers, strict=True)
        for place, (text, back, answer) in enumerate(rows):
            yield _value(start, text, multiple(back, answer, place))


def _value(start: bytes, text: bytes, point: bytes) -> bytes:
    return hashlib.sha512(start + len(text).to_bytes(4, "big") + text + point).digest()
