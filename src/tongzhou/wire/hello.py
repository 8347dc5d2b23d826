"""What two institutions say first, so that neither begins a run with a peer that counts otherwise.

The one that was called speaks first: by then it has accepted the caller's certificate, so the caller learns
of a refusal before it says anything.
"""

from typing import Annotated, Final

import msgspec

from tongzhou import __version__
from tongzhou.errors import PeerError, ProtocolError
from tongzhou.wire.link import FramedLink

__all__ = ["PROTOCOL_VERSION", "Hello", "answer", "call"]

PROTOCOL_VERSION: Final = 1
"""Changes whenever two releases could not run a job together."""

_TAG: Final = "hello"
_Word = Annotated[str, msgspec.Meta(max_length=200)]


class Hello(msgspec.Struct, frozen=True):
    """First message of each side. Fields that this release does not know are passed over.

    Attributes:
        protocol_version: must be equal on both sides.
        software_version: for people.
        party_id: must be what the certificate says.
        purpose: what the call is for, such as ``"job"`` or ``"control"``; empty from the one that was called.
        run_id: the run that the call belongs to, if any.
    """

    protocol_version: int
    software_version: _Word
    party_id: _Word
    purpose: _Word = ""
    run_id: _Word = ""

    @classmethod
    def of(cls, party_id: str, purpose: str = "", run_id: str = "") -> "Hello":
        """The greeting of this release."""
        return cls(PROTOCOL_VERSION, __version__, party_id, purpose, run_id)


def call(link: FramedLink, own: Hello) -> Hello:
    """Greet as the one that calls, and return what the other side said.

    Raises:
        PeerError: it runs another version of the protocols.
        ProtocolError: it gives another name than its certificate.
    """
    theirs, _ = link.recv(_TAG, Hello)
    # Said before judging, so that both sides know why the call ends.
    link.send(_TAG, own)
    return _check(link, own, theirs)


def answer(link: FramedLink, own: Hello) -> Hello:
    """Greet as the one that was called, and return what the caller said.

    Raises:
        PeerError: the caller runs another version of the protocols.
        ProtocolError: it gives another name than its certificate.
    """
    link.send(_TAG, own)
    theirs, _ = link.recv(_TAG, Hello)
    return _check(link, own, theirs)


def _check(link: FramedLink, own: Hello, theirs: Hello) -> Hello:
    if theirs.protocol_version != own.protocol_version:
        raise PeerError(
            "{peer} runs version {got} of the protocols (release {release}), here it is version {expected} "
            "(release {own_release}): both must run the same",
            peer=link.peer,
            got=theirs.protocol_version,
            release=ascii(theirs.software_version)[1:-1],
            expected=own.protocol_version,
            own_release=own.software_version,
        )
    if theirs.party_id != link.peer:
        raise ProtocolError("{peer} greets under another name than its certificate's", peer=link.peer)
    return theirs
