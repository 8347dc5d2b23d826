"""Publishing a strategy: an immutable copy under its name and version."""

import os
import shutil
import tempfile
from pathlib import Path

from tongzhou.decide.strategy import Strategy
from tongzhou.errors import ConflictError, StorageError

__all__ = ["publish"]


def publish(strategy: Strategy, folder: Path | str) -> Path:
    """Write a version where it stays as it is.

    Publishing the same content again changes nothing and is no error. The copy carries its digest, and
    `Strategy.load` refuses a copy that was changed afterwards.

    Args:
        strategy: what to publish.
        folder: holds all published strategies, as ``<name>/<version>``.

    Returns:
        The folder of the version.

    Raises:
        ConflictError: the version exists with other content.
        StorageError: it cannot be written.
    """
    target = Path(folder) / strategy.name / strategy.version
    if target.exists():
        return _same(strategy, target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        # Written beside the target and renamed: a reader sees the whole version or none.
        staging = Path(tempfile.mkdtemp(prefix=".publishing-", dir=target.parent))
        try:
            _write(strategy, staging)
            staging.rename(target)
            _sync(target.parent)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        if target.exists():  # another process published in the meantime
            return _same(strategy, target)
        raise StorageError(
            "the strategy cannot be published in {folder}: {reason}",
            folder=target.parent,
            reason=error.strerror or type(error).__name__,
        ) from error
    return target


def _same(strategy: Strategy, target: Path) -> Path:
    if Strategy.load(target).digest != strategy.digest:
        raise ConflictError(
            "version {version} of {name} is published with other content; give the change a new version",
            version=strategy.version,
            name=strategy.name,
        )
    return target


def _write(strategy: Strategy, folder: Path) -> None:
    content = {**strategy.files, "digest.txt": f"{strategy.digest}\n".encode()}
    for name, raw in content.items():
        path = folder / name
        with path.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        path.chmod(0o444)
    folder.chmod(0o755)
    _sync(folder)


def _sync(folder: Path) -> None:
    """Make the folder's own entries durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
