"""Protected boosting grows the trees that the reference grows in the clear, with every setting.

In small nodes of a first tree two splits can be exactly as good as each other, for example where they cut off
the same rows; rounding decides then. The data and settings here have no such ties.
"""

from typing import Any

import msgspec
import numpy as np
import pytest
from boost_worlds import settings, table
from secure_worlds import clients

from tongzhou.errors import DataError, PlanError, ProtocolError
from tongzhou.secure import boost_tree
from tongzhou.secure.boost_clear import ClearBoost, boost_clear
from tongzhou.secure.boost_model import BoostModel, reachable
from tongzhou.secure.boost_settings import BoostSettings
from tongzhou.secure.boost_tasks import BoostScoreTask, BoostTask
from tongzhou.secure.boost_tree import sampled
from tongzhou.secure.logistic import OwnerBlock
from tongzhou.secure.party import Party
from tongzhou.secure.simulate import Outcome, simulate
from tongzhou.secure.tasks import Seat
from tongzhou.wire.messages import Session


def trained(given: BoostSettings, blocks: Any, **options: Any) -> Outcome:
    return simulate("aided", BoostTask(given, **options), *blocks)


def weights(asker: BoostModel, provider: BoostModel) -> np.ndarray:
    return (asker.leaf_shares + provider.leaf_shares).view(np.int32) / 2.0**asker.bits


def differences(outcome: Outcome, clear: ClearBoost) -> list[tuple[int, int]]:
    """Tree and node where the two models differ."""
    parts = {"asker": outcome.asker.model, "provider": outcome.provider.model}
    assert len(parts["asker"].trees) == len(parts["provider"].trees) == len(clear.trees)
    found = []
    for place, tree in enumerate(clear.trees):
        owners = parts["asker"].trees[place].owners
        assert owners == parts["provider"].trees[place].owners
        for node, split in enumerate(tree.splits):
            own = None if not owners[node] else parts[owners[node]].trees[place].splits[node]
            wanted = (None, "") if split is None else (split[1], split[0])
            if (own, owners[node]) != wanted:
                found.append((place, node))
    return found


def check_equal(given: BoostSettings, blocks: Any, **options: Any) -> Outcome:
    outcome = trained(given, blocks, **options)
    clear = boost_clear(given, *blocks)
    assert differences(outcome, clear) == []
    found = weights(outcome.asker.model, outcome.provider.model)
    assert found == pytest.approx(np.array([tree.weights for tree in clear.trees]), abs=3e-4)
    return outcome


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, {}),
        ({"depth": 1, "trees": 4}, {}),
        ({"depth": 4, "trees": 2, "min_child_weight": 10.0}, {}),
        ({"bins": 4}, {}),
        ({"bins": 33, "depth": 3, "min_child_weight": 10.0}, {}),
        ({"l2": 0.0, "min_child_weight": 4.0}, {}),
        ({"l2": 30.0, "min_child_weight": 0.0}, {}),
        ({"min_gain": 6.0, "depth": 3}, {}),
        ({"learning_rate": 1.0}, {}),
        ({"missing": "lowest"}, {"missing": 0.2}),
        ({"missing": "learned"}, {"missing": 0.2}),
        ({"missing": "learned", "min_gain": 3.0}, {}),
        ({"column_share": 0.5, "row_share": 0.7, "seed": 9, "trees": 4}, {}),
        ({"held_out": 150}, {}),
        ({"rare": True}, {}),
        ({"asker_monotone": (-1, 1), "provider_monotone": (1, -1, 0), "depth": 3}, {}),
        ({}, {"asker": 0}),
        ({}, {"provider": 0}),
        ({}, {"asker": 1, "provider": 6}),
    ],
    ids=lambda given: " ".join(f"{key}={value}" for key, value in given.items()) or "plain",
)
def test_trees_are_those_of_the_reference(options: dict, shape: dict) -> None:
    blocks = table(**shape)
    columns = [block.values.shape[1] for block in blocks]
    check_equal(settings(600, *columns, **options), blocks)


def test_a_longer_training_on_more_rows() -> None:
    """Twenty trees of depth three; few nodes may differ where two splits are as good as equal."""
    blocks = clients(4000, 3, 4, seed=2)
    given = BoostSettings(4000, 3, 4, trees=20, bins=32)
    outcome, clear = trained(given, blocks), boost_clear(given, *blocks)
    assert len(differences(outcome, clear)) <= 2
    assert {owner for tree in outcome.asker.model.trees for owner in tree.owners} >= {"asker", "provider"}


def test_the_same_data_give_the_same_trees_again() -> None:
    blocks, given = table(), settings(column_share=0.6, seed=3)
    first, second = trained(given, blocks), trained(given, blocks)
    assert [tree.splits for tree in first.asker.model.trees] == [t.splits for t in second.asker.model.trees]
    assert [tree.owners for tree in first.asker.model.trees] == [t.owners for t in second.asker.model.trees]
    # Shares are fresh each time, and their sums nearly the same.
    assert first.asker.model.trees[0].leaves != second.asker.model.trees[0].leaves
    assert weights(first.asker.model, first.provider.model) == pytest.approx(
        weights(second.asker.model, second.provider.model), abs=1e-4
    )


def test_nobody_gains_where_there_is_nothing_to_learn() -> None:
    """Constant columns: no split, one leaf for all, at the base rate."""
    asker, provider = table()
    blocks = (
        OwnerBlock(np.zeros((600, 2)), asker.names, asker.label),
        OwnerBlock(np.ones((600, 3)), provider.names),
    )
    outcome = check_equal(settings(), blocks, gains=True)
    assert {owner for tree in outcome.asker.model.trees for owner in tree.owners} == {""}
    assert not outcome.asker.gains.any()
    marks = reachable(outcome.asker.model, blocks[0].values) & reachable(
        outcome.provider.model, blocks[1].values
    )
    assert marks[:, :, 0].all()
    assert not marks[:, :, 1:].any()
    assert weights(outcome.asker.model, outcome.provider.model)[:, 0] == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("rate", [0.004, 0.5])
def test_columns_that_separate_the_classes_do_not_break_the_numbers(rate: float) -> None:
    """Scores run to the ends of the window; weights stay bounded and the trees the reference's for long."""
    source = np.random.default_rng(4)
    label = np.zeros(1500)
    label[: round(1500 * rate)] = 1
    noise = source.normal(size=(1500, 2))
    blocks = (
        OwnerBlock(noise, ["a", "b"], label),
        OwnerBlock(np.stack([label * 2 - 1 + 0 * noise[:, 0], noise[:, 0]], axis=1), ["c", "d"]),
    )
    given = BoostSettings(1500, 2, 2, trees=12, depth=2, bins=8, learning_rate=1.0, min_child_weight=0.1)
    outcome = trained(given, blocks)
    found = weights(outcome.asker.model, outcome.provider.model)
    assert np.abs(found).max() <= 128
    scores = outcome.asker.model.base + np.where(
        reachable(outcome.asker.model, noise) & reachable(outcome.provider.model, blocks[1].values), found, 0
    ).sum(axis=(1, 2))
    assert scores[label == 1].min() > scores[label == 0].max()
    assert np.abs(scores).max() < 30


def test_directions_hold_for_the_whole_model() -> None:
    """Scores rise with one column and fall with another, whatever the other columns are."""
    asker, provider = table(1500, 2, 2)
    given = settings(1500, 2, 2, trees=10, depth=4, bins=12, asker_monotone=(1, 0), provider_monotone=(0, -1))
    outcome = trained(given, (asker, provider))
    found = weights(outcome.asker.model, outcome.provider.model)
    free = trained(settings(1500, 2, 2, trees=10, depth=4, bins=12), (asker, provider))
    steps = {True: [], False: []}
    for bound, one in ((True, outcome), (False, free)):
        values = weights(one.asker.model, one.provider.model)
        grid = np.linspace(-3, 3, 60)
        for row in range(40):
            for side, column, sign in ((0, 0, 1), (1, 1, -1)):
                rows = [np.repeat(block.values[row : row + 1], 60, axis=0) for block in (asker, provider)]
                rows[side][:, column] = grid
                marks = reachable(one.asker.model, rows[0]) & reachable(one.provider.model, rows[1])
                scores = np.where(marks, values, 0).sum(axis=(1, 2))
                steps[bound].append(float((sign * np.diff(scores)).min()))
    assert min(steps[True]) > -10 * 2.0**-20  # a unit of rounding a tree
    assert min(steps[False]) < -0.01  # without directions this data does not obey
    assert np.abs(found).max() > 0.01


def test_training_stops_where_the_held_out_loss_rises() -> None:
    blocks = table(900)
    given = settings(900, trees=40, depth=3, held_out=300, patience=3, learning_rate=0.8)
    clear = boost_clear(given, *blocks)
    outcome = check_equal(given, blocks, gains=True)
    kept = len(outcome.asker.model.trees)
    assert 0 < kept < 40
    assert clear.losses[kept] == min(clear.losses)
    assert len(clear.losses) - 1 == kept + 3
    opened = [o for o in outcome.openings["asker"] if o.what == "whether the held-out loss fell"]
    assert sum(o.count for o in opened) == kept + 3


def test_gains_and_leaves_are_opened_only_on_demand() -> None:
    blocks, given = table(), settings(trees=4)
    quiet = trained(given, blocks)
    assert quiet.asker.gains is None
    assert not quiet.asker.model.opened
    assert {o.what for o in quiet.openings["asker"]} == {
        "whose column splits a node",
        "column and threshold of a split",
    }
    loud = trained(given, blocks, gains=True, leaves="asker")
    clear = boost_clear(given, *blocks)
    assert loud.asker.gains == pytest.approx(clear.gains("asker"), rel=2e-3, abs=0.05)
    assert loud.provider.gains == pytest.approx(clear.gains("provider"), rel=2e-3, abs=0.05)
    assert not loud.provider.model.leaf_shares.any()
    opened = loud.asker.model.leaf_shares.view(np.int32) / 2.0**loud.asker.model.bits
    assert opened == pytest.approx(np.array([tree.weights for tree in clear.trees]), abs=3e-4)
    assert loud.asker.model.opened
    assert "leaf weights" in {o.what for o in loud.openings["provider"]}


def test_what_was_opened_is_noted_with_its_receivers() -> None:
    outcome = trained(settings(trees=4), table())
    counts = {(o.what, o.receivers): o.count for o in outcome.openings["provider"]}
    assert counts["whose column splits a node", ("asker", "provider")] == 4 * 3
    own = {
        role: int(part.model.split_counts().sum())
        for role, part in (("asker", outcome.asker), ("provider", outcome.provider))
    }
    for role, count in own.items():
        assert counts.get(("column and threshold of a split", (role,)), 0) == count
    assert sum(own.values()) == sum(bool(o) for t in outcome.asker.model.trees for o in t.owners)


def test_a_part_of_a_model_is_kept_as_a_document() -> None:
    outcome = trained(settings(), table(missing=0.2))
    for part in (outcome.asker.model, outcome.provider.model):
        for codec in (msgspec.json, msgspec.msgpack):
            assert codec.decode(codec.encode(part), type=BoostModel) == part


def test_draws_of_rows_and_columns_are_public_and_change_with_the_tree() -> None:
    given = settings(column_share=0.5, row_share=0.6, held_out=100)
    draws = [sampled(given, tree) for tree in range(6)]
    assert all(len(columns) == 3 and list(columns) == sorted(set(columns)) for columns, _ in draws)
    assert all(rows.sum() == 300 and not rows[500:].any() for _, rows in draws)
    assert len({columns for columns, _ in draws}) > 1
    assert (sampled(given, 2)[1] == draws[2][1]).all()
    assert sampled(settings(column_share=0.5, seed=1), 0)[0] != sampled(settings(column_share=0.5), 0)[0]
    columns, rows = sampled(settings(), 3)
    assert (columns, int(rows.sum())) == ((0, 1, 2, 3, 4), 600)


@pytest.mark.parametrize(
    ("change", "kind", "sentence"),
    [
        ({"depth": 9}, PlanError, "depth is 9"),
        ({"rows": 500}, DataError, "the block has 600 rows and"),
    ],
)
def test_wrong_settings_end_in_a_sentence_before_anything_is_sent(
    change: dict, kind: type, sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        trained(settings(**change), table())


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("owner", "sent shares that name no owner of a split"),
        ("split", "sent a share that names no column of"),
    ],
)
def test_a_peer_that_opens_nonsense_is_refused(
    monkeypatch: pytest.MonkeyPatch, what: str, sentence: str
) -> None:
    true_swap = boost_tree._swap

    def wrong_swap(engine: Any, tag: str, own: Any, given: Any) -> Any:
        if tag == what and engine.party.role == "asker":
            given = given + np.uint32(1 << 20)
        return true_swap(engine, tag, own, given)

    monkeypatch.setattr(boost_tree, "_swap", wrong_swap)
    with pytest.raises(ProtocolError, match=f"asker {sentence}"):
        trained(settings(600, 1, 4), table(asker=1, provider=4))


@pytest.mark.parametrize("task", [BoostTask(settings()), BoostScoreTask(1, 1, 1)])
def test_an_engine_without_a_helper_is_refused(task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Seat, "engine", lambda seat, name: object())
    seat = Seat(Party("asker", Session("asker", {}), {}), "aided")
    with pytest.raises(PlanError, match=r"boost(_score)? needs a helper"):
        task.run(seat, None)
