"""Figures follow from the subjects and from nothing else; the manual explains each."""

import copy
from pathlib import Path

import numpy as np
import pytest

from bench import __main__ as command
from bench import card, joint_lr, joint_lr_pair, matching, worlds

MANUAL = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"


def subject(rows: int, cpu_s: float, auc: float = 0.77, rss_mb: float = 100.0) -> dict:
    return {
        "rows": rows,
        "cpu_s": cpu_s,
        "wall_s": cpu_s / 2,
        "rss_mb": rss_mb,
        "bytes": 10 * rows,
        "auc": auc,
    }


@pytest.fixture
def trained() -> dict:
    return {
        "tongzhou 30k": subject(30_000, 0.4, 0.7725),
        "tongzhou 100k": subject(100_000, 1.0),
        "tongzhou 300k": subject(300_000, 2.0),
        "tongzhou 1m": subject(1_000_000, 8.0, 0.7713, 800.0),
        "scikit-learn 30k": subject(30_000, 0.8, 0.7725),
        "scikit-learn one thread 30k": subject(30_000, 0.16, 0.7724),
        "scikit-learn newton one thread 30k": subject(30_000, 0.02, 0.7724),
        "scikit-learn one thread 100k": subject(100_000, 0.5),
        "scikit-learn one thread 300k": subject(300_000, 2.0),
        "scikit-learn one thread 1m": subject(1_000_000, 16.0, 0.7716),
        "spu 30k": subject(30_000, 40.0, 0.7715) | {"cpu_s_epoch": 2.0},
    }


def test_figures_of_joint_lr(trained: dict) -> None:
    found = joint_lr.figures(trained)
    assert found == pytest.approx(
        {
            "cpu_vs_sklearn": 0.5,
            "cpu_vs_sklearn_one_thread": 2.5,
            "cpu_vs_sklearn_one_thread_1m": 0.5,
            "cpu_vs_sklearn_newton_one_thread": 20.0,
            "wall_vs_sklearn_one_thread": 2.5,
            "growth_1m_vs_100k": 0.8,
            "rss_mb_1m": 800.0,
            "auc_gap": 0.0003,
            "cpu_vs_spu": 0.01,
            "cpu_vs_spu_epoch": 0.2,
            "auc_over_spu": 0.001,
        }
    )


@pytest.mark.parametrize(
    ("missing", "empty"),
    [
        ("spu 30k", {"cpu_vs_spu", "cpu_vs_spu_epoch", "auc_over_spu"}),
        ("scikit-learn 30k", {"cpu_vs_sklearn"}),
        ("tongzhou 1m", {"growth_1m_vs_100k", "rss_mb_1m", "cpu_vs_sklearn_one_thread_1m"}),
        ("tongzhou 100k", {"growth_1m_vs_100k"}),
    ],
)
def test_a_skipped_subject_empties_its_figures_only(trained: dict, missing: str, empty: set) -> None:
    trained[missing] = {"skipped": "it took longer than 90 s", "rows": 1}
    found = joint_lr.figures(trained)
    assert {name for name, value in found.items() if value is None} == empty


def test_the_largest_gap_of_any_size_counts(trained: dict) -> None:
    trained["tongzhou 300k"]["auc"] = 0.75
    assert joint_lr.figures(trained)["auc_gap"] == pytest.approx(0.02)


def test_growth_is_of_cpu_per_row(trained: dict) -> None:
    linear = copy.deepcopy(trained)
    linear["tongzhou 1m"]["cpu_s"] = 10 * linear["tongzhou 100k"]["cpu_s"]
    assert joint_lr.figures(linear)["growth_1m_vs_100k"] == pytest.approx(1.0)


def test_figures_of_joint_lr_pair() -> None:
    subjects = {
        "tongzhou pair 5+18": subject(30_000, 5.0, 0.7724),
        "tongzhou pair 13+10": subject(30_000, 8.0, 0.7727),
        "scikit-learn one thread": subject(30_000, 0.1, 0.7725),
        "spu cheetah, one epoch": subject(30_000, 40.0) | {"bytes": 600_000},
    }
    assert joint_lr_pair.figures(subjects) == pytest.approx(
        {
            "cpu_vs_cheetah": 0.125,
            "cpu_vs_cheetah_even": 0.2,
            "bytes_vs_cheetah": 0.5,
            "wall_vs_cheetah": 0.125,
            "pair_auc_gap": 0.0002,
        }
    )
    subjects["spu cheetah, one epoch"] = {"skipped": "not asked for"}
    found = joint_lr_pair.figures(subjects)
    assert {name for name, value in found.items() if value is not None} == {"pair_auc_gap"}


def test_columns_divided_otherwise_are_the_same_columns(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    asker, provider = np.arange(6.0).reshape(3, 2), np.arange(9.0).reshape(3, 3)
    for name, array in (("asker", asker), ("provider", provider), ("label", np.ones(3))):
        np.save(tmp_path / "one" / f"{name}.npy", array)
    world = worlds.split_world(worlds.World(3, tmp_path / "one", 2, 3), tmp_path / "two", 4)
    assert (world.rows, world.asker_columns, world.provider_columns) == (3, 4, 1)
    both = np.hstack([world.block("asker"), world.block("provider")])
    assert both.tolist() == np.hstack([asker, provider]).tolist()
    assert world.label().tolist() == [1, 1, 1]


def test_figures_of_matching() -> None:
    both = {"identifiers": 54_000, "common": 24_000}
    found = matching.figures(
        {"tongzhou dh": both | {"cpu_s": 10.8}, "tongzhou aided": both | {"skipped": "the helper failed"}}
    )
    assert found == {"dh_ids_per_cpu_s": 5000.0, "aided_ids_per_cpu_s": None}


def test_figures_of_the_card() -> None:
    found = card.figures(
        {
            "tongzhou one row": {"rows": 1000, "wall_s": 0.004},
            "tongzhou table": {"rows": 10**6, "wall_s": 0.5},
        }
    )
    assert found == {"one_row_us": 4.0, "table_rows_per_s": 2e6}


@pytest.mark.parametrize("name", sorted(command.BENCHES))
def test_without_subjects_there_are_no_figures(name: str) -> None:
    assert set(command.BENCHES[name].figures({}).values()) == {None}


@pytest.mark.parametrize("name", sorted(command.BENCHES))
def test_the_manual_explains_every_figure(name: str) -> None:
    text = MANUAL.read_text(encoding="utf-8")
    assert f"`{name}`" in text
    assert [figure for figure in command.BENCHES[name].figures({}) if f"`{figure}`" not in text] == []
