"""Every statistic equals the plain one, in every mode: counts and sums exactly, others as stated."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statistics_worlds import MODES, OPEN, Town, at_least, count, town

from tongzhou.errors import DataError, PlanError, ProtocolError
from tongzhou.parties.disclosure import DisclosurePolicy
from tongzhou.risk.binning import evidence
from tongzhou.secure.owner_side import StatisticsInput
from tongzhou.secure.simulate import simulate
from tongzhou.secure.statistic_requests import Condition, Correlation, Evidence, Quantiles, Totals
from tongzhou.secure.statistics import StatisticsTask
from tongzhou.secure.tasks import Mode

TOWN = town()
REGION, SECTOR = TOWN.groups["asker.region"][0], TOWN.groups["provider.sector"][0]
BOTH = ("asker", "provider")


@pytest.mark.parametrize("mode", MODES)
def test_a_count_with_conditions_of_both_owners(mode: Mode) -> None:
    outcome = TOWN.ask(
        count("all"),
        count("one", at_least("asker.age", 40)),
        count("both", Condition(column="asker.age", least=30, below=60), at_least("provider.income", 2500)),
        count("none", at_least("asker.age", 500)),
        mode=mode,
    )
    age, income = TOWN.asker["age"], TOWN.provider["income"]
    wanted = [600, (age >= 40).sum(), ((age >= 30) & (age < 60) & (income >= 2500)).sum(), 0]
    assert [int(answer.counts[0, 0]) for answer in outcome.asker] == wanted
    # The provider is no receiver: it knows that the groups are told, and not how large they are.
    assert [answer.counts for answer in outcome.provider] == [None] * 4
    assert all(answer.open.tolist() == [[True]] for answer in outcome.provider)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("receivers", [("asker",), ("provider",), BOTH])
def test_sums_means_and_variances_by_groups(mode: Mode, receivers: Any) -> None:
    columns = ("provider.income", "asker.limit", "provider.balance")
    request = Totals(
        name="totals",
        by=("asker.region",),
        columns=columns,
        decimals=2,
        variance=True,
        where=(at_least("provider.visits", 0),),
        receivers=receivers,
    )
    outcome = TOWN.ask(request, mode=mode)
    within = TOWN.provider["visits"] >= 0
    values = (TOWN.provider["income"], TOWN.asker["limit"], TOWN.provider["balance"])
    for role in BOTH:
        (answer,) = getattr(outcome, role)
        if role not in receivers:
            assert (answer.counts, answer.sums, answer.variances, answer.means()) == (None, {}, {}, {})
            continue
        assert answer.counts[:, 0].tolist() == np.bincount(REGION[within]).tolist()
        for name, column in zip(columns, values, strict=True):
            parts = [column[within & (region == REGION)] for region in range(4)]
            assert np.round(answer.sums[name][:, 0], 2).tolist() == [round(part.sum(), 2) for part in parts]
            assert answer.means()[name][:, 0] == pytest.approx([part.mean() for part in parts], rel=1e-12)
            variances = [part.var(ddof=1) for part in parts]
            assert answer.variances[name][:, 0] == pytest.approx(variances, rel=1e-4)


@pytest.mark.parametrize("mode", MODES)
def test_the_providers_groups_and_the_askers_column(mode: Mode) -> None:
    request = Totals(name="t", by=("provider.sector",), columns=("asker.default",))
    (answer,) = TOWN.ask(request, mode=mode).asker
    assert answer.counts.shape == (1, 3)
    assert answer.counts[0].tolist() == np.bincount(SECTOR).tolist()
    assert answer.sums["asker.default"][0].tolist() == np.bincount(SECTOR, TOWN.asker["default"]).tolist()


@pytest.mark.parametrize("mode", MODES)
def test_a_contingency_table(mode: Mode) -> None:
    request = Totals(name="t", by=("provider.sector", "asker.region"), columns=("provider.visits",))
    (answer,) = TOWN.ask(request, mode=mode).asker
    table, sums = np.zeros((4, 3), dtype=int), np.zeros((4, 3))
    np.add.at(table, (REGION, SECTOR), 1)
    np.add.at(sums, (REGION, SECTOR), TOWN.provider["visits"])
    assert answer.counts.tolist() == table.tolist()
    assert answer.sums["provider.visits"].tolist() == sums.tolist()
    assert answer.counts.dtype == np.int64


@settings(max_examples=15, deadline=None)
@given(
    st.integers(1, 40).flatmap(
        lambda rows: st.tuples(
            st.lists(st.integers(-1, 2), min_size=rows, max_size=rows),
            st.lists(st.integers(-1, 1), min_size=rows, max_size=rows),
            st.lists(st.integers(-(2**53), 2**53), min_size=rows, max_size=rows),
        )
    )
)
def test_sums_of_whole_numbers_are_exact(table: tuple[list[int], list[int], list[int]]) -> None:
    first, second, values = (np.array(column) for column in table)
    small = Town(
        len(first), {}, {"x": values.astype(float)}, {"asker.a": (first, 3), "provider.p": (second, 2)}
    )
    request = Totals(name="t", by=("asker.a", "provider.p"), columns=("provider.x",))
    (answer,) = small.ask(request).asker
    for a in range(3):
        for p in range(2):
            chosen = (first == a) & (second == p)
            assert answer.counts[a, p] == chosen.sum()
            # Sums beyond 2^53 are exact integers until they are handed over as floating point.
            assert answer.sums["provider.x"][a, p] == float(sum(values[chosen].tolist()))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bins", ["provider.sector", "asker.region"])
def test_rows_and_events_of_bins(mode: Mode, bins: str) -> None:
    """Weights of evidence and information value follow, by the one formula of the risk room."""
    label = "asker.default" if bins == "provider.sector" else "provider.churn"
    TOWN.provider["churn"] = TOWN.asker["default"][::-1]
    codes = TOWN.groups[bins][0]
    events = TOWN.asker["default"] if label == "asker.default" else TOWN.provider["churn"]
    (answer,) = TOWN.ask(Evidence(name="e", bins=bins, label=label), mode=mode).asker
    assert answer.rows.tolist() == np.bincount(codes).tolist()
    assert answer.events.tolist() == np.bincount(codes, events).tolist()
    total, hits = int(answer.rows.sum()), int(answer.events.sum())
    _, parts = evidence(answer.events, answer.rows - answer.events, hits, total - hits)
    shares = [np.bincount(codes, weights) / weights.sum() for weights in (events, 1 - events)]
    assert parts.sum() == pytest.approx(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("owner", BOTH)
def test_quantiles_are_the_true_ones_rounded_up_to_the_grid(mode: Mode, owner: str) -> None:
    column, by = {
        "asker": ("asker.limit", "provider.sector"),
        "provider": ("provider.balance", "asker.region"),
    }[owner]
    values = getattr(TOWN, owner)[column.split(".")[1]]
    where = (at_least("provider.visits", 0),)
    request = Quantiles(name="q", column=column, by=by, percents=(10, 50, 90), where=where, grid=200)
    (answer,) = TOWN.ask(request, mode=mode).asker
    codes, size = TOWN.groups[by]
    visits = TOWN.provider["visits"] >= 0
    # The grid is that of the owner's rows within its own conditions.
    own = visits if owner == "provider" else np.ones(600, dtype=bool)
    ranks = np.sort(values[own])
    for group in range(size):
        part = np.sort(values[(codes == group) & visits])
        for place, percent in enumerate((10, 50, 90)):
            true = part[-(-percent * len(part) // 100) - 1]
            got = answer.values[group, place]
            # Three digits, and a grid of 200 among the owner's rows.
            assert got >= true
            steps = np.searchsorted(ranks, got, side="right") - np.searchsorted(ranks, true, side="left")
            assert steps <= len(ranks) / 200 * 2 + 2 + 0.01 * len(ranks)


@pytest.mark.parametrize("mode", MODES)
def test_one_group_without_a_category_and_few_values(mode: Mode) -> None:
    request = Quantiles(name="q", column="provider.visits", percents=(1, 25, 50, 99), receivers=BOTH)
    outcome = TOWN.ask(request, mode=mode)
    wanted = np.quantile(TOWN.provider["visits"], [0.01, 0.25, 0.5, 0.99], method="inverted_cdf")
    for answers in (outcome.asker, outcome.provider):
        assert answers[0].values.tolist() == [wanted.tolist()]


COLUMNS = ("provider.income", "asker.age", "asker.limit", "provider.balance", "asker.default")


def correlations() -> tuple[list[str], np.ndarray]:
    ordered = sorted(COLUMNS, key=lambda name: name.split(".")[0])
    tables = {"asker": TOWN.asker, "provider": TOWN.provider}
    values = [tables[owner][name] for owner, name in (column.split(".") for column in ordered)]
    return ordered, np.corrcoef(np.array(values))


@pytest.mark.parametrize("mode", MODES)
def test_correlations(mode: Mode) -> None:
    ordered, wanted = correlations()
    whole, cross = TOWN.ask(
        Correlation(name="m", columns=COLUMNS),
        Correlation(name="c", columns=COLUMNS, shows="cross"),
        mode=mode,
    ).asker
    assert list(whole.columns) == list(cross.columns) == ordered
    assert np.abs(whole.matrix - wanted).max() < 1e-7
    assert np.isnan(cross.matrix[:3, :3]).all() and np.isnan(cross.matrix[3:, 3:]).all()
    assert np.abs(cross.matrix[:3, 3:] - wanted[:3, 3:]).max() < 1e-7
    assert np.array_equal(cross.matrix[3:, :3], cross.matrix[:3, 3:].T)
    assert whole.inflation is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "columns", [COLUMNS, COLUMNS[:2], (*COLUMNS, "provider.visits", "provider.income")[1:]]
)
def test_variance_inflation_factors(mode: Mode, columns: tuple[str, ...]) -> None:
    (answer,) = TOWN.ask(
        Correlation(name="v", columns=columns, shows="inflation", receivers=BOTH), mode=mode
    ).provider
    tables = {"asker": TOWN.asker, "provider": TOWN.provider}
    values = [tables[owner][name] for owner, name in (column.split(".") for column in answer.columns)]
    wanted = np.diag(np.linalg.inv(np.corrcoef(np.array(values))))
    assert answer.inflation == pytest.approx(wanted, rel=1e-3)
    assert answer.matrix is None


@pytest.mark.parametrize("noise", [0.3, 0.1])
def test_columns_of_two_owners_that_nearly_determine_each_other(noise: float) -> None:
    source = np.random.default_rng(2)
    asker = source.normal(size=(2, 3000))
    pair = Town(
        3000,
        {"a": asker[0], "b": asker[1]},
        {"p": asker.sum(axis=0) + noise * source.normal(size=3000)},
        {},
    )
    request = Correlation(name="v", columns=("asker.a", "asker.b", "provider.p"), shows="inflation")
    (answer,) = pair.ask(request).asker
    wanted = np.diag(np.linalg.inv(np.corrcoef(np.vstack([asker, pair.provider["p"]]))))
    assert answer.inflation == pytest.approx(wanted, rel=0.01)


def test_determined_columns_show_as_factors_above_five_hundred() -> None:
    source = np.random.default_rng(2)
    values = source.normal(size=900)
    pair = Town(900, {"a": values}, {"p": 2 * values + 1, "q": source.normal(size=900)}, {})
    request = Correlation(name="v", columns=("asker.a", "provider.p", "provider.q"), shows="inflation")
    (answer,) = pair.ask(request).asker
    assert answer.inflation[0] > 500 and answer.inflation[1] > 500
    assert answer.inflation[2] < 2


@pytest.mark.parametrize("mode", MODES)
def test_all_kinds_in_one_task_under_the_usual_policy(mode: Mode) -> None:
    """Harmless requests of every kind pass the default policy together."""
    outcome = town(3000, seed=4).ask(
        count("c", at_least("asker.age", 30), at_least("provider.income", 2000)),
        Totals(name="g", by=("asker.region",), columns=("provider.income",), variance=True),
        Totals(name="x", by=("asker.region", "provider.sector")),
        Evidence(name="e", bins="provider.sector", label="asker.default"),
        Quantiles(name="q", column="provider.income", by="asker.region"),
        Correlation(name="r", columns=COLUMNS),
        Correlation(name="v", columns=COLUMNS, shows="inflation"),
        mode=mode,
        policy=DisclosurePolicy(),
    )
    assert [type(answer).__name__ for answer in outcome.asker] == [
        "TotalsAnswer",
        "TotalsAnswer",
        "TotalsAnswer",
        "EvidenceAnswer",
        "QuantilesAnswer",
        "CorrelationAnswer",
        "CorrelationAnswer",
    ]


# --- what does not fit -------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (count("c", at_least("asker.aeg", 1)), "there is no column asker.aeg; did you mean asker.age?"),
        (count("c", at_least("provider.wealth", 1)), "there is no column provider.wealth"),
        (
            Totals(name="t", columns=("provider.holes",)),
            "column provider.holes has missing or infinite values among the rows of a statistic",
        ),
        (
            Totals(name="t", columns=("provider.huge",), decimals=6),
            "column provider.huge is too large to sum to 6 decimals",
        ),
        (
            Evidence(name="e", bins="provider.sector", label="asker.age"),
            "column asker.age must hold 0 and 1 only to count events",
        ),
        (
            Correlation(name="r", columns=("asker.age", "provider.same")),
            "column provider.same is constant; a correlation needs columns that differ",
        ),
        (
            Correlation(name="r", columns=("asker.age", "asker.old", "provider.income"), shows="inflation"),
            "column asker.old is a combination of its owner's columns before it",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_data_that_do_not_fit(mode: Mode, request_: Any, sentence: str) -> None:
    one = town()
    one.provider |= {
        "holes": np.where(np.arange(600) % 7, 1.0, np.nan),
        "huge": np.full(600, 1e12),
        "same": np.full(600, 3.25),
    }
    one.asker["old"] = 2 * one.asker["age"] + 5
    with pytest.raises(DataError, match=sentence):
        one.ask(request_, mode=mode)


def test_missing_values_can_be_left_out_by_a_condition() -> None:
    one = town()
    one.provider["holes"] = np.where(np.arange(600) % 7, 2.0, np.nan)
    request = Totals(name="t", columns=("provider.holes",), where=(at_least("provider.holes", -1e9),))
    (answer,) = one.ask(request).asker
    assert answer.sums["provider.holes"].tolist() == [[2.0 * answer.counts[0, 0]]]
    assert answer.counts[0, 0] == (np.arange(600) % 7 > 0).sum()


@pytest.mark.parametrize("mode", MODES)
def test_codes_beyond_their_groups_are_refused(mode: Mode) -> None:
    one = town()
    one.groups["asker.region"] = (one.groups["asker.region"][0] + 1, 4)
    with pytest.raises(DataError, match=r"category asker\.region has codes that are not among its 4 groups"):
        one.ask(Totals(name="t", by=("asker.region",)), mode=mode)


@pytest.mark.parametrize("mode", MODES)
def test_a_column_of_another_length_is_refused(mode: Mode) -> None:
    one = town()
    one.asker["age"] = one.asker["age"][:-1]
    with pytest.raises(DataError, match=r"column asker\.age has 599 values; there are 600 matched rows"):
        one.ask(count("c", at_least("asker.age", 1)), mode=mode)


@pytest.mark.parametrize("mode", MODES)
def test_requests_are_checked_before_anything_is_sent(mode: Mode) -> None:
    with pytest.raises(PlanError, match="two statistics have the name c"):
        TOWN.ask(count("c"), count("c"), mode=mode)


@pytest.mark.parametrize("mode", MODES)
def test_owners_with_different_rows_are_stopped(mode: Mode) -> None:
    task = StatisticsTask(3, (count("c"),), {}, OPEN)
    asker, provider = StatisticsInput(rows=["a", "b", "c"]), StatisticsInput(rows=["a", "c", "b"])
    with pytest.raises(ProtocolError, match="the owners' lists of matched rows differ"):
        simulate(mode, task, asker, provider)


@pytest.mark.parametrize("rows", [["a", "b"], ["a", "b", "b"]])
def test_identifiers_must_be_as_many_as_rows_and_differ(rows: list[str]) -> None:
    task = StatisticsTask(3, (count("c"),), {}, OPEN)
    with pytest.raises(DataError, match="2 different identifiers came for 3 matched rows"):
        simulate("local", task, StatisticsInput(rows=rows), StatisticsInput(rows=rows))
