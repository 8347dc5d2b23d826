"""``tongzhou bill``: what the runs with a partner cost in a period, alike on both sides."""

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from tongzhou.cli.command import command, noun
from tongzhou.cli.terminal import Terminal
from tongzhou.errors import DataError, NotFoundError
from tongzhou.node.billing import Bill, bill_digest, check_bill, make_bill, sign_bill
from tongzhou.node.files import read_file, write_file
from tongzhou.parties.documents import MAX_DOCUMENT_BYTES
from tongzhou.parties.times import parse_utc

__all__ = ["app", "check", "show"]

app = noun("bill", "What the runs with a partner cost in a period.")


@command(app, "show")
def show(
    terminal: Terminal,
    partner: Annotated[str, typer.Argument(metavar="PARTNER", help="The other party.")],
    *,
    start: Annotated[str, typer.Option("--from", metavar="DATE", help="First day, UTC.")],
    until: Annotated[str, typer.Option("--until", metavar="DATE", help="The day after the last, UTC.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="Write the bill for the own data, signed."),
    ] = None,
) -> None:
    """Count the uses of each other's data from the signed receipts, with prices from the grants.

    Example: tongzhou bill show bank --from 2026-11-01 --until 2026-12-01 --out november.jws
    """
    home = terminal.home
    period = _period(start, until)
    bills = make_bill(home, partner, *period)
    if out is not None:
        own = next((one for one in bills if one.provider == home.party_id), None)
        if own is None:
            raise NotFoundError(
                "{partner} used no data of {party} in that period", partner=partner, party=home.party_id
            )
        write_file(out, sign_bill(home, own).encode() + b"\n")
    terminal.result({"bills": [{"bill": one, "digest": bill_digest(one)} for one in bills], "file": out})
    for one in bills:
        _present(terminal, one)
    if not bills:
        terminal.say("none yet")


@command(app, "check")
def check(
    terminal: Terminal,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A bill that the partner signed.")],
) -> None:
    """Hold a partner's bill against the own receipts.

    Example: tongzhou bill check november.jws
    """
    document = read_file(file, MAX_DOCUMENT_BYTES + 1).decode("ascii", "replace").strip()
    bill = check_bill(terminal.home, document)
    terminal.result({"bill": bill, "digest": bill_digest(bill), "equal": True})
    _present(terminal, bill)
    terminal.say("the bill agrees with the own receipts")


def _period(start: str, until: str) -> tuple[datetime, datetime]:
    period = parse_utc(start, "--from"), parse_utc(until, "--until")
    if not period[0] < period[1]:
        raise DataError(
            "--until must be later than --from, got {until} and {start}", until=until, start=start
        )
    return period


def _present(terminal: Terminal, bill: Bill) -> None:
    terminal.say(
        "{asker} used data of {provider} from {start} until {end}; runs: {runs}",
        asker=bill.asker,
        provider=bill.provider,
        start=bill.start,
        end=bill.end,
        runs=len(bill.lines),
    )
    terminal.table(
        ["time", "run", "kind", "grant", "rows", "amount", "currency"],
        [
            [line.at, line.run_id, line.kind, line.grant_id, line.rows, line.amount, line.currency]
            for line in bill.lines
        ],
    )
    for currency, total in bill.totals.items():
        terminal.say("total: {amount} {currency}", amount=total, currency=currency)
    terminal.say("digest {digest}: the partner must see the same", digest=bill_digest(bill))
