"""The store: what it acknowledged survives a kill; what it cannot do is a sentence."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tongzhou.errors import ConflictError, NotFoundError, StorageError
from tongzhou.node import _database
from tongzhou.node.plan import Plan, parse_plan
from tongzhou.node.store import Store, TableRecord

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 24, 13, 0, 0, tzinfo=UTC)
PLAN = """
[plan]
name = "p"
purpose = "x"
mode = "local"
[parties]
asker = "bank"
provider = "cardnet"
[match]
identifier = "id"
[tables.bank]
table = "clients"
label = "bad"
columns = ["a"]
[tables.cardnet]
table = "behaviour"
columns = ["b"]
"""


@pytest.fixture
def plan() -> Plan:
    return parse_plan(PLAN, "plan.toml")


@pytest.fixture
def store(tmp_path):
    opened = Store.create(tmp_path / "state.db")
    yield opened
    opened.close()


def record(name: str = "clients", **changes) -> TableRecord:
    values = {
        "name": name,
        "identifier": "id",
        "kind": "text",
        "label": None,
        "rows": 3,
        "columns": ("id", "a"),
        "content_hash": "00" * 32,
        "added": "2026-11-24T12:00:00Z",
    }
    return TableRecord(**(values | changes))


def test_tables_are_registered_once(store) -> None:
    store.add_table(record())
    store.add_table(record("accounts"))
    assert [table.name for table in store.tables()] == ["accounts", "clients"]
    assert store.table("clients") == record()
    with pytest.raises(ConflictError, match="there is already a table clients; replace it with --replace"):
        store.add_table(record(rows=4))
    assert store.table("clients").rows == 3
    store.add_table(record(rows=4), replace=True)
    assert store.table("clients").rows == 4


def test_a_misspelt_table_gets_a_hint(store) -> None:
    with pytest.raises(NotFoundError, match="there is no table clients; add one with: tongzhou data add"):
        store.table("clients")
    store.add_table(record())
    with pytest.raises(NotFoundError, match=r"there is no table client; did you mean clients\?"):
        store.table("client")


def test_a_run_goes_from_running_to_its_end(store, plan) -> None:
    begun = store.start_run("run-1", plan, role="asker", grant_id="g-1", now=NOW)
    assert (begun.state, begun.plan, begun.created, begun.finished) == (
        "running",
        plan,
        "2026-11-24T12:00:00Z",
        None,
    )
    ended = store.finish_run("run-1", "failed", reason="cardnet left", now=LATER)
    assert (ended.state, ended.reason, ended.finished) == ("failed", "cardnet left", "2026-11-24T13:00:00Z")
    assert store.finish_run("run-1", "failed", reason="said again", now=LATER) == ended
    again = store.reopen_run("run-1")
    assert (again.state, again.reason, again.finished) == ("running", None, None)
    assert store.finish_run("run-1", "done", now=LATER).state == "done"


def test_starting_again_is_harmless_but_not_with_another_plan(store, plan) -> None:
    begun = store.start_run("run-1", plan, role="asker", now=NOW)
    assert store.start_run("run-1", plan, role="asker", now=LATER) == begun
    other = parse_plan(PLAN.replace('"x"', '"y"'), "plan.toml")
    with pytest.raises(ConflictError, match="run run-1 exists already with another plan, role or grant"):
        store.start_run("run-1", other, role="asker", now=NOW)
    with pytest.raises(ConflictError, match="another plan, role or grant"):
        store.start_run("run-1", plan, role="provider", now=NOW)


@pytest.mark.parametrize("end", ["done", "cancelled"])
def test_an_ended_run_stays_ended(store, plan, end) -> None:
    store.start_run("run-1", plan, role="asker", now=NOW)
    store.finish_run("run-1", end, now=NOW)
    with pytest.raises(ConflictError, match=f"run run-1 is {end} and cannot become failed"):
        store.finish_run("run-1", "failed", now=NOW)
    with pytest.raises(ConflictError, match=f"run run-1 is {end} and cannot go on"):
        store.reopen_run("run-1")
    with pytest.raises(ConflictError, match="run run-1 has ended; step match cannot be saved"):
        store.save_step("run-1", "match", state=b"", summary={}, now=NOW)


def test_unknown_runs_are_named(store, plan) -> None:
    for call in (
        lambda: store.run("run-2"),
        lambda: store.reopen_run("run-2"),
        lambda: store.finish_run("run-2", "done", now=NOW),
        lambda: store.save_step("run-2", "match", state=b"", summary={}, now=NOW),
    ):
        with pytest.raises(NotFoundError, match="there is no run run-2"):
            call()
    store.start_run("run-1", plan, role="asker", now=NOW)
    with pytest.raises(NotFoundError, match=r"there is no run run-2; did you mean run-1\?"):
        store.run("run-2")


def test_steps_keep_their_order_and_state(store, plan) -> None:
    store.start_run("run-1", plan, role="asker", now=NOW)
    assert store.last_step("run-1") is None
    for position, step in enumerate(("match", "bin", "train")):
        saved = store.save_step("run-1", step, state=step.encode(), summary={"rows": position}, now=NOW)
        assert (saved.position, saved.summary) == (position, {"rows": position})
    assert [saved.step for saved in store.steps("run-1")] == ["match", "bin", "train"]
    assert store.last_step("run-1").step == "train"
    assert store.step_state("run-1", "bin") == b"bin"
    with pytest.raises(NotFoundError, match="run run-1: step score is not finished"):
        store.step_state("run-1", "score")


def test_saving_a_step_again_is_harmless_but_not_with_another_state(store, plan) -> None:
    store.start_run("run-1", plan, role="asker", now=NOW)
    first = store.save_step("run-1", "match", state=b"a", summary={}, now=NOW)
    assert store.save_step("run-1", "match", state=b"a", summary={}, now=LATER) == first
    with pytest.raises(ConflictError, match="step match is saved already with another state"):
        store.save_step("run-1", "match", state=b"b", summary={}, now=LATER)
    assert store.step_state("run-1", "match") == b"a"


def test_peers_may_agree_to_go_on_from_an_earlier_step(store, plan) -> None:
    store.start_run("run-1", plan, role="asker", now=NOW)
    for step in ("match", "bin", "train"):
        store.save_step("run-1", step, state=step.encode(), summary={}, now=NOW)
    store.forget_steps("run-1", after="match")
    assert store.last_step("run-1").step == "match"
    assert store.save_step("run-1", "bin", state=b"other", summary={}, now=NOW).position == 1
    with pytest.raises(NotFoundError, match="step train is not finished"):
        store.forget_steps("run-1", after="train")
    store.forget_steps("run-1", after=None)
    assert store.steps("run-1") == []


def test_erased_states_leave_the_file(store, plan, tmp_path) -> None:
    secret = os.urandom(20_000)
    store.start_run("run-1", plan, role="asker", now=NOW)
    store.save_step("run-1", "match", state=secret, summary={"rows": 7}, now=NOW)
    store.erase_states("run-1")
    store.close()
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert secret[100:200] not in files
    again = Store.open(tmp_path / "state.db")
    assert again.step_state("run-1", "match") == b""
    assert again.steps("run-1")[0].summary == {"rows": 7}
    again.close()


def test_a_step_too_large_is_refused(store, plan, monkeypatch) -> None:
    monkeypatch.setattr("tongzhou.node.store._STATE_BYTES_MAX", 10)
    store.start_run("run-1", plan, role="asker", now=NOW)
    with pytest.raises(StorageError, match="step match: its state has 11 bytes, more than 10"):
        store.save_step("run-1", "match", state=b"x" * 11, summary={}, now=NOW)


def test_the_file_is_for_its_owner_only(store, tmp_path) -> None:
    assert (tmp_path / "state.db").stat().st_mode & 0o777 == 0o600


def test_creating_over_a_store_is_refused(store, tmp_path) -> None:
    with pytest.raises(ConflictError, match=r"state\.db exists already"):
        Store.create(tmp_path / "state.db")
    with pytest.raises(NotFoundError, match="there is no such store"):
        Store.open(tmp_path / "other.db")


def test_another_version_is_named(store, tmp_path) -> None:
    store.close()
    with sqlite3.connect(tmp_path / "state.db") as db:
        db.execute("PRAGMA user_version = 9")
    db.close()
    with pytest.raises(StorageError, match="written in store version 9; this software reads version 1"):
        Store.open(tmp_path / "state.db")


def test_a_file_that_is_no_store(tmp_path) -> None:
    (tmp_path / "state.db").write_bytes(b"not a database at all, but long enough to be looked at" * 40)
    with pytest.raises(StorageError, match=r"state\.db is damaged: file is not a database; restore it"):
        Store.open(tmp_path / "state.db")


def test_a_damaged_state_is_found_when_read(store, plan, tmp_path) -> None:
    store.start_run("run-1", plan, role="asker", now=NOW)
    store.save_step("run-1", "match", state=b"a" * 5000, summary={}, now=NOW)
    store.close()
    path = tmp_path / "state.db"
    data = bytearray(path.read_bytes())
    data[data.index(b"a" * 300) + 150] ^= 1
    path.write_bytes(data)
    again = Store.open(path)
    with pytest.raises(StorageError, match="the saved state of step match is damaged"):
        again.step_state("run-1", "match")
    again.close()


def test_a_store_held_by_another_process_is_named(store, plan, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(_database, "_BUSY_SECONDS", 0.05)
    impatient = Store.open(tmp_path / "state.db")
    holder = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="is held by another process"):
        impatient.start_run("run-1", plan, role="asker", now=NOW)
    holder.close()
    impatient.start_run("run-1", plan, role="asker", now=NOW)
    impatient.close()


def test_a_full_disk_is_a_sentence_and_loses_nothing(store, plan) -> None:
    store.start_run("run-1", plan, role="asker", now=NOW)
    store.save_step("run-1", "match", state=b"a", summary={}, now=NOW)
    # SQLite's own limit on pages is how a full disk looks from inside.
    pages = store._database.rows("PRAGMA page_count")[0][0]
    store._database.rows(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="cannot be written: the disk is full or failing"):
        store.save_step("run-1", "bin", state=os.urandom(200_000), summary={}, now=NOW)
    store._database.rows("PRAGMA max_page_count = 100000")
    assert [saved.step for saved in store.steps("run-1")] == ["match"]
    store.save_step("run-1", "bin", state=b"b", summary={}, now=NOW)


def test_kill_9_loses_no_acknowledged_step(plan, tmp_path) -> None:
    script = textwrap.dedent(
        f"""
        import sys
        from datetime import UTC, datetime
        from pathlib import Path
        from tongzhou.node.plan import parse_plan
        from tongzhou.node.store import Store
        store = Store.create(Path({str(tmp_path / "state.db")!r}))
        now = datetime(2026, 11, 24, tzinfo=UTC)
        store.start_run("run-1", parse_plan({PLAN!r}, "p"), role="asker", now=now)
        for number in range(10_000):
            store.save_step("run-1", f"step-{{number}}", state=b"x" * 9_000, summary={{}}, now=now)
            print(number, flush=True)
        """
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
        acknowledged = [int(child.stdout.readline()) for _ in range(25)]
        os.kill(child.pid, signal.SIGKILL)
        acknowledged += [int(line) for line in child.stdout.read().split()]
    opened = Store.open(tmp_path / "state.db")
    saved = [step.step for step in opened.steps("run-1")]
    assert saved[: len(acknowledged)] == [f"step-{number}" for number in acknowledged]
    assert len(saved) <= len(acknowledged) + 1
    assert all(opened.step_state("run-1", step) == b"x" * 9_000 for step in saved)
    opened.close()


def test_a_failed_transaction_changes_nothing(store) -> None:
    with pytest.raises(KeyError), store._database.write() as db:
        db.execute("INSERT INTO registry VALUES ('half', x'00')")
        raise KeyError
    assert store.tables() == []


def test_a_damaged_record_is_a_sentence(store) -> None:
    with store._database.write() as db:
        db.execute("INSERT INTO registry VALUES ('half', x'00')")
    with pytest.raises(StorageError, match=r"state\.db is damaged: .*; restore it from a backup"):
        store.tables()


def test_a_copy_is_a_store(store, plan, tmp_path: Path) -> None:
    store.start_run("run-1", plan, role="asker", now=NOW)
    store.close()
    (tmp_path / "backup").mkdir()
    shutil.copy(tmp_path / "state.db", tmp_path / "backup" / "state.db")
    copy = Store.open(tmp_path / "backup" / "state.db")
    assert [run.run_id for run in copy.runs()] == ["run-1"]
    copy.close()
