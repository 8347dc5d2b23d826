"""Numbers with check digits, held to the standards.

Codes of firms are those of listed companies and banks, printed in their annual reports and in the
National Enterprise Credit Information Publicity System. Numbers of persons
are made up, but for the two examples of GB 11643-1999 itself.
"""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.data._codes import (
    citizen_flaw,
    citizen_form,
    credit_code_flaw,
    lei_flaw,
    organisation_code_flaw,
    organisation_code_form,
)
from tongzhou.data._regions import is_region
from tongzhou.data.identifiers import check_identifiers, normalise

PUBLIC_FIRMS = {
    "Industrial and Commercial Bank of China": "91100000100003962T",
    "China Construction Bank": "911100001000044477",
    "Bank of China": "911000001000013428",
    "Agricultural Bank of China": "911100001000054748",
    "China Merchants Bank": "9144030010001686XA",
    "Bank of Communications": "9131000010000595XD",
    "Ping An Insurance": "91440300100012316L",
    "Tencent Computer Systems": "9144030071526726XG",
    "Huawei Technologies": "914403001922038216",
    "PetroChina": "91110000710925462X",
    "China Petroleum & Chemical": "91110000710926094P",
    "SAIC Motor": "91310000132260250X",
    "Gree Electric Appliances": "91440400192548256N",
    "Midea": "91440606722473344C",
    "China Vanke": "91440300192181490G",
    "BOE Technology": "911100001011016602",
    "CITIC Bank": "91110000101690725E",
}

# Of the banks above, as they were printed before 2015 too.
ORGANISATIONS = ["100003962", "10000444-7", "10000134-2", "10001686-X", "71526726-X"]

# ISO 17442, from the public register of GLEIF: GLEIF itself, Apple, Deutsche Bank, JPMorgan Chase, HSBC.
LEGAL_ENTITIES = [
    "506700GE1G29325QX363",
    "HWUPKR0MPOU8FGXBT394",
    "7LTWFZYICNSX8D621K86",
    "8I5DZWZKVSZI1NUHU748",
    "MLU0ZO3ML4LN2LL2TL39",
]


@pytest.mark.parametrize("code", PUBLIC_FIRMS.values(), ids=PUBLIC_FIRMS)
def test_codes_of_public_firms_have_no_flaw(code):
    assert credit_code_flaw(code) is None
    assert organisation_code_flaw(organisation_code_form(code)) is None


@pytest.mark.parametrize("code", ORGANISATIONS)
def test_organisation_codes_are_sound_with_and_without_the_hyphen(code):
    assert organisation_code_flaw(organisation_code_form(code)) is None


def test_an_old_and_a_unified_code_of_one_firm_meet():
    unified, old = PUBLIC_FIRMS["Tencent Computer Systems"], "71526726-X"
    assert normalise([unified, old.lower()], "org-code-cn") == ["71526726X", "71526726X"]


@pytest.mark.parametrize("code", LEGAL_ENTITIES)
def test_legal_entity_identifiers_have_no_flaw(code):
    assert lei_flaw(code) is None


@given(body=st.text(st.sampled_from("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"), min_size=18, max_size=18))
def test_the_check_digits_of_a_legal_entity_are_98_less_the_rest(body):
    """Another way than the checker's: ISO 7064 MOD 97-10, digits made and not only looked at."""
    number = int("".join(str(int(one, 36)) for one in body + "00"))
    assert lei_flaw(f"{body}{98 - number % 97:02}") is None


@pytest.mark.parametrize("sound", LEGAL_ENTITIES)
def test_every_letter_for_a_letter_and_digit_for_a_digit_is_found(sound):
    for place, character in enumerate(sound):
        kin = "0123456789" if character.isdigit() else "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
        for other in kin.replace(character, ""):
            assert lei_flaw(sound[:place] + other + sound[place + 1 :]) == "identifier-check-digit"


def credit_code(start: str, region: str, organisation: str) -> str:
    """A code whose last character fits: the one that makes the weighted sum a multiple of 31 (GB 32100)."""
    alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    total, weight = 0, 1
    for character in start + region + organisation:
        total += alphabet.index(character) * weight
        weight = weight * 3 % 31
    return start + region + organisation + alphabet[(31 - total % 31) % 31]


@pytest.mark.parametrize(
    ("start", "region", "organisation", "flaw"),
    [
        ("91", "110000", "100003962", None),
        ("91", "100000", "100003962", None),  # registered for the whole country
        ("92", "330106", "100003962", None),
        ("12", "110000", "100003962", None),
        ("Y1", "110000", "100003962", None),
        ("94", "110000", "100003962", "identifier-register"),
        ("B1", "110000", "100003962", "identifier-register"),
        ("Y2", "110000", "100003962", "identifier-register"),
        ("91", "990000", "100003962", "identifier-region"),
        ("91", "11A000", "100003962", "identifier-region"),
        ("91", "110000", "100003963", "identifier-organisation"),
    ],
)
def test_each_part_of_a_unified_code_is_looked_at(start, region, organisation, flaw):
    assert credit_code_flaw(credit_code(start, region, organisation)) == flaw


@pytest.mark.parametrize(
    "code", ["", "9110000010000396", "91100000100003962I", "91100000100003962TT", "公司"]
)
def test_a_unified_code_of_another_form(code):
    assert credit_code_flaw(code) == "identifier-form"


def citizen(region: str, day: str, order: str = "001") -> str:
    """A made-up number with the check digit that ISO 7064 MOD 11-2 wants."""
    body = region + day + order
    remainder = 0
    for digit in body:
        remainder = (remainder + int(digit)) * 2 % 11
    return body + "0123456789X"[(12 - remainder) % 11]


@pytest.mark.parametrize(
    ("number", "flaw"),
    [
        ("11010519491231002X", None),  # GB 11643-1999, its first example
        ("440524188001010014", None),  # and its second
        (citizen("110105", "20000229"), None),
        (citizen("820000", "19991231"), None),  # residents from Macao
        (citizen("931156", "19851130"), None),  # permanent residents from abroad, since 2023
        (citizen("110105", "19000229"), "identifier-date"),
        (citizen("110105", "20011301"), "identifier-date"),
        (citizen("110105", "20010100"), "identifier-date"),
        (citizen("110105", "17991231"), "identifier-date"),
        (citizen("000000", "20000101"), "identifier-region"),
        (citizen("119905", "20000101"), "identifier-region"),
        ("110105194912310021", "identifier-check-digit"),
        ("X10105194912310021", "identifier-form"),
        ("11010519491231", "identifier-form"),
    ],
)
def test_each_part_of_a_citizens_number_is_looked_at(number, flaw):
    assert citizen_flaw(number) == flaw


@pytest.mark.parametrize(
    ("order", "year"), [("001", "1910"), ("995", "1910"), ("996", "1810"), ("999", "1810")]
)
def test_old_numbers_get_their_century(order, year):
    """Numbers of 15 digits gave the orders 996 to 999 to people over a hundred."""
    assert citizen_form(f"110105100101{order}") == citizen("110105", f"{year}0101", order)


@given(
    day=st.dates(min_value=date(1900, 1, 1), max_value=date(1999, 12, 31)),
    order=st.integers(0, 995),
)
def test_an_old_number_and_its_new_form_are_one(day, order):
    old = f"110105{day:%y%m%d}{order:03}"
    assert (
        citizen_form(old)
        == citizen_form(citizen_form(old))
        == citizen("110105", f"{day:%Y%m%d}", f"{order:03}")
    )
    assert citizen_flaw(citizen_form(old)) is None


@pytest.mark.parametrize(
    ("code", "known"), [("110105", True), ("110199", True), ("310230", True), ("112900", False)]
)
def test_regions_are_known_by_their_prefecture(code, known):
    """310230 was Chongming county until 2016; 1101 is Beijing, whatever counties it may get."""
    assert is_region(code) is known


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("uscc", "91100000100003962I", "without I, O, S, V and Z"),
        ("id-card-cn", "1101", "17 digits and a digit or X"),
        ("org-code-cn", "1000", "8 digits or capital letters"),
        ("lei", "HWUP", "18 digits or capital letters and 2 digits"),
        ("id-card-cn", citizen("110105", "19000229"), "day of the calendar"),
        ("uscc", credit_code("B1", "110000", "100003962"), "such as 91 for a company"),
        ("uscc", credit_code("91", "990000", "100003962"), "GB/T 2260"),
        ("uscc", credit_code("91", "110000", "100003963"), "characters 9 to 17"),
    ],
)
def test_a_finding_says_what_is_allowed_and_where_but_not_what_was_there(kind, value, words):
    (finding,) = check_identifiers(["", value], kind, "code")[1:]
    assert words in finding.sentence
    assert finding.sentence.endswith("1, first row 2")
    assert value not in finding.sentence
    assert (finding.severity, finding.row, finding.rows) == ("warning", 2, 1)
