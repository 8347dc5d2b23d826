"""A loss is kept for good, once, whoever asks at the same time; what does not fit is refused."""

import math
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from tongzhou.errors import ConflictError, GrantError, NotFoundError, PlanError, StorageError
from tongzhou.node.privacy_budget import PrivacyBudgets
from tongzhou.secure.aggregation_settings import AggregationSettings
from tongzhou.secure.federated_tasks import AggregateInput, AggregateSettings, AggregateTask
from tongzhou.secure.private_sums import MemoryBudget, PrivacySettings
from tongzhou.secure.simulate import simulate_parties

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture
def budgets(tmp_path: Path) -> PrivacyBudgets:
    made = PrivacyBudgets.create(tmp_path / "budgets.db", clock=lambda: NOON)
    made.allow("loans", 1.0)
    yield made
    made.close()


def test_losses_add_up_and_are_kept(budgets: PrivacyBudgets, tmp_path: Path) -> None:
    budgets.table("loans").spend(0.25, "first")
    budgets.table("loans").spend(0.5, "second")
    budgets.close()
    again = PrivacyBudgets(tmp_path / "budgets.db")
    assert again.left("loans") == 0.25
    assert [(one.rho, one.what, one.moment) for one in again.losses("loans")] == [
        (0.25, "first", NOON),
        (0.5, "second", NOON),
    ]
    again.close()


def test_what_does_not_fit_is_refused_and_not_entered(budgets: PrivacyBudgets) -> None:
    table = budgets.table("loans")
    table.spend(0.75, "first")
    with pytest.raises(
        GrantError, match=r"second would spend 0\.5 of the privacy budget of this table, and 0\.25"
    ):
        table.spend(0.5, "second")
    table.spend(0.25, "the rest")
    assert [one.what for one in budgets.losses("loans")] == ["first", "the rest"]
    assert budgets.left("loans") == 0
    with pytest.raises(GrantError, match="and 0 is left"):
        table.spend(1e-9, "third")


@pytest.mark.parametrize("rho", [0.0, -0.1, math.nan])
def test_a_loss_is_above_zero(budgets: PrivacyBudgets, rho: float) -> None:
    with pytest.raises(GrantError, match="would spend"):
        budgets.table("loans").spend(rho, "odd")
    assert budgets.losses("loans") == []


def test_runs_at_the_same_time_cannot_both_take_the_last(budgets: PrivacyBudgets, tmp_path: Path) -> None:
    stores = [PrivacyBudgets(tmp_path / "budgets.db") for _ in range(8)]

    def take(store: PrivacyBudgets) -> bool:
        try:
            store.table("loans").spend(0.3, "at once")
        except GrantError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(take, stores))
    for store in stores:
        store.close()
    assert sum(taken) == 3
    assert budgets.left("loans") == pytest.approx(0.1)


def test_tables_have_budgets_of_their_own(budgets: PrivacyBudgets) -> None:
    budgets.allow("cards", 0.5)
    budgets.table("cards").spend(0.5, "all of it")
    assert budgets.left("loans") == 1.0
    assert budgets.left("unknown") == 0.0
    with pytest.raises(NotFoundError, match="there is no privacy budget for unknown; allow one first"):
        budgets.table("unknown")


def test_a_budget_can_only_be_raised(budgets: PrivacyBudgets) -> None:
    budgets.allow("loans", 1.5)
    assert budgets.left("loans") == 1.5
    with pytest.raises(
        ConflictError, match=r"the privacy budget of loans is 1\.5 and can only be raised, not set"
    ):
        budgets.allow("loans", 1.0)
    for wrong in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(PlanError, match="a privacy budget must be above zero"):
            budgets.allow("loans", wrong)


def test_a_store_is_made_once_and_damage_is_said(budgets: PrivacyBudgets, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="exists already"):
        PrivacyBudgets.create(tmp_path / "budgets.db")
    with pytest.raises(NotFoundError, match="there is no such store"):
        PrivacyBudgets(tmp_path / "other.db")
    sqlite3.connect(tmp_path / "old.db").close()
    with sqlite3.connect(tmp_path / "old.db") as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    with pytest.raises(StorageError, match="written in store version 7"):
        PrivacyBudgets(tmp_path / "old.db")


def test_a_run_spends_from_the_store(budgets: PrivacyBudgets) -> None:
    settings = AggregateSettings(AggregationSettings("run", 3), 2, privacy=PrivacySettings(1.0, 1e-6))
    given = {r: AggregateInput(np.zeros((60, 2)), MemoryBudget(1.0)) for r in ("asker", "provider2")}
    given = {
        "asker": given["asker"],
        "provider": AggregateInput(np.zeros((60, 2)), budgets.table("loans")),
        **given,
    }
    done = simulate_parties("group", AggregateTask(settings), given)
    (loss,) = budgets.losses("loans")
    assert (loss.rho, loss.what) == (done.results["asker"].privacy.rho, "a sum with noise")
