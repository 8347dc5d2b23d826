"""The logistic function: error bounds on a grid, exact factors on every machine, and the shared series."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import play, revealed

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.prg import Stream
from tongzhou.secure.ring import decode, encode
from tongzhou.secure.series import multiples, public_multiples
from tongzhou.secure.shared import Shared
from tongzhou.secure.staircase import (
    LINE_BITS,
    NARROW,
    WIDE,
    Staircase,
    mask_angles,
)

GRID = np.linspace(-32, 32, 64_001)
LOGISTIC = 1 / (1 + np.exp(-GRID))
DIGEST = "13aeee037db145ddf180b74addf874c84089bb9fce04623582301ea91227459b"
BOTH = pytest.mark.parametrize("staircase", [NARROW, WIDE], ids=["narrow", "wide"])


def series(staircase: Staircase, z: np.ndarray, harmonics: int | None = None) -> np.ndarray:
    waves = staircase.sigmoid.coefficients[:harmonics]
    turns = 2 * np.pi * z / staircase.period
    return 0.5 + staircase.line * z + sum(c * np.sin(k * turns) for k, c in enumerate(waves, start=1))


def slope(staircase: Staircase, z: np.ndarray) -> np.ndarray:
    waves = staircase.slope.coefficients
    turns = 2 * np.pi * z / staircase.period
    return staircase.line + sum(c * np.cos(k * turns) for k, c in enumerate(waves, start=1))


@pytest.mark.parametrize(("staircase", "bound"), [(NARROW, 2e-5), (WIDE, 3e-6)], ids=["narrow", "wide"])
def test_the_error_inside_the_window_is_below_the_stated_bound(staircase: Staircase, bound: float) -> None:
    inside = np.abs(GRID) <= staircase.period / 2
    error = np.abs(series(staircase, GRID) - LOGISTIC)[inside].max()
    # The bound is neither broken nor idle.
    assert bound / 4 < error < bound


def test_the_narrow_window_keeps_small_chances() -> None:
    near = np.abs(GRID) <= 4
    assert (np.abs(series(NARROW, GRID) / LOGISTIC - 1)[near]).max() < 1e-3


@pytest.mark.parametrize(("staircase", "bound"), [(NARROW, 1e-4), (WIDE, 1e-5)], ids=["narrow", "wide"])
def test_the_slope_inside_the_window(staircase: Staircase, bound: float) -> None:
    inside = np.abs(GRID) <= staircase.period / 2
    assert np.abs(slope(staircase, GRID) - LOGISTIC * (1 - LOGISTIC))[inside].max() < bound


@BOTH
def test_outside_the_window_it_goes_on_rising(staircase: Staircase) -> None:
    values = series(staircase, GRID)
    assert np.all(values[staircase.period / 2 < GRID] > 0.999)
    assert np.all(values[-staircase.period / 2 > GRID] < 0.001)
    period = round(staircase.period * 1000)
    assert values[period:] - values[:-period] == pytest.approx(staircase.line * staircase.period, abs=1e-9)


@BOTH
def test_the_slope_is_the_derivative(staircase: Staircase) -> None:
    step = 1e-5
    wanted = (series(staircase, GRID + step) - series(staircase, GRID - step)) / (2 * step)
    assert slope(staircase, GRID) == pytest.approx(wanted, abs=1e-8)


@BOTH
def test_the_coarse_series_is_good_to_one_hundredth(staircase: Staircase) -> None:
    inside = np.abs(GRID) <= staircase.period / 2
    assert np.abs(series(staircase, GRID, staircase.coarse) - LOGISTIC)[inside].max() < 0.012
    assert staircase.coarse < staircase.harmonics


@BOTH
def test_constants_do_not_hang_on_the_last_bit_of_a_library(staircase: Staircase) -> None:
    """They stand on coarse grids, and what was rounded to the grid was not close to a tie."""
    assert (staircase.line * 2.0**LINE_BITS).is_integer()
    nodes = np.linspace(0, staircase.period / 2, 100_001)
    rest = 1 / (1 + np.exp(-nodes)) - 0.5 - staircase.line * nodes
    for k, coefficient in enumerate(staircase.sigmoid.coefficients, start=1):
        assert (coefficient * 2.0**40).is_integer()
        integral = np.trapezoid(rest * np.sin(2 * np.pi * k * nodes / staircase.period), nodes)
        assert coefficient == pytest.approx(4 / staircase.period * integral, abs=2e-9)


def test_public_multiples_are_right() -> None:
    words = np.concatenate(
        [Stream(bytes(32)).words(20_000), np.array([0, 1, 2**63, 2**64 - 1, 2**52, 2**62], dtype=np.uint64)]
    )
    assert public_multiples(words, 20) == pytest.approx(multiples(words, 20), abs=1e-13)


@settings(deadline=None)
@given(st.integers(0, 2**64 - 1), st.integers(1, 20))
def test_multiples_are_those_of_the_angle(word: int, harmonics: int) -> None:
    found = multiples(np.array([word], dtype=np.uint64), harmonics)[:, 0]
    angles = [2 * math.pi * ((word * k) % 2**64 / 2**64) for k in range(1, harmonics + 1)]
    assert found[:harmonics] == pytest.approx([math.cos(a) for a in angles], abs=1e-13)
    assert found[harmonics:] == pytest.approx([math.sin(a) for a in angles], abs=1e-13)


PRINT_DIGEST = """
import hashlib
from tongzhou.secure.prg import Stream
from tongzhou.secure.series import public_multiples
from tongzhou.secure.staircase import NARROW, WIDE
digest = hashlib.sha256(public_multiples(Stream(bytes(range(32))).words(4096), 8).tobytes())
for staircase in (NARROW, WIDE):
    digest.update(repr((staircase.sigmoid, staircase.slope)).encode())
print(digest.hexdigest())
"""


@pytest.mark.parametrize(
    "switched_off", ["", "AVX512_ICL AVX512_SKX AVX512F", "AVX2 FMA3 AVX512_SKX AVX512F"]
)
def test_public_multiples_are_the_same_to_the_last_bit_everywhere(switched_off: str) -> None:
    """A digest that every processor and release must reproduce: see the module text for why."""
    environment = os.environ | {"NPY_DISABLE_CPU_FEATURES": switched_off, "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", PRINT_DIGEST], env=environment, check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == DIGEST


def program(z: np.ndarray, staircase: Staircase, *, sine: bool) -> np.ndarray:
    words = encode(z, 40) << np.uint64(staircase.logit_bits - 40)
    mask = Stream(bytes(32)).words(len(z))

    def run(engine: AidedEngine) -> Shared:
        own = {"asker": words - mask, "provider": mask}.get(engine.party.role)
        angles = mask_angles(engine, Shared((len(z),), own))
        chosen = staircase.sigmoid if sine else staircase.slope
        return angles.sum(chosen, dealt_bits=16, bits=36)

    return decode(revealed(play(run)).view(np.uint64), 36)


@BOTH
@pytest.mark.parametrize("sine", [True, False])
def test_the_shared_series_is_the_series(staircase: Staircase, sine: bool) -> None:
    z = np.linspace(-40, 40, 9001)  # more than one chunk, more than one period
    got = program(z, staircase, sine=sine)
    line = 0.5 + staircase.line * z if sine else staircase.line
    wanted = (series if sine else slope)(staircase, z) - line
    # Rounding of 16 dealt bits: half a unit for each of 2K terms in the worst case.
    weight = sum(map(abs, (staircase.sigmoid if sine else staircase.slope).coefficients))
    assert np.abs(got - wanted).max() < 2.0**-16 * weight * 1.5 + 2.0**-20 * staircase.harmonics * 2
    # Most rounding cancels, and nothing leans.
    assert abs((got - wanted).mean()) < 1e-6


def test_fewer_rows_of_the_same_angles() -> None:
    z = np.linspace(-3, 3, 50)

    def run(engine: AidedEngine) -> Shared:
        words = encode(z, 40) << np.uint64(20)
        shared = engine.own("asker", (50,), words if engine.party.role == "asker" else None)
        some = mask_angles(engine, shared).some(slice(1, 50, 7))
        return some.sum(NARROW.slope.first(3).times(0.5), dealt_bits=16, bits=36)

    got = decode(revealed(play(run)).view(np.uint64), 36)
    waves = NARROW.slope.coefficients[:3]
    turns = 2 * np.pi * z[1::7] / 16
    assert got == pytest.approx(
        0.5 * sum(c * np.cos(k * turns) for k, c in enumerate(waves, start=1)), abs=1e-5
    )
