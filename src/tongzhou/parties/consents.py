"""Customers' consents (授权书): which person allowed whom to use whose data, for what, until when.

The signed form itself (paper, scan, electronic signature) stays where it is; kept here are its SHA-256 and
its terms. A run refers to a consent by a salted commitment, so that a receipt says which consents it rested
on and tells nobody anything else; the keeper of a consent opens the commitment for whoever may see it.

    commitment = SHA-256("tongzhou/consent/v1" ‖ salt ‖ canonical JSON of the consent)
"""

import hashlib
import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

from tongzhou.errors import DataError, NotFoundError, StorageError
from tongzhou.parties._store import PartyStore
from tongzhou.parties.canonical import canonical_json
from tongzhou.parties.names import check_party_id
from tongzhou.parties.times import parse_utc, utc_text

__all__ = [
    "SALT_BYTES",
    "Consent",
    "ConsentBook",
    "ConsentUse",
    "KeptConsent",
    "check_consent",
    "commitment_of",
]

SALT_BYTES: Final = 16
"""Enough that nobody finds a consent by trying."""

_DOMAIN: Final = b"tongzhou/consent/v1"
_DIGEST_CHARACTERS: Final = 64
_TEXT_MAX: Final = 200
_CHUNK: Final = 500  # SQLite takes some thousand values in one statement

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS consents (
    identifier TEXT NOT NULL, purpose TEXT NOT NULL, user TEXT NOT NULL, source TEXT NOT NULL,
    document TEXT NOT NULL, valid_from TEXT NOT NULL, valid_until TEXT NOT NULL, salt BLOB NOT NULL,
    withdrawn_at TEXT, PRIMARY KEY (identifier, purpose, user, source, document)) STRICT, WITHOUT ROWID;
"""


class Consent(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one person allowed.

    Attributes:
        identifier: the person or firm, in the normal form of the table's identifiers.
        purpose: the one purpose, as plans and grants name it.
        user: party id of who may use the data.
        source: party id of whose data on the person may be used.
        document: SHA-256 (hex) of the signed form.
        valid_from: first moment, ISO 8601 UTC.
        valid_until: first moment at which it no longer holds, ISO 8601 UTC.
    """

    identifier: str
    purpose: str
    user: str
    source: str
    document: str
    valid_from: str
    valid_until: str

    def holds(self, now: datetime) -> bool:
        """Whether it holds at a moment."""
        start, end = (parse_utc(text, "valid") for text in (self.valid_from, self.valid_until))
        return start <= now < end


class ConsentUse(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """For what consents are asked: purpose, who uses, whose data."""

    purpose: str
    user: str
    source: str


class KeptConsent(msgspec.Struct, frozen=True, kw_only=True):
    """A consent as its keeper holds it.

    Attributes:
        consent: its terms.
        salt: 16 random bytes.
        withdrawn_at: when the person took it back, ISO 8601 UTC; none if it stands.
    """

    consent: Consent
    salt: bytes
    withdrawn_at: str | None = None

    @property
    def commitment(self) -> bytes:
        """The salted commitment, 32 bytes."""
        return commitment_of(self.consent, self.salt)


def check_consent(consent: Consent, place: str) -> Consent:
    """Refuse terms that cannot be; return them with times in full.

    Args:
        consent: the terms.
        place: where they stand, for the sentence, such as ``consents.csv, row 7``.

    Raises:
        DataError: the sentence names place and field; never the person.
    """
    for field in ("identifier", "purpose"):
        if not 1 <= len(getattr(consent, field)) <= _TEXT_MAX:
            raise DataError(
                "{place}: {field} is empty or longer than {most} characters; it has {got}",
                place=place,
                field=field,
                most=_TEXT_MAX,
                got=len(getattr(consent, field)),
            )
    check_party_id(consent.user, "user")
    check_party_id(consent.source, "source")
    document = consent.document.lower()
    if len(document) != _DIGEST_CHARACTERS or set(document) - set("0123456789abcdef"):
        raise DataError(
            "{place}: document must be the SHA-256 of the signed form, 64 hexadecimal digits, got {got} "
            "characters",
            place=place,
            got=len(consent.document),
        )
    start = parse_utc(consent.valid_from, f"{place}: valid_from")
    end = parse_utc(consent.valid_until, f"{place}: valid_until")
    if not start < end:
        raise DataError(
            "{place}: valid_until must be later than valid_from, got {until} and {start}",
            place=place,
            until=consent.valid_until,
            start=consent.valid_from,
        )
    return msgspec.structs.replace(
        consent, document=document, valid_from=utc_text(start), valid_until=utc_text(end)
    )


def commitment_of(consent: Consent, salt: bytes) -> bytes:
    """The salted commitment to a consent, 32 bytes."""
    return hashlib.sha256(_DOMAIN + salt + canonical_json(consent)).digest()


class ConsentBook:
    """The consents that an institution keeps, in ``consents.db``.

    Args:
        folder: the institution's folder; the file is made with the first consent.
    """

    def __init__(self, folder: Path) -> None:
        self._store = PartyStore(Path(folder) / "consents.db", _SCHEMA)

    def add(self, consents: Iterable[Consent]) -> int:
        """Keep consents, all or none; one that is kept already stays as it is.

        Returns:
            How many were new.

        Raises:
            StorageError: the disk does not take them.
        """
        with self._store.write() as book:
            before = book.total_changes
            book.executemany(
                "INSERT OR IGNORE INTO consents VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)", _rows(consents)
            )
            return book.total_changes - before

    def withdraw(self, identifier: str, now: datetime, *, purpose: str | None = None) -> int:
        """Take back a person's consents, for one purpose or for all, from `now` on.

        Returns:
            How many were taken back.

        Raises:
            NotFoundError: none stands.
        """
        with self._store.write() as book:
            count = book.execute(
                "UPDATE consents SET withdrawn_at = ? WHERE identifier = ? AND withdrawn_at IS NULL "
                "AND (? IS NULL OR purpose = ?)",
                (utc_text(now), identifier, purpose, purpose),
            ).rowcount
        if count == 0:
            raise NotFoundError("no consent of that identifier stands")
        return count

    def count(self) -> dict[tuple[str, str, str], int]:
        """How many consents stand, by purpose, user and source."""
        with self._store.read() as book:
            rows = book.execute(
                "SELECT purpose, user, source, count(*) FROM consents WHERE withdrawn_at IS NULL "
                "GROUP BY purpose, user, source ORDER BY purpose, user, source"
            ).fetchall()
        return {(purpose, user, source): number for purpose, user, source, number in rows}

    def covering(self, identifiers: Sequence[str], use: ConsentUse, now: datetime) -> dict[str, KeptConsent]:
        """For each identifier that is covered at `now`, the consent that holds longest.

        Args:
            identifiers: normal forms.
            use: purpose, user and source that must be the consent's.
            now: the moment.
        """
        found: dict[str, KeptConsent] = {}
        with self._store.read() as book:
            for start in range(0, len(identifiers), _CHUNK):
                for kept in self._standing(book, identifiers[start : start + _CHUNK], use):
                    other = found.get(kept.consent.identifier)
                    longer = other is None or other.consent.valid_until < kept.consent.valid_until
                    if longer and kept.consent.holds(now):
                        found[kept.consent.identifier] = kept
        return found

    def _standing(
        self, book: sqlite3.Connection, identifiers: Sequence[str], use: ConsentUse
    ) -> Iterator[KeptConsent]:
        marks = ",".join("?" * len(identifiers))
        rows = book.execute(
            "SELECT identifier, document, valid_from, valid_until, salt FROM consents WHERE purpose = ? "  # noqa: S608
            f"AND user = ? AND source = ? AND withdrawn_at IS NULL AND identifier IN ({marks})",
            (use.purpose, use.user, use.source, *identifiers),
        )
        for identifier, document, start, end, salt in rows:
            if len(salt) != SALT_BYTES:
                raise StorageError("{file} is damaged: a consent has no salt", file=self._store.path)
            consent = Consent(
                identifier=identifier,
                purpose=use.purpose,
                user=use.user,
                source=use.source,
                document=document,
                valid_from=start,
                valid_until=end,
            )
            yield KeptConsent(consent=consent, salt=salt)


def _rows(consents: Iterable[Consent]) -> Iterator[tuple[object, ...]]:
    for one in consents:
        yield (
            one.identifier,
            one.purpose,
            one.user,
            one.source,
            one.document,
            one.valid_from,
            one.valid_until,
            secrets.token_bytes(SALT_BYTES),
        )
