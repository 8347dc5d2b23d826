"""What ends a run without a peer: a full disk, a mistake of ours, a lost watch, two hands on one run."""

import fcntl
import logging
import os
import threading
import time

import job_town
import pytest

from tongzhou import errors
from tongzhou.errors import ConflictError, DataError, PeerError, PlanError, ProtocolError, StorageError
from tongzhou.evidence import errors as evidence
from tongzhou.node import job_play, job_steps
from tongzhou.node.crash import write_crash
from tongzhou.node.daemon import Daemon
from tongzhou.node.home import Home
from tongzhou.node.job_calls import Meetings, Playing
from tongzhou.node.job_faults import from_peer, note_failure, our_kinds
from tongzhou.node.job_lock import check_run_id, holding_run
from tongzhou.node.job_run import run_job
from tongzhou.node.job_watch import watching
from tongzhou.parties.times import utc_now
from tongzhou.wire.memory import memory_sessions
from tongzhou.wire.tls import connect


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    town = job_town.Town(tmp_path_factory.mktemp("faults")).found()
    yield town
    town.stop()


# --- errors of the evidence room


KINDS = [
    (evidence.EvidenceStoreError, errors.StorageError),
    (evidence.EvidenceCheckError, errors.VerificationError),
    (evidence.EvidenceFormatError, errors.VerificationError),
    (evidence.EvidenceNotFoundError, errors.NotFoundError),
    (evidence.EvidenceConflictError, errors.ConflictError),
]


@pytest.mark.parametrize(("theirs", "ours"), KINDS, ids=lambda kind: kind.__name__)
def test_errors_of_evidence_become_ours_with_the_same_sentence(theirs, ours) -> None:
    with pytest.raises(ours, match="entry 7 is odd") as caught, our_kinds():
        raise theirs("entry {index} is odd", index=7)
    assert (caught.value.template, caught.value.values) == ("entry {index} is odd", {"index": 7})
    assert caught.value.exit_code == theirs.exit_code


def test_our_own_errors_pass() -> None:
    with pytest.raises(PlanError, match="stays"), our_kinds():
        raise PlanError("stays")


def test_what_a_peer_sent_is_the_peers_fault() -> None:
    with (
        pytest.raises(ProtocolError, match="cardnet sent values that contradict themselves: odd"),
        from_peer("cardnet"),
    ):
        raise DataError("odd")


def test_a_log_that_cannot_be_written_ends_the_run_in_a_sentence_on_all_sides(quiet, monkeypatch) -> None:
    plan, _ = quiet.granted()
    enter = job_play.enter_step

    def refuse(log, summary):
        if log.origin.endswith("bank"):
            raise evidence.EvidenceStoreError(
                "the store {file} cannot be used: {reason}", file="l", reason="no"
            )
        return enter(log, summary)

    monkeypatch.setattr(job_play, "enter_step", refuse)
    found = job_town.play_in_memory(quiet, plan)
    assert isinstance(found["bank"], StorageError)
    assert str(found["bank"]) == "the store l cannot be used: no"
    for party in ("cardnet", "helper"):
        assert "bank stopped: it has a problem with its own storage" in str(found[party])
    run_id = quiet.last_run()
    assert {home.store.run(run_id).state for home in quiet.homes.values()} == {"failed"}
    assert quiet.bank.log.find("job-step", f"{run_id}/match/1") is None
    monkeypatch.undo()
    # The step is saved; its entry is made up for, and the run goes on after it.
    assert _go_on(quiet, run_id) == ["bin", "select", "train", "score", "publish"]
    assert quiet.bank.log.find("job-step", f"{run_id}/match/1") is not None


def _go_on(town, run_id: str) -> list[str]:
    """Resume in memory; which steps were played."""
    from tongzhou.wire.session import closing

    sessions = memory_sessions(list(job_town.PARTIES), 20.0)
    failed: dict[str, BaseException] = {}
    threads = [
        job_town.follow_in_thread(town.homes[party], sessions[party], failed)
        for party in ("cardnet", "helper")
    ]
    steps = job_town.Steps()
    town.resume(run_id, watcher=steps, connect_parties=lambda *_: closing(sessions["bank"]))
    for thread in threads:
        thread.join(20)
    assert failed == {}
    assert {home.store.run(run_id).state for home in town.homes.values()} == {"done"}
    return steps.begun


# --- a full disk


class FullDisk:
    """Lets a store's file grow no more: what SQLite says then is what it says of a full disk."""

    def __init__(self, home: Home) -> None:
        self._connection = home.store._database._connection

    def fill(self) -> None:
        pages = self._connection.execute("PRAGMA page_count").fetchone()[0]
        self._connection.execute(f"PRAGMA max_page_count = {pages}")
        free = self._connection.execute("PRAGMA freelist_count").fetchone()[0]
        if free:
            self._connection.execute("VACUUM")
            self.fill()

    def empty(self) -> None:
        self._connection.execute("PRAGMA max_page_count = 1073741823")


def test_a_disk_that_is_full_at_the_asker_leaves_a_run_that_can_go_on(quiet) -> None:
    plan, grant = quiet.granted()
    disk = FullDisk(quiet.bank)
    found = {}

    class Filling(job_town.Steps):
        def step_begins(self, step, position, of):
            if step == "bin":
                disk.fill()

    def run() -> None:
        found.update(_run_in_memory(quiet, plan, Filling()))

    run()
    assert "cannot be written: the disk is full or failing" in str(found["bank"])
    assert "bank stopped: it has a problem with its own storage" in str(found["cardnet"])
    disk.empty()
    run_id = quiet.last_run()
    assert [step.step for step in quiet.bank.store.steps(run_id)] == ["match"]
    assert quiet.bank.store.run(run_id).state in {"failed", "running"}
    assert _go_on(quiet, run_id)[0] == "bin"
    assert quiet.cardnet.grants.runs_used(grant.grant_id) == 1


def _run_in_memory(town, plan, watcher) -> dict[str, BaseException]:
    from tongzhou.wire.session import closing

    sessions = memory_sessions(list(job_town.PARTIES), 20.0)
    found: dict[str, BaseException] = {}
    threads = [
        job_town.follow_in_thread(town.homes[party], sessions[party], found)
        for party in ("cardnet", "helper")
    ]
    try:
        run_job(town.bank, plan, watcher=watcher, connect_parties=lambda *_: closing(sessions["bank"]))
    except errors.TongzhouError as error:
        found["bank"] = error
    for thread in threads:
        thread.join(20)
    return found


def test_a_failure_that_cannot_be_noted_does_not_hide_the_failure(quiet, monkeypatch) -> None:
    run_id = "20260101-unnoted"
    quiet.bank.store.start_run(run_id, quiet.plan("x"), role="asker", now=utc_now())

    def refuse(*_args, **_values):
        raise StorageError("full")

    monkeypatch.setattr(type(quiet.bank.store), "finish_run", refuse)
    note_failure(quiet.bank, run_id, "why", utc_now())
    monkeypatch.undo()
    assert quiet.bank.store.run(run_id).state == "running"
    note_failure(quiet.bank, run_id, "why", utc_now())
    assert quiet.bank.store.run(run_id).reason == "why"
    assert quiet.bank.log.payload(quiet.bank.log.find("job-ended", f"{run_id}/1"))["reason"] == "why"


# --- mistakes of ours


def test_a_mistake_of_ours_in_a_step_is_told_as_a_fault_and_nothing_more(quiet, monkeypatch) -> None:
    plan, _ = quiet.granted()
    played = job_steps.PLAYERS["select"]

    def fail(context):
        if context.role == "asker":
            raise ZeroDivisionError("secret detail")
        return played(context)

    monkeypatch.setitem(job_steps.PLAYERS, "select", fail)
    with pytest.raises(ZeroDivisionError, match="secret detail"):
        job_town.play_in_memory(quiet, plan)
    run_id = quiet.last_run()
    _until(lambda: quiet.cardnet.store.run(run_id).state == "failed")
    assert quiet.bank.store.run(run_id).reason == "an internal fault"
    assert quiet.cardnet.store.run(run_id).reason in {
        "bank stopped: an internal fault",
        "helper stopped: bank stopped: an internal fault",
    }


def _until(check, seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not check() and time.monotonic() < until:
        time.sleep(0.02)
    assert check()


def test_the_daemon_outlives_a_mistake_of_ours_and_writes_a_report(quiet, monkeypatch, caplog) -> None:
    def fail(*_args, **_values):
        raise ZeroDivisionError("in the daemon")

    monkeypatch.setattr("tongzhou.node.daemon.read_offer", fail)
    bank = quiet.bank
    with Daemon(quiet.cardnet.folder, port=0) as daemon, caplog.at_level(logging.ERROR):
        card = _card_at(quiet, "cardnet", daemon.endpoint)
        link = connect(bank.identity, card, bank.trust)
        with pytest.raises(PeerError, match="cardnet stopped: an internal fault"):
            link.recv("job.accept")
        link.close()
        _until(lambda: "by a mistake of ours (ZeroDivisionError); report:" in caplog.text)
        assert "in the daemon" not in caplog.text
        second = connect(bank.identity, card, bank.trust, purpose="dance")
        with pytest.raises(PeerError, match="cardnet stopped: cardnet does not serve calls for 'dance'"):
            second.recv("anything")
        second.close()
    reports = list(quiet.cardnet.crash.iterdir())
    assert len(reports) == 1
    assert "ZeroDivisionError: in the daemon" in reports[0].read_text()
    assert oct(quiet.cardnet.crash.stat().st_mode & 0o777) == "0o700"


def _card_at(town, party: str, endpoint: str):
    from msgspec.structs import replace

    return replace(town.bank.trust.get(party), endpoint=endpoint)


def test_a_report_that_cannot_be_written_is_left(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    assert write_crash(tmp_path / "file", ValueError("x"), utc_now()) is None
    path = write_crash(tmp_path / "crash", ValueError("why"), utc_now())
    assert "ValueError: why" in path.read_text()


def test_a_daemon_that_stops_says_so_to_its_runs(quiet) -> None:
    """Both partners in this process, so that one can be stopped in the middle."""
    plan, _ = quiet.granted()
    with Daemon(quiet.helper.folder):
        cardnet = Daemon(quiet.cardnet.folder)
        with cardnet:
            sentence = quiet.fails(plan, watcher=job_town.Steps("match", cardnet.stop))
        assert "cardnet is shutting down" in sentence
        with Daemon(quiet.cardnet.folder):
            quiet.resume(quiet.last_run())
    assert quiet.cardnet.store.run(quiet.last_run()).state == "done"


def test_a_run_taken_up_anew_ends_its_earlier_session(quiet) -> None:
    """The asker lost its line and calls again while the partners still wait for it."""
    plan, _ = quiet.granted()
    with Daemon(quiet.helper.folder), Daemon(quiet.cardnet.folder):
        outcome = {}

        def again() -> None:
            run_id = quiet.last_run()
            # Another process of the asker, as far as the lock can tell: the first one lost its lock file.
            (quiet.bank.folder / "locks" / run_id).unlink()
            with Home.open(quiet.bank.folder) as home:
                outcome["second"] = run_job(home, plan, run_id=run_id)

        outcome["first"] = quiet.fails(plan, watcher=job_town.Steps("train", again))
    assert outcome["second"] == quiet.last_run()
    assert "was taken up anew by its asker" in outcome["first"] or "ended the session" in outcome["first"]
    assert quiet.cardnet.store.run(quiet.last_run()).state == "done"


# --- the pieces


def test_a_lock_is_held_by_one_and_given_back(quiet) -> None:
    with holding_run(quiet.bank, "20260101-locked"):
        with (
            pytest.raises(ConflictError, match="run 20260101-locked is being played at bank already"),
            holding_run(quiet.bank, "20260101-locked"),
        ):
            pass
        with holding_run(quiet.bank, "20260101-another"):
            pass
    assert not (quiet.bank.folder / "locks" / "20260101-locked").exists()
    with holding_run(quiet.bank, "20260101-locked"):
        pass


def test_a_lock_is_waited_for(quiet) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with holding_run(quiet.bank, "20260101-waited"):
            held.set()
            release.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    threading.Timer(0.1, release.set).start()
    with holding_run(quiet.bank, "20260101-waited", wait_s=10):
        assert release.is_set()
    thread.join(10)


def test_many_hands_on_one_lock_never_hold_it_together(quiet) -> None:
    inside, most = [], []

    def work() -> None:
        for _ in range(15):
            with holding_run(quiet.bank, "20260101-crowded", wait_s=20):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.0005)
                inside.pop()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(most), max(most)) == (60, 1)


def test_a_killed_holder_leaves_no_lock(quiet) -> None:
    """The system drops the lock of a process that died; the file it left does not matter."""
    folder = quiet.bank.folder / "locks"
    folder.mkdir(exist_ok=True)
    handle = os.open(folder / "20260101-orphan", os.O_CREAT | os.O_RDWR)
    fcntl.flock(handle, fcntl.LOCK_EX)
    os.close(handle)
    with holding_run(quiet.bank, "20260101-orphan"):
        assert (folder / "20260101-orphan").exists()


@pytest.mark.parametrize(
    "name", ["", "a", "..", "a/b/c/d/e/f", "A" * 10, "a" * 65, "naïve-run", "run 000001"]
)
def test_run_identifiers(name) -> None:
    with pytest.raises(PlanError, match="a run's identifier has 8 to 64"):
        check_run_id(name)


def test_a_watch_that_cannot_look_ends_the_run(quiet) -> None:
    sessions = memory_sessions(["bank", "cardnet"], 5.0)

    def check(home, now):
        raise ZeroDivisionError

    seen = []
    previous, threading.excepthook = threading.excepthook, lambda args: seen.append(args.exc_type)
    try:
        quiet.bank.store.start_run("20260101-watched", quiet.plan("x"), role="asker", now=utc_now())
        with (
            pytest.raises(PeerError, match="the watch over run 20260101-watched ended by an internal fault"),
            watching(quiet.bank, "20260101-watched", sessions["bank"], check=check, clock=utc_now) as watch,
        ):
            sessions["bank"].links["cardnet"].recv("never")
        with pytest.raises(PeerError, match="the watch over run"):
            watch.heed()
    finally:
        threading.excepthook = previous
    assert seen == [ZeroDivisionError]


def test_long_work_heeds_the_watch(quiet) -> None:
    sessions = memory_sessions(["bank", "cardnet"], 5.0)
    quiet.bank.store.start_run("20260101-heeding", quiet.plan("x"), role="asker", now=utc_now())
    with watching(
        quiet.bank, "20260101-heeding", sessions["bank"], check=lambda *_: None, clock=utc_now
    ) as watch:
        watch.heed()
        quiet.bank.store.finish_run("20260101-heeding", "cancelled", reason="x", now=utc_now())
        _until(lambda: _raises(watch.heed), 3.0)
        with pytest.raises(ConflictError, match="run 20260101-heeding was cancelled by bank"):
            watch.heed()


def _raises(function) -> bool:
    try:
        function()
    except errors.TongzhouError:
        return True
    return False


class Line:
    """A link as the meeting place sees it."""

    def __init__(self, peer: str) -> None:
        self.peer, self.there, self.said = peer, True, ""

    def take_in(self) -> None:
        pass

    def raise_if_stopped(self) -> None:
        pass

    def wants_bytes(self) -> bool:
        return self.there

    def send_error(self, reason: str) -> None:
        self.said = reason


def test_two_calls_of_one_session_meet() -> None:
    meetings, line = Meetings(), Line("cardnet")
    thread = threading.Thread(target=meetings.deliver, args=("word", line, 5.0))
    thread.start()
    assert meetings.meet("word", "cardnet", Line("bank"), seconds=5.0) is line
    thread.join(5)
    assert line.said == ""


def test_calls_of_different_sessions_do_not_meet() -> None:
    meetings, line = Meetings(), Line("cardnet")
    thread = threading.Thread(target=meetings.deliver, args=("old word", line, 0.3))
    thread.start()
    with pytest.raises(PeerError, match=r"cardnet did not call within 0\.1 seconds"):
        meetings.meet("new word", "cardnet", Line("bank"), seconds=0.1)
    with pytest.raises(PeerError, match=r"rival did not call within 0\.1 seconds"):
        meetings.meet("old word", "rival", Line("bank"), seconds=0.1)
    thread.join(5)
    assert line.said == "the asker of the run did not call within 0.3 seconds"


def test_a_second_call_of_the_same_session_is_turned_away() -> None:
    meetings, first, second = Meetings(), Line("cardnet"), Line("cardnet")
    thread = threading.Thread(target=meetings.deliver, args=("word", first, 5.0))
    thread.start()
    _until(lambda: meetings._waiting)
    meetings.deliver("word", second, 5.0)
    assert second.said == "another call waits for this session already"
    assert meetings.meet("word", "cardnet", Line("bank"), seconds=5.0) is first
    thread.join(5)


def test_waiting_ends_when_the_caller_leaves() -> None:
    meetings, caller = Meetings(), Line("bank")
    threading.Timer(0.1, lambda: setattr(caller, "there", False)).start()
    began = time.monotonic()
    with pytest.raises(PeerError, match="bank left before the run began"):
        meetings.meet("word", "cardnet", caller, seconds=30.0)
    assert time.monotonic() - began < 5
    with pytest.raises(PeerError, match="bank left before the run began"):
        meetings.deliver("word", caller, 30.0)
    assert meetings._waiting == {}


def test_sessions_under_way_are_interrupted_when_the_daemon_stops() -> None:
    sessions, playing = memory_sessions(["bank", "cardnet"], 5.0), Playing()
    found = []

    def play() -> None:
        with playing.taking("20260101-playing", sessions["cardnet"]):
            try:
                sessions["cardnet"].links["bank"].recv("never")
            except PeerError as error:
                found.append(str(error))

    thread = threading.Thread(target=play)
    thread.start()
    _until(lambda: playing._sessions)
    playing.end_all(PeerError("{party} is shutting down", party="cardnet"), 5.0)
    thread.join(5)
    assert found == ["cardnet is shutting down"]
    assert playing._sessions == {}
