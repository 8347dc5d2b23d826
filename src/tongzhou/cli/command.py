"""How a verb becomes a command: each takes ``--home``, ``--lang`` and ``--json``, and gets a `Terminal`."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec

import typer

from tongzhou.cli.terminal import Manner, Terminal

__all__ = ["comma_list", "command", "noun"]

P = ParamSpec("P")

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
_LANG = Annotated[
    str | None,
    typer.Option(
        "--lang",
        envvar="TONGZHOU_LANG",
        metavar="en|zh",
        help="Language of sentences (default: the locale's).",
        rich_help_panel=_PANEL,
    ),
]
_JSON = Annotated[
    bool, typer.Option("--json", help="Print one JSON document instead of words.", rich_help_panel=_PANEL)
]
_COMMON = {"home": _HOME, "lang": _LANG, "as_json": _JSON}
_DEFAULTS = {"home": None, "lang": None, "as_json": False}


def noun(name: str, meaning: str) -> typer.Typer:
    """An empty group of verbs.

    Args:
        name: the noun.
        meaning: one line of help.
    """
    return typer.Typer(name=name, help=meaning, no_args_is_help=True, rich_markup_mode="rich")


def command(
    app: typer.Typer, name: str
) -> Callable[[Callable[Concatenate[Terminal, P], None]], Callable[Concatenate[Terminal, P], None]]:
    """Add a function as a command of `app`.

    The function's first parameter is its `Terminal`; the others are Typer parameters. Its docstring is the
    help text. The three common options are added to the command's signature, so that they can stand after
    the verb, where people put them, and are completed and explained like the others.

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
        app.command(name)(run)
        return function

    return decorate


def comma_list(values: list[str] | None) -> list[str]:
    """Values given one by one or with commas between, as one list without blanks.

    Args:
        values: what a repeatable option collected.
    """
    return [part.strip() for value in values or [] for part in value.split(",") if part.strip()]
