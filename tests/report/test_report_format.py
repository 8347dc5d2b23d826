"""How numbers are written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.report import _format as fmt
from tongzhou.report.figures import Interval, Words


@pytest.mark.parametrize(
    ("value", "places", "plain", "signed"),
    [
        (0.1234, 3, "0.123", "+0.123"),
        (-0.1234, 2, "−0.12", "−0.12"),
        (-0.0001, 3, "0.000", "0.000"),
        (0.0, 1, "0.0", "0.0"),
        (-1234.5, 1, "−1234.5", "−1234.5"),
    ],
)
def test_decimals(value, places, plain, signed):
    assert fmt.decimals(value, places) == plain
    assert fmt.signed(value, places) == signed


@given(st.floats(-1e6, 1e6), st.integers(0, 6))
def test_decimals_read_back(value, places):
    back = float(fmt.decimals(value, places).replace("−", "-"))
    assert abs(back - value) <= 0.5 * 10**-places + 1e-9
    assert not fmt.decimals(value, places).startswith("-")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (3.14e-5, "3.1 × 10⁻⁵"), (1.0, "1.0 × 10⁰"), (-2e-12, "−2.0 × 10⁻¹²")],
)
def test_tiny(value, text):
    assert fmt.tiny(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (42_118, "42.1 kB"),
        (999_499, "999 kB"),
        (999_600, "1.0 MB"),
        (61_022_344, "61.0 MB"),
        (2_500_000_000, "2.5 GB"),
        (7_000_000_000_000, "7000 GB"),
    ],
)
def test_bytes(value, text):
    assert fmt.bytes_text(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0004, "0.4 ms"),
        (0.0312, "31 ms"),
        (0.0996, "0.10 s"),
        (3.14159, "3.14 s"),
        (38.64, "38.6 s"),
        (119.6, "2 min 00 s"),
        (185, "3 min 05 s"),
    ],
)
def test_seconds(value, text):
    assert fmt.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (950, Words("NT$ 950", "NT$ 950")),
        (52_500_000, Words("NT$ 52.5 M", "NT$ 5,250 万")),
        (820_000_000, Words("NT$ 820.0 M", "NT$ 8.20 亿")),
        (-250_000, Words("−NT$ 250,000", "−NT$ 25 万")),
    ],
)
def test_money_groups_as_each_language_does(value, words):
    assert fmt.money(value, "NT$") == words


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-11-12T08:30:05Z", "2026-11-12 08:30 UTC"),
        ("2026-11-12T08:30:05+00:00", "2026-11-12 08:30 UTC"),
        ("2026-11-12T08:30:05+08:00", "2026-11-12 08:30"),
        ("2026-12-31T00:00:00Z", "2026-12-31 UTC"),
        ("yesterday", "yesterday"),
        ("", ""),
    ],
)
def test_instants(text, written):
    assert fmt.instant(text) == written


def test_counts_percents_and_intervals():
    assert fmt.count(24285) == "24,285"
    assert fmt.count(-1200) == "−1,200"
    assert fmt.percent(0.2213) == "22.1%"
    assert fmt.percent(0.7, 0) == "70%"
    assert fmt.interval(Interval(0.1, -0.05, 0.25), 2) == "−0.05 – 0.25"
