"""What the owner decided about names that may mean one company, kept to be applied again and again.

A decision holds normal forms, so that it fits however the name is written next time. *Same* writes one
name as another; *different* only keeps the pair from being asked about again.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from tongzhou.data.companies import company_form
from tongzhou.data.findings import Finding
from tongzhou.data.similar import Candidate
from tongzhou.errors import ConflictError, DataError, NotFoundError

__all__ = [
    "Decision",
    "EditList",
    "OpenPair",
    "Verdict",
    "apply_edits",
    "candidates_csv",
    "read_decisions",
]

Verdict = Literal["same", "different"]

_HEADER = ("decision", "score", "reason", "name", "other", "row", "other_row")
_NEEDED = ("decision", "name", "other")
_VERDICTS: dict[str, Verdict] = {
    "same": "same",
    "different": "different",
    "相同": "same",
    "不同": "different",
}
# A spreadsheet program takes a cell that begins so for a formula. The apostrophe in front is no part of a
# name.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class Decision(msgspec.Struct, frozen=True):
    """One pair, decided.

    Attributes:
        verdict: ``"same"`` or ``"different"``.
        name: normal form of the name that is written otherwise.
        other: normal form of the name written instead.
    """

    verdict: Verdict
    name: str
    other: str


class EditList(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All decisions about the names of one table.

    Attributes:
        decisions: in the order in which they were made.
    """

    decisions: tuple[Decision, ...] = ()

    def pairs(self) -> list[tuple[str, str]]:
        """The decided pairs, which need no second look."""
        return [(one.name, one.other) for one in self.decisions]

    def written_as(self) -> dict[str, str]:
        """For each name that is written otherwise, the name at the end of the chain."""
        direct = {one.name: one.other for one in self.decisions if one.verdict == "same"}
        return {name: _end(direct, name) for name in direct}

    def with_decisions(self, more: Iterable[tuple[int, Decision]]) -> "EditList":
        """This list with further decisions; those that it holds already change nothing.

        Args:
            more: decisions, each with its row in the file that it comes from.

        Raises:
            ConflictError: a decision contradicts another; the row is named.
        """
        known = {frozenset((one.name, one.other)): one for one in self.decisions}
        direct = {one.name: one.other for one in self.decisions if one.verdict == "same"}
        decisions = list(self.decisions)
        for row, new in more:
            pair = frozenset((new.name, new.other))
            old = known.get(pair)
            if old == new or (old is not None and old.verdict == new.verdict == "different"):
                continue
            if old is not None:
                raise ConflictError(
                    "row {row}: this pair is decided otherwise already; forget that decision first", row=row
                )
            if new.verdict == "same":
                if new.name in direct:
                    raise ConflictError(
                        "row {row}: this name is written as another one already; forget that decision first",
                        row=row,
                    )
                if _end(direct, new.other) == new.name:
                    raise ConflictError("row {row}: the two names would be written as each other", row=row)
                direct[new.name] = new.other
            known[pair] = new
            decisions.append(new)
        return EditList(tuple(decisions))

    def without(self, name: str) -> "EditList":
        """This list without any decision about a name.

        Args:
            name: the name, however it is written.

        Raises:
            NotFoundError: nothing was decided about it.
        """
        normal = company_form(name)
        kept = tuple(one for one in self.decisions if normal not in (one.name, one.other))
        if len(kept) == len(self.decisions):
            raise NotFoundError("nothing was decided about the name {name}", name=name)
        return EditList(kept)


class OpenPair(msgspec.Struct, frozen=True):
    """Two names of a table of candidates that nobody decided about.

    Attributes:
        row: counted from 1 under the header.
        name: as written.
        other: as written.
    """

    row: int
    name: str
    other: str


def _end(direct: dict[str, str], name: str) -> str:
    """The name at the end of a chain, which has no circle: `with_decisions` lets none in."""
    while name in direct:
        name = direct[name]
    return name


def candidates_csv(
    candidates: Sequence[Candidate], names: Sequence[tuple[str, int]], others: Sequence[tuple[str, int]]
) -> str:
    """Candidates as a table to be decided in, the first column empty.

    Args:
        candidates: the pairs.
        names: for each place of the first names the text as the file has it, and its row.
        others: likewise for the second names.

    Returns:
        CSV with a header.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_HEADER)
    for one in candidates:
        (name, row), (other, other_row) = names[one.first], others[one.second]
        writer.writerow(["", f"{one.score:.3f}", one.reason, _cell(name), _cell(other), row, other_row])
    return text.getvalue()


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA_STARTS) else text


def read_decisions(content: bytes, file: str) -> tuple[list[tuple[int, Decision]], list[OpenPair]]:
    """Read a table of candidates that somebody decided in.

    Args:
        content: CSV, UTF-8 or GB18030, with the columns decision, name and other at least.
        file: its name, for sentences.

    Returns:
        The decisions in normal form, each with its row; and the pairs left open.

    Raises:
        DataError: not such a table, an unknown word in the first column, or a name without a normal form.
    """
    rows = list(csv.reader(io.StringIO(_decoded(content, file))))
    header = [title.strip().lower() for title in rows[0]] if rows else []
    missing = [title for title in _NEEDED if title not in header]
    if missing:
        raise DataError(
            "{file}: a table of candidates needs the column {column}", file=file, column=missing[0]
        )
    places = [header.index(title) for title in _NEEDED]
    decisions: list[tuple[int, Decision]] = []
    open_pairs: list[OpenPair] = []
    for line, row in enumerate(rows[1:], start=1):
        if not any(cell.strip() for cell in row):
            continue
        word, name, other = (row[place].strip() if place < len(row) else "" for place in places)
        if word:
            decisions.append((line, _decision(word, name, other, file=file, row=line)))
        else:
            open_pairs.append(OpenPair(line, name, other))
    return decisions, open_pairs


def _decoded(content: bytes, file: str) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DataError("{file}: text must be UTF-8 or GB18030, got bytes that are neither", file=file)


def _decision(word: str, name: str, other: str, *, file: str, row: int) -> Decision:
    verdict = _VERDICTS.get(word.lower())
    if verdict is None:
        raise DataError(
            "{file}, row {row}: a decision is same, different or empty, got {got}",
            file=file,
            row=row,
            got=ascii(word),
        )
    first, second = company_form(name), company_form(other)
    if not first or not second or first == second:
        raise DataError("{file}, row {row}: a decision needs two different names", file=file, row=row)
    return Decision(verdict, first, second)


def apply_edits(
    values: Sequence[str | int | None], edits: EditList, column: str
) -> tuple[list[str | int | None], list[Finding]]:
    """Write names as the owner decided.

    Args:
        values: one for each row, as `columns.text_column` gives them.
        edits: the decisions.
        column: name of the column, for the sentence.

    Returns:
        The values, those decided in normal form and the others as they were; and a warning that says how
        many rows changed, if any did.
    """
    written = edits.written_as()
    changed = []
    out: list[str | int | None] = []
    for row, value in enumerate(values, start=1):
        target = None if value is None or not written else written.get(company_form(str(value)))
        out.append(value if target is None else target)
        if target is not None:
            changed.append(row)
    if not changed:
        return out, []
    return out, [
        Finding(
            rule="identifier-edited",
            severity="warning",
            template="identifier {column}: names written as the owner decided: {rows}, first row {row}",
            values={"column": column, "rows": len(changed), "row": changed[0]},
            column=column,
            row=changed[0],
            rows=len(changed),
        )
    ]
