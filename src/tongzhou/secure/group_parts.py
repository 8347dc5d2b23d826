"""From a request's conditions and categories to each owner's rows; from shared tables to opened numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tongzhou.secure.cells import JointCells, Part, joint_cells
from tongzhou.secure.clear import tell
from tongzhou.secure.guard import Guard, Told, count_bits
from tongzhou.secure.party import Role
from tongzhou.secure.ring import Reals, Words
from tongzhou.secure.rounding import round_to
from tongzhou.secure.shared import Shared, join
from tongzhou.secure.sketches import Sketcher
from tongzhou.secure.statistic_requests import Condition, owner_of

__all__ = ["Chosen", "framed", "held_sets", "joint", "owner_part", "rows_of", "with_columns"]

Flags = NDArray[np.bool_]


def owner_part(
    guard: Guard, owner: Role, where: Sequence[Condition], category: str | None, sizes: Mapping[str, int]
) -> Part:
    """An owner's groups, without columns to sum.

    Args:
        guard: who holds the data.
        owner: whose groups.
        where: the request's conditions.
        category: the owner's category that makes the groups; one group without.
        sizes: number of groups of each category.
    """
    groups = 1 if category is None else sizes[category]
    if owner not in guard.holders:
        return Part(owner, groups)
    return Part(owner, groups, sets=guard.holders[owner].side.sets(where, category), values=[])


def framed(
    guard: Guard, parts: Mapping[Role, Part], where: Sequence[Condition], by: Sequence[str]
) -> dict[Role, Part]:
    """The groups, and last what is left of an owner's rows, unless its groups cover them all.

    An owner with conditions leaves rows over, or counts as if it did. Without conditions and without a
    category it has one group of all rows. With a category alone it tells whether each row has a group.
    """
    wide = {}
    for owner, part in parts.items():
        if any(owner_of(condition.column)[0] == owner for condition in where):
            covers: bool | None = False
        elif any(owner_of(name)[0] == owner for name in by):
            own = None if part.sets is None else bool(rows_of(part).all())
            covers = tell(guard.engine, owner, "statistics.covers", own, bool, helper=True)
            guard.engine.party.record(
                f"whether each row has a group of the {owner}",
                1,
                tuple(guard.engine.party.names),
                "which rows are left",
            )
        else:
            covers = True
        wide[owner] = part if covers else _with_rest(part)
    return wide


def _with_rest(part: Part) -> Part:
    sets = None if part.sets is None else np.concatenate([part.sets, ~rows_of(part)[None, :]])
    return replace(part, groups=part.groups + 1, sets=sets)


def with_columns(part: Part, columns: int, values: Sequence[Words] | None) -> Part:
    """The same groups with columns to sum, which only their owner gives."""
    return replace(part, columns=columns, values=values)


def rows_of(part: Part) -> Flags:
    """The rows in any group of an owner that is here, ``(n,)``."""
    if part.sets is None:
        raise ValueError("these groups are not here")
    return np.asarray(part.sets.any(axis=0))


def held_sets(parts: Mapping[Role, Part]) -> dict[Role, Flags]:
    """The groups of the owners in this process."""
    return {owner: part.sets for owner, part in parts.items() if part.sets is not None}


def joint(guard: Guard, parts: Mapping[Role, Part]) -> JointCells:
    """Counts, sums and (if cells are remembered) sketches of all cells."""
    holder = next(iter(guard.holders.values()), None)
    return joint_cells(
        guard.engine,
        guard.rows,
        parts["asker"],
        parts["provider"],
        sketch=guard.sketching,
        sketcher=None if holder is None else Sketcher(holder.names),
    )


@dataclass(frozen=True)
class Chosen:
    """The open cells of one request, and how their numbers are told.

    Attributes:
        guard: engine and policy.
        name: of the request.
        receivers: who learns the numbers.
        cells: which cells are told.
        core: how many groups of each owner were asked for; what follows them is left out of answers.
    """

    guard: Guard
    name: str
    receivers: tuple[Role, ...]
    cells: Told
    core: tuple[int, int]

    @property
    def flags(self) -> Flags:
        """Which of the cells that were asked for are told; nothing at the helper."""
        if self.cells.told is None:
            return np.zeros((0, 0), dtype=np.bool_)
        return self.cells.told[: self.core[0], : self.core[1]]

    def of(self, table: Shared) -> Shared:
        """The open cells of a shared table of the same shape: shared ``(count,)``."""
        if table.share is None or self.cells.told is None:
            return Shared((self.cells.count,), None)
        return Shared((self.cells.count,), table.share[self.cells.told])

    def opened_counts(self, table: Shared, what: str) -> Reals | None:
        """Counts of the open cells, rounded as the policy says; ``None`` to who may not know."""
        base = self.guard.policy.count_base
        return self._opened([self.of(table)], what, base, count_bits(self.guard.rows))

    def opened(
        self, tables: Sequence[Shared], what: str, *, base: int = 1, bits: int = 1
    ) -> list[Reals] | None:
        """Whole numbers of the open cells of several tables, rounded to a multiple of `base`.

        Args:
            tables: shared, of the shape of the cells.
            what: what they are, in words.
            base: multiples of this are told.
            bits: the numbers are below 2^bits; used with a base.
        """
        found = self._opened([self.of(table) for table in tables], what, base, bits)
        return None if found is None else list(found.reshape(len(tables), self.cells.count))

    def _opened(self, chosen: Sequence[Shared], what: str, base: int, bits: int) -> Reals | None:
        rounded = round_to(self.guard.engine, join(*chosen), base, bits=bits)
        reason = "the answer" if base == 1 else f"the answer, to a multiple of {base}"
        words = self.guard.engine.open(
            rounded, what=f"{what} of {self.name}", receivers=self.receivers, reason=reason
        )
        return None if words is None else words.view(np.int64).astype(np.float64)

    def placed(self, numbers: Reals | None, closed: float) -> Reals | None:
        """A table of what was asked for with the numbers in the open cells."""
        if numbers is None or self.cells.told is None:
            return None
        table = np.full(self.core, closed)
        table[self.flags] = numbers
        return table
