"""The command line itself in the reader's language: helps, and the parser's own sentences.

Commands are written in English: the docstring is the help, the option says its own. Here the finished tree
of commands is translated through the catalogue of the terminal, so that no command has to know of it. The
parser's sentences exist in English only; they are recognised by their words and said anew.
"""

from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from tongzhou.cli.help_page import EXAMPLE, render_help
from tongzhou.i18n import LANGUAGES, resay, translator

__all__ = ["SpokenCommand", "SpokenGroup", "StoppedError", "command_tree", "usage_sentence"]


class StoppedError(Exception):
    """Ctrl-C or SIGTERM met a command: its cause. The parser alone would end the process without a word."""


class _Spoken:
    """What commands and groups have in common: whom they speak to."""

    lang: str = LANGUAGES[0]

    def format_usage(self, ctx: typer.Context, formatter: Any) -> None:
        """Write the usage line."""
        pieces = ctx.command.collect_usage_pieces(ctx)
        formatter.write_usage(ctx.command_path, " ".join(pieces), translator(self.lang, "cli")("Usage: "))

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:
        """Write the help."""
        formatter.write(render_help(self, ctx, self.lang))


class SpokenCommand(_Spoken, TyperCommand):  # type: ignore[misc]
    """A command whose help can speak another language."""


class SpokenGroup(_Spoken, TyperGroup):  # type: ignore[misc]
    """A group of commands whose help can speak another language."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was named.

        Raises:
            StoppedError: it was interrupted.
        """
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise StoppedError from error


def command_tree(app: typer.Typer, lang: str) -> Any:
    """All commands of an application, their helps in a language.

    Args:
        app: the application, its groups and commands made with `SpokenGroup` and `SpokenCommand`.
        lang: ``"en"`` or ``"zh"``.

    Returns:
        The root command; a new one at each call.
    """
    root = typer.main.get_command(app)
    _translate(root, lang)
    return root


def _translate(command: Any, lang: str) -> None:
    word = translator(lang, "cli")
    command.lang = lang
    command.help = _help(command.help, word)
    command.options_metavar = word(command.options_metavar)
    # Asking for the option makes the command keep it.
    for item in (*command.params, command.get_help_option(typer.Context(command))):
        item.help = word(item.help)
    if isinstance(command, SpokenGroup):
        command.subcommand_metavar = word(command.subcommand_metavar)
        for child in command.commands.values():
            _translate(child, lang)


def _help(text: str, word: Callable[[str], str]) -> str:
    """Translate a docstring paragraph by paragraph; the example itself stays, for it is to be typed."""
    paragraphs = []
    for paragraph in text.split("\n\n"):
        line = " ".join(paragraph.split())
        if line.startswith(EXAMPLE):
            line = word("Example: {command}").format(command=line.removeprefix(EXAMPLE))
        paragraphs.append(word(line))
    return "\n\n".join(paragraphs)


def usage_sentence(sentence: str, lang: str) -> str:
    """Say in a language what is wrong with a command line.

    Args:
        sentence: what the parser says, in English.
        lang: ``"en"`` or ``"zh"``.

    Returns:
        One line without a full stop; in English when the sentence is not known.
    """
    line = " ".join(sentence.split()).rstrip(".").replace("Value error, ", "")
    return resay(line, lang)
