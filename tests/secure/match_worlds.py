"""One honest party against an attack, for the tests of the kinds of matching."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from threading import Event
from typing import Any

import numpy as np

from tongzhou.errors import PeerError, TongzhouError
from tongzhou.secure.party import Party, Role
from tongzhou.secure.points import prefix, texts_to_points
from tongzhou.secure.tasks import Mode, Seat
from tongzhou.wire.memory import run_parties
from tongzhou.wire.messages import Session

Attack = Callable[[Session], None]
ZERO, ORDER_FOUR = bytes(32), b"\x01" + bytes(31)
ORDER_EIGHT = bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")
LOW_ORDER = [ZERO, ORDER_FOUR, ORDER_EIGHT]


def stopped(
    mode: Mode, task: Any, honest: Role, own: Any, attacks: dict[Role, Attack], *, roles: Sequence[Role] = ()
) -> TongzhouError:
    """Play one honest party against attackers; returns the error that it stops with.

    Args:
        mode: trust mode.
        task: what the honest party plays.
        honest: its role.
        own: its input.
        attacks: what others do, by role; whoever is not named keeps silent.
        roles: everybody; asker, provider and (in mode aided) helper by default.
    """
    everybody = roles or ("asker", "provider", *(["helper"] if mode == "aided" else []))
    names = {role: role for role in everybody}
    done = Event()
    caught: list[TongzhouError] = []

    def play(session: Session) -> None:
        try:
            task.run(Seat(Party(honest, session, names), mode), own)
        except TongzhouError as error:
            caught.append(error)
        finally:
            done.set()

    def attacking(attack: Attack) -> Callable[[Session], None]:
        def part(session: Session) -> None:
            # The honest party may have stopped before the attacker has said everything.
            with suppress(PeerError):
                attack(session)
            done.wait(5)

        return part

    parts = {role: attacking(attacks.get(role, lambda session: None)) for role in everybody}
    run_parties(parts | {honest: play}, timeout_s=5)
    assert len(caught) == 1, f"the {honest} went on"
    return caught[0]


def rows(*items: bytes) -> np.ndarray:
    """Items of equal length as an array of bytes."""
    return np.frombuffer(b"".join(items), dtype=np.uint8).reshape(len(items), -1)


def honest_points(count: int) -> np.ndarray:
    """Points as a party would send them."""
    return rows(*texts_to_points(prefix("test", "points"), [b"%d" % number for number in range(count)]))
