"""Joint scores equal the model, and no partial sum crosses the wire."""

import numpy as np
import pytest
from secure_worlds import Watch, clients

from tongzhou.secure.logistic import LogisticSettings
from tongzhou.secure.ring import decode
from tongzhou.secure.simulate import simulate
from tongzhou.secure.tasks import ScoreInput, ScoreTask, TrainTask
from tongzhou.secure.whitening import whiten_new

ROWS = 900
ASKER, PROVIDER = clients(ROWS, 2, 4)
MODEL = simulate("aided", TrainTask(LogisticSettings(ROWS, 2, 4), errors=False), ASKER, PROVIDER)


def logits(asker: np.ndarray, provider: np.ndarray) -> np.ndarray:
    first, second = MODEL.asker.fit, MODEL.provider.fit
    return first.intercept + second.intercept + asker @ first.coefficients + provider @ second.coefficients


@pytest.mark.parametrize("rows", [1, 2, 333])
def test_scores_are_those_of_the_opened_weights(rows: int) -> None:
    asker, provider = clients(rows, 2, 4, seed=5)
    outcome = simulate(
        "aided",
        ScoreTask(rows, 2, 4, ROWS),
        ScoreInput(asker.values, MODEL.asker.key),
        ScoreInput(provider.values, MODEL.provider.key),
    )
    assert outcome.asker == pytest.approx(logits(asker.values, provider.values), abs=5e-4)
    assert outcome.provider is None


def test_only_the_total_is_opened_and_only_to_the_asker() -> None:
    watch = Watch()
    asker, provider = clients(400, 2, 4, seed=6)
    outcome = simulate(
        "aided",
        ScoreTask(400, 2, 4, ROWS),
        ScoreInput(asker.values, MODEL.asker.key),
        ScoreInput(provider.values, MODEL.provider.key),
        watch=watch,
    )
    for openings in outcome.openings.values():
        (entry,) = openings
        assert (entry.what, entry.count, entry.receivers) == ("total logit of each row", 400, ("asker",))
    assert not [tag for _, tag in watch.tags("provider") if tag.startswith("open.")]
    # The provider's share of the total says nothing of the provider's part: it is uniform, and unrelated.
    (sent,) = [m.arrays[0] for m in watch.views["asker"] if m.tag.startswith("open.")]
    part = provider.values @ MODEL.provider.fit.coefficients
    assert abs(np.corrcoef(sent.view(np.int64).astype(float), part)[0, 1]) < 0.25


def test_a_key_keeps_no_training_row() -> None:
    key = MODEL.asker.key
    assert key.whitened.words.shape == (3, 0)
    assert key.weights.shape == (7,)


def test_one_key_alone_says_nothing_of_the_weights() -> None:
    """Shares are uniform: the same training twice gives unrelated shares and the same sum."""
    again = simulate("aided", TrainTask(LogisticSettings(ROWS, 2, 4), errors=False), ASKER, PROVIDER)
    first, second = MODEL.asker.key.weights, again.asker.key.weights
    assert not np.any(first == second)
    one = decode(first + MODEL.provider.key.weights, 30)
    assert one == pytest.approx(decode(second + again.provider.key.weights, 30), abs=1e-3)
    assert np.abs(one).max() < 20


def test_new_rows_use_the_training_means() -> None:
    key = MODEL.provider.key
    centre = whiten_new(key.whitened, np.tile(key.whitened.means, (2, 1)))
    assert not centre.any()
