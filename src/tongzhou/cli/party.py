"""``tongzhou party``: make an institution, hand out its card, trust partners."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from tongzhou.cli.command import command, noun
from tongzhou.cli.terminal import Terminal
from tongzhou.errors import DataError
from tongzhou.node.files import read_file, write_file
from tongzhou.node.home import Home
from tongzhou.parties.card import MAX_CARD_BYTES, fingerprint, issue_card, read_card
from tongzhou.parties.times import utc_now, utc_text

__all__ = ["app", "card", "new", "show", "trust"]

app = noun("party", "The institution and the partners it trusts.")


@command(app, "new")
def new(
    terminal: Terminal,
    party_id: Annotated[
        str, typer.Argument(metavar="ID", help="Short identifier: small letters, digits, hyphens.")
    ],
    name: Annotated[str | None, typer.Option("--name", help="Name that people read (default: ID).")] = None,
    endpoint: Annotated[
        str, typer.Option("--endpoint", metavar="HOST:PORT", help="Where partners reach it.")
    ] = "127.0.0.1:7443",
) -> None:
    """Make an institution: its folder, keys, stores and evidence log.

    Example: tongzhou party new bank --name "Example Bank" --endpoint bank.example:7443 --home ./bank
    """
    with Home.create(terminal.folder, party_id, party_id if name is None else name, endpoint) as home:
        own = read_card(issue_card(home.identity, home.settings.endpoint, utc_now()))
        terminal.result(
            {
                "party_id": home.party_id,
                "name": home.settings.name,
                "endpoint": home.settings.endpoint,
                "home": home.folder,
                "fingerprint": fingerprint(own),
            }
        )
        terminal.say("{party} lives in {folder}", party=home.party_id, folder=home.folder)
        terminal.say("fingerprint: {fingerprint}", fingerprint=fingerprint(own))
        terminal.say(
            "next: tongzhou party card --out {party}.card.json, and send it to your partners", party=party_id
        )


@command(app, "card")
def card(
    terminal: Terminal,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where to write it (default: print it).")
    ] = None,
) -> None:
    """Write the institution's signed card, which partners need to trust and reach it.

    Example: tongzhou party card --out bank.card.json
    """
    home = terminal.home
    content = issue_card(home.identity, home.settings.endpoint, utc_now())
    own = read_card(content)
    if out is not None:
        write_file(out, content)
    terminal.result({"file": out, "fingerprint": fingerprint(own), "card": own})
    if out is None:
        terminal.text(content.decode().rstrip())
    else:
        terminal.say("the card is in {file}; read this fingerprint to your partner by telephone:", file=out)
        terminal.text(fingerprint(own))


@command(app, "trust")
def trust(
    terminal: Terminal,
    file: Annotated[Path | None, typer.Argument(metavar="[CARD]", help="The partner's card file.")] = None,
    *,
    expected: Annotated[
        str | None, typer.Option("--fingerprint", help="What the partner read to you by telephone.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Trust without comparing the fingerprint.")] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Accept another key, or an older card, of a known partner.")
    ] = False,
    remove: Annotated[
        str | None, typer.Option("--remove", metavar="ID", help="Stop trusting a partner.")
    ] = None,
) -> None:
    """Trust the partner of a card file, or stop trusting one.

    Example: tongzhou party trust cardnet.card.json --fingerprint "1f3a 90bb ..."
    """
    if remove is not None:
        known = terminal.home.trust.get(remove)
        terminal.home.trust.remove(remove)
        _note(terminal.home, "party-distrusted", remove, fingerprint(known))
        terminal.result({"removed": remove})
        terminal.say("{party} is not trusted any more", party=remove)
        return
    if file is None:
        raise DataError("name the card file to trust, or --remove ID")
    home = terminal.home
    content = read_file(file, MAX_CARD_BYTES)
    offered = read_card(content)
    if offered.party_id == home.party_id:
        raise DataError(
            "{file} is a card of {party}, which is this institution itself; trust the cards of its partners",
            file=file,
            party=home.party_id,
        )
    if expected is None and not yes:
        _ask(terminal, fingerprint(offered), offered.party_id)
    added = home.trust.add(content, expected, replace=replace)
    _note(home, "party-trusted", added.party_id, fingerprint(added))
    terminal.result(
        {"trusted": added.party_id, "fingerprint": fingerprint(added), "endpoint": added.endpoint}
    )
    terminal.say(
        "{party} ({name}) is trusted, at {endpoint}",
        party=added.party_id,
        name=added.name,
        endpoint=added.endpoint,
    )


@command(app, "show")
def show(terminal: Terminal) -> None:
    """Show the institution and the partners it trusts.

    Example: tongzhou party show --json
    """
    home = terminal.home
    own = read_card(issue_card(home.identity, home.settings.endpoint, utc_now()))
    partners = [
        {
            "party_id": one.party_id,
            "name": one.name,
            "endpoint": one.endpoint,
            "fingerprint": fingerprint(one),
        }
        for one in home.trust.all()
    ]
    terminal.result(
        {
            "party_id": home.party_id,
            "name": home.settings.name,
            "endpoint": home.settings.endpoint,
            "home": home.folder,
            "created": home.settings.created,
            "fingerprint": fingerprint(own),
            "trusted": partners,
        }
    )
    terminal.say(
        "{party}: {name}, at {endpoint}",
        party=home.party_id,
        name=home.settings.name,
        endpoint=home.settings.endpoint,
    )
    terminal.say("fingerprint: {fingerprint}", fingerprint=fingerprint(own))
    if partners:
        terminal.table(
            ["partner", "name", "endpoint", "fingerprint"],
            [[one[key] for key in ("party_id", "name", "endpoint", "fingerprint")] for one in partners],
        )
    else:
        terminal.say("no partner is trusted yet; add one with: tongzhou party trust CARD")


def _ask(terminal: Terminal, found: str, party_id: str) -> None:
    """Let a person compare the fingerprint; without one, refuse rather than trust blindly."""
    if terminal.manner.json or not sys.stdin.isatty():
        raise DataError(
            "the card of {party} has the fingerprint {found}: compare it with the partner by telephone, then "
            "give it with --fingerprint (or --yes to trust it as it is)",
            party=party_id,
            found=found,
        )
    terminal.say("{party} must read the same to you by telephone: {found}", party=party_id, found=found)
    typer.confirm(terminal.word("Is it the same?"), abort=True)


def _note(home: Home, kind: str, party_id: str, found: str) -> None:
    now = utc_text(utc_now())
    home.log.append({"fingerprint": found, "party": party_id}, kind=kind, key=f"{party_id}@{now}@{found}")
