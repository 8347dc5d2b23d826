"""The owner's tables under names: examined, normalised, kept as Parquet, and entered in the log.

Only the columns asked for are kept. The log gets a salted commitment to the content, so that the owner can
prove later which data a run used, and nobody learns anything about it before.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa

from tongzhou.data.columns import text_column
from tongzhou.data.edits import EditList, apply_edits
from tongzhou.data.findings import Finding, refuse
from tongzhou.data.identifiers import check_identifiers, normal_form, normalise
from tongzhou.data.profile import TableProfile, check, profile
from tongzhou.data.tables import read_table, write_parquet
from tongzhou.errors import ConflictError, DataError, PlanError, StorageError
from tongzhou.node.edits import edits_digest
from tongzhou.node.home import Home
from tongzhou.node.plan import is_table_name
from tongzhou.node.store import TableRecord
from tongzhou.parties.times import utc_text

__all__ = ["NO_EDITS", "Examined", "Repeats", "examine", "keep_table", "load_table", "recheck", "show_table"]

_CHUNK = 1 << 20
_ENTRY = "table-added"
_NAMES = "company"  # the kind of identifier whose variants the owner decides about

NO_EDITS = EditList()
"""Nothing decided."""

Repeats = Literal["refuse", "first"]
"""What becomes of rows whose identifier an earlier row has."""


class Examined(msgspec.Struct, frozen=True):
    """A file looked at, not yet kept.

    Attributes:
        table: the columns asked for, identifiers as they stand in the file.
        identifier: column of identifiers.
        kind: normal form they shall get.
        label: the 0/1 label column, if any.
        findings: what is wrong with it, errors first.
        edits: what the owner decided about the names of kind ``company``, applied already.
    """

    table: pa.Table
    identifier: str
    kind: str
    label: str | None
    findings: list[Finding]
    edits: EditList = NO_EDITS


def examine(
    path: Path,
    *,
    identifier: str,
    kind: str = "text",
    label: str | None = None,
    columns: Sequence[str] = (),
    edits: EditList = NO_EDITS,
    repeats: Repeats = "refuse",
) -> Examined:
    """Read a CSV or Parquet file and find what would spoil a job on it.

    Args:
        path: the file.
        identifier: column of identifiers.
        kind: their kind, see `data.identifiers`.
        label: column that holds 0 or 1, where there is one.
        columns: the columns to keep beside identifier and label; all when empty.
        edits: what the owner decided about the names; used when the kind is ``company``.
        repeats: what becomes of rows whose identifier an earlier row has: ``refuse`` makes them an error,
            ``first`` leaves them out with a warning.

    Raises:
        DataError: the file is no table, or a named column does not exist.
        NotFoundError: there is no such file.
    """
    table = read_table(path)
    try:
        examined = _examined(
            table, identifier, kind, label=label, columns=columns, edits=edits if kind == _NAMES else NO_EDITS
        )
        return _without_repeats(examined) if repeats == "first" else examined
    except DataError as error:
        raise DataError("{file}: {cause}", file=path, cause=error) from error


def keep_table(
    home: Home, examined: Examined, name: str, *, replace: bool = False, now: datetime
) -> TableRecord:
    """Keep an examined table under a name.

    The file comes first, then the log entry, then the registry. A process killed between leaves a file that
    no name points to (or whose hash tells that it is newer than its name): adding again mends both.

    Args:
        home: the institution.
        examined: what `examine` returned.
        name: the name plans and grants will use.
        replace: whether a table of that name may be replaced.
        now: the time.

    Raises:
        ConflictError: the name is taken and `replace` is false.
        DataError: a finding is an error.
        PlanError: the name cannot stand in a plan.
        StorageError: the disk does not take it.
    """
    if not is_table_name(name):
        raise PlanError(
            "a table's name has small letters, digits, '-', '_' and '.', got {got}", got=ascii(name[:70])
        )
    if not replace and any(record.name == name for record in home.store.tables()):
        raise ConflictError("there is already a table {table}; replace it with --replace", table=name)
    refuse(examined.findings)
    path = _path(home, name)
    write_parquet(_normalised(examined), path)
    record = TableRecord(
        name=name,
        identifier=examined.identifier,
        kind=examined.kind,
        label=examined.label,
        rows=examined.table.num_rows,
        columns=tuple(examined.table.column_names),
        content_hash=_hash(path),
        added=utc_text(now),
        findings=tuple(msgspec.to_builtins(finding) for finding in examined.findings),
    )
    home.log.append(
        _entry(record, examined.edits), kind=_ENTRY, key=f"{name}@{record.added}@{record.content_hash}"
    )
    home.store.add_table(record, replace=replace)
    return record


def _entry(record: TableRecord, edits: EditList) -> dict[str, Any]:
    """What the log says of a table."""
    entry = {
        "columns": list(record.columns),
        "content_hash": record.content_hash,
        "identifier": record.identifier,
        "name": record.name,
        "rows": record.rows,
    }
    return {**entry, "edits": edits_digest(edits)} if edits.decisions else entry


def load_table(home: Home, name: str) -> tuple[TableRecord, pa.Table]:
    """The registered table of a name, proved to be what was added.

    Raises:
        NotFoundError: no such table.
        StorageError: its file is missing, or has changed since.
    """
    record = home.store.table(name)
    path = _path(home, name)
    if not path.is_file():
        raise StorageError("table {table}: its file {file} is missing; add it again", table=name, file=path)
    if _hash(path) != record.content_hash:
        raise StorageError(
            "table {table}: its file {file} has changed since it was added; add it again",
            table=name,
            file=path,
        )
    return record, read_table(path)


def show_table(home: Home, name: str) -> tuple[TableRecord, TableProfile]:
    """A registered table described: for the owner's eyes only.

    Raises:
        NotFoundError: no such table.
        StorageError: its file is missing or changed.
    """
    record, table = load_table(home, name)
    return record, profile(table)


def recheck(home: Home, name: str) -> list[Finding]:
    """The findings of a registered table, found anew.

    Raises:
        NotFoundError: no such table.
        StorageError: its file is missing or changed.
    """
    record, table = load_table(home, name)
    return _examined(table, record.identifier, record.kind, label=record.label, columns=()).findings


def _examined(
    table: pa.Table,
    identifier: str,
    kind: str,
    *,
    label: str | None,
    columns: Sequence[str],
    edits: EditList = NO_EDITS,
) -> Examined:
    # `check` names a column that does not exist; it must speak before anything is selected.
    found = check(table, identifier, label, columns or None)
    if columns:
        keep = {identifier, label, *columns}
        table = table.select([name for name in table.column_names if name in keep])
    # Identifiers are judged in their normal form, in which "a1" repeats "A1".
    own = [finding for finding in found if not finding.rule.startswith("identifier-")]
    if table.num_rows:
        values = text_column(table, identifier)
        if edits.decisions:
            values, changed = apply_edits(values, edits, identifier)
            own += changed
            texts = [None if value is None else str(value) for value in values]
            table = _with_identifiers(table, identifier, texts)
        own += check_identifiers(values, kind, identifier)
    return Examined(
        table, identifier, kind, label, sorted(own, key=lambda finding: finding.severity != "error"), edits
    )


def _without_repeats(examined: Examined) -> Examined:
    """Leave out the rows whose identifier an earlier row has. Rows in findings stay those of the file."""
    repeated = [one for one in examined.findings if one.rule == "identifier-duplicated"]
    if not repeated:
        return examined
    form = normal_form(examined.kind)
    seen: set[str] = set()
    kept = []
    for value in text_column(examined.table, examined.identifier):
        normal = "" if value is None else form(str(value))
        kept.append(not normal or normal not in seen)
        seen.add(normal)
    left_out = msgspec.structs.replace(
        repeated[0],
        rule="identifier-left-out",
        severity="warning",
        template="identifier {column}: rows that repeat an earlier one are left out: {rows}, first row {row}",
    )
    others = [one for one in examined.findings if one.rule != "identifier-duplicated"]
    return msgspec.structs.replace(
        examined, table=examined.table.filter(pa.array(kept)), findings=[*others, left_out]
    )


def _normalised(examined: Examined) -> pa.Table:
    table, name = examined.table, examined.identifier
    return _with_identifiers(table, name, normalise(text_column(table, name), examined.kind))


def _with_identifiers(table: pa.Table, name: str, values: Sequence[str | None]) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, pa.array(values, pa.string()))


def _path(home: Home, name: str) -> Path:
    return home.tables / f"{name}.parquet"


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise StorageError("{file} cannot be read: {cause}", file=path, cause=error.strerror) from error
    return digest.hexdigest()
