"""Lists in one process and in the clear: the reference that the protected mode must equal.

Statement
    Parties: all, in one process.
    Who learns what: the process learns everything. Nothing is protected.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np

from tongzhou.errors import NotFoundError
from tongzhou.secure.list_entries import ListEntries, check_entries
from tongzhou.secure.list_store import ListStore, Record
from tongzhou.secure.list_terms import ListTerms, Measure
from tongzhou.secure.noise import draw_noise
from tongzhou.secure.party import Role

__all__ = ["ClearLists"]

_SUFFIX: Final = "clear"


class ClearLists:
    """All lists of an epoch, in the clear, in the asker's store.

    Args:
        store: where they are kept.
        epoch: their name.

    Attributes:
        terms: what all agreed on.
        state: a digest that changes when a list does.

    Raises:
        NotFoundError: there is no such epoch here.
    """

    def __init__(self, store: ListStore, epoch: str) -> None:
        record = store.get(f"{epoch}.{_SUFFIX}")
        if record is None:
            raise NotFoundError(
                "epoch {epoch} of the lists is not known here; set the lists up first", epoch=epoch
            )
        self.terms = msgspec.msgpack.decode(record.head, type=ListTerms)
        prefix = f"{epoch}.{_SUFFIX}."
        self.state = hashlib.sha256(
            b"".join(_digest(store, name) for name in store.names() if name.startswith(prefix))
        ).digest()
        self._lists = [_read(store, name) for name in store.names() if name.startswith(prefix)]

    @staticmethod
    def begin(store: ListStore, terms: ListTerms) -> None:
        """Begin an epoch."""
        terms.check()
        store.put(f"{terms.epoch}.{_SUFFIX}", Record(msgspec.msgpack.encode(terms)))

    @staticmethod
    def keep(store: ListStore, terms: ListTerms, provider: Role, entries: ListEntries) -> None:
        """Keep one provider's list, in place of an older one.

        Raises:
            DataError: it does not fit the terms.
        """
        check_entries(terms, entries)
        columns = [
            np.asarray(entries.columns.get(name, np.ones(len(entries.identifiers))), np.int64)
            for name in terms.column_names
        ]
        store.put(
            f"{terms.epoch}.{_SUFFIX}.{provider}",
            Record(msgspec.msgpack.encode(list(entries.identifiers)), columns),
        )

    def answer(self, identifier: str, day: int) -> dict[str, int]:
        """What each measure gives for one identifier."""
        opened = self.terms.opened(day)
        values = {}
        for place, (measure, at) in enumerate(zip(self.terms.measures, opened.places, strict=True)):
            numbers = [
                int(columns[at - 1][where[identifier]])
                for where, columns in self._lists
                if identifier in where
            ]
            values[measure.name] = _value(measure, numbers, opened.largest(place))
        return values


def _value(measure: Measure, numbers: Sequence[int], largest: int) -> int:
    if measure.kind == "any":
        return int(any(numbers))
    total = sum(numbers)
    if measure.noise is not None:
        total += draw_noise(measure.noise, largest)
    return int(total > measure.bound) if measure.kind == "above" else total


def _read(store: ListStore, name: str) -> tuple[dict[str, int], Sequence[np.ndarray]]:
    record = store.get(name)
    if record is None:
        raise NotFoundError("the list of {provider} has not arrived", provider=name.rpartition(".")[2])
    return {
        one: at for at, one in enumerate(msgspec.msgpack.decode(record.head, type=list[str]))
    }, record.arrays


def _digest(store: ListStore, name: str) -> bytes:
    """What changes when a list does."""
    record = store.get(name)
    digest = hashlib.sha256(b"" if record is None else record.head)
    for array in () if record is None else record.arrays:
        digest.update(array.tobytes())
    return digest.digest()
