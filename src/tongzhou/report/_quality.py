"""Sections on the gain: the table of models, ROC and KS, the score distribution."""

from tongzhou.report._format import LEVEL, decimals, interval, seconds, signed, tiny
from tongzhou.report._markup import SPACE, Child, Markup, both, join, strong, table, tag, words
from tongzhou.report._parts import Cast, legend, note, picture, points_words, section, side_by_side
from tongzhou.report.charts import (
    calibration_chart,
    distribution_chart,
    ks_chart,
    model_words,
    roc_chart,
)
from tongzhou.report.figures import Agreement, Figures, Gain, Interval, Metrics, ModelFigure

__all__ = ["curves_section", "gain_section", "gain_sentence", "scores_section"]


def gain_sentence(figures: Figures, cast: Cast) -> Markup:
    """Say the gain with its interval in one sentence; say so too when there is none."""
    gain = figures.gain.auc
    by_key = {model.key: model.held_out.auc.value for model in figures.models}
    values: dict[str, Child] = {
        "level": LEVEL,
        "asker": cast.of_role("asker"),
        "provider": cast.of_role("provider"),
        "gain": strong(signed(gain.value)),
        "low": signed(gain.low),
        "high": signed(gain.high),
        "bank": decimals(by_key.get("bank", 0.0)),
        "joint": decimals(by_key.get("joint", 0.0)),
    }
    if gain.low > 0:
        return both(
            "With data from {provider}, {asker} tells good clients from bad better: AUC {joint} instead of "
            "{bank} on clients the model never saw, a gain of {gain} ({level} interval {low} to {high}).",
            **values,
        )
    if gain.high < 0:
        return both(
            "With data from {provider}, the model of {asker} got worse: AUC {joint} instead of {bank} on "
            "clients the model never saw, a change of {gain} ({level} interval {low} to {high}).",
            **values,
        )
    return both(
        "Data from {provider} brings {asker} no proven gain: AUC {joint} instead of {bank} on clients the "
        "model never saw, a change of {gain}, and its {level} interval ({low} to {high}) holds zero.",
        **values,
    )


def gain_section(figures: Figures, cast: Cast) -> Markup:
    """Compare the bank alone, the protected joint model and the same model in the clear."""
    return section(
        "gain",
        both("What the partner adds"),
        both(
            "Three models on the same clients. Small print: {level} bootstrap intervals, {repeats} repeats. "
            "Larger is better everywhere.",
            level=LEVEL,
            repeats=figures.gain.repeats,
        ),
        _models_table(figures.models, figures.gain),
        _agreement(figures.agreement),
    )


def _cell(figure: Interval) -> Markup:
    return join(strong(decimals(figure.value)), tag("small", interval(figure)))


def _metrics(metrics: Metrics) -> list[Child]:
    return [_cell(metrics.auc), _cell(metrics.ks), _cell(metrics.gini)]


def _models_table(models: list[ModelFigure], gain: Gain) -> Markup:
    held, train = words("held-out"), words("training")
    head: list[Child] = [both("model"), both("variables")]
    head += [join(metric, tag("small", where)) for where in (held, train) for metric in ("AUC", "KS", "Gini")]
    rows: list[list[Child]] = [
        [
            tag("span", model_words(model.key), cls=f"key {model.key}"),
            model.variables,
            *_metrics(model.held_out),
            *_metrics(model.training),
        ]
        for model in models
    ]
    foot: list[Child] = [both("gain from the partner"), None]
    foot += [
        join(strong(signed(g.value)), tag("small", f"{signed(g.low)} – {signed(g.high)}"))
        for g in (gain.auc, gain.ks, gain.gini)
    ]
    return table(head, rows, cls="models", foot=[*foot, None, None, None])


def _agreement(agreement: Agreement) -> Markup:
    parts: list[Child] = [
        both("Largest difference of any score between protected and in the clear:"),
        SPACE,
        strong(points_words(agreement.score_points)),
        both(" ({logit} before rounding).", logit=tiny(agreement.score_logit)),
        SPACE,
        both("Held-out AUC differs by {auc}.", auc=tiny(agreement.auc)),
    ]
    if agreement.woe is not None and agreement.iv is not None:
        parts += [
            SPACE,
            both("WOE by {woe}, IV by {iv}.", woe=tiny(agreement.woe), iv=tiny(agreement.iv)),
        ]
    if agreement.cpu_s_protected is not None and agreement.cpu_s_clear is not None:
        parts += [
            SPACE,
            both(
                "Training took {protected} of processor time protected (all parties together) and {clear} "
                "in the clear.",
                protected=seconds(agreement.cpu_s_protected),
                clear=seconds(agreement.cpu_s_clear),
            ),
        ]
    return note(
        tag("p", tag("b", both("Protection costs no accuracy. ")) if _same(agreement) else None, *parts)
    )


def _same(agreement: Agreement) -> bool:
    return agreement.score_points <= 1 and agreement.auc <= 0.001


def curves_section(figures: Figures) -> Markup:
    """Show ROC for all models and KS for each."""
    key = legend(*((line.model, model_words(line.model)) for line in figures.roc))
    shares = legend(("good", words("good")), ("bad", words("bad")))
    pictures = [picture(roc_chart(figures.roc), both("ROC"), key)]
    pictures += [
        picture(ks_chart(ks), both("KS, {model}", model=model_words(ks.model)), shares) for ks in figures.ks
    ]
    return section(
        "curves",
        both("ROC and KS"),
        both(
            "Held-out clients. ROC: the further from the diagonal, the better. KS: the wider the gap, the "
            "better."
        ),
        side_by_side(*pictures, cls="three"),
    )


def scores_section(figures: Figures) -> Markup:
    """Show how good and bad clients spread over the scores."""
    shares = legend(("good", words("good")), ("bad", words("bad")))
    pictures = [picture(distribution_chart(d), model_words(d.model), shares) for d in figures.distributions]
    if figures.calibration:
        key = legend(*((line.model, model_words(line.model)) for line in figures.calibration))
        pictures.append(picture(calibration_chart(figures.calibration), both("Calibration"), key))
    return section(
        "scores",
        both("Score distribution"),
        both(
            "Held-out clients by score band; each group adds up to 100 %. A higher score is a safer client."
        ),
        side_by_side(*pictures),
    )
