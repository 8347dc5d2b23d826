"""A tampered copy of a log, to show that the checker finds it and says where.

Nothing here touches the original: the copy holds all that is committed, and one byte of one entry differs.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from tongzhou.evidence._pages import Cell, Image
from tongzhou.evidence._records import ROOTS
from tongzhou.evidence.checker import read_image
from tongzhou.evidence.errors import EvidenceConflictError, EvidenceNotFoundError

__all__ = ["Tampered", "copy_tampered"]


@dataclass(frozen=True, slots=True)
class Tampered:
    """What was done to the copy.

    Attributes:
        path: the copy.
        index: the entry whose record was changed.
        offset: the byte of the file that was changed.
        before: its value in the original, 0 to 255.
        after: its value in the copy.
    """

    path: Path
    index: int
    offset: int
    before: int
    after: int


def copy_tampered(path: Path | str, target: Path | str, *, index: int | None = None) -> Tampered:
    """Copy a log and flip the lowest bit of one byte in the stored record of one entry.

    Args:
        path: the log's file, which may be in use.
        target: the copy; it must not exist.
        index: the entry; the middle one by default.

    Raises:
        EvidenceNotFoundError: there is no such log or entry.
        EvidenceConflictError: the target exists.
    """
    raw = bytearray(read_image(Path(path)))
    image = Image(bytes(raw))
    image.check_header()
    cells = list(image.rows(ROOTS["bodies"]))
    wanted = len(cells) // 2 if index is None else index
    if not 0 <= wanted < len(cells):
        raise EvidenceNotFoundError("the log has no entry {index}", index=wanted)
    offset = _last_letter(cells[wanted])
    before = raw[offset]
    raw[offset] ^= 1
    copy = Path(target)
    try:
        with open(copy, "xb", opener=_private) as file:
            file.write(raw)
    except FileExistsError as error:
        raise EvidenceConflictError("{file} exists already; it is not overwritten", file=str(copy)) from error
    return Tampered(copy, wanted, offset, before, raw[offset])


def _last_letter(cell: Cell) -> int:
    """Return where the last digit of the stored record stands, or else its last letter."""
    for wanted in (b"0123456789", bytes(range(0x61, 0x7B))):
        for position in range(len(cell.payload) - 1, -1, -1):
            if cell.payload[position] in wanted:
                return cell.offset_of(position)
    return cell.offset_of(len(cell.payload) - 1)


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)
