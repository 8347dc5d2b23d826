"""TOML read strictly, remembering where every value stands, so that each error points at line and column.

The standard parser does the parsing and says what is malformed; the scanner here only walks over text that is
known to be valid TOML and notes positions.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tongzhou.decide._source import PLACE, Source, show
from tongzhou.errors import PlanError

__all__ = ["MAX_FILE_BYTES", "Document", "Path", "read_toml"]

# A strategy's file is read by people: a megabyte is thousands of rules.
MAX_FILE_BYTES = 1 << 20
# Deeper than anything a strategy holds; it keeps the standard parser's recursion far from its limit.
MAX_BRACKETS = 50

Path = tuple[str | int, ...]

_AT = re.compile(
    r"^(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$", re.S
)
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})|'
    r"'''.*?'''(?:'{0,2})|"
    r'"(?:[^"\\\n]|\\.)*"|'
    r"'[^'\n]*'",
    re.S,
)
_ESCAPE = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|x[0-9A-Fa-f]{2}|[ \t]*\n[ \t\n]*|.)", re.S)


@dataclass(frozen=True, slots=True)
class Document:
    r"""A parsed file.

    Attributes:
        file: its name, for sentences.
        text: with ``\n`` line ends and without a byte order mark.
        data: the values.
        spans: offsets in `text` where the value of each path begins and ends; of a table, its header.
    """

    file: str
    text: str
    data: dict[str, Any]
    spans: Mapping[Path, tuple[int, int]]

    def place(self, offset: int) -> tuple[int, int]:
        """Line and column, both from 1."""
        return _place(self.text, offset)

    def error(self, path: Path, template: str, /, **values: object) -> PlanError:
        """The error to raise for the value at `path`, or for the nearest one around it."""
        while path and path not in self.spans:
            path = path[:-1]
        line, column = self.place(self.spans[path][0] if path else 0)
        return PlanError(PLACE + template, file=self.file, line=line, column=column, **values)

    def source(self, path: Path) -> Source:
        """The text value at `path` as an expression whose errors point into this file."""
        text = self._value(path)
        start, end = self.spans[path]
        offsets = _offsets(self.text[start:end])
        if len(offsets) != len(text) + 1:  # never for valid TOML; then errors point at the value's beginning
            offsets = [0] * (len(text) + 1)
        return Source(text, self.file, lambda at: self.place(start + offsets[min(at, len(text))]))

    def _value(self, path: Path) -> str:
        value: Any = self.data
        for key in path:
            value = value[key]
        return str(value)


def read_toml(raw: bytes, file: str) -> Document:
    """Parse a file's bytes.

    Raises:
        PlanError: not UTF-8, too large, or not TOML; with line and column.
    """
    if len(raw) > MAX_FILE_BYTES:
        raise PlanError(
            "{file} must be at most {limit} bytes, got {got}", file=file, limit=MAX_FILE_BYTES, got=len(raw)
        )
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        column = error.start - (raw[: error.start].rfind(b"\n") + 1) + 1
        raise PlanError(
            PLACE + "the file must be UTF-8 text; save it again as UTF-8", file=file, line=line, column=column
        ) from error
    text = text.replace("\r\n", "\n")
    _bound_brackets(text, file)
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _malformed(error, text, file) from error
    return Document(file, text, data, _Scanner(text).spans)


def _bound_brackets(text: str, file: str) -> None:
    open_now = 0
    for at, character in enumerate(text):
        # Brackets inside texts count as well: the safe side, as fifty unclosed ones mean nothing here.
        open_now = max(0, open_now + (character in "[{") - (character in "]}"))
        if open_now > MAX_BRACKETS:
            line, column = _place(text, at)
            raise PlanError(
                PLACE + "brackets are nested deeper than {limit} levels",
                file=file,
                line=line,
                column=column,
                limit=MAX_BRACKETS,
            )


def _place(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _malformed(error: tomllib.TOMLDecodeError, text: str, file: str) -> PlanError:
    found = _AT.match(str(error))
    line, column = _place(text, len(text))
    if found and found["line"]:
        line, column = int(found["line"]), int(found["column"])
    what = show(found["what"] if found else str(error))
    return PlanError(PLACE + "not valid TOML: {what}", file=file, line=line, column=column, what=what)


class _Scanner:
    """Walks valid TOML and notes where each value begins and ends."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counts: dict[Path, int] = {}
        self.spans: dict[Path, tuple[int, int]] = {}
        table: Path = ()
        while True:
            self._blank()
            if self._at >= len(text):
                break
            table = self._header() if text[self._at] == "[" else self._entry(table)

    def _blank(self) -> None:
        found = _BLANK.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _header(self) -> Path:
        start = self._at
        double = self._text.startswith("[[", start)
        self._at += 2 if double else 1
        keys = self._keys()
        self._at += 2 if double else 1
        path = self._resolve(keys[:-1]) + keys[-1:]
        if double:
            index = self._counts[path] = self._counts.get(path, -1) + 1
            path = (*path, index)
        else:
            path = self._resolve(keys)
        self._mark(path, start)
        return path

    def _mark(self, path: Path, start: int) -> None:
        """Note where a table is first written, and the tables around it that have no header of their own."""
        for length in range(1, len(path) + 1):
            self.spans.setdefault(path[:length], (start, self._at))

    def _resolve(self, keys: Path) -> Path:
        """A header below an array of tables belongs to its last table."""
        path: Path = ()
        for key in keys:
            path = (*path, key)
            if path in self._counts:
                path = (*path, self._counts[path])
        return path

    def _entry(self, table: Path) -> Path:
        start = self._at
        path = table + self._keys()
        self._blank_line()
        self._at += 1  # the equals sign
        self._blank_line()
        self._mark(path, start)
        self._value(path)
        return table

    def _blank_line(self) -> None:
        while self._text[self._at : self._at + 1] in {" ", "\t"}:
            self._at += 1

    def _keys(self) -> Path:
        keys: list[str | int] = []
        while True:
            self._blank_line()
            found = (_BARE if self._text[self._at] not in "\"'" else _STRING).match(self._text, self._at)
            if found is None:
                return tuple(keys)
            self._at = found.end()
            keys.append(_plain(found[0]))
            self._blank_line()
            if self._text[self._at] != ".":
                return tuple(keys)
            self._at += 1

    def _value(self, path: Path) -> None:
        start = self._at
        first = self._text[start]
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline(path)
        else:
            pattern = _STRING if first in "\"'" else _SCALAR
            found = pattern.match(self._text, start)
            self._at = found.end() if found else start + 1
        self.spans[path] = (start, self._at)

    def _array(self, path: Path) -> None:
        self._at += 1
        for index in range(len(self._text)):
            self._blank()
            if self._text[self._at] == "]":
                break
            self._value((*path, index))
            self._blank()
            if self._text[self._at] == ",":
                self._at += 1
        self._at += 1

    def _inline(self, path: Path) -> None:
        self._at += 1
        while True:
            self._blank()
            if self._text[self._at] == "}":
                break
            self._entry(path)
            self._blank()
            if self._text[self._at] == ",":
                self._at += 1
        self._at += 1


def _plain(key: str) -> str:
    if key[:1] not in {'"', "'"}:
        return key
    return str(next(iter(tomllib.loads(f"{key} = 0"))))


def _offsets(raw: str) -> list[int]:
    """For each character of a decoded string value, its offset in the written form; and one for its end."""
    quote = raw[:3] if raw[:3] in {'"""', "'''"} else raw[:1]
    if quote[:1] not in {'"', "'"}:
        return [0]
    at, end = len(quote), len(raw) - len(quote)
    if len(quote) == 3 and raw[at : at + 1] == "\n":
        at += 1
    offsets = []
    while at < end:
        escape = _ESCAPE.match(raw, at) if quote[0] == '"' else None
        if escape is None:
            offsets.append(at)
            at += 1
            continue
        if "\n" not in escape[0]:  # a backslash at a line's end stands for nothing
            offsets.append(at)
        at = escape.end()
    return [*offsets, end]
