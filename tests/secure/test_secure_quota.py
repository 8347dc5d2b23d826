"""Quotas and rates as pure rules, and a ledger that applies them once."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.errors import ConflictError, GrantError, ProtocolError
from tongzhou.secure.quota import Limits, MemoryLedger, Usage, admit, take_slots

LIMITS = Limits(per_day=10, per_minute=6, burst=3)


def test_a_slot_is_used_once() -> None:
    usage = admit(LIMITS, Usage(), first=0, count=2, now=0)
    assert usage.next_slot == 2
    for slot in (0, 1):
        with pytest.raises(
            ProtocolError, match=f"slot {slot} of the day was used before; a key is never used"
        ):
            admit(LIMITS, usage, first=slot, count=1, now=999)
    assert admit(LIMITS, usage, first=5, count=1, now=999).next_slot == 6, "slots may be left out"
    with pytest.raises(ProtocolError):
        admit(LIMITS, Usage(next_slot=6), first=3, count=1, now=999)


def test_the_days_quota() -> None:
    assert admit(LIMITS, Usage(next_slot=9), first=9, count=1, now=0).next_slot == 10
    for first, count in ((10, 1), (9, 2), (2**40, 1)):
        with pytest.raises(GrantError, match="the quota of 10 queries a day is used up"):
            admit(LIMITS, Usage(next_slot=9), first=first, count=count, now=0)


def test_a_burst_and_then_the_rate() -> None:
    usage = Usage()
    for slot in range(3):
        usage = admit(LIMITS, usage, first=slot, count=1, now=100)
    assert usage == Usage(3, 3.0, 100)
    with pytest.raises(
        GrantError, match="queries come too fast: 6 a minute are allowed, and 3 at once; wait 10 s"
    ):
        admit(LIMITS, usage, first=3, count=1, now=100)
    with pytest.raises(GrantError, match="wait 5 s"):
        admit(LIMITS, usage, first=3, count=1, now=105)
    usage = admit(LIMITS, usage, first=3, count=1, now=110)
    with pytest.raises(GrantError):
        admit(LIMITS, usage, first=4, count=1, now=111)


def test_a_clock_that_is_set_back_gives_nothing_back() -> None:
    usage = admit(LIMITS, Usage(), first=0, count=3, now=1000)
    with pytest.raises(GrantError):
        admit(LIMITS, usage, first=3, count=1, now=0)
    assert admit(LIMITS, usage, first=3, count=1, now=1010).at == 1010


@given(st.lists(st.tuples(st.floats(0, 30), st.integers(1, 4)), max_size=40))
def test_no_sequence_exceeds_burst_and_rate(steps: list[tuple[float, int]]) -> None:
    limits, usage, now, granted = Limits(10**6, 6, 3), Usage(), 0.0, 0
    for wait, count in steps:
        now += wait
        try:
            usage = admit(limits, usage, first=usage.next_slot, count=count, now=now)
            granted += count
        except GrantError:
            continue
        assert granted <= limits.burst + now * limits.per_minute / 60 + 1e-6
    assert usage.next_slot == granted


def test_slots_are_taken_in_blocks_until_none_is_left() -> None:
    usage = take_slots(Usage(), at_least=1, at_most=4, per_day=10)
    assert usage.next_slot == 4
    assert take_slots(usage, at_least=5, at_most=1, per_day=10).next_slot == 9
    assert take_slots(Usage(next_slot=8), at_least=1, at_most=4, per_day=10).next_slot == 10
    with pytest.raises(GrantError, match="the quota of 10 queries a day is used up"):
        take_slots(Usage(next_slot=8), at_least=3, at_most=4, per_day=10)


def test_the_ledger_changes_all_or_nothing() -> None:
    ledger = MemoryLedger()
    step = lambda usage: Usage(usage.next_slot + 1)  # noqa: E731
    assert ledger.apply("a", step, [b"x"]).next_slot == 1
    with pytest.raises(ConflictError, match="this was asked before and nothing has changed since"):
        ledger.apply("a", step, [b"y", b"x"])
    assert ledger.recall("a", b"y") is None
    assert ledger.apply("a", step, [b"y"]).next_slot == 2, "the refused one did not count"
    assert ledger.apply("b", step, [b"x"]).next_slot == 1, "accounts are apart"


def test_notes_are_kept_and_replaced() -> None:
    ledger = MemoryLedger()
    assert ledger.recall("a", b"x") is None
    ledger.note("a", {b"x": b"1", b"y": b"2"})
    ledger.note("a", {b"x": b"3"})
    assert (ledger.recall("a", b"x"), ledger.recall("a", b"y"), ledger.recall("b", b"x")) == (
        b"3",
        b"2",
        None,
    )


def test_an_account_is_forgotten_whole() -> None:
    ledger = MemoryLedger()
    for account in ("a", "b"):
        ledger.apply(account, lambda usage: Usage(5), [b"x"])
    ledger.forget("a")
    ledger.forget("a")
    assert ledger.recall("a", b"x") is None
    assert ledger.apply("a", lambda usage: usage) == Usage()
    assert ledger.recall("b", b"x") == b""


def test_many_threads_never_share_a_slot() -> None:
    ledger, taken = MemoryLedger(), []

    def take() -> None:
        for _ in range(50):
            usage = ledger.apply("a", lambda held: take_slots(held, at_least=1, at_most=1, per_day=1000))
            taken.append(usage.next_slot)

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 201))
