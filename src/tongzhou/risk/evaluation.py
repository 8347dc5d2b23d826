"""Evaluation: one definition of each figure, with intervals, and its meaning in approvals and money.

Everywhere, ``risk`` is higher for riskier rows. Of a scorecard, whose points are
higher when safer, pass ``-points``.
"""

from ._approval import (
    CalibrationBand,
    Group,
    ScoreBand,
    SwapSet,
    approval_at_bad_rate,
    approved,
    bad_rate_at_approval,
    brier,
    calibration,
    score_distribution,
    swap_set,
)
from ._ranking import (
    Bootstrap,
    Interval,
    KsCurve,
    RocCurve,
    auc,
    bootstrap_intervals,
    gini,
    ks,
    ks_curve,
    roc_curve,
)

__all__ = [
    "Bootstrap",
    "CalibrationBand",
    "Group",
    "Interval",
    "KsCurve",
    "RocCurve",
    "ScoreBand",
    "SwapSet",
    "approval_at_bad_rate",
    "approved",
    "auc",
    "bad_rate_at_approval",
    "bootstrap_intervals",
    "brier",
    "calibration",
    "gini",
    "ks",
    "ks_curve",
    "roc_curve",
    "score_distribution",
    "swap_set",
]
