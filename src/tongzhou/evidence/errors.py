"""Errors of the evidence room: a template and its values apart, so that the edge can translate the sentence.

The room stands alone, so it has its own kinds; their shape and their exit codes are those of the whole
program. Private values never enter a sentence: it gives positions, sizes and kinds of entries.
"""

from typing import ClassVar

__all__ = [
    "EvidenceCheckError",
    "EvidenceConflictError",
    "EvidenceError",
    "EvidenceFormatError",
    "EvidenceNotFoundError",
    "EvidenceStoreError",
]


class EvidenceError(Exception):
    """Base of every error that this room shows to a person.

    Args:
        template: English sentence with ``{name}`` fields; also the key of its translation.
        values: what fills the fields.
    """

    exit_code: ClassVar[int] = 9

    def __init__(self, template: str, /, **values: object) -> None:
        self.template = template
        self.values = values
        super().__init__(template.format(**values))


class EvidenceFormatError(EvidenceError):
    """A note, checkpoint, proof, leaf, key or record is not of the required form."""


class EvidenceCheckError(EvidenceError):
    """Evidence does not verify: something differs from what was signed or committed to."""

    @property
    def index(self) -> int | None:
        """Index of the entry at fault, when one can be named."""
        index = self.values.get("index")
        return index if isinstance(index, int) else None


class EvidenceStoreError(EvidenceError):
    """The store cannot be read or written: disk full, held by another process, missing, not a log."""

    exit_code = 8


class EvidenceNotFoundError(EvidenceError):
    """A named thing (an entry, a checkpoint) does not exist."""

    exit_code = 10


class EvidenceConflictError(EvidenceError):
    """A thing exists already with other content, or an operation would contradict what was signed."""

    exit_code = 11
