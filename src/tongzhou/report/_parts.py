"""The pieces every section is built from: sections, figures, legends, the parties' names and colours."""

from tongzhou.report._markup import Child, Markup, both, tag
from tongzhou.report.figures import Figures, PartyFigure, Words

__all__ = [
    "Cast",
    "legend",
    "note",
    "pairs",
    "picture",
    "points_words",
    "section",
    "side_by_side",
    "tile",
    "unprotected",
]

_ROLES = {"asker": "asker", "provider": "provider", "helper": "helper"}


def points_words(points: float) -> Markup:
    """A number of points with the right form of the word."""
    return both("1 point") if points == 1 else both("{points} points", points=f"{points:g}")


class Cast:
    """The parties of the run by id, with the colour class of their role."""

    def __init__(self, figures: Figures) -> None:
        self._parties = {party.party_id: party for party in figures.parties}

    def find(self, party_id: str) -> PartyFigure | None:
        """Return a party, or None when the figures do not describe it."""
        return self._parties.get(party_id)

    def of_role(self, role: str) -> Words:
        """Return the names of the parties in a role."""
        names = [p.name for p in self._parties.values() if p.role == role]
        return Words(", ".join(n.en for n in names), "、".join(n.zh for n in names))

    def name(self, party_id: str) -> Words:
        """Return the name of a party; an unknown id is its own name."""
        party = self.find(party_id)
        return party.name if party else Words(party_id, party_id)

    def role_class(self, party_id: str) -> str:
        """Return the class that gives the party's colour."""
        party = self.find(party_id)
        return _ROLES.get(party.role, "other") if party else "other"

    def chip(self, party_id: str) -> Markup:
        """Return the party's name after a dot in its colour."""
        return tag("span", self.name(party_id), cls=f"chip {self.role_class(party_id)}")


def section(anchor: str, title: Markup, lead: Child, *body: Child) -> Markup:
    """Return a section with its heading and one sentence that says how to read it."""
    return tag("section", tag("h2", title), tag("p", lead, cls="lead"), *body, id=anchor)


def picture(svg: Markup, caption: Child, key: Child = None) -> Markup:
    """Return a chart with its caption above and its colour key."""
    return tag("figure", tag("figcaption", tag("b", caption), key), svg)


def legend(*entries: tuple[str, Words]) -> Markup:
    """Return a colour key: pairs of a class (asker, provider, joint, clear, good, bad) and its words."""
    return tag("span", *(tag("span", words, cls=f"key {cls}") for cls, words in entries), cls="legend")


def side_by_side(*blocks: Child, cls: str = "") -> Markup:
    """Return blocks beside each other, below each other when narrow."""
    return tag("div", *blocks, cls=f"grid {cls}".strip())


def note(*children: Child, cls: str = "") -> Markup:
    """Return a boxed remark."""
    return tag("div", *children, cls=f"note {cls}".strip())


def pairs(*rows: tuple[Child, Child], cls: str = "") -> Markup:
    """Return a list of terms and their values."""
    made = [tag("div", tag("dt", term), tag("dd", value)) for term, value in rows if value is not None]
    return tag("dl", *made, cls=cls or None)


def unprotected() -> Markup:
    """Return the warning that belongs to a run without protection."""
    return both(
        "Mode local: one process held all tables and nothing was protected. This run is a reference only."
    )


def tile(label: Markup, value: Child, below: Child) -> Markup:
    """Return one of the key figures at the top."""
    return tag(
        "div",
        tag("div", label, cls="label"),
        tag("div", value, cls="value"),
        tag("div", below, cls="below"),
        cls="tile",
    )
