"""What generalising costs: small tables counted by hand, and counts over ranges by looking at every row."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongzhou.risk.anonymise import Classes, Request
from tongzhou.risk.anonymise_domains import category_domain, number_domain
from tongzhou.risk.anonymise_loss import _Ranges, _summed, _true_counts, measure_loss, query_errors
from tongzhou.risk.anonymise_mondrian import mondrian

AGES = [20, 30, 30, 60]
KINDS = ["a", "a", "b", "c"]


def table():
    return number_domain("age", AGES), category_domain("kind", KINDS)


def classes(of, low, high):
    return Classes(
        np.array(of, dtype=np.int32), np.array(low, dtype=np.int32), np.array(high, dtype=np.int32)
    )


def test_losses_counted_by_hand():
    """Rows 1 to 3 are 20 to 30 and a or b; row 4 is left out."""
    lost = measure_loss(table(), classes([0, 0, 0, -1], [[0], [0]], [[1], [1]]), k=2)
    age, kind = lost.columns
    assert age.penalty == pytest.approx((3 * 10 / 40 + 1) / 4)
    assert kind.penalty == pytest.approx((3 * 2 / 3 + 1) / 4)
    # of three rows at 20 to 30 one is 20 and two are 30; the row left out may be any of four
    expected = (math.log2(3 / 1) + 2 * math.log2(3 / 2) + math.log2(4 / 1)) / (
        math.log2(4 / 1) + 2 * math.log2(4 / 2) + math.log2(4 / 1)
    )
    assert age.entropy == pytest.approx(expected)
    assert lost.penalty == pytest.approx((age.penalty + kind.penalty) / 2)
    assert lost.discernibility == 3 * 3 + 4
    assert lost.class_size == 3 / 2


def test_nothing_lost_and_everything_lost():
    as_it_was = classes([0, 1, 2, 3], [[0, 1, 1, 2], [0, 0, 1, 2]], [[0, 1, 1, 2], [0, 0, 1, 2]])
    nothing = measure_loss(table(), as_it_was, k=1)
    assert (nothing.penalty, nothing.entropy, nothing.discernibility) == (0, 0, 4)
    everything = measure_loss(table(), classes([0] * 4, [[0], [0]], [[2], [2]]), k=4)
    assert (everything.penalty, everything.entropy, everything.discernibility) == (1, 1, 16)
    left_out = measure_loss(table(), classes([-1] * 4, [[], []], [[], []]), k=4)
    assert (left_out.penalty, left_out.entropy, left_out.discernibility) == (1, 1, 16)


def test_a_column_of_one_value_cannot_lose():
    only = number_domain("x", [7, 7])
    assert measure_loss([only], classes([0, 0], [[0]], [[0]]), k=2).columns[0].entropy == 0


def test_a_class_is_spread_evenly_over_what_it_covers():
    """Four rows at 20 to 60 of three values: a range of one value is told a third of them."""
    one = classes([0] * 4, [[0], [0]], [[2], [2]])
    ranges = _Ranges(np.array([[0, 0], [1, 0]]), np.array([[0, 2], [1, 1]]))
    told = _summed(one.sizes.astype(float), one.low, one.high, ranges)
    assert told == pytest.approx([4 / 3, 4 / 3 * 2 / 3])
    assert _true_counts(table(), ranges).tolist() == [1, 2]


@settings(deadline=None, max_examples=50)
@given(
    rows=st.lists(st.tuples(st.integers(0, 9), st.sampled_from("abcd")), min_size=2, max_size=40),
    data=st.data(),
)
def test_true_counts_are_those_of_every_row(rows, data):
    quasi = (
        number_domain("n", [float(row[0]) for row in rows]),
        category_domain("c", [row[1] for row in rows]),
    )
    low = [data.draw(st.integers(0, domain.size - 1)) for domain in quasi]
    high = [data.draw(st.integers(start, domain.size - 1)) for start, domain in zip(low, quasi, strict=True)]
    (found,) = _true_counts(quasi, _Ranges(np.array([low]), np.array([high])))
    assert found == sum(
        all(low[at] <= domain.codes[row] <= high[at] for at, domain in enumerate(quasi))
        for row in range(len(rows))
    )


def test_an_exact_table_answers_exactly():
    quasi = table()
    exact = classes([0, 1, 2, 3], [[0, 1, 1, 2], [0, 0, 1, 2]], [[0, 1, 1, 2], [0, 0, 1, 2]])
    errors = query_errors(quasi, exact, queries=50)
    assert errors.errors.tolist() == [0.0] * 50
    assert (errors.median, errors.mean, errors.worst_tenth) == (0, 0, 0)


def test_coarser_classes_answer_worse_and_the_same_seed_asks_the_same():
    random = np.random.default_rng(4)
    quasi = (
        number_domain("a", random.normal(40, 12, 2000).round()),
        number_domain("b", random.gamma(2, 20, 2000).round()),
    )
    fine, coarse = (query_errors(quasi, mondrian(Request(quasi, (), k)), queries=300) for k in (5, 200))
    assert fine.median < coarse.median
    assert fine.worst_tenth < coarse.worst_tenth
    again = query_errors(quasi, mondrian(Request(quasi, (), 5)), queries=300)
    assert np.array_equal(fine.errors, again.errors)
    assert fine.errors.tolist() == sorted(fine.errors)
    assert query_errors(quasi, mondrian(Request(quasi, (), 5)), queries=300, seed=2).median != fine.median
