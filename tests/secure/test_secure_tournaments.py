"""The largest of shared numbers: the right one, the first of equals, and nothing told by the comparisons."""

import numpy as np
import pytest
from boost_worlds import masks_for, play
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import Watch

from tongzhou.secure.tournaments import KEY_BITS, groupings, place_bits, ranked, win


def winners(scores: np.ndarray, drop: int = 0, watch: Watch | None = None) -> np.ndarray:
    rows, slots = scores.shape
    masks, marks = masks_for(scores.shape, np.uint64), np.tile(np.arange(slots, dtype=np.uint32), (rows, 1))

    def program(engine):
        if watch is not None:
            engine.party.session = watch(engine.party.session)
        layout = [("<u4", scores.shape)]
        if not engine.is_owner:
            return win(engine, ranked(engine, None, slots, drop), [], layout, rows, slots)
        own = engine.party.role == "asker"
        words = scores.astype(np.int64).view(np.uint64) - masks if own else masks
        keys = ranked(engine, words, slots, drop)
        return win(engine, keys, [marks * np.uint32(own)], layout, rows, slots)

    results = play(program)
    assert results["helper"] == []
    return results["asker"][0] + results["provider"][0]


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_the_first_of_the_largest_wins(data: st.DataObject) -> None:
    slots = data.draw(st.integers(1, 40))
    row = st.lists(st.integers(-3, 3), min_size=slots, max_size=slots)
    scores = np.array(data.draw(st.lists(row, min_size=1, max_size=4)))
    assert winners(scores).tolist() == np.argmax(scores, axis=1).tolist()


@pytest.mark.parametrize("slots", [2, 6, 7, 36, 37, 100, 714])
def test_large_numbers_and_many_places(slots: int) -> None:
    reach = 2 ** (KEY_BITS - 2 - place_bits(slots))
    scores = np.random.default_rng(slots).integers(-reach, reach, (3, slots))
    scores[0, slots // 2], scores[1, 0], scores[2, -1] = reach, reach, reach
    assert winners(scores).tolist() == [slots // 2, 0, slots - 1]


def test_low_bits_that_are_dropped_do_not_count() -> None:
    scores = np.array([[5 << 12, (5 << 12) + 3, 7 << 12], [-(9 << 12), -(4 << 12), -(4 << 12) - 2]])
    # Shares are cut apart, so a difference of one unit may go either way; larger ones may not.
    first, second = winners(scores, drop=10)
    assert (first, second in (1, 2)) == (2, True)


@pytest.mark.parametrize("slots", [1, 5, 6, 7, 30, 36, 37, 200, 714, 1500, 4096])
def test_groups_hold_all_places_with_few_comparisons(slots: int) -> None:
    sizes = groupings(slots)
    left = slots
    compared = 0
    for size in sizes:
        left = -(-left // size)
        compared += left * size * (size - 1) // 2
    assert left == 1
    assert len(sizes) <= 3
    assert compared <= max(15, 4 * slots)


def transcript(scores: np.ndarray) -> np.ndarray:
    """Opened comparisons of each row, ``(rows, bits)``."""
    watch = Watch()
    winners(scores, watch=watch)
    bits = []
    for message in watch.views["asker"]:
        if message.tag == "open.order":
            bits.append(np.unpackbits(message.arrays[0]))
    own = [np.unpackbits(m.arrays[0]) for m in watch.views["provider"] if m.tag == "open.order"]
    return [(a ^ b) for a, b in zip(bits, own, strict=True)]


@pytest.mark.parametrize(
    "row", [[0, 0, 0], [1, 2, 3], [3, 2, 1], [5, 0, 0]], ids=["equal", "rising", "falling", "one"]
)
def test_opened_comparisons_are_those_of_a_random_order(row: list[int]) -> None:
    """Three places: each of the six orders comes up as often, whatever the numbers are."""
    rows = 6000
    (bits,) = transcript(np.tile(np.array(row), (rows, 1)))
    patterns = bits[: 3 * rows].reshape(rows, 3) @ np.array([1, 2, 4])
    counts = np.bincount(patterns, minlength=8)
    # Two of the eight patterns would be circles; a circle never comes.
    possible = counts[counts > 0]
    assert len(possible) == 6
    statistic = ((possible - rows / 6) ** 2 / (rows / 6)).sum()
    assert statistic < 35


def test_messages_do_not_depend_on_the_numbers() -> None:
    shapes = []
    for scores in (np.zeros((2, 50)), np.random.default_rng(3).integers(-99, 99, (2, 50))):
        watch = Watch()
        winners(scores, watch=watch)
        shapes.append({role: [m.shape for m in view] for role, view in watch.views.items()})
    assert shapes[0] == shapes[1]
    assert not shapes[0].get("helper")
