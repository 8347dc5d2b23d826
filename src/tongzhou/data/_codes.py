"""Numbers with check digits: citizens (GB 11643), firms (GB 32100, GB 11714) and legal entities (ISO 17442).

Each kind has a normal form and a *flaw*: the first rule that a number in normal form breaks, or none. The
check digit is looked at before the parts, since one mistyped character breaks it in any place.
"""

import re
from collections.abc import Callable
from datetime import date

from tongzhou.data._folding import compact
from tongzhou.data._regions import is_region

__all__ = [
    "citizen_flaw",
    "citizen_form",
    "credit_code_flaw",
    "lei_flaw",
    "organisation_code_flaw",
    "organisation_code_form",
]

_CITIZEN_FORM = re.compile(r"\d{17}[\dX]", re.ASCII)
_CITIZEN_OLD_FORM = re.compile(r"\d{15}", re.ASCII)
_CITIZEN_WEIGHTS = tuple(pow(2, 17 - place, 11) for place in range(17))  # ISO 7064 MOD 11-2
_CITIZEN_DIGITS = "10X98765432"  # GB 11643-1999: by the weighted sum modulo 11
_CENTENARIANS = frozenset({"996", "997", "998", "999"})  # of the numbers of 15 digits: born before 1900
_FIRST_YEAR = 1800
# Permanent residents from abroad since 2023: 9, province, country of three digits, then as for citizens.
_FOREIGNER = re.compile(r"9\d{5}", re.ASCII)

_CREDIT_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015: no I, O, S, V, Z
_CREDIT_FORM = re.compile(rf"[{_CREDIT_ALPHABET}]{{18}}")
_CREDIT_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
# GB 32100-2015, tables 1 and 2: who registers, and what it may register.
_REGISTERS = {
    "1": "1239", "2": "19", "3": "123459", "4": "19", "5": "1239", "6": "129", "7": "129", "8": "19",
    "9": "1239", "A": "19", "N": "1239", "Y": "1",
}  # fmt: skip
_NATIONAL = "100000"  # registered by an office of the whole country

_ORGANISATION_FORM = re.compile(r"[0-9A-Z]{8}[0-9X]")
_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)  # GB 11714-1997
_ORGANISATION_DIGITS = "0X987654321"  # by the weighted sum modulo 11

_LEI_FORM = re.compile(r"[0-9A-Z]{18}\d{2}", re.ASCII)


def citizen_form(value: str) -> str:
    """A citizen's number of 18 characters; one of 15 digits gets its century and check digit."""
    text = compact(value)
    if _CITIZEN_OLD_FORM.fullmatch(text):
        century = "18" if text[12:] in _CENTENARIANS else "19"
        body = f"{text[:6]}{century}{text[6:]}"
        return body + _citizen_digit(body)
    return text


def citizen_flaw(text: str) -> str | None:
    """The rule of GB 11643 that a number breaks."""
    if not _CITIZEN_FORM.fullmatch(text):
        return "identifier-form"
    if _citizen_digit(text[:17]) != text[17]:
        return "identifier-check-digit"
    if not (is_region(text[:6]) or _FOREIGNER.fullmatch(text[:6])):
        return "identifier-region"
    return None if _is_day(text[6:14]) else "identifier-date"


def _citizen_digit(body: str) -> str:
    return _CITIZEN_DIGITS[_weighted(body, _CITIZEN_WEIGHTS, int) % 11]


def _is_day(digits: str) -> bool:
    year, month, day = int(digits[:4]), int(digits[4:6]), int(digits[6:])
    if year < _FIRST_YEAR:
        return False
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def credit_code_flaw(text: str) -> str | None:
    """The rule of GB 32100 that a unified social credit code breaks."""
    if not _CREDIT_FORM.fullmatch(text):
        return "identifier-form"
    if _CREDIT_ALPHABET[-_weighted(text[:17], _CREDIT_WEIGHTS, _CREDIT_ALPHABET.index) % 31] != text[17]:
        return "identifier-check-digit"
    if text[1] not in _REGISTERS.get(text[0], ""):
        return "identifier-register"
    if not (is_region(text[2:8]) or text[2:8] == _NATIONAL):
        return "identifier-region"
    return None if organisation_code_flaw(text[8:17]) is None else "identifier-organisation"


def organisation_code_form(value: str) -> str:
    """An organisation code of nine characters, also out of the unified code that holds it."""
    text = compact(value)
    return text[8:17] if _CREDIT_FORM.fullmatch(text) else text


def organisation_code_flaw(text: str) -> str | None:
    """The rule of GB 11714 that an organisation code breaks."""
    if not _ORGANISATION_FORM.fullmatch(text):
        return "identifier-form"
    digit = _ORGANISATION_DIGITS[_weighted(text[:8], _ORGANISATION_WEIGHTS, _base36) % 11]
    return None if digit == text[8] else "identifier-check-digit"


def lei_flaw(text: str) -> str | None:
    """The rule of ISO 17442 that a legal entity identifier breaks."""
    if not _LEI_FORM.fullmatch(text):
        return "identifier-form"
    # ISO 7064 MOD 97-10: letters are read as the numbers 10 to 35
    number = int("".join(str(_base36(character)) for character in text))
    return None if number % 97 == 1 else "identifier-check-digit"


def _base36(character: str) -> int:
    return int(character, 36)


def _weighted(body: str, weights: tuple[int, ...], value: Callable[[str], int]) -> int:
    return sum(value(character) * weight for character, weight in zip(body, weights, strict=True))
