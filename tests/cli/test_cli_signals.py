"""Ctrl-C and SIGTERM at real processes: one sentence, no stack trace, nothing left behind."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tongzhou.cli.main import EXIT_CODES

TONGZHOU = Path(sys.executable).with_name("tongzhou")


def start(*words: object, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [TONGZHOU, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TONGZHOU_LANG": "en", "COLUMNS": "200"} | environ,
    )


@pytest.fixture
def slow_import(tmp_path) -> dict[str, str]:
    """An environment in which an import of the command line says so and does not end."""
    (tmp_path / "msgspec.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(60)\n")
    return {"PYTHONPATH": str(tmp_path)}


@pytest.mark.parametrize(
    ("words", "sentence"), [((), "stopped\n"), (("--lang", "zh"), "已停止\n")], ids=["en", "zh"]
)
def test_ctrl_c_during_the_imports_is_one_sentence(slow_import, words, sentence) -> None:
    process = start("party", "show", *words, **slow_import)
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, "", sentence)


def test_who_started_it_may_have_ctrl_c_ignored(slow_import) -> None:
    """A shell has it ignored for what runs in the background."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        process = start("party", "show", **slow_import)
    finally:
        signal.signal(signal.SIGINT, before)
    assert process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=0.5)
    process.kill()
    process.communicate()


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGINT", 130)])
def test_a_demonstration_that_is_ended_stops_its_institutions(tmp_path, name, code) -> None:
    pytest.importorskip("altair")
    pytest.importorskip("sklearn")
    process = start("demo", "--folder", tmp_path / "demo")
    pids = []
    for line in process.stdout:
        pids += re.findall(r"^(?:bank|cardnet|helper)\s.*?\s(\d+)\s+127\.0\.0\.1:", line)
        if line.startswith("The joint job"):
            break
    assert len(pids) == 3
    assert all(_alive(pid) for pid in pids)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (code, "stopped\n")
    assert code in EXIT_CODES
    deadline = time.monotonic() + 5
    while any(map(_alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, pids))


def _alive(process_id: str) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{process_id}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
