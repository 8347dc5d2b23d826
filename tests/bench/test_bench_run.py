"""Each measurement runs on small sizes and writes what it promises. Nothing here looks at how long."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command
from bench import joint_lr, matching, measures, trio, worlds

MEASURES = {"cpu_s", "wall_s", "rss_mb", "bytes", "repeats", "spread"}


def check_record(record: dict[str, Any], name: str) -> None:
    assert record["name"] == name
    assert record["quick"] is True
    assert {"processor", "cores", "python", "load_at_start"} <= set(record["machine"])
    measured = {key: one for key, one in record["subjects"].items() if "skipped" not in one}
    for key, one in measured.items():
        assert set(one) >= MEASURES, key
        assert one["cpu_s"] > 0 and one["wall_s"] > 0 and one["rss_mb"] > 10, key
        for measure in ("cpu_s", "wall_s", "rss_mb"):
            least, most = one["spread"][measure]
            assert least <= one[measure] <= most
    assert record["figures"] == command.BENCHES[name].figures(record["subjects"])


@pytest.mark.parametrize("name", ["matching", "card", "glm"])
def test_the_command_writes_a_record(name: str, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "found.json"
    command = [sys.executable, "-m", "bench", name, "--quick", "--json", str(target)]
    done = subprocess.run(
        command, cwd=measures.ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(target.read_text(encoding="utf-8"))
    check_record(record, name)
    assert not any("skipped" in one for one in record["subjects"].values())
    assert None not in record["figures"].values()
    assert all(figure in done.stdout for figure in record["figures"])
    assert "the figures mean nothing" in done.stderr
    assert [path.name for path in target.parent.iterdir()] == ["found.json"]


def test_joint_lr_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(joint_lr, "SIZES", {"30k": 20_000})
    target = tmp_path / "found.json"
    assert command.main(["joint-lr", "--quick", "--json", str(target)]) == 0
    record = json.loads(target.read_text(encoding="utf-8"))
    check_record(record, "joint-lr")
    ours = record["subjects"]["tongzhou 30k"]
    assert ours["rows"] == 1000
    assert set(ours["cpu_s_by_role"]) == set(trio.ROLES)
    assert ours["cpu_s"] == pytest.approx(sum(ours["cpu_s_by_role"].values()), rel=1e-4)
    assert ours["rss_mb"] == pytest.approx(max(ours["rss_mb_by_role"].values()), rel=1e-4)
    assert ours["bytes"] > 8 * 1000 * 23
    assert record["subjects"]["spu 30k"] == {"skipped": "not asked for"}
    assert record["figures"]["auc_gap"] < 0.001
    assert record["figures"]["cpu_vs_sklearn"] > 0
    assert record["figures"]["growth_1m_vs_100k"] is None


def test_peers_are_not_looked_for_unless_wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> None:
        raise AssertionError("the peers' environment was asked for")

    monkeypatch.setattr(joint_lr, "SIZES", {"30k": 600})
    monkeypatch.setattr(joint_lr, "peers_python", never)
    monkeypatch.setattr(joint_lr, "bounded", lambda name, repeats, run: {"skipped": name})
    for quick, peers in ((True, True), (True, False), (False, False)):
        subjects = joint_lr.measure(tmp_path / f"{quick}{peers}", quick=quick, peers=peers)
        assert subjects["spu 30k"]["skipped"] == "not asked for"


def test_a_peer_that_cannot_be_installed_is_a_row_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(joint_lr, "SIZES", {"30k": 600})
    monkeypatch.setattr(joint_lr, "peers_python", lambda: None)
    monkeypatch.setattr(joint_lr, "bounded", lambda name, repeats, run: {"skipped": name})
    subjects = joint_lr.measure(tmp_path, quick=False, peers=True)
    assert subjects["spu 30k"] == {"skipped": "cannot be installed here"}


def test_three_repeats_are_the_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def note(name: str, repeats: int, run: object) -> dict:
        asked.append(repeats)
        return {"skipped": name}

    monkeypatch.setattr(joint_lr, "SIZES", {"30k": 600})
    monkeypatch.setattr(joint_lr, "bounded", note)
    monkeypatch.setattr(matching, "bounded", note)
    joint_lr.measure(tmp_path / "one", quick=False, peers=False)
    (tmp_path / "two").mkdir()
    matching.measure(tmp_path / "two", quick=False, peers=False)
    assert len(asked) == 6
    assert min(asked) >= 3


def test_a_party_that_fails_ends_the_repeat_with_its_sentence(tmp_path: Path) -> None:
    """The label's file is gone: the asker says so, and no process is left waiting."""
    world = worlds.make_world(tmp_path / "world", 600)
    (world.folder / "label.npy").unlink()
    job = ["train", str(world.folder), "600", "5", "18", "1e-6"]
    with pytest.raises(measures.BenchError, match=r"the asker failed: .*label\.npy"):
        trio.play(job, timeout_s=60)


def test_the_first_cause_is_told_and_not_who_left_because_of_it(tmp_path: Path) -> None:
    """The provider's list is empty; the asker only sees that it stopped."""
    (tmp_path / "asker.txt").write_text("a\nb", encoding="utf-8")
    (tmp_path / "provider.txt").write_text("", encoding="utf-8")
    with pytest.raises(measures.BenchError, match=r"the provider failed: .*the table is empty"):
        trio.play(["match", "dh", str(tmp_path)], timeout_s=60)


def test_a_repeat_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(measures.BenchError, match="the asker did not finish in time"):
        trio.play(["match", "dh", str(tmp_path)], timeout_s=0.0)


def test_parties_that_do_not_start_are_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trio, "found_trio", lambda folder, roles: None)
    with pytest.raises(measures.BenchError, match=r"the helper's process did not start: .*holds no identity"):
        trio.play(["match", "dh", str(tmp_path)], timeout_s=60)


def test_an_unknown_name_is_refused_with_those_known(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(["joint-rl"])
    assert stopped.value.code == 2
    words = capsys.readouterr().err
    assert all(name in words for name in command.BENCHES)


def test_a_record_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "found.json"
    command.write_json({"name": "card"}, target)
    with pytest.raises(TypeError):
        command.write_json({"name": object()}, target)
    assert json.loads(target.read_text(encoding="utf-8")) == {"name": "card"}
    assert [path.name for path in tmp_path.iterdir()] == ["found.json"]
