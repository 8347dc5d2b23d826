"""A decision: outcome, score, reasons in words, and a tree that says how each part came about.

What decides is held in a few plain values; reasons and tree are written out only when somebody reads them.
They follow from those values alone, so the same strategy and inputs give the same bytes, then or years later.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

__all__ = ["Decision", "Explainer", "Reason", "Results", "TraceNode"]


class Reason(NamedTuple):
    """Why a decision is not simply an approval.

    Attributes:
        code: the rule's id, an engine's own code, or a variable of the score.
        en: English words.
        zh: Chinese words.
    """

    code: str
    en: str
    zh: str


class TraceNode(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One node of the tree.

    Attributes:
        kind: ``decision``, ``admission``, ``score``, ``rules``, ``cutoff``, ``rule`` or ``test``.
        status: ``hit``, ``clear``, ``missing`` or ``skipped``.
        id: the rule's id.
        text: the condition, as written; of a part, in canonical form.
        value: what it came to.
        grade: of a rule.
        policy: what the rule does when its condition is missing; stands only where that happened.
        demands: the outcome that this node demands; none when it demands nothing.
        inputs: values read, by name.
        missing: names of values that were read and missing.
        nodes: the parts.
    """

    kind: str
    status: str
    id: str = ""
    text: str = ""
    value: bool | int | float | str | None = None
    grade: str | None = None
    policy: str | None = None
    demands: str | None = None
    inputs: dict[str, Any] = {}
    missing: tuple[str, ...] = ()
    nodes: "tuple[TraceNode, ...]" = ()


Results = tuple[bool | None, ...]
"""What each rule of a stage came to: hit, clear, or None for missing."""


class Explainer(Protocol):
    """Writes out reasons and tree; the engine that decided."""

    def reasons(self, decision: "Decision") -> tuple[Reason, ...]:
        """Write the reasons."""

    def tree(self, decision: "Decision") -> TraceNode:
        """Write the tree."""

    def record(self, decision: "Decision") -> dict[str, Any]:
        """Write everything."""


class Decision:
    """The result of deciding one application; a value, never changed.

    Attributes:
        outcome: ``approve``, ``review`` or ``decline``.
        grade: the highest grade that was hit, or None.
        score: in points, or None without one.
        values: the values read, in the order of the strategy's inputs, the score last.
        admission: what each admission rule came to (hit means refused).
        rules: what each graded rule came to; None when admission ended the decision.
    """

    __slots__ = (
        "_explainer",
        "_reasons",
        "_tree",
        "admission",
        "grade",
        "outcome",
        "rules",
        "score",
        "values",
    )

    def __init__(
        self,
        explainer: Explainer,
        outcome: str,
        grade: str | None,
        *,
        score: float | None,
        values: Sequence[Any],
        admission: Results,
        rules: Results | None,
    ) -> None:
        self.outcome = outcome
        self.grade = grade
        self.score = score
        self.values = values
        self.admission = admission
        self.rules = rules
        self._explainer = explainer
        self._reasons: tuple[Reason, ...] | None = None
        self._tree: TraceNode | None = None

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Why, the weightiest first: rules by grade, what is missing, the cut-off, then the score's own."""
        if self._reasons is None:
            self._reasons = self._explainer.reasons(self)
        return self._reasons

    @property
    def tree(self) -> TraceNode:
        """How: a node for each rule with the inputs read, the value, the grade, and what was skipped."""
        if self._tree is None:
            self._tree = self._explainer.tree(self)
        return self._tree

    def to_json(self) -> bytes:
        """Everything as JSON, keys sorted: the same decision gives the same bytes on every machine."""
        return msgspec.json.encode(self._explainer.record(self), order="sorted")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Decision) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __repr__(self) -> str:
        # The inputs are private; what was decided is not the place to print them by accident.
        return f"Decision(outcome={self.outcome!r}, grade={self.grade!r}, score={self.score!r})"
