"""Canonical JSON: one text for one value, so that two institutions hash the same bytes.

The rules are those of RFC 8785 (sorted by UTF-16 code units, no white space, shortest escapes) over a
smaller set of values: text, whole numbers within 2**53, booleans, null, lists, objects. Fractions are
refused, because two languages may print one float in two ways: write amounts and rates as text.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NoReturn

from tongzhou.evidence.errors import EvidenceFormatError

__all__ = ["MAX_DEPTH", "MAX_INTEGER", "Json", "canonical_json", "parse_canonical_json"]

Json = None | bool | int | str | list["Json"] | dict[str, "Json"]

MAX_INTEGER = 2**53 - 1  # beyond it a reader that holds numbers as doubles would see another value
MAX_DEPTH = 32  # deeper records are mistakes; the bound also keeps the recursion finite


def canonical_json(value: object) -> str:
    """Return the canonical text of a value.

    Args:
        value: text, int, bool, None, and mappings (with text keys), lists and tuples of these.

    Raises:
        EvidenceFormatError: names the field that has no canonical form.
    """
    return json.dumps(_plain(value, "record", MAX_DEPTH), ensure_ascii=False, separators=(",", ":"))


def parse_canonical_json(text: str) -> Json:
    """Read canonical text; any other spelling of the same value is refused.

    Raises:
        EvidenceFormatError: not JSON, a value without canonical form, or not the canonical spelling.
    """
    try:
        value: Json = json.loads(text, parse_float=_refuse_number, parse_constant=_refuse_number)
    except (ValueError, RecursionError) as error:
        raise EvidenceFormatError("the record is not JSON: {reason}", reason=str(error)) from error
    if canonical_json(value) != text:
        raise EvidenceFormatError("the record is JSON, but not in its canonical form")
    return value


def _plain(value: object, where: str, depth: int) -> Json:
    if depth == 0:
        raise EvidenceFormatError(
            "{where} is nested deeper than {limit} levels", where=where, limit=MAX_DEPTH
        )
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _whole(value, where)
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, Mapping):
        return _object(value, where, depth)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [_plain(item, f"{where}[{position}]", depth - 1) for position, item in enumerate(value)]
    if isinstance(value, float):
        raise EvidenceFormatError(
            "{where} is a fraction; a record may hold whole numbers and text, so write it as text",
            where=where,
        )
    raise EvidenceFormatError(
        "{where} has type {got}; a record may hold text, whole numbers, true, false, null, lists and objects",
        where=where,
        got=type(value).__name__,
    )


def _object(value: Mapping[object, object], where: str, depth: int) -> Json:
    plain: dict[str, Json] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise EvidenceFormatError(
                "a field name of {where} has type {got}; names are text", where=where, got=type(key).__name__
            )
        plain[_text(key, where)] = _plain(item, f"{where}.{key}", depth - 1)
    return dict(sorted(plain.items(), key=lambda pair: pair[0].encode("utf-16-be")))


def _whole(value: int, where: str) -> int:
    if abs(value) > MAX_INTEGER:
        raise EvidenceFormatError(
            "{where} is a number beyond {limit}; write it as text", where=where, limit=MAX_INTEGER
        )
    return int(value)


def _text(value: str, where: str) -> str:
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise EvidenceFormatError("{where} holds half of a UTF-16 pair, which is not text", where=where)
    return str(value)


def _refuse_number(text: str) -> NoReturn:
    raise ValueError(f"a number is written as {text[:20]}, and only whole numbers are allowed")
