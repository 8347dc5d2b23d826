"""Holding a plan against one institution: what is asked, and what would stop it."""

from datetime import UTC, datetime

import pyarrow as pa
import pytest
from test_node_store import PLAN

from tongzhou.errors import DataError, GrantError, NotFoundError, PeerError, PlanError
from tongzhou.node.check import check_job, request_of
from tongzhou.node.home import Home
from tongzhou.node.plan import Plan, parse_plan
from tongzhou.node.tables import _examined, keep_table
from tongzhou.parties.card import issue_card
from tongzhou.parties.grants import GrantTerms, Openings, check_grant
from tongzhou.parties.times import utc_now, utc_text

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
AIDED = PLAN.replace('mode = "local"', 'mode = "aided"').replace(
    'provider = "cardnet"', 'provider = "cardnet"\nhelper = "helper"'
)


def aided(**changes: str) -> Plan:
    text = AIDED.replace('identifier = "id"', 'identifier = "id"\nminimum_rows = 5')
    for old, new in changes.items():
        text = text.replace(old, new)
    return parse_plan(text, "plan.toml")


def keep(home: Home, name: str, **columns: list) -> None:
    examined = _examined(pa.table(columns), "id", "text", label=None, columns=())
    keep_table(home, examined, name, replace=True, now=NOW)


@pytest.fixture
def homes(tmp_path):
    """Bank, card network and helper, trusting each other, with their tables."""
    made = {name: Home.create(tmp_path / name, name, name, "h:1") for name in ("bank", "cardnet", "helper")}
    for home in made.values():
        for other in made.values():
            if other is not home:
                home.trust.add(issue_card(other.identity, "h:1", utc_now()))
    ids = [f"c{row}" for row in range(10)]
    keep(made["bank"], "clients", id=ids, a=list(range(10)), bad=[0, 1] * 5)
    keep(made["cardnet"], "behaviour", id=ids, b=list(range(10)))
    yield made
    for home in made.values():
        home.close()


def grant(home: Home, **changes) -> None:
    terms = {
        "askers": ["bank"],
        "helpers": ["helper"],
        "purpose": "x",
        "legal_basis": "consent",
        "table": "behaviour",
        "columns": ["b"],
        "modes": ["aided"],
        "protocols": ["match", "bin", "train", "score"],
        "openings": Openings(bin_counts="both", card="both", reasons=4, training_summary=True),
        "valid_from": "2026-01-01",
        "valid_until": "2027-01-01",
        "runs": 2,
    }
    home.grants.new(GrantTerms(**(terms | changes)))


def rules(home: Home, plan: Plan) -> list[str]:
    return [finding.rule for finding in check_job(home, plan, clock=lambda: NOW).findings]


def test_every_side_is_ready(homes) -> None:
    grant(homes["cardnet"])
    found = {name: check_job(home, aided(), clock=lambda: NOW) for name, home in homes.items()}
    assert {name: (one.role, one.findings) for name, one in found.items()} == {
        "bank": ("asker", []),
        "cardnet": ("provider", []),
        "helper": ("helper", []),
    }
    assert found["cardnet"].grant is not None
    assert found["bank"].refusal() is None
    assert len({one.digest for one in found.values()}) == 1


def test_the_request_is_the_plan_in_the_words_of_a_grant(homes) -> None:
    request = request_of(aided())
    assert (request.asker, request.helper, request.purpose, request.table) == (
        "bank",
        "helper",
        "x",
        "behaviour",
    )
    grant(homes["cardnet"])
    check_grant(homes["cardnet"].grants.list()[0], request, NOW, 0)


@pytest.mark.parametrize(
    ("party", "changes", "rule", "kind", "sentence"),
    [
        (
            "bank",
            {'"clients"': '"client"'},
            "table",
            NotFoundError,
            "there is no table client; did you mean clients",
        ),
        ("bank", {'["a"]': '["aa"]'}, "column", PlanError, "table clients has no column aa"),
        ("bank", {'["a"]': '["bda"]'}, "column", PlanError, "no column bda; did you mean bad"),
        ("bank", {"minimum_rows = 5": "minimum_rows = 50"}, "rows", DataError, "has 10 rows, fewer than"),
        (
            "bank",
            {"minimum_rows = 5": 'kind = "phone"\nminimum_rows = 5'},
            "identifier",
            PlanError,
            "of kind text",
        ),
        (
            "bank",
            {'"cardnet"': '"othernet"', ".cardnet": ".othernet"},
            "trust",
            PeerError,
            "no party othernet is",
        ),
        ("helper", {'"bank"': '"otherbank"', ".bank": ".otherbank"}, "trust", PeerError, "otherbank"),
        ("cardnet", {}, "grant", GrantError, "grant"),
    ],
)
def test_what_stops_a_run_is_found_with_its_kind(homes, party, changes, rule, kind, sentence) -> None:
    found = check_job(homes[party], aided(**changes), clock=lambda: NOW)
    assert rule in [finding.rule for finding in found.findings]
    with pytest.raises(kind, match=sentence):
        raise found.refusal()


@pytest.mark.parametrize(
    "changes",
    [
        {"askers": ["other"]},
        {"columns": ["z"]},
        {"purpose": "y"},
        {"valid_until": "2026-02-01"},
        {"helpers": ["h"]},
    ],
)
def test_a_grant_that_falls_short_is_named(homes, changes) -> None:
    grant(homes["cardnet"], **changes)
    assert rules(homes["cardnet"], aided()) == ["grant"]


def test_warnings_do_not_stop(homes) -> None:
    keep(homes["bank"], "clients", id=[f"c{row}" for row in range(10)], a=[3] * 10, bad=[0, 1] * 5)
    found = check_job(homes["bank"], aided(), clock=lambda: NOW)
    assert [finding.rule for finding in found.findings] == ["column-constant"]
    assert found.refusal() is None


def test_a_label_of_one_class_stops(homes) -> None:
    keep(homes["bank"], "clients", id=[f"c{row}" for row in range(10)], a=list(range(10)), bad=[0] * 10)
    with pytest.raises(DataError, match="label bad"):
        raise check_job(homes["bank"], aided(), clock=lambda: NOW).refusal()


def test_local_mode_looks_at_both_tables_and_needs_no_partner(homes) -> None:
    plan = parse_plan(PLAN.replace('identifier = "id"', 'identifier = "id"\nminimum_rows = 5'), "plan.toml")
    assert rules(homes["bank"], plan) == ["table"]
    keep(homes["bank"], "behaviour", id=[f"c{row}" for row in range(10)], b=list(range(10)))
    assert rules(homes["bank"], plan) == []


def test_a_stranger_has_no_role(tmp_path) -> None:
    with (
        Home.create(tmp_path / "x", "stranger", "x", "h:1") as home,
        pytest.raises(PlanError, match="stranger has no role"),
    ):
        check_job(home, aided())


def test_times_in_records_are_utc() -> None:
    assert utc_text(NOW) == "2026-11-24T12:00:00Z"
