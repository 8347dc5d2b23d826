"""The README's block of commands runs as it stands, from an empty folder to a verified log.

Replaced are only what the reader must choose too: the endpoints, the name of the run, and the answer to the
question whether the fingerprints agree. The files that the commands name are written beforehand.
"""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

import tongzhou.decide
from tongzhou.data.example import bank_table, card_network_table

README = Path(__file__).resolve().parents[2] / "README.md"
PROGRAM = Path(sys.executable).with_name("tongzhou")
PARTIES = ("bank", "cardnet", "helper")
CLIENTS = 4000
PLAN = """
[plan]
name = "card-clients"
purpose = "credit-scorecard"
mode = "aided"
[parties]
asker = "bank"
provider = "cardnet"
helper = "helper"
[match]
protocol = "aided"
identifier = "client_id"
[tables.bank]
table = "clients"
label = "default"
columns = ["limit", "education"]
[tables.cardnet]
table = "behaviour"
columns = ["repay_1", "repay_2"]
[selection]
min_iv = 0.001
"""

pytestmark = pytest.mark.slow


def commands() -> list[list[str]]:
    """The words of each command in the README's block of one's own data, comments left out."""
    (block,) = re.findall(r"```sh\n(tongzhou party new.*?)```", README.read_text("utf-8"), re.DOTALL)
    return [shlex.split(line, comments=True) for line in block.splitlines()]


class Desk:
    """One party's folder, home and shell."""

    def __init__(self, folder: Path, party: str) -> None:
        self.party, self.folder = party, folder / party
        self.folder.mkdir()
        self.environment = {**os.environ, "TONGZHOU_HOME": str(self.folder / "home"), "TONGZHOU_LANG": "en"}

    def type(self, words: list[str]) -> str:
        assert words[0] == "tongzhou"
        done = subprocess.run(
            [str(PROGRAM), *words[1:]],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{self.party}$ {shlex.join(words)}\n{done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def serving(self) -> Iterator[None]:
        process = subprocess.Popen(
            [str(PROGRAM), "serve"],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        try:
            assert "serves at" in process.stdout.readline()
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield
        finally:
            process.terminate()
            process.wait(20)
            process.stdout.close()


def free_ports() -> dict[str, int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in PARTIES]
    ports = {party: one.getsockname()[1] for party, one in zip(PARTIES, sockets, strict=True)}
    for one in sockets:
        one.close()
    return ports


def write_files(desks: dict[str, Desk]) -> None:
    """The reader's own files: two tables that overlap, a plan, applicants, a strategy."""
    own, theirs = bank_table(), card_network_table()
    columns = ["client_id", "limit", "education", "age"]
    known = set(own["client_id"].to_pylist()[:CLIENTS])
    common = pa.array(np.array([one in known for one in theirs["client_id"].to_pylist()]))
    bank, cardnet = desks["bank"].folder, desks["cardnet"].folder
    pa.csv.write_csv(own.select([*columns, "default"]).slice(0, CLIENTS), bank / "clients.csv")
    pa.csv.write_csv(
        theirs.filter(common).select(["client_id", "repay_1", "repay_2"]), cardnet / "behaviour.csv"
    )
    pa.csv.write_csv(own.select(columns).slice(0, 30), bank / "applicants.csv")
    (bank / "plan.toml").write_text(PLAN)
    shutil.copytree(Path(tongzhou.decide.__file__).parent / "example", bank / "strategies" / "cards")


def test_every_command_of_the_block_is_one_that_this_test_runs() -> None:
    assert [words[1:3] if words[1] in NOUNS else words[1:2] for words in commands()] == [
        ["party", "new"],
        ["party", "card"],
        ["party", "trust"],
        ["data", "add"],
        ["grant", "new"],
        ["serve"],
        ["job", "check"],
        ["job", "run"],
        ["model", "show"],
        ["decide"],
        ["log", "verify"],
    ]


NOUNS = {"party", "data", "grant", "job", "model", "log"}


def meet(desks: dict[str, Desk], new: list[str], card: list[str], trust: list[str]) -> None:
    """Each party is founded as the bank is, and trusts both others."""
    ports = free_ports()
    for party, desk in desks.items():
        named = [party if word == "bank" else word for word in new]
        desk.type([f"127.0.0.1:{ports[party]}" if word == "bank.example:7443" else word for word in named])
        desk.type([word.replace("bank", party) for word in card])
    for party, desk in desks.items():
        for other in PARTIES:
            if other != party:
                file = f"{other}.card.json"
                shutil.copy(desks[other].folder / file, desk.folder / file)
                desk.type([*(word.replace("cardnet", other) for word in trust), "--yes"])


def test_the_block_runs_as_it_stands(tmp_path: Path) -> None:
    desks = {party: Desk(tmp_path, party) for party in PARTIES}
    write_files(desks)
    new, card, trust, add, grant, _serve, check, run, model, decide, verify = commands()
    bank, cardnet = desks["bank"], desks["cardnet"]
    meet(desks, new, card, trust)
    bank.type(add)
    cardnet.type(
        ["tongzhou", *["data", "add", "behaviour.csv", "--name", "behaviour", "--identifier", "client_id"]]
    )
    cardnet.type(grant)
    with cardnet.serving(), desks["helper"].serving():
        assert "bank is ready" in bank.type(check)
        done = re.search(r"run (\S+) is done", bank.type(run))
        assert done is not None
        assert "repay_1" in bank.type(model)
        decided = bank.type([done[1] if word == "RUN" else word for word in decide])
    assert "30" in decided
    assert "verifies" in bank.type(verify)
    assert "verifies" in cardnet.type(verify)
