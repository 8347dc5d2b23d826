"""Reports of our own mistakes: the traceback goes to a file of the institution, not to a peer or a screen."""

import secrets
import sys
import traceback
from datetime import datetime
from pathlib import Path

from tongzhou import __version__

__all__ = ["write_crash"]


def write_crash(folder: Path, error: BaseException, now: datetime) -> Path | None:
    """Write a traceback into a folder of reports; made if it is not there.

    Args:
        folder: where reports lie, such as ``HOME/crash``.
        error: what happened.
        now: the time.

    Returns:
        The report, or ``None`` if the disk does not take it: a report must not fail what it reports on.
    """
    path = folder / f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}.txt"
    text = f"tongzhou {__version__}, Python {sys.version}\n" + "".join(traceback.format_exception(error))
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError:
        return None
    return path
