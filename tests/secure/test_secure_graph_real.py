"""Real and simulated networks cut in two: risk over both halves finds more than risk over the bank's own."""

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from pyarrow import parquet

from tongzhou.risk.evaluation import auc
from tongzhou.secure.graph_settings import GraphInput, GraphSettings, undirected
from tongzhou.secure.graph_tasks import GraphTask
from tongzhou.secure.simulate import simulate

DATA = Path(__file__).parents[3] / "shared" / "data"
TRANSFERS = DATA / "amlsim_1k_transactions" / "transactions.parquet"
RATINGS = DATA / "bitcoin_trust_graph" / "soc-sign-bitcoinotc.csv.gz"

Network = tuple[np.ndarray, np.ndarray]


def transfers() -> Network:
    """Transfers among a thousand simulated accounts; accounts of reported ones are to be found."""
    table = parquet.read_table(TRANSFERS, columns=["orig_acct", "bene_acct", "is_sar"])
    ends = np.stack([table["orig_acct"].to_numpy(), table["bene_acct"].to_numpy()], axis=1)
    names, places = np.unique(ends, return_inverse=True)
    edges = places.reshape(-1, 2)
    bad = np.zeros(len(names), dtype=np.int8)
    bad[edges[table["is_sar"].to_numpy()]] = 1
    return edges, bad


def ratings() -> Network:
    """Who rated whom among traders; those with more distrust than trust are to be found."""
    with gzip.open(RATINGS, "rt", encoding="ascii") as file:
        rows = np.array([[int(one) for one in row[:3]] for row in csv.reader(file)])
    names, places = np.unique(rows[:, :2], return_inverse=True)
    edges = places.reshape(-1, 2)
    balance = np.bincount(edges[:, 1], weights=rows[:, 2], minlength=len(names))
    return edges, (balance < 0).astype(np.int8)


@pytest.mark.parametrize(
    ("path", "load", "alone", "together"),
    [(TRANSFERS, transfers, 0.71, 0.78), (RATINGS, ratings, 0.73, 0.80)],
    ids=["transfers", "ratings"],
)
def test_two_halves_find_more_than_one(
    path: Path, load: Callable[[], Network], alone: float, together: float
) -> None:
    """Half of the bad nodes are flagged; the others are ranked. Edges fall to either owner by a coin."""
    if not path.exists():
        pytest.skip(f"{path.parent.name} is not here")
    edges, bad = load()
    both = undirected(edges)
    once = both[both[:, 0] < both[:, 1]]
    source = np.random.default_rng(5)
    coin = source.random(len(once)) < 0.5
    halves = undirected(once[coin]), undirected(once[~coin])
    flags = np.zeros(len(bad), dtype=np.int8)
    flags[source.permutation(np.flatnonzero(bad))[: bad.sum() // 2]] = 1
    settings = GraphSettings(len(bad), len(once) * 2, len(once) * 2, rounds=2, opened_bits=16)
    found = {}
    for mode, weight in (("aided", 0.5), ("local", 0.5), ("local", 0.0)):
        task = GraphTask(msgspec.structs.replace(settings, provider_weight=weight))
        outcome = simulate(mode, task, GraphInput(halves[0], flags), GraphInput(halves[1]))
        rest = flags == 0
        found[mode, weight] = auc(bad[rest].astype(int), np.array(outcome.asker.risk)[rest])
    assert found["aided", 0.5] == pytest.approx(found["local", 0.5], abs=0.002)
    assert found["aided", 0.5] > found["local", 0.0] + 0.05
    assert found["local", 0.0] == pytest.approx(alone, abs=0.06)
    assert found["aided", 0.5] > together - 0.03
