"""Joint boosted trees: ours beside SecretFlow's SGB as recorded, and beside LightGBM in the clear."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from bench.measures import Meter, bounded, peak_rss_mb, ratio, rounded, run_json
from bench.trio import play
from bench.worlds import World, make_fold, make_raw_world
from tongzhou.risk.evaluation import auc
from tongzhou.secure.boost_settings import BoostSettings
from tongzhou.secure.boost_tasks import BoostScoreInput, BoostScoreTask, BoostTask
from tongzhou.secure.logistic import OwnerBlock

__all__ = ["DEPTHS", "SGB_CPU_S_A_TREE", "figures", "measure"]

DEPTHS: Final = (3, 5)
"""Depths of the trees."""

SGB_CPU_S_A_TREE: Final = {3: 5.6, 5: 13.2}
"""CPU seconds a tree of SecretFlow 1.11.0b1's SGB (Okamoto–Uchiyama, 2048 bits), by depth.

Recorded on a machine of this kind (two cores of an AMD EPYC, November 2026), 10 trees on 30,000 rows and
13 + 10 columns, 32 bins, both parties together, start-up included; wall 3.40 and 7.68 s a tree, 542 and
568 MB. It needs an environment of its own with hundreds of packages, so it is not run again here.
"""

_ROWS, _TREES = 30_000, 10
_HELD_OUT_ROWS, _FOLDS, _TURNS, _HELD_OUT_TREES = 24_000, 5, 4, (10, 50)
_QUICK_DIVISOR = 20
_REPEATS = 3
_PROTECTED_FOLDS = 3
"""Folds that are trained under protection too."""
_TIMEOUT_S = 240.0
_AUC_DIGITS = 6

Subject = dict[str, Any]
Subjects = dict[str, Subject]
_Run = Callable[[World, int, int], Subject]


def measure(folder: Path, *, quick: bool, peers: bool) -> Subjects:
    """Measure the work, and the AUC on held-out folds.

    Args:
        folder: empty; arrays go there.
        quick: one repeat, a twentieth of the rows, two folds, few trees.
        peers: whether LightGBM runs; SecretFlow's figures are recorded ones.
    """
    divisor, trees = (_QUICK_DIVISOR, 2) if quick else (1, _TREES)
    world = make_raw_world(folder / "work", _ROWS // divisor)
    subjects: Subjects = {}
    for depth in DEPTHS:
        name = f"tongzhou depth {depth}"
        subjects[name] = bounded(
            name, 1 if quick else _REPEATS, lambda depth=depth: _ours(world, trees, depth)
        )
    folds, turns, counts = (2, 1, (2,)) if quick else (_FOLDS, _TURNS, _HELD_OUT_TREES)
    worlds = [
        make_fold(folder / f"fold {fold}", fold, folds, _HELD_OUT_ROWS // divisor)
        for fold in range(folds * turns)
    ]
    for depth in DEPTHS:
        for count in counts:
            _held_out(subjects, worlds, count, depth, peers=peers)
    return subjects


def figures(subjects: Subjects) -> dict[str, float | None]:
    """The figures, from the subjects alone; ``None`` where a subject is missing."""
    return {
        "aided_vs_sgb": _against_sgb(subjects, "tongzhou"),
        "pair_vs_sgb": _against_sgb(subjects, "tongzhou pair"),
        "auc_gap": _gap(subjects),
    }


def _against_sgb(subjects: Subjects, ours: str) -> float | None:
    """CPU a tree over SGB's, at the depth where it is worse."""
    found = []
    for depth, recorded in SGB_CPU_S_A_TREE.items():
        subject = subjects.get(f"{ours} depth {depth}", {})
        if "cpu_s" in subject:
            found.append(ratio({"cpu_s": subject["cpu_s"] / subject["trees"]}, {"cpu_s": recorded}, "cpu_s"))
    values = [one for one in found if one is not None]
    return max(values) if len(values) == len(SGB_CPU_S_A_TREE) else None


def _gap(subjects: Subjects) -> float | None:
    """Largest difference of AUC between ours and LightGBM, over all depths and numbers of trees.

    The mean over all folds is the reference's, corrected by how far protected training is from it on the
    folds that both had.
    """
    gaps = []
    for name, ours in subjects.items():
        if not name.startswith("tongzhou held out"):
            continue
        clear, peer = (subjects.get(name.replace("tongzhou", who), {}) for who in ("reference", "lightgbm"))
        if all("auc" in one for one in (ours, clear, peer)):
            pairs = list(zip(ours["auc_by_fold"], clear["auc_by_fold"], strict=False))
            correction = sum(one - other for one, other in pairs) / len(pairs)
            gaps.append(abs(clear["auc"] + correction - peer["auc"]))
    return rounded(max(gaps)) if gaps else None


def _held_out(subjects: Subjects, worlds: list[World], trees: int, depth: int, *, peers: bool) -> None:
    """AUC on rows that were not trained on: protected on a few folds, in the clear and LightGBM on all."""
    setting = f"held out depth {depth} trees {trees}"
    runs: dict[str, tuple[_Run, list[World]]] = {
        f"tongzhou {setting}": (_ours, worlds[:_PROTECTED_FOLDS]),
        f"reference {setting}": (_reference, worlds),
        f"lightgbm {setting}": (_lightgbm, worlds if peers else []),
    }
    for name, (run, chosen) in runs.items():
        subjects[name] = {"skipped": "not asked for"}
        if chosen:
            subjects[name] = bounded(name, 1, partial(_over_folds, run, chosen, trees, depth))


def _ours(world: World, trees: int, depth: int) -> Subject:
    """One joint training; CPU of all parties together, memory of the largest."""
    arguments = (world.folder, world.rows, world.asker_columns, world.provider_columns, trees, depth)
    parts = play(["boost", *map(str, arguments)], timeout_s=_TIMEOUT_S)
    found = {
        "rows": world.rows,
        "trees": trees,
        "cpu_s": sum(part["cpu_s"] for part in parts.values()),
        "wall_s": max(part["wall_s"] for part in parts.values()),
        "rss_mb": max(part["rss_mb"] for part in parts.values()),
        "bytes": sum(part["bytes"] for part in parts.values()),
        "rounds": max(part["rounds"] for part in parts.values()),
        "cpu_s_by_role": {role: rounded(part["cpu_s"]) for role, part in parts.items()},
    }
    return found | ({"auc": parts["asker"]["auc"]} if "auc" in parts["asker"] else {})


def _reference(world: World, trees: int, depth: int) -> Subject:
    """The same training in mode local."""
    meter = Meter()
    blocks = [
        OwnerBlock(values, [str(place) for place in range(values.shape[1])], label)
        for values, label in ((world.block("asker"), world.label()), (world.block("provider"), None))
    ]
    split = world.asker_columns, world.provider_columns
    parts = BoostTask(BoostSettings(world.rows, *split, trees=trees, depth=depth)).clear(*blocks)
    found = meter.read() | {"rss_mb": peak_rss_mb(), "rows": world.rows, "trees": trees}
    new = [
        BoostScoreInput(world.block(f"new_{role}"), part.model)
        for role, part in zip(("asker", "provider"), parts, strict=True)
    ]
    label = world.block("new_label")
    scores, _ = BoostScoreTask(len(label), trees, depth).clear(*new)
    return found | {"auc": auc(label, scores)}


def _lightgbm(world: World, trees: int, depth: int) -> Subject:
    command = [sys.executable, "-m", "bench.lightgbm_fit", str(world.folder), str(trees), str(depth)]
    return run_json(command, timeout_s=_TIMEOUT_S) | {"rows": world.rows, "trees": trees}


def _over_folds(run: _Run, worlds: list[World], trees: int, depth: int) -> Subject:
    """AUC averaged over folds, each fold's beside it; work added up."""
    parts = [run(world, trees, depth) for world in worlds]
    aucs = [part["auc"] for part in parts]
    return {
        "rows": parts[0]["rows"],
        "trees": parts[0]["trees"],
        "cpu_s": sum(part["cpu_s"] for part in parts),
        "wall_s": sum(part["wall_s"] for part in parts),
        "rss_mb": max(part["rss_mb"] for part in parts),
        "bytes": sum(part.get("bytes", 0) for part in parts),
        "auc": round(sum(aucs) / len(aucs), _AUC_DIGITS),
        "auc_by_fold": [round(one, _AUC_DIGITS) for one in aucs],
    }
