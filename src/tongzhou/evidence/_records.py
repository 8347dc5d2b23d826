"""What each tree of pages in a log's file must hold, and the comparison of its records byte by byte."""

import itertools
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from typing import NoReturn

from tongzhou.evidence._format import SCHEMA
from tongzhou.evidence._pages import NO_ROWID, Cell, Damage, Image, check_record, encode_record
from tongzhou.evidence.errors import EvidenceCheckError

__all__ = ["ROOTS", "Row", "compare_all", "sound", "walk_all"]

Row = tuple[int | str | bytes | None, ...]

ROOTS = {name: 2 + position for position, (_, name, _, _) in enumerate(SCHEMA)}  # pages, in order of creation
_INDEXES = ("entry_keys", "cosignature_sizes")
_ENTRY_TABLES = ("entries", "bodies")  # damage in their rows is damage to an entry
# For each tree of pages: the types of a record (t text, b blob, i integer, r the row id, which is not in the
# record) and a query that yields its values in the order in which the tree holds them. What an index must
# hold is read from the table, never from the index.
_RECORDS = {
    "about": ("tt", "SELECT origin, vkey FROM about"),
    "entries": ("rttit", "SELECT idx, kind, key, time, leaf FROM entries ORDER BY idx"),
    "entry_keys": ("tti", "SELECT kind, key, idx FROM entries NOT INDEXED ORDER BY kind, key, idx"),
    "bodies": ("rbt", "SELECT idx, salt, body FROM bodies ORDER BY idx"),
    "tiles": ("rb", "SELECT seq, hashes FROM tiles ORDER BY seq"),
    "checkpoints": ("rt", "SELECT size, note FROM checkpoints ORDER BY size"),
    "cosignatures": ("ritb", "SELECT seq, size, line, digest FROM cosignatures ORDER BY seq"),
    "cosignature_sizes": ("ii", "SELECT size, seq FROM cosignatures NOT INDEXED ORDER BY size, seq"),
}


_Expected = tuple[int, bytes]  # row id and record


def sound(check: Callable[[], None]) -> None:
    """Run a check of the file's bytes and turn damage into a sentence."""
    try:
        check()
    except Damage as damage:
        if damage.rowid is not None:
            raise EvidenceCheckError(
                "the store is damaged at byte {offset}, in or next to entry {index}",
                offset=damage.offset,
                index=damage.rowid,
            ) from damage
        raise EvidenceCheckError("the store is damaged at byte {offset}", offset=damage.offset) from damage


def compare_all(image: Image, connection: sqlite3.Connection) -> None:
    """Compare each stored record with the one that its values make; then check all other bytes."""
    image.check_counters(len(SCHEMA))
    _compare_schema(image)
    for name, (types, select) in _RECORDS.items():
        rows = connection.execute(select)
        cells = image.index(ROOTS[name]) if name in _INDEXES else image.rows(ROOTS[name])
        _compare(name, cells, (_typed(types, row, number) for number, row in enumerate(rows, 1)))
    image.check_all_seen()


def walk_all(image: Image) -> None:
    """Walk all pages without knowing what they should hold; damage to their structure is raised."""
    fresh = Image(image.raw)
    fresh.check_header()
    _compare_schema(fresh)
    for name, root in ROOTS.items():
        cells = fresh.index(root) if name in _INDEXES else fresh.rows(root)
        _compare(name, cells, None)
    fresh.check_all_seen()
    fresh.check_counters(len(SCHEMA))


def _compare_schema(image: Image) -> None:
    rows = [(kind, name, table, ROOTS[name], statement) for kind, name, table, statement in SCHEMA]
    expected = [_typed("tttit", row, number) for number, row in enumerate(rows, 1)]
    _compare("sqlite_schema", image.rows(1), expected)


def _compare(name: str, cells: Iterator[Cell], records: Iterable[_Expected] | None) -> None:
    """Compare cells with records, where these are known; damage inside an entry carries its index."""
    try:
        wanted = None if records is None else iter(records)
        for cell in cells:
            check_record(cell)
            if wanted is not None:
                _same(cell, next(wanted, (0, b"")))
        if wanted is not None and next(wanted, None) is not None:
            _fail(0)  # a query shows more rows than the pages hold
    except Damage as damage:
        if name not in _ENTRY_TABLES:
            damage.rowid = None
        raise


def _typed(types: str, row: Row, number: int) -> _Expected:
    """Return row id and record of a row; a text stored as a blob makes a record that differs.

    A table without a row id of its own numbers its rows from 1; the records of an index have none.
    """
    values: list[int | str | bytes | None] = []
    for kind, value in zip(types, row, strict=True):
        if kind == "t" and isinstance(value, bytes):
            values.append(value.decode(errors="replace"))
        elif kind == "b" and isinstance(value, str):
            values.append(value.encode())
        else:
            values.append(None if kind == "r" else value)
    own = row[types.index("r")] if "r" in types else number
    return (own if isinstance(own, int) else 0), encode_record(values)


def _same(cell: Cell, expected: _Expected) -> None:
    rowid, record = expected
    if cell.rowid not in (rowid, NO_ROWID):
        _fail(cell.pieces[0][0] - 1, cell.rowid)
    if cell.payload != record:
        pairs = itertools.zip_longest(cell.payload, record)
        first = next(position for position, (one, other) in enumerate(pairs) if one != other)
        _fail(cell.offset_of(first), cell.rowid)


def _fail(offset: int, rowid: int | None = None) -> NoReturn:
    raise Damage(offset, rowid)
