"""Cosignatures (c2sp.org/tlog-cosignature, Ed25519, type 0x04): a witness's word on a checkpoint.

A cosignature says: at this time, the largest consistent tree that I have seen of this log has this size and
root. It signs ``cosignature/v1``, the time, and the whole checkpoint text, so the same Ed25519 key may sign
a party's own log (type 0x01) without one statement being taken for the other.
"""

from collections.abc import Mapping

from tongzhou.evidence.errors import EvidenceCheckError, EvidenceFormatError
from tongzhou.evidence.note import (
    COSIGNATURE_TYPE,
    Note,
    Signature,
    Signer,
    VerifierKey,
    check_ed25519,
    make_vkey,
    parse_note,
    parse_vkey,
)

__all__ = ["check_cosignature", "check_quorum", "cosign", "cosigned_by", "witness_vkey"]

_TIME_BYTES = 8
_SIGNATURE_BYTES = 64
_MAX_TIME = 2**63 - 1  # seconds; the bound of the format


def witness_vkey(name: str, public_key: bytes) -> str:
    """Return the text form of a witness's key (type 0x04) from its raw Ed25519 key, 32 bytes."""
    return make_vkey(name, public_key, COSIGNATURE_TYPE)


def cosign(text: str, signer: Signer, time: int) -> str:
    """Return a cosignature line, with its newline.

    Args:
        text: the checkpoint's text, with its final newline.
        signer: the witness.
        time: seconds since 1970 UTC; above zero.
    """
    if not 0 < time <= _MAX_TIME:
        raise EvidenceFormatError(
            "the time of a cosignature is seconds since 1970, above zero, got {got}", got=time
        )
    key = parse_vkey(witness_vkey(signer.name, signer.public_key_bytes), COSIGNATURE_TYPE)
    signature = signer.sign(_message(text, time))
    check_ed25519(key, _message(text, time), signature)
    return Signature(key.name, key.key_id, time.to_bytes(_TIME_BYTES, "big") + signature).line


def check_cosignature(text: str, signature: Signature, key: VerifierKey) -> int:
    """Check a cosignature and return its time in seconds since 1970 UTC.

    Raises:
        EvidenceCheckError: not by this key, or wrong.
    """
    if not signature.is_by(key):
        raise EvidenceCheckError(
            "the cosignature is by {got}, not by {wanted}", got=signature.name, wanted=key.name
        )
    if len(signature.data) != _TIME_BYTES + _SIGNATURE_BYTES:
        raise EvidenceCheckError("the cosignature by {name} has the wrong length", name=key.name)
    time = int.from_bytes(signature.data[:_TIME_BYTES], "big")
    if time > _MAX_TIME:
        raise EvidenceCheckError("the cosignature by {name} has an impossible time", name=key.name)
    check_ed25519(key, _message(text, time), signature.data[_TIME_BYTES:])
    return time


def cosigned_by(note: Note, witness_keys: Mapping[str, str]) -> dict[str, int]:
    """Return who cosigned the note, and when.

    Args:
        note: a parsed note; lines by keys that are not given are ignored.
        witness_keys: from the reader's label of a witness to its vkey (type 0x04). One key under two
            labels would count twice in a quorum, so it is refused.

    Returns:
        From label to the time of the latest cosignature, in seconds since 1970 UTC.

    Raises:
        EvidenceCheckError: a line by a known witness is wrong.
    """
    keys = {label: parse_vkey(vkey, COSIGNATURE_TYPE) for label, vkey in witness_keys.items()}
    if len({key.public_key for key in keys.values()}) != len(keys):
        raise EvidenceFormatError("two witnesses have the same key, so they are one witness")
    times: dict[str, int] = {}
    for signature in note.signatures:
        for label, key in keys.items():
            if signature.is_by(key):
                time = check_cosignature(note.text, signature, key)
                times[label] = max(time, times.get(label, 0))
    return times


def check_quorum(note: str, witness_keys: Mapping[str, str], quorum: int) -> dict[str, int]:
    """Check that at least ``quorum`` of the witnesses cosigned; return who did, and when.

    Raises:
        EvidenceCheckError: too few, or a wrong cosignature.
    """
    times = cosigned_by(parse_note(note), witness_keys)
    if len(times) < quorum:
        raise EvidenceCheckError(
            "{got} of {known} known witnesses cosigned the checkpoint, and {quorum} are needed",
            got=len(times),
            known=len(witness_keys),
            quorum=quorum,
        )
    return times


def _message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()
