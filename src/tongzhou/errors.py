"""The few kinds of error that users meet, each with its meaning and its exit code.

An error carries a *template* and its *values* apart, so that the edge (terminal, page) can say the same
sentence in the reader's language. A sentence says what is wrong, where (file, row, field), what is
allowed and what was got. Private values never enter a sentence: give type, size or position instead.
"""

from typing import ClassVar

__all__ = [
    "ConflictError",
    "DataError",
    "GrantError",
    "NotFoundError",
    "PeerError",
    "PlanError",
    "ProtocolError",
    "StorageError",
    "TongzhouError",
    "VerificationError",
]


class TongzhouError(Exception):
    """Base of every error that is meant to be read by a person.

    Args:
        template: English sentence with ``{name}`` fields; also the key of its translation.
        values: what fills the fields.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, template: str, /, **values: object) -> None:
        self.template = template
        self.values = values
        super().__init__(template.format(**values))


class DataError(TongzhouError):
    """A file, a table, a row or a value is not what it must be."""

    exit_code = 3


class PlanError(TongzhouError):
    """A plan or a setting is malformed, has unknown keys or contradicts itself."""

    exit_code = 4


class GrantError(TongzhouError):
    """No grant allows what was asked: none, expired, revoked, other columns, quota used up."""

    exit_code = 5


class PeerError(TongzhouError):
    """A peer cannot be reached, is not trusted, speaks another version, or stopped."""

    exit_code = 6


class ProtocolError(TongzhouError):
    """A peer sent something that the protocol does not allow at this point."""

    exit_code = 7


class StorageError(TongzhouError):
    """The disk is full, a file cannot be written, or a store is damaged."""

    exit_code = 8


class VerificationError(TongzhouError):
    """Evidence does not verify. Verification never returns a flag: it returns or raises this."""

    exit_code = 9


class NotFoundError(TongzhouError):
    """A named thing (party, table, grant, job, model) does not exist."""

    exit_code = 10


class ConflictError(TongzhouError):
    """A thing that should be created exists already, or its state does not allow the change."""

    exit_code = 11
