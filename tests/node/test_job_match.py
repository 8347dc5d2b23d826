"""The job that only finds common rows: in every trust mode, over daemons, with its result as a table."""

import job_town
import numpy as np
import pytest
from job_kinds import MATCH, Kind

from tongzhou.errors import ConflictError, NotFoundError
from tongzhou.node.home import Home
from tongzhou.node.job_results import result_table
from tongzhou.node.job_run import run_job
from tongzhou.node.plan import Plan


def plan_of(purpose: str, mode: str, protocol: str) -> Plan:
    return Kind("match", mode, MATCH, protocol=protocol).plan(purpose)


def granted(town, mode: str, protocol: str, **changes) -> Plan:
    return Kind("match", mode, MATCH, {"columns": []} | changes, protocol).granted(town)


@pytest.mark.parametrize(("mode", "protocol"), [("aided", "aided"), ("aided", "dh"), ("pair", "dh")])
def test_both_owners_hold_the_same_clients_in_the_same_order(town, mode: str, protocol: str) -> None:
    run_id = run_job(town.bank, granted(town, mode, protocol))
    town.ends("cardnet", run_id)
    own, theirs = (result_table(home, run_id) for home in (town.bank, town.cardnet))
    assert own.column_names == ["client_id", "age"]
    assert theirs.column_names == ["client_id"]
    clients = own["client_id"].to_pylist()
    assert clients == theirs["client_id"].to_pylist()
    known = [
        set(table["client_id"].to_pylist()) for table in (job_town.bank_clients(), job_town.cardnet_clients())
    ]
    assert set(clients) == known[0] & known[1]
    order = [list(job_town.bank_clients()["client_id"].to_pylist()).index(one) for one in clients[:200]]
    assert np.any(np.diff(order) < 0), "the common order says nothing about a table's own"


def test_in_one_process_the_same_clients_are_common(tmp_path) -> None:
    with Home.create(tmp_path / "bank", "bank", "Bank", "127.0.0.1:9") as home:
        job_town.add_table(home, job_town.bank_clients(), "clients", "default")
        job_town.add_table(home, job_town.cardnet_clients(), "behaviour")
        table = result_table(home, run_job(home, plan_of("p", "local", "dh")))
    theirs = set(job_town.cardnet_clients()["client_id"].to_pylist())
    assert set(table["client_id"].to_pylist()) == theirs & set(
        job_town.bank_clients()["client_id"].to_pylist()
    )


def test_the_receipt_of_a_pair_names_two_parties_and_the_number_of_rows(town) -> None:
    run_id = run_job(town.bank, granted(town, "pair", "dh"))
    town.ends("cardnet", run_id)
    for home in (town.bank, town.cardnet):
        (step,) = home.store.steps(run_id)
        signed = step.summary["receipt"]
        receipt = signed["receipt"]
        assert receipt["roles"] == {"asker": "bank", "provider": "cardnet"}
        assert set(signed["signatures"]) == {"bank", "cardnet"}
        assert set(receipt["learned"]) == {"asker", "provider"}
        assert list(receipt["facts"]) == ["matched_rows"]
        assert (receipt["mode"], receipt["kind"]) == ("pair", "match")


def test_a_grant_to_match_allows_nothing_else(town) -> None:
    purpose = town.purpose()
    town.grant(purpose, protocols=["match"], columns=[])
    assert "does not cover these columns" in town.fails(town.plan(purpose))
    town.grant(purpose, protocols=["match"], columns=job_town.THEIRS)
    assert "allows the protocols match, not bin, train, score" in town.fails(town.plan(purpose))


def test_a_grant_for_the_helper_does_not_allow_a_pair(town) -> None:
    purpose = town.purpose()
    town.grant(purpose, protocols=["match"], columns=[])
    assert "allows trust mode aided, not pair" in town.fails(plan_of(purpose, "pair", "dh"))


def test_too_few_common_rows_leave_no_result(town) -> None:
    plan = granted(town, "pair", "dh", minimum_rows=100_000)
    assert "fewer than 100000 identifiers are common" in town.fails(plan)
    with pytest.raises(ConflictError, match="is failed; only a finished one has a result"):
        result_table(town.bank, town.last_run())


def test_a_job_without_a_table_says_so(town) -> None:
    plan, _ = town.granted(minimum_bin_rows=1)
    run_id = run_job(town.bank, plan)
    with pytest.raises(NotFoundError, match="a scorecard job leaves no table at its asker"):
        result_table(town.bank, run_id)
