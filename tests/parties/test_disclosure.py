"""The disclosure policy: its bounds, its defaults, and its way through a file."""

import tomllib

import msgspec
import pytest

from tongzhou.errors import DataError
from tongzhou.parties.disclosure import DisclosurePolicy, check_policy

FILE = """
minimum_rows = 50
small = "refuse"
count_base = 5
sum_base = 1000.0
largest_share = 40
groups = 120
refusals = 3
"""


def test_a_file_says_all_of_it() -> None:
    found = msgspec.convert(tomllib.loads(FILE), DisclosurePolicy)
    assert check_policy(found) == DisclosurePolicy(
        minimum_rows=50,
        small="refuse",
        count_base=5,
        sum_base=1000.0,
        largest_share=40,
        groups=120,
        refusals=3,
    )


def test_what_is_left_out_protects() -> None:
    """Nobody who forgets a field tells more than one who reads the manual."""
    found = msgspec.convert({}, DisclosurePolicy)
    assert (found.minimum_rows, found.small) == (10, "suppress")
    assert (found.groups, found.refusals) == (500, 10)


@pytest.mark.parametrize("rows", [0, 1, 1_000_000])
def test_bounds_are_allowed(rows: int) -> None:
    assert check_policy(DisclosurePolicy(minimum_rows=rows)).minimum_rows == rows


@pytest.mark.parametrize("rows", [-1, 1_000_001])
def test_beyond_them_is_a_sentence(rows: int) -> None:
    with pytest.raises(DataError, match=r"not a disclosure policy: .*minimum_rows"):
        check_policy(DisclosurePolicy(minimum_rows=rows))


def test_an_unknown_rule_is_not_passed_over() -> None:
    with pytest.raises(msgspec.ValidationError, match="minimum_row"):
        msgspec.convert({"minimum_row": 50}, DisclosurePolicy)
