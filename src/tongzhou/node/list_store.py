"""Records of lists as files: one file a record, written whole or not at all, arrays mapped and not read.

A table of a million entries is 50 MB, of which a query touches three rows. So arrays lie in their file as
they lie in memory, and the system reads the pages that are touched.

A file is a fixed prefix (magic, version, length of the header), a MessagePack header (the record's head, type
and shape of each array), and the arrays, each aligned to 64 bytes.
"""

import contextlib
import math
import os
import re
import secrets
import struct
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import PlanError, StorageError
from tongzhou.secure.list_store import Record

__all__ = ["FolderListStore"]

Array = NDArray[Any]

_PREFIX: Final = struct.Struct("<4sII")
_MAGIC: Final = b"TZls"
_VERSION: Final = 1
_ALIGNMENT: Final = 64
_MAX_HEADER: Final = 1 << 20
_SUFFIX: Final = ".list"
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
_PRIVATE_FOLDER: Final = 0o700
_PRIVATE: Final = 0o600
_DTYPES: Final = frozenset({"<u8", "<i8", "|u1"})

_Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]


class _Header(msgspec.Struct, frozen=True, array_like=True):
    head: bytes
    arrays: list[tuple[str, list[_Size]]]


class FolderListStore:
    """A `tongzhou.secure.list_store.ListStore` in a folder that only its owner may enter.

    Args:
        folder: made if it does not exist.

    Raises:
        StorageError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritten(folder, error) from error

    def put(self, name: str, record: Record) -> None:
        """As `ListStore.put`; on the disk when this returns.

        Raises:
            StorageError: the disk is full, or the folder cannot be written.
        """
        path = self._path(name)
        staged = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        try:
            with open(staged, "xb", opener=_open_private) as file:
                _write(file.write, record)
                file.flush()
                os.fsync(file.fileno())
            staged.replace(path)
            self._sync()
        except OSError as error:
            with contextlib.suppress(OSError):
                staged.unlink()
            raise _unwritten(path, error) from error

    def get(self, name: str) -> Record | None:
        """As `ListStore.get`; arrays are mapped read-only.

        Raises:
            StorageError: the file is damaged or cannot be read.
        """
        path = self._path(name)
        try:
            with path.open("rb") as file:
                header, start = _read_header(path, file.read(_PREFIX.size + _MAX_HEADER))
            return Record(header.head, _map(path, header, start))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError("{file} cannot be read: {cause}", file=path, cause=error.strerror) from error

    def names(self) -> list[str]:
        """As `ListStore.names`."""
        return sorted(path.name.removesuffix(_SUFFIX) for path in self._folder.glob(f"[!.]*{_SUFFIX}"))

    def drop(self, name: str) -> None:
        """As `ListStore.drop`.

        Raises:
            StorageError: the folder cannot be written.
        """
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
            self._sync()
        except OSError as error:
            raise _unwritten(path, error) from error

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise PlanError(
                "{name} is no name of a record: words of letters, digits, - and _, parted by dots", name=name
            )
        return self._folder / f"{name}{_SUFFIX}"

    def _sync(self) -> None:
        """A new name is on the disk only when its folder is."""
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags, _PRIVATE)


def _write(write: Any, record: Record) -> None:
    solid = [np.ascontiguousarray(array) for array in record.arrays]
    header = msgspec.msgpack.encode(
        _Header(record.head, [(array.dtype.str, list(array.shape)) for array in solid])
    )
    at = write(_PREFIX.pack(_MAGIC, _VERSION, len(header)) + header)
    for array in solid:
        at += write(bytes(-at % _ALIGNMENT))
        at += write(array.reshape(-1).view(np.uint8).data)


def _read_header(path: Path, content: bytes) -> tuple[_Header, int]:
    try:
        magic, version, length = _PREFIX.unpack_from(content)
        if magic != _MAGIC or version != _VERSION or length > _MAX_HEADER:
            raise _damaged(path)
        stop = _PREFIX.size + length
        return msgspec.msgpack.decode(content[_PREFIX.size : stop], type=_Header), stop
    except (struct.error, msgspec.MsgspecError) as error:
        raise _damaged(path) from error


def _map(path: Path, header: _Header, at: int) -> tuple[Array, ...]:
    """The arrays, without reading them."""
    size, arrays = path.stat().st_size, []
    for dtype, shape in header.arrays:
        if dtype not in _DTYPES:
            raise _damaged(path)
        at += -at % _ALIGNMENT
        length = math.prod(shape) * np.dtype(dtype).itemsize
        if at + length > size:
            raise _damaged(path)
        # An empty mapping is refused by the system.
        array: Array = (
            np.memmap(path, dtype, "r", at, tuple(shape)) if length else np.empty(tuple(shape), dtype)
        )
        arrays.append(array)
        at += length
    return tuple(arrays)


def _damaged(path: Path) -> StorageError:
    return StorageError("{file} is damaged: set the lists up anew", file=path)


def _unwritten(path: Path, error: OSError) -> StorageError:
    return StorageError("{file} was not written: {cause}", file=path, cause=error.strerror)
