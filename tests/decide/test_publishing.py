"""Published versions: immutable, whole, and refused when changed."""

import os
import stat
from pathlib import Path

import pytest
from strategy_texts import declare, rule, strategy_files

from tongzhou.decide import Strategy, example_strategy, publish, publishing
from tongzhou.errors import ConflictError, StorageError, VerificationError

AGE = declare("age", "number")


def strategy(condition: str = "age > 3") -> Strategy:
    return Strategy.from_files(strategy_files(AGE, rules=rule("r", condition)))


def test_a_version_is_written_where_its_name_says_and_loads_equal(tmp_path: Path) -> None:
    target = publish(example_strategy(), tmp_path)
    assert target == tmp_path / "card-applicants" / "1.0.0"
    assert Strategy.load(target) == example_strategy()
    assert {path.name for path in target.iterdir()} == {*example_strategy().files, "digest.txt"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o444 for path in target.iterdir())
    assert [path.name for path in target.parent.iterdir()] == ["1.0.0"]


def test_publishing_again_changes_nothing(tmp_path: Path) -> None:
    target = publish(strategy(), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in target.iterdir()}
    assert publish(strategy(), tmp_path) == target
    assert {path: path.stat().st_mtime_ns for path in target.iterdir()} == before


def test_other_content_needs_another_version(tmp_path: Path) -> None:
    publish(strategy(), tmp_path)
    with pytest.raises(
        ConflictError, match=r"^version 1 of test is published with other content; give the change a"
    ):
        publish(strategy("age > 4"), tmp_path)
    again = publish(strategy("age > 4").revise(version="2"), tmp_path)
    assert again.name == "2"


@pytest.mark.parametrize("name", ["rules.toml", "strategy.toml"])
def test_every_changed_byte_of_a_published_version_is_refused(tmp_path: Path, name: str) -> None:
    path = publish(strategy(), tmp_path) / name
    raw = path.read_bytes()
    path.chmod(0o644)
    for at in range(len(raw)):
        path.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
        with pytest.raises(VerificationError, match=r"was changed after it was published"):
            Strategy.load(path.parent)


def test_a_file_added_or_taken_away_is_refused(tmp_path: Path) -> None:
    target = publish(strategy(), tmp_path)
    (target / "words.toml").write_text("")
    with pytest.raises(VerificationError, match="was changed after it was published"):
        Strategy.load(target)
    (target / "words.toml").unlink()
    (target / "rules.toml").unlink()
    with pytest.raises(VerificationError, match="was changed after it was published"):
        Strategy.load(target)


def test_a_disk_that_refuses_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(publishing.os, "fsync", full)
    with pytest.raises(StorageError, match=r"cannot be published in .*test: No space left on device$"):
        publish(strategy(), tmp_path)
    assert list((tmp_path / "test").iterdir()) == []


def test_two_that_publish_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process finishes between our look and our rename: the same content is fine, other is not."""
    original = publishing._write

    def overtaken(by: Strategy) -> None:
        def write(ours: Strategy, folder: Path) -> None:
            original(ours, folder)
            target = folder.parent / ours.version
            target.mkdir()
            original(by, target)

        monkeypatch.setattr(publishing, "_write", write)

    overtaken(strategy())
    assert Strategy.load(publish(strategy(), tmp_path / "a")) == strategy()
    overtaken(strategy("age > 4"))
    with pytest.raises(ConflictError, match="is published with other content"):
        publish(strategy(), tmp_path / "b")


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "test").write_text("in the way")
    with pytest.raises(StorageError, match="cannot be published in"):
        publish(strategy(), tmp_path)
