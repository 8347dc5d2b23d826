"""Many institutions in one process, of which some leave or fall silent at a chosen moment."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

import numpy as np

from tongzhou.errors import TongzhouError
from tongzhou.secure.aggregation_settings import AggregationSettings
from tongzhou.secure.party import Party, Role, provider_roles
from tongzhou.secure.tasks import Seat
from tongzhou.wire.memory import memory_sessions
from tongzhou.wire.messages import Session
from tongzhou.wire.session import closing


def roles_of(institutions: int, *, asker_contributes: bool = True) -> tuple[Role, ...]:
    """Asker and providers, so many of them with data."""
    return ("asker", *provider_roles(institutions - asker_contributes))


def agreed(institutions: int, **options: Any) -> AggregationSettings:
    """Settings with a patience that suits tests."""
    return AggregationSettings(
        **{"context": "run", "institutions": institutions, "patience_s": 5.0, **options}
    )


class Gone(BaseException):
    """Raised inside a party that is to vanish."""


@dataclass
class Fate:
    """What befalls a party: it vanishes, or falls silent, instead of its n-th message of a tag.

    Attributes:
        tag: of the message that is not sent.
        turn: which of the messages with this tag, from 0.
        silent: the links stay open, and nothing more is said until the others are done.
    """

    tag: str
    turn: int = 0
    silent: bool = False


class _Doomed:
    def __init__(self, link: Any, fate: Fate, over: Event) -> None:
        self._link, self._fate, self._over, self._seen = link, fate, over, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def send(self, tag: str, value: object = None, arrays: Sequence[Any] = ()) -> None:
        if tag == self._fate.tag:
            if self._seen == self._fate.turn:
                if self._fate.silent:
                    self._over.wait(60)
                raise Gone
            self._seen += 1
        self._link.send(tag, value, arrays)


@dataclass
class Played:
    """How a run ended, by role.

    Attributes:
        results: what each party returned.
        errors: what each party raised.
        parties: the parties, with what they recorded.
    """

    results: dict[Role, Any] = field(default_factory=dict)
    errors: dict[Role, BaseException] = field(default_factory=dict)
    parties: dict[Role, Party] = field(default_factory=dict)


def play_group(
    programs: Mapping[Role, Callable[[Party], Any]],
    *,
    fates: Mapping[Role, Fate] | None = None,
    watch: Callable[[Session], Session] | None = None,
    seconds: float = 30.0,
) -> Played:
    """Run each party's program in a thread; failures are kept by role, and end nothing but their party."""
    sessions, played, over = memory_sessions(list(programs), seconds), Played(), Event()
    names = {role: role for role in programs}

    def run(role: Role) -> None:
        session = sessions[role]
        used = session if watch is None else watch(session)
        if fates and role in fates:
            used = Session(
                role, {peer: _Doomed(link, fates[role], over) for peer, link in used.links.items()}
            )
        played.parties[role] = Party(role, used, names)
        try:
            with closing(session):
                played.results[role] = programs[role](played.parties[role])
        except (TongzhouError, Gone) as error:
            played.errors[role] = error

    threads = {role: Thread(target=run, args=(role,), daemon=True) for role in programs}
    for thread in threads.values():
        thread.start()
    doomed = {role for role, fate in (fates or {}).items() if fate.silent}
    for role in [*(r for r in threads if r not in doomed), *doomed]:
        if role in doomed:
            over.set()
        threads[role].join(60)
        assert not threads[role].is_alive(), role
    return played


def play_task(
    task: Any, inputs: Mapping[Role, Any], *, fates: Mapping[Role, Fate] | None = None, **options: Any
) -> Played:
    """The same for a task in mode group."""

    def program(role: Role) -> Callable[[Party], Any]:
        return lambda party: task.run(Seat(party, "group"), inputs[role])

    return play_group({role: program(role) for role in inputs}, fates=fates, **options)


def tables(
    institutions: int, rows: int, columns: int, *, seed: int = 1, rate: float = 0.2
) -> list[tuple[np.ndarray, np.ndarray]]:
    """One table and label for each institution: the same columns, other people, and means that differ."""
    source = np.random.default_rng(seed)
    weights = source.uniform(-0.8, 0.8, columns)
    found = []
    for place in range(institutions):
        size = rows + 13 * place
        common = source.normal(size=(size, 1))
        values = source.normal(size=(size, columns)) + 0.5 * common + 0.3 * (place % 3)
        values *= 10.0 ** (np.arange(columns) % 5 - 1)
        logits = (values / 10.0 ** (np.arange(columns) % 5 - 1)) @ weights + np.log(rate / (1 - rate))
        found.append((values, (source.random(size) < 1 / (1 + np.exp(-logits))).astype(float)))
    return found
