"""Telephone numbers: every spelling has one form, and what cannot be a number is named. All are made up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.data._phone import phone_flaw, phone_form
from tongzhou.data.identifiers import check_identifiers

SPELLINGS = {
    "13800138000": [
        "138 0013 8000",
        "138-0013-8000",
        "+86 138 0013 8000",
        "0086-13800138000",
        "86 13800138000",
        "013800138000",
        "＋８６１３８００１３８０００",
        "(+86) 138.0013.8000",
        "\u200e13800138000\u202c",
    ],
    "02162345678": [
        "021-62345678",
        "(021) 6234 5678",
        "+86 21 6234 5678",
        "+86 (0)21 6234 5678",
        "0086 21 62345678",
        "86-21-62345678",
        "021/6234 5678",
    ],
    "057187654321": ["0571-87654321", "+86 571 8765 4321"],
    "09087654321": ["0908-7654321", "+86 908 765 4321"],
    "02162345678#8001": [
        "021-62345678-8001",
        "021-62345678转8001",
        "021-62345678 轉 8001",
        "021-62345678 分机 8001",
        "+86 21 6234 5678 ext. 8001",
        "021-62345678 x8001",
        "021-62345678#8001",
        "021-62345678（转8001）",
    ],
    "4008001234": ["400-800-1234", "+86 400 800 1234"],
    "95588": ["95588", "+86 95588"],
    "+442079460000": ["+44 20 7946 0000", "0044 20 7946 0000", "+44 (0)20 7946 0000"],
    "+12125550100": ["+1 (212) 555-0100", "001 212 555 0100"],
    "1064812345678": ["106 4812 345678", "+86 1064812345678"],
}
PAIRS = [(spelling, normal) for normal, spellings in SPELLINGS.items() for spelling in spellings]


@pytest.mark.parametrize(("spelling", "normal"), PAIRS)
def test_every_spelling_has_one_form_and_it_is_sound(spelling, normal):
    assert phone_form(spelling) == normal
    assert phone_flaw(normal) is None


@pytest.mark.parametrize(
    ("number", "flaw"),
    [
        ("62345678", "identifier-area"),
        ("6234567", "identifier-area"),
        ("62345678#12", "identifier-area"),
        ("12345", "identifier-form"),
        ("12800138000", "identifier-form"),  # no operator has 128
        ("0211234567", "identifier-form"),  # numbers of an exchange do not begin with 1
        ("02612345678", "identifier-form"),  # there is no area 026
        ("021623456789", "identifier-form"),
        ("+8613800138000", "identifier-form"),  # a normal form has no 86
        ("+0123456789", "identifier-form"),
        ("+1234567890123456", "identifier-form"),
        ("CALLME", "identifier-form"),
        ("0216234567802162345679", "identifier-form"),
    ],
)
def test_what_is_no_number(number, flaw):
    assert phone_flaw(number) == flaw


@given(value=st.text(st.sampled_from("0123456789+-() 转#x#/.分机Ext轉"), max_size=30))
def test_a_form_is_its_own_form(value):
    assert phone_form(phone_form(value)) == phone_form(value)


@given(
    mobile=st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True),
    start=st.sampled_from(["", "+86", "0086", "86", "0"]),
)
def test_a_mobile_number_is_found_behind_any_start(mobile, start):
    assert phone_form(f"{start} {mobile}") == mobile


def test_long_text_takes_no_longer_than_a_moment():
    """The patterns for extensions look at short texts only."""
    assert phone_form("1 " * 50_000) == "1" * 50_000
    assert phone_form("x" * 60 + "1转") != ""


def test_a_number_without_its_area_is_named_apart():
    (finding,) = check_identifiers(["13800138000", "62345678", "6234567"], "phone", "tel")
    assert finding.sentence == (
        "identifier tel: a landline number needs its area code; rows without: 2, first row 2"
    )
