"""One over a shared number: how exact, over which range, and that nothing overflows outside it."""

import numpy as np
import pytest
from boost_worlds import halves_of, joined, masks_for, play
from secure_worlds import Watch

from tongzhou.secure.reciprocals import INVERSE_LIMIT, REST_BITS, inverse

RESULT_BITS = 49


def inverted(values: np.ndarray, watch: Watch | None = None) -> np.ndarray:
    rest = np.rint((1 - 63 / 32 * values) * 2**REST_BITS)
    masks = masks_for(values.shape)

    def program(engine):
        if watch is not None:
            engine.party.session = watch(engine.party.session)
        return inverse(engine, halves_of(engine, rest, masks))

    return joined(play(program)) / 2.0**RESULT_BITS


def test_within_three_decades() -> None:
    values = np.exp(np.linspace(np.log(2.0**-9), 0, 4000))
    assert inverted(values) * values == pytest.approx(1, abs=1e-4)
    # Typical errors are far smaller.
    assert np.sqrt(np.mean((inverted(values) * values - 1) ** 2)) < 1.5e-5


def test_below_the_range_the_result_is_too_small_and_bounded() -> None:
    values = np.concatenate([[0.0], np.exp(np.linspace(np.log(2.0**-20), np.log(2.0**-9), 500))])
    found = inverted(values)
    assert (found > 0).all()
    assert (found < INVERSE_LIMIT).all()
    assert (found * values < 1.0001).all()
    assert (np.diff(found) < 1).all()  # it falls all the same
    at = dict(zip([10, 12], inverted(np.array([2.0**-10, 2.0**-12])), strict=True))
    assert at[10] * 2.0**-10 == pytest.approx(0.98, abs=0.02)
    assert at[12] * 2.0**-12 == pytest.approx(0.74, abs=0.03)


@pytest.mark.parametrize("value", [-1e-6, 1.004])
def test_rounding_just_outside_does_no_harm(value: float) -> None:
    found = inverted(np.full(50, value))
    assert (found > 0).all()
    assert (found < INVERSE_LIMIT).all()


def test_eight_rounds_and_the_bytes_of_the_statement() -> None:
    watch, count = Watch(), 500
    inverted(np.full(count, 0.5), watch)
    assert len(watch.views["asker"]) == 8
    assert sum(a.nbytes for m in watch.views["asker"] for a in m.arrays) == 60 * count
    dealt = sum(a.nbytes for m in watch.views["provider"] if m.sender == "helper" for a in m.arrays)
    assert dealt == 376 * count
