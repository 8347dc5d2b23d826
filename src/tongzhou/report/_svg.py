"""From an Altair chart to SVG that lives inside the page.

The renderer needs no network: Vega is built into vl-convert. Text stays text, set in the page's own fonts, so
Chinese shows wherever the reader's system can show it. A label that has both languages becomes two spans, and
the page's switch shows one of them.
"""

import re
from collections.abc import Iterable, Mapping
from html import escape, unescape
from typing import Any

import altair as alt
import vl_convert

from tongzhou.report._markup import Markup, of_words
from tongzhou.report.figures import Words

__all__ = ["INK", "MUTED", "RULE", "draw"]

INK = "#1c2733"
MUTED = "#5f6b76"
RULE = "#d9dcd6"

# The renderer measures text with fonts that it finds; the page then sets the same text in its own font. A
# plain sans of common width keeps the two close.
_FONT = "Arial"
_VEGA_LITE = "6.1"
_OPENING = re.compile(r"^<svg[^>]*?viewBox=\"0 0 ([\d.]+) ([\d.]+)\"[^>]*>")
_PIECES = re.compile(r"(<[^>]*>)")  # the renderer escapes < and > in text, so this splits tags from text
_UNSEEN = re.compile(
    r"<(path|line|text)[^>]* (?:display=\"none\"|opacity=\"0\"|d=\"M0,0h0v0h0Z\")[^>]*(?:/>|>[^<]*</\1>)"
)
_NOISE = re.compile(
    r" (?:font-family|class|role|aria-[a-z]+|pointer-events|stroke-miterlimit)=\"[^\"]*\"| opacity=\"1\""
)
_IDENTIFIER = re.compile(r"(id=\"|url\(#)([A-Za-z_][\w-]*)")
_NUMBER = re.compile(r"-?\d+\.\d{2,}(?:e-\d+)?")

_CONFIG: dict[str, Any] = {
    "aria": False,
    "background": None,
    "font": _FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": MUTED,
        "titleColor": MUTED,
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "domainColor": "#9aa3a0",
        "tickColor": "#9aa3a0",
        "gridColor": "#ebece6",
        "tickSize": 4,
        "labelFlush": False,
        "labelLimit": 0,
        "titleLimit": 0,
    },
    "text": {"fontSize": 11, "fill": INK},
}


def draw(
    chart: alt.TopLevelMixin | Mapping[str, Any], name: str, title: Words, labels: Iterable[Words] = ()
) -> Markup:
    """Render a chart as inline SVG.

    Args:
        chart: an Altair chart, or the Vega-Lite specification of one; its data stands in it.
        name: prefix of the identifiers inside, unique in the page.
        title: what the picture shows, for readers who cannot see it.
        labels: texts of the chart that have a Chinese form; the chart itself holds the English.

    Returns:
        An ``<svg>`` element that scales with its box and holds no outside reference.
    """
    spec = dict(chart if isinstance(chart, Mapping) else chart.to_dict())
    spec["config"] = _CONFIG
    svg = vl_convert.vegalite_to_svg(spec, vl_version=_VEGA_LITE)
    spoken = {label.en: label for label in labels if label.en != label.zh}
    return Markup(_inline(svg, name, title, spoken))


def _inline(svg: str, name: str, title: Words, spoken: dict[str, Words]) -> str:
    opening = _OPENING.match(svg)
    if opening is None:  # the renderer's own contract; a new version of it must not slip through
        raise RuntimeError("vl-convert wrote an SVG without a view box")
    width, height = opening.groups()
    body = _UNSEEN.sub("", svg[opening.end() :])
    pieces = [
        _thin(piece, name) if piece.startswith("<") else _both(piece, spoken) for piece in _PIECES.split(body)
    ]
    spoken_title = escape(f"{title.en} / {title.zh}")
    return (
        f'<svg class="chart" viewBox="0 0 {width} {height}" style="max-width:{width}px" role="img" '
        f'aria-label="{spoken_title}">{"".join(pieces)}'
    )


def _thin(element: str, name: str) -> str:
    """Drop what the page does not need, shorten numbers, and make identifiers unique in the page."""
    kept = _IDENTIFIER.sub(lambda m: f"{m[1]}{name}-{m[2]}", _NOISE.sub("", element))
    return _NUMBER.sub(lambda m: f"{float(m[0]):.1f}".removesuffix(".0"), kept)


def _both(text: str, spoken: dict[str, Words]) -> str:
    pair = spoken.get(unescape(text))
    if pair is None:
        return text
    return of_words(pair).replace("<span", "<tspan").replace("</span", "</tspan")
