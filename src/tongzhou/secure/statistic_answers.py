"""What statistics answer: numbers for the receivers, and for both owners which of them are open.

An answer is made once, with everything that its maker knows, and then seen by each owner: `seen_by` leaves
what that owner may know.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import GrantError
from tongzhou.secure.party import Role
from tongzhou.secure.ring import Reals

__all__ = [
    "Answer",
    "CorrelationAnswer",
    "EvidenceAnswer",
    "QuantilesAnswer",
    "Refusal",
    "TotalsAnswer",
]

Counts = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Refusal:
    """A request that is not answered.

    Attributes:
        name: of the request.
        error: why, as a sentence with its values.
    """

    name: str
    error: GrantError

    def seen_by(self, role: Role) -> "Refusal":
        """Both owners see it."""
        return self


@dataclass(frozen=True)
class TotalsAnswer:
    """Counts and sums of a table of groups, ``(k_a, k_p)``: the asker's groups down, the provider's across.

    Attributes:
        name: of the request.
        receivers: who knows the numbers.
        open: which cells are told.
        counts: rows of each cell, -1 where closed; ``None`` to who may not know.
        sums: of each column, NaN where closed.
        variances: of each column (divided by the count less one), NaN where closed or of one row.
    """

    name: str
    receivers: tuple[Role, ...]
    open: Flags
    counts: Counts | None
    sums: dict[str, Reals]
    variances: dict[str, Reals]

    def means(self) -> dict[str, Reals]:
        """Sums over counts: exact where neither is rounded."""
        if self.counts is None:
            return {}
        known = np.where(self.open & (self.counts > 0), self.counts, np.nan)
        return {column: sums / known for column, sums in self.sums.items()}

    def seen_by(self, role: Role) -> "TotalsAnswer":
        """What this owner may know."""
        return self if role in self.receivers else replace(self, counts=None, sums={}, variances={})


@dataclass(frozen=True)
class EvidenceAnswer:
    """Rows and events of each bin, ``(b,)``.

    Attributes:
        name: of the request.
        receivers: who knows the numbers.
        open: which bins are told.
        rows: rows of each bin, -1 where closed; ``None`` to who may not know.
        events: events of each bin likewise.
    """

    name: str
    receivers: tuple[Role, ...]
    open: Flags
    rows: Counts | None
    events: Counts | None

    def seen_by(self, role: Role) -> "EvidenceAnswer":
        """What this owner may know."""
        return self if role in self.receivers else replace(self, rows=None, events=None)


@dataclass(frozen=True)
class QuantilesAnswer:
    """Quantiles of each group, ``(k, q)``.

    Attributes:
        name: of the request.
        receivers: who knows the numbers.
        percents: which quantiles, q of them.
        open: which are told.
        values: the smallest value of the grid that at least so many of the group's rows do not exceed, NaN
            where closed; ``None`` to who may not know.
    """

    name: str
    receivers: tuple[Role, ...]
    percents: tuple[int, ...]
    open: Flags
    values: Reals | None

    def seen_by(self, role: Role) -> "QuantilesAnswer":
        """What this owner may know."""
        return self if role in self.receivers else replace(self, values=None)


@dataclass(frozen=True)
class CorrelationAnswer:
    """Correlations or variance inflation factors.

    Attributes:
        name: of the request.
        receivers: who knows the numbers.
        columns: d names, the asker's first.
        matrix: ``(d, d)``; NaN where not asked for. ``None`` to who may not know, or if not asked for.
        inflation: ``(d,)`` variance inflation factors, likewise.
    """

    name: str
    receivers: tuple[Role, ...]
    columns: tuple[str, ...]
    matrix: Reals | None = None
    inflation: Reals | None = None

    def seen_by(self, role: Role) -> "CorrelationAnswer":
        """What this owner may know."""
        return self if role in self.receivers else replace(self, matrix=None, inflation=None)


Answer = Refusal | TotalsAnswer | EvidenceAnswer | QuantilesAnswer | CorrelationAnswer
