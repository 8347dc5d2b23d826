"""What each party does in the bench `graph`: one feature over two graphs."""

from pathlib import Path
from typing import Any, cast

import numpy as np

from bench.measures import Meter
from tongzhou.secure.graph_settings import GraphFeature, GraphInput, GraphResult, GraphSettings
from tongzhou.secure.graph_tasks import GraphTask
from tongzhou.secure.tasks import Seat
from tongzhou.wire.session import total_traffic

__all__ = ["graph"]

_WARM_NODES = 50

Result = dict[str, Any]


def graph(seat: Seat, arguments: list[str]) -> Result:
    """``graph FOLDER FEATURE NODES ASKER_EDGES PROVIDER_EDGES ROUNDS``: risks go to ``risk.npy``."""
    folder, feature = Path(arguments[0]), cast("GraphFeature", arguments[1])
    nodes, asker, provider, rounds = map(int, arguments[2:])
    _warm(seat, feature)
    own = _load(seat, folder)
    before, meter = total_traffic(seat.party.session), Meter()
    bytes_before, rounds_before = before.bytes_sent, before.rounds
    settings = GraphSettings(nodes, asker, provider, feature, rounds, opened_bits=16)
    found = GraphTask(settings).run(seat, own)
    traffic = total_traffic(seat.party.session)
    out: Result = meter.read() | {
        "bytes": traffic.bytes_sent - bytes_before,
        "rounds": traffic.rounds - rounds_before,
    }
    return out if found is None else out | _kept(folder, found)


def _kept(folder: Path, found: GraphResult) -> Result:
    if found.risk:
        np.save(folder / "risk.npy", np.array(found.risk))
        return {}
    return {"reached": sum(found.counts)}


def _load(seat: Seat, folder: Path) -> GraphInput | None:
    role = seat.party.role
    if role == "helper":
        return None
    edges = np.load(folder / f"{role}_edges.npy", allow_pickle=False)
    return GraphInput(edges, np.load(folder / "flagged.npy", allow_pickle=False) if role == "asker" else None)


def _warm(seat: Seat, feature: GraphFeature) -> None:
    ring = np.stack([np.arange(_WARM_NODES), (np.arange(_WARM_NODES) + 1) % _WARM_NODES], axis=1)
    settings = GraphSettings(_WARM_NODES, _WARM_NODES, _WARM_NODES, feature)
    own = GraphInput(ring, np.ones(_WARM_NODES, dtype=np.int8))
    GraphTask(settings).run(seat, own if seat.party.is_owner else None)
