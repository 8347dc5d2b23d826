"""The ledger of lists survives restarts and kills: a slot that was used once is never used again."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tongzhou.errors import ConflictError, GrantError, StorageError
from tongzhou.node.list_ledger import SqliteLedger
from tongzhou.secure.quota import Limits, Usage, admit, take_slots


def take_one(usage: Usage) -> Usage:
    return take_slots(usage, at_least=1, at_most=1, per_day=1000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.db"


def test_usage_marks_and_notes_come_back(path: Path) -> None:
    ledger = SqliteLedger(path)
    ledger.apply("a", lambda usage: Usage(3, 1.5, 99.25), [b"x"])
    ledger.note("a", {b"y": b"answer"})
    ledger.close()
    again = SqliteLedger(path)
    seen: list[Usage] = []
    again.apply("a", lambda usage: seen.append(usage) or usage)
    assert seen == [Usage(3, 1.5, 99.25)]
    assert (again.recall("a", b"x"), again.recall("a", b"y"), again.recall("b", b"y")) == (
        b"",
        b"answer",
        None,
    )
    again.note("a", {b"y": b"newer"})
    assert again.recall("a", b"y") == b"newer"
    again.close()


def test_all_or_nothing(path: Path) -> None:
    ledger = SqliteLedger(path)
    ledger.apply("a", take_one, [b"x"])
    with pytest.raises(ConflictError, match="this was asked before and nothing has changed since"):
        ledger.apply("a", take_one, [b"y", b"x"])
    with pytest.raises(GrantError, match="the quota of 1 queries a day is used up"):
        limits = Limits(1, 60, 9)
        ledger.apply("a", lambda usage: admit(limits, usage, first=usage.next_slot, count=1, now=0), [b"z"])
    assert ledger.recall("a", b"y") is None
    assert ledger.recall("a", b"z") is None
    assert ledger.apply("a", take_one).next_slot == 2
    ledger.close()


def test_an_account_is_forgotten_whole(path: Path) -> None:
    ledger = SqliteLedger(path)
    for account in ("a", "b"):
        ledger.apply(account, take_one, [b"x"])
    ledger.forget("a")
    assert ledger.recall("a", b"x") is None
    assert ledger.apply("a", take_one, [b"x"]).next_slot == 1
    assert ledger.recall("b", b"x") == b""
    ledger.close()


KILLED = """
import os, signal, sys
from pathlib import Path
from tongzhou.node.list_ledger import SqliteLedger
from tongzhou.secure.quota import take_slots

def rule(usage):
    if sys.argv[2] == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    return take_slots(usage, at_least=1, at_most=1, per_day=1000)

ledger = SqliteLedger(Path(sys.argv[1]))
if sys.argv[2] == "note":
    ledger.note("a", {b"n": b"kept"})
else:
    ledger.apply("a", rule, [b"mark"])
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize(("moment", "used", "mark"), [("before", 0, None), ("after", 1, b"")])
def test_a_kill_leaves_the_slot_used_or_untouched(
    path: Path, moment: str, used: int, mark: bytes | None
) -> None:
    SqliteLedger(path).close()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), moment], check=False, timeout=60, env=os.environ
    )
    assert done.returncode == -signal.SIGKILL
    ledger = SqliteLedger(path)
    assert ledger.recall("a", b"mark") == mark
    assert ledger.apply("a", take_one).next_slot == used + 1
    ledger.close()


def test_notes_survive_a_kill(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), "note"], check=False, timeout=60, env=os.environ
    )
    assert done.returncode == -signal.SIGKILL
    ledger = SqliteLedger(path)
    assert ledger.recall("a", b"n") == b"kept"
    ledger.close()


def test_threads_and_openers_never_share_a_slot(path: Path) -> None:
    ledgers, taken = [SqliteLedger(path), SqliteLedger(path)], []

    def take(ledger: SqliteLedger) -> None:
        for turn in range(10):
            taken.append(ledger.apply("a", take_one).next_slot)
            ledger.note("a", {bytes([turn]): b"n"})

    threads = [threading.Thread(target=take, args=(ledger,)) for ledger in ledgers * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(1, 41))
    for ledger in ledgers:
        ledger.close()


def test_a_damaged_file_is_a_sentence(path: Path) -> None:
    path.write_bytes(b"no database" * 500)
    with pytest.raises(StorageError, match=r"ledger\.db is damaged"):
        SqliteLedger(path)
