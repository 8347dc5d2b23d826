"""How the tests call the terminal, and what a demonstration showed them."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple


class Shown(NamedTuple):
    folder: Path
    printed: str
    figures: dict[str, Any]


def tongzhou(*words: str, lang: str = "en") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from tongzhou.cli.start import main; main()", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=170, check=False, env=_env(lang))


def _env(lang: str) -> dict[str, str]:
    return {**os.environ, "TONGZHOU_LANG": lang, "COLUMNS": "200"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
