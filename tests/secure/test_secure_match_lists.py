"""Lists: refused with a sentence where they cannot serve, shuffled, and found again."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.errors import DataError, ProtocolError
from tongzhou.secure.lists import (
    check_distinct,
    check_list,
    encoded,
    places_of,
    recv_size,
    recv_sizes,
    shuffled,
)
from tongzhou.secure.owner_tags import owner_values, recv_key, send_key
from tongzhou.secure.party import Party
from tongzhou.wire.memory import memory_sessions


@pytest.mark.parametrize(
    ("own", "sentence"),
    [
        ([], "there are no identifiers to match: the table is empty"),
        (["a", "b", "a"], "the identifiers hold repeats; matching needs each identifier once"),
        (list("abcd"), "4 identifiers are too many for one match; at most 3"),
    ],
)
def test_own_lists_that_cannot_serve(own: list[str], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        check_list(own, 3)


def test_a_good_list_passes() -> None:
    check_list(["a", "b"], 2)
    check_distinct([b"a", b"b"], "bank")


def test_a_peers_repeats_are_refused() -> None:
    with pytest.raises(ProtocolError, match="the list of bank holds the same identifier twice"):
        check_distinct([b"a", b"b", b"a"], "bank")


@given(st.integers(0, 60))
def test_an_order_is_a_permutation(size: int) -> None:
    assert sorted(shuffled(size).tolist()) == list(range(size))


def test_every_order_is_as_likely() -> None:
    counts = Counter(tuple(shuffled(3).tolist()) for _ in range(1200))
    assert len(counts) == 6
    # Five degrees of freedom: above 40 by chance once in ten millions.
    assert sum((count - 200) ** 2 / 200 for count in counts.values()) < 40


def test_identifiers_are_encoded_in_the_given_order() -> None:
    assert encoded(["a", "é", "中"], np.array([2, 0, 1])) == ["中".encode(), b"a", "é".encode()]


@pytest.mark.parametrize("size", [0, -1, 4_000_001])
def test_sizes_beyond_the_bounds_are_refused(size: int) -> None:
    sessions = memory_sessions(["bank", "cardnet"], 5)
    sessions["cardnet"].links["bank"].send("size", size)
    with pytest.raises(ProtocolError, match=rf"cardnet announced {size} identifiers; from 1 to 4000000"):
        recv_size(sessions["bank"].links["cardnet"], "size")


def test_sizes_of_several_parties() -> None:
    sessions = memory_sessions(["asker", "provider", "provider2"], 5)
    for n, peer in enumerate(("provider", "provider2"), start=5):
        sessions[peer].links["asker"].send("size", n)
    party = Party("asker", sessions["asker"], {role: role for role in sessions})
    assert recv_sizes(party, party.owners[1:], "size") == {"provider": 5, "provider2": 6}


@given(st.lists(st.binary(min_size=2, max_size=2), unique=True, min_size=1), st.data())
def test_places_are_found(names: list[bytes], data: st.DataObject) -> None:
    wanted = data.draw(st.lists(st.sampled_from(names), unique=True))
    places = places_of(names, wanted, "helper")
    assert places.dtype == np.int64
    assert [names[place] for place in places] == wanted


@pytest.mark.parametrize("wanted", [[b"c"], [b"a", b"a"], [b"a", b"c"]])
def test_places_that_are_not_in_the_list_are_refused(wanted: list[bytes]) -> None:
    with pytest.raises(ProtocolError, match="helper named common identifiers that are not distinct or not"):
        places_of([b"a", b"b"], wanted, "helper")


def test_a_key_reaches_the_other_owners() -> None:
    sessions = memory_sessions(["asker", "provider", "provider2"], 5)
    names = {role: role for role in sessions}
    asker = Party("asker", sessions["asker"], names)
    key = send_key(asker, asker.owners[1:], "key")
    for role in asker.owners[1:]:
        assert recv_key(Party(role, sessions[role], names), "asker", "key") == key
    assert len(key) == 32 and key != send_key(asker, (), "key")


@pytest.mark.parametrize("size", [0, 31, 33])
def test_a_key_of_another_length_is_refused(size: int) -> None:
    sessions = memory_sessions(["asker", "provider"], 5)
    names = {role: role for role in sessions}
    sessions["asker"].links["provider"].send("key", bytes(size))
    with pytest.raises(ProtocolError, match=f"asker sent a seed of {size} bytes; 32 are due"):
        recv_key(Party("provider", sessions["provider"], names), "asker", "key")


def test_values_differ_by_key_context_purpose_and_text() -> None:
    found = {
        value
        for key in (bytes(32), bytes(31) + b"\1")
        for context in ("one", "two")
        for purpose in ("tags", "shares")
        for value in owner_values(key, context, [b"a", b"b"], purpose=purpose)
    }
    assert len(found) == 16
    assert {len(value) for value in found} == {64}


def test_values_are_hmac_sha_512() -> None:
    """The first case of RFC 4231 with its key, through our prefix taken off by hand."""
    import hashlib
    import hmac

    from tongzhou.secure.points import prefix

    text = prefix("owner-tags", "run") + b"Hi There"
    expected = hmac.new(b"\x0b" * 32, text, hashlib.sha512).digest()
    assert list(owner_values(b"\x0b" * 32, "run", [b"Hi There"])) == [expected]
