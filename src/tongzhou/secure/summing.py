"""What a joint model over many institutions needs of whoever adds up their vectors, and adding up alone.

A protocol for many institutions is written once, against `Summing`. In mode ``group`` an
`tongzhou.secure.aggregation.Aggregation` adds up; in mode ``local`` all rows lie in one place and `Alone`
returns its own vector: the pooled reference, by the same lines.

Sums of real numbers whose size nobody knows before travel as `wide_words`: 128 bits in four words, exact.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any, Final, Protocol, TypeVar

import numpy as np

from tongzhou.errors import DataError
from tongzhou.secure.party import Role
from tongzhou.secure.ring import Reals, Words
from tongzhou.wire.messages import ArraySpec

__all__ = ["WIDE", "Alone", "Summing", "wide_numbers", "wide_words"]

T = TypeVar("T")

WIDE: Final = 4
"""Words of a wide number."""

_WIDE_BITS: Final = 60
_LIMB: Final = 32
_RANGE: Final = 1 << (WIDE * _LIMB)
_WIDE_LIMIT: Final = 2.0**58
"""With 200 institutions a sum stays below 2^66, and the format holds 2^67."""


class Summing(Protocol):
    """Whoever adds up the institutions' vectors."""

    @property
    def is_coordinator(self) -> bool:
        """Whether this party learns every sum."""

    @property
    def is_member(self) -> bool:
        """Whether this party brings vectors."""

    @property
    def institutions(self) -> int:
        """How many vectors a sum has at most."""

    @property
    def quorum(self) -> int:
        """How many vectors a sum has at least."""

    @property
    def stayed(self) -> tuple[Role, ...]:
        """Roles whose vectors are in the last sum."""

    def sum(
        self, words: Words | None, *, length: int, what: str, reason: str, to_all: bool = False
    ) -> Words | None:
        """Add up vectors; see `tongzhou.secure.aggregation.Aggregation.sum`."""

    def tell(self, tag: str, kind: type[T], value: T | None = None) -> T:
        """The coordinator tells every institution a value."""

    def tell_arrays(
        self, tag: str, specs: Sequence[ArraySpec], given: Sequence[Any] | None = None
    ) -> list[Any]:
        """The coordinator tells every institution arrays."""


class Alone:
    """All rows in one place: a sum has one vector, and whoever tells also hears.

    Args:
        roles: whose rows these are.
    """

    is_coordinator = True
    is_member = True
    institutions = 1
    quorum = 1

    def __init__(self, roles: Sequence[Role]) -> None:
        self.stayed: tuple[Role, ...] = tuple(roles)

    def sum(
        self, words: Words | None, *, length: int, what: str, reason: str, to_all: bool = False
    ) -> Words | None:
        """The vector itself."""
        return words

    def tell(self, tag: str, kind: type[T], value: T | None = None) -> T:
        """The value itself.

        Raises:
            ValueError: there is none.
        """
        if value is None:
            raise ValueError(f"nothing was told under {tag}")
        return value

    def tell_arrays(
        self, tag: str, specs: Sequence[ArraySpec], given: Sequence[Any] | None = None
    ) -> list[Any]:
        """The arrays themselves."""
        return list(given or ())


def wide_words(values: Reals) -> Words:
    """Words ``(4 m,)`` of m real numbers with 60 fractional bits, of which up to 200 can be added up exactly.

    Raises:
        DataError: a number is not finite or above 2^58 (it is not printed).
    """
    if values.size and not float(np.abs(values).max()) < _WIDE_LIMIT:
        raise DataError(
            "a number is not finite or is larger than {limit:g}, the most that can be added up",
            limit=_WIDE_LIMIT,
        )
    mask = (1 << _LIMB) - 1
    limbs: list[int] = []
    for value in values.tolist():
        number = round(Fraction(value) * (1 << _WIDE_BITS)) % _RANGE
        limbs.extend(number >> (_LIMB * place) & mask for place in range(WIDE))
    return np.array(limbs, dtype=np.uint64)


def wide_numbers(words: Words) -> Reals:
    """Real numbers ``(m,)`` of added-up wide words ``(4 m,)``, each rounded once."""
    found = []
    for limbs in words.reshape(-1, WIDE).tolist():
        number = sum(limb << (_LIMB * place) for place, limb in enumerate(limbs)) % _RANGE
        signed = number - _RANGE if number >= _RANGE // 2 else number
        found.append(float(Fraction(signed, 1 << _WIDE_BITS)))
    return np.array(found, dtype=np.float64)
