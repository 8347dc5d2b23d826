"""At the end of a run the owners cosign the checkpoints of each other's logs (C2SP tlog-witness)."""

from collections.abc import Callable

import msgspec

from tongzhou.errors import VerificationError
from tongzhou.evidence.errors import EvidenceError
from tongzhou.evidence.note import COSIGNATURE_TYPE, make_vkey
from tongzhou.evidence.witness import Witness, WitnessAnswer, gather_cosignature
from tongzhou.node.home import Home
from tongzhou.node.job_context import JobContext
from tongzhou.node.journal import LogSigner, log_origin

__all__ = ["exchange_cosignatures", "log_vkey", "witness_vkey"]


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    status: int
    body: str


def exchange_cosignatures(context: JobContext) -> None:
    """Each owner brings its newest checkpoint to the other and stores the cosignature it gets.

    Raises:
        VerificationError: the other refuses: the log went back, or split.
    """
    if not context.is_owner:
        return
    if context.role == "asker":
        _ask(context)
        _answer(context)
    else:
        _answer(context)
        _ask(context)


def log_vkey(party_id: str, public_key: bytes) -> str:
    """Verifier key of a party's log."""
    return make_vkey(log_origin(party_id), public_key)


def witness_vkey(party_id: str, public_key: bytes) -> str:
    """Verifier key of a party as a witness."""
    return make_vkey(log_origin(party_id), public_key, COSIGNATURE_TYPE)


def _ask(context: JobContext) -> None:
    peer = context.party.peer
    card = context.home.trust.get(peer.peer)
    context.home.log.checkpoint()
    try:
        key = witness_vkey(card.party_id, card.public_key_bytes)
        gather_cosignature(context.home.log, _carrier(context), witness_key=key)
    except EvidenceError as error:
        raise VerificationError("{peer}: {reason}", peer=peer.peer, reason=str(error)) from error
    finally:
        peer.send("witness.request", "")


def _carrier(context: JobContext) -> Callable[[str], WitnessAnswer]:
    def carry(request: str) -> WitnessAnswer:
        context.party.peer.send("witness.request", request)
        answer, _ = context.party.peer.recv("witness.answer", _Answer)
        return WitnessAnswer(answer.status, answer.body)

    return carry


def _answer(context: JobContext) -> None:
    """Cosign what the peer brings, until it has no more to bring."""
    peer = context.party.peer
    card = context.home.trust.get(peer.peer)
    logs = {log_origin(card.party_id): log_vkey(card.party_id, card.public_key_bytes)}
    witness = Witness(context.home.witness_path, LogSigner(context.home.identity), logs)
    try:
        while True:
            request, _ = peer.recv("witness.request", str)
            if not request:
                return
            answer = witness.add_checkpoint(request)
            peer.send("witness.answer", _Answer(answer.status, answer.body))
    finally:
        witness.close()


def own_keys(home: Home) -> tuple[str, str]:
    """Verifier keys of the own log and of the own witness."""
    key = home.identity.public_key_bytes
    return log_vkey(home.party_id, key), witness_vkey(home.party_id, key)
