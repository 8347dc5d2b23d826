"""Everything the demonstration found, as the report's figures and as a few numbers for machines."""

from typing import Any

import numpy as np

from tongzhou.demo import account
from tongzhou.demo.decisions import Decided
from tongzhou.demo.institutions import Institutions
from tongzhou.demo.quality import Quality
from tongzhou.demo.story import protected_cpu_s
from tongzhou.demo.verification import Verified
from tongzhou.node.job_journal import StepSummary
from tongzhou.parties.grants import Grant
from tongzhou.report.figures import Figures, Words

__all__ = ["machine_figures", "report_figures"]

_TITLE = Words("A joint scorecard for card clients", "信用卡客户联合评分卡")
_DATA = Words(
    "Default of credit card clients, Taiwan 2005: 30,000 clients (Yeh and Lien 2009), CC BY 4.0.",
    "2005 年台湾信用卡客户违约数据：30,000 名客户（Yeh 与 Lien，2009），CC BY 4.0。",
)

Steps = list[dict[str, str | float | int]]


def report_figures(
    cast: Institutions,
    quality: Quality,
    decided: Decided,
    verified: Verified,
    *,
    grant: Grant,
    refusal: str,
    steps: Steps,
    summaries: dict[str, StepSummary],
) -> Figures:
    """Fill the report."""
    results = quality.results
    cutoff = decided.strategy.cutoff
    return Figures(
        title=_TITLE,
        run=account.run_figure(
            cast,
            results,
            sum(float(step["wall_s"]) for step in steps),
            sum(float(step["cpu_s"]) for step in steps),
        ),
        data=_DATA,
        parties=account.parties_figure(cast, results),
        grant=account.grant_figure(cast, grant, refusal),
        matching=account.matching_figure(cast, results),
        models=quality.models(),
        gain=quality.gain(),
        agreement=quality.agreement(protected_cpu_s(summaries)),
        roc=quality.roc(),
        ks=quality.ks(),
        distributions=quality.distributions(0.0 if cutoff is None else cutoff.approve_from),
        variables=quality.variables(),
        card=quality.card(),
        approvals=quality.approvals(),
        swap=quality.swap(),
        decisions=account.decisions_figure(cast, results, decided),
        steps=account.step_costs(steps),
        leakage=account.leakage_figures(results),
        receipt=account.receipt_figure(summaries),
        verification=account.verification_figure(cast, verified, grant.grant_id),
        limits=account.limits(),
        calibration=quality.calibration(),
    )


def machine_figures(
    quality: Quality,
    decided: Decided,
    verified: Verified,
    *,
    steps: Steps,
    summaries: dict[str, StepSummary],
    wall_s: float,
) -> dict[str, Any]:
    """The figures that a program reads; seconds, bytes, microseconds."""
    clear = quality.results.clear
    return {
        "auc": {
            "bank": quality.auc("bank"),
            "joint": quality.auc("joint"),
            "clear": quality.auc("clear"),
        },
        "score_max_abs_diff": quality.score_difference,
        "logit_max_abs_diff": float(np.abs(quality.risks["joint"] - quality.risks["clear"]).max()),
        "woe_max_abs_diff": clear.woe_difference,
        "iv_max_abs_diff": clear.iv_difference,
        "matched_rows": len(quality.results.label),
        "steps": steps,
        "cpu_s": {
            "train_protected": protected_cpu_s(summaries),
            "train_clear": clear.cpu_s,
            "train_clear_one_thread": clear.cpu_s_one_thread,
        },
        "decisions": {"p50_us": decided.p50_us, "p99_us": decided.p99_us},
        "verify": {"ok": bool(verified.reports), "tamper_found": verified.found},
        "wall_s": wall_s,
    }
