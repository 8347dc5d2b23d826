"""Which row sets of a request occurred before: the part of the audit that both owners know.

Statement
    Parties: asker and provider (owners).
    Both owners learn: which row sets of the other occurred before, by numbers that each gives its own sets.
    Nobody learns: which rows a set has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import ProtocolError
from tongzhou.secure.answered import Entry, Pair
from tongzhou.secure.clear import tell
from tongzhou.secure.guard import Guard
from tongzhou.secure.party import OWNERS, Role, other_owner
from tongzhou.secure.ring import Reals
from tongzhou.secure.row_audit import RowSet
from tongzhou.secure.shared import Shared

__all__ = [
    "Again",
    "NumberedSets",
    "Question",
    "asked_again",
    "halves_of_entry",
    "number_sets",
    "own_sets",
]

Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Question:
    """What is to be answered.

    Attributes:
        name: the request's name.
        sets: ``(k, n)`` the groups of each owner in this process.
        large: ``(k_a, k_p)`` which cells are to be told, or follow from what is; ``None`` at the helper.
        sketches: shared sketches of all cells, row by row, if any were made.
        width: of each owner, how many sums over its own columns are told to itself. It knows their values, so
            each is a weight of its rows.
        columns: of each owner in this process those columns, ``(width, n)``.
    """

    name: str
    sets: Mapping[Role, Flags]
    large: Flags | None
    sketches: Shared | None
    width: Mapping[Role, int] = field(default_factory=dict)
    columns: Mapping[Role, Reals] = field(default_factory=dict)


@dataclass(frozen=True)
class Again:
    """An owner asks again about a group of the other.

    Attributes:
        owner: who asks.
        groups: how many groups follow from all that it asked.
        place: place of the other's group; -1 at the helper.
    """

    owner: Role
    groups: int
    place: int = -1


@dataclass(frozen=True)
class NumberedSets:
    """What an owner knows of a question beside its own rows; the helper does not have it.

    Attributes:
        large: as in `Question`.
        groups: the numbers of each owner's groups.
        columns: the numbers of each owner's columns within each of its groups.
    """

    large: Flags
    groups: dict[Role, list[int]] = field(default_factory=dict)
    columns: dict[Role, list[list[int]]] = field(default_factory=dict)

    def pairs(self) -> list[tuple[int, Pair]]:
        """Open cells: their places, row by row, and the numbers of their two groups."""
        asker, provider = (self.groups[owner] for owner in OWNERS)
        width = len(provider)
        return [(int(i * width + j), (asker[i], provider[j])) for i, j in np.argwhere(self.large)]

    def met(self, owner: Role, place: int) -> list[int]:
        """Places of an owner's groups whose cell with one group of the other is open."""
        line = self.large[:, place] if owner == "asker" else self.large[place]
        return [int(one) for one in np.flatnonzero(line)]

    def told(self, owner: Role) -> list[int]:
        """Numbers of an owner's groups with an open cell, and of the columns within them."""
        lines = np.flatnonzero(self.large.any(axis=1 - OWNERS.index(owner)))
        columns = [number for line in lines for number in self.columns[owner][line]]
        return [*(self.groups[owner][line] for line in lines), *columns]

    def numbers(self, owner: Role) -> list[int]:
        """Numbers of an owner's groups and columns, in the order of `own_sets`."""
        return [*self.groups[owner], *(number for line in self.columns[owner] for number in line)]


def own_sets(guard: Guard, question: Question, owner: Role) -> list[RowSet]:
    """Row sets of an owner here: its groups, then its columns within the first group, and so on."""
    names, sets = guard.holders[owner].names, question.sets[owner]
    columns = question.columns.get(owner, ())
    weighted = [names.set_of(one & (values != 0), values) for one in sets for values in columns]
    return [*(names.set_of(one) for one in sets), *weighted]


def number_sets(guard: Guard, question: Question) -> NumberedSets | None:
    """Number all row sets of a question; each owner tells the other the numbers of its own.

    Returns:
        The numbers at the owners, ``None`` at the helper.

    Raises:
        ProtocolError: the other owner's numbers do not fit its groups.
    """
    found = None if question.large is None else NumberedSets(question.large)
    for owner in OWNERS:
        own = None
        if owner in guard.holders:
            own = guard.holders[owner].answered.numbers(own_sets(guard, question, owner))
        told = tell(guard.engine, owner, "statistics.sets", own, list[int], helper=False)
        if found is None or told is None:
            continue
        groups, width = found.large.shape[OWNERS.index(owner)], question.width.get(owner, 0)
        if len(told) != groups * (1 + width) or min(told) < 0:
            raise ProtocolError("the {owner} numbered its row sets wrongly", owner=owner)
        found.groups[owner] = told[:groups]
        starts = range(groups, groups * (1 + width), width) if width else [groups] * groups
        found.columns[owner] = [told[start : start + width] for start in starts]
    what = f"which row sets of {question.name} occurred before"
    guard.engine.party.record(what, 1, OWNERS, "policy: earlier answers")
    return found


def asked_again(guard: Guard, sets: NumberedSets, new: Sequence[Pair]) -> list[Again]:
    """Groups of either owner that earlier cells had too, where a cell is new."""
    answered, fresh = guard.answered, set(new)
    found = []
    for owner in OWNERS:
        for place, number in enumerate(sets.groups[other_owner(owner)]):
            earlier = answered.met(owner, number)
            mine = [sets.groups[owner][one] for one in sets.met(owner, place)]
            pairs = {(one, number) if owner == "asker" else (number, one) for one in mine}
            if earlier and fresh & pairs:
                found.append(Again(owner, len({*earlier, *mine}), place))
    return found


def halves_of_entry(
    guard: Guard, question: Question, sets: NumberedSets, new: Sequence[Pair], sketches: Shared | None
) -> dict[Role, Entry]:
    """What each owner in this process writes down of an answer; see `tongzhou.secure.answered.Entry`."""
    taken = np.empty((len(new), 0), dtype=np.uint64)
    if sketches is not None and sketches.share is not None:
        taken = sketches.share
    entries = {}
    for owner, holder in guard.holders.items():
        told = set(sets.told(owner))
        own = zip(sets.numbers(owner), own_sets(guard, question, owner), strict=True)
        kept = {one: rows for one, rows in own if one in told and not holder.answered.is_known(one)}
        entries[owner] = Entry(b"", kept, tuple(new), taken)
        # In mode local one process holds both halves: the first takes the whole, the second nothing.
        taken = np.zeros_like(taken)
    return entries
