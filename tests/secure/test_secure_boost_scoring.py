"""Scores of new rows by boosted trees: equal in every mode, for one row and for many, with missing values."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from boost_worlds import settings, table
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st
from secure_worlds import Watch, chi_square, clients

from tongzhou.errors import DataError
from tongzhou.secure import boost_scoring
from tongzhou.secure.boost_model import BoostModel, OwnSplit, OwnTree, reachable
from tongzhou.secure.boost_tasks import BoostScoreInput, BoostScoreTask, BoostTask
from tongzhou.secure.simulate import simulate

TREES, DEPTH = 4, 3


@pytest.fixture(scope="module")
def models() -> tuple[BoostModel, BoostModel]:
    task = BoostTask(settings(missing="learned", trees=TREES, depth=DEPTH))
    outcome = simulate("aided", task, *table(missing=0.2))
    return outcome.asker.model, outcome.provider.model


def new_rows(rows: int) -> tuple[np.ndarray, np.ndarray]:
    blocks = clients(rows, 2, 3, seed=11)
    values = tuple(block.values for block in blocks)
    for block in values:
        block[::5, 0] = np.nan
    return values


def scored(mode: str, models, values, watch: Watch | None = None) -> np.ndarray:
    task = BoostScoreTask(len(values[0]), TREES, DEPTH)
    inputs = [BoostScoreInput(one, model) for one, model in zip(values, models, strict=True)]
    outcome = simulate(mode, task, *inputs, watch=watch)
    assert outcome.provider is None
    return outcome.asker


@pytest.mark.parametrize("rows", [1, 2, 700])
def test_scores_are_the_same_to_the_last_bit_in_every_mode(models, rows: int) -> None:
    values = new_rows(rows)
    assert (scored("aided", models, values) == scored("local", models, values)).all()


def test_scores_follow_each_tree_from_its_root(models) -> None:
    """Walked down node by node, with both owners' splits in one place."""
    values = new_rows(40)
    weights = (models[0].leaf_shares + models[1].leaf_shares).view(np.int32) / 2.0 ** models[0].bits
    found = scored("aided", models, values)
    for row in range(40):
        total = models[0].base
        for place in range(TREES):
            node = 0
            while node < (1 << DEPTH) - 1:
                owner = models[0].trees[place].owners[node]
                left = True
                if owner:
                    side = 0 if owner == "asker" else 1
                    split = models[side].trees[place].splits[node]
                    value = values[side][row, split.column]
                    left = (
                        split.missing_left
                        if np.isnan(value)
                        else (split.threshold is not None and value <= split.threshold)
                    )
                node = 2 * node + (1 if left else 2)
            total += weights[place, node - (1 << DEPTH) + 1]
        assert found[row] == pytest.approx(total, abs=1e-12)


def test_many_rows_come_in_pieces(models, monkeypatch: pytest.MonkeyPatch) -> None:
    values = new_rows(50)
    whole = scored("aided", models, values)
    monkeypatch.setattr(boost_scoring, "_CHUNK_BYTES", 8 * (TREES << DEPTH) * 7)
    watch = Watch()
    assert (scored("aided", models, values, watch) == whole).all()
    sizes = [m.arrays[0].shape[0] for m in watch.views["asker"] if m.tag == "boost.marks"]
    assert sizes == [7] * 7 + [1]


def test_messages_are_those_of_the_statement_and_uniform(models) -> None:
    """One client 600 times: every row equal, and still nothing to see."""
    values = tuple(np.repeat(one[:1], 600, axis=0) for one in new_rows(3))
    watch = Watch()
    scored("aided", models, values, watch)
    leaves = TREES << DEPTH
    marks, word = ("boost.marks", [("<u4", (600, 2 * leaves))]), [("<u4", (600,))]
    assert [m.shape for m in watch.views["asker"]] == [
        ("provider", *marks),
        ("provider", "open.score", word),
    ]
    assert [m.shape for m in watch.views["provider"]] == [("helper", "deal.inner", word), ("asker", *marks)]
    assert watch.tags("helper") == {("asker", "aided.seed"), ("provider", "aided.seed")}
    for role in ("asker", "provider"):
        assert abs(chi_square(watch.words(role, "boost.marks", "deal.inner"))) < 6
    travelled = sum(a.nbytes for view in watch.views.values() for m in view for a in m.arrays)
    assert travelled == 600 * (16 * leaves + 8)


@profile(max_examples=60, deadline=None)
@given(data=st.data())
def test_each_row_reaches_one_leaf_of_each_tree(data: st.DataObject) -> None:
    """Whoever owns the nodes, exactly one leaf is left open by both."""
    depth = data.draw(st.integers(1, 4))
    nodes = (1 << depth) - 1
    owners = tuple(data.draw(st.sampled_from(["asker", "provider", ""])) for _ in range(nodes))
    thresholds = st.one_of(st.none(), st.floats(-2, 2))
    splits = [
        OwnSplit(data.draw(st.integers(0, 1)), data.draw(thresholds), data.draw(st.booleans()))
        for _ in owners
    ]
    parts = []
    for role in ("asker", "provider"):
        own = tuple(split if owner == role else None for split, owner in zip(splits, owners, strict=True))
        tree = OwnTree(owners, own, (0,) * (1 << depth))
        parts.append(BoostModel(role, ("a", "b"), depth, 21, 0.0, (tree,)))
    values = np.array(
        data.draw(
            st.lists(st.tuples(*[st.one_of(st.just(np.nan), st.floats(-3, 3))] * 4), min_size=1, max_size=6)
        )
    )
    both = reachable(parts[0], values[:, :2]) & reachable(parts[1], values[:, 2:])
    assert (both.sum(axis=2) == 1).all()


@pytest.mark.parametrize(
    ("trees", "depth", "columns", "sentence"),
    [
        (TREES + 1, DEPTH, 2, "the model has 4 trees of depth 3; 5 of depth 3 were agreed"),
        (TREES, DEPTH + 1, 2, "the model has 4 trees of depth 3; 4 of depth 4 were agreed"),
        (TREES, DEPTH, 1, "the block has 9 rows and 1 columns; 9 and 2 were agreed"),
    ],
)
@pytest.mark.parametrize("mode", ["aided", "local"])
def test_what_does_not_fit_is_refused(models, mode, trees, depth, columns, sentence) -> None:
    values = new_rows(9)
    task = BoostScoreTask(9, trees, depth)
    with pytest.raises(DataError, match=sentence):
        simulate(
            mode,
            task,
            BoostScoreInput(values[0][:, :columns], models[0]),
            BoostScoreInput(values[1], models[1]),
        )


def test_opened_leaves_score_alike(models) -> None:
    values = new_rows(30)
    before = scored("aided", models, values)
    total = models[0].leaf_shares + models[1].leaf_shares
    trees = [
        tuple(
            msgspec.structs.replace(tree, leaves=tuple(row))
            for tree, row in zip(part.trees, words.tolist(), strict=True)
        )
        for part, words in zip(models, (total, total * 0), strict=True)
    ]
    opened = tuple(
        msgspec.structs.replace(part, trees=one, opened=True) for part, one in zip(models, trees, strict=True)
    )
    assert (scored("aided", opened, values) == before).all()
    swapped = replace(BoostScoreInput(values[0], models[0]), model=opened[0])
    assert swapped.model.opened
