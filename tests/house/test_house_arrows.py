"""The arrows between rooms, held by import-linter."""

import subprocess
import sys
import tomllib
from pathlib import Path

import house_code


def test_rooms_import_only_along_the_arrows() -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [linter, "--no-cache"], cwd=house_code.ROOT, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_every_room_stands_in_an_arrow() -> None:
    config = tomllib.loads((house_code.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    rooms = {path.name for path in house_code.SOURCE.iterdir() if (path / "__init__.py").exists()}
    contracts = str(config["tool"]["importlinter"]["contracts"])
    assert {room for room in rooms if f"tongzhou.{room}" not in contracts} == set()


def test_the_core_needs_few_packages() -> None:
    config = tomllib.loads((house_code.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert len(config["project"]["dependencies"]) <= 6


def test_every_dependency_is_locked_with_hashes() -> None:
    config = tomllib.loads((house_code.ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = config["project"]["optional-dependencies"]
    wanted = [*config["project"]["dependencies"], *extras["report"], *extras["models"]]
    for lock in ("demo.txt", "dev.txt"):
        text = (house_code.ROOT / "requirements" / lock).read_text(encoding="utf-8")
        entries = [entry for entry in text.split("\n") if entry and not entry.startswith((" ", "#"))]
        locked = {entry.split("==")[0] for entry in entries}
        assert {item.split(">")[0] for item in wanted} - locked == set(), lock
        assert [entry for entry in entries if "==" not in entry.split(";")[0]] == [], (
            f"{lock}: exact versions only"
        )
        assert text.count("--hash=sha256:") >= len(entries), lock
