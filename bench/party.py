"""One party of a measurement: ``python -m bench.party FOLDER ROLE ROLES MODE JOB ARGUMENT...``.

It prints its own measures as JSON. ROLES names everybody, parted by commas, in the order in which they start.

A small job of the same kind goes first, unmeasured, so that no library's first call is counted as work.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np

from bench.federated_job import federated
from bench.graph_jobs import graph
from bench.kind_jobs import found_by, task_and_input, warm_up
from bench.list_jobs import list_query, list_setup
from bench.measures import Meter, peak_rss_mb
from bench.statistics_jobs import compare_play, statistics_play
from bench.trio import BEHIND
from tongzhou.parties.identity import Identity
from tongzhou.parties.trust import TrustStore
from tongzhou.risk.evaluation import auc
from tongzhou.secure.boost_settings import BoostSettings
from tongzhou.secure.boost_tasks import BoostScoreInput, BoostScoreTask, BoostTask
from tongzhou.secure.glm_settings import Family, GlmBlock, GlmSettings
from tongzhou.secure.glm_tasks import GlmTask
from tongzhou.secure.logistic import LogisticSettings, OwnerBlock, OwnerFit
from tongzhou.secure.matching import MatchSettings
from tongzhou.secure.party import Party, Role
from tongzhou.secure.tasks import MatchTask, Mode, Seat, TrainTask
from tongzhou.wire.messages import Session
from tongzhou.wire.session import closing, join_links, total_traffic
from tongzhou.wire.tls import Listener, connect

__all__ = ["JOBS", "main"]

_TIMEOUT_S = 120.0
_WARM_ROWS = 500

Result = dict[str, Any]
Protocol = Literal["dh", "vole", "aided"]


def main() -> None:
    """Meet the others, play the job, print the measures as JSON."""
    folder, role, roles, mode, job, *arguments = sys.argv[1:]
    everybody = roles.split(",")
    with closing(_meet(Path(folder), role, everybody)) as session:
        seat = Seat(Party(role, session, {one: one for one in everybody}), cast("Mode", mode))
        result = JOBS[job](seat, arguments)
    sys.stdout.write(json.dumps(result | {"rss_mb": peak_rss_mb()}))


def _meet(folder: Path, role: Role, everybody: list[Role]) -> Session:
    """Each calls those that started before it; whoever will be called says so on standard output."""
    identity = Identity.load(folder / role)
    trust = TrustStore(folder / role / "trust")
    calls = everybody[: everybody.index(role)]
    links = [connect(identity, trust.get(other), trust, timeout_s=_TIMEOUT_S) for other in calls]
    awaited = len(everybody) - 1 - len(calls)
    if awaited:
        host, port = _own_endpoint(folder, role, everybody[-1])
        with Listener(identity, trust, host, port) as listener:
            sys.stdout.write("ready\n")
            sys.stdout.flush()
            links += [listener.accept(_TIMEOUT_S) for _ in range(awaited)]
    return join_links(role, links)


def _own_endpoint(folder: Path, role: Role, other: Role) -> tuple[str, int]:
    """Where to listen: what the card that the others hold says, unless the network between is delayed."""
    behind = folder / role / BEHIND
    endpoint = (
        behind.read_text(encoding="ascii")
        if behind.exists()
        else TrustStore(folder / other / "trust").get(role).endpoint
    )
    host, _, port = endpoint.rpartition(":")
    return host, int(port)


@dataclass
class _Gauge:
    """Reads the clocks and the counters of the session between two moments."""

    session: Session
    meter: Meter = field(default_factory=Meter)
    bytes_before: int = 0
    rounds_before: int = 0

    def start(self) -> None:
        traffic = total_traffic(self.session)
        self.bytes_before, self.rounds_before = traffic.bytes_sent, traffic.rounds
        self.meter = Meter()

    def read(self) -> Result:
        traffic = total_traffic(self.session)
        return self.meter.read() | {
            "bytes": traffic.bytes_sent - self.bytes_before,
            "rounds": traffic.rounds - self.rounds_before,
        }


def _train(seat: Seat, arguments: list[str]) -> Result:
    """``train FOLDER ROWS ASKER_COLUMNS PROVIDER_COLUMNS TOLERANCE``: one joint regression.

    The measures end when the weights are opened; standard errors, which the peers do not compute, are
    measured as a part of their own.
    """
    folder, tolerance = Path(arguments[0]), float(arguments[4])
    rows, asker, provider = (int(text) for text in arguments[1:4])
    settings = LogisticSettings(rows, asker, provider, tolerance=tolerance)
    _warm_up(seat)
    own = _load(seat, folder)
    # A seat of its own: seeds and keys of the measured job are made within the measure.
    seat = Seat(seat.party, seat.mode)
    gauge = _Gauge(seat.party.session)
    fitted: Result = {}

    def note(fit: OwnerFit | None) -> None:
        """Weights are open; dropping nothing accepts them."""
        fitted.update(gauge.read())

    gauge.start()
    result = TrainTask(settings, review=note).run(seat, own)
    total = gauge.read()
    out = fitted | {"errors_cpu_s": total["cpu_s"] - fitted["cpu_s"]}
    if result is not None and result.fit is not None:
        out |= {
            "intercept": result.fit.intercept,
            "coefficients": result.fit.coefficients.tolist(),
            "steps": len(result.gradient_norms),
        }
    return out


def _load(seat: Seat, folder: Path) -> OwnerBlock | None:
    role = seat.party.role
    if role == "helper":
        return None
    values = np.load(folder / f"{role}.npy", allow_pickle=False)
    label = np.load(folder / "label.npy", allow_pickle=False) if role == "asker" else None
    return OwnerBlock(values, [f"{role}_{place}" for place in range(values.shape[1])], label)


def _warm_up(seat: Seat) -> None:
    generator = np.random.default_rng(_WARM_ROWS)
    values = generator.standard_normal((_WARM_ROWS, 4))
    label = (values.sum(axis=1) + generator.logistic(size=_WARM_ROWS) > 0).astype(np.float64)
    blocks = {
        "asker": OwnerBlock(values[:, :2], ["a", "b"], label),
        "provider": OwnerBlock(values[:, 2:], ["c", "d"]),
    }
    TrainTask(LogisticSettings(_WARM_ROWS, 2, 2)).run(seat, blocks.get(seat.party.role))


def _boost(seat: Seat, arguments: list[str]) -> Result:
    """``boost FOLDER ROWS ASKER_COLUMNS PROVIDER_COLUMNS TREES DEPTH``: boosted trees, 32 bins, rate 0.3.

    If the folder holds new rows they are scored afterwards, unmeasured, and the asker gives the AUC on them.
    """
    folder = Path(arguments[0])
    rows, asker, provider, trees, depth = (int(text) for text in arguments[1:])
    _warm_boost(seat)
    own = _load(seat, folder)
    gauge = _Gauge(seat.party.session)
    gauge.start()
    found = BoostTask(BoostSettings(rows, asker, provider, trees=trees, depth=depth)).run(seat, own)
    out = gauge.read()
    if not (folder / "new_label.npy").exists():
        return out
    label = np.load(folder / "new_label.npy", allow_pickle=False)
    new = None
    if found is not None:
        values = np.load(folder / f"new_{seat.party.role}.npy", allow_pickle=False)
        new = BoostScoreInput(values, found.model)
    scores = BoostScoreTask(len(label), trees, depth).run(seat, new)
    return out if scores is None else out | {"auc": auc(label, scores)}


def _warm_boost(seat: Seat) -> None:
    generator = np.random.default_rng(_WARM_ROWS)
    values = generator.standard_normal((_WARM_ROWS, 4))
    label = (values.sum(axis=1) + generator.logistic(size=_WARM_ROWS) > 0).astype(np.float64)
    blocks = {
        "asker": OwnerBlock(values[:, :2], ["a", "b"], label),
        "provider": OwnerBlock(values[:, 2:], ["c", "d"]),
    }
    BoostTask(BoostSettings(_WARM_ROWS, 2, 2, trees=1, depth=2)).run(seat, blocks.get(seat.party.role))


def _glm(seat: Seat, arguments: list[str]) -> Result:
    """``glm FAMILY FOLDER ROWS ASKER_COLUMNS PROVIDER_COLUMNS TOLERANCE``: one joint regression for pricing.

    Standard errors, which the peer does not compute, are left out.
    """
    family, folder, tolerance = arguments[0], Path(arguments[1]), float(arguments[5])
    rows, asker, provider = (int(text) for text in arguments[2:5])
    settings = GlmSettings(cast("Family", family), rows, asker, provider, tolerance=tolerance)
    generator = np.random.default_rng(_WARM_ROWS)
    values = generator.standard_normal((_WARM_ROWS, 4))
    blocks = {
        "asker": GlmBlock(values[:, :2], ["a", "b"], generator.integers(1, 4, _WARM_ROWS).astype(float)),
        "provider": GlmBlock(values[:, 2:], ["c", "d"]),
    }
    warm = GlmSettings(settings.family, _WARM_ROWS, 2, 2)
    GlmTask(warm, errors=False).run(seat, blocks.get(seat.party.role))
    own = _load(seat, folder)
    block = None
    if own is not None:
        exposure = np.load(folder / "exposure.npy", allow_pickle=False) if own.label is not None else None
        block = GlmBlock(own.values, own.names, own.label, exposure)
    gauge = _Gauge(seat.party.session)
    gauge.start()
    result = GlmTask(settings, errors=False).run(seat, block)
    out = gauge.read()
    if result is None:
        return out
    return out | {
        "intercept": result.fit.intercept,
        "coefficients": result.fit.coefficients.tolist(),
        "steps": len(result.gradient_norms),
    }


def _match(seat: Seat, arguments: list[str]) -> Result:
    """``match PROTOCOL FOLDER``: one match of the identifiers in ``ROLE.csv``.

    Reading that file and writing the common identifiers to ``ROLE.out.csv`` are measured, as a part of
    their own too.
    """
    protocol, folder, role = cast("Protocol", arguments[0]), Path(arguments[1]), seat.party.role
    helper = role == "helper"
    few = None if helper else [str(number) for number in range(10)]
    MatchTask(MatchSettings(1, "warm"), protocol).run(seat, few)
    gauge, files = _Gauge(seat.party.session), _Gauge(seat.party.session)
    gauge.start()
    files.start()
    own = None if helper else (folder / f"{role}.csv").read_text(encoding="utf-8").splitlines()[1:]
    files_cpu_s = files.read()["cpu_s"]
    places = MatchTask(MatchSettings(1, "bench"), protocol).run(seat, own)
    files.start()
    if own is not None and places is not None:
        common = "\n".join([own[place] for place in places.tolist()])
        (folder / f"{role}.out.csv").write_text(f"id\n{common}\n", encoding="utf-8")
    files_cpu_s += files.read()["cpu_s"]
    matched = 0 if places is None else len(places)
    return gauge.read() | {"files_cpu_s": files_cpu_s, "matched": matched}


def _kind(seat: Seat, arguments: list[str]) -> Result:
    """``kind KIND FOLDER``: one run of another kind of matching; see `bench.kind_jobs`."""
    kind, folder = arguments[0], Path(arguments[1])
    task, own = warm_up(kind, seat.party.role)
    task.run(seat, own)
    task, own = task_and_input(kind, seat.party.role, folder)
    gauge = _Gauge(seat.party.session)
    gauge.start()
    result = task.run(seat, own)
    return gauge.read() | {"found": found_by(result)}


JOBS: dict[str, Callable[[Seat, list[str]], Result]] = {
    "train": _train,
    "match": _match,
    "boost": _boost,
    "graph": graph,
    "list-setup": list_setup,
    "list-query": list_query,
    "kind": _kind,
    "statistics": statistics_play,
    "compare": compare_play,
    "federated": federated,
    "glm": _glm,
}
"""What a party can play."""


if __name__ == "__main__":
    main()
