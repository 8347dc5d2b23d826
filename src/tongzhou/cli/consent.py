"""``tongzhou consent``: the clients' consents that the institution keeps."""

from pathlib import Path
from typing import Annotated

import typer

from tongzhou.cli.command import command, noun
from tongzhou.cli.terminal import Terminal
from tongzhou.data.identifiers import normalise
from tongzhou.node.consent_files import read_consents
from tongzhou.parties.consents import ConsentUse
from tongzhou.parties.times import utc_now

__all__ = ["add", "app", "show", "withdraw"]

app = noun("consent", "The clients' consents that the institution keeps.")

_Kind = Annotated[
    str, typer.Option("--kind", help="Kind of identifier, as in the table that the clients stand in.")
]


@command(app, "add")
def add(
    terminal: Terminal,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or Parquet, a row for each signed form.")],
    *,
    purpose: Annotated[str, typer.Option("--purpose", help="What they consent to, as plans name it.")],
    user: Annotated[str, typer.Option("--user", metavar="ID", help="Who may use the data.")],
    source: Annotated[str, typer.Option("--source", metavar="ID", help="Whose data may be used.")],
    identifier: Annotated[str, typer.Option("--identifier", metavar="COLUMN", help="Column of identifiers.")],
    kind: _Kind = "text",
) -> None:
    """Keep consents: identifier, SHA-256 of the signed form (document), valid_from and valid_until.

    Example: tongzhou consent add consents.csv --purpose credit-scorecard --user bank --source cardnet
    --identifier client_id
    """
    home = terminal.home
    use = ConsentUse(purpose=purpose, user=user, source=source)
    consents = read_consents(file, use, identifier=identifier, kind=kind)
    added = home.consents.add(consents)
    terminal.result({"added": added, "rows": len(consents)})
    terminal.say("consents in the file: {rows}, new: {added}", rows=len(consents), added=added)


@command(app, "show")
def show(terminal: Terminal) -> None:
    """Count the consents that stand, by what they are for.

    Example: tongzhou consent show
    """
    counts = terminal.home.consents.count()
    keys = ("purpose", "user", "source")
    terminal.result(
        {"consents": [dict(zip(keys, use, strict=True)) | {"count": n} for use, n in counts.items()]}
    )
    terminal.table([*keys, "consents"], [[*use, number] for use, number in counts.items()])


@command(app, "withdraw")
def withdraw(
    terminal: Terminal,
    identifier: Annotated[str, typer.Argument(metavar="CLIENT", help="Identifier of the client.")],
    *,
    purpose: Annotated[
        str | None, typer.Option("--purpose", help="Only consents to this purpose (default: all).")
    ] = None,
    kind: _Kind = "text",
) -> None:
    """Take a client's consents back from now on; a run that matched the client stops at its next step.

    Example: tongzhou consent withdraw C-1001
    """
    home, now = terminal.home, utc_now()
    (person,) = normalise([identifier], kind)
    count = home.consents.withdraw(person, now, purpose=purpose)
    terminal.result({"withdrawn": count})
    terminal.say("consents taken back: {count}", count=count)
