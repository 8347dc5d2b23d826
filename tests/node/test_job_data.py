"""Runs on data that will not do: each ends with one sentence, at the owner whose data it is about."""

import job_town
import numpy as np
import pyarrow as pa
import pytest

from tongzhou.errors import DataError, PlanError
from tongzhou.node.check import check_job
from tongzhou.node.job_run import run_job


def _with(table: pa.Table, name: str, values) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values))


@pytest.fixture
def bank_rows(town):
    """Puts other rows in the bank's table of the tests that follow."""

    def put(table: pa.Table, name: str) -> dict[str, str]:
        job_town.add_table(town.bank, table, name, "default", replace=True)
        return {'table = "clients"': f'table = "{name}"'}

    return put


def test_no_client_in_common(town, bank_rows) -> None:
    table = job_town.bank_clients()
    elsewhere = [f"NO-{place:07}" for place in range(table.num_rows)]
    changes = bank_rows(_with(table, "client_id", elsewhere), "strangers")
    plan, _ = town.granted(changes)
    assert "fewer than 500 identifiers are common, so no match is told" in town.fails(plan)


def test_fewer_clients_in_common_than_the_grant_demands(town) -> None:
    plan, grant = town.granted(minimum_rows=100_000)
    sentence = town.fails(plan)
    assert sentence.startswith("fewer than 100000 identifiers are common")
    assert town.ends("cardnet", town.last_run()).state == "failed"
    assert town.cardnet.grants.runs_used(grant.grant_id) == 1


def test_fewer_clients_in_common_than_the_plan_demands(town) -> None:
    plan, _ = town.granted({"minimum_rows = 500": "minimum_rows = 50000"})
    assert town.fails(plan).startswith("fewer than 50000 identifiers are common")


def test_a_match_that_does_not_suffice_tells_no_place(town) -> None:
    plan, _ = town.granted(minimum_rows=100_000)
    town.fails(plan)
    for home in town.homes.values():
        assert home.store.steps(town.last_run()) == []


def test_the_label_is_one_class_among_the_common(town, bank_rows) -> None:
    table = job_town.bank_clients()
    numbers = [int(name.split("-")[1]) for name in table["client_id"].to_pylist()]
    # Only clients that the card network does not know default.
    label = [int(number < job_town.CLIENTS // 10) for number in numbers]
    plan, _ = town.granted(bank_rows(_with(table, "default", label), "one-class"))
    assert town.fails(plan).startswith("the label is 0 in all")


def test_a_constant_column_of_the_asker(town, bank_rows) -> None:
    table = job_town.bank_clients()
    plan, _ = town.granted(bank_rows(_with(table, "age", [40] * table.num_rows), "constant"))
    assert town.fails(plan).startswith("column age is constant over the matched training rows")
    sentence = town.ends("cardnet", town.last_run()).reason
    assert sentence == "bank stopped: it found a problem in its own data"


def test_a_constant_column_of_the_provider_is_named_to_the_provider_only(town) -> None:
    table = job_town.cardnet_clients()
    job_town.add_table(town.cardnet, _with(table, "bill_1", [1.5] * table.num_rows), "constant", replace=True)
    plan, _ = town.granted({'table = "behaviour"': 'table = "constant"'}, table="constant")
    assert town.fails(plan) == "cardnet stopped: it found a problem in its own data"
    assert town.ends("cardnet", town.last_run()).reason.startswith("column bill_1 is constant")


def test_a_column_that_the_provider_does_not_have(town) -> None:
    plan, grant = town.granted({'"paid_1"]': '"paid_9"]'}, columns=["repay_1", "repay_2", "bill_1", "paid_9"])
    assert town.fails(plan) == "cardnet stopped: table behaviour has no column paid_9"
    assert town.cardnet.grants.runs_used(grant.grant_id) == 0


def test_a_table_that_the_provider_does_not_have(town) -> None:
    plan, _ = town.granted({'table = "behaviour"': 'table = "behavior"'}, table="behavior")
    assert town.fails(plan) == ("cardnet stopped: there is no table behavior; did you mean behaviour?")


def test_identifiers_of_another_kind(town) -> None:
    plan, _ = town.granted({'identifier = "client_id"': 'identifier = "client_id"\nkind = "phone"'})
    assert "table behaviour was added with identifier client_id of kind text" in town.fails(plan)
    assert isinstance(check_job(town.bank, plan).refusal(), PlanError)


def test_the_same_client_twice_is_refused_when_the_table_is_added(town) -> None:
    table = job_town.bank_clients()
    twice = pa.concat_tables([table, table.slice(5, 2)])
    with pytest.raises(DataError, match="each must occur once; rows that repeat an earlier one: 2"):
        job_town.add_table(town.bank, twice, "twice", "default")


def test_a_table_that_changed_behind_our_back(town, bank_rows) -> None:
    plan, _ = town.granted(bank_rows(job_town.bank_clients(), "altered"))
    path = town.bank.tables / "altered.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert "has changed since it was added; add it again" in town.fails(plan)


def test_nothing_worth_keeping(town) -> None:
    plan, _ = town.granted({"min_iv = 0.001": "min_iv = 9.0"})
    assert "reaches an information value of 9" in town.fails(plan)


def test_missing_values_have_a_bin_of_their_own(town, bank_rows) -> None:
    table = job_town.bank_clients()
    age = [None if place % 7 == 0 else value for place, value in enumerate(table["age"].to_pylist())]
    plan, _ = town.granted(bank_rows(_with(table, "age", age), "gaps"))
    run_id = run_job(town.bank, plan)
    from tongzhou.node.job_states import BinState
    from tongzhou.node.states import decode_state

    own = decode_state(town.bank.store.step_state(run_id, "bin"), BinState).own
    table_of_age = next(variable.table for variable in own if variable.name == "age")
    assert table_of_age.rows[-1] > 100
    assert np.isfinite(table_of_age.woe[-1])
