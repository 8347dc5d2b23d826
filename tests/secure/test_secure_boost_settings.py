"""Settings of boosted trees: what is refused, and that the number format holds what the settings allow."""

import dataclasses
import math

import msgspec
import numpy as np
import pytest
from boost_worlds import settings, table
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from tongzhou.errors import DataError, PlanError
from tongzhou.secure.boost_settings import LARGEST_WEIGHT_BITS, BoostFormat, BoostSettings, check_boost
from tongzhou.secure.boosting import check_block
from tongzhou.secure.logistic import OwnerBlock

NEEDED = b'{"rows": 1, "asker_columns": 1, "provider_columns": 1'


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"trees": 0}, "trees is 0; from 1 to 1000 is allowed"),
        ({"depth": 7}, "depth is 7; from 1 to 6 is allowed"),
        ({"bins": 3}, "bins is 3; from 4 to 64 is allowed"),
        ({"bins": 65}, "bins is 65"),
        ({"rows": (1 << 20) + 1}, "rows is 1048577; from 1 to 1048576 is allowed"),
        ({"asker_columns": -1}, "asker_columns is -1"),
        ({"asker_columns": 0, "provider_columns": 0}, r"columns \* bins is 0"),
        ({"provider_columns": 600}, r"columns \* bins is 4816; from 8 to 4096 is allowed"),
        ({"held_out": 600}, "held_out is 600; from 0 to 599 is allowed"),
        ({"patience": 2}, "patience needs held_out rows"),
        ({"patience": 9, "held_out": 5}, "patience is 9; from 0 to 3 is allowed"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"learning_rate": 1.5}, "learning_rate is 1.5"),
        ({"learning_rate": math.nan}, "learning_rate is nan"),
        ({"column_share": 0.0}, "column_share is 0.0"),
        ({"row_share": 2.0}, "row_share is 2.0"),
        ({"l2": -1.0}, "l2 is -1.0"),
        ({"l2": 2000.0}, "l2 is 2000.0; from 0 to 1024 is allowed"),
        ({"min_child_weight": 5000.0}, "min_child_weight is 5000.0; from 0 to 4096 is allowed"),
        ({"l2": 0.0, "min_child_weight": 0.0}, r"l2 \+ min_child_weight is 0.0; from 0.0625"),
        ({"min_gain": 65.0}, "min_gain is 65.0; from 0 to 64.0 is allowed"),
        ({"asker_monotone": (1,)}, "asker_monotone must give -1, 0 or 1 for each of the 2 variables"),
        ({"provider_monotone": (0, 2, 0)}, "provider_monotone must give"),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(wrong: dict, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        check_boost(settings(**wrong))


def test_ends_of_the_ranges_are_allowed() -> None:
    for right in (
        {"trees": 1000, "depth": 6, "bins": 64, "rows": 1 << 20},
        {"trees": 1, "depth": 1, "bins": 4, "rows": 1},
        {"learning_rate": 1.0, "l2": 0.0, "min_child_weight": 0.0625},
        {"asker_columns": 0, "asker_monotone": (), "provider_monotone": (1, -1, 0)},
        {"held_out": 599, "patience": 3, "min_gain": 64.0},
    ):
        check_boost(settings(**right))


def test_settings_travel_as_a_plan_carries_them() -> None:
    given_settings = settings(provider_monotone=(1, 0, -1), missing="learned")
    text = msgspec.json.encode(given_settings)
    assert msgspec.json.decode(text, type=BoostSettings) == given_settings
    with pytest.raises(msgspec.ValidationError, match="unknown field `tree`"):
        msgspec.json.decode(NEEDED + b', "tree": 5}', type=BoostSettings)
    with pytest.raises(msgspec.ValidationError, match="Invalid enum value 'highest'"):
        msgspec.json.decode(NEEDED + b', "missing": "highest"}', type=BoostSettings)


def test_the_learning_rate_is_a_multiple_of_its_unit() -> None:
    assert settings(learning_rate=0.3).rate == 307 / 1024
    assert settings(learning_rate=0.5).rate == 0.5
    assert settings(learning_rate=1 / 1024).rate == 1 / 1024


def test_directions_default_to_none() -> None:
    assert settings().monotone == (0,) * 5
    assert settings(provider_monotone=(1, 0, -1)).monotone == (0, 0, 1, 0, -1)


@profile(max_examples=200, deadline=None)
@given(
    rows=st.integers(1, 1 << 20),
    l2=st.floats(0, 1024),
    least=st.floats(0.0625, 4096),
)
def test_the_format_holds_every_sum(rows: int, l2: float, least: float) -> None:
    """The bounds of the module texts, as arithmetic."""
    form = BoostFormat.of(settings(rows=rows, l2=l2, min_child_weight=least))
    curvature = 0.25 + 2.0**-LARGEST_WEIGHT_BITS + 2.0**-15
    assert rows * 2 * 2.0**form.gradient <= 2**30
    assert (rows * curvature + 2 * l2) * 2.0**form.curvature < 2**30
    assert 2.0**form.scale / (l2 + least) < 2**30
    # What is dropped at once stays within what each owner can drop alone.
    drops = [
        form.series - form.gradient,
        form.series - form.curvature,
        form.series - (form.curvature - LARGEST_WEIGHT_BITS),
        form.curvature + form.scale - 28,
        form.gradient + form.scale - 21,
        form.gradient + form.scale - 20,
        form.inner + form.gradient + form.rate - form.score,
        form.scale + 28 - form.inner,
        47 - form.curvature - form.scale,
    ]
    assert all(0 <= drop <= 32 for drop in drops)
    # Leaves: 2^7 before the rate, at most once that after it.
    assert 2.0 ** (LARGEST_WEIGHT_BITS + form.score) < 2**30


@pytest.mark.parametrize(
    ("role", "change", "sentence"),
    [
        ("asker", {"values": "short"}, "the block has 599 rows and 2 columns; 600 and 2 were agreed"),
        ("provider", {"values": "narrow"}, "the block has 600 rows and 2 columns; 600 and 3 were agreed"),
        ("asker", {"label": None}, "the asker needs a label"),
        ("asker", {"label": "short"}, "there are 599 labels for 600 rows"),
        ("asker", {"label": "ones"}, "the label of the training rows is all one class"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(role: str, change: dict, sentence: str) -> None:
    block = dict(zip(("asker", "provider"), table(), strict=True))[role]
    label = np.zeros(600) if block.label is None else block.label
    made = {
        "values": {"short": block.values[1:], "narrow": block.values[:, 1:]},
        "label": {"short": label[1:], "ones": np.ones(600)},
    }
    changes = {name: made[name][how] if how else None for name, how in change.items()}
    with pytest.raises(DataError, match=sentence):
        check_block(settings(), dataclasses.replace(block, **changes), role)


def test_one_class_among_the_training_rows_is_refused_whatever_is_held_out() -> None:
    asker, _ = table()
    label = asker.label.copy()
    label[:500] = 0
    block = OwnerBlock(asker.values, asker.names, label)
    check_block(settings(held_out=50), block, "asker")
    with pytest.raises(DataError, match="all one class"):
        check_block(settings(held_out=100), block, "asker")
