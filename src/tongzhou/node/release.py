"""Publishing a table: settings applied, the result checked as a stranger would, written, noted in the log."""

import hashlib
import io
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from tongzhou.data.columns import numeric_column
from tongzhou.errors import DataError, VerificationError
from tongzhou.node.files import write_file
from tongzhou.node.home import Home
from tongzhou.node.pseudonyms import pseudonym_key, pseudonyms
from tongzhou.node.release_settings import QuasiColumn, ReleaseSettings, SensitiveColumn, release_digest
from tongzhou.parties.names import near_name
from tongzhou.parties.times import utc_text
from tongzhou.risk.anonymise import Classes, Request, classes_of
from tongzhou.risk.anonymise_criteria import (
    ClassCounts,
    Closeness,
    Criterion,
    DistinctDiversity,
    EntropyDiversity,
    RecursiveDiversity,
    Sensitive,
)
from tongzhou.risk.anonymise_domains import Domain, category_domain, number_domain, prefix_domain
from tongzhou.risk.anonymise_lattice import full_domain
from tongzhou.risk.anonymise_mondrian import mondrian

__all__ = ["Reached", "Release", "make_release", "release_key", "write_release"]

_ENTRY = "release-made"


class Reached(msgspec.Struct, frozen=True):
    """A condition, and what the worst class of the published table reaches.

    Attributes:
        column: the sensitive column; empty for the number of rows.
        kind: ``"k"``, ``"distinct"``, ``"entropy"``, ``"recursive"``, ``"equal"``, ``"ordered"`` or
            ``"hierarchy"``.
        asked: the condition's number.
        reached: of the worst class.
        tail: the l of a recursive condition.
    """

    column: str
    kind: str
    asked: float
    reached: float
    tail: int | None = None


class Release(msgspec.Struct, frozen=True):
    """A table ready to be published.

    Attributes:
        settings: what was asked.
        source: the table as it was.
        published: the table to publish; the order of its rows follows from its content alone.
        quasi: the quasi-identifying columns as they were.
        sensitive: the sensitive columns, with their conditions.
        classes: what became of the rows of the source.
        reached: each condition, checked on the published table.
    """

    settings: ReleaseSettings
    source: pa.Table
    published: pa.Table
    quasi: tuple[Domain, ...]
    sensitive: tuple[Sensitive, ...]
    classes: Classes
    reached: list[Reached]


def make_release(table: pa.Table, settings: ReleaseSettings, key: Callable[[], bytes]) -> Release:
    """Generalise a table as its settings say.

    Args:
        table: the source.
        settings: roles and conditions.
        key: gives the key for pseudonyms; called only if there are any.

    Raises:
        DataError: a column is missing or not what its role needs, or no table satisfies the conditions.
        PlanError: the settings do not fit the table's values.
        VerificationError: the result does not satisfy the conditions: a mistake of ours, nothing is
            published.
    """
    _check_columns(table, settings)
    if table.num_rows == 0:
        raise DataError("the table must have rows to be published")
    head = settings.release
    quasi = tuple(_quasi(table, name, column) for name, column in settings.quasi.items())
    sensitive = tuple(_sensitive(table, name, column) for name, column in settings.sensitive.items())
    request = Request(quasi, sensitive, head.k, head.suppression)
    classes = mondrian(request) if head.method == "mondrian" else full_domain(request)
    published = _published(table, settings, quasi, classes, key)
    return Release(
        settings=settings,
        source=table,
        published=published,
        quasi=quasi,
        sensitive=sensitive,
        classes=classes,
        reached=_verified(published, settings),
    )


def write_release(home: Home, release: Release, path: Path, *, now: datetime) -> str:
    """Write the published table and note it in the log.

    Args:
        home: the institution.
        release: what `make_release` made.
        path: where; Parquet if its name ends so, else CSV.
        now: the time.

    Returns:
        SHA-256 (hex) of the file.

    Raises:
        StorageError: the disk does not take it.
    """
    content = _encoded(release.published, path)
    digest = hashlib.sha256(content).hexdigest()
    write_file(path, content)
    entry: dict[str, Any] = {
        "classes": int(release.classes.sizes.size),
        "digest": digest,
        "k": release.settings.release.k,
        "name": release.settings.release.name,
        "rows": release.published.num_rows,
        "settings": release_digest(release.settings),
    }
    home.log.append(entry, kind=_ENTRY, key=f"{entry['name']}@{utc_text(now)}@{digest}")
    return digest


def release_key(home: Home) -> Callable[[], bytes]:
    """The key for pseudonyms, read when it is needed."""
    return lambda: pseudonym_key(home)


def _encoded(table: pa.Table, path: Path) -> bytes:
    out = io.BytesIO()
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, out, compression="zstd")
    else:
        pyarrow.csv.write_csv(table, out)
    return out.getvalue()


# Roles


def _check_columns(table: pa.Table, settings: ReleaseSettings) -> None:
    for column in settings.roles():
        if column in table.column_names:
            continue
        near = near_name(column, table.column_names)
        if near is not None:
            raise DataError("there is no column {column}; did you mean {near}?", column=column, near=near)
        raise DataError("there is no column {column} in the table", column=column)


def _quasi(table: pa.Table, name: str, column: QuasiColumn) -> Domain:
    if column.kind == "number":
        return number_domain(name, numeric_column(table, name), column.widths)
    if column.kind == "prefix":
        return prefix_domain(name, _texts(table, name), column.keep)
    return category_domain(name, _texts(table, name), column.levels or None, order=column.order)


def _sensitive(table: pa.Table, name: str, column: SensitiveColumn) -> Sensitive:
    if column.kind == "number":
        values = numeric_column(table, name)
        steps = values if column.step is None else np.floor_divide(values, column.step) * column.step
        domain = number_domain(name, steps)
    elif column.levels or column.order:
        domain = category_domain(name, _texts(table, name), column.levels or None, order=column.order)
    else:
        domain = _plain_domain(name, _texts(table, name))
    return Sensitive(domain, tuple(_criteria(column, domain)))


def _plain_domain(name: str, values: list[str | None]) -> Domain:
    """Texts without any order or levels; there may be very many."""
    return prefix_domain(name, values, ())


def _criteria(column: SensitiveColumn, domain: Domain) -> list[Criterion]:
    found: list[Criterion] = []
    if column.distinct is not None:
        found.append(DistinctDiversity(column.distinct))
    if column.entropy is not None:
        found.append(EntropyDiversity(column.entropy))
    if column.recursive_c is not None and column.recursive_l is not None:
        found.append(RecursiveDiversity(column.recursive_c, column.recursive_l))
    if column.t is not None:
        found.append(Closeness(column.t, column.distance, domain))
    return found


def _texts(table: pa.Table, name: str) -> list[str | None]:
    return [None if value is None else str(value) for value in table.column(name).to_pylist()]


# Publishing


def _published(
    table: pa.Table,
    settings: ReleaseSettings,
    quasi: Sequence[Domain],
    classes: Classes,
    key: Callable[[], bytes],
) -> pa.Table:
    """The columns to publish, in the order of the source, with rows in the order of their content."""
    kept = np.flatnonzero(classes.of >= 0)
    labels = dict(zip((domain.name for domain in quasi), classes.labels(quasi), strict=True))
    columns: dict[str, Any] = {}
    roles = settings.roles()
    for name in table.column_names:
        role = roles.get(name)
        if role == "quasi":
            texts = pa.array(labels[name], pa.string())
            columns[name] = texts.take(pa.array(classes.of[kept], pa.int64()))
        elif role in ("sensitive", "plain"):
            columns[name] = table.column(name).take(pa.array(kept, pa.int64()))
        elif role == "identifier" and settings.identifiers[name] == "pseudonym":
            named = pseudonyms(key(), settings.scope, name, _texts(table, name))
            columns[name] = pa.array([named[at] for at in kept.tolist()], pa.string())
    published = pa.table(columns)
    # The order of the source may tell when or where a row was made. This order is made of what is published
    # anyway.
    return published.sort_by([(name, "ascending") for name in published.column_names])


def _verified(published: pa.Table, settings: ReleaseSettings) -> list[Reached]:
    """Judge the published table from its own content, as whoever gets it would.

    Raises:
        VerificationError: it breaks a condition.
    """
    codes = [_distinct_codes(_texts(published, name)) for name in settings.quasi]
    of, groups = classes_of(codes)
    k = settings.release.k
    reached = [Reached("", "k", k, float(np.bincount(of, minlength=groups).min()))]
    sound = reached[0].reached >= k
    for name, column in settings.sensitive.items():
        sensitive = _sensitive(published, name, column)
        counts = ClassCounts.of(of, sensitive.domain.codes, groups=groups, size=sensitive.domain.size)
        overall = sensitive.overall()
        for criterion in sensitive.criteria:
            measured = criterion.measure(counts, overall)
            sound = sound and bool(criterion.allows(measured).all())
            tail = criterion.l if isinstance(criterion, RecursiveDiversity) else None
            reached.append(Reached(name, criterion.kind, criterion.bound, criterion.worst(measured), tail))
    if not sound:
        raise VerificationError(
            "the published table would break a condition of release {name}; nothing was published",
            name=settings.release.name,
        )
    return reached


def _distinct_codes(values: list[str | None]) -> NDArray[np.int64]:
    number: dict[str | None, int] = {}
    return np.array([number.setdefault(value, len(number)) for value in values], dtype=np.int64)
