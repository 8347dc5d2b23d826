"""The pictures of a published table: slate is the source, blue what is published."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from tongzhou.report._format import decimals, percent
from tongzhou.report._markup import Markup, words
from tongzhou.report._svg import INK, draw
from tongzhou.report.release_figures import ColumnFigure, QueryFigure, SensitiveFigure, SizeBand

__all__ = ["bands_chart", "loss_chart", "queries_chart", "sensitive_chart"]

_SOURCE, _PUBLISHED, _FARTHEST = "#7d93a8", "#2b5f93", "#c2671b"
_NAME_CHARACTERS_MAX = 22
_QUIET = alt.Axis(ticks=False, domain=False, labelColor=INK, labelFontSize=11, labelPadding=6)

_Row = dict[str, Any]


def bands_chart(bands: Sequence[SizeBand], k: int) -> Markup:
    """Draw how many rows look like how many others, before and after.

    Args:
        bands: by rising size.
        k: least rows of a published class; bands below it are empty afterwards.

    Returns:
        Inline SVG.
    """
    source, published = words("source"), words("published")
    rows: list[_Row] = []
    for band in bands:
        name = _band(band)
        rows += [
            {"b": name, "g": source.en, "v": band.before, "t": _share(band.before), "c": _SOURCE},
            {"b": name, "g": published.en, "v": band.after, "t": _share(band.after), "c": _PUBLISHED},
        ]
    x_title, y_title = words("rows that look alike"), words("share of rows")
    top = 1.12 * max([row["v"] for row in rows], default=1.0) or 1.0
    base = alt.Chart(_data(rows)).encode(
        x=alt.X("b:N", sort=None, title=x_title.en, axis=alt.Axis(labelAngle=0, ticks=False)),
        xOffset=alt.XOffset("g:N", sort=[source.en, published.en]),
        y=alt.Y(
            "v:Q",
            title=y_title.en,
            scale=alt.Scale(domain=[0, top], nice=False),
            axis=alt.Axis(format=".0%", tickCount=5),
        ),
    )
    bars = base.mark_bar().encode(color=alt.Color("c:N", scale=None))
    text = base.mark_text(dy=-6, fontSize=10).encode(text="t:N")
    chart = alt.layer(bars, text).properties(width=380, height=210)
    title = words("Rows by the number that look alike; published from {k} on", k=k)
    return draw(chart, "bands", title, [x_title, y_title])


def loss_chart(columns: Sequence[ColumnFigure]) -> Markup:
    """Draw what each generalised column has lost, in both measures.

    Args:
        columns: those with a penalty and an entropy.

    Returns:
        Inline SVG.
    """
    penalty, entropy = words("certainty penalty"), words("entropy")
    rows: list[_Row] = []
    for place, column in enumerate(columns):
        name = _short(column.name, place)
        for measure, value, colour in (
            (penalty.en, column.penalty or 0.0, _PUBLISHED),
            (entropy.en, column.entropy or 0.0, _SOURCE),
        ):
            rows.append({"n": name, "m": measure, "v": value, "t": decimals(value, 2), "c": colour})
    x_title = words("loss: 0 nothing, 1 everything")
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("n:N", sort=None, title=None, axis=_QUIET),
        yOffset=alt.YOffset("m:N", sort=[penalty.en, entropy.en]),
        x=alt.X(
            "v:Q",
            title=x_title.en,
            scale=alt.Scale(domain=[0, 1.08], nice=False),
            axis=alt.Axis(values=[0, 0.25, 0.5, 0.75, 1], format=".2f"),
        ),
    )
    bars = base.mark_bar().encode(color=alt.Color("c:N", scale=None))
    text = base.mark_text(align="left", dx=4, fontSize=10).encode(text="t:N")
    chart = alt.layer(bars, text).properties(width=280, height=alt.Step(15))
    return draw(chart, "loss", words("Loss of each generalised column"), [x_title])


def queries_chart(queries: QueryFigure) -> Markup:
    """Draw how many counts stay within which error.

    Args:
        queries: shares of the queries and their errors, ascending.

    Returns:
        Inline SVG.
    """
    x_title, y_title = words("relative error of a count"), words("share of counts within it")
    # the last few counts may be off by many times: the picture ends where nineteen of twenty are in
    inside = [
        (share, error) for share, error in zip(queries.share, queries.error, strict=True) if share <= 0.95
    ]
    rows: list[_Row] = [{"x": error, "y": share} for share, error in inside]
    marks: list[_Row] = [
        {"x": queries.median, "y": 0.5, "t": f"50% · {percent(queries.median)}"},
        {"x": queries.worst_tenth, "y": 0.9, "t": f"90% · {percent(queries.worst_tenth)}"},
    ]
    top = 1.05 * max([row["x"] for row in rows], default=0.0) or 1.0
    x = alt.X(
        "x:Q",
        title=x_title.en,
        scale=alt.Scale(domain=[0, top], nice=False),
        axis=alt.Axis(format=".0%", tickCount=5),
    )
    y = alt.Y(
        "y:Q",
        title=y_title.en,
        scale=alt.Scale(domain=[0, 1], nice=False),
        axis=alt.Axis(format=".0%", tickCount=5),
    )
    line = alt.Chart(_data(rows)).mark_line(color=_PUBLISHED, strokeWidth=2.2).encode(x=x, y=y)
    points = alt.Chart(_data(marks)).mark_point(filled=True, size=60, color=INK).encode(x=x, y=y)
    text = alt.Chart(_data(marks)).mark_text(align="left", dx=9, dy=9, fontSize=11)
    chart = alt.layer(line, points, text.encode(x=x, y=y, text="t:N")).properties(width=300, height=200)
    return draw(chart, "queries", words("Errors of counts over random ranges"), [x_title, y_title])


def sensitive_chart(figure: SensitiveFigure, name: str) -> Markup:
    """Draw the values of a sensitive column in the whole table and in the class that differs most.

    Args:
        figure: shares by value.
        name: prefix of identifiers, unique in the page.

    Returns:
        Inline SVG.
    """
    overall, farthest, others = words("whole table"), words("class that differs most"), words("others")
    rows: list[_Row] = []
    for place, (value, own, far) in enumerate(
        zip(figure.values, figure.overall, figure.farthest, strict=True)
    ):
        label = _short(value, place) if value else others.en
        rows += [
            {"n": label, "m": overall.en, "v": own, "t": _share(own), "c": _PUBLISHED},
            {"n": label, "m": farthest.en, "v": far, "t": _share(far), "c": _FARTHEST},
        ]
    top = 1.15 * max([row["v"] for row in rows], default=0.0) or 1.0
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y("n:N", sort=None, title=None, axis=_QUIET),
        yOffset=alt.YOffset("m:N", sort=[overall.en, farthest.en]),
        x=alt.X(
            "v:Q",
            title=None,
            scale=alt.Scale(domain=[0, top], nice=False),
            axis=alt.Axis(format=".0%", tickCount=4),
        ),
    )
    bars = base.mark_bar().encode(color=alt.Color("c:N", scale=None))
    text = base.mark_text(align="left", dx=4, fontSize=10).encode(text="t:N")
    chart = alt.layer(bars, text).properties(width=260, height=alt.Step(13))
    title = words("Values of a sensitive column, whole table and farthest class")
    return draw(chart, name, title, [others])


def _data(rows: Sequence[_Row]) -> alt.Data:
    return alt.Data(values=rows)  # type: ignore[no-untyped-call]


def _band(band: SizeBand) -> str:
    if band.high is None:
        return f"{band.low}+"
    return str(band.low) if band.low == band.high else f"{band.low}–{band.high}"


def _share(value: float) -> str:
    if value == 0:
        return ""
    return percent(value, 0) if value >= 0.005 else "<1%"


def _short(name: str, place: int) -> str:
    """A name that fits beside a chart; the invisible mark keeps two that are cut alike apart."""
    if len(name) <= _NAME_CHARACTERS_MAX:
        return name
    return name[: _NAME_CHARACTERS_MAX - 1] + "…" + "\u200b" * place
