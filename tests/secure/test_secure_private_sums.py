"""Noise is as much as was promised, whoever stays; a record is bounded exactly; the budget is kept."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from federated_worlds import Fate, agreed, play_task, roles_of, tables
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta
from secure_worlds import Watch

from tongzhou.errors import DataError, GrantError, PlanError
from tongzhou.risk.evaluation import auc
from tongzhou.secure import private_sums
from tongzhou.secure.federated_columns import Table
from tongzhou.secure.federated_logistic import FederatedLogisticSettings
from tongzhou.secure.federated_tasks import (
    AggregateInput,
    AggregateSettings,
    AggregateTask,
    FederatedLogisticTask,
)
from tongzhou.secure.privacy_account import epsilon_of, gaussian_rho, rho_of
from tongzhou.secure.privacy_noise import DiscreteGaussian
from tongzhou.secure.private_sums import (
    MemoryBudget,
    PrivacySettings,
    Release,
    clipped_sum,
    noise_hands,
    private_sum,
    spend,
)
from tongzhou.secure.ring import decode
from tongzhou.secure.simulate import simulate_parties
from tongzhou.secure.summing import Alone
from tongzhou.secure.tasks import SUPPORT, Mode

PRIVACY = PrivacySettings(1.0, 1e-6)


class Circle(Alone):
    """Stands for an aggregation of so many, of whom so many must stay."""

    def __init__(self, institutions: int, quorum: int) -> None:
        super().__init__(roles_of(institutions))
        self.institutions, self.quorum = institutions, quorum


# --- one record --------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=80)
@given(st.data())
def test_one_record_changes_the_sum_by_at_most_the_clip(data: st.DataObject) -> None:
    """In whole units, exactly, also where the record is huge."""
    size = data.draw(st.integers(1, 12))
    clip = data.draw(st.floats(1e-6, 1e6))
    numbers = st.floats(-1e9, 1e9, allow_nan=False)
    records = np.array(
        data.draw(st.lists(st.lists(numbers, min_size=size, max_size=size), min_size=1, max_size=6))
    )
    release = Release(0.1, clip, size, 3)
    with_it = clipped_sum([records], release)
    without = clipped_sum([records[:-1]], release)
    change = [int(value) for value in (with_it - without)]
    assert sum(value * value for value in change) <= release.sensitivity**2
    assert release.sensitivity <= 2**30


def test_short_records_are_not_changed() -> None:
    records = np.array([[0.3, 0.4], [-0.1, 0.0]])
    release = Release(0.1, 1.0, 2, 1)
    found = clipped_sum([records[:1], records[1:]], release) * 2.0**-release.bits
    assert found == pytest.approx([0.2, 0.4], abs=4 * 2.0**-release.bits)


def test_long_records_keep_their_direction() -> None:
    release = Release(0.1, 1.0, 2, 1)
    found = clipped_sum([np.array([[30.0, 40.0]])], release) * 2.0**-release.bits
    assert found == pytest.approx([0.6, 0.8], abs=1e-8)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_records_must_be_finite(value: float) -> None:
    with pytest.raises(DataError, match="a record for a sum with noise has a number that is missing or not"):
        clipped_sum([np.array([[value, 0.0]])], Release(0.1, 1.0, 2, 1))


# --- how much noise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("institutions", "quorum", "colluding"), [(10, 6, 1), (5, 4, 0), (9, 9, 4)])
def test_those_who_must_stay_and_do_not_collude_have_enough_noise(
    institutions: int, quorum: int, colluding: int
) -> None:
    """The loss with the noise of `hands` alone is the one promised, with everybody's it is smaller."""
    hands = noise_hands(Circle(institutions, quorum), PrivacySettings(1.0, 1e-6, colluding))
    assert hands == quorum - colluding
    release = Release(PRIVACY.rho(), 1.0, 40, hands)
    needed = gaussian_rho(release.sensitivity, release.variance, shares=hands, size=40)
    assert needed <= PRIVACY.rho() < needed * 1.001
    assert gaussian_rho(release.sensitivity, release.variance, shares=institutions, size=40) < needed * 1.001
    assert release.deviation(institutions) == pytest.approx(
        math.sqrt(institutions / hands) / math.sqrt(2 * PRIVACY.rho()), rel=1e-3
    )


def test_nobodys_noise_is_no_noise() -> None:
    with pytest.raises(
        PlanError, match="5 institutions may collude, and a sum may have only 5: nobody's noise"
    ):
        noise_hands(Circle(9, 5), PrivacySettings(1.0, 1e-6, 5))
    assert noise_hands(Alone(["asker"]), PRIVACY) == 1


def group(
    institutions: int, privacy: PrivacySettings = PRIVACY, *, length: int = 300, **circle: Any
) -> AggregateTask:
    return AggregateTask(
        AggregateSettings(agreed(institutions, **circle), length, privacy=privacy, to_all=True)
    )


def zeros(institutions: int, length: int = 300) -> dict[str, AggregateInput]:
    return {r: AggregateInput(np.zeros((60, length)), MemoryBudget(1.0)) for r in roles_of(institutions)}


@pytest.mark.parametrize("leaving", [0, 1, 2])
def test_the_variance_of_the_noise_in_a_sum_is_right_also_when_some_leave(leaving: int) -> None:
    """Everybody brings zeros: what is told is the noise of those who stayed."""
    fates = {f"provider{n}": Fate("aggregate.masked") for n in range(2, 2 + leaving)}
    played = play_task(group(6, length=4000), zeros(6, 4000), fates=fates)
    result = played.results["asker"]
    assert len(result.stayed) == 6 - leaving
    scaled = result.total / result.deviation
    assert abs(scaled.mean()) < 4.5 / math.sqrt(4000)
    assert abs(scaled.var() - 1) < 4.5 * math.sqrt(2 / 4000)
    # Never less than the promise needs.
    assert result.deviation >= 1 / math.sqrt(2 * PRIVACY.rho())
    assert result.privacy.epsilon == pytest.approx(1.0, rel=1e-5)
    assert result.privacy.epsilon <= 1.0 + 1e-9


@pytest.mark.parametrize("mode", SUPPORT["aggregate"])
def test_a_sum_with_noise_is_the_sum_and_noise(mode: Mode) -> None:
    source = np.random.default_rng(5)
    given_ = {
        r: AggregateInput(np.abs(source.normal(size=(500, 8))) / 20, MemoryBudget(1.0)) for r in roles_of(3)
    }
    done = simulate_parties(mode, group(3, length=8, least=3), given_)
    wanted = sum(one.values.sum(axis=0) for one in given_.values())
    results = list(done.results.values())
    assert {tuple(result.total) for result in results} == {tuple(results[0].total)}
    assert np.max(np.abs(results[0].total - wanted)) < 6 * results[0].deviation
    assert np.max(np.abs(results[0].total - wanted)) > 0


# --- whether it shows --------------------------------------------------------------------------------------


def found_epsilon(present: Sequence[float], absent: Sequence[float], delta: float) -> float:
    """A lower bound of ε that the outputs prove, at 99.9 % confidence (Clopper and Pearson)."""
    best = 0.0
    with_it, without = np.sort(present), np.sort(absent)
    for limit in np.quantile(without, np.linspace(0.5, 0.99, 15)):
        hits, false = int((with_it > limit).sum()), int((without > limit).sum())
        least = beta.ppf(0.0005, hits, len(with_it) - hits + 1) if hits else 0.0
        most = beta.ppf(0.9995, false + 1, len(without) - false)
        if least > delta:
            best = max(best, math.log((least - delta) / most))
    return best


def outputs(release: Release, *, canary: bool, times: int, seed: int) -> list[float]:
    """What the coordinator sees of three institutions, of whom one holds the canary or not."""
    records = np.random.default_rng(0).normal(size=(3, 40, 1)) / 10
    longest = np.array([[1e6]])
    noise = DiscreteGaussian(release.variance, seed=bytes([seed]) * 32)
    clear = sum(clipped_sum([part], release) for part in records)
    if canary:
        clear = clear + clipped_sum([longest], release)
    return [
        float(
            decode(clear.view(np.uint64) + sum(noise.words(1) for _ in range(release.hands)), release.bits)[0]
        )
        for _ in range(times)
    ]


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_a_canary_shows_no_more_than_promised(epsilon: float) -> None:
    """The record that changes most, there or not: the best threshold proves less than ε."""
    delta = 1e-5
    release = Release(rho_of(epsilon, delta), 1.0, 1, 3)
    present = outputs(release, canary=True, times=3000, seed=1)
    absent = outputs(release, canary=False, times=3000, seed=2)
    proved = found_epsilon(present, absent, delta)
    assert 0 <= proved < epsilon
    # The record is there, and a tenth of the noise would give it away.
    assert np.mean(present) - np.mean(absent) == pytest.approx(
        1.0, abs=6 * release.deviation(3) / math.sqrt(1500)
    )
    weak = Release(100 * rho_of(epsilon, delta), 1.0, 1, 3)
    shown = found_epsilon(
        outputs(weak, canary=True, times=3000, seed=3), outputs(weak, canary=False, times=3000, seed=4), delta
    )
    assert shown > epsilon


# --- budgets -----------------------------------------------------------------------------------------------


def test_a_budget_is_spent_once_for_a_run_and_before_it() -> None:
    budgets = {r: MemoryBudget(1.0) for r in roles_of(4)}
    given_ = {r: AggregateInput(np.zeros((60, 5)), budgets[r]) for r in budgets}
    done = simulate_parties("group", group(4, length=5), given_)
    rho = done.results["asker"].privacy.rho
    assert rho == pytest.approx(rho_of(1.0, 1e-6), rel=1e-3)
    assert {budget.spent for budget in budgets.values()} == {rho}


def test_a_run_that_would_exceed_the_budget_is_refused_and_sends_nothing() -> None:
    watch = Watch()
    given_ = zeros(4, 5)
    given_["provider"] = AggregateInput(np.zeros((60, 5)), MemoryBudget(0.01))
    played = play_task(group(4, length=5), given_, watch=watch)
    sentence = r"a sum with noise would spend 0\.0244 of the privacy budget of this table, and 0\.01 is"
    with pytest.raises(GrantError, match=sentence):
        raise played.errors["provider"]
    assert not [message for message in watch.views["asker"] if message.sender == "provider"]
    assert played.results["asker"].stayed == ("asker", "provider2", "provider3")


def test_a_budget_allows_runs_until_it_is_spent() -> None:
    budget = MemoryBudget(0.06)
    for run in range(3):
        given_ = {r: AggregateInput(np.zeros((60, 5)), MemoryBudget(9.0)) for r in roles_of(3)}
        given_["provider"] = AggregateInput(np.zeros((60, 5)), budget)
        if run < 2:
            simulate_parties("group", group(3, length=5), given_)
        else:
            with pytest.raises(GrantError, match=r"and 0\.0113 is left"):
                simulate_parties("group", group(3, length=5), given_)
    assert budget.spent == pytest.approx(2 * rho_of(1.0, 1e-6), rel=1e-3)


@pytest.mark.parametrize("mode", SUPPORT["aggregate"])
def test_an_institution_without_a_budget_takes_no_part(mode: Mode) -> None:
    given_ = {r: AggregateInput(np.zeros((60, 5))) for r in roles_of(3)}
    with pytest.raises(
        PlanError, match="a run with noise needs the privacy budget that this institution keeps"
    ):
        simulate_parties(mode, group(3, length=5), given_)


def test_in_mode_local_every_budget_is_spent() -> None:
    budgets = {r: MemoryBudget(1.0) for r in roles_of(3)}
    given_ = {r: AggregateInput(np.zeros((60, 5)), budgets[r]) for r in budgets}
    simulate_parties("local", group(3, length=5), given_)
    assert len({budget.spent for budget in budgets.values()}) == 1
    assert budgets["provider2"].spent > 0


def test_losses_of_several_releases_add_up() -> None:
    releases = [Release(0.02, 1.0, 3, 2), Release(0.05, 2.0, 9, 2)]
    budget = MemoryBudget(1.0)
    report = spend(PRIVACY, releases, budget, member=True, what="two sums")
    assert report.rho == budget.spent == pytest.approx(0.07, rel=1e-3)
    assert report.epsilon == pytest.approx(epsilon_of(report.rho, 1e-6))
    spend(PRIVACY, releases, None, member=False, what="a coordinator without data spends nothing")
    assert budget.spent == report.rho


@pytest.mark.parametrize(
    "wrong",
    [
        {"epsilon": 0.0},
        {"epsilon": 21.0},
        {"delta": 0.0},
        {"delta": 0.01},
        {"colluding": -1},
        {"epsilon": math.nan},
    ],
)
def test_settings_that_protect_nobody_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PlanError, match="privacy needs epsilon above 0 up to 20, delta above 0 and below"):
        PrivacySettings(**{"epsilon": 1.0, "delta": 1e-6, **wrong}).rho()


@pytest.mark.parametrize("clip", [0.0, -1.0, math.inf])
def test_a_clip_is_above_zero(clip: float) -> None:
    task = AggregateTask(AggregateSettings(agreed(3), 5, privacy=PRIVACY, clip=clip))
    with pytest.raises(PlanError, match="clip must be above zero"):
        simulate_parties("group", task, zeros(3, 5))


# --- regressions with noise --------------------------------------------------------------------------------

NAMES = ("a", "b", "c", "d")
BOUNDS = ((-0.5, 0.5), (-4.0, 4.0), (-40.0, 40.0), (-400.0, 400.0))


def regression(institutions: int, epsilon: float, **options: Any) -> FederatedLogisticTask:
    settings_ = FederatedLogisticSettings(
        agreed(institutions), NAMES, privacy=PrivacySettings(epsilon, 1e-6), **{"bounds": BOUNDS, **options}
    )
    return FederatedLogisticTask(settings_)


def rows_of(institutions: int, rows: int, limit: float = 10.0) -> dict[str, Table]:
    found = tables(institutions, rows, len(NAMES))
    return {
        r: Table(values, NAMES, label, MemoryBudget(limit))
        for r, (values, label) in zip(roles_of(institutions), found, strict=True)
    }


@pytest.mark.parametrize("mode", SUPPORT["federated logistic"])
def test_a_regression_with_noise_is_near_the_clear_one(mode: Mode) -> None:
    given_ = rows_of(4, 6000)
    fit = simulate_parties(mode, regression(4, 2.0), given_).results["provider"]
    values = np.concatenate([t.values for t in given_.values()])
    label = np.concatenate([t.label for t in given_.values()]).astype(int)
    exact = FederatedLogisticTask(FederatedLogisticSettings(agreed(4), NAMES))
    clear = simulate_parties("local", exact, given_).results["asker"]
    assert auc(label, values @ fit.coefficients) > auc(label, values @ clear.coefficients) - 0.01
    assert np.all(np.abs(fit.coefficients - clear.coefficients) < 6 * fit.errors)
    assert fit.privacy.epsilon == pytest.approx(2.0, rel=1e-4)
    assert fit.rows == pytest.approx(len(label), rel=0.05)
    assert fit.rows != len(label)


def test_less_privacy_is_more_exact() -> None:
    given_ = rows_of(3, 3000)
    errors = [
        simulate_parties("group", regression(3, epsilon), given_).results["asker"].errors
        for epsilon in (0.3, 8.0)
    ]
    assert np.all(errors[0] > 2 * errors[1])


def test_the_whole_run_is_in_the_budget_and_only_noised_sums_are_opened() -> None:
    given_ = rows_of(3, 3000)
    done = simulate_parties("group", regression(3, 1.0, rounds=4), given_)
    assert {o.reason for o in done.openings["asker"]} == {"with noise"}
    assert [o.what for o in done.openings["provider"]] == ["second moments of columns"] + [
        "gradient of the loss"
    ] * 4
    for table in given_.values():
        assert table.budget.spent == pytest.approx(rho_of(1.0, 1e-6), rel=1e-3)
        assert table.budget.spent <= rho_of(1.0, 1e-6) * (1 + 1e-12)


def test_one_that_leaves_during_a_regression_with_noise() -> None:
    played = play_task(regression(5, 2.0), rows_of(5, 3000), fates={"provider2": Fate("aggregate.masked", 2)})
    assert len(played.results) == 4
    assert played.results["asker"].stayed == ("asker", "provider", "provider3", "provider4")
    assert played.results["asker"].privacy.epsilon <= 2.0 + 1e-9


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"bounds": ()}, "needs rounds, and bounds for each of the 4 columns; got 0"),
        ({"bounds": BOUNDS[:3]}, "bounds for each of the 4 columns; got 3"),
        ({"rounds": 0}, "a regression with noise needs rounds"),
        (
            {"bounds": (*BOUNDS[:3], (1.0, 1.0))},
            "the bounds of a column are two numbers, the lower one first",
        ),
        ({"bounds": (*BOUNDS[:3], (0.0, math.inf))}, "the bounds of a column are two numbers"),
    ],
)
def test_bounds_are_agreed_beforehand(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        simulate_parties("group", regression(3, 1.0, **options), rows_of(3, 100))


def test_too_few_rows_for_the_noise_end_in_a_sentence() -> None:
    with pytest.raises(
        DataError, match="too few rows for a regression with this noise: raise epsilon, or take"
    ):
        simulate_parties("group", regression(3, 0.1), rows_of(3, 60))


def test_values_beyond_the_bounds_count_as_the_bounds() -> None:
    """A single row with a huge value: the sums are those of the bound."""
    release = Release(1e9, 1.0, 1, 1)
    assert private_sum(Alone(["asker"]), [np.array([[5.0]])], release, what="x") == pytest.approx(
        [1.0], abs=1e-3
    )
    assert private_sums.Release(0.1, 1.0, 1, 1).bits == 30
