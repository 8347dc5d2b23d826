"""Mode local: two threads meet, each takes its part, and nobody waits for one who left."""

from threading import Thread
from typing import Any

import pytest

from tongzhou.errors import DataError, PeerError, PlanError, TongzhouError
from tongzhou.secure.exchange import Exchange
from tongzhou.secure.party import Party, Role
from tongzhou.secure.tasks import Seat
from tongzhou.wire.messages import Session


def both(exchange: Exchange, clear: Any, rounds: int = 1) -> dict[str, list[Any]]:
    got: dict[str, list[Any]] = {"asker": [], "provider": []}

    def owner(role: Role) -> None:
        for turn in range(rounds):
            try:
                got[role].append(exchange.meet(role, (role, turn), clear))
            except TongzhouError as error:
                got[role].append(error)

    threads = [Thread(target=owner, args=(role,)) for role in ("asker", "provider")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    return got


def test_each_takes_its_part_of_one_computation_again_and_again() -> None:
    calls = []

    def clear(asker: Any, provider: Any) -> tuple[Any, Any]:
        calls.append((asker, provider))
        return ("for", asker), ("for", provider)

    got = both(Exchange(), clear, rounds=50)
    assert calls == [(("asker", n), ("provider", n)) for n in range(50)]
    assert got == {role: [("for", (role, n)) for n in range(50)] for role in ("asker", "provider")}


def test_both_get_the_sentence_and_the_exchange_still_serves() -> None:
    exchange = Exchange()

    def refuse(asker: Any, provider: Any) -> tuple[Any, Any]:
        raise DataError("row {row} is bad", row=3)

    got = both(exchange, refuse)
    (one,), (other,) = got.values()
    assert str(one) == str(other) == "row 3 is bad"
    assert isinstance(one, DataError)
    assert one is not other
    assert both(exchange, lambda a, p: (1, 2)) == {"asker": [1], "provider": [2]}


def test_a_fault_of_the_computing_thread_does_not_hang_the_other() -> None:
    exchange = Exchange(timeout_s=5)
    seen: list[BaseException] = []

    def broken(asker: Any, provider: Any) -> tuple[Any, Any]:
        raise ZeroDivisionError

    def owner(role: Role) -> None:
        try:
            exchange.meet(role, None, broken)
        except (ZeroDivisionError, PeerError) as error:
            seen.append(error)

    threads = [Thread(target=owner, args=(role,)) for role in ("asker", "provider")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert {type(error) for error in seen} == {ZeroDivisionError, PeerError}


def test_an_owner_that_left_is_not_waited_for() -> None:
    exchange = Exchange(timeout_s=60)
    exchange.leave("provider")
    with pytest.raises(PeerError, match="the provider left before both had met"):
        exchange.meet("asker", 1, lambda a, p: (a, p))


def test_an_owner_that_does_not_come_is_waited_for_so_long() -> None:
    with pytest.raises(PeerError, match=r"the asker did not come within 0\.05 s"):
        Exchange(timeout_s=0.05).meet("provider", 1, lambda a, p: (a, p))


def test_a_role_is_taken_once() -> None:
    exchange = Exchange(timeout_s=5)
    sentences: list[str] = []

    def asker() -> None:
        try:
            exchange.meet("asker", 1, lambda a, p: (a, p))
        except TongzhouError as error:
            sentences.append(str(error))

    # Two threads claim one role: whoever comes second is refused, the first goes on waiting until the end.
    threads = [Thread(target=asker) for _ in range(2)]
    for thread in threads:
        thread.start()
    while not sentences:
        pass
    exchange.leave("provider")
    for thread in threads:
        thread.join(10)
    assert sentences == ["asker is in the exchange already", "the provider left before both had met"]


def test_a_seat_needs_an_exchange_and_an_input() -> None:
    party = Party("asker", Session("asker", {}), {})
    for seat, own in ((Seat(party, "local"), 1), (Seat(party, "local", Exchange()), None)):
        with pytest.raises(PlanError, match="mode local needs both owners, and nobody else, in one process"):
            seat.meet(own, lambda a, p: (a, p))


def everybody(
    exchange: Exchange, roles: tuple[Role, ...], clear: Any, rounds: int = 1
) -> dict[str, list[Any]]:
    got: dict[str, list[Any]] = {role: [] for role in roles}

    def owner(role: Role) -> None:
        for turn in range(rounds):
            try:
                got[role].append(exchange.gather(role, turn, roles, clear))
            except TongzhouError as error:
                got[role].append(error)

    threads = [Thread(target=owner, args=(role,)) for role in roles]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    return got


FOUR: tuple[Role, ...] = ("asker", "provider", "provider2", "provider3")


def test_any_number_of_owners_meet_again_and_again() -> None:
    calls = []

    def clear(inputs: dict[Role, Any]) -> dict[Role, Any]:
        calls.append(dict(sorted(inputs.items())))
        return {role: (role, own) for role, own in inputs.items()}

    got = everybody(Exchange(), FOUR, clear, rounds=20)
    assert calls == [dict.fromkeys(sorted(FOUR), turn) for turn in range(20)]
    assert got == {role: [(role, turn) for turn in range(20)] for role in FOUR}


def test_all_owners_get_the_sentence() -> None:
    def refuse(inputs: dict[Role, Any]) -> dict[Role, Any]:
        raise DataError("row {row} is bad", row=3)

    got = everybody(Exchange(), FOUR, refuse)
    assert {str(one) for (one,) in got.values()} == {"row 3 is bad"}
    assert len({id(one) for (one,) in got.values()}) == 4


def test_a_fault_of_the_computing_owner_hangs_nobody() -> None:
    exchange = Exchange(timeout_s=10)
    ended: list[BaseException] = []

    def fault(inputs: dict[Role, Any]) -> dict[Role, Any]:
        raise KeyError("ours")

    def owner(role: Role) -> None:
        try:
            exchange.gather(role, 0, FOUR[:2], fault)
        except (KeyError, PeerError) as error:
            ended.append(error)

    threads = [Thread(target=owner, args=(role,)) for role in FOUR[:2]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(type(one).__name__ for one in ended) == ["KeyError", "PeerError"]


def test_nobody_waits_for_an_owner_who_left_or_does_not_come() -> None:
    exchange = Exchange(timeout_s=10)
    exchange.leave("provider2")
    with pytest.raises(PeerError, match="the provider2 left before both had met"):
        exchange.gather("asker", 0, FOUR, lambda inputs: inputs)
    with pytest.raises(PeerError, match=r"the provider did not come within 0\.01 s"):
        Exchange(timeout_s=0.01).gather("asker", 0, FOUR, lambda inputs: inputs)
