"""A checked tree to a closure over a list of values.

Missing is None. A test of something missing is missing; ``and`` and ``or`` follow Kleene: false and missing
is false, true or missing is true, everything else with missing is missing. Division by zero is missing.

Numbers that are only read and compared stay floats, which is exact: a written 0.3 and a given 0.3 are the
same float. Arithmetic runs in decimal with 28 digits from the shortest decimal form of each float, so that
0.1 + 0.2 equals 0.3 and cents add up. The context is our own: the caller's decimal settings change nothing.
"""

import datetime
import decimal
import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from tongzhou.decide._syntax import (
    Between,
    Call,
    Compare,
    Field,
    In,
    InField,
    IsMissing,
    Joined,
    Literal,
    Minus,
    Node,
    Not,
    Product,
    Sum,
)

__all__ = ["Test", "compile_test"]

Values = Sequence[Any]
Test = Callable[[Values], bool | None]
_Read = Callable[[Values], Any]

_DIGITS = decimal.Context(prec=28, rounding=decimal.ROUND_HALF_EVEN, Emin=-(10**9), Emax=10**9, traps=[])
# round() drops digits of a number that has up to 28; a carry must still fit.
_ROUNDING = decimal.Context(prec=60, rounding=decimal.ROUND_HALF_UP, Emin=-(10**9), Emax=10**9, traps=[])
# The exponents are far beyond what the longest expression over the largest inputs reaches: no infinities.
_LAST_DAY = datetime.date.max.toordinal()

_SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "!=": operator.ne,
}
# 18 <= age is age >= 18
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}


def compile_test(node: Node, slots: Mapping[str, int]) -> Test:
    """Compile a condition.

    Args:
        node: a condition that `check` has passed.
        slots: index in the list of values of each name.

    Returns:
        A function of the list of values: true, false, or None for missing. It never raises.
    """
    return _Compiler(slots).test(node)


class _Compiler:
    def __init__(self, slots: Mapping[str, int]) -> None:
        self._slots = slots

    # -- conditions

    def test(self, node: Node) -> Test:  # noqa: PLR0911 - one return a kind of node
        match node:
            case Compare():
                return self._compare(node)
            case Between():
                return self._between(node)
            case In(operand, items):
                decimal_ = _calculates(operand)
                return _among(
                    self.read(operand),
                    frozenset(_decimal(item.value) if decimal_ else item.value for item in items),
                )
            case InField(operand, texts):
                return _held(self.read(operand), self.read(texts))
            case IsMissing(operand):
                return _is_missing(self.read(operand))
            case Not(operand):
                return _negated(self.test(operand))
            case Joined(word, parts):
                tests = [self.test(part) for part in parts]
                return _all(tests) if word == "and" else _any(tests)
            case _:
                return self.read(node)

    def _compare(self, node: Compare) -> Test:
        compare = _SIGNS[node.sign]
        if isinstance(node.left, Field) and isinstance(node.right, Literal):
            return _AGAINST[node.sign](self._slots[node.left.name], node.right.value)
        if isinstance(node.left, Literal) and isinstance(node.right, Field):
            return _AGAINST[_MIRRORED[node.sign]](self._slots[node.right.name], node.left.value)
        left, right = self._alike(node.left, node.right)

        def test(values: Values) -> bool | None:
            a, b = left(values), right(values)
            return None if a is None or b is None else compare(a, b)

        return test

    def _between(self, node: Between) -> Test:
        ends = (node.low, node.high)
        if isinstance(node.operand, Field) and all(isinstance(end, Literal) for end in ends):
            low, high = (end.value for end in ends if isinstance(end, Literal))
            return _within(self._slots[node.operand.name], low, high)
        operand, low_end, high_end = self._alike(node.operand, *ends)

        def test(values: Values) -> bool | None:
            x, a, b = operand(values), low_end(values), high_end(values)
            # false as soon as one end is known to be passed, as the two comparisons joined by and would be
            if x is None or (a is None and b is None):
                return None
            if (a is not None and x < a) or (b is not None and x > b):
                return False
            return None if a is None or b is None else True

        return test

    def _alike(self, *nodes: Node) -> list[_Read]:
        """Readers that can be compared: all plain, or all decimal when one of them calculates."""
        if any(map(_calculates, nodes)):
            return [self.number(node) for node in nodes]
        return [self.read(node) for node in nodes]

    # -- values

    def read(self, node: Node) -> _Read:
        """A reader of any value, as it was given."""
        match node:
            case Literal(value):
                return lambda _: value
            case Field(name):
                return operator.itemgetter(self._slots[name])
            case Sum() | Product() | Minus() | Call():
                return self.number(node)
            case _:
                return self.test(node)

    def number(self, node: Node) -> _Read:
        """A reader in decimal; what is not a number is read as it is."""
        match node:
            case Literal(value):
                constant = _decimal(value)
                return lambda _: constant
            case Field(name):
                slot = self._slots[name]
                return lambda values: _decimal(values[slot])
            case Minus(operand):
                return _minus(self.number(operand))
            case Sum(first, rest) | Product(first, rest):
                return _chain(self.number(first), [(sign, self.number(part)) for sign, part in rest])
            case Call():
                return self._call(node)
            case _:
                return self.test(node)

    def _call(self, node: Call) -> _Read:
        arguments = [self.number(argument) for argument in node.arguments]
        first = arguments[0]
        match node.name:
            case "if_missing":
                second = arguments[1]
                return lambda values: second(values) if (x := first(values)) is None else x
            case "round":
                digits = node.arguments[1].value if len(node.arguments) == 2 else 0  # type: ignore[union-attr]
                return _strict(lambda x: _round(x, int(digits)), arguments[:1])
            case name:
                return _strict(_CALLED[name], arguments)


def _calculates(node: Node) -> bool:
    return isinstance(node, Sum | Product | Minus | Call)


def _decimal(value: Any) -> Any:
    """Numbers as decimals; missing, texts, truth values and lists as they are."""
    kind = type(value)
    if kind is int:
        return Decimal(value)
    return Decimal(repr(value)) if kind is float else value


# A value against a constant is what most rules are made of: the sign is written out, which saves a call.


def _below(slot: int, constant: Any) -> Test:
    return lambda values: None if (x := values[slot]) is None else x < constant


def _up_to(slot: int, constant: Any) -> Test:
    return lambda values: None if (x := values[slot]) is None else x <= constant


def _above(slot: int, constant: Any) -> Test:
    return lambda values: None if (x := values[slot]) is None else x > constant


def _from(slot: int, constant: Any) -> Test:
    return lambda values: None if (x := values[slot]) is None else x >= constant


def _equal(slot: int, constant: Any) -> Test:
    return lambda values: None if (x := values[slot]) is None else x == constant


def _unequal(slot: int, constant: Any) -> Test:
    return lambda values: None if (x := values[slot]) is None else x != constant


_AGAINST: dict[str, Callable[[int, Any], Test]] = {
    "<": _below,
    "<=": _up_to,
    ">": _above,
    ">=": _from,
    "=": _equal,
    "!=": _unequal,
}


def _within(slot: int, low: Any, high: Any) -> Test:
    def test(values: Values) -> bool | None:
        x = values[slot]
        return None if x is None else low <= x <= high

    return test


def _among(read: _Read, items: frozenset[Any]) -> Test:
    def test(values: Values) -> bool | None:
        x = read(values)
        return None if x is None else x in items

    return test


def _held(read: _Read, read_list: _Read) -> Test:
    def test(values: Values) -> bool | None:
        x, held = read(values), read_list(values)
        return None if x is None or held is None else x in held

    return test


def _is_missing(read: _Read) -> Test:
    return lambda values: read(values) is None


def _negated(inner: Test) -> Test:
    return lambda values: None if (x := inner(values)) is None else not x


def _all(tests: Sequence[Test]) -> Test:
    if len(tests) == 2:
        first, second = tests

        def both(values: Values) -> bool | None:
            a = first(values)
            if a is False:
                return False
            b = second(values)
            return b if a or b is False else None

        return both

    def test(values: Values) -> bool | None:
        found: bool | None = True
        for part in tests:
            x = part(values)
            if x is False:
                return False
            if x is None:
                found = None
        return found

    return test


def _any(tests: Sequence[Test]) -> Test:
    def test(values: Values) -> bool | None:
        found: bool | None = False
        for part in tests:
            x = part(values)
            if x:
                return True
            if x is None:
                found = None
        return found

    return test


# -- arithmetic


def _minus(read: _Read) -> _Read:
    return lambda values: None if (x := read(values)) is None else _DIGITS.minus(x)


def _chain(first: _Read, rest: Sequence[tuple[str, _Read]]) -> _Read:
    steps = [(_STEPS[sign], read) for sign, read in rest]

    def chain(values: Values) -> Decimal | None:
        total = first(values)
        for step, read in steps:
            x = read(values)
            if total is None or x is None:
                return None
            total = step(total, x)
        return total  # type: ignore[no-any-return]

    return chain


def _divide(a: Decimal, b: Decimal) -> Decimal | None:
    return _DIGITS.divide(a, b) if b else None


_STEPS: dict[str, Callable[[Decimal, Decimal], Decimal | None]] = {
    "+": _DIGITS.add,
    "-": _DIGITS.subtract,
    "*": _DIGITS.multiply,
    "/": _divide,
}


def _strict(function: Callable[..., Any], arguments: Sequence[_Read]) -> _Read:
    """Missing when any argument is."""

    def call(values: Values) -> Any:
        given = [argument(values) for argument in arguments]
        return None if None in given else function(*given)

    return call


def _round(x: Decimal, digits: int) -> Decimal:
    exponent = x.as_tuple().exponent
    if not isinstance(exponent, int) or exponent >= -digits:
        return x
    return x.quantize(Decimal((0, (1,), -digits)), context=_ROUNDING)


def _date(days: Decimal) -> datetime.date | None:
    return datetime.date.fromordinal(int(days)) if 1 <= days <= _LAST_DAY else None


def _whole_months(start: datetime.date, end: datetime.date) -> int:
    if end < start:
        return -_whole_months(end, start)
    return (end.year - start.year) * 12 + end.month - start.month - (end.day < start.day)


def _months_between(start: Decimal, end: Decimal) -> Decimal | None:
    a, b = _date(start), _date(end)
    return None if a is None or b is None else Decimal(_whole_months(a, b))


def _years_between(start: Decimal, end: Decimal) -> Decimal | None:
    months = _months_between(start, end)
    return None if months is None else Decimal(int(int(months) / 12))


_CALLED: dict[str, Callable[..., Any]] = {
    "abs": _DIGITS.abs,
    "count": lambda held: Decimal(len(held)),
    "days_between": lambda a, b: _DIGITS.subtract(b, a),
    "hour": lambda seconds: Decimal(int(seconds) // 3600),
    "max": max,
    "min": min,
    "months_between": _months_between,
    "years_between": _years_between,
}
