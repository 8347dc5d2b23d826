"""The shared inverse of small matrices."""

import numpy as np
import pytest
from secure_worlds import play, revealed

from tongzhou.secure.linear import INVERSE_BITS, MATRIX_BITS, MAX_DOUBLINGS, invert
from tongzhou.secure.prg import Stream
from tongzhou.secure.ring import decode, encode
from tongzhou.secure.shared import Shared


def inverted(matrix: np.ndarray, doublings: int) -> np.ndarray:
    words = encode(matrix, MATRIX_BITS)
    mask = Stream(bytes(32)).words(*matrix.shape)

    def program(engine: object) -> Shared:
        own = {"asker": words - mask, "provider": mask}.get(engine.party.role)
        return invert(engine, Shared(matrix.shape, own), doublings=doublings)

    return decode(revealed(play(program)).view(np.uint64), INVERSE_BITS)


def positive(eigenvalues: list[float], seed: int) -> np.ndarray:
    source = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(source.normal(size=(len(eigenvalues),) * 2))
    return basis @ np.diag(eigenvalues) @ basis.T


@pytest.mark.parametrize("size", [1, 2, 5, 14, 30])
def test_the_inverse_is_right(size: int) -> None:
    matrix = positive(np.linspace(0.2, 1.0, size).tolist(), size)
    assert inverted(matrix, 8) == pytest.approx(np.linalg.inv(matrix), abs=2e-4)


@pytest.mark.parametrize("smallest", [1.0, 0.1, 0.01])
def test_small_eigenvalues_take_more_doublings(smallest: float) -> None:
    matrix = positive([smallest, 0.5, 0.9], 3)
    exact = np.linalg.inv(matrix)
    assert inverted(matrix, MAX_DOUBLINGS) == pytest.approx(exact, rel=2e-4, abs=2e-4 / smallest)


@pytest.mark.parametrize("doublings", [3, 5, 8])
def test_the_error_is_what_the_docstring_says(doublings: int) -> None:
    value = 0.02
    got = inverted(np.array([[value]]), doublings)[0, 0]
    assert got * value == pytest.approx(1 - (1 - value) ** (2**doublings), abs=1e-5)


def test_a_singular_matrix_stays_in_range() -> None:
    """The range argument of the module text: no entry passes 2^doublings, so nothing wraps."""
    ones = np.full((2, 2), 0.5)
    got = inverted(ones, MAX_DOUBLINGS)
    assert np.abs(got).max() <= 2.0**MAX_DOUBLINGS * 1.01
    assert got.sum() == pytest.approx(2.0, abs=0.3)
