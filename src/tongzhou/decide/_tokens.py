"""Text of an expression to tokens. Linear in the text's length, which is bounded."""

import re
from dataclasses import dataclass

from tongzhou.decide._source import Source, phrase, show
from tongzhou.errors import PlanError

__all__ = ["KEYWORDS", "MAX_LENGTH", "Token", "tokens"]

# A condition longer than this is not readable by an officer either; it also bounds all later work.
MAX_LENGTH = 2_000
# Fifteen significant digits are what a binary float holds of any decimal without loss.
MAX_DIGITS = 15
MAX_NUMBER = 1e15

KEYWORDS = frozenset({"and", "between", "false", "in", "is", "missing", "not", "or", "true"})

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<number>[0-9][0-9_]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?)
    | (?P<name>[^\W\d]\w*)
    | (?P<text>"(?:[^"\\]|\\["'\\])*"|'(?:[^'\\]|\\["'\\])*')
    | (?P<sign><=|>=|==|!=|<>|[-+*/()<>=,\[\]≤≥≠])
    """,
    re.VERBOSE,
)
_ESCAPE = re.compile(r"""\\(["'\\])""")
# Several spellings, one meaning.
_SAME = {"==": "=", "<>": "!=", "≠": "!=", "≤": "<=", "≥": ">="}
# What people type out of habit from other languages or a Chinese keyboard, and what is meant.
_MEANT = {
    "（": "(", "）": ")", "，": ",", "【": "[", "】": "]", "＝": "=", "＞": ">", "＜": "<", "＋": "+",
    "－": "-", "—": "-", "×": "*", "÷": "/", "“": '"', "”": '"', "‘": "'", "’": "'", "。": ".", "、": ",",
    "&": "and", "|": "or", "!": "not", "{": "[", "}": "]", ";": ",",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """One token.

    Attributes:
        kind: ``number``, ``text``, ``name``, ``end``, or the sign or keyword itself.
        at: offset of its first character.
        value: the number, the text without quotes and escapes, or the name.
    """

    kind: str
    at: int
    value: float | int | str = ""

    def shown(self) -> PlanError | str:
        """How a sentence names it."""
        if self.kind == "end":
            return phrase("the end")
        if self.kind in {"number", "text", "name"}:
            return show(self.value)
        return self.kind


def tokens(source: Source) -> list[Token]:
    """All tokens of an expression, closed by one of kind ``end``.

    Raises:
        PlanError: too long, a character without meaning, a number out of range; with line and column.
    """
    text = source.text
    if len(text) > MAX_LENGTH:
        raise source.error(
            0,
            "an expression may have at most {limit} characters, got {got}",
            limit=MAX_LENGTH,
            got=len(text),
        )
    found: list[Token] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _strange(source, at)
        token = _token(source, match)
        if token is not None:
            found.append(token)
        at = match.end()
    return [*found, Token("end", len(text))]


def _token(source: Source, match: re.Match[str]) -> Token | None:
    written, at = match[0], match.start()
    if match["space"] is not None:
        return None
    if match["number"] is not None:
        return Token("number", at, _number(source, match))
    if match["text"] is not None:
        return Token("text", at, _ESCAPE.sub(r"\1", written[1:-1]))
    if match["name"] is not None:
        return Token(written if written in KEYWORDS else "name", at, written)
    return Token(_SAME.get(written, written), at, written)


def _number(source: Source, match: re.Match[str]) -> float | int:
    written, at = match[0], match.start()
    after = source.text[match.end() : match.end() + 1]
    if after.isalnum() or after in {"_", "."} - {""}:
        raise source.error(
            at,
            "{got} is neither a number nor a name; a name begins with a letter",
            got=show(written + after),
        )
    digits = written.replace("_", "")
    mantissa = re.split("[eE]", digits)[0].replace(".", "").strip("0")
    # Checked before conversion: int() of very long digit strings is refused by Python itself.
    value = float(digits)
    if len(mantissa) > MAX_DIGITS or not value <= MAX_NUMBER:
        raise source.error(
            at,
            "a number has at most {digits} significant digits and is at most {limit}, got {got}",
            digits=MAX_DIGITS,
            limit="1e15",
            got=show(written),
        )
    return int(value) if value.is_integer() else value


def _strange(source: Source, at: int) -> PlanError:
    character = source.text[at]
    if character in "\"'":
        return source.error(
            at,
            "a text begins here and is not closed by {quote}, or holds a"
            " backslash that is not followed by a quote or a backslash",
            quote=character,
        )
    meant = _MEANT.get(character)
    return source.error(
        at,
        "the character {got} has no meaning here{hint}",
        got=show(character),
        hint=phrase(" (write {meant} instead)", meant=meant) if meant else "",
    )
