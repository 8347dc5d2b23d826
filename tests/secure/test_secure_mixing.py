"""Shared rows in an order that nobody knows: alike for all arrays, uniform, and unknown to each owner."""

from collections import Counter

import numpy as np
from boost_worlds import play
from secure_worlds import Watch, chi_square

from tongzhou.secure.mixing import shuffle

LAYOUT = [("<u8", (4, 6)), ("<u4", (4, 6))]


def shuffled(rows: int, places: int) -> tuple[list[np.ndarray], Watch]:
    """Numbers 0, 1, … in each row, as words and as halves, put into a new order."""
    watch = Watch()
    numbers = np.tile(np.arange(places), (rows, 1))
    layout = [("<u8", (rows, places)), ("<u4", (rows, places))]

    def program(engine):
        engine.party.session = watch(engine.party.session)
        if not engine.is_owner:
            return shuffle(engine, None, layout)
        own = engine.party.role == "asker"
        return shuffle(engine, [numbers.astype(np.uint64) * own, numbers.astype(np.uint32) * own], layout)

    results = play(program)
    assert results["helper"] == []
    return [a + b for a, b in zip(results["asker"], results["provider"], strict=True)], watch


def test_all_arrays_move_alike_and_nothing_is_lost() -> None:
    (words, halves), _ = shuffled(50, 6)
    assert (words == halves).all()
    assert (np.sort(words, axis=1) == np.arange(6)).all()
    assert len({tuple(row) for row in words.tolist()}) > 20


def test_every_order_is_as_likely() -> None:
    (words, _), _ = shuffled(12_000, 3)
    counts = Counter(tuple(row) for row in words.tolist())
    assert len(counts) == 6
    statistic = sum((count - 2000) ** 2 / 2000 for count in counts.values())
    assert statistic < 35  # five degrees of freedom: by chance once in a million


def test_an_owner_cannot_tell_the_order_from_what_it_is_told() -> None:
    """What the provider is told is independent of where a row went."""
    (words, _), watch = shuffled(12_000, 3)
    (message,) = [m for m in watch.views["provider"] if m.tag == "shuffle.order"]
    pairs = Counter(zip(words[:, 0].tolist(), message.arrays[0][:, 0].tolist(), strict=True))
    expected = 12_000 / 9
    assert sum((pairs[a, b] - expected) ** 2 / expected for a in range(3) for b in range(3)) < 45


def test_one_round_and_uniform_messages() -> None:
    _, watch = shuffled(400, 50)
    assert [m.tag for m in watch.views["asker"]] == ["masked.shuffle"]
    assert {m.tag for m in watch.views["provider"]} == {"masked.shuffle", "shuffle.order", "deal.shuffle"}
    assert not watch.views["helper"]
    assert abs(chi_square(watch.words("asker"))) < 6
    assert abs(chi_square(watch.words("provider", "masked.shuffle", "deal.shuffle"))) < 6
