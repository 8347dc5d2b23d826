"""The protocol pages say what the modules say: papers, costs, bounds; their example runs."""

import re
from pathlib import Path

import pytest

from tongzhou.secure import (
    accumulate_code,
    aggregation,
    aided,
    base_ot,
    bit_products,
    blind,
    blocks,
    boost_scoring,
    boosting,
    cells,
    comparison,
    correlation,
    counting,
    dcf,
    differencing,
    dpf,
    exponent,
    federated_averaging,
    federated_boost,
    federated_columns,
    federated_logistic,
    fixed_hash,
    ggm,
    glm,
    graph,
    graph_maps,
    graph_pairs,
    guard,
    lattice,
    list_gate,
    list_keys,
    list_query,
    list_setup,
    logistic,
    matching,
    matching_aided,
    matching_vole,
    noise,
    ot_extension,
    packing,
    pair,
    privacy_account,
    privacy_noise,
    private_logistic,
    private_sums,
    quantiles,
    retrieval,
    row_audit,
    scoring,
    shamir,
    shuffling,
    sketches,
    staircase,
    statistics,
    suppression,
    totals,
    transfer,
    vole,
)

PAGES = Path(__file__).parents[2] / "docs" / "protocols"
MODULES = {
    "aggregation": [aggregation, shamir],
    "aided": [aided],
    "boosting": [boosting, boost_scoring],
    "counting": [counting, shuffling],
    "graph": [graph, graph_maps, graph_pairs],
    "glm": [glm, exponent],
    "list-query": [list_query, list_setup, list_keys, list_gate, dpf, dcf, retrieval, blocks, noise],
    "logistic": [logistic, staircase],
    "matching": [matching.match_dh, matching_vole, matching_aided],
    "pair": [pair, lattice, packing, blind, bit_products],
    "scoring": [scoring],
    "statistics": [
        statistics,
        totals,
        quantiles,
        correlation,
        cells,
        guard,
        differencing,
        row_audit,
        suppression,
        sketches,
        comparison,
    ],
    "transfers": [base_ot, ot_extension, fixed_hash, ggm, accumulate_code, vole],
    "federated": [federated_columns, federated_logistic, federated_averaging, federated_boost],
    "privacy": [private_sums, private_logistic, privacy_noise, privacy_account],
    "transfer": [transfer],
}
AUTHORS = {
    "boosting": [
        "Chen",
        "Guestrin",
        "Fang",
        "Zhao",
        "Tan",
        "Yu",
        "Wang",
        "Zhou",
        "Zhang",
        "2011.09290",
        "2307.10318",
    ],
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
    "graph": [
        *(
            "Nayak",
            "Araki",
            "Tsuchida",
            "Chase",
            "Poburinnaya",
            "Zhou",
            "Bousquet",
            "Weston",
            "Page",
            "Beaver",
        ),
    ],
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
    "matching": [
        *("Meadows", "Huberman", "Franklin", "Hogg", "Raghuraman", "Rindal"),
        *("Kamara", "Mohassel", "Raykova", "Sadeghian"),
    ],
    "pair": ["Brakerski", "Fan", "Vercauteren", "Huang", "Hao", "Beaver", "Rathee"],
    "scoring": [],
    "statistics": [
        "Denning",
        "Schwartz",
        "Chin",
        "Ozsoyoglu",
        "Kenthapadi",
        "Mishra",
        "Nissim",
        "Gusfield",
        "Kao",
        "Hoaglin",
        "Welsch",
        "Charikar",
        "Farach-Colton",
        "Ishai",
        "Kushilevitz",
        "Meldgaard",
        "Orlandi",
        "Paskin-Cherniavsky",
        "Garay",
        "Schoenmakers",
        "Villegas",
    ],
    "transfers": [
        *(
            "Masny",
            "Ishai",
            "Kilian",
            "Nissim",
            "Petrank",
            "Asharov",
            "Lindell",
            "Schneider",
            "Zohner",
            "Katz",
        ),
        *(
            "Boyle",
            "Couteau",
            "Gilboa",
            "Schoppmann",
            "Raykova",
            "Keller",
            "Orsini",
            "Scholl",
            "Sarkar",
            "Weng",
        ),
        *(
            "Graell",
            "Bidan",
            "Divsalar",
            "Raghuraman",
            "Tanguy",
            "Liu",
            "Briaud",
            "Øygarden",
            "Esser",
            "Santini",
        ),
    ],
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
            "graph",
            [
                "40 n + 12 m bytes once",
                "40 (4 n + m) bytes and two rounds a step",
                "20 m + 155 n bytes and five rounds a step",
                "88 n + 40 m bytes a node of a pair",
            ],
        ),
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
        (
            "boosting",
            [
                "9 n d 2^(D-1) bytes",
                "8 n (5 + 4 K) bytes",
                "28 n 2^D bytes",
                "41 D + 14 rounds",
                "16 m (l + 1) bytes",
                "29 - L fractional bits",
            ],
        ),
        (
            "statistics",
            [
                "8 n (k_a + k_p (1 + v_p))",
                "8 n v_a (k_a + k_p) more",
                "8 n k_p (k_a + 1)",
                "8 n (d_a + d_p)",
                "at most 250 bytes",
                "16 KB each way",
            ],
        ),
        (
            "matching",
            [
                "64 bytes for each identifier of the asker",
                "about 10 bytes for each identifier of the asker",
                "below 2^-39",
                "12 bytes an identifier to the helper",
            ],
        ),
        ("pair", ["about 25 bytes a number", "48 K bytes a row", "about 0.6 MB"]),
        ("scoring", ["8 m (d + 3) bytes"]),
        (
            "transfers",
            ["16 bytes a transfer from receiver to sender", "half million pairs", "12 kB", "843"],
        ),
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


@pytest.mark.parametrize(
    "name", ["aided", "aggregation", "boosting", "federated", "graph", "list-query", "statistics"]
)
def test_the_example_runs(name: str) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", page(name), re.DOTALL)
    assert "assert " in code
    exec(compile(code, f"{name}.md", "exec"), {})
