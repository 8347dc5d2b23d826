"""Joint logistic regression: ours by number of rows, beside scikit-learn and SPU on the same arrays."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.measures import bounded, ratio, rounded, run_json
from bench.peers_env import peers_python, spu_train
from bench.trio import ROLES, play
from bench.worlds import World, make_world
from tongzhou.risk.evaluation import auc

__all__ = ["SIZES", "TOLERANCE", "clear_fit", "figures", "joint_fit", "measure", "scored"]

SIZES = {"30k": 30_000, "100k": 100_000, "300k": 300_000, "1m": 1_000_000}
"""Rows by name."""

_QUICK_DIVISOR = 20
_REPEATS = 3
TOLERANCE = 1e-6
"""How short the gradient must be."""
_OURS_TIMEOUT_S = 90.0
_PEER_TIMEOUT_S = 120.0
# The default number of threads is measured where the bar is; elsewhere one thread is the stronger peer.
_DEFAULT_THREADS_SIZES = ("30k",)
_SPU_SIZE = "30k"
_DEFAULT_SOLVER = "lbfgs"
# Not what the library takes by itself, but its quickest for many rows and few columns.
_NEWTON = "newton-cholesky"
_AUC_DIGITS = 6

Subject = dict[str, Any]
Subjects = dict[str, Subject]


@dataclass(frozen=True)
class _Course:
    """What one run measures."""

    folder: Path
    quick: bool
    peers: bool

    @property
    def repeats(self) -> int:
        return 1 if self.quick else _REPEATS

    @property
    def sizes(self) -> dict[str, int]:
        return {name: rows // (_QUICK_DIVISOR if self.quick else 1) for name, rows in SIZES.items()}


def measure(folder: Path, *, quick: bool, peers: bool) -> Subjects:
    """Measure everything.

    Args:
        folder: empty; arrays go there.
        quick: one repeat, sizes divided by 20, no peer that must be installed.
        peers: whether peers of other environments run.
    """
    course = _Course(folder, quick, peers)
    subjects: Subjects = {}
    for name, rows in course.sizes.items():
        world = make_world(folder / name, rows)
        for subject, run in _runs(course, name, world).items():
            subjects[subject] = bounded(subject, course.repeats, run) | {"rows": rows}
    if "spu 30k" not in subjects:
        subjects["spu 30k"] = {
            "skipped": "not asked for" if not peers or quick else "cannot be installed here"
        }
    return subjects


def figures(subjects: Subjects) -> dict[str, float | None]:
    """The figures, from the subjects alone; ``None`` where a subject is missing."""

    def named(name: str) -> Subject:
        return subjects.get(name, {})

    ours, clear = named("tongzhou 30k"), named("scikit-learn one thread 30k")
    largest, middle, spu = named("tongzhou 1m"), named("tongzhou 100k"), named("spu 30k")
    return {
        "cpu_vs_sklearn": ratio(ours, named("scikit-learn 30k"), "cpu_s"),
        "cpu_vs_sklearn_one_thread": ratio(ours, clear, "cpu_s"),
        "cpu_vs_sklearn_one_thread_1m": ratio(largest, named("scikit-learn one thread 1m"), "cpu_s"),
        "cpu_vs_sklearn_newton_one_thread": ratio(ours, named("scikit-learn newton one thread 30k"), "cpu_s"),
        "wall_vs_sklearn_one_thread": ratio(ours, clear, "wall_s"),
        "growth_1m_vs_100k": ratio(_per_row(largest), _per_row(middle), "cpu_s"),
        "rss_mb_1m": largest.get("rss_mb"),
        "auc_gap": _largest_gap(subjects),
        "cpu_vs_spu": ratio(ours, spu, "cpu_s"),
        "cpu_vs_spu_epoch": ratio(ours, {"cpu_s": spu.get("cpu_s_epoch")}, "cpu_s"),
        "auc_over_spu": rounded(ours["auc"] - spu["auc"]) if "auc" in ours and "auc" in spu else None,
    }


def _per_row(subject: Subject) -> Subject:
    return {"cpu_s": subject["cpu_s"] / subject["rows"]} if "cpu_s" in subject else {}


def _largest_gap(subjects: Subjects) -> float | None:
    """Between protected and clear, over all sizes that have both."""
    pairs = [
        (subjects.get(f"tongzhou {name}", {}), subjects.get(f"scikit-learn one thread {name}", {}))
        for name in SIZES
    ]
    gaps = [abs(ours["auc"] - clear["auc"]) for ours, clear in pairs if "auc" in ours and "auc" in clear]
    return rounded(max(gaps)) if gaps else None


def _runs(course: _Course, name: str, world: World) -> dict[str, Callable[[], Subject]]:
    """The subjects of one size."""
    runs = {
        f"tongzhou {name}": lambda: joint_fit(world, ROLES, "aided"),
        f"scikit-learn one thread {name}": lambda: clear_fit(world, "one", _DEFAULT_SOLVER),
        f"scikit-learn newton one thread {name}": lambda: clear_fit(world, "one", _NEWTON),
    }
    if name in _DEFAULT_THREADS_SIZES:
        runs[f"scikit-learn {name}"] = lambda: clear_fit(world, "default", _DEFAULT_SOLVER)
    if name == _SPU_SIZE and course.peers and not course.quick:
        python = peers_python()
        if python is not None:
            runs[f"spu {name}"] = lambda: _spu(python, world)
    return runs


def joint_fit(world: World, roles: Sequence[str], mode: str) -> Subject:
    """One joint regression; CPU of all parties together, memory of the largest.

    Args:
        world: the arrays.
        roles: who takes part, in the order in which they start.
        mode: trust mode.
    """
    arguments = (world.folder, world.rows, world.asker_columns, world.provider_columns, TOLERANCE)
    parts = play(["train", *map(str, arguments)], timeout_s=_OURS_TIMEOUT_S, roles=roles, mode=mode)
    asker, provider = parts["asker"], parts["provider"]
    return {
        "cpu_s": sum(part["cpu_s"] for part in parts.values()),
        "wall_s": max(part["wall_s"] for part in parts.values()),
        "rss_mb": max(part["rss_mb"] for part in parts.values()),
        "bytes": sum(part["bytes"] for part in parts.values()),
        "rounds": max(part["rounds"] for part in parts.values()),
        "auc": _auc(world, asker["coefficients"] + provider["coefficients"]),
        "steps": asker["steps"],
        "errors_cpu_s": sum(part["errors_cpu_s"] for part in parts.values()),
        "cpu_s_by_role": {role: rounded(part["cpu_s"]) for role, part in parts.items()},
        "rss_mb_by_role": {role: rounded(part["rss_mb"]) for role, part in parts.items()},
    }


def clear_fit(world: World, threads: str, solver: str) -> Subject:
    """One fit of scikit-learn on both owners' arrays in one place."""
    command = [sys.executable, "-m", "bench.sklearn_fit", str(world.folder), str(TOLERANCE), threads, solver]
    return scored(world, run_json(command, timeout_s=_PEER_TIMEOUT_S))


def _spu(python: Path, world: World) -> Subject:
    """One training of SPU between two processes."""
    return scored(world, spu_train(python, world.folder, timeout_s=_PEER_TIMEOUT_S))


def scored(world: World, found: Subject) -> Subject:
    """What a peer found, with the AUC of its weights in their place."""
    weights = found.pop("coefficients")
    found.pop("intercept")
    return found | {"auc": _auc(world, weights)}


def _auc(world: World, weights: Sequence[float]) -> float:
    """On the rows of the training; the intercept orders nothing."""
    split = world.asker_columns
    scores = world.block("asker") @ np.array(weights[:split]) + world.block("provider") @ np.array(
        weights[split:]
    )
    return round(auc(world.label(), scores), _AUC_DIGITS)
