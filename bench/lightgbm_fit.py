"""One fit of LightGBM on both owners' arrays: ``python -m bench.lightgbm_fit FOLDER TREES DEPTH``.

One thread, the settings of ours: bins, rate, depth, penalty and least child weight. It prints its measures
and the AUC on the new rows of the folder as JSON.
"""

import json
import sys
from pathlib import Path

import numpy as np

from bench.measures import Meter, peak_rss_mb
from tongzhou.risk.evaluation import auc

__all__ = ["main"]

_BINS = 32
_RATE = 0.3


def main() -> None:
    """Fit, measure, score the new rows."""
    import lightgbm  # noqa: PLC0415  where it is missing only this process says so

    folder, trees, depth = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    values, new = (
        np.hstack([np.load(folder / f"{prefix}{role}.npy") for role in ("asker", "provider")])
        for prefix in ("", "new_")
    )
    settings = {
        "objective": "binary",
        "max_depth": depth,
        "num_leaves": 1 << depth,
        "max_bin": _BINS,
        "learning_rate": _RATE,
        "lambda_l2": 1.0,
        "min_sum_hessian_in_leaf": 1.0,
        "min_data_in_leaf": 1,
        "num_threads": 1,
        "verbose": -1,
    }
    meter = Meter()
    model = lightgbm.train(settings, lightgbm.Dataset(values, np.load(folder / "label.npy")), trees)
    found = meter.read() | {"rss_mb": peak_rss_mb()}
    found["auc"] = auc(np.load(folder / "new_label.npy"), np.asarray(model.predict(new)))
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
