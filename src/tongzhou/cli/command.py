"""How a verb becomes a command: each takes ``--home``, ``--lang`` and ``--json``, and gets a `Terminal`.

Nouns take ``--lang`` too, so that it may stand anywhere on the command line.
"""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from tongzhou.cli.language import SpokenCommand, SpokenGroup
from tongzhou.cli.terminal import Manner, Terminal

__all__ = ["LangOption", "comma_list", "command", "noun", "show_help"]

P = ParamSpec("P")


def _last_said(context: typer.Context, value: str | None) -> str | None:
    """The language said here, else the one said further to the left; contexts inherit the object."""
    if value is not None:
        context.obj = value
    said: str | None = context.obj
    return said


_PANEL = "Every command"
_HOME = Annotated[
    Path | None,
    typer.Option(
        "--home",
        envvar="TONGZHOU_HOME",
        metavar="DIR",
        help="Folder of the institution (default ~/.tongzhou).",
        rich_help_panel=_PANEL,
    ),
]
LangOption = Annotated[
    str | None,
    typer.Option(
        "--lang",
        metavar="en|zh",
        help="Language of words (default: TONGZHOU_LANG, else the locale's).",
        rich_help_panel=_PANEL,
        callback=_last_said,
    ),
]
"""The option that chooses the language; the same at every place where it may stand."""

_JSON = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of words.", rich_help_panel=_PANEL)
]
_COMMON = {"home": _HOME, "lang": LangOption, "as_json": _JSON}
_DEFAULTS = {"home": None, "lang": None, "as_json": False}


def noun(name: str, meaning: str) -> typer.Typer:
    """An empty group of verbs.

    Args:
        name: the noun.
        meaning: one line of help.
    """
    return typer.Typer(
        name=name,
        cls=SpokenGroup,
        help=meaning,
        callback=_noun,
        invoke_without_command=True,
        rich_markup_mode="rich",
    )


def _noun(context: typer.Context, lang: LangOption = None) -> None:
    show_help(context)


def show_help(context: typer.Context) -> None:
    """Show a group's help when no verb was given.

    Args:
        context: that of the group.

    Raises:
        typer.Exit: after the help, as for a wrong command line.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit(2)


def command(
    app: typer.Typer, name: str
) -> Callable[[Callable[Concatenate[Terminal, P], None]], Callable[Concatenate[Terminal, P], None]]:
    """Add a function as a command of `app`.

    The function's first parameter is its `Terminal`; the others are Typer parameters. Its docstring is the
    help text; the Chinese of that and of the options' helps stands in the catalogue of the terminal. The
    three common options are added to the command's signature, so that they can stand after the verb, where
    people put them, and are completed and explained like the others.

    Args:
        app: the group.
        name: the verb.

    Returns:
        A decorator that returns the function unchanged, so that tests and other commands can call it.
    """

    def decorate(
        function: Callable[Concatenate[Terminal, P], None],
    ) -> Callable[Concatenate[Terminal, P], None]:
        own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
        common = [
            inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=_DEFAULTS[key], annotation=kind)
            for key, kind in _COMMON.items()
        ]

        @functools.wraps(function)
        def run(**values: Any) -> None:
            manner = Manner.choose(values.pop("home"), values.pop("lang"), json=values.pop("as_json"))
            with Terminal(manner) as terminal:
                function(terminal, **values)  # type: ignore[call-arg]

        # Typer reads both the signature and the annotations.
        keyword = [item.replace(kind=inspect.Parameter.KEYWORD_ONLY) for item in own]
        run.__signature__ = inspect.Signature([*keyword, *common])  # type: ignore[attr-defined]
        run.__annotations__ = {item.name: item.annotation for item in (*keyword, *common)}
        app.command(name, cls=SpokenCommand)(run)
        return function

    return decorate


def comma_list(values: list[str] | None) -> list[str]:
    """Values given one by one or with commas between, as one list without blanks.

    Args:
        values: what a repeatable option collected.
    """
    return [part.strip() for value in values or [] for part in value.split(",") if part.strip()]
