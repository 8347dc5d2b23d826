"""A provider's list in the clear: checked, turned into rows, and compared with an older one."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tongzhou.errors import DataError
from tongzhou.secure import field
from tongzhou.secure.blocks import BlockHash
from tongzhou.secure.list_terms import LISTED, ListTerms
from tongzhou.secure.ring import Words

__all__ = [
    "PSEUDONYM_WORDS",
    "SALT_BYTES",
    "ListEntries",
    "changes_between",
    "check_entries",
    "pseudonyms",
    "rows_of",
    "tags",
]

SALT_BYTES: Final = 32
PSEUDONYM_WORDS: Final = 2
"""Words of a pseudonym; places and tag of a row follow from them."""

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class ListEntries:
    """Who is on a list, and with what.

    Attributes:
        identifiers: normalised, each once.
        columns: for each column of the terms one whole number an entry, ``(n,)``.
    """

    identifiers: Sequence[str]
    columns: Mapping[str, NDArray[Any]]


def pseudonyms(salt: bytes, identifiers: Sequence[str]) -> Words:
    """Pseudonyms ``(n, 2)`` under the salt of an epoch: a keyed hash, uniform to whoever lacks the salt."""
    keyed = hashlib.blake2b(key=salt, person=b"list entry", digest_size=8 * PSEUDONYM_WORDS)
    digests = bytearray()
    for identifier in identifiers:
        hashed = keyed.copy()
        hashed.update(identifier.encode())
        digests += hashed.digest()
    return np.frombuffer(bytes(digests), dtype="<u8").reshape(-1, PSEUDONYM_WORDS)


def tags(names: Words) -> Words:
    """The tags of pseudonyms, ``(n,)`` elements of the field.

    A public function of the whole pseudonym: whoever looks for another pseudonym with the same places, which
    is easy in a small table, finds one with another tag, and no match.
    """
    return field.from_words(BlockHash("list tag")(names)[:, 0])


def rows_of(terms: ListTerms, entries: ListEntries, names: Words) -> Words:
    """Rows ``(n, width)``: the tag and all columns of each entry."""
    rows = np.empty((len(names), terms.width), dtype=np.uint64)
    rows[:, 0] = tags(names)
    for place, column in enumerate(terms.column_names, start=1):
        rows[:, place] = field.from_signed(_column(entries, column))
    return rows


def check_entries(terms: ListTerms, entries: ListEntries) -> None:
    """Refuse a list that does not fit the terms. No value is printed.

    Raises:
        DataError: it has too many entries, repeats, a column is missing, or a number is too large.
    """
    if len(entries.identifiers) > terms.capacity:
        raise DataError(
            "the list has {got} entries; {limit} were agreed as the most",
            got=len(entries.identifiers),
            limit=terms.capacity,
        )
    if len(set(entries.identifiers)) != len(entries.identifiers):
        raise DataError("the list names an identifier twice; each may stand there once")
    for column in terms.all_columns:
        numbers = _column(entries, column.name)
        if numbers.size and max(int(numbers.max()), -int(numbers.min())) > column.largest:
            raise DataError(
                "column {column} of the list has a number larger than the {limit} that was agreed",
                column=column.name,
                limit=column.largest,
            )


def _column(entries: ListEntries, name: str) -> Numbers:
    """A column as whole numbers; `LISTED` is 1 unless it is given."""
    if name not in entries.columns:
        if name == LISTED:
            return np.ones(len(entries.identifiers), dtype=np.int64)
        raise DataError("the list has no column {column}", column=name)
    numbers = np.asarray(entries.columns[name])
    if numbers.shape != (len(entries.identifiers),) or numbers.dtype.kind not in "iu":
        raise DataError(
            "column {column} of the list is {dtype} of shape {shape}; {count} whole numbers are due",
            column=name,
            dtype=numbers.dtype.str,
            shape=numbers.shape,
            count=len(entries.identifiers),
        )
    if numbers.dtype.kind == "u" and numbers.size and int(numbers.max()) > np.iinfo(np.int64).max:
        raise DataError(
            "column {column} of the list has a number larger than a signed word holds", column=name
        )
    return numbers.astype(np.int64)


def changes_between(terms: ListTerms, before: ListEntries, after: ListEntries) -> ListEntries:
    """What to add to a list so that sums over both are sums over the newer one.

    An entry that left counts negative, so that nothing of it remains; entries that are as before are left
    out.

    Raises:
        DataError: more entries changed than was agreed.
    """
    then, now = ({one: at for at, one in enumerate(entries.identifiers)} for entries in (before, after))
    columns = [(column, _column(before, column), _column(after, column)) for column in terms.column_names]
    touched, moves = [], []
    for identifier in dict.fromkeys([*before.identifiers, *after.identifiers]):
        old, new = then.get(identifier), now.get(identifier)
        move = [
            (0 if new is None else int(newer[new])) - (0 if old is None else int(older[old]))
            for _, older, newer in columns
        ]
        if any(move):
            touched.append(identifier)
            moves.append(move)
    if len(touched) > terms.changes:
        raise DataError(
            "{got} entries changed since the epoch began; {limit} were agreed as the most: begin a new epoch",
            got=len(touched),
            limit=terms.changes,
        )
    table = np.array(moves, dtype=np.int64).reshape(len(touched), len(columns))
    return ListEntries(touched, {column: table[:, at] for at, (column, _, _) in enumerate(columns)})
