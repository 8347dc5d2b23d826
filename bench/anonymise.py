"""Publishing a table: how fast both methods cut a million rows, and what they leave of a real table.

Rows are drawn from the bundled example with a seeded generator; ages and limits change a little, so that
drawn rows are no copies.
"""

import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.measures import Meter, bounded, peak_rss_mb, ratio, rounded, run_json
from tongzhou.data.example import bank_table
from tongzhou.risk.anonymise import Classes, Request, classes_of
from tongzhou.risk.anonymise_criteria import Closeness, Criterion, DistinctDiversity, Sensitive
from tongzhou.risk.anonymise_domains import Domain, category_domain, number_domain
from tongzhou.risk.anonymise_lattice import full_domain
from tongzhou.risk.anonymise_loss import measure_loss, query_errors
from tongzhou.risk.anonymise_mondrian import mondrian
from tongzhou.risk.anonymise_risk import measure_risk

__all__ = ["figures", "main", "measure"]

_K = 10
_SIZES = {"27k": 27_000, "100k": 100_000, "1m": 1_000_000}
_QUICK_DIVISOR = 100
_REPEATS = 3
_TIMEOUT_S = 300.0
_EDUCATION = {
    "0": ["unknown"], "1": ["higher"], "2": ["higher"], "3": ["school"], "4": ["other"], "5": ["unknown"],
    "6": ["unknown"],
}  # fmt: skip
_JOBS = {
    "mondrian 27k": ("mondrian", "k", "27k"),
    "mondrian 100k": ("mondrian", "k", "100k"),
    "mondrian 1m": ("mondrian", "k", "1m"),
    "mondrian l 1m": ("mondrian", "l", "1m"),
    "mondrian t 1m": ("mondrian", "t", "1m"),
    "full domain 27k": ("full-domain", "k", "27k"),
    "full domain 1m": ("full-domain", "k", "1m"),
    "full domain t 1m": ("full-domain", "t", "1m"),
}

Subject = dict[str, Any]
Subjects = dict[str, Subject]


def measure(folder: Path, *, quick: bool, peers: bool) -> Subjects:
    """Measure every job, each repeat in a process of its own.

    Args:
        folder: not used.
        quick: one repeat, a hundredth of the rows.
        peers: there are none here yet.
    """
    subjects = {}
    for name, (method, condition, size) in _JOBS.items():
        rows = _SIZES[size] // (_QUICK_DIVISOR if quick else 1)
        run = partial(_in_own_process, method, condition, rows)
        subjects[f"tongzhou {name}"] = bounded(name, 1 if quick else _REPEATS, run)
    return subjects


def figures(subjects: Subjects) -> dict[str, float | None]:
    """CPU seconds at a million rows, growth, and loss and risk of the example."""
    found: dict[str, float | None] = {}
    for name in ("mondrian", "mondrian_l", "mondrian_t", "full_domain", "full_domain_t"):
        found[f"{name}_1m_cpu_s"] = subjects.get(f"tongzhou {name.replace('_', ' ')} 1m", {}).get("cpu_s")
    large, small = (subjects.get(f"tongzhou mondrian {size}", {}) for size in ("1m", "100k"))
    growth = ratio(large, small, "cpu_s")
    found["mondrian_growth_1m_vs_100k"] = (
        rounded(growth * small["rows"] / large["rows"]) if growth is not None else None
    )
    for name in ("mondrian", "full_domain"):
        subject = subjects.get(f"tongzhou {name.replace('_', ' ')} 27k", {})
        for figure in ("penalty", "entropy", "query_median"):
            found[f"{name}_{figure}"] = subject.get(figure)
    return found


def main() -> None:
    """One repeat: ``python -m bench.anonymise METHOD CONDITION ROWS``."""
    method, condition, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
    request = _request(rows, condition, suppression=0.02 if method == "full-domain" else 0.0)
    cut: Callable[[Request], Classes] = mondrian if method == "mondrian" else full_domain
    meter = Meter()
    classes = cut(request)
    measured = meter.read()
    sys.stdout.write(
        json.dumps(
            measured | _quality(request, classes) | {"rss_mb": peak_rss_mb(), "bytes": 0, "rows": rows}
        )
    )


def _in_own_process(method: str, condition: str, rows: int) -> Subject:
    return run_json(
        [sys.executable, "-m", "bench.anonymise", method, condition, str(rows)], timeout_s=_TIMEOUT_S
    )


def _request(rows: int, condition: str, *, suppression: float) -> Request:
    table = bank_table()
    random = np.random.default_rng(rows)
    places = (
        np.arange(rows) % table.num_rows
        if rows <= table.num_rows
        else random.integers(0, table.num_rows, rows)
    )
    drawn = {
        name: table.column(name).to_numpy()[places]
        for name in ("age", "limit", "sex", "education", "marriage", "default")
    }
    age, limit = drawn["age"].astype(np.float64), drawn["limit"].astype(np.float64)
    if rows > table.num_rows:
        age += random.integers(-1, 2, rows)
        limit += 1000 * random.integers(0, 10, rows)
    texts = {
        name: drawn[name].astype(int).astype(str).tolist()
        for name in ("sex", "education", "marriage", "default")
    }
    quasi: tuple[Domain, ...] = (
        number_domain("age", age, [5, 10, 20]),
        number_domain("limit", limit, [10_000, 50_000, 100_000, 500_000]),
        category_domain("sex", texts["sex"]),
        category_domain("education", texts["education"], _EDUCATION),
        category_domain("marriage", texts["marriage"]),
    )
    default = category_domain("default", texts["default"])
    criteria: dict[str, tuple[Criterion, ...]] = {
        "k": (),
        "l": (DistinctDiversity(2),),
        "t": (Closeness(0.2, "equal", default),),
    }
    return Request(quasi, (Sensitive(default, criteria[condition]),), _K, suppression)


def _quality(request: Request, classes: Classes) -> Subject:
    loss = measure_loss(request.quasi, classes, request.k)
    queries = query_errors(request.quasi, classes)
    of, groups = classes_of([domain.codes for domain in request.quasi])
    before = measure_risk(np.bincount(of, minlength=groups))
    return {
        "classes": int(classes.sizes.size),
        "smallest": int(classes.sizes.min()),
        "suppressed": classes.suppressed,
        "penalty": rounded(loss.penalty),
        "entropy": rounded(loss.entropy),
        "discernibility": loss.discernibility,
        "query_median": rounded(queries.median),
        "query_mean": rounded(queries.mean),
        "unique_before": rounded(before.unique),
        "risk_mean": rounded(measure_risk(classes.sizes).prosecutor.mean),
        "levels": list(classes.levels or ()),
    }


if __name__ == "__main__":
    main()
