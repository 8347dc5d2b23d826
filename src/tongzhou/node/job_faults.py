"""Errors at the edges of a job: one family of kinds inside, and an ending that is noted in any case."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Final

from tongzhou.errors import (
    ConflictError,
    DataError,
    NotFoundError,
    ProtocolError,
    StorageError,
    TongzhouError,
    VerificationError,
)
from tongzhou.evidence.errors import EvidenceError
from tongzhou.node.home import Home
from tongzhou.node.job_journal import note_end

__all__ = ["INTERNAL_FAULT", "from_peer", "note_failure", "our_kinds"]

INTERNAL_FAULT: Final = "an internal fault"
"""Why a run ended when the reason is a mistake of ours; the report in HOME/crash has the rest."""

_KINDS: Final[dict[int, type[TongzhouError]]] = {
    kind.exit_code: kind for kind in (StorageError, VerificationError, NotFoundError, ConflictError)
}


@contextmanager
def our_kinds() -> Iterator[None]:
    """Inside, errors of the evidence room become ours of the same meaning, with the same sentence."""
    try:
        yield
    except EvidenceError as error:
        kind = _KINDS.get(error.exit_code, VerificationError)
        raise kind(error.template, **error.values) from error


@contextmanager
def from_peer(peer: str) -> Iterator[None]:
    """Inside, values that a peer sent are read: what is wrong with them is the peer's fault, not our data's.

    Raises:
        ProtocolError: what came contradicts itself.
    """
    try:
        yield
    except DataError as error:
        raise ProtocolError(
            "{peer} sent values that contradict themselves: {reason}", peer=peer, reason=error
        ) from error


def note_failure(home: Home, run_id: str, reason: str, now: datetime) -> None:
    """Note that a run failed here, in its record and in the log, as far as the disk takes it.

    What cannot be noted is left: the run then stands as running, and can be resumed all the same. A cancelled
    run was noted by who cancelled it.
    """
    with suppress(TongzhouError):
        if home.store.run(run_id).state == "running":
            home.store.finish_run(run_id, "failed", reason=reason, now=now)
    with suppress(TongzhouError, EvidenceError):
        if home.store.run(run_id).state == "failed":
            note_end(home.log, run_id, "failed", reason)
