"""The bundled tables are those of the publisher, split as documented."""

import hashlib
from importlib import resources

import numpy as np
import pyarrow as pa
import pytest

from tongzhou.data.columns import label_column, numeric_column
from tongzhou.data.example import CODES, MEANINGS, bank_table, card_network_table
from tongzhou.data.profile import check

BANK = bank_table()
CARDS = card_network_table()


def test_columns_and_sizes():
    assert BANK.column_names == ["client_id", "limit", "sex", "education", "marriage", "age", "default"]
    months = range(1, 7)
    assert CARDS.column_names == [
        "client_id",
        *(f"repay_{month}" for month in months),
        *(f"bill_{month}" for month in months),
        *(f"paid_{month}" for month in months),
    ]
    assert (BANK.num_rows, CARDS.num_rows) == (27_000, 27_000)


def test_each_side_lacks_its_own_tenth():
    everyone = {f"TW-{number:07d}" for number in range(1, 30_001)}
    bank, cards = set(BANK["client_id"].to_pylist()), set(CARDS["client_id"].to_pylist())
    assert bank | cards == everyone
    assert len(bank & cards) == 24_000
    assert (len(bank - cards), len(cards - bank)) == (3_000, 3_000)


def test_the_lacking_tenths_are_not_a_stretch_of_the_data():
    cards = set(CARDS["client_id"].to_pylist())
    missing = sorted(int(name[3:]) for name in BANK["client_id"].to_pylist() if name not in cards)
    assert np.mean(missing) == pytest.approx(15_000, rel=0.05)


def test_each_side_has_its_own_order():
    bank, cards = BANK["client_id"].to_pylist(), CARDS["client_id"].to_pylist()
    assert bank != sorted(bank)
    common = set(bank) & set(cards)
    assert [name for name in bank if name in common] != [name for name in cards if name in common]


@pytest.mark.parametrize(("table", "label"), [(BANK, "default"), (CARDS, None)], ids=["bank", "cards"])
def test_the_example_itself_is_without_findings(table, label):
    assert check(table, "client_id", label) == []


def test_first_client_as_published():
    """Row 1 of the publisher's table, in our names."""
    bank = {row["client_id"]: row for row in BANK.to_pylist()}
    cards = {row["client_id"]: row for row in CARDS.to_pylist()}
    assert bank["TW-0000001"] == {
        "client_id": "TW-0000001",
        "limit": 20_000,
        "sex": 2,
        "education": 2,
        "marriage": 1,
        "age": 24,
        "default": 1,
    }
    first = cards["TW-0000001"]
    assert [first[f"repay_{month}"] for month in range(1, 7)] == [2, 2, -1, -1, -2, -2]
    assert [first[f"bill_{month}"] for month in range(1, 7)] == [3913, 3102, 689, 0, 0, 0]
    assert [first[f"paid_{month}"] for month in range(1, 7)] == [0, 689, 0, 0, 0, 0]


def test_shares_are_those_of_the_whole():
    """Of all 30,000 clients 6,636 defaulted and 18,112 are women (publisher's description)."""
    assert label_column(BANK, "default").mean() == pytest.approx(6_636 / 30_000, abs=0.005)
    assert (numeric_column(BANK, "sex") == 2).mean() == pytest.approx(18_112 / 30_000, abs=0.005)


@pytest.mark.parametrize("name", CODES)
def test_every_code_that_occurs_has_a_meaning(name):
    table = BANK if name in BANK.column_names else CARDS
    occurring = {int(code) for code in np.unique(numeric_column(table, name))}
    assert occurring <= set(CODES[name])
    for words in CODES[name].values():
        assert words["en"]
        assert words["zh"]


def test_every_column_has_a_meaning_in_both_languages():
    assert set(MEANINGS) == {*BANK.column_names, *CARDS.column_names}
    for words in MEANINGS.values():
        assert set(words) == {"en", "zh"}
    assert len({words["zh"] for words in MEANINGS.values()}) == len(MEANINGS)


def test_the_label_goes_with_late_payment():
    """A sign error in the codes or months would show here: who is late in September defaults more often."""
    cards = {row["client_id"]: row["repay_1"] for row in CARDS.to_pylist()}
    pairs = [
        (cards[row["client_id"]], row["default"]) for row in BANK.to_pylist() if row["client_id"] in cards
    ]
    late = np.mean([default for code, default in pairs if code >= 2])
    paid = np.mean([default for code, default in pairs if code <= 0])
    assert late > 0.6
    assert paid < 0.2


def test_attribution_travels_with_the_files():
    folder = resources.files("tongzhou.data") / "example"
    text = (folder / "ATTRIBUTION.md").read_text(encoding="utf-8")
    assert "CC BY 4.0" in text
    assert "https://doi.org/10.24432/C55S3H" in text


CONTENT_SHA256 = {
    "bank": "1da34679ec8f1800c18445ada6b74bd3df68c071df82183e20b6b6e9a5fb5725",
    "card_network": "9543527fe15eeb6f8686cfd48a22a55e796363608abf493720278e04773ec5c7",
}


@pytest.mark.parametrize(("name", "table"), [("bank", BANK), ("card_network", CARDS)])
def test_content_is_pinned(name, table):
    digest = hashlib.sha256()
    for row in table.to_pylist():
        digest.update(repr(tuple(row.values())).encode())
    assert digest.hexdigest() == CONTENT_SHA256[name]
    assert all(kind in {pa.string(), pa.int8(), pa.int32()} for kind in table.schema.types)
