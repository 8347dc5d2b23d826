"""The pages of the other kinds of matching say what their modules say: papers, costs and limits."""

import re
from pathlib import Path

import pytest

from tongzhou.secure import blind_prf, cached_match, common_to_all, hidden_table, joining, overlap, tag_table
from tongzhou.secure.tag_lists import MAX_LISTED
from tongzhou.secure.tag_table import block_bits_for

PAGES = Path(__file__).parents[2] / "docs" / "protocols"
MODULES: dict[str, list[object]] = {
    "cached-matching": [cached_match, blind_prf, tag_table],
    "overlap": [overlap, overlap.count_dh, overlap.count_aided],
    "joining": [joining, joining._ask, joining._ask_helper, blind_prf],
    "common-to-all": [common_to_all, common_to_all._match_aided, common_to_all._ask, hidden_table, blind_prf],
}
AUTHORS = {
    "cached-matching": ["Jarecki", "Kiayias", "Krawczyk", "Freedman", "Ishai", "Reingold", "Kiss", "Asokan"],
    "overlap": ["Agrawal", "Evfimievski", "Srikant", "De Cristofaro", "Gasti", "Tsudik", "Kamara", "Raykova"],
    "joining": ["Freedman", "Ishai", "Pinkas", "Reingold", "Jarecki", "Liu", "Kamara", "Sadeghian"],
    "common-to-all": ["Kolesnikov", "Matania", "Trieu", "Garimella", "Rosulek", "Yanai", "Jarecki"],
}
COSTS = {
    "cached-matching": [
        "5.3 bytes an identifier for ten millions",
        "6 to 7 bytes",
        "three scalar multiplications",
    ],
    "overlap": [
        "64 bytes for each identifier of whoever compares, 32 for each of the other",
        "16 bytes an identifier to the helper",
        "two scalar multiplications an identifier",
    ],
    "joining": ["for each of the provider its row and 32 bytes", "a match costs its row and 24 bytes back"],
    "common-to-all": [
        "32 bytes for each identifier of the asker",
        "64 bytes for each identifier of the asker and provider",
        "1 + N scalar multiplications",
    ],
}


def page(name: str) -> str:
    return " ".join((PAGES / f"{name}.md").read_text(encoding="utf-8").split())


def text(name: str) -> str:
    return " ".join(" ".join((part.__doc__ or "").split()) for part in MODULES[name])


@pytest.mark.parametrize("name", sorted(MODULES))
def test_pages_and_modules_cite_the_same_papers(name: str) -> None:
    for author in AUTHORS[name]:
        assert author in page(name), author
        assert author in text(name), author


@pytest.mark.parametrize("name", sorted(MODULES))
def test_pages_and_modules_say_the_same_costs(name: str) -> None:
    for cost in COSTS[name]:
        assert cost in page(name), cost
        assert cost in text(name), cost


@pytest.mark.parametrize("name", sorted(MODULES))
def test_every_page_has_a_statement(name: str) -> None:
    lines = (PAGES / f"{name}.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \|", lines, re.MULTILINE)
    assert {"parties", "assumes", "costs", "from"} <= set(rows)
    assert any("learn" in row for row in rows)
    assert "Statement" in text(name)


@pytest.mark.parametrize("name", sorted(MODULES))
def test_modules_that_a_page_names_exist(name: str) -> None:
    source = Path(overlap.__file__).parents[1]
    found = re.findall(r"`tongzhou\.(secure|node)\.(\w+)`", page(name))
    assert found
    for room, module in found:
        assert (source / room / f"{module}.py").exists(), module


def test_the_table_of_sizes_and_errors_is_what_the_coding_gives() -> None:
    """Bytes and false positives of the page, computed from the layout."""
    sizes = {"thousand": 10**3, "million": 10**6}
    rows = re.findall(
        r"^\| (\d+) (thousand|million) \| ([\d.]+) \| ([\d.]+) MB \| 2\^([\d.]+) \|",
        (PAGES / "cached-matching.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert len(rows) == 5
    for number, unit, per_id, megabytes, errors in rows:
        count = int(number) * sizes[unit]
        bits = block_bits_for(count)
        tags = count / (1 << bits)
        in_bytes = ((tags + 2048) / tags + 64 - bits - 11 + 32 / tags) / 8
        assert float(per_id) == pytest.approx(in_bytes, abs=0.05)
        assert float(megabytes) == pytest.approx(in_bytes * count / 1e6, rel=0.03)
        assert 2.0 ** float(errors) == pytest.approx(2.0**64 / count, rel=0.05)
    assert int(rows[-1][0]) * sizes[rows[-1][1]] == MAX_LISTED
