"""Common to all: the same places in every mode, and not a word about what only some owners share."""

from itertools import combinations
from threading import current_thread
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from match_worlds import LOW_ORDER, honest_points, rows, stopped
from secure_worlds import Received, Watch, chi_square

from tongzhou.errors import DataError, PlanError, ProtocolError
from tongzhou.secure import common_to_all
from tongzhou.secure.common_to_all import PartiesMatchTask
from tongzhou.secure.hidden_table import WORDS, read_table, slot_count
from tongzhou.secure.matching import MatchSettings
from tongzhou.secure.owner_tags import owner_values
from tongzhou.secure.party import provider_roles
from tongzhou.secure.simulate import simulate_parties
from tongzhou.secure.tasks import SUPPORT, Mode

MODES = SUPPORT["common to all"]
PROTECTED = [mode for mode in MODES if mode != "local"]
TASK = PartiesMatchTask(MatchSettings(1, "run"))


def names(*ranges: tuple[int, int]) -> list[str]:
    return [f"c{n}" for start, stop in ranges for n in range(start, stop)]


# Three owners; 20 are common to all. In the first world each two share 40 more, in the second no two do.
MANY = {
    "asker": names((0, 20), (100, 140), (200, 240)),
    "provider": names((0, 20), (100, 140), (300, 340)),
    "provider2": names((0, 20), (200, 240), (300, 340)),
}
NONE = {
    "asker": names((0, 20), (1000, 1080)),
    "provider": names((0, 20), (2000, 2080)),
    "provider2": names((0, 20), (3000, 3080)),
}


def matched(mode: Mode, lists: dict[str, list[str]], *, minimum: int = 1, watch: Watch | None = None) -> Any:
    inputs: dict[str, Any] = dict(lists)
    if mode == "aided":
        inputs["helper"] = None
    task = PartiesMatchTask(MatchSettings(minimum, "run"))
    return simulate_parties(mode, task, inputs, watch=watch)


# --- what comes out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("providers", [1, 2, 3])
@settings(max_examples=8, deadline=None)
@given(st.data())
def test_all_owners_get_the_same_identifiers_in_one_order(
    mode: Mode, providers: int, data: st.DataObject
) -> None:
    texts = st.text(max_size=5)
    common = data.draw(st.lists(texts, min_size=1, max_size=8, unique=True))
    lists = {}
    for role in ("asker", *provider_roles(providers)):
        others = data.draw(st.lists(texts, max_size=8, unique=True))
        lists[role] = data.draw(st.permutations(list(dict.fromkeys(common + others))))
    done = matched(mode, lists)
    found = {role: [lists[role][place] for place in done.results[role]] for role in lists}
    assert len({tuple(one) for one in found.values()}) == 1
    everybody = set.intersection(*map(set, lists.values()))
    assert sorted(found["asker"]) == sorted(everybody)
    assert all(done.results[role].dtype == np.int64 for role in lists)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lists", [MANY, NONE])
def test_what_some_share_does_not_count(mode: Mode, lists: Any) -> None:
    done = matched(mode, lists, minimum=20)
    assert {len(done.results[role]) for role in lists} == {20}
    with pytest.raises(DataError, match="fewer than 21 identifiers are common"):
        matched(mode, lists, minimum=21)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_in_common_is_below_any_minimum(mode: Mode) -> None:
    lists = {"asker": ["a", "b"], "provider": ["b", "c"], "provider2": ["c", "a"]}
    with pytest.raises(DataError, match="fewer than 1 identifiers are common"):
        matched(mode, lists, minimum=0)


@pytest.mark.parametrize("mode", PROTECTED)
def test_the_order_says_nothing_about_any_list(mode: Mode) -> None:
    same = {role: names((0, 150)) for role in ("asker", "provider", "provider2")}
    orders = [matched(mode, same).results["provider2"] for _ in range(2)]
    assert orders[0].tolist() != orders[1].tolist()
    for order in orders:
        assert sorted(order.tolist()) == list(range(150))
        assert abs(np.corrcoef(order, np.arange(150))[0, 1]) < 0.45


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("role", ["asker", "provider", "provider2"])
def test_own_lists_are_checked_first(mode: Mode, role: str) -> None:
    with pytest.raises(DataError, match="hold repeats; matching needs each identifier once"):
        matched(mode, MANY | {role: ["a", "a"]})


def test_nobody_matches_alone() -> None:
    with pytest.raises(PlanError, match="matching needs two owners or more"):
        TASK._gathered({"asker": ["a"]})


# --- what each party sees --------------------------------------------------------------------------------


def shape(sender: str, tag: str, *arrays: tuple[str, tuple[int, ...]]) -> Any:
    return (sender, tag, list(arrays))


def seen(watch: Watch, role: str) -> list[Any]:
    return sorted(message.shape for message in watch.views[role])


TABLE = ("<u8", (slot_count(100), WORDS))
COMMON = ("|u1", (20, 16))


@pytest.mark.parametrize("lists", [MANY, NONE])
def test_with_a_helper_each_sees_what_the_statement_says(lists: Any) -> None:
    watch = Watch()
    matched("aided", lists, watch=watch)
    assert seen(watch, "asker") == [shape("helper", "all.common", COMMON)]
    for role in ("provider", "provider2"):
        assert seen(watch, role) == [shape("asker", "all.key"), shape("helper", "all.common", COMMON)]
    assert seen(watch, "helper") == sorted(
        [
            shape("asker", "all.size"),
            shape("asker", "all.tags", ("|u1", (100, 32))),
            *(shape(role, "all.size") for role in ("provider", "provider2")),
            *(shape(role, "all.table", TABLE) for role in ("provider", "provider2")),
        ]
    )


@pytest.mark.parametrize("lists", [MANY, NONE])
def test_without_a_helper_each_sees_what_the_statement_says(lists: Any) -> None:
    watch = Watch()
    matched("pair", lists, watch=watch)
    expected = []
    for role in ("provider", "provider2"):
        expected += [
            shape(role, "all.size"),
            shape(role, "all.answer", ("|u1", (100, 32))),
            shape(role, "all.busy"),
            shape(role, "all.table", TABLE),
        ]
    assert seen(watch, "asker") == sorted(expected)
    for role in ("provider", "provider2"):
        key = [shape("provider", "all.key")] if role == "provider2" else []
        assert seen(watch, role) == sorted(
            [
                shape("asker", "all.size"),
                shape("asker", "all.blind", ("|u1", (100, 32))),
                shape("asker", "all.going"),
                shape("asker", "all.going"),
                shape("asker", "all.common", COMMON),
                *key,
            ]
        )


@pytest.mark.parametrize("mode", PROTECTED)
@pytest.mark.parametrize("lists", [MANY, NONE])
def test_below_the_minimum_no_name_is_told(mode: Mode, lists: Any) -> None:
    watch = Watch()
    with pytest.raises(DataError):
        matched(mode, lists, minimum=21, watch=watch)
    told = [m.arrays[0].shape for view in watch.views.values() for m in view if m.tag == "all.common"]
    assert told == [(0, 16)] * (3 if mode == "aided" else 2)


def helper_terms(view: list[Received]) -> dict[str, np.ndarray]:
    """What the helper can draw for each tag of the asker: the asker's share, and each table's word."""
    (tags,) = [m.arrays[0] for m in view if m.tag == "all.tags"]
    keys = np.ascontiguousarray(tags[:, :16]).view("<u8")
    terms = {"asker": np.ascontiguousarray(tags[:, 16:]).view("<u8")}
    for message in view:
        if message.tag == "all.table":
            terms[message.sender] = read_table(message.arrays[0], keys)
    return terms


def asker_terms(lists: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """What a curious asker can draw for each of its identifiers from each provider alone."""
    terms: list[np.ndarray] = []
    masks: list[np.ndarray] = []
    words = common_to_all._words

    def curious_words(values: Any, part: slice) -> np.ndarray:
        kept = list(values)
        found = words(kept, part)
        if current_thread().name == "party-asker" and part == common_to_all._MASK:
            masks.append(found)
        return found

    def curious_read(table: np.ndarray, keys: np.ndarray) -> np.ndarray:
        terms.append(read_table(table, keys))
        return terms[-1]

    monkeypatch.setattr(common_to_all, "_words", curious_words)
    monkeypatch.setattr(common_to_all, "read_table", curious_read)
    matched("pair", lists)
    providers = [role for role in lists if role != "asker"]
    return {role: term ^ mask for role, term, mask in zip(providers, terms, masks, strict=True)}


FOUR = {
    "asker": names((0, 20), (100, 180)),
    "provider": names((0, 20), (100, 140), (300, 340)),
    "provider2": names((0, 20), (120, 160), (300, 340)),
    "provider3": names((0, 20), (100, 180)),
}


def common_to(lists: dict[str, list[str]]) -> int:
    return len(set.intersection(*map(set, lists.values())))


def check_terms(terms: dict[str, np.ndarray], common: int) -> None:
    """All terms together cancel out for what all have; any fewer of them for nothing at all."""
    for count in range(1, len(terms) + 1):
        for some in combinations(terms, count):
            total = np.bitwise_xor.reduce([terms[role] for role in some])
            cancelled = int((~total.any(axis=1)).sum())
            assert cancelled == (common if count == len(terms) else 0), some
    # Any all but one of them are uniform words, each another one, whoever shares the identifiers.
    every = np.concatenate(list(terms.values())[1:])
    assert len(np.unique(every[:, 0])) == len(every)
    assert abs(chi_square(every.reshape(-1).view(np.uint8))) < 6


@pytest.mark.parametrize("lists", [MANY, NONE, FOUR])
def test_the_helper_cannot_count_what_fewer_than_all_share(lists: Any) -> None:
    """In `MANY` and `FOUR` any two share 60 or more; matching list by list would show it at once."""
    watch = Watch()
    matched("aided", lists, watch=watch)
    check_terms(helper_terms(watch.views["helper"]), common_to(lists))


@pytest.mark.parametrize("lists", [MANY, NONE, FOUR])
def test_the_asker_cannot_count_what_it_shares_with_fewer_than_all(
    lists: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = asker_terms(lists, monkeypatch)
    assert len(terms) == len(lists) - 1
    check_terms(terms, common_to(lists))


def test_the_check_of_terms_can_fail() -> None:
    """With a share that two owners have in common it finds what they share."""
    alike = np.arange(4, dtype=np.uint64).reshape(2, 2) + np.uint64(1)
    with pytest.raises(AssertionError):
        check_terms({"asker": alike, "provider": alike, "provider2": alike + np.uint64(9)}, 0)


@pytest.mark.parametrize("mode", PROTECTED)
def test_tables_tags_and_points_are_uniform(mode: Mode) -> None:
    watch = Watch()
    matched(mode, MANY, watch=watch)
    for role in watch.views:
        for message in watch.views[role]:
            for array in message.arrays:
                data = np.ascontiguousarray(array).view(np.uint8).reshape(len(array), -1)
                if message.tag in ("all.blind", "all.answer"):
                    data = data[:, :31]
                if data.size > 1280:
                    assert abs(chi_square(data.reshape(-1))) < 6, (role, message.tag)


@pytest.mark.parametrize("mode", PROTECTED)
def test_two_runs_cannot_be_linked(mode: Mode) -> None:
    runs = []
    for _ in range(2):
        watch = Watch()
        matched(mode, MANY, watch=watch)
        runs.append(
            {
                row.tobytes()
                for view in watch.views.values()
                for m in view
                for array in m.arrays
                for row in array
            }
        )
    assert not runs[0] & runs[1]


def test_the_helper_sees_the_askers_list_in_an_order_that_says_nothing() -> None:
    orders = []
    for _ in range(2):
        watch = Watch()
        matched("aided", MANY, watch=watch)
        (key,) = [m.value for m in watch.views["provider"] if m.tag == "all.key"]
        mine = [value[:16] for value in owner_values(key, "run", [name.encode() for name in MANY["asker"]])]
        (tags,) = [m.arrays[0] for m in watch.views["helper"] if m.tag == "all.tags"]
        orders.append([mine.index(row[:16].tobytes()) for row in tags])
    assert orders[0] != orders[1]
    assert all(abs(np.corrcoef(order, np.arange(100))[0, 1]) < 0.55 for order in orders)


def test_a_provider_does_not_learn_how_long_the_others_lists_are() -> None:
    watch = Watch()
    longer = MANY | {"provider2": MANY["provider2"] + names((5000, 5400))}
    matched("pair", longer, watch=watch)
    assert {m.value for m in watch.views["provider"] if m.tag == "all.size"} == {100}
    assert not [m for m in watch.views["provider"] if m.sender == "provider2"]


def test_it_costs_what_the_statement_says() -> None:
    table = 16 * slot_count(100)
    for mode, expected in (
        ("aided", 32 * 100 + 2 * table + 3 * 16 * 20),
        ("pair", 2 * 64 * 100 + 2 * table + 2 * 16 * 20),
    ):
        watch = Watch()
        done = matched(mode, MANY, watch=watch)
        assert sum(a.nbytes for view in watch.views.values() for m in view for a in m.arrays) == expected
        most = max(traffic.rounds for traffic in done.traffic["asker"].values())
        # In a pair one to tell the sizes, one for answers and tables, and a sign of life that counts.
        assert most == (1 if mode == "aided" else 3)


@pytest.mark.parametrize("mode", PROTECTED)
def test_what_was_learnt_is_recorded(mode: Mode) -> None:
    done = matched(mode, MANY)
    for role in MANY:
        (one,) = done.openings[role]
        assert (one.what, one.count) == ("which of the own identifiers all have", 20)
        assert one.receivers == ("asker", "provider", "provider2")
    if mode == "aided":
        (one,) = done.openings["helper"]
        assert (one.what, one.receivers) == ("number of identifiers that all have", ("helper",))


# --- hostile peers -----------------------------------------------------------------------------------------

EVERYBODY = ("asker", "provider", "provider2")


@pytest.mark.parametrize("low", LOW_ORDER)
def test_points_of_small_order_are_refused(low: bytes) -> None:
    def attack(session: Any) -> None:
        session.links["provider"].send("all.size", 1)
        session.links["provider"].send("all.blind", None, [rows(low)])

    error = stopped("pair", TASK, "provider", ["a"], {"asker": attack}, roles=EVERYBODY)
    assert str(error) == "point 0 of the peer's list is not in the group"


@pytest.mark.parametrize("size", [0, -2, 4_000_001])
@pytest.mark.parametrize("honest", ["asker", "provider2"])
def test_an_announced_size_beyond_the_bounds(size: int, honest: str) -> None:
    attacker = "provider" if honest == "asker" else "asker"
    attacks = {attacker: lambda s: s.links[honest].send("all.size", size)}
    error = stopped("pair", TASK, honest, ["a"], attacks, roles=EVERYBODY)
    assert str(error) == f"{attacker} announced {size} identifiers; from 1 to 4000000 are allowed"


@pytest.mark.parametrize("names_told", [[bytes(16)], [b"x" * 16]])
def test_names_that_are_not_in_the_list_are_refused(names_told: list[bytes]) -> None:
    attacks = {"helper": lambda s: s.links["asker"].send("all.common", None, [rows(*names_told)])}
    error = stopped("aided", TASK, "asker", ["a", "b"], attacks, roles=(*EVERYBODY, "helper"))
    assert str(error) == "helper named common identifiers that are not distinct or not known"


def test_a_name_told_twice_is_refused() -> None:
    def attack(session: Any) -> None:
        link = session.links["asker"]
        link.recv("all.size", int)
        _, (tags,) = link.recv("all.tags", None, [common_to_all.ArraySpec("|u1", (2, 32))])
        link.send("all.common", None, [np.ascontiguousarray(tags[[0, 0], :16])])

    error = stopped("aided", TASK, "asker", ["a", "b"], {"helper": attack}, roles=(*EVERYBODY, "helper"))
    assert str(error) == "helper named common identifiers that are not distinct or not known"


def test_a_table_of_another_size_is_refused() -> None:
    def asker(session: Any) -> None:
        session.links["helper"].send("all.size", 1)
        session.links["helper"].send("all.tags", None, [np.zeros((1, 32), dtype=np.uint8)])

    def provider(session: Any) -> None:
        session.links["helper"].send("all.size", 5)
        session.links["helper"].send("all.table", None, [np.zeros((7, 2), dtype=np.uint64)])

    attacks = {"asker": asker, "provider": provider}
    error = stopped("aided", TASK, "helper", None, attacks, roles=(*EVERYBODY, "helper"))
    assert isinstance(error, ProtocolError)
    assert f"with array 0 of <u8[7,2] where <u8[{slot_count(5)},2] was due" in str(error)


def test_the_helper_refuses_repeated_tags() -> None:
    def asker(session: Any) -> None:
        session.links["helper"].send("all.size", 2)
        session.links["helper"].send("all.tags", None, [np.zeros((2, 32), dtype=np.uint8)])

    error = stopped("aided", TASK, "helper", None, {"asker": asker}, roles=(*EVERYBODY, "helper"))
    assert str(error) == "the list of asker holds the same identifier twice"


@pytest.mark.parametrize("mode", PROTECTED)
def test_a_key_of_another_length_is_refused(mode: Mode) -> None:
    """With a helper the asker deals it, without one the provider before."""
    sender = "asker" if mode == "aided" else "provider"

    def attack(session: Any) -> None:
        link = session.links["provider2"]
        if session.me == "asker" and mode == "pair":
            link.send("all.size", 1)
            link.send("all.blind", None, [honest_points(1)])
        if session.me == sender:
            link.send("all.key", b"short")

    attacks = {"asker": attack, "provider": attack}
    roles = (*EVERYBODY, "helper") if mode == "aided" else EVERYBODY
    error = stopped(mode, TASK, "provider2", ["a"], attacks, roles=roles)
    assert str(error) == f"{sender} sent a seed of 5 bytes; 32 are due"
