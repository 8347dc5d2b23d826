"""A strategy: admission, graded rules, score and cut-offs, as one checked value read from plain files.

The files are described in ``docs/strategy-files.md``. A strategy is immutable; its digest is over the exact
bytes of its files, so that a decision names what it was made with.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Self

from tongzhou.decide._inputs import Input, Words
from tongzhou.decide.expression import Condition
from tongzhou.errors import DataError, NotFoundError, PlanError, StorageError
from tongzhou.risk.scorecard import Scorecard

__all__ = [
    "GRADES",
    "OUTCOMES",
    "Cutoff",
    "Input",
    "Rule",
    "ScoreSource",
    "Strategy",
    "Words",
    "digest_files",
    "example_strategy",
    "read_folder",
]

GRADES = ("advisory", "restrictive", "prohibitive")
"""Grades of a rule, mildest first; the highest hit wins."""

OUTCOMES = ("approve", "review", "decline")
"""Outcomes of a decision, mildest first; the worst that anything demands wins."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule.

    Attributes:
        id: its code, also the code of the reason that it gives.
        stage: ``admission`` or ``rules``.
        grade: one of `GRADES`; an admission rule is prohibitive.
        condition: when it hits; for an admission rule, what must hold.
        missing: when the condition is missing: ``skip``, ``review`` or ``hit``.
        words: what a hit means, for people.
        file: the file it stands in.
        line: the line it begins at.
    """

    id: str
    stage: str
    grade: str
    condition: Condition
    missing: str
    words: Words
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class ScoreSource:
    """Where the score comes from.

    Attributes:
        source: ``none``, ``input`` (given with the application, with reason codes) or ``card``.
        card: the scorecard: the source itself, or kept beside a given score for its words and its digest.
        reasons: how many reasons of the score a decision carries.
        missing: what happens without a score: ``review``, ``decline`` or ``skip``.
    """

    source: str = "none"
    card: Scorecard | None = None
    reasons: int = 4
    missing: str = "review"

    @property
    def computing(self) -> Scorecard | None:
        """The card that computes the score, when one does."""
        return self.card if self.source == "card" else None


@dataclass(frozen=True, slots=True)
class Cutoff:
    """Scores from `approve_from` pass; from `review_from` up to it a person decides; others are declined."""

    approve_from: float
    review_from: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """A checked strategy.

    Attributes:
        name: its name.
        version: its version.
        language: language in which its people read first, ``en`` or ``zh``.
        title: its title in words.
        inputs: what an application may hold, the implied ones included.
        extra_inputs: ``refuse`` or ``ignore`` names that are not declared.
        admission: admission rules, in order.
        rules: graded rules, in order.
        grades: the outcome that each grade demands.
        score: where the score comes from.
        cutoff: the cut-offs, when there is a score.
        words: words of reason codes that come with a score.
        files: the exact bytes of each file.
        digest: SHA-256 over the files, see `digest_files`.
    """

    name: str
    version: str
    language: str
    title: Words
    inputs: tuple[Input, ...]
    extra_inputs: str
    admission: tuple[Rule, ...]
    rules: tuple[Rule, ...]
    grades: Mapping[str, str]
    score: ScoreSource
    cutoff: Cutoff | None
    words: Mapping[str, Words]
    files: Mapping[str, bytes]
    digest: str

    @classmethod
    def load(cls, folder: Path | str) -> Self:
        """Read and check a folder completely.

        Args:
            folder: holds ``strategy.toml`` and, as far as used, ``admission.toml``, ``rules.toml``,
                ``words.toml`` and the card.

        Raises:
            PlanError: anything wrong in a file, with file, line and column.
            DataError: the card is not one.
            NotFoundError: no such folder, or no ``strategy.toml`` in it.
            StorageError: a file cannot be read.
            VerificationError: a published version that was changed.
        """
        return cls.from_files(read_folder(Path(folder)), where=str(folder))

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], *, where: str = "strategy") -> Self:
        """Check a strategy given as the bytes of its files by name; raises as `load` does."""
        from tongzhou.decide._reading import read_strategy  # noqa: PLC0415 - the reader needs this class

        return cls(**read_strategy(files, where=where))

    def revise(
        self,
        *,
        version: str,
        approve_from: float | None = None,
        review_from: float | None = None,
        card: Scorecard | None = None,
    ) -> Self:
        """A new version with other cut-offs or another card; comments and everything else stay as written.

        Args:
            version: the new version; it must differ.
            approve_from: new cut-off, in points.
            review_from: new lower end of the review band, in points.
            card: a new scorecard for the file that ``[score] card`` names; ``card.json`` when it names none.

        Raises:
            PlanError: the same version, or a change that the files have no place for.
        """
        from tongzhou.decide._reading import revise_files  # noqa: PLC0415 - as above

        changes = {
            ("version",): version,
            ("cutoff", "approve_from"): approve_from,
            ("cutoff", "review_from"): review_from,
        }
        if version == self.version:
            raise PlanError("a revision needs a version other than {version}", version=version)
        files = revise_files(self.files, {path: v for path, v in changes.items() if v is not None}, card=card)
        return type(self).from_files(files, where=f"{self.name} {version}")


def digest_files(files: Mapping[str, bytes]) -> str:
    """SHA-256 over one line ``<sha256 of the file>  <name>`` a file, in the order of names.

    ``sha256sum admission.toml rules.toml strategy.toml | sha256sum`` gives the same.

    Args:
        files: bytes by name.

    Returns:
        64 hexadecimal digits.
    """
    lines = (f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def read_folder(folder: Path) -> dict[str, bytes]:
    """The files of a strategy's folder by name; other kinds of files (notes, pictures) are left alone."""
    if not folder.is_dir():
        raise NotFoundError("there is no strategy folder {folder}", folder=folder)
    try:
        files = {
            path.name: path.read_bytes()
            for path in sorted(folder.iterdir())
            if path.suffix in {".toml", ".json"} or path.name == "digest.txt"
        }
    except OSError as error:
        raise StorageError(
            "{folder} cannot be read: {reason}", folder=folder, reason=error.strerror or "unknown"
        ) from error
    if "strategy.toml" not in files:
        raise NotFoundError("{folder} holds no strategy.toml, so it is not a strategy", folder=folder)
    return files


def example_strategy() -> Strategy:
    """The strategy shipped in the package: applicants for a credit card, the score given from outside."""
    folder = resources.files("tongzhou.decide").joinpath("example")
    files = {
        item.name: item.read_bytes() for item in folder.iterdir() if item.name.endswith((".toml", ".json"))
    }
    if not files:
        raise DataError("the package lacks its example strategy; install it again")
    return Strategy.from_files(files, where="example")
