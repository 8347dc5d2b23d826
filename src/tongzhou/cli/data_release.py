"""``tongzhou data anonymise``: a table generalised so that nobody is told apart, with a report."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from tongzhou.cli.command import command
from tongzhou.cli.terminal import Terminal
from tongzhou.data.tables import read_table
from tongzhou.errors import DataError, NotFoundError
from tongzhou.node.files import check_writable, write_file
from tongzhou.node.release import Release, make_release, release_key, write_release
from tongzhou.node.release_figures import release_figures
from tongzhou.node.release_settings import load_release
from tongzhou.parties.times import utc_now
from tongzhou.report.release_figures import ReleaseFigures, release_to_json

__all__ = ["add_release", "anonymise_command"]

_EXTRA = ("altair", "vl_convert")  # what draws the report


def add_release(app: typer.Typer) -> None:
    """Add the command to the noun of tables."""
    command(app, "anonymise")(anonymise_command)


def anonymise_command(
    terminal: Terminal,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet file, a row for each person.")],
    *,
    settings: Annotated[
        Path, typer.Option("--settings", metavar="FILE", help="TOML file: roles of columns and conditions.")
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="Where to write the table (CSV, or .parquet).")
    ],
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE", help="Where to write the report (HTML).")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option("--figures", metavar="FILE", help="Where to write its figures (JSON).")
    ] = None,
) -> None:
    """Generalise a table so that every row looks like others, and say what was lost and what risk remains.

    What is published is checked against the conditions as whoever gets it would, and noted in the log.

    Example: tongzhou data anonymise overdue.csv --settings overdue.toml --out public.csv --report public.html
    """
    if report is not None and any(find_spec(name) is None for name in _EXTRA):
        raise NotFoundError(
            'drawing a report needs the extra "report": pip install {package}', package="'tongzhou[report]'"
        )
    for path in (out, report, figures):
        if path is not None:
            check_writable(path)
    home, asked = terminal.home, load_release(settings)
    try:
        with terminal.waiting("the table is generalised"):
            release = make_release(read_table(file), asked, release_key(home))
    except DataError as error:
        raise DataError("{file}: {cause}", file=file, cause=error) from error
    now = utc_now()
    digest = write_release(home, release, out, now=now)
    shown = release_figures(release, digest=digest, now=now)
    if figures is not None:
        write_file(figures, release_to_json(shown))
    if report is not None:
        # the drawing library takes a second to load, and only a report needs it
        from tongzhou.report.release_page import render_release  # noqa: PLC0415

        write_file(report, render_release(shown, lang=terminal.manner.lang).encode())
    _tell(terminal, release, shown, out)


def _tell(terminal: Terminal, release: Release, shown: ReleaseFigures, out: Path) -> None:
    terminal.result({"file": out, "digest": shown.digest, "release": shown})
    terminal.say(
        "{published} of {rows} rows are in {file}; classes: {classes}, smallest class: {smallest}",
        published=shown.published_rows,
        rows=shown.source_rows,
        file=out,
        classes=shown.after.classes,
        smallest=shown.after.smallest,
    )
    terminal.table(
        ["figure", "source", "published"],
        [
            [
                terminal.word("highest risk of one person"),
                shown.before.prosecutor.highest,
                shown.after.prosecutor.highest,
            ],
            [terminal.word("share of rows alone in their class"), shown.before.unique, shown.after.unique],
            [
                terminal.word("share of rows expected to be found"),
                shown.before.marketer,
                shown.after.marketer,
            ],
            [terminal.word("certainty lost (0 to 1)"), 0, shown.loss.penalty],
            [terminal.word("median error of a count"), 0, shown.queries.median],
        ],
    )
    if shown.scope:
        terminal.say(
            "rows carry pseudonyms: tables of scope {scope} can be linked, and what is linked may identify",
            scope=shown.scope,
        )
