"""What the statements say a protocol costs is what travels: bytes by formula, and rounds."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from list_worlds import DAY, EXPOSURE, LISTED, world
from secure_worlds import Watch, clients, play

from tongzhou.secure.curvature import sample_step
from tongzhou.secure.linear import MATRIX_BITS, invert
from tongzhou.secure.list_tasks import ListQueryTask
from tongzhou.secure.list_terms import Measure
from tongzhou.secure.logistic import LogisticSettings
from tongzhou.secure.matching import MatchSettings
from tongzhou.secure.okvs import table_size
from tongzhou.secure.ring import encode
from tongzhou.secure.simulate import simulate
from tongzhou.secure.tasks import CountInput, CountTask, MatchTask, ScoreInput, ScoreTask, TrainTask


def travelled(watch: Watch, *, longer_than: int = 0) -> int:
    """Bytes of all arrays that arrived anywhere, of those with more rows than given."""
    return sum(
        array.nbytes
        for view in watch.views.values()
        for message in view
        for array in message.arrays
        if max(array.shape, default=0) > longer_than
    )


def rounds(outcome: Any, role: str) -> int:
    return max(traffic.rounds for traffic in outcome.traffic[role].values())


def test_matching_by_diffie_hellman() -> None:
    """64 bytes for each identifier of the asker, 32 for each of the provider, 8 a match; two rounds."""
    watch = Watch()
    left, right = [f"c{n}" for n in range(30)], [f"c{n}" for n in range(20, 70)]
    task = MatchTask(MatchSettings(1, "run"))
    outcome = simulate("pair", task, left, right, watch=watch)
    assert travelled(watch) == 64 * 30 + 32 * 50 + 8 * 10
    # Besides, the two sizes are exchanged first.
    assert rounds(outcome, "asker") == 2
    assert rounds(outcome, "provider") == 3


def test_blind_matching() -> None:
    """12 bytes an identifier to the helper, 8 a match back to each owner."""
    watch = Watch()
    left, right = [f"c{n}" for n in range(30)], [f"c{n}" for n in range(20, 70)]
    outcome = simulate("aided", MatchTask(MatchSettings(1, "run"), "aided"), left, right, watch=watch)
    assert travelled(watch) == 12 * 80 + 8 * 2 * 10
    assert rounds(outcome, "asker") == rounds(outcome, "provider") == 1


def test_matching_by_vole() -> None:
    """About 10 bytes for each identifier of the asker, 10 for each of the provider, 8 a match."""
    watch, asker, provider = Watch(), 10_000, 6000
    left, right = [f"c{n}" for n in range(asker)], [f"c{n}" for n in range(8000, 8000 + provider)]
    simulate("pair", MatchTask(MatchSettings(1, "run"), "vole"), left, right, watch=watch)
    sent: Counter[str] = Counter()
    for message in (message for view in watch.views.values() for message in view):
        sent[message.tag] += sum(array.nbytes for array in message.arrays)
    assert sent["match.table"] == 8 * table_size(asker) < 10.5 * asker
    assert sent["match.tags"] == 10 * provider
    assert sent["match.places"] == 8 * 2000
    # What is made once: the first pairs, trees and transfers.
    assert sum(size for tag, size in sent.items() if not tag.startswith("match.")) < 2_000_000


@pytest.mark.parametrize("variables", [1, 4])
def test_counting(variables: int) -> None:
    """12 bytes a row and variable; rounds do not grow with the rows."""
    watch, rows = Watch(), 1000
    codes = [np.arange(rows, dtype=np.int16) % 5] * variables
    task = CountTask(rows, (5,) * variables)
    label = (np.arange(rows) % 2).astype(np.int8)
    outcome = simulate("aided", task, CountInput(label=label), CountInput(codes=codes), watch=watch)
    assert travelled(watch, longer_than=5) == 12 * rows * variables
    assert rounds(outcome, "provider") <= 2


def test_scoring() -> None:
    """8 m (d + 3) bytes, two rounds."""
    asker, provider = clients(500, 2, 3)
    model = simulate("aided", TrainTask(LogisticSettings(500, 2, 3), errors=False), asker, provider)
    watch = Watch()
    outcome = simulate(
        "aided",
        ScoreTask(500, 2, 3, 500),
        ScoreInput(asker.values, model.asker.key),
        ScoreInput(provider.values, model.provider.key),
        watch=watch,
    )
    assert travelled(watch, longer_than=10) == 8 * 500 * (6 + 3)
    assert max(rounds(outcome, role) for role in ("asker", "provider")) <= 2


@pytest.mark.parametrize(("asker_columns", "provider_columns"), [(2, 3), (4, 1)])
@pytest.mark.parametrize("rate", [0.2, 0.02])
def test_training(asker_columns: int, provider_columns: int, rate: float) -> None:
    """Once, an evaluation, a curvature matrix: as the module text of `logistic` says."""
    rows = 2000
    assert sample_step(rows, 1 << 13) == 1
    asker, provider = clients(rows, asker_columns, provider_columns, rate=rate)
    watch = Watch()
    task = TrainTask(LogisticSettings(rows, asker_columns, provider_columns), errors=True)
    simulate("aided", task, asker, provider, watch=watch)
    moves = [m.value for m in watch.views["helper"] if m.tag == "train.move"]
    coarse, rough, fine = (3, 5, 8) if rate > 0.05 else (6, 12, 20)
    own, width = asker_columns + 1, asker_columns + 1 + provider_columns
    once = 8 * rows * (width + own + 2)
    series = [coarse] + [move.harmonics for move in moves[:-1]]
    evaluations = sum(8 * rows * (6 + 2 * k) for k in series)
    renewed = sum(move.renew for move in moves)
    matrices = sum(8 * rows * (2 * width + own + 2 + 2 * k) for k in [rough] * renewed + [fine])
    errors = 8 * rows * 4  # the logits of the final weights, masked once more
    assert travelled(watch, longer_than=100) == once + evaluations + matrices + errors
    assert moves[-1].last or not moves[-1].step


@pytest.mark.parametrize(("providers", "bound"), [(1, False), (3, False), (3, True)])
def test_asking_lists(providers: int, bound: bool) -> None:
    """A table, a key, a question: as the three modules say; one round, two with a bound."""
    measures = (LISTED, EXPOSURE, *([Measure("large", "above", ("exposure",))] if bound else []))
    watch = Watch()
    asked = world(providers, watch=watch, capacity=1200, per_day=12, measures=measures)
    asked.set_up()
    width, entries = 3 + len(asked.terms.columns), 1200
    rows = sum(m.arrays[0].nbytes for m in watch.views["asker"] if m.tag == "list.rows")
    assert providers * 10 * width * entries <= rows <= providers * 8 * width * (1.25 * entries + 52)
    payload = 2 + 1 + 1 + bound
    for role, more in (("asker", 0), ("helper", 8)):
        keys = [sum(a.nbytes for a in m.arrays) for m in watch.views[role] if m.tag == "list.keys"]
        assert keys == [12 * (17 * 48 + 8 * payload + more)] * providers
        gates = [sum(a.nbytes for a in m.arrays) for m in watch.views[role] if m.tag == "list.gates"]
        assert sum(gates) == bound * 12 * (61 * 50 + 16 + more)
    watch.views.clear()
    outcome = asked.play(ListQueryTask("e1", DAY), asker={"identifiers": ["p1", "p2"]})
    queries, opened = 2, 2
    asks = [sum(a.nbytes for a in m.arrays) for m in watch.views["helper"] if m.tag == "list.ask"]
    assert asks == [16 * queries + 8 * providers * queries * width]
    answers = [sum(a.nbytes for a in m.arrays) for m in watch.views["asker"] if m.tag == "list.answer"]
    assert answers == [8 * providers * queries * (1 + opened) + 8 * queries * 2]
    assert rounds(outcome, "asker") == 1 + bound


def test_rounds_do_not_grow_with_rows() -> None:
    counts = []
    for rows in (300, 3000):
        asker, provider = clients(rows, 1, 1, seed=3)
        outcome = simulate("aided", TrainTask(LogisticSettings(rows, 1, 1), errors=False), asker, provider)
        counts.append((rounds(outcome, "asker"), len(outcome.asker.gradient_norms)))
    per_step = [count / steps for count, steps in counts]
    assert max(per_step) < 30
    assert abs(per_step[0] - per_step[1]) < 10


@pytest.mark.parametrize("doublings", [3, 8])
def test_an_inverse_takes_one_round_and_two_a_doubling(doublings: int) -> None:
    watch = Watch()

    def program(engine: Any) -> None:
        engine.party.session = watch(engine.party.session)
        words = encode(np.eye(3) * 0.5, MATRIX_BITS) if engine.party.role == "asker" else None
        invert(engine, engine.own("asker", (3, 3), words), doublings=doublings)

    play(program)
    opened = [m for m in watch.views["asker"] if m.tag.startswith("masked.")]
    assert len(opened) == 1 + 2 * doublings


@pytest.mark.parametrize(("rows", "sample"), [(8192, 8192), (20_000, 6667), (1_000_000, 62_500)])
def test_a_step_takes_a_sample_of_large_tables(rows: int, sample: int) -> None:
    assert len(range(0, rows, sample_step(rows, 1 << 13))) == sample


def test_the_sample_is_what_travels() -> None:
    rows = 20_000
    asker, provider = clients(rows, 1, 1)
    watch = Watch()
    simulate("aided", TrainTask(LogisticSettings(rows, 1, 1), errors=False), asker, provider, watch=watch)
    shapes = {m.arrays[0].shape for m in watch.views["asker"] if m.tag == "product.scale"}
    assert shapes == {(6667,), (2, 6667)}
