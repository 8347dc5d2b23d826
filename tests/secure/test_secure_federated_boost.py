"""Boosted trees from summed histograms: to the last bit those of the pooled rows, and as good as others'."""

from typing import Any

import msgspec
import numpy as np
import pytest
from federated_worlds import Fate, agreed, play_task, roles_of, tables
from secure_worlds import Watch
from sklearn.ensemble import HistGradientBoostingClassifier
from threadpoolctl import threadpool_limits

from tongzhou.data.example import bank_table, card_network_table
from tongzhou.errors import DataError, PlanError
from tongzhou.risk.evaluation import auc
from tongzhou.secure.federated_boost import FederatedBoostSettings, fit_boost
from tongzhou.secure.federated_columns import Table
from tongzhou.secure.federated_tasks import FederatedBoostTask
from tongzhou.secure.federated_trees import LEAF, BoostedTrees, Tree
from tongzhou.secure.simulate import simulate_parties
from tongzhou.secure.summing import Alone
from tongzhou.secure.tasks import SUPPORT, Mode
from tongzhou.secure.tree_growth import Growth, Leaves

NAMES = ("a", "b", "c", "d")


def inputs(
    institutions: int = 4, rows: int = 200, *, missing: float = 0.0, **options: Any
) -> dict[str, Table]:
    source = np.random.default_rng(9)
    given = {}
    found = tables(institutions, rows, len(NAMES), **options)
    for role, (values, label) in zip(roles_of(institutions), found, strict=True):
        bent = np.where(source.random(values.shape) < missing, np.nan, values)
        given[role] = Table(bent, NAMES, label)
    return given


def task(institutions: int = 4, **options: Any) -> FederatedBoostTask:
    chosen = {"trees": 6, "depth": 3, "bins": 16, **options}
    return FederatedBoostTask(FederatedBoostSettings(agreed(institutions), NAMES, **chosen))


def all_rows(given: dict[str, Table]) -> tuple[np.ndarray, np.ndarray]:
    there = list(given.values())
    return np.concatenate([t.values for t in there]), np.concatenate([t.label for t in there])


@pytest.mark.parametrize("mode", SUPPORT["federated boost"])
def test_everybody_gets_one_model_that_orders_the_rows(mode: Mode) -> None:
    given = inputs(rows=500)
    done = simulate_parties(mode, task(trees=20), given)
    assert len({msgspec.json.encode(fit.model) for fit in done.results.values()}) == 1
    values, label = all_rows(given)
    fit = done.results["provider"]
    assert fit.rows == len(label)
    assert fit.stayed == tuple(given)
    assert auc(label.astype(int), fit.model.logit(values)) > 0.75


@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("options", [{}, {"depth": 5, "bins": 40, "min_rows": 5, "l2": 0.3}, {"depth": 1}])
def test_the_model_is_to_the_last_bit_that_of_the_pooled_rows(
    missing: float, options: dict[str, Any]
) -> None:
    """However the rows are divided: local has one part, group four or seven."""
    given = inputs(7, 150, missing=missing)
    values, label = all_rows(given)
    whole = fit_boost(Alone(["asker"]), task(7, **options).settings, Table(values, NAMES, label)).model
    assert simulate_parties("group", task(7, **options), given).results["asker"].model == whole
    order = np.random.default_rng(1).permutation(len(label))
    parts = np.array_split(order, 4)
    other = {r: Table(values[p], NAMES, label[p]) for r, p in zip(roles_of(4), parts, strict=True)}
    assert simulate_parties("group", task(4, **options), other).results["provider2"].model == whole


def example() -> tuple[np.ndarray, np.ndarray, tuple[str, ...]]:
    """The clients that both sides of the bundled example know, with all 23 variables."""
    bank, network = bank_table(), card_network_table()
    ids = [np.array(t.column("client_id").to_pylist()) for t in (bank, network)]
    _, here, there = np.intersect1d(*ids, return_indices=True)
    names = [n for n in bank.column_names if n not in ("client_id", "default")]
    others = [n for n in network.column_names if n != "client_id"]
    columns = [np.asarray(bank.column(n).to_numpy(), dtype=float)[here] for n in names]
    columns += [np.asarray(network.column(n).to_numpy(), dtype=float)[there] for n in others]
    label = np.asarray(bank.column("default").to_numpy(), dtype=float)[here]
    return np.column_stack(columns), label, (*names, *others)


@pytest.mark.parametrize(
    ("mode", "trees", "depth", "bins"), [("group", 40, 4, 32), ("local", 25, 5, 64), ("local", 60, 3, 16)]
)
def test_as_good_as_scikit_learn_on_real_rows(mode: Mode, trees: int, depth: int, bins: int) -> None:
    """Ten banks' rows; the same rows in one place for the library. Same depth, bins and trees."""
    values, label, names = example()
    order = np.random.default_rng(7).permutation(len(label))
    train, test = order[:12_000], order[12_000:]
    settings = FederatedBoostSettings(agreed(10), names, trees=trees, depth=depth, bins=bins)
    parts = np.array_split(train[np.argsort(values[train, 0], kind="stable")], 10)
    given = {r: Table(values[p], names, label[p]) for r, p in zip(roles_of(10), parts, strict=True)}
    model = simulate_parties(mode, FederatedBoostTask(settings), given).results["asker"].model
    library = HistGradientBoostingClassifier(
        max_iter=trees,
        max_depth=depth,
        max_bins=bins,
        max_leaf_nodes=None,
        learning_rate=0.1,
        early_stopping=False,
    )
    with threadpool_limits(1):
        library.fit(values[train], label[train])
        wanted = auc(label[test].astype(int), library.decision_function(values[test]))
    assert abs(auc(label[test].astype(int), model.logit(values[test])) - wanted) < 0.002


# --- one tree ----------------------------------------------------------------------------------------------


def one_split(values: np.ndarray, label: np.ndarray, **options: Any) -> Tree:
    names = NAMES[: values.shape[1]]
    chosen = {
        "trees": 1,
        "depth": 1,
        "bins": 254,
        "rate": 1.0,
        "min_rows": 1,
        "min_curvature": 0.0,
        **options,
    }
    settings = FederatedBoostSettings(agreed(3), names, **chosen)
    return fit_boost(Alone(["asker"]), settings, Table(values, names, label)).model.trees[0]


def best_by_hand(values: np.ndarray, label: np.ndarray, least: int) -> tuple[int, float, float]:
    """Column, limit and gain of the best single split, by trying all."""
    rate = label.mean()
    gradient, curvature = rate - label, np.full(len(label), rate * (1 - rate))
    best = (LEAF, 0.0, 0.0)
    for column in range(values.shape[1]):
        for limit in np.unique(values[:, column])[:-1]:
            left = values[:, column] <= limit
            if min(left.sum(), (~left).sum()) < least:
                continue
            gain = sum(gradient[side].sum() ** 2 / curvature[side].sum() for side in (left, ~left))
            if gain > best[2] + 1e-9:
                best = (column, float(limit), gain)
    return best


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("least", [1, 30])
def test_a_split_is_the_best_there_is(seed: int, least: int) -> None:
    source = np.random.default_rng(seed)
    values = source.integers(0, 9, size=(150, 3)).astype(float)
    label = (values[:, seed % 3] + source.normal(size=150) * 2 > 5).astype(float)
    tree = one_split(values, label, min_rows=least)
    column, limit, _ = best_by_hand(values, label, least)
    assert (tree.columns[0], tree.limits[0]) == (column, limit)


def test_leaf_values_are_newton_steps() -> None:
    values = np.repeat([0.0, 1.0], 100)[:, None]
    label = np.concatenate([np.repeat([1.0, 0.0], [20, 80]), np.repeat([1.0, 0.0], [70, 30])])
    tree = one_split(values, label, l2=2.0, rate=0.5)
    rate = 0.45
    for node, events in ((1, 20), (2, 70)):
        step = -(100 * rate - events) / (100 * rate * (1 - rate) + 2.0)
        assert tree.values[node] == pytest.approx(0.5 * step, rel=1e-6)


@pytest.mark.parametrize("events_missing", [True, False])
def test_missing_values_go_where_they_fit(events_missing: bool) -> None:
    values = np.array([0.0] * 100 + [1.0] * 100 + [np.nan] * 50)[:, None]
    label = np.array([0.0] * 90 + [1.0] * 10 + [0.0] * 30 + [1.0] * 70 + [float(events_missing)] * 50)
    tree = one_split(values, label)
    model = BoostedTrees(("a",), 0.0, (tree,))
    low, high, missing = model.logit(np.array([[0.0], [1.0], [np.nan]]))
    assert low < high
    assert missing == (high if events_missing else low)


def test_missing_against_present_is_a_split_too() -> None:
    values = np.array([3.0] * 100 + [np.nan] * 100)[:, None]
    label = np.array([0.0] * 80 + [1.0] * 20 + [1.0] * 80 + [0.0] * 20)
    tree = one_split(values, label)
    low, huge, missing = BoostedTrees(("a",), 0.0, (tree,)).logit(np.array([[3.0], [1e300], [np.nan]]))
    assert low == huge < missing
    assert msgspec.json.decode(msgspec.json.encode(tree), type=Tree) == tree


def test_a_missing_value_of_later_goes_with_most_rows() -> None:
    values = np.array([0.0] * 150 + [1.0] * 50)[:, None]
    label = np.array([0.0] * 140 + [1.0] * 10 + [1.0] * 50)
    tree = one_split(values, label)
    low, missing = BoostedTrees(("a",), 0.0, (tree,)).logit(np.array([[0.0], [np.nan]]))
    assert low == missing


@pytest.mark.parametrize("options", [{"min_rows": 101}, {"min_curvature": 1e9}])
def test_where_nothing_may_be_split_the_tree_is_a_leaf(options: dict[str, Any]) -> None:
    values = np.repeat([0.0, 1.0], 100)[:, None]
    tree = one_split(values, np.repeat([0.0, 1.0], 100), **options)
    assert (tree.columns, len(tree.values)) == ((LEAF,), 1)
    assert tree.values[0] == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(("same", "nodes"), [(True, [1, 2]), (False, [1])])
def test_subtraction_needs_the_same_rows(same: bool, nodes: list[int]) -> None:
    """Of two children one is summed; if an institution left since, the other one stays a leaf."""
    growth = Growth([np.array([1.0, 2.0, 3.0])], Leaves(0.1, 0.0, 1, 0.0), 2)
    parent = np.array([[-3, 2, 10], [-5, 2, 10], [3, 2, 10], [5, 2, 10], [0, 0, 0]], dtype=float)
    splits = growth.grow(np.array([0]), parent[None], same_rows=False)
    assert (splits.nodes.tolist(), splits.cuts.tolist(), splits.wanted.tolist()) == ([0], [1], [1])
    left = np.where(np.arange(5)[:, None] <= 1, parent, 0.0)
    second = growth.grow(splits.wanted, left[None], same_rows=same)
    assert second.nodes.tolist() == nodes
    assert second.wanted.tolist() == []


# --- drop-outs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [0, 3, 6, 8, 13])
def test_growing_goes_on_when_one_leaves(turn: int) -> None:
    """Before the first tree, at a root, in the middle of a tree."""
    given = inputs(5, 300)
    played = play_task(task(5, trees=8), given, fates={"provider4": Fate("aggregate.masked", turn)})
    models = {msgspec.json.encode(fit.model) for fit in played.results.values()}
    assert len(models) == 1
    assert len(played.results) == 4
    model = played.results["asker"].model
    assert len(model.trees) == 8
    values, label = all_rows({r: t for r, t in given.items() if r != "provider4"})
    whole = fit_boost(Alone(["asker"]), task(5, trees=8).settings, Table(values, NAMES, label)).model
    marks = label.astype(int)
    assert auc(marks, model.logit(values)) > auc(marks, whole.logit(values)) - 0.02


# --- what is opened ----------------------------------------------------------------------------------------


def test_what_arrives_and_what_is_opened() -> None:
    watch, given = Watch(), inputs(4)
    done = simulate_parties("group", task(4, trees=2), given, watch=watch)
    up = {"aggregate.keys", "aggregate.boxes", "aggregate.masked", "aggregate.answer"}
    down = {"aggregate.roster", "aggregate.mail", "aggregate.call", "aggregate.question", "aggregate.total"}
    down |= {"federated.cells", "federated.splits", "federated.tree"}
    assert watch.tags("asker") == {(role, tag) for role in given if role != "asker" for tag in up}
    for role in given:
        if role != "asker":
            assert watch.tags(role) == {("asker", tag) for tag in down}
    opened = {(o.what, o.receivers) for o in done.openings["provider"]}
    assert opened == {
        ("rows and events", ("asker", "provider", "provider2", "provider3")),
        ("values in cells of columns", ("asker",)),
        ("histograms of gradients", ("asker",)),
    }
    assert done.openings["provider"] == done.openings["asker"]


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_words_of_a_tree_are_within_the_statement(depth: int) -> None:
    watch, given = Watch(), inputs(4, 600)
    simulate_parties("group", task(4, trees=1, depth=depth, min_rows=2), given, watch=watch)
    masked = [
        m.arrays[0] for m in watch.views["asker"] if m.tag == "aggregate.masked" and m.sender == "provider"
    ]
    cells = sum(17 for _ in NAMES)
    levels = masked[5:]
    assert 1 <= len(levels) <= depth
    assert sum(len(level) for level in levels) <= 2**depth * cells
    assert len(levels[0]) == 2 * cells


# --- models ------------------------------------------------------------------------------------------------


def test_a_model_travels_as_json() -> None:
    model = simulate_parties("local", task(3), inputs(3)).results["asker"].model
    again = msgspec.json.decode(msgspec.json.encode(model), type=BoostedTrees)
    values = all_rows(inputs(3, missing=0.3))[0]
    assert again == model
    assert again.logit(values).tolist() == model.logit(values).tolist()


def test_logits_by_hand() -> None:
    """Root: a up to 2 goes left to a leaf; right: b up to 5, missing b to the left."""
    tree = Tree(
        (0, LEAF, 1, LEAF, LEAF, LEAF, LEAF),
        (2.0, 0, 5.0, 0, 0, 0, 0),
        (False, False, True, False, False, False, False),
        (0.0, 0.1, 0.0, 0, 0, -0.2, 0.3),
    )
    model = BoostedTrees(("a", "b"), -1.0, (tree, tree))
    rows = np.array([[2.0, 9.0], [3.0, 5.0], [3.0, 6.0], [np.nan, np.nan], [np.nan, 7.0]])
    assert model.logit(rows) == pytest.approx([-0.8, -1.4, -0.4, -1.4, -0.4])
    with pytest.raises(DataError, match="the rows have 3 columns, the model has 2"):
        model.logit(np.zeros((1, 3)))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"trees": 0}, "boosting takes trees from 1 to 1000, got 0"),
        ({"depth": 9}, "boosting takes depth from 1 to 8, got 9"),
        ({"bins": 255}, "boosting takes bins from 2 to 254, got 255"),
        ({"rate": 0.0}, "boosting takes rate from 1e-06 to 1, got 0"),
        ({"l2": -1.0}, "boosting takes l2 from 0 to 1e"),
        ({"min_rows": 0}, "boosting takes min_rows from 1"),
    ],
)
def test_settings_out_of_range(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        simulate_parties("local", task(3, **options), inputs(3))


@pytest.mark.parametrize("mode", SUPPORT["federated boost"])
def test_one_class_is_refused(mode: Mode) -> None:
    given = inputs(3)
    for table in given.values():
        table.label.fill(0.0)
    with pytest.raises(DataError, match="all one class"):
        simulate_parties(mode, task(3), given)
