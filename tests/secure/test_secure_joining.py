"""Joining: granted columns of common rows in every mode, seals around all others, hostile peers."""

from typing import Any

import numpy as np
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st
from match_worlds import LOW_ORDER, rows, stopped
from secure_worlds import Watch, chi_square

from tongzhou.errors import DataError, PlanError, ProtocolError
from tongzhou.secure import joining
from tongzhou.secure.blind_prf import BlindKey, evaluate
from tongzhou.secure.joining import JoinInput, JoinSettings, JoinTask
from tongzhou.secure.owner_tags import owner_values
from tongzhou.secure.payload import Column
from tongzhou.secure.simulate import simulate
from tongzhou.secure.tasks import SUPPORT, Mode

MODES = SUPPORT["join"]
PROTECTED = [mode for mode in MODES if mode != "local"]
COLUMNS = (Column("limit"), Column("city", 9))
ASKER = [f"c{n}" for n in range(30)]
PROVIDER = [f"c{n}" for n in range(20, 70)]
TABLE = {"limit": np.arange(50) * 1.5, "city": [f"city {n}" if n % 5 else None for n in range(50)]}
TASK = JoinTask(JoinSettings("run", 3, COLUMNS))


def joined(mode: Mode, task: JoinTask = TASK, watch: Watch | None = None, table: Any = TABLE) -> Any:
    return simulate(mode, task, JoinInput(ASKER), JoinInput(PROVIDER, table), watch=watch)


# --- what comes out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=12, deadline=None)
@given(st.lists(st.text(max_size=6), min_size=1, max_size=15, unique=True), st.data())
def test_the_asker_learns_the_rows_of_common_identifiers(
    mode: Mode, asker: list[str], data: st.DataObject
) -> None:
    common = data.draw(st.lists(st.sampled_from(asker), min_size=1, unique=True))
    others = data.draw(st.lists(st.text(max_size=6), max_size=8, unique=True))
    provider = data.draw(st.permutations(list(dict.fromkeys(common + others))))
    table = {"limit": np.arange(len(provider)) / 3, "city": [name[:2] or None for name in provider]}
    task = JoinTask(JoinSettings("run", 1, COLUMNS))
    outcome = simulate(mode, task, JoinInput(asker), JoinInput(provider, table))
    assert outcome.provider is None
    found = outcome.asker
    assert [asker[place] for place in found.places] == [name for name in asker if name in provider]
    where = [provider.index(asker[place]) for place in found.places]
    assert found.columns["limit"].tolist() == table["limit"][where].tolist()
    assert found.columns["city"] == [table["city"][place] for place in where]
    assert found.places.dtype == np.int64 and found.columns["limit"].dtype == np.float64


@pytest.mark.parametrize("mode", MODES)
def test_a_column_that_was_not_granted_stays(mode: Mode) -> None:
    task = JoinTask(JoinSettings("run", 3, COLUMNS[:1]))
    assert list(joined(mode, task).asker.columns) == ["limit"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("minimum", [11, 100])
def test_below_the_minimum_both_get_the_sentence(mode: Mode, minimum: int) -> None:
    with pytest.raises(DataError, match=f"fewer than {minimum} identifiers are common"):
        joined(mode, JoinTask(JoinSettings("run", minimum, COLUMNS)))


@pytest.mark.parametrize("mode", MODES)
def test_no_common_identifier_is_below_any_minimum(mode: Mode) -> None:
    task = JoinTask(JoinSettings("run", 0, COLUMNS))
    with pytest.raises(DataError, match="fewer than 1 identifiers are common"):
        simulate(mode, task, JoinInput(["nobody"]), JoinInput(PROVIDER, TABLE))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("asker", "provider", "table", "sentence"),
    [
        ([], PROVIDER, TABLE, "the table is empty"),
        (ASKER, ["a", "a"], TABLE, "hold repeats"),
        (ASKER, PROVIDER, {"limit": TABLE["limit"]}, "the table has no column city"),
        (ASKER, PROVIDER, None, "the table has no column limit"),
        (ASKER, PROVIDER[:-1], TABLE, "column limit has 50 values for 49 identifiers"),
    ],
)
def test_own_input_is_checked_first(
    mode: Mode, asker: list[str], provider: list[str], table: Any, sentence: str
) -> None:
    with pytest.raises(DataError, match=sentence):
        simulate(mode, TASK, JoinInput(asker), JoinInput(provider, table))


@pytest.mark.parametrize("mode", MODES)
def test_columns_are_checked_first(mode: Mode) -> None:
    with pytest.raises(PlanError, match="columns to learn must be at least one"):
        joined(mode, JoinTask(JoinSettings("run", 1, ())))


# --- what each party sees --------------------------------------------------------------------------------

SEALED = 8 + 10 + 16


def test_a_pair_sees_what_the_statement_says() -> None:
    watch = Watch()
    joined("pair", watch=watch)
    assert [m.shape for m in watch.views["asker"]] == [
        ("provider", "join.size", []),
        ("provider", "join.answer", [("|u1", (30, 32))]),
        ("provider", "join.tags", [("|u1", (50, 16))]),
        ("provider", "join.rows", [("|u1", (50, SEALED))]),
    ]
    assert [m.shape for m in watch.views["provider"]] == [
        ("asker", "join.size", []),
        ("asker", "join.blind", [("|u1", (30, 32))]),
        ("asker", "join.going", []),
        ("asker", "join.enough", []),
    ]
    assert watch.views["provider"][-1].value is True


def test_three_parties_see_what_the_statement_says() -> None:
    watch = Watch()
    joined("aided", watch=watch)
    assert [m.shape for m in watch.views["asker"]] == [
        ("helper", "join.places", [("<i8", (10,))]),
        ("helper", "join.rows", [("|u1", (10, SEALED))]),
    ]
    assert [m.shape for m in watch.views["provider"]] == [
        ("asker", "join.key", []),
        ("helper", "join.enough", []),
    ]
    assert [m.shape for m in watch.views["helper"]] == [
        ("asker", "join.size", []),
        ("asker", "join.tags", [("|u1", (30, 16))]),
        ("provider", "join.size", []),
        ("provider", "join.tags", [("|u1", (50, 16))]),
        ("provider", "join.rows", [("|u1", (50, SEALED))]),
    ]


@pytest.mark.parametrize("mode", PROTECTED)
def test_below_the_minimum_no_row_travels_to_the_asker(mode: Mode) -> None:
    watch = Watch()
    with pytest.raises(DataError):
        joined(mode, JoinTask(JoinSettings("run", 11, COLUMNS)), watch)
    tags = {tag for _, tag in watch.tags("asker")}
    if mode == "pair":
        assert "join.rows" not in tags
    else:
        assert [m.shape for m in watch.views["asker"]] == [("helper", "join.places", [("<i8", (0,))])]


@pytest.mark.parametrize("mode", PROTECTED)
def test_rows_that_are_all_the_same_leave_no_trace(mode: Mode) -> None:
    """Sealed rows and tags are uniform at whoever carries them, whatever is inside."""
    watch = Watch()
    table = {"limit": np.zeros(50), "city": [""] * 50}
    for _ in range(6):
        joined(mode, watch=watch, table=table)
    role = "helper" if mode == "aided" else "asker"
    for tag in ("join.tags", "join.rows"):
        assert abs(chi_square(watch.words(role, tag))) < 6, tag
    sealed = [row.tobytes() for m in watch.views[role] if m.tag == "join.rows" for row in m.arrays[0]]
    assert len(set(sealed)) == len(sealed) == 300


def test_an_asker_that_tries_all_its_keys_on_all_rows_opens_the_common_ones_alone() -> None:
    key, watch = BlindKey(), Watch()
    patched = pytest.MonkeyPatch()
    patched.setattr(joining, "BlindKey", lambda: key)
    try:
        joined("pair", watch=watch)
    finally:
        patched.undo()
    values = list(evaluate(key, "run", [name.encode() for name in ASKER]))
    (sealed,) = [m.arrays[0] for m in watch.views["asker"] if m.tag == "join.rows"]
    opened = set()
    for n, value in enumerate(values):
        for row in sealed:
            try:
                AESGCM(value[16:48]).decrypt(bytes(12), row.tobytes(), None)
            except InvalidTag:
                continue
            opened.add(ASKER[n])
    assert opened == set(ASKER) & set(PROVIDER)


def test_the_provider_cannot_tell_which_of_its_own_are_common() -> None:
    """Its view is the same for other identifiers, but for points that are fresh."""
    views = []
    for asker in (ASKER, [f"x{n}" for n in range(20)] + PROVIDER[-10:]):
        watch = Watch()
        simulate("pair", TASK, JoinInput(asker), JoinInput(PROVIDER, TABLE), watch=watch)
        views.append(watch.views["provider"])
    assert [m.shape for m in views[0]] == [m.shape for m in views[1]]
    told = [[m.value for m in view if not m.arrays] for view in views]
    assert told[0] == told[1]
    points = [{row.tobytes() for m in view for a in m.arrays for row in a} for view in views]
    assert not points[0] & points[1]


@pytest.mark.parametrize("mode", PROTECTED)
def test_rows_come_in_an_order_that_says_nothing(mode: Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider's place of each tag that it sends, found with the key: another order each time."""
    key = BlindKey()
    monkeypatch.setattr(joining, "BlindKey", lambda: key)
    texts, orders = [name.encode() for name in PROVIDER], []
    for _ in range(2):
        watch = Watch()
        joined(mode, watch=watch)
        if mode == "pair":
            values = list(evaluate(key, "run", texts))
        else:
            (shared,) = [m.value for m in watch.views["provider"] if m.tag == "join.key"]
            values = list(owner_values(shared, "run", texts))
        receiver = "asker" if mode == "pair" else "helper"
        (tags,) = [
            m.arrays[0] for m in watch.views[receiver] if (m.sender, m.tag) == ("provider", "join.tags")
        ]
        mine = [value[:16] for value in values]
        orders.append([mine.index(row.tobytes()) for row in tags])
    assert orders[0] != orders[1]
    for order in orders:
        assert sorted(order) == list(range(50))
        # Correlation with the list's own order: 0.14 standard deviation for a random order.
        assert abs(np.corrcoef(order, np.arange(50))[0, 1]) < 0.75


@pytest.mark.parametrize(
    ("mode", "nbytes"),
    [("pair", 64 * 30 + 50 * (18 + 32)), ("aided", 16 * 30 + 50 * (18 + 32) + 10 * (18 + 24))],
)
def test_it_costs_what_the_statement_says(mode: Mode, nbytes: int) -> None:
    watch = Watch()
    outcome = joined(mode, watch=watch)
    assert sum(a.nbytes for view in watch.views.values() for m in view for a in m.arrays) == nbytes
    most = max(traffic.rounds for traffic in outcome.traffic["asker"].values())
    # One to tell the sizes, the two that the statement names, and a sign of life that counts as speaking.
    assert most == (4 if mode == "pair" else 1)


@pytest.mark.parametrize("mode", PROTECTED)
def test_what_was_learnt_is_recorded(mode: Mode) -> None:
    outcome = joined(mode)
    for role, count in (("asker", 10), ("provider", 0)):
        (one,) = outcome.openings[role]
        assert (one.what, one.count) == ("granted columns of common identifiers", count)
        assert one.receivers == ("asker",)


# --- hostile peers -----------------------------------------------------------------------------------------


def answering(session: Any, count: int, *, tags: Any = None, sealed: Any = None, own: int = 1) -> None:
    """A provider that plays up to the tags, and then sends what it likes."""
    link = session.links["asker"]
    link.send("join.size", own)
    link.recv("join.size", int)
    _, (points,) = link.recv("join.blind", None, [joining.ArraySpec("|u1", (count, 32))])
    key = BlindKey()
    link.send("join.answer", None, [rows(*key.answer(row.tobytes() for row in points))])
    value = next(evaluate(key, "run", [b"a"]))
    link.send("join.tags", None, [rows(value[:16]) if tags is None else tags])
    if sealed is not None:
        link.send("join.rows", None, [sealed(value)])


ONE = JoinTask(JoinSettings("run", 1, (Column("city", 9),)))


def test_a_row_that_does_not_open_is_refused() -> None:
    def attack(session: Any) -> None:
        answering(session, 1, sealed=lambda value: np.zeros((1, 26), dtype=np.uint8))

    error = stopped("pair", ONE, "asker", JoinInput(["a"]), {"provider": attack})
    assert isinstance(error, ProtocolError)
    assert str(error) == "a row of provider does not open under its identifier"


def test_a_malformed_text_inside_a_good_seal_is_refused() -> None:
    def attack(session: Any) -> None:
        bad = bytes([77]) + bytes(9)
        answering(session, 1, sealed=lambda v: rows(AESGCM(v[16:48]).encrypt(bytes(12), bad, None)))

    error = stopped("pair", ONE, "asker", JoinInput(["a"]), {"provider": attack})
    assert str(error) == "provider sent a malformed text in column city"


def test_repeated_tags_are_refused() -> None:
    def attack(session: Any) -> None:
        answering(session, 1, tags=np.zeros((2, 16), dtype=np.uint8), own=2)

    error = stopped("pair", ONE, "asker", JoinInput(["a"]), {"provider": attack})
    assert str(error) == "the list of provider holds the same identifier twice"


@pytest.mark.parametrize("low", LOW_ORDER)
def test_points_of_small_order_are_refused_by_the_provider(low: bytes) -> None:
    def attack(session: Any) -> None:
        session.links["provider"].send("join.size", 1)
        session.links["provider"].send("join.blind", None, [rows(low)])

    error = stopped("pair", TASK, "provider", JoinInput(PROVIDER, TABLE), {"asker": attack})
    assert str(error) == "point 0 of the peer's list is not in the group"


@pytest.mark.parametrize("size", [0, -3, 4_000_001])
def test_an_announced_size_beyond_the_bounds(size: int) -> None:
    attacks = {"asker": lambda s: s.links["provider"].send("join.size", size)}
    error = stopped("pair", TASK, "provider", JoinInput(PROVIDER, TABLE), attacks)
    assert str(error) == f"asker announced {size} identifiers; from 1 to 4000000 are allowed"


@pytest.mark.parametrize("places", [[0, 0], [2], [-1]])
def test_places_outside_the_list_are_refused(places: list[int]) -> None:
    def attack(session: Any) -> None:
        session.links["asker"].send("join.places", None, [np.array(places, dtype=np.int64)])

    error = stopped("aided", TASK, "asker", JoinInput(["a", "b"]), {"helper": attack})
    assert str(error) == "the matched places are not distinct places of the list that was sent"


def test_the_helper_refuses_repeated_tags() -> None:
    def attack(session: Any) -> None:
        session.links["helper"].send("join.size", 2)
        session.links["helper"].send("join.tags", None, [np.zeros((2, 16), dtype=np.uint8)])

    error = stopped("aided", TASK, "helper", None, {"asker": attack, "provider": attack})
    assert str(error) == "the list of asker holds the same identifier twice"


def test_a_helper_that_hands_out_the_wrong_row_is_found() -> None:
    """It cannot make a seal; it can only swap them, and then they do not open."""

    def attack(session: Any) -> None:
        link = session.links["asker"]
        link.recv("join.size", int)
        link.recv("join.tags", None, [joining.ArraySpec("|u1", (2, 16))])
        link.send("join.places", None, [np.array([0, 1])])
        seals = [AESGCM(bytes(32)).encrypt(bytes(12), bytes(18), None)] * 2
        link.send("join.rows", None, [rows(*seals)])

    task = JoinTask(JoinSettings("run", 1, COLUMNS))
    error = stopped("aided", task, "asker", JoinInput(["a", "b"]), {"helper": attack})
    assert str(error) == "a row of helper does not open under its identifier"
