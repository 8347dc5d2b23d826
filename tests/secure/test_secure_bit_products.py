"""Products of private bits, made in advance: the OR of two bits is shared, and what travels is uniform."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import PAIR, Watch, chi_square
from test_secure_blind import both

from tongzhou.secure.bit_products import BitProducts
from tongzhou.secure.blind import Blind
from tongzhou.secure.lattice import DEGREE

pytestmark = PAIR
BITS = st.lists(st.booleans(), min_size=30, max_size=30)


@settings(max_examples=5, deadline=None)
@given(BITS, BITS)
def test_wraps_are_the_or_of_both_bits(first: list[bool], second: list[bool]) -> None:
    def program(blind: Blind) -> Any:
        own = np.array(first if blind.holds_keys else second).reshape(5, 6)
        return BitProducts(blind).wraps(own)

    asker, provider = both(program)
    wanted = np.array(first).reshape(5, 6) | np.array(second).reshape(5, 6)
    assert (asker + provider).tolist() == wanted.astype(np.uint64).tolist()


def test_the_stock_is_used_up_before_more_is_made() -> None:
    def program(blind: Blind) -> Any:
        bits = BitProducts(blind)
        rounds, out = [], []
        for count in (DEGREE - 10, 10, 1, DEGREE + 1):
            before = blind.party.peer.traffic.rounds
            out.append(bits.wraps(np.arange(count) % 3 == 0))
            rounds.append(blind.party.peer.traffic.rounds - before)
        return out, rounds

    (asker, rounds), (provider, _) = both(program)
    # One round to make, one to use; the last needs two polynomials, of which one is partly there.
    assert rounds == [2, 1, 2, 2]
    for mine, theirs in zip(asker, provider, strict=True):
        assert (mine + theirs).tolist() == (np.arange(len(mine)) % 3 == 0).astype(int).tolist()


def test_no_product_is_used_twice() -> None:
    def program(blind: Blind) -> Any:
        bits = BitProducts(blind)
        bits.make(50)
        before = bits._bits[:100].copy()
        bits.wraps(np.zeros(60, dtype=np.bool_))
        return before[60:].tolist() == bits._bits[:40].tolist(), len(bits._bits) == len(bits._shares)

    assert both(program) == ((True, True), (True, True))


@pytest.mark.parametrize("constant", [False, True])
def test_the_bits_are_hidden(constant: bool) -> None:
    watch = Watch()

    def program(blind: Blind) -> Any:
        blind.party.session = watch(blind.party.session)
        BitProducts(blind).wraps(np.full(2 * DEGREE, constant))

    both(program)
    for role in ("asker", "provider"):
        assert abs(chi_square(watch.words(role, "bits.masked"))) < 6
