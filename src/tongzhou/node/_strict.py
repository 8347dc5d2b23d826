"""Reading a TOML file into msgspec structs with sentences a person can act on.

The struct is the table of legal values: its annotations (`msgspec.Meta`) hold type, bounds, choices and
meaning, and one walker here turns any violation into a `PlanError` that names file, line and key, what is
allowed, what was got, and a near name when a key is misspelt. The same annotations feed the manual.
"""

import math
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeVar, cast

from msgspec import NODEFAULT, inspect

from tongzhou.errors import PlanError
from tongzhou.parties.names import near_name

__all__ = ["Place", "convert", "parse_toml"]

T = TypeVar("T")

# A value in a sentence is shortened to this many characters: the reader has the file before them.
_SHOWN = 40
_HEADER = re.compile(r"^\s*\[\s*([^\[\]]+?)\s*\]")
_ENTRY = re.compile(
    r"""^\s*((?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*="""
)
_PART = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([^.\s"']+))\s*\.?""")
_POSITION = re.compile(
    r"^(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$"
)

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file a value stands.

    Attributes:
        file: the name shown to the reader.
        path: keys from the top of the document down to the value.
        lines: line number of each key path that has a line of its own.
    """

    file: str
    path: Path = ()
    lines: Mapping[Path, int] = field(default_factory=dict)

    def at(self, *keys: str) -> "Place":
        """The place `keys` further down."""
        return Place(self.file, (*self.path, *keys), self.lines)

    @property
    def key(self) -> str:
        """The dotted key."""
        return ".".join(self.path)

    def __str__(self) -> str:
        """``file:line`` of the nearest key that has a line, else the file."""
        for length in range(len(self.path), 0, -1):
            line = self.lines.get(self.path[:length])
            if line is not None:
                return f"{self.file}:{line}"
        return self.file


def parse_toml(text: str, file: str) -> tuple[dict[str, Any], Place]:
    """Parse TOML and remember on which line each key stands.

    Args:
        text: the document.
        file: its name, for sentences.

    Returns:
        The document and its top place.

    Raises:
        PlanError: malformed TOML, with line and column.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _POSITION.match(str(error))
        if found is None or found["line"] is None:
            what = found["what"] if found else str(error)
            raise PlanError(
                "{file}: not valid TOML at the end of the file: {what}", file=file, what=what
            ) from error
        raise PlanError(
            "{file}, line {line}, column {column}: not valid TOML: {what}",
            file=file,
            line=int(found["line"]),
            column=int(found["column"]),
            what=found["what"],
        ) from error
    return document, Place(file, (), _line_numbers(text))


def convert(raw: object, struct: type[T], place: Place) -> T:
    """Build `struct` from plain values, checking every key against its annotations.

    Args:
        raw: what the file holds at `place`.
        struct: a `msgspec.Struct` class.
        place: where `raw` stands.

    Raises:
        PlanError: unknown or missing key, wrong type, value out of range.
    """
    # type_info of a Struct class is always a StructType; its annotation is the wider Type.
    return cast(T, _struct(raw, cast(inspect.StructType, inspect.type_info(struct)), place))


def _line_numbers(text: str) -> dict[Path, int]:
    lines: dict[Path, int] = {}
    section: Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            section = _split(header[1])
            lines.setdefault(section, number)
        elif entry := _ENTRY.match(line):
            path = (*section, *_split(entry[1]))
            for length in range(len(section) + 1, len(path) + 1):
                lines.setdefault(path[:length], number)
    return lines


def _split(dotted: str) -> Path:
    return tuple(
        next(part for part in match.groups() if part is not None) for match in _PART.finditer(dotted)
    )


def _show(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a section"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def _struct(raw: object, kind: inspect.StructType, place: Place) -> object:
    if not isinstance(raw, dict):
        raise PlanError(
            "{where}: {key} must be a section, got {got}", where=place, key=place.key, got=_show(raw)
        )
    known = [item.encode_name for item in kind.fields]
    for key in raw:
        if key not in known:
            _unknown(key, known, place)
    built: dict[str, object] = {}
    for item in kind.fields:
        here = place.at(item.encode_name)
        if item.encode_name in raw:
            built[item.name] = _value(raw[item.encode_name], item.type, here)
        elif item.required:
            raise PlanError("{where}: {key} is missing", where=place, key=here.key)
        elif item.default is NODEFAULT and isinstance(_bare(item.type), inspect.StructType):
            built[item.name] = _value({}, item.type, here)
    return kind.cls(**built)


def _unknown(key: str, known: list[str], place: Place) -> NoReturn:
    here = place.at(key)
    hint = near_name(key, known)
    if hint is not None:
        raise PlanError(
            "{where}: unknown key {key}; did you mean {near}?",
            where=here,
            key=here.key,
            near=place.at(hint).key,
        )
    raise PlanError(
        "{where}: unknown key {key}; allowed here: {allowed}",
        where=here,
        key=here.key,
        allowed=", ".join(known),
    )


def _bare(kind: inspect.Type) -> inspect.Type:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _value(raw: object, kind: inspect.Type, place: Place) -> object:
    kind = _bare(kind)
    if isinstance(kind, inspect.UnionType):
        # The only union in our files is "text or absent"; TOML cannot write an absent value.
        kind = next(option for option in map(_bare, kind.types) if not isinstance(option, inspect.NoneType))
    return _CHECKS[type(kind)](raw, kind, place)


def _text(raw: object, kind: inspect.StrType, place: Place) -> str:
    if not isinstance(raw, str):
        raise PlanError(
            "{where}: {key} must be text in quotes, got {got}", where=place, key=place.key, got=_show(raw)
        )
    if kind.pattern is not None and not re.search(kind.pattern, raw):
        raise PlanError(
            "{where}: {key} must be a name of small letters, digits, '-', '_' and '.', got {got}",
            where=place,
            key=place.key,
            got=_show(raw),
        )
    low, high = kind.min_length or 0, kind.max_length or 10_000
    if not low <= len(raw) <= high:
        raise PlanError(
            "{where}: {key} must have {low} to {high} characters, got {got}",
            where=place,
            key=place.key,
            low=low,
            high=high,
            got=len(raw),
        )
    return raw


def _choice(raw: object, kind: inspect.LiteralType, place: Place) -> object:
    if raw in kind.values:
        return raw
    choices = [str(value) for value in kind.values]
    if isinstance(raw, str) and (hint := near_name(raw, choices)) is not None:
        raise PlanError(
            "{where}: {key} must be one of {choices}, got {got}; did you mean {near}?",
            where=place,
            key=place.key,
            choices=", ".join(choices),
            got=_show(raw),
            near=hint,
        )
    raise PlanError(
        "{where}: {key} must be one of {choices}, got {got}",
        where=place,
        key=place.key,
        choices=", ".join(choices),
        got=_show(raw),
    )


def _integer(raw: object, kind: inspect.IntType, place: Place) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool):
        raise PlanError(
            "{where}: {key} must be a whole number, got {got}", where=place, key=place.key, got=_show(raw)
        )
    _bounded(raw, kind, place)
    return raw


def _number(raw: object, kind: inspect.FloatType, place: Place) -> float:
    if not isinstance(raw, (int, float)) or isinstance(raw, bool) or not math.isfinite(raw):
        raise PlanError(
            "{where}: {key} must be a number, got {got}", where=place, key=place.key, got=_show(raw)
        )
    _bounded(raw, kind, place)
    return float(raw)


def _bounded(raw: float, kind: inspect.IntType | inspect.FloatType, place: Place) -> None:
    low = -math.inf if kind.ge is None else kind.ge
    high = math.inf if kind.le is None else kind.le
    if not low <= raw <= high:
        raise PlanError(
            "{where}: {key} must be from {low} to {high}, got {got}",
            where=place,
            key=place.key,
            low=low,
            high=high,
            got=_show(raw),
        )


def _flag(raw: object, _kind: inspect.BoolType, place: Place) -> bool:
    if not isinstance(raw, bool):
        raise PlanError(
            "{where}: {key} must be true or false, got {got}", where=place, key=place.key, got=_show(raw)
        )
    return raw


def _list(raw: object, kind: inspect.VarTupleType, place: Place) -> tuple[object, ...]:
    if not isinstance(raw, list):
        raise PlanError(
            "{where}: {key} must be a list, got {got}", where=place, key=place.key, got=_show(raw)
        )
    low, high = kind.min_length or 0, kind.max_length or 10_000
    if not low <= len(raw) <= high:
        raise PlanError(
            "{where}: {key} must have {low} to {high} entries, got {got}",
            where=place,
            key=place.key,
            low=low,
            high=high,
            got=len(raw),
        )
    return tuple(_value(item, kind.item_type, place) for item in raw)


def _mapping(raw: object, kind: inspect.DictType, place: Place) -> dict[str, object]:
    if not isinstance(raw, dict):
        raise PlanError(
            "{where}: {key} must be a section, got {got}", where=place, key=place.key, got=_show(raw)
        )
    return {key: _value(value, kind.value_type, place.at(key)) for key, value in raw.items()}


_CHECKS: dict[type[inspect.Type], Callable[[Any, Any, Place], object]] = {
    inspect.StrType: _text,
    inspect.LiteralType: _choice,
    inspect.IntType: _integer,
    inspect.FloatType: _number,
    inspect.BoolType: _flag,
    inspect.VarTupleType: _list,
    inspect.DictType: _mapping,
    inspect.StructType: _struct,
}
