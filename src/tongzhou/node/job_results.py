"""What a finished run gives its owners besides a published model, as a table."""

from collections.abc import Callable
from typing import Final

import pyarrow as pa

from tongzhou.errors import ConflictError, NotFoundError
from tongzhou.node.home import Home
from tongzhou.node.job_states import MatchState
from tongzhou.node.states import decode_state
from tongzhou.node.store import RunRecord
from tongzhou.node.tables import load_table

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


_MAKERS: Final[dict[tuple[str, str], Callable[[Home, RunRecord], pa.Table]]] = {
    ("match", "asker"): _matched_rows,
    ("match", "provider"): _matched_rows,
}
