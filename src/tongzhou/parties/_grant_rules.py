"""Holding a request against a grant: every rule is one small function that names what is missing.

The rules are tried in the order of `_RULES`. Whether the asker is named comes first, so that a stranger
learns nothing of what is granted to others.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from tongzhou.errors import GrantError
from tongzhou.parties._grant_terms import BIN_COUNTS, CARD_OPENINGS, COLUMNLESS, Grant, GrantRequest
from tongzhou.parties.names import near_name
from tongzhou.parties.times import parse_utc, utc_text

__all__ = [
    "check_bin_rows",
    "check_grant",
    "check_rows",
    "no_grant",
    "no_runs_left",
    "violations",
    "was_revoked",
]


class _Case(NamedTuple):
    grant: Grant
    request: GrantRequest
    now: datetime
    runs_used: int
    revoked_at: datetime | None


def check_grant(
    grant: Grant,
    request: GrantRequest,
    now: datetime,
    runs_used: int,
    *,
    revoked_at: datetime | None = None,
) -> None:
    """Return if `grant` allows `request`; every rule must hold.

    Args:
        grant: the grant, its signature verified.
        request: what a run wants.
        now: the moment of asking, with time zone.
        runs_used: how many *other* runs have used the grant.
        revoked_at: when it was revoked, if it was.

    Raises:
        GrantError: one sentence on the first rule that does not hold; ``values["missing"]`` is its name.
    """
    for error in violations(grant, request, now, runs_used, revoked_at=revoked_at):
        raise error


def violations(
    grant: Grant,
    request: GrantRequest,
    now: datetime,
    runs_used: int,
    *,
    revoked_at: datetime | None = None,
) -> Iterator[GrantError]:
    """One `GrantError` for each rule that does not hold, in the order of the rules."""
    case = _Case(grant, request, now.astimezone(UTC), runs_used, revoked_at)
    for missing, rule in _RULES:
        error = rule(case)
        if error is not None:
            error.values.update(grant=grant.grant_id, provider=grant.provider, missing=missing)
            yield error


def check_rows(grant: Grant, rows: int) -> None:
    """Return if the matched rows are as many as the grant demands.

    Raises:
        GrantError: fewer; the run must stop.
    """
    if rows < grant.minimum_rows:
        raise GrantError(
            "grant {grant} demands at least {minimum} matched rows, got {rows}",
            grant=grant.grant_id,
            minimum=grant.minimum_rows,
            rows=rows,
            missing="rows",
        )


def check_bin_rows(grant: Grant, rows: int, variable: str) -> None:
    """Return if a bin whose counts are opened has as many rows as the grant demands.

    Raises:
        GrantError: fewer, and not zero; the bins must be merged further.
    """
    if 0 < rows < grant.minimum_bin_rows:
        raise GrantError(
            "grant {grant} demands at least {minimum} rows in each bin that is opened; a bin of {variable} "
            "has {rows}",
            grant=grant.grant_id,
            minimum=grant.minimum_bin_rows,
            variable=variable,
            rows=rows,
            missing="bin_rows",
        )


def no_grant(provider: str, asker: str) -> GrantError:
    """The sentence for a party that no grant names."""
    return GrantError(
        "{provider} has no grant for {asker}; ask it to issue one",
        provider=provider,
        asker=asker,
        missing="asker",
    )


def was_revoked(grant: Grant, revoked_at: str) -> GrantError:
    """The sentence for a grant that its provider ended."""
    return GrantError(
        "grant {grant} was revoked at {at}", grant=grant.grant_id, at=revoked_at, missing="revoked"
    )


def no_runs_left(grant: Grant) -> GrantError:
    """The sentence for a grant that is used up."""
    return GrantError(
        "grant {grant} allows {runs} runs and all of them are used",
        grant=grant.grant_id,
        runs=grant.runs,
        missing="runs",
    )


def _asker(case: _Case) -> GrantError | None:
    named = case.request.asker in case.grant.askers
    return None if named else no_grant(case.grant.provider, case.request.asker)


def _not_revoked(case: _Case) -> GrantError | None:
    # A revocation holds whatever the clock says: clocks can be set back.
    return None if case.revoked_at is None else was_revoked(case.grant, utc_text(case.revoked_at))


def _begun(case: _Case) -> GrantError | None:
    if case.now >= parse_utc(case.grant.valid_from, "valid_from"):
        return None
    return GrantError(
        "grant {grant} holds from {start} only; now it is {now}",
        grant=case.grant.grant_id,
        start=case.grant.valid_from,
        now=utc_text(case.now),
    )


def _not_expired(case: _Case) -> GrantError | None:
    if case.now < parse_utc(case.grant.valid_until, "valid_until"):
        return None
    return GrantError(
        "grant {grant} expired at {end}; now it is {now}",
        grant=case.grant.grant_id,
        end=case.grant.valid_until,
        now=utc_text(case.now),
    )


def _runs_left(case: _Case) -> GrantError | None:
    return None if case.runs_used < case.grant.runs else no_runs_left(case.grant)


def _purpose(case: _Case) -> GrantError | None:
    wanted, allowed = case.request.purpose, case.grant.purpose
    if wanted == allowed:
        return None
    return GrantError(
        "grant {grant} is for purpose {allowed}, not for {wanted}",
        grant=case.grant.grant_id,
        allowed=allowed,
        wanted=wanted,
    )


def _table(case: _Case) -> GrantError | None:
    wanted, allowed = case.request.table, case.grant.table
    if wanted == allowed:
        return None
    return GrantError(
        "grant {grant} is for table {allowed}, not for {wanted}",
        grant=case.grant.grant_id,
        allowed=allowed,
        wanted=wanted,
    )


def _columns(case: _Case) -> GrantError | None:
    allowed = case.grant.columns
    refused = [name for name in case.request.columns if name not in allowed]
    if not case.request.columns and not set(case.request.protocols) <= COLUMNLESS:
        return GrantError(
            "a request under grant {grant} must name at least one column", grant=case.grant.grant_id
        )
    if not refused:
        return None
    near = near_name(refused[0], allowed) if len(refused) == 1 else None
    if near is not None:
        return GrantError(
            "grant {grant} does not cover column {columns} of {table}; did you mean {near}?",
            grant=case.grant.grant_id,
            columns=refused[0],
            table=case.grant.table,
            near=near,
        )
    return GrantError(
        "grant {grant} does not cover these columns of {table}: {columns}",
        grant=case.grant.grant_id,
        columns=", ".join(refused),
        table=case.grant.table,
    )


def _mode(case: _Case) -> GrantError | None:
    if case.request.mode in case.grant.modes:
        return None
    return GrantError(
        "grant {grant} allows trust mode {allowed}, not {wanted}",
        grant=case.grant.grant_id,
        allowed=", ".join(case.grant.modes),
        wanted=case.request.mode,
    )


def _helper(case: _Case) -> GrantError | None:
    helper, aided = case.request.helper, case.request.mode == "aided"
    if aided and helper is None:
        return GrantError("trust mode aided needs a helper; the request names none")
    if not aided and helper is not None:
        return GrantError(
            "trust mode {mode} has no helper; the request names {helper}",
            mode=case.request.mode,
            helper=helper,
        )
    if helper is not None and helper not in case.grant.helpers:
        return GrantError(
            "grant {grant} does not accept {helper} as helper; it accepts {allowed}",
            grant=case.grant.grant_id,
            helper=helper,
            allowed=", ".join(case.grant.helpers) or "-",
        )
    return None


def _protocols(case: _Case) -> GrantError | None:
    if not case.request.protocols:
        return GrantError(
            "a request under grant {grant} must name at least one protocol", grant=case.grant.grant_id
        )
    refused = [name for name in case.request.protocols if name not in case.grant.protocols]
    if not refused:
        return None
    return GrantError(
        "grant {grant} allows the protocols {allowed}, not {wanted}",
        grant=case.grant.grant_id,
        allowed=", ".join(case.grant.protocols),
        wanted=", ".join(refused),
    )


def _openings(case: _Case) -> GrantError | None:
    wanted, allowed = case.request.openings, case.grant.openings
    fits = {
        "bin_counts": _reaches(allowed.bin_counts, wanted.bin_counts, BIN_COUNTS),
        "card": _reaches(allowed.card, wanted.card, CARD_OPENINGS),
        "reasons": 0 <= wanted.reasons <= allowed.reasons,
        "training_summary": allowed.training_summary or not wanted.training_summary,
    }
    refused = next((name for name, fit in fits.items() if not fit), None)
    if refused is None:
        return None
    return GrantError(
        "grant {grant} allows opening {opening} up to {allowed}, not {wanted}",
        grant=case.grant.grant_id,
        opening=refused,
        allowed=_word(getattr(allowed, refused)),
        wanted=_word(getattr(wanted, refused)),
    )


def _reaches(allowed: str, wanted: str, order: tuple[str, ...]) -> bool:
    # An unknown word reaches nowhere: what cannot be compared is refused.
    return wanted in order and allowed in order and order.index(wanted) <= order.index(allowed)


def _word(value: object) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


_RULES: tuple[tuple[str, Callable[[_Case], GrantError | None]], ...] = (
    ("asker", _asker),
    ("revoked", _not_revoked),
    ("begun", _begun),
    ("expired", _not_expired),
    ("runs", _runs_left),
    ("purpose", _purpose),
    ("table", _table),
    ("columns", _columns),
    ("mode", _mode),
    ("helper", _helper),
    ("protocols", _protocols),
    ("openings", _openings),
)
