"""What conditions mean: a table that anyone can extend, and a second evaluator that must agree."""

import csv
import datetime
import decimal
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tongzhou.decide import parse_condition
from tongzhou.decide._inputs import Input, Words, intake
from tongzhou.decide._render import render
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
    Not,
    Product,
    Sum,
)

TYPES = {
    "age": "number", "a": "number", "b": "number", "kind": "text", "flags": "texts", "ok": "boolean",
    "born": "date", "seen": "date", "clock": "time",
}  # fmt: skip
SLOTS = {name: slot for slot, name in enumerate(TYPES)}
READ = intake(
    tuple(Input(name, kind, "allow", Words("", "")) for name, kind in TYPES.items()), refuse_extra=True
)


def _cases() -> list[Any]:
    with (Path(__file__).parent / "conditions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";", quoting=csv.QUOTE_NONE))
    assert len(rows) > 80
    return [pytest.param(row, id=f"{row['condition']} | {row['inputs']}") for row in rows]


def _given(text: str) -> dict[str, Any]:
    inputs: dict[str, Any] = {}
    for pair in filter(None, text.split(",")):
        name, value = pair.split("=", 1)
        kind = TYPES[name]
        inputs[name] = (
            float(value) if kind == "number" else value == "true" if kind == "boolean"
            else value.split("|") if kind == "texts" else value
        )  # fmt: skip
    return inputs


@pytest.mark.parametrize("row", _cases())
def test_table_of_conditions(row: dict[str, str]) -> None:
    condition = parse_condition(row["condition"], TYPES)
    value = condition.compile(SLOTS)(READ(_given(row["inputs"])))
    assert value is {"true": True, "false": False, "missing": None}[row["value"]]


# -- random well-typed conditions

NUMBERS = st.one_of(
    st.integers(-1000, 1000),
    st.integers(-(10**6), 10**6).map(lambda cents: cents / 100),
)


def _literal(kind: str) -> st.SearchStrategy[Literal]:
    values: dict[str, st.SearchStrategy[Any]] = {
        "number": NUMBERS.map(lambda x: int(x) if float(x).is_integer() else x),
        "text": st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
        "boolean": st.booleans(),
        "date": st.integers(700_000, 740_000),
        "time": st.integers(0, 86_399),
    }
    return values[kind].map(lambda value: Literal(value, kind))


def _leaf(kind: str) -> st.SearchStrategy[Any]:
    return st.one_of(_literal(kind), st.sampled_from([Field(n) for n, k in TYPES.items() if k == kind]))


def _numbers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    rest = lambda signs: st.lists(st.tuples(st.sampled_from(signs), inner), min_size=1, max_size=3).map(tuple)  # noqa: E731
    return st.one_of(
        st.builds(Sum, inner, rest("+-")),
        st.builds(Product, inner, rest("*/")),
        inner.filter(lambda node: not (isinstance(node, Literal) and node.value > 0)).map(Minus),
        st.builds(Call, st.just("abs"), st.tuples(inner)),
        st.builds(Call, st.sampled_from(["min", "max", "if_missing"]), st.tuples(inner, inner)),
        st.builds(lambda x, n: Call("round", (x, Literal(n, "number"))), inner, st.integers(0, 10)),
        st.builds(
            Call,
            st.sampled_from(["days_between", "months_between", "years_between"]),
            st.tuples(_leaf("date"), _leaf("date")),
        ),
    )


NUMERIC = st.recursive(_leaf("number"), _numbers, max_leaves=5)
SIGNS = ["<", "<=", ">", ">=", "=", "!="]


def _of(kind: str) -> st.SearchStrategy[Any]:
    return NUMERIC if kind == "number" else _leaf(kind)


def _tests() -> st.SearchStrategy[Any]:
    ordered = ["number", "date", "time"]
    tests = [st.builds(Compare, st.sampled_from(SIGNS), _of(k), _of(k)) for k in ordered]
    tests += [st.builds(Compare, st.sampled_from(["=", "!="]), _of(k), _of(k)) for k in ("text", "boolean")]
    tests += [
        st.builds(Between, _of(k), _of(k), _of(k)).filter(
            lambda n: (
                not (isinstance(n.low, Literal) and isinstance(n.high, Literal))
                or n.low.value <= n.high.value
            )
        )
        for k in ordered
    ]
    tests += [
        st.builds(In, _of(k), st.lists(_literal(k), min_size=1, max_size=3).map(tuple))
        for k in ("number", "text", "date")
    ]
    tests += [st.builds(IsMissing, _of(k)) for k in ("number", "text", "boolean")]
    tests += [st.builds(InField, _leaf("text"), st.just(Field("flags"))), _leaf("boolean")]
    return st.one_of(tests)


CONDITIONS = st.recursive(
    _tests(),
    lambda inner: st.one_of(
        inner.map(Not),
        st.builds(Joined, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
APPLICATIONS = st.fixed_dictionaries(
    {},
    optional={
        "age": NUMBERS, "a": NUMBERS, "b": NUMBERS, "kind": st.sampled_from(["", "car", "船"]),
        "flags": st.lists(st.sampled_from(["", "car", "船"]), max_size=2), "ok": st.booleans(),
        "born": st.dates(datetime.date(1990, 1, 1), datetime.date(2030, 1, 1)),
        "seen": st.dates(datetime.date(1990, 1, 1), datetime.date(2030, 1, 1)), "clock": st.times(),
    },
)  # fmt: skip


class Reference:
    """A second evaluator, straight from the manual: values are decimals, missing is None."""

    def __init__(self, values: list[Any]) -> None:
        self._values = values

    def __call__(self, node: Any) -> Any:
        return getattr(self, "_" + type(node).__name__.lower())(node)

    def _literal(self, node: Any) -> Any:
        return _exact(node.value)

    def _field(self, node: Any) -> Any:
        return _exact(self._values[SLOTS[node.name]])

    def _minus(self, node: Any) -> Any:
        x = self(node.operand)
        return None if x is None else -x

    def _sum(self, node: Any) -> Any:
        terms = [self(node.first), *((self(part)) for _, part in node.rest)]
        if None in terms:
            return None
        total = terms[0]
        for (sign, _), x in zip(node.rest, terms[1:], strict=True):
            total = total + x if sign == "+" else total - x
        return total

    def _product(self, node: Any) -> Any:
        factors = [self(node.first), *((self(part)) for _, part in node.rest)]
        if None in factors:
            return None
        total = factors[0]
        for (sign, _), x in zip(node.rest, factors[1:], strict=True):
            if sign == "/" and x == 0:
                return None
            total = total * x if sign == "*" else total / x
        return total

    def _call(self, node: Any) -> Any:
        arguments = [self(part) for part in node.arguments]
        if node.name == "if_missing":
            return arguments[1] if arguments[0] is None else arguments[0]
        if None in arguments:
            return None
        if node.name == "round":
            digits = int(arguments[1])
            shifted = abs(arguments[0]) * 10**digits + Decimal("0.5")
            return (shifted // 1 if arguments[0] >= 0 else -(shifted // 1)) / Decimal(10**digits)
        if node.name == "days_between":
            return arguments[1] - arguments[0]
        if node.name in {"months_between", "years_between"}:
            months = _months(*(datetime.date.fromordinal(int(x)) for x in arguments))
            return Decimal(months if node.name == "months_between" else int(months / 12))
        return {"abs": abs, "min": min, "max": max}[node.name](*arguments)

    def _compare(self, node: Any) -> Any:
        a, b = self(node.left), self(node.right)
        if a is None or b is None:
            return None
        return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[node.sign] if node.sign in {
            "<", "<=", ">", ">="
        } else (a == b) is (node.sign == "=")  # fmt: skip

    def _between(self, node: Any) -> Any:
        x, low, high = self(node.operand), self(node.low), self(node.high)
        ends = [
            None if x is None or low is None else x >= low,
            None if x is None or high is None else x <= high,
        ]
        return False if False in ends else None if None in ends else True

    def _in(self, node: Any) -> Any:
        x = self(node.operand)
        return None if x is None else any(x == self(item) for item in node.items)

    def _infield(self, node: Any) -> Any:
        x, held = self(node.operand), self(node.texts)
        return None if x is None or held is None else x in held

    def _ismissing(self, node: Any) -> Any:
        return self(node.operand) is None

    def _not(self, node: Any) -> Any:
        return {True: False, False: True, None: None}[self(node.operand)]

    def _joined(self, node: Any) -> Any:
        parts = [self(part) for part in node.parts]
        decisive = node.word == "or"
        return decisive if decisive in parts else None if None in parts else not decisive


def _exact(x: Any) -> Any:
    return Decimal(repr(x)) if type(x) in {int, float} else x


def _months(start: datetime.date, end: datetime.date) -> int:
    """Counted by stepping month by month, where the engine calculates."""
    if end < start:
        return -_months(end, start)
    months, year, month = 0, start.year, start.month
    while True:
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
        if (year, month, start.day) > (end.year, end.month, end.day):
            return months
        months += 1


@settings(max_examples=400, deadline=None)
@given(CONDITIONS, APPLICATIONS)
@example(
    Compare("=", Sum(Literal(0.1, "number"), (("+", Literal(0.2, "number")),)), Literal(0.3, "number")), {}
)
def test_engine_agrees_with_a_second_evaluator(node: Any, application: dict[str, Any]) -> None:
    condition = parse_condition(render(node), TYPES)
    values = READ(application)
    with decimal.localcontext(decimal.Context(prec=28)):
        expected = Reference(values)(node)
    assert condition.compile(SLOTS)(values) is expected


@settings(max_examples=300, deadline=None)
@given(CONDITIONS)
def test_written_conditions_parse_to_the_same_tree(node: Any) -> None:
    assert parse_condition(render(node), TYPES).node == node


@settings(max_examples=100, deadline=None)
@given(CONDITIONS, APPLICATIONS)
def test_callers_decimal_settings_change_nothing(node: Any, application: dict[str, Any]) -> None:
    run = parse_condition(render(node), TYPES).compile(SLOTS)
    values = READ(application)
    expected = run(values)
    with decimal.localcontext(decimal.Context(prec=2, Emax=3, traps=[decimal.Inexact, decimal.Overflow])):
        assert run(values) is expected


def test_largest_numbers_multiplied_through_the_longest_expression_stay_numbers() -> None:
    grown = parse_condition("*".join(["a"] * 900) + " > 1", TYPES).compile(SLOTS)
    shrunk = parse_condition("/".join(["a"] * 900) + " > 0", TYPES).compile(SLOTS)
    assert grown(READ({"a": 1e15})) is True
    assert grown(READ({"a": -1e15})) is True
    assert shrunk(READ({"a": 5e-324})) is True
    assert shrunk(READ({"a": 0})) is None
