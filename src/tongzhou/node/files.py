"""Small files read and written whole, with sentences when that cannot be done."""

import contextlib
import errno
import os
import secrets
from pathlib import Path

from tongzhou.errors import DataError, NotFoundError, StorageError

__all__ = ["check_writable", "read_file", "write_file"]


def read_file(path: Path, most: int) -> bytes:
    """The bytes of a file.

    Args:
        path: the file.
        most: how many bytes it may have.

    Raises:
        NotFoundError: there is no such file.
        DataError: it is longer than `most`.
        StorageError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except FileNotFoundError as error:
        raise NotFoundError("there is no file {file}", file=path) from error
    except OSError as error:
        raise StorageError("{file} cannot be read: {cause}", file=path, cause=error.strerror) from error
    if len(content) > most:
        raise DataError("{file} has more than the {most} bytes allowed here", file=path, most=most)
    return content


def check_writable(path: Path) -> None:
    """Try whether `write_file` could write here, before work is done whose result would have no place.

    Args:
        path: where; what stands there is not touched.

    Raises:
        StorageError: its folder does not exist or cannot be written, or something else than a file is there.
    """
    staged = _staged(path)
    try:
        if path.exists() and not path.is_file():
            raise StorageError("{file} cannot be written: it is not a regular file", file=path)
        staged.touch(exist_ok=False)
    except OSError as error:
        raise StorageError("{file} cannot be written: {cause}", file=path, cause=error.strerror) from error
    finally:
        with contextlib.suppress(OSError):
            staged.unlink()


def write_file(path: Path, content: bytes) -> None:
    """Write a file whole, or leave what was there.

    Args:
        path: where; its folder must exist.
        content: what.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    staged = _staged(path)
    try:
        with staged.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            staged.unlink()
        if error.errno == errno.ENOSPC:
            raise StorageError("{file} was not written: the disk is full", file=path) from error
        raise StorageError("{file} was not written: {cause}", file=path, cause=error.strerror) from error


def _staged(path: Path) -> Path:
    """A name beside a file, for what is not yet the file."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")
