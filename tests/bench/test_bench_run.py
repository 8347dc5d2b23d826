"""Each measurement runs on small sizes and writes what it promises. Nothing here looks at how long."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench import __main__ as command
from bench import boosting, joint_lr, match, measures, trio, worlds

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


@pytest.mark.parametrize("name", ["match", "card", "statistics", "graph", "glm"])
def test_the_command_writes_a_record(name: str, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "found.json"
    command = [sys.executable, "-m", "bench", name, "--quick", "--json", str(target)]
    done = subprocess.run(
        command, cwd=measures.ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(target.read_text(encoding="utf-8"))
    check_record(record, name)
    skipped = {key: one["skipped"] for key, one in record["subjects"].items() if "skipped" in one}
    assert skipped == ({"spu rr22 1m": "not asked for"} if name == "match" else {})
    empty = {figure for figure, value in record["figures"].items() if value is None}
    assert all("_vs_rr22" in figure for figure in empty)
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


def test_boosting_in_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boosting, "DEPTHS", (2,))
    monkeypatch.setattr(boosting, "SGB_CPU_S_A_TREE", {2: 5.0})
    monkeypatch.setattr(boosting, "_ROWS", 10_000)
    monkeypatch.setattr(boosting, "_HELD_OUT_ROWS", 16_000)
    target = tmp_path / "found.json"
    assert command.main(["boosting", "--quick", "--no-peers", "--json", str(target)]) == 0
    record = json.loads(target.read_text(encoding="utf-8"))
    check_record(record, "boosting")
    ours = record["subjects"]["tongzhou depth 2"]
    assert (ours["rows"], ours["trees"]) == (500, 2)
    assert ours["cpu_s"] == pytest.approx(sum(ours["cpu_s_by_role"].values()), rel=1e-4)
    assert ours["bytes"] > 9 * 500 * 23 * 2
    held_out, clear = (
        record["subjects"][f"{who} held out depth 2 trees 2"] for who in ("tongzhou", "reference")
    )
    assert held_out["rows"] == clear["rows"] == 400
    assert len(held_out["auc_by_fold"]) == len(clear["auc_by_fold"]) == 2
    assert 0.6 < clear["auc"] < 0.9
    assert held_out["auc_by_fold"] == pytest.approx(clear["auc_by_fold"], abs=0.02)
    assert record["subjects"]["lightgbm held out depth 2 trees 2"] == {"skipped": "not asked for"}
    assert record["figures"]["aided_vs_sgb"] == pytest.approx(ours["cpu_s"] / 2 / 5.0, rel=1e-4)
    assert record["figures"]["pair_vs_sgb"] is record["figures"]["auc_gap"] is None


def test_lightgbm_scores_new_rows_where_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("lightgbm")
    world = worlds.make_fold(tmp_path / "fold", 1, 4, 4000)
    found = boosting._lightgbm(world, 5, 3)
    assert (found["rows"], found["trees"]) == (3000, 5)
    assert found["cpu_s"] > 0
    assert 0.7 < found["auc"] < 0.85


def test_many_institutions_in_small(tmp_path: Path) -> None:
    """Four institutions as processes over TLS; in half of the runs one really leaves, the others go on."""
    target = tmp_path / "found.json"
    assert command.main(["federated", "--quick", "--json", str(target)]) == 0
    record = json.loads(target.read_text(encoding="utf-8"))
    check_record(record, "federated")
    subjects, figures = record["subjects"], record["figures"]
    assert not any("skipped" in one for one in subjects.values())
    assert [name for name, value in figures.items() if value is None] == ["sum_cpu_ms_50"]
    for kind in ("logistic", "boost"):
        assert subjects[f"tongzhou {kind}"]["stayed"] == 4
        assert subjects[f"tongzhou {kind}, one leaves"]["stayed"] == 3
    assert figures["federated_gap_in_errors"] < 1e-6
    assert figures["boost_auc_gap"] < 0.01
    assert figures["federated_bytes_one_leaves"] < 1


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
    monkeypatch.setattr(match, "bounded", note)
    joint_lr.measure(tmp_path / "one", quick=False, peers=False)
    monkeypatch.setattr(match, "_SIZES", {"1m": 100, "20k": 10})
    match.measure(tmp_path / "two", quick=False, peers=False)
    assert len(asked) == 9
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
    (tmp_path / "asker.csv").write_text("id\na\nb\n", encoding="utf-8")
    (tmp_path / "provider.csv").write_text("id\n", encoding="utf-8")
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


def test_lists_for_matching_have_half_in_common(tmp_path: Path) -> None:
    match._write_lists(tmp_path / "lists", 1000)
    lists = [
        (tmp_path / "lists" / f"{role}.csv").read_text(encoding="utf-8").split()
        for role in ("asker", "provider")
    ]
    assert [names[0] for names in lists] == ["id", "id"]
    assert [len(set(names[1:])) for names in lists] == [1000, 1000]
    assert len(set(lists[0][1:]) & set(lists[1][1:])) == 500


def test_a_match_that_finds_something_else_is_no_measurement() -> None:
    assert match._checked(lambda: {"matched": 5}, 5) == {"matched": 5}
    with pytest.raises(measures.BenchError, match="it found 4 common identifiers, and there are 5"):
        match._checked(lambda: {"matched": 4}, 5)
