"""Regressions over many institutions' rows: the pooled model whoever holds them, also when one leaves."""

from typing import Any

import numpy as np
import pytest
from federated_worlds import Fate, Played, agreed, play_task, roles_of, tables
from secure_worlds import Watch

from tongzhou.errors import DataError
from tongzhou.risk.logistic import fit_logistic
from tongzhou.secure.federated_columns import Table
from tongzhou.secure.federated_logistic import FederatedLogisticSettings
from tongzhou.secure.federated_tasks import FederatedLogisticTask
from tongzhou.secure.simulate import simulate_parties
from tongzhou.secure.tasks import SUPPORT, Mode

NAMES = ("a", "b", "c", "d")


def inputs(institutions: int = 4, rows: int = 150, *, asker_contributes: bool = True, **options: Any) -> dict:
    found = tables(institutions, rows, len(NAMES), **options)
    roles = roles_of(institutions, asker_contributes=asker_contributes)
    members = roles if asker_contributes else roles[1:]
    given: dict[str, Table | None] = dict.fromkeys(roles)
    given |= {r: Table(values, NAMES, label) for r, (values, label) in zip(members, found, strict=True)}
    return given


def pooled(given: dict, without: tuple[str, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    there = [table for role, table in given.items() if table is not None and role not in without]
    return np.concatenate([t.values for t in there]), np.concatenate([t.label for t in there])


def reference(values: np.ndarray, label: np.ndarray, l2: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Newton's iteration on standardised columns, on its own: intercept first, and all standard errors."""
    means, deviations = values.mean(axis=0), values.std(axis=0)
    block = np.column_stack([np.ones(len(values)), (values - means) / deviations])
    penalty = np.diag(np.concatenate([[0.0], l2 / deviations**2])) * len(block)
    weights = np.zeros(block.shape[1])
    for _ in range(60):
        chance = 1 / (1 + np.exp(-block @ weights))
        curvature = (block.T * (chance * (1 - chance))) @ block + penalty
        weights -= np.linalg.solve(curvature, block.T @ (chance - label) + penalty @ weights)
    back = np.diag(np.concatenate([[1.0], 1 / deviations]))
    back[0, 1:] = -means / deviations
    errors = np.sqrt(np.diag(back @ np.linalg.inv(curvature) @ back.T))
    return back @ weights, errors


def task(
    institutions: int = 4, *, contributes: bool = True, circle: Any = None, **options: Any
) -> FederatedLogisticTask:
    aggregation = agreed(institutions, asker_contributes=contributes, **(circle or {}))
    return FederatedLogisticTask(FederatedLogisticSettings(aggregation, NAMES, **options))


def check_fit(fit: Any, weights: np.ndarray, errors: np.ndarray, *, rel: float = 1e-8) -> None:
    assert np.concatenate([[fit.intercept], fit.coefficients]) == pytest.approx(weights, rel=rel)
    assert np.concatenate([[fit.intercept_error], fit.errors]) == pytest.approx(errors, rel=rel)


@pytest.mark.parametrize("mode", SUPPORT["federated logistic"])
@pytest.mark.parametrize(("institutions", "contributes"), [(3, True), (4, False), (9, True)])
@pytest.mark.parametrize("l2", [0.0, 0.01])
def test_the_model_is_the_pooled_one(mode: Mode, institutions: int, contributes: bool, l2: float) -> None:
    given = inputs(institutions, asker_contributes=contributes)
    done = simulate_parties(mode, task(institutions, contributes=contributes, l2=l2), given)
    weights, errors = reference(*pooled(given), l2)
    for role in given:
        check_fit(done.results[role], weights, errors)
        assert done.results[role].rows == len(pooled(given)[0])
        assert done.results[role].stayed == tuple(r for r, table in given.items() if table is not None)
        norms = done.results[role].gradient_norms
        assert norms[-1] <= 1e-8 < norms[-2] < norms[0]


@pytest.mark.parametrize("rate", [0.02, 0.5])
def test_rare_and_frequent_events(rate: float) -> None:
    given = inputs(5, 400, rate=rate, seed=7)
    done = simulate_parties("group", task(5), given)
    check_fit(done.results["provider3"], *reference(*pooled(given)))


def test_institutions_that_hold_one_class_each() -> None:
    """Nobody could train alone: one has all events, two have none."""
    values, label = tables(1, 600, 4, seed=5)[0]
    order = np.argsort(-label, kind="stable")
    parts = np.split(order, [200, 400])
    given = {r: Table(values[p], NAMES, label[p]) for r, p in zip(roles_of(3), parts, strict=True)}
    assert {float(table.label.mean()) for table in given.values()} > {0.0}
    done = simulate_parties("group", task(3), given)
    check_fit(done.results["asker"], *reference(values, label))


def test_precision_is_that_of_the_fixed_point_numbers() -> None:
    """Local and group differ by rounding sums to words, and by nothing else."""
    given = inputs(6, 500)
    one, other = (
        simulate_parties(mode, task(6), given).results["asker"] for mode in SUPPORT["federated logistic"]
    )
    assert np.max(np.abs(one.coefficients - other.coefficients) / one.errors) < 1e-11


def test_a_step_too_long_is_halved() -> None:
    """One column separates all but a few rows: Newton's second step from the event rate raises the loss."""
    source = np.random.default_rng(2)
    rows = 900
    values = source.normal(size=(rows, 4))
    values[:, 0] = source.standard_cauchy(rows)
    label = (values[:, 0] + 0.3 * source.normal(size=rows) > 4).astype(float)
    parts = np.array_split(np.arange(rows), 3)
    given = {r: Table(values[p], NAMES, label[p]) for r, p in zip(roles_of(3), parts, strict=True)}
    fit = simulate_parties("group", task(3, l2=1e-3), given).results["asker"]
    wanted = fit_logistic(values, label, l2=1e-3 * rows, tolerance=1e-10)
    assert fit.coefficients == pytest.approx(wanted.coefficients, rel=1e-6)
    # Without halving the iteration does not even stay finite.
    with pytest.raises(RuntimeWarning, match="overflow"):
        reference(values, label, 1e-3)


# --- drop-outs ---------------------------------------------------------------------------------------------


def norms_of(played: Played) -> list[float]:
    return played.results["asker"].gradient_norms


@pytest.mark.parametrize("turn", [0, 1, 2, 4])
def test_one_that_leaves_during_training_leaves_the_model_of_the_others(turn: int) -> None:
    """From its leaving on the iteration goes to the others' optimum, also from where it had been."""
    given = inputs(5, 200)
    played = play_task(task(5), given, fates={"provider2": Fate("aggregate.masked", turn)})
    weights, errors = reference(*pooled(given, ("provider2",)))
    for role in given:
        if role != "provider2":
            check_fit(played.results[role], weights, errors)
            assert "provider2" not in played.results[role].stayed


def test_too_few_end_the_training() -> None:
    given = inputs(4, 100)
    fates = {role: Fate("aggregate.masked", 3) for role in ("provider", "provider3")}
    played = play_task(task(4), given, fates=fates)
    assert str(played.errors["asker"]) == "only 2 of 4 institutions are still there; a sum needs 3"
    assert not played.results


# --- what is opened ----------------------------------------------------------------------------------------


def test_what_arrives_and_what_is_opened() -> None:
    watch, given = Watch(), inputs(4)
    done = simulate_parties("group", task(4), given, watch=watch)
    up = {"aggregate.keys", "aggregate.boxes", "aggregate.masked", "aggregate.answer"}
    down = {"aggregate.roster", "aggregate.mail", "aggregate.call", "aggregate.question", "aggregate.total"}
    down |= {"federated.weights", "federated.more", "federated.errors"}
    assert watch.tags("asker") == {(role, tag) for role in given if role != "asker" for tag in up}
    for role in given:
        if role != "asker":
            assert watch.tags(role) == {("asker", tag) for tag in down}
    everybody = ("asker", "provider", "provider2", "provider3")
    opened = {(o.what, o.receivers) for o in done.openings["provider"]}
    assert opened == {
        ("rows, events, counts and sums of columns", everybody),
        ("squared deviations of columns", everybody),
        ("rows, loss, gradient and curvature", ("asker",)),
    }
    assert done.openings["provider"] == done.openings["asker"]


def test_bytes_of_a_step_are_those_of_the_statement() -> None:
    watch = Watch()
    simulate_parties("group", task(4), inputs(4), watch=watch)
    sizes = [
        m.arrays[0].nbytes
        for m in watch.views["asker"]
        if m.tag == "aggregate.masked" and m.sender == "provider"
    ]
    d = len(NAMES)
    assert set(sizes[2:]) == {8 * (3 + d + (d + 1) * (d + 2) // 2)}


# --- other methods -----------------------------------------------------------------------------------------


def distance(fit: Any, weights: np.ndarray, errors: np.ndarray) -> float:
    return float(np.max(np.abs(fit.coefficients - weights[1:]) / errors[1:]))


def test_gradient_steps_go_to_the_pooled_model_slowly() -> None:
    given = inputs(4, 300)
    wanted = reference(*pooled(given))
    found = [
        distance(
            simulate_parties("group", task(4, method="fedsgd", max_steps=steps), given).results["asker"],
            *wanted,
        )
        for steps in (5, 30, 150)
    ]
    assert found[0] > 1 > found[1] > found[2]
    assert found[2] < 0.01


def unlike(rows: int) -> dict:
    """Three institutions with other clients and other risks."""
    source = np.random.default_rng(8)
    given = {}
    for place, role in enumerate(roles_of(3)):
        values = source.normal(size=(rows, 4)) + np.array([2.0 * place, 0, 0, 0])
        logits = values @ np.array([0.8, -0.5, 0.3, 0.0]) - 2.0 * place + 0.8 * (place - 1) * values[:, 1]
        given[role] = Table(values, NAMES, (source.random(rows) < 1 / (1 + np.exp(-logits))).astype(float))
    return given


def test_averaging_is_near_in_few_rounds_and_stops_beside_where_institutions_differ() -> None:
    alike, other = inputs(4, 2000, seed=3), unlike(1500)
    few = task(4, method="fedavg", max_steps=6, local_steps=20)
    single = task(4, method="fedsgd", max_steps=6)
    wanted = reference(*pooled(alike))
    near = distance(simulate_parties("group", few, alike).results["asker"], *wanted)
    assert near < 0.5 * distance(simulate_parties("group", single, alike).results["asker"], *wanted)
    many = task(3, method="fedavg", max_steps=80, local_steps=20)
    fit = simulate_parties("group", many, other).results["asker"]
    assert distance(fit, *reference(*pooled(other))) > 1
    assert fit.gradient_norms[-1] > 1e-3
    exact = simulate_parties("group", task(3), other).results["asker"]
    assert distance(exact, *reference(*pooled(other))) < 1e-6


@pytest.mark.parametrize("method", ["fedsgd", "fedavg"])
def test_other_methods_give_the_same_in_both_modes(method: Any) -> None:
    given = inputs(3, 200)
    job = task(3, method=method, max_steps=4, local_steps=1)
    one, other = (
        simulate_parties(mode, job, given).results["provider"] for mode in SUPPORT["federated logistic"]
    )
    assert one.coefficients == pytest.approx(other.coefficients, rel=1e-7)
    assert one.errors == pytest.approx(other.errors, rel=1e-7)


def test_other_methods_open_no_curvature_but_for_rate_and_errors() -> None:
    done = simulate_parties("group", task(3, method="fedavg", max_steps=7), inputs(3))
    whats = [opening.what for opening in done.openings["asker"]]
    assert whats.count("rows, loss, gradient and curvature") == 2
    assert whats.count("weights by rows") == 7
    fixed = simulate_parties("group", task(3, method="fedavg", max_steps=7, rate=0.1), inputs(3))
    assert [o.what for o in fixed.openings["asker"]].count("rows, loss, gradient and curvature") == 1


# --- refusals ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", SUPPORT["federated logistic"])
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda t: t.values.__setitem__((3, 1), np.nan),
            "column b misses values; a regression needs them all",
        ),
        (lambda t: t.label.fill(1.0), None),
        (lambda t: t.values[:, 2].fill(7.0), None),
    ],
)
def test_one_institutions_bad_rows(mode: Mode, change: Any, sentence: str | None) -> None:
    """Missing values are refused; one class or a constant at one institution is no harm."""
    given = inputs(3)
    change(given["provider"])
    if sentence is None:
        fit = simulate_parties(mode, task(3), given).results["asker"]
        check_fit(fit, *reference(*pooled(given)), rel=1e-6)
    else:
        with pytest.raises(DataError, match=sentence):
            simulate_parties(mode, task(3), given)


def everywhere(given: dict, change: Any) -> dict:
    for table in given.values():
        change(table)
    return given


@pytest.mark.parametrize("mode", SUPPORT["federated logistic"])
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.label.fill(0.0), "the label of the training rows is all one class"),
        (
            lambda t: t.values[:, 2].fill(7.0),
            "column c is constant; a joint regression needs columns that differ",
        ),
        (
            lambda t: t.values.__setitem__((slice(None), 3), 2 * t.values[:, 1]),
            "the data do not define the weights",
        ),
        (
            lambda t: t.values.__setitem__((slice(None), 0), t.label),
            "the data do not define|did not converge",
        ),
    ],
)
def test_data_that_define_no_model(mode: Mode, change: Any, sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        simulate_parties(mode, task(3), everywhere(inputs(3), change))


def test_a_bound_on_steps_ends_in_a_sentence() -> None:
    with pytest.raises(DataError, match="the training did not converge in 2 steps"):
        simulate_parties("group", task(3, max_steps=2), inputs(3))


def test_an_institution_with_few_rows_is_refused_by_itself() -> None:
    given = inputs(4)
    given["provider"] = Table(given["provider"].values[:20], NAMES, given["provider"].label[:20])
    played = play_task(task(4), given)
    with pytest.raises(DataError, match="20 rows are too few to take part: at least 50"):
        raise played.errors["provider"]
    # The others go on without it: it never sent anything.
    check_fit(played.results["asker"], *reference(*pooled(given, ("provider",))))
