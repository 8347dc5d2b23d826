"""What is learnt from a provider with few clients in common helps where it can, and is protected."""

from typing import Any

import numpy as np
import pytest
from secure_worlds import ROLES, Watch, chi_square, clients

from tongzhou.errors import DataError
from tongzhou.risk.evaluation import auc
from tongzhou.secure import transfer
from tongzhou.secure.simulate import simulate
from tongzhou.secure.tasks import SUPPORT, Mode, ScoreInput, ScoreTask
from tongzhou.secure.transfer import (
    TransferSettings,
    TransferTable,
    asker_block,
    check_asker,
    represent,
)
from tongzhou.secure.transfer_task import TransferTask

ROWS, MATCHED = 1500, 200


def world(
    *, seed: int = 1, asker: int = 3, provider: int = 6, matched: int = MATCHED
) -> tuple[Any, Any, Any]:
    """Two owners of whom the first rows are common, and 2000 new clients that both know."""
    first, second = clients(2 * ROWS + 2000, asker, provider, seed=seed, shared=0.4)
    own, other = slice(0, ROWS), np.r_[0:matched, ROWS : 2 * ROWS]
    places = np.arange(matched)
    order = np.random.default_rng(seed).permutation(len(other))
    tables = (
        TransferTable(first.values[own], first.names, places, first.label[own]),
        # The provider has the common ones at places of its own.
        TransferTable(second.values[other][order], second.names, np.argsort(order)[:matched]),
    )
    new = slice(2 * ROWS, None)
    return *tables, (first.values[new], second.values[new], first.label[new])


def settings(asker: int = 3, matched: int = MATCHED, **options: Any) -> TransferSettings:
    return TransferSettings(matched, asker, **options)


def scored(mode: Mode, outcome: Any, new: Any, matched: int = MATCHED, components: int = 3) -> np.ndarray:
    first, second, _ = new
    task = ScoreTask(len(first), 1, components, matched)
    given = [
        ScoreInput(result.block(values), result.joint.key)
        for result, values in ((outcome.asker, first), (outcome.provider, second))
    ]
    return simulate(mode, task, *given).asker


@pytest.mark.parametrize("mode", SUPPORT["transfer"])
def test_known_clients_are_scored_better_than_by_the_asker_alone(mode: Mode) -> None:
    asker, provider, new = world()
    outcome = simulate(mode, TransferTask(settings()), asker, provider)
    label = new[2].astype(int)
    alone, joint = auc(label, outcome.asker.own.logit(new[0])), auc(label, scored(mode, outcome, new))
    assert joint > alone + 0.02
    assert outcome.provider.own is None
    assert outcome.asker.representation is None
    assert outcome.asker.joint.fit.coefficients[0] > 0


def test_protected_and_clear_give_the_same() -> None:
    asker, provider, new = world()
    one, other = (simulate(mode, TransferTask(settings()), asker, provider) for mode in SUPPORT["transfer"])
    assert one.asker.own.logit(new[0]) == pytest.approx(other.asker.own.logit(new[0]), abs=1e-4)
    assert one.asker.own.transferred == other.asker.own.transferred
    assert one.asker.joint.fit.coefficients == pytest.approx(other.asker.joint.fit.coefficients, abs=1e-3)
    assert one.provider.joint.fit.coefficients == pytest.approx(
        other.provider.joint.fit.coefficients, abs=1e-3
    )
    assert scored("aided", one, new) == pytest.approx(scored("local", other, new), abs=5e-3)


def test_weights_of_the_joint_model_may_stay_shared() -> None:
    asker, provider, new = world()
    outcome = simulate("aided", TransferTask(settings(), card="shared"), asker, provider)
    assert outcome.asker.joint.fit is outcome.provider.joint.fit is None
    assert auc(new[2].astype(int), scored("aided", outcome, new)) > 0.6


def test_few_labels_and_many_columns_gain_from_the_map() -> None:
    """Two views of the same hidden trait; the asker's is noisy and has few labels."""
    gains = []
    for seed in range(8):
        source = np.random.default_rng(seed)
        trait = source.normal(size=(6000, 2))
        left = trait @ source.normal(size=(2, 25)) + 3.0 * source.normal(size=(6000, 25))
        right = trait @ source.normal(size=(2, 8)) + 0.5 * source.normal(size=(6000, 8))
        label = (trait.sum(axis=1) + source.logistic(size=6000) > 1).astype(float)
        names = [f"c{place}" for place in range(25)]
        rows = np.r_[0:300]
        asker = TransferTable(left[rows], names, np.arange(200), label[rows])
        provider = TransferTable(right[np.r_[0:200, 300:3000]], names[:8], np.arange(200))
        result = simulate("local", TransferTask(settings(25, 200, components=2)), asker, provider).asker
        assert result.own.transferred
        assert result.own.loss_transferred < result.own.loss_alone
        test = slice(3000, None)
        marks = label[test].astype(int)
        shuffled = TransferTable(right[np.r_[200:400, 300:3000]], names[:8], np.arange(200))
        without = simulate("local", TransferTask(settings(25, 200, components=2)), asker, shuffled).asker
        gains.append(auc(marks, result.own.logit(left[test])) - auc(marks, without.own.logit(left[test])))
    assert np.mean(gains) > 2 * np.std(gains, ddof=1) / np.sqrt(len(gains))
    assert np.mean(gains) > 0.005


def test_where_the_map_does_not_help_it_is_left_out() -> None:
    """A provider whose columns have nothing to do with the asker's: foretold components are noise."""
    chosen = []
    for seed in range(6):
        asker, provider, _ = world(seed=seed)
        source = np.random.default_rng(seed)
        noise = TransferTable(source.normal(size=provider.values.shape), provider.names, provider.matched)
        own = simulate("local", TransferTask(settings()), asker, noise).asker.own
        chosen.append(own.transferred)
        if not own.transferred:
            assert own.loss_transferred >= own.loss_alone
    assert not all(chosen)


# --- the pieces --------------------------------------------------------------------------------------------


def test_components_are_uncorrelated_and_of_unit_variance() -> None:
    _, provider, _ = world()
    kept = represent(provider, 4)
    found = kept.apply(provider.values)
    assert np.cov(found.T) == pytest.approx(np.eye(4), abs=1e-6)
    # They are those that vary most: none of the rest varies more.
    scaled = (provider.values - provider.values.mean(0)) / provider.values.std(0)
    spread = np.sqrt(np.sort(np.linalg.eigvalsh(np.cov(scaled.T)))[::-1])
    lengths = 1 / np.linalg.norm(kept.directions, axis=0)
    assert lengths == pytest.approx(spread[:4], rel=1e-6)


def test_scores_of_matched_rows_come_from_models_that_did_not_see_them() -> None:
    """With labels that nothing explains, own scores must not foretell them."""
    asker, provider, _ = world(asker=8)
    label = (np.random.default_rng(3).random(ROWS) < 0.3).astype(float)
    noise = TransferTable(asker.values, asker.names, asker.matched, label)
    small = TransferTable(noise.values[:250], noise.names, noise.matched, label[:250])
    result = simulate("local", TransferTask(settings(8)), small, provider).asker
    seen = auc(label[:MATCHED].astype(int), result.own.logit(small.values[:MATCHED]))
    weight = result.joint.fit.coefficients[0]
    assert seen > 0.55
    assert weight < 0.15


def test_a_row_that_stands_out_counts_less_in_the_map() -> None:
    asker, _, _ = world()
    values = asker.values.copy()
    values[7, 0] = 1e6
    table = TransferTable(values, asker.names, asker.matched, asker.label)
    block, weights = asker_block(check_asker(settings(), table), table)
    left = np.linalg.svd(block * weights[:, None], full_matrices=False)[0]
    assert (left**2).sum(axis=1).max() <= 0.5
    assert weights[7] < 1 or np.all(weights == 1)
    assert np.all(np.delete(weights, 7) > 0.9)


def test_a_row_that_alone_has_something_does_not_count_in_the_map() -> None:
    """The product of such a column with a component would be that row's component."""
    asker, provider, _ = world()
    column = np.zeros((ROWS, 1))
    column[[5, *range(300, 340)]] = 1.0
    table = TransferTable(
        np.hstack([asker.values, column]), [*asker.names, "rare"], asker.matched, asker.label
    )
    _, weights = asker_block(check_asker(settings(4), table), table)
    assert weights[5] == 0.0
    assert np.delete(weights, 5).min() > 0.9
    watch = Watch()
    simulate("aided", TransferTask(settings(4)), table, provider, watch=watch)
    products = next(m for m in watch.views["asker"] if m.tag == OPENED).arrays[0]
    assert products.shape == (3, 5)


def test_rows_that_never_come_into_line_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    asker, provider, _ = world()
    values = asker.values.copy()
    values[7] = 1e6
    table = TransferTable(values, asker.names, asker.matched, asker.label)
    monkeypatch.setattr(transfer, "_ROUNDS", 0)
    with pytest.raises(DataError, match="one of the matched rows stands out in the asker's columns so much"):
        simulate("local", TransferTask(settings()), table, provider)


def test_where_all_that_is_matched_stands_out_nothing_is_learnt() -> None:
    asker, provider, _ = world()
    values = np.zeros((ROWS, 3))
    values[MATCHED:] = np.random.default_rng(1).normal(size=(ROWS - MATCHED, 3))
    values[0, 0], values[1, 1], values[2, 2] = 3.0, 3.0, 3.0
    table = TransferTable(values, asker.names, asker.matched, asker.label)
    _, weights = asker_block(check_asker(settings(), table), table)
    assert weights[:3].tolist() == [0.0, 0.0, 0.0]
    assert simulate("local", TransferTask(settings()), table, provider).asker is not None


def changed(table: TransferTable, **changes: Any) -> TransferTable:
    fields = {name: getattr(table, name) for name in ("values", "names", "matched", "label")}
    return TransferTable(**{**fields, **changes})


@pytest.mark.parametrize("mode", SUPPORT["transfer"])
@pytest.mark.parametrize(
    ("who", "changes", "sentence"),
    [
        ("asker", {"label": None}, "the asker needs a label, one of 0 and 1"),
        ("asker", {"label": np.zeros(ROWS)}, "all one class"),
        ("asker", {"matched": np.arange(60)}, "the block has 60 rows and 3 columns; 200 and 3 were agreed"),
        ("asker", {"values": np.full((ROWS, 3), np.nan)}, "has a value that is missing or not finite"),
        (
            "asker",
            {"values": np.ones((ROWS, 3))},
            "is constant; a joint regression needs columns that differ",
        ),
        ("provider", {"matched": np.arange(60)}, "60 rows are matched here, 200 were agreed"),
        ("provider", {"values": np.full((ROWS + MATCHED, 6), np.inf)}, "missing or not finite"),
        (
            "provider",
            {"values": np.tile(np.arange(1700.0)[:, None], 6)},
            "fewer than 3 directions in which they vary",
        ),
    ],
)
def test_tables_that_cannot_serve(mode: Mode, who: str, changes: dict[str, Any], sentence: str) -> None:
    asker, provider, _ = world()
    pair = (changed(asker, **changes), provider) if who == "asker" else (asker, changed(provider, **changes))
    with pytest.raises(DataError, match=sentence):
        simulate(mode, TransferTask(settings()), *pair)


@pytest.mark.parametrize(("matched", "columns"), [(49, 3), (60, 30)])
def test_few_matched_rows_are_refused(matched: int, columns: int) -> None:
    asker, provider, _ = world(asker=columns, matched=matched)
    with pytest.raises(DataError, match=f"{matched} matched rows are too few for a transfer: at least 50"):
        simulate("local", TransferTask(settings(columns, matched)), asker, provider)


def test_more_components_than_columns_are_refused() -> None:
    asker, provider, _ = world()
    with pytest.raises(DataError, match="7 components are more than the 6 columns"):
        simulate("local", TransferTask(settings(components=7)), asker, provider)


# --- what arrives ------------------------------------------------------------------------------------------

TRAINING = {
    "hide",
    "masked.angle",
    "masked.matmul",
    "masked.truncate",
    "open.squared length of the gradient",
    "product.scale",
    "product.times",
    "product.transpose",
}
OPENED = "open.products of the asker's columns with the provider's components"


def test_what_arrives_is_what_the_statement_says() -> None:
    asker, provider, _ = world()
    watch = Watch()
    outcome = simulate("aided", TransferTask(settings()), asker, provider, watch=watch)
    seeds = {(role, "aided.seed") for role in ("asker", "provider")}
    assert watch.tags("helper") == seeds | {("asker", t) for t in ("train.rare", "train.move", "train.wide")}
    for role in ("asker", "provider"):
        other = "provider" if role == "asker" else "asker"
        found = {(other, tag) for tag in TRAINING}
        found |= {("helper", f"product.{name}") for name in ("times", "transpose", "scale")}
        found |= {(other, f"open.weights of the {role}'s variables"), (other, "train.reach")}
        if role == "asker":
            found.add((other, OPENED))
        else:
            found |= {("helper", f"deal.{name}") for name in ("matmul", "truncate", "angle")}
            found.add((other, "train.rate"))
        assert watch.tags(role) == found
    opened = [o for o in outcome.openings["provider"] if o.what.startswith("products")]
    assert [(o.count, o.receivers) for o in opened] == [(3 * 4, ("asker",))]
    assert outcome.openings["asker"][0] == outcome.openings["provider"][0] == opened[0]
    assert set(ROLES) == set(watch.views)


def test_masked_words_are_uniform_also_for_equal_rows() -> None:
    """What travels of the provider's components, and of the asker's columns."""
    asker, provider, _ = world(matched=1000)
    watch = Watch()
    simulate("aided", TransferTask(settings(matched=1000)), asker, provider, watch=watch)
    for role in ("asker", "provider"):
        for tag in ("hide", "product.transpose"):
            assert abs(chi_square(watch.words(role, tag))) < 6, (role, tag)


def test_the_map_costs_what_the_statement_says() -> None:
    """8 m (k + a + 1) bytes between the owners, and the small products."""
    asker, provider, _ = world()
    watch = Watch()
    simulate("aided", TransferTask(settings()), asker, provider, watch=watch)
    first = next(m for m in watch.views["asker"] if m.tag == "hide")
    second = next(m for m in watch.views["provider"] if m.tag == "product.transpose")
    assert first.arrays[0].nbytes + second.arrays[0].nbytes == 8 * MATCHED * (3 + 3 + 1)
