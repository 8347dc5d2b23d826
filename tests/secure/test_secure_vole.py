"""Silent VOLE: c = b + a·D at every size, uniform outputs, and uniform messages of the stated kinds alone."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from secure_worlds import Watch, chi_square
from test_secure_gf64 import times

from tongzhou.errors import ProtocolError
from tongzhou.secure import vole
from tongzhou.secure.accumulate_code import GROUP, MINIMUM_LENGTH
from tongzhou.secure.gf64 import FixedProduct
from tongzhou.secure.ot_extension import OtReceiver, OtSender
from tongzhou.secure.vole import DIRECT_MAX, NOISE_WEIGHT, VoleReceiver, VoleSender
from tongzhou.wire.memory import run_parties
from tongzhou.wire.messages import Session


def pair(
    send: Callable[[VoleSender], Any], receive: Callable[[VoleReceiver], Any], watch: Watch | None = None
) -> tuple[Any, Any]:
    tap: Callable[[Session], Session] = watch or (lambda session: session)
    found = run_parties(
        {
            "sender": lambda session: send(VoleSender(OtSender(tap(session).links["receiver"]))),
            "receiver": lambda session: receive(VoleReceiver(OtReceiver(tap(session).links["sender"]))),
        }
    )
    return found["sender"], found["receiver"]


def check(delta: np.ndarray, b: np.ndarray, a: np.ndarray, c: np.ndarray) -> None:
    assert b.shape == c.shape == (len(a), 2)
    sums = b.copy()
    FixedProduct(delta).add_to(sums, a)
    assert np.array_equal(sums, c)


def test_few_pairs_are_right_by_plain_multiplication() -> None:
    (delta, b), (a, c) = pair(lambda v: (v.delta, v.extend(5)), lambda v: v.extend(5))
    for place in range(5):
        for half in (0, 1):
            assert int(c[place, half]) == int(b[place, half]) ^ times(int(a[place]), int(delta[half]))


@pytest.mark.parametrize("count", [1, DIRECT_MAX, DIRECT_MAX + 1, 20_000])
def test_pairs_at_every_size(count: int) -> None:
    (delta, b), (a, c) = pair(lambda v: (v.delta, v.extend(count)), lambda v: v.extend(count))
    check(delta, b, a, c)
    assert len(a) == count
    assert len(np.unique(a)) == count


def test_batches_and_calls_follow_each_other_without_repeating(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches after the first begin with pairs of the one before; those never come out."""
    monkeypatch.setattr(vole, "_BATCH", 4000)
    counts = [9000, 5, 6000]
    (delta, bs), pairs = pair(
        lambda v: (v.delta, [v.extend(count) for count in counts]),
        lambda v: [v.extend(count) for count in counts],
    )
    for b, (a, c) in zip(bs, pairs, strict=True):
        check(delta, b, a, c)
    everything = np.concatenate([a for a, _ in pairs])
    assert len(np.unique(everything)) == sum(counts)


def test_outputs_look_uniform() -> None:
    (_, b), (a, c) = pair(lambda v: (v.delta, v.extend(20_000)), lambda v: v.extend(20_000))
    for words in (a, b, c):
        assert abs(chi_square(words.reshape(-1).view(np.uint8))) < 6
    # The noise is gone: no output is zero, and no two neighbours are alike.
    assert a.all()
    assert (a[1:] != a[:-1]).all()


@given(st.integers(DIRECT_MAX + 1, 4_000_000))
def test_noise_is_never_less_than_it_must_be(outputs: int) -> None:
    shape = vole._shape(outputs)
    assert NOISE_WEIGHT <= shape.trees <= vole._SPARE
    assert shape.length == shape.trees << shape.depth
    assert shape.length % GROUP == 0
    assert shape.length >= MINIMUM_LENGTH
    assert outputs <= shape.length // 2 < outputs + outputs // 8 + 200


@given(st.integers(1, 10_000_000))
def test_batches_add_up(count: int) -> None:
    sizes = vole._sizes(count)
    assert sum(sizes) == count
    assert max(sizes) - min(sizes) <= 1
    assert max(sizes) <= vole._BATCH


def test_the_weight_of_the_noise_is_the_least_that_the_bound_allows() -> None:
    assert (1 - 0.1) ** NOISE_WEIGHT < 2**-128 < (1 - 0.1) ** (NOISE_WEIGHT - 1)


def test_what_each_side_receives_is_uniform_and_nothing_else_arrives() -> None:
    watch = Watch()
    pair(lambda v: v.extend(20_000), lambda v: v.extend(20_000), watch)
    assert watch.tags("sender") == {("receiver", tag) for tag in ("ot.base.public", "ot.columns", "ot.rows")}
    assert watch.tags("receiver") == {
        ("sender", tag) for tag in ("ot.base.points", "ot.hash", "ot.messages", "vole.keys", "vole.holes")
    }
    kinds = (
        ("sender", "ot.columns"),
        ("sender", "ot.rows"),
        ("receiver", "ot.messages"),
        ("receiver", "vole.holes"),
    )
    for role, tag in kinds:
        assert abs(chi_square(watch.words(role, tag))) < 6, tag


def test_two_runs_see_the_same_shapes() -> None:
    views = []
    for _ in range(2):
        watch = Watch()
        pair(lambda v: v.extend(6000), lambda v: v.extend(6000), watch)
        views.append([[message.shape for message in watch.views[role]] for role in ("sender", "receiver")])
    assert views[0] == views[1]


def test_holes_and_noise_are_drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The places of the noise: each leaf of a block is as likely as any other."""
    seen: list[np.ndarray] = []
    grow = vole.Grove.grow_around

    def spy(grove: Any, holes: np.ndarray, told: np.ndarray) -> np.ndarray:
        seen.append(holes)
        return grow(grove, holes, told)

    monkeypatch.setattr(vole.Grove, "grow_around", spy)
    pair(lambda v: v.extend(6000), lambda v: v.extend(6000))
    (holes,) = seen
    depth = vole._shape(6000 + vole._SPARE).depth
    counts = np.bincount(holes, minlength=1 << depth)
    expected = len(holes) / (1 << depth)
    assert ((counts - expected) ** 2 / expected).sum() < (1 << depth) + 6 * np.sqrt(2 * (1 << depth))


def test_public_choices_of_another_size_are_refused() -> None:
    def hostile(session: Session) -> None:
        ot = OtSender(session.links["receiver"])
        ot.link.send("vole.keys", b"short")

    with pytest.raises(ProtocolError, match="sender sent a seed of 5 bytes; 64 are due"):
        run_parties(
            {
                "sender": hostile,
                "receiver": lambda session: VoleReceiver(OtReceiver(session.links["sender"])),
            },
            timeout_s=5,
        )


def test_corrections_of_another_shape_are_refused() -> None:
    def hostile(session: Session) -> None:
        sender = VoleSender(OtSender(session.links["receiver"]))
        shape = vole._shape(6000 + vole._SPARE)
        sender._direct(shape.trees)
        _, sums = sender._codes.grove.grow(np.ones((shape.trees, 2), dtype=np.uint64), shape.depth)
        sender._ot.messages(sums[:, 0].reshape(-1, 2), sums[:, 1].reshape(-1, 2))
        sender._ot.link.send("vole.holes", None, [np.zeros((3, 2), dtype=np.uint64)])

    with pytest.raises(ProtocolError, match=r"vole\.holes"):
        run_parties(
            {
                "sender": hostile,
                "receiver": lambda session: VoleReceiver(OtReceiver(session.links["sender"])).extend(6000),
            },
            timeout_s=10,
        )
