"""The protected regression equals the clear fit over sizes, rates, correlations; bad data get a sentence."""

from typing import Any

import numpy as np
import pytest
from secure_worlds import PAIR, clients, in_modes

from tongzhou.errors import DataError, ProtocolError
from tongzhou.secure import logistic
from tongzhou.secure.curvature import Scales
from tongzhou.secure.logistic import LogisticSettings, OwnerBlock
from tongzhou.secure.simulate import simulate
from tongzhou.secure.tasks import Mode, TrainTask
from tongzhou.secure.whitening import whiten, whitened_rows

MODES = in_modes(["local", "aided", "pair"])


def train(mode: Mode, asker: OwnerBlock, provider: OwnerBlock, **options: Any) -> Any:
    rows, columns = asker.values.shape
    settings = LogisticSettings(rows, columns, provider.values.shape[1], **options)
    return simulate(mode, TrainTask(settings), asker, provider)


def reference(asker: OwnerBlock, provider: OwnerBlock, l2: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Newton's iteration in original units, on its own: intercept first, and all standard errors."""
    block = np.column_stack([np.ones(len(asker.values)), asker.values, provider.values])
    rows = len(block)
    penalty = np.eye(block.shape[1]) * l2 * rows
    penalty[0, 0] = 0
    weights = np.zeros(block.shape[1])
    for _ in range(60):
        chance = 1 / (1 + np.exp(-block @ weights))
        curvature = (block.T * (chance * (1 - chance))) @ block + penalty
        weights -= np.linalg.solve(curvature, block.T @ (chance - asker.label) + penalty @ weights)
    return weights, np.sqrt(np.diag(np.linalg.inv(curvature)))


def together(outcome: Any) -> tuple[np.ndarray, np.ndarray]:
    fits = outcome.asker.fit, outcome.provider.fit
    intercept = fits[0].intercept + fits[1].intercept
    weights = np.concatenate([[intercept], fits[0].coefficients, fits[1].coefficients])
    return weights, np.concatenate([outcome.asker.errors, outcome.provider.errors])


SIZES: list[tuple[int, tuple[int, int], dict[str, float]]] = [
    (50, (1, 2), {"rate": 0.4}),
    (64, (2, 1), {"rate": 0.5}),
    (65, (2, 1), {"rate": 0.5}),
    (1000, (3, 5), {}),
    (4000, (5, 3), {"shared": 0.9}),
    (20_000, (5, 8), {"rate": 0.01}),
    (30_000, (5, 18), {}),
    (16_385, (2, 10), {"shared": 0.0}),
]
# Seconds, not minutes: more than one block of rows, a sampled curvature, and the wide window once each.
PAIR_SIZES = [SIZES[0], (1000, (3, 5), {}), (9000, (2, 4), {}), (600, (1, 2), {"rate": 0.04})]


@pytest.mark.parametrize(
    ("mode", "rows", "columns", "options"),
    [
        *((mode, *size) for mode in ("local", "aided") for size in SIZES),
        *(pytest.param("pair", *size, marks=PAIR) for size in PAIR_SIZES),
    ],
)
def test_weights_and_errors_equal_the_clear_fit(
    mode: Mode, rows: int, columns: tuple[int, int], options: dict[str, float]
) -> None:
    asker, provider = clients(rows, *columns, **options)
    weights, errors = together(train(mode, asker, provider))
    wanted, wanted_errors = reference(asker, provider)
    # In standard errors the difference is far below what the sample can tell.
    assert np.all(np.abs(weights[1:] - wanted[1:]) < 0.02 * wanted_errors[1:])
    assert weights == pytest.approx(wanted, abs=1e-3, rel=2e-3)
    assert errors == pytest.approx(wanted_errors[1:], rel=5e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("l2", [1e-4, 1e-2, 1.0])
def test_a_ridge_penalty_is_that_of_original_units(mode: Mode, l2: float) -> None:
    asker, provider = clients(1500, 2, 3)
    weights, errors = together(train(mode, asker, provider, l2=l2))
    wanted, wanted_errors = reference(asker, provider, l2)
    assert weights == pytest.approx(wanted, abs=1e-3)
    assert errors == pytest.approx(wanted_errors[1:], rel=5e-4)


@pytest.mark.parametrize("mode", MODES)
def test_units_do_not_matter(mode: Mode) -> None:
    """Money in cents and in millions give the same model."""
    asker, provider = clients(1200, 2, 2)
    cents = OwnerBlock(asker.values * 1e8 + 7e8, asker.names, asker.label)
    millions = OwnerBlock(provider.values * 1e-6 - 3, provider.names)
    weights, _ = together(train(mode, cents, millions))
    wanted, _ = reference(asker, provider)
    assert weights[1:3] * 1e8 == pytest.approx(wanted[1:3], abs=1e-3)
    assert weights[3:] * 1e-6 == pytest.approx(wanted[3:], abs=1e-3)


def test_the_gradient_is_as_short_as_asked() -> None:
    asker, provider = clients(2000, 2, 3)
    weights, _ = together(train("aided", asker, provider, tolerance=1e-6))
    blocks = [
        whitened_rows(whiten(b.values, b.names, bits=14, intercept=b is asker), b.values)
        for b in (asker, provider)
    ]
    chance = 1 / (1 + np.exp(-np.column_stack([np.ones(2000), asker.values, provider.values]) @ weights))
    gradient = np.vstack(blocks) @ (chance - asker.label) / 2**11
    assert np.linalg.norm(gradient) < 3e-5  # the sine series and the fixed point leave this much


def test_half_the_rows_may_be_events() -> None:
    asker, provider = clients(500, 1, 1, rate=0.5)
    weights, _ = together(train("aided", asker, provider))
    assert weights == pytest.approx(reference(asker, provider)[0], abs=1e-3)


def constant(block: OwnerBlock) -> OwnerBlock:
    values = block.values.copy()
    values[:, 1] = 3.5
    return OwnerBlock(values, block.names, block.label)


def collinear(block: OwnerBlock) -> OwnerBlock:
    values = block.values.copy()
    values[:, 2] = 2 * values[:, 0] - values[:, 1] + 4
    return OwnerBlock(values, block.names, block.label)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("spoilt", ["asker", "provider"])
@pytest.mark.parametrize(
    ("spoil", "place", "sentence"),
    [
        (constant, 1, "is constant; a joint regression needs columns that differ: remove it"),
        (collinear, 2, "is a linear combination of the columns before it"),
    ],
)
def test_columns_that_say_nothing_are_named(
    mode: Mode, spoilt: str, spoil: Any, place: int, sentence: str
) -> None:
    asker, provider = clients(300, 3, 3)
    if spoilt == "asker":
        asker = spoil(asker)
    else:
        provider = spoil(provider)
    name = (asker if spoilt == "asker" else provider).names[place]
    with pytest.raises(DataError, match=f"column {name} {sentence}"):
        train(mode, asker, provider)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_one_class_is_refused(mode: Mode, value: float) -> None:
    asker, provider = clients(100, 1, 1)
    single = OwnerBlock(asker.values, asker.names, np.full(100, value))
    with pytest.raises(DataError, match="the label of the training rows is all one class"):
        train(mode, single, provider)


@pytest.mark.parametrize("mode", MODES)
def test_no_label_is_refused(mode: Mode) -> None:
    asker, provider = clients(100, 1, 1)
    with pytest.raises(DataError, match="the asker needs a label, one of 0 and 1 for each row"):
        train(mode, OwnerBlock(asker.values, asker.names), provider)


@pytest.mark.parametrize("mode", ["local", "aided"])
@pytest.mark.parametrize("owner", ["asker", "provider"])
def test_a_separating_column_ends_in_the_sentence(mode: Mode, owner: str) -> None:
    asker, provider = clients(400, 2, 2)
    values = (asker if owner == "asker" else provider).values
    label = (values[:, 0] > 0).astype(float)
    with pytest.raises(DataError, match=r"a column (may separate|separates) the classes"):
        train(mode, OwnerBlock(asker.values, asker.names, label), provider)


@pytest.mark.parametrize("mode", MODES)
def test_a_ridge_settles_separation(mode: Mode) -> None:
    asker, provider = clients(400, 2, 2)
    label = (provider.values[:, 0] > 0).astype(float)
    separated = OwnerBlock(asker.values, asker.names, label)
    weights, _ = together(train(mode, separated, provider, l2=0.05))
    assert weights == pytest.approx(reference(separated, provider, 0.05)[0], abs=5e-3)


@pytest.mark.parametrize("mode", MODES)
def test_columns_that_the_other_owner_determines_end_in_a_sentence(mode: Mode) -> None:
    asker, provider = clients(400, 2, 2)
    values = provider.values.copy()
    values[:, 1] = asker.values[:, 0] - 2 * asker.values[:, 1] + values[:, 0]
    with pytest.raises(DataError, match="columns of the two owners determine each other"):
        train(mode, asker, OwnerBlock(values, provider.names))


def test_too_many_rows_are_refused_before_any_work() -> None:
    asker, provider = clients(20, 1, 1)
    with pytest.raises(DataError, match="4194305 training rows are too many: at most 4194304 fit"):
        simulate("aided", TrainTask(LogisticSettings(4194305, 1, 1)), asker, provider)


def test_every_number_of_rows_has_its_number_format() -> None:
    """What the module text proves: a gradient sum stays below 2^61, and so does every curvature sum."""
    for bits in range(1, logistic._MAX_ROW_BITS + 1):
        scales = Scales(bits)
        assert scales.block + scales.residual + bits == 61
        assert 2 * scales.block + scales.slope(bits) + bits == 63
        assert scales.dealt >= 10
        assert scales.residual - scales.dealt >= 14
        assert scales.slope(bits) >= 17
        assert logistic.row_block_bits(2**bits) == scales.block


@pytest.mark.parametrize("rate", [0.0, 1.0, -3.0, float("nan")])
def test_a_false_event_rate_stops_the_provider(monkeypatch: pytest.MonkeyPatch, rate: float) -> None:
    """The peer's number is checked where it arrives."""
    asker, provider = clients(50, 1, 1)

    class Told:
        def __init__(self, link: Any) -> None:
            self._link = link

        def __getattr__(self, name: str) -> Any:
            return getattr(self._link, name)

        def send(self, tag: str, value: object = None, arrays: Any = ()) -> None:
            self._link.send(tag, rate if tag == "train.rate" else value, arrays)

    def lying(session: Any) -> Any:
        if session.me != "asker":
            return session
        links = {peer: Told(link) for peer, link in session.links.items()}
        return type(session)(session.me, links)

    with pytest.raises(ProtocolError, match="asker sent an event rate outside 0 to 1"):
        simulate("aided", TrainTask(LogisticSettings(50, 1, 1)), asker, provider, watch=lying)


def test_a_label_that_is_not_a_row_each_is_refused() -> None:
    asker, provider = clients(50, 1, 1)
    short = OwnerBlock(asker.values, asker.names, asker.label[:-1])
    with pytest.raises(DataError, match="49 labels for 50 rows"):
        train("aided", short, provider)


def test_blocks_of_other_sizes_are_refused() -> None:
    asker, provider = clients(50, 2, 2)
    with pytest.raises(DataError, match=r"the block has 50 rows and 2 columns; 50 and 3 were agreed"):
        simulate("aided", TrainTask(LogisticSettings(50, 2, 3)), asker, provider)


def test_scores_that_reach_far_are_trained_in_the_wide_window() -> None:
    """A strong model: the narrow window would leave a bias of more than half a standard error."""
    asker, provider = clients(12_000, 3, 3, shared=0.8, seed=8)
    strong = (asker.values.sum(axis=1) + provider.values.sum(axis=1)) * 0.6
    chance = 1 / (1 + np.exp(-strong))
    label = (np.random.default_rng(8).random(12_000) < chance).astype(float)
    block = OwnerBlock(asker.values, asker.names, label)
    outcome = train("aided", block, provider)
    weights, errors = together(outcome)
    wanted, wanted_errors = reference(block, provider)
    assert np.all(np.abs(weights - wanted) < 0.02 * wanted_errors)
    assert errors == pytest.approx(wanted_errors[1:], rel=5e-4)
    told = [o.receivers for o in outcome.openings["helper"] if o.what == "whether scores reach far"]
    assert told == [("helper",)]
    reaches = [o for o in outcome.openings["asker"] if o.what == "largest part of a score"]
    assert len(reaches) == 2


def test_with_a_shared_card_the_window_stays_narrow() -> None:
    asker, provider = clients(500, 1, 1)
    task = TrainTask(LogisticSettings(500, 1, 1), "shared", errors=False)
    openings = simulate("aided", task, asker, provider).openings["asker"]
    assert not [o for o in openings if "reach" in o.what or "largest" in o.what]
