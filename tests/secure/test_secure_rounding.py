"""Rounding of shared numbers equals that of plain ones, wherever they lie, and says nothing on the way."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import Watch, chi_square, play, revealed

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.clear import ClearEngine
from tongzhou.secure.party import OWNERS
from tongzhou.secure.rounding import MAX_ROUNDED_BITS, round_to
from tongzhou.secure.shared import Shared


def share(engine: AidedEngine, value: Any) -> Shared:
    words = np.array(value, dtype=np.int64).view(np.uint64)
    mask = np.full(words.shape, 0x123456789ABCDEF0, dtype=np.uint64)
    return Shared(words.shape, {"asker": words - mask, "provider": mask}.get(engine.party.role))


@st.composite
def cases(draw: st.DrawFn) -> tuple[int, int, list[int]]:
    bits = draw(st.integers(2, MAX_ROUNDED_BITS))
    base = draw(st.integers(1, 2 ** min(bits - 1, 34)))
    edge = 2**bits - 1
    multiples = st.integers(-(edge // base), edge // base).map(lambda times: times * base)
    numbers = draw(st.lists(st.one_of(st.integers(-edge, edge), multiples), min_size=1, max_size=12))
    return bits, base, [*numbers, edge, -edge, 0]


@settings(max_examples=15, deadline=None)
@given(cases())
def test_the_nearest_multiple(case: tuple[int, int, list[int]]) -> None:
    bits, base, numbers = case
    wanted = [(number + base // 2) // base * base for number in numbers]
    got = revealed(play(lambda engine: round_to(engine, share(engine, numbers), base, bits=bits)))
    assert got.tolist() == wanted
    clear = Shared((len(numbers),), np.array(numbers, dtype=np.int64).view(np.uint64))
    assert round_to(ClearEngine(), clear, base, bits=bits).share.view(np.int64).tolist() == wanted


def test_halves_go_up_and_it_is_the_same_every_time() -> None:
    numbers = [7, 8, -7, -8, 12, 13]
    for _ in range(3):
        got = revealed(play(lambda engine: round_to(engine, share(engine, numbers), 5, bits=10)))
        assert got.tolist() == [5, 10, -5, -10, 10, 15]


@pytest.mark.parametrize("number", [0, 12_345])
def test_nothing_arrives_but_uniform_words(number: int) -> None:
    watch = Watch()

    def program(engine: AidedEngine) -> None:
        engine.party.session = watch(engine.party.session)
        round_to(engine, share(engine, [number] * 300), 10, bits=20)

    play(program)
    for role in OWNERS:
        for tag in ("masked.compare", "masked.index"):
            assert abs(chi_square(watch.words(role, tag))) < 6
    assert not watch.views["helper"]
