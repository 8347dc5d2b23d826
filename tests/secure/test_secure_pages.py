"""The protocol pages say what the modules say: papers, costs, bounds; their example runs."""

import re
from pathlib import Path

import pytest

from tongzhou.secure import (
    aided,
    bit_products,
    blind,
    counting,
    lattice,
    logistic,
    matching,
    packing,
    pair,
    scoring,
    shuffling,
    staircase,
)

PAGES = Path(__file__).parents[2] / "docs" / "protocols"
MODULES = {
    "aided": [aided],
    "counting": [counting, shuffling],
    "logistic": [logistic, staircase],
    "matching": [matching.match_dh, matching.match_aided],
    "pair": [pair, lattice, packing, blind, bit_products],
    "scoring": [scoring],
}
AUTHORS = {
    "aided": ["Beaver", "Escudero", "Ghosh", "Keller", "Rachuri", "Scholl"],
    "counting": ["Chase", "Ghosh", "Poburinnaya"],
    "logistic": ["Boura", "Chillotti", "Gama", "Jetchev", "Peceny", "Petric", "Korzilius", "Schoenmakers"],
    "matching": ["Meadows", "Huberman", "Franklin", "Hogg", "Kamara", "Mohassel", "Raykova", "Sadeghian"],
    "pair": ["Brakerski", "Fan", "Vercauteren", "Huang", "Hao", "Beaver", "Rathee"],
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
        ("pair", ["about 25 bytes a number", "48 K bytes a row", "about 0.6 MB"]),
        ("scoring", ["8 m (d + 3) bytes"]),
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


def test_the_example_runs() -> None:
    (code,) = re.findall(r"```python\n(.*?)```", page("aided"), re.DOTALL)
    assert "assert outcome" in code
    exec(compile(code, "aided.md", "exec"), {})
