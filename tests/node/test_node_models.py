"""Scorecards kept as files, and small files written whole."""

import errno
import stat

import msgspec
import pytest

from tongzhou.errors import ConflictError, DataError, NotFoundError, StorageError
from tongzhou.node import files
from tongzhou.node.files import read_file, write_file
from tongzhou.node.home import Home
from tongzhou.node.models import find_model, list_models, save_model
from tongzhou.risk.binning import Bins
from tongzhou.risk.scorecard import CardInput as Input
from tongzhou.risk.scorecard import Scorecard, build_scorecard


@pytest.fixture
def home(tmp_path):
    with Home.create(tmp_path / "bank", "bank", "Bank", "h:1") as opened:
        yield opened


def card(
    name: str = "clients", version: str = "1", created: str = "2026-11-24T12:00:00Z", **changes
) -> Scorecard:
    inputs = [Input(Bins(variable="age", edges=(30.0,)), [0.5, -0.5, 0.0], changes.pop("coefficient", 1.0))]
    return build_scorecard(name, inputs, -1.0, version=version, created=created)


def test_a_card_is_kept_and_found(home) -> None:
    path = save_model(home, card())
    assert path.name == "clients@1.card.json"
    assert find_model(home, "clients") == card()
    assert save_model(home, card()) == path
    assert list_models(home) == [card()]


def test_the_newest_version_is_found_unless_one_is_named(home) -> None:
    save_model(home, card(version="10", created="2026-11-25T12:00:00Z"))
    save_model(home, card(version="9"))
    assert find_model(home, "clients").version == "10"
    assert find_model(home, "clients", "9").version == "9"
    with pytest.raises(NotFoundError, match="card clients has no version 8; there are 9, 10"):
        find_model(home, "clients", "8")


def test_another_card_of_the_same_version_is_refused(home) -> None:
    save_model(home, card())
    with pytest.raises(
        ConflictError, match="there is another card clients of version 1; give the new one another"
    ):
        save_model(home, card(coefficient=2.0))
    assert find_model(home, "clients") == card()


def test_unknown_cards_are_named(home) -> None:
    with pytest.raises(NotFoundError, match=r"there is no card clients$"):
        find_model(home, "clients")
    save_model(home, card())
    with pytest.raises(NotFoundError, match=r"there is no card client; did you mean clients\?"):
        find_model(home, "client")


@pytest.mark.parametrize("changes", [{"name": "../x"}, {"name": ""}, {"version": "a/b"}, {"name": "x" * 65}])
def test_names_that_are_no_file_names_are_refused(home, changes) -> None:
    with pytest.raises(DataError, match="a card's name and version have letters"):
        save_model(home, msgspec.structs.replace(card(), **changes))
    assert list(home.models.iterdir()) == []


def test_a_damaged_card_is_named(home) -> None:
    path = save_model(home, card())
    path.write_text(path.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    with pytest.raises(StorageError, match=r"clients@1\.card\.json is damaged: .*; restore it from a backup"):
        find_model(home, "clients")


def test_a_file_is_written_whole_or_left(tmp_path, monkeypatch) -> None:
    path = tmp_path / "x"
    write_file(path, b"old")

    def full(_handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(StorageError, match="x was not written: the disk is full"):
        write_file(path, b"new")
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [("x", b"old")]


def test_files_that_cannot_be_read_or_written(tmp_path) -> None:
    with pytest.raises(NotFoundError, match="there is no file"):
        read_file(tmp_path / "none", 10)
    (tmp_path / "long").write_bytes(b"x" * 11)
    with pytest.raises(DataError, match="long has more than the 10 bytes allowed here"):
        read_file(tmp_path / "long", 10)
    with pytest.raises(StorageError, match="cannot be read"):
        read_file(tmp_path, 10)
    with pytest.raises(StorageError, match="was not written: No such file or directory"):
        write_file(tmp_path / "no" / "x", b"")


def test_a_written_file_may_be_read_by_others_as_the_umask_says(tmp_path) -> None:
    write_file(tmp_path / "x", b"")
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) & 0o400
