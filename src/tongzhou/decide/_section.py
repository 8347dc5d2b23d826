"""One table of a strategy's file, read key by key with sentences for what is missing, wrong or unknown."""

from dataclasses import dataclass, field
from typing import Any

from tongzhou.decide._source import Source, near_hint, phrase, show
from tongzhou.decide._toml import Document, Path
from tongzhou.errors import PlanError

__all__ = ["Section", "root"]

_KINDS: dict[type, str] = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    dict: "a section",
    list: "a list",
}


def root(document: Document) -> "Section":
    """The top table of a file."""
    return Section(document, (), document.data)


@dataclass(slots=True)
class Section:
    """A table, read key by key; what was not taken is unknown.

    Attributes:
        document: the file.
        path: where the table stands.
        data: its values.
    """

    document: Document
    path: Path
    data: dict[str, Any]
    _taken: set[str] = field(default_factory=set)

    def error(self, key: str, template: str, /, **values: object) -> PlanError:
        """The error for the value of a key."""
        return self.document.error((*self.path, key), template, **values)

    @property
    def line(self) -> int:
        """Line at which the table begins."""
        return self.document.place(self.document.spans[self.path][0])[0]

    def has(self, key: str) -> bool:
        """Whether the key is written."""
        return key in self.data

    def take(self, key: str, kind: type) -> Any:
        """The value of a key that must be there and of a type.

        Raises:
            PlanError: missing, or of another type.
        """
        self._taken.add(key)
        if key not in self.data:
            raise self.document.error(self.path, "{key} is missing{hint}", key=key, hint=self._misspelt(key))
        value = self.data[key]
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise self._wrong(key, _KINDS.get(kind, kind.__name__), value)
        return value

    def take_or(self, key: str, kind: type, default: Any) -> Any:
        """As `take`, with a value for when it is not written."""
        self._taken.add(key)
        return self.take(key, kind) if key in self.data else default

    def choose(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        """A text that must be one of a few."""
        value = self.take(key, str) if default is None else self.take_or(key, str, default)
        if value not in choices:
            raise self.error(
                key,
                "{key} must be one of {allowed}, got {got}{hint}",
                key=key,
                allowed=", ".join(choices),
                got=show(value) or '""',
                hint=near_hint(value, choices),
            )
        return str(value)

    def table(self, key: str) -> "Section":
        """A table below this one; empty when it is not written."""
        self._taken.add(key)
        value = self.data.get(key, {})
        if not isinstance(value, dict):
            raise self._wrong(key, "a section", value)
        return Section(self.document, (*self.path, key), value)

    def tables(self, key: str) -> list["Section"]:
        """An array of tables below this one; empty when it is not written."""
        self._taken.add(key)
        value = self.data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self._wrong(key, "sections", value)
        return [Section(self.document, (*self.path, key, index), item) for index, item in enumerate(value)]

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty when it is not written."""
        self._taken.add(key)
        value = self.data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self._wrong(key, "a list of texts", value)
        return tuple(value)

    def source(self, key: str) -> Source:
        """A text that is an expression."""
        self.take(key, str)
        return self.document.source((*self.path, key))

    def done(self) -> None:
        """Refuse keys that nobody asked for.

        Raises:
            PlanError: an unknown key, with the near name.
        """
        for key in self.data:
            if key not in self._taken:
                raise self.error(
                    key, "unknown key {key}{hint}", key=show(key), hint=near_hint(key, sorted(self._taken))
                )

    def _misspelt(self, key: str) -> PlanError | str:
        """A written key nobody knows and that is close to the missing one."""
        hint = near_hint(key, [written for written in self.data if written not in self._taken])
        return (
            phrase("; {near} is written here", near=hint.values["near"])
            if isinstance(hint, PlanError)
            else ""
        )

    def _wrong(self, key: str, allowed: str, value: object) -> PlanError:
        kind = _KINDS.get(type(value))
        return self.error(
            key,
            "{key} must be {allowed}, got {got}",
            key=key,
            allowed=phrase(allowed),
            got=phrase(kind) if kind else type(value).__name__,
        )
