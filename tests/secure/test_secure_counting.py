"""Joint counts equal plain counts exactly, small bins are refused, and so are false orders and sizes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from secure_worlds import NAMES, in_modes, play

from tongzhou.errors import DataError, PeerError, ProtocolError
from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.counting import count_events
from tongzhou.secure.party import Party
from tongzhou.secure.simulate import simulate
from tongzhou.secure.tasks import CountInput, CountTask, Mode
from tongzhou.wire.memory import run_parties
from tongzhou.wire.messages import Session

MODES = in_modes(["local", "aided", "pair"])


def count(mode: Mode, codes: list[np.ndarray], label: np.ndarray, **options: Any) -> Any:
    bins = options.pop("bins", tuple(int(code.max()) + 1 for code in codes))
    task = CountTask(len(label), bins, **options)
    return simulate(mode, task, CountInput(label=label), CountInput(codes=codes))


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[np.ndarray], np.ndarray, tuple[int, ...]]:
    rows = draw(st.integers(1, 60))
    bins = tuple(draw(st.lists(st.integers(1, 9), min_size=1, max_size=3)))
    column = st.lists
    codes = [
        np.array(draw(column(st.integers(0, b - 1), min_size=rows, max_size=rows)), dtype=np.int16)
        for b in bins
    ]
    label = np.array(draw(column(st.integers(0, 1), min_size=rows, max_size=rows)), dtype=np.int8)
    return codes, label, bins


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("receivers", ["provider", "both"])
@settings(max_examples=20, deadline=None)
@given(tables())
def test_counts_are_exact(mode: Mode, receivers: Any, table: Any) -> None:
    codes, label, bins = table
    outcome = count(mode, codes, label, bins=bins, receivers=receivers)
    for place, (code, size) in enumerate(zip(codes, bins, strict=True)):
        totals = [int((code == b).sum()) for b in range(size)]
        events = [int(((code == b) & (label == 1)).sum()) for b in range(size)]
        asker, provider = outcome.asker[place], outcome.provider[place]
        assert (provider.totals.tolist(), provider.events.tolist()) == (totals, events)
        assert asker.totals.tolist() == totals
        assert (None if asker.events is None else asker.events.tolist()) == (
            events if receivers == "both" else None
        )


def test_counts_are_exact_for_many_rows() -> None:
    source = np.random.default_rng(4)
    codes = [source.integers(0, 32, 70_000).astype(np.int16)]
    label = (source.random(70_000) < 0.01).astype(np.int8)
    outcome = count("aided", codes, label)
    assert outcome.provider[0].events.tolist() == np.bincount(codes[0][label == 1], minlength=32).tolist()


@pytest.mark.parametrize("mode", MODES)
def test_small_bins_are_refused_before_anything_is_opened(mode: Mode) -> None:
    big = np.repeat([0, 1], 6).astype(np.int16)
    small = np.array([0] * 9 + [2] * 3, dtype=np.int16)
    label = np.tile([0, 1], 6).astype(np.int8)
    sentence = "variable 2 of the provider has a bin of 3 rows; at least 5 are required"
    with pytest.raises(DataError, match=sentence):
        count(mode, [big, small], label, minimum_rows=5)
    # An empty bin is no small bin.
    outcome = count(mode, [big, small], label, minimum_rows=3)
    assert outcome.provider[1].totals.tolist() == [9, 0, 3]


def test_openings_name_the_receivers_of_the_grant() -> None:
    codes, label = [np.array([0, 1, 1], dtype=np.int16)], np.array([1, 0, 1], dtype=np.int8)
    for receivers, expected in (("provider", ("provider",)), ("both", ("asker", "provider"))):
        openings = count("aided", codes, label, receivers=receivers).openings
        for role in ("asker", "provider", "helper"):
            totals, events = openings[role]
            assert (totals.receivers, totals.count) == (("asker",), 2)
            assert (events.receivers, events.count) == (expected, 2)
            assert events.reason == "grant: bin_counts"


def attacked(attack: Any) -> None:
    """The asker against a provider that sends other totals or another order."""

    def asker(session: Session) -> None:
        engine = AidedEngine(Party("asker", session, NAMES))
        engine.start()
        count_events(engine, 4, [2], label=np.array([0, 1, 0, 1], dtype=np.int8))

    def helper(session: Session) -> None:
        engine = AidedEngine(Party("helper", session, NAMES))
        engine.start()
        count_events(engine, 4, [2])

    def provider(session: Session) -> None:
        engine = AidedEngine(Party("provider", session, NAMES))
        engine.start()
        attack(session.links["asker"])
        with pytest.raises(PeerError):
            session.links["asker"].recv("bin.label")

    run_parties({"asker": asker, "provider": provider, "helper": helper}, timeout_s=5)


@pytest.mark.parametrize("totals", [[1, 2], [5, -1], [4, 1]])
def test_sizes_that_do_not_add_up_are_refused(totals: list[int]) -> None:
    with pytest.raises(ProtocolError, match="bin sizes that do not add up to the 4 matched rows"):
        attacked(lambda link: link.send("bin.totals", None, [np.array(totals, dtype=np.int64)]))


@pytest.mark.parametrize("order", [[0, 1, 2, 2], [0, 1, 2, 4], [0, 1, 2, 2**32 - 1]])
def test_an_order_that_is_no_permutation_is_refused(order: list[int]) -> None:
    """A repeated place would let the provider count a single client's label twice, and so learn it."""

    def attack(link: Any) -> None:
        link.send("bin.totals", None, [np.array([2, 2], dtype=np.int64)])
        link.send("bin.order", None, [np.array(order, dtype=np.uint32)])

    with pytest.raises(ProtocolError, match="provider sent an order of the rows that is not a permutation"):
        attacked(attack)


def test_the_asker_must_bring_a_label() -> None:
    def program(engine: AidedEngine) -> None:
        codes = [np.array([0, 1], dtype=np.int16)] if engine.party.role == "provider" else None
        count_events(engine, 2, [2], codes=codes)

    with pytest.raises(DataError, match="the asker needs a label, one of 0 and 1"):
        play(program)
