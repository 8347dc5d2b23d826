"""The text of an expression together with where it stands in a file, so that every error points there."""

import difflib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tongzhou.errors import PlanError

__all__ = ["PLACE", "Source", "near_hint", "phrase", "show"]

# What a sentence quotes of a text is cut here: the reader has the file before them.
_SHOWN = 40

PLACE = "{file}, line {line}, column {column}: "
"""How every sentence about a strategy's files begins."""

Locator = Callable[[int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Source:
    """An expression's text and its place.

    Attributes:
        text: the expression.
        file: name of the file it stands in, for sentences.
        locate: turns an offset in `text` into line and column (both from 1) of the file.
    """

    text: str
    file: str
    locate: Locator

    @classmethod
    def plain(cls, text: str, file: str = "expression") -> "Source":
        """A source that stands alone: line 1, column 1 is the first character."""

        def locate(offset: int) -> tuple[int, int]:
            before = text[:offset]
            return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1

        return cls(text, file, locate)

    def error(self, offset: int, template: str, /, **values: object) -> PlanError:
        """The error to raise for what stands at `offset`; the place is put before `template`."""
        line, column = self.locate(offset)
        return PlanError(PLACE + template, file=self.file, line=line, column=column, **values)


def phrase(template: str, /, **values: object) -> PlanError:
    """A part of a sentence, in the shape of an error so that it is translated with the sentence around it."""
    return PlanError(template, **values)


def near_hint(name: str, known: Iterable[str]) -> PlanError | str:
    """Part of a sentence: the known name that is close to a misspelt one, or nothing."""
    found = difflib.get_close_matches(name[:100], list(known), n=1, cutoff=0.6)
    return phrase(" (did you mean {near}?)", near=found[0]) if found else ""


def show(value: object) -> str:
    """A short, printable rendering of a strategy author's own text."""
    text = str(value)
    text = "".join(c if c.isprintable() else f"<U+{ord(c):04X}>" for c in text[: _SHOWN + 1])
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"
