"""Times and names as they stand in cards and grants."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.errors import DataError
from tongzhou.parties.names import near_name, shown
from tongzhou.parties.times import parse_utc, utc_now, utc_text

moments = st.datetimes(timezones=st.just(UTC))


@given(moments)
def test_a_moment_comes_back_to_the_second(moment):
    assert parse_utc(utc_text(moment), "t") == moment.replace(microsecond=0)


@given(moments, moments)
def test_texts_sort_as_the_moments_passed(one, other):
    if one.replace(microsecond=0) < other.replace(microsecond=0):
        assert utc_text(one) < utc_text(other)


@given(st.datetimes(min_value=datetime(2000, 1, 1)), st.integers(-720, 720))
def test_any_time_zone_is_told_in_utc(moment, minutes):
    local = moment.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    try:
        expected = local.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        return
    assert parse_utc(utc_text(local), "t") == expected


def test_a_day_is_its_first_second():
    assert parse_utc("2026-11-05", "t") == datetime(2026, 11, 5, tzinfo=UTC)


def test_a_moment_without_a_zone_is_the_callers_mistake():
    with pytest.raises(ValueError, match="a moment needs a time zone"):
        utc_text(datetime(2026, 11, 5))


def test_the_clock_of_this_machine_has_a_zone():
    assert utc_now().utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-5",
        "20261105",
        "2026-13-01",
        "2026-02-29",
        "2026-11-05 12:00:00Z",
        "2026-11-05T12:00:00",
        "2026-11-05T12:00:00z",
        "2026-11-05T12:00:00+00:00",
        "2026-11-05T24:00:00Z",
        "2026-11-05T12:00:61Z",
        "２０２６-11-05",
        "2026-11-05\n",
        " 2026-11-05",
        "0000-01-01",
        "9" * 1000,
    ],
)
def test_another_form_is_a_sentence(text):
    with pytest.raises(
        DataError, match=r"^valid_from must be a time in UTC like 2026-11-05T12:00:00Z"
    ) as caught:
        parse_utc(text, "valid_from")
    assert len(str(caught.value)) < 160


@given(st.text(max_size=200))
def test_a_strangers_text_is_shown_in_plain_characters(text):
    assert shown(text).isascii()
    assert shown(text).isprintable()
    assert len(shown(text)) <= 80


def test_a_near_name_is_suggested_and_a_far_one_is_not():
    assert near_name("cardnat", ["bank", "cardnet"]) == "cardnet"
    assert near_name("zzz", ["bank", "cardnet"]) is None
    assert near_name("x", []) is None
