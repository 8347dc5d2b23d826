"""What jobs about common clients give: the number alone, or the granted columns of common clients."""

import job_town
import pyarrow as pa
import pytest
from job_kinds import KINDS

from tongzhou.errors import NotFoundError
from tongzhou.node.job_results import result_table
from tongzhou.node.job_run import run_job


def kinds(job: str):
    return pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.job == job], ids=str)


def common() -> set[str]:
    return set(job_town.bank_clients()["client_id"].to_pylist()) & set(
        job_town.cardnet_clients()["client_id"].to_pylist()
    )


@kinds("size")
def test_both_learn_the_rounded_number_and_nothing_else(town, kind) -> None:
    run_id = run_job(town.bank, kind.granted(town))
    town.ends("cardnet", run_id)
    wanted = len(common()) // 100 * 100
    for home in (town.bank, town.cardnet):
        assert result_table(home, run_id)["common"].to_pylist() == [wanted]
        assert home.store.steps(run_id)[0].summary["receipt"]["receipt"]["facts"] == {}


@kinds("size")
def test_below_the_floor_of_the_grant_nothing_is_told(town, kind) -> None:
    purpose = town.purpose()
    town.grant(
        purpose,
        modes=[kind.mode],
        helpers=["helper"] if kind.mode == "aided" else [],
        protocols=["size"],
        columns=[],
        minimum_rows=len(common()) + 1,
    )
    run_id = run_job(town.bank, kind.plan(purpose))
    assert result_table(town.bank, run_id)["common"].to_pylist() == [None]


@kinds("join")
def test_the_asker_learns_the_granted_columns_of_common_clients(town, kind) -> None:
    run_id = run_job(town.bank, kind.granted(town))
    town.ends("cardnet", run_id)
    table = result_table(town.bank, run_id)
    assert table.column_names == ["client_id", "age", "repay_1", "bill_1"]
    assert set(table["client_id"].to_pylist()) == common()
    theirs = {row["client_id"]: row for row in job_town.cardnet_clients().to_pylist()}
    own = {row["client_id"]: row for row in job_town.bank_clients().to_pylist()}
    for row in table.to_pylist():
        for name in ("repay_1", "bill_1"):
            assert row[name] == theirs[row["client_id"]][name]
        assert row["age"] == own[row["client_id"]]["age"]
    with pytest.raises(NotFoundError, match="a join job leaves no table at its provider"):
        result_table(town.cardnet, run_id)


@kinds("join")
def test_texts_and_missing_values_arrive_as_they_are(town, kind) -> None:
    """A table with words and gaps: 中文, empty texts, and nothing at all."""
    table = job_town.cardnet_clients()
    words = [
        ["上海", "", None, "a longer text than the others have"][row % 4] for row in range(table.num_rows)
    ]
    numbers = pa.array([None if row % 5 == 0 else float(row) for row in range(table.num_rows)], pa.float64())
    table = (
        table.select(["client_id"]).append_column("repay_1", pa.array(words)).append_column("bill_1", numbers)
    )
    job_town.add_table(town.cardnet, table, "behaviour", replace=True)
    try:
        run_id = run_job(town.bank, kind.granted(town))
        rows = result_table(town.bank, run_id).to_pylist()
        theirs = {row["client_id"]: row for row in table.to_pylist()}
        assert [row["repay_1"] for row in rows] == [theirs[row["client_id"]]["repay_1"] for row in rows]
        gaps = [row["bill_1"] is None or row["bill_1"] != row["bill_1"] for row in rows]
        assert gaps == [theirs[row["client_id"]]["bill_1"] is None for row in rows]
    finally:
        job_town.add_table(town.cardnet, job_town.cardnet_clients(), "behaviour", replace=True)
