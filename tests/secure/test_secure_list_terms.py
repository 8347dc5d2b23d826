"""Terms that contradict themselves are refused by field; lists that do not fit them too, without a value."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from list_worlds import DAY, EXPOSURE, LISTED, entries_of, expected, terms_for

from tongzhou.errors import DataError, PlanError
from tongzhou.secure import field
from tongzhou.secure.list_entries import (
    ListEntries,
    changes_between,
    check_entries,
    pseudonyms,
    rows_of,
    tags,
)
from tongzhou.secure.list_keys import low_bits
from tongzhou.secure.list_terms import Column, Measure
from tongzhou.secure.noise import Noise


def above(**changes: Any) -> Measure:
    return Measure(**({"name": "m", "kind": "above", "columns": ("exposure",), "bound": 5} | changes))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"providers": 0}, "providers is 0; from 1 to 64 is allowed"),
        ({"providers": 65}, "providers is 65"),
        ({"capacity": 0}, "capacity is 0; from 1 to 10000000"),
        ({"days": 0}, "days is 0; from 1 to 366"),
        ({"per_day": 100_001}, "per_day is 100001; from 1 to 100000"),
        ({"burst": 0}, "burst is 0"),
        ({"changes": 0}, "changes is 0"),
        ({"measures": ()}, "measures is 0"),
        ({"per_minute": 0.0}, "per_minute must be more than 0"),
        ({"per_minute": float("nan")}, "per_minute must be more than 0"),
        ({"columns": (Column("exposure", 0),)}, "largest of exposure is 0"),
        ({"columns": (Column("exposure", 2**59),)}, "2 numbers as large as 576460752303423488 do not fit"),
        ({"columns": (Column("exposure", 1), Column("exposure", 1))}, "each column needs a name of its own"),
        ({"columns": (Column("listed", 1),)}, "each column needs a name of its own"),
        ({"measures": (LISTED, LISTED)}, "each measure needs a name of its own"),
        (
            {"measures": (Measure("m", "sum", ("age",)),)},
            "there is no column age; there are listed, exposure, count",
        ),
        ({"measures": (Measure("m", "sum", ("count", "count")),)}, "measure m names 2 columns; one is due"),
        ({"measures": (Measure("m", "sum", ()),)}, "measure m names 0 columns"),
        ({"measures": (Measure("m", "sum", ("count",), bound=1),)}, "a bound belongs to the kind above only"),
        ({"measures": (above(bound=2**60),)}, "a bound belongs to the kind above only, and must fit"),
        (
            {"measures": (Measure("m", "any", ("count",), noise=Noise("laplace", 1.0)),)},
            "noise does not go with",
        ),
        (
            {"measures": (Measure("m", "sum", ("count",), noise=Noise("laplace", 99.0)),)},
            "epsilon of the noise",
        ),
        (
            {
                "columns": (Column("big", 2**58),),
                "measures": (Measure("m", "sum", ("big",), noise=Noise("laplace", 0.5)),),
            },
            "the noise would not fit; take a larger epsilon",
        ),
        ({"measures": (above(), above(name="n")), "per_day": 90_000}, "90000 comparisons a day and provider"),
    ],
)
def test_terms_that_are_refused(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        terms_for(**({"providers": 2} | changes)).check()


def test_terms_that_are_allowed_and_their_digest() -> None:
    terms = terms_for(2, measures=(LISTED, EXPOSURE, above(bound=-3)))
    terms.check()
    assert terms.digest() == terms_for(2, measures=(LISTED, EXPOSURE, above(bound=-3))).digest()
    assert (
        len({terms.digest(), terms_for(2).digest(), terms_for(3).digest(), terms_for(2, per_day=7).digest()})
        == 4
    )


@pytest.mark.parametrize("epoch", ["", "a.b", "../x", "-a", "a" * 65])
def test_an_epochs_name_is_a_word(epoch: str) -> None:
    import msgspec

    text = msgspec.json.encode(terms_for(1, epoch=epoch))
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=type(terms_for(1)))


@pytest.mark.parametrize("day", [DAY - 1, DAY + 3])
def test_days_outside_the_epoch(day: int) -> None:
    with pytest.raises(PlanError, match=rf"epoch e1 has no day {day}; it lasts 3 days from day {DAY}"):
        terms_for(1, days=3).opened(day)


def test_where_measures_stand() -> None:
    """Sums share one gain; each any has its own; a rolling measure moves from day to day."""
    rolling = Measure("rolling", "sum", ("exposure", "count"))
    terms = terms_for(1, days=2, measures=(LISTED, EXPOSURE, rolling, above()))
    first, second = terms.opened(DAY), terms.opened(DAY + 1)
    assert first.places == (1, 2, 2, 2)
    assert second.places == (1, 2, 3, 2)
    assert first.masked == (1, 2)
    assert second.masked == (1, 2, 3)
    assert first.parts == ((1, 2), (0, 3), (0, 4), (0, 5))
    assert (first.payload, first.gated, first.plain) == (6, (3,), (0, 1, 2))
    assert terms_for(1, measures=(LISTED,)).opened(DAY).parts == ((0, 1),)


def test_how_far_a_sum_can_reach() -> None:
    noisy = Measure("noisy", "sum", ("count",), noise=Noise("laplace", 1.0))
    opened = terms_for(3, measures=(LISTED, EXPOSURE, noisy)).opened(DAY)
    assert [opened.reach(at) for at in range(3)] == [3, 3 * 10**9, None]
    assert [opened.largest(at) for at in range(3)] == [1, 10**9, 1000]


SECRET = 987_654_321


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (
            {"exposure": np.array([1, 10**9 + SECRET]), "count": np.array([1, 2])},
            "column exposure .* larger than",
        ),
        ({"exposure": np.array([1, -(10**9) - SECRET]), "count": np.array([1, 2])}, "column exposure"),
        ({"exposure": np.array([1, 2])}, "the list has no column count"),
        (
            {"exposure": np.array([1, 2]), "count": np.array([1.0, 2.0])},
            r"column count .* is <f8 of shape \(2,\)",
        ),
        ({"exposure": np.array([1, 2]), "count": np.array([1])}, r"of shape \(1,\); 2 whole numbers are due"),
        (
            {"exposure": np.array([1, 2**63], dtype=np.uint64), "count": np.array([1, 2])},
            "a signed word holds",
        ),
    ],
)
def test_columns_that_are_refused(columns: dict[str, np.ndarray], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence) as caught:
        check_entries(terms_for(1), ListEntries(["a", "b"], columns))
    assert str(SECRET) not in str(caught.value)


def test_lists_that_are_refused() -> None:
    terms = terms_for(1, capacity=2)
    with pytest.raises(DataError, match="the list has 3 entries; 2 were agreed as the most"):
        check_entries(terms, entries_of(terms, ["a", "b", "c"], 1))
    with pytest.raises(DataError, match="names an identifier twice") as caught:
        check_entries(terms, entries_of(terms, ["secretly", "secretly"], 1))
    assert "secretly" not in str(caught.value)
    check_entries(terms, entries_of(terms, [], 1))


def test_pseudonyms_need_the_salt() -> None:
    names = [f"p{n}" for n in range(2000)]
    one, same, other = (pseudonyms(salt * 32, names) for salt in (b"a", b"a", b"b"))
    assert np.array_equal(one, same)
    assert not (one == other).any()
    assert len(np.unique(one)) == one.size
    assert one.shape == (2000, 2)


def test_tags_follow_from_the_whole_pseudonym() -> None:
    names = pseudonyms(bytes(32), [f"p{n}" for n in range(500)])
    found = tags(names)
    assert int(found.max()) < field.PRIME
    for word in (0, 1):
        for bit in (0, 1, 40, 63):
            moved = names.copy()
            moved[:, word] ^= np.uint64(1 << bit)
            assert not (low_bits(tags(moved)) == low_bits(found)).any()


def test_rows_hold_tag_and_columns() -> None:
    terms = terms_for(1)
    entries = ListEntries(["a", "b"], {"exposure": np.array([-7, 5]), "count": np.array([1, 0])})
    names = pseudonyms(bytes(32), entries.identifiers)
    rows = rows_of(terms, entries, names)
    assert rows[:, 0].tolist() == tags(names).tolist()
    assert field.to_signed(rows[:, 1:]).tolist() == [[1, -7, 1], [1, 5, 0]]


@settings(max_examples=40, deadline=None)
@given(st.sets(st.integers(0, 12)), st.sets(st.integers(0, 12)), st.integers(0, 10**6))
def test_a_list_and_its_changes_add_up_to_the_newer_list(old: set[int], new: set[int], seed: int) -> None:
    terms = terms_for(1)
    before, after = (entries_of(terms, [f"p{n}" for n in sorted(s)], seed + len(s)) for s in (old, new))
    changes = changes_between(terms, before, after)
    for person in (f"p{n}" for n in range(13)):
        for column in ("exposure", "count"):
            moved = expected({"before": before, "changes": changes}, person, column)
            assert moved == expected({"after": after}, person, column)
        there = list(changes.identifiers).index(person) if person in changes.identifiers else None
        listed = 0 if there is None else int(changes.columns["listed"][there])
        assert listed == (person in after.identifiers) - (person in before.identifiers)


def test_unchanged_entries_are_no_change_and_many_are_too_many() -> None:
    terms = terms_for(1, changes=3)
    before = entries_of(terms, ["a", "b"], 1)
    assert changes_between(terms, before, before).identifiers == []
    with pytest.raises(DataError, match="4 entries changed since the epoch began; 3 were agreed as the most"):
        changes_between(terms, before, entries_of(terms, ["c", "d"], 1))
