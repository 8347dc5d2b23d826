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


def many(exchange: Exchange, everybody: list[Role], clear: Any) -> dict[str, Any]:
    got: dict[str, Any] = {}

    def owner(role: Role) -> None:
        try:
            got[role] = exchange.gather(role, f"of {role}", everybody, clear)
        except TongzhouError as error:
            got[role] = error

    threads = [Thread(target=owner, args=(role,)) for role in everybody]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    return got


def test_any_number_of_owners_meet() -> None:
    everybody = ["asker", "provider", "provider2", "provider3"]
    exchange = Exchange(timeout_s=10)
    for _ in range(20):
        got = many(exchange, everybody, lambda inputs: {role: (role, dict(inputs)) for role in inputs})
        assert got == {role: (role, {one: f"of {one}" for one in everybody}) for role in everybody}


def test_all_of_many_get_the_sentence() -> None:
    def refuse(inputs: Any) -> Any:
        raise DataError("row {row} is bad", row=3)

    got = many(Exchange(timeout_s=10), ["asker", "provider", "provider2"], refuse)
    assert {str(error) for error in got.values()} == {"row 3 is bad"}
    assert len({id(error) for error in got.values()}) == 3


def test_the_one_that_is_missing_is_named() -> None:
    exchange = Exchange(timeout_s=0.05)
    exchange.leave("provider2")
    with pytest.raises(PeerError, match="the provider2 left before both had met"):
        exchange.gather("asker", 1, ["asker", "provider", "provider2"], dict)
    with pytest.raises(PeerError, match=r"the provider3 did not come within 0\.05 s"):
        exchange.gather("asker", 1, ["asker", "provider3"], dict)


def test_in_mode_local_all_owners_meet_in_one_process() -> None:
    party = Party("asker", Session("asker", {}), {"asker": "a", "provider": "p"})
    with pytest.raises(PlanError, match="mode local needs all owners in one process"):
        Seat(party, "local").gather(1, dict)
