"""Holding an answer against all earlier ones, so that no sum or difference of them tells of few rows.

Statement
    Parties: asker and provider (owners); the helper (`aided`).
    Both owners learn: which row sets of the other occurred before; whether the other's own audit refuses;
    whether the cells differ from earlier ones, or leave over, fewer rows than the minimum, as one bit.
    The helper learns: how many cells are new, how many were answered before, how often an owner asks again
    about rows of the other and how many groups follow from that, and whether the request is refused.
    Nobody learns: in how many rows groups differ.
    Assumption: as `tongzhou.secure.sketches`.
    Cost: for f new and e earlier cells f e comparisons, and 16 KB each way for each of the f + e; for each
    row set asked about again, one product for each set that it was asked with. Fourteen rounds at most.
    Cells that follow from totals (what is left beside a group) count as answered.
    Papers: as `tongzhou.secure.row_audit` and `tongzhou.secure.sketches`.

1. *Many groups*. Only so many different cells are ever answered.
2. *Own audit*. Each owner holds all its own row sets, of this and of all earlier answers, against
   `tongzhou.secure.row_audit`: no sum or difference of answers tells of fewer than the minimum of its rows.
3. *Left over*. Where an owner asks again about a row set of the other, sums and differences of those answers
   lead to further groups. They are counted with the other's rows as if they had been asked for, and each must
   hold the minimum. That stops the tracker whose target is large on the asker's side and small only among the
   provider's rows.
4. *Differences*. Every two answered cells differ in at least the minimum of rows, unless they are of the same
   two row sets.

Not found: a combination of three or more cells that differ on both sides; and of those that differ on one
side, what rule 3 does not list.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import GrantError
from tongzhou.secure.cells import Part, joint_counts
from tongzhou.secure.clear import tell
from tongzhou.secure.comparison import at_least, open_bits
from tongzhou.secure.guard import Course, Guard, count_bits
from tongzhou.secure.numbered_sets import (
    Again,
    NumberedSets,
    Question,
    asked_again,
    halves_of_entry,
    number_sets,
    own_sets,
)
from tongzhou.secure.party import OWNERS, Role, other_owner
from tongzhou.secure.row_audit import implied_sets, tells_of_fewer
from tongzhou.secure.shared import Shared, join
from tongzhou.secure.sketches import BUCKETS, close_pairs, with_lengths
from tongzhou.secure.whitening import row_bits

__all__ = ["admit"]

Flags = NDArray[np.bool_]


def admit(guard: Guard, question: Question) -> None:
    """Return once the answer is allowed, and both owners have written down that it is given.

    Args:
        guard: the policy, and what was answered.
        question: what is to be answered.

    Raises:
        GrantError: it is refused.
    """
    if not guard.strict:
        return
    sets = number_sets(guard, question)
    cells = [] if sets is None else sets.pairs()
    new = [(place, pair) for place, pair in cells if not guard.answered.is_answered(pair)]
    _check_number(guard, question, len(new))
    _check_own(guard, question, sets)
    pairs = [pair for _, pair in new]
    again = [] if sets is None else asked_again(guard, sets, pairs)
    asks = tuple((one.owner == "asker", one.groups) for one in again)
    course = guard.guided(Course(len(new), len(guard.earlier_sketches()), asks))
    if sets is None:
        again = [Again("asker" if asker else "provider", groups) for asker, groups in course.again]
    sketches = _new_sketches(guard, question, [place for place, _ in new], course.cells)
    bad = [_too_few_left(guard, question, sets, one) for one in again]
    if sketches is not None and course.earlier:
        bad.append(_too_close(guard, sketches, course.earlier))
    _check_hidden(guard, question, bad)
    guard.note({} if sets is None else halves_of_entry(guard, question, sets, pairs, sketches))


def _check_number(guard: Guard, question: Question, new: int) -> None:
    """Rule 1."""
    total = len(guard.answered.cells) + new if guard.holders else 0
    if guard.guided(Course(-1 if total > guard.policy.groups else 0)).cells < 0:
        raise GrantError(
            "statistic {name}: the grant allows {most} different groups to be answered, and this would be "
            "more",
            name=question.name,
            most=guard.policy.groups,
        )


def _check_own(guard: Guard, question: Question, sets: NumberedSets | None) -> None:
    """Rule 2: each owner's own audit; its verdict is told to the other."""
    refused = False
    for owner in OWNERS:
        verdict = None
        if owner in guard.holders and sets is not None:
            verdict = _tells_too_much(guard, question, sets, owner)
        told = tell(guard.engine, owner, "statistics.audit", verdict, bool, helper=False)
        refused = refused or bool(told)
    what = f"whether each owner's own audit refuses {question.name}"
    guard.engine.party.record(what, 2, OWNERS, "policy: earlier answers")
    if guard.guided(Course(-1 if refused else 0)).cells < 0:
        raise guard.refusal(
            GrantError(
                "statistic {name}: together with earlier answers it would tell about fewer rows of one owner "
                "than the minimum of {minimum}; ask for larger groups or fewer different ones",
                name=question.name,
                minimum=guard.policy.minimum_rows,
            )
        )


def _tells_too_much(guard: Guard, question: Question, sets: NumberedSets, owner: Role) -> bool:
    """Whether an owner's own row sets, those answered before and those of this question, tell too much."""
    answered = guard.holders[owner].answered
    own = dict(zip(sets.numbers(owner), own_sets(guard, question, owner), strict=True))
    fresh = [own[number] for number in sets.told(owner) if not answered.is_known(number)]
    family = [*answered.all_rows(), *fresh]
    return tells_of_fewer(family, guard.policy.minimum_rows)


def _too_few_left(guard: Guard, question: Question, sets: NumberedSets | None, again: Again) -> Shared:
    """Rule 3: which groups that follow from an owner's own sets hold too few of the other's rows, as bits."""
    owner, other = again.owner, other_owner(again.owner)
    following, asked = None, None
    if owner in guard.holders and sets is not None:
        following = _following(guard, question, sets, again)
    if other in guard.holders:
        asked = question.sets[other][again.place : again.place + 1]
    parts = {
        owner: Part(owner, again.groups, sets=following, values=[]),
        other: Part(other, 1, sets=asked, values=[]),
    }
    counts = joint_counts(guard.engine, guard.rows, parts["asker"], parts["provider"]).reshaped(again.groups)
    enough = at_least(guard.engine, counts, guard.policy.minimum_rows, bits=count_bits(guard.rows))
    return guard.opposite(enough)


def _following(guard: Guard, question: Question, sets: NumberedSets, again: Again) -> Flags:
    """An owner's groups that follow from all it asked with one group of the other, ``(r, n)``.

    What was asked itself has been counted already and need not be again: the first group that is asked now
    stands in its place, so that the number of groups tells nothing.
    """
    holder, owner = guard.holders[again.owner], again.owner
    number = sets.groups[other_owner(owner)][again.place]
    mine = sets.met(owner, again.place)
    family = {one: holder.answered.rows(one) for one in holder.answered.met(owner, number)}
    family |= {sets.groups[owner][one]: holder.names.set_of(question.sets[owner][one]) for one in mine}
    asked = {rows.keys.tobytes() for rows in family.values()}
    flags = np.empty((again.groups, guard.rows), dtype=np.bool_)
    for place, rows in enumerate(implied_sets(list(family.values()))):
        known = rows.keys.tobytes() in asked
        flags[place] = question.sets[owner][mine[0]] if known else holder.names.members(rows)
    return flags


def _new_sketches(guard: Guard, question: Question, places: Sequence[int], count: int) -> Shared | None:
    """The sketches of the new cells with their squared lengths: shared ``(f, m + 1)``."""
    if question.sketches is None or not count:
        return None
    share = question.sketches.share
    chosen = Shared((count, BUCKETS), None if share is None else share[list(places)])
    return with_lengths(guard.engine, chosen)


def _too_close(guard: Guard, sketches: Shared, earlier: int) -> Shared:
    """Rule 4: which new cells differ from which earlier ones in too few rows, as bits."""
    shares = guard.earlier_sketches()
    known = Shared((earlier, BUCKETS + 1), np.stack(shares) if shares else None)
    bits = 2 * row_bits(guard.rows) + 3
    return close_pairs(guard.engine, sketches, known, minimum=guard.policy.minimum_rows, bits=bits)


def _check_hidden(guard: Guard, question: Question, bad: Sequence[Shared]) -> None:
    """Rules 3 and 4: one opened bit for both."""
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
