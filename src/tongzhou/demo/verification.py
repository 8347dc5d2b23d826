"""Independent verification of the demonstration's logs, and the tampering that it must find."""

from dataclasses import dataclass

from tongzhou.demo.institutions import Institutions
from tongzhou.errors import VerificationError
from tongzhou.evidence.checker import LogReport, verify_log
from tongzhou.evidence.errors import EvidenceError
from tongzhou.evidence.tamper import Tampered, copy_tampered
from tongzhou.node.home import Home
from tongzhou.node.job_witness import call_witness, log_vkey, witness_vkey

__all__ = ["Verified", "cosign_both", "verify_logs"]

_PAIR = ("bank", "cardnet")


@dataclass(frozen=True)
class Verified:
    """What the checker said.

    Attributes:
        reports: of each owner's log.
        tampered: what was changed in the copy.
        sentence: what the checker said of the copy; empty if it noticed nothing.
    """

    reports: dict[str, LogReport]
    tampered: Tampered
    sentence: str

    @property
    def found(self) -> bool:
        """Whether the checker named the entry that was changed."""
        return f"entry {self.tampered.index}" in self.sentence


def cosign_both(cast: Institutions) -> None:
    """Have each owner's newest checkpoint cosigned by the other, decisions included."""
    call_witness(cast.home("bank"), "cardnet")
    call_witness(cast.home("cardnet"), "bank")


def verify_logs(cast: Institutions) -> Verified:
    """Verify both logs from their raw entries, then a copy in which one byte was flipped."""
    reports = {party: _verify(cast.home(party), cast.home(other)) for party, other in (_PAIR, _PAIR[::-1])}
    bank = cast.home("bank")
    bank.log.checkpoint()
    tampered = copy_tampered(bank.log_path, cast.folder / "tampered-log.db")
    sentence = ""
    try:
        verify_log(tampered.path, log_key=log_vkey(bank.party_id, bank.identity.public_key_bytes))
    except EvidenceError as error:
        sentence = str(error)
    return Verified(reports, tampered, sentence)


def _verify(home: Home, witness: Home) -> LogReport:
    try:
        return verify_log(
            home.log_path,
            log_key=log_vkey(home.party_id, home.identity.public_key_bytes),
            witness_keys={
                witness.party_id: witness_vkey(witness.party_id, witness.identity.public_key_bytes)
            },
            quorum=1,
        )
    except EvidenceError as error:
        raise VerificationError("{party}: {reason}", party=home.party_id, reason=str(error)) from error
