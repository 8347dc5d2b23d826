"""Matching: the true intersection in one order, sentences for bad lists, and hostile peers stopped."""

import hashlib
from collections.abc import Callable
from threading import Event
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.errors import DataError, ProtocolError, TongzhouError
from tongzhou.secure import match_rules, matching
from tongzhou.secure.match_rules import MatchSettings
from tongzhou.secure.matching import match_dh
from tongzhou.secure.matching_aided import match_aided
from tongzhou.secure.party import Party, Role
from tongzhou.secure.simulate import simulate
from tongzhou.secure.tasks import MatchTask, Mode
from tongzhou.wire.memory import run_parties
from tongzhou.wire.messages import Session

KINDS: list[tuple[Mode, str]] = [
    ("pair", "dh"),
    ("aided", "dh"),
    ("pair", "vole"),
    ("aided", "vole"),
    ("aided", "aided"),
    ("local", "dh"),
]
NAMES: dict[Role, str] = {"asker": "asker", "provider": "provider", "helper": "helper"}
ONE = MatchSettings(1, "run")


def match(mode: Mode, protocol: Any, asker: list[str], provider: list[str], minimum: int = 1) -> Any:
    return simulate(mode, MatchTask(MatchSettings(minimum, "run"), protocol), asker, provider)


@pytest.mark.parametrize(("mode", "protocol"), KINDS)
@settings(max_examples=12, deadline=None)
@given(st.lists(st.text(max_size=8), min_size=1, max_size=30, unique=True), st.data())
def test_both_learn_the_intersection_in_one_order(
    mode: Mode, protocol: str, asker: list[str], data: st.DataObject
) -> None:
    common = data.draw(st.lists(st.sampled_from(asker), min_size=1, unique=True))
    others = data.draw(st.lists(st.text(max_size=8), max_size=10, unique=True))
    provider = data.draw(st.permutations(list(dict.fromkeys(common + others))))
    outcome = match(mode, protocol, asker, provider)
    left = [asker[place] for place in outcome.asker]
    assert left == [provider[place] for place in outcome.provider]
    assert len(left) == len(set(left))
    assert set(left) == set(asker) & set(provider)


@pytest.mark.parametrize(("mode", "protocol"), [kind for kind in KINDS if kind[0] != "local"])
def test_the_order_says_nothing_about_either_list(mode: Mode, protocol: str) -> None:
    names = [f"c{place:03d}" for place in range(200)]
    first, second = (match(mode, protocol, names, names).asker for _ in range(2))
    for order in (first, second):
        assert sorted(order.tolist()) == list(range(200))
        # Correlation with the list's own order: 0.07 standard deviation for a random order.
        assert abs(np.corrcoef(order, np.arange(200))[0, 1]) < 0.4
    assert first.tolist() != second.tolist()


@pytest.mark.parametrize(("mode", "protocol"), KINDS)
@pytest.mark.parametrize(("common", "minimum"), [(0, 0), (0, 1), (3, 4)])
def test_too_few_common_identifiers_tell_no_place(
    mode: Mode, protocol: str, common: int, minimum: int
) -> None:
    asker = [f"a{n}" for n in range(5)] + [f"both{n}" for n in range(common)]
    provider = [f"p{n}" for n in range(4)] + [f"both{n}" for n in range(common)]
    expected = max(minimum, 1)
    with pytest.raises(DataError, match=f"fewer than {expected} identifiers are common, so no match is told"):
        match(mode, protocol, asker, provider, minimum)


@pytest.mark.parametrize("protocol", ["dh", "vole", "aided"])
@pytest.mark.parametrize("place", ["asker", "provider"])
@pytest.mark.parametrize(
    ("bad", "sentence"),
    [([], "the table is empty"), (["a", "b", "a"], "hold repeats; matching needs each identifier once")],
)
def test_own_lists_are_checked_first(protocol: str, place: str, bad: list[str], sentence: str) -> None:
    lists = {"asker": ["a", "b"], "provider": ["a", "b"]} | {place: bad}
    with pytest.raises(DataError, match=sentence):
        match("aided", protocol, lists["asker"], lists["provider"])


def test_a_list_beyond_the_bound_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match_rules, "MAX_IDENTIFIERS", 3)
    with pytest.raises(DataError, match="4 identifiers are too many for one match; at most 3"):
        match("pair", "dh", list("abcd"), list("abc"))


def test_progress_counts_every_multiplication() -> None:
    seen: list[tuple[int, int]] = []
    task = MatchTask(ONE, "dh", lambda done, total: seen.append((done, total)))
    simulate("pair", task, [f"{n}" for n in range(1500)], [f"{n}" for n in range(20)])
    assert {total for _, total in seen} == {1520}
    assert all(0 <= done < 1520 for done, _ in seen)
    assert max(done for done, _ in seen) >= 1500


def test_another_context_gives_other_points() -> None:
    points = {matching._to_point(context, name) for context in ("one", "two") for name in ("a", "b")}
    assert len(points) == 4
    # No context and name run into each other.
    assert matching._to_point("a/b", "c") != matching._to_point("a", "b/c")


def hostile(honest: Role, protocol: str, attack: Callable[[Session], None], own: list[str]) -> str:
    """Play one honest owner against an attack; returns the sentence that it stops with."""
    done = Event()
    caught: list[TongzhouError] = []

    def play(session: Session) -> None:
        party = Party(honest, session, NAMES)
        try:
            if protocol == "dh":
                match_dh(party, ONE, own, lambda done, total: None)
            else:
                match_aided(party, ONE, own)
        except TongzhouError as error:
            caught.append(error)
        finally:
            done.set()

    def attacking(session: Session) -> None:
        attack(session)
        done.wait(5)

    def idle(session: Session) -> None:
        done.wait(5)

    attacker = "helper" if protocol == "aided" else "provider" if honest == "asker" else "asker"
    parts = dict.fromkeys(NAMES.values(), idle) | {honest: play, attacker: attacking}
    run_parties(parts, timeout_s=5)
    assert [type(error) for error in caught] == [ProtocolError], caught
    return str(caught[0])


def points(*items: bytes) -> np.ndarray:
    return np.frombuffer(b"".join(items), dtype=np.uint8).reshape(len(items), -1)


def honest_points(count: int) -> np.ndarray:
    return points(*(matching._to_point("run", f"x{n}") for n in range(count)))


ZERO, ORDER_FOUR = bytes(32), b"\x01" + bytes(31)
ORDER_EIGHT = bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800")


@pytest.mark.parametrize("low", [ZERO, ORDER_FOUR, ORDER_EIGHT])
def test_points_of_low_order_are_refused(low: bytes) -> None:
    def attack(session: Session) -> None:
        link = session.links["asker"]
        link.send("match.size", 2)
        link.send("match.once", None, [points(honest_points(1).tobytes(), low)])

    sentence = hostile("asker", "dh", attack, ["a"])
    assert sentence == "point 1 of the peer's list is not in the group"


@pytest.mark.parametrize("size", [0, -1, 4_000_001])
def test_an_announced_size_beyond_the_bounds_is_refused(size: int) -> None:
    sentence = hostile("asker", "dh", lambda s: s.links["asker"].send("match.size", size), ["a"])
    assert sentence == f"provider announced {size} identifiers; from 1 to 4000000 are allowed"


def test_a_list_shorter_than_announced_is_refused() -> None:
    def attack(session: Session) -> None:
        session.links["asker"].send("match.size", 3)
        session.links["asker"].send("match.once", None, [honest_points(2)])

    assert "with array 0 of u1[2,32] where u1[3,32] was due" in hostile("asker", "dh", attack, ["a"])


def test_a_repeated_point_is_refused() -> None:
    def attack(session: Session) -> None:
        link = session.links["asker"]
        link.send("match.size", 2)
        link.send("match.once", None, [honest_points(1).repeat(2, axis=0)])
        link.send("match.twice", None, [honest_points(1)])

    assert "holds the same identifier twice" in hostile("asker", "dh", attack, ["a"])


@pytest.mark.parametrize("places", [[0, 0], [3], [-1], [2**62]])
def test_places_outside_the_own_list_are_refused_by_the_provider(places: list[int]) -> None:
    def attack(session: Session) -> None:
        link = session.links["provider"]
        link.send("match.size", 1)
        link.send("match.once", None, [honest_points(1)])
        link.send("match.places", True, [np.array(places, dtype=np.int64)])

    sentence = hostile("provider", "dh", attack, ["a", "b", "c"])
    assert sentence == "the matched places are not distinct places of the list that was sent"


@pytest.mark.parametrize("places", [[0, 0], [3], [-1]])
def test_places_outside_the_own_list_are_refused_from_the_helper(places: list[int]) -> None:
    def attack(session: Session) -> None:
        session.links["asker"].send("match.places", len(places), [np.array(places, dtype=np.int64)])

    sentence = hostile("asker", "aided", attack, ["a", "b", "c"])
    assert sentence == "the matched places are not distinct places of the list that was sent"


def test_the_helper_refuses_repeated_tags() -> None:
    def attack(session: Session) -> None:
        tags = [np.zeros(2, dtype=np.uint64), np.zeros(2, dtype=np.uint32)]
        session.links["helper"].send("match.tags", None, tags)

    def play(session: Session) -> None:
        match_aided(Party("helper", session, NAMES), ONE, None)

    with pytest.raises(ProtocolError, match="holds the same identifier twice"):
        run_parties({"asker": attack, "provider": attack, "helper": play}, timeout_s=5)


def test_a_key_of_another_length_is_refused() -> None:
    def attack(session: Session) -> None:
        session.links["provider"].send("match.key", b"k")

    def play(session: Session) -> None:
        match_aided(Party("provider", session, NAMES), ONE, ["a"])

    def idle(session: Session) -> None:
        """The helper has no part in it."""

    with pytest.raises(ProtocolError, match="asker sent a seed of 1 bytes; 32 are due"):
        run_parties({"asker": attack, "provider": play, "helper": idle}, timeout_s=5)


def on_curve(point: bytes) -> bool:
    """Whether u³ + 486662 u² + u is a square modulo 2^255 - 19: on the curve, not on its twist."""
    prime = 2**255 - 19
    u = int.from_bytes(point, "little")
    return pow(u * u * u + 486662 * u * u + u, (prime - 1) // 2, prime) == 1


def test_identifiers_map_to_the_curve_and_never_to_its_twist() -> None:
    assert all(on_curve(matching._to_point("run", f"client {n}")) for n in range(200))
    # Plain hashing would put about half of the points on the twist: this test can tell.
    hashed = [hashlib.sha256(bytes([n])).digest() for n in range(40)]
    assert not all(on_curve(point[:31] + b"\x00") for point in hashed)
