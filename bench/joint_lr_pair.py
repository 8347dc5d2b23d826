"""Joint logistic regression of two owners with nobody else, beside one epoch of SPU's CHEETAH."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.joint_lr import clear_fit, joint_fit, scored
from bench.measures import bounded, ratio, rounded
from bench.peers_env import peers_python, spu_train
from bench.worlds import World, make_world, split_world

__all__ = ["figures", "measure"]

_ROWS, _QUICK_ROWS = 30_000, 1500
_EVEN_COLUMNS = 13
_REPEATS = 3
_ROLES = ("provider", "asker")
_SPU_TIMEOUT_S = 240.0

Subject = dict[str, Any]
Subjects = dict[str, Subject]


def measure(folder: Path, *, quick: bool, peers: bool) -> Subjects:
    """Measure everything.

    Args:
        folder: empty; arrays go there.
        quick: one repeat, few rows, no peer that must be installed.
        peers: whether peers of other environments run.
    """
    rows = _QUICK_ROWS if quick else _ROWS
    world = make_world(folder / "uneven", rows)
    even = split_world(world, folder / "even", _EVEN_COLUMNS)
    runs: dict[str, Callable[[], Subject]] = {
        "tongzhou pair 5+18": lambda: joint_fit(world, _ROLES, "pair"),
        "tongzhou pair 13+10": lambda: joint_fit(even, _ROLES, "pair"),
        "scikit-learn one thread": lambda: clear_fit(world, "one", "lbfgs"),
    }
    python = peers_python() if peers and not quick else None
    if python is not None:
        runs["spu cheetah, one epoch"] = lambda: _cheetah(python, world)
    repeats = 1 if quick else _REPEATS
    subjects = {name: bounded(name, repeats, run) | {"rows": rows} for name, run in runs.items()}
    if python is None:
        why = "not asked for" if not peers or quick else "cannot be installed here"
        subjects["spu cheetah, one epoch"] = {"skipped": why}
    return subjects


def figures(subjects: Subjects) -> dict[str, float | None]:
    """The figures, from the subjects alone; ``None`` where a subject is missing."""
    ours, even = subjects.get("tongzhou pair 5+18"), subjects.get("tongzhou pair 13+10")
    clear, cheetah = subjects.get("scikit-learn one thread"), subjects.get("spu cheetah, one epoch")
    return {
        "cpu_vs_cheetah": ratio(ours, cheetah, "cpu_s"),
        "cpu_vs_cheetah_even": ratio(even, cheetah, "cpu_s"),
        "bytes_vs_cheetah": ratio(ours, cheetah, "bytes"),
        "wall_vs_cheetah": ratio(ours, cheetah, "wall_s"),
        "pair_auc_gap": _largest_gap([ours, even], clear),
    }


def _largest_gap(protected: list[Subject | None], clear: Subject | None) -> float | None:
    found = [
        abs(one["auc"] - clear["auc"])
        for one in protected
        if one and clear and "auc" in one and "auc" in clear
    ]
    return rounded(max(found)) if found else None


def _cheetah(python: Path, world: World) -> Subject:
    return scored(
        world, spu_train(python, world.folder, timeout_s=_SPU_TIMEOUT_S, protocol="CHEETAH", epochs=1)
    )
