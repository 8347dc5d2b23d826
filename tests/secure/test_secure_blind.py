"""Private products of two owners: exact shares, uniform masks, and a peer that sends something else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from secure_worlds import PAIR, chi_square

from tongzhou.errors import ProtocolError
from tongzhou.secure import blind as module
from tongzhou.secure.blind import Blind, Job, Term
from tongzhou.secure.lattice import DEGREE, ROWS, SLOTS, SMALL, KeyHolder, Kind
from tongzhou.secure.packing import Layout, best_layout
from tongzhou.secure.party import OWNERS, Party
from tongzhou.secure.prg import Stream
from tongzhou.wire.memory import run_parties

pytestmark = PAIR


def both(program: Callable[[Blind], Any]) -> tuple[Any, Any]:
    """What asker and provider get from the same program."""

    def part(role: str) -> Callable[[Any], Any]:
        return lambda session: program(Blind(Party(role, session, {one: one for one in OWNERS})))

    found = run_parties({role: part(role) for role in OWNERS}, timeout_s=60)
    return found["asker"], found["provider"]


def words(seed: int, *shape: int) -> np.ndarray:
    return Stream(seed.to_bytes(32, "big")).words(*shape)


def exact(left: np.ndarray, right: np.ndarray, modulus: int) -> list:
    product = np.array(left.tolist(), dtype=object) @ np.array(right.tolist(), dtype=object)
    return (product % modulus).tolist()


def total(shares: tuple[np.ndarray, np.ndarray], modulus: int) -> list:
    return ((shares[0].astype(object) + shares[1].astype(object)) % modulus).tolist()


@pytest.mark.parametrize(("rows", "inner", "columns"), [(1, 1, 1), (3, 9000, 1), (2, 5000, 3), (40, 300, 2)])
def test_a_product_is_shared_exactly(rows: int, inner: int, columns: int) -> None:
    left, right = words(1, rows, inner), words(2, inner, columns)

    def program(blind: Blind) -> Any:
        term = Term(best_layout(rows, inner, columns), inner, blind.at_provider(left), blind.at_asker(right))
        return blind.products(ROWS, [Job(rows, columns, [term])])[0]

    assert total(both(program), 1 << ROWS.bits) == exact(left, right, 1 << ROWS.bits)


def test_jobs_of_several_terms_go_in_one_round() -> None:
    """A straight and a turned product in one result, beside another job."""
    left, right = words(3, 4, 30), words(4, 30, 5)
    rows = words(5, 1, 2000)

    def program(blind: Blind) -> Any:
        straight, turned = Layout(30, 4, 5), Layout(30, 5, 4, turned=True)
        first = Term(straight, 30, blind.at_provider(left), blind.at_asker(right))
        second = Term(turned, 30, blind.at_provider(right.T), blind.at_asker(left.T))
        third = Term(Layout(2000, 1, 1), 2000, blind.at_provider(rows), blind.at_asker(rows.T))
        found = blind.products(SMALL, [Job(4, 5, [first, second]), Job(1, 1, [third])])
        return *found, blind.party.peer.traffic.rounds

    asker, provider = both(program)
    modulus = 1 << SMALL.bits
    assert total((asker[0], provider[0]), modulus) == exact(2 * left.astype(object), right, modulus)
    assert total((asker[1], provider[1]), modulus) == exact(rows, rows.T, modulus)
    assert asker[2] == 1


@pytest.mark.parametrize("rows", [10, DEGREE + 1])
def test_a_sealed_matrix_serves_many_products(rows: int) -> None:
    matrix, first, second = words(6, rows, 2), words(7, 1, rows), words(8, 3, rows)

    def program(blind: Blind) -> Any:
        sealed = blind.seal(ROWS, matrix.shape, blind.at_asker(matrix))
        sent = blind.party.peer.traffic.messages_sent
        found = []
        for left in (first, second):
            term = Term(Layout(DEGREE, 1, 1), rows, blind.at_provider(left), sealed=sealed)
            found += blind.products(ROWS, [Job(len(left), 2, [term])])
        return *found, blind.party.peer.traffic.messages_sent - sent

    asker, provider = both(program)
    for left, place in ((first, 0), (second, 1)):
        assert total((asker[place], provider[place]), 1 << ROWS.bits) == exact(left, matrix, 1 << ROWS.bits)
    # Two results, then six: four in a message.
    assert (asker[2], provider[2]) == (0, 3)


def test_factors_that_are_kept_are_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    truly = module.Evaluator.factor

    def counted(self: Any, polynomial: np.ndarray) -> Any:
        made.append(1)
        return truly(self, polynomial)

    monkeypatch.setattr(module.Evaluator, "factor", counted)
    left, right, kept = words(9, 2, 50), words(10, 50, 1), {}

    def program(blind: Blind) -> None:
        for _ in range(3):
            term = Term(Layout(50, 2, 1), 50, blind.at_provider(left), blind.at_asker(right), factors=kept)
            blind.products(ROWS, [Job(2, 1, [term])])

    both(program)
    assert len(made) == 1


@pytest.mark.parametrize("kind", [ROWS, SLOTS, SMALL], ids=lambda kind: kind.name)
def test_masks_are_uniform_below_the_modulus(kind: Kind) -> None:
    def program(blind: Blind) -> Any:
        modulus = blind.modulus(kind)
        if blind.holds_keys:
            return None
        return modulus, np.concatenate([blind._uniform(kind) for _ in range(4)])

    modulus, masks = both(program)[1]
    assert int(masks.max()) < modulus
    assert abs(chi_square((masks >> np.uint64(kind.bits - 8)).astype(np.uint8))) < 6
    assert abs(chi_square((masks & np.uint64(255)).astype(np.uint8))) < 6


def test_a_mask_beyond_the_prime_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """It hardly ever happens by itself."""

    class Drawn:
        def __init__(self) -> None:
            self.again = 0

        def words(self, count: int) -> np.ndarray:
            if count == DEGREE:
                out = np.zeros(count, dtype=np.uint64)
                out[7:9] = (1 << SLOTS.bits) - 1
                return out
            self.again += count
            return np.full(count, 5, dtype=np.uint64)

    def program(blind: Blind) -> Any:
        blind.modulus(SLOTS)
        if blind.holds_keys:
            return None
        blind._masks = drawn = Drawn()
        return blind._uniform(SLOTS), drawn.again

    masks, again = both(program)[1]
    assert again == 2
    assert masks[7:9].tolist() == [5, 5]


def test_shares_divided_alike_keep_the_wrap_around_and_have_no_lean() -> None:
    value, mask = np.full(20_000, 5 * 2**14 + 2**12, dtype=np.uint64), words(11, 20_000)

    def program(blind: Blind) -> np.ndarray:
        return blind.divided(value - mask if blind.holds_keys else mask, 14)

    asker, provider = both(program)
    found = (asker + provider) & np.uint64((1 << 50) - 1)
    assert set(found.tolist()) == {5, 6}
    assert abs(found.mean() - 5.25) < 6 * 0.433 / np.sqrt(len(value))
    # Multiples of 2^14 stay exact.
    value -= np.uint64(2**12)
    asker, provider = both(program)
    assert set(((asker + provider) & np.uint64((1 << 50) - 1)).tolist()) == {5}


@pytest.mark.parametrize(
    ("sizes", "length"),
    [([-1], 0), ([4], 3), ([2**62], 8), ([1 << 21], 1 << 21)],
    ids=["negative", "short", "overflow", "huge"],
)
def test_sizes_that_do_not_fit_are_refused(sizes: list[int], length: int) -> None:
    def asker(session: Any) -> None:
        link = session.links["provider"]
        link.send("blind.rows.key", None, [KeyHolder(ROWS).public_key()])
        link.send("blind.rows", None, [np.array(sizes, dtype=np.int64), np.zeros(length, dtype=np.uint8)])

    def provider(session: Any) -> None:
        blind = Blind(Party("provider", session, {one: one for one in OWNERS}))
        blind.seal(ROWS, (1, 1), None)

    with pytest.raises(ProtocolError, match="asker sent a ciphertext that is none"):
        run_parties({"asker": asker, "provider": provider}, timeout_s=10)


def test_a_provider_that_answers_with_a_fresh_ciphertext_is_refused() -> None:
    """The asker decrypts results only, which have a modulus of their own."""

    def asker(session: Any) -> None:
        blind = Blind(Party("asker", session, {one: one for one in OWNERS}))
        term = Term(Layout(1, 1, 1), 1, None, np.ones((1, 1), dtype=np.uint64))
        blind.products(ROWS, [Job(1, 1, [term])])

    def provider(session: Any) -> None:
        link = session.links["asker"]
        link.recv("blind.rows.key", None, [module.ArraySpec("|u1", (None,))])
        _, (sizes, data) = link.recv(
            "blind.rows", None, [module.ArraySpec("<i8", (1,)), module.ArraySpec("|u1", (None,))]
        )
        link.send("blind.rows.back", None, [sizes, data])

    with pytest.raises(ProtocolError, match="provider sent a ciphertext that is none"):
        run_parties({"asker": asker, "provider": provider}, timeout_s=10)
