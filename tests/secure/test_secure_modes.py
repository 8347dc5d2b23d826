"""One behaviour for every task in every mode that `SUPPORT` names, and a refusal in every other."""

from typing import Any

import numpy as np
import pytest
from secure_worlds import NAMES, PAIR, clients, in_modes

from tongzhou.errors import PlanError, ProtocolError
from tongzhou.secure.boost_settings import BoostSettings
from tongzhou.secure.boost_tasks import BoostScoreInput, BoostScoreTask, BoostTask
from tongzhou.secure.exchange import Exchange
from tongzhou.secure.logistic import LogisticSettings, OwnerBlock
from tongzhou.secure.matching import MatchSettings
from tongzhou.secure.owner_side import StatisticsInput
from tongzhou.secure.party import Party
from tongzhou.secure.simulate import simulate, simulate_parties
from tongzhou.secure.statistic_requests import Totals
from tongzhou.secure.statistics import StatisticsTask
from tongzhou.secure.stepwise import Drop
from tongzhou.secure.tasks import (
    SUPPORT,
    CountInput,
    CountTask,
    MatchTask,
    Mode,
    ScoreInput,
    ScoreTask,
    Seat,
    TrainTask,
)
from tongzhou.wire.messages import Session

ROWS = 400
ASKER, PROVIDER = clients(ROWS, 2, 3)
SETTINGS = LogisticSettings(ROWS, 2, 3)
BOOST = BoostSettings(ROWS, 2, 3, trees=3, depth=2, bins=11)
ALL_MODES: tuple[Mode, ...] = ("local", "aided", "pair", "group")


def modes(task: str) -> Any:
    return pytest.mark.parametrize("mode", in_modes(SUPPORT[task]))


@modes("match")
def test_match(mode: Mode) -> None:
    task = MatchTask(MatchSettings(2, "run"))
    outcome = simulate(mode, task, ["n", "b", "x", "c"], ["c", "m", "b", "x", "y"])
    own = [["n", "b", "x", "c"][place] for place in outcome.asker]
    assert own == [["c", "m", "b", "x", "y"][place] for place in outcome.provider]
    assert sorted(own) == ["b", "c", "x"]
    assert outcome.asker.dtype == outcome.provider.dtype == np.int64


@modes("count")
def test_count(mode: Mode) -> None:
    codes = [np.array([0, 1, 1, 0, 2], dtype=np.int16), np.array([1, 1, 1, 1, 0], dtype=np.int16)]
    label = np.array([1, 1, 0, 1, 0], dtype=np.int8)
    task = CountTask(5, (4, 2), receivers="both")
    outcome = simulate(mode, task, CountInput(label=label), CountInput(codes=codes))
    for counts in (outcome.asker, outcome.provider):
        assert [c.totals.tolist() for c in counts] == [[2, 2, 1, 0], [1, 4]]
        assert [c.events.tolist() for c in counts] == [[2, 1, 0, 0], [0, 3]]
        assert all(c.totals.dtype == c.events.dtype == np.int64 for c in counts)


@modes("train")
@pytest.mark.parametrize("card", ["own", "shared"])
def test_train(mode: Mode, card: Any) -> None:
    outcome = simulate(mode, TrainTask(SETTINGS, card), ASKER, PROVIDER)
    truth = simulate("local", TrainTask(SETTINGS), ASKER, PROVIDER)
    for got, wanted in ((outcome.asker, truth.asker), (outcome.provider, truth.provider)):
        assert got.errors == pytest.approx(wanted.errors, rel=5e-4)
        assert got.gradient_norms[0] > got.gradient_norms[-1]
        if card == "shared":
            assert got.fit is None
        else:
            assert got.fit.coefficients == pytest.approx(wanted.fit.coefficients, abs=1e-3)


@modes("train")
def test_train_asks_every_party_alike_and_drops_what_they_name(mode: Mode) -> None:
    """Dropping gives the model that is trained without the variable from the start."""
    asked: list[int] = []

    def reviewer() -> Any:
        left = [Drop("provider", 2), Drop("asker", 0)]

        def review(fit: Any) -> Drop | None:
            asked.append(0 if fit is None else len(fit.coefficients))
            return left.pop(0) if left else None

        return review

    reviews = {role: reviewer() for role in ("asker", "provider", "helper")}
    task = TrainTask(SETTINGS, review=lambda fit: reviews[_role_of(fit)](fit))
    outcome = simulate(mode, task, ASKER, PROVIDER)
    assert sorted(asked) == sorted([0, 2, 3] * 3 if mode == "aided" else [2, 3] * 3)
    assert outcome.asker.dropped == (Drop("provider", 2), Drop("asker", 0))
    less = simulate(
        "local",
        TrainTask(LogisticSettings(ROWS, 1, 2)),
        OwnerBlock(ASKER.values[:, 1:], ASKER.names[1:], ASKER.label),
        OwnerBlock(PROVIDER.values[:, :2], PROVIDER.names[:2]),
    )
    assert outcome.asker.fit.coefficients == pytest.approx([0.0, *less.asker.fit.coefficients], abs=1e-3)
    assert outcome.provider.fit.coefficients == pytest.approx(
        [*less.provider.fit.coefficients, 0.0], abs=1e-3
    )
    assert outcome.asker.errors == pytest.approx([0.0, *less.asker.errors], rel=1e-3)
    assert outcome.provider.errors == pytest.approx([*less.provider.errors, 0.0], rel=1e-3)
    total = outcome.asker.fit.intercept + outcome.provider.fit.intercept
    assert total == pytest.approx(less.asker.fit.intercept + less.provider.fit.intercept, abs=1e-3)


def _role_of(fit: Any) -> str:
    return "helper" if fit is None else {2: "asker", 3: "provider"}[len(fit.coefficients)]


@modes("train")
def test_train_without_errors(mode: Mode) -> None:
    outcome = simulate(mode, TrainTask(SETTINGS, errors=False), ASKER, PROVIDER)
    assert outcome.asker.errors is None
    assert outcome.asker.fit is not None


@pytest.mark.parametrize("trained", in_modes(SUPPORT["train"]))
@modes("score")
@pytest.mark.parametrize("card", ["own", "shared"])
def test_score(mode: Mode, trained: Mode, card: Any) -> None:
    """A key from any mode scores in any mode: all hold the same numbers in the same form."""
    model = simulate(trained, TrainTask(SETTINGS, card), ASKER, PROVIDER)
    truth = simulate("local", TrainTask(SETTINGS), ASKER, PROVIDER)
    new_asker, new_provider = clients(70, 2, 3, seed=9)
    outcome = simulate(
        mode,
        ScoreTask(70, 2, 3, ROWS),
        ScoreInput(new_asker.values, model.asker.key),
        ScoreInput(new_provider.values, model.provider.key),
    )
    wanted = (
        truth.asker.fit.intercept
        + truth.provider.fit.intercept
        + new_asker.values @ truth.asker.fit.coefficients
        + new_provider.values @ truth.provider.fit.coefficients
    )
    assert outcome.asker == pytest.approx(wanted, abs=2e-3)
    assert outcome.provider is None


@modes("boost")
@pytest.mark.parametrize("leaves", ["shared", "asker"])
def test_boost(mode: Mode, leaves: Any) -> None:
    task = BoostTask(BOOST, leaves, gains=True)
    outcome = simulate(mode, task, ASKER, PROVIDER)
    truth = simulate("local", task, ASKER, PROVIDER)
    for got, wanted in ((outcome.asker, truth.asker), (outcome.provider, truth.provider)):
        assert [tree.splits for tree in got.model.trees] == [tree.splits for tree in wanted.model.trees]
        assert [tree.owners for tree in got.model.trees] == [tree.owners for tree in wanted.model.trees]
        assert got.gains == pytest.approx(wanted.gains, rel=2e-3, abs=0.05)
        assert got.model.base == wanted.model.base
        assert got.model.opened is (leaves == "asker")


@pytest.mark.parametrize("trained", SUPPORT["boost"])
@modes("boost_score")
@pytest.mark.parametrize("leaves", ["shared", "asker"])
def test_boost_score(mode: Mode, trained: Mode, leaves: Any) -> None:
    """A model from any mode scores in any mode."""
    model = simulate(trained, BoostTask(BOOST, leaves), ASKER, PROVIDER)
    truth = simulate("local", BoostTask(BOOST), ASKER, PROVIDER)
    new_asker, new_provider = clients(70, 2, 3, seed=9)
    task = BoostScoreTask(70, BOOST.trees, BOOST.depth)
    scores = [
        simulate(
            how,
            task,
            BoostScoreInput(new_asker.values, found.asker.model),
            BoostScoreInput(new_provider.values, found.provider.model),
        )
        for how, found in ((mode, model), ("local", truth))
    ]
    assert scores[0].asker == pytest.approx(scores[1].asker, abs=1e-3)
    assert np.ptp(scores[0].asker) > 0.5
    assert scores[0].provider is None


@pytest.mark.parametrize("task", sorted(SUPPORT))
@pytest.mark.parametrize("mode", ALL_MODES)
def test_what_a_mode_cannot_do_is_refused_by_name(task: str, mode: Mode) -> None:
    seat = Seat(Party("asker", Session("asker", {}), NAMES), mode, Exchange())
    if mode in SUPPORT[task]:
        seat.require(task)
        return
    allowed = ", ".join(SUPPORT[task])
    with pytest.raises(PlanError, match=f"{task} does not run in mode {mode}; it runs in {allowed}$"):
        seat.require(task)


@pytest.mark.parametrize(
    ("task", "asker", "provider"),
    [
        (BoostTask(BOOST), ASKER, PROVIDER),
        (BoostScoreTask(1, 1, 1), None, None),
        (StatisticsTask(1, (Totals(name="count"),)), StatisticsInput(), StatisticsInput()),
    ],
)
def test_tasks_without_a_pair_protocol_never_fall_back(task: Any, asker: Any, provider: Any) -> None:
    with pytest.raises(PlanError, match="does not run in mode pair"):
        simulate("pair", task, asker, provider)


def test_nothing_falls_back_to_another_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing falls back: the refusal names the modes that there are."""
    monkeypatch.setitem(SUPPORT, "count", ("local", "aided"))
    with pytest.raises(PlanError, match="count does not run in mode pair; it runs in local, aided"):
        simulate("pair", CountTask(1, (1,)), CountInput(), CountInput())


@PAIR
def test_a_pair_has_no_third_party() -> None:
    task = TrainTask(SETTINGS)
    inputs = {"asker": ASKER, "provider": PROVIDER, "helper": None}
    with pytest.raises(PlanError, match="mode pair has no helper; remove it or use mode aided"):
        simulate_parties("pair", task, inputs)


def test_matching_by_a_helper_needs_the_helper() -> None:
    with pytest.raises(PlanError, match="matching by a helper does not run in mode pair: use dh or vole"):
        simulate("pair", MatchTask(MatchSettings(1, "run"), "aided"), ["a"], ["a"])


def test_owners_who_do_not_agree_are_stopped_in_the_clear() -> None:
    task = TrainTask(SETTINGS, review=lambda fit: Drop("asker", 0) if len(fit.coefficients) == 2 else None)
    with pytest.raises(ProtocolError, match="do not agree which variable is dropped"):
        task.clear(ASKER, PROVIDER)


def test_clear_reviews_and_gives_what_the_exchange_gives() -> None:
    first, second = TrainTask(SETTINGS).clear(ASKER, PROVIDER)
    outcome = simulate("local", TrainTask(SETTINGS), ASKER, PROVIDER)
    assert first.fit.coefficients.tolist() == outcome.asker.fit.coefficients.tolist()
    assert second.errors.tolist() == outcome.provider.errors.tolist()
    none, _ = TrainTask(SETTINGS, errors=False).clear(ASKER, PROVIDER)
    assert none.errors is None
