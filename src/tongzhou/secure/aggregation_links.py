"""The coordinator's links to many institutions: asked together, and gone on without those who leave."""

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from tongzhou.errors import PeerError
from tongzhou.secure.party import Party, Role
from tongzhou.wire.messages import ArraySpec, Link

__all__ = ["Spokes", "bearing"]

_BRIEF_S: Final = 0.05
"""What has arrived already is read, also when the time of a phase is over."""


@contextmanager
def bearing(link: Link, seconds: float) -> Iterator[None]:
    """Bear a peer's silence for so many seconds while the block runs."""
    before = link.bear(seconds)
    try:
        yield
    finally:
        link.bear(before)


class Spokes:
    """Links from the coordinator to the institutions, by place from 1; there is none to itself.

    Args:
        party: the coordinator's seat.
        members: roles of the institutions with data.
        patience_s: how long an answer may take, in seconds.

    Attributes:
        live: places that are still there, the coordinator's own among them.
    """

    def __init__(self, party: Party, members: Sequence[Role], patience_s: float) -> None:
        self.live = list(range(1, len(members) + 1))
        self._patience_s = patience_s
        self._links = {
            place: party.link(role) for place, role in enumerate(members, start=1) if role != party.role
        }
        for link in self._links.values():
            link.stand_alone()

    def keep(self, places: Collection[int]) -> None:
        """Go on with these of the places that are still there."""
        self.live = [place for place in self.live if place in places]

    def send(self, place: int, tag: str, value: object, arrays: Sequence[Any] = ()) -> None:
        """Tell one institution."""
        link = self._links.get(place)
        if link is None or place not in self.live:
            return
        try:
            with bearing(link, self._patience_s):
                link.send(tag, value, arrays)
        except PeerError:
            self._leave_out(place, tag)

    def send_all(self, places: Collection[int], tag: str, value: object, arrays: Sequence[Any] = ()) -> None:
        """Tell these of the institutions that are still there."""
        for place in [place for place in self.live if place in places]:
            self.send(place, tag, value, arrays)

    def collect(self, places: Collection[int], tag: str, specs: Sequence[ArraySpec]) -> dict[int, list[Any]]:
        """One message from each of these places; whoever does not answer in time is left out from now on.

        Raises:
            ProtocolError: an institution sent something else.
        """
        found: dict[int, list[Any]] = {}
        until = time.monotonic() + self._patience_s
        for place, link in self._links.items():
            if place not in places or place not in self.live:
                continue
            try:
                with bearing(link, max(_BRIEF_S, until - time.monotonic())):
                    found[place] = link.recv(tag, None, specs)[1]
            except PeerError:
                self._leave_out(place, tag)
        return found

    def _leave_out(self, place: int, tag: str) -> None:
        """Go on without an institution. If it comes back it learns why nobody listens."""
        self.live.remove(place)
        late = PeerError(
            "this institution was left out: it did not answer within {seconds:g} s where {tag} was due",
            seconds=self._patience_s,
            tag=tag,
        )
        self._links[place].send_error(str(late))
