"""The protocol pages say what the modules say: papers, costs, bounds; their example runs."""

import re
from pathlib import Path

import pytest

from tongzhou.secure import (
    aided,
    blocks,
    counting,
    dcf,
    dpf,
    exponent,
    glm,
    list_gate,
    list_keys,
    list_query,
    list_setup,
    logistic,
    matching,
    noise,
    retrieval,
    scoring,
    staircase,
)

PAGES = Path(__file__).parents[2] / "docs" / "protocols"
MODULES = {
    "aided": [aided],
    "counting": [counting],
    "glm": [glm, exponent],
    "list-query": [list_query, list_setup, list_keys, list_gate, dpf, dcf, retrieval, blocks, noise],
    "logistic": [logistic, staircase],
    "matching": [matching.match_dh, matching.match_aided],
    "scoring": [scoring],
}
AUTHORS = {
    "aided": ["Beaver", "Escudero", "Ghosh", "Keller", "Rachuri", "Scholl"],
    "counting": ["Chase", "Ghosh", "Poburinnaya"],
    "glm": ["McCullagh", "Nelder", "Escudero", "Ghosh", "Keller", "Rachuri", "Scholl"],
    "list-query": [
        *(
            "Boyle",
            "Gilboa",
            "Ishai",
            "Chandran",
            "Gupta",
            "Kumar",
            "Rathee",
            "Garimella",
            "Pinkas",
            "Rosulek",
        ),
        *("Trieu", "Yanai", "Botelho", "Pagh", "Ziviani", "Bendlin", "Damgård", "Orlandi", "Zakarias", "Guo"),
        *("Katz", "Wang", "Yu", "Canonne", "Kamath", "Steinke"),
    ],
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
            "list-query",
            [
                "1.25 · 8 (c + 3) bytes",
                "17 bytes for each of 48 bits",
                "16 Q + 8 T Q (w + 1) bytes",
                "8 T Q (1 + m)",
                "2^-48",
            ],
        ),
        ("glm", ["8 n (d + 3) bytes", "112 n bytes", "8 m (2 d + d_a + 6)"]),
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


@pytest.mark.parametrize("name", ["aided", "list-query"])
def test_the_example_runs(name: str) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", page(name), re.DOTALL)
    assert "assert " in code
    exec(compile(code, f"{name}.md", "exec"), {})
