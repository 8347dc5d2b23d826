"""An asker's copy of a provider's prepared list, in one file that is there whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from tongzhou.errors import ProtocolError, StorageError
from tongzhou.node.tag_store import mapped
from tongzhou.secure.tag_lists import checked
from tongzhou.secure.tag_table import TagTable

__all__ = ["FileTagCache"]


class FileTagCache:
    """A `tongzhou.secure.tag_lists.TagCache` on disk.

    Args:
        path: the file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def current(self) -> TagTable | None:
        """The copy; none if there is none or it is damaged, and then all of it is fetched anew."""
        if not self.path.exists():
            return None
        with contextlib.suppress(ProtocolError, StorageError):
            return TagTable.open(mapped(self.path))
        return None

    def replace(self, parts: Iterable[bytes], version: bytes) -> TagTable:
        """Keep a new table, whole or not at all.

        Args:
            parts: its bytes.
            version: what it must be.

        Raises:
            ProtocolError: it is another one; the old copy stays.
            StorageError: the disk does not take it.
        """
        staged = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}")
        try:
            with staged.open("xb") as file:
                for part in parts:
                    file.write(part)
                file.flush()
                os.fsync(file.fileno())
            table = checked(mapped(staged), version)
            staged.replace(self.path)
        except OSError as error:
            raise StorageError(
                "{file} was not written: {cause}", file=self.path, cause=error.strerror
            ) from error
        finally:
            with contextlib.suppress(OSError):
                staged.unlink()
        return table
