"""What asker, providers and helper agree on before a list can be asked: columns, measures, bounds and quotas.

A measure says what one query opens, and from which column. Nothing else of a row can be opened, because
the providers deal no keys for it.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Final, Literal

import msgspec

from tongzhou.errors import PlanError
from tongzhou.secure.field import PRIME
from tongzhou.secure.noise import Noise
from tongzhou.secure.quota import Limits

__all__ = [
    "LISTED",
    "MAX_BATCH",
    "MAX_CAPACITY",
    "MAX_PER_DAY",
    "MAX_PROVIDERS",
    "TAG_BITS",
    "Column",
    "ListTerms",
    "Measure",
    "Opened",
]

LISTED: Final = "listed"
"""The column that every list has: 1 for an entry."""

TAG_BITS: Final = 48
"""Bits of a tag that are compared: an identifier that is on no list of one owner is taken for one that is
with probability 2^-48."""

MAX_PROVIDERS: Final = 64
"""Providers of one run; 20 are tested."""

MAX_CAPACITY: Final = 10_000_000
"""Entries of one list."""

MAX_PER_DAY: Final = 100_000
"""Queries a day; keys for all of them travel in one frame."""

MAX_BATCH: Final = 256
"""Queries that may go in one message."""

_MAX_COLUMNS: Final = 64
_MAX_SUM: Final = (PRIME - 1) // 2
_DIGEST_BYTES: Final = 16
_MAX_NOISE: Final = _MAX_SUM / 64
"""Largest scale of noise, so that a draw beyond the field comes with probability below 2^-80."""
_MAX_GATES: Final = 80_000
"""Measures with a bound times queries a day and provider; what is dealt for them travels in one frame."""

Kind = Literal["sum", "any", "above"]


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One number of an entry.

    Attributes:
        name: what it is called.
        largest: largest size of the number; for noise, how far one entry of one list moves a sum.
    """

    name: str
    largest: int


class Measure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that a query opens to the asker.

    Attributes:
        name: what the answer is called.
        kind: ``sum`` opens the sum over all lists, ``any`` whether that sum of some owner is not zero,
            ``above`` whether the sum over all lists exceeds `bound`.
        columns: the column; or one for each day of the epoch, where a window rolls.
        bound: for ``above``.
        noise: what is added before opening; not for ``any``.
    """

    name: str
    kind: Kind
    columns: tuple[str, ...]
    bound: int = 0
    noise: Noise | None = None


class ListTerms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The agreement. All parties must hold the same; set-up compares digests.

    Attributes:
        epoch: name of this issue of the lists; a new one gets a new salt and new tables.
        providers: number of providers.
        columns: columns of each list, besides `LISTED`, which all have.
        measures: what a query opens.
        capacity: most entries of one list; the size of the tables follows from it, not from the lists.
        first_day: day number (`datetime.date.toordinal`) of the first day of the epoch.
        days: days that the epoch lasts.
        per_day: queries a day; the providers deal no more keys.
        per_minute: queries a minute that the helper answers in the long run.
        burst: queries that it answers at once after a rest.
        changes: most entries that may change within the epoch, for each list.
    """

    epoch: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
    providers: int
    columns: tuple[Column, ...]
    measures: tuple[Measure, ...]
    capacity: int
    first_day: int
    days: int = 1
    per_day: int = 1000
    per_minute: float = 60.0
    burst: int = 20
    changes: int = 1000

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """`LISTED`, then the others."""
        return (Column(LISTED, 1), *self.columns)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Their names, in the order in which they stand in a row."""
        return tuple(column.name for column in self.all_columns)

    @property
    def width(self) -> int:
        """Words of a row: the tag and all columns."""
        return 1 + len(self.all_columns)

    @property
    def limits(self) -> Limits:
        """What one asker may do."""
        return Limits(self.per_day, self.per_minute, self.burst)

    def digest(self) -> bytes:
        """16 bytes that are equal where the terms are."""
        return hashlib.sha256(msgspec.json.encode(self)).digest()[:_DIGEST_BYTES]

    def check(self) -> None:
        """Refuse terms that contradict themselves.

        Raises:
            PlanError: with the field, what is allowed and what was got.
        """
        for name, got, limit in (
            ("providers", self.providers, MAX_PROVIDERS),
            ("capacity", self.capacity, MAX_CAPACITY),
            ("days", self.days, 366),
            ("first_day", self.first_day, 3_652_059),
            ("per_day", self.per_day, MAX_PER_DAY),
            ("burst", self.burst, MAX_PER_DAY),
            ("changes", self.changes, MAX_CAPACITY),
            *((f"largest of {column.name}", column.largest, _MAX_SUM) for column in self.columns),
            ("columns", len(self.all_columns), _MAX_COLUMNS),
            ("measures", len(self.measures), _MAX_COLUMNS),
        ):
            if not 1 <= got <= limit:
                raise PlanError(
                    "list terms: {field} is {got}; from 1 to {limit} is allowed",
                    field=name,
                    got=got,
                    limit=limit,
                )
        if not self.per_minute > 0:
            raise PlanError("list terms: per_minute must be more than 0")
        self._check_names()
        for column in self.columns:
            if column.largest * self.providers > _MAX_SUM:
                raise PlanError(
                    "{providers} numbers as large as {largest} do not fit; their sum may reach {limit}",
                    providers=self.providers,
                    largest=column.largest,
                    limit=_MAX_SUM,
                )
        for measure in self.measures:
            self._check_measure(measure)
        gates = sum(m.kind == "above" for m in self.measures) * -(-self.per_day // self.providers)
        if gates > _MAX_GATES:
            raise PlanError(
                "{got} comparisons a day and provider are too many; at most {limit}",
                got=gates,
                limit=_MAX_GATES,
            )

    def _largest(self, name: str) -> int:
        return next(column.largest for column in self.all_columns if column.name == name)

    def _check_names(self) -> None:
        for kind, names in (
            ("column", self.column_names),
            ("measure", tuple(measure.name for measure in self.measures)),
        ):
            if len(set(names)) != len(names) or not all(names):
                raise PlanError("list terms: each {kind} needs a name of its own", kind=kind)

    def _check_measure(self, measure: Measure) -> None:
        if len(measure.columns) not in (1, self.days):
            raise PlanError(
                "measure {name} names {got} columns; one is due, or one for each of the {days} days",
                name=measure.name,
                got=len(measure.columns),
                days=self.days,
            )
        for column in measure.columns:
            if column not in self.column_names:
                raise PlanError(
                    "measure {name}: there is no column {column}; there are {known}",
                    name=measure.name,
                    column=column,
                    known=", ".join(self.column_names),
                )
        if abs(measure.bound) >= _MAX_SUM or (measure.bound and measure.kind != "above"):
            raise PlanError(
                "measure {name}: a bound belongs to the kind above only, and must fit", name=measure.name
            )
        if measure.noise is not None:
            if measure.kind == "any":
                raise PlanError("measure {name}: noise does not go with the kind any", name=measure.name)
            measure.noise.check()
            largest = max(self._largest(column) for column in measure.columns)
            if largest / measure.noise.epsilon > _MAX_NOISE:
                raise PlanError(
                    "measure {name}: the noise would not fit; take a larger epsilon", name=measure.name
                )

    def opened(self, day: int) -> "Opened":
        """What a query of that day opens.

        Raises:
            PlanError: the day is outside the epoch.
        """
        if not self.first_day <= day < self.first_day + self.days:
            raise PlanError(
                "epoch {epoch} has no day {day}; it lasts {days} days from day {first}",
                epoch=self.epoch,
                day=day,
                days=self.days,
                first=self.first_day,
            )
        return Opened(self, day)


@dataclass(frozen=True)
class Opened:
    """Where a day's measures stand in the rows of a table and in the payload of a key.

    A payload holds, for each measure, a *gain* that multiplies the column and the product of that gain with
    the column's mask. Sums share one gain, which is 1; each measure of the kind ``any`` has a secret random
    one.

    Attributes:
        terms: the agreement.
        day: day number.
    """

    terms: ListTerms
    day: int

    @cached_property
    def places(self) -> tuple[int, ...]:
        """For each measure, the place of its column in a row; place 0 is the tag."""
        offset = self.day - self.terms.first_day
        names = [m.columns[offset if len(m.columns) > 1 else 0] for m in self.terms.measures]
        return tuple(1 + self.terms.column_names.index(name) for name in names)

    @cached_property
    def masked(self) -> tuple[int, ...]:
        """The places that are opened in masked form, each once."""
        return tuple(dict.fromkeys(self.places))

    @cached_property
    def secret(self) -> tuple[bool, ...]:
        """For each measure, whether its gain is random."""
        return tuple(m.kind == "any" for m in self.terms.measures)

    @cached_property
    def parts(self) -> tuple[tuple[int, int], ...]:
        """For each measure, the places of gain and product in a payload."""
        parts, at = [], 1 if not all(self.secret) else 0
        for secret in self.secret:
            parts.append((at, at + 1) if secret else (0, at))
            at += 2 if secret else 1
        return tuple(parts)

    @property
    def payload(self) -> int:
        """Words of a payload."""
        return 1 + self.parts[-1][1]

    @property
    def gated(self) -> tuple[int, ...]:
        """The measures of which only a comparison is opened."""
        return tuple(at for at, m in enumerate(self.terms.measures) if m.kind == "above")

    @property
    def plain(self) -> tuple[int, ...]:
        """The measures that are opened themselves."""
        return tuple(at for at, m in enumerate(self.terms.measures) if m.kind != "above")

    def largest(self, measure: int) -> int:
        """How far one entry of one list moves the measure's sum."""
        return self.terms.all_columns[self.places[measure] - 1].largest

    def reach(self, measure: int) -> int | None:
        """How far the measure's sum can be from zero; ``None`` where noise knows no end."""
        if self.terms.measures[measure].noise is not None:
            return None
        return self.terms.providers * self.largest(measure)
