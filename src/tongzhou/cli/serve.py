"""``tongzhou serve``: the institution's daemon."""

import logging
import signal
import threading
from types import FrameType
from typing import Annotated

import typer

from tongzhou.cli.command import command
from tongzhou.cli.terminal import Terminal
from tongzhou.node.daemon import Daemon

__all__ = ["add_serve", "serve"]

_HOST = typer.Option("--host", metavar="HOST", help="Address to listen at (default: the endpoint's).")
_PORT = typer.Option("--port", metavar="PORT", min=0, max=65535, help="Port (default: the endpoint's).")


def add_serve(app: typer.Typer) -> None:
    """Add the command to the root."""
    command(app, "serve")(serve)


def serve(
    terminal: Terminal,
    host: Annotated[str | None, _HOST] = None,
    port: Annotated[int | None, _PORT] = None,
) -> None:
    """Take calls from partners and follow their jobs, until stopped with Ctrl-C or SIGTERM.

    Example: tongzhou serve --home bank
    """
    home = terminal.home
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    daemon = Daemon(home.folder, host, port)
    _stop_on_signals(daemon)
    terminal.result({"party": home.party_id, "endpoint": daemon.endpoint})
    terminal.say(
        "{party} serves at {endpoint}; stop it with Ctrl-C", party=home.party_id, endpoint=daemon.endpoint
    )
    terminal.flush()
    daemon.serve()
    terminal.say("{party} has stopped", party=home.party_id)


def _stop_on_signals(daemon: Daemon) -> None:
    if threading.current_thread() is not threading.main_thread():
        return

    def stop(_signal: int, _frame: FrameType | None) -> None:
        daemon.stop()

    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, stop)
