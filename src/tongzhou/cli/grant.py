"""``tongzhou grant``: what the institution allows others to compute on its tables."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer

from tongzhou.cli.approver import open_key
from tongzhou.cli.command import comma_list, command, noun
from tongzhou.cli.terminal import Terminal
from tongzhou.errors import DataError, NotFoundError
from tongzhou.node.files import write_file
from tongzhou.node.grant_entries import enter_grants
from tongzhou.node.home import Home
from tongzhou.parties.grants import Grant, GrantStatus, GrantTerms, Price, read_terms
from tongzhou.parties.names import near_name
from tongzhou.parties.times import utc_now, utc_text

__all__ = ["app", "approve", "drafts", "drop", "list_", "new", "revoke", "show"]

app = noun("grant", "What the institution allows others to compute on its tables.")

_Id = Annotated[str, typer.Argument(metavar="GRANT", help="Identifier of the grant.")]
_Out = Annotated[
    Path | None,
    typer.Option("--out", metavar="FILE", help="Write the signed document, to hand to the asker."),
]
_PROTOCOLS = "match,bin,train,score"
_DAYS = timedelta(days=90)
_Helpers = Annotated[
    list[str] | None,
    typer.Option("--helper", metavar="ID", help="Who may help in mode aided (repeatable)."),
]
_Modes = Annotated[list[str] | None, typer.Option("--mode", help="Trust modes allowed (default: aided).")]
_Protocols = Annotated[
    list[str] | None, typer.Option("--protocol", help=f"Computations allowed (default: {_PROTOCOLS}).")
]
_From = Annotated[str | None, typer.Option("--from", metavar="DATE", help="First day (default: now).")]
_Until = Annotated[
    str | None,
    typer.Option("--until", metavar="DATE", help="When it ends (default: 90 days after it begins)."),
]
_PriceRun = Annotated[
    str | None, typer.Option("--price-run", metavar="AMOUNT", help="Price of a run (default: free).")
]
_PriceRow = Annotated[
    str | None, typer.Option("--price-row", metavar="AMOUNT", help="Price of a matched row (default: free).")
]
_Basis = Annotated[str, typer.Option("--legal-basis", help="Consent, contract or law it rests on, in words.")]


@command(app, "new")
def new(
    terminal: Terminal,
    *,
    asker: Annotated[list[str], typer.Option("--asker", metavar="ID", help="Who may ask (repeatable).")],
    purpose: Annotated[str, typer.Option("--purpose", help="The one purpose, as plans name it.")],
    legal_basis: _Basis,
    table: Annotated[str, typer.Option("--table", help="The table it is about.")],
    columns: Annotated[list[str], typer.Option("--columns", metavar="A,B", help="Columns that may be used.")],
    helper: _Helpers = None,
    mode: _Modes = None,
    protocol: _Protocols = None,
    bin_counts: Annotated[
        Literal["provider", "both"], typer.Option("--bin-counts", help="Who may see the counts of the bins.")
    ] = "provider",
    card: Annotated[
        Literal["shared", "own", "both"], typer.Option("--card", help="Who may learn the finished card.")
    ] = "own",
    reasons: Annotated[
        int, typer.Option("--reasons", help="Own variables that may be named as reasons, 0 to 8.")
    ] = 0,
    training_summary: Annotated[
        bool, typer.Option("--training-summary", help="Allow standard errors and p-values to be opened.")
    ] = False,
    minimum_rows: Annotated[
        int, typer.Option("--minimum-rows", help="Fewest matched rows to go on with.")
    ] = 1000,
    minimum_bin_rows: Annotated[
        int, typer.Option("--minimum-bin-rows", help="Fewest rows of a bin whose counts are opened.")
    ] = 50,
    start: _From = None,
    until: _Until = None,
    runs: Annotated[int, typer.Option("--runs", help="How many runs may use it.")] = 10,
    consents: Annotated[
        Literal["none", "asker", "provider"],
        typer.Option("--consents", help="Who keeps the clients' consents that must cover each row."),
    ] = "none",
    price_run: _PriceRun = None,
    price_row: _PriceRow = None,
    currency: Annotated[str, typer.Option("--currency", metavar="CODE", help="Of the prices.")] = "CNY",
    out: _Out = None,
) -> None:
    """Grant others the use of a table for one purpose.

    Example: tongzhou grant new --asker bank --helper helper --purpose credit-scorecard
    --legal-basis "consent in the card contract" --table behaviour --columns repay_1,repay_2 --runs 5
    """
    home, chosen = terminal.home, comma_list(columns)
    _check_table(home, table, chosen)
    for party in (*comma_list(asker), *comma_list(helper)):
        home.trust.get(party)
    fields = {
        "askers": comma_list(asker),
        "helpers": comma_list(helper),
        "purpose": purpose,
        "legal_basis": legal_basis,
        "table": table,
        "columns": chosen,
        "modes": comma_list(mode or ["aided"]),
        "protocols": comma_list(protocol or [_PROTOCOLS]),
        "openings": {
            "bin_counts": bin_counts,
            "card": card,
            "reasons": reasons,
            "training_summary": training_summary,
        },
        "minimum_rows": minimum_rows,
        "minimum_bin_rows": minimum_bin_rows,
        "runs": runs,
        "consents": consents,
        **_span(start, until),
        **_price(price_run, price_row, currency),
    }
    _make(terminal, read_terms(fields, home.party_id), out)


@command(app, "approve")
def approve(
    terminal: Terminal,
    grant_id: _Id,
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="The approver's key.")],
    out: _Out = None,
) -> None:
    """Approve a drafted grant with one's own key; the second person's approval issues it.

    Example: tongzhou grant approve g-1f3a90bb22 --key alice.key
    """
    home = terminal.home
    person = open_key(terminal, key)
    grant = home.drafts.approve(grant_id, person, utc_now())
    enter_grants(home)
    if grant is None:
        terminal.result({"grant": grant_id, "approved_by": [person.party_id], "issued": False})
        terminal.say(
            "{name} approved grant {grant}; another person must", name=person.party_id, grant=grant_id
        )
        return
    _hand_out(terminal, grant, out)


@command(app, "drafts")
def drafts(terminal: Terminal) -> None:
    """List the grants that wait for approval.

    Example: tongzhou grant drafts
    """
    waiting = terminal.home.drafts.drafts()
    terminal.result({"drafts": waiting})
    terminal.table(
        ["grant", "askers", "purpose", "table", "columns", "runs", "approved by"],
        [
            [
                one.grant.grant_id,
                ", ".join(one.grant.askers),
                one.grant.purpose,
                one.grant.table,
                len(one.grant.columns),
                one.grant.runs,
                ", ".join(one.approved_by),
            ]
            for one in waiting
        ],
    )


@command(app, "drop")
def drop(terminal: Terminal, grant_id: _Id) -> None:
    """Drop a draft that nobody wants any more.

    Example: tongzhou grant drop g-1f3a90bb22
    """
    terminal.home.drafts.withdraw(grant_id)
    terminal.result({"dropped": grant_id})
    terminal.say("the draft of grant {grant} is dropped", grant=grant_id)


@command(app, "list")
def list_(terminal: Terminal) -> None:
    """List all grants with their use.

    Example: tongzhou grant list
    """
    now = utc_now()
    statuses = terminal.home.grants.statuses()
    terminal.result({"grants": [_plain(status, status.state(now)) for status in statuses]})
    terminal.table(
        ["grant", "state", "askers", "purpose", "table", "columns", "until", "runs used", "runs"],
        [
            [
                one.grant.grant_id,
                terminal.word(one.state(now)),
                ", ".join(one.grant.askers),
                one.grant.purpose,
                one.grant.table,
                len(one.grant.columns),
                one.grant.valid_until,
                one.runs_used,
                one.grant.runs,
            ]
            for one in statuses
        ],
    )


@command(app, "show")
def show(terminal: Terminal, grant_id: _Id, out: _Out = None) -> None:
    """Show one grant whole, and the runs that used it.

    Example: tongzhou grant show g-1f3a90bb22 --out grant.jws
    """
    book = terminal.home.grants
    status, uses = book.status(grant_id), book.uses(grant_id)
    if out is not None:
        write_file(out, book.document(grant_id).encode() + b"\n")
    state = status.state(utc_now())
    terminal.result({**_plain(status, state), "uses": uses, "file": out})
    terminal.say("grant {grant} is {state}", grant=grant_id, state=terminal.word(state))
    grant = status.grant
    openings = {f"openings.{key}": getattr(grant.openings, key) for key in grant.openings.__struct_fields__}
    fields = {key: getattr(grant, key) for key in GrantTerms.__struct_fields__ if key != "openings"}
    people = {terminal.word("approved by"): sorted(grant.approvers)} if grant.approvers else {}
    terminal.table(
        ["field", "value"], [[key, _flat(value)] for key, value in {**fields, **openings, **people}.items()]
    )
    if uses:
        terminal.table(["run", "counted"], [[use.run_id, use.used_at] for use in uses])


@command(app, "revoke")
def revoke(terminal: Terminal, grant_id: _Id, out: _Out = None) -> None:
    """End a grant now; a run that is under way stops at its next step.

    Example: tongzhou grant revoke g-1f3a90bb22
    """
    home = terminal.home
    document = home.grants.revoke(grant_id, utc_now())
    revoked_at = home.grants.status(grant_id).revoked_at
    enter_grants(home)
    if out is not None:
        write_file(out, document.encode() + b"\n")
    terminal.result({"revoked": grant_id, "revoked_at": revoked_at, "file": out})
    terminal.say("grant {grant} is revoked since {since}", grant=grant_id, since=revoked_at)


def _make(terminal: Terminal, terms: GrantTerms, out: Path | None) -> None:
    """Issue a grant, or draft it where there are approvers."""
    home = terminal.home
    if home.drafts.approvers():
        _draft(terminal, terms, out)
        return
    grant = home.grants.new(terms)
    enter_grants(home)
    _hand_out(terminal, grant, out)


def _draft(terminal: Terminal, terms: GrantTerms, out: Path | None) -> None:
    """Where there are approvers, a new grant waits for two of them."""
    if out is not None:
        raise DataError("there is no signed document yet: two people must approve the grant first")
    draft = terminal.home.drafts.propose(terms)
    terminal.result({"draft": draft, "issued": False})
    terminal.say(
        "grant {grant} waits for two approvals: tongzhou grant approve {grant} --key FILE",
        grant=draft.grant.grant_id,
    )


def _span(start: str | None, until: str | None) -> dict[str, object]:
    now = utc_now()
    return {"valid_from": start or utc_text(now), "valid_until": until or utc_text(now + _DAYS)}


def _price(run: str | None, row: str | None, currency: str) -> dict[str, object]:
    if run is None and row is None:
        return {}
    return {"price": {"currency": currency, "run": run or "0", "row": row or "0"}}


def _hand_out(terminal: Terminal, grant: Grant, out: Path | None) -> None:
    """Show a grant that was issued, and write it where it shall go."""
    if out is not None:
        write_file(out, terminal.home.grants.document(grant.grant_id).encode() + b"\n")
    terminal.result({"grant": grant, "file": out})
    terminal.say(
        "grant {grant}: {askers} may use {table} until {until}; columns: {columns}, runs: {runs}",
        grant=grant.grant_id,
        askers=", ".join(grant.askers),
        columns=len(grant.columns),
        table=grant.table,
        until=grant.valid_until,
        runs=grant.runs,
    )


def _check_table(home: Home, table: str, columns: list[str]) -> None:
    record = home.store.table(table)
    for column in columns:
        if column == record.identifier:
            raise DataError(
                "column {column} identifies the clients of table {table}; it is matched, never granted",
                column=column,
                table=table,
            )
        if column in record.columns:
            continue
        near = near_name(column, record.columns)
        if near is not None:
            raise NotFoundError(
                "table {table} has no column {column}; did you mean {near}?",
                table=table,
                column=column,
                near=near,
            )
        raise NotFoundError("table {table} has no column {column}", table=table, column=column)


def _plain(status: GrantStatus, state: str) -> dict[str, object]:
    return {
        "grant": status.grant,
        "state": state,
        "runs_used": status.runs_used,
        "revoked_at": status.revoked_at,
    }


def _flat(value: object) -> str:
    if isinstance(value, Price):
        return f"{value.run} + {value.row} × rows {value.currency}"
    return ", ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
