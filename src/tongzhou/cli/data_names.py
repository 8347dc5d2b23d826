"""``tongzhou data suggest``, ``settle``, ``edits``: names that may mean one company; the owner decides."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from tongzhou.cli.command import command
from tongzhou.cli.terminal import Terminal
from tongzhou.data.companies import company_form
from tongzhou.data.edits import Decision, EditList, OpenPair, candidates_csv, read_decisions
from tongzhou.data.similar import REASONS, Candidate
from tongzhou.errors import ConflictError
from tongzhou.node.edits import keep_edits, load_edits, name_column, suggest
from tongzhou.node.files import check_writable, read_file, write_file
from tongzhou.parties.times import utc_now

__all__ = ["add_names", "edits_command", "settle_command", "suggest_command"]

_BYTES_MAX = 64 << 20

_Table = Annotated[
    str, typer.Option("--name", metavar="TABLE", help="Name of the table that the decisions belong to.")
]


def add_names(app: typer.Typer) -> None:
    """Add the commands to the noun of tables."""
    command(app, "suggest")(suggest_command)
    command(app, "settle")(settle_command)
    command(app, "edits")(edits_command)


def suggest_command(
    terminal: Terminal,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CSV or Parquet file with names of companies.")
    ],
    *,
    column: Annotated[str, typer.Option("--identifier", metavar="COLUMN", help="Column of the names.")],
    table: _Table,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Where to write the candidates (CSV).")],
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="FILE", help="List to compare with, such as a public register."),
    ] = None,
    against_column: Annotated[
        str | None,
        typer.Option(
            "--against-column", metavar="COLUMN", help="Column of the names there (default: the same)."
        ),
    ] = None,
    least: Annotated[float, typer.Option("--least", help="Lowest score, from 0.5 to 1.")] = 0.8,
    most: Annotated[int, typer.Option("--most", min=1, help="Most candidates; the best are kept.")] = 20_000,
) -> None:
    """Find names that may mean the same company: variants, mistakes, short names. Nothing is changed.

    Write same or different into the first column of the file, then hand it to `data settle`.

    Example: tongzhou data suggest firms.csv --identifier company --name firms --out pairs.csv
    """
    check_writable(out)
    known = load_edits(terminal.home, table)
    names = name_column(file, column)
    other = None if against is None else name_column(against, against_column or column)
    with terminal.waiting("names are compared"):
        found = suggest(names, other, known, least=least, most=most)
    text = candidates_csv(found, names.written, (other or names).written)
    # Spreadsheet programs recognise UTF-8 by the byte order mark.
    write_file(out, text.encode("utf-8-sig"))
    terminal.result({"file": out, "candidates": len(found), "reasons": Counter(one.reason for one in found)})
    _show_reasons(terminal, found)
    terminal.say(
        "{count} candidates are in {file}; write same or different in the first column",
        count=len(found),
        file=out,
    )


def settle_command(
    terminal: Terminal,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Table of candidates with decisions in it.")],
    *,
    table: _Table,
    ask: Annotated[bool, typer.Option("--ask", help="Ask about each pair left open, here and now.")] = False,
) -> None:
    """Keep the decisions about names; they apply whenever the table is added again.

    Example: tongzhou data settle pairs.csv --name firms
    """
    home = terminal.home
    known = load_edits(home, table)
    decided, left = read_decisions(read_file(file, _BYTES_MAX), str(file))
    if ask and not terminal.manner.json:
        decided, left = _asked(terminal, known, decided, left)
    try:
        edits = known.with_decisions(decided)
    except ConflictError as error:
        raise ConflictError("{file}: {cause}", file=file, cause=error) from error
    if edits != known:
        keep_edits(home, table, edits, now=utc_now())
    added = edits.decisions[len(known.decisions) :]
    same = sum(one.verdict == "same" for one in added)
    terminal.result(
        {
            "table": table,
            "same": same,
            "different": len(added) - same,
            "open": len(left),
            "decisions": len(edits.decisions),
        }
    )
    terminal.say(
        "kept for table {table}: same {same}, different {different}, still open {open}; add the table "
        "again to apply them",
        table=table,
        same=same,
        different=len(added) - same,
        open=len(left),
    )


def edits_command(
    terminal: Terminal,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Name of the table.")],
    *,
    forget: Annotated[
        str | None, typer.Option("--forget", metavar="NAME", help="Take back every decision about this name.")
    ] = None,
) -> None:
    """Show what was decided about the names of a table, or take a decision back.

    Example: tongzhou data edits firms
    """
    edits = load_edits(terminal.home, table)
    if forget is not None:
        edits = edits.without(forget)
        keep_edits(terminal.home, table, edits, now=utc_now())
    terminal.result({"table": table, "decisions": edits.decisions})
    terminal.table(
        ["decision", "name", "other"],
        [[terminal.word(one.verdict), one.name, one.other] for one in edits.decisions],
    )


def _show_reasons(terminal: Terminal, found: list[Candidate]) -> None:
    rows = []
    for reason, meaning in REASONS.items():
        scores = [one.score for one in found if one.reason == reason]
        if scores:
            rows.append([reason, terminal.word(meaning), len(scores), max(scores), min(scores)])
    if rows:
        terminal.table(["reason", "meaning", "candidates", "highest score", "lowest score"], rows)


def _asked(
    terminal: Terminal, known: EditList, decided: list[tuple[int, Decision]], left: list[OpenPair]
) -> tuple[list[tuple[int, Decision]], list[OpenPair]]:
    """Ask about each open pair until the person stops; what was said before that counts."""
    before = {frozenset(pair) for pair in known.pairs()}
    decided = list(decided)
    still: list[OpenPair] = []
    for position, pair in enumerate(left):
        normal = company_form(pair.name), company_form(pair.other)
        if frozenset(normal) in before:
            continue
        terminal.text(f"\n{pair.name}\n{pair.other}")
        answer = _answer(terminal)
        if answer == "q":
            return decided, [*still, *left[position:]]
        if answer == "s":
            decided.append((pair.row, Decision("same", *normal)))
        elif answer == "d":
            decided.append((pair.row, Decision("different", *normal)))
        else:
            still.append(pair)
    return decided, still


def _answer(terminal: Terminal) -> str:
    question = terminal.word("same (s), different (d), not now (n), stop (q)")
    while True:
        said: str = typer.prompt(question, default="n").strip().lower()[:1]
        if said in ("s", "d", "n", "q"):
            return said
