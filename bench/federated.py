"""Joint models of ten institutions with the same columns, beside scikit-learn and NumPy on the pooled rows.

``python -m bench.federated KIND FOLDER`` is one pooled fit in a process of its own.
"""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bench.federated_job import BOOST, load
from bench.measures import Meter, bounded, peak_rss_mb, ratio, rounded, run_json
from bench.trio import play
from bench.worlds import base, make_world
from tongzhou.risk.evaluation import auc
from tongzhou.risk.logistic import fit_logistic
from tongzhou.secure.aggregation_settings import AggregationSettings
from tongzhou.secure.federated_tasks import AggregateInput, AggregateSettings, AggregateTask
from tongzhou.secure.party import provider_roles
from tongzhou.secure.simulate import simulate_parties

__all__ = ["INSTITUTIONS", "figures", "main", "measure"]

INSTITUTIONS = 10
"""Institutions with data, the asker among them."""

_ROWS = 30_000
_QUICK_INSTITUTIONS = 4
_QUICK_ROWS = 1200
_REPEATS = 3
_TIMEOUT_S = 120.0
_CIRCLES = (3, 10, 50)
_SUMS = 4
_LENGTH = 300
_KINDS = ("logistic", "boost")
_POOLED = ("scikit-learn newton", "NumPy", "scikit-learn boosting")
_LEAVER = "provider2"

Subject = dict[str, Any]
Subjects = dict[str, Subject]


def measure(folder: Path, *, quick: bool, peers: bool) -> Subjects:
    """Measure regressions and boosting of ten, the same with one that leaves, and the pooled rows.

    Args:
        folder: empty; arrays go there.
        quick: one repeat, four institutions, few rows, no circle of fifty.
        peers: scikit-learn is there in any case.
    """
    roles = _roles(_QUICK_INSTITUTIONS if quick else INSTITUTIONS)
    rows, repeats = (_QUICK_ROWS, 1) if quick else (_ROWS, _REPEATS)
    _divide(folder, rows, roles)
    subjects: Subjects = {}
    for kind in _KINDS:
        for name, leaves in ((f"tongzhou {kind}", "-"), (f"tongzhou {kind}, one leaves", _LEAVER)):
            run = partial(_ours, kind, folder, roles, leaves)
            subjects[name] = bounded(name, repeats, run) | {"rows": rows, "institutions": len(roles)}
    for name in _POOLED:
        subjects[name] = bounded(name, repeats, partial(_pooled, name, folder)) | {"rows": rows}
    for circle in _CIRCLES[: 2 if quick else None]:
        name = f"tongzhou sum of {circle}"
        run = partial(run_json, _command(str(circle), folder), timeout_s=_TIMEOUT_S)
        subjects[name] = bounded(name, repeats, run) | {"institutions": circle}
    return subjects


def figures(subjects: Subjects) -> dict[str, float | None]:
    """The figures, from the subjects alone; ``None`` where a subject is missing."""

    def named(name: str) -> Subject:
        return subjects.get(name, {})

    ours, trees = named("tongzhou logistic"), named("tongzhou boost")
    fewer, cut = named("tongzhou logistic, one leaves"), named("tongzhou boost, one leaves")
    sums = {f"sum_cpu_ms_{circle}": _per_sum(named(f"tongzhou sum of {circle}")) for circle in _CIRCLES}
    return {
        "federated_cpu_vs_sklearn_newton": ratio(ours, named("scikit-learn newton"), "cpu_s"),
        "federated_cpu_vs_numpy": ratio(ours, named("NumPy"), "cpu_s"),
        "federated_bytes_a_sum": _bytes_a_sum(ours),
        "federated_gap_in_errors": _gap(ours, named("NumPy")),
        "federated_cpu_one_leaves": ratio(fewer, ours, "cpu_s"),
        "federated_bytes_one_leaves": ratio(fewer, ours, "bytes"),
        "boost_cpu_vs_sklearn": ratio(trees, named("scikit-learn boosting"), "cpu_s"),
        "boost_bytes_a_sum": _bytes_a_sum(trees),
        "boost_auc_gap": _auc_gap(trees, named("scikit-learn boosting")),
        "boost_cpu_one_leaves": ratio(cut, trees, "cpu_s"),
        **sums,
    }


def main() -> None:
    """One repeat of a pooled fit, or of sums in one process: ``python -m bench.federated WHAT FOLDER``."""
    what, folder = sys.argv[1], Path(sys.argv[2])
    with threadpool_limits(1):
        found = _sums(int(what)) if what.isdigit() else _fit(what, folder)
    sys.stdout.write(json.dumps({"bytes": 0} | found | {"rss_mb": peak_rss_mb()}))


def _roles(institutions: int) -> list[str]:
    """In the order in which they start: the asker calls everybody."""
    return [*provider_roles(institutions - 1), "asker"]


def _divide(folder: Path, rows: int, roles: list[str]) -> None:
    """Rows of all institutions, and each one's: by credit limit, so that they are not alike.

    Regressions take weights of evidence, as `bench.worlds` makes them; boosting takes the values themselves.
    """
    world = make_world(folder / "pooled", rows)
    known, generator = base(), np.random.default_rng(rows)
    places = generator.integers(0, len(known.label), rows)
    tables = {
        "logistic": (np.hstack([world.block("asker"), world.block("provider")]), world.label()),
        "boost": (
            np.column_stack([values[places] for values in known.columns.values()]),
            known.label[places].astype(np.float64),
        ),
    }
    for kind, (values, label) in tables.items():
        order = np.argsort(values[:, 0] * (1 + 0.2 * generator.standard_normal(rows)))
        _save(folder, f"{kind}-pooled", values, label)
        for role, part in zip(roles, np.array_split(order, len(roles)), strict=True):
            _save(folder, f"{kind}-{role}", values[part], label[part])


def _save(folder: Path, name: str, values: Any, label: Any) -> None:
    np.save(folder / f"{name}.npy", values)
    np.save(folder / f"{name}-label.npy", label)


def _ours(kind: str, folder: Path, roles: list[str], leaves: str) -> Subject:
    """One job of processes over TLS; CPU of all together, memory of the largest."""
    parts = play(["federated", kind, str(folder), leaves], timeout_s=_TIMEOUT_S, roles=roles, mode="group")
    asker = parts["asker"]
    found = {
        "cpu_s": sum(part["cpu_s"] for part in parts.values()),
        "wall_s": max(part["wall_s"] for part in parts.values()),
        "rss_mb": max(part["rss_mb"] for part in parts.values()),
        "bytes": sum(part["bytes"] for part in parts.values()),
        "rounds": max(part["rounds"] for part in parts.values()),
        "sums": asker["sums"],
        "stayed": asker["stayed"],
    }
    if kind == "logistic":
        return found | {"coefficients": asker["coefficients"], "errors": asker["errors"]}
    there = [role for role in parts if role != leaves]
    label = np.concatenate([load(folder, f"{kind}-{role}")[1] for role in there])
    logits = np.concatenate([parts[role]["logits"] for role in there])
    return found | {"auc": float(auc(label.astype(int), logits))}


def _pooled(name: str, folder: Path) -> Subject:
    return run_json(_command(name, folder), timeout_s=_TIMEOUT_S)


def _command(what: str, folder: Path) -> list[str]:
    return [sys.executable, "-m", "bench.federated", what, str(folder)]


def _fit(name: str, folder: Path) -> Subject:
    """One fit of all rows in one place, on one thread; a small one goes first, unmeasured."""
    values, label = load(folder, "boost-pooled" if name == "scikit-learn boosting" else "logistic-pooled")
    fit = {
        "scikit-learn newton": _sklearn_newton,
        "NumPy": _numpy,
        "scikit-learn boosting": _sklearn_boosting,
    }
    fit[name](values[:1000], label[:1000])
    meter = Meter()
    found = fit[name](values, label)
    return meter.read() | found(values, label)


def _sklearn_newton(values: Any, label: Any) -> Any:
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 the process that needs it loads it

    model = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8, max_iter=100).fit(values, label)
    return lambda rows, marks: {"coefficients": model.coef_[0].tolist()}


def _numpy(values: Any, label: Any) -> Any:
    fit = fit_logistic(values, label.astype(int))
    return lambda rows, marks: {
        "coefficients": fit.coefficients.tolist(),
        "errors": fit.standard_errors.tolist(),
    }


def _sklearn_boosting(values: Any, label: Any) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier  # noqa: PLC0415 as above

    model = HistGradientBoostingClassifier(
        max_iter=BOOST["trees"],
        max_depth=BOOST["depth"],
        max_bins=BOOST["bins"],
        min_samples_leaf=BOOST["min_rows"],
        learning_rate=BOOST["rate"],
        max_leaf_nodes=None,
        early_stopping=False,
    ).fit(values, label)
    return lambda rows, marks: {"auc": float(auc(marks.astype(int), model.decision_function(rows)))}


def _sums(institutions: int) -> Subject:
    """Some sums of vectors among institutions of one process; a first one goes unmeasured."""
    roles = ("asker", *provider_roles(institutions - 1))
    given = {role: AggregateInput(np.ones((50, _LENGTH))) for role in roles}
    task = AggregateTask(AggregateSettings(AggregationSettings("bench", institutions), _LENGTH))
    simulate_parties("group", task, given)
    meter, sent = Meter(), 0
    for _ in range(_SUMS):
        done = simulate_parties("group", task, given)
        sent += sum(link.bytes_sent for links in done.traffic.values() for link in links.values())
    return meter.read() | {"bytes": sent, "sums": _SUMS}


def _per_sum(subject: Subject) -> float | None:
    """Milliseconds of CPU an institution and a sum, keys included."""
    if "cpu_s" not in subject:
        return None
    return rounded(1000 * subject["cpu_s"] / subject["sums"] / subject["institutions"])


def _bytes_a_sum(subject: Subject) -> float | None:
    return rounded(subject["bytes"] / subject["sums"]) if subject.get("sums") else None


def _gap(ours: Subject, pooled: Subject) -> float | None:
    """Largest difference of a coefficient to the pooled one, in its standard errors."""
    if "coefficients" not in ours or "errors" not in pooled:
        return None
    difference = np.abs(np.array(ours["coefficients"]) - np.array(pooled["coefficients"]))
    return rounded(float(np.max(difference / np.array(pooled["errors"]))))


def _auc_gap(ours: Subject, pooled: Subject) -> float | None:
    return rounded(abs(ours["auc"] - pooled["auc"])) if "auc" in ours and "auc" in pooled else None


if __name__ == "__main__":
    main()
