"""One institution of a joint job of many: what `bench.party` plays as ``federated``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.measures import Meter
from tongzhou.errors import PeerError
from tongzhou.secure.aggregation_settings import AggregationSettings
from tongzhou.secure.federated_boost import FederatedBoostSettings
from tongzhou.secure.federated_columns import Table
from tongzhou.secure.federated_logistic import FederatedLogisticSettings
from tongzhou.secure.federated_tasks import FederatedBoostTask, FederatedLogisticTask
from tongzhou.secure.party import Party
from tongzhou.secure.tasks import Seat
from tongzhou.wire.messages import Session
from tongzhou.wire.session import total_traffic

__all__ = ["BOOST", "federated", "load", "names_of"]

BOOST = {"trees": 20, "depth": 4, "bins": 32, "rate": 0.1, "min_rows": 20}
"""Settings of the boosting that is measured, but for the columns."""

_LEAVING_SUM = 5
"""Whoever leaves sends this many vectors first."""
_PATIENCE_S = 20.0
_WARM_ROWS = 120

Result = dict[str, Any]


class _LeftError(Exception):
    """This institution leaves, as it was asked to."""


class _Leaving:
    """A link that ends before a certain vector is sent."""

    def __init__(self, link: Any) -> None:
        self._link = link
        self._sent = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def send(self, tag: str, value: object = None, arrays: Sequence[Any] = ()) -> None:
        if tag == "aggregate.masked":
            self._sent += 1
            if self._sent > _LEAVING_SUM:
                raise _LeftError
        self._link.send(tag, value, arrays)


def load(folder: Path, name: str) -> tuple[Any, Any]:
    """Values and label of a table."""
    return (
        np.load(folder / f"{name}.npy", allow_pickle=False),
        np.load(folder / f"{name}-label.npy", allow_pickle=False),
    )


def names_of(columns: int) -> tuple[str, ...]:
    """Names of the columns."""
    return tuple(f"column_{place}" for place in range(columns))


def federated(seat: Seat, arguments: list[str]) -> Result:
    """``federated KIND FOLDER LEAVES``: a joint regression or boosting; LEAVES is a role, or ``-``."""
    kind, folder, leaves = arguments[0], Path(arguments[1]), arguments[2]
    institutions = len(seat.party.owners)
    _warm_up(seat, institutions)
    values, label = load(folder, f"{kind}-{seat.party.role}")
    table = Table(values, names_of(values.shape[1]), label)
    party = seat.party
    if party.role == leaves:
        links = {peer: _Leaving(link) for peer, link in party.session.links.items()}
        party = Party(party.role, Session(party.role, links), party.names)
    before, rounds = total_traffic(seat.party.session).bytes_sent, total_traffic(seat.party.session).rounds
    meter = Meter()
    found: Result = {}
    try:
        found = _play(Seat(party, "group"), kind, institutions, table)
    except _LeftError:
        pass
    except PeerError as error:
        found = {"refused": str(error)}
    traffic = total_traffic(seat.party.session)
    return (
        meter.read()
        | {
            "bytes": traffic.bytes_sent - before,
            "rounds": traffic.rounds - rounds,
            "sums": len(party.openings),
        }
        | found
    )


def _play(seat: Seat, kind: str, institutions: int, table: Table) -> Result:
    """The job, and what its result is judged by."""
    aggregation = AggregationSettings("bench", institutions, patience_s=_PATIENCE_S)
    if kind == "logistic":
        fit = FederatedLogisticTask(FederatedLogisticSettings(aggregation, table.names)).run(seat, table)
        return {
            "coefficients": fit.coefficients.tolist(),
            "errors": fit.errors.tolist(),
            "steps": len(fit.gradient_norms),
            "stayed": len(fit.stayed),
        }
    boost = FederatedBoostTask(FederatedBoostSettings(aggregation, table.names, **BOOST)).run(seat, table)
    return {"logits": boost.model.logit(table.values).tolist(), "stayed": len(boost.stayed)}


def _warm_up(seat: Seat, institutions: int) -> None:
    """A small job of the same kind goes first, so that no library's first call is counted as work."""
    generator = np.random.default_rng(len(seat.party.role))
    values = generator.standard_normal((_WARM_ROWS, 3))
    label = (values.sum(axis=1) + generator.logistic(size=_WARM_ROWS) > 0).astype(np.float64)
    table = Table(values, names_of(3), label)
    aggregation = AggregationSettings("warm", institutions, patience_s=_PATIENCE_S)
    FederatedLogisticTask(FederatedLogisticSettings(aggregation, table.names)).run(seat, table)
    small = FederatedBoostSettings(aggregation, table.names, trees=1, depth=2, bins=8)
    FederatedBoostTask(small).run(seat, table)
    seat.party.openings.clear()
