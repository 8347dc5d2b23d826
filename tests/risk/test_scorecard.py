"""Scorecards: points from weights, one row against many, reasons, JSON, and what is refused."""

import math
import time

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongzhou.errors import DataError, NotFoundError
from tongzhou.risk.binning import Bins
from tongzhou.risk.scorecard import (
    CardInput,
    CardVariable,
    Scale,
    build_scorecard,
    from_json,
    points_of,
    spread_base,
    to_json,
)

NAN = math.nan
LIMIT = CardInput(
    Bins(variable="limit", edges=(50_000.0, 140_000.0)),
    woe=[0.6, 0.1, -0.7, 0.0],
    coefficient=0.8,
    owner="bank",
    meaning={"en": "Credit limit", "zh": "授信额度"},
)
REPAY = CardInput(
    Bins(variable="repay_1", edges=(0.0, 1.0), specials=(-2.0, -1.0)),
    woe=[-0.5, 0.4, 2.0, -0.3, -0.9, 0.2],
    coefficient=0.9,
    owner="cardnet",
    meaning={"en": "Months behind, last month", "zh": "上月逾期月数"},
)
CARD = build_scorecard("clients", [LIMIT, REPAY], -1.25, version="3", created="2026-01-02T03:04:05Z")
GOOD = {"limit": 200_000.0, "repay_1": -1.0}
BAD = {"limit": 10_000, "repay_1": 2}


def test_points_follow_odds():
    scale = Scale(pdo=20, base_points=600, base_odds=20)
    assert scale.offset - scale.factor * -math.log(20) == pytest.approx(600)
    assert scale.offset - scale.factor * -math.log(40) == pytest.approx(620)


@pytest.mark.parametrize("row", [GOOD, BAD, {"limit": None, "repay_1": NAN}])
def test_score_is_the_rounded_sum_and_near_the_exact_points(row):
    exact = CARD.scale.offset - CARD.scale.factor * CARD.logit(row)
    assert abs(CARD.score(row) - exact) <= 0.5 * (len(CARD.variables) + 1)


def test_logit_is_the_regression():
    assert CARD.logit(BAD) == pytest.approx(-1.25 + 0.8 * 0.6 + 0.9 * 2.0)
    assert CARD.logit(GOOD) == pytest.approx(-1.25 + 0.8 * -0.7 + 0.9 * -0.9)
    assert CARD.score(GOOD) > CARD.score(BAD)


def test_points_of_each_bin_by_hand():
    factor = 20 / math.log(2)
    offset = 600 - factor * math.log(20)
    base = math.floor(offset + factor * 1.25 + 0.5)
    assert spread_base(Scale(), -1.25, 2) == [base - base // 2, base // 2]
    expected = tuple(base - base // 2 + math.floor(-factor * 0.8 * w + 0.5) for w in LIMIT.woe)
    assert CARD.variables[0].points == expected


@given(st.floats(-8, 8), st.integers(1, 40))
def test_shares_of_the_base_differ_by_one_point_at_most(intercept, count):
    shares = spread_base(Scale(), intercept, count)
    assert max(shares) - min(shares) <= 1
    assert abs(sum(shares) - (Scale().offset - Scale().factor * intercept)) <= 0.5 + 1e-9


numbers = st.one_of(
    st.none(),
    st.floats(),
    st.sampled_from([-2.0, -1.0, 0.0, 1.0, 50_000.0, 140_000.0]),
    st.integers(-(2**60), 2**60),
)


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=30))
def test_batch_equals_one_row_exactly(rows):
    columns = {
        name: np.array([NAN if row[i] is None else float(row[i]) for row in rows])
        for i, name in enumerate(["limit", "repay_1"])
    }
    applicants = [{"limit": a, "repay_1": b} for a, b in rows]
    assert CARD.score_table(columns).tolist() == [CARD.score(row) for row in applicants]
    assert CARD.logit_table(columns).tolist() == [CARD.logit(row) for row in applicants]


def test_batch_crosses_blocks():
    rng = np.random.default_rng(5)
    columns = {"limit": rng.uniform(0, 2e5, 40_001), "repay_1": rng.integers(-2, 4, 40_001), "other": None}
    scores = CARD.score_table(columns)
    assert scores.dtype == np.int64
    picks = [0, 16_383, 16_384, 32_767, 32_768, 40_000]
    assert scores[picks].tolist() == [
        CARD.score({"limit": columns["limit"][i], "repay_1": columns["repay_1"][i]}) for i in picks
    ]


def test_parts_of_the_owners_add_up():
    parts = [CARD.part(owner) for owner in ("bank", "cardnet")]
    assert [part.inputs for part in parts] == [["limit"], ["repay_1"]]
    assert sum(part.score(BAD) for part in parts) == CARD.score(BAD)
    assert sum(part.logit(BAD) for part in parts) + CARD.intercept == pytest.approx(CARD.logit(BAD))
    with pytest.raises(NotFoundError, match="card clients has no variable of tax"):
        CARD.part("tax")


def test_an_owner_can_work_out_its_points_alone():
    shares = spread_base(Scale(), -1.25, 2)
    assert points_of(Scale(), REPAY, shares[1]) == CARD.variables[1].points


class TestReasons:
    def test_points_lost_against_the_best_bin_that_has_a_value(self):
        lost = CARD.points_lost(BAD)
        points = CARD.variables[1].points
        assert lost["repay_1"] == max(points[:5]) - points[2]
        assert CARD.points_lost(GOOD) == {"limit": 0, "repay_1": 0}

    def test_missing_is_never_the_best_bin(self):
        entry = CardInput(Bins(variable="v", edges=(0.0,)), woe=[0.5, 0.2, -1.0], coefficient=1.0)
        card = build_scorecard("c", [entry], 0.0)
        assert card.points_lost({"v": 1.0}) == {"v": 0}
        assert card.points_lost({"v": None}) == {"v": 0}
        assert card.points_lost({"v": -1.0})["v"] == card.variables[0].points[1] - card.variables[0].points[0]

    def test_costliest_first_with_words_in_both_languages(self):
        reasons = CARD.reasons(BAD)
        assert [reason.variable for reason in reasons] == ["repay_1", "limit"]
        assert reasons[0].en == "Months behind, last month: > 1"
        assert reasons[0].zh == "上月逾期月数：> 1"
        assert reasons[0].owner == "cardnet"
        assert CARD.reasons({"limit": None, "repay_1": 0.0})[0].zh == "授信额度：缺失"

    def test_limit_and_no_reason_for_the_best(self):
        assert len(CARD.reasons(BAD, 1)) == 1
        assert CARD.reasons(BAD, 0) == CARD.reasons(GOOD) == []

    def test_score_and_reasons_in_one_pass(self):
        assert CARD.score_with_reasons(BAD) == (CARD.score(BAD), CARD.reasons(BAD))

    def test_equal_losses_keep_the_order_of_the_card(self):
        entries = [
            CardInput(Bins(variable=v, edges=(0.0,)), woe=[1.0, 0.0, 0.0], coefficient=1.0) for v in "bac"
        ]
        card = build_scorecard("c", entries, 0.0)
        assert [r.variable for r in card.reasons(dict.fromkeys("abc", -1.0))] == ["b", "a", "c"]

    def test_name_stands_in_for_absent_words(self):
        entry = CardInput(Bins(variable="v"), woe=[0.0, 1.0], coefficient=1.0)
        (reason,) = build_scorecard("c", [entry], 0.0).reasons({"v": None})
        assert (reason.en, reason.zh) == ("v: missing", "v：缺失")


class TestRefusals:
    @pytest.mark.parametrize("call", [CARD.score, CARD.logit, CARD.reasons, CARD.score_with_reasons])
    def test_variable_not_given(self, call):
        with pytest.raises(
            DataError, match=r"card clients needs repay_1, which was not given; is it repay1\?"
        ):
            call({"limit": 1.0, "repay1": 0.0})
        with pytest.raises(DataError, match=r"card clients needs limit, which was not given$"):
            call({"x": 1.0})

    @pytest.mark.parametrize("call", [CARD.score, CARD.logit, CARD.reasons])
    def test_value_of_another_type(self, call):
        with pytest.raises(DataError, match=r"repay_1 must be a number or missing, got a value of type str$"):
            call({"limit": 1.0, "repay_1": "secret"})
        with pytest.raises(DataError, match="limit must be a number or missing, got a value of type int"):
            call({"limit": 10**400, "repay_1": 0.0})

    def test_text_is_refused_by_a_variable_with_a_single_bin(self):
        card = build_scorecard("c", [CardInput(Bins(variable="v"), woe=[0.0, 1.0], coefficient=1.0)], 0.0)
        with pytest.raises(DataError, match="v must be a number or missing, got a value of type str"):
            card.score({"v": "x"})
        assert card.score({"v": math.inf}) == card.score({"v": -math.inf})

    def test_mapping_that_contradicts_itself(self):
        class Fickle(dict):
            """Denies a key once and has it afterwards."""

            def __getitem__(self, key):
                if self.pop("deny", None):
                    raise KeyError(key)
                return super().__getitem__(key)

        with pytest.raises(DataError, match="card clients cannot score these values"):
            CARD.score(Fickle(deny=True, limit=1.0, repay_1=None))

    def test_columns(self):
        with pytest.raises(DataError, match="card clients needs repay_1, which was not given"):
            CARD.score_table({"limit": np.zeros(2)})
        with pytest.raises(DataError, match="repay_1 must have 2 rows, got 3"):
            CARD.score_table({"limit": np.zeros(2), "repay_1": np.zeros(3)})
        with pytest.raises(DataError, match="limit must be numbers, got values of type <U1"):
            CARD.logit_table({"limit": np.array(["a"]), "repay_1": np.zeros(1)})

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            ({"woe": [1.0]}, "card variable limit: woe must have a value for each of 4 bins, got 1"),
            ({"coefficient": NAN}, "card variable limit: weights must be finite numbers"),
            ({"woe": [0.0, 0.0, math.inf, 0.0]}, "card variable limit: weights must be finite numbers"),
        ],
    )
    def test_inputs(self, change, sentence):
        entry = CardInput(**{"bins": LIMIT.bins, "woe": LIMIT.woe, "coefficient": 0.8} | change)
        with pytest.raises(DataError, match=sentence):
            build_scorecard("c", [entry], 0.0)

    def test_no_variable_or_twice_the_same(self):
        with pytest.raises(DataError, match="card c has no variable"):
            build_scorecard("c", [], 0.0)
        with pytest.raises(DataError, match="card c has the variable limit twice"):
            build_scorecard("c", [LIMIT, LIMIT], 0.0)
        with pytest.raises(DataError, match="card c: the intercept must be a finite number"):
            build_scorecard("c", [LIMIT], NAN)

    @pytest.mark.parametrize(
        ("scale", "sentence"),
        [
            ({"pdo": 0.0}, "pdo must be above 0, got 0.0"),
            ({"base_odds": -1.0}, "base_odds must be above 0, got -1.0"),
            ({"base_points": math.inf}, "base_points must be a finite number"),
        ],
    )
    def test_scale(self, scale, sentence):
        with pytest.raises(DataError, match=sentence):
            Scale(**scale)


class TestJson:
    def test_round_trip_is_exact_and_stable(self):
        text = to_json(CARD)
        assert from_json(text) == CARD
        assert to_json(from_json(text.encode())) == text
        assert "授信额度" in text

    def test_loaded_card_scores_alike(self):
        loaded = from_json(to_json(CARD))
        assert loaded.score(BAD) == CARD.score(BAD)
        assert loaded.logit(BAD) == CARD.logit(BAD)

    def test_file_that_is_not_json(self):
        for text in ("", "{", b"\xff\xfe{"):
            with pytest.raises(DataError, match="the scorecard file is not JSON"):
                from_json(text)

    def change(self, path, value):
        """Return the card's text with one field set; an empty path removes nothing."""
        tree = msgspec.json.decode(to_json(CARD))
        *parents, last = path
        node = tree
        for key in parents:
            node = node[key]
        node[last] = value
        return msgspec.json.encode(tree)

    @pytest.mark.parametrize(
        ("path", "value", "sentence"),
        [
            (["extra"], 1, "unknown field `extra`"),
            (["name"], 5, r"Expected `str`, got `int` - at `\$.name`"),
            (["variables"], [], "card clients has no variable"),
            (
                ["variables", 0, "points"],
                [1, 2],
                "card variable limit: points must have a value for each of 4 bins",
            ),
            (["variables", 0, "points", 0], 1.5, r"Expected `int`, got `float`"),
            (["variables", 1, "name"], "limit", "card variable limit holds the bins of repay_1"),
            (
                ["variables", 1, "bins", "edges"],
                [1, 0],
                "bins of repay_1: cut points must be finite and ascend",
            ),
            (["variables", 1, "bins", "variable"], "x", "card variable repay_1 holds the bins of x"),
            (["scale", "pdo"], 0, "pdo must be above 0, got 0"),
        ],
    )
    def test_every_field_is_checked(self, path, value, sentence):
        with pytest.raises(DataError, match=sentence):
            from_json(self.change(path, value))

    def test_missing_field(self):
        tree = msgspec.json.decode(to_json(CARD))
        del tree["intercept"]
        with pytest.raises(DataError, match="does not fit: Object missing required field `intercept`"):
            from_json(msgspec.json.encode(tree))


def test_one_row_takes_microseconds():
    names = [f"v{i}" for i in range(23)]
    entries = [
        CardInput(
            Bins(variable=v, edges=(0.0, 1.0, 2.0, 3.0)),
            woe=[0.4, 0.1, 0.0, -0.1, -0.3, 0.0],
            coefficient=0.7,
        )
        for v in names
    ]
    card = build_scorecard("wide", entries, -1.0)
    row = dict.fromkeys(names, 1.5)
    card.score_with_reasons(row)

    def fastest(call):
        times = []
        for _ in range(300):
            start = time.perf_counter()
            call(row)
            times.append(time.perf_counter() - start)
        return min(times) * 1e6

    # The goals are 5 and 10; the bounds leave room for a busy machine and still catch a slow path.
    assert fastest(card.score) < 20
    assert fastest(card.score_with_reasons) < 40


def test_variable_is_named_after_its_bins():
    with pytest.raises(DataError, match="card variable v holds the bins of limit"):
        CardVariable("v", "bank", LIMIT.bins, (0.0,) * 4, 1.0, (1,) * 4)
