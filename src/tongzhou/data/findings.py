"""Findings: what is wrong with a table, as values that are collected over the entire table.

A finding is a row of its own with rule, severity, place and a sentence. Its template is translated at the
edge like that of an error, and `refuse` turns the first error among findings into a `DataError`.
"""

from collections.abc import Iterable
from typing import Literal

import msgspec

from tongzhou.errors import DataError

__all__ = ["Finding", "Severity", "refuse"]

Severity = Literal["error", "warning"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing found in a table.

    Attributes:
        rule: short stable name of the rule, for example ``"label-one-class"``.
        severity: ``"error"`` when no job may use the table so, ``"warning"`` when a person should look.
        column: the column concerned, or ``None`` for the table as a whole.
        row: the first row concerned, counted from 1 under the header, or ``None``.
        rows: how many rows are concerned; 0 when the finding is about no particular rows.
        template: English sentence with ``{name}`` fields; also the key of its translation.
        values: what fills the fields; never a value of the table other than a count, row, type or name.
    """

    rule: str
    severity: Severity
    template: str
    values: dict[str, str | int]
    column: str | None = None
    row: int | None = None
    rows: int = 0

    @property
    def sentence(self) -> str:
        """The finding in English."""
        return self.template.format(**self.values)


def refuse(findings: Iterable[Finding]) -> None:
    """Raise the first finding that is an error; do nothing when there is none.

    Args:
        findings: as `profile.check` and the identifier checks give them.

    Raises:
        DataError: with the template and values of that finding.
    """
    for finding in findings:
        if finding.severity == "error":
            raise DataError(finding.template, **finding.values)
