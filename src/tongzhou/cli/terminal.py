"""What a command speaks through: words for people in their language, or one JSON document for machines."""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn, Protocol, Self, cast

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.status import Status
from rich.table import Table

from tongzhou.data.findings import Finding
from tongzhou.errors import PlanError, TongzhouError
from tongzhou.i18n import LANGUAGES, Sayable, detect_language, resay, say, translator
from tongzhou.node.home import Home

__all__ = ["Manner", "Sentence", "Terminal", "default_home", "error_kind"]

# Columns when the output goes into a file or a pipe: nothing is wrapped that a later program will read.
_PIPE_WIDTH = 200
_KINDS: dict[str, type[TongzhouError]] = {
    kind.__name__.removesuffix("Error").lower(): kind for kind in TongzhouError.__subclasses__()
}


def default_home() -> Path:
    """The institution folder used when neither ``--home`` nor TONGZHOU_HOME names one."""
    return Path.home() / ".tongzhou"


class Sentence(Protocol):
    """Anything that holds a sentence as template and values: an error, a finding."""

    @property
    def template(self) -> str:
        """English template; also the key of its translation."""

    @property
    def values(self) -> Mapping[str, object]:
        """What fills its fields."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How to speak, and for which institution.

    Attributes:
        folder: the institution's folder.
        lang: language of sentences.
        json: whether machines read the output.
    """

    folder: Path
    lang: str = LANGUAGES[0]
    json: bool = False

    def sentence(self, thing: Sentence) -> str:
        """The sentence of an error or a finding in this language, whichever room it comes from."""
        return say(cast(Sayable, thing), self.lang)

    @classmethod
    def choose(
        cls, home: Path | None, lang: str | None, *, json: bool, environ: Mapping[str, str] = os.environ
    ) -> Self:
        """Fill what was not said from the environment.

        Raises:
            PlanError: an unknown language.
        """
        if lang is not None and lang not in LANGUAGES:
            raise PlanError(
                "--lang must be one of {choices}, got {got}", choices=", ".join(LANGUAGES), got=lang
            )
        folder = home or Path(environ.get("TONGZHOU_HOME") or default_home())
        return cls(folder, lang or detect_language(environ), json)


@dataclass
class Terminal:
    """One command's way to speak. In JSON manner only `result` prints; otherwise only the others do."""

    manner: Manner
    _homes: list[Home] = field(default_factory=list)

    def __enter__(self) -> Self:
        """The terminal itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the institution folder, if it was opened."""
        while self._homes:
            self._homes.pop().close()

    @property
    def folder(self) -> Path:
        """Where the institution's folder is, or would be made."""
        return self.manner.folder

    @cached_property
    def home(self) -> Home:
        """The opened institution folder.

        Raises:
            NotFoundError: the folder is not one of an institution.
        """
        home = Home.open(self.manner.folder)
        self._homes.append(home)
        return home

    @cached_property
    def console(self) -> Console:
        """Where people read; quiet when machines do."""
        width = None if sys.stdout.isatty() else _PIPE_WIDTH
        return Console(file=sys.stdout, quiet=self.manner.json, highlight=False, width=width)

    def word(self, text: str) -> str:
        """A word or template of the terminal in the reader's language."""
        return translator(self.manner.lang, "cli")(text)

    def resay(self, sentence: str) -> str:
        """A finished English sentence, stored or sent by somebody else, in the reader's language."""
        return resay(sentence, self.manner.lang)

    def step(self, name: str) -> str:
        """Name of a step of a job for people; in English it is the name itself."""
        return self.word(f"step {name}").removeprefix("step ")

    def result(self, data: object) -> None:
        """Print the command's result as one JSON document, if machines read."""
        if self.manner.json:
            text = msgspec.json.format(msgspec.json.encode(data, enc_hook=_plain), indent=2)
            sys.stdout.write(text.decode() + "\n")

    def flag(self, value: bool) -> str:
        """Yes or no in the reader's language."""
        return self.word("yes") if value else self.word("no")

    def refuse(self, error: TongzhouError, findings: Sequence[Finding]) -> NoReturn:
        """End the command with an error after its findings were shown; machines get both in one document.

        Raises:
            TongzhouError: `error`, when people read.
            typer.Exit: with its exit code, when machines read.
        """
        if not self.manner.json:
            raise error
        self.result(
            {
                "error": {"kind": error_kind(error), "sentence": self.manner.sentence(error)},
                "findings": self.findings(findings),
            }
        )
        raise typer.Exit(error.exit_code)

    def findings(self, findings: Sequence[Finding]) -> list[dict[str, object]]:
        """Findings for machines: every field, and the sentence in the reader's language."""
        return [{**msgspec.to_builtins(one), "sentence": self.manner.sentence(one)} for one in findings]

    def show_findings(self, findings: Sequence[Finding]) -> None:
        """Print findings for people, a row each."""
        if findings:
            rows = [[self.word(one.severity), one.rule, self.manner.sentence(one)] for one in findings]
            self.table(["severity", "rule", "finding"], rows)

    def say(self, template: str, /, **values: object) -> None:
        """Print one sentence for people.

        Args:
            template: English template with ``{fields}``; also the key of its translation.
            values: what fills them.
        """
        self.console.print(escape(self.word(template).format(**values)), soft_wrap=True)

    def text(self, text: str) -> None:
        """Print text as it is, for people."""
        self.console.print(text, markup=False, soft_wrap=True)

    def heading(self, template: str) -> None:
        """Begin a part of a longer story."""
        self.console.print(f"\n[bold cyan]{escape(self.word(template))}[/]", soft_wrap=True)

    def waiting(self, template: str) -> Status:
        """A sign of life while something takes a while; use it in a ``with`` block."""
        return self.console.status(escape(self.word(template)))

    @property
    def is_interactive(self) -> bool:
        """Whether a person sits at it and can answer."""
        return not self.manner.json and sys.stdin.isatty()

    def flush(self) -> None:
        """Let a reader of a pipe see what was printed so far."""
        sys.stdout.flush()

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Print a table for people.

        Args:
            headers: English words; their translations are shown.
            rows: cells; None shows as nothing, numbers stand to the right.
        """
        if not rows:
            self.say("none yet")
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for position, header in enumerate(headers):
            numbers = bool(rows) and all(_is_number(row[position]) for row in rows)
            table.add_column(self.word(header), justify="right" if numbers else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_cell(value) for value in row))
        self.console.print(table)


def error_kind(error: Exception) -> str:
    """The kind of an error in one word, for machines: ``data``, ``plan``, ``grant`` and so on.

    Kinds go with exit codes, so that an error of the evidence room, which knows none of ours, has one too.
    """
    code = getattr(error, "exit_code", TongzhouError.exit_code)
    return next((name for name, kind in _KINDS.items() if kind.exit_code == code), "error")


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.6g}"
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:,.0f}"
    return escape(str(value))


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"no JSON form for {type(value).__name__}")
