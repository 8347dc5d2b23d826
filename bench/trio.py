"""Institutions as processes over TLS on loopback, with identities that live as long as a repeat.

The jobs run as `tongzhou.secure.tasks` gives them, without a daemon: what is measured is the protocol, its
processes and its wire, and nothing else.
"""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from bench.delay import delayed
from bench.measures import ROOT, BenchError, end, last_line
from tongzhou.parties.card import issue_card
from tongzhou.parties.identity import Identity
from tongzhou.parties.trust import TrustStore

__all__ = ["BEHIND", "ROLES", "found_trio", "play"]

BEHIND = "behind"
"""File of a role's folder that says where it listens, where others reach it through a delay."""

ROLES = ("helper", "provider", "asker")
"""In the order in which they start: who is called before who calls."""


def found_trio(folder: Path, roles: Sequence[str] = ROLES, doors: Mapping[str, int] | None = None) -> None:
    """Make identities and let everybody trust everybody.

    Args:
        folder: gets a folder for each role.
        roles: who takes part.
        doors: ports on the cards of some roles, in place of those where they listen.
    """
    cards = {}
    for role, port in zip(roles, _free_ports(len(roles)), strict=True):
        identity = Identity.create(folder / role, role, f"Bench {role}")
        door = (doors or {}).get(role, port)
        if door != port:
            (folder / role / BEHIND).write_text(f"127.0.0.1:{port}", encoding="ascii")
        cards[role] = issue_card(identity, f"127.0.0.1:{door}", datetime.now(UTC))
    for role in roles:
        trust = TrustStore(folder / role / "trust")
        for other, card in cards.items():
            if other != role:
                trust.add(card)


def play(
    job: Sequence[str],
    *,
    timeout_s: float,
    roles: Sequence[str] = ROLES,
    mode: str = "aided",
    delays: Mapping[str, float] | None = None,
) -> dict[str, dict[str, Any]]:
    """Run one job among fresh processes with fresh identities and ports.

    Args:
        job: name of the job in `bench.party`, and its arguments.
        timeout_s: bound on the time, in seconds.
        roles: who takes part, in the order in which they start: each calls those before it.
        mode: trust mode of the seats.
        delays: for some roles, milliseconds by which each message to and from their callers is held back.

    Returns:
        What each role printed.

    Raises:
        BenchError: a process failed or took too long.
    """
    until = time.monotonic() + timeout_s
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tongzhou-trio-")))
        _found(folder, roles, delays or {}, stack)
        processes: dict[str, subprocess.Popen[bytes]] = {}
        for role in roles:
            processes[role] = _start(folder, role, [",".join(roles), mode, *job])
            stack.callback(end, processes[role])
            if role != roles[-1]:
                _await_ready(role, processes[role])
        outputs = {role: _collect(role, processes[role], until) for role in reversed(roles)}
    failed = [f"the {role} failed: {output}" for role, output in outputs.items() if isinstance(output, str)]
    if failed:
        # Where one fails the others say that it left: the first cause is what counts.
        raise BenchError(next((text for text in failed if "PeerError" not in text), failed[0]))
    return {role: output for role, output in outputs.items() if not isinstance(output, str)}


def _found(folder: Path, roles: Sequence[str], delays: Mapping[str, float], stack: ExitStack) -> None:
    """Identities, and relays in front of those who are further away."""
    if not delays:
        found_trio(folder, roles)
        return
    doors = dict(zip(delays, _free_ports(len(delays)), strict=True))
    found_trio(folder, roles, doors)
    for role, door in doors.items():
        port = (folder / role / BEHIND).read_text(encoding="ascii").rpartition(":")[2]
        stack.enter_context(delayed(delays[role], {door: int(port)}))


def _start(folder: Path, role: str, job: Sequence[str]) -> subprocess.Popen[bytes]:
    # One thread for linear algebra, as the demonstration's institutions have: parties share the machine.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "bench.party", str(folder), role, *job],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def _await_ready(role: str, process: subprocess.Popen[bytes]) -> None:
    """The process prints one line once it listens; an end of its output means that it failed."""
    if process.stdout is not None and process.stdout.readline():
        return
    raise BenchError(f"the {role}'s process did not start: {_complaint(process)}")


def _collect(role: str, process: subprocess.Popen[bytes], until: float) -> dict[str, Any] | str:
    """What a role printed, or what it complained of."""
    try:
        output, errors = process.communicate(timeout=max(0.1, until - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"the {role} did not finish in time") from error
    if process.returncode != 0:
        return last_line(errors)
    found: dict[str, Any] = msgspec.json.decode(output)
    return found


def _complaint(process: subprocess.Popen[bytes]) -> str:
    return "" if process.stderr is None else last_line(process.stderr.read())


def _free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return ports
