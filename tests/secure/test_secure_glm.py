"""Poisson and Gamma regression: every mode, held to scikit-learn and to real insurance tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from glm_worlds import COLUMNS, ROWS, coefficients, insured, settings
from hypothesis import given
from hypothesis import settings as limits
from hypothesis import strategies as st
from sklearn.linear_model import GammaRegressor, PoissonRegressor

from tongzhou.errors import DataError, PlanError
from tongzhou.secure.glm_settings import GlmBlock, GlmSettings, loss_of
from tongzhou.secure.glm_tasks import GlmScoreTask, GlmTask
from tongzhou.secure.simulate import simulate
from tongzhou.secure.tasks import SUPPORT, ScoreInput

MOTOR = Path(__file__).parents[3] / "shared" / "data" / "motor_insurance"
MODES: list[Any] = ["local", "aided"]
FAMILIES: list[Any] = ["poisson", "gamma"]


def reference(family: str, asker: GlmBlock, provider: GlmBlock) -> np.ndarray:
    """Intercept and coefficients of scikit-learn on both owners' columns."""
    values = np.hstack([asker.values, provider.values])
    assert asker.outcome is not None and asker.exposure is not None
    kind = PoissonRegressor if family == "poisson" else GammaRegressor
    outcome = asker.outcome / asker.exposure if family == "poisson" else asker.outcome
    model = kind(alpha=0, solver="newton-cholesky", tol=1e-9, max_iter=200)
    model.fit(values, outcome, sample_weight=asker.exposure)
    return np.concatenate([[model.intercept_], model.coef_])


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("rows", [300, ROWS, 30_000])
def test_coefficients_are_those_of_scikit_learn(mode: Any, family: Any, rows: int) -> None:
    asker, provider = insured(family, rows)
    outcome = simulate(mode, GlmTask(settings(family, rows)), asker, provider)
    assert coefficients(outcome) == pytest.approx(reference(family, asker, provider), abs=1e-4)
    assert outcome.asker is not None and outcome.provider is not None
    assert outcome.asker.gradient_norms == outcome.provider.gradient_norms
    assert outcome.asker.dispersion == outcome.provider.dispersion


@pytest.mark.parametrize("family", FAMILIES)
def test_the_protected_fit_equals_the_clear_one(family: Any) -> None:
    asker, provider = insured(family)
    task = GlmTask(settings(family))
    clear, aided = (simulate(mode, task, asker, provider) for mode in MODES)
    assert coefficients(aided) == pytest.approx(coefficients(clear), abs=1e-4)
    for role in ("asker", "provider"):
        ours, theirs = getattr(aided, role), getattr(clear, role)
        assert ours.errors == pytest.approx(theirs.errors, rel=1e-4)
        assert ours.dispersion == pytest.approx(theirs.dispersion, rel=1e-4)
    values = np.hstack([asker.values, provider.values])
    means = [np.exp(found[0] + values @ found[1:]) for found in map(coefficients, (aided, clear))]
    assert means[0] == pytest.approx(means[1], rel=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_standard_errors_are_those_of_fishers_matrix(family: Any) -> None:
    asker, provider = insured(family)
    outcome = simulate("local", GlmTask(settings(family)), asker, provider)
    found = coefficients(outcome)
    design = np.column_stack([np.ones(ROWS), asker.values, provider.values])
    means = np.exp(design @ found)
    assert asker.outcome is not None and asker.exposure is not None
    slopes = asker.exposure * means if family == "poisson" else asker.exposure
    pearson = np.sum(asker.exposure * (asker.outcome / means - 1) ** 2) / (ROWS - len(found))
    dispersion = 1.0 if family == "poisson" else pearson
    errors = np.sqrt(dispersion * np.diag(np.linalg.inv((design.T * slopes) @ design)))[1:]
    assert outcome.asker is not None and outcome.provider is not None
    assert outcome.asker.errors is not None and outcome.provider.errors is not None
    assert np.concatenate([outcome.asker.errors, outcome.provider.errors]) == pytest.approx(errors, rel=1e-6)
    assert outcome.asker.dispersion == pytest.approx(dispersion, rel=1e-6)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("family", FAMILIES)
def test_an_offset_moves_the_predictor_and_nothing_else(mode: Any, family: Any) -> None:
    """A known part of the predictor that is constant moves the intercept by just as much."""
    asker, provider = insured(family, 1000)
    task = GlmTask(settings(family, 1000), errors=False)
    moved = GlmBlock(asker.values, asker.names, asker.outcome, asker.exposure, np.full(1000, 0.7))
    before, after = (coefficients(simulate(mode, task, one, provider)) for one in (asker, moved))
    before[0] -= 0.7
    assert after == pytest.approx(before, abs=1e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("family", FAMILIES)
def test_new_rows_get_their_expected_values(mode: Any, family: Any) -> None:
    asker, provider = insured(family)
    trained = simulate(mode, GlmTask(settings(family), errors=False), asker, provider)
    assert trained.asker is not None and trained.provider is not None
    assert trained.asker.errors is None and trained.asker.dispersion is None
    mine, theirs = insured(family, 50, seed=9)
    scored = simulate(
        mode,
        GlmScoreTask(50, *COLUMNS, ROWS),
        ScoreInput(mine.values, trained.asker.key),
        ScoreInput(theirs.values, trained.provider.key),
    )
    assert scored.provider is None
    found = coefficients(trained)
    expected = np.exp(found[0] + np.hstack([mine.values, theirs.values]) @ found[1:])
    # Rows have 13 or 14 fractional bits.
    assert scored.asker == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_numbers_of_very_different_size_converge(family: Any) -> None:
    """Exposures from an hour to ten years; amounts over six decades, for which the dispersion is large."""
    rows = 4000
    asker, provider = insured(family, rows)
    source = np.random.default_rng(5)
    exposure = np.exp(source.uniform(np.log(1e-4), np.log(10), rows))
    if family == "poisson":
        rates = np.exp(0.3 * asker.values[:, 0] - 0.2 * provider.values[:, 1])
        outcome = source.poisson(exposure * rates).astype(float)
    else:
        exposure = np.ones(rows)
        outcome = np.exp(source.normal(7, 1.5, rows) + 0.3 * asker.values[:, 0])
    wide = GlmBlock(asker.values, asker.names, outcome, exposure)
    found = simulate("aided", GlmTask(settings(family, rows)), wide, provider)
    assert coefficients(found) == pytest.approx(reference(family, wide, provider), abs=1e-3)


def test_a_rare_level_of_high_risk_fits_the_number_format() -> None:
    """One policy in a hundred with fifty times the claims: curvature entries are far above 1 there."""
    rows = 5000
    asker, provider = insured("poisson", rows)
    source = np.random.default_rng(6)
    level = (np.arange(rows) % 100 == 0).astype(float)
    assert asker.exposure is not None
    outcome = source.poisson(asker.exposure * np.exp(4.0 * level - 2)).astype(float)
    risky = GlmBlock(np.column_stack([asker.values[:, :-1], level]), asker.names, outcome, asker.exposure)
    clear, aided = (simulate(mode, GlmTask(settings("poisson", rows)), risky, provider) for mode in MODES)
    assert coefficients(aided) == pytest.approx(reference("poisson", risky, provider), abs=1e-3)
    for role in ("asker", "provider"):
        assert getattr(aided, role).errors == pytest.approx(getattr(clear, role).errors, rel=1e-3)


BROKEN: list[tuple[Any, dict[str, Any], str]] = [
    ("poisson", {"outcome": None}, "column outcome"),
    ("poisson", {"outcome": np.full(ROWS, -1.0)}, "must not be negative"),
    ("poisson", {"outcome": np.zeros(ROWS)}, "some must be above zero"),
    ("gamma", {"outcome": np.zeros(ROWS)}, "amounts must be above zero"),
    ("gamma", {"exposure": np.zeros(ROWS)}, "exposure above zero"),
    ("poisson", {"exposure": np.ones(ROWS - 1)}, "column exposure"),
    ("poisson", {"offset": np.full(ROWS, np.nan)}, "not finite"),
    (
        "gamma",
        {"outcome": np.where(np.arange(ROWS) == 0, 1e30, 1e-3)},
        "too unequal|reach|converge|do not define",
    ),
    ("poisson", {"values": np.zeros((ROWS, COLUMNS[0]))}, "is constant"),
    ("poisson", {"values": np.zeros((ROWS, 1))}, "were agreed"),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("family", "change", "sentence"), BROKEN)
def test_what_cannot_be_fitted_is_refused(
    mode: Any, family: Any, change: dict[str, Any], sentence: str
) -> None:
    asker, provider = insured(family)
    parts = {name: getattr(asker, name) for name in ("values", "names", "outcome", "exposure", "offset")}
    with pytest.raises(DataError, match=sentence):
        simulate(mode, GlmTask(settings(family)), GlmBlock(**(parts | change)), provider)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("rows", "sentence"), [(8, "do not define 8 coefficients"), ((1 << 22) + 1, "too many")]
)
def test_too_few_and_too_many_rows_are_refused(mode: Any, rows: int, sentence: str) -> None:
    asker, provider = insured("gamma", 8)
    with pytest.raises(DataError, match=sentence):
        simulate(mode, GlmTask(settings("gamma", rows)), asker, provider)


@pytest.mark.parametrize("mode", MODES)
def test_a_level_without_claims_is_refused(mode: Any) -> None:
    asker, provider = insured("poisson")
    level = (np.arange(ROWS) % 7 == 0).astype(float)
    assert asker.outcome is not None
    outcome = np.where(level == 1, 0.0, asker.outcome)
    changed = GlmBlock(np.column_stack([asker.values[:, :-1], level]), asker.names, outcome, asker.exposure)
    with pytest.raises(DataError, match=r"converge|reach|do not define"):
        simulate(mode, GlmTask(settings("poisson")), changed, provider)


@pytest.mark.parametrize("mode", MODES)
def test_predictors_beyond_the_window_are_refused(mode: Any) -> None:
    asker, provider = insured("poisson")
    values = asker.values.copy()
    values[0, 0] = 60.0
    changed = GlmBlock(values, asker.names, asker.outcome, asker.exposure)
    with pytest.raises(DataError, match="linear predictors reach"):
        simulate(mode, GlmTask(settings("poisson")), changed, provider)


@pytest.mark.parametrize("mode", MODES)
def test_columns_of_both_owners_that_determine_each_other_are_refused(mode: Any) -> None:
    asker, provider = insured("gamma")
    twin = GlmBlock(np.column_stack([provider.values[:, :-1], asker.values[:, 0]]), provider.names)
    with pytest.raises(DataError, match=r"do not define|converge|reach"):
        simulate(mode, GlmTask(settings("gamma")), asker, twin)


@pytest.mark.parametrize("task", [GlmTask(settings("poisson")), GlmScoreTask(5, *COLUMNS, ROWS)])
def test_there_is_no_weaker_mode_to_fall_back_to(task: Any) -> None:
    assert SUPPORT["glm"] == SUPPORT["glm_score"] == ("local", "aided")
    asker, provider = insured("poisson")
    with pytest.raises(PlanError, match="does not run in mode pair"):
        simulate("pair", task, asker, provider)


@limits(max_examples=40, deadline=None)
@given(st.integers(0, 1 << 30), st.sampled_from(FAMILIES), st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
def test_units_do_not_matter_to_the_loss(seed: int, family: Any, amounts: float, exposures: float) -> None:
    """Scaled to a mean of 1, whatever the unit of amounts and of exposure."""
    source = np.random.default_rng(seed)
    outcome, exposure = source.gamma(1.0, size=20) + 0.1, source.uniform(0.1, 1, 20)
    agreed = GlmSettings(family, 20, 1, 1)
    blocks = [
        GlmBlock(np.zeros((20, 1)), ["a"], outcome, exposure),
        GlmBlock(np.zeros((20, 1)), ["a"], outcome * amounts, exposure * exposures),
    ]
    one, other = (loss_of(agreed, block) for block in blocks)
    for loss in (one, other):
        assert loss.p.sum() == pytest.approx(loss.q.sum())
        assert loss.q.mean() == pytest.approx(1.0, abs=0.06)
    assert one.p / one.p.sum() == pytest.approx(other.p / other.p.sum())
    assert one.q / one.q.sum() == pytest.approx(other.q / other.q.sum())


def motor(name: str) -> dict[str, np.ndarray]:
    if not MOTOR.exists():
        pytest.skip("the motor insurance tables are not beside this checkout")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(MOTOR / name)
    return {column: np.array(table[column].to_pylist(), dtype=object) for column in table.column_names}


def test_claim_frequency_of_a_real_portfolio() -> None:
    """Claim indicators of 20,600 policy periods on their exposure; the vehicle is known to the provider."""
    table = motor("freMPL1.parquet")
    exposure = table["Exposure"].astype(float)
    kept = exposure > 0
    age, bonus = table["DrivAge"].astype(float), table["BonusMalus"].astype(float)
    own = np.column_stack([age / 10, (age / 10) ** 2, bonus / 50, table["Gender"] == "Male"]).astype(float)
    vehicle = np.column_stack(
        [
            (table["VehUsage"] == "Professional").astype(float),
            (table["VehEnergy"] == "diesel").astype(float),
            table["HasKmLimit"].astype(float),
            table["RiskVar"].astype(float),
        ]
    )
    asker = GlmBlock(own[kept], list("abcd"), table["ClaimInd"].astype(float)[kept], exposure[kept])
    provider = GlmBlock(vehicle[kept], list("efgh"))
    found = simulate("aided", GlmTask(GlmSettings("poisson", int(kept.sum()), 4, 4)), asker, provider)
    assert coefficients(found) == pytest.approx(reference("poisson", asker, provider), abs=1e-3)


def test_claim_severity_of_a_real_portfolio() -> None:
    """Amounts of claims on driver and policy (asker) and vehicle (provider)."""
    policies, claims = motor("pg17_policies.parquet"), motor("pg17_claims.parquet")
    place = {
        key: row for row, key in enumerate(zip(policies["id_client"], policies["id_vehicle"], strict=True))
    }
    amounts = claims["claim_amount"].astype(float)
    rows = [
        (place[key], amount)
        for key, amount in zip(
            zip(claims["id_client"], claims["id_vehicle"], strict=True), amounts, strict=True
        )
        if key in place and amount > 0
    ]
    where, outcome = np.array([row for row, _ in rows]), np.minimum([amount for _, amount in rows], 50_000)
    assert len(where) > 5000

    def columns(*names: str) -> np.ndarray:
        return np.column_stack([policies[name][where].astype(float) for name in names])

    own = columns("pol_bonus", "pol_duration", "drv_age1", "drv_age_lic1")
    vehicle = columns("vh_age", "vh_din", "vh_speed", "vh_value", "vh_weight")
    asker = GlmBlock(own, list("abcd"), outcome, np.ones(len(where)))
    provider = GlmBlock(vehicle, list("efghi"))
    found = simulate("aided", GlmTask(GlmSettings("gamma", len(where), 4, 5)), asker, provider)
    assert coefficients(found) == pytest.approx(reference("gamma", asker, provider), abs=1e-3)
