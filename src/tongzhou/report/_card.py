"""Sections on the variables and the card of points."""

from tongzhou.report._format import decimals
from tongzhou.report._markup import Markup, both, code, join, strong, tag
from tongzhou.report._parts import Cast, legend, section
from tongzhou.report._svg import MUTED
from tongzhou.report.charts import ASKER, PROVIDER, woe_chart, woe_domain
from tongzhou.report.figures import BinFigure, CardLine, Figures, VariableFigure

__all__ = ["card_section", "variables_section"]

_COLOURS = {"asker": ASKER, "provider": PROVIDER}


def variables_section(figures: Figures, cast: Cast) -> Markup:
    """Show the WOE of every candidate's bins, strongest first."""
    ordered = sorted(figures.variables, key=lambda v: (-v.iv, v.name))
    domain = woe_domain(ordered)
    panels = [_panel(v, i, cast, domain) for i, v in enumerate(ordered)]
    kept = sum(v.kept for v in ordered)
    owners = sorted({v.owner for v in ordered}, key=cast.role_class)
    return section(
        "variables",
        both("What each variable says"),
        both(
            "WOE of each bin, strongest variable first: to the right riskier, to the left safer, all panels "
            "on one scale. Outlined bars are special and missing values. {kept} of {all} variables were "
            "kept; pale ones were dropped.",
            kept=kept,
            all=len(ordered),
        ),
        legend(*((cast.role_class(owner), cast.name(owner)) for owner in owners)),
        tag("div", *panels, cls="panels"),
    )


def _panel(variable: VariableFigure, index: int, cast: Cast, domain: tuple[float, float]) -> Markup:
    role = cast.role_class(variable.owner)
    svg = woe_chart(variable, domain, _COLOURS.get(role, MUTED), f"woe{index}")
    dropped = None
    if not variable.kept:
        dropped = tag("span", both("dropped: "), variable.dropped_because or "–", cls="soft")
    return tag(
        "figure",
        tag(
            "figcaption",
            code(variable.name),
            tag("span", "IV ", strong(decimals(variable.iv)), cls="iv"),
            tag("span", variable.meaning, cls="soft"),
            dropped,
        ),
        svg,
        cls=f"panel {role}" + ("" if variable.kept else " out"),
    )


def card_section(figures: Figures, cast: Cast) -> Markup:
    """Show the card: one row a variable, one cell a bin."""
    card = figures.card
    by_name = {(v.owner, v.name): v for v in figures.variables}
    lines = [(line, by_name.get((line.owner, line.name))) for line in card.lines]
    widest = _widest([v for _, v in lines if v is not None])
    points = [b.points for _, v in lines if v for b in v.bins if b.points is not None]
    low, high = min(points, default=0), max(points, default=0)
    body = [_line(line, variable, cast, widest=widest, ends=(low, high)) for line, variable in lines]
    head = tag(
        "tr",
        tag("th", both("variable"), scope="col"),
        tag("th", both("coefficient"), scope="col", cls="n"),
        tag("th", both("points of each bin"), scope="col", colspan=sum(widest)),
    )
    return section(
        "card",
        both("The card"),
        both(
            "Start from {offset} points and add the points of the bin in each row. {base} points mean "
            "{odds} good clients to one bad; every {pdo} points double that.",
            offset=strong(card.offset_points),
            base=card.base_points,
            odds=f"{card.base_odds:g}",
            pdo=f"{card.pdo:g}",
        ),
        tag("div", tag("table", tag("thead", head), tag("tbody", *body), cls="card"), cls="scroll"),
        tag(
            "p",
            both(
                "Card {name}, version {version}; intercept {intercept}.",
                name=code(card.name),
                version=card.version,
                intercept=decimals(card.intercept, 4),
            ),
            cls="small",
        ),
    )


def _widest(variables: list[VariableFigure]) -> tuple[int, int]:
    """Return the largest number of ordinary and of special bins; together the columns of the table."""
    special = max((sum(b.special for b in v.bins) for v in variables), default=0)
    plain = max((sum(not b.special for b in v.bins) for v in variables), default=0)
    return max(plain, 1), special


def _line(
    line: CardLine,
    variable: VariableFigure | None,
    cast: Cast,
    *,
    widest: tuple[int, int],
    ends: tuple[int, int],
) -> Markup:
    bins = variable.bins if variable else []
    plain = [_bin(b, ends) for b in bins if not b.special]
    special = [_bin(b, ends) for b in bins if b.special]
    gap = sum(widest) - len(plain) - len(special)
    void = [tag("td", colspan=gap, cls="void")] if gap else []
    error = None
    if line.standard_error is not None:
        error = join(tag("span", f" ± {decimals(line.standard_error)}", cls="soft"), _p_value(line.p_value))
    meaning = variable.meaning if variable else None
    name = tag("th", code(line.name), tag("small", meaning), scope="row", cls=cast.role_class(line.owner))
    coefficient = tag("td", strong(decimals(line.coefficient)), error, cls="n")
    return tag("tr", name, coefficient, *plain, *void, *special)


def _p_value(p: float | None) -> Markup | None:
    if p is None:
        return None
    return tag("small", "p < 0.001" if p < 0.001 else f"p = {decimals(p)}")


def _bin(figure: BinFigure, ends: tuple[int, int]) -> Markup:
    """Return a cell tinted by its points: green is safe, red is risky."""
    if figure.points is None:
        return tag("td", tag("small", figure.label), "–")
    span = max(abs(ends[0]), abs(ends[1]), 1)
    strength = round(34 * abs(figure.points) / span)
    colour = "18,117,95" if figure.points >= 0 else "184,67,58"
    style = f"background:rgba({colour},{strength / 100:.2f})"
    text = f"{figure.points:+d}".replace("-", "−") if figure.points else "0"
    return tag("td", tag("small", figure.label), strong(text), style=style, cls="bin")
