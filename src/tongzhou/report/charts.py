"""The pictures of the report, drawn with Altair and rendered to SVG without a network.

Colours have one meaning everywhere: blue is the asker, orange the provider, green the joint model; good
clients are slate, bad ones red. The model in the clear is a dashed line over the protected one.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import altair as alt

from tongzhou.report._format import LEVEL, decimals, percent, signed
from tongzhou.report._markup import Markup, words
from tongzhou.report._svg import INK, MUTED, RULE, draw
from tongzhou.report.figures import (
    ApprovalLevel,
    DistributionFigure,
    Interval,
    KsFigure,
    Line,
    ModelFigure,
    SwapFigure,
    VariableFigure,
    Words,
)

__all__ = [
    "approval_chart",
    "calibration_chart",
    "distribution_chart",
    "gain_chart",
    "ks_chart",
    "model_words",
    "roc_chart",
    "swap_chart",
    "woe_chart",
    "woe_domain",
]

ASKER, PROVIDER, JOINT = "#2b5f93", "#c2671b", "#12755f"
GOOD, BAD = "#7d93a8", "#b8433a"
_POINTS_MAX = 160  # of a curve: more cannot be seen at this size
_LABEL_CHARACTERS_MAX = 20  # of a bin: longer text would leave its panel

_LABELS_PX, _BARS_PX, _END_PX = 104, 84, 120  # of a WOE panel; the figures end at the last
_ROW_PX = 16
_HOLLOW = "#fbfaf6"  # fill of special and missing bins: the paper itself

_MODEL_COLOURS = {"bank": ASKER, "joint": JOINT, "clear": INK}
_Row = dict[str, Any]


def model_words(key: str) -> Words:
    """Return the name of a model.

    Args:
        key: ``"bank"``, ``"joint"`` or ``"clear"``; another key is its own name.

    Returns:
        The name in both languages.
    """
    names = {
        "bank": words("Bank alone"),
        "joint": words("Joint, protected"),
        "clear": words("Joint, clear"),
    }
    return names.get(key, Words(key, key))


def _thin(values: Sequence[float]) -> list[float]:
    if len(values) <= _POINTS_MAX:
        return list(values)
    last = len(values) - 1
    return [values[round(i * last / (_POINTS_MAX - 1))] for i in range(_POINTS_MAX)]


def _data(rows: Sequence[_Row]) -> alt.Data:
    return alt.Data(values=rows)  # type: ignore[no-untyped-call]


def _scale(low: float, high: float) -> alt.Scale:
    return alt.Scale(domain=[low, high], nice=False, zero=False)


def gain_chart(models: Sequence[ModelFigure], gain: Interval) -> Markup:
    """Draw the held-out AUC of each model with its interval, and the gain as the way from one to the next.

    Args:
        models: in the order of the rows; the gain is drawn below the first.
        gain: joint minus bank alone.

    Returns:
        Inline SVG.
    """
    name_of_gain = words("Gain")
    rows = [_auc_row(model) for model in models]
    low, high = min(row["low"] for row in rows), max(row["high"] for row in rows)
    pad = max(0.12 * (high - low), 0.01)
    order = [rows[0]["m"], name_of_gain.en, *(row["m"] for row in rows[1:])]
    axis = alt.Axis(ticks=False, domain=False, labelColor=INK, labelFontSize=12, labelPadding=8)
    y = alt.Y("m:N", sort=order, title=None, axis=axis)
    scale = _scale(low - pad, high + pad)
    x = alt.X("v:Q", scale=scale, title=None, axis=alt.Axis(tickCount=5, format=".2f"))
    base = alt.Chart(_data(rows)).encode(y=y, color=alt.Color("c:N", scale=None))
    layers = [
        base.mark_rule(strokeWidth=7, opacity=0.28, strokeCap="round").encode(x="low:Q", x2="high:Q"),
        base.mark_point(filled=True, size=90, opacity=1).encode(x=x),
        base.mark_text(dy=-14, fontSize=13, fontWeight="bold").encode(x=x, text="t:N"),
    ]
    if len(rows) > 1:
        layers += _gain_layers(rows[0]["v"], gain, name_of_gain.en, y)
    chart = alt.layer(*layers).properties(width=280, height=alt.Step(40))
    title = words("AUC on held-out clients, with {level} interval", level=LEVEL)
    return draw(chart, "gain", title, [name_of_gain, *(model_words(m.key) for m in models)])


def _auc_row(model: ModelFigure) -> _Row:
    auc = model.held_out.auc
    return {
        "m": model_words(model.key).en,
        "v": auc.value,
        "low": auc.low,
        "high": auc.high,
        "t": decimals(auc.value),
        "c": _MODEL_COLOURS.get(model.key, MUTED),
    }


def _gain_layers(start: float, gain: Interval, name: str, y: alt.Y) -> list[alt.Chart]:
    """Return a thin line from the bank's AUC to the joint one, its end spread over the gain's interval."""
    row = {
        "m": name,
        "a": start,
        "b": start + gain.value,
        "t": signed(gain.value),
        "mid": start + gain.value / 2,
    }
    row |= {"low": start + gain.low, "high": start + gain.high}
    base = alt.Chart(_data([row])).encode(y=y)
    return [
        base.mark_rule(color=INK, strokeWidth=1.2).encode(x="a:Q", x2="b:Q"),
        base.mark_rule(color=INK, strokeWidth=7, opacity=0.2, strokeCap="round").encode(
            x="low:Q", x2="high:Q"
        ),
        base.mark_tick(color=INK, thickness=1.6, size=12).encode(x="b:Q"),
        base.mark_text(dy=-11, fontSize=13, fontWeight="bold", color=INK).encode(x="mid:Q", text="t:N"),
    ]


def roc_chart(lines: Sequence[Line]) -> Markup:
    """Draw the ROC curves of all models.

    Args:
        lines: x is the share of good clients, y the share of bad clients at or below a score.

    Returns:
        Inline SVG.
    """
    title = words("ROC, held-out clients")
    x_title, y_title = words("share of good clients declined"), words("share of bad clients declined")
    layers: list[alt.Chart] = [_diagonal()]
    for line in lines:
        rows = [
            {"x": x, "y": y, "i": i}
            for i, (x, y) in enumerate(zip(_thin(line.x), _thin(line.y), strict=True))
        ]
        layers.append(_curve(rows, line.model, x_title.en, y_title.en))
    chart = alt.layer(*layers).properties(width=258, height=236)
    return draw(chart, "roc", title, [x_title, y_title])


def _curve(rows: list[_Row], model: str, x_title: str, y_title: str) -> alt.Chart:
    style: dict[str, Any] = {"color": _MODEL_COLOURS.get(model, MUTED), "strokeWidth": 2.2}
    if model == "clear":
        style |= {"strokeDash": [1, 6], "strokeWidth": 2.4}
    axis = alt.Axis(format=".0%", tickCount=5, labelOverlap=False)
    chart = alt.Chart(_data(rows)).mark_line(**style)
    return _encoded(
        chart,
        x=alt.X("x:Q", title=x_title, scale=_scale(0, 1), axis=axis),
        y=alt.Y("y:Q", title=y_title, scale=_scale(0, 1), axis=axis),
        order=alt.Order("i:Q"),
    )


def _encoded(chart: alt.Chart, **channels: Any) -> alt.Chart:
    """Return the chart with channels (Altair types ``encode`` as returning anything)."""
    made: alt.Chart = chart.encode(**channels)
    return made


def _diagonal(top: float = 1.0) -> alt.Chart:
    rows: list[_Row] = [{"x": 0, "y": 0}, {"x": top, "y": top}]
    return _encoded(alt.Chart(_data(rows)).mark_line(color=RULE, strokeWidth=1.2), x="x:Q", y="y:Q")


def ks_chart(figure: KsFigure) -> Markup:
    """Draw the cumulative shares of good and bad clients by score and mark the widest gap.

    Args:
        figure: the two curves of one model.

    Returns:
        Inline SVG.
    """
    score, good, bad = _thin(figure.score), _thin(figure.good), _thin(figure.bad)
    x_title, y_title = words("score in points"), words("share of clients at or below the score")
    names = words("good"), words("bad")
    x = alt.X("s:Q", title=x_title.en, scale=_scale(*_core(figure)), axis=alt.Axis(tickCount=6, format="d"))
    layers: list[alt.Chart] = []
    for values, colour in ((good, GOOD), (bad, BAD)):
        rows = [{"s": s, "y": y} for s, y in zip(score, values, strict=True)]
        y = alt.Y("y:Q", title=y_title.en, scale=_scale(0, 1), axis=alt.Axis(format=".0%", tickCount=5))
        layers.append(
            alt.Chart(_data(rows)).mark_line(clip=True, color=colour, strokeWidth=2).encode(x=x, y=y)
        )
    at = min(range(len(figure.score)), key=lambda i: abs(figure.score[i] - figure.at_score))
    gap = [
        {"s": figure.at_score, "y": figure.good[at], "y2": figure.bad[at], "t": f"KS {decimals(figure.ks)}"}
    ]
    gap_base = alt.Chart(_data(gap)).encode(x="s:Q")
    layers.append(
        gap_base.mark_rule(color=INK, strokeWidth=1.4, strokeDash=[3, 3]).encode(y="y:Q", y2="y2:Q")
    )
    layers.append(
        gap_base.mark_text(align="right", dx=-8, dy=-4, fontWeight="bold", fontSize=12).encode(
            y="y2:Q", text="t:N"
        )
    )
    title = words("Good and bad clients by score, {model}", model=model_words(figure.model))
    chart = alt.layer(*layers).properties(width=258, height=236)
    return draw(chart, f"ks-{figure.model}", title, [x_title, y_title, *names])


def _core(figure: KsFigure) -> tuple[float, float]:
    """Return the range of scores without the thin tails, which would squeeze the curves."""
    inside = [
        s for s, g, b in zip(figure.score, figure.good, figure.bad, strict=True) if b > 0.004 and g < 0.998
    ]
    return (inside[0], inside[-1]) if len(inside) > 1 else (figure.score[0], figure.score[-1])


def distribution_chart(figure: DistributionFigure) -> Markup:
    """Draw how good and bad clients spread over the score bands, each group as shares of its own.

    Args:
        figure: counts by band of one model.

    Returns:
        Inline SVG.
    """
    x_title, y_title, cut = words("score in points"), words("share of the group"), words("cut-off")
    x = alt.X(
        "a:Q",
        title=x_title.en,
        scale=_scale(figure.edges[0], figure.edges[-1]),
        axis=alt.Axis(format="d", tickCount=6),
    )
    layers: list[alt.Chart] = []
    for counts, colour in ((figure.good, GOOD), (figure.bad, BAD)):
        total = max(sum(counts), 1)
        # the last band's share is repeated at the last edge, which closes its step
        shares = [n / total for n in counts] + [counts[-1] / total if counts else 0.0]
        rows = [{"a": a, "n": n} for a, n in zip(figure.edges, shares, strict=True)]
        y = alt.Y("n:Q", title=y_title.en, axis=alt.Axis(format=".0%", tickCount=4))
        area = alt.Chart(_data(rows)).mark_area(
            interpolate="step-after",
            color=colour,
            fillOpacity=0.35,
            line={"color": colour, "strokeWidth": 1.4},
        )
        layers.append(area.encode(x=x, y=y))
    if figure.cutoff is not None:
        at = alt.Chart(_data([{"a": figure.cutoff, "t": cut.en}])).encode(x="a:Q")
        layers.append(at.mark_rule(color=INK, strokeDash=[3, 3]))
        layers.append(at.mark_text(align="left", baseline="top", dx=4).encode(y=alt.value(0), text="t:N"))
    title = words("Score distribution, {model}", model=model_words(figure.model))
    chart = alt.layer(*layers).properties(width=440, height=170)
    return draw(chart, f"dist-{figure.model}", title, [x_title, y_title, cut])


def woe_domain(variables: Sequence[VariableFigure]) -> tuple[float, float]:
    """Return the common range of WOE, so that panels can be compared.

    Args:
        variables: all panels.

    Returns:
        Lowest and highest WOE, zero included.
    """
    values = [b.woe for v in variables for b in v.bins] or [0.0]
    return min(0.0, *values), max(0.0, *values, 0.1)


def woe_chart(variable: VariableFigure, domain: tuple[float, float], colour: str, name: str) -> Markup:
    """Draw the WOE of one variable's bins; special and missing bins are outlined.

    Args:
        variable: its bins in order.
        domain: common range of WOE.
        colour: of the owner.
        name: identifier of the picture, unique in the page.

    Returns:
        Inline SVG.
    """
    labels = [Words(_short(b.label.en), _short(b.label.zh)) for b in variable.bins]
    rows = [
        {"i": i, "l": label.en, "w": b.woe, "t": signed(b.woe, 2), "c": colour}
        | {"f": _HOLLOW if b.special else colour, "o": 1 if variable.kept else 0.4}
        for i, (b, label) in enumerate(zip(variable.bins, labels, strict=True))
    ]
    spec = _woe_spec(domain) | {"datasets": {"bins": rows}, "height": _ROW_PX * max(len(rows), 1)}
    return draw(spec, name, words("WOE of {variable}", variable=variable.name), labels)


@lru_cache(maxsize=4)
def _woe_spec(domain: tuple[float, float]) -> dict[str, Any]:
    """Return what all panels of a page share. Altair takes longer to check a chart than Vega to draw it."""
    x = alt.X("w:Q", axis=None, scale=_scale(*domain))
    y = alt.Y("i:O", axis=None, scale=alt.Scale(paddingInner=0, paddingOuter=0))
    base = alt.Chart(alt.NamedData("bins")).encode(y=y)
    bars = base.mark_bar(height={"band": 0.72}, strokeWidth=1).encode(
        x=x,
        fill=alt.Fill("f:N", scale=None),
        stroke=alt.Stroke("c:N", scale=None),
        opacity=alt.Opacity("o:Q", scale=None),
    )
    # Labels and figures are marks at fixed places, not axis labels: all panels line up, and equal labels stay
    # two bins.
    names = base.mark_text(align="right", fontSize=10.5).encode(x=alt.value(-6), text="l:N")
    numbers = base.mark_text(align="right", fontSize=10, fill=MUTED).encode(x=alt.value(_END_PX), text="t:N")
    zero = alt.Chart(_data([{"w": 0}])).mark_rule(color="#9aa3a0").encode(x=x)
    chart = alt.layer(bars, zero, names, numbers).properties(
        width=_BARS_PX,
        padding={"left": _LABELS_PX, "right": _END_PX - _BARS_PX, "top": 2, "bottom": 2},
        autosize=alt.AutoSizeParams(type="none"),
    )
    spec: dict[str, Any] = chart.to_dict()
    return spec


def _short(label: str) -> str:
    return label if len(label) <= _LABEL_CHARACTERS_MAX else label[: _LABEL_CHARACTERS_MAX - 1] + "…"


def approval_chart(levels: Sequence[ApprovalLevel], marked: float | None = None) -> Markup:
    """Draw the bad rate among the approved against the share approved, with and without the partner.

    Args:
        levels: by rising approval.
        marked: an approval rate to mark, the strategy's own.

    Returns:
        Inline SVG.
    """
    x_title, y_title = words("share of clients approved"), words("bad rate among the approved")
    layers: list[alt.Chart] = []
    ends = ("bank", [v.bad_rate_bank for v in levels]), ("joint", [v.bad_rate_joint for v in levels])
    names = [model_words(key) for key, _ in ends]
    low, high = min(v.approval for v in levels), max(v.approval for v in levels)
    for key, rates in ends:
        rows = [{"x": level.approval, "y": rate} for level, rate in zip(levels, rates, strict=True)]
        x = alt.X(
            "x:Q",
            title=x_title.en,
            scale=_scale(low, high),
            axis=alt.Axis(format=".0%", tickCount=6, labelOverlap=False),
        )
        y = alt.Y(
            "y:Q", title=y_title.en, scale=alt.Scale(zero=True), axis=alt.Axis(format=".0%", tickCount=5)
        )
        layers.append(
            alt.Chart(_data(rows)).mark_line(color=_MODEL_COLOURS[key], strokeWidth=2.2).encode(x=x, y=y)
        )
    if marked is not None:
        layers.append(
            alt.Chart(_data([{"x": marked}])).mark_rule(color=INK, strokeDash=[3, 3]).encode(x="x:Q")
        )
    title = words("Bad rate at equal approval")
    chart = alt.layer(*layers).properties(width=380, height=220)
    return draw(chart, "approval", title, [x_title, y_title, *names])


def swap_chart(swap: SwapFigure) -> Markup:
    """Draw the bad rate of those who change sides and of those who do not.

    Args:
        swap: the four groups.

    Returns:
        Inline SVG.
    """
    groups = [
        (words("approved by both"), swap.both_approved, GOOD),
        (words("swapped in"), swap.swapped_in, JOINT),
        (words("swapped out"), swap.swapped_out, BAD),
        (words("declined by both"), swap.both_declined, GOOD),
    ]
    rows: list[_Row] = [
        {"g": name.en, "r": g.bad_rate, "t": percent(g.bad_rate), "c": colour} for name, g, colour in groups
    ]
    title = words("bad rate of the group")
    base = alt.Chart(_data(rows)).encode(
        y=alt.Y(
            "g:N",
            sort=None,
            title=None,
            axis=alt.Axis(ticks=False, domain=False, labelColor=INK, labelFontSize=12, labelPadding=8),
        ),
    )
    top = 1.18 * max(group.bad_rate for _, group, _ in groups) or 1.0
    x = alt.X("r:Q", title=title.en, scale=_scale(0, top), axis=alt.Axis(format=".0%", tickCount=5))
    bars = base.mark_bar(height={"band": 0.62}).encode(x=x, color=alt.Color("c:N", scale=None))
    text = base.mark_text(align="left", dx=5, fontWeight="bold").encode(x=x, text="t:N")
    chart = alt.layer(bars, text).properties(width=300, height=alt.Step(42))
    return draw(chart, "swap", title, [title, *(name for name, _, _ in groups)])


def calibration_chart(lines: Sequence[Line]) -> Markup:
    """Draw observed against predicted bad rates.

    Args:
        lines: x is the predicted, y the observed bad rate of a band.

    Returns:
        Inline SVG.
    """
    x_title, y_title = words("predicted bad rate"), words("observed bad rate")
    top = max((max(*line.x, *line.y) for line in lines), default=1.0)
    layers: list[alt.Chart] = [_diagonal(top)]
    for line in lines:
        rows = [{"x": x, "y": y} for x, y in zip(line.x, line.y, strict=True)]
        mark = alt.Chart(_data(rows)).mark_line(point=True, color=_MODEL_COLOURS.get(line.model, MUTED))
        axis = alt.Axis(format=".0%", tickCount=5)
        layers.append(
            mark.encode(
                x=alt.X("x:Q", title=x_title.en, scale=_scale(0, top), axis=axis),
                y=alt.Y("y:Q", title=y_title.en, scale=_scale(0, top), axis=axis),
            )
        )
    chart = alt.layer(*layers).properties(width=380, height=220)
    return draw(chart, "calibration", words("Calibration"), [x_title, y_title])
