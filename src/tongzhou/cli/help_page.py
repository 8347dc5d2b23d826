"""The page that ``--help`` prints, in the reader's language.

Typer's own page says some words in English whatever the texts are, and cuts a Chinese sentence off where no
space lets it break the line. So the page is laid out here, from what the command tells about itself.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tongzhou.i18n import translator

__all__ = ["EXAMPLE", "render_help", "wrap"]

EXAMPLE = "Example: "
"""What the paragraph of a docstring begins with that shows how the command is used."""

# A line may break between words, and between Chinese characters but not before closing punctuation.
_PIECE = re.compile(r"[（“「]*(?:[!-~]+|[^\x00-\x7f])[，。；：、！？）”」]*\s*")
_NARROWEST = 20


def wrap(text: str, width: int) -> Iterator[str]:
    """Break a text into lines.

    Args:
        text: words, Chinese characters or both, in one line.
        width: most columns of a line; a Chinese character takes two.

    Yields:
        The lines; longer than `width` only where a single word is.
    """
    line = ""
    for piece in _PIECE.findall(text):
        if line and cell_len(line) + cell_len(piece.rstrip()) > width:
            yield line.rstrip()
            line = ""
        line += piece
    yield line.rstrip()


@dataclass(frozen=True)
class _Wrapped:
    """A text that Rich lays out by our rules for breaking lines."""

    text: str
    style: str = ""

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(_NARROWEST, max(_NARROWEST, cell_len(self.text))).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in wrap(self.text, options.max_width):
            yield Text(line, style=self.style, overflow="fold")


def render_help(command: Any, context: typer.Context, lang: str) -> str:
    """Lay out the help of a command or of a group.

    Args:
        command: the command, its texts in the language already.
        context: where it stands on the command line.
        lang: language of the words around them.

    Returns:
        The page, with colours where the terminal has them.
    """
    word = translator(lang, "cli")
    console = Console(highlight=False)
    with console.capture() as page:
        console.print(Text(f"\n{command.get_usage(context)}\n", style="bold"))
        for position, paragraph in enumerate((command.help or "").split("\n\n")):
            console.print(_Wrapped(paragraph, "dim" if position else ""))
            console.print()
        for title, rows in _panels(command, context, lang).items():
            if rows:
                grid = Table.grid(padding=(0, 2))
                grid.add_column(style="bold cyan", no_wrap=True)
                grid.add_column(ratio=1)
                for label, text in rows:
                    grid.add_row(Text(label), _Wrapped(text))
                console.print(Panel(grid, title=word(title), title_align="left", border_style="dim"))
    return page.get()


def _panels(command: Any, context: typer.Context, lang: str) -> dict[str, list[tuple[str, str]]]:
    """Rows of each panel, by its English title, in the order of the page."""
    panels: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": [], "Commands": []}
    for item in command.get_params(context):
        is_argument = item.param_type_name == "argument"
        title = item.rich_help_panel or ("Arguments" if is_argument else "Options")
        label = item.get_help_record(context)[0]
        if is_argument:
            label = label.split(" ")[0]
        panels.setdefault(title, []).append((label, item.help + _notes(item, lang)))
    for name, child in getattr(command, "commands", {}).items():
        panels["Commands"].append((name, child.help.split("\n\n")[0]))
    return panels


def _notes(item: Any, lang: str) -> str:
    """What a parameter's help does not say: its bounds, its default, whether it must be given."""
    word = translator(lang, "cli")
    notes = []
    if item.min is not None and item.max is not None:
        notes.append(word(" ({low} to {high})").format(low=item.min, high=item.max))
    elif item.min is not None:
        notes.append(word(" (at least {low})").format(low=item.min))
    if item.envvar is not None:
        notes.append(word(" (variable: {name})").format(name=item.envvar))
    if item.required:
        notes.append(word(" (required)"))
    elif item.default not in (None, ()) and not (item.default is False or callable(item.default)):
        notes.append(word(" (default: {value})").format(value=item.default))
    return "".join(notes)
