"""Setting up lists to be asked: masked tables go to the asker, what masks them to the helper, keys to both.

Statement
    Parties: asker, N providers, helper.
    Who learns what: the asker learns each provider's agreed capacity and which of a few sets of places its
    table uses, the helper the same; neither reads an entry, nor how many there are. Providers learn the
    asker's salt, and nothing of each other. From a table of changes both learn that and when the provider
    changed its list.
    Assumption: semi-honest providers; asker and helper do not collude: together they can unmask all tables,
    and try guesses of identifiers against them. AES-256 in counter mode is pseudorandom; keyed BLAKE2b is a
    pseudorandom function.
    Cost: for each provider 1.25 · 8 (c + 3) bytes for each agreed entry of c columns to the asker, once an
    epoch; 32 bytes to the helper; keys as `tongzhou.secure.list_keys`. One round.

The asker draws the salt of an epoch and tells the providers. A provider's rows carry a tag that follows from
the identifier's pseudonym; a table of `tongzhou.secure.retrieval` gives each row as the sum of three cells;
the cells go out masked by `tongzhou.secure.list_masks`.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import ConflictError, ProtocolError
from tongzhou.secure import field
from tongzhou.secure.dpf import Corrections
from tongzhou.secure.list_books import AskerBook, HelperBook, KeyHead, Kind, ProviderBook, TableHead
from tongzhou.secure.list_entries import SALT_BYTES, ListEntries, pseudonyms, rows_of
from tongzhou.secure.list_gate import deal_gates, gate_slots, gate_specs
from tongzhou.secure.list_keys import correction_specs, deal_keys, gains_for
from tongzhou.secure.list_masks import TableMask
from tongzhou.secure.list_store import ListStore
from tongzhou.secure.list_terms import ListTerms
from tongzhou.secure.party import Party, Role
from tongzhou.secure.prg import SEED_BYTES, new_seed
from tongzhou.secure.retrieval import MAX_ATTEMPTS, cells_for, fill_cells
from tongzhou.secure.ring import Words
from tongzhou.wire.messages import ArraySpec, Link

__all__ = [
    "begin_as_provider",
    "receive_gates",
    "receive_keys",
    "receive_table",
    "send_gates",
    "send_keys",
    "send_salt",
    "send_table",
]

Array = NDArray[Any]

_MAX_VERSION: Final = 1 << 30

_PIECE_BYTES: Final = 32 << 20
"""Tables travel in pieces of about this size."""

_Seed = Annotated[bytes, msgspec.Meta(min_length=SEED_BYTES, max_length=SEED_BYTES)]
_Digest = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]


class _Salt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    terms: _Digest
    salt: Annotated[bytes, msgspec.Meta(min_length=SALT_BYTES, max_length=SALT_BYTES)]


class _TableNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    terms: _Digest
    head: TableHead
    secret: _Seed | None  # the helper's


class _GateNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    terms: _Digest
    day: int
    seed: _Seed


class _KeyNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    terms: _Digest
    head: KeyHead
    seed: _Seed


def send_salt(link: Link, book: AskerBook) -> None:
    """Asker: tell a provider the salt."""
    link.send("list.salt", _Salt(book.terms.digest(), book.salt))


def begin_as_provider(link: Link, store: ListStore, terms: ListTerms) -> ProviderBook:
    """Provider: begin an epoch with the salt that the asker sends.

    Raises:
        ProtocolError: the asker holds other terms.
    """
    note, _ = link.recv("list.salt", _Salt)
    _same_terms(link, note.terms, terms)
    return ProviderBook.begin(store, terms, note.salt)


def send_table(party: Party, book: ProviderBook, kind: Kind, entries: ListEntries) -> int:
    """Provider: send masked rows to the asker, and the secret behind the masks to the helper.

    Args:
        party: the provider's seat.
        book: its book of the epoch.
        kind: the base, or all changes since.
        entries: checked; for changes, of `changes_between`.

    Returns:
        Bytes of the rows.
    """
    terms = book.terms
    names = pseudonyms(book.salt, entries.identifiers)
    cells, attempt = fill_cells(names, rows_of(terms, entries, names), _cells(terms, kind))
    secret = new_seed()
    hidden = TableMask(secret, terms.width).hide(cells)
    head = TableHead(kind, _next_version(book, party.role, kind), len(cells), attempt)
    book.keep_table(party.role, head, secret)
    party.link("helper").send("list.secret", _TableNote(terms.digest(), head, secret))
    asker = party.link("asker")
    asker.send("list.table", _TableNote(terms.digest(), head, None))
    for start, stop in _pieces(hidden.shape):
        asker.send("list.rows", None, [hidden[start:stop]])
    return hidden.nbytes


def receive_table(party: Party, book: AskerBook | HelperBook, provider: Role, kind: Kind) -> TableHead:
    """Asker: take the rows of one provider's table. Helper: take the secret behind its masks.

    Raises:
        ProtocolError: the table is not as agreed, or holds words outside the field.
    """
    link = party.link(provider)
    note, _ = link.recv("list.table" if isinstance(book, AskerBook) else "list.secret", _TableNote)
    _same_terms(link, note.terms, book.terms)
    head = note.head
    if head.kind != kind or head.cells != _cells(book.terms, kind) or not 0 <= head.attempt < MAX_ATTEMPTS:
        raise ProtocolError("{peer} sent a table of another kind or size than agreed", peer=link.peer)
    if (head.version == 0) != (kind == "base") or not 0 <= head.version <= _MAX_VERSION:
        raise ProtocolError("{peer} sent a table with a version out of order", peer=link.peer)
    if isinstance(book, HelperBook):
        if note.secret is None:
            raise ProtocolError("{peer} sent a table without the secret behind its masks", peer=link.peer)
        book.keep_table(provider, head, note.secret)
    else:
        book.keep_table(provider, head, _receive_rows(link, head.cells, book.terms.width + 1))
    return head


def _receive_rows(link: Link, cells: int, width: int) -> Words:
    rows = np.empty((cells, width), dtype=np.uint64)
    for start, stop in _pieces(rows.shape):
        _, (piece,) = link.recv("list.rows", None, [ArraySpec("<u8", (stop - start, width))])
        rows[start:stop] = field.check(link.peer, "list.rows", piece)
    return rows


def send_keys(party: Party, book: ProviderBook, kind: Kind, day: int) -> None:
    """Provider: deal a day's keys for one of its tables, to asker and helper.

    Raises:
        PlanError: the day is outside the epoch.
    """
    terms, opened = book.terms, book.terms.opened(day)
    gains = gains_for(book.gains, opened, terms.per_day)
    for head, secret in book.tables(party.role):
        if head.kind == kind:
            dealt = deal_keys(TableMask(secret, terms.width).factors, opened, terms.per_day, gains=gains)
            note = KeyHead(head.kind, head.version, day, terms.per_day)
            both = list(_arrays(dealt.corrections))
            for receiver, seed, arrays in (
                ("asker", dealt.asker_seed, both),
                ("helper", dealt.helper_seed, [*both, dealt.checks]),
            ):
                party.link(receiver).send("list.keys", _KeyNote(terms.digest(), note, seed), arrays)


def send_gates(party: Party, book: ProviderBook, day: int) -> None:
    """Provider: deal the gates of its turns of a day, where a measure has a bound."""
    terms = book.terms
    bounds = [terms.measures[at].bound for at in terms.opened(day).gated]
    if not bounds:
        return
    dealt = deal_gates(bounds, gate_slots(terms.per_day, terms.providers))
    both = [*_arrays(dealt.corrections), dealt.values]
    for receiver, seed, arrays in (
        ("asker", dealt.asker_seed, both),
        ("helper", dealt.helper_seed, [*both, dealt.wraps]),
    ):
        party.link(receiver).send("list.gates", _GateNote(terms.digest(), day, seed), arrays)


def receive_keys(
    party: Party, book: AskerBook | HelperBook, provider: Role, table: TableHead, day: int
) -> None:
    """Asker and helper: take one provider's keys of a day for one of its tables.

    Raises:
        ProtocolError: they are for something else, or hold words outside the field.
    """
    link, terms = party.link(provider), book.terms
    specs = correction_specs(terms.opened(day), terms.per_day)
    if isinstance(book, HelperBook):
        specs.append(ArraySpec("<u8", (terms.per_day,)))
    note, arrays = link.recv("list.keys", _KeyNote, specs)
    _same_terms(link, note.terms, terms)
    if note.head != KeyHead(table.kind, table.version, day, terms.per_day):
        raise ProtocolError("{peer} dealt keys for another table or day than is due", peer=link.peer)
    corrections = _corrections(link, "list.keys", arrays)
    if isinstance(book, HelperBook):
        book.keep_keys(
            provider, note.head, note.seed, corrections, field.check(link.peer, "list.keys", arrays[3])
        )
    else:
        book.keep_keys(provider, note.head, note.seed, corrections)


def receive_gates(party: Party, book: AskerBook | HelperBook, provider: Role, day: int) -> None:
    """Asker and helper: take one provider's gates of a day, where a measure has a bound.

    Raises:
        ProtocolError: they are for another day, or hold words outside the field.
    """
    link, terms = party.link(provider), book.terms
    gates, turns = len(terms.opened(day).gated), gate_slots(terms.per_day, terms.providers)
    if not gates:
        return
    specs = gate_specs(turns, gates)
    if isinstance(book, HelperBook):
        specs.append(ArraySpec("<u8", (turns, gates)))
    note, arrays = link.recv("list.gates", _GateNote, specs)
    _same_terms(link, note.terms, terms)
    if note.day != day:
        raise ProtocolError("{peer} dealt keys for another table or day than is due", peer=link.peer)
    corrections = _corrections(link, "list.gates", arrays)
    for words in arrays[3:]:
        field.check(link.peer, "list.gates", words)
    if isinstance(book, HelperBook):
        book.keep_gates(provider, day, note.seed, corrections, values=arrays[3], wraps=arrays[4])
    else:
        book.keep_gates(provider, day, note.seed, corrections, arrays[3])


def _corrections(link: Link, tag: str, arrays: Sequence[Array]) -> Corrections:
    """The first three arrays of a message, as corrections."""
    corrections = Corrections(*arrays[:3])
    field.check(link.peer, tag, corrections.last)
    if int(corrections.right.max(initial=0)) > 1:
        raise ProtocolError("{peer} dealt keys with a bit that is neither 0 nor 1", peer=link.peer)
    return corrections


def _arrays(corrections: Corrections) -> tuple[Array, Array, Array]:
    return corrections.seeds, corrections.right, corrections.last


def _same_terms(link: Link, theirs: bytes, terms: ListTerms) -> None:
    if theirs != terms.digest():
        raise ProtocolError("{peer} holds other terms of the lists than this party", peer=link.peer)


def _cells(terms: ListTerms, kind: Kind) -> int:
    return cells_for(terms.capacity if kind == "base" else terms.changes)


def _next_version(book: ProviderBook, provider: Role, kind: Kind) -> int:
    versions = [head.version for head, _ in book.tables(provider) if head.kind == kind]
    if kind == "base":
        if versions:
            raise ConflictError("the list of this epoch was sent before; send its changes")
        return 0
    return 1 + max(versions, default=0)


def _pieces(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    rows, width = shape
    step = max(1, _PIECE_BYTES // (8 * width))
    return [(start, min(start + step, rows)) for start in range(0, rows, step)]
