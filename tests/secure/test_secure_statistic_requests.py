"""Requests from plain values: what a plan file can say, and one sentence for whatever it must not."""

import tomllib
from typing import Any

import msgspec
import pytest

from tongzhou.errors import PlanError
from tongzhou.secure.statistic_requests import (
    Condition,
    Correlation,
    Evidence,
    Quantiles,
    Request,
    Totals,
    check_requests,
    owner_of,
    read_requests,
)

SIZES = {
    "asker.region": 4,
    "provider.sector": 3,
    "asker.age-band": 6,
    "provider.huge": 2001,
    "asker.wide": 1000,
}

FILE = """
[[request]]
kind = "totals"
name = "income-by-region"
by = ["asker.region"]
columns = ["provider.income"]
where = [{ column = "provider.age", least = 18, below = 65 }]
decimals = 2
variance = true
receivers = ["asker", "provider"]

[[request]]
kind = "evidence"
name = "sector"
bins = "provider.sector"
label = "asker.default"

[[request]]
kind = "quantiles"
name = "incomes"
column = "provider.income"
percents = [10, 90]
by = "asker.region"

[[request]]
kind = "correlation"
name = "all"
columns = ["asker.limit", "provider.income"]
shows = "inflation"
"""


def test_a_plan_file_says_all_of_it() -> None:
    found = read_requests(tomllib.loads(FILE)["request"])
    assert found == (
        Totals(
            name="income-by-region",
            by=("asker.region",),
            columns=("provider.income",),
            where=(Condition(column="provider.age", least=18, below=65),),
            decimals=2,
            variance=True,
            receivers=("asker", "provider"),
        ),
        Evidence(name="sector", bins="provider.sector", label="asker.default"),
        Quantiles(name="incomes", column="provider.income", percents=(10, 90), by="asker.region"),
        Correlation(name="all", columns=("asker.limit", "provider.income"), shows="inflation"),
    )
    check_requests(found, SIZES)


@pytest.mark.parametrize("encode", [msgspec.json, msgspec.msgpack])
def test_they_travel_and_come_back_equal(encode: Any) -> None:
    found = read_requests(tomllib.loads(FILE)["request"])
    assert encode.decode(encode.encode(found), type=tuple[Request, ...]) == found


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"kind": "total"},
            "statistic 1: kind must be one of totals, evidence, quantiles, correlation, got 'total'",
        ),
        ({"kind": None}, "statistic 1: kind must be one of"),
        ({"colums": []}, "statistic 1: unknown key 'colums'; did you mean columns?"),
        ({"xyz": 1}, "statistic 1: unknown key 'xyz'; did you mean name / receivers"),
        ({"name": "Big Name"}, r"not a list of statistics: .*name"),
        ({"name": "x" * 65}, r"not a list of statistics: .*name"),
        ({"by": ["region"]}, r"not a list of statistics: .*by"),
        ({"columns": ["helper.income"]}, r"not a list of statistics: .*columns"),
        ({"decimals": 7}, r"not a list of statistics: .*decimals"),
        ({"where": [{"column": "asker.age", "at_most": 3}]}, r"not a list of statistics: .*at_most"),
        ({"receivers": []}, r"not a list of statistics: .*receivers"),
        ({"receivers": ["helper"]}, r"not a list of statistics: .*receivers"),
        ({"variance": "yes"}, r"not a list of statistics: .*variance"),
    ],
)
def test_wrong_values_are_named(changes: dict[str, Any], sentence: str) -> None:
    plain = {"kind": "totals", "name": "t", "columns": ["provider.income"]} | changes
    with pytest.raises(PlanError, match=sentence):
        read_requests([plain])


@pytest.mark.parametrize("raw", [3, "totals", {"kind": "totals"}, [7], None])
def test_what_is_no_list_of_requests_is_refused(raw: Any) -> None:
    with pytest.raises(PlanError, match="not a list of statistics"):
        read_requests(raw)


@pytest.mark.parametrize(
    ("request_", "sentence"),
    [
        (
            Totals(name="t", by=("asker.region", "asker.age-band")),
            "at most one category of each owner makes the groups, got asker.region, asker.age-band",
        ),
        (
            Totals(name="t", by=("asker.regoin",)),
            "there is no category asker.regoin; did you mean asker.region?",
        ),
        (Totals(name="t", by=("provider.qqq",)), "there is no category provider.qqq"),
        (
            Totals(name="t", by=("provider.huge",)),
            "category provider.huge has 2001 groups, 1 to 2000 are allowed",
        ),
        (Totals(name="t", by=("asker.wide", "provider.sector")), "3000 groups are too many, at most 2000"),
        (
            Totals(name="t", columns=("asker.a", "asker.a")),
            "statistic t: column asker.a is named twice",
        ),
        (Totals(name="t", variance=True), "statistic t: a variance needs a column"),
        (
            Evidence(name="e", bins="asker.region", label="asker.default"),
            "statistic e: asker.region and asker.default must belong to different owners",
        ),
        (Evidence(name="e", bins="asker.none", label="provider.x"), "there is no category asker.none"),
        (
            Quantiles(name="q", column="asker.limit", by="asker.region"),
            "statistic q: asker.region and asker.limit must belong to different owners",
        ),
        (Quantiles(name="q", column="asker.limit", by="provider.none"), "there is no category provider.none"),
        (
            Correlation(name="r", columns=("asker.a", "asker.b")),
            "statistic r: correlations need columns of both owners",
        ),
        (
            Correlation(name="r", columns=("asker.a", "provider.b", "asker.a")),
            "column asker.a is named twice",
        ),
    ],
)
def test_contradictions_are_sentences(request_: Request, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        check_requests([request_], SIZES)


def test_names_are_unique_and_requests_bounded() -> None:
    with pytest.raises(PlanError, match="two statistics have the name t"):
        check_requests([Totals(name="t"), Totals(name="u"), Totals(name="t")], {})
    for number in (0, 201):
        with pytest.raises(PlanError, match=f"1 to 200 statistics can be asked at once, got {number}"):
            check_requests([Totals(name=f"t{place}") for place in range(number)], {})


def test_a_column_names_its_owner() -> None:
    assert owner_of("provider.income.monthly") == ("provider", "income.monthly")
