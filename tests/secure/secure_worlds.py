"""Three parties in one process, what each of them receives, and small tables to work on."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from tongzhou.secure.aided import AidedEngine
from tongzhou.secure.engine import Engine
from tongzhou.secure.logistic import OwnerBlock
from tongzhou.secure.pair import PairEngine
from tongzhou.secure.party import OWNERS, Party, Role
from tongzhou.wire.memory import run_parties
from tongzhou.wire.messages import Session

ROLES: tuple[Role, ...] = ("asker", "provider", "helper")
NAMES: dict[Role, str] = {role: role for role in ROLES}


def play(program: Callable[[AidedEngine], Any]) -> dict[str, Any]:
    """Run the same program at asker, provider and helper; returns what each got."""

    def part(role: Role) -> Callable[[Session], Any]:
        def run(session: Session) -> Any:
            engine = AidedEngine(Party(role, session, NAMES))
            engine.start()
            return program(engine)

        return run

    return run_parties({role: part(role) for role in ROLES}, timeout_s=30)


def play_pair(program: Callable[[Engine], Any]) -> dict[str, Any]:
    """Run the same program at asker and provider, with nobody else."""

    def part(role: Role) -> Callable[[Session], Any]:
        def run(session: Session) -> Any:
            engine = PairEngine(Party(role, session, {owner: owner for owner in OWNERS}))
            engine.start()
            return program(engine)

        return run

    return run_parties({role: part(role) for role in OWNERS}, timeout_s=60)


PAIR = pytest.mark.skipif(find_spec("tenseal") is None, reason="mode pair needs TenSEAL: tongzhou[pair]")
"""Marks what runs in mode `pair`."""


def in_modes(modes: Sequence[str]) -> list[Any]:
    """Modes as parameters of a test."""
    return [pytest.param(mode, marks=PAIR) if mode == "pair" else mode for mode in modes]


def revealed(results: dict[str, Any]) -> np.ndarray:
    """The value whose shares the owners returned, as signed integers."""
    assert "helper" not in results or results["helper"].share is None
    total = results["asker"].share + results["provider"].share
    assert {total.shape} == {result.shape for result in results.values()}
    return total.view(np.int64)


@dataclass
class Received:
    """One message as it arrived."""

    sender: str
    tag: str
    value: Any
    arrays: list[np.ndarray]

    @property
    def shape(self) -> tuple[Any, ...]:
        """What an observer sees without reading contents."""
        return (self.sender, self.tag, [(a.dtype.str, a.shape) for a in self.arrays])


class _Tap:
    def __init__(self, link: Any, log: list[Received]) -> None:
        self._link, self._log = link, log

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def recv(self, tag: str, kind: Any = None, arrays: Any = ()) -> Any:
        value, got = self._link.recv(tag, kind, arrays)
        self._log.append(Received(self._link.peer, tag, value, [array.copy() for array in got]))
        return value, got


@dataclass
class Watch:
    """Pass it to simulate(watch=...): keeps everything that each role receives."""

    views: dict[str, list[Received]] = field(default_factory=lambda: defaultdict(list))

    def __call__(self, session: Session) -> Session:
        log = self.views[session.me]
        return Session(session.me, {peer: _Tap(link, log) for peer, link in session.links.items()})

    def words(self, role: str, *tags: str) -> np.ndarray:
        """All array bytes that a role received under these tags (all tags if none is named)."""
        found = [
            array.reshape(-1).view(np.uint8)
            for message in self.views[role]
            for array in message.arrays
            if not tags or message.tag in tags
        ]
        return np.concatenate(found)

    def tags(self, role: str) -> set[tuple[str, str]]:
        """Sender and tag of everything a role received."""
        return {(message.sender, message.tag) for message in self.views[role]}


def chi_square(data: np.ndarray) -> float:
    """Deviation of bytes from uniform in standard deviations of the chi-square statistic."""
    counts = np.bincount(data, minlength=256)
    expected = len(data) / 256
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return (statistic - 255) / np.sqrt(2 * 255)


def clients(
    rows: int, asker: int, provider: int, *, seed: int = 1, rate: float = 0.2, shared: float = 0.3
) -> tuple[OwnerBlock, OwnerBlock]:
    """Correlated numbers and labels that depend on both owners' columns."""
    source = np.random.default_rng(seed)
    common = source.normal(size=(rows, 1))
    values = source.normal(size=(rows, asker + provider)) * np.sqrt(1 - shared) + common * np.sqrt(shared)
    weights = source.uniform(0.2, 0.8, asker + provider) / np.sqrt(asker + provider)
    logits = values @ weights * 2
    low, high = -15.0, 15.0
    for _ in range(60):
        shift = (low + high) / 2
        low, high = (low, shift) if (1 / (1 + np.exp(-logits - shift))).mean() > rate else (shift, high)
    label = (source.random(rows) < 1 / (1 + np.exp(-logits - low))).astype(float)
    names = [f"column_{place}" for place in range(asker + provider)]
    return (
        OwnerBlock(values[:, :asker], names[:asker], label),
        OwnerBlock(values[:, asker:], names[asker:]),
    )


def owners(role: str) -> bool:
    """Whether a role holds data."""
    return role in OWNERS
