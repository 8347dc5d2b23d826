"""Scoring by a card: one applicant at a time, and a million rows at once."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.measures import Meter, bounded, peak_rss_mb, rounded, run_json
from bench.worlds import Base, base
from tongzhou.risk.logistic import fit_logistic
from tongzhou.risk.scorecard import CardInput, Scorecard, build_scorecard

__all__ = ["figures", "main", "measure"]

_ROWS = 1_000_000
_SINGLE = 20_000
_QUICK_DIVISOR = 100
_REPEATS = 3
_TIMEOUT_S = 60.0
_KINDS = ("one row", "table")

Subject = dict[str, Any]
Subjects = dict[str, Subject]


def measure(folder: Path, *, quick: bool, peers: bool) -> Subjects:
    """Measure both ways to score, each repeat in a process of its own.

    Args:
        folder: not used.
        quick: one repeat, a hundredth of the rows.
        peers: there are none here yet.
    """
    divisor = _QUICK_DIVISOR if quick else 1
    subjects = {}
    for kind, rows in zip(_KINDS, (_SINGLE // divisor, _ROWS // divisor), strict=True):
        run = partial(_in_own_process, kind, rows)
        subjects[f"tongzhou {kind}"] = bounded(f"tongzhou {kind}", 1 if quick else _REPEATS, run) | {
            "rows": rows
        }
    return subjects


def figures(subjects: Subjects) -> dict[str, float | None]:
    """Microseconds a row one at a time, and rows a second at once."""
    single, table = (subjects.get(f"tongzhou {kind}", {}) for kind in _KINDS)
    return {
        "one_row_us": rounded(1e6 * single["wall_s"] / single["rows"]) if single.get("wall_s") else None,
        "table_rows_per_s": rounded(table["rows"] / table["wall_s"]) if table.get("wall_s") else None,
    }


def main() -> None:
    """One repeat: ``python -m bench.card KIND ROWS``."""
    kind, rows = sys.argv[1], int(sys.argv[2])
    known = base()
    card = _card(known)
    places = np.random.default_rng(rows).integers(0, len(known.label), rows)
    columns = {name: values[places] for name, values in known.columns.items()}
    measures = _score_singly(card, columns) if kind == _KINDS[0] else _score_at_once(card, columns)
    sys.stdout.write(json.dumps(measures | {"rss_mb": peak_rss_mb(), "bytes": 0}))


def _in_own_process(kind: str, rows: int) -> Subject:
    return run_json([sys.executable, "-m", "bench.card", kind, str(rows)], timeout_s=_TIMEOUT_S)


def _score_singly(card: Scorecard, columns: dict[str, Any]) -> Subject:
    names = list(columns)
    applicants = [dict(zip(names, values, strict=True)) for values in zip(*_lists(columns), strict=True)]
    card.score(applicants[0])
    meter = Meter()
    for applicant in applicants:
        card.score(applicant)
    return meter.read()


def _score_at_once(card: Scorecard, columns: dict[str, Any]) -> Subject:
    card.score_table({name: values[:10] for name, values in columns.items()})
    meter = Meter()
    card.score_table(columns)
    return meter.read()


def _lists(columns: dict[str, Any]) -> list[list[float]]:
    return [values.tolist() for values in columns.values()]


def _card(known: Base) -> Scorecard:
    """A card of all 23 variables."""
    weights = [
        np.array(known.tables[name].woe)[known.tables[name].bins.assign(values)]
        for name, values in known.columns.items()
    ]
    fit = fit_logistic(np.column_stack(weights), known.label)
    inputs = [
        CardInput(known.tables[name].bins, known.tables[name].woe, float(weight))
        for name, weight in zip(known.columns, fit.coefficients, strict=True)
    ]
    return build_scorecard("bench", inputs, float(fit.intercept))


if __name__ == "__main__":
    main()
