"""Identifiers that all of three or more owners have, with no word about what only some of them share.

Every provider adds a share to each of its identifiers; the shares of one identifier cancel out only if every
owner's is there. Where one is missing, what is left over is uniform: whoever adds up cannot tell whether one
provider lacks the identifier or all of them do. So no size of an intersection of fewer owners is told to
anybody.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tongzhou.errors import PlanError
from tongzhou.secure.blind_prf import BlindKey, BlindQuery, evaluate
from tongzhou.secure.hidden_table import WORDS, pack_table, read_table, slot_count
from tongzhou.secure.lists import (
    Places,
    check_distinct,
    check_list,
    encoded,
    places_of,
    recv_size,
    recv_sizes,
    shuffled,
)
from tongzhou.secure.matching import MatchSettings
from tongzhou.secure.owner_tags import TAG_BYTES, owner_values, recv_key, send_key
from tongzhou.secure.party import Party, Role
from tongzhou.secure.points import POINT_BYTES, pack, recv_items, send_items, telling, unpack, wait_out
from tongzhou.secure.refusals import too_few_common
from tongzhou.secure.ring import Words
from tongzhou.secure.tasks import Seat
from tongzhou.wire.messages import ArraySpec, Link

__all__ = ["PartiesMatchTask"]

_KEY, _MASK, _NAME = (slice(start, start + TAG_BYTES) for start in range(0, 3 * TAG_BYTES, TAG_BYTES))
"""Parts of a value: its key in a table, what masks its share, and its name in the result."""
_SHARES: Final = "shares of {role}"


@dataclass(frozen=True)
class PartiesMatchTask:
    """Find the identifiers that all owners have.

    Attributes:
        settings: minimum and context.
    """

    settings: MatchSettings

    def run(self, seat: Seat, own: Sequence[str] | None) -> Places | None:
        """Places of the common identifiers in the own list, in one order at all owners.

        Raises:
            DataError: fewer are common than the minimum, or the own list is empty or holds repeats.
        """
        seat.require("common to all")
        party = seat.party
        if seat.mode == "local":
            return seat.gather(own, self._gathered)
        if own is None:
            if seat.mode == "aided":
                _add_up(party, self.settings)
            return None
        check_list(own)
        order = shuffled(len(own))
        texts = encoded(own, order)
        if seat.mode == "aided":
            places = _match_aided(party, self.settings, texts)
        elif party.role == "asker":
            places = _ask(party, self.settings, texts)
        else:
            places = _provide(party, self.settings, texts)
        _enough(self.settings, len(places))
        party.record("which of the own identifiers all have", len(places), party.owners, "matching")
        return order[places]

    def clear(
        self, asker: Sequence[str], provider: Sequence[str], *others: Sequence[str]
    ) -> tuple[Places, ...]:
        """Places in all lists, computed in one process."""
        lists = (asker, provider, *others)
        for one in lists:
            check_list(one)
        common = [name for name in asker if all(name in held for held in map(set, lists))]
        _enough(self.settings, len(common))
        where = [{name: place for place, name in enumerate(one)} for one in lists]
        return tuple(np.array([there[name] for name in common], dtype=np.int64) for there in where)

    def _gathered(self, inputs: Mapping[Role, Sequence[str] | None]) -> Mapping[Role, Places]:
        roles = sorted(inputs, key=lambda role: (role != "asker", role))
        lists = [inputs[role] or () for role in roles]
        if len(lists) < 2:
            raise PlanError("matching needs two owners or more")
        return dict(zip(roles, self.clear(*lists), strict=True))


def _match_aided(party: Party, settings: MatchSettings, texts: list[bytes]) -> Places:
    """An owner of `aided`.

    Statement
        Parties: asker, one or more providers, helper.
        Who learns what: every owner learns which of its own identifiers all have, below the minimum nothing
        but that it was not reached. The helper learns the size of each list, the number of identifiers that
        all have, and which places of the asker's shuffled list they are; of what fewer have it learns
        nothing: it sees tables that are uniform whatever is in them.
        Assumption: semi-honest; the helper colludes with nobody; HMAC-SHA-512 is a pseudorandom function.
        Cost: 32 bytes for each identifier of the asker, a table of `tongzhou.secure.hidden_table` (about 21
        bytes an identifier) for each provider; 16 bytes a match to each owner; one round.
        Papers: Kolesnikov, Matania, Pinkas, Rosulek and Trieu, Practical multi-party private set intersection
        from symmetric-key techniques (CCS 2017), its zero-sharing, with a helper that adds up.
    """
    providers = party.owners[1:]
    is_asker = party.role == "asker"
    key = send_key(party, providers, "all.key") if is_asker else recv_key(party, "asker", "all.key")
    tags = [value[:TAG_BYTES] for value in owner_values(key, settings.context, texts)]
    helper = party.link("helper")
    helper.send("all.size", len(texts))
    shares = np.zeros((len(texts), WORDS), dtype=np.uint64)
    for role in providers if is_asker else (party.role,):
        shares ^= _words(owner_values(key, settings.context, texts, purpose=_SHARES.format(role=role)), _KEY)
    if is_asker:
        rows = (tag + share for tag, share in zip(tags, unpack(shares.view(np.uint8)), strict=True))
        send_items(helper, "all.tags", rows, 2 * TAG_BYTES)
    else:
        helper.send("all.table", None, [pack_table(_words(tags, _KEY), shares)])
    return places_of(tags, _recv_common(helper), helper.peer)


def _add_up(party: Party, settings: MatchSettings) -> None:
    """The helper of `aided`."""
    asker = party.link("asker")
    size = recv_size(asker, "all.size")
    rows = list(recv_items(asker, "all.tags", size, 2 * TAG_BYTES))
    tags = [row[:TAG_BYTES] for row in rows]
    check_distinct(tags, asker.peer)
    keys, total = _words(rows, _KEY), _words(rows, _MASK).copy()
    for role in party.owners[1:]:
        total ^= read_table(_recv_table(party.link(role), recv_size(party.link(role), "all.size")), keys)
    # Ordered by the tag, which is pseudorandom.
    common = sorted(tags[place] for place in np.flatnonzero(~total.any(axis=1)))
    party.record("number of identifiers that all have", 1, ("helper",), "blind matching")
    for role in party.owners:
        _send_common(party.link(role), settings, common)


def _ask(party: Party, settings: MatchSettings, texts: list[bytes]) -> Places:
    """The asker of `pair`: owners and nobody else, however many.

    Statement
        Parties: asker and one or more providers; nobody else.
        Who learns what: every owner learns which of its own identifiers all have. The asker adds up, so it
        sees the number before the minimum is applied, and it learns the size of each provider's list; below
        the minimum the providers learn only that it was not reached. A provider learns the size of the
        asker's list and nothing about the other providers'. Nobody learns what fewer than all have. An asker
        that colludes with some providers learns which of its own identifiers all the *other* providers have;
        providers that collude without the asker learn nothing more.
        Assumption: semi-honest; as `tongzhou.secure.blind_prf`, with keys that live for one run; HMAC-SHA-512
        is a pseudorandom function.
        Cost: 64 bytes for each identifier of the asker and provider, a table of
        `tongzhou.secure.hidden_table` (about 21 bytes an identifier) for each provider, 16 bytes a match to
        each; two rounds after the sizes are told; with N providers 1 + N scalar multiplications for an
        identifier of the asker, and one for each of a provider's own and of the asker's at a provider.
        Papers: Kolesnikov, Matania, Pinkas, Rosulek and Trieu, Practical multi-party private set intersection
        from symmetric-key techniques (CCS 2017), its optimised protocol, with the tables of Garimella et al.
    """
    providers = party.owners[1:]
    for role in providers:
        party.link(role).send("all.size", len(texts))
    sizes = recv_sizes(party, providers, "all.size")
    query = BlindQuery(settings.context, texts)
    points = list(query.points())
    links = [party.link(role) for role in providers]
    for link in links:
        send_items(link, "all.blind", points, POINT_BYTES)
    total = np.zeros((len(texts), WORDS), dtype=np.uint64)
    names: dict[Role, list[bytes]] = {}
    for role in providers:
        answers = recv_items(party.link(role), "all.answer", len(texts), POINT_BYTES)
        values = list(telling(links, "all.going", query.values(answers)))
        wait_out(party.link(role), "all.busy", sizes[role])
        table = _recv_table(party.link(role), sizes[role])
        total ^= read_table(table, _words(values, _KEY)) ^ _words(values, _MASK)
        names[role] = [value[_NAME] for value in values]
    # In the order of the asker's list, which was shuffled.
    places: Places = np.flatnonzero(~total.any(axis=1)).astype(np.int64)
    for role in providers:
        _send_common(party.link(role), settings, [names[role][place] for place in places])
    return places


def _provide(party: Party, settings: MatchSettings, texts: list[bytes]) -> Places:
    """A provider of `pair`; the statement stands at `_ask`."""
    asker = party.link("asker")
    asker.send("all.size", len(texts))
    size = recv_size(asker, "all.size")
    key = BlindKey()
    answers = key.answer(recv_items(asker, "all.blind", size, POINT_BYTES))
    send_items(asker, "all.answer", answers, POINT_BYTES)
    values = list(telling([asker], "all.busy", evaluate(key, settings.context, texts)))
    shares = _zero_shares(party, settings, texts) ^ _words(values, _MASK)
    asker.send("all.table", None, [pack_table(_words(values, _KEY), shares)])
    for _ in party.owners[1:]:
        wait_out(asker, "all.going", size)
    return places_of([value[_NAME] for value in values], _recv_common(asker), asker.peer)


def _zero_shares(party: Party, settings: MatchSettings, texts: list[bytes]) -> Words:
    """Shares that cancel out over all providers: each two of them add the same, under a key of theirs."""
    providers = party.owners[1:]
    later = providers[providers.index(party.role) + 1 :]
    keys = [send_key(party, (role,), "all.key") for role in later]
    keys += [recv_key(party, role, "all.key") for role in providers if role not in (*later, party.role)]
    total = np.zeros((len(texts), WORDS), dtype=np.uint64)
    for key in keys:
        total ^= _words(owner_values(key, settings.context, texts), _KEY)
    return total


def _recv_table(link: Link, size: int) -> Words:
    _, (table,) = link.recv("all.table", None, [ArraySpec("<u8", (slot_count(size), WORDS))])
    words: Words = table
    return words


def _send_common(link: Link, settings: MatchSettings, names: list[bytes]) -> None:
    told = names if len(names) >= settings.minimum_rows else []
    link.send("all.common", None, [pack(told, TAG_BYTES)])


def _recv_common(link: Link) -> list[bytes]:
    _, (names,) = link.recv("all.common", None, [ArraySpec("|u1", (None, TAG_BYTES))])
    return unpack(names)


def _words(values: Iterable[bytes], part: slice) -> Words:
    """A part of each value as words, ``(n, 2)``."""
    return np.frombuffer(b"".join(value[part] for value in values), dtype="<u8").reshape(-1, WORDS)


def _enough(settings: MatchSettings, count: int) -> None:
    if count < max(settings.minimum_rows, 1):
        raise too_few_common(settings.minimum_rows)
