"""A strategy compiled: from an application to a decision, without I/O, clock or chance.

Order: admission first, and one refusal ends the decision before score and rules are looked at; then the
score, the graded rules, the cut-off. The worst outcome that anything demands wins; every hit is kept.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from tongzhou.decide._compile import Test
from tongzhou.decide._explain import Compiled, CompiledRule, reasons, record, shape, tree
from tongzhou.decide._inputs import intake
from tongzhou.decide._syntax import Not
from tongzhou.decide.decision import Decision, Reason, TraceNode
from tongzhou.decide.expression import Condition
from tongzhou.decide.strategy import GRADES, OUTCOMES, Rule, Strategy

__all__ = ["DecisionEngine", "FastDecision", "compile_strategy"]

SCORE = "score"
_APPROVE, _REVIEW, _DECLINE = range(3)


class FastDecision(NamedTuple):
    """A decision without reasons and tree.

    Attributes:
        outcome: ``approve``, ``review`` or ``decline``.
        grade: the highest grade that was hit, or None.
        score: in points, or None without one.
    """

    outcome: str
    grade: str | None
    score: float | None


class DecisionEngine:
    """Decides applications under one strategy. Immutable; threads may share it.

    Attributes:
        strategy: what it was compiled from.
    """

    def __init__(self, strategy: Strategy) -> None:
        self.strategy = strategy
        names = [item.name for item in strategy.inputs]
        slots = {name: slot for slot, name in enumerate(names)}
        if strategy.score.source == "card":
            slots[SCORE] = len(names)
        self._admission = tuple(_compiled(rule, strategy, slots) for rule in strategy.admission)
        self._rules = tuple(_compiled(rule, strategy, slots) for rule in strategy.rules)
        self._admission_tests: tuple[Test, ...] = tuple(entry.test for entry in self._admission)
        self._rule_tests: tuple[Test, ...] = tuple(entry.test for entry in self._rules)
        self._read = intake(strategy.inputs, refuse_extra=strategy.extra_inputs == "refuse")
        self._add_score = _score_adder(strategy, slots)
        self._score_demand = _score_demand(strategy)
        self._review_when_missing = tuple(
            slots[item.name] for item in strategy.inputs if item.missing == "review"
        )
        self._compiled = Compiled(strategy, slots, self._admission, self._rules, self._score_demand)

    def decide(self, inputs: Mapping[str, Any]) -> Decision:
        """Decide one application.

        Args:
            inputs: values by name; None or not-a-number where missing.

        Returns:
            The decision; reasons and tree are written out when they are read.

        Raises:
            DataError: a required input is missing, a value has a wrong type or is out of its range, or a name
                is not declared. No other error leaves this method.
        """
        values, outcome, grade, admission, rules = self._run(inputs)
        return Decision(
            self,
            OUTCOMES[outcome],
            GRADES[grade] if grade >= 0 else None,
            score=values[-1] if rules is not None else None,
            values=tuple(values),
            admission=admission,
            rules=rules,
        )

    def decide_fast(self, inputs: Mapping[str, Any]) -> FastDecision:
        """The same outcome, grade and score, for replaying many applications. Raises as `decide` does."""
        values, outcome, grade, _, rules = self._run(inputs)
        return FastDecision(
            OUTCOMES[outcome],
            GRADES[grade] if grade >= 0 else None,
            values[-1] if rules is not None else None,
        )

    def _run(
        self, inputs: Mapping[str, Any]
    ) -> tuple[list[Any], int, int, tuple[bool | None, ...], tuple[bool | None, ...] | None]:
        values = self._read(inputs)
        outcome, grade = _APPROVE, -1
        for slot in self._review_when_missing:
            if values[slot] is None:
                outcome = _REVIEW
                break
        admission = tuple([test(values) for test in self._admission_tests])
        # counting compares by identity first: much quicker than a loop when nothing is hit
        if admission.count(False) != len(admission):
            outcome, grade = _worst(self._admission, admission, outcome=outcome, grade=grade)
            if outcome == _DECLINE:
                values.append(None)
                return values, outcome, grade, admission, None
        self._add_score(values)
        rules = tuple([test(values) for test in self._rule_tests])
        if rules.count(False) != len(rules):
            outcome, grade = _worst(self._rules, rules, outcome=outcome, grade=grade)
        demand = self._score_demand(values[-1])
        return values, max(demand, outcome), grade, admission, rules

    # What a decision asks of its engine when somebody reads it.

    def reasons(self, decision: Decision) -> tuple[Reason, ...]:
        """The reasons of a decision of this engine; read `Decision.reasons`."""
        return reasons(self._compiled, decision)

    def tree(self, decision: Decision) -> TraceNode:
        """The tree of a decision of this engine; read `Decision.tree`."""
        return tree(self._compiled, decision)

    def record(self, decision: Decision) -> dict[str, Any]:
        """A decision of this engine in full; read `Decision.to_json`."""
        return record(self._compiled, decision)


def compile_strategy(strategy: Strategy) -> DecisionEngine:
    """Compile a checked strategy. It cannot fail: all checks were made when the strategy was read."""
    return DecisionEngine(strategy)


def _compiled(rule: Rule, strategy: Strategy, slots: Mapping[str, int]) -> CompiledRule:
    condition = rule.condition
    if rule.stage == "admission":
        # what must hold is written; a hit is that it does not
        condition = Condition(condition.text, Not(condition.node), condition.inputs)
    types = {SCORE: "number"} | {item.name: item.type for item in strategy.inputs}
    demand = OUTCOMES.index(strategy.grades[rule.grade])
    if rule.stage == "admission":
        demand = _DECLINE
    on_missing = {"skip": _APPROVE, "review": _REVIEW, "hit": demand}[rule.missing]
    return CompiledRule(
        rule=rule,
        shape=shape(rule.condition, slots, types),
        test=condition.compile(slots),
        grade=GRADES.index(rule.grade),
        demand=demand,
        demand_missing=on_missing,
    )


def _worst(
    rules: Sequence[CompiledRule], results: Sequence[bool | None], *, outcome: int, grade: int
) -> tuple[int, int]:
    for entry, result in zip(rules, results, strict=True):
        if result is False:
            continue
        if result is None and entry.rule.missing != "hit":
            outcome = max(outcome, entry.demand_missing)
        else:
            outcome = max(outcome, entry.demand)
            grade = max(grade, entry.grade)
    return outcome, grade


def _score_adder(strategy: Strategy, slots: Mapping[str, int]) -> Callable[[list[Any]], None]:
    """Puts the score at the end of the values, from the card or from the input of that name."""
    card = strategy.score.computing
    if card is not None:
        read = [(name, slots[name]) for name in card.inputs]
        points = card.score
        return lambda values: values.append(points({name: values[slot] for name, slot in read}))
    if strategy.score.source == "input":
        given = slots[SCORE]
        return lambda values: values.append(values[given])
    return lambda values: values.append(None)


def _score_demand(strategy: Strategy) -> Callable[[float | None], int]:
    """The outcome that the score demands."""
    cutoff = strategy.cutoff
    if cutoff is None:
        return lambda _: _APPROVE
    approve_from, review_from = cutoff.approve_from, cutoff.review_from
    missing = {"skip": _APPROVE, "review": _REVIEW, "decline": _DECLINE}[strategy.score.missing]

    def demand(score: float | None) -> int:
        if score is None:
            return missing
        if score >= approve_from:
            return _APPROVE
        return _REVIEW if score >= review_from else _DECLINE

    return demand
