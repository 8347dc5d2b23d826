"""Evidence that needs no trust in its keeper: a transparency log, its proofs, witnesses and checker.

The room stands alone: it imports nothing else of this project. Formats are public ones (C2SP signed notes,
checkpoints, cosignatures, witness protocol and proof files over RFC 6962 trees), so others can check what it
writes. `log` appends, signs and proves; `witness` remembers other parties' logs; `checker` verifies without
using either; ``docs/protocols/evidence-log.md`` states formats, guarantees and limits.
"""

from tongzhou.evidence.checker import LogReport, verify_log
from tongzhou.evidence.cosignature import witness_vkey
from tongzhou.evidence.errors import (
    EvidenceCheckError,
    EvidenceConflictError,
    EvidenceError,
    EvidenceFormatError,
    EvidenceNotFoundError,
    EvidenceStoreError,
)
from tongzhou.evidence.log import Draft, Entry, Log
from tongzhou.evidence.note import Signer, make_vkey
from tongzhou.evidence.proof import ProofReport, verify_proof
from tongzhou.evidence.tamper import Tampered, copy_tampered
from tongzhou.evidence.witness import Witness, WitnessAnswer, gather_cosignature

__all__ = [
    "Draft",
    "Entry",
    "EvidenceCheckError",
    "EvidenceConflictError",
    "EvidenceError",
    "EvidenceFormatError",
    "EvidenceNotFoundError",
    "EvidenceStoreError",
    "Log",
    "LogReport",
    "ProofReport",
    "Signer",
    "Tampered",
    "Witness",
    "WitnessAnswer",
    "copy_tampered",
    "gather_cosignature",
    "make_vkey",
    "verify_log",
    "verify_proof",
    "witness_vkey",
]
