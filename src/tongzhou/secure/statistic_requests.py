"""What may be asked of two owners' tables: typed requests that a plan file can carry, and their rules.

A column is named with its owner: ``provider.income``. A request looks at the matched rows that fulfil all its
conditions; each owner applies its own, and which rows fulfil them stays hidden. Groups are categories: codes
from 0 to a public number, -1 for rows in none. At most one category of each owner makes the groups of a
request.

`read_requests` takes them from plain values (TOML, JSON)::

    [[request]]
    kind = "totals"
    name = "income-by-region"
    by = ["asker.region"]
    columns = ["provider.income"]
    where = [{ column = "provider.age", least = 18 }]
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Literal, TypeVar, get_args

import msgspec
from msgspec import Meta

from tongzhou.errors import PlanError
from tongzhou.parties.names import near_name
from tongzhou.secure.party import OWNERS, Role

__all__ = [
    "Condition",
    "Correlation",
    "Evidence",
    "Quantiles",
    "Request",
    "Totals",
    "check_requests",
    "owner_of",
    "read_requests",
]

_Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$")]
_Column = Annotated[str, Meta(min_length=3, max_length=200, pattern=r"^(asker|provider)\.\S")]
_Receivers = Annotated[tuple[Literal["asker", "provider"], ...], Meta(min_length=1, max_length=2)]
T = TypeVar("T")

_MOST_REQUESTS = 200
_MOST_GROUPS = 2000
"""Cells of one table."""


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    """What all requests have.

    Attributes:
        name: names the answer; unique within a task.
        receivers: who learns the numbers. Which cells are open, or that a request is refused, both owners
            learn.
    """

    name: _Name
    receivers: _Receivers = ("asker",)


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Rows whose value lies in ``[least, below)``; a missing value lies nowhere.

    Attributes:
        column: a column of numbers, or a category.
        least: smallest value; any, if left out.
        below: first value that is too large; none is, if left out.
    """

    column: _Column
    least: float | None = None
    below: float | None = None


_Where = Annotated[tuple[Condition, ...], Meta(max_length=32)]


class Totals(_Request, frozen=True, kw_only=True, tag="totals"):
    """Counts, sums, means and variances in one group or in a table of groups.

    Without columns it counts: one filter, a group-by, or a contingency table of two categories.

    Attributes:
        columns: columns to sum; of either owner.
        by: categories that make the groups, at most one of each owner.
        where: conditions, all of which hold.
        decimals: decimal places that sums are exact to; a value with more is rounded to them first.
        variance: whether variances are told too.
    """

    columns: Annotated[tuple[_Column, ...], Meta(max_length=100)] = ()
    by: Annotated[tuple[_Column, ...], Meta(max_length=2)] = ()
    where: _Where = ()
    decimals: Annotated[int, Meta(ge=0, le=6)] = 0
    variance: bool = False


class Evidence(_Request, frozen=True, kw_only=True, tag="evidence"):
    """Rows and events in each bin: what weights of evidence and information values are made of.

    The minimum holds for the rows of a bin, not for its events.

    Attributes:
        bins: category of one owner.
        label: column of 0 and 1, of the other owner.
        where: conditions, all of which hold.
    """

    bins: _Column
    label: _Column
    where: _Where = ()


class Quantiles(_Request, frozen=True, kw_only=True, tag="quantiles"):
    """Quantiles of a column, in one group or in each group of the other owner.

    Attributes:
        column: column of one owner.
        percents: which quantiles, in percent. A quantile needs the minimum of rows on either side of it.
        by: category of the other owner; none for one group.
        where: conditions, all of which hold.
        grid: among how many values the quantile is sought; they are even quantiles of the owner's column, to
            three digits, and fewer where there would be fewer rows between them than the minimum.
    """

    column: _Column
    percents: Annotated[tuple[Annotated[int, Meta(ge=1, le=99)], ...], Meta(min_length=1, max_length=20)] = (
        25,
        50,
        75,
    )
    by: _Column | None = None
    where: _Where = ()
    grid: Annotated[int, Meta(ge=2, le=1000)] = 100


class Correlation(_Request, frozen=True, kw_only=True, tag="correlation"):
    """Correlations of both owners' columns over all matched rows, or how much each is inflated by the others.

    Attributes:
        columns: at least one of each owner.
        shows: ``cross`` (only correlations between the owners' columns), ``matrix`` (also those within each
            owner's), or ``inflation`` (only the variance inflation factor of each column).
    """

    columns: Annotated[tuple[_Column, ...], Meta(min_length=2, max_length=200)]
    shows: Literal["cross", "matrix", "inflation"] = "matrix"


Request = Totals | Evidence | Quantiles | Correlation


def owner_of(column: str) -> tuple[Role, str]:
    """Owner and own name of a column ``owner.name``."""
    role, _, name = column.partition(".")
    return role, name


def read_requests(raw: object) -> tuple[Request, ...]:
    """Requests from plain values.

    Raises:
        PlanError: not a list of requests; the sentence says which key of which request is wrong.
    """
    if isinstance(raw, Sequence) and not isinstance(raw, str):
        for place, one in enumerate(raw, start=1):
            _check_keys(one, place)
    try:
        return msgspec.convert(raw, tuple[Request, ...])
    except msgspec.ValidationError as error:
        raise PlanError("not a list of statistics: {reason}", reason=error) from error


def check_requests(requests: Sequence[Request], categories: Mapping[str, int]) -> None:
    """Refuse requests that contradict themselves or each other.

    Args:
        requests: what is asked.
        categories: number of groups of each category, by ``owner.name``.

    Raises:
        PlanError: the sentence names the request.
    """
    if not 1 <= len(requests) <= _MOST_REQUESTS:
        raise PlanError(
            "1 to {most} statistics can be asked at once, got {got}", most=_MOST_REQUESTS, got=len(requests)
        )
    names = [request.name for request in requests]
    for name in names:
        if names.count(name) > 1:
            raise PlanError("two statistics have the name {name}", name=name)
    for request in requests:
        if isinstance(request, Totals):
            _check_totals(request, categories)
        elif isinstance(request, Evidence):
            _check_evidence(request, categories)
        elif isinstance(request, Quantiles):
            _check_quantiles(request, categories)
        else:
            _check_correlation(request)


def _check_totals(request: Totals, categories: Mapping[str, int]) -> None:
    owners = [owner_of(name)[0] for name in request.by]
    if len(set(owners)) < len(owners):
        raise PlanError(
            "statistic {name}: at most one category of each owner makes the groups, got {got}",
            name=request.name,
            got=", ".join(request.by),
        )
    _refuse_repeats(request.name, request.columns)
    cells = 1
    for name in request.by:
        cells *= _size(request.name, name, categories)
    if cells > _MOST_GROUPS:
        raise PlanError(
            "statistic {name}: {got} groups are too many, at most {most}",
            name=request.name,
            got=cells,
            most=_MOST_GROUPS,
        )
    if request.variance and not request.columns:
        raise PlanError("statistic {name}: a variance needs a column", name=request.name)


def _check_evidence(request: Evidence, categories: Mapping[str, int]) -> None:
    _size(request.name, request.bins, categories)
    _refuse_one_owner(request.name, request.bins, request.label)


def _check_quantiles(request: Quantiles, categories: Mapping[str, int]) -> None:
    if request.by is not None:
        _size(request.name, request.by, categories)
        _refuse_one_owner(request.name, request.by, request.column)


def _check_correlation(request: Correlation) -> None:
    _refuse_repeats(request.name, request.columns)
    if {owner_of(name)[0] for name in request.columns} != set(OWNERS):
        raise PlanError("statistic {name}: correlations need columns of both owners", name=request.name)


def _size(request: str, name: str, categories: Mapping[str, int]) -> int:
    if name not in categories:
        near = near_name(name, categories)
        if near is not None:
            raise PlanError(
                "statistic {name}: there is no category {category}; did you mean {near}?",
                name=request,
                category=name,
                near=near,
            )
        raise PlanError("statistic {name}: there is no category {category}", name=request, category=name)
    size = categories[name]
    if not 1 <= size <= _MOST_GROUPS:
        raise PlanError(
            "statistic {name}: category {category} has {got} groups, 1 to {most} are allowed",
            name=request,
            category=name,
            got=size,
            most=_MOST_GROUPS,
        )
    return size


def _refuse_one_owner(request: str, one: str, other: str) -> None:
    if owner_of(one)[0] == owner_of(other)[0]:
        raise PlanError(
            "statistic {name}: {one} and {other} must belong to different owners",
            name=request,
            one=one,
            other=other,
        )


def _refuse_repeats(request: str, columns: Iterable[str]) -> None:
    listed = list(columns)
    for column in listed:
        if listed.count(column) > 1:
            raise PlanError("statistic {name}: column {column} is named twice", name=request, column=column)


def _check_keys(raw: object, place: int) -> None:
    """A sentence of ours for an unknown kind or key, with a near name."""
    if not isinstance(raw, Mapping):
        return
    kinds = {str(kind.__struct_config__.tag): kind for kind in get_args(Request)}
    kind = raw.get("kind")
    if kind not in kinds:
        raise PlanError(
            "statistic {place}: kind must be one of {kinds}, got {got}",
            place=place,
            kinds=", ".join(kinds),
            got=ascii(kind)[:40],
        )
    known = (*kinds[str(kind)].__struct_fields__, "kind")
    for key in raw:
        if key not in known:
            raise PlanError(
                "statistic {place}: unknown key {key}; did you mean {near}?",
                place=place,
                key=ascii(key)[:40],
                near=near_name(str(key), known) or " / ".join(known),
            )
