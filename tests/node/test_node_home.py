"""The institution's folder: made whole or not at all, opened with a sentence when it is not one."""

import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from datetime import UTC, datetime

import pytest

from tongzhou.errors import ConflictError, DataError, NotFoundError, PlanError, StorageError
from tongzhou.node import home as homes
from tongzhou.node.home import Home
from tongzhou.node.journal import LogSigner, log_origin

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def make(folder, party_id: str = "bank") -> Home:
    return Home.create(folder, party_id, "Example Bank", "127.0.0.1:7001", now=NOW)


def test_everything_is_there_after_creation(tmp_path) -> None:
    with make(tmp_path / "bank") as home:
        assert home.party_id == home.identity.party_id == "bank"
        assert home.settings.created == "2026-11-24T12:00:00Z"
        assert home.log.origin == "tongzhou.example/bank"
        assert home.store.runs() == []
        assert home.grants.list() == []
        assert home.trust.all() == []
        assert {path.name for path in home.folder.iterdir()} >= {
            "party.toml",
            "keys",
            "trust",
            "tables",
            "models",
            "strategies",
            "state.db",
            "log.db",
        }
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]


def test_an_institution_is_for_its_owner_only(tmp_path) -> None:
    with make(tmp_path / "bank") as home:
        assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
        for path in home.keys.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_opening_again_finds_the_same_institution(tmp_path) -> None:
    with make(tmp_path / "bank") as home:
        key = home.identity.public_key_bytes
        home.log.append({"n": 1}, kind="test", key="1")
    with Home.open(tmp_path / "bank") as again:
        assert again.settings == home.settings
        assert again.identity.public_key_bytes == key
        assert again.log.size == 1
    again.close()


@pytest.mark.parametrize("name", ['a "quoted" name', "name\\with\\backslash", "示例银行", "O'Neill & Söhne"])
def test_any_printable_name_survives_the_settings_file(tmp_path, name) -> None:
    Home.create(tmp_path / "bank", "bank", name, "[::1]:7001").close()
    with Home.open(tmp_path / "bank") as home:
        assert home.settings.name == name


def test_a_folder_that_holds_something_is_left_alone(tmp_path) -> None:
    (tmp_path / "bank").mkdir()
    (tmp_path / "bank" / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(ConflictError, match="bank exists already and is not empty"):
        make(tmp_path / "bank")
    assert [path.name for path in (tmp_path / "bank").iterdir()] == ["letter.txt"]
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(ConflictError, match="file exists already"):
        make(tmp_path / "file")


def test_an_empty_folder_is_taken(tmp_path) -> None:
    (tmp_path / "bank").mkdir()
    make(tmp_path / "bank").close()
    assert (tmp_path / "bank" / "party.toml").is_file()


@pytest.mark.parametrize(
    ("party_id", "name", "endpoint", "sentence"),
    [
        ("Bank", "x", "h:1", "small letters, digits and single hyphens"),
        ("bank", "", "h:1", "must have 1 to 64 printable characters"),
        ("bank", "x\n", "h:1", "printable characters"),
        ("bank", "x", "h", "must be host:port"),
        ("bank", "x", "h:70000", "a port from 1 to 65535"),
    ],
)
def test_illegal_settings_leave_nothing_behind(tmp_path, party_id, name, endpoint, sentence) -> None:
    with pytest.raises(DataError, match=sentence):
        Home.create(tmp_path / "bank", party_id, name, endpoint)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_in_the_middle_leaves_nothing_behind(tmp_path, monkeypatch) -> None:
    def full(*_args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(homes, "_sync_file", full)
    with pytest.raises(StorageError, match="bank cannot be made: No space left on device"):
        make(tmp_path / "bank")
    assert list(tmp_path.iterdir()) == []


def test_kill_9_in_the_middle_leaves_no_half_institution(tmp_path) -> None:
    script = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from tongzhou.node import home
        def stop(path):
            print("here", flush=True)
            time.sleep(60)
        home._sync_file = stop
        home.Home.create(Path({str(tmp_path / "bank")!r}), "bank", "x", "h:1")
        """
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "here\n"
        os.kill(child.pid, signal.SIGKILL)
    assert not (tmp_path / "bank").exists()
    make(tmp_path / "bank").close()
    assert Home.open(tmp_path / "bank").party_id == "bank"


def test_two_creations_at_once_have_one_winner(tmp_path) -> None:
    script = (
        "import sys; from pathlib import Path; from tongzhou.node.home import Home; "
        f"Home.create(Path({str(tmp_path / 'bank')!r}), 'bank', sys.argv[1], 'h:1').close()"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", script, name], stderr=subprocess.PIPE)
        for name in ("one", "two")
    ]
    codes = []
    for child in children:
        errors = child.communicate(timeout=60)[1]
        codes.append(child.returncode)
        assert child.returncode == 0 or b"ConflictError" in errors
    assert codes.count(0) == 1
    assert Home.open(tmp_path / "bank").settings.name in {"one", "two"}
    assert [path.name for path in tmp_path.iterdir()] == ["bank"]


def test_what_is_no_institution_is_named(tmp_path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(NotFoundError, match="is not the folder of an institution; make one with"):
            Home.open(folder)
    (tmp_path / "party.toml").write_text('id = "bank"\nnam = "x"\n', encoding="utf-8")
    with pytest.raises(PlanError, match=r"party\.toml:2: unknown key nam; did you mean name\?"):
        Home.open(tmp_path)
    (tmp_path / "party.toml").write_bytes(b"\xff")
    with pytest.raises(StorageError, match=r"party\.toml cannot be read"):
        Home.open(tmp_path)


def test_missing_pieces_are_named_when_they_are_needed(tmp_path) -> None:
    make(tmp_path / "bank").close()
    (tmp_path / "bank" / "state.db").unlink()
    with (
        Home.open(tmp_path / "bank") as home,
        pytest.raises(NotFoundError, match=r"state\.db: there is no such store"),
    ):
        _ = home.store


def test_the_signer_speaks_for_the_log(tmp_path) -> None:
    with make(tmp_path / "bank") as home:
        signer = LogSigner(home.identity)
        assert signer.name == log_origin("bank") == "tongzhou.example/bank"
        assert signer.public_key_bytes == home.identity.public_key_bytes
        assert signer.sign(b"x") == home.identity.sign(b"x")


def test_creation_is_quick(tmp_path) -> None:
    begun = time.monotonic()
    make(tmp_path / "bank").close()
    assert time.monotonic() - begun < 5
