"""How many queries may be made, and how fast: pure rules, and what keeps their state.

The rules take the state and the time and return the new state, or refuse. A `Ledger` applies them in one
transaction, so that what was admitted once stays admitted across a restart, and two at a time cannot both
have the last place.
"""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from tongzhou.errors import ConflictError, GrantError, ProtocolError

__all__ = ["Ledger", "Limits", "MemoryLedger", "Usage", "admit", "pace", "seen_before", "take_slots"]

_MINUTE_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What one asker may do.

    Attributes:
        per_day: queries a day.
        per_minute: queries a minute in the long run.
        burst: queries at once after a rest.
    """

    per_day: int
    per_minute: float
    burst: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What one asker did on one day.

    Attributes:
        next_slot: the first slot that was not used; each query uses up one.
        spent: queries of the burst that are not yet given back by time, in parts.
        at: when `spent` was counted, in seconds.
    """

    next_slot: int = 0
    spent: float = 0.0
    at: float = 0.0


def admit(limits: Limits, usage: Usage, *, first: int, count: int, now: float) -> Usage:
    """Admit queries with the slots ``first`` to ``first + count - 1``.

    Raises:
        ProtocolError: a slot was used before: its key would be used twice.
        GrantError: the day's queries are used up, or they come too fast.
    """
    if first < usage.next_slot:
        raise ProtocolError("slot {slot} of the day was used before; a key is never used twice", slot=first)
    if first + count > limits.per_day:
        raise _used_up(limits.per_day)
    return pace(limits, replace(usage, next_slot=first + count), count=count, now=now)


def pace(limits: Limits, usage: Usage, *, count: int, now: float) -> Usage:
    """Let queries pass if they do not come too fast.

    Raises:
        GrantError: they do.
    """
    # A clock that was set back gives nothing back.
    rested = max(0.0, now - usage.at) * limits.per_minute / _MINUTE_S
    spent = max(0.0, usage.spent - rested) + count
    if spent > limits.burst:
        raise GrantError(
            "queries come too fast: {rate:g} a minute are allowed, and {burst} at once; wait {seconds} s",
            rate=limits.per_minute,
            burst=limits.burst,
            seconds=math.ceil((spent - limits.burst) * _MINUTE_S / limits.per_minute),
        )
    return Usage(usage.next_slot, spent, max(now, usage.at))


def take_slots(usage: Usage, *, at_least: int, at_most: int, per_day: int) -> Usage:
    """Take the next slots for oneself; they stay taken even if nothing is asked with them.

    Raises:
        GrantError: fewer than `at_least` are left of the day.
    """
    left = per_day - usage.next_slot
    if left < at_least:
        raise _used_up(per_day)
    return replace(usage, next_slot=usage.next_slot + min(left, max(at_least, at_most)))


def seen_before() -> ConflictError:
    """The refusal of a question that was answered before."""
    return ConflictError(
        "this was asked before and nothing has changed since; the asker keeps its answers and asks once"
    )


def _used_up(per_day: int) -> GrantError:
    return GrantError("the quota of {limit} queries a day is used up", limit=per_day)


class Ledger(Protocol):
    """Where usage and marks are kept."""

    def apply(self, account: str, rule: Callable[[Usage], Usage], marks: Sequence[bytes] = ()) -> Usage:
        """In one transaction: change the usage of `account` by `rule`, and set marks that must be new.

        Args:
            account: whose usage; an unknown one has used nothing.
            rule: the new usage; what it raises is raised, and nothing changes.
            marks: what to set.

        Returns:
            The new usage; it survives a power cut when this returns.

        Raises:
            ConflictError: a mark was there before.
        """

    def note(self, account: str, notes: Mapping[bytes, bytes]) -> None:
        """Keep a note beside each of some marks; it survives the end of the process when this returns."""

    def recall(self, account: str, mark: bytes) -> bytes | None:
        """The note beside a mark, if there is one."""

    def forget(self, account: str) -> None:
        """Remove an account with its marks and notes: only once its keys are gone."""


@dataclass
class MemoryLedger:
    """A ledger that is gone with its process: for tests and teaching."""

    accounts: dict[str, Usage] = field(default_factory=dict)
    notes: dict[tuple[str, bytes], bytes] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def apply(self, account: str, rule: Callable[[Usage], Usage], marks: Sequence[bytes] = ()) -> Usage:
        """As `Ledger.apply`."""
        with self._lock:
            after = rule(self.accounts.get(account, Usage()))
            if any((account, mark) in self.notes for mark in marks):
                raise seen_before()
            self.accounts[account] = after
            self.notes |= dict.fromkeys(((account, mark) for mark in marks), b"")
            return after

    def note(self, account: str, notes: Mapping[bytes, bytes]) -> None:
        """As `Ledger.note`."""
        with self._lock:
            self.notes |= {(account, mark): note for mark, note in notes.items()}

    def recall(self, account: str, mark: bytes) -> bytes | None:
        """As `Ledger.recall`."""
        with self._lock:
            return self.notes.get((account, mark))

    def forget(self, account: str) -> None:
        """As `Ledger.forget`."""
        with self._lock:
            self.accounts.pop(account, None)
            self.notes = {key: note for key, note in self.notes.items() if key[0] != account}
