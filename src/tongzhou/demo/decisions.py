"""The demonstration's applicants: held-out clients, decided under the published strategy, with reasons."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tongzhou.data.columns import numeric_column
from tongzhou.decide.decision import Decision
from tongzhou.decide.engine import compile_strategy
from tongzhou.decide.publishing import publish
from tongzhou.decide.strategy import Strategy
from tongzhou.demo.institutions import TABLES, Institutions
from tongzhou.demo.results import Results
from tongzhou.demo.scenario import APPLICANTS, demo_strategy
from tongzhou.node.job_training import points_lost
from tongzhou.node.tables import load_table

__all__ = ["Decided", "decide_applicants", "reason_points"]

_REASONS = 4
_TIMED_ROUNDS = 5


@dataclass(frozen=True)
class Decided:
    """Decisions of the applicants.

    Attributes:
        strategy: as published.
        rows: ``(a,)`` places of the applicants among the matched clients.
        decisions: one each.
        points: points that the reasons of the score cost, by variable, one each.
        p50_us, p99_us: microseconds of one decision with its reasons written out.
        file: where the decisions were written, a JSON line each.
    """

    strategy: Strategy
    rows: NDArray[np.int64]
    decisions: list[Decision]
    points: list[dict[str, int]]
    p50_us: float
    p99_us: float
    file: Path

    def outcomes(self) -> Counter[str]:
        """How many were approved, reviewed and declined."""
        return Counter(decision.outcome for decision in self.decisions)


def decide_applicants(cast: Institutions, results: Results) -> Decided:
    """Publish the strategy, decide the first held-out clients, and enter both in the bank's log."""
    bank, joint = cast.home("bank"), results.joint
    points = results.points(joint.scores.logits)
    strategy = demo_strategy(points[~joint.held_out])
    publish(strategy, bank.strategies)
    bank.log.append(
        {"name": strategy.name, "version": strategy.version, "digest": strategy.digest},
        kind="strategy-published",
        key=f"{strategy.name}/{strategy.version}",
    )
    rows = np.flatnonzero(joint.held_out)[:APPLICANTS]
    lost = reason_points(cast, results, rows)
    applications = _applications(cast, results, rows, points, lost)
    engine = compile_strategy(strategy)
    decisions = [engine.decide(application) for application in applications]
    times = [_seconds(engine.decide, application) for application in applications]
    file = cast.folder / "decisions.jsonl"
    lines = b"".join(decision.to_json() + b"\n" for decision in decisions)
    file.write_bytes(lines)
    bank.log.append(
        {
            "applicants": len(decisions),
            "decisions_digest": hashlib.sha256(lines).hexdigest(),
            "run_id": joint.run_id,
            "strategy_digest": strategy.digest,
        },
        kind="decisions-made",
        key=joint.run_id,
    )
    p50, p99 = np.percentile(times, [50, 99])
    return Decided(strategy, rows, decisions, lost, float(1e6 * p50), float(1e6 * p99), file)


def _seconds(decide: Callable[[Mapping[str, object]], Decision], application: dict[str, object]) -> float:
    """The best of a few rounds: one decision, its reasons written out."""
    best = float("inf")
    for _ in range(_TIMED_ROUNDS):
        start = time.perf_counter()
        _ = decide(application).reasons
        best = min(best, time.perf_counter() - start)
    return best


def _applications(
    cast: Institutions,
    results: Results,
    rows: NDArray[np.int64],
    points: NDArray[np.int64],
    lost: list[dict[str, int]],
) -> list[dict[str, object]]:
    """What the bank knows of each applicant, with the joint score and the codes of its reasons."""
    _, table = load_table(cast.home("bank"), TABLES["bank"])
    places = results.joint.places[rows]
    columns = {name: numeric_column(table, name)[places] for name in ("age", "limit", "education")}
    return [
        {
            "age": float(columns["age"][one]),
            "limit": float(columns["limit"][one]),
            "education": float(columns["education"][one]),
            "score": float(points[rows[one]]),
            "score_reasons": list(lost[one]),
        }
        for one in range(len(rows))
    ]


def reason_points(cast: Institutions, results: Results, rows: NDArray[np.int64]) -> list[dict[str, int]]:
    """Points that the costliest variables of both owners cost each applicant, the most first."""
    joint, trained = results.joint, results.joint.trained
    _, table = load_table(cast.home("bank"), TABLES["bank"])
    own = {variable.name: variable for variable in joint.own}
    lost = {
        name: points_lost(own[name], trained.coefficients[name], results.scale)[
            own[name].table.bins.assign(numeric_column(table, name)[joint.places[rows]])
        ]
        for name in trained.asker
    }
    held_out_place = np.cumsum(joint.held_out) - 1
    found = []
    for one, row in enumerate(rows):
        entries = [(int(lost[name][one]), name) for name in trained.asker]
        place = held_out_place[row]
        named = zip(joint.scores.reason_rows[place], joint.scores.reason_points[place], strict=True)
        entries += [(int(points), trained.provider[which]) for which, points in named if which >= 0]
        costly = sorted((entry for entry in entries if entry[0] > 0), key=lambda entry: (-entry[0], entry[1]))
        found.append({name: points for points, name in costly[:_REASONS]})
    return found
