"""Matching a short list with a very long one, whose owner prepares it once and whose tags the asker keeps.

Statement
    Parties: asker (thousands of identifiers) and provider (up to a hundred million); nobody else.
    Who learns what: the asker learns which of its own identifiers are common, before any minimum is applied.
    It keeps the tags of the whole list: of identifiers that it never asked for they are uniform, and tell how
    many there are; tables of one key tell, besides, how many came and went between them, and whether one that
    it asked for earlier came or went, without asking again. The provider learns how many identifiers were
    asked for (each is counted against `most_queries`), and with `receivers` "both" which of its own are
    common; it cannot link what two runs ask for. Questions are hidden from it for ever, whatever is broken.
    Assumption: semi-honest; as `tongzhou.secure.blind_prf`, under a key that lives for many runs. Whoever
    steals it can test guesses against every copy of the tags: keep it like the list. A new key ends what
    earlier answers are good for.
    Errors: one foreign identifier in 2^64 / n is taken for common with n in the list: 2^-40.7 for ten
    millions, 2^-38.4 for fifty, 2^-37.4 for a hundred.
    Cost: the table (5.3 bytes an identifier for ten millions, 5.0 for fifty) once and then 6 to 7 bytes for
    each change; a later run takes 64 bytes and three scalar multiplications for each identifier of the
    asker, and none for the provider's list; two rounds.
    Papers: Freedman, Ishai, Pinkas and Reingold, Keyword search and oblivious pseudorandom functions (TCC
    2005); Kiss, Liu, Schneider, Asokan and Pinkas, Private set intersection for unequal set sizes with mobile
    applications (PoPETs 2017), its precomputed Diffie–Hellman variant; RFC 9497.

A probe that every list has goes with each query. If it is not found, key and table do not belong together,
and the run ends instead of finding nothing.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import msgspec
import numpy as np

from tongzhou.errors import PlanError, ProtocolError
from tongzhou.secure.blind_prf import BlindQuery
from tongzhou.secure.lists import MAX_IDENTIFIERS, Places, check_list, shuffled
from tongzhou.secure.party import OWNERS, Party
from tongzhou.secure.points import POINT_BYTES, recv_items, send_items
from tongzhou.secure.refusals import too_few_common
from tongzhou.secure.tag_lists import PROBE, TagCache, TagSource, text_of
from tongzhou.secure.tag_table import TagTable, block_bits_for, changes, merged, table_parts, tags_of
from tongzhou.secure.tasks import Seat
from tongzhou.wire.messages import ArraySpec, Link

__all__ = ["CachedInput", "CachedMatchSettings", "CachedMatchTask"]

_PART_BYTES: Final = 4 << 20
_MAX_TABLE_BYTES: Final = 1 << 30
_SMALL_CHANGE: Final = 4
"""Changes are sent if they are at most one in so many of the tags; more are dearer than the whole table."""


class CachedMatchSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the parties agree on.

    Attributes:
        list_name: what the provider's list is called.
        minimum_rows: below this many common identifiers the match is refused; the asker sees them first.
        most_queries: identifiers that the asker may ask for in one run, as the grant says.
        receivers: who learns which identifiers are common.
    """

    list_name: str
    minimum_rows: int
    most_queries: int
    receivers: Literal["asker", "both"] = "asker"


@dataclass(frozen=True)
class CachedInput:
    """What an owner brings.

    Attributes:
        identifiers: the asker's; in mode `local` the provider's too.
        cache: the asker's copy of the tags.
        source: the provider's prepared list.
    """

    identifiers: Sequence[str] = ()
    cache: TagCache | None = None
    source: TagSource | None = None


class _Offer(msgspec.Struct, frozen=True):
    """What the provider sends of its table: nothing, two tables of changes, or all of it."""

    version: bytes
    block_bits: int
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class CachedMatchTask:
    """Find the common identifiers by means of a prepared list.

    Attributes:
        settings: what is agreed.
    """

    settings: CachedMatchSettings

    def run(self, seat: Seat, own: CachedInput | None) -> Places | None:
        """Places of the common identifiers in the own list, in one order if both learn them.

        Raises:
            DataError: the asker's list is empty or holds repeats; too few are common.
            PlanError: more are asked for than was agreed, or an owner came without its part.
        """
        seat.require("cached match")
        if seat.mode == "local":
            return seat.meet(own, self.clear)
        if own is None:
            return None
        if seat.party.role == "asker":
            return _ask(seat.party, self.settings, own)
        return _provide(seat.party, self.settings, own)

    def clear(self, asker: CachedInput, provider: CachedInput) -> tuple[Places | None, Places | None]:
        """The same in one process."""
        _check_queries(self.settings, asker.identifiers)
        check_list(provider.identifiers)
        where = {name: place for place, name in enumerate(provider.identifiers)}
        pairs = [(place, where[name]) for place, name in enumerate(asker.identifiers) if name in where]
        _enough(self.settings, len(pairs))
        own, other = (np.array(places, dtype=np.int64) for places in zip(*pairs, strict=True))
        return own, other if self.settings.receivers == "both" else None


def _ask(party: Party, settings: CachedMatchSettings, own: CachedInput) -> Places:
    _check_queries(settings, own.identifiers)
    if own.cache is None:
        raise PlanError("the asker needs a place to keep the provider's tags")
    peer, held = party.peer, own.cache.current()
    # The probe is the last text; it travels at a random place.
    order = shuffled(len(own.identifiers) + 1)
    texts = [*map(text_of, own.identifiers), PROBE]
    query = BlindQuery(settings.list_name, [texts[place] for place in order])
    peer.send("cache.have", (b"" if held is None else held.version, len(order)))
    table = _refreshed(peer, own.cache, held)
    send_items(peer, "cache.blind", query.points(), POINT_BYTES)
    tags = tags_of(query.values(recv_items(peer, "cache.answer", len(order), POINT_BYTES)))
    found = table.find(tags) >= 0
    is_probe = order == len(own.identifiers)
    if not found[is_probe].all():
        raise ProtocolError("the answers of {peer} do not belong to its table of tags", peer=peer.peer)
    common = np.flatnonzero(found & ~is_probe)
    if settings.receivers == "both":
        told = common if len(common) >= settings.minimum_rows else common[:0]
        peer.send("cache.common", None, [tags[told]])
    _enough(settings, len(common))
    _note(party, settings, len(common))
    return order[common]


def _provide(party: Party, settings: CachedMatchSettings, own: CachedInput) -> Places | None:
    source = own.source
    if source is None or source.list_name != settings.list_name:
        raise PlanError("the list {list} is not prepared", list=settings.list_name)
    peer = party.peer
    (version, count), _ = peer.recv("cache.have", tuple[bytes, int])
    if not 1 < count <= settings.most_queries + 1:
        raise ProtocolError(
            "{peer} asks for {got} identifiers; from 1 to {limit} are allowed",
            peer=peer.peer,
            got=count - 1,
            limit=settings.most_queries,
        )
    offer, parts = _offered(source, version)
    peer.send("cache.offer", offer)
    for part in parts:
        peer.send("cache.table", None, [np.frombuffer(part, dtype=np.uint8)])
    answers = source.key.answer(recv_items(peer, "cache.blind", count, POINT_BYTES))
    send_items(peer, "cache.answer", answers, POINT_BYTES)
    if settings.receivers == "asker":
        _note(party, settings, 0)
        return None
    _, (tags,) = peer.recv("cache.common", None, [ArraySpec("<u8", (None,))])
    ranks = source.table.find(tags)
    places = source.places(ranks)
    if (ranks < 0).any() or (places < 0).any() or len(np.unique(places)) != len(places):
        raise ProtocolError(
            "{peer} named common identifiers that are not distinct or not known", peer=peer.peer
        )
    _enough(settings, len(places))
    _note(party, settings, len(places))
    return places


# --- the copy of the table ---------------------------------------------------------------------------------


def _offered(source: TagSource, version: bytes) -> tuple[_Offer, Iterator[bytes]]:
    """What to send to an asker that has some version, or none."""
    table = source.table
    if version == table.version:
        return _Offer(version, table.block_bits, ()), iter(())
    older = source.older(version)
    if older is not None:
        found = changes(older, table)
        if sum(map(len, found)) * _SMALL_CHANGE <= len(table):
            small = [
                b"".join(table_parts(table.key_name, block_bits_for(len(tags)), [tags])) for tags in found
            ]
            offer = _Offer(table.version, table.block_bits, tuple(map(len, small)))
            return offer, (part for content in small for part in _cut(memoryview(content)))
    return _Offer(table.version, table.block_bits, (len(table.content),)), _cut(table.content)


def _cut(content: memoryview) -> Iterator[bytes]:
    for start in range(0, len(content), _PART_BYTES):
        yield bytes(content[start : start + _PART_BYTES])


def _refreshed(peer: Link, cache: TagCache, held: TagTable | None) -> TagTable:
    """The provider's present table, of which only what is new travels."""
    offer, _ = peer.recv("cache.offer", _Offer)
    most = _MAX_TABLE_BYTES if held is None or len(offer.sizes) == 1 else len(held.content)
    if len(offer.sizes) > 2 or not 0 <= sum(offer.sizes) <= most or min(offer.sizes, default=0) < 0:
        raise ProtocolError("{peer} offers a table of tags of an impossible size", peer=peer.peer)
    if len(offer.sizes) == 1:
        return cache.replace(_received(peer, offer.sizes[0]), offer.version)
    if held is None or (not offer.sizes and offer.version != held.version):
        raise ProtocolError("{peer} offers changes of a table that nobody has", peer=peer.peer)
    if not offer.sizes:
        return held
    came, went = (TagTable.open(b"".join(_received(peer, size))) for size in offer.sizes)
    new = merged(held, came.part(0, 0), went.part(0, 0))
    return cache.replace(table_parts(held.key_name, offer.block_bits, new), offer.version)


def _received(peer: Link, size: int) -> Iterator[bytes]:
    for start in range(0, size, _PART_BYTES):
        spec = ArraySpec("|u1", (min(_PART_BYTES, size - start),))
        yield peer.recv("cache.table", None, [spec])[1][0].tobytes()


# --- both sides --------------------------------------------------------------------------------------------


def _check_queries(settings: CachedMatchSettings, identifiers: Sequence[str]) -> None:
    check_list(identifiers, MAX_IDENTIFIERS)
    if len(identifiers) > settings.most_queries:
        raise PlanError(
            "{got} identifiers are asked for; the agreement allows {limit} in one run",
            got=len(identifiers),
            limit=settings.most_queries,
        )


def _enough(settings: CachedMatchSettings, count: int) -> None:
    if count < max(settings.minimum_rows, 1):
        raise too_few_common(settings.minimum_rows)


def _note(party: Party, settings: CachedMatchSettings, count: int) -> None:
    """A provider that does not learn which are common does not know how many there are, and notes none."""
    told = OWNERS if settings.receivers == "both" else ("asker",)
    party.record("which of the asker's identifiers are common", count, told, "matching with a prepared list")
