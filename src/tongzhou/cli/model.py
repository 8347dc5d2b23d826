"""``tongzhou model``: the scorecards the institution holds."""

import csv
import io
from pathlib import Path
from typing import Annotated, Literal

import typer

from tongzhou.cli.command import command, noun
from tongzhou.cli.terminal import Terminal
from tongzhou.node.files import write_file
from tongzhou.node.models import find_model, list_models
from tongzhou.risk.scorecard import Scorecard, to_json

__all__ = ["app", "export", "show"]

app = noun("model", "The scorecards that the institution holds.")

_Version = Annotated[
    str | None, typer.Option("--version", metavar="V", help="Version (default: the newest).")
]
_HEADER = ("variable", "owner", "bin", "woe", "coefficient", "points")


@command(app, "show")
def show(
    terminal: Terminal,
    name: Annotated[str | None, typer.Argument(metavar="[CARD]", help="Show this card.")] = None,
    version: _Version = None,
) -> None:
    """List the cards, or show one with the points of each bin.

    Example: tongzhou model show card-clients
    """
    if name is None:
        cards = list_models(terminal.home)
        terminal.result(
            {
                "models": [
                    {"name": card.name, "version": card.version, "created": card.created} for card in cards
                ]
            }
        )
        terminal.table(
            ["card", "version", "variables", "created"],
            [[card.name, card.version, len(card.variables), card.created] for card in cards],
        )
        return
    card = find_model(terminal.home, name, version)
    terminal.result({"model": card})
    terminal.say(
        "card {card} version {version}: {variables} variables, {pdo} points double the odds, "
        "{base} points at {odds} : 1",
        card=card.name,
        version=card.version,
        variables=len(card.variables),
        pdo=card.scale.pdo,
        base=card.scale.base_points,
        odds=card.scale.base_odds,
    )
    terminal.table(list(_HEADER), _rows(card, terminal.manner.lang))


@command(app, "export")
def export(
    terminal: Terminal,
    name: Annotated[str, typer.Argument(metavar="CARD", help="Name of the card.")],
    *,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write it.")],
    form: Annotated[
        Literal["json", "csv"], typer.Option("--format", help="json (whole) or csv (the points of each bin).")
    ] = "json",
    version: _Version = None,
) -> None:
    """Write a card to a file.

    Example: tongzhou model export card-clients --out card.csv --format csv
    """
    card = find_model(terminal.home, name, version)
    text = to_json(card) if form == "json" else _csv(card, terminal.manner.lang)
    # Spreadsheet programs recognise UTF-8 by the byte order mark.
    write_file(out, text.encode("utf-8-sig" if form == "csv" else "utf-8"))
    terminal.result({"model": card.name, "version": card.version, "file": out})
    terminal.say("card {card} version {version} is in {file}", card=card.name, version=card.version, file=out)


def _rows(card: Scorecard, lang: str) -> list[list[object]]:
    return [
        [
            variable.meaning.get(lang) or variable.name,
            variable.owner,
            label,
            woe,
            variable.coefficient,
            points,
        ]
        for variable in card.variables
        for label, woe, points in zip(variable.bins.labels(lang), variable.woe, variable.points, strict=True)
    ]


def _csv(card: Scorecard, lang: str) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(_HEADER)
    writer.writerows(_rows(card, lang))
    return text.getvalue()
