"""The whole report as one HTML file that needs nothing else: no server, no network, no fonts.

Both languages stand in the page; two radio buttons and a rule of style show one of them, also without
scripts. A short script, allowed by its own digest, keeps the page's language and title in step and reads
``#zh`` or ``#en`` from the address. The page's policy forbids every other script and every request.
"""

from tongzhou.report._card import card_section, variables_section
from tongzhou.report._format import LEVEL, bytes_text, count, instant, percent, seconds, signed
from tongzhou.report._markup import SPACE, Child, Markup, both, code, join, strong, tag
from tongzhou.report._parts import Cast, picture, points_words, tile, unprotected
from tongzhou.report._people import grant_section, parties_section
from tongzhou.report._policy import decisions_section, policy_section
from tongzhou.report._proof import (
    check_section,
    cost_section,
    leakage_section,
    limits_section,
    receipt_section,
)
from tongzhou.report._quality import curves_section, gain_section, gain_sentence, scores_section
from tongzhou.report._shell import contents, document, footer
from tongzhou.report.charts import gain_chart
from tongzhou.report.figures import Figures, Tamper

__all__ = ["render"]


def render(figures: Figures, *, lang: str = "en") -> str:
    """Draw the report.

    Args:
        figures: everything it shows.
        lang: the language it opens in, ``"en"`` or ``"zh"``; the reader can switch.

    Returns:
        A complete HTML document, to be written as UTF-8.

    Raises:
        DataError: when the language is not one of :data:`tongzhou.i18n.LANGUAGES`.
    """
    cast = Cast(figures)
    sections = [
        parties_section(figures, cast),
        grant_section(figures, cast),
        gain_section(figures, cast),
        curves_section(figures),
        scores_section(figures),
        variables_section(figures, cast),
        card_section(figures, cast),
        policy_section(figures),
        decisions_section(figures, cast),
        cost_section(figures),
        leakage_section(figures, cast),
        receipt_section(figures, cast),
        check_section(figures, cast),
        limits_section(figures),
    ]
    body = join(
        _headline(figures, cast),
        tag("div", _contents(), tag("main", *sections), cls="layout"),
        footer(figures.run.software),
    )
    return document(figures.title, body, lang)


def _headline(figures: Figures, cast: Cast) -> Markup:
    run = figures.run
    chart = picture(
        gain_chart(figures.models, figures.gain.auc),
        both("AUC on unseen clients, with {level} intervals", level=LEVEL),
    )
    return tag(
        "header",
        tag(
            "p",
            both("Report of a joint run"),
            " · ",
            instant(run.finished),
            " · ",
            code(run.run_id),
            cls="eyebrow",
        ),
        tag("h1", figures.title),
        tag(
            "div",
            tag("div", tag("p", gain_sentence(figures, cast), cls="claim"), tag("p", _done(figures, cast))),
            chart,
            cls="lede",
        ),
        _tiles(figures),
        cls="headline",
    )


def _done(figures: Figures, cast: Cast) -> Markup:
    run = figures.run
    values: dict[str, Child] = {
        "asker": cast.of_role("asker"),
        "provider": cast.of_role("provider"),
        "matched": count(figures.matching.matched_rows),
        "variables": len(figures.card.lines),
        "wall": seconds(run.wall_s),
        "applicants": count(figures.decisions.applicants),
    }
    did = both(
        "{asker} and {provider} found their {matched} common clients, binned, trained a scorecard of "
        "{variables} variables and decided {applicants} applicants together in {wall}.",
        **values,
    )
    if run.mode == "local":
        return join(did, SPACE, strong(unprotected()))
    apart = both("No table left its owner; what each step revealed to whom stands below.")
    helper = cast.of_role("helper")
    if not helper.en:
        return join(did, SPACE, apart)
    helped = both("{helper} helped and saw no table, no label and no score.", helper=helper)
    return join(did, SPACE, apart, SPACE, helped)


def _tiles(figures: Figures) -> Markup:
    gain, made, matching = figures.gain.auc, figures.decisions, figures.matching
    sizes = both(
        "of {asker} and {provider}", asker=count(matching.asker_rows), provider=count(matching.provider_rows)
    )
    bounds = both("{level}: {low} to {high}", level=LEVEL, low=signed(gain.low), high=signed(gain.high))
    difference = points_words(figures.agreement.score_points)
    share = percent(made.approved / max(made.applicants, 1))
    speed = both("of {count}; {time} µs each", count=count(made.applicants), time=f"{made.p50_us:.0f}")
    sent = both("{bytes} sent", bytes=bytes_text(sum(step.bytes for step in figures.steps)))
    entries = count(sum(log.entries_verified for log in figures.verification.logs))
    return tag(
        "div",
        tile(both("common clients"), count(matching.matched_rows), sizes),
        tile(both("gain in AUC"), signed(gain.value), bounds),
        tile(both("protected against clear"), difference, both("largest difference of any score")),
        tile(both("approved"), share, speed),
        tile(both("whole run"), seconds(figures.run.wall_s), sent),
        tile(both("log entries verified"), entries, _tampered(figures.verification.tamper)),
        cls="tiles",
    )


def _tampered(tamper: Tamper | None) -> Markup:
    if tamper is None:
        return both("no tampering was tried")
    if tamper.found:
        return both("tampered copy: entry {entry} named", entry=tamper.entry)
    return both("tampered copy: not found")


def _contents() -> Markup:
    return contents(
        ("parties", both("Who took part")),
        ("grant", both("What was allowed")),
        ("gain", both("What the partner adds")),
        ("curves", both("ROC and KS")),
        ("scores", both("Score distribution")),
        ("variables", both("What each variable says")),
        ("card", both("The card")),
        ("policy", both("What it means for approvals")),
        ("decisions", both("Decisions with reasons")),
        ("cost", both("What each step cost")),
        ("leakage", both("Who learned what")),
        ("receipt", both("The receipt")),
        ("check", both("Verified, and tampering found")),
        ("limits", both("Honest limits")),
    )
