"""The three cases of federated learning, on splits of the bundled example made to their definitions.

Horizontal: the same columns, other clients. Vertical: the same clients, other columns. Transfer: few clients
and few columns in common. Each is compared with what the asker can do alone, over repeated splits.
"""

from functools import cache
from typing import Any

import numpy as np
import pytest
from federated_worlds import agreed, roles_of
from scipy.stats import t

from tongzhou.data.example import bank_table, card_network_table
from tongzhou.risk.evaluation import auc
from tongzhou.secure.federated_columns import Table
from tongzhou.secure.federated_logistic import FederatedLogisticSettings
from tongzhou.secure.federated_tasks import FederatedLogisticTask
from tongzhou.secure.logistic import LogisticSettings, OwnerBlock
from tongzhou.secure.simulate import simulate, simulate_parties
from tongzhou.secure.tasks import ScoreInput, ScoreTask, TrainTask
from tongzhou.secure.transfer import TransferSettings, TransferTable
from tongzhou.secure.transfer_task import TransferTask

TEST = 4000
BANK = ["limit", "sex", "education", "marriage", "age"]


@cache
def example() -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Columns of the 24,000 clients that both sides know, amounts on a logarithmic scale; the label."""
    bank, network = bank_table(), card_network_table()
    ids = [np.array(t.column("client_id").to_pylist()) for t in (bank, network)]
    _, here, there = np.intersect1d(*ids, return_indices=True)
    found = {}
    for table, places in ((bank, here), (network, there)):
        for name in table.column_names:
            if name != "client_id":
                column = np.asarray(table.column(name).to_numpy(), dtype=float)[places]
                amount = name.startswith(("limit", "bill", "paid"))
                found[name] = np.sign(column) * np.log1p(np.abs(column)) if amount else column
    label = found.pop("default")
    return found, label


def columns(*prefixes: str) -> list[str]:
    return [name for name in example()[0] if name.startswith(prefixes)]


def block(names: list[str], rows: np.ndarray) -> np.ndarray:
    return np.column_stack([example()[0][name][rows] for name in names])


def interval(gains: list[float]) -> tuple[float, float]:
    """Mean gain and the half width of its 95 % interval over splits."""
    return float(np.mean(gains)), float(t.ppf(0.975, len(gains) - 1)) * float(
        np.std(gains, ddof=1)
    ) / np.sqrt(len(gains))


def shared(one: Any, other: Any) -> float:
    """Share of the smaller set that both have."""
    return len(set(one) & set(other)) / min(len(set(one)), len(set(other)))


def marks(rows: np.ndarray) -> np.ndarray:
    return example()[1][rows].astype(int)


# --- horizontal --------------------------------------------------------------------------------------------


def banks(seed: int, size: int) -> tuple[list[np.ndarray], np.ndarray]:
    """Five banks of different regions: clients of different age and limit, none in common."""
    order = np.random.default_rng(seed).permutation(len(example()[1]))
    train = order[TEST : TEST + 5 * size]
    region = example()[0]["age"][train] + np.random.default_rng(seed + 100).normal(size=len(train)) * 4
    return np.array_split(train[np.argsort(region)], 5), order[:TEST]


def test_horizontal_banks_together_beat_each_alone_and_equal_the_pooled_model() -> None:
    names = list(example()[0])
    gains = []
    for seed in range(8):
        parts, test = banks(seed, 250)
        assert max(shared(one, other) for one in parts for other in parts if one is not other) == 0
        given = {
            role: Table(block(names, part), tuple(names), example()[1][part])
            for role, part in zip(roles_of(5), parts, strict=True)
        }
        task = FederatedLogisticTask(FederatedLogisticSettings(agreed(5), tuple(names), l2=1e-3))
        together = simulate_parties("group" if seed < 2 else "local", task, given).results["asker"]
        alone = FederatedLogisticTask(FederatedLogisticSettings(agreed(3), tuple(names), l2=1e-3)).clear(
            {"asker": given["asker"]}
        )["asker"]
        score = [auc(marks(test), block(names, test) @ fit.coefficients) for fit in (together, alone)]
        gains.append(score[0] - score[1])
        if seed < 2:
            pooled = task.clear(given)["asker"]
            assert together.coefficients == pytest.approx(pooled.coefficients, rel=1e-9)
    mean, half = interval(gains)
    assert mean - half > 0.005


# --- vertical ----------------------------------------------------------------------------------------------


def test_vertical_the_partners_columns_beat_the_asker_alone() -> None:
    """All clients in common, no column; the joint regression of two owners."""
    provider = columns("repay", "bill_1", "paid_1")
    assert shared(BANK, provider) == 0
    gains = []
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(len(example()[1]))
        test, train = order[:TEST], order[TEST : TEST + 4000]
        owners = (
            OwnerBlock(block(BANK, train), BANK, example()[1][train]),
            OwnerBlock(block(provider, train), provider),
        )
        mode = "aided" if seed == 0 else "local"
        settings = LogisticSettings(len(train), len(BANK), len(provider))
        outcome = simulate(mode, TrainTask(settings, errors=False), *owners)
        score = block(BANK, test) @ outcome.asker.fit.coefficients
        score = score + block(provider, test) @ outcome.provider.fit.coefficients
        table = Table(block(BANK, train), tuple(BANK), example()[1][train])
        alone = FederatedLogisticTask(FederatedLogisticSettings(agreed(3), tuple(BANK))).clear(
            {"asker": table}
        )
        gains.append(
            auc(marks(test), score) - auc(marks(test), block(BANK, test) @ alone["asker"].coefficients)
        )
    mean, half = interval(gains)
    assert mean - half > 0.08


# --- transfer ----------------------------------------------------------------------------------------------


def ridge(design: np.ndarray, label: np.ndarray, penalty: float) -> np.ndarray:
    """Logistic regression with a penalty on the mean loss, by Newton's iteration; the intercept first."""
    rows = np.column_stack([np.ones(len(design)), design])
    weights, least = np.zeros(rows.shape[1]), penalty * np.eye(rows.shape[1])
    least[0, 0] = 0
    for _ in range(8):
        chance = 1 / (1 + np.exp(-rows @ weights))
        curvature = (rows.T * (chance * (1 - chance))) @ rows / len(rows) + least
        weights -= np.linalg.solve(curvature, rows.T @ (chance - label) / len(rows) + least @ weights)
    return weights


def asker_alone(names: list[str], train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """The best regression that the asker has by itself: its penalty chosen by cross-validation."""
    means, deviations = block(names, train).mean(axis=0), block(names, train).std(axis=0)
    rows, label = (block(names, train) - means) / deviations, example()[1][train]
    fold, best = np.arange(len(train)) % 5, (np.inf, 0.0)
    for penalty in (1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1):
        logits = np.empty(len(train))
        for part in range(5):
            weights = ridge(rows[fold != part], label[fold != part], penalty)
            logits[fold == part] = rows[fold == part] @ weights[1:] + weights[0]
        best = min(best, (float(np.mean(np.logaddexp(0, logits) - label * logits)), penalty))
    return (block(names, test) - means) / deviations @ ridge(rows, label, best[1])[1:]


def transferred(
    seed: int,
    own: list[str],
    other: list[str],
    *,
    labelled: int,
    matched: int,
    components: int = 3,
    mode: Any = "local",
) -> dict[str, float]:
    """One split and its figures: the asker alone, with the map, and with the joint model."""
    order = np.random.default_rng(seed).permutation(len(example()[1]))
    test, asker = order[:TEST], order[TEST : TEST + labelled]
    provider = np.r_[asker[:matched], order[TEST + labelled : TEST + labelled + 8000]]
    assert shared(asker, provider) == matched / min(len(asker), len(provider))
    tables = (
        TransferTable(block(own, asker), own, np.arange(matched), example()[1][asker]),
        TransferTable(block(other, provider), other, np.arange(matched)),
    )
    outcome = simulate(mode, TransferTask(TransferSettings(matched, len(own), components)), *tables)
    keys = [
        ScoreInput(result.block(block(names, test)), result.joint.key)
        for result, names in ((outcome.asker, own), (outcome.provider, other))
    ]
    joint = simulate(mode, ScoreTask(TEST, 1, components, matched), *keys).asker
    return {
        "alone": auc(marks(test), asker_alone(own, asker, test)),
        "own": auc(marks(test), outcome.asker.own.logit(block(own, test))),
        "joint": auc(marks(test), joint),
    }


def gains_of(figure: str, splits: int, *arguments: Any, **options: Any) -> tuple[float, float]:
    found = [transferred(seed, *arguments, **options) for seed in range(splits)]
    return interval([one[figure] - one["alone"] for one in found])


@pytest.mark.parametrize(("labelled", "matched"), [(6000, 120), (2000, 200)])
def test_transfer_known_clients_are_scored_far_better(labelled: int, matched: int) -> None:
    """A fiftieth or a tenth of the asker's clients are known to the provider; one column is common."""
    other = [*columns("repay", "bill", "paid"), "limit"]
    assert shared(BANK, other) == 0.2
    mean, half = gains_of("joint", 8, BANK, other, labelled=labelled, matched=matched)
    assert mean - half > 0.03


def test_transfer_few_labels_help_even_where_the_asker_scores_alone() -> None:
    """300 labelled clients, 200 of them known to the provider: its columns show which directions matter."""
    own, other = [*BANK, *columns("bill", "paid")], [*columns("repay"), "limit"]
    assert shared(own, other) < 0.2
    mean, half = gains_of("own", 24, own, other, labelled=300, matched=200, components=2)
    assert mean - half > 0


def test_transfer_with_many_labels_and_few_columns_changes_nothing_for_the_rest() -> None:
    """What the asker's five columns can say it knows from its own labels; nor does the own score lose."""
    mean, half = gains_of("own", 6, BANK, columns("repay", "bill", "paid"), labelled=6000, matched=200)
    assert abs(mean) < 0.002
    assert half < 0.002


def test_transfer_under_protection_gives_the_same() -> None:
    other = columns("repay", "bill", "paid")
    clear, protected = (
        transferred(3, BANK, other, labelled=3000, matched=150, mode=mode) for mode in ("local", "aided")
    )
    assert protected == pytest.approx(clear, abs=1e-3)
