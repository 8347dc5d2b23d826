"""From a release to the figures of its page."""

import math
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from tongzhou import __version__
from tongzhou.node.release import Release
from tongzhou.node.release_settings import release_digest
from tongzhou.parties.times import utc_text
from tongzhou.report.figures import Words
from tongzhou.report.release_figures import (
    RELEASE_VERSION,
    AttackFigure,
    ColumnFigure,
    ConditionFigure,
    LossFigure,
    QueryFigure,
    ReleaseFigures,
    RiskFigure,
    SensitiveFigure,
    SizeBand,
)
from tongzhou.risk.anonymise import classes_of
from tongzhou.risk.anonymise_criteria import ClassCounts, Closeness, Sensitive
from tongzhou.risk.anonymise_loss import Loss, QueryErrors, measure_loss, query_errors
from tongzhou.risk.anonymise_risk import THRESHOLDS, Attack, Reidentification, measure_risk

__all__ = ["release_figures"]

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_BANDS = (1, 2, 5, 10, 20, 50, 100)  # where bands of class sizes begin
_VALUES_SHOWN = 8
_QUERY_POINTS = 101
_LARGEST = 1e308  # stands for infinity, which JSON has not


def release_figures(release: Release, *, digest: str, now: datetime) -> ReleaseFigures:
    """Measure a release and put everything its page shows together.

    Args:
        release: what was made.
        digest: SHA-256 (hex) of the published file.
        now: the time.
    """
    head = release.settings.release
    of, groups = classes_of([domain.codes for domain in release.quasi])
    source_sizes = np.bincount(of, minlength=groups)
    sizes = release.classes.sizes
    loss = measure_loss(release.quasi, release.classes, head.k)
    queries = query_errors(release.quasi, release.classes)
    return ReleaseFigures(
        version=RELEASE_VERSION,
        title=Words(f"Published table: {head.name}", f"发布的数据表：{head.name}"),
        name=head.name,
        made=utc_text(now),
        software=f"Tongzhou {__version__}",
        digest=digest,
        settings_digest=release_digest(release.settings),
        method=head.method,
        k=head.k,
        source_rows=release.source.num_rows,
        published_rows=release.published.num_rows,
        suppression=head.suppression,
        population=head.population,
        scope=release.settings.scope if "pseudonym" in release.settings.identifiers.values() else "",
        columns=_columns(release, loss),
        conditions=[
            ConditionFigure(
                column=one.column,
                kind=one.kind,
                asked=one.asked,
                reached=_finite(one.reached),
                tail=one.tail,
            )
            for one in release.reached
        ],
        bands=_bands(source_sizes, sizes),
        thresholds=list(THRESHOLDS),
        before=_risk(measure_risk(source_sizes, head.population)),
        after=_risk(measure_risk(sizes, head.population)),
        loss=LossFigure(
            penalty=loss.penalty,
            entropy=loss.entropy,
            discernibility=loss.discernibility,
            discernibility_before=int((source_sizes * source_sizes).sum()),
            class_size=loss.class_size,
        ),
        queries=_queries(queries),
        sensitive=[_sensitive(one, release) for one in release.sensitive],
    )


def _finite(value: float) -> float:
    return value if math.isfinite(value) else _LARGEST


def _columns(release: Release, loss: Loss) -> list[ColumnFigure]:
    lost = {one.name: one for one in loss.columns}
    places = {domain.name: at for at, domain in enumerate(release.quasi)}
    roles = release.settings.roles()
    figures = []
    for name in release.source.column_names:
        role = roles.get(name, "dropped")
        own = lost.get(name)
        chosen = release.classes.levels
        figures.append(
            ColumnFigure(
                name=name,
                role=role,
                treatment=_treatment(release, name, role),
                values_before=_distinct(release.source, name),
                values_after=_distinct(release.published, name),
                level=None if own is None or chosen is None else chosen[places[name]],
                levels=None if own is None else len(release.quasi[places[name]].levels),
                penalty=None if own is None else own.penalty,
                entropy=None if own is None else own.entropy,
            )
        )
    return figures


def _treatment(release: Release, name: str, role: str) -> str:
    if role == "identifier":
        return "pseudonym" if release.settings.identifiers[name] == "pseudonym" else "dropped"
    return {"quasi": "generalised", "dropped": "dropped"}.get(role, "unchanged")


def _distinct(table: pa.Table, name: str) -> int:
    if name not in table.column_names:
        return 0
    return int(pyarrow.compute.count_distinct(table.column(name), mode="all").as_py())


def _bands(before: Ints, after: Ints) -> list[SizeBand]:
    ends = [*(start - 1 for start in _BANDS[1:]), None]
    return [
        SizeBand(low=low, high=high, before=_within(before, low, high), after=_within(after, low, high))
        for low, high in zip(_BANDS, ends, strict=True)
    ]


def _within(sizes: Ints, low: int, high: int | None) -> float:
    inside = (sizes >= low) & (sizes <= (sizes.max() if high is None else high))
    return float(sizes[inside].sum() / sizes.sum())


def _risk(risk: Reidentification) -> RiskFigure:
    return RiskFigure(
        rows=risk.rows,
        classes=risk.classes,
        smallest=risk.smallest,
        unique=risk.unique,
        prosecutor=_attack(risk.prosecutor),
        journalist=_attack(risk.journalist),
        marketer=risk.marketer,
        unique_in_population=risk.unique_in_population,
    )


def _attack(attack: Attack) -> AttackFigure:
    return AttackFigure(attack.highest, attack.mean, list(attack.above))


def _queries(queries: QueryErrors) -> QueryFigure:
    shares = np.linspace(0.0, 1.0, _QUERY_POINTS)
    return QueryFigure(
        queries=queries.queries,
        median=queries.median,
        mean=queries.mean,
        worst_tenth=queries.worst_tenth,
        share=shares.tolist(),
        error=np.quantile(queries.errors, shares).tolist(),
    )


def _sensitive(sensitive: Sensitive, release: Release) -> SensitiveFigure:
    """The whole published table beside the class that is farthest from it, by half the sum of differences."""
    kept = release.classes.of >= 0
    domain = sensitive.domain
    overall = sensitive.overall(kept)
    farthest, distance = _farthest(sensitive, release, overall)
    shown = np.argsort(-overall, kind="stable")[:_VALUES_SHOWN]
    shown = np.sort(shown)
    rest = domain.size > shown.size
    return SensitiveFigure(
        column=domain.name,
        values=[domain.labels[at] for at in shown.tolist()] + [""] * rest,
        overall=[*overall[shown].tolist(), *([float(1 - overall[shown].sum())] * rest)],
        farthest=[*farthest[shown].tolist(), *([float(1 - farthest[shown].sum())] * rest)],
        distance=distance,
    )


def _farthest(sensitive: Sensitive, release: Release, overall: Floats) -> tuple[Floats, float]:
    kept = release.classes.of >= 0
    counts = ClassCounts.of(
        release.classes.of[kept],
        sensitive.domain.codes[kept],
        groups=release.classes.sizes.size,
        size=sensitive.domain.size,
    )
    distances = Closeness(1.0, "equal", sensitive.domain).measure(counts, overall)
    far = int(np.argmax(distances))
    own = slice(counts.starts[far], counts.starts[far + 1])
    shares = np.zeros(sensitive.domain.size)
    shares[counts.value[own]] = counts.count[own] / counts.sizes[far]
    return shares, float(distances[far])
