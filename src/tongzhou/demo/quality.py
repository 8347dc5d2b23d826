"""The demonstration's figures about models: quality, curves, variables, card, policy."""

import math
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from tongzhou.data.example import MEANINGS
from tongzhou.demo.results import Results
from tongzhou.demo.scenario import APPROVAL
from tongzhou.node.job_states import Variable
from tongzhou.report import figures as f
from tongzhou.report.figures import Words
from tongzhou.risk.evaluation import (
    Bootstrap,
    bad_rate_at_approval,
    bootstrap_intervals,
    calibration,
    ks_curve,
    roc_curve,
    swap_set,
)
from tongzhou.risk.logistic import p_value, sigmoid
from tongzhou.risk.scorecard import spread_base

__all__ = ["Quality"]

_REPEATS = 500
_CURVE_POINTS = 200
_BAND_POINTS = 10
_LEVELS = tuple(range(30, 101, 5))
Floats = NDArray[np.float64]


class Quality:
    """Measures the three models of a run. Heavy parts are computed once.

    Args:
        results: the run, and the same in the clear.
    """

    def __init__(self, results: Results) -> None:
        self.results = results
        self.risks: dict[str, Floats] = {
            "bank": results.bank_logits,
            "joint": results.joint.scores.logits,
            "clear": results.clear.logits,
        }

    @cached_property
    def training(self) -> Bootstrap:
        """Figures on training clients, with intervals."""
        return self._bootstrap(~self.results.joint.held_out)

    @cached_property
    def held_out(self) -> Bootstrap:
        """Figures on held-out clients, with intervals."""
        return self._bootstrap(self.results.joint.held_out)

    def _bootstrap(self, rows: NDArray[np.bool_]) -> Bootstrap:
        risks = {name: risk[rows] for name, risk in self.risks.items()}
        return bootstrap_intervals(self.results.label[rows], risks, repeats=_REPEATS, seed=2005)

    def auc(self, model: str) -> float:
        """Held-out AUC of a model."""
        return self.held_out.metrics[model]["auc"].value

    @cached_property
    def score_difference(self) -> int:
        """Largest difference of whole points between the protected and the clear card."""
        points = self.results.points
        return int(np.abs(points(self.risks["joint"]) - points(self.risks["clear"])).max())

    def models(self) -> list[f.ModelFigure]:
        """The table of the three models."""
        sizes = {"bank": len(self.results.bank_variables)}
        return [
            f.ModelFigure(
                key=name,
                variables=sizes.get(name, len(self.results.joint.trained.coefficients)),
                training=_metrics(self.training, name),
                held_out=_metrics(self.held_out, name),
            )
            for name in self.risks
        ]

    def gain(self) -> f.Gain:
        """Joint minus bank alone on held-out clients."""
        gains = {name: _interval(value) for name, value in self.held_out.gains["joint"].items()}
        return f.Gain(auc=gains["auc"], ks=gains["ks"], gini=gains["gini"], repeats=self.held_out.repeats)

    def agreement(self, cpu_s_protected: float) -> f.Agreement:
        """How far the protected model is from the clear one."""
        clear = self.results.clear
        return f.Agreement(
            score_points=float(self.score_difference),
            score_logit=float(np.abs(self.risks["joint"] - self.risks["clear"]).max()),
            auc=abs(self.auc("joint") - self.auc("clear")),
            woe=clear.woe_difference,
            iv=clear.iv_difference,
            coefficient=clear.coefficient_difference,
            cpu_s_protected=cpu_s_protected,
            cpu_s_clear=clear.cpu_s,
        )

    # --- curves, on held-out clients -------------------------------------------------------------------

    @property
    def _y(self) -> NDArray[np.int8]:
        return self.results.label[self.results.joint.held_out]

    def _risk(self, model: str) -> Floats:
        return self.risks[model][self.results.joint.held_out]

    def roc(self) -> list[f.Line]:
        """ROC curves."""
        lines = []
        for model in self.risks:
            curve = roc_curve(self._y, self._risk(model), points=_CURVE_POINTS)
            lines.append(
                f.Line(
                    model=model,
                    x=curve.false_positive_rate.tolist(),
                    y=curve.true_positive_rate.tolist(),
                )
            )
        return lines

    def ks(self) -> list[f.KsFigure]:
        """Cumulative shares of good and bad clients by score, the lowest score first."""
        return [self._ks(model) for model in ("bank", "joint")]

    def _ks(self, model: str) -> f.KsFigure:
        score = self.results.points(self._risk(model))
        cuts = np.unique(score)
        bad = self._y == 1
        shares = [
            np.searchsorted(np.sort(score[rows]), cuts, side="right") / int(rows.sum())
            for rows in (~bad, bad)
        ]
        curve = ks_curve(self._y, self._risk(model))
        return f.KsFigure(
            model=model,
            score=cuts.astype(float).tolist(),
            good=shares[0].tolist(),
            bad=shares[1].tolist(),
            at_score=float(self.results.points(np.array([curve.threshold]))[0]),
            ks=curve.ks,
        )

    def distributions(self, cutoff: float) -> list[f.DistributionFigure]:
        """Held-out clients by score band."""
        return [
            self._distribution(model, cutoff if model == "joint" else None) for model in ("bank", "joint")
        ]

    def _distribution(self, model: str, cutoff: float | None) -> f.DistributionFigure:
        score, bad = self.results.points(self._risk(model)), self._y == 1
        low = math.floor(score.min() / _BAND_POINTS) * _BAND_POINTS
        edges = np.arange(low, score.max() + _BAND_POINTS + 1, _BAND_POINTS, dtype=float)
        return f.DistributionFigure(
            model=model,
            edges=edges.tolist(),
            good=np.histogram(score[~bad], edges)[0].tolist(),
            bad=np.histogram(score[bad], edges)[0].tolist(),
            cutoff=cutoff,
        )

    def calibration(self) -> list[f.Line]:
        """Predicted against observed bad rates."""
        lines = []
        for model in ("bank", "joint"):
            bands = calibration(self._y, sigmoid(self._risk(model)))
            lines.append(f.Line(model=model, x=[b.predicted for b in bands], y=[b.observed for b in bands]))
        return lines

    # --- variables and card -----------------------------------------------------------------------------

    def variables(self) -> list[f.VariableFigure]:
        """All candidates of both owners, the most informative first."""
        bank, partner = self.results.plan.owners
        joint = self.results.joint
        found = [self._variable(v, bank) for v in joint.own] + [
            self._variable(v, partner) for v in joint.offers
        ]
        return sorted(found, key=lambda variable: -variable.iv)

    def _variable(self, variable: Variable, owner: str) -> f.VariableFigure:
        trained, table = self.results.joint.trained, variable.table
        weight = trained.coefficients.get(variable.name)
        factor = self.results.scale.factor
        labels = zip(table.bins.labels("en"), table.bins.labels("zh"), strict=True)
        bins = [
            f.BinFigure(
                label=Words(en, zh),
                woe=table.woe[place],
                rows=table.rows[place],
                event_rate=table.rate[place] if table.rows[place] else None,
                points=None if weight is None else round(-factor * weight * table.woe[place]),
                special=place >= table.bins.numeric_count,
            )
            for place, (en, zh) in enumerate(labels)
        ]
        return f.VariableFigure(
            name=variable.name,
            owner=owner,
            meaning=_meaning(variable.name),
            iv=table.iv,
            bins=bins,
            kept=weight is not None,
            dropped_because=None if weight is not None else self._why_dropped(variable.name),
            direction=variable.direction if variable.direction in ("up", "down") else "",
        )

    def _why_dropped(self, name: str) -> Words:
        if name in self.results.joint.trained.dropped:
            return Words("its weight had the wrong sign beside the others", "与其他变量并用时系数符号相反")
        least = f"{self.results.plan.selection.min_iv:g}"
        return Words(f"information value below {least}", f"信息值低于 {least}")

    def card(self) -> f.CardFigure:
        """The joint card with its statistics."""
        trained, scale, plan = self.results.joint.trained, self.results.scale, self.results.plan
        names = (*trained.asker, *trained.provider)
        intercept = sum(trained.intercept.values())
        bank, partner = plan.owners
        return f.CardFigure(
            name=plan.name,
            version="1",
            base_points=round(scale.base_points),
            base_odds=scale.base_odds,
            pdo=scale.pdo,
            offset_points=sum(spread_base(scale, intercept, len(names))),
            intercept=intercept,
            lines=[
                f.CardLine(
                    name=name,
                    owner=bank if name in trained.asker else partner,
                    coefficient=trained.coefficients[name],
                    standard_error=trained.errors.get(name),
                    p_value=None
                    if name not in trained.errors
                    else p_value(trained.coefficients[name] / trained.errors[name]),
                )
                for name in names
            ],
        )

    # --- policy ---------------------------------------------------------------------------------------------

    def approvals(self) -> list[f.ApprovalLevel]:
        """Bad rate at equal approval, with and without the partner."""
        return [
            f.ApprovalLevel(
                approval=level / 100,
                bad_rate_bank=bad_rate_at_approval(self._y, self._risk("bank"), level / 100),
                bad_rate_joint=bad_rate_at_approval(self._y, self._risk("joint"), level / 100),
            )
            for level in _LEVELS
        ]

    def swap(self) -> f.SwapFigure:
        """Who changes sides at equal approval, in clients and in money."""
        exposure = self.results.exposure[self.results.joint.held_out]
        swap = swap_set(self._y, self._risk("bank"), self._risk("joint"), APPROVAL, exposure)
        groups = [
            f.SwapGroup(
                clients=group.rows,
                bad_rate=group.bad_rate,
                exposure=group.exposure or 0.0,
                bad_exposure=group.bad_exposure or 0.0,
            )
            for group in (swap.both, swap.swap_in, swap.swap_out, swap.neither)
        ]
        return f.SwapFigure(
            approval=APPROVAL,
            both_approved=groups[0],
            swapped_in=groups[1],
            swapped_out=groups[2],
            both_declined=groups[3],
            bad_exposure_avoided=groups[2].bad_exposure - groups[1].bad_exposure,
            currency="NT$",
        )


def _metrics(measured: Bootstrap, model: str) -> f.Metrics:
    values = {name: _interval(value) for name, value in measured.metrics[model].items()}
    return f.Metrics(auc=values["auc"], ks=values["ks"], gini=values["gini"])


def _interval(value: object) -> f.Interval:
    return f.Interval(*(float(getattr(value, name)) for name in ("value", "low", "high")))


def _meaning(name: str) -> Words:
    words = MEANINGS.get(name, {})
    return Words(words.get("en", name), words.get("zh", name))
