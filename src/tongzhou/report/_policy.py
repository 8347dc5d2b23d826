"""Sections on the effect for the business: approval and bad rate, the swap set, the decisions."""

from tongzhou.report._format import count, money, percent, signed
from tongzhou.report._markup import Child, Markup, both, code, join, strong, table, tag, words
from tongzhou.report._parts import Cast, legend, note, pairs, picture, section, side_by_side
from tongzhou.report.charts import approval_chart, model_words, swap_chart
from tongzhou.report.figures import (
    ApprovalLevel,
    Decisions,
    ExampleDecision,
    Figures,
    Reason,
    SwapFigure,
    SwapGroup,
)

__all__ = ["decisions_section", "policy_section"]

_LEVELS_MAX = 9  # rows of the table; the chart shows all


def policy_section(figures: Figures) -> Markup:
    """Show the bad rate at equal approval and who changes sides."""
    swap = figures.swap
    key = legend(("bank", model_words("bank")), ("joint", model_words("joint")))
    chart = approval_chart(figures.approvals, swap.approval) if figures.approvals else None
    return section(
        "policy",
        both("What it means for approvals"),
        both(
            "Both models approve the same share of held-out clients; the better one approves fewer who "
            "default. The dashed line is the approval rate of the swap set, {rate}.",
            rate=percent(swap.approval, 0),
        ),
        side_by_side(
            picture(chart, both("Bad rate at equal approval"), key) if chart else None,
            _levels(figures.approvals),
        ),
        tag("h3", both("Swap set: who changes sides at {rate} approval", rate=percent(swap.approval, 0))),
        side_by_side(picture(swap_chart(swap), both("Bad rate of each group")), _swap_table(swap)),
        note(tag("p", _swap_sentence(swap))),
    )


def _levels(levels: list[ApprovalLevel]) -> Markup:
    step = max(1, -(-len(levels) // _LEVELS_MAX))
    rows: list[list[Child]] = [
        [
            percent(level.approval, 0),
            percent(level.bad_rate_bank),
            percent(level.bad_rate_joint),
            signed(100 * (level.bad_rate_joint - level.bad_rate_bank), 1),
        ]
        for level in levels[::step]
    ]
    head: list[Child] = [both("approved"), model_words("bank"), model_words("joint"), both("change, pp")]
    return table(head, rows, text_columns=0)


def _swap_table(swap: SwapFigure) -> Markup:
    def row(name: Child, group: SwapGroup) -> list[Child]:
        exposed = money(group.exposure, swap.currency), money(group.bad_exposure, swap.currency)
        return [name, count(group.clients), percent(group.bad_rate), *exposed]

    rows = [
        row(both("approved by both"), swap.both_approved),
        row(tag("span", words("swapped in"), cls="key joint"), swap.swapped_in),
        row(tag("span", words("swapped out"), cls="key bad"), swap.swapped_out),
        row(both("declined by both"), swap.both_declined),
    ]
    head: list[Child] = [
        both("group"),
        both("clients"),
        both("bad rate"),
        both("credit limits"),
        both("of them to bad clients"),
    ]
    return table(head, rows)


def _swap_sentence(swap: SwapFigure) -> Markup:
    values: dict[str, Child] = {
        "inn": count(swap.swapped_in.clients),
        "out": count(swap.swapped_out.clients),
        "rate_in": percent(swap.swapped_in.bad_rate),
        "rate_out": percent(swap.swapped_out.bad_rate),
        "money": strong(money(abs(swap.bad_exposure_avoided), swap.currency)),
    }
    if swap.bad_exposure_avoided >= 0:
        return both(
            "The joint card lets in {inn} clients whom the bank alone declines ({rate_in} of them default) "
            "and keeps out {out} whom it approves ({rate_out} default): {money} less credit limit in bad "
            "hands.",
            **values,
        )
    return both(
        "The joint card lets in {inn} clients whom the bank alone declines ({rate_in} of them default) and "
        "keeps out {out} whom it approves ({rate_out} default): {money} more credit limit in bad hands.",
        **values,
    )


def decisions_section(figures: Figures, cast: Cast) -> Markup:
    """Show what the published strategy decided, by which rules, with examples."""
    made = figures.decisions
    return section(
        "decisions",
        both("Decisions with reasons"),
        both(
            "{count} held-out applicants decided by the published strategy {name}, version {version}: rules "
            "first, the highest grade wins, then the score.",
            count=count(made.applicants),
            name=code(made.strategy),
            version=made.version,
        ),
        _outcomes(made),
        side_by_side(_facts(made), _rules(made)),
        tag("h3", both("Examples")),
        side_by_side(*(_example(example, cast) for example in made.examples), cls="three"),
    )


def _outcomes(made: Decisions) -> Markup:
    parts = [
        ("approve", both("approved"), made.approved),
        ("review", both("to review"), made.reviewed),
        ("decline", both("declined"), made.declined),
    ]
    bars = [
        tag("div", tag("b", count(n)), " ", label, cls=f"part {cls}", style=f"flex:{n} 1 0")
        for cls, label, n in parts
        if n
    ]
    return tag("div", *bars, cls="outcomes")


def _facts(made: Decisions) -> Markup:
    cut = both("{score} points and above", score=made.cutoff_approve)
    review = None
    if made.cutoff_review is not None:
        review = both("{score} points and above", score=made.cutoff_review)

    def rate(value: float | None) -> Child:
        return None if value is None else percent(value)

    return pairs(
        (both("approve from"), cut),
        (both("review from"), review),
        (both("bad rate among approved"), rate(made.bad_rate_approved)),
        (both("bad rate among declined"), rate(made.bad_rate_declined)),
        (
            both("time of one decision"),
            both(
                "{p50} µs median, {p99} µs at the 99th percentile",
                p50=f"{made.p50_us:.0f}",
                p99=f"{made.p99_us:.0f}",
            ),
        ),
        (both("strategy digest"), code(made.digest, cls="wide")),
    )


def _rules(made: Decisions) -> Markup:
    grades = {
        "advisory": both("advisory"),
        "restrictive": both("restrictive"),
        "prohibitive": both("prohibitive"),
    }
    rows: list[list[Child]] = [
        [
            join(code(rule.rule_id), tag("small", rule.words)),
            tag("span", grades.get(rule.grade, rule.grade), cls=f"grade {_grade_class(rule.grade)}"),
            count(rule.hits),
        ]
        for rule in made.rules
    ]
    head: list[Child] = [both("rule"), both("grade"), both("hits")]
    return table(head, rows, text_columns=2)


def _grade_class(grade: str) -> str:
    return {"advisory": "approve", "restrictive": "review", "prohibitive": "decline"}.get(grade, "other")


def _example(example: ExampleDecision, cast: Cast) -> Markup:
    outcomes = {"approve": both("approved"), "review": both("to review"), "decline": both("declined")}
    known = example.outcome if example.outcome in outcomes else "other"
    score = None
    if example.score is not None:
        score = tag("span", strong(example.score), " ", both("points"), cls="score")
    return tag(
        "article",
        tag(
            "header",
            tag("span", both("applicant {number}", number=example.applicant), cls="soft"),
            tag("span", outcomes.get(example.outcome, example.outcome), cls=f"grade {known}"),
            score,
        ),
        tag("ol", *(_reason(reason, cast) for reason in example.reasons)) if example.reasons else None,
        cls=f"example {known}",
    )


def _reason(reason: Reason, cast: Cast) -> Markup:
    lost = None
    if reason.points_lost is not None:
        lost = tag("span", f"−{abs(reason.points_lost)}", cls="lost")
    source: Child = cast.chip(reason.owner) if reason.owner else tag("span", both("rule"), cls="chip other")
    return tag("li", tag("span", reason.words, cls="why"), source, lost)
