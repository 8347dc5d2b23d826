"""What each job of a plan is: the sections it reads, its modes, its steps, and what a grant must allow."""

from dataclasses import dataclass
from typing import Final, Literal

from tongzhou.parties.grants import Mode, Protocol

__all__ = ["JOB_RULES", "LATTICE_FREE", "JobRules", "PlanJob"]

PlanJob = Literal["scorecard", "match", "size", "join", "boosting"]
"""What a plan can ask for."""


@dataclass(frozen=True)
class JobRules:
    """One kind of job.

    Attributes:
        sections: sections of a plan that it reads, besides ``plan`` and ``parties``.
        modes: trust modes that it runs in.
        steps: its steps, in order; each is saved by every party before the next begins.
        protocols: joint computations that a grant must allow.
        scoring: steps of a later run that scores new applicants with what the job left; empty if it left
            nothing of the kind.
        label: whether the asker brings a label.
        columns: whether each owner must bring columns.
        providers_max: most providers.
    """

    sections: tuple[str, ...]
    modes: tuple[Mode, ...]
    steps: tuple[str, ...]
    protocols: tuple[Protocol, ...]
    scoring: tuple[str, ...] = ()
    label: bool = False
    columns: bool = False
    providers_max: int = 1


LATTICE_FREE: Final = frozenset({"match", "size", "join"})
"""Computations that two owners do without the lattice library."""

JOB_RULES: Final[dict[PlanJob, JobRules]] = {
    "scorecard": JobRules(
        sections=("match", "tables", "holdout", "binning", "selection", "train", "card", "openings"),
        modes=("aided", "pair", "local"),
        steps=("match", "bin", "select", "train", "score", "publish"),
        protocols=("match", "bin", "train", "score"),
        scoring=("match", "score"),
        label=True,
        columns=True,
    ),
    "match": JobRules(
        sections=("match", "tables"),
        modes=("aided", "pair", "local"),
        steps=("match",),
        protocols=("match",),
        providers_max=20,
    ),
    "size": JobRules(
        sections=("match", "tables", "size"),
        modes=("aided", "pair", "local"),
        steps=("size",),
        protocols=("size",),
    ),
    "join": JobRules(
        sections=("match", "tables"),
        modes=("aided", "pair", "local"),
        steps=("join",),
        protocols=("join",),
    ),
    "boosting": JobRules(
        sections=("match", "tables", "holdout", "boosting", "card"),
        modes=("aided", "local"),
        steps=("match", "boost", "boost-score"),
        protocols=("match", "boost", "score"),
        scoring=("match", "boost-score"),
        label=True,
        columns=True,
    ),
}
"""Every job, by its name in a plan."""
