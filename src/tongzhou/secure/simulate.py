"""Run a joint job among parties of one process: for tests, teaching and a first try in a notebook.

outcome = simulate("aided", MatchTask(MatchSettings(10, "try")), ["a", "b"], ["b", "c"])
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tongzhou.secure.exchange import Exchange
from tongzhou.secure.party import Opening, Party, Role
from tongzhou.secure.tasks import Mode, Playable, Seat, Task
from tongzhou.wire.memory import run_parties
from tongzhou.wire.messages import Session, Traffic

__all__ = ["Outcome", "PartiesOutcome", "simulate", "simulate_parties"]

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True)
class Outcome(Generic[Out]):
    """What a simulated run gave.

    Attributes:
        asker, provider: what each owner got.
        openings: everything opened, by role.
        traffic: counts of each role's links, by role and peer role.
    """

    asker: Out | None
    provider: Out | None
    openings: dict[str, list[Opening]]
    traffic: dict[str, dict[str, Traffic]]


@dataclass(frozen=True)
class PartiesOutcome(Generic[Out]):
    """What a simulated run of any number of parties gave.

    Attributes:
        results: what each role got.
        openings: everything opened, by role.
        traffic: counts of each role's links, by role and peer role.
    """

    results: dict[Role, Out | None]
    openings: dict[Role, list[Opening]]
    traffic: dict[Role, dict[str, Traffic]]


def simulate(
    mode: Mode,
    task: Task[In, Out],
    asker: In,
    provider: In,
    *,
    watch: Callable[[Session], Session] | None = None,
) -> Outcome[Out]:
    """Run `task` with both owners' inputs, in the given mode.

    Args:
        mode: trust mode.
        task: the joint job.
        asker: the asker's input.
        provider: the provider's input.
        watch: wraps each party's session before the run, for example to look at what it receives.
    """
    inputs: dict[Role, In | None] = {"asker": asker, "provider": provider}
    if mode == "aided":
        inputs["helper"] = None
    done = simulate_parties(mode, task, inputs, watch=watch)
    return Outcome(done.results["asker"], done.results["provider"], done.openings, done.traffic)


def simulate_parties(
    mode: Mode,
    task: Playable[In, Out],
    inputs: Mapping[Role, In | None],
    *,
    watch: Callable[[Session], Session] | None = None,
) -> PartiesOutcome[Out]:
    """Run `task` among any number of parties of this process.

    Args:
        mode: trust mode.
        task: the joint job.
        inputs: each role's input, in the order ``asker``, ``provider``, ``provider2``, …, ``helper``.
        watch: as in `simulate`.
    """
    exchange = Exchange()
    names: dict[Role, str] = {role: role for role in inputs}

    def play(role: Role) -> Callable[[Session], Any]:
        def part(session: Session) -> Any:
            party = Party(role, session if watch is None else watch(session), names)
            result = task.run(Seat(party, mode, exchange), inputs[role])
            return result, party.openings, {peer: link.traffic for peer, link in session.links.items()}

        return part

    done = run_parties({role: play(role) for role in inputs})
    return PartiesOutcome(*({role: result[place] for role, result in done.items()} for place in range(3)))
