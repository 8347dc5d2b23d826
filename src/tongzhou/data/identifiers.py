"""Normal forms of identifiers, so that two owners write the same person or firm the same way.

Matching compares exact bytes under a key. Whatever two systems spell differently (case, full-width digits,
blanks, country codes, old numbers) has to be made equal before. Normalising twice gives the same as once.

A number whose check digit is wrong is kept as it is and reported: the owner may know better than the rule,
and a dropped row would be lost in silence.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence

from tongzhou.data._arrow import near_name
from tongzhou.data.findings import Finding
from tongzhou.errors import DataError

__all__ = ["KINDS", "check_identifiers", "normalise"]

_FOLDS_MAX = 8  # two rounds settle all but contrived text; a bound all the same
_SEPARATORS = re.compile(r"[\s\-.()/·]")
_INVISIBLE = frozenset({"Cc", "Cf"})  # zero-width blanks, byte-order marks and the like, from copied cells

_CITIZEN = re.compile(r"\d{17}[\dX]", re.ASCII)
_CITIZEN_OLD = re.compile(r"\d{15}", re.ASCII)
_CITIZEN_WEIGHTS = tuple(pow(2, 17 - place, 11) for place in range(17))  # ISO 7064 MOD 11-2
_CITIZEN_DIGITS = "10X98765432"  # GB 11643-1999: by the weighted sum modulo 11

_FIRM_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015: no I, O, S, V, Z
_FIRM = re.compile(rf"[{_FIRM_ALPHABET}]{{18}}")
_FIRM_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))

_MOBILE_CN = re.compile(r"(?:\+|00)?86(1\d{10})", re.ASCII)


def normalise(values: Sequence[str | int | None], kind: str) -> list[str]:
    """Bring identifiers to their normal form.

    Args:
        values: one for each row, as `columns.text_column` gives them.
        kind: one of `KINDS`: ``text`` (Unicode NFKC, one blank between words, case folded to capitals),
            ``number`` (digits without leading zeros), ``phone`` (digits; China's country code dropped from
            mobile numbers, other countries' kept behind a plus), ``id-card-cn`` (GB 11643; 15-digit numbers
            get their century and check digit) or ``uscc`` (unified social credit code, GB 32100).

    Returns:
        One non-empty text for each row.

    Raises:
        DataError: unknown kind; a row without an identifier; a row that is no number in kind ``number``.
    """
    form = _form(kind)
    normal = []
    for row, value in enumerate(values, start=1):
        text = "" if value is None else form(str(value))
        if not text:
            raise DataError("row {row}: must have an identifier of kind {kind}, got none", row=row, kind=kind)
        normal.append(text)
    if kind == "number":
        for row, text in enumerate(normal, start=1):
            if not (text.isascii() and text.isdigit()):
                raise DataError(
                    "row {row}: an identifier of kind number must be digits only, "
                    "got other characters in a text of length {length}",
                    row=row,
                    length=len(text),
                )
    return normal


def check_identifiers(values: Sequence[str | int | None], kind: str, column: str) -> list[Finding]:
    """Find missing, repeated and malformed identifiers over all rows.

    Args:
        values: one for each row, as `columns.text_column` gives them.
        kind: one of `KINDS`. Repetitions are those of normal forms, so ``a1`` repeats ``A1``.
        column: name of the column, for the sentences.

    Returns:
        Errors for missing and repeated ones, warnings for malformed ones; empty when all is well.

    Raises:
        DataError: unknown kind.
    """
    form = _form(kind)
    normal = ["" if value is None else form(str(value)) for value in values]
    found = [
        _finding("identifier-missing", column, [row for row, text in enumerate(normal, start=1) if not text]),
        _finding("identifier-duplicated", column, list(_repeated(normal))),
    ]
    if kind in _FLAWS:
        flaws = [(row, _FLAWS[kind](text)) for row, text in enumerate(normal, start=1) if text]
        found += [
            _finding(rule, column, [row for row, flaw in flaws if flaw == rule], kind) for rule in _FLAW_RULES
        ]
    return [finding for finding in found if finding is not None]


def _repeated(normal: Sequence[str]) -> Iterator[int]:
    seen: set[str] = set()
    for row, text in enumerate(normal, start=1):
        if text and text in seen:
            yield row
        seen.add(text)


def _form(kind: str) -> Callable[[str], str]:
    if kind in _FORMS:
        return _FORMS[kind]
    allowed = ", ".join(KINDS)
    near = near_name(kind, KINDS)
    if near is None:
        raise DataError("kind of identifier must be one of {allowed}, got {got}", allowed=allowed, got=kind)
    raise DataError(
        "kind of identifier must be one of {allowed}, got {got}; did you mean {near}?",
        allowed=allowed,
        got=kind,
        near=near,
    )


def _text(value: str) -> str:
    if value.isascii() and value.isprintable():  # nearly all identifiers, several times faster
        return " ".join(value.split()).upper()
    return _settled(_fold, value)


def _settled(step: Callable[[str], str], value: str) -> str:
    """Repeat `step` until it changes nothing: taking one character away may let its neighbours compose."""
    for _ in range(_FOLDS_MAX):
        changed = step(value)
        if changed == value:
            break
        value = changed
    return value


def _fold(value: str) -> str:
    text = unicodedata.normalize("NFKC", value)
    text = "".join(
        character
        for character in text
        if character.isspace() or unicodedata.category(character) not in _INVISIBLE
    )
    return unicodedata.normalize("NFKC", " ".join(text.split()).casefold().upper())


def _compact(value: str) -> str:
    if value.isascii() and value.isprintable():
        return _SEPARATORS.sub("", value).upper()
    return _settled(lambda text: _SEPARATORS.sub("", _fold(text)), value)


def _number(value: str) -> str:
    text = _compact(value)
    return text.lstrip("0") or text[:1]


def _phone(value: str) -> str:
    text = _compact(value)
    mobile = _MOBILE_CN.fullmatch(text)
    if mobile:
        return mobile[1]
    return f"+{text[2:]}" if text.startswith("00") and text[2:].isdigit() else text


def _citizen(value: str) -> str:
    text = _compact(value)
    if _CITIZEN_OLD.fullmatch(text):
        body = f"{text[:6]}19{text[6:]}"
        return body + _citizen_digit(body)
    return text


def _citizen_digit(body: str) -> str:
    total = sum(int(digit) * weight for digit, weight in zip(body, _CITIZEN_WEIGHTS, strict=True))
    return _CITIZEN_DIGITS[total % 11]


def _firm_digit(body: str) -> str:
    total = sum(
        _FIRM_ALPHABET.index(character) * weight
        for character, weight in zip(body, _FIRM_WEIGHTS, strict=True)
    )
    return _FIRM_ALPHABET[-total % 31]


def _number_flaw(text: str) -> str | None:
    return None if text.isascii() and text.isdigit() else "identifier-form"


def _phone_flaw(text: str) -> str | None:
    return None if re.fullmatch(r"\+?\d{5,15}", text, re.ASCII) else "identifier-form"


def _citizen_flaw(text: str) -> str | None:
    if not _CITIZEN.fullmatch(text):
        return "identifier-form"
    return None if _citizen_digit(text[:17]) == text[17] else "identifier-check-digit"


def _firm_flaw(text: str) -> str | None:
    if not _FIRM.fullmatch(text):
        return "identifier-form"
    return None if _firm_digit(text[:17]) == text[17] else "identifier-check-digit"


_FORMS: dict[str, Callable[[str], str]] = {
    "text": _text,
    "number": _number,
    "phone": _phone,
    "id-card-cn": _citizen,
    "uscc": _compact,
}
_FLAWS: dict[str, Callable[[str], str | None]] = {
    "number": _number_flaw,
    "phone": _phone_flaw,
    "id-card-cn": _citizen_flaw,
    "uscc": _firm_flaw,
}
_FLAW_RULES = ("identifier-form", "identifier-check-digit")

KINDS: tuple[str, ...] = tuple(_FORMS)
"""The kinds of identifier that have a normal form."""

_TEMPLATES = {
    "identifier-missing": (
        "identifier {column}: every row must have one; rows without: {rows}, first row {row}"
    ),
    "identifier-duplicated": (
        "identifier {column}: each must occur once; rows that repeat an earlier one: {rows}, first row {row}"
    ),
    "identifier-form": (
        "identifier {column}: must have the form of kind {kind}; rows that have not: {rows}, first row {row}"
    ),
    "identifier-check-digit": (
        "identifier {column}: the check digit of kind {kind} must fit; rows where it does not: {rows}, "
        "first row {row}"
    ),
}


def _finding(rule: str, column: str, rows: Sequence[int], kind: str | None = None) -> Finding | None:
    if not rows:
        return None
    values: dict[str, str | int] = {"column": column, "rows": len(rows), "row": rows[0]}
    if kind is not None:
        values["kind"] = kind
    return Finding(
        rule=rule,
        severity="warning" if rule in _FLAW_RULES else "error",
        template=_TEMPLATES[rule],
        values=values,
        column=column,
        row=rows[0],
        rows=len(rows),
    )
