"""Features over two graphs: ours beside SciPy's sparse matrices on both graphs in the clear."""

import sys
from pathlib import Path
from typing import Any, Final

import numpy as np

from bench.measures import bounded, ratio, rounded, run_json
from bench.trio import play
from tongzhou.secure.graph_settings import undirected

__all__ = ["figures", "measure"]

_FEATURES: Final = ("risk", "reach")
_NODES, _CONTACTS, _ROUNDS = 100_000, {"asker": 300_000, "provider": 200_000}, 3
_FLAGGED_PART = 200
_QUICK_DIVISOR = 100
_REPEATS = 3
_TIMEOUT_S = 120.0
_SEED = 8

Subject = dict[str, Any]
Subjects = dict[str, Subject]


def measure(folder: Path, *, quick: bool, peers: bool) -> Subjects:
    """Measure risk and reach.

    Args:
        folder: empty; edges go there.
        quick: one repeat, a hundredth of nodes and edges.
        peers: whether SciPy runs, as it comes with what the benchmarks need.
    """
    divisor, repeats = (_QUICK_DIVISOR, 1) if quick else (1, _REPEATS)
    _write_graphs(folder, divisor)
    subjects: Subjects = {}
    for feature in _FEATURES:
        name = f"tongzhou {feature}"
        subjects[name] = bounded(name, repeats, lambda feature=feature: _ours(folder, feature, divisor))
        name = f"scipy {feature}"
        subjects[name] = bounded(name, repeats, lambda feature=feature: _scipy(folder, feature))
    return subjects


def figures(subjects: Subjects) -> dict[str, float | None]:
    """The figures, from the subjects alone; ``None`` where a subject is missing."""
    risk, reach = (subjects.get(f"tongzhou {feature}", {}) for feature in _FEATURES)
    return {
        "graph_risk_cpu_s": risk.get("cpu_s"),
        "graph_risk_mb": rounded(risk["bytes"] / 1e6) if "bytes" in risk else None,
        "graph_risk_vs_scipy": ratio(risk, subjects.get("scipy risk"), "cpu_s"),
        "graph_risk_gap": subjects.get("scipy risk", {}).get("gap") if "cpu_s" in risk else None,
        "graph_reach_cpu_s": reach.get("cpu_s"),
        "graph_reach_vs_scipy": ratio(reach, subjects.get("scipy reach"), "cpu_s"),
    }


def _ours(folder: Path, feature: str, divisor: int) -> Subject:
    """One joint run; CPU of all parties together, memory of the largest."""
    # Each contact is listed both ways; the bound is what both could have.
    bounds = [2 * contacts // divisor for contacts in _CONTACTS.values()]
    job = ["graph", str(folder), feature, *map(str, (_NODES // divisor, *bounds, _ROUNDS))]
    parts = play(job, timeout_s=_TIMEOUT_S)
    found = {
        "nodes": _NODES // divisor,
        "edges": sum(bounds) // 2,
        "cpu_s": sum(part["cpu_s"] for part in parts.values()),
        "wall_s": max(part["wall_s"] for part in parts.values()),
        "rss_mb": max(part["rss_mb"] for part in parts.values()),
        "bytes": sum(part["bytes"] for part in parts.values()),
        "rounds": max(part["rounds"] for part in parts.values()),
        "cpu_s_by_role": {role: rounded(part["cpu_s"]) for role, part in parts.items()},
    }
    return found | ({"reached": parts["asker"]["reached"]} if "reached" in parts["asker"] else {})


def _scipy(folder: Path, feature: str) -> Subject:
    command = [sys.executable, "-m", "bench.graph_clear", str(folder), feature, str(_ROUNDS)]
    found = run_json(command, timeout_s=_TIMEOUT_S)
    if feature == "risk" and (folder / "risk.npy").exists():
        ours, clear = (np.load(folder / name, allow_pickle=False) for name in ("risk.npy", "risk_clear.npy"))
        found["gap"] = float(np.abs(ours - clear).max())
    return found


def _write_graphs(folder: Path, divisor: int) -> None:
    """Contacts with few hubs and many ends; every two-hundredth node is flagged."""
    generator = np.random.default_rng(_SEED)
    nodes = _NODES // divisor
    for role, contacts in _CONTACTS.items():
        # A square of a uniform number makes low numbers common: degrees fall off as a power.
        ends = (generator.random((contacts // divisor, 2)) ** (2, 1) * nodes).astype(np.int64)
        np.save(folder / f"{role}_edges.npy", undirected(ends))
    flagged = np.zeros(nodes, dtype=np.int8)
    flagged[generator.permutation(nodes)[: nodes // _FLAGGED_PART]] = 1
    np.save(folder / "flagged.npy", flagged)
