"""scikit-learn's logistic regression, timed in a process of its own: the reference for the joint training.

``python -m tongzhou.demo.reference IN.npz OUT.json`` fits three times with the library's defaults and three
times on one thread, at the tolerance of the joint training and without a penalty. It makes the same passes as
the joint training did: one for each set of variables.
"""

import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

__all__ = ["main"]

_REPEATS = 3
_MOST_STEPS = 10_000


def main() -> None:
    """Fit, time and write coefficients."""
    source, target = map(Path, sys.argv[1:3])
    with np.load(source) as data:
        label, tolerance = data["label"], float(data["tolerance"])
        passes = [np.ascontiguousarray(data["values"][:, chosen]) for chosen in data["passes"]]
    default_s, model = _timed(passes, label, tolerance)
    with threadpool_limits(1):
        single_s, _ = _timed(passes, label, tolerance)
    result = {
        "cpu_s": default_s,
        "cpu_s_one_thread": single_s,
        "coefficients": model.coef_[0].tolist(),
        "intercept": float(model.intercept_[0]),
        "steps": int(model.n_iter_[0]),
    }
    target.write_text(json.dumps(result), encoding="utf-8")


def _timed(passes: list[Any], label: Any, tolerance: float) -> tuple[float, Any]:
    """Median CPU seconds of all passes together, and the model of the last."""
    seconds = []
    for _ in range(_REPEATS):
        start = time.process_time()
        for values in passes:
            model = LogisticRegression(C=np.inf, tol=tolerance, max_iter=_MOST_STEPS)
            model.fit(values, label)
        seconds.append(time.process_time() - start)
    return statistics.median(seconds), model


if __name__ == "__main__":
    main()
