"""What a decision keeps: a tree with every node's inputs and value, and bytes that never differ."""

import json

import msgspec
import pytest
from strategy_texts import declare, engine_of, rule

from tongzhou.decide import TraceNode, compile_strategy, example_strategy

INPUTS = (
    declare("age", "number", missing='"allow"')
    + declare("kind", "text", missing='"allow"')
    + declare("flags", "texts", missing='"allow"')
    + declare("born", "date", missing='"allow"')
    + declare("seen", "time", missing='"allow"')
    + declare("ok", "boolean", missing='"allow"')
)
APPLICATION = {
    "age": 30.0, "kind": "车", "flags": ["b", "a"], "born": "2000-02-29", "seen": "01:02:03", "ok": True
}  # fmt: skip


def test_each_node_shows_what_it_read_and_what_it_came_to() -> None:
    engine = engine_of(
        INPUTS, rules=rule("r", "age > 3 and (kind = '船' or not (ok and 'a' in flags))", grade="advisory")
    )
    (node,) = engine.decide(APPLICATION).tree.nodes[0].nodes
    assert (node.id, node.status, node.value, node.grade, node.demands) == (
        "r",
        "clear",
        False,
        "advisory",
        None,
    )
    assert node.inputs == {"age": 30, "kind": "车", "ok": True, "flags": ["b", "a"]}
    first, second = node.nodes
    assert (first.text, first.value, first.inputs, first.nodes) == ("age > 3", True, {"age": 30}, ())
    assert (second.text, second.value) == ('kind = "船" or not (ok and "a" in flags)', False)
    boat, negation = second.nodes
    assert (boat.text, boat.value) == ('kind = "船"', False)
    assert (negation.value, [part.value for part in negation.nodes]) == (False, [True])
    assert [part.text for part in negation.nodes[0].nodes] == ["ok", '"a" in flags']


def test_dates_and_times_are_shown_as_people_write_them() -> None:
    engine = engine_of(
        INPUTS,
        rules=rule("r", 'born > date("1999-01-01") and seen < time("02:00") or ok', grade="restrictive"),
    )
    record = json.loads(engine.decide(APPLICATION).to_json())
    assert record["inputs"] == {**APPLICATION, "age": 30}
    assert record["tree"]["nodes"][0]["nodes"][0]["inputs"] == {
        "born": "2000-02-29", "ok": True, "seen": "01:02:03"
    }  # fmt: skip


def test_missing_parts_are_marked() -> None:
    engine = engine_of(INPUTS, rules=rule("r", "age > 3 and kind = '船'", missing="review"))
    decision = engine.decide({"age": 4})
    (node,) = decision.tree.nodes[0].nodes
    assert (node.status, node.missing, node.demands) == ("missing", ("kind",), "review")
    assert [part.status for part in node.nodes] == ["hit", "missing"]
    assert decision.tree.missing == ("kind", "flags", "born", "seen", "ok")


def test_bytes_do_not_change_between_releases() -> None:
    engine = engine_of(INPUTS, rules=rule("r", "age * 2 = 61", grade="advisory"))
    decision = engine.decide({"age": 30.5})
    assert decision.to_json().decode() == (
        '{"format":"tongzhou decision 1","grade":"advisory","inputs":{"age":30.5},"outcome":"approve",'
        '"reasons":[{"code":"r","en":"r in words.","zh":"r 的含义。"}],"score":null,'
        '"strategy":{"digest":"' + engine.strategy.digest + '","name":"test","version":"1"},'
        '"tree":{"grade":"advisory","kind":"decision","missing":["kind","flags","born","seen","ok"],'
        '"nodes":[{"kind":"rules","nodes":[{"grade":"advisory","id":"r","inputs":{"age":30.5},"kind":"rule",'
        '"status":"hit","text":"age * 2 = 61","value":true}],"status":"hit"}],'
        '"status":"clear","value":"approve"}}'
    )


def test_the_tree_reads_back_as_it_was() -> None:
    decision = compile_strategy(example_strategy()).decide({"age": 30, "limit": 600_000, "score": 530})
    record = json.loads(decision.to_json())
    assert msgspec.convert(record["tree"], TraceNode) == decision.tree
    assert record["strategy"]["digest"] == example_strategy().digest


def test_a_decision_is_a_value_that_prints_no_inputs() -> None:
    engine = compile_strategy(example_strategy())
    first, second = (engine.decide({"age": 31, "limit": 77_777, "score": 600}) for _ in range(2))
    assert first == second
    assert len({first, second}) == 1
    assert first != engine.decide({"age": 32, "limit": 77_777, "score": 600})
    assert first != "x"
    assert repr(first) == "Decision(outcome='approve', grade='advisory', score=600)"
    assert first.reasons is first.reasons
    assert first.tree is first.tree
    with pytest.raises(AttributeError):
        first.more = 3
