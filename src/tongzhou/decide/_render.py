"""A tree back to text, with as few parentheses as keep its meaning: parsing the text gives the tree again."""

import datetime

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

__all__ = ["clock", "render"]

# How tightly each kind binds; a looser part inside a tighter one is put in parentheses.
_OR, _AND, _NOT, _TEST, _SUM, _PRODUCT, _UNARY, _ATOM = range(8)


def render(node: Node) -> str:
    """The canonical text of an expression."""
    return _write(node)[0]


def clock(seconds: int) -> str:
    """A time of day as ``HH:MM``, with seconds only when there are any."""
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}"
    return f"{text}:{seconds % 60:02}" if seconds % 60 else text


def _in(node: Node, level: int) -> str:
    text, own = _write(node)
    return f"({text})" if own < level else text


def _write(node: Node) -> tuple[str, int]:  # noqa: PLR0911 - one return a kind of node
    match node:
        case Literal():
            return _literal(node), _ATOM if not _is_negative(node) else _UNARY
        case Field(name):
            return name, _ATOM
        case Call(name, arguments):
            return f"{name}({', '.join(render(argument) for argument in arguments)})", _ATOM
        case Minus(operand):
            return f"-{_in(operand, _ATOM)}", _UNARY
        case Product(first, rest):
            return _chain(first, rest, _UNARY), _PRODUCT
        case Sum(first, rest):
            return _chain(first, rest, _PRODUCT), _SUM
        case Not(operand):
            return _not(operand)
        case Joined("and", parts):
            return " and ".join(_in(part, _NOT) for part in parts), _AND
        case Joined(_, parts):
            return " or ".join(_in(part, _AND) for part in parts), _OR
        case _:
            return _test(node, ""), _TEST


def _test(node: Node, negation: str) -> str:
    match node:
        case Compare(sign, left, right):
            return f"{_in(left, _SUM)} {sign} {_in(right, _SUM)}"
        case Between(operand, low, high):
            return f"{_in(operand, _SUM)} {negation}between {_in(low, _SUM)} and {_in(high, _SUM)}"
        case In(operand, items):
            return f"{_in(operand, _SUM)} {negation}in [{', '.join(map(_literal, items))}]"
        case InField(operand, texts):
            return f"{_in(operand, _SUM)} {negation}in {texts.name}"
        case IsMissing(operand):
            return f"{_in(operand, _SUM)} is {negation}missing"
    raise TypeError(type(node))


def _not(operand: Node) -> tuple[str, int]:
    if isinstance(operand, Between | In | InField | IsMissing):
        return _test(operand, "not "), _TEST
    return f"not {_in(operand, _NOT)}", _NOT


def _chain(first: Node, rest: tuple[tuple[str, Node], ...], level: int) -> str:
    # a chain of the same kind on its own level would merge into this one
    return _in(first, level) + "".join(f" {sign} {_in(part, level)}" for sign, part in rest)


def _is_negative(node: Literal) -> bool:
    return node.type == "number" and isinstance(node.value, int | float) and node.value < 0


def _literal(node: Literal) -> str:
    value = node.value
    if node.type == "date":
        return f'date("{datetime.date.fromordinal(int(value)).isoformat()}")'
    if node.type == "time":
        return f'time("{clock(int(value))}")'
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)
