"""Both graphs in one place, nothing protected: ``python -m bench.graph_clear FOLDER FEATURE ROUNDS``.

SciPy's sparse matrices in a process of its own: what an analyst would write. Building the matrices counts, as
telling the orders counts with ours. Risks go to ``risk_clear.npy``.
"""

import json
import sys
from pathlib import Path

import numpy as np
from scipy import sparse

from bench.measures import Meter, peak_rss_mb

__all__ = ["main"]

_DAMPING = 0.5


def main() -> None:
    """Compute once and print the measures."""
    folder, feature, rounds = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    flagged = np.load(folder / "flagged.npy", allow_pickle=False).astype(np.float64)
    edges = [
        np.load(folder / f"{role}_edges.npy", allow_pickle=False).astype(np.int32)
        for role in ("asker", "provider")
    ]
    meter = Meter()
    matrices = [_matrix(one, len(flagged)) for one in edges]
    found = _risk(matrices, flagged, rounds) if feature == "risk" else _reach(matrices, flagged, rounds)
    out = meter.read() | {"rss_mb": peak_rss_mb(), "bytes": 0}
    if feature == "risk":
        np.save(folder / "risk_clear.npy", found)
    else:
        out["reached"] = int(found.sum())
    sys.stdout.write(json.dumps(out))


def _matrix(edges: np.ndarray, nodes: int) -> sparse.csr_array:
    return sparse.csr_array((np.ones(len(edges)), (edges[:, 1], edges[:, 0])), shape=(nodes, nodes))


def _risk(matrices: list[sparse.csr_array], flagged: np.ndarray, rounds: int) -> np.ndarray:
    scales = [_DAMPING / len(matrices) / np.maximum(np.diff(one.indptr), 1) for one in matrices]
    risk = flagged
    for _ in range(rounds):
        spread = sum(scale * (one @ risk) for scale, one in zip(scales, matrices, strict=True))
        risk = (1 - _DAMPING) * flagged + spread
    return risk


def _reach(matrices: list[sparse.csr_array], flagged: np.ndarray, rounds: int) -> np.ndarray:
    reached = flagged
    for _ in range(rounds):
        reached = ((reached + sum(one @ reached for one in matrices)) > 0).astype(np.float64)
    return reached


if __name__ == "__main__":
    main()
