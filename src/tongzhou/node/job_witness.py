"""Owners cosign the checkpoints of each other's logs (C2SP tlog-witness): when a run ends, or on a call."""

from collections.abc import Callable

import msgspec

from tongzhou.errors import ProtocolError, VerificationError
from tongzhou.evidence.errors import EvidenceConflictError, EvidenceError
from tongzhou.evidence.note import COSIGNATURE_TYPE, make_vkey
from tongzhou.evidence.witness import Witness, WitnessAnswer, gather_cosignature
from tongzhou.node.home import Home
from tongzhou.node.job_context import JobContext
from tongzhou.node.job_lock import holding_run
from tongzhou.node.job_messages import WITNESS_PURPOSE
from tongzhou.node.journal import LogSigner, log_origin
from tongzhou.wire.messages import Link
from tongzhou.wire.session import closing, join_links
from tongzhou.wire.tls import connect

__all__ = [
    "answer_cosignatures",
    "ask_cosignature",
    "call_witness",
    "exchange_cosignatures",
    "log_vkey",
    "witness_vkey",
]

_TURN = "cosigning"
_TURN_S = 60.0
_REQUESTS_MAX = 16  # one usually; a second after the answer that the witness knows another size


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    status: int
    body: str


def exchange_cosignatures(context: JobContext) -> None:
    """Asker and providers bring their newest checkpoints to each other and store the cosignatures they get.

    Raises:
        VerificationError: the other refuses: the log went back, or split.
    """
    if not context.is_owner or context.plan.mode == "local":
        return
    home = context.home
    if context.role != "asker":
        answer_cosignatures(home, context.party.peer)
        ask_cosignature(home, context.party.peer)
        return
    for provider in context.party.owners[1:]:
        ask_cosignature(home, context.party.link(provider))
        answer_cosignatures(home, context.party.link(provider))


def call_witness(home: Home, party: str) -> None:
    """Call a partner's daemon to have the newest checkpoint cosigned, outside any run.

    Raises:
        PeerError: it does not answer, or stopped.
        VerificationError: it refuses.
    """
    link = connect(home.identity, home.trust.get(party), home.trust, purpose=WITNESS_PURPOSE)
    with closing(join_links(home.party_id, [link])):
        ask_cosignature(home, link)


def log_vkey(party_id: str, public_key: bytes) -> str:
    """Verifier key of a party's log."""
    return make_vkey(log_origin(party_id), public_key)


def witness_vkey(party_id: str, public_key: bytes) -> str:
    """Verifier key of a party as a witness."""
    return make_vkey(log_origin(party_id), public_key, COSIGNATURE_TYPE)


def ask_cosignature(home: Home, link: Link) -> None:
    """Bring the newest checkpoint to the peer and store its cosignature.

    Raises:
        VerificationError: the peer refuses.
    """
    card = home.trust.get(link.peer)
    key = witness_vkey(card.party_id, card.public_key_bytes)
    # Runs that end together take turns: a checkpoint brought after a newer one looks like a log cut short.
    with holding_run(home, _TURN, wait_s=_TURN_S):
        home.log.checkpoint()
        try:
            gather_cosignature(home.log, _carrier(link), witness_key=key)
        except EvidenceError as error:
            raise VerificationError("{peer}: {reason}", peer=link.peer, reason=error) from error
    link.send("witness.request", "")


def _carrier(link: Link) -> Callable[[str], WitnessAnswer]:
    def carry(request: str) -> WitnessAnswer:
        link.send("witness.request", request)
        answer, _ = link.recv("witness.answer", _Answer)
        return WitnessAnswer(answer.status, answer.body)

    return carry


def _open_witness(home: Home, logs: dict[str, str]) -> Witness:
    try:
        return Witness(home.witness_path, LogSigner(home.identity), logs)
    except EvidenceConflictError:
        # Another call made the file in the same moment; now it is there.
        return Witness(home.witness_path, LogSigner(home.identity), logs)


def answer_cosignatures(home: Home, link: Link) -> None:
    """Cosign what the peer brings, until it has no more to bring.

    Raises:
        ProtocolError: it does not come to an end.
    """
    card = home.trust.get(link.peer)
    logs = {log_origin(card.party_id): log_vkey(card.party_id, card.public_key_bytes)}
    witness = _open_witness(home, logs)
    try:
        for _ in range(_REQUESTS_MAX):
            request, _ = link.recv("witness.request", str)
            if not request:
                return
            answer = witness.add_checkpoint(request)
            link.send("witness.answer", _Answer(answer.status, answer.body))
        raise ProtocolError("{peer} asks for cosignatures without end", peer=link.peer)
    finally:
        witness.close()
