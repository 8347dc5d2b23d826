"""One demonstration for all tests of this folder: it takes the better part of a minute."""

import json

import pytest
from demo_shown import Shown, tongzhou


@pytest.fixture(scope="session")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    pytest.importorskip("altair")
    pytest.importorskip("sklearn")
    folder = tmp_path_factory.mktemp("demonstration")
    target = folder / "figures-for-machines.json"
    done = tongzhou("demo", "--folder", str(folder / "demo"), "--json", str(target))
    assert done.returncode == 0, done.stdout + done.stderr
    return Shown(folder / "demo", done.stdout, json.loads(target.read_text()))
