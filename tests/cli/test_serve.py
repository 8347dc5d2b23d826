"""``tongzhou serve`` as people start it: a process that says where it is, serves, and stops when told."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cli_run
import job_town
import pytest

from tongzhou.node.job_run import run_job


@pytest.fixture
def town(tmp_path):
    town = job_town.Town(tmp_path).found()
    yield town
    town.stop()


def serve(folder, *words: str) -> subprocess.Popen[str]:
    """The real command in a real process, asked to speak English."""
    return subprocess.Popen(
        [Path(sys.executable).with_name("tongzhou"), "serve", "--home", str(folder), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TONGZHOU_LANG": "en"},
    )


def first_document(stream) -> object:
    """The first JSON document of a stream that goes on."""
    lines = []
    for line in stream:
        lines.append(line)
        if line == "}\n":
            break
    return json.loads("".join(lines))


def test_a_run_between_commands_and_an_end_by_signal(town) -> None:
    """Two daemons by the command, the asker by the engine; then both are told to stop."""
    daemons = {party: serve(town.homes[party].folder, "--json") for party in ("cardnet", "helper")}
    try:
        for party, daemon in daemons.items():
            assert first_document(daemon.stdout) == {
                "party": party,
                "endpoint": town.homes[party].settings.endpoint,
            }
        plan, _ = town.granted()
        run_id = run_job(town.bank, plan)
        assert town.ends("cardnet", run_id).state == "done"
    finally:
        ends = {}
        for party, name in (("cardnet", signal.SIGTERM), ("helper", signal.SIGINT)):
            began = time.monotonic()
            daemons[party].send_signal(name)
            _, log = daemons[party].communicate(timeout=20)
            ends[party] = (daemons[party].returncode, time.monotonic() - began, log)
    for party, (code, seconds, log) in ends.items():
        assert code == 0, log
        assert seconds < 10
        assert f"{party}: run {run_id} begins as {job_town.PARTIES[party]}" in log
        assert f"{party}: run {run_id} is done" in log
        assert "Traceback" not in log
        # Nothing of any client, and no key, is in the log of the process.
        assert "TW-" not in log
        assert "PRIVATE" not in log


def test_another_port(town) -> None:
    port = job_town.free_port()
    daemon = serve(town.cardnet.folder, "--host", "127.0.0.1", "--port", str(port))
    try:
        assert daemon.stdout.readline() == f"cardnet serves at 127.0.0.1:{port}; stop it with Ctrl-C\n"
    finally:
        daemon.send_signal(signal.SIGTERM)
        out, log = daemon.communicate(timeout=20)
    assert (daemon.returncode, out) == (0, "cardnet has stopped\n"), log


def test_a_taken_port_is_a_sentence(town, capsys) -> None:
    cli = cli_run.Cli(town.cardnet.folder, capsys)
    with job_town.socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        sentence = cli.fails(11, "serve", "--port", str(port))
    assert sentence.startswith(f"port {port} of 127.0.0.1 is taken by another program")


def test_no_institution_is_a_sentence(nobody) -> None:
    assert "is not the folder of an institution" in nobody.fails(10, "serve")


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_ports_that_are_none(bank, port) -> None:
    assert bank("serve", "--port", port).code == 2


def test_a_host_that_is_not_here(bank) -> None:
    assert "cannot listen at 192.0.2.1 port" in bank.fails(6, "serve", "--host", "192.0.2.1")
