"""The blind function: both ways give the same values, blinds hide, and bad points are refused."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from match_worlds import LOW_ORDER
from nacl import bindings as sodium
from secure_worlds import chi_square

from tongzhou.errors import ProtocolError
from tongzhou.secure.blind_prf import VALUE_BYTES, BlindKey, BlindQuery, evaluate
from tongzhou.secure.points import base_multiple, multiples, prefix, texts_to_points

TEXTS = [b"", b"a", b"ab", b"b" * 300]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=8), st.text(max_size=10))
def test_the_client_gets_what_the_holder_computes(texts: list[bytes], context: str) -> None:
    key, query = BlindKey(), BlindQuery(context, texts)
    found = list(query.values(key.answer(list(query.points()))))
    assert found == list(evaluate(key, context, texts))
    assert all(len(value) == VALUE_BYTES for value in found)


def test_values_are_the_hash_of_text_and_multiple() -> None:
    """The definition, written out with libsodium's Edwards multiplication."""
    key, (text,) = BlindKey(), [b"client 7"]
    (point,) = texts_to_points(prefix("blind-prf-points", "run"), [text])
    start = prefix("blind-prf-values", "run")
    digest = hashlib.sha512(prefix("blind-prf-points", "run") + text).digest()
    halves = [sodium.crypto_core_ed25519_from_uniform(half) for half in (digest[:32], digest[32:])]
    order = 2**252 + 27742317777372353535851937790883648493
    reduced = (int.from_bytes(key.scalar, "little") % order).to_bytes(32, "little")
    edwards = sodium.crypto_scalarmult_ed25519_noclamp(reduced, sodium.crypto_core_ed25519_add(*halves))
    raised = sodium.crypto_sign_ed25519_pk_to_curve25519(edwards)
    assert [raised] == list(multiples(key.scalar, [point]))
    expected = hashlib.sha512(start + (8).to_bytes(4, "big") + text + raised).digest()
    assert list(evaluate(key, "run", [text])) == [expected]


def test_keys_contexts_and_texts_give_other_values() -> None:
    keys = [BlindKey(), BlindKey()]
    found = {
        value
        for key in keys
        for context in ("one", "two")
        for value in evaluate(key, context, [b"a", b"b", b"ab"])
    }
    assert len(found) == 12


def test_one_query_serves_several_holders() -> None:
    query, keys = BlindQuery("run", TEXTS), [BlindKey(), BlindKey()]
    points = list(query.points())
    for key in keys:
        assert list(query.values(key.answer(points))) == list(evaluate(key, "run", TEXTS))


def test_what_the_holder_sees_is_uniform_and_never_the_same_twice() -> None:
    """The same texts again and again, and one text many times."""
    seen = [point for _ in range(20) for point in BlindQuery("run", [b"same"] * 30).points()]
    assert len(set(seen)) == 600
    assert abs(chi_square(np.frombuffer(b"".join(point[:31] for point in seen), dtype=np.uint8))) < 6


def test_values_are_uniform() -> None:
    data = np.frombuffer(
        b"".join(evaluate(BlindKey(), "run", [b"%d" % n for n in range(500)])), dtype=np.uint8
    )
    assert abs(chi_square(data)) < 6


def test_a_keys_name_tells_keys_apart_and_is_not_its_point() -> None:
    key = BlindKey()
    assert key.name == BlindKey(key.scalar).name != BlindKey().name
    assert len(key.name) == 32 and key.name != base_multiple(key.scalar)


def test_keys_are_fresh_and_never_shown() -> None:
    key = BlindKey()
    assert key.scalar != BlindKey().scalar
    assert repr(key) == "BlindKey()"


@pytest.mark.parametrize("low", LOW_ORDER)
def test_bad_points_are_refused_on_both_sides(low: bytes) -> None:
    with pytest.raises(ProtocolError, match="point 0 of the peer's list is not in the group"):
        list(BlindKey().answer([low]))
    query = BlindQuery("run", [b"a"])
    list(query.points())
    with pytest.raises(ProtocolError, match="point 0 of the peer's list is not in the group"):
        list(query.values([low]))
