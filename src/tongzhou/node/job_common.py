"""Steps `size` and `join`: how many clients are common, and columns of common clients for the asker."""

from typing import Final

import numpy as np
import pyarrow as pa

from tongzhou.data.columns import numeric_column, text_column
from tongzhou.errors import ProtocolError
from tongzhou.node.job_consents import covered_places
from tongzhou.node.job_context import JobContext
from tongzhou.node.job_faults import from_peer
from tongzhou.node.job_messages import JoinShape
from tongzhou.node.job_states import JoinState, SizeState
from tongzhou.secure.joining import JoinInput, JoinSettings, JoinTask
from tongzhou.secure.overlap import SizeSettings, SizeTask
from tongzhou.secure.payload import Column, Values

__all__ = ["join_step", "size_step"]

_TEXT_STEP: Final = 16
"""Widths of text columns are told in multiples of so many bytes."""


def size_step(context: JobContext) -> tuple[SizeState | None, dict[str, object]]:
    """Count the common clients; below the floor of plan and grant nothing is told."""
    told = context.plan.size
    task = SizeTask(SizeSettings(context.run_id, context.minimum_rows, told.multiple, told.receivers))
    if not context.is_owner:
        task.run(context.seat, None)
        return None, {}
    identifiers = context.identifiers()
    own = [identifiers[place] for place in covered_places(context, identifiers)]
    found = task.run(context.seat, own)
    return SizeState(None if found is None else found.size, found is not None), {}


def join_step(context: JobContext) -> tuple[JoinState | None, dict[str, object]]:
    """Let the asker learn the granted columns of the common clients.

    Raises:
        ProtocolError: the provider tells of other columns than the plan names.
    """
    columns = _agree_columns(context)
    task = JoinTask(JoinSettings(context.run_id, context.minimum_rows, columns))
    if not context.is_owner:
        task.run(context.seat, None)
        return None, {}
    identifiers = context.identifiers()
    allowed = covered_places(context, identifiers)
    own = [identifiers[place] for place in allowed]
    if context.role == "provider":
        task.run(context.seat, JoinInput(own, _given(context, columns, allowed)))
        return JoinState(np.empty(0, np.int64), {}, {}), {}
    joined = task.run(context.seat, JoinInput(own))
    if joined is None:
        raise ProtocolError("joining gave no rows")
    numbers = {name: values for name, values in joined.columns.items() if isinstance(values, np.ndarray)}
    texts = {name: list(values) for name, values in joined.columns.items() if name not in numbers}
    return JoinState(allowed[joined.places], numbers, texts), {}


def _agree_columns(context: JobContext) -> tuple[Column, ...]:
    """Names are in the plan; how wide texts are, the provider tells."""
    wanted = context.plan.tables[context.plan.parties.provider].columns
    if context.role == "provider":
        columns = tuple(_column(context, name) for name in wanted)
        context.tell("join.shape", JoinShape(columns))
        return columns
    peer = context.party.link("provider")
    with from_peer(peer.peer):
        shape, _ = peer.recv("join.shape", JoinShape)
    if tuple(column.name for column in shape.columns) != wanted:
        raise ProtocolError("{peer} tells of other columns than the plan names", peer=peer.peer)
    return shape.columns


def _column(context: JobContext, name: str) -> Column:
    column = context.table().column(name)
    if not pa.types.is_string(column.type):
        return Column(name)
    widest = max((len(value.encode()) for value in column.to_pylist() if value is not None), default=1)
    return Column(name, min(254, -(-max(widest, 1) // _TEXT_STEP) * _TEXT_STEP))


def _given(context: JobContext, columns: tuple[Column, ...], places: np.ndarray) -> dict[str, Values]:
    table = context.table()
    found: dict[str, Values] = {}
    for column in columns:
        if column.text_bytes:
            texts = text_column(table, column.name)
            found[column.name] = [None if texts[place] is None else str(texts[place]) for place in places]
        else:
            found[column.name] = numeric_column(table, column.name)[places]
    return found
