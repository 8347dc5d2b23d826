"""The primitives of mode pair against plain integer arithmetic, at the edges of the range as well."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from secure_worlds import NAMES, PAIR, play_pair, revealed

from tongzhou.errors import PlanError
from tongzhou.secure.engine import SPARE_BITS, Engine, Hidden
from tongzhou.secure.lattice import DEGREE, SLOTS
from tongzhou.secure.pair import PairEngine
from tongzhou.secure.pair_matrices import turned_alike
from tongzhou.secure.party import OWNERS, Party, Role
from tongzhou.secure.prg import Stream
from tongzhou.secure.ring import decode, encode
from tongzhou.secure.series import Series, multiples
from tongzhou.secure.shared import Shared
from tongzhou.wire.messages import Session

pytestmark = PAIR
RUNS = settings(max_examples=4, deadline=None)
UNIT = 1 << SPARE_BITS


def words(seed: int, *shape: int) -> np.ndarray:
    return Stream(seed.to_bytes(32, "big")).words(*shape)


def share(engine: Engine, value: np.ndarray, seed: int = 99) -> Shared:
    """The value as a sum of a uniform mask and the rest."""
    mask = words(seed, *value.shape)
    return Shared(value.shape, value - mask if engine.party.role == "asker" else mask)


def only(engine: Engine, owner: Role, value: np.ndarray) -> np.ndarray | None:
    return value if engine.party.role == owner else None


def exact(left: Any, right: Any) -> list:
    product = np.array(left.tolist(), dtype=object) @ np.array(right.tolist(), dtype=object)
    return np.vectorize(lambda x: x % 2**64, otypes=[object])(product).tolist()


def unsigned(results: dict[str, Any], place: int | None = None) -> list:
    found = {role: result if place is None else result[place] for role, result in results.items()}
    return revealed(found).view(np.uint64).tolist()


def whole(*shape: int) -> st.SearchStrategy[np.ndarray]:
    """Words without their lowest bits, which products round off."""
    return hnp.arrays(
        np.uint64, shape, elements=st.integers(0, 2**50 - 1).map(lambda word: word << SPARE_BITS)
    )


def block(*shape: int) -> st.SearchStrategy[np.ndarray]:
    """Numbers of a whitened block, as signed words."""
    return hnp.arrays(np.int64, shape, elements=st.integers(-(2**20), 2**20)).map(lambda x: x.view(np.uint64))


@pytest.mark.parametrize("owner", OWNERS)
@RUNS
@given(block(3, 5), whole(3), whole(5), whole(2, 5))
def test_products_with_a_hidden_matrix_are_exact(
    owner: Role, matrix: np.ndarray, weights: np.ndarray, rows: np.ndarray, two: np.ndarray
) -> None:
    def program(engine: Engine) -> Any:
        hidden = engine.hide(owner, (3, 5), only(engine, owner, matrix))
        return (
            engine.times(hidden, share(engine, weights)),
            engine.transpose_times(hidden, share(engine, rows)),
            engine.transpose_times(hidden, share(engine, two)),
        )

    got = play_pair(program)
    assert unsigned(got, 0) == exact(weights, matrix)
    assert unsigned(got, 1) == exact(matrix, rows)
    assert unsigned(got, 2) == exact(matrix, two.T)


@pytest.mark.parametrize("rows", [7, DEGREE, DEGREE + 3])
def test_both_matrices_at_once_in_any_number_of_blocks(rows: int) -> None:
    first, second = (words(seed, d, rows) >> np.uint64(47) for seed, d in ((1, 2), (2, 3)))
    weights, column = words(3, 5) << np.uint64(SPARE_BITS), words(4, rows) << np.uint64(SPARE_BITS)

    def program(engine: Engine) -> Any:
        asker = engine.hide("asker", (2, rows), only(engine, "asker", first))
        provider = engine.hide("provider", (3, rows), only(engine, "provider", second))
        before = engine.party.peer.traffic.rounds
        return (
            engine.times_both(asker, provider, share(engine, weights)),
            engine.transposes_times(asker, provider, share(engine, column)),
            # Again, from what is kept.
            engine.times_both(asker, provider, share(engine, weights)),
            engine.transposes_times(asker, provider, share(engine, column)),
            engine.party.peer.traffic.rounds - before,
        )

    got = play_pair(program)
    everything = np.concatenate([first, second])
    for place in (0, 2):
        assert unsigned(got, place) == exact(weights, everything)
        assert unsigned(got, place + 1) == exact(everything, column)
    assert got["asker"][4] == 4


def test_what_a_product_rounds_off_is_the_lowest_bits_of_the_shared_operand() -> None:
    """The engine's contract: an operand is off by less than one unit of 2^SPARE_BITS, without a lean."""
    matrix = np.ones((1, 20_000), dtype=np.uint64)
    value = np.full(20_000, 5 * UNIT + UNIT // 4, dtype=np.uint64)

    def program(engine: Engine) -> Any:
        hidden = engine.hide("provider", (1, 20_000), only(engine, "provider", matrix))
        return engine.transpose_times(hidden, share(engine, value))

    mean = revealed(play_pair(program))[0] / len(value) / UNIT
    assert abs(mean - 5.25) < 6 * 0.433 / np.sqrt(len(value))


def test_a_weighted_gram_sums_rows_of_both_owners() -> None:
    rows, bits = 5000, 12
    source = np.random.default_rng(5)
    first, second = source.normal(size=(2, rows)), source.normal(size=(3, rows))
    factors = source.uniform(0.05, 0.25, rows)

    def program(engine: Engine) -> Any:
        asker = engine.hide("asker", (2, rows), only(engine, "asker", encode(first.copy(), bits)))
        provider = engine.hide("provider", (3, rows), only(engine, "provider", encode(second.copy(), bits)))
        return engine.weighted_gram(asker, provider, share(engine, encode(factors.copy(), 24)))

    everything = np.concatenate([first, second])
    wanted = (everything * factors) @ everything.T
    found = decode(revealed(play_pair(program)).view(np.uint64), 2 * bits + 24)
    assert found == pytest.approx(found.T, abs=0)
    assert found == pytest.approx(wanted, abs=0.3)


@pytest.mark.parametrize(("rows", "inner", "columns"), [(1, 24, 1), (24, 24, 24), (48, 24, 5), (7, 120, 3)])
def test_product_of_two_shared_matrices(rows: int, inner: int, columns: int) -> None:
    """Exact but for the lowest four bits of each operand."""
    left, right = (
        words(seed, *shape) << np.uint64(4) for seed, shape in ((6, (rows, inner)), (7, (inner, columns)))
    )
    got = play_pair(lambda e: e.matmul(share(e, left), share(e, right)))
    assert unsigned(got) == exact(left, right)


def test_a_product_can_drop_bits_at_once() -> None:
    left, right = (np.random.default_rng(seed).uniform(-1, 1, (6, 6)) for seed in (8, 9))

    def program(engine: Engine) -> Any:
        return engine.matmul(
            share(engine, encode(left.copy(), 28)), share(engine, encode(right.copy(), 28)), drop=28
        )

    assert decode(revealed(play_pair(program)).view(np.uint64), 28) == pytest.approx(left @ right, abs=1e-6)


EDGE = 2**62 - 1
SIGNED = st.one_of(
    st.integers(-EDGE, EDGE), st.sampled_from([EDGE, -EDGE, 0, 1, -1, 2**61, -(2**61), EDGE - 1, 1 - EDGE])
)


@RUNS
@given(hnp.arrays(np.int64, 40, elements=SIGNED), st.integers(1, 62))
def test_truncation_is_off_by_at_most_one_unit(values: np.ndarray, bits: int) -> None:
    got = revealed(play_pair(lambda e: e.truncate(share(e, values.view(np.uint64)), bits)))
    for before, after in zip(values.tolist(), got.tolist(), strict=True):
        assert abs(after * 2**bits - before) <= 2**bits


def test_truncation_rounds_without_a_lean() -> None:
    values = np.full(20_000, 5 * 2**20 + 2**18, dtype=np.uint64)
    got = revealed(play_pair(lambda e: e.truncate(share(e, values), 20)))
    assert set(got.tolist()) == {5, 6}
    assert abs(got.mean() - 5.25) < 6 * 0.433 / np.sqrt(len(values))


@pytest.mark.parametrize(("sine", "bits"), [(True, 32), (False, 20), (True, 45)])
def test_series_of_shared_angles(sine: bool, bits: int) -> None:
    """Also with more fractional bits than the factors have."""
    angles, series = words(10, DEGREE + 5), Series((0.5, -0.25, 0.125), sine=sine)

    def program(engine: Engine) -> Any:
        own = engine.angles(share(engine, angles))
        whole = engine.sum_series(own, series, dealt_bits=14, bits=bits)
        some = engine.sum_series(own[::7], series, dealt_bits=14, bits=bits)
        return whole, some

    got = play_pair(program)
    table = multiples(angles, 3)
    wanted = np.array(series.coefficients) @ (table[3:] if sine else table[:3])
    for place, expected in ((0, wanted), (1, wanted[::7])):
        found = decode(np.array(unsigned(got, place), dtype=np.uint64), bits)
        assert found == pytest.approx(expected, abs=4e-6 + 2**-bits)


def test_sums_come_back_to_the_ring_at_the_edges() -> None:
    """Up to a quarter of the prime, and wherever the shares lie."""

    def program(engine: Engine) -> Any:
        series = engine._series
        prime = engine._blind.modulus(SLOTS)
        values = [0, 1, -1, prime // 4 - 1, 1 - prime // 4, 12345]
        masks = [0, 1, prime - 1, prime // 2, prime // 2 + 1, prime // 4]
        pairs = [(value, mask) for value in values for mask in masks]
        if engine.party.role == "asker":
            own = [(value - mask) % prime for value, mask in pairs]
        else:
            own = [mask for _, mask in pairs]
        return np.array([value for value, _ in pairs]), series.to_ring(np.array(own, dtype=np.uint64), 0)

    got = play_pair(program)
    found = (got["asker"][1] + got["provider"][1]).view(np.int64)
    assert found.tolist() == got["asker"][0].tolist()


def test_a_sample_resembles_all_rows() -> None:
    source = np.random.default_rng(11)
    words_ = encode(source.normal(size=(4, 9000)), 12)
    some = turned_alike(np.ascontiguousarray(words_[:, ::9]), words_)
    whole, part = (x.view(np.int64).astype(float) for x in (words_, some))
    assert part @ part.T / 1000 == pytest.approx(whole @ whole.T / 9000, rel=1e-3, abs=2e4)


def test_a_sample_that_does_not_span_the_columns_stays_as_it_is() -> None:
    words_ = np.zeros((2, 10), dtype=np.uint64)
    words_[:, 1] = 1
    some = words_[:, ::2]
    assert turned_alike(some, words_) is some


def test_sampling_leaves_the_other_owners_matrix_alone() -> None:
    matrix = words(12, 2, 30) >> np.uint64(50)

    def program(engine: Engine) -> Hidden:
        return engine.sample(
            engine.hide("provider", (2, 30), only(engine, "provider", matrix)), slice(0, 30, 3)
        )

    got = play_pair(program)
    assert got["asker"].words is None
    assert got["asker"].rows == got["provider"].rows == 10
    with pytest.raises(ValueError, match="holds nothing of the matrix"):
        _ = got["asker"].held


def test_hiding_and_keys_cost_nothing_before_they_are_needed() -> None:
    def program(engine: Engine) -> int:
        engine.hide("asker", (3, 5), only(engine, "asker", words(13, 3, 5)))
        return engine.party.peer.traffic.messages_sent

    assert set(play_pair(program).values()) == {0}


def test_there_is_nobody_to_announce_to() -> None:
    def program(engine: Engine) -> Any:
        assert engine.announce("train.rare", True, bool, what="whether events are rare", reason="x") is True
        assert engine.party.openings == []
        assert engine.party.peer.traffic.messages_sent == 0
        with pytest.raises(PlanError, match="mode pair has no helper"):
            engine.announce("train.rare", None, bool)
        with pytest.raises(PlanError, match="mode pair has no helper"):
            engine.truncate(Shared((1,), None), 1)
        return True

    assert play_pair(program) == {"asker": True, "provider": True}


def test_a_third_party_is_refused() -> None:
    with pytest.raises(PlanError, match="mode pair has no helper; remove it or use mode aided"):
        PairEngine(Party("asker", Session("asker", {}), NAMES)).start()
