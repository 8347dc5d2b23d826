"""Jobs of many institutions: one behaviour in every mode, settings that a plan file can carry, all costs."""

from typing import Any

import msgspec
import numpy as np
import pytest
from federated_worlds import Fate, agreed, play_task, roles_of, tables
from secure_worlds import Watch, chi_square

from tongzhou.errors import DataError, PlanError
from tongzhou.risk.binning import Bins, bin_table
from tongzhou.secure.exchange import Exchange
from tongzhou.secure.federated_boost import FederatedBoostSettings
from tongzhou.secure.federated_columns import Table
from tongzhou.secure.federated_logistic import FederatedLogisticSettings
from tongzhou.secure.federated_tasks import (
    AggregateInput,
    AggregateSettings,
    AggregateTask,
    FederatedBoostTask,
    FederatedLogisticTask,
    FederatedStatisticsTask,
    StatisticsSettings,
)
from tongzhou.secure.party import Party
from tongzhou.secure.simulate import simulate_parties
from tongzhou.secure.tasks import SUPPORT, Mode, Seat
from tongzhou.secure.transfer import TransferSettings
from tongzhou.wire.messages import Session

LENGTH = 5
NAMES = ("a", "b", "c")


def records(institutions: int, *, asker_contributes: bool = True, rows: int = 60) -> dict[str, Any]:
    roles = roles_of(institutions, asker_contributes=asker_contributes)
    source = np.random.default_rng(institutions)
    return {
        role: AggregateInput(source.normal(size=(rows, LENGTH)) * 1000)
        if asker_contributes or role != "asker"
        else None
        for role in roles
    }


def aggregate(institutions: int, *, to_all: bool = False, **circle: Any) -> AggregateTask:
    return AggregateTask(AggregateSettings(agreed(institutions, **circle), LENGTH, to_all=to_all))


@pytest.mark.parametrize("mode", SUPPORT["aggregate"])
@pytest.mark.parametrize("to_all", [False, True])
@pytest.mark.parametrize(("institutions", "contributes"), [(3, True), (5, False)])
def test_a_sum(mode: Mode, to_all: bool, institutions: int, contributes: bool) -> None:
    given = records(institutions, asker_contributes=contributes)
    task = aggregate(institutions, to_all=to_all, asker_contributes=contributes)
    done = simulate_parties(mode, task, given)
    wanted = sum(one.values.sum(axis=0) for one in given.values() if one is not None)
    for role, result in done.results.items():
        assert result.stayed == tuple(r for r, one in given.items() if one is not None)
        assert (result.privacy, result.deviation) == (None, 0.0)
        if role == "asker" or to_all:
            assert result.total == pytest.approx(wanted, abs=institutions * 2.0**-30)
        else:
            assert result.total is None


def parts(institutions: int) -> dict[str, Table]:
    found = tables(institutions, 400, 3)
    return {r: Table(v, NAMES, label) for r, (v, label) in zip(roles_of(institutions), found, strict=True)}


@pytest.mark.parametrize("mode", SUPPORT["federated statistics"])
def test_scaling_and_weights_of_evidence(mode: Mode) -> None:
    """From the opened figures alone all make the weights of evidence of the pooled rows."""
    given = parts(4)
    task = FederatedStatisticsTask(StatisticsSettings(agreed(4), NAMES, bins=6))
    done = simulate_parties(mode, task, given)
    values = np.concatenate([t.values for t in given.values()])
    label = np.concatenate([t.label for t in given.values()])
    for role in given:
        found = done.results[role]
        assert found.moments.means == pytest.approx(values.mean(axis=0))
        assert found.moments.deviations == pytest.approx(values.std(axis=0))
        for place, (edges, totals, events) in enumerate(
            zip(found.edges, found.totals, found.events, strict=True)
        ):
            codes = np.searchsorted(edges, values[:, place], side="left")
            assert totals.tolist() == [*np.bincount(codes, minlength=len(edges) + 1).tolist(), 0]
            assert events[:-1].tolist() == np.bincount(codes, label, len(edges) + 1).tolist()
        # The edges are those of a scorecard's bins as they are.
        bins = Bins(NAMES[0], tuple(found.edges[0].tolist()))
        codes = bins.assign(values[:, 0])
        counts = [np.bincount(rows, minlength=bins.bin_count) for rows in (codes, codes[label == 1])]
        card, pooled = bin_table(bins, found.totals[0], found.events[0]), bin_table(bins, *counts)
        assert card == pooled


@pytest.mark.parametrize("mode", SUPPORT["federated statistics"])
def test_statistics_without_bins_or_label(mode: Mode) -> None:
    given = {role: Table(table.values, NAMES) for role, table in parts(3).items()}
    task = FederatedStatisticsTask(StatisticsSettings(agreed(3), NAMES, label=False))
    found = simulate_parties(mode, task, given).results["provider2"]
    assert (found.edges, found.totals, found.events, found.moments.events) == ([], [], [], 0)
    assert found.moments.rows == sum(len(table.values) for table in given.values())


EVERY = {
    "aggregate": (aggregate(3), records(3)),
    "federated statistics": (FederatedStatisticsTask(StatisticsSettings(agreed(3), NAMES)), parts(3)),
    "federated logistic": (FederatedLogisticTask(FederatedLogisticSettings(agreed(3), NAMES)), parts(3)),
    "federated boost": (FederatedBoostTask(FederatedBoostSettings(agreed(3), NAMES, trees=2)), parts(3)),
}


@pytest.mark.parametrize("name", sorted(EVERY))
@pytest.mark.parametrize("mode", ["aided", "pair"])
def test_no_job_of_many_falls_back_to_another_mode(name: str, mode: Any) -> None:
    task, given = EVERY[name]
    party = Party("asker", Session("asker", {}), {role: role for role in given})
    with pytest.raises(PlanError, match=f"{name} does not run in mode {mode}; it runs in local, group"):
        task.run(Seat(party, mode, Exchange()), given["asker"])


@pytest.mark.parametrize("name", sorted(EVERY))
def test_the_asker_may_coordinate_without_rows_of_its_own(name: str) -> None:
    task, given = EVERY[name]
    without = {
        "asker": None,
        **{f"provider{n or ''}": one for n, one in zip((0, 2, 3), given.values(), strict=True)},
    }
    settings = msgspec.structs.replace(task.settings, aggregation=agreed(3, asker_contributes=False))
    for mode in SUPPORT[name]:
        done = simulate_parties(mode, type(task)(settings), without)
        assert done.results["asker"].stayed == ("provider", "provider2", "provider3")


@pytest.mark.parametrize("name", sorted(EVERY))
def test_those_who_come_must_be_those_agreed(name: str) -> None:
    task, given = EVERY[name]
    settings = msgspec.structs.replace(task.settings, aggregation=agreed(4))
    with pytest.raises(PlanError, match="3 institutions with data take part, 4 were agreed"):
        simulate_parties("group", type(task)(settings), given)


@pytest.mark.parametrize("mode", SUPPORT["aggregate"])
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (np.zeros((60, 4)), "records have 4 numbers, 5 were agreed"),
        (
            np.zeros((49, 5)),
            "49 rows are too few to take part: at least 50 were agreed, so that a sum hides each",
        ),
        (np.full((60, 5), 1e9), "a number is not finite or is larger than"),
        (np.full((60, 5), np.nan), "a number is not finite or is larger than"),
    ],
)
def test_records_that_cannot_be_added_up(mode: Mode, values: np.ndarray, sentence: str) -> None:
    given = records(3) | {"provider": AggregateInput(values)}
    with pytest.raises(DataError, match=sentence):
        simulate_parties(mode, aggregate(3), given)


def test_a_sum_of_those_who_stayed() -> None:
    given = records(5)
    played = play_task(aggregate(5), given, fates={"provider3": Fate("aggregate.masked", silent=False)})
    wanted = sum(one.values.sum(axis=0) for role, one in given.items() if role != "provider3")
    assert played.results["asker"].total == pytest.approx(wanted, abs=1e-8)
    assert played.results["provider"].stayed == ("asker", "provider", "provider2", "provider4")


def test_all_that_arrives_of_records_is_uniform() -> None:
    """Everybody brings the same records in two runs that differ in nothing."""
    watch = Watch()
    values = np.ones((60, 3000))
    given = {role: AggregateInput(values) for role in roles_of(4)}
    simulate_parties("group", AggregateTask(AggregateSettings(agreed(4), 3000)), given, watch=watch)
    for message in watch.views["asker"]:
        if message.tag == "aggregate.masked":
            assert abs(chi_square(message.arrays[0].view(np.uint8))) < 6


# --- plan files --------------------------------------------------------------------------------------------

PLAN = """
[federated]
columns = ["limit", "age"]
trees = 40
depth = 4

[federated.aggregation]
context = "run-7"
institutions = 10
asker_contributes = false
least = 5
minimum_rows = 200
signed = true
"""


def test_settings_come_from_a_plan_file() -> None:
    class Plan(msgspec.Struct):
        federated: FederatedBoostSettings

    found = msgspec.toml.decode(PLAN.encode(), type=Plan).federated
    assert (found.columns, found.trees, found.aggregation.least) == (("limit", "age"), 40, 5)
    assert found.aggregation.circle(8).threshold == 6


@pytest.mark.parametrize(
    "settings",
    [
        AggregateSettings(agreed(3), 4),
        StatisticsSettings(agreed(3), NAMES),
        FederatedLogisticSettings(agreed(3), NAMES, bounds=((0.0, 1.0),) * 3),
        FederatedBoostSettings(agreed(3), NAMES),
        TransferSettings(100, 3),
    ],
)
def test_settings_travel_unchanged_and_take_no_unknown_key(settings: Any) -> None:
    kind = type(settings)
    assert msgspec.json.decode(msgspec.json.encode(settings), type=kind) == settings
    built = msgspec.to_builtins(settings)
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({**built, "minimum": 3}, kind)


# --- costs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("institutions", [3, 10, 50])
def test_bytes_of_a_sum_grow_with_the_institutions_as_stated(institutions: int) -> None:
    """One sum, one batch: what every institution sends and receives; the rounds do not grow."""
    watch, length = Watch(), 40
    given = {role: AggregateInput(np.ones((60, length))) for role in roles_of(institutions)}
    task = AggregateTask(AggregateSettings(agreed(institutions, patience_s=20.0), length))
    done = simulate_parties("group", task, given, watch=watch)
    n = institutions
    sent = sum(a.nbytes for m in watch.views["asker"] if m.sender == "provider" for a in m.arrays)
    assert sent == 8 * length + 33 * n + 96 + 64 + (n - 1) * (66 + 16)
    assert done.traffic["provider"]["asker"].rounds == 3
    assert done.results["asker"].total == pytest.approx(np.full(length, 60.0 * n))
