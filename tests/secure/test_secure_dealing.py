"""What the helper deals adds up to what it made, for numbers and for bits; masks are fresh and uniform."""

import numpy as np
import pytest
from boost_worlds import play
from secure_worlds import Watch, chi_square

from tongzhou.errors import ProtocolError
from tongzhou.secure.dealing import ADD, XOR, deal, exchange, mask

KINDS = {"<u8": np.uint64, "<u4": np.uint32, "|u1": np.uint8}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rule", [ADD, XOR], ids=["sum", "xor"])
def test_shares_make_the_value_and_masks_make_the_helpers(kind: str, rule: tuple) -> None:
    value = np.arange(30, dtype=KINDS[kind]).reshape(5, 6)

    def program(engine):
        drawn = mask(engine, kind, (5, 6), rule)
        again = mask(engine, kind, (5, 6), rule)
        first, second = deal(
            engine, "try", [(kind, (5, 6)), (kind, (5, 6))], lambda: [value, value + 1], rule
        )
        return drawn, again, first, second

    results = play(program)
    both = [rule[0](results["asker"][place], results["provider"][place]) for place in range(4)]
    assert (both[0] == results["helper"][0]).all()
    assert (both[1] == results["helper"][1]).all()
    assert (both[0] != both[1]).any()
    assert (both[2] == value).all()
    assert (both[3] == value + 1).all()
    assert all(array.dtype == KINDS[kind] for found in results.values() for array in found)


def test_only_the_helper_computes_what_it_deals() -> None:
    def program(engine):
        def made() -> list[np.ndarray]:
            assert engine.party.role == "helper"
            return [np.zeros(3, dtype=np.uint32)]

        return deal(engine, "try", [("<u4", (3,))], made)

    play(program)


def test_dealt_values_travel_once_and_masked() -> None:
    watch = Watch()

    def program(engine):
        engine.party.session = watch(engine.party.session)
        deal(engine, "zeros", [("<u4", (5000,))], lambda: [np.zeros(5000, dtype=np.uint32)])
        return exchange(engine, "nothing", mask(engine, "<u8", (2000,)))

    results = play(program)
    assert results["helper"] == []
    assert watch.tags("asker") == {("provider", "masked.nothing")}
    assert watch.tags("provider") == {("helper", "deal.zeros"), ("asker", "masked.nothing")}
    for role in ("asker", "provider"):
        assert abs(chi_square(watch.words(role))) < 6


def test_a_message_of_another_shape_is_refused() -> None:
    def program(engine):
        size = 4 if engine.party.role == "asker" else 5
        exchange(engine, "try", np.zeros(size, dtype=np.uint32))

    with pytest.raises(ProtocolError, match=r"masked\.try"):
        play(program)
