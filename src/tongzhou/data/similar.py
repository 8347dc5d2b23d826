"""Names of companies that may mean the same company: candidates for a person to confirm or reject.

One owner's own work, on its own table or against a list that it holds; nothing here is joint. Needs the extra
``names`` (RapidFuzz).
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec

from tongzhou.data.companies import CompanyName, parse_company
from tongzhou.errors import NotFoundError

__all__ = ["REASONS", "Candidate", "find_candidates"]

REASONS = {
    "form": "the same but for the legal form",
    "place": "the same but for the place",
    "blanks": "the same but for blanks",
    "order": "the same words in another order",
    "spelling": "words or characters written otherwise",
    "words": "words that one has and the other has not",
    "short": "a short name: a part of the full one",
    "characters": "a short name: characters of the full one, in order",
    "initials": "a short name: first letters of the full one",
}
"""Why two names may be one company."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Two names that may be one company.

    Attributes:
        first: place of the name that would be written otherwise.
        second: place of the name that would be written instead; in the other list if there is one.
        score: from 0 to 1.
        reason: a key of `REASONS`.
    """

    first: int
    second: int
    score: float
    reason: str


def find_candidates(
    names: Sequence[str],
    *,
    against: Sequence[str] | None = None,
    least: float = 0.8,
    most: int = 20_000,
    decided: Collection[tuple[str, str]] = (),
) -> list[Candidate]:
    """Find names that may mean the same company.

    Args:
        names: normal forms, each once.
        against: normal forms of another list, each once; without it `names` are compared among themselves.
        least: lowest score given.
        most: most candidates given, the best ones.
        decided: pairs of normal forms in any order that were confirmed or rejected before; they are left out.

    Returns:
        Candidates, the best first. Equal names of both lists are none: they match without help.

    Raises:
        NotFoundError: RapidFuzz is not installed.
    """
    if find_spec("rapidfuzz") is None:
        raise NotFoundError(
            'looking for variants of names needs the extra "names": pip install {package}',
            package="'tongzhou[names]'",
        )
    # only with the extra
    from tongzhou.data._pairing import scored_pairs  # noqa: PLC0415

    everyone = [parse_company(name, normal=True) for name in [*names, *(against or ())]]
    split = None if against is None else len(names)
    found = _Found(everyone, split, {frozenset(pair) for pair in decided})
    for first, second, resemblance in scored_pairs(everyone, split, least=least):
        if resemblance.score >= least:
            found.add(first, second, round(resemblance.score, 3), resemblance.reason)
    return found.best(most)


@dataclass
class _Found:
    """Candidates so far, the best of each pair."""

    names: Sequence[CompanyName]
    split: int | None
    decided: Collection[frozenset[str]]
    kept: dict[tuple[int, int], Candidate] = field(default_factory=dict)

    def add(self, one: int, other: int, score: float, reason: str) -> None:
        """Keep a pair, unless it was decided or is kept with a better score."""
        first, second = self._directed(one, other)
        if frozenset((self.names[one].normal, self.names[other].normal)) in self.decided:
            return
        known = self.kept.get((first, second))
        if known is None or known.score < score:
            place = second if self.split is None else second - self.split
            self.kept[first, second] = Candidate(first, place, score, reason)

    def best(self, most: int) -> list[Candidate]:
        """The best candidates, those of equal score in the order of the names."""
        order = sorted(self.kept.values(), key=lambda one: (-one.score, one.first, one.second))
        return order[:most]

    def _directed(self, one: int, other: int) -> tuple[int, int]:
        """The fuller name last: with its legal form, longer, earlier. Names of the other list always are."""
        if self.split is not None:
            return (one, other) if one < other else (other, one)

        def fullness(at: int) -> tuple[bool, int, int]:
            return bool(self.names[at].form), len(self.names[at].normal), -at

        return (one, other) if fullness(one) < fullness(other) else (other, one)
