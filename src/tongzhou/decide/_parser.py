"""Tokens to a tree, by recursive descent. Never evaluates anything; always returns or raises a sentence.

The grammar stands in ``docs/strategy-files.md``; each method below is one line of it.
"""

import datetime
import re
from collections.abc import Callable

from tongzhou.decide._functions import FUNCTIONS
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
from tongzhou.decide._tokens import KEYWORDS, Token, tokens
from tongzhou.errors import PlanError

__all__ = ["MAX_DEPTH", "parse"]

# Nesting that a reader can still follow; it also bounds the recursion of every later pass.
MAX_DEPTH = 20

_COMPARISONS = frozenset({"<", "<=", ">", ">=", "=", "!="})
_TIME = re.compile(r"([0-9]{2}):([0-9]{2})(?::([0-9]{2}))?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse(source: Source) -> Node:
    """Parse one expression.

    Raises:
        PlanError: with file, line and column, for anything that the grammar does not allow.
    """
    return _Parser(source).whole()


class _Parser:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._tokens = tokens(source)
        self._next = 0
        self._depth = 0

    def whole(self) -> Node:
        if self._peek.kind == "end":
            raise self._source.error(0, "the expression is empty")
        node = self._or()
        if self._peek.kind != "end":
            raise self._after(node)
        return node

    # -- tokens

    @property
    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._tokens[self._next]
        if token.kind != "end":
            self._next += 1
        return token

    def _skip(self, *kinds: str) -> bool:
        """Step over these tokens if exactly they come next."""
        coming = self._tokens[self._next : self._next + len(kinds)]
        if tuple(token.kind for token in coming) != kinds:
            return False
        self._next += len(kinds)
        return True

    def _expect(self, kind: str, *, after: PlanError) -> Token:
        if self._peek.kind != kind:
            raise self._unexpected("{allowed} must follow {after}, got {got}", allowed=kind, after=after)
        return self._take()

    def _unexpected(self, what: str, /, **values: object) -> PlanError:
        token = self._peek
        return self._source.error(token.at, what, got=token.shown(), **values)

    def _after(self, node: Node) -> PlanError:
        token = self._peek
        if token.kind in _COMPARISONS and isinstance(node, Compare | Between):
            return self._source.error(
                token.at,
                "comparisons do not chain; write x between a and b, or join two comparisons with and",
            )
        small = str(token.value).lower()
        hint = (
            phrase(" (write {meant} instead)", meant=small)
            if small in KEYWORDS and token.kind == "name"
            else ""
        )
        return self._unexpected(
            "an operator, and, or, or the end must stand here, got {got}{hint}", hint=hint
        )

    def _deeper(self, at: int, rule: Callable[[], Node]) -> Node:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._source.error(
                at,
                "nested deeper than {limit} levels",
                limit=MAX_DEPTH,
            )
        node = rule()
        self._depth -= 1
        return node

    # -- conditions

    def _or(self) -> Node:
        return self._joined("or", self._and)

    def _and(self) -> Node:
        return self._joined("and", self._not)

    def _joined(self, word: str, part: Callable[[], Node]) -> Node:
        at = self._peek.at
        parts = [part()]
        while self._skip(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Joined(word, tuple(parts), at)

    def _not(self) -> Node:
        at = self._peek.at
        if self._skip("not"):
            return Not(self._deeper(at, self._not), at)
        return self._test()

    def _test(self) -> Node:
        left = self._sum()
        token = self._peek
        if token.kind in _COMPARISONS:
            self._take()
            return Compare(token.kind, left, self._sum(), token.at)
        if self._skip("is", "not", "missing"):
            return Not(IsMissing(left, token.at), token.at)
        if self._skip("is", "missing"):
            return IsMissing(left, token.at)
        if token.kind == "is":
            self._take()
            raise self._unexpected("missing or not missing must follow is, got {got}")
        negated = self._skip("not")
        if self._skip("between"):
            return self._negated(self._between(left, token.at), negated, token.at)
        if self._skip("in"):
            return self._negated(self._in(left, token.at), negated, token.at)
        if negated:
            raise self._unexpected("in or between must follow not here, got {got}")
        return left

    @staticmethod
    def _negated(node: Node, negated: bool, at: int) -> Node:
        return Not(node, at) if negated else node

    def _between(self, operand: Node, at: int) -> Node:
        low = self._sum()
        self._expect("and", after=phrase("the lower end of between"))
        return Between(operand, low, self._sum(), at)

    def _in(self, operand: Node, at: int) -> Node:
        token = self._peek
        if token.kind == "name":
            self._take()
            return InField(operand, Field(str(token.value), token.at), at)
        if token.kind != "[":
            raise self._unexpected("a list in [ ] or the name of a list must follow in, got {got}")
        self._take()
        items = [self._item()]
        while self._skip(","):
            if self._peek.kind == "]":
                break
            items.append(self._item())
        self._expect("]", after=phrase("the list"))
        return In(operand, tuple(items), at)

    def _item(self) -> Literal:
        at = self._peek.at
        negative = self._skip("-")
        node = self._atom() if self._peek.kind in {"number", "text", "true", "false", "name"} else None
        if not isinstance(node, Literal) or (negative and node.type != "number"):
            raise self._source.error(at, "a list holds numbers, texts, dates and times only")
        return Literal(-node.value, "number", at) if negative and not isinstance(node.value, str) else node

    # -- numbers

    def _sum(self) -> Node:
        at = self._peek.at
        first = self._product()
        rest: list[tuple[str, Node]] = []
        while self._peek.kind in {"+", "-"}:
            sign = self._take().kind
            rest.append((sign, self._product()))
        return Sum(first, tuple(rest), at) if rest else first

    def _product(self) -> Node:
        at = self._peek.at
        first = self._unary()
        rest: list[tuple[str, Node]] = []
        while self._peek.kind in {"*", "/"}:
            sign = self._take().kind
            rest.append((sign, self._unary()))
        return Product(first, tuple(rest), at) if rest else first

    def _unary(self) -> Node:
        at = self._peek.at
        if not self._skip("-"):
            return self._atom()
        operand = self._deeper(at, self._unary)
        if isinstance(operand, Literal) and isinstance(operand.value, int | float) and operand.value > 0:
            return Literal(-operand.value, operand.type, at)
        return Minus(operand, at)

    def _atom(self) -> Node:
        token = self._take()
        match token.kind:
            case "number" | "text":
                return Literal(token.value, token.kind, token.at)
            case "true" | "false":
                return Literal(token.kind == "true", "boolean", token.at)
            case "name" if self._peek.kind == "(":
                return self._call(token)
            case "name":
                return Field(str(token.value), token.at)
            case "(":
                node = self._deeper(token.at, self._or)
                self._expect(")", after=phrase("what was opened with ("))
                return node
        raise self._source.error(
            token.at,
            "a value must stand here, got {got}",
            got=token.shown(),
        )

    def _call(self, name: Token) -> Node:
        self._take()
        if name.value in {"date", "time"}:
            return self._moment(name)
        if name.value not in FUNCTIONS:
            raise self._source.error(
                name.at,
                "there is no function {got}{hint}",
                got=show(name.value),
                hint=near_hint(str(name.value), [*FUNCTIONS, "date", "time"]),
            )
        arguments: list[Node] = []
        if self._peek.kind != ")":
            arguments.append(self._deeper(name.at, self._or))
            while self._skip(","):
                arguments.append(self._deeper(name.at, self._or))
        self._expect(")", after=phrase("the arguments"))
        return Call(str(name.value), tuple(arguments), name.at)

    def _moment(self, name: Token) -> Literal:
        token = self._take()
        kind = str(name.value)
        value = None
        if token.kind == "text":
            value = (days_of if kind == "date" else seconds_of)(str(token.value))
        if value is None:
            raise self._source.error(
                token.at,
                "{kind} takes a text such as {allowed}, got {got}",
                kind=kind,
                allowed='"2026-01-31"' if kind == "date" else '"23:30"',
                got=token.shown(),
            )
        self._expect(")", after=phrase("{kind} and its text", kind=kind))
        return Literal(value, kind, name.at)


def days_of(text: str) -> int | None:
    """The day number (1 = 1 January of year 1) of an ISO date, or None when it is not one."""
    if not _DATE.fullmatch(text):
        return None
    try:
        return datetime.date.fromisoformat(text).toordinal()
    except ValueError:  # such as 30 February
        return None


def seconds_of(text: str) -> int | None:
    """Seconds since midnight of ``HH:MM`` or ``HH:MM:SS``, or None when it is not one."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds = int(found[1]), int(found[2]), int(found[3] or 0)
    return hours * 3600 + minutes * 60 + seconds if hours < 24 and minutes < 60 and seconds < 60 else None
