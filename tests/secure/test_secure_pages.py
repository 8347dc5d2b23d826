"""The protocol pages say what the modules say: papers, costs, bounds; their example runs."""

import re
from pathlib import Path

import pytest

from tongzhou.secure import (
    aggregation,
    aided,
    counting,
    federated_averaging,
    federated_boost,
    federated_columns,
    federated_logistic,
    logistic,
    matching,
    privacy_account,
    privacy_noise,
    private_logistic,
    private_sums,
    scoring,
    shamir,
    staircase,
    transfer,
)

PAGES = Path(__file__).parents[2] / "docs" / "protocols"
MODULES = {
    "aggregation": [aggregation, shamir],
    "aided": [aided],
    "counting": [counting],
    "federated": [federated_columns, federated_logistic, federated_averaging, federated_boost],
    "logistic": [logistic, staircase],
    "matching": [matching.match_dh, matching.match_aided],
    "privacy": [private_sums, private_logistic, privacy_noise, privacy_account],
    "scoring": [scoring],
    "transfer": [transfer],
}
AUTHORS = {
    "aggregation": [
        "Bonawitz",
        "Kreuter",
        "Marcedone",
        "McMahan",
        "Patel",
        "Ramage",
        "Segal",
        "Seth",
        "Shamir",
    ],
    "federated": ["McMahan", "Hampson", "Li, Huang, Yang", "Friedman", "Guestrin", "Ke et al."],
    "privacy": ["Canonne", "Kamath", "Steinke", "Kairouz", "Bun", "Mironov", "Böhning", "Lindsay"],
    "transfer": ["Liu", "Kang", "Xing", "Kakade", "Foster", "Chatterjee", "Maas", "Carroll"],
    "aided": ["Beaver", "Escudero", "Ghosh", "Keller", "Rachuri", "Scholl"],
    "counting": ["Chase", "Ghosh", "Poburinnaya"],
    "logistic": ["Boura", "Chillotti", "Gama", "Jetchev", "Peceny", "Petric", "Korzilius", "Schoenmakers"],
    "matching": ["Meadows", "Huberman", "Franklin", "Hogg", "Kamara", "Mohassel", "Raykova", "Sadeghian"],
    "scoring": [],
}


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def text(name: str) -> str:
    return " ".join(" ".join((part.__doc__ or "").split()) for part in MODULES[name])


@pytest.mark.parametrize("name", sorted(MODULES))
def test_pages_and_modules_cite_the_same_papers(name: str) -> None:
    for author in AUTHORS[name]:
        assert author in page(name), author
        assert author in text(name), author


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_page_has_a_statement(name: str) -> None:
    rows = re.findall(r"^\| ([^|]+) \|", page(name), re.MULTILINE)
    assert {"parties", "assumes", "from"} <= set(rows)
    assert any("learn" in row for row in rows)
    assert "Statement" in text(name)


@pytest.mark.parametrize(
    ("name", "formulas"),
    [
        ("counting", ["12 bytes a row and variable", "two rounds for any number of variables"]),
        (
            "logistic",
            [
                "8 n (2 d_a + d_p + 2) bytes",
                "8 n (6 + 2 K)",
                "8 m (2 d + d_a + 2 + 2 K)",
                "below 2e-5",
                "below 3e-6",
            ],
        ),
        ("matching", ["64 bytes for each identifier of the asker", "16 bytes an identifier to the helper"]),
        ("scoring", ["8 m (d + 3) bytes"]),
        ("aggregation", ["8 n + 33 N bytes a sum", "96 + 64 S + (N - 1) (66 S + 16)"]),
        ("federated", ["3 + d + (d + 1) (d + 2) / 2 words", "at most 2^D c words"]),
        ("privacy", ["about ten microseconds for each number", "k² times the loss"]),
        ("transfer", ["8 m (k + a + 1) bytes"]),
    ],
)
def test_pages_and_modules_say_the_same_costs(name: str, formulas: list[str]) -> None:
    """The tests of costs and bounds hold the modules; this holds the pages to the modules."""
    for formula in formulas:
        assert formula in page(name), formula
        assert formula in text(name), formula


@pytest.mark.parametrize("name", sorted(MODULES))
def test_modules_that_a_page_names_exist(name: str) -> None:
    for module in re.findall(r"`tongzhou\.secure\.(\w+)`", page(name)):
        assert Path(aided.__file__).with_name(f"{module}.py").exists(), module


@pytest.mark.parametrize("name", ["aided", "aggregation", "federated"])
def test_the_examples_run(name: str) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", page(name), re.DOTALL)
    assert "assert " in code
    exec(compile(code, f"{name}.md", "exec"), {})
