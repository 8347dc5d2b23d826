"""A party inside one protocol run: its role, its links, and the ledger of what was opened.

Opening a secret is one function that takes the receivers and the reason; both go to the receipt.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from tongzhou.secure.vouching import Voucher
from tongzhou.wire.messages import Link, Session

__all__ = ["OWNERS", "Opening", "Party", "Role", "other_owner", "provider_roles"]

Role = str
"""``asker``, ``provider``, ``helper``; further providers are ``provider2``, ``provider3`` and so on."""

OWNERS: Final[tuple[Role, Role]] = ("asker", "provider")


def provider_roles(count: int) -> tuple[Role, ...]:
    """The roles of `count` providers, in order: ``provider``, ``provider2`` and so on."""
    return tuple("provider" if place == 1 else f"provider{place}" for place in range(1, count + 1))


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
        voucher: signs and verifies what others carry, for runs that ask for it.
    """

    role: Role
    session: Session
    names: dict[Role, str]
    openings: list[Opening] = field(default_factory=list)
    voucher: Voucher | None = None

    def link(self, role: Role) -> Link:
        """The link to the party that plays `role`."""
        return self.session.links[self.names[role]]

    @property
    def peer(self) -> Link:
        """The link to the other data owner."""
        return self.link(other_owner(self.role))

    @property
    def owners(self) -> tuple[Role, ...]:
        """All roles that own data in this run, the asker first, then the providers in order."""
        providers = provider_roles(sum(role.startswith("provider") for role in self.names))
        return ("asker", *providers)

    @property
    def is_owner(self) -> bool:
        """Whether this party owns data in the run."""
        return self.role != "helper"

    def record(self, what: str, count: int, receivers: Sequence[Role], reason: str) -> None:
        """Note one opening for the receipt."""
        self.openings.append(Opening(what, count, tuple(receivers), reason))
