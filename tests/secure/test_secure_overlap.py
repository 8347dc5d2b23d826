"""Counting: the same number in every mode, floors and rounding, what each party sees, hostile peers."""

from collections import Counter
from threading import current_thread
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from match_worlds import LOW_ORDER, honest_points, rows, stopped
from secure_worlds import Watch, chi_square
from test_secure_matching import on_curve

from tongzhou.errors import DataError, PlanError, ProtocolError
from tongzhou.secure import overlap as module
from tongzhou.secure.overlap import Overlap, SizeSettings, SizeTask, rounded
from tongzhou.secure.points import multiple, undoing
from tongzhou.secure.simulate import simulate
from tongzhou.secure.tasks import SUPPORT, Mode

MODES = SUPPORT["size"]
LEFT, RIGHT = [f"c{n}" for n in range(60)], [f"c{n}" for n in range(40, 90)]
OPEN = SizeSettings("run", receivers="both")
FLOORED = SizeSettings("run", floor=10, multiple=8, receivers="both")


def counted(mode: Mode, told: SizeSettings, watch: Watch | None = None, left: Any = None) -> Any:
    return simulate(mode, SizeTask(told), left or LEFT, RIGHT, watch=watch)


# --- what comes out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.text(max_size=6), min_size=1, max_size=25, unique=True),
    st.lists(st.text(max_size=6), min_size=1, max_size=25, unique=True),
    st.integers(0, 6),
    st.integers(1, 5),
)
def test_every_mode_tells_the_number_as_agreed(
    mode: Mode, asker: list[str], provider: list[str], floor: int, multiple: int
) -> None:
    told = SizeSettings("run", floor, multiple, "both")
    outcome = simulate(mode, SizeTask(told), asker, provider)
    count = len(set(asker) & set(provider))
    assert outcome.asker == outcome.provider
    assert outcome.asker == Overlap(None if count < floor else count - count % multiple)


@pytest.mark.parametrize("mode", MODES)
def test_only_the_asker_is_told(mode: Mode) -> None:
    outcome = counted(mode, SizeSettings("run"))
    assert (outcome.asker, outcome.provider) == (Overlap(20), None)


@pytest.mark.parametrize(
    ("count", "size"), [(0, None), (9, None), (10, 8), (15, 8), (16, 16), (23, 16), (24, 24)]
)
def test_a_number_is_rounded_down_and_a_floor_counts_exactly(count: int, size: int | None) -> None:
    assert rounded(FLOORED, count) == Overlap(size)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("floor", "multiple"), [(-1, 1), (0, 0), (5, -2)])
def test_settings_without_a_meaning(mode: Mode, floor: int, multiple: int) -> None:
    with pytest.raises(PlanError, match="a floor is 0 or more and a multiple 1 or more, got"):
        counted(mode, SizeSettings("run", floor, multiple, "both"))


@pytest.mark.parametrize(("floor", "multiple"), [(2, 1), (0, 5)])
def test_a_pair_never_lets_the_asker_compare_where_something_is_to_be_hidden(
    floor: int, multiple: int
) -> None:
    with pytest.raises(PlanError, match="in mode pair the provider compares where a floor or a rounding is"):
        counted("pair", SizeSettings("run", floor, multiple))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("left", "sentence"), [([], "the table is empty"), (["a", "a"], "hold repeats")])
def test_own_lists_are_checked_first(mode: Mode, left: list[str], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        simulate(mode, SizeTask(OPEN), left, RIGHT)
    with pytest.raises(DataError, match=sentence):
        simulate(mode, SizeTask(OPEN), RIGHT, left)


# --- what each party sees --------------------------------------------------------------------------------


def test_without_a_floor_the_asker_compares_and_the_provider_sees_points_alone() -> None:
    watch = Watch()
    counted("pair", SizeSettings("run"), watch)
    assert [m.shape for m in watch.views["asker"]] == [
        ("provider", "size.size", []),
        ("provider", "size.once", [("|u1", (50, 32))]),
        ("provider", "size.twice", [("|u1", (60, 32))]),
    ]
    assert [m.shape for m in watch.views["provider"]] == [
        ("asker", "size.size", []),
        ("asker", "size.once", [("|u1", (60, 32))]),
        ("asker", "size.going", []),
    ]


@pytest.mark.parametrize("floor", [10, 21])
def test_with_a_floor_the_asker_sees_nothing_that_it_could_count_with(floor: int) -> None:
    """Neither its own points nor the provider's come back to it raised by both."""
    watch = Watch()
    outcome = counted("pair", SizeSettings("run", floor, 1, "both"), watch)
    assert [m.shape for m in watch.views["asker"]] == [
        ("provider", "size.size", []),
        ("provider", "size.once", [("|u1", (50, 32))]),
        ("provider", "size.going", []),
        ("provider", "size.told", []),
    ]
    assert watch.views["asker"][-1].value == Overlap(None if floor == 21 else 20) == outcome.asker
    assert watch.tags("provider") == {("asker", f"size.{tag}") for tag in ("size", "once", "twice")}


def test_below_the_floor_every_number_looks_the_same() -> None:
    views = []
    for common in (0, 1, 9):
        watch = Watch()
        left = [f"c{n}" for n in range(40, 40 + common)] + [f"a{n}" for n in range(60 - common)]
        counted("pair", FLOORED, watch, left)
        views.append([(m.shape, m.value if not m.arrays else None) for m in watch.views["asker"]])
    assert views[0] == views[1] == views[2]


@pytest.mark.parametrize("told", [OPEN, FLOORED])
def test_what_comes_back_is_in_an_order_that_says_nothing(
    told: SizeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever compares knows where it put each identifier; of what comes back, any place may be any of them.

    The scalar of whoever raised is caught, so that the test can undo the multiplication and see the order.
    """
    scalars: dict[str, bytes] = {}

    def caught() -> bytes:
        name = current_thread().name.removeprefix("party-")
        scalars[name] = scalar()
        return scalars[name]

    scalar = module.fresh_scalar
    monkeypatch.setattr(module, "fresh_scalar", caught)
    comparer, other = ("asker", "provider") if told.exact else ("provider", "asker")
    names, firsts, runs = [f"c{n}" for n in range(6)], Counter(), 240
    for _ in range(runs):
        watch = Watch()
        simulate("pair", SizeTask(told), names, names, watch=watch)
        (sent,) = [m.arrays[0] for m in watch.views[other] if m.tag == "size.once"]
        (back,) = [m.arrays[0] for m in watch.views[comparer] if m.tag == "size.twice"]
        undone = multiple(undoing(scalars[other]), back[0].tobytes(), 0)
        firsts[[row.tobytes() for row in sent].index(undone)] += 1
    # Five degrees of freedom: above 40 by chance once in ten millions.
    assert sum((firsts[place] - runs / 6) ** 2 / (runs / 6) for place in range(6)) < 40


def test_points_are_on_the_curve_uniform_and_never_the_same_in_two_runs() -> None:
    seen: list[bytes] = []
    for _ in range(2):
        watch = Watch()
        counted("pair", OPEN, watch)
        seen += [
            row.tobytes() for role in watch.views for m in watch.views[role] for a in m.arrays for row in a
        ]
    assert len(set(seen)) == len(seen) == 2 * (60 + 50 + 60)
    assert all(on_curve(point) for point in seen)
    assert abs(chi_square(np.frombuffer(b"".join(point[:31] for point in seen), dtype=np.uint8))) < 6


@pytest.mark.parametrize("receivers", ["asker", "both"])
def test_with_a_helper_owners_see_the_answer_alone(receivers: Any) -> None:
    watch = Watch()
    counted("aided", SizeSettings("run", 10, 8, receivers), watch)
    assert [m.shape for m in watch.views["asker"]] == [("helper", "size.told", [])]
    told = [("helper", "size.told", [])] if receivers == "both" else []
    assert [m.shape for m in watch.views["provider"]] == [("asker", "size.key", []), *told]
    assert [m.shape for m in watch.views["helper"]] == [
        ("asker", "size.size", []),
        ("asker", "size.tags", [("|u1", (60, 16))]),
        ("provider", "size.size", []),
        ("provider", "size.tags", [("|u1", (50, 16))]),
    ]


def test_the_helper_cannot_read_or_link_tags() -> None:
    tags = []
    for _ in range(3):
        watch = Watch()
        counted("aided", OPEN, watch)
        tags.append({row.tobytes() for m in watch.views["helper"] for a in m.arrays for row in a})
    assert [len(one) for one in tags] == [90, 90, 90]
    assert not tags[0] & tags[1]
    every = b"".join(tag for one in tags for tag in one)
    assert abs(chi_square(np.frombuffer(every, dtype=np.uint8))) < 6


@pytest.mark.parametrize(("mode", "nbytes"), [("pair", 64 * 60 + 32 * 50), ("aided", 16 * 110)])
def test_it_costs_what_the_statement_says(mode: Mode, nbytes: int) -> None:
    watch = Watch()
    outcome = counted(mode, SizeSettings("run"), watch)
    assert sum(a.nbytes for view in watch.views.values() for m in view for a in m.arrays) == nbytes
    most = max(traffic.rounds for traffic in outcome.traffic["asker"].values())
    # One to tell the sizes, one of the two that the statement names (the other owner makes the second), and a
    # sign of life that counts as speaking.
    assert most == (3 if mode == "pair" else 1)


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "local"])
def test_who_learns_the_number_is_recorded(mode: Mode) -> None:
    outcome = counted(mode, FLOORED)
    knows = {"pair": "provider", "aided": "helper"}[mode]
    exact = [(one.what, one.receivers) for one in outcome.openings[knows] if one.reason == "counting"]
    assert exact == [("number of common identifiers", (knows,))]
    for role, openings in outcome.openings.items():
        told = [one.receivers for one in openings if one.reason == "counting as agreed"]
        assert told == [("asker", "provider")], role


# --- hostile peers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, -1, 4_000_001])
def test_an_announced_size_beyond_the_bounds(size: int) -> None:
    error = stopped(
        "pair",
        SizeTask(OPEN),
        "asker",
        ["a"],
        {"provider": lambda s: s.links["asker"].send("size.size", size)},
    )
    assert str(error) == f"provider announced {size} identifiers; from 1 to 4000000 are allowed"


@pytest.mark.parametrize("low", LOW_ORDER)
def test_points_of_small_order(low: bytes) -> None:
    def attack(session: Any) -> None:
        session.links["asker"].send("size.size", 1)
        session.links["asker"].send("size.once", None, [rows(low)])
        session.links["asker"].send("size.twice", None, [honest_points(1)])

    error = stopped("pair", SizeTask(OPEN), "asker", ["a"], {"provider": attack})
    assert str(error) == "point 0 of the peer's list is not in the group"


@pytest.mark.parametrize("tag", ["size.once", "size.twice"])
def test_repeated_points(tag: str) -> None:
    twice, two = honest_points(1).repeat(2, axis=0), honest_points(2)

    def attack(session: Any) -> None:
        link = session.links["asker"]
        link.send("size.size", 2)
        link.send("size.once", None, [twice if tag == "size.once" else two])
        link.send("size.twice", None, [twice])

    error = stopped("pair", SizeTask(OPEN), "asker", ["a", "b"], {"provider": attack})
    assert str(error) == "the list of provider holds the same identifier twice"


@pytest.mark.parametrize("size", [-8, 1, 10, 56, 64])
def test_a_number_that_cannot_be(size: int) -> None:
    """Negative, no multiple, or more than the own list has."""

    def attack(session: Any) -> None:
        link = session.links["provider"]
        link.send("size.told", Overlap(size))

    def owner(session: Any) -> None:
        session.links["provider"].send("size.key", bytes(32))

    error = stopped("aided", SizeTask(FLOORED), "provider", RIGHT, {"helper": attack, "asker": owner})
    assert str(error) == "helper told a number of common identifiers that cannot be"


def test_a_number_below_the_floor_cannot_be_told() -> None:
    told = SizeSettings("run", 30, 8, "both")
    attacks = {
        "helper": lambda s: s.links["provider"].send("size.told", Overlap(16)),
        "asker": lambda s: s.links["provider"].send("size.key", bytes(32)),
    }
    error = stopped("aided", SizeTask(told), "provider", RIGHT, attacks)
    assert isinstance(error, ProtocolError)
    assert "cannot be" in str(error)


def test_the_helper_refuses_repeated_tags() -> None:
    def attack(session: Any) -> None:
        session.links["helper"].send("size.size", 2)
        session.links["helper"].send("size.tags", None, [np.zeros((2, 16), dtype=np.uint8)])

    error = stopped("aided", SizeTask(OPEN), "helper", None, {"asker": attack, "provider": attack})
    assert str(error) == "the list of asker holds the same identifier twice"
