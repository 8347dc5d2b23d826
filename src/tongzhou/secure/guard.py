"""The rules of a disclosure policy inside the protocol: which cells are large enough, and who is refused.

Statement
    Parties: asker and provider (owners); the helper (`aided`).
    Both owners learn: which cells of a table hold the minimum of rows, and whether what is left beside them
    does (with ``small = "refuse"`` only whether all do); that a request is refused.
    The helper learns: how many cells are open, and which requests are refused.
    Nobody learns: a number that is not opened.
    Assumption: as `tongzhou.secure.comparison`.
    Cost: one comparison for each cell, and one round to open its bit.
    Papers: as `tongzhou.secure.suppression`; Kenthapadi, Mishra and Nissim, Simulatable auditing (PODS 2005),
    for what refusals tell.

A cell without rows is a small one, like a cell with few. So nobody learns from a closed cell, or from a
refusal, whether a single client is in a group that otherwise nobody is in. `tongzhou.secure.differencing`
holds an answer against earlier ones.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import GrantError, ProtocolError
from tongzhou.parties.disclosure import DisclosurePolicy
from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.answered import ENTRY_BYTES, Answered, Entry, History, RowNames, new_entry_id
from tongzhou.secure.clear import ClearEngine, tell
from tongzhou.secure.comparison import at_least, open_bits, zero
from tongzhou.secure.owner_side import OwnerSide
from tongzhou.secure.party import OWNERS, Role
from tongzhou.secure.products import multiply
from tongzhou.secure.ring import Words
from tongzhou.secure.shared import Shared
from tongzhou.secure.suppression import open_cells
from tongzhou.secure.whitening import row_bits

__all__ = ["Course", "Guard", "Holder", "Told", "count_bits"]

Flags = NDArray[np.bool_]


@dataclass
class Holder:
    """An owner in this process: its data, its rows under their names, and its record.

    Attributes:
        side: its data.
        names: the matched rows.
        answered: what counts of what was answered before.
        history: where that is kept.
    """

    side: OwnerSide
    names: RowNames
    answered: Answered
    history: History


@dataclass(frozen=True)
class Told:
    """Which cells of a table are told.

    Attributes:
        told: flags; ``None`` at the helper.
        known: cells that are told, or that follow from totals that an owner may know; ``None`` at the helper.
        count: how many are told.
    """

    told: Flags | None
    known: Flags | None
    count: int


class Course(msgspec.Struct, frozen=True):
    """What the helper must know to follow a request; the asker tells it.

    Attributes:
        cells: cells that are open, or new ones to be held against earlier ones; -1 where the request is
            refused.
        earlier: answered cells to compare with.
        again: for each row set that is asked about again: whether the asker asks, and how many groups follow.
    """

    cells: int
    earlier: int = 0
    again: tuple[tuple[bool, int], ...] = ()


@dataclass
class Guard:
    """The rules of a policy, applied to one request after another.

    Attributes:
        engine: who computes.
        policy: the rules.
        rows: number of matched rows n.
        holders: the owners in this process, by role.
        watched: whether there may be further requests, so that cells are remembered with a sketch.
    """

    engine: AidedEngine
    policy: DisclosurePolicy
    rows: int
    holders: Mapping[Role, Holder]
    watched: bool

    @property
    def strict(self) -> bool:
        """Whether there is a minimum of rows at all."""
        return self.policy.minimum_rows > 1

    @property
    def answered(self) -> Answered:
        """What counts of what was answered before; both owners have the same but for their own row sets."""
        return next((holder.answered for holder in self.holders.values()), Answered())

    def earlier_sketches(self) -> list[Words]:
        """Shares of the sketches of answered cells; in mode local those of both owners added up."""
        shares = [holder.answered.sketches() for holder in self.holders.values()]
        return [np.sum(one, axis=0, dtype=np.uint64) for one in zip(*shares, strict=True)]

    @property
    def sketching(self) -> bool:
        """Whether cells are sketched."""
        return self.watched and self.strict

    def guided(self, course: Course) -> Course:
        """The asker's course, at the helper too."""
        party = self.engine.party
        if isinstance(self.engine, ClearEngine) or "helper" not in party.names:
            return course
        if party.role == "asker":
            party.link("helper").send("statistics.course", course)
        elif party.role == "helper":
            course, _ = party.link("asker").recv("statistics.course", Course)
        return course

    def check_refusals(self, name: str) -> None:
        """Refuse without looking, once too many requests were refused.

        Raises:
            GrantError: they were.
        """
        full = [holder.answered.refusals >= self.policy.refusals for holder in self.holders.values()]
        if self.guided(Course(-1 if any(full) else 0)).cells < 0:
            raise GrantError(
                "statistic {name}: {most} requests were refused already, the most that the grant allows; "
                "nothing more is answered",
                name=name,
                most=self.policy.refusals,
            )

    def large_cells(
        self, name: str, counts: Shared, core: tuple[int, int], *, also: Shared | None = None
    ) -> Told:
        """Which cells of a table may be told; see `tongzhou.secure.suppression`.

        Args:
            name: of the request.
            counts: shared ``(k_a, k_p)``, what is left of the owners' rows last.
            core: how many groups of each owner were asked for.
            also: shared ``(k_a, k_p)`` words of 0 and 1 that must be 1 too in the cells that were asked for.

        Raises:
            GrantError: none may be.
        """
        bits = at_least(self.engine, counts, self.policy.minimum_rows, bits=count_bits(self.rows))
        if also is not None:
            left = np.ones(counts.shape, dtype=np.uint64)
            left[: core[0], : core[1]] = 0
            inside = Shared(also.shape, None if also.share is None else also.share * (1 - left))
            bits = multiply(self.engine, bits, self.engine.add_public(inside, left))
        large = self._opened(name, bits)
        if large is None:
            return self._told(name, None, None)
        asked = np.zeros(large.shape, dtype=np.bool_)
        asked[: core[0], : core[1]] = True
        told = open_cells(large, core)
        if told is None:
            told = np.zeros_like(large)
        return self._told(name, told, told | (large & ~asked))

    def large_groups(self, name: str, counts: Shared, bounds: Words) -> Told:
        """Which of some separate numbers may be told; no total connects them.

        Args:
            name: of the request.
            counts: shared, any shape.
            bounds: the fewest rows of each, of the same shape.

        Raises:
            GrantError: none may be.
        """
        bits = at_least(self.engine, counts, bounds, bits=count_bits(self.rows))
        large = self._opened(name, bits)
        return self._told(name, large, large)

    def _told(self, name: str, told: Flags | None, known: Flags | None) -> Told:
        count = self.guided(Course(0 if told is None else int(told.sum()))).cells
        if count:
            return Told(told, known, count)
        raise self.refusal(
            GrantError(
                "statistic {name}: a group, or what is left beside it, has fewer rows than the minimum of "
                "{minimum}, or one client makes up too much of it, and nothing can be told without giving it "
                "away; ask for other groups",
                name=name,
                minimum=self.policy.minimum_rows,
            )
        )

    def _opened(self, name: str, bits: Shared) -> Flags | None:
        """The cells' bits; where one small cell refuses all, only whether there is one."""
        reason = "policy: minimum_rows"
        if self.policy.small == "suppress":
            what = f"which groups of {name} are large enough"
            return open_bits(self.engine, bits, what=what, receivers=OWNERS, reason=reason)
        none = self.none_of(self.opposite(bits))
        what = f"whether all groups of {name} are large enough"
        opened = open_bits(self.engine, none, what=what, receivers=OWNERS, reason=reason)
        return None if opened is None else np.full(bits.shape, bool(opened[0]))

    def opposite(self, bits: Shared) -> Shared:
        """Words of 0 and 1, turned."""
        return self.engine.add_public(bits.scaled(-1), np.ones(bits.shape, dtype=np.uint64))

    def none_of(self, bits: Shared) -> Shared:
        """Whether all of some shared words of 0 and 1 are 0: shared ``(1,)``."""
        total = Shared((1,), None if bits.share is None else bits.share.sum(dtype=np.uint64).reshape(1))
        size = int(np.prod(bits.shape))
        return zero(self.engine, total, bits=max(size.bit_length(), 1) + 1)

    def refusal(self, error: GrantError) -> GrantError:
        """Write down that the data refused a request, and return the sentence."""
        self.note({owner: Entry(b"", refused=True) for owner in self.holders})
        return error

    def note(self, entries: Mapping[Role, Entry]) -> None:
        """Write each owner's half of an entry; returns when both have.

        Args:
            entries: for each owner in this process its half, without an identifier.
        """
        drawn = new_entry_id() if "asker" in self.holders else None
        entry_id = tell(self.engine, "asker", "statistics.entry", drawn, bytes, helper=False)
        if entry_id is None:
            return
        if len(entry_id) != ENTRY_BYTES:
            raise ProtocolError(
                "{peer} named an answer with {got} bytes; {size} are due",
                peer=self.engine.party.peer.peer,
                got=len(entry_id),
                size=ENTRY_BYTES,
            )
        for owner, holder in self.holders.items():
            entry = replace(entries[owner], entry_id=entry_id)
            holder.history.add(entry)
            holder.answered.take(entry)
        for owner in OWNERS:
            tell(self.engine, owner, "statistics.noted", owner in self.holders or None, bool, helper=False)
        for holder in self.holders.values():
            holder.history.confirm(entry_id)


def count_bits(rows: int) -> int:
    """Bits that hold a number of rows less any bound; 100 times the largest minimum is below 2^27."""
    return max(row_bits(rows), 27) + 1
