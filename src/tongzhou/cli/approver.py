"""``tongzhou approver``: the people of whom two must agree to each grant."""

import os
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import typer

from tongzhou.cli.command import command, noun
from tongzhou.cli.terminal import Terminal
from tongzhou.errors import DataError
from tongzhou.node.grant_entries import enter_grants
from tongzhou.parties.approvals import APPROVALS_NEEDED, ApproverKey
from tongzhou.parties.times import utc_now

__all__ = ["app", "list_", "new", "open_key", "remove"]

app = noun("approver", "The people of whom two must agree to each grant.")

_VARIABLE: Final = "TONGZHOU_PASSPHRASE"
_Name = Annotated[str, typer.Argument(metavar="NAME", help="Short identifier of the person.")]
_By = Annotated[
    Path | None,
    typer.Option(
        "--by", metavar="FILE", help="Key of an approver who stands for it; needed once there are two."
    ),
]


@command(app, "new")
def new(
    terminal: Terminal,
    name: _Name,
    key: Annotated[Path, typer.Option("--key", metavar="FILE", help="Where to write the person's key.")],
    by: _By = None,
) -> None:
    """Let a person approve grants: make its key under a passphrase, and keep the public half.

    The passphrase is asked for, or taken from the variable TONGZHOU_PASSPHRASE.

    Example: tongzhou approver new alice --key alice.key
    """
    sponsor = None if by is None else open_key(terminal, by)
    home, now = terminal.home, utc_now()
    made = ApproverKey.create(key, name, _passphrase(terminal, name))
    with ExitStack() as undo:
        undo.callback(key.unlink, missing_ok=True)  # a key that nobody knows would only puzzle its finder
        home.drafts.add_approver(made.approver, now, by=sponsor)
        undo.pop_all()
    enter_grants(home)
    count = len(home.drafts.approvers())
    terminal.result({"approver": name, "key": key, "approvers": count, "needed": APPROVALS_NEEDED})
    terminal.say("{name} may approve grants; the key is in {file}", name=name, file=key)
    if count < APPROVALS_NEEDED:
        terminal.say("from now on each grant needs two approvers: add another")


@command(app, "list")
def list_(terminal: Terminal) -> None:
    """List who may approve grants.

    Example: tongzhou approver list
    """
    known = terminal.home.drafts.approvers()
    terminal.result({"approvers": known})
    terminal.table(["approver", "public key"], [[one.name, one.public_key] for one in known])


@command(app, "remove")
def remove(terminal: Terminal, name: _Name, by: _By = None) -> None:
    """Let a person approve no longer; grants that it approved stand.

    Example: tongzhou approver remove alice --by bob.key
    """
    home, now = terminal.home, utc_now()
    sponsor = None if by is None else open_key(terminal, by)
    home.drafts.remove_approver(name, now, by=sponsor)
    enter_grants(home)
    terminal.result({"removed": name})
    terminal.say("{name} may approve grants no longer", name=name)


def open_key(terminal: Terminal, path: Path) -> ApproverKey:
    """An approver's key, its passphrase asked for or taken from the environment.

    Raises:
        VerificationError: the passphrase is wrong.
    """
    return ApproverKey.load(path, _passphrase(terminal, path.name))


def _passphrase(terminal: Terminal, whose: str) -> str:
    given = os.environ.get(_VARIABLE)
    if given is not None:
        return given
    if not terminal.is_interactive:
        raise DataError(
            "the passphrase of {name} is needed: give it in the variable {variable}, or use a terminal",
            name=whose,
            variable=_VARIABLE,
        )
    return str(typer.prompt(terminal.word("passphrase of {name}").format(name=whose), hide_input=True))
