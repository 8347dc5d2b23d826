"""The peers' environment is its own: no run of ours and no peer's install ever touches .venv."""

import ast
import json
import os
import stat
import subprocess
from pathlib import Path

import pytest

from bench import measures, peers_env

SETUP = measures.ROOT / "bench" / "peers" / "setup"
WANTED = measures.ROOT / "bench" / "peers" / "requirements.txt"

# Stands for an interpreter: notes its arguments, makes what `-m venv` makes, fails to install when told so.
STUB = """\
#!/usr/bin/env bash
echo "$0 $*" >>"{log}"
echo "VIRTUAL_ENV=${{VIRTUAL_ENV-unset}} PYTHONPATH=${{PYTHONPATH-unset}}" >>"{log}"
case "$1 $2" in
    "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip") [ ! -e "{broken}" ] || {{ echo "no such package" >&2; exit 1; }} ;;
esac
"""


class Stage:
    """A stub interpreter first on the path, and a folder for the environment."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log, self.broken, self.venv = folder / "log", folder / "broken", folder / "peers-venv"
        tools = folder / "tools"
        tools.mkdir()
        stub = tools / "python3.11"
        stub.write_text(STUB.format(log=self.log, broken=self.broken), encoding="utf-8")
        stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
        monkeypatch.delenv("PYTHON", raising=False)
        monkeypatch.setattr(peers_env, "PEERS_VENV", self.venv)

    @property
    def lines(self) -> list[str]:
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch)


def our_packages() -> dict[str, int]:
    """What lies in our environment, with the time of its last change."""
    return {
        str(path): path.stat().st_mtime_ns
        for path in (measures.ROOT / ".venv").glob("lib/python*/site-packages/*")
    }


def test_the_folder_is_below_what_git_ignores() -> None:
    assert peers_env.PEERS_VENV.is_relative_to(measures.ROOT / "bench" / "out")
    assert not peers_env.PEERS_VENV.is_relative_to(measures.ROOT / ".venv")
    assert "/bench/out/" in (measures.ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()


def test_installing_goes_to_the_folder_and_nowhere_else(stage: Stage) -> None:
    before = our_packages()
    assert peers_env.peers_python() == stage.venv / "bin" / "python"
    installs = [line for line in stage.lines if "-m pip" in line]
    assert len(installs) == 1
    assert installs[0].startswith(f"{stage.venv}/bin/python -m pip install")
    assert str(WANTED) in installs[0]
    assert not any(str(measures.ROOT / ".venv") in line for line in stage.lines)
    assert our_packages() == before


def test_installing_is_done_once(stage: Stage) -> None:
    peers_env.peers_python()
    done = len(stage.lines)
    assert peers_env.peers_python() == stage.venv / "bin" / "python"
    assert len(stage.lines) == done


def test_a_changed_list_is_noticed(stage: Stage) -> None:
    peers_env.peers_python()
    (stage.venv / ".installed").write_text("spu==0.0.1\n", encoding="utf-8")
    done = len(stage.lines)
    peers_env.peers_python()
    assert len(stage.lines) > done
    assert (stage.venv / ".installed").read_text(encoding="utf-8") == WANTED.read_text(encoding="utf-8")


def test_our_environment_is_not_handed_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", str(measures.ROOT / ".venv"))
    monkeypatch.setenv("PYTHONPATH", str(measures.ROOT / "src"))
    peers_env.peers_python()
    seen = [line for line in stage.lines if line.startswith("VIRTUAL_ENV=")]
    assert set(seen) == {"VIRTUAL_ENV=unset PYTHONPATH=unset"}


def test_a_failed_install_is_a_notice_and_tried_again(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.broken.touch()
    assert peers_env.peers_python() is None
    assert "the peers are skipped: no such package" in capsys.readouterr().err
    stage.broken.unlink()
    assert peers_env.peers_python() is not None


def test_no_fitting_interpreter_is_a_notice(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PYTHON", "no-such-python")
    assert peers_env.peers_python() is None
    assert "the peers need Python 3.10 or 3.11, and there is none" in capsys.readouterr().err


def test_the_setup_wants_a_folder() -> None:
    done = subprocess.run([str(SETUP)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "the folder for the environment" in done.stderr


def test_scripts_of_the_peers_import_nothing_of_ours() -> None:
    for path in (measures.ROOT / "bench" / "peers").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [item.name for item in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not {name.split(".")[0] for name in names} & {"tongzhou", "bench"}, path.name


def test_ours_imports_nothing_of_the_peers() -> None:
    for path in (measures.ROOT / "bench").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "import spu" not in text and "import jax" not in text, path.name


def part(rank: int) -> dict:
    weights = [0.5, -0.25] if rank == 0 else [0.0, 0.0]
    return {
        "cpu_s": 10.0 + rank,
        "wall_s": 8.0 + rank,
        "rss_mb": 300.0 - rank,
        "bytes": 1000,
        "epochs": 20,
        "compile_cpu_s": 1.0,
        "matched": 7,
        "intercept": -1.0 * (rank == 0),
        "coefficients": weights,
    }


@pytest.fixture
def stub_party(tmp_path: Path) -> Path:
    """Stands for the peers' interpreter: prints a warning and a result, or fails at the second party."""
    path = tmp_path / "python"
    cases = "\n".join(f"    {rank}) echo '{json.dumps(part(rank))}' ;;" for rank in range(2))
    body = f'echo "a library speaks"\ncase $3 in\n{cases}\nesac\necho "[info] it speaks again"\n'
    path.write_text(f"#!/usr/bin/env bash\n{body}", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_two_parties_are_one_subject(stub_party: Path, tmp_path: Path) -> None:
    found = peers_env.spu_train(stub_party, tmp_path, timeout_s=20)
    assert (found["cpu_s"], found["wall_s"], found["rss_mb"], found["bytes"]) == (21.0, 9.0, 300.0, 2000)
    assert found["cpu_s_epoch"] == pytest.approx(21.0 / 20)
    assert found["coefficients"] == [0.5, -0.25]


def test_two_parties_of_a_match_are_one_subject(stub_party: Path, tmp_path: Path) -> None:
    found = peers_env.spu_match(stub_party, tmp_path, timeout_s=20)
    assert found == {"cpu_s": 21.0, "wall_s": 9.0, "rss_mb": 300.0, "bytes": 2000, "matched": 7}


@pytest.mark.parametrize(
    ("script", "timeout_s", "sentence"),
    [
        ("echo 'port is taken' >&2; exit 3", 20, "spu failed: port is taken"),
        ("echo '[warning] no more'", 20, "spu printed no result"),
        ("exec sleep 30", 0.2, "spu took longer than 0 s"),
    ],
)
def test_a_peer_that_fails_is_a_sentence(
    tmp_path: Path, script: str, timeout_s: float, sentence: str
) -> None:
    path = tmp_path / "python"
    path.write_text(f"#!/usr/bin/env bash\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    with pytest.raises(measures.BenchError, match=sentence):
        peers_env.spu_train(path, tmp_path, timeout_s=timeout_s)
