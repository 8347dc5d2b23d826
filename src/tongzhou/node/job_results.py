"""What a finished run gives its owners besides a published model, as a table."""

from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa

from tongzhou.errors import ConflictError, NotFoundError
from tongzhou.node.home import Home
from tongzhou.node.job_boosting import scored_places
from tongzhou.node.job_states import BoostState, JoinState, MatchState, ScoreState, SizeState
from tongzhou.node.plan_jobs import JOB_RULES
from tongzhou.node.states import decode_state
from tongzhou.node.store import RunRecord
from tongzhou.node.tables import load_table
from tongzhou.risk.scorecard import Scale

__all__ = ["result_table"]


def result_table(home: Home, run_id: str) -> pa.Table:
    """The result of a finished run as a table.

    Raises:
        NotFoundError: there is no such run, or its job leaves no table at this party.
        ConflictError: it is not done.
    """
    run = home.store.run(run_id)
    if run.state != "done":
        raise ConflictError(
            "run {run} is {state}; only a finished one has a result", run=run_id, state=run.state
        )
    maker = _MAKERS.get((run.plan.job, run.role))
    if maker is None:
        raise NotFoundError("a {job} job leaves no table at its {role}", job=run.plan.job, role=run.role)
    return maker(home, run)


def _matched_rows(home: Home, run: RunRecord) -> pa.Table:
    """The own matched rows: row i here and row i at the partner are the same client."""
    matched = decode_state(home.store.step_state(run.run_id, "match"), MatchState)
    wanted = run.plan.tables[home.party_id]
    _, table = load_table(home, wanted.table)
    names = [run.plan.match.identifier[home.party_id], *wanted.columns]
    return table.select(names).take(pa.array(matched.places))


def _scored_rows(home: Home, run: RunRecord) -> pa.Table:
    """The rows set aside, with their label, their total score in log-odds and in points."""
    matched = decode_state(home.store.step_state(run.run_id, "match"), MatchState)
    logits = decode_state(
        home.store.step_state(run.run_id, JOB_RULES[run.plan.job].steps[-1]), ScoreState
    ).logits
    wanted, card = run.plan.tables[home.party_id], run.plan.card
    _, table = load_table(home, wanted.table)
    names = [run.plan.match.identifier[home.party_id], *([wanted.label] if wanted.label else [])]
    scale = Scale(card.pdo, card.base_points, card.base_odds)
    points = np.floor(scale.offset - scale.factor * logits + 0.5).astype(np.int64)
    rows = table.select(names).take(pa.array(scored_places(matched), pa.int64()))
    return rows.append_column("logit", pa.array(logits)).append_column("points", pa.array(points))


def _own_splits(home: Home, run: RunRecord) -> pa.Table:
    """How often each own column splits a node of the trees, and its total gain where that is told."""
    boosted = decode_state(home.store.step_state(run.run_id, "boost"), BoostState)
    columns = {"column": list(boosted.model.columns), "splits": boosted.model.split_counts()}
    gains = {} if boosted.gains is None else {"gain": boosted.gains}
    return pa.table(columns | gains)


def _common_number(home: Home, run: RunRecord) -> pa.Table:
    """How many are common; empty where that is below the floor, or not told here."""
    counted = decode_state(home.store.step_state(run.run_id, "size"), SizeState)
    return pa.table({"common": pa.array([counted.size], pa.int64())})


def _joined_rows(home: Home, run: RunRecord) -> pa.Table:
    """The own common rows, with the columns that the partner granted."""
    joined = decode_state(home.store.step_state(run.run_id, "join"), JoinState)
    wanted = run.plan.tables[home.party_id]
    _, table = load_table(home, wanted.table)
    names = [run.plan.match.identifier[home.party_id], *wanted.columns]
    rows = table.select(names).take(pa.array(joined.places, pa.int64()))
    for name in run.plan.tables[run.plan.parties.provider].columns:
        known = name in joined.numbers
        values = pa.array(joined.numbers[name]) if known else pa.array(joined.texts[name], pa.string())
        title = name if name not in names else f"{name} ({run.plan.parties.provider})"
        rows = rows.append_column(title, values)
    return rows


_MAKERS: Final[dict[tuple[str, str], Callable[[Home, RunRecord], pa.Table]]] = {
    ("match", "asker"): _matched_rows,
    ("match", "provider"): _matched_rows,
    ("size", "asker"): _common_number,
    ("size", "provider"): _common_number,
    ("join", "asker"): _joined_rows,
    ("boosting", "asker"): _scored_rows,
    ("boosting", "provider"): _own_splits,
}
