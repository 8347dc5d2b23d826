"""Small files that must never be seen half written, and private ones that only their owner may read.

Write order: a temporary file in the same folder is written and synced, then takes its name in one step
(a link that fails if the name is taken, or a rename that replaces), then the folder is synced. A crash
leaves the old file or the new one, and perhaps a temporary file that nobody reads.
"""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tongzhou.errors import ConflictError, StorageError

__all__ = [
    "PRIVATE",
    "PUBLIC",
    "create_file",
    "make_folder",
    "read_bounded",
    "read_private",
    "replace_file",
    "touch_private",
]

PRIVATE = 0o600
PUBLIC = 0o644
_PRIVATE_FOLDER = 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_folder(folder: Path) -> None:
    """Make a folder that only its owner may enter; one that exists is left as it is.

    Raises:
        StorageError: it cannot be made.
    """
    with _sentences(folder):
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)


def create_file(path: Path, content: bytes, mode: int) -> None:
    """Write a file that must not exist yet, whole or not at all.

    Raises:
        ConflictError: the name is taken.
        StorageError: the disk is full or the folder cannot be written.
    """
    with _sentences(path), _staged(path, content, mode) as staged:
        try:
            os.link(staged, path)
        except FileExistsError as error:
            raise ConflictError("{file} exists already and is not replaced", file=path) from error
        _sync_folder(path.parent)


def replace_file(path: Path, content: bytes, mode: int) -> None:
    """Write a file over an older one, whole or not at all.

    Raises:
        StorageError: the disk is full or the folder cannot be written.
    """
    with _sentences(path), _staged(path, content, mode) as staged:
        staged.replace(path)
        _sync_folder(path.parent)


def read_bounded(path: Path, most: int) -> bytes:
    """The bytes of a file that ought to be small.

    Raises:
        StorageError: it cannot be read, or is longer than `most` bytes.
    """
    with _sentences(path), path.open("rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise StorageError("{file} has more than the {most} bytes allowed here", file=path, most=most)
    return content


def read_private(path: Path, most: int) -> bytes:
    """The bytes of a file that holds a key; refused when others may read it.

    Raises:
        StorageError: others may read it, it cannot be read, or is longer than `most` bytes.
    """
    with _sentences(path):
        mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        raise StorageError(
            "{file} holds a key and others may open it (mode {mode}); only its owner may: chmod 600 {file}",
            file=path,
            mode=f"{mode:04o}",
        )
    return read_bounded(path, most)


def touch_private(path: Path) -> None:
    """Make an empty file that only its owner may open; one that exists is left as it is.

    Raises:
        StorageError: it cannot be made.
    """
    with _sentences(path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, PRIVATE))


@contextmanager
def _staged(path: Path, content: bytes, mode: int) -> Iterator[Path]:
    staged = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(descriptor, "wb") as file:
            # The process's umask may have taken bits away; it can never have added one.
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        yield staged
    finally:
        staged.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _sentences(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            "{file} cannot be read or written: {cause}", file=path, cause=error.strerror or str(error)
        ) from error
