"""Points: the same as libsodium's, multiples that can be undone, and lists in pieces."""

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from match_worlds import LOW_ORDER, rows
from nacl import bindings as sodium
from secure_worlds import chi_square
from test_secure_matching import on_curve

from tongzhou.errors import ProtocolError
from tongzhou.secure import points
from tongzhou.secure.points import (
    PIECE,
    base_multiple,
    fresh_scalar,
    multiple,
    multiples,
    pack,
    prefix,
    recv_items,
    send_items,
    telling,
    texts_to_points,
    undoing,
    unpack,
    wait_out,
)
from tongzhou.wire.memory import memory_sessions, run_parties

ORDER = 2**252 + 27742317777372353535851937790883648493
START = prefix("test", "run")


def some_points(count: int) -> list[bytes]:
    return list(texts_to_points(START, [b"%d" % n for n in range(count)]))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=20))
def test_points_are_those_that_libsodium_makes_one_by_one(texts: list[bytes]) -> None:
    """The map of each text, added and converted by libsodium alone, which also checks the group."""
    expected = []
    for text in texts:
        digest = hashlib.sha512(START + text).digest()
        halves = [sodium.crypto_core_ed25519_from_uniform(half) for half in (digest[:32], digest[32:])]
        expected.append(sodium.crypto_sign_ed25519_pk_to_curve25519(sodium.crypto_core_ed25519_add(*halves)))
    assert list(texts_to_points(START, texts)) == expected


def test_points_lie_on_the_curve_and_never_on_its_twist() -> None:
    """That they lie in the prime-order group, the conversion of libsodium in the test above has checked."""
    assert all(on_curve(point) for point in some_points(200))


def test_a_batch_beyond_one_piece_keeps_its_order() -> None:
    texts = [b"%d" % n for n in range(PIECE + 3)]
    found = list(texts_to_points(START, texts))
    assert len(found) == len(set(found)) == PIECE + 3
    assert found[PIECE] == next(texts_to_points(START, [texts[PIECE]]))
    assert found[0] == next(texts_to_points(START, [texts[0]]))


def test_no_domain_context_and_text_run_into_each_other() -> None:
    starts = {prefix(domain, context) for domain in ("a", "a/v1/") for context in ("", "b", "bc")}
    assert len(starts) == 6
    assert prefix("a", "b") + b"c" != prefix("a", "bc")


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000))
def test_a_multiplication_can_be_undone(number: int) -> None:
    (point,) = texts_to_points(START, [b"%d" % number])
    scalar = fresh_scalar()
    away = multiple(scalar, point, 0)
    assert away != point
    assert multiple(undoing(scalar), away, 0) == point


def test_scalars_have_the_form_that_x25519_leaves_alone() -> None:
    for _ in range(100):
        for scalar in (fresh := fresh_scalar(), undoing(fresh)):
            value = int.from_bytes(scalar, "little")
            assert 1 << 254 <= value < 1 << 255 and value % 8 == 0
            assert sodium.crypto_scalarmult_base(scalar) == base_multiple(scalar)


def test_what_undoes_a_scalar_is_its_inverse_up_to_the_sign() -> None:
    for _ in range(50):
        scalar = fresh_scalar()
        both = int.from_bytes(scalar, "little") * int.from_bytes(undoing(scalar), "little") % ORDER
        assert both in (1, ORDER - 1)


def test_multiples_agree_with_edwards_arithmetic() -> None:
    """A second implementation: libsodium's Edwards multiplication, converted afterwards."""
    scalar = fresh_scalar()
    reduced = (int.from_bytes(scalar, "little") % ORDER).to_bytes(32, "little")
    digest = hashlib.sha512(START + b"x").digest()
    halves = [sodium.crypto_core_ed25519_from_uniform(half) for half in (digest[:32], digest[32:])]
    point = sodium.crypto_core_ed25519_add(*halves)
    expected = sodium.crypto_sign_ed25519_pk_to_curve25519(
        sodium.crypto_scalarmult_ed25519_noclamp(reduced, point)
    )
    assert list(multiples(scalar, texts_to_points(START, [b"x"]))) == [expected]


def test_multiples_commute() -> None:
    one, other = fresh_scalar(), fresh_scalar()
    there = list(multiples(one, multiples(other, some_points(5))))
    assert there == list(multiples(other, multiples(one, some_points(5))))


def test_fresh_multiples_of_one_point_are_uniform() -> None:
    (point,) = some_points(1)
    seen = [multiple(fresh_scalar(), point, 0) for _ in range(600)]
    assert len(set(seen)) == 600
    assert abs(chi_square(np.frombuffer(b"".join(one[:31] for one in seen), dtype=np.uint8))) < 6


@pytest.mark.parametrize("low", LOW_ORDER)
def test_points_of_small_order_are_refused_with_their_place(low: bytes) -> None:
    with pytest.raises(ProtocolError, match="point 2 of the peer's list is not in the group"):
        list(multiples(fresh_scalar(), [*some_points(2), low]))


@pytest.mark.parametrize("count", [0, 1, PIECE, PIECE + 1, 2 * PIECE + 7])
def test_lists_travel_in_pieces(count: int) -> None:
    items = [n.to_bytes(4, "big") for n in range(count)]
    sessions = memory_sessions(["a", "b"], 5)
    link = sessions["a"].links["b"]
    send_items(link, "list", iter(items), 4)
    assert link.traffic.messages_sent == -(-count // PIECE)
    assert list(recv_items(sessions["b"].links["a"], "list", count, 4)) == items


@pytest.mark.parametrize("sent", [0, 3, 5])
def test_a_piece_of_another_length_is_refused(sent: int) -> None:
    def short(session: object) -> None:
        session.links["b"].send("list", None, [np.zeros((sent, 4), dtype=np.uint8)])

    def take(session: object) -> None:
        list(recv_items(session.links["a"], "list", 4, 4))

    with pytest.raises(ProtocolError, match=r"where u1\[4,4\] was due"):
        run_parties({"a": short, "b": take}, timeout_s=5)


def test_whoever_waits_hears_that_the_work_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(points, "PIECE", 10)
    sessions = memory_sessions(["a", "b", "c"], 5)
    links = [sessions["a"].links[peer] for peer in ("b", "c")]
    told: list[int] = []

    def work() -> Iterator[bytes]:
        for n in range(25):
            told.append(links[0].traffic.messages_sent)
            yield b"%d" % n

    assert list(telling(links, "busy", work())) == [b"%d" % n for n in range(25)]
    # One message a piece, to each, and each before the next piece is worked on.
    assert [link.traffic.messages_sent for link in links] == [3, 3]
    assert told == [0] * 10 + [1] * 10 + [2] * 5
    for peer in ("b", "c"):
        wait_out(sessions[peer].links["a"], "busy", 25)
        assert sessions[peer].links["a"].traffic.messages_received == 3


@given(st.integers(1, 9), st.integers(0, 5))
def test_packing_is_undone(width: int, count: int) -> None:
    items = [bytes([n]) * width for n in range(count)]
    assert unpack(pack(items, width)) == items
    assert pack(items, width).shape == (count, width)
    if count:
        assert (rows(*items) == pack(items, width)).all()
