"""Products of shared fixed-point numbers equal integer arithmetic, also at the edges of the range."""

import numpy as np
import pytest
from boost_worlds import each, halves_of, joined, masks_for, play
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import Watch, chi_square

from tongzhou.secure.operands import OPERAND_LIMIT_BITS, multiply, open_operands

LIMIT = 2**OPERAND_LIMIT_BITS
NUMBERS = st.integers(-LIMIT, LIMIT - 1)


def products(left: np.ndarray, right: np.ndarray, masks: list[np.ndarray]) -> list[np.ndarray]:
    def program(engine):
        one, two = open_operands(
            engine, halves_of(engine, left, masks[0]), halves_of(engine, right, masks[1])
        )
        sums = multiply(
            engine, [(1, one, two)], [(1, one, one)], [(3, one, two), (-2, one, one), (1, two, two)]
        )
        return [*sums, one.lifted(engine), two.lifted(engine)]

    results = play(program)
    return [joined(each(results, place)) for place in range(5)]


@settings(max_examples=25, deadline=None)
@given(
    pairs=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=8),
    seed=st.integers(0, 2**32 - 1),
)
def test_products_are_exact(pairs: list[tuple[int, int]], seed: int) -> None:
    left, right = (np.array(side) for side in zip(*pairs, strict=True))
    source = np.random.default_rng(seed)
    masks = [source.integers(0, 2**32, left.shape, dtype=np.uint32) for _ in range(2)]
    product, square, mixed, first, second = products(left, right, masks)
    assert product.tolist() == [a * b for a, b in pairs]
    assert square.tolist() == [a * a for a, _ in pairs]
    wanted = [3 * a * b - 2 * a * a + b * b for a, b in pairs]
    assert mixed.tolist() == [(one + 2**63) % 2**64 - 2**63 for one in wanted]
    assert (first.tolist(), second.tolist()) == (left.tolist(), right.tolist())


@pytest.mark.parametrize("share", [0, 1, 2**31 - 1, 2**31, 2**32 - 1])
def test_edges_of_shares_and_of_the_range(share: int) -> None:
    left = np.array([-LIMIT, -1, 0, 1, LIMIT - 1])
    right = np.array([LIMIT - 1, LIMIT - 1, -LIMIT, -LIMIT, -LIMIT])
    masks = [np.full(5, share, dtype=np.uint32)] * 2
    product, *_, first, second = products(left, right, masks)
    assert (product == left * right).all()
    assert (first == left).all()
    assert (second == right).all()


def test_a_node_is_multiplied_with_all_its_candidates() -> None:
    left, right = np.arange(-6, 6).reshape(3, 4), np.array([[5], [-7], [11]])
    product, *_ = products(left, right, [masks_for(left.shape), masks_for(right.shape)])
    assert (product == left * right).all()


def test_a_product_outside_the_range_is_not_exact() -> None:
    """The bound is needed: beyond it the wrap is guessed wrongly for some masks."""
    left = np.full(400, 2 * LIMIT - 1)
    product, *_ = products(left, left, [masks_for(left.shape) for _ in range(2)])
    assert not (product == left * left).all()


def test_what_is_opened_is_uniform_and_takes_one_round() -> None:
    watch = Watch()
    zeros = np.zeros(30_000)

    def program(engine):
        engine.party.session = watch(engine.party.session)
        still = np.zeros(30_000, dtype=np.uint32)
        one, two = open_operands(engine, halves_of(engine, zeros, still), halves_of(engine, zeros, still))
        return multiply(engine, [(1, one, two)])

    play(program)
    assert watch.tags("asker") == {("provider", "masked.operand")}
    assert watch.tags("provider") == {
        ("asker", "masked.operand"),
        ("helper", "deal.operand"),
        ("helper", "deal.product"),
    }
    assert not watch.views["helper"]
    assert len(watch.views["asker"]) == 1
    for role in ("asker", "provider"):
        assert abs(chi_square(watch.words(role))) < 6
    per_number = sum(a.nbytes for m in watch.views["provider"] for a in m.arrays) / 30_000
    assert per_number == 2 * (4 + 12) + 16
