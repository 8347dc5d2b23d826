"""The map is the code that its statement names, and that code has few light words: its enumerators tell."""

from functools import cache
from math import gcd, log2

import numpy as np
import pytest
from secure_worlds import chi_square

from tongzhou.secure import accumulate_code
from tongzhou.secure.accumulate_code import (
    GROUP,
    MINIMUM_LENGTH,
    TWO_STAGES_FROM,
    AccumulateCode,
    golay_parity,
)

SEED = bytes(range(32))
GOLAY = {0: 1, 8: 759, 12: 2576, 16: 759, 24: 1}
LIGHT = 0.1
"""Words lighter than this part of the length would be too light."""


def test_the_outer_code_is_the_extended_golay_code() -> None:
    generator = np.hstack([np.eye(12, dtype=np.int64), golay_parity()])
    messages = np.arange(4096)[:, None] >> np.arange(12) & 1
    weights, counts = np.unique((messages @ generator % 2).sum(axis=1), return_counts=True)
    assert dict(zip(weights.tolist(), counts.tolist(), strict=True)) == GOLAY


def plainly(length: int, noise: list[int], stages: int) -> list[int]:
    """The definition, bit by bit, with the permutations of the seed."""
    orders = AccumulateCode(length, SEED)._orders
    assert len(orders) == stages
    for order in orders:
        total, sums = 0, []
        for value in noise:
            total ^= value
            sums.append(total)
        noise = [sums[place] for place in order]
    groups = length // GROUP
    columns = [[noise[row * groups + group] for row in range(GROUP)] for group in range(groups)]
    out = [[0] * groups for _ in range(GROUP // 2)]
    for group, column in enumerate(columns):
        for row, parts in enumerate(golay_parity()):
            out[row][group] = column[row]
            for part in np.flatnonzero(parts):
                out[row][group] ^= column[GROUP // 2 + part]
    return [value for row in out for value in row]


@pytest.mark.parametrize("length", [GROUP, 10 * GROUP, 2100 * GROUP])
@pytest.mark.parametrize("stages", [2, 3])
def test_the_map_is_what_its_definition_says(
    length: int, stages: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accumulate_code, "TWO_STAGES_FROM", 0 if stages == 2 else 1 << 40)
    noise = np.random.default_rng(1).integers(0, 2**64, length, dtype=np.uint64)
    wanted = plainly(length, noise.tolist(), stages)
    assert AccumulateCode(length, SEED).compress(noise.copy()).tolist() == wanted
    both = AccumulateCode(length, SEED).compress(np.stack([noise, noise ^ np.uint64(5)], axis=1))
    assert both.shape == (length // 2, 2)
    assert both[:, 0].tolist() == wanted


def test_the_map_is_linear() -> None:
    source, code = np.random.default_rng(2), AccumulateCode(240, SEED)
    one, other = source.integers(0, 2**64, (2, 240, 2), dtype=np.uint64)
    assert np.array_equal(code.compress(one ^ other), code.compress(one.copy()) ^ code.compress(other.copy()))
    assert not code.compress(np.zeros(240, dtype=np.uint64)).any()


def test_permutations_are_such_and_follow_the_seed() -> None:
    one, same, other = (AccumulateCode(2400, seed)._orders for seed in (SEED, SEED, bytes(32)))
    for order in [*one, *other]:
        assert sorted(order.tolist()) == list(range(2400))
        assert abs(np.corrcoef(order, np.arange(2400))[0, 1]) < 0.1
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert not np.array_equal(one[0], one[1])


def test_a_few_random_words_come_out_uniform() -> None:
    noise = np.zeros(24_000, dtype=np.uint64)
    source = np.random.default_rng(4)
    noise[:: 24_000 // 800] = source.integers(0, 2**64, 800, dtype=np.uint64)
    out = AccumulateCode(24_000, SEED).compress(noise)
    assert abs(chi_square(out.view(np.uint8))) < 6
    assert len(np.unique(out)) > 11_990


# How many words of each weight a code of random permutations has, expected: exact for the accumulators, from
# above for the Golay code (a coefficient of a series is at most the series at any point over that point's
# power).


@cache
def log_factorials(size: int) -> np.ndarray:
    return np.concatenate([[0.0], np.cumsum(np.log2(np.arange(1, size + 1)))])


def outer(length: int) -> np.ndarray:
    """log2 of the number of words of each weight in all groups together, bounded from above."""
    points = np.exp2(np.linspace(-12, 12, 1200))
    series = np.log2(sum(count * points**weight for weight, count in GOLAY.items())) * (length // GROUP)
    weights = np.arange(length + 1)
    found = (series[:, None] - np.log2(points)[:, None] * weights).min(axis=0)
    found[(weights % gcd(*GOLAY) != 0) | (weights < 8)] = -np.inf
    return found


def accumulated(counts: np.ndarray, top: int) -> np.ndarray:
    """The same after a random permutation and an accumulator, for weights up to `top`.

    Of all words of length N and weight w, C(N - h, w // 2) C(h - 1, (w + 1) // 2 - 1) have sums of weight h.
    """
    length = len(counts) - 1
    table = log_factorials(length)

    def choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
        inside = (k >= 0) & (k <= n)
        value = table[n] - table[np.where(inside, k, 0)] - table[np.where(inside, n - k, 0)]
        return np.where(inside, value, -np.inf)

    weights = np.flatnonzero(np.isfinite(counts))[:, None]
    share = counts[weights] - choose(np.array(length), weights)
    out = np.full(len(counts), -np.inf)
    for start in range(1, top + 1, 256):
        h = np.arange(start, min(start + 256, top + 1))
        terms = share + choose(length - h, weights // 2) + choose(h - 1, (weights + 1) // 2 - 1)
        highest = np.maximum(terms.max(axis=0), -1e6)
        out[h] = highest + np.log2(np.maximum(np.exp2(terms - highest).sum(axis=0), 1e-300))
    return out


@cache
def light_words(length: int, stages: int) -> float:
    """log2 of the expected number of words of weight up to 0.1 of the length."""
    counts, top = outer(length), int(LIGHT * length)
    for stage in range(stages):
        counts = accumulated(counts, top if stage == stages - 1 else length)
    return float(np.logaddexp2.reduce(counts[1 : top + 1]))


@pytest.mark.parametrize(("stages", "growth"), [(2, 3), (3, 5)])
def test_light_words_vanish_with_the_length(stages: int, growth: int) -> None:
    """Twice the length: 2^growth times fewer, as in the table of the module."""
    shorter, longer = 86 * GROUP, 172 * GROUP
    fall = light_words(shorter, stages) - light_words(longer, stages)
    assert fall == pytest.approx(growth, abs=0.1)


def test_a_light_word_has_chance_below_two_to_the_minus_forty_at_every_length() -> None:
    length = 172 * GROUP
    least = light_words(length, 3) - 4.9 * log2(MINIMUM_LENGTH / length)
    large = light_words(length, 2) - 2.9 * log2(TWO_STAGES_FROM / length)
    assert least < -44
    assert large < -40


def test_the_enumerators_are_right_where_all_words_can_be_counted() -> None:
    """One group: the words of the code for many permutations, counted, against the formula."""
    length, found, codes = GROUP, np.zeros(GROUP + 1), 200
    messages = np.arange(1, 4096)[:, None] >> np.arange(12) & 1
    words = messages @ np.hstack([np.eye(12, dtype=np.int64), golay_parity()]) % 2
    source = np.random.default_rng(5)
    for _ in range(codes):
        sums = np.cumsum(words[:, source.permutation(length)], axis=1) % 2
        found += np.bincount(sums.sum(axis=1), minlength=length + 1)
    exact = np.array([log2(GOLAY.get(weight, 0) or 1e-300) for weight in range(length + 1)])
    exact[[0, *(weight for weight in range(25) if weight not in GOLAY)]] = -np.inf
    wanted = np.exp2(accumulated(exact, length))
    for weight in range(4, 20):
        assert found[weight] / codes == pytest.approx(wanted[weight], rel=0.15, abs=0.3)
