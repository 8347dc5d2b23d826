"""Figures follow from the subjects and from nothing else; the manual explains each."""

import copy
from pathlib import Path

import numpy as np
import pytest

from bench import __main__ as command
from bench import boosting, card, federated, graph, joint_lr, joint_lr_pair, joint_statistics, match, worlds

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
    large, small = {"identifiers": 2_000_000}, {"identifiers": 40_000}
    subjects = {
        "tongzhou vole 1m": large | {"cpu_s": 2.0, "wall_s": 1.0, "rss_mb": 400.0, "bytes": 30},
        "tongzhou aided 1m": large | {"cpu_s": 0.5, "wall_s": 0.4, "rss_mb": 300.0, "bytes": 20},
        "tongzhou dh 20k": small | {"cpu_s": 8.0},
        "spu rr22 1m": {"cpu_s": 8.0, "wall_s": 5.0, "rss_mb": 600.0, "bytes": 60},
    }
    assert match.figures(subjects) == {
        "pair_vs_rr22": 0.25,
        "aided_vs_rr22": 0.0625,
        "pair_wall_vs_rr22": 0.2,
        "pair_bytes_vs_rr22": 0.5,
        "pair_rss_mb": 400.0,
        "aided_rss_mb": 300.0,
        "dh_ids_per_cpu_s": 5000.0,
        "vole_ids_per_cpu_s": 1e6,
        "aided_ids_per_cpu_s": 4e6,
    }
    subjects["spu rr22 1m"] = {"skipped": "cannot be installed here"}
    empty = {name for name, value in match.figures(subjects).items() if value is None}
    assert empty == {"pair_vs_rr22", "aided_vs_rr22", "pair_wall_vs_rr22", "pair_bytes_vs_rr22"}


def test_figures_of_graphs() -> None:
    subjects = {
        "tongzhou risk": {"cpu_s": 2.5, "bytes": 5_000_000},
        "scipy risk": {"cpu_s": 0.05, "gap": 2e-5},
        "tongzhou reach": {"cpu_s": 2.0, "bytes": 1},
        "scipy reach": {"skipped": "no SciPy here"},
    }
    assert graph.figures(subjects) == {
        "graph_risk_cpu_s": 2.5,
        "graph_risk_mb": 5.0,
        "graph_risk_vs_scipy": 50.0,
        "graph_risk_gap": 2e-5,
        "graph_reach_cpu_s": 2.0,
        "graph_reach_vs_scipy": None,
    }


def test_figures_of_the_card() -> None:
    found = card.figures(
        {
            "tongzhou one row": {"rows": 1000, "wall_s": 0.004},
            "tongzhou table": {"rows": 10**6, "wall_s": 0.5},
        }
    )
    assert found == {"one_row_us": 4.0, "table_rows_per_s": 2e6}


@pytest.fixture
def boosted() -> dict:
    found = {}
    for depth, cpu_s, auc in ((3, 2.8, 0.776), (5, 13.2, 0.779)):
        found[f"tongzhou depth {depth}"] = subject(30_000, cpu_s) | {"trees": 10}
        for trees in (10, 50):
            setting = f"held out depth {depth} trees {trees}"
            found[f"tongzhou {setting}"] = subject(19_200, 1.0, 0.5) | {"auc_by_fold": [0.7702, 0.7804]}
            found[f"reference {setting}"] = subject(19_200, 1.0, auc) | {"auc_by_fold": [0.77, 0.78, 0.79]}
            found[f"lightgbm {setting}"] = subject(19_200, 0.1, 0.778)
    return found


def test_figures_of_boosting(boosted: dict) -> None:
    """CPU a tree at the depth where it is worse; means of AUC, and ours against the reference."""
    found = boosting.figures(boosted)
    assert found == {
        "aided_vs_sgb": pytest.approx(0.1),
        "pair_vs_sgb": None,
        "auc_gap": pytest.approx(0.0017),
    }
    boosted["tongzhou depth 3"]["cpu_s"] = 28.0
    assert boosting.figures(boosted)["aided_vs_sgb"] == pytest.approx(0.5)


def test_both_depths_are_needed(boosted: dict) -> None:
    boosted["tongzhou depth 5"] = {"skipped": "it took longer than 240 s", "trees": 10}
    found = boosting.figures(boosted)
    assert found["aided_vs_sgb"] is None
    assert found["auc_gap"] is not None


@pytest.mark.parametrize("missing", ["lightgbm", "reference", "tongzhou held out"])
def test_no_gap_without_all_three(boosted: dict, missing: str) -> None:
    for name in boosted:
        if name.startswith(missing):
            boosted[name] = {"skipped": "not asked for"}
    assert boosting.figures(boosted)["auc_gap"] is None


def test_figures_of_statistics() -> None:
    kinds = ("correlation", "inflation", "group sums", "quantiles")
    subjects = {
        f"{who} {kind}": {"rows": 30_000, "cpu_s": cpu_s, "answer": [1.0, answer]}
        for kind in kinds
        for who, cpu_s, answer in (("tongzhou", 0.2, 2.5), ("numpy", 0.01, 2.0))
    }
    subjects["tongzhou comparisons"] = {"rows": 100_000, "cpu_s": 0.2}
    subjects["numpy quantiles"] = {"skipped": "it took longer than 120 s", "rows": 30_000}
    assert joint_statistics.figures(subjects) == {
        "correlation_cpu_vs_numpy": 20.0,
        "inflation_cpu_vs_numpy": 20.0,
        "group_sums_cpu_vs_numpy": 20.0,
        "quantiles_cpu_vs_numpy": None,
        "correlation_gap": 0.5,
        "inflation_gap": 0.5,
        "group_sums_gap": 0.5,
        "signs_per_cpu_s": 500_000.0,
    }


def many(cpu_s: float, size: int, **more: object) -> dict:
    return {"cpu_s": cpu_s, "bytes": size, "sums": 10, "institutions": 10} | more


def test_figures_of_many_institutions() -> None:
    found = federated.figures(
        {
            "tongzhou logistic": many(0.2, 5000, coefficients=[1.0, 2.0]),
            "tongzhou logistic, one leaves": many(0.3, 4500),
            "tongzhou boost": many(2.0, 20_000, auc=0.78),
            "tongzhou boost, one leaves": many(1.0, 18_000),
            "scikit-learn newton": {"cpu_s": 0.05},
            "NumPy": {"cpu_s": 0.04, "coefficients": [1.0, 2.5], "errors": [0.1, 0.25]},
            "scikit-learn boosting": {"cpu_s": 1.0, "auc": 0.781},
            "tongzhou sum of 3": many(0.012, 1, sums=4, institutions=3),
            "tongzhou sum of 50": {"skipped": "no room"},
        }
    )
    assert found == pytest.approx(
        {
            "federated_cpu_vs_sklearn_newton": 4.0,
            "federated_cpu_vs_numpy": 5.0,
            "federated_bytes_a_sum": 500.0,
            "federated_gap_in_errors": 2.0,
            "federated_cpu_one_leaves": 1.5,
            "federated_bytes_one_leaves": 0.9,
            "boost_cpu_vs_sklearn": 2.0,
            "boost_bytes_a_sum": 2000.0,
            "boost_auc_gap": 0.001,
            "boost_cpu_one_leaves": 0.5,
            "sum_cpu_ms_3": 1.0,
            "sum_cpu_ms_10": None,
            "sum_cpu_ms_50": None,
        }
    )


@pytest.mark.parametrize("name", sorted(command.BENCHES))
def test_without_subjects_there_are_no_figures(name: str) -> None:
    assert set(command.BENCHES[name].figures({}).values()) == {None}


@pytest.mark.parametrize("name", sorted(command.BENCHES))
def test_the_manual_explains_every_figure(name: str) -> None:
    text = MANUAL.read_text(encoding="utf-8")
    assert f"`{name}`" in text
    assert [figure for figure in command.BENCHES[name].figures({}) if f"`{figure}`" not in text] == []
