"""Sections on the parties, the grant and the matching."""

from tongzhou.report._format import count, instant, percent
from tongzhou.report._markup import Child, Markup, both, code, join, tag
from tongzhou.report._parts import Cast, note, pairs, section, side_by_side, unprotected
from tongzhou.report.figures import Figures, GrantFigure, Matching, PartyFigure

__all__ = ["grant_section", "parties_section"]


def parties_section(figures: Figures, cast: Cast) -> Markup:
    """Say who took part, what each brought and what each holds at the end."""
    return section(
        "parties",
        both("Who took part"),
        unprotected() if figures.run.mode == "local" else _apart(),
        side_by_side(*(_party(party, cast) for party in figures.parties), cls="three"),
        _matching(figures.matching, cast),
        tag("p", figures.data, cls="small"),
    )


def _apart() -> Markup:
    return both(
        "Each party runs its own process with its own keys, database and log. No table left its owner."
    )


def _party(party: PartyFigure, cast: Cast) -> Markup:
    roles = {
        "asker": both("asks and uses the result"),
        "provider": both("provides data under a grant"),
        "helper": both("helps, sees no data"),
    }
    columns = [
        tag("code", column.name, title=f"{column.meaning.en} / {column.meaning.zh}")
        for column in party.columns
    ]
    brought: Child = both("nothing: it deals correlated randomness only")
    if party.rows is not None:
        brought = both("rows: {rows}, columns: {columns}", rows=count(party.rows), columns=len(columns))
    return tag(
        "article",
        tag("h3", party.name),
        tag("p", roles.get(party.role, party.role), cls="role"),
        pairs(
            (both("brought"), brought),
            (both("columns"), join(*columns, by=" ") if columns else None),
            (both("holds at the end"), party.holds),
            (both("identity key"), code(party.fingerprint, cls="wide")),
        ),
        cls=f"party {cast.role_class(party.party_id)}",
    )


def _matching(matching: Matching, cast: Cast) -> Markup:
    def box(label: Child, value: int, below: Child = None, cls: str = "") -> Markup:
        return tag(
            "div", tag("span", label), tag("b", count(value)), tag("small", below), cls=f"box {cls}".strip()
        )

    def owned(role: str) -> Markup:
        return both("clients of {party}", party=cast.of_role(role))

    return tag(
        "div",
        box(owned("asker"), matching.asker_rows, cls="asker"),
        box(
            both("clients of {party}", party=cast.of_role("provider")), matching.provider_rows, cls="provider"
        ),
        box(both("known to both"), matching.matched_rows, matching.protocol, cls="joint"),
        box(
            both("for training"),
            matching.training_rows,
            both("bad rate {rate}", rate=percent(matching.training_bad_rate)),
        ),
        box(
            both("held out"),
            matching.held_out_rows,
            both("bad rate {rate}", rate=percent(matching.held_out_bad_rate)),
        ),
        cls="flow",
    )


def grant_section(figures: Figures, cast: Cast) -> Markup:
    """Say what the provider allowed, and what happened without it."""
    grant = figures.grant
    refusal = None
    if grant.refusal is not None:
        refusal = note(
            tag("p", both("Before the grant existed the same request was refused:")),
            tag("blockquote", grant.refusal),
            cls="bad",
        )
    return section(
        "grant",
        both("What was allowed"),
        both(
            "{provider} signed this grant; without it the job does not start.",
            provider=cast.name(grant.provider),
        ),
        side_by_side(_grant(grant, cast), _openings(grant)),
        refusal,
    )


def _grant(grant: GrantFigure, cast: Cast) -> Markup:
    until = both("{start} until {end}", start=instant(grant.valid_from), end=instant(grant.valid_until))
    helpers = join(*(cast.chip(p) for p in grant.helpers), by=" ")
    return pairs(
        (both("purpose"), grant.purpose),
        (both("legal basis"), grant.legal_basis),
        (both("for"), join(*(cast.chip(p) for p in grant.askers), by=" ")),
        (both("with the help of"), helpers if grant.helpers else None),
        (both("valid"), until),
        (both("runs"), both("{used} of {allowed} used", used=grant.runs_used, allowed=grant.runs)),
        (both("grant"), code(grant.grant_id)),
    )


def _openings(grant: GrantFigure) -> Markup:
    minimum = both(
        "at least {rows} matched clients, at least {bin_rows} in a bin",
        rows=count(grant.minimum_rows),
        bin_rows=count(grant.minimum_bin_rows),
    )
    return pairs(
        (both("table"), code(grant.table)),
        (both("columns"), join(*(code(c) for c in grant.columns), by=" ")),
        (both("protocols"), join(*(code(p) for p in grant.protocols), by=" ")),
        (both("may be opened"), tag("ul", *(tag("li", opening) for opening in grant.openings))),
        (both("minimum sizes"), minimum),
    )
