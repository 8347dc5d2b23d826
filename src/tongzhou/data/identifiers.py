"""Normal forms of identifiers, so that two owners write the same person or firm the same way.

Matching compares exact bytes under a key. Whatever two systems spell differently (case, full-width digits,
blanks, country codes, old numbers) has to be made equal before. Normalising twice gives the same as once.

A number whose check digit is wrong is kept as it is and reported: the owner may know better than the rule,
and a dropped row would be lost in silence. What each kind does in detail stands in ``docs/identifiers.md``.
"""

from collections.abc import Callable, Iterator, Sequence

from tongzhou.data._arrow import near_name
from tongzhou.data._codes import (
    citizen_flaw,
    citizen_form,
    credit_code_flaw,
    lei_flaw,
    organisation_code_flaw,
    organisation_code_form,
)
from tongzhou.data._folding import compact, plain_text
from tongzhou.data._phone import phone_flaw, phone_form
from tongzhou.data.companies import company_flaw, company_form
from tongzhou.data.findings import Finding
from tongzhou.errors import DataError

__all__ = ["KINDS", "check_identifiers", "normal_form", "normalise"]


def normalise(values: Sequence[str | int | None], kind: str) -> list[str]:
    """Bring identifiers to their normal form.

    Args:
        values: one for each row, as `columns.text_column` gives them.
        kind: one of `KINDS`: ``text`` (Unicode NFKC, one blank between words, case folded to capitals),
            ``number`` (digits without leading zeros), ``phone`` (digits as dialled within China, other
            countries' behind a plus), ``id-card-cn`` (GB 11643; 15-digit numbers get their century and
            check digit), ``uscc`` (unified social credit code, GB 32100), ``org-code-cn`` (organisation
            code, GB 11714, also out of a unified one), ``lei`` (legal entity identifier, ISO 17442) or
            ``company`` (see `companies`).

    Returns:
        One non-empty text for each row.

    Raises:
        DataError: unknown kind; a row without an identifier; a row that is no number in kind ``number``.
    """
    form = normal_form(kind)
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
        Errors for missing and repeated ones, warnings for malformed ones; empty when all is well. A row
        has at most one warning, the first rule that it breaks.

    Raises:
        DataError: unknown kind.
    """
    form = normal_form(kind)
    normal = ["" if value is None else form(str(value)) for value in values]
    found = [
        _finding("identifier-missing", column, [row for row, text in enumerate(normal, start=1) if not text]),
        _finding("identifier-duplicated", column, list(_repeated(normal))),
    ]
    flaw_of = _FLAWS.get(kind)
    if flaw_of is not None:
        flaws = [(row, flaw_of(text)) for row, text in enumerate(normal, start=1) if text]
        found += [
            _finding(rule, column, [row for row, flaw in flaws if flaw == rule], kind) for rule in _FLAW_RULES
        ]
    return [finding for finding in found if finding is not None]


def normal_form(kind: str) -> Callable[[str], str]:
    """The function that brings one text to the normal form of a kind; no identifier is an empty text.

    Raises:
        DataError: unknown kind; the nearest one is suggested.
    """
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


def _repeated(normal: Sequence[str]) -> Iterator[int]:
    seen: set[str] = set()
    for row, text in enumerate(normal, start=1):
        if text and text in seen:
            yield row
        seen.add(text)


def _number(value: str) -> str:
    text = compact(value)
    return text.lstrip("0") or text[:1]


def _number_flaw(text: str) -> str | None:
    return None if text.isascii() and text.isdigit() else "identifier-form"


_FORMS: dict[str, Callable[[str], str]] = {
    "text": plain_text,
    "number": _number,
    "phone": phone_form,
    "id-card-cn": citizen_form,
    "uscc": compact,
    "org-code-cn": organisation_code_form,
    "lei": compact,
    "company": company_form,
}
_FLAWS: dict[str, Callable[[str], str | None]] = {
    "number": _number_flaw,
    "phone": phone_flaw,
    "id-card-cn": citizen_flaw,
    "uscc": credit_code_flaw,
    "org-code-cn": organisation_code_flaw,
    "lei": lei_flaw,
    "company": company_flaw,
}

KINDS: tuple[str, ...] = tuple(_FORMS)
"""The kinds of identifier that have a normal form."""

# By rule, or by rule and kind where the kind has a sentence of its own.
_TEMPLATES = {
    "identifier-missing": (
        "identifier {column}: every row must have one; rows without: {rows}, first row {row}"
    ),
    "identifier-duplicated": (
        "identifier {column}: each must occur once; rows that repeat an earlier one: {rows}, first row {row}"
    ),
    "identifier-form number": (
        "identifier {column}: a number has digits only; rows with other characters: {rows}, first row {row}"
    ),
    "identifier-form phone": (
        "identifier {column}: a telephone number is a mobile number, a landline with its area code, a 400, "
        "800 or 95 number, or one with + and its country code; rows with something else: {rows}, first row "
        "{row}"
    ),
    "identifier-form id-card-cn": (
        "identifier {column}: an identity number has 17 digits and a digit or X (or the old 15 digits); "
        "rows that have not: {rows}, first row {row}"
    ),
    "identifier-form uscc": (
        "identifier {column}: a unified social credit code has 18 digits and capital letters, without I, "
        "O, S, V and Z; rows that have not: {rows}, first row {row}"
    ),
    "identifier-form org-code-cn": (
        "identifier {column}: an organisation code has 8 digits or capital letters and a digit or X; "
        "rows that have not: {rows}, first row {row}"
    ),
    "identifier-form lei": (
        "identifier {column}: a legal entity identifier has 18 digits or capital letters and 2 digits; "
        "rows that have not: {rows}, first row {row}"
    ),
    "identifier-form company": (
        "identifier {column}: a company's name has letters; rows without: {rows}, first row {row}"
    ),
    "identifier-check-digit": (
        "identifier {column}: the check digit of kind {kind} must fit; rows where it does not: {rows}, "
        "first row {row}"
    ),
    "identifier-area": (
        "identifier {column}: a landline number needs its area code; rows without: {rows}, first row {row}"
    ),
    "identifier-register": (
        "identifier {column}: the first two characters must be a registering authority and a type of "
        "organisation of GB 32100, such as 91 for a company; rows with others: {rows}, first row {row}"
    ),
    "identifier-region": (
        "identifier {column}: the six digits of the region must begin like a division of GB/T 2260, of "
        "today or of earlier; rows with others: {rows}, first row {row}"
    ),
    "identifier-date": (
        "identifier {column}: the date of birth must be a day of the calendar since 1800; rows with "
        "others: {rows}, first row {row}"
    ),
    "identifier-organisation": (
        "identifier {column}: characters 9 to 17 must be an organisation code whose check digit fits (GB "
        "11714); rows where it does not: {rows}, first row {row}"
    ),
    "identifier-legal-form": (
        "identifier {column}: a company's full name ends in its legal form; rows without, perhaps short "
        "names: {rows}, first row {row}"
    ),
}
_FLAW_RULES = (
    "identifier-form",
    "identifier-check-digit",
    "identifier-area",
    "identifier-register",
    "identifier-region",
    "identifier-date",
    "identifier-organisation",
    "identifier-legal-form",
)


def _finding(rule: str, column: str, rows: Sequence[int], kind: str | None = None) -> Finding | None:
    if not rows:
        return None
    template = _TEMPLATES.get(f"{rule} {kind}") or _TEMPLATES[rule]
    values: dict[str, str | int] = {"column": column, "rows": len(rows), "row": rows[0]}
    if kind is not None and "{kind}" in template:
        values["kind"] = kind
    return Finding(
        rule=rule,
        severity="warning" if rule in _FLAW_RULES else "error",
        template=template,
        values=values,
        column=column,
        row=rows[0],
        rows=len(rows),
    )
