"""The engine without protection gives what the protected one gives, primitive by primitive."""

from typing import Any

import numpy as np
import pytest
from secure_worlds import play

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.clear import ClearEngine, tell
from tongzhou.secure.comparison import at_least, equal, less, negative, zero
from tongzhou.secure.party import OWNERS
from tongzhou.secure.products import choose, multiply, square
from tongzhou.secure.shared import Shared, join

SOURCE = np.random.default_rng(3)
MATRIX = SOURCE.integers(0, 2**64, (3, 5), dtype=np.uint64)
ROWS = SOURCE.integers(0, 2**64, (2, 5), dtype=np.uint64)
SMALL = np.array([-7, 0, 3, 9, 0], dtype=np.int64).view(np.uint64)


def own(engine: AidedEngine, owner: str, words: np.ndarray) -> Shared:
    """A value of one owner."""
    here = isinstance(engine, ClearEngine) or engine.party.role == owner
    return engine.own(owner, words.shape, words if here else None)


def hidden(engine: AidedEngine, owner: str) -> Any:
    here = isinstance(engine, ClearEngine) or engine.party.role == owner
    return engine.hide(owner, MATRIX.shape, MATRIX if here else None)


PRIMITIVES: dict[str, Any] = {
    "own": lambda e: own(e, "provider", ROWS),
    "add_public": lambda e: e.add_public(own(e, "asker", SMALL), SMALL),
    "times": lambda e: e.times(hidden(e, "asker"), own(e, "provider", MATRIX[:, 0].copy())),
    "transpose": lambda e: e.transpose_times(hidden(e, "provider"), own(e, "asker", ROWS)),
    "transpose one": lambda e: e.transpose_times(hidden(e, "asker"), own(e, "provider", ROWS[0].copy())),
    "scale": lambda e: e.scale_rows(hidden(e, "asker"), own(e, "provider", ROWS[1].copy())),
    "matmul": lambda e: e.matmul(own(e, "asker", MATRIX), own(e, "provider", MATRIX.T.copy())),
    "multiply": lambda e: multiply(e, own(e, "asker", ROWS), own(e, "provider", ROWS)),
    "square": lambda e: square(e, own(e, "asker", ROWS)),
    "choose": lambda e: choose(
        e, zero(e, own(e, "asker", SMALL)), own(e, "asker", SMALL), own(e, "provider", SMALL)
    ),
    "negative": lambda e: negative(e, own(e, "asker", SMALL), bits=5),
    "zero": lambda e: zero(e, own(e, "provider", SMALL), bits=5),
    "less": lambda e: less(e, own(e, "provider", SMALL), own(e, "asker", SMALL[::-1].copy()), bits=6),
    "equal": lambda e: equal(e, own(e, "provider", SMALL), own(e, "asker", SMALL[::-1].copy()), bits=6),
    "at least": lambda e: at_least(e, own(e, "asker", SMALL), 3, bits=6),
    "join": lambda e: (
        join(own(e, "asker", SMALL), own(e, "provider", SMALL)).part(3, 7).reshaped(2, 2).transposed()
    ),
}


@pytest.mark.parametrize("name", PRIMITIVES)
def test_each_primitive_gives_the_same(name: str) -> None:
    program = PRIMITIVES[name]
    engine = ClearEngine()
    engine.start()
    clear = program(engine)
    got = play(program)
    assert clear.shape == got["asker"].shape == clear.share.shape
    assert clear.share.tolist() == (got["asker"].share + got["provider"].share).tolist()


def test_truncation_rounds_down() -> None:
    value = own(ClearEngine(), "asker", np.array([7, -7, 8], dtype=np.int64).view(np.uint64))
    assert ClearEngine().truncate(value, 2).share.view(np.int64).tolist() == [1, -2, 2]
    product = ClearEngine().matmul(value.reshaped(1, 3), value.reshaped(3, 1), drop=1)
    assert product.share.tolist() == [[81]]


def test_opening_is_recorded_as_in_protected_modes() -> None:
    engine = ClearEngine()
    opened = engine.open(
        own(engine, "asker", SMALL), what="a trial", receivers=("provider",), reason="a test"
    )
    assert opened.tolist() == SMALL.tolist()
    (entry,) = engine.party.openings
    assert (entry.what, entry.count, entry.receivers, entry.reason) == ("a trial", 5, ("provider",), "a test")


def test_both_owners_values_must_be_there() -> None:
    for call in (
        lambda e: e.own("provider", (2,), None),
        lambda e: e.hide("provider", (1, 2), None),
        lambda e: negative(e, Shared((1,), None)),
    ):
        with pytest.raises(ValueError, match=r"mode local needs the (asker|provider)'s values"):
            call(ClearEngine())


@pytest.mark.parametrize("teller", OWNERS)
@pytest.mark.parametrize("helper", [False, True])
def test_what_is_told_reaches_who_is_meant(teller: str, helper: bool) -> None:
    def program(engine: AidedEngine) -> Any:
        value = [3, 4] if engine.party.role == teller else None
        return tell(engine, teller, "trial", value, list[int], helper=helper)

    got = play(program)
    assert got["asker"] == got["provider"] == [3, 4]
    assert got["helper"] == ([3, 4] if helper else None)
    assert tell(ClearEngine(), teller, "trial", [3, 4], list[int], helper=helper) == [3, 4]
