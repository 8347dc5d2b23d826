"""scikit-learn's Poisson and Gamma regression on the same arrays, in a process of its own, on one thread.

``python -m bench.sklearn_glm FOLDER FAMILY SOLVER``. The fit has no penalty. A small fit goes first,
unmeasured.
"""

import json
import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import GammaRegressor, PoissonRegressor
from threadpoolctl import threadpool_limits

from bench.measures import Meter, peak_rss_mb

__all__ = ["main"]

_MOST_STEPS = 10_000
_TOLERANCE = 1e-6
_WARM_ROWS = 500


def main() -> None:
    """Fit once and print the measures."""
    folder, family, solver = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    values = np.hstack(
        [np.load(folder / f"{role}.npy", allow_pickle=False) for role in ("asker", "provider")]
    )
    outcome, exposure = (
        np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("label", "exposure")
    )
    if family == "poisson":
        outcome = outcome / exposure
    kind = PoissonRegressor if family == "poisson" else GammaRegressor
    with threadpool_limits(1):
        generator = np.random.default_rng(_WARM_ROWS)
        warm = generator.standard_normal((_WARM_ROWS, 4))
        kind(alpha=0, solver=solver).fit(warm, generator.uniform(1, 2, _WARM_ROWS))
        meter = Meter()
        model = kind(alpha=0, solver=solver, tol=_TOLERANCE, max_iter=_MOST_STEPS)
        model.fit(values, outcome, sample_weight=exposure)
        measures = meter.read()
    result = measures | {
        "rss_mb": peak_rss_mb(),
        "bytes": 0,
        "steps": int(model.n_iter_),
        "intercept": float(model.intercept_),
        "coefficients": model.coef_.tolist(),
    }
    sys.stdout.write(json.dumps(result))


if __name__ == "__main__":
    main()
