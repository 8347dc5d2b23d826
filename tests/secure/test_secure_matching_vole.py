"""Matching by VOLE: right at sizes that take other ways, silent about all but the result, hard to upset."""

from collections.abc import Callable
from threading import Event
from typing import Any

import numpy as np
import pytest
from secure_worlds import Watch, chi_square

from tongzhou.errors import DataError, ProtocolError, TongzhouError
from tongzhou.secure import matching_vole
from tongzhou.secure.match_rules import MatchSettings
from tongzhou.secure.matching_vole import match_vole
from tongzhou.secure.okvs import Store, table_size
from tongzhou.secure.ot_extension import OtReceiver, OtSender
from tongzhou.secure.party import Party
from tongzhou.secure.simulate import Outcome, simulate
from tongzhou.secure.tasks import MatchTask
from tongzhou.secure.vole import VoleReceiver, VoleSender
from tongzhou.wire.memory import run_parties
from tongzhou.wire.messages import ArraySpec, Session

NAMES = {"asker": "asker", "provider": "provider"}
ONE = MatchSettings(1, "run")


def match(
    asker: list[str], provider: list[str], minimum: int = 1, watch: Watch | None = None, context: str = "run"
) -> Outcome[Any]:
    task = MatchTask(MatchSettings(minimum, context), "vole")
    return simulate("pair", task, asker, provider, watch=watch)


def people(first: int, last: int) -> list[str]:
    return [f"client {number}" for number in range(first, last)]


@pytest.mark.parametrize(
    ("asker", "provider", "common"),
    [(1, 1, 1), (1, 3000, 1), (3000, 1, 1), (40, 9, 3), (7000, 5000, 2500), (2500, 20_000, 2500)],
)
def test_the_intersection_at_unlike_sizes(asker: int, provider: int, common: int) -> None:
    left, right = people(0, asker), people(asker - common, asker - common + provider)
    outcome = match(left, right)
    ours = [left[place] for place in outcome.asker]
    assert ours == [right[place] for place in outcome.provider]
    assert sorted(ours) == sorted(left[asker - common :])


def test_a_table_that_cannot_be_filled_gets_another_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    fill, calls, watch = Store.fill, [], Watch()

    def failing(store: Store, keys: Any) -> Any:
        calls.append(keys.places.copy())
        return None if len(calls) < 3 else fill(store, keys)

    monkeypatch.setattr(Store, "fill", failing)
    outcome = match(people(0, 50), people(20, 90), watch=watch)
    assert len(outcome.asker) == 30
    assert [m.value for m in watch.views["provider"] if m.tag == "match.table"] == [2]
    assert not np.array_equal(calls[0], calls[1])
    assert not np.array_equal(calls[1], calls[2])


def test_a_table_that_is_never_filled_stops_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Store, "fill", lambda store, keys: None)
    with pytest.raises(ProtocolError, match="no table holds these identifiers after 8 attempts"):
        match(["a"], ["a"])


# What each side learns.

ASKER_HEARS = {"match.hello", "ot.base.points", "ot.hash", "vole.keys", "match.tags"}
PROVIDER_HEARS = {"match.hello", "ot.base.public", "ot.rows", "match.table", "match.places"}
SILENT = {"asker": {"ot.messages", "vole.holes"}, "provider": {"ot.columns"}}


@pytest.mark.parametrize("size", [300, 9000])
def test_nothing_but_the_stated_messages_arrives(size: int) -> None:
    watch = Watch()
    match(people(0, size), people(size // 2, size // 2 + size), watch=watch)
    silent = size > 4096
    asker = ASKER_HEARS | (SILENT["asker"] if silent else set())
    provider = PROVIDER_HEARS | (SILENT["provider"] if silent else set())
    assert watch.tags("asker") == {("provider", tag) for tag in asker}
    assert watch.tags("provider") == {("asker", tag) for tag in provider}


def test_everything_that_arrives_is_uniform() -> None:
    """Lists that are equal, so that every tag meets its like; and lists with nothing in common but one."""
    for shift in (0, 8999):
        watch = Watch()
        match(people(0, 9000), people(shift, shift + 9000), watch=watch)
        kinds = [("provider", tag) for tag in ("ot.rows", "ot.columns", "match.table")]
        kinds += [("asker", tag) for tag in ("ot.messages", "vole.holes")]
        for role, tag in kinds:
            assert abs(chi_square(watch.words(role, tag))) < 6, tag
        (tags,) = [m.arrays for m in watch.views["asker"] if m.tag == "match.tags"]
        # Rising heads: their low bytes and the tails are uniform, their high bytes are evenly spread.
        low = tags[0].view(np.uint8).reshape(-1, 8)[:, :6]
        assert abs(chi_square(low.reshape(-1))) < 6
        assert abs(chi_square(tags[1].view(np.uint8))) < 6
        assert (np.diff(tags[0].astype(object)) > 0).all()
        assert abs(tags[0].astype(float).mean() / 2**63 - 1) < 0.05


def test_tags_of_two_runs_cannot_be_linked() -> None:
    """The same lists and the same context twice: no tag and no word of the table recurs."""
    seen: list[set[int]] = []
    for _ in range(2):
        watch = Watch()
        match(people(0, 200), people(0, 200), watch=watch)
        words = watch.words("asker", "match.tags").tobytes(), watch.words("provider", "match.table").tobytes()
        (tags,) = [m.arrays[0] for m in watch.views["asker"] if m.tag == "match.tags"]
        (table,) = [m.arrays[0] for m in watch.views["provider"] if m.tag == "match.table"]
        assert words[0] and words[1]
        seen.append(set(tags.tolist()) | set(table.tolist()))
    assert not seen[0] & seen[1]


def test_shapes_depend_on_sizes_and_the_result_alone() -> None:
    views = []
    for prefix in ("a", "other people "):
        watch = Watch()
        left, right = ([prefix + name for name in people(*ends)] for ends in ((0, 60), (40, 90)))
        match(left, right, watch=watch)
        views.append([[m.shape for m in watch.views[role]] for role in ("asker", "provider")])
    assert views[0] == views[1]


def test_below_the_minimum_the_provider_learns_no_number() -> None:
    watch = Watch()
    with pytest.raises(DataError, match="fewer than 30 identifiers"):
        match(people(0, 60), people(40, 90), minimum=30, watch=watch)
    (last,) = [m for m in watch.views["provider"] if m.tag == "match.places"]
    assert (last.value, last.arrays[0].shape) == (False, (0,))


def test_the_opening_is_recorded_by_both() -> None:
    outcome = match(people(0, 20), people(10, 30))
    for role in ("asker", "provider"):
        (opening,) = outcome.openings[role]
        assert (opening.count, opening.receivers) == (10, ("asker", "provider"))


# Peers that do not follow the protocol.


def hostile(honest: str, own: list[str], attack: Callable[[Session], None]) -> str:
    """The sentence with which an honest owner stops against an attack."""
    done, caught = Event(), []

    def play(session: Session) -> None:
        try:
            match_vole(Party(honest, session, NAMES), ONE, own)
        except TongzhouError as error:
            caught.append(error)
        finally:
            done.set()

    def attacking(session: Session) -> None:
        attack(session)
        done.wait(10)

    other = "provider" if honest == "asker" else "asker"
    run_parties({honest: play, other: attacking}, timeout_s=10)
    assert [type(error) for error in caught] == [ProtocolError], caught
    return str(caught[0])


def hello(size: int) -> matching_vole._Hello:
    return matching_vole._Hello(size, bytes(32))


@pytest.mark.parametrize("size", [0, 4_000_001])
@pytest.mark.parametrize("honest", ["asker", "provider"])
def test_an_announced_size_beyond_the_bounds_is_refused(honest: str, size: int) -> None:
    said = hostile(honest, ["a"], lambda session: session.links[honest].send("match.hello", hello(size)))
    assert f"announced {size} identifiers; from 1 to 4000000 are allowed" in said


@pytest.mark.parametrize("value", [{"size": -1, "nonce": bytes(32)}, {"size": 1, "nonce": bytes(31)}, 7])
def test_a_hello_of_another_form_is_refused(value: Any) -> None:
    said = hostile("asker", ["a"], lambda session: session.links["asker"].send("match.hello", value))
    assert "match.hello" in said


@pytest.mark.parametrize("attempt", [-1, 8])
def test_the_provider_refuses_attempts_beyond_the_bound(attempt: int) -> None:
    def attack(session: Session) -> None:
        link = session.links["provider"]
        link.send("match.hello", hello(1))
        link.recv("match.hello", matching_vole._Hello)
        masks, _ = VoleReceiver(OtReceiver(link)).extend(table_size(1))
        link.send("match.table", attempt, [masks])

    assert hostile("provider", ["a"], attack) == f"asker took {attempt} attempts; at most 8 are allowed"


def test_the_provider_refuses_a_table_of_another_size() -> None:
    def attack(session: Session) -> None:
        link = session.links["provider"]
        link.send("match.hello", hello(1))
        link.recv("match.hello", matching_vole._Hello)
        VoleReceiver(OtReceiver(link)).extend(table_size(1))
        link.send("match.table", 0, [np.zeros(5, dtype=np.uint64)])

    assert "match.table with array 0 of <u8[5]" in hostile("provider", ["a"], attack)


@pytest.mark.parametrize("places", [[0, 0], [3], [-1]])
def test_the_provider_refuses_places_outside_its_list(places: list[int]) -> None:
    def attack(session: Session) -> None:
        link = session.links["provider"]
        link.send("match.hello", hello(1))
        link.recv("match.hello", matching_vole._Hello)
        masks, _ = VoleReceiver(OtReceiver(link)).extend(table_size(1))
        link.send("match.table", 0, [masks])
        link.recv("match.tags", None, [ArraySpec("<u8", (3,)), ArraySpec("<u2", (3,))])
        link.send("match.places", True, [np.array(places, dtype=np.int64)])

    said = hostile("provider", ["a", "b", "c"], attack)
    assert said == "the matched places are not distinct places of the list that was sent"


@pytest.mark.parametrize(
    ("heads", "sentence"),
    [
        ([5, 5], "holds the same identifier twice"),
        ([6, 5], "is not in the order of its tags"),
        ([1, 2, 3], "match.tags with array 0 of <u8[3] where <u8[2] was due"),
    ],
)
def test_the_asker_refuses_tags_out_of_order_or_number(heads: list[int], sentence: str) -> None:
    def attack(session: Session) -> None:
        link = session.links["asker"]
        link.send("match.hello", hello(2))
        link.recv("match.hello", matching_vole._Hello)
        size = table_size(1)
        VoleSender(OtSender(link)).extend(size)
        link.recv("match.table", int, [ArraySpec("<u8", (size,))])
        tails = np.zeros(len(heads), dtype=np.uint16)
        link.send("match.tags", None, [np.array(heads, dtype=np.uint64), tails])

    assert sentence in hostile("asker", ["a"], attack)
