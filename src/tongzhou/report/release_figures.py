"""Everything the page of a published table shows, as plain values; `release_page` draws it.

Shares and losses are fractions. Names and values of columns are plain text in any script and never trusted.
"""

import msgspec

from tongzhou.errors import DataError
from tongzhou.report.figures import Words

__all__ = [
    "RELEASE_VERSION",
    "AttackFigure",
    "ColumnFigure",
    "ConditionFigure",
    "LossFigure",
    "QueryFigure",
    "ReleaseFigures",
    "RiskFigure",
    "SensitiveFigure",
    "SizeBand",
    "release_from_json",
    "release_to_json",
]

RELEASE_VERSION = 1
"""Raised when a field changes its meaning."""


class _Plain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all figures: immutable, nothing unknown on load."""


class ColumnFigure(_Plain, frozen=True, kw_only=True):
    """One column of the source and what became of it.

    Attributes:
        name: of the column.
        role: ``"identifier"``, ``"quasi"``, ``"sensitive"``, ``"plain"`` or ``"dropped"``.
        treatment: ``"dropped"``, ``"pseudonym"``, ``"generalised"`` or ``"unchanged"``.
        values_before: different values in the source.
        values_after: different values published; 0 when dropped.
        level: the level of generalisation, when the whole column has one.
        levels: how many levels there are, the exact one included.
        penalty: normalised certainty penalty, when generalised.
        entropy: non-uniform entropy, when generalised.
    """

    name: str
    role: str
    treatment: str
    values_before: int
    values_after: int
    level: int | None = None
    levels: int | None = None
    penalty: float | None = None
    entropy: float | None = None


class ConditionFigure(_Plain, frozen=True, kw_only=True):
    """A condition on every class, and how far the worst class is from breaking it.

    Attributes:
        column: the sensitive column; empty for the number of rows.
        kind: ``"k"``, ``"distinct"``, ``"entropy"``, ``"recursive"``, ``"equal"``, ``"ordered"`` or
            ``"hierarchy"``.
        asked: what every class must reach (k, l), stay below (c) or not exceed (t).
        tail: the l of a recursive condition.
        reached: what the worst class reaches, in the published table.
    """

    column: str
    kind: str
    asked: float
    reached: float
    tail: int | None = None


class SizeBand(_Plain, frozen=True, kw_only=True):
    """Rows by how many rows look like them.

    Attributes:
        low: least rows of a class.
        high: most rows; none for the last band.
        before: share of the source's rows in such classes.
        after: share of the published rows.
    """

    low: int
    high: int | None
    before: float
    after: float


class AttackFigure(_Plain, frozen=True):
    """Risk in one model: of the row most at risk, mean over rows, share of rows above each threshold."""

    highest: float
    mean: float
    above: list[float]


class RiskFigure(_Plain, frozen=True, kw_only=True):
    """Risk of a table, see `tongzhou.risk.anonymise_risk`."""

    rows: int
    classes: int
    smallest: int
    unique: float
    prosecutor: AttackFigure
    journalist: AttackFigure
    marketer: float
    unique_in_population: float | None


class LossFigure(_Plain, frozen=True, kw_only=True):
    """What the table has lost, over all generalised columns."""

    penalty: float
    entropy: float
    discernibility: int
    discernibility_before: int
    class_size: float


class QueryFigure(_Plain, frozen=True, kw_only=True):
    """Errors of counts over random ranges.

    Attributes:
        queries: how many were asked.
        median: relative error that half of them stay within.
        mean: their mean.
        worst_tenth: error that nine of ten stay within.
        share: shares of the queries, ascending from 0 to 1.
        error: the error that such a share stays within.
    """

    queries: int
    median: float
    mean: float
    worst_tenth: float
    share: list[float]
    error: list[float]


class SensitiveFigure(_Plain, frozen=True, kw_only=True):
    """Values of a sensitive column in the published table and in the class that differs most from it.

    Attributes:
        column: its name.
        values: most frequent values; the rest together as an empty text.
        overall: share of each in the published table.
        farthest: share of each in that class.
        distance: half the sum of their absolute differences over all values.
    """

    column: str
    values: list[str]
    overall: list[float]
    farthest: list[float]
    distance: float


class ReleaseFigures(_Plain, frozen=True, kw_only=True):
    """All figures of one published table.

    Attributes:
        version: `RELEASE_VERSION`.
        title: of the page.
        name: of the release.
        made: when, ISO 8601 UTC.
        software: what made it.
        digest: SHA-256 (hex) of the published file.
        settings_digest: SHA-256 (hex) of the settings, every default written out.
        method: ``"mondrian"`` or ``"full-domain"``.
        k: least rows of a class.
        source_rows: rows of the source.
        published_rows: rows published.
        suppression: largest share of rows that might be left out.
        population: people that the rows are drawn from; none when the source is taken for the population.
        scope: what pseudonyms are tied to; empty when there are none.
        columns: every column of the source.
        conditions: what every class satisfies.
        bands: rows by size of their class.
        thresholds: chances of being told apart that `AttackFigure.above` goes with.
        before: risk of the source's quasi-identifying columns.
        after: risk of the published ones.
        loss: what was lost.
        queries: errors of counts.
        sensitive: distributions.
    """

    version: int
    title: Words
    name: str
    made: str
    software: str
    digest: str
    settings_digest: str
    method: str
    k: int
    source_rows: int
    published_rows: int
    suppression: float
    population: int | None
    scope: str
    columns: list[ColumnFigure]
    conditions: list[ConditionFigure]
    bands: list[SizeBand]
    thresholds: list[float]
    before: RiskFigure
    after: RiskFigure
    loss: LossFigure
    queries: QueryFigure
    sensitive: list[SensitiveFigure]


def release_to_json(figures: ReleaseFigures) -> bytes:
    """Return the figures as JSON text in UTF-8, sorted and indented."""
    return msgspec.json.format(msgspec.json.encode(figures, order="sorted"), indent=1) + b"\n"


def release_from_json(data: bytes) -> ReleaseFigures:
    """Read figures that :func:`release_to_json` wrote.

    Raises:
        DataError: when the text is no JSON, lacks a field, has an unknown one, or is of another version.
    """
    try:
        figures = msgspec.json.decode(data, type=ReleaseFigures)
    except msgspec.MsgspecError as error:
        raise DataError("the figures of a release cannot be read: {reason}", reason=str(error)) from error
    if figures.version != RELEASE_VERSION:
        raise DataError(
            "the figures of a release must have version {allowed}, got {got}",
            allowed=RELEASE_VERSION,
            got=figures.version,
        )
    return figures
