"""What an application may hold, and turning given values into the plain ones that conditions read.

A number becomes int or float, a date its day number, a time of day its seconds, a list of texts a tuple,
and a missing value None. Sentences about a given value never show it: it may be private.
"""

import datetime
import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from tongzhou.decide._parser import days_of, seconds_of
from tongzhou.decide._render import clock
from tongzhou.decide._source import near_hint, phrase, show
from tongzhou.errors import DataError

__all__ = ["LARGEST", "MAX_TEXT", "MAX_TEXTS", "Input", "Words", "intake", "shown"]

# Fifteen digits: every whole number and every amount in cents up to here is exact.
LARGEST = 1e15
MAX_TEXT = 1_000
MAX_TEXTS = 100


@dataclass(frozen=True, slots=True)
class Words:
    """The same words in both languages."""

    en: str
    zh: str


@dataclass(frozen=True, slots=True)
class Input:
    """A declared input of a strategy.

    Attributes:
        name: as conditions write it.
        type: one of `tongzhou.decide.expression.TYPES`.
        missing: ``refuse`` (no decision without it), ``review`` (a person decides) or ``allow`` (each rule
            says what it does).
        words: its meaning in words.
        minimum: smallest number allowed.
        maximum: largest number allowed.
        allowed: the only texts allowed; empty when any.
    """

    name: str
    type: str
    missing: str
    words: Words
    minimum: float = -LARGEST
    maximum: float = LARGEST
    allowed: tuple[str, ...] = ()


Convert = Callable[[Any], Any]


def intake(inputs: tuple[Input, ...], *, refuse_extra: bool) -> Callable[[Mapping[str, Any]], list[Any]]:
    """Compile the reader of applications.

    Args:
        inputs: the declared inputs, in the order of the values.
        refuse_extra: whether a name that is not declared is an error.

    Returns:
        A function of an application: the list of its values. It raises `DataError` for a wrong type, a value
        out of its range, a required value that is missing, or an unknown name.
    """
    # A number in its range, by far the most common value, is taken without a call; for other types the range
    # is empty, so that they always go through their converter.
    readers = [
        (
            item.name,
            item.minimum if item.type == "number" else math.inf,
            item.maximum,
            _CONVERTERS[item.type](item),
        )
        for item in inputs
    ]
    required = [(index, item.name) for index, item in enumerate(inputs) if item.missing == "refuse"]
    known = frozenset(item.name for item in inputs)

    def read(application: Mapping[str, Any]) -> list[Any]:
        get = application.get
        values: list[Any] = []
        add = values.append
        for name, low, high, convert in readers:
            x: Any = get(name)
            kind = type(x)
            if (kind is int or kind is float) and low <= x <= high:
                add(x)
            else:
                add(None if x is None else convert(x))
        for index, name in required:
            if values[index] is None:
                raise DataError("the input {name} is required and missing", name=name)
        # as many keys as values that were found: then every key is known, and there is nothing to look up
        found = len(values) - values.count(None)
        if refuse_extra and found != len(application) and not known.issuperset(application):
            raise _unknown(application, known)
        return values

    return read


def shown(value: Any, kind: str) -> Any:
    """A value as people and files read it: dates and times as text, whole numbers without a point."""
    if value is None:
        return None
    if kind == "date":
        return datetime.date.fromordinal(value).isoformat()
    if kind == "time":
        return clock(value)
    if kind == "texts":
        return list(value)
    # 30 and 30.0 are the same number: the same application must give the same bytes
    return int(value) if kind == "number" and float(value).is_integer() else value


def _unknown(application: Mapping[str, Any], known: frozenset[str]) -> DataError:
    name = next(name for name in application if name not in known)
    return DataError(
        "there is no input {name}{hint}; inputs are declared in strategy.toml",
        name=show(name),
        hint=near_hint(str(name), sorted(known)),
    )


def _wrong(item: Input, allowed: str, value: object) -> DataError:
    return DataError(
        "the input {name} must be {allowed}, got {got}",
        name=item.name,
        allowed=phrase(allowed),
        got=type(value).__name__,
    )


def _number(item: Input) -> Convert:
    low, high = item.minimum, item.maximum

    def number(x: Any) -> Any:
        kind = type(x)
        if (kind is int or kind is float) and low <= x <= high:
            return x
        return _odd_number(item, x)

    return number


def _odd_number(item: Input, x: Any) -> Any:
    """Numbers of other types, not-a-number as missing, and the errors."""
    if isinstance(x, bool) or not isinstance(x, numbers.Real | Decimal):
        raise _wrong(item, "a number", x)
    # Tables write missing as not-a-number, which is unequal to itself; math.isnan refuses huge whole numbers.
    if x.is_nan() if isinstance(x, Decimal) else x != x:  # noqa: PLR0124
        return None
    given: Any = x  # every real number compares with a float, which the types do not say
    if not item.minimum <= given <= item.maximum:
        raise DataError(
            "the input {name} must be from {low} to {high}; the value given is outside",
            name=item.name,
            low=_bound(item.minimum),
            high=_bound(item.maximum),
        )
    value = float(x)
    return int(value) if value.is_integer() and not isinstance(x, float) else value


def _bound(x: float) -> str:
    return str(int(x)) if math.isfinite(x) and x == int(x) else repr(x)


def _boolean(item: Input) -> Convert:
    def boolean(x: Any) -> bool:
        if x is True or x is False:
            return x
        if type(x).__name__ == "bool":  # numpy's own truth values
            return bool(x)
        raise _wrong(item, "true or false", x)

    return boolean


def _text(item: Input) -> Convert:
    allowed = frozenset(item.allowed)

    def text(x: Any) -> str:
        value = _plain_text(item, x)
        if allowed and value not in allowed:
            raise DataError(
                "the input {name} must be one of {allowed}; the text given is none of them",
                name=item.name,
                allowed=show(", ".join(item.allowed)),
            )
        return value

    return text


def _plain_text(item: Input, x: Any) -> str:
    if not isinstance(x, str):
        raise _wrong(item, "a text", x)
    if len(x) > MAX_TEXT:
        raise DataError(
            "the input {name} may have at most {limit} characters, got {got}",
            name=item.name,
            limit=MAX_TEXT,
            got=len(x),
        )
    if not x.isascii():
        try:
            x.encode()
        except UnicodeEncodeError as error:
            raise DataError("the input {name} holds half of a character", name=item.name) from error
    return str(x)


def _texts(item: Input) -> Convert:
    text = _text(item)

    def texts(x: Any) -> tuple[str, ...]:
        if not isinstance(x, list | tuple):
            raise _wrong(item, "a list of texts", x)
        if len(x) > MAX_TEXTS:
            raise DataError(
                "the input {name} may hold at most {limit} texts, got {got}",
                name=item.name,
                limit=MAX_TEXTS,
                got=len(x),
            )
        return tuple(map(text, x))

    return texts


def _date(item: Input) -> Convert:
    def date(x: Any) -> int:
        # a datetime is a date to Python, but which day it is depends on a time zone
        days = x.toordinal() if type(x) is datetime.date else days_of(x) if isinstance(x, str) else None
        if days is None:
            raise _wrong(item, "a date such as 2026-01-31", x)
        return days

    return date


def _time(item: Input) -> Convert:
    def time(x: Any) -> int:
        if isinstance(x, datetime.time) and x.tzinfo is None:
            return x.hour * 3600 + x.minute * 60 + x.second
        seconds = seconds_of(x) if isinstance(x, str) else None
        if seconds is None:
            raise _wrong(item, "a time of day such as 23:30", x)
        return seconds

    return time


_CONVERTERS: dict[str, Callable[[Input], Convert]] = {
    "number": _number,
    "text": _text,
    "boolean": _boolean,
    "date": _date,
    "time": _time,
    "texts": _texts,
}
