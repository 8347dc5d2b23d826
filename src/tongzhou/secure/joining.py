"""The asker learns columns of the provider for the identifiers that both hold, and nothing of the others.

Every row of the provider is sealed under a key of its own, which takes the row's identifier to compute.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from tongzhou.errors import ProtocolError
from tongzhou.secure.blind_prf import BlindKey, BlindQuery, evaluate
from tongzhou.secure.lists import Places, check_distinct, check_list, encoded, recv_size, shuffled
from tongzhou.secure.owner_tags import TAG_BYTES, owner_values, recv_key, send_key
from tongzhou.secure.party import OWNERS, Party
from tongzhou.secure.payload import (
    Column,
    Columns,
    Values,
    check_columns,
    decode_rows,
    encode_rows,
    row_bytes,
)
from tongzhou.secure.points import POINT_BYTES, pack, recv_items, send_items, telling, unpack, wait_out
from tongzhou.secure.refusals import too_few_common
from tongzhou.secure.tasks import Seat
from tongzhou.wire.messages import ArraySpec

__all__ = ["JoinInput", "JoinSettings", "JoinTask", "Joined"]

_SEAL_BYTES: Final = 16
_ROW_KEY: Final = slice(TAG_BYTES, TAG_BYTES + 32)
_NONCE = bytes(12)
"""A row's key is used for this row only, so one nonce is enough."""


class JoinSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the parties agree on.

    Attributes:
        context: run identifier, mixed into every hash.
        minimum_rows: below this many common identifiers no row is handed out.
        columns: what the asker may learn, as the grant says.
    """

    context: str
    minimum_rows: int
    columns: tuple[Column, ...]

    @property
    def least(self) -> int:
        """Common identifiers without which nothing is handed out: at least one."""
        return max(self.minimum_rows, 1)

    @property
    def seal_bytes(self) -> int:
        """Bytes of a sealed row."""
        return row_bytes(self.columns) + _SEAL_BYTES


@dataclass(frozen=True)
class JoinInput:
    """An owner's identifiers, without repeats; at the provider also the columns, in the same order."""

    identifiers: Sequence[str]
    columns: Columns | None = None


@dataclass(frozen=True)
class Joined:
    """What the asker learns.

    Attributes:
        places: places of the common identifiers in its own list, ascending.
        columns: by name, in the order of `places`: ``(n,)`` doubles, or n texts or ``None``.
    """

    places: Places
    columns: dict[str, Values]


@dataclass(frozen=True)
class JoinTask:
    """Learn columns of common identifiers.

    Attributes:
        settings: what is agreed.
    """

    settings: JoinSettings

    def run(self, seat: Seat, own: JoinInput | None) -> Joined | None:
        """The columns at the asker; ``None`` elsewhere.

        Raises:
            DataError: fewer are common than the minimum; a bad list or column.
            PlanError: columns that cannot be carried.
        """
        seat.require("join")
        check_columns(self.settings.columns)
        if seat.mode == "local":
            return seat.meet(own, self.clear)
        if own is None:
            if seat.mode == "aided":
                _help(seat.party, self.settings)
            return None
        aided = seat.mode == "aided"
        if seat.party.role == "asker":
            return (_ask_helper if aided else _ask)(seat.party, self.settings, own.identifiers)
        return (_provide_helper if aided else _provide)(seat.party, self.settings, own)

    def clear(self, asker: JoinInput, provider: JoinInput) -> tuple[Joined | None, Joined | None]:
        """The same in one process."""
        check_columns(self.settings.columns)
        check_list(asker.identifiers)
        rows = _rows(self.settings, provider)
        where = {identifier: place for place, identifier in enumerate(provider.identifiers)}
        pairs = [(n, where[one]) for n, one in enumerate(asker.identifiers) if one in where]
        _enough(self.settings, len(pairs) >= self.settings.least)
        theirs = rows[[place for _, place in pairs]]
        return _joined(self.settings, [place for place, _ in pairs], unpack(theirs), "provider"), None


def _ask(party: Party, settings: JoinSettings, identifiers: Sequence[str]) -> Joined:
    """The asker of `pair`.

    Statement
        Parties: asker and provider; nobody else.
        Who learns what: the asker learns the size of the provider's list, which of its own identifiers are
        common, and their rows; it compares, so it sees the number before the minimum is applied. Of the
        other rows it gets seals of equal length, and below the minimum not even these. The provider learns
        the size of the asker's list and whether the minimum is reached, and not which of its own are common.
        Assumption: semi-honest; as `tongzhou.secure.blind_prf`, with a key that lives for one run;
        AES-256-GCM hides what it seals.
        Cost: 64 bytes for each identifier of the asker; for each of the provider its row and 32 bytes; two
        rounds after the sizes are told; three scalar multiplications for an identifier of the asker, one
        for each of the provider.
        Papers: Freedman, Ishai, Pinkas and Reingold, Keyword search and oblivious pseudorandom functions
        (TCC 2005); Jarecki and Liu, Fast secure computation of set intersection (SCN 2010).
    """
    check_list(identifiers)
    peer = party.peer
    peer.send("join.size", len(identifiers))
    theirs = recv_size(peer, "join.size")
    order = shuffled(len(identifiers))
    query = BlindQuery(settings.context, encoded(identifiers, order))
    send_items(peer, "join.blind", query.points(), POINT_BYTES)
    answers = recv_items(peer, "join.answer", len(order), POINT_BYTES)
    values = list(telling([peer], "join.going", query.values(answers)))
    tags = list(recv_items(peer, "join.tags", theirs, TAG_BYTES))
    check_distinct(tags, peer.peer)
    mine = {value[:TAG_BYTES]: n for n, value in enumerate(values)}
    common = {place: mine[tag] for place, tag in enumerate(tags) if tag in mine}
    peer.send("join.enough", len(common) >= settings.least)
    _enough(settings, len(common) >= settings.least)
    _note(party, len(common))
    sealed = enumerate(recv_items(peer, "join.rows", theirs, settings.seal_bytes))
    kept = [(common[place], row) for place, row in sealed if place in common]
    rows = [_opened(values[n], row, peer.peer) for n, row in kept]
    return _joined(settings, [int(order[n]) for n, _ in kept], rows, peer.peer)


def _provide(party: Party, settings: JoinSettings, own: JoinInput) -> None:
    """The provider of `pair`; the statement stands at `_ask`."""
    rows = _rows(settings, own)
    peer = party.peer
    peer.send("join.size", len(rows))
    theirs = recv_size(peer, "join.size")
    key, order = BlindKey(), shuffled(len(rows))
    answers = key.answer(recv_items(peer, "join.blind", theirs, POINT_BYTES))
    send_items(peer, "join.answer", answers, POINT_BYTES)
    values: list[bytes] = []
    own_values = evaluate(key, settings.context, encoded(own.identifiers, order))
    send_items(peer, "join.tags", _tags(own_values, values), TAG_BYTES)
    wait_out(peer, "join.going", theirs)
    enough, _ = peer.recv("join.enough", bool)
    _enough(settings, enough)
    _note(party, 0)
    sealed = (_sealed(value, rows[place]) for value, place in zip(values, order, strict=True))
    send_items(peer, "join.rows", sealed, settings.seal_bytes)


def _ask_helper(party: Party, settings: JoinSettings, identifiers: Sequence[str]) -> Joined:
    """The asker of `aided`.

    Statement
        Parties: asker, provider, helper.
        Who learns what: the asker learns which of its own identifiers are common, and their rows; below the
        minimum only that it was not reached. Of the provider's other rows it gets nothing, not even their
        number. The provider learns whether the minimum is reached. The helper learns both sizes, the number
        of common identifiers and the length of a row; it sees tags and sealed rows under fresh keys that it
        never has.
        Assumption: semi-honest; the helper colludes with nobody; HMAC-SHA-512 is a pseudorandom function;
        AES-256-GCM hides what it seals.
        Cost: 16 bytes for each identifier of the asker; for each of the provider its row and 32 bytes; a
        match costs its row and 24 bytes back to the asker; one round.
        Paper: after Kamara, Mohassel, Raykova and Sadeghian, Scaling private set intersection to
        billion-element sets (Financial Cryptography 2014), with sealed rows beside the tags.
    """
    check_list(identifiers)
    key = send_key(party, ("provider",), "join.key")
    order = shuffled(len(identifiers))
    values: list[bytes] = []
    own_values = owner_values(key, settings.context, encoded(identifiers, order))
    helper = party.link("helper")
    helper.send("join.size", len(order))
    send_items(helper, "join.tags", _tags(own_values, values), TAG_BYTES)
    _, (places,) = helper.recv("join.places", None, [ArraySpec("<i8", (None,))])
    inside = (places >= 0) & (places < len(order))
    if not bool(inside.all()) or len(np.unique(places)) != len(places):
        raise ProtocolError("the matched places are not distinct places of the list that was sent")
    _enough(settings, len(places) >= settings.least)
    _note(party, len(places))
    sealed = recv_items(helper, "join.rows", len(places), settings.seal_bytes)
    rows = [_opened(values[n], row, helper.peer) for n, row in zip(places, sealed, strict=True)]
    return _joined(settings, order[places].tolist(), rows, party.peer.peer)


def _provide_helper(party: Party, settings: JoinSettings, own: JoinInput) -> None:
    """The provider of `aided`."""
    rows = _rows(settings, own)
    key, order = recv_key(party, "asker", "join.key"), shuffled(len(rows))
    values: list[bytes] = []
    own_values = owner_values(key, settings.context, encoded(own.identifiers, order))
    helper = party.link("helper")
    helper.send("join.size", len(rows))
    send_items(helper, "join.tags", _tags(own_values, values), TAG_BYTES)
    sealed = (_sealed(value, rows[place]) for value, place in zip(values, order, strict=True))
    send_items(helper, "join.rows", sealed, settings.seal_bytes)
    enough, _ = helper.recv("join.enough", bool)
    _enough(settings, enough)
    _note(party, 0)


def _help(party: Party, settings: JoinSettings) -> None:
    """The helper of `aided`: hand the sealed rows of common tags on."""
    lists, sizes = [], []
    for role in OWNERS:
        link = party.link(role)
        sizes.append(recv_size(link, "join.size"))
        lists.append(list(recv_items(link, "join.tags", sizes[-1], TAG_BYTES)))
        check_distinct(lists[-1], link.peer)
    asker, provider = (party.link(role) for role in OWNERS)
    mine = {tag: place for place, tag in enumerate(lists[0])}
    common = {place: mine[tag] for place, tag in enumerate(lists[1]) if tag in mine}
    party.record("number of common identifiers", 1, ("helper",), "blind joining")
    sealed = enumerate(recv_items(provider, "join.rows", sizes[1], settings.seal_bytes))
    rows = {common[place]: row for place, row in sealed if place in common}
    enough = len(common) >= settings.least
    provider.send("join.enough", enough)
    # In the order of the asker's list, which says nothing about the provider's.
    told = sorted(rows) if enough else []
    asker.send("join.places", None, [np.array(told, dtype=np.int64)])
    send_items(asker, "join.rows", (rows[place] for place in told), settings.seal_bytes)


def _rows(settings: JoinSettings, own: JoinInput) -> NDArray[np.uint8]:
    check_list(own.identifiers)
    return encode_rows(settings.columns, own.columns or {}, len(own.identifiers))


def _tags(values: Iterable[bytes], kept: list[bytes]) -> Iterator[bytes]:
    """What is compared of each value; the values are kept."""
    for value in values:
        kept.append(value)
        yield value[:TAG_BYTES]


def _sealed(value: bytes, row: NDArray[np.uint8]) -> bytes:
    return AESGCM(value[_ROW_KEY]).encrypt(_NONCE, row.tobytes(), None)


def _opened(value: bytes, sealed: bytes, peer: str) -> bytes:
    try:
        return AESGCM(value[_ROW_KEY]).decrypt(_NONCE, sealed, None)
    except InvalidTag:
        raise ProtocolError("a row of {peer} does not open under its identifier", peer=peer) from None


def _joined(settings: JoinSettings, places: list[int], rows: Sequence[bytes], peer: str) -> Joined:
    """Places ascending, and their columns."""
    order = np.argsort(places)
    table = pack(rows, row_bytes(settings.columns))[order]
    return Joined(np.array(places, dtype=np.int64)[order], decode_rows(settings.columns, table, peer))


def _enough(settings: JoinSettings, enough: bool) -> None:
    if not enough:
        raise too_few_common(settings.minimum_rows)


def _note(party: Party, count: int) -> None:
    """The provider does not know how many there are, and notes none."""
    party.record("granted columns of common identifiers", count, ("asker",), "joining")
