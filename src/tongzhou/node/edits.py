"""The owner's decisions about names, a file for each table in ``HOME/edits``, and the search for pairs."""

import hashlib
from datetime import datetime
from pathlib import Path

import msgspec

from tongzhou.data.columns import text_column
from tongzhou.data.companies import company_form
from tongzhou.data.edits import EditList
from tongzhou.data.similar import Candidate, find_candidates
from tongzhou.data.tables import read_table
from tongzhou.errors import ConflictError, DataError, NotFoundError, PlanError, StorageError
from tongzhou.node.files import read_file, write_file
from tongzhou.node.home import Home
from tongzhou.node.plan import is_table_name
from tongzhou.parties.times import utc_text

__all__ = ["NameColumn", "edits_digest", "keep_edits", "load_edits", "name_column", "suggest"]

_BYTES_MAX = 64 << 20
_ENTRY = "names-decided"


class NameColumn(msgspec.Struct, frozen=True):
    """Names of a file, each normal form once.

    Attributes:
        normal: normal forms, in the order of their first rows.
        written: for each the text of its first row, and that row, counted from 1.
    """

    normal: list[str]
    written: list[tuple[str, int]]


def name_column(path: Path, column: str) -> NameColumn:
    """Read the names of companies of a file.

    Raises:
        DataError: the file is no table, has no such column, or the column holds no names.
        NotFoundError: there is no such file.
    """
    try:
        values = text_column(read_table(path), column)
    except DataError as error:
        raise DataError("{file}: {cause}", file=path, cause=error) from error
    found: dict[str, tuple[str, int]] = {}
    for row, value in enumerate(values, start=1):
        normal = company_form(str(value)) if value is not None else ""
        if normal:
            found.setdefault(normal, (str(value), row))
    return NameColumn(list(found), list(found.values()))


def suggest(
    names: NameColumn, against: NameColumn | None, edits: EditList, *, least: float, most: int
) -> list[Candidate]:
    """Pairs of names to decide about, the decided ones left out.

    Args:
        names: of the owner's table.
        against: of another list that the owner holds; without it `names` are compared among themselves.
        edits: what was decided before.
        least: lowest score, from 0.5 to 1.
        most: most pairs.

    Raises:
        PlanError: `least` is out of range.
        NotFoundError: the extra for it is not installed.
    """
    if not 0.5 <= least <= 1.0:
        raise PlanError("the lowest score must be from 0.5 to 1, got {got}", got=least)
    return find_candidates(
        names.normal,
        against=None if against is None else against.normal,
        least=least,
        most=most,
        decided=edits.pairs(),
    )


def load_edits(home: Home, table: str) -> EditList:
    """What was decided about the names of a table; empty when nothing was.

    Raises:
        PlanError: the table's name is none.
        StorageError: the file is damaged.
    """
    path = _path(home, table)
    try:
        content = read_file(path, _BYTES_MAX)
    except NotFoundError:
        return EditList()
    try:
        found = msgspec.json.decode(content, type=EditList)
        # made anew, decision by decision: a list changed by hand could lead in a circle
        return EditList().with_decisions(enumerate(found.decisions, start=1))
    except (msgspec.MsgspecError, ConflictError) as error:
        raise StorageError(
            "{file} is damaged: {cause}; restore it from a backup", file=path, cause=error
        ) from error


def keep_edits(home: Home, table: str, edits: EditList, *, now: datetime) -> None:
    """Keep the decisions about the names of a table, and note it in the log.

    Raises:
        PlanError: the table's name is none.
        StorageError: the disk does not take it.
    """
    path = _path(home, table)
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StorageError(
            "{folder} cannot be made: {cause}", folder=path.parent, cause=error.strerror
        ) from error
    write_file(path, msgspec.json.format(msgspec.json.encode(edits), indent=1))
    digest = edits_digest(edits)
    home.log.append(
        {"decisions": len(edits.decisions), "digest": digest, "table": table},
        kind=_ENTRY,
        key=f"{table}@{utc_text(now)}@{digest}",
    )


def edits_digest(edits: EditList) -> str:
    """SHA-256 (hex) of the decisions: what a table's log entry says of the list that was applied."""
    return hashlib.sha256(msgspec.json.encode(edits)).hexdigest()


def _path(home: Home, table: str) -> Path:
    if not is_table_name(table):
        raise PlanError(
            "a table's name has small letters, digits, '-', '_' and '.', got {got}", got=ascii(table[:70])
        )
    return home.folder / "edits" / f"{table}.json"
