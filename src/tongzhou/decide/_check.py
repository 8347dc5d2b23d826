"""Types of an expression, found before anything runs, so that deciding cannot meet a wrong one."""

from collections.abc import Mapping
from dataclasses import dataclass

from tongzhou.decide._functions import FUNCTIONS, MAX_ROUND_DIGITS, Signature
from tongzhou.decide._source import Source, near_hint, phrase, show
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
from tongzhou.errors import PlanError

__all__ = ["Known", "check"]

_ORDERED = frozenset({"number", "date", "time"})
_ORDER_SIGNS = frozenset({"<", "<=", ">", ">="})


@dataclass(frozen=True, slots=True)
class Known:
    """What the checker knows of a name.

    Attributes:
        type: its type.
        allowed: the only texts it may be; empty when any.
    """

    type: str
    allowed: tuple[str, ...] = ()


def check(node: Node, source: Source, names: Mapping[str, Known], *, expected: str) -> None:
    """Check that an expression is well typed and gives `expected`.

    Args:
        node: the parsed expression.
        source: its text and place.
        names: the inputs that it may read.
        expected: the type that it must give.

    Raises:
        PlanError: an unknown name, a wrong type, a text that an input can never be; with line and column.
    """
    checker = _Checker(source, names)
    checker.must_be(node, expected, phrase("the whole expression"))


class _Checker:
    def __init__(self, source: Source, names: Mapping[str, Known]) -> None:
        self._source = source
        self._names = names

    def must_be(self, node: Node, wanted: str, what: PlanError) -> None:
        got = self.type_of(node)
        if got != wanted:
            raise self._wrong(node, what, wanted, got)

    def type_of(self, node: Node) -> str:  # noqa: PLR0911 - one return a kind of node
        match node:
            case Literal():
                return node.type
            case Field():
                return self._known(node).type
            case Minus(operand):
                self.must_be(operand, "number", phrase("what follows -"))
                return "number"
            case Sum():
                return self._sum(node)
            case Product(first, rest):
                for factor in (first, *(part for _, part in rest)):
                    self.must_be(factor, "number", phrase("each side of * and /"))
                return "number"
            case Call():
                return self._call(node)
            case _:
                self._condition(node)
                return "boolean"

    def _condition(self, node: Node) -> None:
        match node:
            case Compare():
                self._compare(node)
            case Between(operand, low, high):
                kind = self._ordered(operand, "between")
                self.must_be(low, kind, phrase("the lower end of between"))
                self.must_be(high, kind, phrase("the upper end of between"))
                self._ends(node)
            case In(operand, items):
                kind = self.type_of(operand)
                for item in items:
                    self.must_be(item, kind, phrase("each value of the list"))
                    self._can_be(operand, item)
            case InField(operand, texts):
                self.must_be(operand, "text", phrase("what stands before in"))
                self.must_be(texts, "texts", phrase("the name after in"))
                self._can_be(texts, operand)
            case IsMissing(operand):
                self.type_of(operand)
            case Not(operand):
                self.must_be(operand, "boolean", phrase("what follows not"))
            case Joined(word, parts):
                for part in parts:
                    self.must_be(part, "boolean", phrase("each side of {word}", word=word))

    def _compare(self, node: Compare) -> None:
        if node.sign in _ORDER_SIGNS:
            kind = self._ordered(node.left, node.sign)
        else:
            kind = self.type_of(node.left)
            if kind == "texts":
                raise self._source.error(
                    node.at, "a list is not compared; write a text before in and the list after"
                )
        self.must_be(node.right, kind, phrase("the right side of {sign}", sign=node.sign))
        self._can_be(node.left, node.right)
        self._can_be(node.right, node.left)

    def _ordered(self, node: Node, sign: str) -> str:
        kind = self.type_of(node)
        if kind not in _ORDERED:
            raise self._wrong(
                node, phrase("the left side of {sign}", sign=sign), "number, date or time", kind
            )
        return kind

    def _ends(self, node: Between) -> None:
        if isinstance(node.low, Literal) and isinstance(node.high, Literal):
            low, high = node.low.value, node.high.value
            if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
                raise self._source.error(
                    node.at, "between can never hold here: its lower end is above its upper end"
                )

    def _sum(self, node: Sum) -> str:
        kind = self.type_of(node.first)
        if kind not in {"number", "date"}:
            raise self._wrong(node.first, phrase("what stands before + and -"), "number or date", kind)
        for sign, term in node.rest:
            got = self.type_of(term)
            if kind == "date" and got == "date" and sign == "-":
                kind = "number"
            elif got != "number":
                raise self._wrong(term, phrase("what follows {sign}", sign=sign), "number", got)
        return kind

    def _call(self, node: Call) -> str:
        signature = FUNCTIONS[node.name]
        self._argument_count(node, signature)
        if node.name == "round" and len(node.arguments) == 2:
            self._round_digits(node.arguments[1])
        shared = ""
        for index, argument in enumerate(node.arguments):
            wanted = signature.takes[min(index, len(signature.takes) - 1)]
            if wanted != "same":
                self.must_be(argument, wanted, phrase("each argument of {name}", name=node.name))
            elif shared:
                self.must_be(argument, shared, phrase("each argument of {name}", name=node.name))
            else:
                shared = self.type_of(argument)
                if shared not in signature.among:
                    allowed = " or ".join((", ".join(signature.among[:-1]), signature.among[-1]))
                    raise self._wrong(
                        argument, phrase("each argument of {name}", name=node.name), allowed, shared
                    )
        return shared if signature.gives == "same" else signature.gives

    def _argument_count(self, node: Call, signature: Signature) -> None:
        if not signature.least <= len(node.arguments) <= signature.most:
            raise self._source.error(
                node.at,
                "{name} takes {count} arguments, got {got}",
                name=node.name,
                count=signature.least
                if signature.least == signature.most
                else phrase("{least} to {most}", least=signature.least, most=signature.most),
                got=len(node.arguments),
            )

    def _round_digits(self, digits: Node) -> None:
        value = digits.value if isinstance(digits, Literal) else None
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_ROUND_DIGITS:
            raise self._source.error(
                digits.at,
                "the digits of round are written as a whole number, 0 to {limit}",
                limit=MAX_ROUND_DIGITS,
            )

    def _known(self, field: Field) -> Known:
        known = self._names.get(field.name)
        if known is None:
            raise self._source.error(
                field.at,
                "there is no input {got}{hint}; inputs are declared in strategy.toml",
                got=show(field.name),
                hint=near_hint(field.name, self._names),
            )
        return known

    def _can_be(self, field: Node, value: Node) -> None:
        """A text written against an input must be one that the input can be."""
        if not (isinstance(field, Field) and isinstance(value, Literal) and isinstance(value.value, str)):
            return
        allowed = self._known(field).allowed
        if allowed and value.value not in allowed:
            raise self._source.error(
                value.at,
                "{name} is never {got}{hint}; it may be {allowed}",
                name=field.name,
                got=show(value.value),
                hint=near_hint(value.value, allowed),
                allowed=show(", ".join(allowed)),
            )

    def _wrong(self, node: Node, what: PlanError, wanted: str, got: str) -> PlanError:
        return self._source.error(
            node.at, "{what} must be {wanted}, got {got}", what=what, wanted=wanted, got=got
        )
