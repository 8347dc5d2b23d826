"""Points in time as they stand in cards, grants and receipts: ISO 8601, UTC, whole seconds."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from tongzhou.errors import DataError

__all__ = ["Clock", "parse_utc", "utc_now", "utc_text"]


Clock = Callable[[], datetime]
"""Where the time comes from; tests pass their own."""

_FORM = "%Y-%m-%dT%H:%M:%SZ"
_FULL = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def utc_now() -> datetime:
    """The time of this machine, in UTC."""
    return datetime.now(UTC)


def utc_text(moment: datetime) -> str:
    """``2026-11-05T12:00:00Z`` for a moment with a time zone; fractions of a second are dropped.

    Raises:
        ValueError: the moment has no time zone, so nobody knows when it was.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment needs a time zone")
    return moment.astimezone(UTC).strftime(_FORM).rjust(20, "0")


def parse_utc(text: str, field: str) -> datetime:
    """Read ``2026-11-05T12:00:00Z``, or ``2026-11-05`` for the first second of that day in UTC.

    Args:
        text: what a person or a file gave.
        field: its name, for the sentence.

    Raises:
        DataError: another form, or no such day.
    """
    # strptime alone would also take one-digit months and other digits than ASCII's.
    full = f"{text}T00:00:00Z" if _DAY.fullmatch(text) else text
    try:
        return datetime.strptime(full if _FULL.fullmatch(full) else "-", _FORM).replace(tzinfo=UTC)
    except ValueError as error:
        raise DataError(
            "{field} must be a time in UTC like 2026-11-05T12:00:00Z or a day like 2026-11-05, got {got}",
            field=field,
            got=text[:40],
        ) from error
