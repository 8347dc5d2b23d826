"""Boosted trees on a real table, split between two owners as FATE splits it, where that table is at hand."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from test_secure_boosting import differences

from tongzhou.secure.boost_clear import boost_clear
from tongzhou.secure.boost_settings import BoostSettings
from tongzhou.secure.boost_tasks import BoostScoreInput, BoostScoreTask, BoostTask
from tongzhou.secure.logistic import OwnerBlock
from tongzhou.secure.simulate import simulate

FOLDER = Path(__file__).resolve().parents[3] / "shared" / "data" / "uci_credit_card_tw"
TRAINED, HELD_OUT = 8000, 4000

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the table of card clients is not at hand")


def auc(label: np.ndarray, scores: np.ndarray) -> float:
    ranks = np.argsort(np.argsort(scores))
    positive = label == 1
    count = positive.sum()
    return float((ranks[positive].sum() - count * (count - 1) / 2) / (count * (len(label) - count)))


@pytest.fixture(scope="module")
def blocks() -> tuple[OwnerBlock, OwnerBlock]:
    tables = [pq.read_table(FOLDER / f"fate_vertical_{side}.parquet") for side in ("guest", "host")]
    sides = []
    for table in tables:
        order = np.argsort(table.column("id").to_numpy())[: TRAINED + HELD_OUT]
        columns = {
            name: np.asarray(table.column(name).to_numpy(), dtype=float)[order]
            for name in table.column_names
            if name != "id"
        }
        label = columns.pop("y", None)
        sides.append(OwnerBlock(np.stack(list(columns.values()), axis=1), list(columns), label))
    return sides[0], sides[1]


@pytest.mark.parametrize("depth", [3, 5])
def test_protected_trees_rank_unseen_clients_as_the_reference_does(blocks, depth: int) -> None:
    rows = slice(TRAINED)
    training = [
        OwnerBlock(b.values[rows], b.names, None if b.label is None else b.label[rows]) for b in blocks
    ]
    given = BoostSettings(
        TRAINED, *(b.values.shape[1] for b in blocks), trees=6, depth=depth, min_child_weight=5.0
    )
    outcome, clear = simulate("aided", BoostTask(given), *training), boost_clear(given, *training)
    # In small nodes no row lies between some neighbouring thresholds, which so are equally good.
    assert len(differences(outcome, clear)) <= 0.2 * given.trees * given.leaves
    label = blocks[0].label[TRAINED:]
    found = []
    for models in ((outcome.asker.model, outcome.provider.model), (clear.asker, clear.provider)):
        new = [BoostScoreInput(b.values[TRAINED:], model) for b, model in zip(blocks, models, strict=True)]
        found.append(simulate("aided", BoostScoreTask(HELD_OUT, given.trees, depth), *new).asker)
    assert auc(label, found[0]) == pytest.approx(auc(label, found[1]), abs=0.002)
    assert auc(label, found[0]) > 0.72
