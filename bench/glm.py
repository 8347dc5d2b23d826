"""Joint Poisson and Gamma regression: ours beside scikit-learn on one thread, on the same arrays.

The variables are those of the joint logistic regression. Counts and amounts are made from them with a seeded
generator, with effects of the size that pricing sees.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from bench.measures import bounded, ratio, rounded, run_json
from bench.trio import play
from bench.worlds import World, make_world

__all__ = ["figures", "measure"]

_ROWS = 30_000
_FAMILIES = ("poisson", "gamma")
_QUICK_DIVISOR = 20
_REPEATS = 3
_TOLERANCE = 3e-6
_TIMEOUT_S = 90.0
_SOLVERS = {"": "lbfgs", " newton": "newton-cholesky"}
"""What the library takes by itself, and its quickest for many rows and few columns."""
_SEED, _EFFECT, _BASE, _SHAPE = 1989, 0.6, -1.5, 0.8

Subject = dict[str, Any]
Subjects = dict[str, Subject]


def measure(folder: Path, *, quick: bool, peers: bool) -> Subjects:
    """Measure both families.

    Args:
        folder: empty; arrays go there.
        quick: one repeat, a twentieth of the rows.
        peers: no matter: scikit-learn is always here.
    """
    subjects: Subjects = {}
    repeats = 1 if quick else _REPEATS
    for family in _FAMILIES:
        world = _insured(folder / family, _ROWS // (_QUICK_DIVISOR if quick else 1), family)
        name = f"tongzhou {family}"
        subjects[name] = bounded(name, repeats, lambda f=family, w=world: _ours(w, f))
        for suffix, solver in _SOLVERS.items():
            name = f"scikit-learn{suffix} one thread {family}"
            subjects[name] = bounded(name, repeats, lambda f=family, w=world, s=solver: _clear(w, f, s))
    return subjects


def figures(subjects: Subjects) -> dict[str, float | None]:
    """The figures, from the subjects alone; ``None`` where a subject is missing."""
    found: dict[str, float | None] = {}
    for family in _FAMILIES:
        ours = subjects.get(f"tongzhou {family}", {})
        for suffix in _SOLVERS:
            clear = subjects.get(f"scikit-learn{suffix} one thread {family}", {})
            key = f"{family}_cpu_vs_sklearn{suffix.replace(' ', '_')}_one_thread"
            found[key] = ratio(ours, clear, "cpu_s")
        found[f"{family}_coefficient_gap"] = _gap(
            ours, subjects.get(f"scikit-learn newton one thread {family}", {})
        )
    return found


def _gap(ours: Subject, clear: Subject) -> float | None:
    """Largest difference of two coefficients."""
    if "coefficients" not in ours or "coefficients" not in clear:
        return None
    return rounded(float(np.abs(np.subtract(ours["coefficients"], clear["coefficients"])).max()))


def _insured(folder: Path, rows: int, family: str) -> World:
    """A world whose label is a count or an amount; ``exposure.npy (n,)`` stands beside it."""
    world = make_world(folder, rows)
    values = np.hstack([world.block("asker"), world.block("provider")])
    generator = np.random.default_rng([_SEED, rows])
    effects = values @ generator.normal(size=values.shape[1]) / np.sqrt(values.shape[1])
    means = np.exp(_EFFECT * effects / effects.std() + _BASE)
    if family == "poisson":
        exposure = generator.uniform(0.1, 1.0, rows)
        outcome = generator.poisson(exposure * means).astype(np.float64)
    else:
        exposure = np.ones(rows)
        outcome = means * generator.gamma(_SHAPE, 1 / _SHAPE, rows)
    np.save(folder / "label.npy", outcome)
    np.save(folder / "exposure.npy", exposure)
    return world


def _ours(world: World, family: str) -> Subject:
    """One joint regression; CPU of all parties together, memory of the largest."""
    arguments = (family, world.folder, world.rows, world.asker_columns, world.provider_columns, _TOLERANCE)
    parts = play(["glm", *map(str, arguments)], timeout_s=_TIMEOUT_S)
    asker, provider = parts["asker"], parts["provider"]
    return {
        "cpu_s": sum(part["cpu_s"] for part in parts.values()),
        "wall_s": max(part["wall_s"] for part in parts.values()),
        "rss_mb": max(part["rss_mb"] for part in parts.values()),
        "bytes": sum(part["bytes"] for part in parts.values()),
        "rounds": max(part["rounds"] for part in parts.values()),
        "coefficients": asker["coefficients"] + provider["coefficients"],
        "steps": asker["steps"],
        "rows": world.rows,
        "cpu_s_by_role": {role: rounded(part["cpu_s"]) for role, part in parts.items()},
    }


def _clear(world: World, family: str, solver: str) -> Subject:
    """One fit of scikit-learn on both owners' arrays in one place."""
    command = [sys.executable, "-m", "bench.sklearn_glm", str(world.folder), family, solver]
    return run_json(command, timeout_s=_TIMEOUT_S) | {"rows": world.rows}
