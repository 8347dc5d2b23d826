"""First transfers: the chosen key and no other, uniform points whatever is chosen, hostile points refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from nacl import bindings as sodium
from secure_worlds import Watch, chi_square

from tongzhou.errors import ProtocolError
from tongzhou.secure import base_ot
from tongzhou.secure.base_ot import receive_base, send_base
from tongzhou.secure.group import checked_point, hash_to_group, random_scalar
from tongzhou.wire.memory import run_parties
from tongzhou.wire.messages import Session


def transfer(choices: list[bool], watch: Watch | None = None) -> tuple[np.ndarray, np.ndarray]:
    bits = np.array(choices, dtype=np.bool_)
    tap: Callable[[Session], Session] = watch or (lambda session: session)
    found = run_parties(
        {
            "sender": lambda session: send_base(tap(session).links["receiver"], len(bits)),
            "receiver": lambda session: receive_base(tap(session).links["sender"], bits),
        }
    )
    return found["sender"], found["receiver"]


def test_the_receiver_gets_the_chosen_keys_alone() -> None:
    choices = [place % 3 == 0 for place in range(30)]
    keys, got = transfer(choices)
    for place, choice in enumerate(choices):
        assert got[place].tobytes() == keys[place, int(choice)].tobytes()
        assert got[place].tobytes() != keys[place, int(not choice)].tobytes()
    assert len({key.tobytes() for pair in keys for key in pair}) == 60


def test_two_runs_share_no_key() -> None:
    seen = {key.tobytes() for _ in range(2) for pair in transfer([True, False])[0] for key in pair}
    assert len(seen) == 8


def test_the_sender_sees_points_that_say_nothing_of_the_choices() -> None:
    """What arrives is two points of the group a transfer; the chosen place leans nowhere."""
    first = []
    for choice in (False, True):
        watch = Watch()
        transfer([choice] * 150, watch)
        assert watch.tags("sender") == {("receiver", "ot.base.points")}
        assert watch.tags("receiver") == {("sender", "ot.base.public")}
        (message,) = watch.views["sender"]
        assert message.shape == ("receiver", "ot.base.points", [("|u1", (150, 2, 32))])
        points = message.arrays[0]
        assert all(sodium.crypto_core_ed25519_is_valid_point(p.tobytes()) for pair in points for p in pair)
        assert len({p.tobytes() for pair in points for p in pair}) == 300
        for side in (0, 1):
            # The last byte of a point holds the sign and is below that of 2^255 - 19; the others are uniform.
            assert abs(chi_square(points[:, side, :31].reshape(-1))) < 6
            first.append(float((points[:, side, 0] & 1).mean()))
    assert all(0.25 < mean < 0.75 for mean in first)


def test_hashing_gives_points_of_the_prime_order_group() -> None:
    points = {hash_to_group(text) for text in (b"", b"a", b"b", b"ab")}
    assert len(points) == 4
    assert all(sodium.crypto_core_ed25519_is_valid_point(point) for point in points)
    assert len({random_scalar() for _ in range(8)}) == 8


# Small order (neutral element, order 4), not on the curve, right with the component of order 8 left in.
NEUTRAL = b"\x01" + bytes(31)
ORDER_FOUR = bytes(32)
OFF_CURVE = b"\x02" + bytes(31)


@pytest.mark.parametrize("point", [NEUTRAL, ORDER_FOUR, OFF_CURVE, b"\xff" * 32])
def test_what_is_no_point_of_the_group_is_refused(point: bytes) -> None:
    with pytest.raises(ProtocolError, match="point 7 of the peer's list is not in the group"):
        checked_point(point, 7)


def stopped(honest: str, play: Callable[[Any], Any], attack: Callable[[Any], Any]) -> str:
    other = "receiver" if honest == "sender" else "sender"
    with pytest.raises(ProtocolError) as caught:
        run_parties(
            {
                honest: lambda session: play(session.links[other]),
                other: lambda session: attack(session.links[honest]),
            },
            timeout_s=5,
        )
    return str(caught.value)


def test_a_hostile_receiver_is_stopped() -> None:
    points = np.frombuffer(hash_to_group(b"x") * 6, dtype=np.uint8).reshape(3, 2, 32).copy()
    points[1, 1] = np.frombuffer(ORDER_FOUR, dtype=np.uint8)

    def attack(link: Any) -> None:
        link.send("ot.base.points", None, [points])
        link.recv("ot.base.public", None, [base_ot.ArraySpec("|u1", (32,))])

    said = stopped("sender", lambda link: send_base(link, 3), attack)
    assert "point 3 of the peer's list is not in the group" in said


def test_a_hostile_sender_is_stopped() -> None:
    def attack(link: Any) -> None:
        link.send("ot.base.public", None, [np.frombuffer(NEUTRAL, dtype=np.uint8)])
        link.recv("ot.base.points", None, [base_ot.ArraySpec("|u1", (1, 2, 32))])

    said = stopped("receiver", lambda link: receive_base(link, np.array([True])), attack)
    assert "point 0 of the peer's list is not in the group" in said


def test_a_list_of_another_length_is_stopped() -> None:
    def attack(link: Any) -> None:
        link.send("ot.base.points", None, [np.zeros((2, 2, 32), dtype=np.uint8)])
        link.recv("ot.base.public", None, [base_ot.ArraySpec("|u1", (32,))])

    assert "where u1[3,2,32] was due" in stopped("sender", lambda link: send_base(link, 3), attack)
