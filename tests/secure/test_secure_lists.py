"""Asking all lists at once: every mode gives what the lists say, for one provider or twenty, on any day."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from list_worlds import DAY, EXPOSURE, LISTED, NOW, ListWorld, entries_of, expected, terms_for, world

from tongzhou.errors import ConflictError, GrantError, NotFoundError, PlanError
from tongzhou.secure.list_books import AskerBook, HelperBook, close_epoch
from tongzhou.secure.list_entries import ListEntries
from tongzhou.secure.list_query import ListAsker, ListHelper, Served, forget_answers
from tongzhou.secure.list_tasks import ListQueryTask, ListSetupTask, ListUpdateTask
from tongzhou.secure.list_terms import Column, Measure
from tongzhou.secure.noise import Noise
from tongzhou.secure.party import Party, provider_roles
from tongzhou.secure.tasks import SUPPORT, Mode, Seat
from tongzhou.wire.memory import run_parties
from tongzhou.wire.messages import Session

MODES: tuple[Mode, ...] = SUPPORT["list_query"]
modes = pytest.mark.parametrize("mode", MODES)
PEOPLE = [f"p{n}" for n in range(0, 60, 4)] + ["nobody"]


def check(asked: ListWorld, answers: list[dict[str, int]], people: list[str]) -> None:
    """Each answer is what the lists say."""
    for person, values in zip(people, answers, strict=True):
        assert values["listed"] == (expected(asked.lists, person, "listed") > 0), person
        assert values["exposure"] == expected(asked.lists, person, "exposure"), person


@modes
@pytest.mark.parametrize("providers", [1, 2, 3, 20])
def test_answers_are_what_the_lists_say(mode: Mode, providers: int) -> None:
    asked = world(providers, mode=mode).set_up()
    answers = asked.ask(*PEOPLE)
    check(asked, answers, PEOPLE)
    if providers > 1:
        assert {values["listed"] for values in answers} == {0, 1}


@modes
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_any_lists(mode: Mode, data: st.DataObject) -> None:
    """Empty lists, full lists, the same person everywhere or nowhere."""
    providers = data.draw(st.integers(1, 4))
    terms = terms_for(providers, capacity=8)
    person = st.integers(0, 9).map("p{}".format)
    lists = {
        role: entries_of(terms, data.draw(st.lists(person, unique=True, max_size=8)), place)
        for place, role in enumerate(provider_roles(providers))
    }
    asked = ListWorld(terms, lists, mode).set_up()
    people = [f"p{n}" for n in range(10)]
    check(asked, asked.ask(*people), people)


@modes
def test_a_bound_tells_whether_the_sum_exceeds_it_and_nothing_else(mode: Mode) -> None:
    measures = tuple(
        Measure(f"over {bound}", "above", ("amount",), bound=bound) for bound in (-11, -1, 0, 9, 10)
    )
    terms = terms_for(3, columns=(Column("amount", 100),), measures=measures)
    amounts = {"provider": [1, -11, 0], "provider2": [9, 0, 0], "provider3": [-1, 1, 100]}
    lists = {
        role: ListEntries(["a", "b", "c"], {"amount": np.array(column)}) for role, column in amounts.items()
    }
    asked = ListWorld(terms, lists, mode).set_up()
    for person, total in (("a", 9), ("b", -10), ("c", 100), ("nobody", 0)):
        (values,) = asked.ask(person)
        assert values == {f"over {bound}": int(total > bound) for bound in (-11, -1, 0, 9, 10)}


@modes
def test_a_window_rolls_with_the_day(mode: Mode) -> None:
    """Columns hold the window's count as it will be on each day; a query opens that of its own day only."""
    rolling = Measure("applications", "sum", ("on day 0", "on day 1", "on day 2"))
    columns = tuple(Column(name, 50) for name in rolling.columns)
    terms = terms_for(2, columns=columns, measures=(rolling,), days=3)
    counts = {"provider": [[5], [3], [0]], "provider2": [[1], [1], [1]]}
    lists = {
        role: ListEntries(["a"], dict(zip(rolling.columns, map(np.array, numbers), strict=True)))
        for role, numbers in counts.items()
    }
    asked = ListWorld(terms, lists, mode).set_up()
    for offset, total in enumerate((6, 4, 1)):
        asked.now = NOW + 86_400 * offset
        if offset:
            asked.keys(DAY + offset)
        assert asked.ask("a", day=DAY + offset) == [{"applications": total}]


@modes
def test_a_list_changes_within_the_epoch(mode: Mode) -> None:
    """Entries leave, come and change; twice; the same person may be asked again after each."""
    asked = world(3, mode=mode, seed=5).set_up()
    base = dict(asked.lists)
    check(asked, asked.ask(*PEOPLE), PEOPLE)
    for turn in (1, 2):
        old = base["provider2"]
        kept = [at for at, person in enumerate(old.identifiers) if person not in PEOPLE[turn : turn + 4]]
        newer = ListEntries(
            [*(old.identifiers[at] for at in kept), "nobody"],
            {name: np.append(np.asarray(column)[kept], turn) for name, column in old.columns.items()},
        )
        asked.lists = dict(base)
        asked.update("provider2", newer)
        asked.lists["provider2"] = newer
        check(asked, asked.ask(*PEOPLE), PEOPLE)
    assert asked.ask("nobody")[0]["exposure"] == 2


def test_changes_may_be_sent_at_fixed_hours_though_there_are_none() -> None:
    asked = world(2).set_up()
    first = asked.ask(*PEOPLE)
    asked.update("provider", asked.lists["provider"])
    assert asked.ask(*PEOPLE) == first
    assert {len(asked.stores["asker"].get(f"e1.{p}.changes").arrays[0]) for p in ("provider",)} == {75}


def test_an_updated_epoch_goes_on_to_the_next_day() -> None:
    asked = world(2, days=2).set_up()
    newer = entries_of(asked.terms, ["nobody"], 3)
    asked.lists["provider"], before = newer, asked.lists["provider"]
    asked.terms.check()
    asked.play(
        ListUpdateTask("e1", DAY, "provider"),
        provider={
            "before": ListEntries(before.identifiers[:9], {k: v[:9] for k, v in before.columns.items()})
        },
    )
    asked.now += 86_400
    asked.keys(DAY + 1)
    answer = asked.ask("nobody", day=DAY + 1)[0]
    assert answer["listed"] == 1


def test_noise_is_added_to_sums_and_to_what_is_compared() -> None:
    """With a budget so small that noise is the whole answer."""
    noise = Noise("laplace", 0.0001)
    measures = (
        Measure("noisy", "sum", ("count",), noise=noise),
        Measure("over", "above", ("count",), bound=0, noise=noise),
        Measure("exact", "sum", ("count",)),
    )
    for mode in MODES:
        asked = world(2, mode=mode, measures=measures).set_up()
        answers = asked.ask(*PEOPLE)
        exact = [expected(asked.lists, person, "count") for person in PEOPLE]
        assert [values["exact"] for values in answers] == exact
        away = [abs(values["noisy"] - true) for values, true in zip(answers, exact, strict=True)]
        assert np.median(away) > 10_000
        assert {values["over"] for values in answers} == {0, 1}


def test_gaussian_noise_is_as_wide_as_its_budget_says() -> None:
    measure = Measure("noisy", "sum", ("listed",), noise=Noise("gaussian", 1.0, 1e-6))
    asked = world(2, measures=(measure,)).set_up()
    people = [f"q{n}" for n in range(150)]
    spread = np.std([values["noisy"] for values in asked.ask(*people)])
    assert 3.5 < spread < 7.5, "the standard deviation for these is about 5.3"


@modes
def test_what_was_asked_is_not_asked_again(mode: Mode) -> None:
    noisy = Measure("noisy", "sum", ("count",), noise=Noise("laplace", 0.01))
    asked = world(2, mode=mode, measures=(noisy,)).set_up()
    first = asked.ask("p1", "p2", "p1")
    assert first[0] == first[2]
    task = ListQueryTask("e1", DAY)
    answers = asked.play(task, asker={"identifiers": ["p1", "p3"]}).results["asker"]
    assert [answer.asked for answer in answers] == [False, True]
    assert answers[0].values == first[0], "noise is drawn once"


def test_an_asker_without_notes_gets_no_second_draw() -> None:
    asked = world(2).set_up()
    asked.ask("p1")
    asked.ledgers["asker"].notes.clear()
    with pytest.raises(
        ConflictError, match="helper refuses: this was asked before and nothing has changed since"
    ):
        asked.ask("p1")


@modes
def test_the_quota_of_a_day(mode: Mode) -> None:
    asked = world(2, mode=mode, per_day=5, days=2).set_up()
    asked.ask("p1", "p2", "p3", "p4")
    with pytest.raises(GrantError, match="the quota of 5 queries a day is used up"):
        asked.ask("p5", "p6")
    asked.ask("p5")
    with pytest.raises(GrantError, match="the quota of 5 queries a day is used up"):
        asked.ask("p7")
    asked.ask("p1")
    asked.now += 86_400
    asked.keys(DAY + 1)
    asked.ask("p7", day=DAY + 1)


@modes
def test_the_rate(mode: Mode) -> None:
    asked = world(2, mode=mode, per_minute=6, burst=2).set_up()
    asked.ask("p1", "p2")
    with pytest.raises(GrantError, match="queries come too fast: 6 a minute are allowed"):
        asked.ask("p3")
    asked.now += 10
    asked.ask("p4")


def test_the_helper_counts_though_the_asker_does_not() -> None:
    asked = world(2, per_day=5).set_up()
    asked.ask("p1", "p2", "p3")
    asked.ledgers["asker"].accounts.clear()
    with pytest.raises(
        Exception, match=r"helper refuses: slot 0 of the day was used before; a key is never used"
    ):
        asked.ask("p4")


def test_yesterdays_keys_are_not_answered_today() -> None:
    asked = world(2, days=2).set_up()
    asked.now += 86_400
    with pytest.raises(GrantError, match=rf"helper refuses: day {DAY} is asked, and it is day {DAY + 1}"):
        asked.ask("p1")


def test_a_day_without_keys() -> None:
    asked = world(2, days=2).set_up()
    with pytest.raises(GrantError, match=f"provider dealt no keys for day {DAY + 1} and its newest list"):
        asked.ask("p1", day=DAY + 1)
    with pytest.raises(PlanError, match="epoch e1 has no day"):
        asked.ask("p1", day=DAY + 2)


SANCTIONS = Path(__file__).parents[3] / "shared" / "data" / "sanctions_lists"


@pytest.mark.skipif(not SANCTIONS.exists(), reason="the sanctions lists are not here")
def test_real_sanctions_lists_of_three_authorities() -> None:
    """Names as they stand there, in one normal form; a name on two lists, on one, and on none."""
    names: dict[str, set[str]] = {}
    for role, file in zip(provider_roles(3), ("cons_prim.csv", "cons_alt.csv", "dpl.txt"), strict=True):
        lines = (SANCTIONS / file).read_text(encoding="utf-8", errors="replace").splitlines()
        delimiter, place = ("\t", 0) if file == "dpl.txt" else (",", 3 if "alt" in file else 1)
        rows = csv.reader(lines[file == "dpl.txt" :], delimiter=delimiter)
        names[role] = {row[place].strip().upper() for row in rows if len(row) > place}
    terms = terms_for(3, columns=(), measures=(LISTED, Measure("lists", "sum", ("listed",))), capacity=2000)
    asked = ListWorld(terms, {role: ListEntries(sorted(found), {}) for role, found in names.items()}).set_up()
    everybody = sorted(set.union(*names.values()))
    people = [*everybody[:: len(everybody) // 90], "NOBODY OF THIS NAME"]
    for person, values in zip(people, asked.ask(*people), strict=True):
        on = sum(person in found for found in names.values())
        assert values == {"listed": int(on > 0), "lists": on}


@modes
def test_an_unknown_epoch(mode: Mode) -> None:
    asked = world(2, mode=mode)
    with pytest.raises(
        NotFoundError, match="epoch e1 of the lists is not known here; set the lists up first"
    ):
        asked.ask("p1")


def test_tables_that_reached_one_of_the_two_only() -> None:
    asked = world(2, changes=40).set_up()
    asked.update("provider", entries_of(asked.terms, ["p1"], 3))
    for name in ("e1.provider.changes", f"e1.provider.changes.{DAY}"):
        asked.stores["helper"].drop(name)
    with pytest.raises(
        ConflictError, match="the asker's tables are not those that belong to this helper's masks"
    ):
        asked.ask("p1")


def test_an_epoch_begins_once_and_ends_without_a_trace() -> None:
    asked = world(2).set_up()
    with pytest.raises(
        ConflictError, match="epoch e1 of the lists was begun before; a new one needs a new name"
    ):
        asked.set_up()
    for store in asked.stores.values():
        close_epoch(store, "e1")
        assert store.names() == []
    with pytest.raises(NotFoundError):
        AskerBook.open(asked.stores["asker"], "e1")


def test_answers_and_marks_are_forgotten_with_their_epoch() -> None:
    asked = world(2).set_up()
    asked.ask("p1")
    for role, whose in (("asker", ""), ("helper", "asker")):
        forget_answers(asked.ledgers[role], asked.terms, whose)
        assert (asked.ledgers[role].accounts, asked.ledgers[role].notes) == ({}, {})


def test_an_asker_that_waits_wastes_no_slot() -> None:
    """It holds back by itself what the helper would refuse, so that the quota of the day is left."""
    asked = world(2, per_minute=6, burst=2).set_up()

    def program(session: Session) -> None:
        link = session.links["helper"]
        book = AskerBook.open(asked.stores["asker"], "e1")
        asker = ListAsker(link, book, asked.ledgers["asker"], day=DAY, now=lambda: asked.now)
        asker.ask(["p1", "p2"])
        for _ in range(5):
            with pytest.raises(GrantError, match="queries come too fast"):
                asker.ask(["p3"])
        asked.now += 10
        asker.ask(["p3"])

    def helper(session: Session) -> None:
        book = HelperBook.open(asked.stores["helper"], "e1")
        serving = ListHelper(session.links["asker"], book, asked.ledgers["helper"], now=lambda: asked.now)
        assert [serving.serve() for _ in range(2)] == [Served(2), Served(1)]

    run_parties({"asker": program, "helper": helper})
    assert asked.ledgers["helper"].accounts[f"asker.e1.{DAY}"].next_slot == 3


def test_two_epochs_stand_beside_each_other() -> None:
    asked = world(2).set_up()
    later = ListWorld(
        terms_for(2, epoch="e10"), dict(asked.lists), stores=asked.stores, ledgers=asked.ledgers
    )
    later.set_up()
    close_epoch(asked.stores["asker"], "e1")
    check(later, later.ask(*PEOPLE), PEOPLE)
    with pytest.raises(NotFoundError):
        asked.ask("p1")


@pytest.mark.parametrize(("task", "sentence"), [("list_setup", "list_setup"), ("list_query", "list_query")])
def test_no_weaker_mode(task: str, sentence: str) -> None:
    seat = Seat(Party("asker", Session("asker", {}), {"asker": "asker", "provider": "provider"}), "pair")
    job: Any = ListSetupTask(terms_for(1)) if task == "list_setup" else ListQueryTask("e1", DAY)
    with pytest.raises(PlanError, match=f"{sentence} does not run in mode pair; it runs in local, aided"):
        job.run(seat, None)


def test_what_each_party_must_bring() -> None:
    asked = world(1)
    with pytest.raises(PlanError, match="a provider brings its list"):
        asked.play(ListSetupTask(asked.terms), provider={"entries": None})
    asked = world(1).set_up()
    with pytest.raises(PlanError, match="an update needs the list as it was when the epoch began"):
        asked.play(ListUpdateTask("e1", DAY, "provider"))


def test_openings_are_recorded_at_both() -> None:
    asked = world(2).set_up()
    outcome = asked.play(ListQueryTask("e1", DAY), asker={"identifiers": ["p1", "p2"]})
    for role in ("asker", "helper"):
        noted = [(one.what, one.count, one.receivers) for one in outcome.openings[role]]
        assert noted == [
            ("any over all lists: listed", 2, ("asker",)),
            ("sum over all lists: exposure", 2, ("asker",)),
        ]


def test_more_than_one_message_of_questions() -> None:
    asked = world(1, per_day=600, burst=600).set_up()
    people = [f"q{n}" for n in range(300)]
    assert len(asked.ask(*people)) == 300
    assert asked.ledgers["helper"].accounts[f"asker.e1.{DAY}"].next_slot >= 300


def test_the_measures_of_a_query_are_those_of_the_terms_alone() -> None:
    asked = world(2, measures=(EXPOSURE,)).set_up()
    assert [set(values) for values in asked.ask("p1", "nobody")] == [{"exposure"}] * 2
    assert set(world(2, measures=(LISTED,)).set_up().ask("p1")[0]) == {"listed"}
