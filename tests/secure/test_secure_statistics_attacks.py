"""Attacks on statistics: each succeeds against answers without rules, and fails against the policy.

An attacker is a user of the asker's (honest) program: it chooses columns, conditions and groups of the asker
as it likes, asks by the provider's names, keeps all answers, and computes with them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from statistics_worlds import MODES, OPEN, Town, count, flagged, histories, town

from tongzhou.errors import ProtocolError
from tongzhou.parties.disclosure import DisclosurePolicy
from tongzhou.secure.statistic_answers import Refusal
from tongzhou.secure.statistic_requests import Condition, Correlation, Totals
from tongzhou.secure.tasks import Mode

TEN = DisclosurePolicy(minimum_rows=10)
TARGET = 123
ROWS = 600


def one_town() -> Town:
    return town(ROWS, seed=11)


def flags(chosen: np.ndarray) -> np.ndarray:
    return chosen.astype(float)


def asked(
    one: Town, policy: DisclosurePolicy, mode: Mode, *requests: Any, kept: Any = (None, None)
) -> list[Any]:
    """Answers to the attacker."""
    return list(one.ask(*requests, mode=mode, policy=policy, histories=kept).asker)


def total(answer: Any, column: str | None = None) -> float | None:
    """The one number of an answer, if it was given."""
    if isinstance(answer, Refusal) or not answer.open.all():
        return None
    return float(answer.counts[0, 0] if column is None else answer.sums[column][0, 0])


def combined(signs: list[int], numbers: list[float | None]) -> float | None:
    """A sum of answers, if all were given."""
    if any(number is None for number in numbers):
        return None
    return sum(sign * number for sign, number in zip(signs, numbers, strict=True))


def flag_of(name: str) -> tuple[Condition, ...]:
    """Clients that the attacker has marked; everybody without a condition."""
    return () if name == "all" else (flagged(f"asker.{name}"),)


def incomes(names: list[str]) -> list[Totals]:
    return [
        Totals(name=name, columns=("provider.income",), where=flag_of(name), decimals=2) for name in names
    ]


EVERYBODY = np.ones(ROWS, dtype=bool)
ONE = np.arange(ROWS) == TARGET
HALF = np.arange(ROWS) % 2 == 0


def difference(one: Town, policy: DisclosurePolicy, mode: Mode) -> float | None:
    """Everybody, and everybody but the target."""
    one.asker["rest"] = flags(~ONE)
    answers = asked(one, policy, mode, *incomes(["all", "rest"]))
    return combined([1, -1], [total(answer, "provider.income") for answer in answers])


def difference_in_two_runs(one: Town, policy: DisclosurePolicy, mode: Mode) -> float | None:
    """Half the clients, and that half without the target, in two runs under one grant."""
    one.asker |= {"a": flags(HALF | ONE), "b": flags(HALF & ~ONE)}
    kept = histories()
    answers = [asked(one, policy, mode, request, kept=kept)[0] for request in incomes(["a", "b"])]
    return combined([1, -1], [total(answer, "provider.income") for answer in answers])


def individual_tracker(one: Town, policy: DisclosurePolicy, mode: Mode) -> float | None:
    """Schloerer: half the clients, and that half without the target."""
    one.asker |= {"a": flags(HALF | ONE), "b": flags(HALF & ~ONE)}
    answers = asked(one, policy, mode, *incomes(["a", "b"]))
    return combined([1, -1], [total(answer, "provider.income") for answer in answers])


def general_tracker(one: Town, policy: DisclosurePolicy, mode: Mode) -> float | None:
    """Denning, Denning and Schwartz: q(C) = q(C or T) + q(C or not T) - q(all); no two sets are close."""
    one.asker |= {"a": flags(ONE | HALF), "b": flags(ONE | ~HALF)}
    answers = asked(one, policy, mode, *incomes(["a", "b", "all"]))
    return combined([1, 1, -1], [total(answer, "provider.income") for answer in answers])


def general_tracker_by_halves(one: Town, policy: DisclosurePolicy, mode: Mode) -> float | None:
    """The same with T and not T in place of all."""
    one.asker |= {"a": flags(ONE | HALF), "b": flags(ONE | ~HALF), "c": flags(HALF), "d": flags(~HALF)}
    answers = asked(one, policy, mode, *incomes(["a", "b", "c", "d"]))
    return combined([1, 1, -1, -1], [total(answer, "provider.income") for answer in answers])


def left_over(one: Town, policy: DisclosurePolicy, mode: Mode) -> float | None:
    """Six groups that leave the target over, and everybody."""
    names = [f"g{place}" for place in range(6)]
    one.asker |= {name: flags((np.arange(ROWS) % 6 == place) & ~ONE) for place, name in enumerate(names)}
    answers = asked(one, policy, mode, *incomes([*names, "all"]))
    return combined([-1] * 6 + [1], [total(answer, "provider.income") for answer in answers])


def column_of_one_client(one: Town, policy: DisclosurePolicy, mode: Mode) -> float | None:
    """A column that is 0 but for the target, summed over the provider's rich: is the target among them?"""
    one.asker["spike"] = flags(ONE) * one.provider["income"][TARGET]
    rich = Condition(column="provider.income", least=float(one.provider["income"][TARGET]))
    request = Totals(name="t", columns=("asker.spike",), where=(rich,), decimals=2)
    return total(asked(one, policy, mode, request)[0], "asker.spike")


def correlation_with_one_client(one: Town, policy: DisclosurePolicy, mode: Mode) -> float | None:
    """The correlation of a column that is 0 but for the target is the target's deviation from the mean.

    Mean and deviation of the column were asked for honestly.
    """
    one.asker["spike"] = flags(ONE)
    moments = Totals(name="m", columns=("provider.income",), variance=True, decimals=2)
    spike = Correlation(name="r", columns=("asker.spike", "provider.income"), shows="cross")
    answers = asked(one, policy, mode, moments, spike)
    if isinstance(answers[1], Refusal):
        return None
    mean = float(answers[0].means()["provider.income"][0, 0])
    spread = float(answers[0].variances["provider.income"][0, 0]) * (ROWS - 1)
    return mean + float(answers[1].matrix[0, 1]) * np.sqrt(spread * (1 - 1 / ROWS))


ATTACKS: list[Callable[[Town, DisclosurePolicy, Mode], float | None]] = [
    difference,
    difference_in_two_runs,
    individual_tracker,
    general_tracker,
    general_tracker_by_halves,
    left_over,
    column_of_one_client,
    correlation_with_one_client,
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_one_clients_income(attack: Any, mode: Mode) -> None:
    """Without rules the target's income comes out to the cent (or to a thousandth, by correlation)."""
    income = float(one_town().provider["income"][TARGET])
    assert attack(one_town(), OPEN, mode) == pytest.approx(income, rel=1e-3)
    assert attack(one_town(), TEN, mode) is None


# --- where only the other owner's rows make a group small -----------------------------------------------


def churned() -> tuple[Town, np.ndarray]:
    """A town where 90 clients have left, known to the provider alone; four of them among the first sixty."""
    one = one_town()
    gone = np.zeros(ROWS, dtype=bool)
    gone[[3, 17, 31, 55]] = True
    gone[400:486] = True
    one.provider["gone"] = flags(gone)
    return one, gone


def gone_counts(names: list[str]) -> list[Totals]:
    return [count(name, *flag_of(name), flagged("provider.gone")) for name in names]


FIRST = np.arange(ROWS) < 60


def hidden_difference(one: Town, policy: DisclosurePolicy, mode: Mode) -> float | None:
    """Two groups that differ in sixty clients of the asker, of whom four left."""
    one.asker |= {"a": flags(FIRST | HALF), "b": flags(HALF & ~FIRST)}
    return combined([1, -1], [total(answer) for answer in asked(one, policy, mode, *gone_counts(["a", "b"]))])


def hidden_tracker(one: Town, policy: DisclosurePolicy, mode: Mode) -> float | None:
    """A general tracker for those sixty: every group and every difference of two is large, on both sides."""
    one.asker |= {"a": flags(FIRST | HALF), "b": flags(FIRST | ~HALF)}
    answers = asked(one, policy, mode, *gone_counts(["a", "b", "all"]))
    return combined([1, 1, -1], [total(answer) for answer in answers])


def hidden_rest(one: Town, policy: DisclosurePolicy, mode: Mode) -> float | None:
    """A part of the clients in pieces, and all of them: what is left over are the sixty."""
    parts = {f"g{place}": flags((np.arange(ROWS) % 3 == place) & ~FIRST) for place in range(3)}
    one.asker |= parts
    answers = asked(one, policy, mode, *gone_counts([*parts, "all"]))
    return combined([-1, -1, -1, 1], [total(answer) for answer in answers])


def hidden_complement(one: Town, policy: DisclosurePolicy, mode: Mode) -> float | None:
    """How many of the sixty stayed: the asker knows that they are sixty."""
    one.asker["first"] = flags(FIRST)
    one.provider["stayed"] = 1 - one.provider["gone"]
    request = count("c", flagged("asker.first"), flagged("provider.stayed"))
    return combined([-1, 1], [total(asked(one, policy, mode, request)[0]), 60.0])


def opposite_conditions(one: Town, policy: DisclosurePolicy, mode: Mode) -> float | None:
    """Who left among some, and who stayed among the same less the sixty: together they are known."""
    some = FIRST | (np.arange(ROWS) >= 350)
    one.asker |= {"a": flags(some), "b": flags(some & ~FIRST)}
    one.provider["stayed"] = 1 - one.provider["gone"]
    requests = [
        count("gone", flagged("asker.a"), flagged("provider.gone")),
        count("stayed", flagged("asker.b"), flagged("provider.stayed")),
    ]
    numbers = [total(answer) for answer in asked(one, policy, mode, *requests)]
    return combined([1, 1, -1], [*numbers, float((some & ~FIRST).sum())])


def difference_on_both_sides(one: Town, policy: DisclosurePolicy, mode: Mode) -> float | None:
    """Conditions of both owners that differ in hundreds of clients, so that the cells differ in four."""
    rows = np.arange(ROWS)
    late = (one.provider["gone"] > 0) & (rows >= 400)
    one.provider["gone"][560:580] = 1.0
    one.asker |= {"a": flags(rows < 540), "b": flags(rows >= 300)}
    one.provider["late"] = flags(late | ((rows >= 100) & (rows < 200)))
    requests = [
        count("one", flagged("asker.a"), flagged("provider.gone")),
        count("other", flagged("asker.b"), flagged("provider.late")),
    ]
    return combined([1, -1], [total(answer) for answer in asked(one, policy, mode, *requests)])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "attack",
    [
        hidden_difference,
        hidden_tracker,
        hidden_rest,
        hidden_complement,
        opposite_conditions,
        difference_on_both_sides,
    ],
    ids=lambda attack: attack.__name__,
)
def test_few_clients_of_the_provider(attack: Any, mode: Mode) -> None:
    """Neither owner sees that the rest is small: each one's part of it is large."""
    assert attack(churned()[0], OPEN, mode) == 4
    assert attack(churned()[0], TEN, mode) is None


@pytest.mark.parametrize("mode", MODES)
def test_the_same_groups_are_answered_where_the_rest_is_large(mode: Mode) -> None:
    """The hidden attacks are refused for what they would tell, not for how they look."""
    one, _ = churned()
    gone = np.arange(ROWS) % 5 == 0
    one.provider["gone"] = flags(gone)
    first = np.arange(ROWS) < 120
    one.asker |= {"a": flags(first | HALF), "b": flags(first | ~HALF)}
    answers = asked(one, TEN, mode, *gone_counts(["a", "b", "all"]))
    assert combined([1, 1, -1], [total(answer) for answer in answers]) == (first & gone).sum() == 24


# --- suppressed cells --------------------------------------------------------------------------------------


def table_with_a_small_cell() -> Town:
    one = town(ROWS, seed=3, regions=4, sectors=4)
    regions, sectors = one.groups["asker.region"][0].copy(), one.groups["provider.sector"][0].copy()
    sectors[(regions == 1) & (sectors == 2)] = 0
    places = np.flatnonzero((regions == 1) & (sectors == 0))[:3]
    sectors[places] = 2
    one.groups["provider.sector"] = (sectors, 4)
    return one


def recovered(counts: np.ndarray, opened: np.ndarray) -> np.ndarray:
    """Which cells follow from the open ones and all totals, by linear algebra: their cell is in the span."""
    rows, columns = counts.shape
    known = [np.eye(counts.size)[place] for place in np.flatnonzero(opened)]
    for row in range(rows):
        known.append(np.kron(np.eye(rows)[row], np.ones(columns)))
    for column in range(columns):
        known.append(np.kron(np.ones(rows), np.eye(columns)[column]))
    basis = np.array(known)
    rank = np.linalg.matrix_rank(basis)
    follows = [np.linalg.matrix_rank(np.vstack([basis, cell])) == rank for cell in np.eye(counts.size)]
    return np.array(follows).reshape(counts.shape)


@pytest.mark.parametrize("mode", MODES)
def test_a_suppressed_cell_cannot_be_computed_from_totals(mode: Mode) -> None:
    one = table_with_a_small_cell()
    request = Totals(name="t", by=("asker.region", "provider.sector"))
    truth = asked(one, OPEN, mode, request)[0].counts
    assert truth[1, 2] == 3
    # Closing the small cell alone is the naive way: totals give it back.
    assert recovered(truth, truth >= 10)[1, 2]
    (answer,) = asked(one, TEN, mode, request)
    assert not answer.open[1, 2]
    assert np.array_equal(recovered(truth, answer.open), answer.open)
    assert answer.counts[answer.open].tolist() == truth[answer.open].tolist()


@pytest.mark.parametrize("mode", MODES)
def test_totals_that_are_asked_for_do_not_help(mode: Mode) -> None:
    """The table, and then its margins and its total: together they do not single the small cell out."""
    one = table_with_a_small_cell()
    requests = [
        Totals(name="table", by=("asker.region", "provider.sector")),
        Totals(name="rows", by=("asker.region",)),
        Totals(name="columns", by=("provider.sector",)),
        count("all"),
    ]
    answers = asked(one, TEN, mode, *requests)
    truth = asked(one, OPEN, mode, requests[0])[0].counts
    assert not recovered(truth, answers[0].open)[1, 2]
    assert all(not isinstance(answer, Refusal) for answer in answers)


@pytest.mark.parametrize("mode", MODES)
def test_the_small_group_of_a_line_is_not_the_total_less_the_others(mode: Mode) -> None:
    one = one_town()
    codes = np.arange(ROWS) % 3
    codes[:4] = 3
    one.groups["asker.region"] = (codes, 4)
    by_region = Totals(name="t", by=("asker.region",), columns=("provider.income",), decimals=2)
    everybody = Totals(name="all", columns=("provider.income",), decimals=2)

    def rest(policy: DisclosurePolicy) -> tuple[float, int]:
        answers = asked(one, policy, mode, by_region, everybody)
        told = answers[0].open[:, 0]
        sums = answers[0].sums["provider.income"][told, 0]
        return float(answers[1].sums["provider.income"][0, 0] - sums[:3].sum()), int(told.sum())

    assert rest(OPEN)[0] == pytest.approx(one.provider["income"][:4].sum())
    # Under the policy only two of the groups are told; what is left is about two of them together.
    assert rest(TEN)[1] == 2


# --- what refusals tell ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("others", [0, 5])
def test_a_refusal_does_not_say_whether_a_client_is_in_a_group(mode: Mode, others: int) -> None:
    """The target, and few or none that left beside it: the same course, whether it left or not."""
    courses = []
    for target_gone in (False, True):
        one = one_town()
        gone = np.zeros(ROWS, dtype=bool)
        gone[300 : 300 + 90] = True
        gone[TARGET] = target_gone
        gone[:others] = True
        one.provider["gone"] = flags(gone)
        # The attacker knows that nobody else of the first hundred and fifty left (but `others`).
        near = np.arange(ROWS) < 150
        one.asker |= {"near": flags(near), "far": flags(~near)}
        answers = asked(one, TEN, mode, *gone_counts(["near", "all", "far"]))
        courses.append([isinstance(answer, Refusal) for answer in answers])
    assert courses[0] == courses[1] == [True, False, True]


@pytest.mark.parametrize("mode", MODES)
def test_rounding_cannot_be_averaged_away(mode: Mode) -> None:
    policy = DisclosurePolicy(minimum_rows=10, count_base=10)
    kept = histories()
    one = one_town()
    one.asker["some"] = flags(np.arange(ROWS) < 234)
    seen = {
        total(asked(one, policy, mode, count("c", flagged("asker.some")), kept=kept)[0]) for _ in range(5)
    }
    assert seen == {230.0}


# --- the record --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("lost", [0, 1])
def test_an_owner_that_lost_its_record_gets_no_more_answers(mode: Mode, lost: int) -> None:
    """Otherwise a user who deletes a file would begin anew."""
    kept = list(histories())
    assert total(asked(one_town(), TEN, mode, count("all"), kept=kept)[0]) == ROWS
    kept[lost] = histories()[0]
    owner = ("provider", "asker")[lost]
    with pytest.raises(
        ProtocolError, match=f"that the {owner} keeps does not fit.* 1 answers are missing there"
    ):
        asked(one_town(), TEN, mode, count("all"), kept=kept)


@pytest.mark.parametrize("mode", MODES)
def test_one_record_alone_is_no_record(mode: Mode) -> None:
    with pytest.raises(ProtocolError, match="only one owner brings its record of earlier answers"):
        asked(one_town(), TEN, mode, count("all"), kept=(histories()[0], None))


@pytest.mark.parametrize("mode", MODES)
def test_a_run_that_died_between_the_records_spoils_nothing(mode: Mode) -> None:
    """An entry that only one has, unconfirmed, was never opened: it is left out, and the next run goes on."""
    kept = histories()
    asked(one_town(), TEN, mode, count("all"), kept=kept)
    (entry,) = kept[0].entries()
    other = type(entry)(b"x" * 16, entry.sets, entry.cells, entry.sketches)
    kept[0].add(other)
    assert total(asked(one_town(), TEN, mode, count("all"), kept=kept)[0]) == ROWS
    # Both have it, and one had not heard of the other's: it counts, and is confirmed now.
    kept[1].add(other)
    asked(one_town(), TEN, mode, count("all"), kept=kept)
    assert all(entry.confirmed for history in kept for entry in history.entries())


@pytest.mark.parametrize("mode", MODES)
def test_the_record_is_written_before_anything_is_opened(mode: Mode) -> None:
    """A record that cannot be written stops the answer."""

    class Full(type(histories()[0])):
        def add(self, entry: Any) -> None:
            raise ProtocolError("the disk is full")

    kept = (histories()[0], Full())
    with pytest.raises(ProtocolError, match="the disk is full"):
        asked(one_town(), TEN, mode, count("all"), kept=kept)
    assert [entry.confirmed for entry in kept[0].entries()] in ([], [False])


def test_a_record_made_in_one_mode_holds_in_another() -> None:
    kept = histories()
    one, _ = churned()
    one.asker |= {"a": flags(FIRST | HALF), "b": flags(HALF & ~FIRST)}
    first, second = gone_counts(["a", "b"])
    assert total(asked(one, TEN, "aided", first, kept=kept)[0]) is not None
    assert total(asked(one, TEN, "local", second, kept=kept)[0]) is None
    assert total(asked(one, TEN, "local", second)[0]) is not None


@pytest.mark.parametrize("mode", MODES)
def test_earlier_rows_are_found_in_another_match(mode: Mode) -> None:
    """The second run matches in another order, and without some clients: names tie the rows together."""
    kept = histories()
    one = one_town()
    assert total(asked(one, TEN, mode, count("c"), kept=kept)[0]) == ROWS
    order = np.random.default_rng(5).permutation(ROWS)
    for left, answered in ((1, False), (5, False), (40, True)):
        chosen = order[left:]
        smaller = Town(
            ROWS - left,
            {name: values[chosen] for name, values in one.asker.items()},
            {name: values[chosen] for name, values in one.provider.items()},
            {},
            [f"client-{row}" for row in chosen],
        )
        answer = asked(smaller, TEN, mode, count("c"), kept=kept)[0]
        assert (total(answer) is not None) == answered, left
