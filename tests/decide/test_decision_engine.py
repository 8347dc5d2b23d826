"""From an application to a decision: order, grades, missing values, score, cut-off."""

import datetime
import threading
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategy_texts import declare, engine_of, rule, strategy_files

from tongzhou.decide import GRADES, OUTCOMES, Strategy, compile_strategy, example_strategy
from tongzhou.errors import DataError
from tongzhou.risk.binning import Bins
from tongzhou.risk.scorecard import CardInput, build_scorecard, to_json

AGE = declare("age", "number", minimum="0", maximum="150", missing='"allow"')
LIMIT = declare("limit", "number", missing='"allow"')
SCORE = '[score]\nsource = "input"\nmissing = "{}"\n[cutoff]\napprove_from = 600\nreview_from = 560\n'


def codes(decision: Any) -> list[str]:
    return [reason.code for reason in decision.reasons]


# -- the white paper's three examples of graded rules

WHITE_PAPER = (
    declare("network_since", "date", missing='"allow"')
    + declare("applied_on", "date")
    + declare("applied_at", "time")
    + declare("platforms_30_days", "number", missing='"allow"')
)
WHITE_PAPER_RULES = (
    rule("network", "months_between(network_since, applied_on) < 6", grade="advisory", missing="skip")
    + rule("night", 'applied_at between time("01:00") and time("05:00")', grade="restrictive")
    + rule("platforms", "platforms_30_days > 5", grade="prohibitive", missing="review")
)
APPLIED = {
    "network_since": "2026-03-01", "applied_on": "2026-11-24", "applied_at": "12:00", "platforms_30_days": 5
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "outcome", "grade", "reasons"),
    [
        ({}, "approve", None, []),
        ({"network_since": "2026-05-25"}, "approve", "advisory", ["network"]),
        ({"network_since": "2026-05-24"}, "approve", None, []),
        ({"applied_at": "01:00"}, "review", "restrictive", ["night"]),
        ({"applied_at": "05:00"}, "review", "restrictive", ["night"]),
        ({"applied_at": "05:00:01"}, "approve", None, []),
        ({"applied_at": datetime.time(2, 30)}, "review", "restrictive", ["night"]),
        ({"platforms_30_days": 6}, "decline", "prohibitive", ["platforms"]),
        (
            {"network_since": datetime.date(2026, 11, 1), "applied_at": "03:00", "platforms_30_days": 9},
            "decline", "prohibitive", ["platforms", "night", "network"],
        ),
        ({"platforms_30_days": None}, "review", None, ["platforms.missing"]),
        ({"network_since": None}, "approve", None, []),
    ],
)  # fmt: skip
def test_three_rules_of_the_white_paper(
    change: dict[str, Any], outcome: str, grade: str | None, reasons: list[str]
) -> None:
    decision = engine_of(WHITE_PAPER, rules=WHITE_PAPER_RULES).decide(APPLIED | change)
    assert (decision.outcome, decision.grade, codes(decision)) == (outcome, grade, reasons)


def test_an_institution_may_grade_and_weigh_differently() -> None:
    engine = engine_of(
        WHITE_PAPER,
        head='[grades]\nadvisory = "review"\nrestrictive = "review"\nprohibitive = "review"\n',
        rules=WHITE_PAPER_RULES,
    )
    decision = engine.decide(APPLIED | {"platforms_30_days": 6})
    assert (decision.outcome, decision.grade) == ("review", "prohibitive")


# -- admission


def test_one_refusal_ends_the_decision_before_score_and_rules() -> None:
    engine = engine_of(
        AGE, LIMIT, head=SCORE.format("review"),
        admission=rule("a", "age between 18 and 70", grade=None) + rule("b", "limit > 0", grade=None),
        rules=rule("r", "limit > 5", grade="advisory"),
    )  # fmt: skip
    decision = engine.decide({"age": 17, "limit": 9, "score": 700, "score_reasons": ["x"]})
    assert (decision.outcome, decision.grade, decision.score) == ("decline", "prohibitive", None)
    assert codes(decision) == ["a"]
    assert [(n.kind, n.status) for n in decision.tree.nodes] == [
        ("admission", "hit"), ("score", "skipped"), ("rules", "skipped"), ("cutoff", "skipped")
    ]  # fmt: skip
    assert decision.tree.nodes[2].nodes[0].status == "skipped"
    assert [node.value for node in decision.tree.nodes[0].nodes] == [False, True]
    admitted = engine.decide({"age": 18, "limit": 9, "score": 700})
    assert (admitted.outcome, codes(admitted)) == ("approve", ["r"])


@pytest.mark.parametrize(
    ("policy", "outcome", "reasons"),
    [("skip", "approve", []), ("review", "review", ["a.missing"]), ("hit", "decline", ["a"])],
)
def test_admission_of_something_missing(policy: str, outcome: str, reasons: list[str]) -> None:
    engine = engine_of(AGE, admission=rule("a", "age >= 18", grade=None, missing=policy))
    decision = engine.decide({})
    assert (decision.outcome, codes(decision)) == (outcome, reasons)
    node = decision.tree.nodes[0].nodes[0]
    assert (node.status, node.value, node.policy, node.missing) == ("missing", None, policy, ("age",))


# -- missing values


@pytest.mark.parametrize(
    ("policy", "outcome", "grade", "reasons"),
    [
        ("skip", "approve", None, []),
        ("review", "review", None, ["r.missing"]),
        ("hit", "decline", "prohibitive", ["r"]),
    ],
)
def test_rule_over_something_missing(
    policy: str, outcome: str, grade: str | None, reasons: list[str]
) -> None:
    for head, more in (("", {"missing": policy}), (f'[missing]\nrules = "{policy}"\n', {})):
        engine = engine_of(AGE, head=head, rules=rule("r", "age > 3", grade="prohibitive", **more))
        decision = engine.decide({"age": float("nan")})
        assert (decision.outcome, decision.grade, codes(decision)) == (outcome, grade, reasons)


def test_words_name_what_was_missing_in_both_languages() -> None:
    engine = engine_of(AGE, LIMIT, rules=rule("r", "age > 3 and limit > 3"))
    (reason,) = engine.decide({"age": 4}).reasons
    assert reason.en == "Could not be checked: r in words. Not stated: limit in words."
    assert reason.zh == "无法核查：r 的含义。未提供：limit 的含义。"


def test_a_condition_undefined_without_anything_missing_names_nothing() -> None:
    engine = engine_of(AGE, LIMIT, rules=rule("r", "age / limit > 3"))
    decision = engine.decide({"age": 4, "limit": 0})
    assert (decision.outcome, codes(decision)) == ("review", ["r.missing"])
    assert decision.reasons[0].en.endswith("Not stated: -.")


@pytest.mark.parametrize("given", [{}, {"age": None}, {"age": float("nan")}, {"age": Decimal("nan")}])
def test_an_input_may_be_required_or_send_to_a_person(given: dict[str, Any]) -> None:
    refuses = engine_of(declare("age", "number", missing='"refuse"'))
    with pytest.raises(DataError, match=r"^the input age is required and missing$"):
        refuses.decide(given)
    reviews = engine_of(declare("age", "number"))
    decision = reviews.decide(given)
    assert (decision.outcome, codes(decision)) == ("review", ["missing.age"])
    assert decision.reasons[0].zh == "未提供：age 的含义。"
    assert engine_of(AGE).decide(given).outcome == "approve"


# -- score and cut-off


@pytest.mark.parametrize(
    ("score", "outcome", "reasons"),
    [
        (600, "approve", []), (599, "review", ["score.review"]), (599.999, "review", ["score.review"]),
        (560, "review", ["score.review"]), (559, "decline", ["score.low"]),
        (None, "review", ["score.missing"]),
        (np.int64(600), "approve", []), (np.float32(559.5), "decline", ["score.low"]),
    ],
)  # fmt: skip
def test_bands_of_a_given_score(score: float | None, outcome: str, reasons: list[str]) -> None:
    decision = engine_of(AGE, head=SCORE.format("review")).decide({"score": score})
    assert (decision.outcome, decision.score, codes(decision)) == (outcome, score, reasons)


@pytest.mark.parametrize(
    ("policy", "outcome"), [("skip", "approve"), ("review", "review"), ("decline", "decline")]
)
def test_policy_without_a_score(policy: str, outcome: str) -> None:
    decision = engine_of(AGE, head=SCORE.format(policy)).decide({})
    assert decision.outcome == outcome
    assert decision.tree.nodes[-1].policy == policy


def test_reasons_come_with_a_given_score_and_are_limited() -> None:
    files = strategy_files(AGE, head=SCORE.format("review").replace("[cutoff]", "reasons = 2\n[cutoff]"))
    files["words.toml"] = '[reasons.repay_1]\nen = "Repayment"\nzh = "还款"\n'.encode()
    engine = compile_strategy(Strategy.from_files(files))
    decision = engine.decide({"score": 500, "score_reasons": ["repay_1", "other", "third"]})
    assert [tuple(reason) for reason in decision.reasons] == [
        ("score.low", "The score 500 is below 560.", "评分 500 低于 560。"),
        ("repay_1", "Repayment", "还款"),
        ("other", "A reason of the score: other.", "评分原因：other。"),
    ]


def test_a_card_beside_a_given_score_lends_its_words() -> None:
    bins = Bins("tenure", edges=(2.0,))
    card = build_scorecard(
        "c", [CardInput(bins, (0.1, -0.1, 0.0), 1.0, meaning={"en": "Tenure", "zh": "司龄"})], 0.0
    )
    strategy = example_strategy().revise(version="2", card=card)
    decision = compile_strategy(strategy).decide(
        {
            "age": 30,
            "limit": 9,
            "education": 1,
            "score": 600,
            "score_reasons": ["tenure", "repay_1", "x", "y"],
        }
    )
    assert decision.score == 600
    assert [reason.zh for reason in decision.reasons] == [
        "司龄", "2005 年 9 月还款状态", "评分原因：x。", "评分原因：y。"
    ]  # fmt: skip


CARD = build_scorecard(
    "card",
    [
        CardInput(
            Bins("age", edges=(30.0, 50.0)), (0.9, -0.1, -0.6, 0.0), 1.0, meaning={"en": "Age", "zh": "年龄"}
        ),
        CardInput(Bins("limit", edges=(1000.0,), specials=(-1.0,)), (0.4, -0.4, 0.2, 0.1), 1.0),
    ],
    -1.2,
)


def card_engine(rules: str = "") -> Any:
    head = '[score]\nsource = "card"\ncard = "card.json"\n[cutoff]\napprove_from = 560\nreview_from = 540\n'
    files = strategy_files(AGE, LIMIT, head=head, rules=rules) | {"card.json": to_json(CARD).encode()}
    return compile_strategy(Strategy.from_files(files))


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(st.none(), st.integers(0, 150), st.floats(0, 150)),
    st.one_of(st.none(), st.integers(-10, 10**6), st.just(-1.0)),
)
def test_a_score_from_the_card_is_the_cards_own(age: float | None, limit: float | None) -> None:
    decision = card_engine().decide({"age": age, "limit": limit})
    values = {"age": age, "limit": limit}
    assert decision.score == CARD.score(values)
    own = [(reason.variable, reason.en, reason.zh) for reason in CARD.reasons(values)]
    assert [tuple(reason) for reason in decision.reasons if not reason.code.startswith("score.")] == own
    points = decision.tree.nodes[0].nodes
    assert sum(node.value for node in points) == decision.score
    assert [node.status == "missing" for node in points] == [age is None, limit is None]


def test_rules_read_the_cards_score() -> None:
    engine = card_engine(rule("r", "score < 1000 and age < 30", grade="prohibitive"))
    assert engine.decide({"age": 29, "limit": 5000}).outcome == "decline"
    assert engine.decide({"age": 60, "limit": 5000}).outcome == "approve"
    with pytest.raises(DataError, match="there is no input score;"):
        engine.decide({"age": 29, "score": 1})


# -- applications that are not


ODD = [
    ("number", "1", r"the input x must be a number, got str"),
    ("number", True, r"the input x must be a number, got bool"),
    ("number", np.bool_(True), r"the input x must be a number, got bool"),
    ("number", 1j, r"the input x must be a number, got complex"),
    (
        "number",
        float("inf"),
        r"the input x must be from -1000000000000000 to 1000000000000000; the value given",
    ),
    ("number", float("-inf"), r"the value given is outside"),
    ("number", 10**400, r"the value given is outside"),
    ("number", Fraction(10**400), r"the value given is outside"),
    ("number", Decimal("1e999999"), r"the value given is outside"),
    ("text", 1, r"the input x must be a text, got int"),
    ("text", b"x", r"the input x must be a text, got bytes"),
    ("text", "x" * 1001, r"the input x may have at most 1000 characters, got 1001"),
    ("text", "\ud800", r"the input x holds half of a character"),
    ("boolean", 1, r"the input x must be true or false, got int"),
    ("boolean", "true", r"the input x must be true or false, got str"),
    ("date", "2026-02-30", r"the input x must be a date such as 2026-01-31, got str"),
    ("date", "20260131", r"the input x must be a date such as 2026-01-31, got str"),
    ("date", datetime.datetime(2026, 1, 31), r"the input x must be a date such as 2026-01-31, got datetime"),
    ("time", "24:00", r"the input x must be a time of day such as 23:30, got str"),
    (
        "time",
        datetime.time(1, tzinfo=datetime.UTC),
        r"the input x must be a time of day such as 23:30, got time",
    ),
    ("texts", "x", r"the input x must be a list of texts, got str"),
    ("texts", {"x"}, r"the input x must be a list of texts, got set"),
    ("texts", ["x"] * 101, r"the input x may hold at most 100 texts, got 101"),
    ("texts", ["x", 1], r"the input x must be a text, got int"),
]


@pytest.mark.parametrize(
    ("kind", "value", "sentence"), ODD, ids=[f"{k}-{type(v).__name__}-{i}" for i, (k, v, _) in enumerate(ODD)]
)
def test_values_of_a_wrong_type_or_out_of_range(kind: str, value: Any, sentence: str) -> None:
    engine = engine_of(declare("x", kind))
    with pytest.raises(DataError, match=sentence):
        engine.decide({"x": value})


def test_declared_ranges_and_choices_hold_and_the_sentence_keeps_the_value_to_itself() -> None:
    with pytest.raises(DataError, match=r"^the input age must be from 0 to 150; the value given is outside$"):
        engine_of(AGE).decide({"age": 151.25})
    half = engine_of(declare("x", "number", minimum="0.5"))
    with pytest.raises(DataError, match=r"must be from 0\.5 to "):
        half.decide({"x": 0})
    kinds = engine_of(declare("kind", "text", allowed='["car", "boat"]'))
    with pytest.raises(
        DataError, match=r"^the input kind must be one of car, boat; the text given is none of them$"
    ):
        kinds.decide({"kind": "secret"})


def test_a_name_that_is_not_declared() -> None:
    with pytest.raises(
        DataError, match=r"^there is no input agee \(did you mean age\?\); inputs are declared"
    ):
        engine_of(AGE).decide({"agee": 30})
    with pytest.raises(DataError, match=r"^there is no input zzz; inputs are declared"):
        engine_of(AGE, LIMIT).decide({"zzz": None, "age": 3})
    assert engine_of(AGE, head='extra_inputs = "ignore"\n').decide({"agee": 30}).outcome == "approve"


@pytest.mark.parametrize(
    "value", [30, 30.0, np.int64(30), np.float64(30), np.float32(30), Decimal(30), Fraction(30), np.uint8(30)]
)
def test_every_kind_of_number_gives_the_same_bytes(value: Any) -> None:
    engine = engine_of(AGE, rules=rule("r", "age * 2 = 60 and age in [30] and age = 30"))
    decision = engine.decide({"age": value})
    assert decision.grade == "restrictive"
    assert decision.to_json() == engine.decide({"age": 30}).to_json()


@pytest.mark.parametrize("value", [0.1, np.float64(0.1), Decimal("0.1"), Fraction(1, 10)])
def test_every_kind_of_fraction_is_the_same_decimal(value: Any) -> None:
    engine = engine_of(AGE, rules=rule("r", "age + 0.2 = 0.3 and age = 0.1", grade="advisory"))
    decision = engine.decide({"age": value})
    assert decision.grade == "advisory"
    assert decision.to_json() == engine.decide({"age": 0.1}).to_json()


@pytest.mark.parametrize("value", [True, np.bool_(True)])
def test_truth_values_of_tables_are_truth_values(value: Any) -> None:
    decision = engine_of(declare("ok", "boolean"), rules=rule("r", "ok")).decide({"ok": value})
    assert decision.tree.nodes[0].nodes[0].value is True


# -- what must always hold


EXAMPLE = compile_strategy(example_strategy())
APPLICATIONS = st.fixed_dictionaries(
    {"age": st.integers(0, 150), "limit": st.one_of(st.integers(-5, 10**6), st.floats(-5, 1e6))},
    optional={
        "education": st.one_of(st.none(), st.integers(0, 6)),
        "months_late": st.integers(-2, 9),
        "partner_flags": st.lists(st.sampled_from(["written-off", "disputed", "x"]), max_size=3),
        "score": st.one_of(st.none(), st.integers(400, 700)),
        "score_reasons": st.lists(st.sampled_from(["repay_1", "limit", "y"]), max_size=5),
    },
)


@settings(max_examples=300, deadline=None)
@given(APPLICATIONS)
def test_the_outcome_is_the_worst_that_any_node_demands(application: Mapping[str, Any]) -> None:
    decision = EXAMPLE.decide(application)
    rules = [node for stage in decision.tree.nodes for node in (stage, *stage.nodes)]
    demanded = [OUTCOMES.index(node.demands) for node in rules if node.demands]
    assert decision.outcome == OUTCOMES[max(demanded, default=0)]
    grades = [GRADES.index(node.grade) for node in rules if node.status == "hit" and node.grade]
    assert decision.grade == (GRADES[max(grades)] if grades else None)
    hit = {node.id for node in rules if node.status == "hit" and node.kind == "rule"}
    assert hit <= set(codes(decision))


@settings(max_examples=200, deadline=None)
@given(APPLICATIONS)
def test_fast_decisions_are_the_same(application: Mapping[str, Any]) -> None:
    full = EXAMPLE.decide(application)
    assert tuple(EXAMPLE.decide_fast(application)) == (full.outcome, full.grade, full.score)


@settings(max_examples=100, deadline=None)
@given(APPLICATIONS, st.randoms(use_true_random=False))
def test_same_strategy_and_inputs_give_the_same_bytes(application: dict[str, Any], random: Any) -> None:
    again = compile_strategy(Strategy.from_files(dict(EXAMPLE.strategy.files)))
    items = list(application.items())
    random.shuffle(items)
    assert EXAMPLE.decide(application).to_json() == again.decide(dict(items)).to_json()


def test_threads_share_an_engine() -> None:
    applications = [{"age": age, "limit": 10, "score": 500 + age} for age in range(10, 90)]
    expected = [EXAMPLE.decide(application).to_json() for application in applications]
    found: list[list[bytes]] = []

    def work() -> None:
        found.append([EXAMPLE.decide(application).to_json() for application in applications])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4
