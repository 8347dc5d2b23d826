"""The three institutions of the demonstration: their folders, keys, tables, and processes."""

import fcntl
import os
import shutil
import socket
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Final, NamedTuple, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tongzhou.data.example import MEANINGS, bank_table, card_network_table
from tongzhou.errors import ConflictError, PeerError, StorageError
from tongzhou.node.home import Home
from tongzhou.node.tables import examine, keep_table
from tongzhou.parties.card import issue_card
from tongzhou.parties.grants import Grant, GrantTerms, Openings
from tongzhou.parties.times import utc_text

__all__ = ["CAST", "Institutions", "Member"]

_MARK: Final = ".tongzhou-demo"


class Member(NamedTuple):
    """One institution of the cast.

    Attributes:
        party_id: identifier.
        role: what it plays.
        en, zh: its name.
    """

    party_id: str
    role: str
    en: str
    zh: str


CAST: Final = (
    Member("bank", "asker", "Harbour Bank", "港湾银行"),
    Member("cardnet", "provider", "River Card Network", "江河卡网络"),
    Member("helper", "helper", "Neutral Helper", "中立协助方"),
)

TABLES: Final = {"bank": "clients", "cardnet": "behaviour"}


class Institutions:
    """Three institutions under one folder. Use it in a ``with`` block.

    Args:
        folder: where; an earlier demonstration there is replaced.

    Raises:
        ConflictError: the folder holds something else, or a demonstration runs in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._homes: dict[str, Home] = {}
        self._lock: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self._lock = _claim(self.folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        for home in self._homes.values():
            home.close()
        if self._lock is not None:
            self._lock.close()

    def home(self, party_id: str) -> Home:
        """An institution's folder, opened."""
        return self._homes[party_id]

    def process_id(self, party_id: str) -> int:
        """The operating system's number of an institution's process."""
        return self._processes[party_id].pid

    def found(self, now: datetime) -> None:
        """Make folders and keys, let everybody trust everybody, and add the tables."""
        ports = _free_ports(len(CAST))
        for member, port in zip(CAST, ports, strict=True):
            home = Home.create(self.folder / member.party_id, member.party_id, member.en, f"127.0.0.1:{port}")
            self._homes[member.party_id] = home
        for home in self._homes.values():
            for other in self._homes.values():
                if other is not home:
                    home.trust.add(issue_card(other.identity, other.settings.endpoint, now))
        self._add_table("bank", bank_table(), "default", now)
        self._add_table("cardnet", card_network_table(), None, now)

    def _add_table(self, party_id: str, table: pa.Table, label: str | None, now: datetime) -> None:
        source = self.folder / f"{TABLES[party_id]}.parquet"
        pq.write_table(_with_meanings(table), source)
        examined = examine(source, identifier="client_id", label=label)
        keep_table(self.home(party_id), examined, TABLES[party_id], now=now)

    def start(self) -> None:
        """Start a process for each institution.

        Raises:
            PeerError: one did not come up; its log says why.
        """
        for member in CAST:
            self._processes[member.party_id] = _start(self.folder / member.party_id)
        for member in CAST:
            _wait_until_up(member.party_id, self._processes[member.party_id], self.folder)

    def stop(self) -> None:
        """End the processes."""
        for process in self._processes.values():
            if process.stdin is not None:
                process.stdin.close()
        for process in self._processes.values():
            try:
                process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()

    def grant(self, columns: list[str], purpose: str, now: datetime) -> Grant:
        """The card network grants the bank the use of its columns, for a month and five runs."""
        return self.home("cardnet").grants.new(
            GrantTerms(
                askers=["bank"],
                helpers=["helper"],
                purpose=purpose,
                legal_basis="clients' consent in the card agreement",
                table=TABLES["cardnet"],
                columns=columns,
                modes=["aided"],
                protocols=["match", "bin", "train", "score"],
                openings=Openings(bin_counts="both", card="both", reasons=4, training_summary=True),
                minimum_rows=1000,
                minimum_bin_rows=100,
                valid_from=utc_text(now - timedelta(minutes=1)),
                valid_until=utc_text(now + timedelta(days=30)),
                runs=5,
            )
        )


def _claim(folder: Path) -> IO[bytes]:
    """Take the folder for this demonstration; what an earlier one left is removed."""
    mark = folder / _MARK
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not mark.exists())):
        raise ConflictError(
            "{folder} exists already and is not a demonstration's; name another with --folder", folder=folder
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = mark.open("ab")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise ConflictError(
            "a demonstration is running in {folder}; wait for it, or name another folder with --folder",
            folder=folder,
        ) from error
    except OSError as error:
        raise StorageError("{folder} cannot be made: {cause}", folder=folder, cause=error.strerror) from error
    for path in folder.iterdir():
        if path.name != _MARK:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    return lock


def _with_meanings(table: pa.Table) -> pa.Table:
    """The table with the meaning of each column in its field's metadata."""
    fields = []
    for field in table.schema:
        words: dict[bytes | str, bytes | str] = dict(MEANINGS.get(field.name, {}).items())
        fields.append(field.with_metadata(words) if words else field)
    return table.cast(pa.schema(fields))


def _free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody uses now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _start(home: Path) -> subprocess.Popen[bytes]:
    # One thread for linear algebra: parties share the machine, and spinning threads would be counted as work.
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with (home / "daemon.log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - our own module, a path of our own
            [sys.executable, "-m", "tongzhou.demo.institution", str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
        )


def _wait_until_up(party_id: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    line = b"" if process.stdout is None else process.stdout.readline()
    if not line:
        raise PeerError(
            "{party} did not start; see {file}", party=party_id, file=folder / party_id / "daemon.log"
        )
