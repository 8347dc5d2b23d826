"""The folder of one institution: its name, keys, trusted partners, grants, tables, runs and evidence.

::

    HOME/party.toml   who we are            HOME/tables/      own tables, Parquet
    HOME/keys/        identity and TLS      HOME/models/      scorecards
    HOME/trust/       cards of partners     HOME/strategies/  decision strategies
    HOME/grants.db    grants and their use  HOME/log.db       the evidence log
    HOME/state.db     tables, runs, steps   HOME/witness.db   what we cosigned for partners
    HOME/consents.db  clients' consents     HOME/held-grants/ what partners granted
    HOME/edits/       what was decided about names of companies
    HOME/decisions/   decisions made and not yet handed over
    HOME/crash/       reports of our own mistakes
"""

import errno
import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Annotated, Self

from msgspec import Meta, Struct

from tongzhou.errors import ConflictError, NotFoundError, StorageError
from tongzhou.evidence.log import Log
from tongzhou.node._strict import convert, parse_toml
from tongzhou.node.journal import LogSigner, log_origin
from tongzhou.node.store import Store
from tongzhou.parties.card import check_endpoint
from tongzhou.parties.consents import ConsentBook
from tongzhou.parties.grants import DraftBook, GrantBook
from tongzhou.parties.held_grants import HeldGrants
from tongzhou.parties.identity import Identity
from tongzhou.parties.names import check_display_name, check_party_id
from tongzhou.parties.times import utc_now, utc_text
from tongzhou.parties.trust import TrustStore

__all__ = ["Home", "PartySettings"]

_SETTINGS = "party.toml"
_FOLDERS = ("trust", "tables", "models", "strategies")


class PartySettings(Struct, frozen=True):
    """What ``party.toml`` holds."""

    id: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=64,
            pattern=r"^[a-z0-9][a-z0-9._-]*$",
            description="identifier of the party",
        ),
    ]
    name: Annotated[str, Meta(min_length=1, max_length=200, description="name that people read")]
    endpoint: Annotated[
        str, Meta(min_length=3, max_length=260, description="host:port where partners reach it")
    ]
    created: Annotated[str, Meta(min_length=1, max_length=40, description="when the folder was made, UTC")]


class Home:
    """An opened institution folder. Close it, or use it in a ``with`` block.

    Args:
        folder: the folder.
        settings: what its ``party.toml`` says.
    """

    def __init__(self, folder: Path, settings: PartySettings) -> None:
        self.folder = folder
        self.settings = settings

    @classmethod
    def create(
        cls, folder: Path, party_id: str, name: str, endpoint: str, *, now: datetime | None = None
    ) -> "Home":
        """Make an institution: all of its folder, or nothing.

        Everything is made in a folder beside the target and then renamed, so that a process killed in the
        middle leaves no half institution, only a hidden folder that nothing reads.

        Args:
            folder: where; it must not exist, or be empty.
            party_id: identifier, such as ``bank``.
            name: name that people read.
            endpoint: ``host:port`` where partners reach it.
            now: the time; the clock's by default.

        Raises:
            ConflictError: the folder holds something.
            DataError: an illegal identifier, name or endpoint.
            StorageError: the disk does not take it.
        """
        folder = folder.absolute()
        settings = _checked(party_id, name, endpoint, now or utc_now())
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConflictError("{folder} exists already and is not empty", folder=folder)
        with _staging(folder) as new:
            _fill(new, settings)
            try:
                new.rename(folder)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
                raise ConflictError("{folder} exists already and is not empty", folder=folder) from error
            _sync_folder(folder.parent)
        return cls(folder, settings)

    @classmethod
    def open(cls, folder: Path) -> "Home":
        """Open an existing institution folder.

        Raises:
            NotFoundError: it is not one.
            PlanError: its ``party.toml`` is malformed.
            StorageError: it cannot be read.
        """
        folder = folder.absolute()
        path = folder / _SETTINGS
        try:
            text = path.read_text(encoding="utf-8")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFoundError(
                "{folder} is not the folder of an institution; make one with: tongzhou party new",
                folder=folder,
            ) from error
        except (OSError, UnicodeDecodeError) as error:
            raise StorageError("{file} cannot be read: {cause}", file=path, cause=error) from error
        document, place = parse_toml(text, str(path))
        return cls(folder, convert(document, PartySettings, place))

    def __enter__(self) -> Self:
        """The home itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Release every file."""
        self.close()

    def close(self) -> None:
        """Release the files that were opened. Closing twice is harmless."""
        for piece in ("store", "log"):
            opened = self.__dict__.pop(piece, None)
            if opened is not None:
                opened.close()

    @property
    def party_id(self) -> str:
        """Identifier of the institution."""
        return self.settings.id

    @property
    def keys(self) -> Path:
        """Folder of the identity and TLS keys."""
        return self.folder / "keys"

    @property
    def tables(self) -> Path:
        """Folder of the institution's own tables."""
        return self.folder / "tables"

    @property
    def models(self) -> Path:
        """Folder of the scorecards it holds."""
        return self.folder / "models"

    @property
    def strategies(self) -> Path:
        """Folder of its decision strategies."""
        return self.folder / "strategies"

    @property
    def decisions(self) -> Path:
        """Folder of decisions made and not yet handed over; made when it is first needed."""
        return self.folder / "decisions"

    @property
    def log_path(self) -> Path:
        """The evidence log's file."""
        return self.folder / "log.db"

    @property
    def witness_path(self) -> Path:
        """The file that remembers what was cosigned for partners."""
        return self.folder / "witness.db"

    @property
    def crash(self) -> Path:
        """Folder for reports of our own mistakes."""
        return self.folder / "crash"

    @cached_property
    def identity(self) -> Identity:
        """The institution's keys and certificates."""
        return Identity.load(self.keys)

    @cached_property
    def trust(self) -> TrustStore:
        """The partners it trusts."""
        return TrustStore(self.folder / "trust")

    @cached_property
    def grants(self) -> GrantBook:
        """What it granted, and how often each grant was used."""
        return GrantBook(self.folder, self.identity)

    @cached_property
    def drafts(self) -> DraftBook:
        """Grants that wait for approval, and who may approve."""
        return DraftBook(self.folder, self.identity)

    @cached_property
    def held_grants(self) -> HeldGrants:
        """What partners granted to it, as its runs have seen it."""
        return HeldGrants(self.folder / "held-grants", self.trust)

    @cached_property
    def consents(self) -> ConsentBook:
        """The clients' consents that it keeps."""
        return ConsentBook(self.folder)

    @cached_property
    def log(self) -> Log:
        """Its evidence log, opened for appending."""
        return Log.open(self.log_path, LogSigner(self.identity))

    @cached_property
    def store(self) -> Store:
        """Its durable state."""
        return Store.open(self.folder / "state.db")


def _checked(party_id: str, name: str, endpoint: str, now: datetime) -> PartySettings:
    return PartySettings(
        id=check_party_id(party_id),
        name=check_display_name(name),
        endpoint=check_endpoint(endpoint),
        created=utc_text(now),
    )


def _toml(values: dict[str, str]) -> str:
    # A JSON string is a TOML string too; ASCII escapes keep control characters out of the file.
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    new = folder.parent / f".{folder.name}.{secrets.token_hex(4)}.new"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        new.mkdir(mode=0o700)
        yield new
    except OSError as error:
        raise StorageError("{folder} cannot be made: {cause}", folder=folder, cause=error.strerror) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _fill(new: Path, settings: PartySettings) -> None:
    for name in _FOLDERS:
        (new / name).mkdir(mode=0o700)
    identity = Identity.create(new / "keys", settings.id, settings.name)
    Store.create(new / "state.db").close()
    Log.create(new / "log.db", log_origin(settings.id), LogSigner(identity)).close()
    # The settings come last: with them the folder is an institution.
    (new / _SETTINGS).write_text(
        _toml({key: getattr(settings, key) for key in PartySettings.__struct_fields__}), encoding="utf-8"
    )
    for path in sorted(new.rglob("*")):
        if path.is_file():
            _sync_file(path)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
