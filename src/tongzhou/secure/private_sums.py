"""Sums over records of many institutions from which no single record can be told: clipped, noised, accounted.

Statement
    Parties: as `tongzhou.secure.aggregation`.
    Who learns what: the coordinator (and all, if told) learns the sum with noise; not the exact sum, nor any
    institution's. That holds also against the coordinator and `PrivacySettings.colluding` institutions that
    put together what they know, their own noise included.
    Assumption: as `tongzhou.secure.aggregation`; institutions add the noise that is theirs (semi-honest).
    Protects: one record, that is one row of one institution, which may be there or not. Somebody who has rows
        at
    several institutions, or several at one, is protected less: k rows spend k² times the loss.
    Drop-outs: every institution adds so much noise that the fewest with whom a sum may go on, less those that
    collude, have enough together. With more there is more noise than needed, never less.
    Cost: as a sum; about ten microseconds for each number.
    Papers: see `privacy_noise` and `privacy_account`.

Each record is a vector of real numbers. It is shortened to the clip where it is longer, multiplied by a power
of two, and cut towards zero to whole numbers, which lengthens nothing: the bound on what one record changes
holds exactly, for whole numbers that are then added up without rounding.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock
from typing import Final, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError, GrantError, PlanError
from tongzhou.secure.privacy_account import epsilon_of, gaussian_rho, rho_of, variance_for
from tongzhou.secure.privacy_noise import DiscreteGaussian
from tongzhou.secure.ring import Reals, Words, decode
from tongzhou.secure.summing import Summing

__all__ = [
    "Budget",
    "MemoryBudget",
    "PrivacyReport",
    "PrivacySettings",
    "Release",
    "budget_exceeded",
    "clipped_sum",
    "noise_hands",
    "private_sum",
    "spend",
]

_CLIP_BITS: Final = 30
"""A clip is at least 2^29 and at most 2^30 units, far above the noise's rounding."""
_SHORTER: Final = 1 - 2.0**-40
"""More than the rounding of a norm of a few thousand numbers can hide."""


class Budget(Protocol):
    """What an institution still allows to be learnt of a table; kept wherever the institution keeps it."""

    def spend(self, rho: float, what: str) -> None:
        """Enter a loss, for good, before anything is released.

        Raises:
            GrantError: it does not fit into what is left; nothing is entered then.
        """


class MemoryBudget:
    """A budget that lasts as long as the process: for tests and teaching.

    Args:
        limit: the most ρ that may be spent.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.spent = 0.0
        self._lock = Lock()

    def spend(self, rho: float, what: str) -> None:
        """Enter a loss.

        Raises:
            GrantError: it does not fit into what is left.
        """
        with self._lock:
            if self.spent + rho > self.limit:
                raise budget_exceeded(what, rho, self.limit - self.spent)
            self.spent += rho


def budget_exceeded(what: str, rho: float, left: float) -> GrantError:
    """A loss does not fit into a budget."""
    return GrantError(
        "{what} would spend {rho:.3g} of the privacy budget of this table, and {left:.3g} is left; nothing "
        "was released",
        what=what,
        rho=rho,
        left=max(left, 0.0),
    )


class PrivacySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How well one record is to be protected from the result itself.

    Attributes:
        epsilon: bound on the change of odds, as a logarithm.
        delta: chance that the bound does not hold; below one in the number of rows.
        colluding: institutions that may put their knowledge together with the coordinator.
    """

    epsilon: float
    delta: float
    colluding: int = 1

    def rho(self) -> float:
        """The whole loss in zCDP.

        Raises:
            PlanError: settings out of range.
        """
        if not (0 < self.epsilon <= 20 and 0 < self.delta < 0.01 and self.colluding >= 0):
            raise PlanError(
                "privacy needs epsilon above 0 up to 20, delta above 0 and below 0.01, and colluding from 0; "
                "got {epsilon:g}, {delta:g}, {colluding}",
                epsilon=self.epsilon,
                delta=self.delta,
                colluding=self.colluding,
            )
        return rho_of(self.epsilon, self.delta)


class PrivacyReport(msgspec.Struct, frozen=True):
    """What a result costs each record's privacy.

    Attributes:
        epsilon, delta: the guarantee.
        rho: the same in zCDP, as it was entered in every institution's budget.
        noise_hands: institutions whose noise is counted on.
    """

    epsilon: float
    delta: float
    rho: float
    noise_hands: int


@dataclass(frozen=True)
class Release:
    """One noised sum that is to be made.

    Attributes:
        rho: what it may spend.
        clip: longest record, in the Euclidean norm.
        size: numbers in a record.
        hands: institutions whose noise is counted on.
    """

    rho: float
    clip: float
    size: int
    hands: int

    @property
    def bits(self) -> int:
        """Fractional bits (they may be below zero) with which the clip has at most 2^30 units."""
        return _CLIP_BITS - math.ceil(math.log2(self.clip))

    @property
    def sensitivity(self) -> float:
        """The clip in units."""
        return self.clip * 2.0**self.bits

    @property
    def variance(self) -> int:
        """Of each institution's noise, in units squared."""
        return variance_for(self.rho, self.sensitivity, shares=self.hands, size=self.size)

    @property
    def spent(self) -> float:
        """What it really spends, not more than `rho`."""
        return gaussian_rho(self.sensitivity, float(self.variance), shares=self.hands, size=self.size)

    def deviation(self, institutions: int) -> float:
        """Standard deviation of the noise on each number if so many institutions are in the sum."""
        return math.sqrt(institutions * self.variance) * 2.0**-self.bits


def noise_hands(summing: Summing, settings: PrivacySettings) -> int:
    """Institutions on whose noise an observer's ignorance may be counted.

    Raises:
        PlanError: those that may collude are as many as the fewest in a sum.
    """
    if summing.institutions == 1:
        return 1
    hands = summing.quorum - settings.colluding
    if hands < 1:
        raise PlanError(
            "{colluding} institutions may collude, and a sum may have only {quorum}: nobody's noise is left",
            colluding=settings.colluding,
            quorum=summing.quorum,
        )
    return hands


def spend(
    settings: PrivacySettings, releases: Iterable[Release], budget: Budget | None, *, member: bool, what: str
) -> PrivacyReport:
    """Enter all that a run will spend, before its first sum.

    Args:
        settings: as agreed.
        releases: all of the run.
        budget: this institution's; ``None`` at a coordinator without data.
        member: whether this party brings records.
        what: the run, in words.

    Raises:
        GrantError: the budget does not allow it.
        PlanError: an institution without a budget.
    """
    made = list(releases)
    rho = sum(release.spent for release in made)
    if member and budget is None:
        raise PlanError("a run with noise needs the privacy budget that this institution keeps for its table")
    if member and budget is not None:
        budget.spend(rho, what)
    return PrivacyReport(epsilon_of(rho, settings.delta), settings.delta, rho, min(r.hands for r in made))


def clipped_sum(records: Iterable[Reals], release: Release) -> NDArray[np.int64]:
    """Sum of clipped records in whole units, ``(size,)``.

    Args:
        records: pieces ``(m, size)`` of the own records.
        release: clip and units.

    Raises:
        DataError: a number is missing or not finite.
    """
    total = np.zeros(release.size, dtype=np.int64)
    for piece in records:
        if not np.isfinite(piece).all():
            raise DataError("a record for a sum with noise has a number that is missing or not finite")
        lengths = np.sqrt(np.einsum("ij,ij->i", piece, piece))
        with np.errstate(divide="ignore"):
            factors = np.minimum(1.0, release.clip / lengths)
        units = np.trunc(piece * (factors * _SHORTER * 2.0**release.bits)[:, None])
        total += units.astype(np.int64).sum(axis=0)
    return total


def private_sum(
    summing: Summing, records: Iterable[Reals] | None, release: Release, *, what: str, to_all: bool = False
) -> Reals | None:
    """The sum of all records, with noise; at the coordinator, and at all if told.

    Args:
        summing: who adds up.
        records: pieces ``(m, size)`` of the own records; ``None`` at a coordinator without data.
        release: clip and noise. Its loss must have been entered before (`spend`).
        what: the sum, in words.
        to_all: whether the institutions learn it too.
    """
    words: Words | None = None
    if records is not None:
        noise = DiscreteGaussian(release.variance).words(release.size)
        words = clipped_sum(records, release).view(np.uint64) + noise
    total = summing.sum(words, length=release.size, what=what, reason="with noise", to_all=to_all)
    return None if total is None else decode(total, release.bits)
