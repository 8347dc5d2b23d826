"""Holding an answer against all earlier ones, so that sums and differences of them tell of no few rows.

Statement
    Parties: asker and provider (owners); the helper (`aided`).
    Both owners learn: which row sets of the other occurred before; whether the other's own audit refuses;
    whether the cells differ from earlier ones, or leave over, fewer rows than the minimum, as one bit.
    The helper learns: how many cells are new, how many were answered before, how often an owner asks again
    about rows of the other and how many groups follow from that, and whether the request is refused.
    Nobody learns: in how many rows groups differ.
    Assumption: as `tongzhou.secure.sketches`.
    Cost: for f new and e earlier cells f e comparisons and 16 KB for each of the f + e; for each row set
    asked about again, one product for each set that it was asked with. Twelve rounds.
    Papers: as `tongzhou.secure.row_audit` and `tongzhou.secure.sketches`.

1. *Many groups*. Only so many different cells are ever answered.
2. *Own audit*. Each owner holds all its own row sets that were answered with the same rows of the other
   against `tongzhou.secure.row_audit`: no sum or difference of those answers tells of fewer than the minimum
   of its rows.
3. *Left over*. Sums and differences of those answers lead to further groups. They are counted with the
   other's rows as if they had been asked for, and each must hold the minimum. That stops the tracker whose
   target is large on the asker's side and small only among the provider's rows.
4. *Differences*. Every two answered cells differ in at least the minimum of rows, unless they are the same
   pair of row sets.

Not found: a sum of three or more cells that differ on both sides, and of those on one side, what rule 3 does
not list.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import GrantError, ProtocolError
from tongzhou.secure.answered import Entry, Pair
from tongzhou.secure.cells import Part, joint_counts
from tongzhou.secure.clear import tell
from tongzhou.secure.comparison import at_least, open_bits
from tongzhou.secure.guard import Course, Guard, count_bits
from tongzhou.secure.party import OWNERS, Role, other_owner
from tongzhou.secure.row_audit import RowSet, implied_sets, tells_of_fewer
from tongzhou.secure.shared import Shared, join
from tongzhou.secure.sketches import BUCKETS, close_pairs, with_lengths
from tongzhou.secure.whitening import row_bits

__all__ = ["Question", "admit"]

Flags = NDArray[np.bool_]
_SKETCH = BUCKETS + 1


@dataclass(frozen=True)
class Question:
    """What is to be answered.

    Attributes:
        name: the request's name.
        sets: ``(k, n)`` the groups of each owner in this process.
        large: ``(k_a, k_p)`` which cells are to be told; ``None`` at the helper.
        sketches: shared sketches of all cells, row by row, if any were made.
        columns: of each owner in this process, columns whose products with the other's first group are told.
    """

    name: str
    sets: Mapping[Role, Flags]
    large: Flags | None
    sketches: Shared | None
    columns: Mapping[Role, Sequence[RowSet]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Known:
    """What an owner knows of a question beside its own sets; the helper does not have it.

    Attributes:
        large: as in `Question`.
        numbers: numbers of each owner's row sets; those of columns follow those of groups.
        groups: how many groups each owner has.
    """

    large: Flags
    numbers: dict[Role, list[int]]
    groups: dict[Role, int]

    def pairs(self) -> list[tuple[int, Pair]]:
        """Open cells, as place row by row and pair of numbers."""
        places = np.argwhere(self.large)
        width = self.large.shape[1]
        return [
            (int(i * width + j), (self.numbers["asker"][i], self.numbers["provider"][j])) for i, j in places
        ]

    def met(self, owner: Role, place: int) -> list[int]:
        """Places of an owner's groups whose cell with one group of the other is open."""
        line = self.large[:, place] if owner == "asker" else self.large[place]
        return [int(one) for one in np.flatnonzero(line)]


@dataclass(frozen=True)
class _Again:
    """An owner asks again about a group of the other.

    Attributes:
        owner: who asks.
        groups: how many groups follow from all that it asked.
        place: place of the other's group; -1 at the helper.
    """

    owner: Role
    groups: int
    place: int = -1


def admit(guard: Guard, question: Question) -> None:
    """Return once the answer is allowed, and both owners have written down that it is given.

    Raises:
        GrantError: it is refused.
    """
    if not guard.strict:
        return
    known = _known(guard, question)
    new = [] if known is None else _new_cells(guard, known)
    _check_number(guard, question, new)
    _check_own(guard, question, known)
    again = [] if known is None else _asked_again(guard, known, new)
    earlier = _earlier(guard)
    course = guard.guided(
        Course(len(new), len(earlier), tuple((one.owner == "asker", one.groups) for one in again))
    )
    if known is None:
        again = [_Again("asker" if asker else "provider", groups) for asker, groups in course.again]
    fresh = _fresh_sketches(guard, question, [place for place, _ in new], course.cells)
    _check_hidden(guard, question, again=again, known=known, fresh=fresh, earlier=course.earlier)
    guard.note(_entries(guard, question, known, new, fresh))


# --- what occurs again -----------------------------------------------------------------------------------


def _known(guard: Guard, question: Question) -> _Known | None:
    """Number all row sets; each owner tells the other the numbers of its own."""
    numbers: dict[Role, list[int]] = {}
    groups: dict[Role, int] = {}
    for owner in OWNERS:
        own = None
        if owner in guard.holders:
            holder = guard.holders[owner]
            sets = [holder.names.set_of(one) for one in question.sets[owner]]
            own = holder.answered.numbers([*sets, *question.columns.get(owner, ())])
        told = tell(guard.engine, owner, "statistics.sets", own, list[int], helper=False)
        if told is not None and question.large is not None:
            numbers[owner] = told
            groups[owner] = question.large.shape[OWNERS.index(owner)]
    what = f"which row sets of {question.name} occurred before"
    guard.engine.party.record(what, 1, OWNERS, "policy: earlier answers")
    if question.large is None:
        return None
    for owner, told in numbers.items():
        if len(told) < groups[owner] or min(told) < 0:
            raise ProtocolError("the {owner} numbered its row sets wrongly", owner=owner)
    return _Known(question.large, numbers, groups)


def _new_cells(guard: Guard, known: _Known) -> list[tuple[int, Pair]]:
    (holder, *_) = guard.holders.values()
    return [(place, pair) for place, pair in known.pairs() if not holder.answered.is_answered(pair)]


def _earlier(guard: Guard) -> list[NDArray[np.uint64]]:
    """Shares of the sketches of answered cells; in mode local those of both owners added up."""
    shares = [holder.answered.sketches() for holder in guard.holders.values()]
    return [np.sum(one, axis=0, dtype=np.uint64) for one in zip(*shares, strict=True)]


def _asked_again(guard: Guard, known: _Known, new: Sequence[tuple[int, Pair]]) -> list[_Again]:
    """Groups of either owner that earlier cells had too, where a cell is new."""
    (holder, *_) = guard.holders.values()
    fresh = {pair for _, pair in new}
    found = []
    for owner in OWNERS:
        other = other_owner(owner)
        for place in range(known.groups[other]):
            number = known.numbers[other][place]
            earlier = holder.answered.met(owner, number)
            mine = [known.numbers[owner][one] for one in known.met(owner, place)]
            pairs = [(one, number) if owner == "asker" else (number, one) for one in mine]
            if earlier and fresh & set(pairs):
                found.append(_Again(owner, len(dict.fromkeys([*earlier, *mine])), place))
    return found


# --- the rules ---------------------------------------------------------------------------------------------


def _check_number(guard: Guard, question: Question, new: Sequence[tuple[int, Pair]]) -> None:
    """Rule 1."""
    known = [len(holder.answered.cells) for holder in guard.holders.values()]
    total = max(known, default=0) + len(new)
    if guard.guided(Course(-1 if total > guard.policy.groups else 0)).cells < 0:
        raise GrantError(
            "statistic {name}: the grant allows {most} different groups to be answered, and this would be "
            "more",
            name=question.name,
            most=guard.policy.groups,
        )


def _check_own(guard: Guard, question: Question, known: _Known | None) -> None:
    """Rule 2: each owner's own audit; its verdict is told to the other."""
    refused = False
    for owner in OWNERS:
        verdict = None
        if owner in guard.holders and known is not None:
            verdict = _own_audit(guard, question, known, owner)
        told = tell(guard.engine, owner, "statistics.audit", verdict, bool, helper=False)
        refused = refused or bool(told)
    guard.engine.party.record(
        f"whether each owner's own audit refuses {question.name}", 2, OWNERS, "policy: earlier answers"
    )
    if guard.guided(Course(-1 if refused else 0)).cells < 0:
        raise guard.refusal(
            GrantError(
                "statistic {name}: together with earlier answers it would tell about fewer rows of one owner "
                "than the minimum of {minimum}; ask for larger groups or fewer different ones",
                name=question.name,
                minimum=guard.policy.minimum_rows,
            )
        )


def _own_audit(guard: Guard, question: Question, known: _Known, owner: Role) -> bool:
    """Whether an owner's own row sets tell too much, with any group of the other."""
    holder, other = guard.holders[owner], other_owner(owner)
    seen: set[frozenset[int]] = set()
    for place in range(known.groups[other]):
        number = known.numbers[other][place]
        earlier = holder.answered.met(owner, number, columns=True)
        own = {known.numbers[owner][one]: question.sets[owner][one] for one in known.met(owner, place)}
        columns = list(question.columns.get(owner, ())) if place == 0 else []
        members = frozenset([*earlier, *own])
        if members in seen and not columns:
            continue
        seen.add(members)
        family = [holder.answered.rows(one) for one in earlier if one not in own]
        family += [holder.names.set_of(one) for one in own.values()]
        if tells_of_fewer([*family, *columns], guard.policy.minimum_rows):
            return True
    return False


def _check_hidden(
    guard: Guard,
    question: Question,
    *,
    again: Sequence[_Again],
    known: _Known | None,
    fresh: Shared | None,
    earlier: int,
) -> None:
    """Rules 3 and 4: one opened bit for both."""
    bad = [_too_few_left(guard, question, known, one) for one in again]
    if fresh is not None and fresh.shape[0] and earlier:
        shares = _earlier(guard)
        known_cells = Shared((earlier, _SKETCH), np.stack(shares) if shares else None)
        bad.append(
            close_pairs(
                guard.engine,
                fresh,
                known_cells,
                minimum=guard.policy.minimum_rows,
                bits=2 * row_bits(guard.rows) + 3,
            )
        )
    if not bad:
        return
    none = guard.none_of(join(*bad))
    what = f"whether {question.name} may be answered after earlier answers"
    opened = open_bits(guard.engine, none, what=what, receivers=OWNERS, reason="policy: earlier answers")
    refused = opened is not None and not bool(opened[0])
    if guard.guided(Course(-1 if refused else 0)).cells < 0:
        raise guard.refusal(
            GrantError(
                "statistic {name}: it differs from earlier answers in fewer than {minimum} rows, or leaves "
                "so few over; ask for groups that differ more",
                name=question.name,
                minimum=guard.policy.minimum_rows,
            )
        )


def _too_few_left(guard: Guard, question: Question, known: _Known | None, again: _Again) -> Shared:
    """Shared bits: which groups that follow from an owner's own sets hold too few of the other's rows."""
    owner, other = again.owner, other_owner(again.owner)
    following = None
    if owner in guard.holders and known is not None:
        following = _following(guard, question, known, again)
    asked = question.sets[other][again.place : again.place + 1] if other in guard.holders else None
    parts = {owner: Part(owner, again.groups, sets=following, values=[])}
    parts[other] = Part(other, 1, sets=asked, values=[])
    counts = joint_counts(guard.engine, guard.rows, parts["asker"], parts["provider"]).reshaped(again.groups)
    enough = at_least(guard.engine, counts, guard.policy.minimum_rows, bits=count_bits(guard.rows))
    return guard.opposite(enough)


def _following(guard: Guard, question: Question, known: _Known, again: _Again) -> Flags:
    """An owner's groups that follow from all it asked with one group of the other, ``(r, n)``.

    What was asked itself has been counted already and need not be again: the first group that is asked now
    stands in its place, so that the number of groups tells nothing.
    """
    holder, owner = guard.holders[again.owner], again.owner
    number = known.numbers[other_owner(owner)][again.place]
    mine = known.met(owner, again.place)
    own = {known.numbers[owner][one]: holder.names.set_of(question.sets[owner][one]) for one in mine}
    earlier = {one: holder.answered.rows(one) for one in holder.answered.met(owner, number)}
    family = list((earlier | own).values())
    asked = {rows.keys.tobytes() for rows in family}
    flags = np.empty((again.groups, guard.rows), dtype=np.bool_)
    for place, rows in enumerate(implied_sets(family)):
        fills = rows.keys.tobytes() in asked
        flags[place] = question.sets[owner][mine[0]] if fills else holder.names.members(rows)
    return flags


# --- what is written down ----------------------------------------------------------------------------------


def _fresh_sketches(guard: Guard, question: Question, places: Sequence[int], count: int) -> Shared | None:
    """The sketches of the new cells with their squared lengths: shared ``(f, m + 1)``."""
    if question.sketches is None or not count:
        return None
    share = question.sketches.share
    chosen = Shared((count, BUCKETS), None if share is None else share[list(places)])
    return with_lengths(guard.engine, chosen)


def _entries(
    guard: Guard,
    question: Question,
    known: _Known | None,
    new: Sequence[tuple[int, Pair]],
    fresh: Shared | None,
) -> dict[Role, Entry]:
    """Each owner's half of the entry."""
    if known is None:
        return {}
    cells = tuple(pair for _, pair in new)
    nothing = np.empty((len(cells), 0), dtype=np.uint64)
    # In mode local one process holds both halves: one takes all, the other zeros.
    taken = nothing if fresh is None or fresh.share is None else fresh.share
    entries = {}
    for owner, holder in guard.holders.items():
        sets = [*(holder.names.set_of(one) for one in question.sets[owner]), *question.columns.get(owner, ())]
        met = {
            number
            for pair in known.pairs()
            for number in pair[1][OWNERS.index(owner) : OWNERS.index(owner) + 1]
        }
        columns = known.numbers[owner][known.groups[owner] :]
        kept = {
            number: rows
            for number, rows in zip(known.numbers[owner], sets, strict=True)
            if (number in met or number in columns) and not holder.answered.is_known(number)
        }
        entries[owner] = Entry(b"", kept, cells, taken, _column_pairs(known))
        taken = np.zeros_like(taken) if len(guard.holders) > 1 else taken
    return entries


def _column_pairs(known: _Known) -> tuple[Pair, ...]:
    """Columns of either owner, each with the other's first group."""
    asker, provider = (known.numbers[owner] for owner in OWNERS)
    mine = [(number, provider[0]) for number in asker[known.groups["asker"] :]]
    theirs = [(asker[0], number) for number in provider[known.groups["provider"] :]]
    return (*mine, *theirs)
