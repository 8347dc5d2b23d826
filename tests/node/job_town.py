"""A bank, a card network and a helper with small tables cut from the example, each served by a process.

Processes come from Python's fork server, which has the program loaded already: a daemon is up in some
hundredths of a second, and a test can afford to kill it often.
"""

import contextlib
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tongzhou.cli.main import run as run_command
from tongzhou.data.example import bank_table, card_network_table
from tongzhou.errors import TongzhouError
from tongzhou.node.home import Home
from tongzhou.node.job_faults import our_kinds
from tongzhou.node.job_follow import follow_job, read_offer
from tongzhou.node.job_run import resume_plan, run_job
from tongzhou.node.plan import Plan, parse_plan
from tongzhou.node.plan_jobs import JOB_RULES
from tongzhou.node.tables import examine, keep_table
from tongzhou.parties.card import issue_card
from tongzhou.parties.grants import Grant, GrantTerms, Openings
from tongzhou.parties.times import utc_now, utc_text
from tongzhou.wire.memory import memory_sessions
from tongzhou.wire.messages import Session
from tongzhou.wire.session import closing

PARTIES = {"bank": "asker", "cardnet": "provider", "helper": "helper"}
OWN = ["limit", "education", "age"]
THEIRS = ["repay_1", "repay_2", "bill_1", "paid_1"]
CLIENTS = 3000

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pytest", "tongzhou.cli.main", "job_town"])

PLAN = """
[plan]
name = "small"
purpose = "{purpose}"
mode = "aided"
[parties]
asker = "bank"
provider = "cardnet"
helper = "helper"
[match]
protocol = "aided"
identifier = "client_id"
minimum_rows = 500
[tables.bank]
table = "clients"
label = "default"
columns = {own}
[tables.cardnet]
table = "behaviour"
columns = {theirs}
[binning]
max_bins = 4
[selection]
min_iv = 0.001
[train]
tolerance = 1e-6
"""

IN_PAIR = {
    'mode = "aided"': 'mode = "pair"',
    'helper = "helper"\n': "",
    'protocol = "aided"': 'protocol = "dh"',
}
"""What makes the plan one of two owners alone."""

ALONE: dict[str, Any] = {"modes": ["pair"], "helpers": []}
"""What a grant says of it."""


def cut(table: pa.Table, low: int, high: int, columns: list[str]) -> pa.Table:
    """Rows whose client number lies in a range: ranges that overlap give tables that match in part."""
    numbers = np.array([int(name.split("-")[1]) for name in table["client_id"].to_pylist()])
    return table.select(["client_id", *columns]).filter(pa.array((numbers >= low) & (numbers < high)))


def bank_clients() -> pa.Table:
    return cut(bank_table(), 0, CLIENTS, [*OWN, "default"])


def cardnet_clients() -> pa.Table:
    return cut(card_network_table(), CLIENTS // 10, CLIENTS + CLIENTS // 10, THEIRS)


def add_table(home: Home, table: pa.Table, name: str, label: str | None = None, *, replace: bool = False):
    file = home.folder / f"{name}.source.parquet"
    pq.write_table(table, file)
    return keep_table(
        home, examine(file, identifier="client_id", label=label), name, replace=replace, now=utc_now()
    )


def plan_text(purpose: str, changes: dict[str, str] | None = None) -> str:
    text = PLAN.format(purpose=purpose, own=OWN, theirs=THEIRS).replace("'", '"')
    for old, new in (changes or {}).items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def in_process(folder: Path, name: str, function: Callable[..., Any], *arguments: object) -> None:
    """A child process's body: what it prints goes into a file."""
    output = os.open(folder / f"{name}.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.exit(function(*arguments))


def serve(folder: Path) -> int:
    return run_command(["serve", "--home", str(folder)])


def start_process(folder: Path, name: str, function: Callable[..., Any], *arguments: object):
    process = _FORKS.Process(target=in_process, args=(folder, name, function, *arguments), daemon=True)
    process.start()
    return process


@dataclass
class Town:
    """Three institutions that trust each other."""

    folder: Path
    homes: dict[str, Home] = field(default_factory=dict)
    processes: dict[str, Any] = field(default_factory=dict)
    purposes: int = 0

    def found(self) -> "Town":
        for party in PARTIES:
            endpoint = f"127.0.0.1:{free_port()}"
            self.homes[party] = Home.create(self.folder / party, party, party.title(), endpoint)
        for home in self.homes.values():
            for other in self.homes.values():
                if other is not home:
                    home.trust.add(issue_card(other.identity, other.settings.endpoint, utc_now()))
        add_table(self.bank, bank_clients(), "clients", "default")
        add_table(self.cardnet, cardnet_clients(), "behaviour")
        return self

    @property
    def bank(self) -> Home:
        return self.homes["bank"]

    @property
    def cardnet(self) -> Home:
        return self.homes["cardnet"]

    @property
    def helper(self) -> Home:
        return self.homes["helper"]

    # --- processes

    def start(self, *parties: str) -> "Town":
        for party in parties or ("cardnet", "helper"):
            folder = self.homes[party].folder
            self.processes[party] = start_process(folder, "daemon", serve, folder)
        for party in parties or ("cardnet", "helper"):
            self._wait_until_up(party)
        return self

    def _wait_until_up(self, party: str) -> None:
        host, port = self.homes[party].settings.endpoint.split(":")
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
                return
            time.sleep(0.01)
        raise AssertionError((self.homes[party].folder / "daemon.txt").read_text())

    def kill(self, party: str) -> None:
        """SIGKILL: no time to say or write anything."""
        self.processes[party].kill()
        self.processes.pop(party).join(10)

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.join(10)
        for home in self.homes.values():
            home.close()

    def printed(self, party: str) -> str:
        return (self.homes[party].folder / "daemon.txt").read_text()

    # --- jobs

    def purpose(self) -> str:
        """A fresh purpose, so that the grant of one test allows nothing in another."""
        self.purposes += 1
        return f"purpose-{os.getpid()}-{self.purposes}"

    def plan(self, purpose: str, changes: dict[str, str] | None = None) -> Plan:
        return parse_plan(plan_text(purpose, changes), "plan.toml")

    def grant(self, purpose: str, **changes: object) -> Grant:
        return self.cardnet.grants.new(terms(purpose, **changes))

    def granted(self, changes: dict[str, str] | None = None, **terms_changes: object) -> tuple[Plan, Grant]:
        purpose = self.purpose()
        return self.plan(purpose, changes), self.grant(purpose, **terms_changes)

    def fails(self, plan: Plan, run_id: str | None = None, **options: object) -> str:
        """The sentence that the asker gets."""
        try:
            run_job(self.bank, plan, run_id=run_id, **options)
        except TongzhouError as error:
            return str(error)
        raise AssertionError("the run went through")

    def last_run(self) -> str:
        return self.bank.store.runs()[-1].run_id

    def resume(self, run_id: str, **options: object) -> str:
        return run_job(self.bank, resume_plan(self.bank, run_id), run_id=run_id, **options)

    def run_despite_kills(
        self, plan: Plan, party: str, kill: Callable[[], object] | None = None
    ) -> tuple[str, dict[str, str]]:
        """Run a plan to its end although a party is killed at every step in turn and comes back.

        Args:
            plan: what is run.
            party: who dies.
            kill: called when a step begins; by default the party dies a moment later, in the middle.

        Returns:
            the run, and the sentence that the asker got by step that failed.
        """
        act = kill or (lambda: threading.Timer(0.01, self.kill, [party]).start())
        run_id, failed = None, {}
        for step in JOB_RULES[plan.job].steps:
            try:
                self._run_or_resume(plan, run_id, watcher=Steps(step, act))
            except TongzhouError as error:
                failed[step] = str(error)
            run_id = self.last_run()
            self._wait_until_dead(party)
            self.start(party)
            if self.bank.store.run(run_id).state == "done":
                return run_id, failed
        return self.resume(run_id), failed

    def run_despite_deaths(self, plan: Plan, when: str) -> str:
        """Run a plan by askers that kill themselves as each step begins or ends, and one that does not."""
        run_id, steps = None, JOB_RULES[plan.job].steps
        for position, step in enumerate(steps):
            process = start_process(
                self.bank.folder, "asker", run_and_die, self.bank.folder, plan, run_id, step, when
            )
            process.join(60)
            assert process.exitcode == -signal.SIGKILL, (self.bank.folder / "asker.txt").read_text()
            run_id = self.last_run()
            done = [record.step for record in self.bank.store.steps(run_id)]
            assert done == list(steps[: position + (when == "ends")])
        assert self.bank.store.run(run_id).state == "running"
        return self.resume(run_id)

    def _run_or_resume(self, plan: Plan, run_id: str | None, **options: object) -> str:
        if run_id is None:
            return run_job(self.bank, plan, **options)
        return self.resume(run_id, **options)

    def _wait_until_dead(self, party: str) -> None:
        for _ in range(500):
            if party not in self.processes:
                return
            time.sleep(0.01)
        raise AssertionError(f"{party} lives")

    def ends(self, party: str, run_id: str, seconds: float = 10.0):
        """The run's record at a party, once it is not running any more."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with contextlib.suppress(TongzhouError):
                record = self.homes[party].store.run(run_id)
                if record.state != "running":
                    return record
            time.sleep(0.02)
        raise AssertionError(f"{party}: run {run_id} goes on\n{self.printed(party)}")


def terms(purpose: str, **changes: object) -> GrantTerms:
    now = utc_now()
    given: dict[str, Any] = {
        "askers": ["bank"],
        "helpers": ["helper"],
        "purpose": purpose,
        "legal_basis": "consent",
        "table": "behaviour",
        "columns": THEIRS,
        "modes": ["aided"],
        "protocols": ["match", "bin", "train", "score"],
        "openings": Openings(bin_counts="both", card="both", reasons=4, training_summary=True),
        "minimum_rows": 500,
        "minimum_bin_rows": 20,
        "valid_from": utc_text(now - timedelta(days=1)),
        "valid_until": utc_text(now + timedelta(days=1)),
        "runs": 5,
    }
    return GrantTerms(**(given | changes))


class Steps:
    """A watcher that notes what it is told, and does something when a step begins."""

    def __init__(self, when: str = "", act: Callable[[], object] | None = None) -> None:
        self.begun: list[str] = []
        self.ended: dict[str, Any] = {}
        self._when, self._act = when, act

    def step_begins(self, step: str, position: int, of: int) -> None:
        self.begun.append(step)
        if step == self._when and self._act is not None:
            self._act()

    def progress(self, step: str, done: int, total: int) -> None:
        pass

    def step_ends(self, step: str, summary: Any) -> None:
        self.ended[step] = summary


def run_and_die(folder: Path, plan: Plan, run_id: str | None, step: str, when: str) -> int:
    """An asker's process: it kills itself when a step begins or ends."""

    class Deadly(Steps):
        def step_begins(self, begun: str, position: int, of: int) -> None:
            if (begun, when) == (step, "begins"):
                os.kill(os.getpid(), signal.SIGKILL)

        def step_ends(self, ended: str, summary: object) -> None:
            if (ended, when) == (step, "ends"):
                os.kill(os.getpid(), signal.SIGKILL)

    with Home.open(folder) as home:
        run_job(home, plan, run_id=run_id, watcher=Deadly())
    return 0


# --- three threads joined in memory, where a test can speak for any of them


def follow_in_thread(home: Home, session: Session, errors: dict[str, BaseException]) -> threading.Thread:
    """A provider or helper that follows what comes over its session, as a daemon's call does."""

    def follow() -> None:
        try:
            with closing(session), our_kinds(), Home.open(home.folder) as own:
                follow_job(own, read_offer(own, session.links["bank"]), session)
        except TongzhouError as error:
            errors[session.me] = error

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    return thread


def play_in_memory(
    town: Town,
    plan: Plan,
    *,
    lies: dict[tuple[str, str], Callable[[Any], Any]] | None = None,
    silence_s: float = 20.0,
) -> dict[str, BaseException]:
    """Run a plan without a network; what each party raised, by party.

    Args:
        lies: by party and tag, what this party says instead of the truth.
    """
    sessions = memory_sessions(list(PARTIES), silence_s)
    for party, session in sessions.items():
        for link in session.links.values():
            _make_liar(link, {tag: lie for (liar, tag), lie in (lies or {}).items() if liar == party})
    errors: dict[str, BaseException] = {}
    threads = [
        follow_in_thread(town.homes[party], sessions[party], errors) for party in ("cardnet", "helper")
    ]
    try:
        run_job(town.bank, plan, connect_parties=lambda *_: closing(sessions["bank"]))
    except TongzhouError as error:
        errors["bank"] = error
    for thread in threads:
        thread.join(silence_s)
    return errors


def _make_liar(link: Any, lies: dict[str, Callable[[Any], Any]]) -> None:
    truly = link.send

    def send(tag: str, value: object = None, arrays: Any = ()) -> None:
        if tag in lies:
            told = lies[tag](value if not arrays else (value, list(arrays)))
            value, arrays = (told, ()) if not arrays else told
        truly(tag, value, arrays)

    link.send = send
