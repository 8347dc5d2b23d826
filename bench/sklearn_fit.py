"""scikit-learn on the same arrays, in a process of its own.

``python -m bench.sklearn_fit FOLDER TOLERANCE THREADS SOLVER``, where THREADS is ``default`` (the library
decides) or ``one`` and SOLVER one of the library's. The fit has no penalty, as the joint training has none. A
small fit goes first, unmeasured.
"""

import json
import sys
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from bench.measures import Meter, peak_rss_mb

__all__ = ["main"]

_MOST_STEPS = 10_000
_WARM_ROWS = 500


def main() -> None:
    """Fit once and print the measures."""
    folder, tolerance, threads, solver = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4]
    values = np.hstack(
        [np.load(folder / f"{role}.npy", allow_pickle=False) for role in ("asker", "provider")]
    )
    label = np.load(folder / "label.npy", allow_pickle=False)
    with threadpool_limits(1) if threads == "one" else nullcontext():
        generator = np.random.default_rng(_WARM_ROWS)
        warm = generator.standard_normal((_WARM_ROWS, 4))
        _model(tolerance, solver).fit(warm, warm[:, 0] + generator.logistic(size=_WARM_ROWS) > 0)
        meter = Meter()
        model = _model(tolerance, solver).fit(values, label)
        measures = meter.read()
    result = measures | {
        "rss_mb": peak_rss_mb(),
        "bytes": 0,
        "steps": int(model.n_iter_[0]),
        "intercept": float(model.intercept_[0]),
        "coefficients": model.coef_[0].tolist(),
    }
    sys.stdout.write(json.dumps(result))


def _model(tolerance: float, solver: str) -> LogisticRegression:
    return LogisticRegression(C=np.inf, solver=solver, tol=tolerance, max_iter=_MOST_STEPS)


if __name__ == "__main__":
    main()
