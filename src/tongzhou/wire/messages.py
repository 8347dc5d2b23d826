"""What two parties say to each other: typed, bounded, ordered messages.

A message has a *tag* (which step of which protocol), an optional *value* (any msgspec type) and zero or
more numeric *arrays*. The receiver names the tag, the type and the array shapes it will accept; anything
else is a `ProtocolError` naming what was expected and what came. Nothing is ever unpickled.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["ArraySpec", "Link", "Session", "Traffic"]

T = TypeVar("T")
Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class ArraySpec:
    """What an array must look like on arrival.

    Attributes:
        dtype: NumPy dtype string, for example ``"<u8"``.
        shape: expected shape; ``None`` in a place accepts any length there.
    """

    dtype: str
    shape: tuple[int | None, ...]

    def accepts(self, array: Array) -> bool:
        """Whether `array` has this dtype and shape."""
        return (
            array.dtype == np.dtype(self.dtype)
            and array.ndim == len(self.shape)
            and all(want is None or want == got for want, got in zip(self.shape, array.shape, strict=True))
        )


@dataclass(slots=True)
class Traffic:
    """Counts of one link. A round is a wait for the peer after having spoken."""

    bytes_sent: int = 0
    bytes_received: int = 0
    messages_sent: int = 0
    messages_received: int = 0
    rounds: int = 0


class Link(Protocol):
    """One ordered, authenticated stream to one peer."""

    @property
    def peer(self) -> str:
        """Identifier of the party at the other end."""

    @property
    def traffic(self) -> Traffic:
        """Running counts."""

    def send(self, tag: str, value: object = None, arrays: Sequence[Array] = ()) -> None:
        """Queue one message. Arrays are C-contiguous and are not changed by the caller afterwards."""

    def recv(
        self, tag: str, kind: type[T] | None = None, arrays: Sequence[ArraySpec] = ()
    ) -> tuple[T, list[Array]]:
        """Wait for the next message, check it against tag, type and array shapes, and return it.

        Raises:
            ProtocolError: another tag, type or shape arrived.
            PeerError: the peer stopped (its sentence is passed on), left, or stayed silent too long.
        """

    def send_error(self, reason: str) -> None:
        """Tell the peer in one sentence why this side stops, then close; a peer already gone is no error."""

    def bear(self, seconds: float) -> float:
        """Bear the peer's silence for so many seconds from now on; returns how long it was borne so far."""

    def stand_alone(self) -> None:
        """From now on, that this peer stops does not interrupt a wait for another one."""


@dataclass(frozen=True, slots=True)
class Session:
    """One run among parties, seen from one of them.

    Attributes:
        me: own identifier.
        links: a link for every other party of the run, by identifier.
    """

    me: str
    links: dict[str, Link]
