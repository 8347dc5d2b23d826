"""Statistics under a disclosure policy, against NumPy with both owners' columns in one place."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.measures import bounded, ratio, rounded, run_json
from bench.statistics_jobs import KINDS
from bench.trio import play
from bench.worlds import World, make_world

__all__ = ["figures", "measure"]

_ROWS = 30_000
_QUICK_ROWS = 2_000
_COMPARED = 100_000
_COMPARED_BITS = 63
_REPEATS = 3
_TIMEOUT_S = 120.0

Subject = dict[str, Any]
Subjects = dict[str, Subject]


def measure(folder: Path, *, quick: bool, peers: bool) -> Subjects:
    """Measure each kind of statistic, ours and NumPy's, and comparisons of shared numbers.

    Args:
        folder: empty; arrays go there.
        quick: one repeat of few rows.
        peers: there are none that must be installed.
    """
    world = make_world(folder / "world", _QUICK_ROWS if quick else _ROWS)
    repeats = 1 if quick else _REPEATS
    subjects: Subjects = {}
    for kind in KINDS:
        for who, run in (("tongzhou", _ours), ("numpy", _numpy)):
            found = bounded(f"{who} {kind}", repeats, partial(run, world, kind))
            subjects[f"{who} {kind}"] = found | {"rows": world.rows}
    count = _COMPARED // 100 if quick else _COMPARED
    subjects["tongzhou comparisons"] = bounded(
        "tongzhou comparisons", repeats, partial(_played, ["compare", str(count), str(_COMPARED_BITS)])
    ) | {"rows": count}
    return subjects


def figures(subjects: Subjects) -> dict[str, float | None]:
    """CPU of ours over NumPy's for each kind, how far the numbers differ, and signs a CPU second."""
    found: dict[str, float | None] = {}
    for kind in KINDS:
        ours, plain = (subjects.get(f"{who} {kind}") for who in ("tongzhou", "numpy"))
        found[f"{kind.replace(' ', '_')}_cpu_vs_numpy"] = ratio(ours, plain, "cpu_s")
    for kind in ("correlation", "inflation", "group sums"):
        found[f"{kind.replace(' ', '_')}_gap"] = _gap(subjects, kind)
    compared = subjects.get("tongzhou comparisons", {})
    cpu = compared.get("cpu_s")
    found["signs_per_cpu_s"] = rounded(compared["rows"] / cpu) if cpu else None
    return found


def _gap(subjects: Subjects, kind: str) -> float | None:
    """Largest difference from NumPy's numbers."""
    ours, plain = (subjects.get(f"{who} {kind}", {}).get("answer") for who in ("tongzhou", "numpy"))
    if not ours or not plain:
        return None
    return rounded(float(np.abs(np.array(ours) - np.array(plain)).max()))


def _ours(world: World, kind: str) -> Subject:
    shape = [str(world.rows), str(world.asker_columns), str(world.provider_columns)]
    return _played(["statistics", kind, str(world.folder), *shape])


def _played(job: list[str]) -> Subject:
    parts = play(job, timeout_s=_TIMEOUT_S)
    out = {
        "cpu_s": sum(part["cpu_s"] for part in parts.values()),
        "wall_s": max(part["wall_s"] for part in parts.values()),
        "rss_mb": max(part["rss_mb"] for part in parts.values()),
        "bytes": sum(part["bytes"] for part in parts.values()),
        "rounds": max(part["rounds"] for part in parts.values()),
    }
    answer = parts["asker"].get("answer")
    return out if answer is None else out | {"answer": answer}


def _numpy(world: World, kind: str) -> Subject:
    command = [sys.executable, "-m", "bench.statistics_jobs", kind, str(world.folder)]
    one_thread = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    return run_json(command, timeout_s=_TIMEOUT_S, environment=one_thread)
