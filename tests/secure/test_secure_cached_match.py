"""Matching with a prepared list: the same places in every mode, few bytes later, hostile peers stopped."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from match_worlds import LOW_ORDER, honest_points, rows, stopped
from secure_worlds import Watch, chi_square

from tongzhou.errors import DataError, PlanError, ProtocolError
from tongzhou.secure import cached_match
from tongzhou.secure.blind_prf import BlindKey, evaluate
from tongzhou.secure.cached_match import CachedInput, CachedMatchSettings, CachedMatchTask
from tongzhou.secure.simulate import simulate
from tongzhou.secure.tag_lists import PROBE, MemoryTagCache, MemoryTagSource, checked, text_of
from tongzhou.secure.tag_table import TagTable, table_parts, tags_of
from tongzhou.secure.tasks import SUPPORT, Mode

MODES = SUPPORT["cached match"]
PROTECTED = [mode for mode in MODES if mode != "local"]
LISTED = [f"c{n}" for n in range(300)]
SOURCE = MemoryTagSource("clients", LISTED)
ASKED = ["c7", "nobody", "c299", "c0", "c150"]


def task(
    receivers: Any = "asker", *, minimum: int = 1, most: int = 10, name: str = "clients"
) -> CachedMatchTask:
    return CachedMatchTask(CachedMatchSettings(name, minimum, most, receivers))


def matched(
    mode: Mode,
    job: Any,
    asked: list[str] = ASKED,
    *,
    cache: MemoryTagCache | None = None,
    source: MemoryTagSource = SOURCE,
    watch: Watch | None = None,
) -> Any:
    asker = CachedInput(asked, cache=cache or MemoryTagCache())
    return simulate(mode, job, asker, CachedInput(LISTED, source=source), watch=watch)


# --- what comes out ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_both_learn_the_places_in_one_order(mode: Mode) -> None:
    outcome = matched(mode, task("both"))
    assert [ASKED[place] for place in outcome.asker] == [LISTED[place] for place in outcome.provider]
    assert sorted(ASKED[place] for place in outcome.asker) == ["c0", "c150", "c299", "c7"]
    assert outcome.asker.dtype == outcome.provider.dtype == np.int64


@pytest.mark.parametrize("mode", PROTECTED)
def test_the_order_says_nothing_about_either_list(mode: Mode) -> None:
    orders = [matched(mode, task("both", most=100), LISTED[:100]).provider for _ in range(2)]
    assert orders[0].tolist() != orders[1].tolist()
    for order in orders:
        assert sorted(order.tolist()) == list(range(100))
        # Correlation with the list's own order: 0.1 standard deviation for a random order.
        assert abs(np.corrcoef(order, np.arange(100))[0, 1]) < 0.55


@pytest.mark.parametrize("mode", MODES)
def test_the_asker_alone_learns_the_places(mode: Mode) -> None:
    outcome = matched(mode, task())
    assert sorted(outcome.asker.tolist()) == [0, 2, 3, 4]
    assert outcome.provider is None


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.text(max_size=5), min_size=1, max_size=20, unique=True),
    st.lists(st.text(max_size=5), min_size=1, max_size=20, unique=True),
)
def test_any_lists(mode: Mode, asked: list[str], listed: list[str]) -> None:
    """Also the empty text, and texts that look like the probe."""
    asked, listed = [*asked, "probe!"], list(dict.fromkeys([*listed, "probe!"]))
    source = MemoryTagSource("clients", listed)
    asker = CachedInput(list(dict.fromkeys(asked)), cache=MemoryTagCache())
    outcome = simulate(mode, task("both", most=30), asker, CachedInput(listed, source=source))
    found = [asker.identifiers[place] for place in outcome.asker]
    assert found == [listed[place] for place in outcome.provider]
    assert set(found) == set(asked) & set(listed)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("receivers", ["asker", "both"])
@pytest.mark.parametrize(("asked", "minimum"), [(ASKED, 5), (["nobody"], 0)])
def test_too_few_are_a_sentence(mode: Mode, receivers: Any, asked: list[str], minimum: int) -> None:
    with pytest.raises(DataError, match=f"fewer than {max(minimum, 1)} identifiers are common"):
        matched(mode, task(receivers, minimum=minimum), asked)


@pytest.mark.parametrize("mode", MODES)
def test_more_than_was_agreed_is_refused(mode: Mode) -> None:
    with pytest.raises(PlanError, match="5 identifiers are asked for; the agreement allows 4 in one run"):
        matched(mode, task(most=4))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("asked", "sentence"), [([], "the table is empty"), (["a", "a"], "hold repeats")])
def test_the_askers_list_is_checked_first(mode: Mode, asked: list[str], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        matched(mode, task(), asked)


@pytest.mark.parametrize("mode", PROTECTED)
def test_another_list_than_was_agreed_is_refused(mode: Mode) -> None:
    with pytest.raises(PlanError, match="the list suppliers is not prepared"):
        matched(mode, task(name="suppliers"))
    with pytest.raises(PlanError, match="the list clients is not prepared"):
        simulate(mode, task(), CachedInput(ASKED, cache=MemoryTagCache()), CachedInput(LISTED))


def test_an_asker_needs_a_place_for_the_tags() -> None:
    with pytest.raises(PlanError, match="the asker needs a place to keep the provider's tags"):
        simulate("pair", task(), CachedInput(ASKED), CachedInput(source=SOURCE))


# --- the copy ----------------------------------------------------------------------------------------------


def table_bytes(watch: Watch) -> int:
    return sum(m.arrays[0].nbytes for m in watch.views["asker"] if m.tag == "cache.table")


def test_a_later_run_fetches_nothing() -> None:
    cache, first, later = MemoryTagCache(), Watch(), Watch()
    matched("pair", task(), cache=cache, watch=first)
    outcome = matched("pair", task(), ["c1", "c2"], cache=cache, watch=later)
    assert sorted(outcome.asker.tolist()) == [0, 1]
    assert table_bytes(first) == len(SOURCE.table.content)
    assert table_bytes(later) == 0
    assert [m.shape for m in later.views["asker"]] == [
        ("provider", "cache.offer", []),
        ("provider", "cache.answer", [("|u1", (3, 32))]),
    ]
    # 64 bytes an identifier, the probe with them.
    seen = sum(a.nbytes for view in later.views.values() for m in view for a in m.arrays)
    assert seen == 64 * 3


def grown(count: int = 2000) -> tuple[list[str], MemoryTagSource]:
    listed = [f"c{n}" for n in range(count)]
    return listed, MemoryTagSource("clients", listed)


def test_a_changed_list_costs_what_changed() -> None:
    listed, source = grown()
    cache, watch = MemoryTagCache(), Watch()
    simulate("pair", task(), CachedInput(ASKED, cache=cache), CachedInput(source=source))
    changed = ["new", *listed[3:]]
    later = MemoryTagSource("clients", changed, key=source.key, before=source)
    job = task("both")
    asker = CachedInput(["c0", "c3", "new"], cache=cache)
    outcome = simulate("pair", job, asker, CachedInput(source=later), watch=watch)
    assert sorted(asker.identifiers[place] for place in outcome.asker) == ["c3", "new"]
    assert sorted(changed[place] for place in outcome.provider) == ["c3", "new"]
    assert table_bytes(watch) < 900 < len(later.table.content) / 5
    assert cache.current().version == later.table.version


def test_a_list_that_changed_too_much_is_fetched_whole() -> None:
    _, source = grown()
    cache, watch = MemoryTagCache(), Watch()
    simulate("pair", task(), CachedInput(ASKED, cache=cache), CachedInput(source=source))
    later = MemoryTagSource("clients", LISTED, key=source.key, before=source)
    matched("pair", task(), cache=cache, source=later, watch=watch)
    assert table_bytes(watch) == len(later.table.content)


def test_a_version_that_nobody_keeps_any_more_is_fetched_whole() -> None:
    cache, watch = MemoryTagCache(), Watch()
    matched("pair", task(), cache=cache)
    later = MemoryTagSource("clients", [*LISTED, "new"], key=SOURCE.key)
    outcome = matched("pair", task(), ["new", "c5"], cache=cache, source=later, watch=watch)
    assert len(outcome.asker) == 2
    assert table_bytes(watch) == len(later.table.content)


def test_a_new_key_makes_the_old_copy_worthless() -> None:
    cache, watch = MemoryTagCache(), Watch()
    matched("pair", task(), cache=cache)
    old = cache.current()
    rotated = MemoryTagSource("clients", LISTED, before=SOURCE)
    assert rotated.older(old.version) is None
    outcome = matched("pair", task(), cache=cache, source=rotated, watch=watch)
    assert sorted(outcome.asker.tolist()) == [0, 2, 3, 4]
    assert table_bytes(watch) == len(rotated.table.content)
    every = np.concatenate([rotated.table.block(n) for n in range(1 << rotated.table.block_bits)])
    assert (old.find(every) == -1).all()


def test_a_key_that_does_not_fit_the_table_ends_the_run_instead_of_finding_nothing() -> None:
    wrong = MemoryTagSource("clients", LISTED)
    wrong.key = BlindKey()
    with pytest.raises(ProtocolError, match="the answers of provider do not belong to its table of tags"):
        matched("pair", task(), source=wrong)


# --- what each party sees --------------------------------------------------------------------------------


@pytest.mark.parametrize("receivers", ["asker", "both"])
def test_each_sees_what_the_statement_says(receivers: Any) -> None:
    watch = Watch()
    matched("aided", task(receivers), watch=watch)
    size = len(SOURCE.table.content)
    assert [m.shape for m in watch.views["asker"]] == [
        ("provider", "cache.offer", []),
        ("provider", "cache.table", [("|u1", (size,))]),
        ("provider", "cache.answer", [("|u1", (6, 32))]),
    ]
    told = [("asker", "cache.common", [("<u8", (4,))])] if receivers == "both" else []
    assert [m.shape for m in watch.views["provider"]] == [
        ("asker", "cache.have", []),
        ("asker", "cache.blind", [("|u1", (6, 32))]),
        *told,
    ]
    assert not watch.views["helper"]


def test_the_provider_cannot_tell_one_question_from_another() -> None:
    """The same identifiers in ten runs: no point recurs, and all of them together are uniform."""
    watch, cache = Watch(), MemoryTagCache()
    asked = [f"c{n}" for n in range(60)]
    for _ in range(10):
        matched("pair", task(most=60), asked, cache=cache, watch=watch)
    points = [row.tobytes() for m in watch.views["provider"] for a in m.arrays for row in a]
    assert len(points) == len(set(points)) == 610
    assert abs(chi_square(np.frombuffer(b"".join(point[:31] for point in points), dtype=np.uint8))) < 6


def test_below_the_minimum_the_provider_is_told_no_tag() -> None:
    watch = Watch()
    with pytest.raises(DataError):
        matched("pair", task("both", minimum=5), watch=watch)
    assert [m.shape for m in watch.views["provider"] if m.tag == "cache.common"] == [
        ("asker", "cache.common", [("<u8", (0,))])
    ]


def test_tags_of_what_was_not_asked_for_are_uniform_words() -> None:
    _, source = grown()
    every = np.concatenate([source.table.block(n) for n in range(1 << source.table.block_bits)])
    assert len(every) == 2001
    assert abs(chi_square(every.view(np.uint8))) < 6


def test_what_was_asked_for_once_can_be_looked_up_in_later_tables_of_the_key() -> None:
    """The statement says so, and a new key ends it: this is why keys are rotated."""
    before = MemoryTagSource("clients", LISTED)
    answered = tags_of(evaluate(before.key, "clients", [text_of("newcomer")]))
    assert before.table.find(answered).tolist() == [-1]
    after = MemoryTagSource("clients", [*LISTED, "newcomer"], key=before.key, before=before)
    assert after.table.find(answered)[0] >= 0
    rotated = MemoryTagSource("clients", [*LISTED, "newcomer"])
    assert rotated.table.find(answered).tolist() == [-1]


def test_another_list_has_other_tags_under_the_same_key() -> None:
    one = MemoryTagSource("clients", LISTED)
    other = MemoryTagSource("suppliers", LISTED, key=one.key)
    every = np.concatenate([other.table.block(n) for n in range(1 << other.table.block_bits)])
    assert (one.table.find(every) == -1).all()


@pytest.mark.parametrize(("receivers", "counts"), [("asker", (4, 0)), ("both", (4, 4))])
def test_what_was_learnt_is_recorded(receivers: Any, counts: tuple[int, int]) -> None:
    outcome = matched("pair", task(receivers))
    for role, count in zip(("asker", "provider"), counts, strict=True):
        (one,) = outcome.openings[role]
        assert (one.count, one.what) == (count, "which of the asker's identifiers are common")
        assert one.receivers == (("asker",) if receivers == "asker" else ("asker", "provider"))


def test_the_probe_is_no_identifier() -> None:
    assert PROBE not in {text_of(text) for text in ("", "probe", "\0probe", "\x00probe")}
    ranks = SOURCE.table.find(tags_of(evaluate(SOURCE.key, "clients", [PROBE])))
    assert SOURCE.places(ranks).tolist() == [-1]


# --- hostile peers -----------------------------------------------------------------------------------------


def offering(version: bytes, sizes: tuple[int, ...], *parts: bytes, bits: int = 0) -> Any:
    def attack(session: Any) -> None:
        link = session.links["asker"]
        link.send("cache.offer", cached_match._Offer(version, bits, sizes))
        for part in parts:
            link.send("cache.table", None, [np.frombuffer(part, dtype=np.uint8)])

    return attack


def kept() -> MemoryTagCache:
    cache = MemoryTagCache()
    matched("pair", task(), cache=cache)
    return cache


@pytest.mark.parametrize("sizes", [(-1,), (2**30 + 1,), (1, 1, 1), (-5, 10)])
@pytest.mark.parametrize("held", [True, False])
def test_impossible_sizes(sizes: tuple[int, ...], held: bool) -> None:
    own = CachedInput(ASKED, cache=kept() if held else MemoryTagCache())
    error = stopped("pair", task(), "asker", own, {"provider": offering(bytes(32), sizes)})
    assert str(error) == "provider offers a table of tags of an impossible size"


def test_changes_larger_than_the_copy_are_refused() -> None:
    cache = kept()
    sizes = (len(cache.current().content), 1)
    own = CachedInput(ASKED, cache=cache)
    error = stopped("pair", task(), "asker", own, {"provider": offering(bytes(32), sizes)})
    assert str(error) == "provider offers a table of tags of an impossible size"


@pytest.mark.parametrize(("sizes", "held"), [((), False), ((), True), ((8, 8), False)])
def test_changes_of_what_nobody_has(sizes: tuple[int, ...], held: bool) -> None:
    own = CachedInput(ASKED, cache=kept() if held else MemoryTagCache())
    error = stopped("pair", task(), "asker", own, {"provider": offering(bytes(32), sizes)})
    assert str(error) == "provider offers changes of a table that nobody has"


def test_another_table_than_was_announced_leaves_the_old_copy() -> None:
    cache = kept()
    old = cache.current().version
    content = b"".join(table_parts(bytes(32), 0, [np.array([1, 2], dtype=np.uint64)]))
    attack = offering(bytes(32), (len(content),), content)
    error = stopped("pair", task(), "asker", CachedInput(ASKED, cache=cache), {"provider": attack})
    assert str(error) == "the table of tags that came is not the one that was announced"
    assert cache.current().version == old


def test_changes_that_lead_elsewhere_are_refused() -> None:
    cache = kept()
    empty = b"".join(table_parts(bytes(32), 0, []))
    attack = offering(bytes(32), (len(empty), len(empty)), empty, empty)
    error = stopped("pair", task(), "asker", CachedInput(ASKED, cache=cache), {"provider": attack})
    assert str(error) == "the table of tags that came is not the one that was announced"


def test_bytes_that_are_no_table_are_refused() -> None:
    attack = offering(bytes(32), (200,), bytes(200))
    error = stopped("pair", task(), "asker", CachedInput(ASKED, cache=MemoryTagCache()), {"provider": attack})
    assert str(error) == "the bytes are no table of tags"


@pytest.mark.parametrize("count", [-1, 0, 1, 12, 2**40])
def test_a_number_of_questions_that_was_not_agreed(count: int) -> None:
    attacks = {"asker": lambda s: s.links["provider"].send("cache.have", (b"", count))}
    error = stopped("pair", task(), "provider", CachedInput(source=SOURCE), attacks)
    assert str(error) == f"asker asks for {count - 1} identifiers; from 1 to 10 are allowed"


@pytest.mark.parametrize("low", LOW_ORDER)
def test_points_of_small_order_are_refused_by_the_provider(low: bytes) -> None:
    def attack(session: Any) -> None:
        session.links["provider"].send("cache.have", (b"", 2))
        session.links["provider"].send("cache.blind", None, [rows(low, low)])

    error = stopped("pair", task(), "provider", CachedInput(source=SOURCE), {"asker": attack})
    assert str(error) == "point 0 of the peer's list is not in the group"


def held_tags(count: int) -> np.ndarray:
    return np.concatenate([SOURCE.table.block(n) for n in range(1 << SOURCE.table.block_bits)])[:count]


PROBE_TAG = tags_of(evaluate(SOURCE.key, "clients", [PROBE]))


@pytest.mark.parametrize(
    "tags",
    [np.array([1, 2], dtype=np.uint64), held_tags(1).repeat(2), PROBE_TAG],
    ids=["foreign", "twice", "probe"],
)
def test_tags_that_are_not_of_the_list_are_refused(tags: np.ndarray) -> None:
    def attack(session: Any) -> None:
        session.links["provider"].send("cache.have", (b"", 3))
        session.links["provider"].send("cache.blind", None, [honest_points(3)])
        session.links["provider"].send("cache.common", None, [tags])

    error = stopped("pair", task("both"), "provider", CachedInput(source=SOURCE), {"asker": attack})
    assert str(error) == "asker named common identifiers that are not distinct or not known"


def test_a_checked_table_is_the_one_that_was_announced() -> None:
    content = bytes(SOURCE.table.content)
    assert checked(content, SOURCE.table.version).version == TagTable.open(content).version
