"""Comparisons equal those of plain integers, at every bound, and tell nobody anything."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import Watch, chi_square, play, revealed

from tongzhou.errors import PeerError, ProtocolError
from tongzhou.secure import comparison
from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.comparison import MAX_BITS, at_least, equal, less, negative, open_bits, zero
from tongzhou.secure.party import OWNERS
from tongzhou.secure.products import choose, multiply, square
from tongzhou.secure.shared import Shared

RUNS = settings(max_examples=15, deadline=None)
WORD = st.integers(0, 2**64 - 1)


def share(engine: AidedEngine, value: Any, mask: Any = 0x9E3779B97F4A7C15) -> Shared:
    """A value as a sum of mask and rest."""
    words = np.array(value, dtype=np.int64).view(np.uint64)
    masks = np.full(words.shape, mask, dtype=np.uint64) if isinstance(mask, int) else mask
    own = {"asker": words - masks, "provider": masks}.get(engine.party.role)
    return Shared(words.shape, own)


@st.composite
def bounded(draw: st.DrawFn) -> tuple[int, list[int]]:
    """A bound in bits, and numbers up to its very edges."""
    bits = draw(st.integers(1, MAX_BITS))
    edge = 2**bits
    special = st.sampled_from([-edge, edge - 1, 0, -1, 1 - edge, edge // 2, -edge // 2])
    numbers = draw(st.lists(st.one_of(st.integers(-edge, edge - 1), special), min_size=1, max_size=30))
    return bits, numbers


@RUNS
@given(bounded(), st.data())
def test_signs_and_zeros(case: tuple[int, list[int]], data: st.DataObject) -> None:
    bits, numbers = case
    drawn = data.draw(st.lists(WORD, min_size=len(numbers), max_size=len(numbers)))
    masks = np.array(drawn, dtype=np.uint64)

    def program(engine: AidedEngine) -> Any:
        value = share(engine, numbers, masks)
        return negative(engine, value, bits=bits), zero(engine, value, bits=bits)

    got = play(program)
    signs, zeros = ({role: pair[place] for role, pair in got.items()} for place in (0, 1))
    assert revealed(signs).tolist() == [int(number < 0) for number in numbers]
    assert revealed(zeros).tolist() == [int(number == 0) for number in numbers]


@pytest.mark.parametrize("bits", [1, 3, 4, 5])
def test_every_value_of_a_small_range(bits: int) -> None:
    """All numbers against masks that make every sum of low bits occur."""
    numbers = [number for number in range(-(2**bits), 2**bits) for _ in range(16)]
    got = play(lambda engine: negative(engine, share(engine, numbers), bits=bits))
    assert revealed(got).tolist() == [int(number < 0) for number in numbers]


@pytest.mark.parametrize("bits", [31, 32, 33, 59, 60, 61, 62, 63])
def test_edges_where_the_form_of_the_words_changes(bits: int) -> None:
    """Masks of half a word end at 31 bits, the last whole block at 60."""
    edge = 2**bits
    numbers = [-edge, edge - 1, 0, -1, 1, 1 - edge, edge // 2, -edge // 2] * 40

    def program(engine: AidedEngine) -> Any:
        value = share(engine, numbers)
        return negative(engine, value, bits=bits), zero(engine, value, bits=bits)

    got = play(program)
    assert revealed({r: p[0] for r, p in got.items()}).tolist() == [int(number < 0) for number in numbers]
    assert revealed({r: p[1] for r, p in got.items()}).tolist() == [int(number == 0) for number in numbers]


@RUNS
@given(st.lists(st.tuples(st.integers(-500, 500), st.integers(-500, 500)), min_size=1, max_size=30))
def test_one_shared_number_against_another(pairs: list[tuple[int, int]]) -> None:
    left, right = zip(*pairs, strict=True)

    def program(engine: AidedEngine) -> Any:
        one, other = share(engine, left), share(engine, right, 5)
        return less(engine, one, other, bits=10), equal(engine, one, other, bits=10)

    got = play(program)
    assert revealed({r: p[0] for r, p in got.items()}).tolist() == [int(a < b) for a, b in pairs]
    assert revealed({r: p[1] for r, p in got.items()}).tolist() == [int(a == b) for a, b in pairs]


def test_a_public_bound_for_all_or_for_each() -> None:
    counts = [[0, 4, 5], [6, 5, 2**20]]
    bounds = np.array([[0, 5, 5], [7, 4, 2**20 + 1]], dtype=np.uint64)

    def program(engine: AidedEngine) -> Any:
        value = share(engine, counts)
        return at_least(engine, value, 5, bits=22), at_least(engine, value, bounds, bits=22)

    got = play(program)
    assert revealed({r: p[0] for r, p in got.items()}).tolist() == [[0, 0, 1], [1, 1, 1]]
    assert revealed({r: p[1] for r, p in got.items()}).tolist() == [[1, 0, 1], [0, 1, 0]]


def test_many_numbers_go_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_PIECE", 7)
    numbers = list(range(-10, 11))
    got = play(lambda engine: negative(engine, share(engine, numbers), bits=8))
    assert revealed(got).tolist() == [1] * 10 + [0] * 11


def test_no_numbers_at_all() -> None:
    got = play(lambda engine: zero(engine, share(engine, []), bits=8))
    assert revealed(got).shape == (0,)


@pytest.mark.parametrize("receivers", [("asker",), ("provider",), OWNERS])
def test_only_receivers_learn_opened_answers(receivers: tuple[str, ...]) -> None:
    def program(engine: AidedEngine) -> Any:
        answers = negative(engine, share(engine, [3, -3]), bits=4)
        opened = open_bits(engine, answers, what="a sign", receivers=receivers, reason="a test")
        return opened, engine.party.openings

    for role, (opened, openings) in play(program).items():
        assert (None if opened is None else opened.tolist()) == ([False, True] if role in receivers else None)
        assert [(one.what, one.count, one.receivers) for one in openings] == [("a sign", 2, receivers)]


def test_an_engine_without_the_protocol_is_refused_by_name() -> None:
    value = Shared((1,), None)
    for ask in (negative, zero):
        with pytest.raises(TypeError, match="str has no protocol to compare shared numbers"):
            ask("no engine", value)


@RUNS
@given(st.lists(st.tuples(WORD, WORD), min_size=1, max_size=20))
def test_products_place_by_place(pairs: list[tuple[int, int]]) -> None:
    left, right = (np.array(side, dtype=np.uint64).view(np.int64) for side in zip(*pairs, strict=True))
    got = revealed(play(lambda e: multiply(e, share(e, left), share(e, right, 77)))).view(np.uint64)
    assert got.tolist() == [a * b % 2**64 for a, b in pairs]


def test_products_keep_their_shape_and_lose_bits() -> None:
    left, right = [[1 << 20, 3 << 19], [-(1 << 20), 5 << 20]], [[1 << 20, 1 << 21], [1 << 20, 1 << 18]]
    got = revealed(play(lambda e: multiply(e, share(e, left), share(e, right), drop=20)))
    assert np.abs(got - (np.array(left) * np.array(right) >> 20)).max() <= 1


@RUNS
@given(st.lists(WORD, min_size=1, max_size=20))
def test_squares(numbers: list[int]) -> None:
    words = np.array(numbers, dtype=np.uint64).view(np.int64)
    got = revealed(play(lambda e: square(e, share(e, words)))).view(np.uint64)
    assert got.tolist() == [number * number % 2**64 for number in numbers]


@pytest.mark.parametrize(("ask", "size"), [(lambda e, v: multiply(e, v, v), 48), (square, 24)])
def test_the_costs_of_products(ask: Any, size: int) -> None:
    watch = Watch()

    def program(engine: AidedEngine) -> None:
        engine.party.session = watch(engine.party.session)
        ask(engine, share(engine, [3] * 500))

    play(program)
    assert sum(a.nbytes for view in watch.views.values() for m in view for a in m.arrays) == size * 500


def test_choosing_by_a_shared_bit() -> None:
    got = play(lambda e: choose(e, share(e, [1, 0, 1]), share(e, [7, 7, -7]), share(e, [9, 9, 9])))
    assert revealed(got).tolist() == [7, 9, -7]


# --- what arrives, and how much ------------------------------------------------------------------------


def watched(numbers: list[int], bits: int, ask: Any = negative) -> Watch:
    watch = Watch()

    def program(engine: AidedEngine) -> Any:
        engine.party.session = watch(engine.party.session)
        return ask(engine, share(engine, numbers), bits=bits)

    play(program)
    return watch


@pytest.mark.parametrize("ask", [negative, zero])
@pytest.mark.parametrize("number", [0, -1, 2**20])
@pytest.mark.parametrize("bits", [24, 63])
def test_all_that_arrives_is_uniform(ask: Any, number: int, bits: int) -> None:
    """The same number four thousand times: every kind of message is uniform all the same."""
    watch = watched([number] * 4000, bits, ask)
    expected = {"masked.compare", "masked.index"}
    assert watch.tags("asker") == {("provider", tag) for tag in expected}
    assert watch.tags("provider") == {("asker", tag) for tag in expected} | {("helper", "deal.compare")}
    assert not watch.views["helper"]
    for role in OWNERS:
        for tag in expected | ({"deal.compare"} if role == "provider" else set()):
            assert abs(chi_square(watch.words(role, tag))) < 6, (role, tag)


def test_opened_indices_are_uniform_at_every_table() -> None:
    """The root's index alone, for one value of which every answer is the same."""
    watch = watched([0] * 4096, 8)
    for role in OWNERS:
        shares = [m.arrays[0] for m in watch.views[role] if m.tag == "masked.index"]
        for packed in shares:
            nibbles = np.concatenate([packed & 15, packed >> 4])
            counts = Counter(nibbles.tolist())
            expected = len(nibbles) / 16
            assert sum((counts[v] - expected) ** 2 / expected for v in range(16)) < 60, role


@pytest.mark.parametrize(
    ("ask", "bits", "rounds", "dealt"), [(negative, 63, 5, 250), (negative, 24, 4, 172), (zero, 63, 3, 212)]
)
def test_the_costs_that_the_statement_says(ask: Any, bits: int, rounds: int, dealt: int) -> None:
    rows = 1000
    watch = watched([1] * rows, bits, ask)
    blocks = -(-bits // 4)
    from_helper = sum(a.nbytes for m in watch.views["provider"] if m.sender == "helper" for a in m.arrays)
    assert from_helper <= dealt * rows
    assert len(watch.views["asker"]) == rounds
    between = sum(a.nbytes for m in watch.views["asker"] for a in m.arrays)
    assert between <= (8 + blocks / 2) * rows + rounds


@pytest.mark.parametrize("tag", ["masked.compare", "masked.index", "deal.compare"])
def test_a_message_of_another_shape_stops_the_comparison(tag: str) -> None:
    class Short:
        """A link that leaves out the last row of one kind of message."""

        def __init__(self, link: Any) -> None:
            self._link = link

        def __getattr__(self, name: str) -> Any:
            return getattr(self._link, name)

        def send(self, sent: str, value: Any = None, arrays: Any = ()) -> None:
            self._link.send(sent, value, [a[:-1] for a in arrays] if sent == tag else arrays)

    def program(engine: AidedEngine) -> Any:
        if engine.party.role == ("helper" if tag == "deal.compare" else "asker"):
            links = engine.party.session.links
            links["provider"] = Short(links["provider"])
        return negative(engine, share(engine, [1, 2, 3]), bits=20)

    with pytest.raises((ProtocolError, PeerError), match=tag):
        play(program)
