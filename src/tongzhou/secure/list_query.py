"""Asking all lists at once about one person or firm: one message each way between asker and helper.

Statement
    Parties: asker and helper, after `tongzhou.secure.list_setup`. Providers take no part and receive nothing.
    Who learns what: the asker learns what each measure opens, and not which provider it comes from. The
    helper learns when and
    how much is asked, and a pseudonym of each identifier: unlinkable between epochs, and within an epoch seen
    again only if lists or day changed in between. Providers learn nothing.
    Assumption: asker and helper do not collude. The lists are safe from an asker that deviates: what it says
    it read is authenticated, so it can leave out or shift no provider's part. A helper that deviates reads
    nothing either, but answers wrongly; if the asker lets it see that an answer was refused as impossible,
    that is one bit. Answers are correct if the helper and the providers follow the protocol, but with
    probability 2^-48 a table gives somebody else's row. A measure of the kind ``above`` is safe from an asker
    that follows it; see `tongzhou.secure.list_gate`.
    Cost: for Q queries, T tables of w words a row and m opened columns, 16 Q + 8 T Q (w + 1) bytes to the
    helper, 8 T Q (1 + m) and 8 Q a measure back; one round; two with ``above``. 48 AES calls a query and
    table at each of the two.
    Papers: Boyle, Gilboa and Ishai, TCC 2019 (function secret sharing on masked values); Bendlin, Damgård,
    Orlandi and Zakarias, Semi-homomorphic encryption and multiparty computation (EUROCRYPT 2011), for linear
    authenticators.

Both parties read the row that the identifier would have: the asker sums masked cells, the helper the masks.
The asker hides its sum under the masks of a key that is used for this query only, and sends it with its
authenticator. The helper verifies, subtracts the asked tag, adds its masks, and now both know a masked
difference of tags that equals the key's point where the row is the asked one, and masked columns. Each
evaluates its key; the helper sends its share of the sums.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import (
    ConflictError,
    DataError,
    GrantError,
    NotFoundError,
    PlanError,
    ProtocolError,
    TongzhouError,
)
from tongzhou.secure import field
from tongzhou.secure.dpf import Corrections, PointKeys
from tongzhou.secure.list_books import AskerBook, AskerTable, HelperBook, HelperTable, state_of
from tongzhou.secure.list_entries import PSEUDONYM_WORDS, pseudonyms, tags
from tongzhou.secure.list_gate import over_shares
from tongzhou.secure.list_keys import AskerKeys, HelperKeys, answer_shares
from tongzhou.secure.list_local import ClearLists
from tongzhou.secure.list_masks import authenticate
from tongzhou.secure.list_terms import MAX_BATCH, ListTerms
from tongzhou.secure.noise import draw_noise
from tongzhou.secure.quota import Ledger, Usage, admit, pace, seen_before, take_slots
from tongzhou.secure.retrieval import places, read_rows
from tongzhou.secure.ring import Words
from tongzhou.wire.link import MAX_REASON
from tongzhou.wire.messages import ArraySpec, Link

__all__ = ["Answer", "ListAsker", "ListHelper", "Served", "ask_clear", "day_of", "forget_answers"]

_FIRST_DAY: Final = 719_163  # the day number of 1 January 1970
_DAY_S: Final = 86_400
_MARK_BYTES: Final = 16
_ASKED: Final = "asked"
"""Whose account the asker's own notes are."""
_BLOCKS: Final = 256
"""The asker takes its slots of a day in about so many blocks, so that not every query waits for the disk."""

_Bytes16 = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]


class Answer(msgspec.Struct, frozen=True):
    """What one query opened.

    Attributes:
        values: for each measure its sum, or 1 for yes and 0 for no.
        asked: whether this was asked now, and not taken from what was asked before.
    """

    values: dict[str, int]
    asked: bool = True


class _Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    epoch: Annotated[str, msgspec.Meta(max_length=64)]
    day: int
    first: Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
    count: Annotated[int, msgspec.Meta(ge=1, le=MAX_BATCH)]
    state: _Bytes16


class _Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Served:
    """What the helper did with one message.

    Attributes:
        queries: how many were answered.
        refusal: why none was, if none was.
    """

    queries: int
    refusal: TongzhouError | None = None


def day_of(seconds: float) -> int:
    """The day number, in UTC, of a POSIX time."""
    return _FIRST_DAY + int(seconds // _DAY_S)


class ListAsker:
    """The asker's side: asks over one link, as long as the tables are those it opened.

    Args:
        link: to the helper.
        book: of the epoch.
        ledger: which slots were used, and what was answered.
        day: the day, as a number.
        now: the time, in POSIX seconds.

    Raises:
        NotFoundError: a provider's list is missing.
        GrantError: a provider's keys for the day are missing.
    """

    def __init__(
        self,
        link: Link,
        book: AskerBook,
        ledger: Ledger,
        *,
        day: int,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._link = link
        self._book = book
        self._terms = book.terms
        self._ledger = ledger
        self._day = day
        self._opened = book.terms.opened(day)
        self._tables = book.tables(day)
        self._state = state_of(book.terms, day, self._tables)
        self._account = _account(_ASKED, book.terms, day)
        self._free = range(0)
        self._now = now
        self._paced = Usage()

    def ask(self, identifiers: Sequence[str], before: Callable[[], object] | None = None) -> list[Answer]:
        """Ask about identifiers; what was asked before in the same state is answered from the own notes.

        Args:
            identifiers: normalised, at most `MAX_BATCH`.
            before: called if a message is about to be sent.

        Returns:
            One answer for each.

        Raises:
            GrantError: the quota or the rate does not allow it.
            ConflictError: the helper holds other tables: some arrived at one of the two only.
        """
        if len(identifiers) > MAX_BATCH:
            raise DataError(
                "{got} identifiers are too many for one message; at most {limit}",
                got=len(identifiers),
                limit=MAX_BATCH,
            )
        names = pseudonyms(self._book.salt, identifiers)

        def fresh(places: list[int]) -> list[dict[str, int]]:
            if before is not None:
                before()
            return self._ask_helper(names[places])

        marks = [_mark(self._state, name) for name in names]
        return _remembered(self._ledger, self._account, marks, fresh)

    def _ask_helper(self, names: Words) -> list[dict[str, int]]:
        # Held back here already: what the helper refuses has used up its slots.
        self._paced = pace(self._terms.limits, self._paced, count=len(names), now=self._now())
        slots = self._take(len(names))
        masked, proofs = self._read(names, slots)
        ask = _Ask(self._terms.epoch, self._day, slots.start, len(slots), self._state)
        self._link.send("list.ask", ask, [names, masked, proofs])
        differences, columns, theirs = self._receive(len(names))
        keys = _joined(0, [table.keys for table in self._tables], slots)
        shares = answer_shares(self._opened, keys, differences, columns)
        gated, plain = list(self._opened.gated), list(self._opened.plain)
        totals = np.empty_like(shares)
        totals[plain] = field.add(shares[plain], theirs)
        if gated:
            totals[gated] = self._over(slots, shares[gated])
        return [self._values(column) for column in totals.T]

    def _take(self, count: int) -> range:
        """The next slots; each is taken for good before anything is sent with it."""
        while len(self._free) < count:
            self._extend(count - len(self._free))
        taken, self._free = self._free[:count], self._free[count:]
        return taken

    def _extend(self, missing: int) -> None:
        per_day = self._terms.per_day
        begins = 0

        def rule(held: Usage) -> Usage:
            nonlocal begins
            begins = held.next_slot
            return take_slots(held, at_least=missing, at_most=per_day // _BLOCKS, per_day=per_day)

        ends = self._ledger.apply(self._account, rule).next_slot
        # Slots of one message follow each other; where others took some in between, the rest is given up.
        joined = bool(self._free) and self._free.stop == begins
        self._free = range(self._free.start if joined else begins, ends)

    def _read(self, names: Words, slots: range) -> tuple[Words, Words]:
        """Rows that the names would have, ``(T, Q, w)``, and authenticators, both hidden by masks."""
        own = slice(slots.start, slots.stop)
        masked, proofs = [], []
        for table, spots in zip(self._tables, _spots(names, self._tables), strict=True):
            sums = read_rows(table.rows, spots)
            masked.append(field.add(sums[:, :-1], table.keys.masks[own]))
            proofs.append(field.add(sums[:, -1], table.keys.proofs[own]))
        return np.stack(masked), np.stack(proofs)

    def _receive(self, queries: int) -> tuple[Words, Words, Words]:
        specs = [
            ArraySpec("<u8", (None, None)),
            ArraySpec("<u8", (None, None, None)),
            ArraySpec("<u8", (None, None)),
        ]
        reply, arrays = self._link.recv("list.answer", _Reply, specs)
        if reply.kind:
            raise _refused(self._link.peer, reply)
        tables, masked = len(self._tables), len(self._opened.masked)
        shapes = [(tables, queries), (tables, queries, masked), (len(self._opened.plain), queries)]
        _same_shapes(self._link.peer, "list.answer", arrays, shapes)
        return arrays[0], arrays[1], arrays[2]

    def _over(self, slots: range, shares: Words) -> Words:
        """Whether the sums of the measures with a bound exceed it, one round more."""
        keys, turns = self._book.gates(self._day, slots)
        masks = np.stack([one.masks[turn] for one, turn in zip(keys, turns, strict=True)], axis=1)
        self._link.send("list.sums", None, [field.add(shares, masks)])
        spec = ArraySpec("<u8", shares.shape)
        _, (opened, theirs) = self._link.recv("list.over", None, [spec, spec])
        _elements(self._link.peer, "list.over", [opened, theirs])
        return field.add(over_shares(keys, turns, opened), theirs)

    def _values(self, totals: Words) -> dict[str, int]:
        """A query's totals as what its measures say."""
        values = {}
        for place, (measure, total) in enumerate(zip(self._terms.measures, totals, strict=True)):
            number = int(field.to_signed(total[None])[0])
            if measure.kind == "any":
                number = int(number != 0)
            reach = 1 if measure.kind == "above" else self._opened.reach(place)
            if reach is not None and not -reach <= number <= reach:
                raise ProtocolError(
                    "measure {name} gives a number that no lists can give: a table or a key is damaged",
                    name=measure.name,
                )
            values[measure.name] = number
        return values


class ListHelper:
    """The helper's side: answers messages over one link.

    Args:
        link: to the asker.
        book: of the epoch, for this asker.
        ledger: what was answered before; it survives a restart.
        now: the time, in POSIX seconds.
    """

    def __init__(
        self, link: Link, book: HelperBook, ledger: Ledger, *, now: Callable[[], float] = time.time
    ) -> None:
        self._link = link
        self._book = book
        self._terms = book.terms
        self._ledger = ledger
        self._now = now
        self._day = book.terms.first_day
        self._opened = book.terms.opened(self._day)
        self._tables: list[HelperTable] = []

    def serve(self) -> Served:
        """Wait for one message and answer or refuse it.

        Raises:
            ProtocolError: the message is malformed.
        """
        width = self._terms.width
        specs = [
            ArraySpec("<u8", (None, PSEUDONYM_WORDS)),
            ArraySpec("<u8", (None, None, width)),
            ArraySpec("<u8", (None, None)),
        ]
        ask, (names, masked, proofs) = self._link.recv("list.ask", _Ask, specs)
        _elements(self._link.peer, "list.ask", [masked, proofs])
        try:
            self._admit(ask, names)
            tables, queries = len(self._tables), ask.count
            _same_shapes(
                self._link.peer, "list.ask", [masked, proofs], [(tables, queries, width), (tables, queries)]
            )
            self._answer(names, masked, proofs, range(ask.first, ask.first + ask.count))
        except (ConflictError, GrantError, NotFoundError, PlanError, ProtocolError) as error:
            self._link.send("list.answer", _Reply(type(error).__name__, str(error)), _NOTHING)
            return Served(0, error)
        return Served(ask.count)

    def _admit(self, ask: _Ask, names: Words) -> None:
        """Refuse, or note the slots and names as used for good, before anything is answered."""
        now = self._now()
        today = day_of(now)
        self._open(ask, today)
        if len(names) != ask.count:
            raise ProtocolError(
                "{peer} asks {count} queries and names {got}",
                peer=self._link.peer,
                count=ask.count,
                got=len(names),
            )
        marks = [_mark(ask.state, name) for name in names]
        if len(set(marks)) != ask.count:
            raise seen_before()
        rule = partial(admit, self._terms.limits, first=ask.first, count=ask.count, now=now)
        self._ledger.apply(_account(self._link.peer, self._terms, today), rule, marks)

    def _open(self, ask: _Ask, today: int) -> None:
        """Have the tables of the asked day at hand, if it is today and they are those of the asker."""
        if ask.epoch != self._terms.epoch:
            raise NotFoundError(
                "epoch {epoch} of the lists is not known here; set the lists up first", epoch=ask.epoch
            )
        if ask.day != today:
            raise GrantError("day {asked} is asked, and it is day {today}", asked=ask.day, today=today)
        if self._day != today or ask.state != state_of(self._terms, today, self._tables):
            self._tables, self._day = self._book.tables(today), today
            self._opened = self._terms.opened(today)
        if ask.state != state_of(self._terms, today, self._tables):
            raise ConflictError(
                "the asker's tables are not those that belong to this helper's masks: receive the newest"
            )

    def _answer(self, names: Words, masked: Words, proofs: Words, slots: range) -> None:
        pads = self._pads(names)
        own = slice(slots.start, slots.stop)
        checks = np.stack([table.keys.checks[own] for table in self._tables])
        due = np.stack(
            [authenticate(table.mask.factors, rows) for table, rows in zip(self._tables, masked, strict=True)]
        )
        if not np.array_equal(proofs, field.add(field.add(due, pads[:, :, -1]), checks)):
            raise ProtocolError("{peer} does not show what its tables hold", peer=self._link.peer)
        masks = np.stack([table.keys.masks[own] for table in self._tables])
        hidden = field.add(masked, pads[:, :, :-1])
        differences = field.subtract(field.add(hidden[:, :, 0], masks[:, :, 0]), tags(names))
        columns = field.add(hidden[:, :, list(self._opened.masked)], masks[:, :, 1:])
        keys = _joined(1, [table.keys for table in self._tables], slots)
        shares = self._noised(answer_shares(self._opened, keys, differences, columns))
        self._link.send("list.answer", _Reply(), [differences, columns, shares[list(self._opened.plain)]])
        if self._opened.gated:
            self._over(slots, shares[list(self._opened.gated)])

    def _pads(self, names: Words) -> Words:
        """The pads of the rows that the names would have, ``(T, Q, w + 1)``."""
        spots = _spots(names, self._tables)
        return np.stack(
            [field.sum_rows(table.mask.at(at), 1) for table, at in zip(self._tables, spots, strict=True)]
        )

    def _noised(self, shares: Words) -> Words:
        for place, measure in enumerate(self._terms.measures):
            if measure.noise is not None:
                drawn = [draw_noise(measure.noise, self._opened.largest(place)) for _ in shares[place]]
                shares[place] = field.add(
                    shares[place], np.array([one % field.PRIME for one in drawn], np.uint64)
                )
        return shares

    def _over(self, slots: range, shares: Words) -> None:
        keys, turns = self._book.gates(self._day, slots)
        masks = np.stack([one.masks[turn] for one, turn in zip(keys, turns, strict=True)], axis=1)
        _, (theirs,) = self._link.recv("list.sums", None, [ArraySpec("<u8", shares.shape)])
        _elements(self._link.peer, "list.sums", [theirs])
        opened = field.add(field.add(shares, masks), theirs)
        self._link.send("list.over", None, [opened, over_shares(keys, turns, opened)])


def ask_clear(
    lists: ClearLists, ledger: Ledger, identifiers: Sequence[str], *, day: int, now: float
) -> list[Answer]:
    """Mode `local`: the same answers, quotas and notes, with nothing protected.

    Args:
        lists: of the epoch.
        ledger: what was asked before.
        identifiers: normalised.
        day: day number.
        now: the time, in POSIX seconds.
    """
    account = _account(_ASKED, lists.terms, day)
    marks = [hashlib.sha256(lists.state + one.encode()).digest()[:_MARK_BYTES] for one in identifiers]

    def fresh(places: list[int]) -> list[dict[str, int]]:
        def rule(held: Usage) -> Usage:
            return admit(lists.terms.limits, held, first=held.next_slot, count=len(places), now=now)

        ledger.apply(account, rule)
        return [lists.answer(identifiers[place], day) for place in places]

    return _remembered(ledger, account, marks, fresh)


def forget_answers(ledger: Ledger, terms: ListTerms, asker: str = "") -> None:
    """Remove what was noted of an epoch, after `tongzhou.secure.list_books.close_epoch` removed its keys.

    Args:
        ledger: of the asker, or of the helper.
        terms: of the epoch.
        asker: at the helper, the party that asked.
    """
    for day in range(terms.first_day, terms.first_day + terms.days):
        ledger.forget(_account(asker or _ASKED, terms, day))


def _account(whose: str, terms: ListTerms, day: int) -> str:
    return f"{whose}.{terms.epoch}.{day}"


def _remembered(
    ledger: Ledger, account: str, marks: Sequence[bytes], fresh: Callable[[list[int]], list[dict[str, int]]]
) -> list[Answer]:
    """Answers from the own notes where there are any; the others are asked, each once, and noted."""
    known = {mark: note for mark in marks if (note := ledger.recall(account, mark)) is not None}
    new = {mark: at for at, mark in enumerate(marks) if mark not in known}
    if new:
        values = fresh(list(new.values()))
        notes = {mark: msgspec.msgpack.encode(one) for mark, one in zip(new, values, strict=True)}
        ledger.note(account, notes)
        known |= notes
    return [Answer(msgspec.msgpack.decode(known[mark], type=dict[str, int]), mark in new) for mark in marks]


_NOTHING = [np.empty((0, 0), np.uint64), np.empty((0, 0, 0), np.uint64), np.empty((0, 0), np.uint64)]
_REFUSALS: dict[str, type[TongzhouError]] = {
    kind.__name__: kind for kind in (ConflictError, GrantError, NotFoundError, PlanError, ProtocolError)
}


def _refused(peer: str, reply: _Reply) -> TongzhouError:
    kind = _REFUSALS.get(reply.kind, ProtocolError)
    return kind("{peer} refuses: {reason}", peer=peer, reason=_printable(reply.reason))


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else " " for one in text[:MAX_REASON])


def _spots(names: Words, tables: Sequence[AskerTable | HelperTable]) -> list[NDArray[np.int64]]:
    """Where the rows of names would be in each table; most tables have the same places."""
    known: dict[tuple[int, int], NDArray[np.int64]] = {}
    for table in tables:
        where = (table.head.attempt, table.head.cells)
        if where not in known:
            known[where] = places(names, *where)
    return [known[table.head.attempt, table.head.cells] for table in tables]


def _joined(party: Literal[0, 1], keys: Sequence[AskerKeys | HelperKeys], slots: range) -> PointKeys:
    """The keys of some slots of all tables, table by table."""
    own = slice(slots.start, slots.stop)
    some = [one.corrections.some(own) for one in keys]
    return PointKeys(
        party,
        np.concatenate([one.roots[own] for one in keys]),
        Corrections(
            np.concatenate([one.seeds for one in some]),
            np.concatenate([one.right for one in some]),
            np.concatenate([one.last for one in some]),
        ),
    )


def _same_shapes(
    peer: str, tag: str, arrays: Sequence[NDArray[np.uint64]], shapes: Sequence[tuple[int, ...]]
) -> None:
    if [array.shape for array in arrays] != list(shapes):
        raise ProtocolError("{peer} sent {tag} with arrays of other shapes than are due", peer=peer, tag=tag)
    _elements(peer, tag, arrays)


def _elements(peer: str, tag: str, arrays: Sequence[NDArray[np.uint64]]) -> None:
    for array in arrays:
        field.check(peer, tag, array)


def _mark(state: bytes, name: Words) -> bytes:
    """What stands for a question in a ledger."""
    return hashlib.sha256(state + name.tobytes()).digest()[:_MARK_BYTES]
