"""The expression language of strategy files: small, typed, total. Parsed by our own parser, never by Python.

An expression cannot loop, call out, read a clock or fail: over inputs of the declared types it is true,
false, or missing. The manual is ``docs/strategy-files.md``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tongzhou.decide._check import Known, check
from tongzhou.decide._compile import Test, compile_test
from tongzhou.decide._functions import FUNCTIONS
from tongzhou.decide._parser import MAX_DEPTH, parse
from tongzhou.decide._render import render
from tongzhou.decide._source import Source
from tongzhou.decide._syntax import Field, Joined, Node, Not, walk
from tongzhou.decide._tokens import KEYWORDS, MAX_LENGTH

__all__ = [
    "FUNCTIONS",
    "KEYWORDS",
    "MAX_DEPTH",
    "MAX_LENGTH",
    "TYPES",
    "Condition",
    "checked_condition",
    "parse_condition",
]

TYPES = ("number", "text", "boolean", "date", "time", "texts")
"""Types that an input may have; ``texts`` is a list of texts, ``time`` a time of day."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A checked condition.

    Attributes:
        text: as it was written.
        node: the tree (an implementation detail of the room).
        inputs: names that it reads, each once, in the order of first use.
    """

    text: str
    node: Node
    inputs: tuple[str, ...]

    def compile(self, slots: Mapping[str, int]) -> Test:
        """A function of a list of values; `slots` says at which index each name stands."""
        return compile_test(self.node, slots)

    def parts(self) -> tuple["Condition", ...]:
        """The conditions that ``and``, ``or`` and ``not`` join here; none for a single test."""
        if isinstance(self.node, Joined):
            return tuple(_condition(part) for part in self.node.parts)
        if isinstance(self.node, Not) and isinstance(self.node.operand, Joined | Not):
            return (_condition(self.node.operand),)
        return ()


def parse_condition(
    text: str, types: Mapping[str, str], *, file: str = "expression", source: Source | None = None
) -> Condition:
    """Parse and check one condition.

    Args:
        text: the condition, e.g. ``age between 18 and 70 and limit > 0``.
        types: type of each input by name, one of `TYPES`.
        file: name of the file it stands in, for sentences.
        source: text and exact place, where the caller knows it; instead of `file`.

    Raises:
        PlanError: with file, line and column: anything the grammar or the types do not allow.
    """
    names = {name: Known(kind) for name, kind in types.items()}
    return checked_condition(source or Source.plain(text, file), names)


def checked_condition(source: Source, names: Mapping[str, Known]) -> Condition:
    """Parse and check as `parse_condition` does, knowing also which texts an input may be."""
    node = parse(source)
    check(node, source, names, expected="boolean")
    return Condition(source.text, node, _inputs(node))


def _condition(node: Node) -> Condition:
    return Condition(render(node), node, _inputs(node))


def _inputs(node: Node) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.name for part in walk(node) if isinstance(part, Field)))
