"""The page that goes with a published table: what was done to it, what was lost, who might still be found."""

from tongzhou.report._format import count, decimals, instant, percent
from tongzhou.report._markup import SPACE, Child, Markup, both, code, join, strong, table, tag, words
from tongzhou.report._parts import legend, note, pairs, picture, section, side_by_side, tile
from tongzhou.report._shell import contents, document, footer
from tongzhou.report.figures import Words
from tongzhou.report.release_charts import bands_chart, loss_chart, queries_chart, sensitive_chart
from tongzhou.report.release_figures import ColumnFigure, ConditionFigure, ReleaseFigures, RiskFigure

__all__ = ["render_release"]

_INFINITE = 1e300


def render_release(figures: ReleaseFigures, *, lang: str = "en") -> str:
    """Draw the page.

    Args:
        figures: everything it shows.
        lang: the language it opens in, ``"en"`` or ``"zh"``; the reader can switch.

    Returns:
        A complete HTML document, to be written as UTF-8.

    Raises:
        DataError: when the language is not one of :data:`tongzhou.i18n.LANGUAGES`.
    """
    sections = [
        _columns_section(figures),
        _conditions_section(figures),
        _risk_section(figures),
        _loss_section(figures),
        _sensitive_section(figures),
        _limits_section(figures),
    ]
    shown = [one for one in sections if one is not None]
    body = join(
        _headline(figures),
        tag("div", _contents(figures), tag("main", *shown), cls="layout"),
        footer(figures.software),
    )
    return document(figures.title, body, lang)


def _contents(figures: ReleaseFigures) -> Markup:
    entries: list[tuple[str, Child]] = [
        ("columns", both("What became of each column")),
        ("conditions", both("What every class satisfies")),
        ("risk", both("Who might still be found")),
        ("loss", both("What was lost")),
        ("sensitive", both("Sensitive values")),
        ("limits", both("What this does not protect against")),
    ]
    return contents(*(one for one in entries if one[0] != "sensitive" or figures.sensitive))


def _headline(figures: ReleaseFigures) -> Markup:
    claim = both(
        "{published} of {rows} rows are published in {classes} classes. Each row looks like at least "
        "{others} others in everything that somebody may know of a person.",
        published=strong(count(figures.published_rows)),
        rows=count(figures.source_rows),
        classes=count(figures.after.classes),
        others=strong(count(figures.after.smallest - 1)),
    )
    key = legend(("good", words("source")), ("asker", words("published")))
    chart = picture(bands_chart(figures.bands, figures.k), both("Rows by the number that look alike"), key)
    eyebrow = tag(
        "p",
        both("Report of a published table"),
        " · ",
        instant(figures.made),
        " · ",
        code(figures.name),
        cls="eyebrow",
    )
    text = tag("div", tag("p", claim, cls="claim"), tag("p", _told(figures)))
    return tag(
        "header",
        eyebrow,
        tag("h1", figures.title),
        tag("div", text, chart, cls="lede"),
        _tiles(figures),
        cls="headline",
    )


def _told(figures: ReleaseFigures) -> Markup:
    """How it was done, in two sentences."""
    if figures.method == "mondrian":
        how = both(
            "Mondrian: the table was halved again and again along its widest column, as long as every half "
            "satisfied all conditions. No row was left out."
        )
    else:
        how = both(
            "Full domain: every column is written at one level. Of all choices of levels this one loses "
            "least; {left} rows were left out, at most {most} of them might be.",
            left=count(figures.source_rows - figures.published_rows),
            most=percent(figures.suppression),
        )
    order = both(
        "Rows stand in the order of what is published, so their order tells nothing about the source."
    )
    return join(how, SPACE, order)


def _tiles(figures: ReleaseFigures) -> Markup:
    before, after = figures.before, figures.after
    return tag(
        "div",
        tile(both("alone in the source"), percent(before.unique), both("of the rows, before generalisation")),
        tile(both("smallest class"), count(after.smallest), both("asked for: {k}", k=count(figures.k))),
        tile(
            both("highest risk"),
            percent(after.prosecutor.highest),
            both("before: {before}", before=percent(before.prosecutor.highest)),
        ),
        tile(both("expected to be found"), percent(after.marketer, 2), both("of all published rows")),
        tile(
            both("certainty lost"), percent(figures.loss.penalty), both("mean over the generalised columns")
        ),
        tile(
            both("error of a count"),
            percent(figures.queries.median),
            both("median of {queries} random ranges", queries=count(figures.queries.queries)),
        ),
        cls="tiles",
    )


# Columns


def _role(key: str) -> Words:
    names = {
        "identifier": words("direct identifier"),
        "quasi": words("may be known"),
        "sensitive": words("sensitive"),
        "plain": words("harmless, as declared"),
        "dropped": words("not named in the settings"),
    }
    return names[key]


def _treatment(column: ColumnFigure) -> Markup:
    if column.treatment == "generalised" and column.level is not None and column.levels is not None:
        if column.level == 0:
            return both("unchanged, level 0 of {last}", last=column.levels - 1)
        return both("generalised, level {level} of {last}", level=column.level, last=column.levels - 1)
    names = {
        "dropped": both("dropped"),
        "pseudonym": both("keyed pseudonym"),
        "generalised": both("generalised"),
        "unchanged": both("unchanged"),
    }
    return names[column.treatment]


def _columns_section(figures: ReleaseFigures) -> Markup:
    head: list[Child] = [
        both("column"),
        both("what it is"),
        both("what became of it"),
        both("values before"),
        both("values published"),
        both("penalty"),
        both("entropy"),
    ]
    rows: list[list[Child]] = [
        [
            code(column.name),
            _role(column.role),
            _treatment(column),
            count(column.values_before),
            count(column.values_after) if column.values_after else "–",
            "–" if column.penalty is None else decimals(column.penalty),
            "–" if column.entropy is None else decimals(column.entropy),
        ]
        for column in figures.columns
    ]
    return section(
        "columns",
        both("What became of each column"),
        both("Penalty and entropy say how much of a column was lost, from 0 to 1."),
        table(head, rows, text_columns=3),
        _pseudonyms(figures),
    )


def _pseudonyms(figures: ReleaseFigures) -> Markup | None:
    if not figures.scope:
        return None
    return note(
        tag(
            "p",
            strong(both("Rows carry pseudonyms.")),
            SPACE,
            both(
                "The same person has the same pseudonym in every table of the scope {scope}, so tables of "
                "one scope can be linked row by row, and what is linked may identify. Who holds the key "
                "can always go back. Such a table is pseudonymous, not anonymous.",
                scope=code(figures.scope),
            ),
        ),
        cls="bad",
    )


# Conditions


def _condition(figure: ConditionFigure) -> Markup:
    asked = f"{figure.asked:g}"
    names = {
        "k": both("rows of a class: at least {asked}", asked=asked),
        "distinct": both("different values: at least {asked}", asked=asked),
        "entropy": both("entropy of the values: that of at least {asked} equal ones", asked=asked),
        "recursive": both(
            "most frequent value: less than {asked} times all from number {tail} on",
            asked=asked,
            tail=figure.tail,
        ),
        "equal": both("distance from the whole table: at most {asked}", asked=asked),
        "ordered": both("distance from the whole table by rank: at most {asked}", asked=asked),
        "hierarchy": both("distance from the whole table by level: at most {asked}", asked=asked),
    }
    return names[figure.kind]


def _paper(kind: str) -> str:
    names = {
        "k": "k-anonymity",
        "distinct": "distinct l-diversity",
        "entropy": "entropy l-diversity",
        "recursive": "recursive (c, l)-diversity",
    }
    return names.get(kind, "t-closeness")


def _conditions_section(figures: ReleaseFigures) -> Markup:
    head: list[Child] = [both("column"), both("condition"), both("known as"), both("worst class")]
    rows: list[list[Child]] = [
        [
            code(one.column) if one.column else both("all that may be known"),
            _condition(one),
            _paper(one.kind),
            decimals(one.reached, 3).rstrip("0").rstrip(".") if abs(one.reached) < _INFINITE else "∞",
        ]
        for one in figures.conditions
    ]
    return section(
        "conditions",
        both("What every class satisfies"),
        both(
            "Checked once more on the published table itself. Several sensitive columns are judged one by "
            "one."
        ),
        table(head, rows, text_columns=3),
        pairs(
            (both("published file"), tag("code", f"SHA-256 {figures.digest}", cls="wide")),
            (both("settings"), tag("code", f"SHA-256 {figures.settings_digest}", cls="wide")),
        ),
    )


# Risk


def _risk_section(figures: ReleaseFigures) -> Markup:
    before, after = figures.before, figures.after
    head: list[Child] = [both("who, and what they know"), both("figure"), both("source"), both("published")]
    rows: list[list[Child]] = [
        [
            _who(both("Prosecutor"), both("looks for one person known to be in the table")),
            both("highest"),
            percent(before.prosecutor.highest),
            percent(after.prosecutor.highest),
        ],
        ["", both("mean"), percent(before.prosecutor.mean), percent(after.prosecutor.mean)],
        *_above_rows(figures),
        [
            _who(both("Journalist"), both("looks for anybody, to show that it can be done")),
            both("highest"),
            percent(before.journalist.highest, 2),
            percent(after.journalist.highest, 2),
        ],
        [
            _who(both("Marketer"), both("looks for as many as possible")),
            both("share found"),
            percent(before.marketer, 2),
            percent(after.marketer, 2),
        ],
        [both("alone in their class"), both("share of rows"), percent(before.unique), percent(after.unique)],
        [
            both("alone in the population too"),
            both("estimated share of rows"),
            _estimate(before),
            _estimate(after),
        ],
    ]
    return section(
        "risk",
        both("Who might still be found"),
        _population(figures),
        table(head, rows, text_columns=2),
    )


def _above_rows(figures: ReleaseFigures) -> list[list[Child]]:
    both_risks = zip(
        figures.thresholds, figures.before.prosecutor.above, figures.after.prosecutor.above, strict=True
    )
    return [
        ["", both("rows above {limit}", limit=percent(limit, 0)), percent(source), percent(published)]
        for limit, source, published in both_risks
    ]


def _who(name: Markup, does: Markup) -> Markup:
    return join(strong(name), tag("small", does))


def _estimate(risk: RiskFigure) -> str:
    return "–" if risk.unique_in_population is None else percent(risk.unique_in_population, 3)


def _population(figures: ReleaseFigures) -> Markup:
    if figures.population is None:
        return both(
            "The source is taken for the whole population, the hardest case: everybody knows that the person "
            "is in it."
        )
    return both(
        "The rows are taken for a sample of {population} people. For the source, how many of them look alike "
        "is estimated (negative binomial; Pitman's model for those who are alone).",
        population=count(figures.population),
    )


# Loss


def _loss_section(figures: ReleaseFigures) -> Markup:
    lost = [column for column in figures.columns if column.penalty is not None]
    loss, queries = figures.loss, figures.queries
    measures = legend(("asker", words("certainty penalty")), ("good", words("entropy")))
    return section(
        "loss",
        both("What was lost"),
        both(
            "Penalty: how wide the published values are. Entropy: how much they leave open. Counts: how "
            "far off is who counts rows in a range from the published table."
        ),
        side_by_side(
            picture(loss_chart(lost), both("Loss of each generalised column"), measures),
            picture(queries_chart(queries), both("Errors of counts over random ranges")),
        ),
        pairs(
            (both("penalty, mean"), decimals(loss.penalty)),
            (both("entropy, mean"), decimals(loss.entropy)),
            (
                both("discernibility"),
                both(
                    "{after} (source: {before})",
                    after=count(loss.discernibility),
                    before=count(loss.discernibility_before),
                ),
            ),
            (both("class size over k"), decimals(loss.class_size, 2)),
            (
                both("errors of counts"),
                both(
                    "median {median}, mean {mean}, nine of ten within {tenth}",
                    median=percent(queries.median),
                    mean=percent(queries.mean),
                    tenth=percent(queries.worst_tenth),
                ),
            ),
        ),
    )


def _sensitive_section(figures: ReleaseFigures) -> Markup | None:
    if not figures.sensitive:
        return None
    key = legend(("asker", words("whole table")), ("provider", words("class that differs most")))
    pictures = [
        picture(
            sensitive_chart(one, f"sensitive{place}"),
            join(code(one.column), " ", both("distance {distance}", distance=decimals(one.distance, 2))),
            key,
        )
        for place, one in enumerate(figures.sensitive)
    ]
    return section(
        "sensitive",
        both("Sensitive values"),
        both(
            "Who knows which class a person is in learns the values of that class. The nearer they are to "
            "those of the whole table, the less that is."
        ),
        side_by_side(*pictures),
    )


def _limits_section(figures: ReleaseFigures) -> Markup:
    told = [
        both(
            "Somebody who knows more of a person than the settings declare, or another table of the same "
            "people, can tell rows apart that look alike here. Two tables of the same people must not be "
            "published apart."
        ),
        both(
            "Somebody who knows the method and its conditions can sometimes conclude why a class was not "
            "made smaller (minimality attack)."
        ),
        both(
            "Conditions on one sensitive column do not protect another: values of two columns that go "
            "together may single out a row."
        ),
        both(
            "Columns declared harmless are published as they are. If somebody may know them of a person, "
            "they belong to the columns that are generalised."
        ),
        both(
            "Estimates for the population rest on a model of how rare combinations are. They are no bounds."
        ),
    ]
    items = tag("ul", *(tag("li", one) for one in told), cls="limits")
    return section(
        "limits",
        both("What this does not protect against"),
        both("Every release is final: what is published cannot be called back."),
        items,
    )
