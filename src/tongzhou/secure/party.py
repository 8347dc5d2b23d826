"""A party inside one protocol run: its role, its links, and the ledger of what was opened.

Opening a secret is one function that takes the receivers and the reason; both go to the receipt.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from tongzhou.wire.messages import Link, Session

__all__ = ["OWNERS", "Opening", "Party", "Role", "other_owner"]

Role = Literal["asker", "provider", "helper"]
OWNERS: Final[tuple[Role, Role]] = ("asker", "provider")


class Opening(msgspec.Struct, frozen=True):
    """One thing that left protection.

    Attributes:
        what: the opened value, in words.
        count: how many numbers.
        receivers: roles that learnt it.
        reason: why.
    """

    what: str
    count: int
    receivers: tuple[str, ...]
    reason: str


def other_owner(role: Role) -> Role:
    """The data owner that `role` is not."""
    return "provider" if role == "asker" else "asker"


@dataclass
class Party:
    """One party's seat in a run.

    Attributes:
        role: what this process plays.
        session: links to the others.
        names: party identifier of each role that takes part.
        openings: everything opened so far, in order.
    """

    role: Role
    session: Session
    names: dict[Role, str]
    openings: list[Opening] = field(default_factory=list)

    def link(self, role: Role) -> Link:
        """The link to the party that plays `role`."""
        return self.session.links[self.names[role]]

    @property
    def peer(self) -> Link:
        """The link to the other data owner."""
        return self.link(other_owner(self.role))

    @property
    def is_owner(self) -> bool:
        """Whether this party owns data in the run."""
        return self.role != "helper"

    def record(self, what: str, count: int, receivers: Sequence[Role], reason: str) -> None:
        """Note one opening for the receipt."""
        self.openings.append(Opening(what, count, tuple(receivers), reason))
