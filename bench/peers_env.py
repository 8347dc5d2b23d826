"""The peers' environment: of its own, under ``bench/out``; nothing here touches ``.venv``."""

import json
import os
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from bench.measures import ROOT, BenchError, end, last_line, say

__all__ = ["PEERS_VENV", "clean_environment", "peers_python", "spu_match", "spu_train"]

PEERS_VENV = ROOT / "bench" / "out" / "peers-venv"
"""Where the peers are installed; ignored by git."""

_SETUP = ROOT / "bench" / "peers" / "setup"
_SETUP_TIMEOUT_S = 240.0
_OURS = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")

Result = dict[str, Any]


def clean_environment() -> dict[str, str]:
    """The present variables less those that lead an interpreter or pip into another environment."""
    return {name: value for name, value in os.environ.items() if name not in _OURS}


def peers_python() -> Path | None:
    """The peers' interpreter, installed on first use; ``None``, with a notice, where that cannot be done."""
    say("peers' environment: bench/out/peers-venv (made on first use)")
    try:
        done = subprocess.run(
            [str(_SETUP), str(PEERS_VENV)],
            env=clean_environment(),
            capture_output=True,
            timeout=_SETUP_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        say(f"  the peers are skipped: {error}")
        return None
    if done.returncode != 0:
        say(f"  the peers are skipped: {last_line(done.stderr) or 'the setup failed'}")
        return None
    return PEERS_VENV / "bin" / "python"


def spu_train(
    python: Path, folder: Path, *, timeout_s: float, protocol: str = "SEMI2K", epochs: int = 20
) -> Result:
    """SPU's logistic regression in two processes on the arrays of a folder.

    Args:
        python: the peers' interpreter.
        folder: where the arrays lie.
        timeout_s: bound on the time of a party, in seconds.
        protocol: SPU's name of it.
        epochs: passes over the rows.

    Returns:
        CPU of both parties, wall of the slower, memory of the larger, bytes that both wrote, and the weights.

    Raises:
        BenchError: a party failed or took too long.
    """
    arguments = [protocol, str(epochs)]
    parts = _two_parties(python, "spu_logistic.py", folder, timeout_s, arguments=arguments)
    epochs, together = parts[0]["epochs"], _together(parts)
    return together | {
        "epochs": epochs,
        "cpu_s_epoch": together["cpu_s"] / epochs,
        "wall_s_epoch": together["wall_s"] / epochs,
        "compile_cpu_s": sum(part["compile_cpu_s"] for part in parts),
        "intercept": parts[0]["intercept"],
        "coefficients": parts[0]["coefficients"],
    }


def spu_match(python: Path, folder: Path, *, timeout_s: float) -> Result:
    """SPU's RR22 in two processes on the lists of a folder.

    Returns:
        CPU of both parties, wall of the slower, memory of the larger, bytes that both sent, and how many
        identifiers are common.

    Raises:
        BenchError: a party failed or took too long.
    """
    parts = _two_parties(python, "spu_match.py", folder, timeout_s)
    return _together(parts) | {"matched": parts[0]["matched"]}


def _two_parties(
    python: Path, script: str, folder: Path, timeout_s: float, *, arguments: Sequence[str] = ()
) -> list[Result]:
    ports = ",".join(map(str, _two_ports()))
    path = str(ROOT / "bench" / "peers" / script)
    with ExitStack() as stack:
        parties = []
        for rank in range(2):
            party = subprocess.Popen(
                [str(python), path, str(folder), str(rank), ports, *arguments],
                env=clean_environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            stack.callback(end, party)
            parties.append(party)
        return [_result(party, timeout_s) for party in parties]


def _result(party: "subprocess.Popen[bytes]", timeout_s: float) -> Result:
    try:
        output, errors = party.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise BenchError(f"spu took longer than {timeout_s:.0f} s") from error
    if party.returncode != 0:
        raise BenchError(f"spu failed: {last_line(errors)}")
    # The library may print before and after.
    lines = [line for line in output.splitlines() if line.startswith(b"{")]
    if not lines:
        raise BenchError("spu printed no result")
    found: Result = json.loads(lines[-1])
    return found


def _together(parts: list[Result]) -> Result:
    return {
        "cpu_s": sum(part["cpu_s"] for part in parts),
        "wall_s": max(part["wall_s"] for part in parts),
        "rss_mb": max(part["rss_mb"] for part in parts),
        "bytes": sum(part["bytes"] for part in parts),
    }


def _two_ports() -> list[int]:
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as one,
        closing(socket.create_server(("127.0.0.1", 0))) as two,
    ):
        return [int(each.getsockname()[1]) for each in (one, two)]
