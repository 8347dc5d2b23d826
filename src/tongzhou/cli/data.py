"""``tongzhou data``: own tables, added under names, described and checked."""

from pathlib import Path
from typing import Annotated

import typer

from tongzhou.cli.command import comma_list, command, noun
from tongzhou.cli.data_names import add_names
from tongzhou.cli.data_release import add_release
from tongzhou.cli.terminal import Terminal
from tongzhou.data.findings import Finding, refuse
from tongzhou.data.profile import ColumnProfile
from tongzhou.errors import DataError
from tongzhou.node.edits import load_edits
from tongzhou.node.tables import Repeats, examine, keep_table, recheck, show_table
from tongzhou.parties.times import utc_now

__all__ = ["add", "app", "check", "show"]

app = noun("data", "The institution's own tables.")

_File = Annotated[Path, typer.Argument(metavar="FILE", help="CSV (UTF-8 or GB18030) or Parquet.")]
_Identifier = Annotated[str, typer.Option("--identifier", metavar="COLUMN", help="Column of identifiers.")]
_Kind = Annotated[
    str,
    typer.Option(
        "--kind",
        help="Kind of identifier: text, number, phone, id-card-cn, uscc, org-code-cn, lei or company.",
    ),
]
_Label = Annotated[str | None, typer.Option("--label", metavar="COLUMN", help="Column that holds 0 or 1.")]
_Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--columns", metavar="A,B", help="Columns to keep beside identifier and label (default: all)."
    ),
]


@command(app, "add")
def add(
    terminal: Terminal,
    file: _File,
    *,
    name: Annotated[str, typer.Option("--name", help="Name that plans and grants use.")],
    identifier: _Identifier,
    kind: _Kind = "text",
    label: _Label = None,
    columns: _Columns = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the table of that name.")] = False,
    repeats: Annotated[
        Repeats,
        typer.Option(
            "--repeats", help="Rows that repeat an earlier identifier: refuse the table, or keep the first."
        ),
    ] = "refuse",
) -> None:
    """Check a file, bring its identifiers to their normal form and keep it under a name.

    Names of companies are written as the owner decided before, see `data settle`.

    Example: tongzhou data add clients.csv --name clients --identifier client_id --label default
    """
    home = terminal.home
    examined = examine(
        file,
        identifier=identifier,
        kind=kind,
        label=label,
        columns=comma_list(columns),
        edits=load_edits(home, name),
        repeats=repeats,
    )
    _judge(terminal, examined.findings, file)
    record = keep_table(home, examined, name, replace=replace, now=utc_now())
    terminal.result({"table": record})
    terminal.say(
        "table {table} is kept; rows: {rows}, columns: {columns}",
        table=name,
        rows=record.rows,
        columns=len(record.columns),
    )


@command(app, "show")
def show(
    terminal: Terminal,
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Describe this table.")] = None,
) -> None:
    """List the tables, or describe one: for the owner's eyes only.

    Example: tongzhou data show clients
    """
    if name is None:
        tables = terminal.home.store.tables()
        terminal.result({"tables": tables})
        terminal.table(
            ["table", "rows", "columns", "identifier", "kind", "label", "added"],
            [
                [one.name, one.rows, len(one.columns), one.identifier, one.kind, one.label, one.added]
                for one in tables
            ],
        )
        return
    record, profile = show_table(terminal.home, name)
    terminal.result({"table": record, "profile": profile})
    terminal.say(
        "table {table}, added {added}; rows: {rows}", table=name, rows=record.rows, added=record.added
    )
    terminal.table(
        ["column", "type", "missing", "distinct", "minimum", "median", "mean", "maximum", "most frequent"],
        [_profile_row(column) for column in profile.columns],
    )


@command(app, "check")
def check(
    terminal: Terminal,
    source: Annotated[
        str, typer.Argument(metavar="NAME|FILE", help="A table's name, or a file not yet added.")
    ],
    *,
    identifier: Annotated[
        str | None, typer.Option("--identifier", metavar="COLUMN", help="Column of identifiers (for a file).")
    ] = None,
    kind: _Kind = "text",
    label: _Label = None,
    columns: _Columns = None,
) -> None:
    """Say everything that would spoil a job on a table; nothing is kept or changed.

    Example: tongzhou data check clients.csv --identifier client_id --label default
    """
    if identifier is not None:
        examined = examine(
            Path(source), identifier=identifier, kind=kind, label=label, columns=comma_list(columns)
        )
        findings = examined.findings
    elif Path(source).suffix and Path(source).exists():
        raise DataError("{file} is a file: name its column of identifiers with --identifier", file=source)
    else:
        findings = recheck(terminal.home, source)
    _judge(terminal, findings, source)
    terminal.result({"findings": terminal.findings(findings)})
    terminal.say("no errors; warnings: {warnings}", warnings=len(findings))


def _judge(terminal: Terminal, findings: list[Finding], source: Path | str) -> None:
    """Show findings, and end the command with the first that is an error; it names the file or table."""
    terminal.show_findings(findings)
    try:
        refuse(findings)
    except DataError as error:
        terminal.refuse(DataError("{file}: {cause}", file=source, cause=error), findings)


def _profile_row(column: ColumnProfile) -> list[object]:
    median = column.quantiles[len(column.quantiles) // 2] if column.quantiles else None
    frequent = ", ".join(f"{one.value} ({one.rows:,})" for one in column.top[:3])
    return [
        column.name,
        column.type,
        column.missing,
        column.distinct,
        column.minimum,
        median,
        column.mean,
        column.maximum,
        frequent,
    ]


add_names(app)
add_release(app)
