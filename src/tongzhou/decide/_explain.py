"""Reasons and tree of a decision, written out from the values it holds. Only reads; decides nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tongzhou.decide._compile import Test
from tongzhou.decide._inputs import Words, shown
from tongzhou.decide.decision import Decision, Reason, TraceNode
from tongzhou.decide.expression import Condition
from tongzhou.decide.strategy import OUTCOMES, Rule, Strategy
from tongzhou.i18n import translator

__all__ = ["Compiled", "CompiledRule", "reasons", "record", "tree"]

FORMAT = "tongzhou decision 1"


@dataclass(frozen=True, slots=True)
class Shape:
    """A condition laid out for the tree: everything about its node but the values.

    Attributes:
        text: how the node shows it.
        reads: name, index and type of each value that it reads.
        test: the compiled condition.
        parts: the conditions that ``and``, ``or`` and ``not`` join in it.
    """

    text: str
    reads: tuple[tuple[str, int, str], ...]
    test: Test
    parts: "tuple[Shape, ...]"


def shape(condition: Condition, slots: Mapping[str, int], types: Mapping[str, str]) -> Shape:
    """Lay out a condition and its parts; `types` tells the type of each name."""
    return Shape(
        condition.text,
        tuple((name, slots[name], types[name]) for name in condition.inputs),
        condition.compile(slots),
        tuple(shape(part, slots, types) for part in condition.parts()),
    )


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A rule ready to run.

    Attributes:
        rule: the rule.
        shape: its condition, laid out for the tree.
        test: true when it hits (an admission rule: when what it requires does not hold).
        grade: index in `GRADES`.
        demand: index in `OUTCOMES` of what a hit demands.
        demand_missing: the same for when the condition is missing.
    """

    rule: Rule
    shape: Shape
    test: Test
    grade: int
    demand: int
    demand_missing: int


@dataclass(frozen=True, slots=True)
class Compiled:
    """What explaining needs of an engine.

    Attributes:
        strategy: the strategy.
        slots: index of each name in the values of a decision.
        admission: admission rules.
        rules: graded rules.
        score_demand: the outcome that a score demands.
    """

    strategy: Strategy
    slots: Mapping[str, int]
    admission: tuple[CompiledRule, ...]
    rules: tuple[CompiledRule, ...]
    score_demand: Callable[[float | None], int]


# -- reasons


def reasons(compiled: Compiled, decision: Decision) -> tuple[Reason, ...]:
    """Rules by grade, then what is missing, then the cut-off, then the score's own reasons."""
    results = [
        *zip(compiled.admission, decision.admission, strict=True),
        *zip(compiled.rules, decision.rules or (), strict=decision.rules is not None),
    ]
    hits = [entry for entry, result in results if result or (result is None and entry.rule.missing == "hit")]
    hits.sort(key=lambda entry: -entry.grade)  # stable: the order of the files within a grade
    found = [Reason(entry.rule.id, entry.rule.words.en, entry.rule.words.zh) for entry in hits]
    found.extend(_missing_inputs(compiled, decision))
    found.extend(
        _unchecked(compiled, decision, entry.rule)
        for entry, result in results
        if result is None and entry.rule.missing == "review"
    )
    if decision.rules is not None:
        found.extend(_cutoff_reason(compiled, decision))
        found.extend(_score_reasons(compiled, decision))
    return tuple(found)


def _said(code: str, template: str, *, en: Mapping[str, str], zh: Mapping[str, str]) -> Reason:
    """The engine's own words in both languages."""
    return Reason(code, template.format(**en), translator("zh", "decide")(template).format(**zh))


def _missing_inputs(compiled: Compiled, decision: Decision) -> list[Reason]:
    return [
        _said(
            f"missing.{item.name}",
            "Not stated: {input}.",
            en={"input": item.words.en},
            zh={"input": item.words.zh},
        )
        for item in compiled.strategy.inputs
        if item.missing == "review" and decision.values[compiled.slots[item.name]] is None
    ]


def _unchecked(compiled: Compiled, decision: Decision, rule: Rule) -> Reason:
    words = _words_of_inputs(compiled.strategy)
    names = _missing(compiled, decision.values, rule.condition)
    named = [words.get(name, Words(name, name)) for name in names]
    return _said(
        f"{rule.id}.missing",
        "Could not be checked: {rule} Not stated: {inputs}.",
        en={"rule": rule.words.en, "inputs": ", ".join(item.en for item in named) or "-"},
        zh={"rule": rule.words.zh, "inputs": "、".join(item.zh for item in named) or "-"},
    )


def _words_of_inputs(strategy: Strategy) -> dict[str, Words]:
    return {item.name: item.words for item in strategy.inputs}


def _cutoff_reason(compiled: Compiled, decision: Decision) -> list[Reason]:
    cutoff, demand = compiled.strategy.cutoff, compiled.score_demand(decision.score)
    if cutoff is None or demand == 0:
        return []
    if decision.score is None:
        return [_said("score.missing", "There is no score.", en={}, zh={})]
    values = {
        "score": f"{decision.score:g}",
        "approve": f"{cutoff.approve_from:g}",
        "review": f"{cutoff.review_from:g}",
    }
    if OUTCOMES[demand] == "review":
        template = "The score {score} lies between {review} and {approve}: a person decides."
        return [_said("score.review", template, en=values, zh=values)]
    return [_said("score.low", "The score {score} is below {review}.", en=values, zh=values)]


def _score_reasons(compiled: Compiled, decision: Decision) -> list[Reason]:
    strategy, limit = compiled.strategy, compiled.strategy.score.reasons
    card = strategy.score.computing
    if card is not None:
        given = card.reasons(_card_values(compiled, decision), limit)
        return [Reason(item.variable, item.en, item.zh) for item in given]
    if strategy.score.source != "input":
        return []
    codes = decision.values[compiled.slots["score_reasons"]] or ()
    return [_coded(strategy, code) for code in codes[:limit]]


def _card_values(compiled: Compiled, decision: Decision) -> dict[str, float | None]:
    card = compiled.strategy.score.computing
    names = card.inputs if card is not None else []
    return {name: decision.values[compiled.slots[name]] for name in names}


def _coded(strategy: Strategy, code: str) -> Reason:
    words = strategy.words.get(code)
    if words is not None:
        return Reason(code, words.en, words.zh)
    card = strategy.score.card
    meaning = next((v.meaning for v in card.variables if v.name == code), {}) if card is not None else {}
    if meaning:
        return Reason(code, meaning.get("en") or code, meaning.get("zh") or code)
    return _said(code, "A reason of the score: {code}.", en={"code": code}, zh={"code": code})


def _missing(compiled: Compiled, values: Sequence[Any], condition: Condition) -> tuple[str, ...]:
    return tuple(name for name in condition.inputs if values[compiled.slots[name]] is None)


# -- the tree


def tree(compiled: Compiled, decision: Decision) -> TraceNode:
    """The whole decision as nodes."""
    ended = decision.rules is None
    rules = decision.rules if decision.rules is not None else (None,) * len(compiled.rules)
    stages = [
        _stage(decision, "admission", rules=compiled.admission, results=decision.admission),
        _score_node(compiled, decision, ended),
        _stage(decision, "rules", rules=compiled.rules, results=rules, skipped=ended),
        _cutoff_node(compiled, decision, ended),
    ]
    return TraceNode(
        kind="decision",
        status="hit" if decision.outcome != "approve" else "clear",
        value=decision.outcome,
        grade=decision.grade,
        missing=tuple(
            item.name
            for item in compiled.strategy.inputs
            if decision.values[compiled.slots[item.name]] is None
        ),
        nodes=tuple(stage for stage in stages if stage is not None),
    )


def _stage(
    decision: Decision,
    kind: str,
    *,
    rules: Sequence[CompiledRule],
    results: Sequence[bool | None],
    skipped: bool = False,
) -> TraceNode | None:
    if not rules:
        return None
    if skipped:
        nodes = tuple(map(_skipped_node, rules))
    else:
        nodes = tuple(
            _rule_node(entry, result, decision.values) for entry, result in zip(rules, results, strict=True)
        )
    statuses = {node.status for node in nodes}
    status = next((s for s in ("skipped", "hit", "missing") if s in statuses), "clear")
    return TraceNode(kind=kind, status=status, nodes=nodes)


def _skipped_node(entry: CompiledRule) -> TraceNode:
    rule = entry.rule
    return TraceNode(kind="rule", status="skipped", id=rule.id, text=rule.condition.text, grade=rule.grade)


def _rule_node(entry: CompiledRule, result: bool | None, values: Sequence[Any]) -> TraceNode:
    rule = entry.rule
    inputs, missing = _read(entry.shape, values)
    demand = entry.demand_missing if result is None else entry.demand if result else 0
    return TraceNode(
        kind="rule",
        status=_status(result),
        id=rule.id,
        text=entry.shape.text,
        # of an admission rule, whether what is required holds
        value=result if rule.stage == "rules" or result is None else not result,
        grade=rule.grade,
        policy=rule.missing if result is None else None,
        demands=OUTCOMES[demand] if demand else None,
        inputs=inputs,
        missing=missing,
        nodes=_parts(entry.shape, values) if entry.shape.parts else (),
    )


def _status(result: bool | None) -> str:
    return "missing" if result is None else "hit" if result else "clear"


def _parts(whole: Shape, values: Sequence[Any]) -> tuple[TraceNode, ...]:
    """The tests that and, or, not join: evaluated again, which is cheap and cannot differ."""
    nodes = []
    for part in whole.parts:
        value = part.test(values)
        inputs, missing = _read(part, values)
        nodes.append(
            TraceNode(
                kind="test",
                status=_status(value),
                text=part.text,
                value=value,
                inputs=inputs,
                missing=missing,
                nodes=_parts(part, values) if part.parts else (),
            )
        )
    return tuple(nodes)


def _read(whole: Shape, values: Sequence[Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The values that a condition read, and the names of those that were missing."""
    inputs = {}
    missing: tuple[str, ...] = ()
    for name, slot, kind in whole.reads:
        value = values[slot]
        if value is None:
            missing = (*missing, name)
        else:
            inputs[name] = value if kind == "number" and type(value) is int else shown(value, kind)
    return inputs, missing


def _score_node(compiled: Compiled, decision: Decision, ended: bool) -> TraceNode | None:
    source = compiled.strategy.score.source
    if source == "none":
        return None
    if ended:
        return TraceNode(kind="score", status="skipped", text=source)
    status = "missing" if decision.score is None else "clear"
    card = compiled.strategy.score.computing
    nodes: tuple[TraceNode, ...] = ()
    if card is not None:
        values = _card_values(compiled, decision)
        nodes = tuple(
            TraceNode(
                kind="points",
                status="clear" if values[item.variable] is not None else "missing",
                id=item.variable,
                text=item.en,
                value=item.points,
            )
            for item in card.standing(values)
        )
    return TraceNode(
        kind="score",
        status=status,
        text=source,
        value=shown(decision.score, "number"),
        nodes=nodes,
    )


def _cutoff_node(compiled: Compiled, decision: Decision, ended: bool) -> TraceNode | None:
    cutoff = compiled.strategy.cutoff
    if cutoff is None:
        return None
    text = f"approve from {cutoff.approve_from:g}, review from {cutoff.review_from:g}"
    if ended:
        return TraceNode(kind="cutoff", status="skipped", text=text)
    demand = compiled.score_demand(decision.score)
    return TraceNode(
        kind="cutoff",
        status="missing" if decision.score is None else "hit" if demand else "clear",
        text=text,
        value=shown(decision.score, "number"),
        policy=compiled.strategy.score.missing if decision.score is None else None,
        demands=OUTCOMES[demand] if demand else None,
    )


def record(compiled: Compiled, decision: Decision) -> dict[str, Any]:
    """Everything about a decision as plain values."""
    strategy = compiled.strategy
    inputs = {
        item.name: shown(decision.values[compiled.slots[item.name]], item.type)
        for item in strategy.inputs
        if decision.values[compiled.slots[item.name]] is not None
    }
    return {
        "format": FORMAT,
        "strategy": {"name": strategy.name, "version": strategy.version, "digest": strategy.digest},
        "inputs": inputs,
        "outcome": decision.outcome,
        "grade": decision.grade,
        "score": shown(decision.score, "number"),
        "reasons": [reason._asdict() for reason in decision.reasons],
        "tree": decision.tree,
    }
