"""The shapes of a parsed expression. Each node knows the offset it was written at; equality ignores it.

Sums, products and joined conditions are flat, so that the depth of a tree is bounded by the nesting that the
parser allows and never by the length of a chain.
"""

from dataclasses import dataclass, field

__all__ = [
    "Between",
    "Call",
    "Compare",
    "Field",
    "In",
    "InField",
    "IsMissing",
    "Joined",
    "Literal",
    "Minus",
    "Node",
    "Not",
    "Product",
    "Sum",
    "Type",
    "children",
    "walk",
]

# The types of the language, by the words that strategy files use.
Type = str


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, text, truth value, date (days, see `date.toordinal`) or time of day (seconds)."""

    value: float | int | str | bool
    type: Type
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Field:
    """An input, or the score, by its name."""

    name: str
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Minus:
    """``-x``."""

    operand: "Node"
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Sum:
    """``a + b - c``: first term, then sign and term."""

    first: "Node"
    rest: tuple[tuple[str, "Node"], ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Product:
    """``a * b / c``: first factor, then sign and factor."""

    first: "Node"
    rest: tuple[tuple[str, "Node"], ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """``a < b`` and its kin; `sign` is one of ``< <= > >= = !=``."""

    sign: str
    left: "Node"
    right: "Node"
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Between:
    """``x between low and high``, both ends included."""

    operand: "Node"
    low: "Node"
    high: "Node"
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class In:
    """``x in [a, b]``: membership in a written list."""

    operand: "Node"
    items: tuple[Literal, ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class InField:
    """``"a" in codes``: membership in an input that is a list of texts."""

    operand: "Node"
    texts: Field
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class IsMissing:
    """``x is missing``: the one test that is never itself missing."""

    operand: "Node"
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Not:
    """``not a``."""

    operand: "Node"
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Joined:
    """``a and b and c`` or ``a or b or c``; `word` is ``and`` or ``or``."""

    word: str
    parts: tuple["Node", ...]
    at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function applied."""

    name: str
    arguments: tuple["Node", ...]
    at: int = field(default=0, compare=False)


Node = (
    Literal
    | Field
    | Minus
    | Sum
    | Product
    | Compare
    | Between
    | In
    | InField
    | IsMissing
    | Not
    | Joined
    | Call
)


def children(node: Node) -> tuple[Node, ...]:  # noqa: PLR0911 - one return a kind of node
    """The nodes directly below one."""
    match node:
        case Minus(operand) | Not(operand) | IsMissing(operand) | In(operand):
            return (operand,)
        case Sum(first, rest) | Product(first, rest):
            return (first, *(part for _, part in rest))
        case Compare(_, left, right):
            return (left, right)
        case Between(operand, low, high):
            return (operand, low, high)
        case InField(operand, texts):
            return (operand, texts)
        case Joined(_, parts) | Call(_, parts):
            return parts
        case _:
            return ()


def walk(node: Node) -> list[Node]:
    """A node and all below it, in the order written."""
    found: list[Node] = [node]
    for child in children(node):
        found.extend(walk(child))
    return found
