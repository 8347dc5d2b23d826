"""What asker, helper and providers keep of an epoch, and how it is found again after a restart.

A book is a view of a `ListStore`. Each provider has a *base* table and, once its list changed, one table of
all *changes* since; a newer one replaces it. For each table and day there are keys.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import ConflictError, GrantError, NotFoundError
from tongzhou.secure.dpf import Corrections
from tongzhou.secure.list_gate import GateKeys, gate_slots
from tongzhou.secure.list_keys import AskerKeys, HelperKeys
from tongzhou.secure.list_masks import TableMask
from tongzhou.secure.list_store import ListStore, Record
from tongzhou.secure.list_terms import ListTerms
from tongzhou.secure.party import Role, provider_roles
from tongzhou.secure.prg import new_seed
from tongzhou.secure.ring import Words

__all__ = [
    "KINDS",
    "AskerBook",
    "AskerTable",
    "HelperBook",
    "HelperTable",
    "KeyHead",
    "Kind",
    "ProviderBook",
    "TableHead",
    "close_epoch",
    "state_of",
]

Array = NDArray[Any]
Kind = Literal["base", "changes"]

KINDS: Final[tuple[Kind, ...]] = ("base", "changes")
"""The tables that a provider may have."""

_STATE_BYTES: Final = 16


class TableHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table, in short.

    Attributes:
        kind: which of the provider's tables.
        version: 0 for the base, then 1, 2, … for each newer table of changes.
        cells: its size.
        attempt: which places its rows have.
    """

    kind: Kind
    version: int
    cells: int
    attempt: int


class KeyHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Keys, in short.

    Attributes:
        kind, version: the table that they are for.
        day: the day that they are for.
        slots: how many queries they are for.
    """

    kind: Kind
    version: int
    day: int
    slots: int


class _Epoch(msgspec.Struct, frozen=True):
    terms: ListTerms
    salt: bytes = b""
    gains: bytes = b""


class _Table(msgspec.Struct, frozen=True):
    head: TableHead
    secret: bytes = b""


class _Keys(msgspec.Struct, frozen=True):
    head: KeyHead
    seed: bytes


@dataclass(frozen=True)
class AskerTable:
    """One provider's table and keys of one day, at the asker."""

    provider: Role
    head: TableHead
    rows: Words
    keys: AskerKeys


@dataclass(frozen=True)
class HelperTable:
    """One provider's table and keys of one day, at the helper."""

    provider: Role
    head: TableHead
    mask: TableMask
    keys: HelperKeys


class _Book:
    """What the three kinds of book have in common."""

    def __init__(self, store: ListStore, note: _Epoch) -> None:
        self.store = store
        self.terms = note.terms
        self._note = note
        self._gates: dict[tuple[Role, int], GateKeys] = {}

    @classmethod
    def _begin(cls, store: ListStore, note: _Epoch) -> Self:
        note.terms.check()
        name = _name(note.terms.epoch)
        if store.get(name) is not None:
            raise ConflictError(
                "epoch {epoch} of the lists was begun before; a new one needs a new name",
                epoch=note.terms.epoch,
            )
        store.put(name, Record(msgspec.msgpack.encode(note)))
        return cls(store, note)

    @classmethod
    def open(cls, store: ListStore, epoch: str) -> Self:
        """The book of an epoch that was begun.

        Raises:
            NotFoundError: there is none of this name here.
        """
        record = store.get(_name(epoch))
        if record is None:
            raise NotFoundError(
                "epoch {epoch} of the lists is not known here; set the lists up first", epoch=epoch
            )
        return cls(store, msgspec.msgpack.decode(record.head, type=_Epoch))

    def heads(self, provider: Role) -> list[TableHead]:
        """The tables of one provider, in short."""
        return [table.head for table, _ in self._held(provider)]

    def _keep_table(self, provider: Role, table: _Table, rows: tuple[Words, ...] = ()) -> None:
        name = _name(self.terms.epoch, provider, table.head.kind)
        self.store.put(name, Record(msgspec.msgpack.encode(table), rows))

    def _keep_keys(self, provider: Role, keys: _Keys, arrays: tuple[Array, ...]) -> None:
        name = _name(self.terms.epoch, provider, keys.head.kind, str(keys.head.day))
        self.store.put(name, Record(msgspec.msgpack.encode(keys), arrays))

    def _held(self, provider: Role) -> Iterator[tuple[_Table, Record]]:
        """The tables of one provider."""
        for kind in KINDS:
            record = self.store.get(_name(self.terms.epoch, provider, kind))
            if record is not None:
                yield msgspec.msgpack.decode(record.head, type=_Table), record

    def _with_keys(self, day: int) -> Iterator[tuple[Role, _Table, Record, _Keys, Record]]:
        """All tables with their keys of a day, in an order that all parties share."""
        for provider in provider_roles(self.terms.providers):
            tables = list(self._held(provider))
            if not tables:
                raise NotFoundError("the list of {provider} has not arrived", provider=provider)
            for table, record in tables:
                yield provider, table, record, *self._keys_of(provider, table.head, day)

    def _keys_of(self, provider: Role, table: TableHead, day: int) -> tuple[_Keys, Record]:
        record = self.store.get(_name(self.terms.epoch, provider, table.kind, str(day)))
        keys = None if record is None else msgspec.msgpack.decode(record.head, type=_Keys)
        if record is None or keys is None or keys.head.version != table.version:
            raise GrantError(
                "{provider} dealt no keys for day {day} and its newest list", provider=provider, day=day
            )
        return keys, record

    def _keep_gates(self, provider: Role, day: int, seed: bytes, arrays: tuple[Array, ...]) -> None:
        name = _name(self.terms.epoch, provider, "gates", str(day))
        self.store.put(name, Record(msgspec.msgpack.encode(seed), arrays))

    def _gate_keys(self, party: Literal[0, 1], provider: Role, day: int) -> GateKeys:
        """The gates that one provider dealt for a day, read once."""
        if (provider, day) not in self._gates:
            record = self.store.get(_name(self.terms.epoch, provider, "gates", str(day)))
            if record is None:
                raise GrantError(
                    "{provider} dealt no keys for day {day} and its newest list", provider=provider, day=day
                )
            *arrays, values, wraps = record.arrays
            seed = msgspec.msgpack.decode(record.head, type=bytes)
            self._gates[provider, day] = GateKeys(
                party, seed, Corrections(*arrays), values=values, wraps=wraps
            )
        return self._gates[provider, day]

    def _gates_of(self, party: Literal[0, 1], day: int, slots: range) -> tuple[list[GateKeys], list[int]]:
        """For each slot its dealer's gates, and which of the dealer's turns it is."""
        providers = provider_roles(self.terms.providers)
        keys = [self._gate_keys(party, providers[slot % len(providers)], day) for slot in slots]
        return keys, [slot // len(providers) for slot in slots]


class AskerBook(_Book):
    """The asker's masked tables and keys.

    Args:
        store: where they are kept.
        note: of `begin` or `open`.
    """

    @classmethod
    def begin(cls, store: ListStore, terms: ListTerms) -> "AskerBook":
        """Begin an epoch, with a fresh salt.

        Raises:
            PlanError: the terms contradict themselves.
            ConflictError: there is an epoch of that name.
        """
        return cls._begin(store, _Epoch(terms, salt=new_seed()))

    @property
    def salt(self) -> bytes:
        """The secret that pseudonyms are made with; providers have it too, the helper never."""
        return self._note.salt

    def keep_table(self, provider: Role, head: TableHead, rows: Words) -> None:
        """Keep masked rows ``(cells, width + 1)``."""
        self._keep_table(provider, _Table(head), (rows,))

    def keep_keys(self, provider: Role, head: KeyHead, seed: bytes, corrections: Corrections) -> None:
        """Keep keys of one day."""
        self._keep_keys(provider, _Keys(head, seed), _arrays(corrections))

    def keep_gates(self, provider: Role, day: int, seed: bytes, dealt: Corrections, values: Words) -> None:
        """Keep gates of one day."""
        gates = len(self.terms.opened(day).gated)
        unused = np.zeros((gate_slots(self.terms.per_day, self.terms.providers), gates), np.uint64)
        self._keep_gates(provider, day, seed, (*_arrays(dealt), values, unused))

    def gates(self, day: int, slots: range) -> tuple[list[GateKeys], list[int]]:
        """The gates of some slots: each slot's dealer's, and the dealer's turn.

        Raises:
            GrantError: a provider dealt none for this day.
        """
        return self._gates_of(0, day, slots)

    def tables(self, day: int) -> list[AskerTable]:
        """All tables with their keys of a day.

        Raises:
            NotFoundError: a provider's list is missing.
            GrantError: a provider's keys are missing.
        """
        return [
            AskerTable(provider, table.head, record.arrays[0], self._asker_keys(keys, found))
            for provider, table, record, keys, found in self._with_keys(day)
        ]

    def _asker_keys(self, keys: _Keys, record: Record) -> AskerKeys:
        return AskerKeys(keys.seed, Corrections(*record.arrays[:3]), self.terms.width)


class HelperBook(_Book):
    """The helper's secrets and keys.

    Args:
        store: where they are kept; a helper keeps one store for each asker.
        note: of `begin` or `open`.
    """

    @classmethod
    def begin(cls, store: ListStore, terms: ListTerms) -> "HelperBook":
        """Begin an epoch; as `AskerBook.begin`, without a salt."""
        return cls._begin(store, _Epoch(terms))

    def keep_table(self, provider: Role, head: TableHead, secret: bytes) -> None:
        """Keep the secret behind a table's masks."""
        self._keep_table(provider, _Table(head, secret))

    def keep_keys(
        self, provider: Role, head: KeyHead, seed: bytes, corrections: Corrections, checks: Words
    ) -> None:
        """Keep keys of one day."""
        self._keep_keys(provider, _Keys(head, seed), (*_arrays(corrections), checks))

    def keep_gates(
        self, provider: Role, day: int, seed: bytes, dealt: Corrections, *, values: Words, wraps: Words
    ) -> None:
        """Keep gates of one day."""
        self._keep_gates(provider, day, seed, (*_arrays(dealt), values, wraps))

    def gates(self, day: int, slots: range) -> tuple[list[GateKeys], list[int]]:
        """As `AskerBook.gates`."""
        return self._gates_of(1, day, slots)

    def tables(self, day: int) -> list[HelperTable]:
        """All tables with their keys of a day; raises as `AskerBook.tables`."""
        opened = len(self.terms.opened(day).masked)
        return [
            HelperTable(
                provider,
                table.head,
                TableMask(table.secret, self.terms.width),
                HelperKeys(keys.seed, Corrections(*found.arrays[:3]), found.arrays[3], opened=opened),
            )
            for provider, table, _, keys, found in self._with_keys(day)
        ]


class ProviderBook(_Book):
    """A provider's secrets: enough to deal more keys later.

    Args:
        store: where they are kept.
        note: of `begin` or `open`.
    """

    @classmethod
    def begin(cls, store: ListStore, terms: ListTerms, salt: bytes) -> "ProviderBook":
        """Begin an epoch with the asker's salt; raises as `AskerBook.begin`."""
        return cls._begin(store, _Epoch(terms, salt=salt, gains=new_seed()))

    @property
    def salt(self) -> bytes:
        """The asker's salt."""
        return self._note.salt

    @property
    def gains(self) -> bytes:
        """The secret that random gains follow from."""
        return self._note.gains

    def keep_table(self, provider: Role, head: TableHead, secret: bytes) -> None:
        """Keep the secret behind the masks of an own table."""
        self._keep_table(provider, _Table(head, secret))

    def tables(self, provider: Role) -> list[tuple[TableHead, bytes]]:
        """The own tables and their secrets."""
        return [(table.head, table.secret) for table, _ in self._held(provider)]


def state_of(terms: ListTerms, day: int, tables: Sequence[AskerTable | HelperTable]) -> bytes:
    """A digest that is equal where terms, day and the versions of all tables are."""
    versions = [(table.provider, table.head.kind, table.head.version) for table in tables]
    text = msgspec.json.encode((terms.digest().hex(), day, versions))
    return hashlib.sha256(text).digest()[:_STATE_BYTES]


def close_epoch(store: ListStore, epoch: str) -> None:
    """Remove everything of an epoch: tables, masks, keys and salt."""
    for name in store.names():
        if name == epoch or name.startswith(f"{epoch}."):
            store.drop(name)


def _name(*parts: str) -> str:
    return ".".join(parts)


def _arrays(corrections: Corrections) -> tuple[Array, ...]:
    return corrections.seeds, corrections.right, corrections.last
