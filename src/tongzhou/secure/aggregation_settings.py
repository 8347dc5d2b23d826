"""What the institutions of a sum agree on, and how their numbers become words that can be added up."""

import math
from typing import Final

import msgspec
import numpy as np

from tongzhou.errors import DataError, PlanError
from tongzhou.secure.aggregation_member import Circle
from tongzhou.secure.party import Party, Role
from tongzhou.secure.ring import Reals, Words, encode

__all__ = ["LEAST", "AggregationSettings", "for_sum", "members_of"]

LEAST: Final = 3
"""Of two vectors each holder of one knows the other from the sum."""

_MOST_MEMBERS: Final = 200


class AggregationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all institutions agree on before their vectors are added up.

    Attributes:
        context: run identifier; it enters every key.
        institutions: how many bring data.
        asker_contributes: whether the asker, which coordinates, is one of them.
        threshold: how many must stay to the end, more than half of them; fewer together learn nothing. 0: the
            least that is more than half.
        least: the fewest institutions in a sum, at least 3.
        minimum_rows: an institution with fewer rows does not take part.
        patience_s: how long the coordinator waits for an answer, in seconds.
        signed: whether institutions sign their public keys, so that the coordinator cannot exchange them.
    """

    context: str
    institutions: int
    asker_contributes: bool = True
    threshold: int = 0
    least: int = LEAST
    minimum_rows: int = 50
    patience_s: float = 30.0
    signed: bool = False

    def circle(self, slots: int) -> Circle:
        """The same with keys for so many sums at a time.

        Raises:
            PlanError: settings that protect nobody, or contradict each other.
        """
        members = self.institutions
        if not LEAST <= members <= _MOST_MEMBERS:
            raise PlanError(
                "institutions must be from {least} to {most}, got {got}",
                least=LEAST,
                most=_MOST_MEMBERS,
                got=members,
            )
        if not LEAST <= self.least <= members:
            raise PlanError(
                "least must be from {least} to the {members} institutions, got {got}: from a sum of two each "
                "of them can tell the other's values",
                least=LEAST,
                members=members,
                got=self.least,
            )
        threshold = self.threshold or members // 2 + 1
        if not members < 2 * threshold <= 2 * members:
            raise PlanError(
                "threshold must be more than half of the {members} institutions, and at most all, got {got}",
                members=members,
                got=threshold,
            )
        if not 0 < self.patience_s < math.inf:
            raise PlanError("patience_s must be above zero, got {got}", got=self.patience_s)
        return Circle(self.context, members, threshold, self.least, slots)


def members_of(party: Party, settings: AggregationSettings) -> tuple[Role, ...]:
    """Roles of the institutions that bring data, at places 1, 2 and so on.

    Raises:
        PlanError: others take part than were agreed.
    """
    members = party.owners if settings.asker_contributes else party.owners[1:]
    if len(members) != settings.institutions:
        raise PlanError(
            "{got} institutions with data take part, {agreed} were agreed",
            got=len(members),
            agreed=settings.institutions,
        )
    return members


def for_sum(values: Reals, bits: int, institutions: int) -> Words:
    """Fixed-point words of which so many institutions' sum does not wrap.

    Args:
        values: any shape, finite, ``|x| < 2^(62 - bits) / institutions``.
        bits: fractional bits.
        institutions: how many vectors are added up.

    Raises:
        DataError: a value is not finite or too large (the value is not printed).
    """
    limit = 2.0 ** (62 - bits) / institutions
    if values.size and not float(np.abs(values).max()) < limit:
        raise DataError(
            "a number is not finite or is larger than {limit:g}: the sum of {institutions} such numbers with "
            "{bits} fractional bits could wrap",
            limit=limit,
            institutions=institutions,
            bits=bits,
        )
    return encode(values, bits)
