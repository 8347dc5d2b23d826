"""The aided primitives against plain integer arithmetic, at the edges of the range as well."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from secure_worlds import NAMES, ROLES, play, revealed

from tongzhou.errors import ProtocolError
from tongzhou.secure import aided
from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.party import OWNERS, Party, Role
from tongzhou.secure.shared import Shared
from tongzhou.wire.memory import run_parties

WORD = st.integers(0, 2**64 - 1)
RUNS = settings(max_examples=15, deadline=None)


def words(*shape: int) -> st.SearchStrategy[np.ndarray]:
    return hnp.arrays(np.uint64, shape, elements=WORD)


def share(engine: AidedEngine, value: np.ndarray, mask: np.ndarray) -> Shared:
    """The value as a sum of mask and rest."""
    own = {"asker": value - mask, "provider": mask}.get(engine.party.role)
    return Shared(value.shape, own)


def only(engine: AidedEngine, owner: Role, value: np.ndarray) -> np.ndarray | None:
    return value if engine.party.role == owner else None


def exact(left: Any, right: Any) -> list:
    """Matrix product of Python integers modulo 2^64."""
    product = np.array(left.tolist(), dtype=object) @ np.array(right.tolist(), dtype=object)
    return np.vectorize(lambda x: x % 2**64, otypes=[object])(product).tolist()


def unsigned(results: dict[str, Any]) -> list:
    return revealed(results).view(np.uint64).tolist()


@pytest.mark.parametrize("owner", OWNERS)
@RUNS
@given(words(3, 5), words(3), words(5), words(2, 5), words(5))
def test_products_with_a_hidden_matrix(
    owner: Role, matrix: np.ndarray, weights: np.ndarray, rows: np.ndarray, two: np.ndarray, mask: np.ndarray
) -> None:
    def program(engine: AidedEngine) -> Any:
        hidden = engine.hide(owner, (3, 5), only(engine, owner, matrix))
        return (
            engine.times(hidden, share(engine, weights, mask[:3])),
            engine.transpose_times(hidden, share(engine, rows, mask)),
            engine.transpose_times(hidden, share(engine, two, mask + two)),
            engine.scale_rows(hidden, share(engine, rows, mask)),
        )

    got = play(program)
    one, other, third, fourth = ({role: got[role][k] for role in ROLES} for k in range(4))
    assert unsigned(one) == exact(weights, matrix)
    assert unsigned(other) == exact(matrix, rows)
    assert unsigned(third) == exact(matrix, two.T)
    assert unsigned(fourth) == (matrix * rows).tolist()


@RUNS
@given(words(2, 3), words(3, 4), words(3, 4))
def test_product_of_two_shared_matrices(left: np.ndarray, right: np.ndarray, mask: np.ndarray) -> None:
    got = play(lambda e: e.matmul(share(e, left, mask[:2, :3]), share(e, right, mask)))
    assert unsigned(got) == exact(left, right)


EDGE = 2**62 - 1
SIGNED = st.one_of(
    st.integers(-EDGE, EDGE), st.sampled_from([EDGE, -EDGE, 0, 1, -1, 2**61, -(2**61), EDGE - 1, 1 - EDGE])
)


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.int64, 40, elements=SIGNED), words(40), st.integers(1, 62))
def test_truncation_is_off_by_less_than_one_unit(values: np.ndarray, mask: np.ndarray, bits: int) -> None:
    got = revealed(play(lambda e: e.truncate(share(e, values.view(np.uint64), mask), bits)))
    for before, after in zip(values.tolist(), got.tolist(), strict=True):
        assert abs(after * 2**bits - before) < 2**bits


def test_truncation_rounds_without_a_lean() -> None:
    """The rounding follows a uniform mask: the mean of many is the exact quotient."""
    values = np.full(20_000, 5 * 2**20 + 2**18, dtype=np.uint64)
    got = revealed(play(lambda e: e.truncate(share(e, values, np.zeros_like(values)), 20)))
    assert set(got.tolist()) == {5, 6}
    assert abs(got.mean() - 5.25) < 6 * 0.433 / np.sqrt(len(values))


def test_truncation_fails_beyond_its_range() -> None:
    """The bound in the docstring is not for show."""
    values = np.full(64, 2**62 + 2**61, dtype=np.uint64)
    got = revealed(play(lambda e: e.truncate(share(e, values, np.zeros_like(values)), 20)))
    assert np.any(np.abs(got - (2**42 + 2**41)) > 1)


def test_an_own_value_is_shared_without_a_word() -> None:
    value = np.array([7, 2**64 - 1], dtype=np.uint64)

    def program(engine: AidedEngine) -> Any:
        before = engine.party.session.links["asker" if engine.party.role != "asker" else "provider"].traffic
        sent = before.bytes_sent
        result = engine.own("provider", (2,), only(engine, "provider", value))
        assert before.bytes_sent == sent
        return engine.add_public(result, np.array([1, 1], dtype=np.uint64))

    assert unsigned(play(program)) == [8, 0]


@pytest.mark.parametrize("receivers", [("asker",), ("provider",), OWNERS])
def test_opening_reaches_the_receivers_only_and_is_recorded(receivers: tuple[Role, ...]) -> None:
    value = np.arange(6, dtype=np.uint64).reshape(2, 3)

    def program(engine: AidedEngine) -> Any:
        shared = share(engine, value, value * np.uint64(3))
        opened = engine.open(shared, what="a trial", receivers=receivers, reason="a test")
        return opened, engine.party.openings

    for role, (opened, openings) in play(program).items():
        assert (opened is not None) == (role in receivers)
        if opened is not None:
            assert opened.tolist() == value.tolist()
        (entry,) = openings
        assert (entry.what, entry.count, entry.receivers, entry.reason) == ("a trial", 6, receivers, "a test")


def test_large_matrices_travel_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aided, "_CHUNK_BYTES", 2 * 8 * 5)
    matrix = np.arange(35, dtype=np.uint64).reshape(7, 5)
    ones = np.ones(5, dtype=np.uint64)

    def program(engine: AidedEngine) -> Any:
        before = engine.party.session.links
        hidden = engine.hide("provider", (7, 5), only(engine, "provider", matrix))
        if engine.party.role == "asker":
            assert before["provider"].traffic.messages_received == 4
        return engine.transpose_times(hidden, share(engine, ones, ones))

    assert unsigned(play(program)) == matrix.sum(axis=1).tolist()


def test_a_seed_of_another_length_is_refused() -> None:
    def owner(session: Any) -> None:
        session.links["helper"].send("aided.seed", b"short")

    def helper(session: Any) -> None:
        AidedEngine(Party("helper", session, NAMES)).start()

    with pytest.raises(ProtocolError, match="asker sent a seed of 5 bytes; 32 are due"):
        run_parties({"asker": owner, "provider": owner, "helper": helper}, timeout_s=5)
