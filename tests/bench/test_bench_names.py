"""The measurement of names runs in small, and its worlds hold what they say."""

import json
from pathlib import Path

import pytest

pytest.importorskip("rapidfuzz", reason="the extra names is not installed")

from test_bench_run import check_record

from bench import __main__ as command
from bench import name_worlds, names
from tongzhou.data.companies import company_form
from tongzhou.data.similar import find_candidates


def test_names_in_small(tmp_path: Path) -> None:
    target = tmp_path / "found.json"
    assert command.main(["names", "--quick", "--json", str(target)]) == 0
    record = json.loads(target.read_text(encoding="utf-8"))
    check_record(record, "names")
    missing = {name for name, value in record["figures"].items() if value is None}
    assert missing <= {"aliases_precision", "aliases_recall"}, "only the list of sanctions may be absent"
    for kind in ("chinese", "latin"):
        subject = record["subjects"][f"tongzhou {kind}"]
        assert 0.5 < subject["precision"] <= 1
        assert 0.5 < subject["recall"] <= 1


@pytest.mark.parametrize("world", [name_worlds.chinese_world, name_worlds.latin_world])
@pytest.mark.parametrize("made_up", [True, False])
def test_a_world_holds_both_names_of_each_pair(world, made_up, monkeypatch, tmp_path) -> None:
    if made_up:
        monkeypatch.setattr(name_worlds, "DATA", tmp_path)
    found = world(200, 60)
    assert found.names == list(dict.fromkeys(found.names))
    assert set().union(*found.pairs) <= set(found.names)
    assert all(company_form(name) == name for name in found.names)
    assert sum(found.made.values()) >= len(found.pairs) + sum(found.same.values())
    assert found == world(200, 60), "the same seed makes the same world"
    if made_up:
        assert not found.real


@pytest.mark.parametrize(
    ("world", "precision", "recall"),
    [(name_worlds.chinese_world, 0.9, 0.7), (name_worlds.latin_world, 0.75, 0.85)],
)
def test_variants_of_real_names_are_found(world, precision, recall) -> None:
    found = world(3000, 750)
    if not found.real:
        pytest.skip("the data sets with real names do not lie beside the checkout")
    candidates = find_candidates(found.names)
    pairs = {frozenset((found.names[one.first], found.names[one.second])) for one in candidates}
    quality = names._quality(found, pairs)
    assert quality["precision"] > precision
    assert quality["recall"] > recall


def test_a_way_of_dressing_is_undone_by_the_normal_form(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr(name_worlds, "DATA", tmp_path)
    for world in (name_worlds.chinese_world(300, 300), name_worlds.latin_world(300, 300)):
        assert world.same["dressed"] == world.made["dressed"] > 10


def test_precision_and_recall_are_of_known_pairs() -> None:
    pairs = {frozenset("ab"): "way", frozenset("cd"): "other"}
    world = name_worlds.NameWorld(list("abcdef"), pairs, {}, {}, real=False)
    found = names._quality(world, {frozenset("ab"), frozenset("ef"), frozenset("ae")})
    assert (found["precision"], found["recall"]) == (pytest.approx(1 / 3, abs=1e-5), 0.5)
    assert found["recall_by_way"] == {"way": 1.0, "other": 0.0}


def test_figures_of_names() -> None:
    found = names.figures(
        {
            "tongzhou forms": {"names": 1000, "cpu_s": 0.1},
            "tongzhou latin 5k": {"cpu_s": 1.0, "recall": 0.9, "precision": 0.8},
            "rapidfuzz latin 5k": {"cpu_s": 4.0, "recall": 0.5, "precision": 0.3},
            "tongzhou chinese 100k": {"skipped": "too long"},
        }
    )
    assert found["name_forms_per_cpu_s"] == 10_000
    assert found["cpu_vs_rapidfuzz_5k"] == 0.25
    assert (found["rapidfuzz_recall_5k"], found["tongzhou_recall_5k"]) == (0.5, 0.9)
    assert found["names_100k_cpu_s"] is None
