"""Crashes, full disks, lost answers, several writers: what was acknowledged stays, nothing is there twice."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tongzhou.evidence import (
    Draft,
    EvidenceError,
    EvidenceStoreError,
    Log,
    Witness,
    _sqlite,
    gather_cosignature,
    verify_log,
)
from tongzhou.evidence.sqlite_store import SqliteStore

WRITER = """
    import sys
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from tongzhou.evidence import Log

    class Signer:
        name = "bank"
        key = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
        public_key_bytes = key.public_key().public_bytes_raw()
        def sign(self, data):
            return self.key.sign(data)

    log = Log.open(sys.argv[1], Signer())
    prefix, count = sys.argv[2], int(sys.argv[3])
    for number in range(count):
        index = log.append({"n": number, "text": "x" * 300}, kind="a", key=f"{prefix}-{number}")
        if number % 5 == 4:
            log.checkpoint()
        print(index, f"{prefix}-{number}", flush=True)
"""


def start_writer(path: Path, prefix: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(path), prefix, str(count)],
        stdout=subprocess.PIPE,
        text=True,
    )


def acknowledged(output: str) -> dict[str, int]:
    """From key to index; the last line may be cut in the middle."""
    lines = [line.split() for line in output.splitlines(keepends=True) if line.endswith("\n")]
    return {key: int(index) for index, key in lines}


def test_after_kill_9_every_acknowledged_entry_is_there(tmp_path: Path, signer) -> None:
    bank = signer("bank", 1)
    path = tmp_path / "log.db"
    Log.create(path, "bank", bank).close()
    seen: dict[str, int] = {}
    for round_number in range(3):
        writer = start_writer(path, f"r{round_number}", 1_000_000)
        first = writer.stdout.readline()
        time.sleep(0.05 + 0.04 * round_number)
        os.kill(writer.pid, signal.SIGKILL)
        output = first + writer.communicate()[0]
        seen |= acknowledged(output)
        assert verify_log(path, log_key=bank.vkey).entries >= len(seen)  # read as the crash left it
        with Log.open(path, bank) as log:
            for key, index in seen.items():
                assert log.find("a", key) == index
            assert log.size - len(seen) <= round_number + 1  # at most one unheard answer for each crash
            log.checkpoint()
    assert len(seen) > 10
    assert verify_log(path, log_key=bank.vkey).entries >= len(seen)


def test_two_processes_append_to_one_log(tmp_path: Path, signer) -> None:
    bank = signer("bank", 1)
    path = tmp_path / "log.db"
    Log.create(path, "bank", bank).close()
    writers = [start_writer(path, name, 30) for name in ("one", "two")]
    seen: dict[str, int] = {}
    for writer in writers:
        seen |= acknowledged(writer.communicate(timeout=60)[0])
        assert writer.returncode == 0
    assert sorted(seen.values()) == list(range(60))
    report = verify_log(path, log_key=bank.vkey)
    assert (report.entries, report.checkpoints >= 6) == (60, True)


def test_a_full_disk_writes_nothing_and_says_so(world) -> None:
    log = world.new_log()
    log.append({"n": 0}, kind="a", key="0")
    connection = log._store._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages + 2}")
    drafts = [Draft({"n": i, "text": "x" * 900}, "a", str(i)) for i in range(1, 50)]
    with pytest.raises(EvidenceStoreError, match="the disk is full; nothing of this step was written to"):
        log.append_many(drafts)
    assert (log.size, log.root()) == (1, log.root(1))
    connection.execute("PRAGMA max_page_count=1000000")
    assert log.append_many(drafts) == list(range(1, 50))
    log.checkpoint()
    log.close()
    assert verify_log(world.path, log_key=world.bank.vkey).entries == 50


def test_another_writer_that_does_not_let_go(world, monkeypatch: pytest.MonkeyPatch) -> None:
    world.new_log().close()
    monkeypatch.setattr(_sqlite, "BUSY_SECONDS", 0.05)
    log = world.open_log()
    other = sqlite3.connect(world.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(EvidenceStoreError, match="another process has been writing to"):
        log.append({"n": 1}, kind="a", key="1")
    other.execute("ROLLBACK")
    other.close()
    assert log.append({"n": 1}, kind="a", key="1") == 0


def test_a_store_that_was_rolled_back_under_a_running_log(world) -> None:
    log = world.new_log()
    log.append_many([Draft({"n": i}, "a", str(i)) for i in range(3)])
    other = sqlite3.connect(world.path, isolation_level=None)
    other.execute("DELETE FROM entries WHERE idx = 2")
    other.execute("DELETE FROM bodies WHERE idx = 2")
    other.close()
    with pytest.raises(EvidenceStoreError, match="had 3 entries and now has 2: it was rolled back"):
        log.append({"n": 9}, kind="a", key="9")


class InjectedError(EvidenceStoreError):
    """An injected fault."""


class FaultyStore:
    """A store whose chosen step fails: before it takes effect, or after, with its answer lost."""

    def __init__(self, inner: SqliteStore, step: str, *, takes_effect: bool) -> None:
        self.inner = inner
        self.step = step
        self.takes_effect = takes_effect
        self.left = 0

    def __getattr__(self, name: str) -> object:
        value = getattr(self.inner, name)
        return self._faulty(value) if name == self.step and callable(value) else value

    def _faulty(self, method: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object) -> object:
            if not self.left:
                return method(*arguments)
            self.left -= 1
            if self.takes_effect:
                method(*arguments)
            raise InjectedError("injected before or after {step}", step=self.step)

        return call

    def transaction(self):
        if self.step != "transaction" or not self.left:
            return self.inner.transaction()
        self.left -= 1
        return _FailingCommit(self.inner, takes_effect=self.takes_effect)


class _FailingCommit:
    """A transaction whose commit fails, or succeeds and is not heard of."""

    def __init__(self, inner: SqliteStore, *, takes_effect: bool) -> None:
        self.inner = inner
        self.takes_effect = takes_effect
        self.block = inner.transaction()

    def __enter__(self) -> None:
        self.block.__enter__()

    def __exit__(self, *error: object) -> None:
        fault = InjectedError("injected at the {step}", step="commit")
        if self.takes_effect and error[0] is None:
            self.block.__exit__(None, None, None)
        else:
            with contextlib.suppress(InjectedError):
                self.block.__exit__(InjectedError, fault, None)
        if error[0] is None:
            raise fault


STEPS = ["transaction", "add_entries", "add_tile", "add_checkpoint", "add_cosignature", "find", "size"]


@pytest.mark.parametrize("takes_effect", [False, True])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("times", [1, 2])
def test_every_step_fails_once_and_twice_in_a_row_then_heals(
    world, step: str, times: int, takes_effect: bool
) -> None:
    """A caller that asks again after each failure gets everything, once, in the first order."""
    world.new_log().close()
    store = FaultyStore(SqliteStore.open(world.path), step, takes_effect=takes_effect)
    log = Log(store, world.bank, world.clock)
    witness = world.witness()

    def insist(ask: Callable[[], object]) -> object:
        for _ in range(2 * times + 2):
            try:
                return ask()
            except InjectedError:
                continue
        pytest.fail("the fault never healed")

    def step_once(number: int) -> None:
        drafts = [Draft({"n": number, "i": i}, "a", f"{number}-{i}") for i in range(130)]
        expected = list(range(130 * number, 130 * number + 130))
        assert insist(lambda: log.append_many(drafts)) == expected
        insist(log.checkpoint)
        key = world.partner.witness_vkey
        insist(lambda: gather_cosignature(log, witness.add_checkpoint, witness_key=key))
        assert log.root() == log.root(130 * number + 130)

    for number in range(4):
        store.left = times if number in (1, 3) else 0
        step_once(number)
        assert store.left == 0, "the fault was not met"
    store.left = 0
    log.close()
    report = verify_log(world.path, log_key=world.bank.vkey, witness_keys=world.witness_keys, quorum=1)
    assert (report.entries, report.signed_size, report.witnessed_size) == (520, 520, 520)


class BusyStore(SqliteStore):
    """A store on whose file another process appends and signs right after its size was first read."""

    meanwhile: Callable[[], object] | None = None

    def size(self) -> int:
        found = super().size()
        if BusyStore.meanwhile is not None:
            act, BusyStore.meanwhile = BusyStore.meanwhile, None
            act()
        return found


def test_opening_while_another_process_appends_and_signs(world) -> None:
    first = world.new_log()
    first.append({"n": 1}, kind="a", key="1")

    def act() -> None:
        first.append({"n": 2}, kind="a", key="2")
        first.checkpoint()

    store = BusyStore.open(world.path)
    BusyStore.meanwhile = act
    with Log(store, world.bank, world.clock) as second:
        assert BusyStore.meanwhile is None
        assert second.root() == first.root()
        assert second.checkpoint() == first.checkpoint()


def test_the_signature_is_stored_before_it_is_shown(world) -> None:
    """A signer that fails, or a commit that fails, leaves no checkpoint behind."""
    log = world.new_log()
    log.append({"n": 1}, kind="a", key="1")

    class Broken:
        name, public_key_bytes = world.bank.name, world.bank.public_key_bytes

        def sign(self, data: bytes) -> bytes:
            raise EvidenceStoreError("the key is not there")

    broken = Log(SqliteStore.open(world.path), Broken())
    with pytest.raises(EvidenceStoreError, match="the key is not there"):
        broken.checkpoint()
    broken.close()
    with pytest.raises(EvidenceError, match="has no such checkpoint yet"):
        log.stored_checkpoint()
    log.checkpoint()


def test_a_crash_while_a_log_is_made_leaves_no_log(world, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(source: object, target: object) -> None:
        raise OSError("power is gone")

    monkeypatch.setattr(_sqlite.os, "link", crash)
    with pytest.raises(EvidenceStoreError, match="cannot be used: power is gone"):
        world.new_log()
    assert list(world.folder.iterdir()) == []
    monkeypatch.undo()
    assert world.new_log().size == 0


def test_two_makers_of_one_log(world, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one links its file after we looked: ours must not replace it."""
    real = os.link

    def late(source: str, target: str) -> None:
        Path(target).write_bytes(b"another log")
        real(source, target)

    monkeypatch.setattr(_sqlite.os, "link", late)
    with pytest.raises(EvidenceError, match="exists already; it is not overwritten"):
        world.new_log()
    assert world.path.read_bytes() == b"another log"
    assert [path.name for path in world.folder.iterdir()] == ["log.db"]


def test_durable_settings_are_on(world) -> None:
    log = world.new_log()
    connection = log._store._connection
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA secure_delete").fetchone() == (1,)
    witness = world.witness()
    assert isinstance(witness, Witness)
    assert witness._connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_frames_without_a_commit_are_ignored(world) -> None:
    """Power loss in the middle of a commit: the WAL ends anywhere; what was committed before it stays."""
    log = world.new_log()
    log.append({"n": 0}, kind="a", key="0")
    sizes = [world.path.with_name("log.db-wal").stat().st_size]
    log.append({"n": 1}, kind="a", key="1")
    wal = world.path.with_name("log.db-wal").read_bytes()
    raw = world.path.read_bytes()
    sizes.append(len(wal))
    for number, cut in enumerate(range(sizes[0], sizes[1], 700)):
        folder = world.folder / f"cut-{number}"
        folder.mkdir()
        (folder / "log.db").write_bytes(raw)
        (folder / "log.db-wal").write_bytes(wal[:cut])
        with Log.open(folder / "log.db", world.bank) as copy:
            assert copy.size == 1
            assert copy.append({"n": 1}, kind="a", key="1") == 1
        assert verify_log(folder / "log.db", log_key=world.bank.vkey).entries == 2
