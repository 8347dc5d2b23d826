"""One process at a time plays a run. The system releases the lock of a process that was killed."""

import fcntl
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tongzhou.errors import ConflictError, PlanError, StorageError
from tongzhou.node.home import Home

__all__ = ["check_run_id", "holding_run"]

_FOLDER: Final = "locks"
_RUN_ID: Final = re.compile(r"[a-z0-9-]{8,64}", re.ASCII)
_EVERY_S: Final = 0.05


def check_run_id(run_id: str) -> str:
    """Return the identifier if it is one; it becomes part of file names.

    Raises:
        PlanError: it is not.
    """
    if not _RUN_ID.fullmatch(run_id):
        raise PlanError(
            "a run's identifier has 8 to 64 small letters, digits and '-', got {got}", got=ascii(run_id[:70])
        )
    return run_id


@contextmanager
def holding_run(home: Home, run_id: str, *, wait_s: float = 0.0) -> Iterator[None]:
    """Hold the lock of a run.

    Args:
        home: the institution.
        run_id: the run.
        wait_s: how long to wait for another holder to end.

    Raises:
        ConflictError: another process, or another call, is playing it.
        StorageError: the lock cannot be made.
    """
    path = home.folder / _FOLDER / check_run_id(run_id)
    until = time.monotonic() + wait_s
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        while (handle := _try(str(path))) is None:
            if time.monotonic() >= until:
                raise ConflictError(
                    "run {run} is being played at {party} already; wait until that ends",
                    run=run_id,
                    party=home.party_id,
                )
            time.sleep(_EVERY_S)
    except OSError as error:
        raise StorageError("{file} cannot be used: {cause}", file=path, cause=error.strerror) from error
    try:
        yield
    finally:
        # Removed while it is held, so that whoever opened it meanwhile finds that it is gone and tries anew.
        path.unlink(missing_ok=True)
        os.close(handle)


def _try(path: str) -> int | None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    if os.fstat(handle).st_nlink == 0:
        os.close(handle)
        return None
    return handle
