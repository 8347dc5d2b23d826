"""The measurement of the kinds of matching runs in small, and its figures follow from its subjects."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench.kind_jobs import KINDS, found_by, listed, task_and_input, warm_up
from test_bench_run import check_record

from bench import match_kinds, measures

SUBJECTS = {
    "tongzhou prepare",
    "tongzhou cached first",
    "tongzhou cached later",
    *(f"tongzhou {kind} {mode}" for kind in ("size", "join", "common") for mode in ("pair", "aided")),
}


def test_the_command_writes_a_record(tmp_path: Path) -> None:
    target = tmp_path / "found.json"
    command = [sys.executable, "-m", "bench", "match-kinds", "--quick", "--json", str(target)]
    done = subprocess.run(
        command, cwd=measures.ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(target.read_text(encoding="utf-8"))
    check_record(record, "match-kinds")
    subjects = record["subjects"]
    assert set(subjects) == SUBJECTS
    assert not any("skipped" in one for one in subjects.values())
    assert None not in record["figures"].values()
    # What was found is what the lists have in common.
    assert subjects["tongzhou prepare"]["computed"] == 600
    assert subjects["tongzhou cached first"]["found"] == subjects["tongzhou cached later"]["found"] == 5
    for kind in ("size", "join", "common"):
        assert {subjects[f"tongzhou {kind} {mode}"]["found"] for mode in ("pair", "aided")} == {80}
    # The copy spares the table.
    saved = subjects["tongzhou cached first"]["bytes"] - subjects["tongzhou cached later"]["bytes"]
    assert saved == pytest.approx(subjects["tongzhou prepare"]["bytes"], abs=200)


def test_figures_follow_from_the_subjects() -> None:
    subject = {"identifiers": 1000, "cpu_s": 0.5, "bytes": 32_000}
    found = match_kinds.figures({"tongzhou prepare": subject, "tongzhou size pair": {"skipped": "too slow"}})
    assert found["prepare_ids_per_cpu_s"] == 2000.0
    assert found["prepare_bytes_per_id"] == 32.0
    # Ten millions at 2,000 a second on each of two cores.
    assert found["prepare_10m_minutes"] == pytest.approx(41.6667, abs=1e-3)
    assert {value for name, value in found.items() if not name.startswith("prepare")} == {None}
    assert len(found) == 2 * len(SUBJECTS) + 1


def test_without_a_prepared_list_nothing_is_asked(tmp_path: Path) -> None:
    with pytest.raises(measures.BenchError, match="no list was prepared"):
        match_kinds._asked(tmp_path, "first")


def test_three_repeats_are_the_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def note(name: str, repeats: int, run: object) -> dict:
        asked.append(repeats)
        return {"skipped": name}

    monkeypatch.setattr(match_kinds, "bounded", note)
    match_kinds.measure(tmp_path, quick=False, peers=False)
    assert asked == [3] * len(SUBJECTS)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("role", ["asker", "provider", "helper"])
def test_each_role_has_its_part(kind: str, role: str, tmp_path: Path) -> None:
    (tmp_path / f"{role}.txt").write_text("a\nb", encoding="utf-8")
    task, own = warm_up(kind, role)
    assert hasattr(task, "run")
    assert (own is None) == (role == "helper")
    if (kind, role) != ("cached", "provider"):
        _, own = task_and_input(kind, role, tmp_path)
        assert (own is None) == (role == "helper")


def test_made_up_identifiers_are_distinct() -> None:
    assert len(set(listed(5, 20)) & set(listed(15, 20))) == 10
    assert found_by(None) == 0
