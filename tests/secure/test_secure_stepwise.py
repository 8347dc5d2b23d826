"""How far from its optimum a training under constraints is said to be."""

import numpy as np
import pytest
from secure_worlds import play

from tongzhou.secure.logistic import WEIGHT_BITS
from tongzhou.secure.prg import Stream
from tongzhou.secure.ring import encode
from tongzhou.secure.shared import Shared
from tongzhou.secure.stepwise import decrement

SIZE = 6
HELD = np.full(SIZE, SIZE**-0.5)
"""The direction along which a constraint holds the weights."""

FREE = np.array([1.0, -1.0, 0.0, 0.0, 0.0, 0.0]) / np.sqrt(2)
"""A direction in which they may move."""


def measured(gradient: np.ndarray, step: np.ndarray) -> float:
    mask = Stream(bytes(32)).words(SIZE)

    def program(engine: object) -> float | None:
        def share(values: np.ndarray) -> Shared:
            own = {"asker": encode(values, WEIGHT_BITS) - mask, "provider": mask}
            return Shared((SIZE,), own.get(engine.party.role))

        return decrement(engine, share(gradient), share(step), WEIGHT_BITS)

    told = play(program)
    assert told["helper"] is None
    assert told["asker"] == told["provider"]
    return told["asker"]


@pytest.mark.parametrize("length", [1e-3, 0.1, 1.0, 2.5])
@pytest.mark.parametrize("inverse", [4.0, 9.0])
def test_far_from_the_optimum_it_is_the_decrement(length: float, inverse: float) -> None:
    """Also where the step is so long that its square leaves the ring."""
    gradient = length / np.sqrt(inverse) * FREE
    assert measured(gradient, -inverse * gradient) == pytest.approx(length, rel=1e-3)


@pytest.mark.parametrize("rounding", [2.0**-20, -(2.0**-20)])
def test_a_gradient_that_the_constraint_holds_up_is_not_taken_for_distance(rounding: float) -> None:
    """The inverse curvature is zero along the constraint but for rounding, of either sign."""
    held, left = 0.02 * HELD, 1e-7 * FREE
    step = -(rounding * held + 4.0 * left)
    assert np.sqrt(max(0.0, -held @ step)) == pytest.approx(2e-5 if rounding > 0 else 0.0, rel=0.05)
    assert measured(held + left, step) < 1e-6


def test_where_events_are_rare_a_long_step_is_not_taken_for_distance() -> None:
    gradient = 3e-9 * FREE
    assert measured(gradient, -2000.0 * gradient) < 1e-6
